"""A form that replaces, moves or ends the session of its page: no hint may stop the answer on its way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from eth_account import Account
from flask import Flask, Response, request
from selenium.webdriver.common.by import By

from ..constants import PATIENCE
from .conftest import Elsewhere, account_of
from .pages import Browser, ConfirmPanel, ConnectPanel
from .session_page import VALIDATE
from .wallet_in_page import MakeWallet, WalletInPage

# Once a form is sent, the page hears all the time that its session may have ended, and tells the server how often.
_HINTS = """
    addEventListener("submit", () => {
      const tabs = ["wallet-session", "wallet-session-live"].map((name) => new BroadcastChannel(name));
      let count = 0;
      setInterval(() => {
        for (const type of ["focus", "online"]) window.dispatchEvent(new Event(type));
        for (const type of ["session-doubted", "resume", "visibilitychange"]) document.dispatchEvent(new Event(type));
        for (const type of ["extended", "signed_out", "ended"]) for (const tab of tabs) tab.postMessage({ type });
        count += 1;
        fetch(`/livez?hints=${count}&cover=${document.documentElement.dataset.sessionCover ?? ""}`)
          .then((answer) => { if (answer.headers.has("Stop")) window.stop(); }, () => {});
      }, 20);
    }, { capture: true });
"""


def waits(browser: Browser, *, quiet: int, longest: int) -> AbstractContextManager[None]:
    """In pages that are opened now, sent-form.js waits this many milliseconds, and http.js (500) hardly at all."""
    return browser.before_scripts(
        "{ const { setTimeout } = window; window.setTimeout = (run, ms, ...rest) =>"
        f" setTimeout(run, {{ 3000: {quiet}, 30000: {longest}, 500: 10 }}[ms] ?? ms, ...rest); }}"
    )


class SlowAnswer:
    """Holds the answer to a form, after its view, until the page has heard hints and done what is waited for."""

    def __init__(self, app: Flask) -> None:
        self.passing = 0  # forms that are answered at once
        self.hints = self.questions = 0  # to wait for
        self.cover = ""  # to wait for
        self.covers: set[str] = set()  # that the page had while it waited
        self.asked = self.answered = 0  # how often the page asked while it waited; how many forms had to wait
        self.lost = self.stops = self.holding = False
        self._heard = [0, 0]
        self._changed = threading.Condition()
        app.after_request_funcs.setdefault(None, []).insert(0, self._answer)

    def _answer(self, response: Response) -> Response:
        with self._changed:
            if request.path == "/livez" and "hints" in request.args:
                self._heard[0] += 1
                self.covers.add(request.args["cover"])
                if self.stops and self.holding and self._heard[0] >= self.hints:
                    response.headers["Stop"] = "now"
            elif (request.path, request.method) == VALIDATE:
                self._heard[1] += 1
            elif request.method == "POST" and not request.path.startswith("/api/"):
                self.passing -= 1
                if self.passing < 0:
                    self._hold()
            self._changed.notify_all()
        return response

    def _enough(self) -> bool:
        covered = not self.cover or self.cover in self.covers
        return covered and self._heard[0] >= self.hints and self._heard[1] >= self.questions

    def _hold(self) -> None:
        self._heard, self.covers, self.holding = [0, 0], set(), True
        waited = self._changed.wait_for(self._enough, PATIENCE)
        assert waited or self.lost, (self._heard, self.covers)
        self.asked = self._heard[1]
        self.answered += 1
        self.holding = False
        if self.lost:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


@pytest.fixture
def slow(app: Flask) -> SlowAnswer:
    return SlowAnswer(app)


@pytest.fixture
def browser(browser: Browser, wallet: WalletInPage, slow: SlowAnswer) -> Iterator[Browser]:
    browser.expected_complaints.append("WebSocket connection to")
    browser.sign_in(wallet)  # with the browser's own cookie, for which a former id is still good
    with browser.before_scripts(_HINTS), waits(browser, quiet=60_000, longest=60_000):
        yield browser


@pytest.fixture
def wallet(make_wallet: MakeWallet) -> WalletInPage:
    return make_wallet("Own Wallet", rdns="org.example.own")


@pytest.fixture
def other(make_wallet: MakeWallet) -> WalletInPage:
    return make_wallet("Other Wallet", rdns="org.example.other")


Act = Callable[[Browser, WalletInPage, WalletInPage], None]


def sign_with(wallet: WalletInPage, browser: Browser, *, key: Any = None) -> None:
    panel = ConnectPanel(browser)
    panel.choose(wallet)
    if not wallet.connected:
        wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign(key=key)


def sign_in_again(browser: Browser, wallet: WalletInPage, _: WalletInPage) -> None:
    browser.open("/sign-in", again="1", next="/session")
    sign_with(wallet, browser)


def switch_account(browser: Browser, _: WalletInPage, other: WalletInPage) -> None:
    browser.open("/sign-in", again="1", next="/session")
    sign_with(other, browser)


def extend(browser: Browser, wallet: WalletInPage, _: WalletInPage) -> None:
    browser.open("/session")
    browser.click("extend")
    panel = ConfirmPanel(browser)
    panel.arrive("session.extend")
    panel.start()
    wallet.approve_sign()


def link(browser: Browser, wallet: WalletInPage, other: WalletInPage) -> None:
    """Link the other wallet, or unlink it if it is linked already."""
    browser.open("/session")
    if rows := browser.driver.find_elements(By.CSS_SELECTOR, f'[data-account="{account_of(other)}"]'):
        browser.settled(rows[0].find_element(By.CSS_SELECTOR, '[data-testid="wallet-unlink"]')).click()
    else:
        browser.follow("link-wallet")
        sign_with(other, browser)
    panel = ConfirmPanel(browser)
    panel.arrive("wallet.unlink" if rows else "wallet.link")
    panel.start()
    wallet.approve_sign()


def sign_out(browser: Browser, wallet: WalletInPage, _: WalletInPage) -> None:
    browser.sign_in(wallet, again="1", next="/session")
    browser.click("sign-out")


ENDS = (sign_in_again, switch_account, sign_out)
"""What ends the session of the page; the others move it to a new id."""
TWO_FORMS = (sign_out, extend, link)
"""What another form comes before."""
each_act = pytest.mark.parametrize("act", [*ENDS, extend, link], ids=lambda act: act.__name__)
each_kind = pytest.mark.parametrize("act", [sign_in_again, sign_out, extend], ids=lambda act: act.__name__)


def target(act: Act) -> str:
    return "/signed-out" if act is sign_out else "/session"


@each_act
def test_hints_in_flight_do_not_stop_the_answer(
    browser: Browser, wallet: WalletInPage, other: WalletInPage, slow: SlowAnswer, act: Act
) -> None:
    """For a second the page hears that its session may have ended, and stays as it is; so it does the next time."""
    before = slow.answered
    slow.hints = 50
    for _ in range(2):
        act(browser, wallet, other)
        browser.arrive_at(target(act))
        assert (slow.covers, slow.asked) == ({""}, 0)
    assert slow.answered - before == (4 if act in TWO_FORMS else 2)
    if act is not sign_out:
        browser.wait_for_session("active")


@each_kind
def test_slow_answer_is_waited_for_on_a_covered_page(
    browser: Browser, wallet: WalletInPage, other: WalletInPage, slow: SlowAnswer, act: Act
) -> None:
    """After three seconds the page asks. What has ended must not be read any more, but the page is not left."""
    slow.hints, slow.questions = 5, 1
    if act in ENDS:
        slow.cover = "checking"
    with waits(browser, quiet=300, longest=1500):
        act(browser, wallet, other)
        browser.arrive_at(target(act))
    assert slow.covers == ({"", "checking"} if act in ENDS else {""})
    if act is not sign_out:
        browser.wait_for_session("active")


@each_act
def test_after_a_lost_answer_the_server_says_how_things_stand(
    browser: Browser, wallet: WalletInPage, other: WalletInPage, slow: SlowAnswer, act: Act
) -> None:
    """The connection breaks off: the browser shows its own page. A session that moved goes on under its new id."""
    slow.passing, slow.hints, slow.lost = int(act in TWO_FORMS), 5, True
    act(browser, wallet, other)
    browser.wait(lambda: browser.driver.find_elements(By.ID, "main-frame-error"))
    slow.hints, slow.lost = 0, False
    browser.open("/session")
    browser.arrive_at("/sign-in" if act in ENDS else "/session")


@each_kind
def test_stopped_form_leaves_the_page_as_it_was(
    browser: Browser, wallet: WalletInPage, other: WalletInPage, slow: SlowAnswer, act: Act
) -> None:
    """The user presses Stop while the answer is on its way: the page asks, and leaves if its session has ended."""
    before = slow.answered
    slow.passing, slow.hints, slow.questions, slow.stops = int(act in TWO_FORMS), 5, 1, True
    with waits(browser, quiet=300, longest=1500):
        act(browser, wallet, other)
        if act in ENDS:
            browser.arrive_at("/signed-out")
        else:
            browser.wait(lambda: slow.answered > before)
            browser.wait_for_session("active")
            assert not browser.shown("cover")


def test_refused_form_leaves_the_session_in_peace(browser: Browser, wallet: WalletInPage, slow: SlowAnswer) -> None:
    """The signature is another key's: the panel comes back and says so, and the session of before goes on."""
    slow.hints = 50
    browser.open("/sign-in", again="1")
    sign_with(wallet, browser, key=Account.create())
    ConnectPanel(browser).wait_for("bad_signature")
    browser.wait_for_session("active")
    assert slow.covers == {""}


def test_form_sent_twice_at_once_arrives(browser: Browser, slow: SlowAnswer) -> None:
    slow.hints = 50
    browser.open("/session")
    browser.run(
        "const form = document.querySelector('[data-sign-out]'); form.requestSubmit();"
        "setTimeout(() => form.requestSubmit(), 50);"
    )
    browser.arrive_at("/signed-out")
    assert slow.covers == {""}


@pytest.mark.parametrize("keeps", ["form.target = '_blank'", "window.onsubmit = (event) => event.preventDefault()"])
def test_form_that_keeps_the_page_silences_nothing(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, keeps: str
) -> None:
    """The session ends elsewhere: the page is left at once, however long it would wait for an answer."""
    browser.open("/session")
    browser.wait_for_session("active")
    handle = str(browser.run("return document.querySelector('session-timeout').dataset.sessionId"))
    browser.run(f"const form = document.querySelector('[data-sign-out]'); {keeps};")
    browser.click("sign-out")
    elsewhere.end(wallet, handle)
    browser.arrive_at("/signed-out")
