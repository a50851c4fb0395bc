"""Linking wallets over HTTP: both sides sign, each for exactly the other, and neither alone changes anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from sessions_core import current_account, current_wallet_user, events, public, requires, signed_in
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.linked_wallets.events import LinkFailed, PrimaryChanged, WalletLinked, WalletUnlinked
from sessions_core.parts.linked_wallets.linked_accounts import MOST
from sessions_core.sessions.record import EndedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.sign_in.messages import read
from sessions_core.sign_in.user import derived_user_id
from sessions_core.sign_in.verifiers import layouts
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet, as_browsers_send, handle_of, together
from ...constants import ALICE, ANOTHER
from ...devices import handles, listed, message, reason
from ...part_services import linked_accounts_of, roles_of
from ...signers import SolanaSigner, StacksSigner
from ...snapshot import unchanged
from ...stored import link_of
from ...time_machine import TimeMachine


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)

    @app.get("/who")
    @public
    def who() -> dict[str, Any]:
        if not current_wallet_user:
            return {}
        return {
            "id": current_wallet_user.id,
            "primary": str(current_wallet_user.primary),
            "accounts": [str(account) for account in current_wallet_user.accounts],
            "account": str(current_account),
        }

    @app.get("/page")
    @signed_in
    def page() -> str:
        return "a page"

    @app.get("/editors")
    @requires(role="admin")
    def editors() -> str:
        return "for administrators"

    return app


@pytest.fixture
def person(visitor: Visitor, wallet: Wallet) -> Visitor:
    visitor.sign_in(wallet)
    return visitor


@pytest.fixture
def second() -> Wallet:
    return Wallet()


@pytest.fixture
def stranger(app: Flask, person: Visitor) -> Visitor:
    stranger = Visitor(app)
    stranger.sign_in(Wallet())
    return stranger


def who(visitor: Visitor) -> dict[str, Any]:
    return dict(visitor.get("/who").get_json())


def state_of(visitor: Visitor) -> dict[str, Any]:
    return dict(visitor.json("/api/auth/sessions/validate").get_json()["data"])


def asked(visitor: Visitor, account: str) -> TestResponse:
    """Ask for the text with which another account agrees to be linked."""
    return visitor.json("/api/auth/challenges", "POST", json={"account": account, "purpose": "link"})


def signed(visitor: Visitor, second: Any, named: str = "") -> dict[str, str]:
    """The fields of the form once the other wallet has signed."""
    answer = asked(visitor, named or second.account())
    assert answer.status_code == 201, answer.get_data(as_text=True)
    text = answer.get_json()["data"]
    return {
        "account": text["account"],
        "message": as_browsers_send(text["message"]),
        "challenge": text["challenge"],
        "signature": second.sign(text["message"]),
        "wallet": "Other Wallet",
    }


def link(visitor: Visitor, wallet: Wallet, second: Any, named: str = "", **changes: str) -> TestResponse:
    """Link another wallet, with everything that both sides sign."""
    waiting = visitor.submit("/session/wallets", **(signed(visitor, second, named) | changes))
    return visitor.confirm(wallet, waiting)


def linked(visitor: Visitor, wallet: Any, second: Any, named: str = "") -> Visitor:
    answer = link(visitor, wallet, second, named)
    assert (answer.status_code, answer.headers.get("Location")) == (303, "/session"), answer.get_data(as_text=True)
    return visitor


def code_of(answer: TestResponse) -> str | None:
    """The state of the panel that the link page is shown in again, or the code of an error page."""
    page = answer.get_data(as_text=True)
    found = re.search(
        r'id="connect"[^>]* data-state="([a-z_]+)"|data-testid="error" data-status="\d+" data-code="([a-z_]+)"', page
    )
    return (found[1] or found[2]) if found else None


def elsewhere(app: Flask, wallet: Wallet) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    return visitor


# -- Linking -----------------------------------------------------------------------------------------------------


def test_both_wallets_sign_a_text_that_names_the_other(
    person: Visitor, wallet: Wallet, second: Wallet, happened: list[events.Event]
) -> None:
    before = who(person)
    assert before == {
        "id": derived_user_id(wallet.account()),
        "primary": wallet.account(),
        "accounts": [wallet.account()],
        "account": wallet.account(),
    }
    text = read(asked(person, second.account()).get_json()["data"]["message"], layouts())
    assert text.address == second.address
    assert f" {wallet.account()}:" in str(text.statement)
    waiting = person.submit("/session/wallets", **signed(person, second))
    assert f" {second.account()} " in person.waiting(waiting).sentence
    happened.clear()
    answer = person.confirm(wallet, waiting)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/session")
    assert [event.name for event in happened] == ["session.rotated", "session.confirmed", "wallet.linked"]
    assert happened[-1] == WalletLinked(
        account=wallet.account(), other=second.account(), user=before["id"], before=derived_user_id(second.account())
    )
    assert who(person) == before | {"accounts": [wallet.account(), second.account()]}
    assert message(person.get("/session")) == "linked"


def test_linked_wallets_share_a_user_and_keep_their_accounts(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    assert who(other) == who(person) | {"account": second.account()}
    state = state_of(other)
    assert (state["account"], state["user_id"]) == (second.account(), who(person)["id"])
    assert state["accounts"] == [wallet.account(), second.account()]


def test_wallets_of_several_chains_belong_to_one_user(app: Flask, person: Visitor, wallet: Wallet) -> None:
    solana, stacks = SolanaSigner(), StacksSigner()
    linked(person, wallet, solana)
    linked(person, wallet, stacks)
    assert who(person)["accounts"] == [wallet.account(), solana.account(), stacks.account()]
    page = person.get("/session").get_data(as_text=True)
    assert page.count('data-testid="wallet"') == 3
    for name in ("Ethereum Mainnet", "Solana Mainnet", "Stacks Mainnet"):
        assert name in page
    # And the other way: signed in with Solana, which then confirms.
    other = Visitor(app)
    text = other.challenge(solana.account())
    other.attempt(wallet, text, signature=solana.sign(text["message"]))
    third = Wallet()
    linked(other, solana, third)
    assert third.account() in who(person)["accounts"]


def test_visitor_has_no_user_id(visitor: Visitor) -> None:
    assert who(visitor) == {}


def test_link_page_needs_a_signed_in_user(visitor: Visitor, person: Visitor, app: Flask) -> None:
    page = person.get("/session/wallets/link")
    assert page.status_code == 200
    assert 'data-purpose="link"' in page.get_data(as_text=True)
    assert Visitor(app).get("/session/wallets/link").headers["Location"].startswith("/sign-in?next=/session/wallets")


# -- One signature is not enough ---------------------------------------------------------------------------------


def test_a_stolen_cookie_alone_links_nothing(
    app: Flask, person: Visitor, second: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    thief = Visitor(app)
    thief.session_id = person.session_id
    form = signed(thief, second)  # the thief's own wallet signs readily
    with unchanged(redis):
        waiting = thief.submit("/session/wallets", **form)
    assert waiting.headers["Location"].startswith("/confirm?")
    answer = thief.confirm(second, waiting)  # and can't sign for the account of the session
    assert "problem=" in answer.headers["Location"]
    assert len(who(person)["accounts"]) == 1


def test_linking_needs_a_signature_even_after_a_fresh_sign_in(person: Visitor, second: Wallet) -> None:
    waiting = person.submit("/session/wallets", **signed(person, second))
    assert waiting.headers["Location"].startswith("/confirm?")


def test_a_confirmation_for_one_wallet_links_no_other(
    person: Visitor, wallet: Wallet, second: Wallet, redis: Redis
) -> None:
    other = Wallet()
    wanted, planted = signed(person, second), signed(person, other)
    target, form = person.signed_form(wallet, person.submit("/session/wallets", **wanted))
    for change in (planted, {"account": other.account()}):
        with unchanged(redis):
            answer = person.post(target, data=form.to_dict() | change)
        assert "problem=challenge_foreign" in answer.headers["Location"]
    assert len(who(person)["accounts"]) == 1


def test_only_the_account_that_signed_can_be_linked(
    person: Visitor, wallet: Wallet, second: Wallet, happened: list[events.Event]
) -> None:
    # The page names one wallet, and brings the signature of another.
    harmless = Wallet()
    answer = link(person, wallet, second, account=harmless.account())
    assert (answer.status_code, code_of(answer)) == (400, "bad_signature")
    assert len(who(person)["accounts"]) == 1
    assert happened[-1] == LinkFailed(
        handle=handle_of(person), account=wallet.account(), other=harmless.account(), code="signature_mismatch"
    )


@pytest.mark.parametrize("signature", ["", "0x" + "11" * 65, "not hex", "0x" + "f" * 9000])
def test_linking_needs_the_signature_of_the_other_wallet(
    person: Visitor, wallet: Wallet, second: Wallet, signature: str
) -> None:
    answer = link(person, wallet, second, signature=signature)
    assert (answer.status_code, code_of(answer)) == (400, "signature_unreadable")
    assert len(who(person)["accounts"]) == 1


def test_own_wallet_can_not_sign_for_the_linked_one(person: Visitor, wallet: Wallet, second: Wallet) -> None:
    form = signed(person, second)
    text = form["message"].replace("\r\n", "\n")
    answer = person.confirm(wallet, person.submit("/session/wallets", **form | {"signature": wallet.sign(text)}))
    assert code_of(answer) == "bad_signature"


# -- A text is good for one purpose, one session, once -----------------------------------------------------------


def test_link_text_can_not_sign_in(
    app: Flask, person: Visitor, second: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = signed(person, second)
    for visitor in (Visitor(app), person):
        token = visitor.token("/sign-in?again=1")
        with unchanged(redis):
            answer = visitor.post("/sign-in", data=form | {"csrf_token": token})
        assert answer.status_code == 400
    assert [event.code for event in happened if isinstance(event, events.SignInFailed)] == ["challenge_foreign"] * 2


def test_a_text_to_sign_in_links_nothing(app: Flask, person: Visitor, wallet: Wallet, second: Wallet) -> None:
    attacker = Visitor(app)
    for text in (attacker.challenge(second.account()), person.challenge(second.account())):
        form = {
            "account": second.account(),
            "message": as_browsers_send(text["message"]),
            "challenge": text["challenge"],
            "signature": second.sign(text["message"]),
        }
        answer = person.confirm(wallet, person.submit("/session/wallets", **form))
        assert answer.status_code == 400
    assert len(who(person)["accounts"]) == 1


def test_a_confirmation_is_no_text_to_link(app: Flask, person: Visitor, wallet: Wallet, second: Wallet) -> None:
    other = elsewhere(app, second)
    waiting = other.waiting(other.submit("/session/extend"))
    text = other.text_for(waiting.request)
    form = {
        "account": second.account(),
        "message": as_browsers_send(text["message"]),
        "challenge": text["challenge"],
        "signature": second.sign(text["message"]),
    }
    assert person.confirm(wallet, person.submit("/session/wallets", **form)).status_code == 400
    assert len(who(person)["accounts"]) == 1


def test_a_text_for_one_session_is_worth_nothing_in_another(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet
) -> None:
    form = signed(person, second)
    attackers = Wallet()
    for owner in (wallet, attackers):  # the same account elsewhere, and somebody else's
        other = elsewhere(app, owner)
        answer = other.confirm(owner, other.submit("/session/wallets", **form))
        assert (answer.status_code, code_of(answer)) == (400, "nonce_failed")
        assert len(who(other)["accounts"]) == 1
    answer = person.confirm(wallet, person.submit("/session/wallets", **form))
    assert answer.headers["Location"] == "/session", "and the text is not spent by that"


def test_a_text_links_once(person: Visitor, wallet: Wallet, second: Wallet, happened: list[events.Event]) -> None:
    form = signed(person, second)
    assert person.confirm(wallet, person.submit("/session/wallets", **form)).status_code == 303
    assert (
        person.confirm(wallet, person.submit("/session/wallets/unlink", account=second.account())).status_code == 303
    )
    answer = person.confirm(wallet, person.submit("/session/wallets", **form))
    assert (answer.status_code, code_of(answer)) == (400, "nonce_expired")
    assert len(who(person)["accounts"]) == 1
    assert events.ChallengeReplayed(account=second.account()) in happened


def test_the_text_outlives_the_confirmation_and_not_more(
    person: Visitor, wallet: Wallet, second: Wallet, pass_time: TimeMachine
) -> None:
    form = signed(person, second)
    pass_time(299)
    waiting = person.submit("/session/wallets", **form)
    target, confirmed = person.signed_form(wallet, waiting)
    pass_time(119)
    assert person.post(target, data=confirmed).headers["Location"] == "/session"
    third = Wallet()
    form = signed(person, third)
    pass_time(421)
    person.get("/page")
    answer = person.confirm(wallet, person.submit("/session/wallets", **form))
    assert (answer.status_code, code_of(answer)) == (400, "nonce_expired")


def test_a_text_to_link_takes_a_session(app: Flask, person: Visitor, second: Wallet) -> None:
    answer = asked(Visitor(app), second.account())
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "no_token")
    person.sign_out()
    assert asked(person, second.account()).status_code == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"account": "eip155:1:0xno", "purpose": "link"}, "account_malformed"),
        (
            {"account": "eip155:424242:0x52908400098527886E0F7030069857D2E4169EE7", "purpose": "link"},
            "chain_unsupported",
        ),
        ({"account": "icp:737ba355e855bd4b61279056603e0550:2vxsx-fae", "purpose": "link"}, "account_keyless"),
        ({"purpose": "link"}, "body_malformed"),
        ({"account": ALICE, "purpose": "confirm"}, "body_malformed"),
        ({"account": ALICE, "purpose": None}, "body_malformed"),
        ({"account": ["link"], "purpose": "link"}, "body_malformed"),
    ],
)
def test_a_text_to_link_is_written_for_nothing_else(
    person: Visitor, redis: Redis, body: dict[str, Any], code: str
) -> None:
    with unchanged(redis):
        answer = person.json("/api/auth/challenges", "POST", json=body)
    assert answer.get_json()["error"]["code"] == code


# -- Whose account it is -----------------------------------------------------------------------------------------


def test_account_of_another_user_is_refused_without_details(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, redis: Redis
) -> None:
    """Before the wallet has signed, nothing shows that it is linked elsewhere."""
    owner = Wallet()
    others = linked(elsewhere(app, owner), owner, second)
    # Before the wallet has signed, nothing tells a linked account from any other.
    answer = asked(person, second.account()).get_json()["data"]
    assert set(answer) == {"account", "message", "challenge", "expires_at"}
    stranger = signed(person, second) | {"signature": "0x" + "11" * 65}
    assert code_of(person.confirm(wallet, person.submit("/session/wallets", **stranger))) == "signature_unreadable"
    answer = link(person, wallet, second)
    assert (answer.status_code, code_of(answer)) == (409, "account_linked_elsewhere")
    page = answer.get_data(as_text=True)
    assert owner.address not in page
    assert who(others)["id"] not in page
    assert len(who(person)["accounts"]) == 1
    assert len(who(others)["accounts"]) == 2


def test_own_account_is_refused_before_signing(person: Visitor, wallet: Wallet, second: Wallet, redis: Redis) -> None:
    form = signed(person, second)
    linked(person, wallet, second)
    person.get("/session")
    for account in (wallet.account(), second.account()):
        with unchanged(redis):
            answer = asked(person, account)
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "account_linked")
            again = person.submit("/session/wallets", **form | {"account": account})
            assert (again.status_code, code_of(again)) == (409, "account_linked")


def test_account_limit_is_checked_before_signing(
    person: Visitor, wallet: Wallet, services: Services, redis: Redis, second: Wallet
) -> None:
    form = signed(person, second)
    for _ in range(MOST - 1):
        linked_accounts_of(services).link(parse(Wallet().account()), by=parse(wallet.account()))
    person.get("/session")
    with unchanged(redis):
        answer = asked(person, second.account())
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "accounts_too_many")
        again = person.submit("/session/wallets", **form)
        assert (again.status_code, code_of(again)) == (409, "accounts_too_many")


def test_concurrent_links_give_the_wallet_to_one_user(app: Flask, second: Wallet) -> None:
    owners = [Wallet(), Wallet()]
    visitors = [elsewhere(app, owner) for owner in owners]
    jobs = []
    for visitor, owner in zip(visitors, owners, strict=True):
        target, form = visitor.signed_form(owner, visitor.submit("/session/wallets", **signed(visitor, second)))
        jobs.append(partial(visitor.post, target, data=form))
    together(*jobs)
    assert sorted(len(who(visitor)["accounts"]) for visitor in visitors) == [1, 2]


def test_mutual_links_tell_one_user_that_it_is_linked(app: Flask) -> None:
    for _ in range(5):
        wallets = [Wallet(), Wallet()]
        visitors = [elsewhere(app, wallet) for wallet in wallets]
        jobs = []
        for visitor, own, other in zip(visitors, wallets, reversed(wallets), strict=True):
            target, form = visitor.signed_form(own, visitor.submit("/session/wallets", **signed(visitor, other)))
            jobs.append(partial(visitor.post, target, data=form))
        answers = together(*jobs)
        assert sorted(answer.status_code for answer in answers) == [303, 409]
        [told] = [answer for answer in answers if answer.status_code == 409]
        assert code_of(told) == "account_linked"
        assert who(visitors[0])["accounts"] == who(visitors[1])["accounts"]


def test_two_tabs_that_link_at_once_do_not_undo_each_other(person: Visitor, wallet: Wallet, app: Flask) -> None:
    other = elsewhere(app, wallet)
    seconds = [Wallet(), Wallet()]
    forms = [
        (visitor, *visitor.signed_form(wallet, visitor.submit("/session/wallets", **signed(visitor, second))))
        for visitor, second in zip((person, other), seconds, strict=True)
    ]
    answers = together(
        *[
            lambda visitor=visitor, target=target, form=form: visitor.post(target, data=form)
            for visitor, target, form in forms
        ]  # type: ignore[misc]
    )
    assert [answer.status_code for answer in answers] == [303, 303]
    assert set(who(person)["accounts"]) == {wallet.account(), *(each.account() for each in seconds)}


# -- Hostile requests --------------------------------------------------------------------------------------------

FORMS = ("/session/wallets", "/session/wallets/unlink", "/session/wallets/primary")


@pytest.mark.parametrize("path", FORMS)
def test_other_sites_and_links_change_no_wallet(person: Visitor, second: Wallet, redis: Redis, path: str) -> None:
    form = {"csrf_token": person.token("/session"), "account": second.account()}
    with unchanged(redis):
        assert person.get(path).status_code == 405
        assert person.post(path, data=form | {"csrf_token": ""}).status_code == 400
        assert person.post(path, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert person.post(path, data=form, headers={"Origin": "https://evil.example"}).status_code == 403
        assert person.post(path, data=form | {"padding": "x" * 17_000}).status_code == 413
        assert Visitor(person.app).post(path, data=form).status_code == 303  # to sign in


HOSTILE = [
    "",
    "eip155:1",
    "eip155:1:0x52908400098527886e0f7030069857d2e4169ee7",  # one account, one spelling
    "EIP155:1:0x52908400098527886E0F7030069857D2E4169EE7",
    " eip155:1:0x52908400098527886E0F7030069857D2E4169EE7",
    "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7\n",
    "bip122:000000000019d6689c085ae165831e93:128Lkh3S7CkDTBZ8W7BbpsN3YYizJMp8p6",
    "x" * 5000,
    "\ud800\udfff".encode("utf-16", "surrogatepass").decode("utf-16"),
    "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7\u202e",
]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_malformed_account_is_refused_and_changes_nothing(
    person: Visitor, redis: Redis, path: str, number: int
) -> None:
    token = person.token("/session")
    with unchanged(redis):
        answer = person.post(path, data={"csrf_token": token, "account": HOSTILE[number]})
    assert answer.status_code == 400


@pytest.mark.parametrize("field", ["message", "challenge", "signature"])
@pytest.mark.parametrize("value", ["", "x", "\0", "é" * 1000, "{" * 200])
def test_hostile_fields_are_refused_in_the_page(
    person: Visitor, wallet: Wallet, second: Wallet, field: str, value: str
) -> None:
    answer = link(person, wallet, second, **{field: value})
    assert answer.status_code == 400
    assert 'id="connect"' in answer.get_data(as_text=True)
    assert len(who(person)["accounts"]) == 1


def test_a_field_that_comes_twice_links_neither(
    person: Visitor, wallet: Wallet, second: Wallet, redis: Redis
) -> None:
    form = signed(person, second) | {"csrf_token": person.token("/session")}
    twice = [*form.items(), ("account", Wallet().account())]
    with unchanged(redis):
        assert person.post("/session/wallets", data=MultiDict(twice)).status_code == 400


# -- Unlinking ---------------------------------------------------------------------------------------------------


def test_unlinking_needs_a_signature_and_ends_its_sessions(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, happened: list[events.Event], redis: Redis
) -> None:
    """The signed text names the wallet."""
    linked(person, wallet, second)
    other = elsewhere(app, second)
    before = who(person)["id"]
    person.get("/session")
    with unchanged(redis):
        waiting = person.submit("/session/wallets/unlink", account=second.account())
    assert f" {second.account()} " in person.waiting(waiting).sentence
    assert other.signed_in
    happened.clear()
    answer = person.confirm(wallet, waiting)
    assert answer.headers["Location"] == "/session"
    assert happened[-1] == WalletUnlinked(account=wallet.account(), other=second.account(), user=before)
    assert message(person.get("/session")) == "unlinked"
    assert who(person) == {
        "id": before,
        "primary": wallet.account(),
        "accounts": [wallet.account()],
        "account": wallet.account(),
    }
    assert other.get("/page").headers["Location"] == "/sign-in?next=/page&reason=wallet_unlinked"
    page = other.get("/sign-in?next=/page&reason=wallet_unlinked").get_data(as_text=True)
    assert "This wallet was unlinked" in page
    other.sign_in(second)
    assert who(other)["id"] not in (before, derived_user_id(second.account()))


def test_wallet_in_use_and_only_wallet_can_not_be_unlinked(
    person: Visitor, wallet: Wallet, second: Wallet, redis: Redis, stranger: Visitor
) -> None:
    answer = person.submit("/session/wallets/unlink", account=wallet.account())
    assert (answer.status_code, code_of(answer)) == (409, "account_last")
    linked(person, wallet, second)
    person.get("/session")
    with unchanged(redis):
        answer = person.submit("/session/wallets/unlink", account=wallet.account())
        assert (answer.status_code, code_of(answer)) == (409, "account_in_use")
        for path in FORMS[1:]:
            answer = person.submit(path, account=who(stranger)["account"])
            assert (answer.status_code, code_of(answer)) == (404, "not_found")


def test_a_wallet_that_was_lost_is_unlinked_from_another(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    answer = other.confirm(second, other.submit("/session/wallets/unlink", account=wallet.account()))
    assert answer.status_code == 303
    assert not person.signed_in
    assert who(other)["accounts"] == [second.account()]
    assert who(other)["id"] == derived_user_id(wallet.account()), "the person stays the same one"


def test_sign_in_under_way_does_not_survive_an_unlink(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, services: Services
) -> None:
    linked(person, wallet, second)
    live = services.lifecycle.start(parse(second.account()), services.policy.standard)
    person.confirm(wallet, person.submit("/session/wallets/unlink", account=second.account()))
    assert services.repository.load(live.id, "never") == EndedSession("wallet_unlinked")
    assert reason(app, live.id) == "wallet_unlinked"


# -- The primary wallet ------------------------------------------------------------------------------------------


def test_changing_the_primary_needs_a_signature_that_names_it(
    person: Visitor, wallet: Wallet, second: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    linked(person, wallet, second)
    person.get("/session")
    with unchanged(redis):
        waiting = person.submit("/session/wallets/primary", account=second.account())
    assert f" {second.account()} " in person.waiting(waiting).sentence
    person.confirm(wallet, waiting)
    assert isinstance(happened[-1], PrimaryChanged)
    assert who(person)["primary"] == second.account()
    assert message(person.get("/session")) == "primary"


# -- Rights ------------------------------------------------------------------------------------------------------


def test_a_role_stays_with_its_account(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, services: Services
) -> None:
    roles_of(services).assign(parse(wallet.account()), "admin")
    linked(person, wallet, second)
    other = elsewhere(app, second)
    assert person.get("/editors").status_code == 200
    assert other.json("/editors").status_code == 403
    state = state_of(other)
    assert state["role"] == "member"
    third = Wallet()
    roles_of(services).assign(parse(third.account()), "restricted")
    linked(person, wallet, third)
    restricted = elsewhere(app, third)
    permissions = [state_of(each)["permissions"] for each in (restricted, other)]
    assert permissions[0] == ["read:profile"]
    assert "write:messages" in permissions[1]


def test_permissions_follow_the_network_that_was_signed_for(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet
) -> None:
    test = second.account("eip155:11155111")
    linked(person, wallet, second, test)
    other = Visitor(app)
    text = other.challenge(test)
    other.attempt(second, text)
    state = state_of(other)
    assert (state["user_id"], state["network"]) == (who(person)["id"], "testnet")
    assert "transact" not in state["permissions"]


# -- New ids (E6) ------------------------------------------------------------------------------------------------


def test_each_link_change_rotates_every_session_of_the_user(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, happened: list[events.Event]
) -> None:
    """Once per change."""
    linked(person, wallet, second)
    others = [elsewhere(app, wallet), elsewhere(app, second)]
    third = Wallet()
    changes = (
        lambda: linked(person, wallet, third),
        lambda: person.confirm(wallet, person.submit("/session/wallets/primary", account=second.account())),
        lambda: person.confirm(wallet, person.submit("/session/wallets/unlink", account=third.account())),
    )
    for change in changes:
        for each in others:
            each.get("/page")
        before = [each.session_id for each in others]
        change()
        for each, session_id in zip(others, before, strict=True):
            assert each.json("/api/auth/sessions/validate").status_code == 200, "a poll moves nobody"
            assert each.session_id == session_id
            assert each.get("/page").status_code == 200
            assert each.session_id != session_id
            assert reason(app, session_id) == "rotated"
        after = [each.session_id for each in others]
        for each in others:
            each.get("/page")
        assert [each.session_id for each in others] == after, "once"


def test_linking_rotates_no_session_of_other_users(
    person: Visitor, stranger: Visitor, wallet: Wallet, second: Wallet
) -> None:
    before = stranger.session_id
    linked(person, wallet, second)
    stranger.get("/page")
    assert stranger.session_id == before


def test_a_session_that_signs_in_after_the_link_is_not_moved(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    before = other.session_id
    other.get("/page")
    assert other.session_id == before


# -- Devices -----------------------------------------------------------------------------------------------------


def test_devices_page_shows_sessions_of_all_linked_wallets(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, stranger: Visitor
) -> None:
    """Each row names its wallet if there are several."""
    page = person.get("/sessions").get_data(as_text=True)
    assert "session-address" not in page, "where there is one wallet, its address says nothing"
    linked(person, wallet, second)
    other = elsewhere(app, second)
    page = person.get("/sessions").get_data(as_text=True)
    assert handles(page) == [handle_of(person), handle_of(other)]
    short = [parse(each.account()).short_address for each in (wallet, second)]
    assert re.findall(r'session-address">([^<]+)<', page) == short
    assert {row["account"] for row in listed(other)} == {wallet.account(), second.account()}
    assert handle_of(stranger) not in page


def test_session_of_a_linked_wallet_can_be_named_and_revoked(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, stranger: Visitor
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    handle = handle_of(other)
    assert person.submit(f"/sessions/{handle}/name", label="Phone").status_code == 303
    assert "Phone" in other.get("/sessions").get_data(as_text=True)
    assert stranger.submit(f"/sessions/{handle}/revoke").status_code == 404
    assert person.submit(f"/sessions/{handle}/revoke").headers["Location"] == "/sessions"
    assert message(person.get("/sessions")) == "ended"
    assert not other.signed_in
    assert person.signed_in


def test_confirm_page_describes_a_linked_wallets_session(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, pass_time: TimeMachine
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    pass_time(301)
    other.get("/page")
    person.get("/page")
    waiting = person.submit(f"/sessions/{handle_of(other)}/revoke")
    page = person.get(waiting.headers["Location"]).get_data(as_text=True)
    assert "confirm-facts" in page
    assert "confirm-gone" not in page
    person.confirm(wallet, waiting)
    assert not other.signed_in


@pytest.mark.parametrize("path", ["/sessions/others", "/api/auth/sessions?scope=others"])
def test_revoking_all_others_covers_all_linked_wallets(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, stranger: Visitor, path: str
) -> None:
    linked(person, wallet, second)
    others = [elsewhere(app, wallet), elsewhere(app, second), elsewhere(app, second)]
    if path.startswith("/api"):
        assert person.send("DELETE", path).get_json()["data"]["ended"] == 3
    else:
        assert "3 other devices" in person.get(path).get_data(as_text=True)
        person.submit(path)
    assert [each.signed_in for each in others] == [False] * 3
    assert person.signed_in
    assert stranger.signed_in


@pytest.mark.parametrize("path", ["/sessions/everywhere", "/api/auth/sessions?scope=all"])
def test_revoking_everywhere_covers_all_linked_wallets(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, stranger: Visitor, path: str
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    before = other.session_id
    if path.startswith("/api"):
        assert person.send("DELETE", path).get_json()["data"]["ended"] == 2
    else:
        person.submit(path)
    assert not other.signed_in
    assert reason(app, before) == "everywhere"
    assert not person.signed_in
    assert stranger.signed_in


# -- What people read --------------------------------------------------------------------------------------------


def test_unlinking_is_in_the_activity_of_both_wallets(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet
) -> None:
    linked(person, wallet, second)
    other = elsewhere(app, second)
    for each in (person, other):
        page = each.get("/activity?kind=changes").get_data(as_text=True)
        assert page.count('data-event="wallet.linked"') == 1
        assert parse(second.account()).short_address in page
        assert "activity-one-wallet" in page
    person.confirm(wallet, person.submit("/session/wallets/unlink", account=second.account()))
    other.sign_in(second)
    page = other.get("/activity").get_data(as_text=True)
    assert 'data-event="wallet.unlinked"' in page
    assert "activity-one-wallet" not in page


def test_session_page_shows_each_wallet_and_its_actions(person: Visitor, wallet: Wallet, second: Wallet) -> None:
    page = person.get("/session").get_data(as_text=True)
    assert "Link another wallet" in page
    for test_id in ("wallet-primary", "wallet-unlink", "wallet-prefer"):
        assert test_id not in page, "nothing to choose from"
    linked(person, wallet, second)
    page = person.get("/session").get_data(as_text=True)
    rows = re.findall(r'data-testid="wallet" data-account="([^"]+)"', page)
    assert rows == [wallet.account(), second.account()]
    for test_id in ("wallet-primary", "wallet-current", "wallet-unlink", "wallet-prefer"):
        assert page.count(f'data-testid="{test_id}"') == 1


# -- Redis goes away, or another secret comes --------------------------------------------------------------------


def test_interrupted_link_is_503_and_can_be_retried(
    person: Visitor, wallet: Wallet, second: Wallet, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is linked."""

    def gone(*_: Any) -> bool:
        raise StoreUnavailable("gone", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(linked_accounts_of(services), "_link_to", gone)
        answer = link(person, wallet, second)
    assert (answer.status_code, code_of(answer)) == (503, "store_unavailable")
    assert person.signed_in
    assert who(person)["accounts"] == [wallet.account()]
    linked(person, wallet, second)
    assert len(who(person)["accounts"]) == 2


def test_dropped_secret_unlinks_wallets_and_keeps_sessions(
    make_app: Callable[..., Flask],
    person: Visitor,
    wallet: Wallet,
    second: Wallet,
    overrides: dict[str, Any],
    redis: Redis,
) -> None:
    """Sessions encrypted with the new secret go on; each wallet is alone."""
    linked(person, wallet, second)
    during = make_app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[overrides["SECRET_KEY"]])
    moved = Visitor(during)
    moved.session_id = person.session_id
    during.extensions["sessions_core"].sweeper.sweep()  # the sessions, and not the people
    after = make_app(SECRET_KEY=ANOTHER)
    later = Visitor(after)
    later.session_id = person.session_id
    state = state_of(later)
    assert state["accounts"] == [wallet.account()]
    assert later.get("/session").status_code == 200


# -- What it costs -----------------------------------------------------------------------------------------------


def test_a_request_of_a_linked_account_costs_no_more_round_trips(
    app: Flask, person: Visitor, wallet: Wallet, second: Wallet, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(person, wallet, second)
    person.get("/page")
    sent: list[Any] = []
    call = link_of(services.repository).call

    def counted(*command: Any) -> Any:
        sent.append(command[0])
        return call(*command)

    monkeypatch.setattr(link_of(services.repository), "call", counted)
    assert person.get("/page").get_data(as_text=True) == "a page"
    assert sent == ["MGET"]
    sent.clear()
    person.get("/who")
    assert sent == ["MGET", "GET", "MGET"]
