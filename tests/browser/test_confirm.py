"""A request that waits for a signature: what the page says, what the wallet is asked, and what is not done before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, Response, jsonify, request
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sessions_core import fresh_required
from sessions_core.sessions.record import LoadedSession
from sessions_core.web import confirmations
from sessions_core.web.services import Services

from ..part_services import roles_of
from ..time_machine import TimeMachine
from .accessibility import open_without_script
from .clocks_in_page import LATER, WATCH, asked
from .conftest import CHALLENGES, Elsewhere, Hold, Interruption, account_of
from .pages import FIREFOX, Browser, ConfirmPanel
from .session_list import unheard
from .session_page import KEEP_ALIVE, VALIDATE, ask_to_stay
from .step_up import ask_to_end
from .wallet_in_page import MakeWallet, WalletInPage
from .wallet_watch import other_tab

Alive = Callable[[str], bool]

# The two minutes of a request to confirm go by at once; the clock of the session keeps its pace.
HURRY = "{ const real = window.setTimeout; window.setTimeout = (run, ms) => real(run, ms > 100000 ? 200 : ms); }"
NOTE = "Line one\r\n  <b>two</b> & \"three\" 'four'\r\n\r\n" + "Ümläüte und mehr. " * 200


@pytest.fixture
def notes() -> list[list[tuple[str, str]]]:
    """The forms that reached the view, field by field."""
    return []


@pytest.fixture
def app(make_app: Callable[..., Flask], notes: list[list[tuple[str, str]]]) -> Flask:
    """The application, with a form whose every use takes a signature."""
    app = make_app()

    @app.post("/notes")
    @fresh_required(0, "write:therapy_notes")
    def write() -> str:
        notes.append([(name, value) for name, value in request.form.items(multi=True)])
        return "<title>Written</title><h1>Written</h1>"

    return app


@pytest.fixture
def other(elsewhere: Elsewhere, wallet: WalletInPage) -> str:
    """The handle of another session of the same account."""
    return elsewhere.sign_in(wallet, FIREFOX)


@pytest.fixture
def panel(browser: Browser, wallet: WalletInPage, other: str, pass_time: TimeMachine) -> ConfirmPanel:
    """The page that asks whether to end the other session: the signature of the sign-in is no longer fresh."""
    browser.enter(wallet)
    pass_time(301)
    return ask_to_end(browser)


@pytest.fixture
def alive(services: Services, wallet: WalletInPage) -> Alive:
    account = str(account_of(wallet))  # now: the wallet may go on to another
    return lambda handle: services.repository.find_living(account, handle) is not None


def session_cookie(browser: Browser) -> str:
    return str(next(each["value"] for each in browser.driver.get_cookies() if each["name"] == "__Host-session"))


# -- Signing for it --------------------------------------------------------------------------------------------


def test_a_fresh_signature_is_enough(browser: Browser, wallet: WalletInPage, other: str, alive: Alive) -> None:
    browser.sign_in(wallet)
    browser.open("/sessions")
    browser.click("session-revoke")
    assert "is signed out" in browser.see("message").text
    assert not alive(other)


def test_older_session_needs_a_signature_for_the_exact_action(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    sentence = f"Sign out [Firefox on Linux] ({other[:9]})."
    assert panel.sentence == sentence
    assert panel.browser.driver.title.startswith("Sign out Firefox on Linux")
    before = session_cookie(panel.browser)
    text = panel.confirm(wallet)
    lines = text.split("\n")
    assert lines[0] == f"{panel.browser.origin} wants you to sign in with your Ethereum account:"
    assert lines[1] == wallet.address
    assert lines[3] == sentence
    panel.browser.arrive_at("/sessions")
    assert "Firefox on Linux is signed out." in panel.browser.see("message").text
    assert not alive(other)
    assert session_cookie(panel.browser) != before


def test_page_describes_the_session_before_the_wallet_is_asked(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    facts = panel.browser.see("confirm-facts").text
    for words in ("Firefox on Linux", other[:9], "5 minutes ago", "Ethereum Mainnet"):
        assert words in facts
    assert panel.state == "idle"
    assert wallet.calls == []
    assert alive(other)


def test_the_page_leaves_out_the_watch_of_the_wallet(panel: ConfirmPanel) -> None:
    assert not panel.browser.driver.find_elements(By.TAG_NAME, "wallet-watch")


def test_the_keyboard_alone_confirms(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    panel.browser.settled(panel.browser.see("confirm-button"))
    panel.browser.run("document.querySelector('main').focus()")
    panel.browser.press(Keys.TAB, Keys.ENTER)
    panel.wait_for("signing")
    assert panel.browser.focused.get_attribute("data-testid") == "confirm-button"
    assert panel.browser.focused.get_attribute("aria-busy") == "true"
    wallet.approve_sign()
    panel.browser.see("message")


def test_the_whole_text_can_be_read_before_it_is_signed(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    panel.start()
    panel.wait_for("signing")
    panel.browser.see("confirm-text").find_element(By.TAG_NAME, "summary").click()
    shown = panel.browser.see("message-preview").get_attribute("textContent")
    assert wallet.approve_sign() == shown


def test_the_network_of_the_wallet_does_not_matter(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    wallet.switch_chain(5)
    text = panel.confirm(wallet)
    assert "Chain ID: 1\n" in text
    assert "wallet_switchEthereumChain" not in wallet.calls
    panel.browser.see("message")


def test_a_wallet_that_lost_its_connection_is_connected_first(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    wallet.lock()
    panel.start()
    panel.wait_for("connecting")
    wallet.approve_connect()
    wallet.approve_sign()
    panel.browser.see("message")


def test_a_page_that_waits_is_opened_after_the_signature(
    browser: Browser, wallet: WalletInPage, services: Services, pass_time: TimeMachine
) -> None:
    roles_of(services).assign(account_of(wallet), "admin")
    browser.sign_in(wallet)
    pass_time(901)
    browser.open("/admin")
    panel = ConfirmPanel(browser)
    panel.arrive("admin.open")
    assert "Open the administration of this site." in panel.confirm(wallet)
    browser.arrive_at("/admin")


@pytest.mark.parametrize(
    "fields",
    [
        [("note", NOTE), ("tag", "a"), ("tag", "b"), ("tag", "")],
        # As properties of a form these are methods that the page needs.
        [("note", "Short"), ("submit", "1"), ("requestSubmit", "2"), ("elements", "3"), ("action", "4"), ("id", "5")],
    ],
    ids=["long", "names"],
)
def test_a_form_arrives_as_it_was_sent(
    browser: Browser, wallet: WalletInPage, fields: list[tuple[str, str]], notes: list[list[tuple[str, str]]]
) -> None:
    browser.sign_in(wallet)
    token = browser.run("return document.querySelector('meta[name=csrf-token]').content")
    browser.run(
        "const form = document.createElement('form');"
        "for (const [name, value] of arguments[0]) {"
        "  const field = document.createElement('textarea');"
        "  field.name = name; field.value = value; form.append(field);"
        "}"
        "form.setAttribute('method', 'post'); form.setAttribute('action', '/notes'); document.body.append(form);"
        "HTMLFormElement.prototype.submit.call(form)",
        [*fields, ("csrf_token", token)],
    )
    panel = ConfirmPanel(browser)
    panel.arrive("write:therapy_notes")
    assert notes == []
    assert "Write a therapy note." in panel.confirm(wallet)
    browser.wait(lambda: "Written" in browser.text, lambda: browser.text)
    arrived = [(name, value) for name, value in notes[0] if name != "csrf_token" and not name.startswith("confirm_")]
    assert arrived == fields


# -- What stands in the way ------------------------------------------------------------------------------------


def test_declining_changes_nothing_and_can_be_retried(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    panel.start()
    wallet.reject()
    panel.wait_for("rejected")
    assert "Nothing was changed" in panel.error
    assert panel.spoken == panel.error
    assert panel.browser.see("confirm-button").text == "Try again"
    assert alive(other)
    panel.confirm(wallet)
    assert not alive(other)


def test_wrong_account_is_told_which_one_to_choose(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    own = wallet.keys
    wallet.switch_account_silently()
    panel.start()
    panel.wait_for("address_mismatch")
    assert f"{own[0].address[:6]}…{own[0].address[-4:]}" in panel.error
    assert "personal_sign" not in wallet.calls
    assert alive(other)
    wallet.keys = own
    panel.browser.run(
        "window.walletsInPage[arguments[0]].accounts = arguments[1]", wallet.key, [own[0].address.lower()]
    )
    panel.confirm(wallet)
    assert not alive(other)


def test_confirmation_is_signed_by_the_account_of_the_session(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    """The wallet holds several accounts and another one is active in it."""
    own = wallet.keys[0]
    wallet.switch_account(keep=True)
    panel.start()
    text = wallet.approve_sign(key=own)
    assert own.address in text
    panel.browser.see("message")
    assert not alive(other)


def test_a_signature_of_another_account_is_refused_in_words(
    panel: ConfirmPanel, make_wallet: MakeWallet, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    stranger = make_wallet("Stranger", announce="never").keys[0]
    panel.start()
    wallet.approve_sign(key=stranger)
    assert panel.browser.see("confirm-problem").text.startswith("The signature is from another account")
    assert panel.problem == "signature_mismatch"
    assert panel.browser.focused.get_attribute("data-testid") == "confirm-problem"
    assert alive(other)
    assert panel.proof == ""
    panel.start()
    panel.wait_for("signing")
    assert panel.browser.shown("confirm-problem") is None
    wallet.approve_sign()
    panel.browser.see("message")
    assert not alive(other)


def test_text_that_expired_in_the_wallet_is_given_up(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    with panel.browser.before_scripts(HURRY):
        panel.browser.driver.refresh()
        panel.arrive("session.revoke")
        panel.start()
        wallet.stall()
        panel.wait_for("expired", "text")
        wallet.answer_late()
    assert panel.proof == ""
    assert panel.state == "expired"
    assert "You had 2 minutes to sign." in panel.error
    assert alive(other)


def test_a_signature_that_comes_too_late_is_not_sent(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    with panel.browser.before_scripts(LATER):
        panel.browser.driver.refresh()
        panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("signing")
    panel.browser.run("later = 121000")
    wallet.approve_sign()
    panel.wait_for("expired", "text")
    assert alive(other)


def test_server_decides_whether_a_challenge_has_expired(
    panel: ConfirmPanel, wallet: WalletInPage, pass_time: TimeMachine, other: str, alive: Alive
) -> None:
    panel.start()
    wallet.stall()
    pass_time(121)
    wallet.answer_late()
    panel.browser.see("confirm-problem")
    assert panel.problem == "challenge_expired"
    assert alive(other)
    panel.confirm(wallet)
    assert not alive(other)


def test_a_page_that_was_open_for_too_long_asks_again(
    panel: ConfirmPanel, wallet: WalletInPage, monkeypatch: pytest.MonkeyPatch, other: str, alive: Alive
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(confirmations, "_WAITING", -1)
        panel.start()
        panel.wait_for("expired", "page")
        assert "open for too long" in panel.error
        assert panel.browser.shown("confirm-button") is None
    panel.browser.follow("confirm-renew")
    panel.arrive("session.revoke")
    assert alive(other)
    panel.confirm(wallet)
    assert not alive(other)


def test_ended_session_is_described_as_gone(
    panel: ConfirmPanel, wallet: WalletInPage, elsewhere: Elsewhere, other: str
) -> None:
    elsewhere.end(wallet, other)
    panel.browser.driver.refresh()
    panel.arrive("session.revoke")
    assert "already signed out" in panel.browser.see("confirm-gone").text
    panel.confirm(wallet)
    assert "was already signed out" in panel.browser.see("message").text


def test_a_text_that_names_another_site_is_not_signed(
    panel: ConfirmPanel, wallet: WalletInPage, interrupt: Interruption
) -> None:
    strange = {
        "account": f"eip155:1:{wallet.address}",
        "message": f"evil.example wants you to sign in with your Ethereum account:\n{wallet.address}\n\nURI: x",
        "challenge": "x",
        "expires_at": "2040-01-01T00:00:00.000Z",
    }
    interrupt.answers[CHALLENGES] = lambda: jsonify(success=True, data=strange)
    panel.start()
    panel.wait_for("failed", "text")
    assert "personal_sign" not in wallet.calls


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-32002, "pending"), (4100, "locked"), (4900, "disconnected"), (4200, "unsupported"), (-32603, "wallet")],
)
def test_each_failure_of_the_wallet_has_its_words(
    panel: ConfirmPanel, wallet: WalletInPage, code: int, kind: str
) -> None:
    panel.start()
    wallet.next_request("personal_sign")
    panel.browser.click("confirm-stop")
    panel.start()
    wallet.fail(code, "Technical words")
    panel.wait_for("failed", kind)
    assert panel.spoken == panel.error.replace("\n", " ")
    assert "Technical words" in str(panel.browser.see("technical").get_attribute("textContent"))


def test_a_server_that_does_not_answer_changes_nothing(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    panel.browser.offline()
    panel.start()
    panel.wait_for("server_unreachable")
    panel.browser.online()
    panel.confirm(wallet)
    panel.browser.see("message")


def test_too_many_requests_are_asked_to_wait(panel: ConfirmPanel, interrupt: Interruption) -> None:
    error = {"code": "rate_limited", "message": "Wait"}
    interrupt.answers[CHALLENGES] = lambda: (jsonify(success=False, error=error), 429)
    panel.start()
    panel.wait_for("failed", "busy")


def test_ended_session_leads_to_the_signed_out_page(
    panel: ConfirmPanel, wallet: WalletInPage, services: Services
) -> None:
    """Nothing has told the page yet."""
    with unheard(panel.browser):
        panel.browser.driver.refresh()
        panel.arrive("session.revoke")
    services.lifecycle.revoke_account(account_of(wallet))
    panel.start()
    panel.browser.arrive_at("/signed-out")
    assert panel.browser.see("signed-out").get_attribute("data-reason") == "everywhere"
    # A request that waited for the signature of a session is of no use to the next one.
    assert "next=/sessions" in str(panel.browser.see("sign-in-again").get_attribute("href"))


# -- Wallets ---------------------------------------------------------------------------------------------------


def test_confirm_page_accepts_a_wallet_that_appears_late(
    panel: ConfirmPanel, wallet: WalletInPage, make_wallet: MakeWallet, other: str, alive: Alive
) -> None:
    """Until then the page says that it finds no wallet."""
    wallet.uninstall()
    late = make_wallet("Late Wallet", announce="later")
    late.keys, late.connected = wallet.keys, True
    late.install()
    panel.browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("no_wallet")
    late.announce()
    panel.wait_for("idle")
    panel.confirm(late)
    assert not alive(other)


def test_the_wallet_of_the_session_is_taken_from_several(
    panel: ConfirmPanel, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    rival = make_wallet("Rival")
    panel.browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.confirm(wallet)
    assert rival.calls == []


def test_user_chooses_the_wallet_if_it_is_not_clear(
    panel: ConfirmPanel, wallet: WalletInPage, make_wallet: MakeWallet, other: str, alive: Alive
) -> None:
    twin = make_wallet("Test Wallet")
    panel.browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("choose_wallet")
    assert wallet.calls == twin.calls == []
    rows = panel.browser.all("wallet-option")
    assert len(rows) == 2
    assert panel.browser.focused == rows[0]
    next(row for row in rows if row.get_attribute("data-wallet-id") == wallet.id).click()
    wallet.approve_sign()
    panel.browser.see("message")
    assert not alive(other)


def test_another_wallet_can_be_used_instead(
    panel: ConfirmPanel, wallet: WalletInPage, make_wallet: MakeWallet, other: str, alive: Alive
) -> None:
    spare = make_wallet("Spare")
    spare.keys, spare.connected = wallet.keys, True
    spare.install()
    wallet.switch_account_silently()
    panel.browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("address_mismatch")
    panel.browser.click("confirm-another")
    panel.wait_for("choose_wallet")
    rows = panel.browser.all("wallet-option")
    next(row for row in rows if row.get_attribute("data-wallet-id") == spare.id).click()
    spare.approve_sign()
    panel.browser.see("message")
    assert not alive(other)


# -- Giving up -------------------------------------------------------------------------------------------------


def test_late_answer_after_cancel_is_ignored(
    panel: ConfirmPanel, wallet: WalletInPage, other: str, alive: Alive
) -> None:
    panel.start()
    wallet.stall()
    panel.wait_for("signing")
    panel.browser.click("confirm-stop")
    panel.wait_for("idle")
    assert panel.browser.focused.get_attribute("data-testid") == "confirm-button"
    wallet.answer_late()
    # Whatever the late answer might have started has started by the time a new attempt waits for the wallet.
    panel.start()
    panel.wait_for("signing")
    assert panel.proof == ""
    assert alive(other)


def test_while_one_attempt_waits_there_is_no_second(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    panel.start()
    panel.wait_for("signing")
    panel.start()
    wallet.next_request("personal_sign")
    assert wallet.waiting == []
    assert wallet.calls.count("personal_sign") == 1


def test_cancelling_leads_back_and_changes_nothing(panel: ConfirmPanel, other: str, alive: Alive) -> None:
    panel.browser.follow("confirm-cancel")
    panel.browser.arrive_at("/sessions")
    assert panel.browser.shown("message") is None
    assert alive(other)


def test_enter_sends_no_form_without_a_signature(panel: ConfirmPanel) -> None:
    panel.browser.run("document.querySelector('#confirm form').requestSubmit()")
    panel.browser.press(Keys.ENTER)
    assert panel.state == "idle"
    assert panel.browser.path.startswith("/confirm")


def test_back_button_leaves_nothing_of_the_signature(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    panel.confirm(wallet)
    panel.browser.see("message")
    panel.browser.driver.back()
    panel.arrive("session.revoke")
    panel.wait_for("idle")
    assert panel.proof == ""
    panel.confirm(wallet)
    assert "was already signed out" in panel.browser.see("message").text


def test_a_page_from_the_back_forward_cache_starts_over(panel: ConfirmPanel, wallet: WalletInPage) -> None:
    panel.start()
    wallet.stall()
    panel.browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    panel.wait_for("idle")
    wallet.answer_late()
    panel.start()
    panel.wait_for("signing")
    assert panel.proof == ""


def test_a_signature_confirms_once(
    panel: ConfirmPanel, wallet: WalletInPage, elsewhere: Elsewhere, alive: Alive
) -> None:
    panel.browser.run(
        "document.querySelector('#confirm form').addEventListener('submit', (event) => {"
        "  sessionStorage.sent = JSON.stringify(Array.from(new FormData(event.target)));"
        "})"
    )
    address = panel.browser.path
    panel.confirm(wallet)
    sent = json.loads(panel.browser.run("return sessionStorage.sent"))
    second = elsewhere.sign_in(wallet, FIREFOX)
    panel.browser.open(address)
    panel.arrive("session.revoke")
    panel.browser.run(
        "const form = document.querySelector('#confirm form');"
        "for (const [name, value] of arguments[0]) {"
        "  if (name.startsWith('confirm_')) form.querySelector(`[name=${name}]`).value = value;"
        "}"
        "HTMLFormElement.prototype.submit.call(form)",
        sent,
    )
    panel.browser.see("confirm-problem")
    assert panel.problem == "challenge_used"
    assert alive(second)


def test_a_signature_for_one_session_ends_no_other(
    panel: ConfirmPanel, wallet: WalletInPage, elsewhere: Elsewhere, other: str, alive: Alive
) -> None:
    second = elsewhere.sign_in(wallet, FIREFOX)
    form = "document.querySelector('#confirm form')"
    panel.browser.run(f"{form}.action = {form}.action.replace(arguments[0], arguments[1])", other, second)
    panel.start()
    wallet.approve_sign()
    panel.browser.see("confirm-problem")
    assert panel.problem == "challenge_foreign"
    assert panel.sentence == f"Sign out [Firefox on Linux] ({second[:9]})."
    assert alive(other)
    assert alive(second)


# -- Several tabs ------------------------------------------------------------------------------------------------


def token(browser: Browser) -> str:
    """The token of the page; every form of it has the same."""
    tokens = browser.run(
        "return Array.from(document.querySelectorAll('meta[name=csrf-token], input[name=csrf_token]'),"
        " (each) => each.content ?? each.value)"
    )
    assert len(set(tokens)) == 1, tokens
    return str(tokens[0])


@pytest.fixture
def second_tab(panel: ConfirmPanel, wallet: WalletInPage) -> Iterator[str]:
    """A tab that shows the session. The one in front asks to confirm."""
    browser = panel.browser
    tab = browser.new_tab()
    browser.open("/session")
    browser.wait_for_session("active")
    browser.switch_to(browser.home)
    yield tab
    browser.close_other_tabs()


def test_other_tab_continues_after_a_step_up(panel: ConfirmPanel, wallet: WalletInPage, second_tab: str) -> None:
    browser = panel.browser
    browser.switch_to(second_tab)
    before = token(browser)
    browser.switch_to(browser.home)
    panel.confirm(wallet)
    browser.see("message")
    browser.switch_to(second_tab)
    browser.wait(lambda: token(browser) != before, "the other tab kept the token of the former id")
    ask_to_stay(browser)
    browser.click("sign-out")
    browser.arrive_at("/signed-out")
    assert browser.see("signed-out").get_attribute("data-reason") == "signed_out"


def test_two_tabs_confirm_one_after_the_other(
    panel: ConfirmPanel, wallet: WalletInPage, elsewhere: Elsewhere, other: str, alive: Alive
) -> None:
    browser = panel.browser
    second = elsewhere.sign_in(wallet, FIREFOX)
    with other_tab(browser, wallet, "/sessions") as twin:
        tab = browser.driver.current_window_handle
        row = browser.driver.find_element(By.CSS_SELECTOR, f"[data-handle='{second}']")
        browser.cdp("Page.bringToFront")
        browser.wait(lambda: browser.run("return document.hasFocus()"), "never in front")
        browser.settled(row.find_element(By.CSS_SELECTOR, "[data-testid=session-revoke]")).click()
        panel.arrive("session.revoke")
        before = token(browser)
        browser.switch_to(browser.home)
        panel.confirm(wallet)
        browser.see("message")
        browser.switch_to(tab)
        browser.wait(lambda: token(browser) != before)
        panel.confirm(twin)
        assert "is signed out" in browser.see("message").text
    assert not alive(other)
    assert not alive(second)


def test_stale_csrf_token_is_replaced_silently(session: Browser) -> None:
    session.run(
        "document.querySelector('meta[name=csrf-token]').content = 'stale';"
        "for (const field of document.getElementsByName('csrf_token')) field.value = 'stale'"
    )
    ask_to_stay(session)
    assert token(session) != "stale"
    assert asked(session) == [(*KEEP_ALIVE,), (*VALIDATE,), (*KEEP_ALIVE,)]
    session.click("sign-out")
    session.arrive_at("/signed-out")


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Iterator[Browser]:
    """A page of a session that notes what it asks the server."""
    browser.sign_in(wallet)
    with browser.before_scripts(WATCH):
        browser.open("/session")
        browser.wait_for_session("active")
        yield browser


def replaced() -> tuple[Response, int]:
    error = {"code": "session_invalid", "message": "Gone", "reason": "replaced"}
    return jsonify(success=False, error=error), 401


def test_page_asks_again_when_the_session_id_was_just_replaced(session: Browser, interrupt: Interruption) -> None:
    """A validate request that meets a rotation is repeated once and the visitor stays on the page."""
    answers = [replaced]
    interrupt.answers[VALIDATE] = lambda: answers.pop()() if answers else None
    session.look_again()
    session.wait(lambda: len(asked(session)) == 2, "it did not ask again")
    ask_to_stay(session)
    assert session.path == "/session"


def test_replaced_session_without_a_new_cookie_is_over(session: Browser, interrupt: Interruption) -> None:
    interrupt.answers[VALIDATE] = replaced
    session.driver.delete_cookie("__Host-session")
    session.look_again()
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "unknown", "no cookie came along"


@pytest.mark.parametrize(
    "code", ["no_token", "session_expired", "session_ended_during_request", "token_invalid", "token_expired"]
)
def test_every_signed_out_code_ends_the_tab(session: Browser, interrupt: Interruption, code: str) -> None:
    """The last two are what a page behind a proxy hears that adds a token of its own to each request."""
    refusal = {"code": code, "message": "Gone"}
    interrupt.answers[VALIDATE] = lambda: (jsonify(success=False, error=refusal), 401)
    session.driver.delete_cookie("__Host-session")
    session.look_again()
    session.arrive_at("/signed-out")


def test_a_tab_that_asks_before_the_new_cookie_has_come_goes_on(session: Browser, services: Services) -> None:
    """The server hands the session over to the browser that started it."""
    live = services.repository.load(session_cookie(session), "never")
    assert isinstance(live, LoadedSession)
    moved = services.repository.rotate(live)
    assert moved is not None
    before = token(session)
    session.look_again()
    session.wait(lambda: token(session) != before, lambda: session.path)
    session.wait_for_session("active")
    assert asked(session) == [(*VALIDATE,)]
    session.click("sign-out")
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "signed_out"


# -- Without script, and for everybody -----------------------------------------------------------------------------


def test_page_without_script_explains_the_need(panel: ConfirmPanel, other: str, alive: Alive) -> None:
    panel.browser.scripts(on=False)
    panel.browser.driver.refresh()
    assert "Confirming needs JavaScript" in panel.browser.see("no-script").text
    assert panel.browser.shown("confirm-button") is None
    panel.browser.see("no-script").find_element(By.TAG_NAME, "a").click()
    panel.browser.arrive_at("/sessions")
    assert alive(other)


def test_confirm_page_passes_axe_in_each_state(
    panel: ConfirmPanel,
    wallet: WalletInPage,
    make_wallet: MakeWallet,
    hold: Hold,
    check: Callable[[str], None],
) -> None:
    browser = panel.browser
    check("idle")
    panel.start()
    panel.wait_for("signing")
    browser.run("document.querySelector('[data-testid=confirm-text]').open = true")
    check("signing")
    wallet.approve_sign(key=make_wallet("Other", announce="never").keys[0])
    browser.see("confirm-problem")
    check("signature_mismatch")
    for code, kind in ((-32002, "pending"), (4100, "locked"), (4900, "disconnected"), (-32603, "wallet")):
        panel.start()
        wallet.fail(code, "words")
        panel.wait_for("failed", kind)
        check(f"failed, {kind}")
    panel.start()
    wallet.reject()
    panel.wait_for("rejected")
    check("rejected")
    hold(*CHALLENGES)
    panel.start()
    panel.wait_for("preparing")
    check("preparing")
    browser.click("confirm-stop")
    hold.release()
    spare = make_wallet("Spare")
    wallet.switch_account_silently()
    browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("address_mismatch")
    check("address_mismatch")
    browser.click("confirm-another")
    panel.wait_for("choose_wallet")
    check("choose_wallet")
    row = next(each for each in browser.all("wallet-option") if each.get_attribute("data-wallet-id") == spare.id)
    row.click()
    panel.wait_for("connecting")
    check("connecting")
    for each in (wallet, spare):
        each.uninstall()
    browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("no_wallet")
    check("no_wallet")


def test_confirm_page_passes_axe_when_it_is_too_late(
    panel: ConfirmPanel, wallet: WalletInPage, monkeypatch: pytest.MonkeyPatch, check: Callable[[str], None]
) -> None:
    with panel.browser.before_scripts(HURRY):
        panel.browser.driver.refresh()
        panel.arrive("session.revoke")
        panel.start()
        wallet.stall()
        panel.wait_for("expired", "text")
        check("expired, text")
    monkeypatch.setattr(confirmations, "_WAITING", -1)
    panel.start()
    panel.wait_for("expired", "page")
    check("expired, page")


def test_confirm_page_passes_axe_without_script(panel: ConfirmPanel, check: Callable[[str], None]) -> None:
    open_without_script(panel.browser, panel.browser.path)
    check("without script")
