"""A wallet for people who have none, over HTTP: made, signed with, exported, deleted; and every refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Signer
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.trial_wallets import TrialWallets
from sessions_core.parts.trial_wallets.events import WalletExported
from sessions_core.parts.trial_wallets.key_shares import TRIAL_WALLET
from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import BROWSER_COOKIE, SESSION_COOKIE, Visitor, Wallet, as_header
from ...constants import PRODUCTION
from ...logs import everything_logged
from ...part_services import linked_accounts_of
from ...snapshot import refused, unchanged
from ...time_machine import TimeMachine

MARKER = "__Host-share"
WALLETS, SIGN = "/api/auth/wallets", "/api/auth/wallets/sign"
EXPORT, DELETE = "/session/wallet/export", "/session/wallet/delete"


class Newcomer(Visitor):
    """A visitor without a wallet, whose browser keeps a share."""

    account = share = ""

    def make(self) -> None:
        answer = self.json(WALLETS, "POST", json={}, headers={"X-CSRFToken": self.token()})
        assert answer.status_code == 201, answer.get_data(as_text=True)
        data = answer.get_json()["data"]
        assert set(data) == {"account", "share"}
        self.account, self.share = data["account"], data["share"]

    def ask(self, issued: dict[str, str], **changes: Any) -> TestResponse:
        """Ask the server to sign what it issued."""
        body = {
            "account": self.account,
            "share": self.share,
            "message": issued["message"],
            "challenge": issued["challenge"],
        }
        return self.json(SIGN, "POST", json=body | changes)

    def enter(self) -> str:
        """Sign in and return the session id."""
        challenge = self.challenge(self.account)
        signature = self.ask(challenge).get_json()["data"]["signature"]
        form = {"message": challenge["message"], "challenge": challenge["challenge"], "csrf_token": self.token()}
        answer = self.post("/sign-in", data=form | {"signature": signature, "wallet": "Wallet of this browser"})
        assert answer.status_code == 303, answer.get_data(as_text=True)
        return self.session_id

    def step_up(self, answer: TestResponse) -> TestResponse:
        """Do what the page of a step-up does."""
        waiting = self.waiting(answer)
        text = self.text_for(waiting.request)
        signed = self.ask(text, request=waiting.request)
        assert signed.status_code == 200, signed.get_data(as_text=True)
        proof = {
            "confirm_message": text["message"],
            "confirm_challenge": text["challenge"],
            "confirm_signature": signed.get_json()["data"]["signature"],
        }
        return self.post(waiting.target, data={name: proof.get(name, value) for name, value in waiting.fields})

    def has(self, cookie: str) -> bool:
        return self.client.get_cookie(cookie) is not None


@pytest.fixture
def newcomer(app: Flask) -> Newcomer:
    newcomer = Newcomer(app)
    newcomer.make()
    return newcomer


@pytest.fixture
def member(newcomer: Newcomer) -> Newcomer:
    newcomer.enter()
    return newcomer


def code(answer: TestResponse) -> str:
    return str(answer.get_json()["error"]["code"])


def session_of(services: Services, member: Newcomer) -> LoadedSession:
    [live] = services.repository.living(member.account)
    return live


def shares(redis: Redis) -> list[bytes]:
    return redis.keys("*:share")


# -- The whole way ---------------------------------------------------------------------------------------------------


# -- The offer on the sign-in page --------------------------------------------------------------------------------

BY_A_CLICK_HERE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1"}


@pytest.mark.parametrize(
    ("headers", "begins"),
    [
        (BY_A_CLICK_HERE, "now"),
        ({}, "offer"),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-User": "?1"}, "offer"),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-User": "?1"}, "offer"),
        ({"Sec-Fetch-Site": "same-origin"}, "offer"),
    ],
    ids=["click here", "no headers", "typed", "another site", "no click"],
)
def test_trial_link_begins_by_itself_after_a_click_here_only(
    app: Flask, headers: dict[str, str], begins: str
) -> None:
    """A link on another site, a redirect or a script makes no wallet without a click on the page."""
    page = Visitor(app).get("/sign-in?try=1", headers=headers).get_data(as_text=True)
    assert f'data-begin="{begins}"' in page


def test_trial_link_of_a_signed_in_user_begins_nothing(member: Newcomer) -> None:
    assert "data-begin" not in member.get("/sign-in?try=1", headers=BY_A_CLICK_HERE).get_data(as_text=True)
    assert "data-begin" not in Visitor(member.app).get("/sign-in").get_data(as_text=True)


def test_trial_wallet_is_prominent_in_development_only(app: Flask, make_app: Callable[..., Flask]) -> None:
    production = make_app(**PRODUCTION, SESSIONS_CORE_PREGENERATED_WALLETS=True)
    for each, prominent in ((app, True), (production, False)):
        page = each.test_client().get("/sign-in", base_url=each.config["SESSIONS_CORE_PUBLIC_ORIGIN"]).text
        assert "Try it without a wallet" in page
        assert ("data-prominent" in page) is prominent


def test_visitor_without_a_wallet_signs_in_with_a_trial_wallet(member: Newcomer, services: Services) -> None:
    state = member.json("/api/auth/sessions/validate").get_json()["data"]
    assert (state["account"], state["network"], state["role"]) == (member.account, "testnet", "member")
    assert "test-only" in state["permissions"]
    assert "transact" not in state["permissions"]
    assert TRIAL_WALLET.of(session_of(services, member).record).held
    assert 'data-testid="pregenerated"' in member.get("/session").get_data(as_text=True)


def test_trial_wallet_session_ends_at_its_absolute_end(member: Newcomer, pass_time: TimeMachine) -> None:
    for _ in range(25):
        pass_time(1700)
        member.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": member.token("/session")})
    assert member.signed_in
    pass_time(1700)
    answer = member.json("/api/auth/sessions/validate")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "absolute")


def test_step_up_needs_a_signature_of_both_key_shares(member: Newcomer, services: Services) -> None:
    before = member.session_id
    assert member.step_up(member.submit("/session/extend")).status_code == 303
    assert member.session_id != before
    assert session_of(services, member).record.confirmed.keys() == {"session.extend"}


def test_lost_signature_can_be_requested_again(newcomer: Newcomer) -> None:
    """Signing with a trial wallet consumes nothing."""
    challenge = newcomer.challenge(newcomer.account)
    first, second = (newcomer.ask(challenge).get_json()["data"]["signature"] for _ in range(2))
    assert first == second
    newcomer.enter()


def test_marker_cookie_is_http_only_and_holds_no_secret(newcomer: Newcomer) -> None:
    """It records that this browser holds a key share."""
    cookie = newcomer.client.get_cookie(MARKER)
    assert cookie is not None
    assert (cookie.secure, cookie.http_only, cookie.path, cookie.same_site) == (True, True, "/", "Lax")
    assert cookie.max_age == 30 * 86_400
    assert newcomer.share not in cookie.value


# -- What is signed, and what not ------------------------------------------------------------------------------------


def sign_refused(newcomer: Newcomer, redis: Redis, expected: str, issued: dict[str, str], **changes: Any) -> None:
    with unchanged(redis):
        answer = newcomer.ask(issued, **changes)
    assert code(answer) == expected
    assert answer.status_code == 400
    assert "data" not in answer.get_json()


def test_trial_wallet_signs_only_our_own_texts(newcomer: Newcomer, redis: Redis) -> None:
    challenge = newcomer.challenge(newcomer.account)
    text = challenge["message"]
    for message, expected in (
        ("Send everything to me.", "message_malformed"),
        ("", "message_malformed"),
        ("x" * 3000, "message_malformed"),
        (text.replace("localhost:5000 wants", "evil.example wants"), "domain_mismatch"),
        (text.replace("This costs nothing", "This costs a lot"), "message_changed"),
        (text.replace("Chain ID: 11155111", "Chain ID: 1"), "message_changed"),
        (text + "\nResources:\n- https://evil.example/", "message_changed"),
    ):
        sign_refused(newcomer, redis, expected, challenge, message=message)
    newcomer.ask(challenge).get_json()["data"]


@pytest.mark.parametrize("value", ["", "x", "x.y", "x" * 2000])
def test_a_challenge_that_is_not_ours_is_not_signed(newcomer: Newcomer, redis: Redis, value: str) -> None:
    challenge = newcomer.challenge(newcomer.account)
    sign_refused(newcomer, redis, "challenge_malformed", challenge, challenge=value)


def test_stolen_key_share_signs_no_foreign_challenge(newcomer: Newcomer, app: Flask, redis: Redis) -> None:
    thief = Newcomer(app)
    challenge = newcomer.challenge(newcomer.account)
    thief.get("/sign-in")
    thief.account, thief.share = newcomer.account, newcomer.share
    sign_refused(thief, redis, "challenge_foreign", challenge)


def test_challenge_without_a_browser_is_not_signed(newcomer: Newcomer, app: Flask, redis: Redis) -> None:
    """Such challenges are for tokens; an attacker could relay them to a victim to be signed."""
    script = Newcomer(app)
    script.account, script.share = newcomer.account, newcomer.share
    body = {"account": newcomer.account}
    challenge = script.json("/api/auth/challenges", "POST", json=body).get_json()["data"]
    sign_refused(script, redis, "challenge_foreign", challenge)
    sign_refused(newcomer, redis, "challenge_foreign", challenge)


def test_consumed_challenge_is_not_signed_again(newcomer: Newcomer, redis: Redis) -> None:
    challenge = newcomer.challenge(newcomer.account)
    signature = newcomer.ask(challenge).get_json()["data"]["signature"]
    form = {"message": challenge["message"], "challenge": challenge["challenge"], "signature": signature}
    assert newcomer.post("/sign-in", data=form | {"csrf_token": newcomer.token()}).status_code == 303
    sign_refused(newcomer, redis, "challenge_used", challenge)


def test_expired_challenge_is_not_signed(newcomer: Newcomer, redis: Redis, pass_time: TimeMachine) -> None:
    challenge = newcomer.challenge(newcomer.account)
    pass_time(301)
    sign_refused(newcomer, redis, "challenge_expired", challenge)


def test_a_challenge_for_one_account_is_not_signed_by_another(newcomer: Newcomer, app: Flask, redis: Redis) -> None:
    other = Newcomer(app)
    other.make()
    challenge = newcomer.challenge(other.account)
    sign_refused(newcomer, redis, "challenge_foreign", challenge)
    sign_refused(newcomer, redis, "share_mismatch", challenge, account=other.account)


def test_the_same_address_on_another_network_is_another_wallet(newcomer: Newcomer, redis: Redis) -> None:
    mainnet = newcomer.account.replace("eip155:11155111:", "eip155:1:")
    sign_refused(newcomer, redis, "share_mismatch", newcomer.challenge(mainnet), account=mainnet)


def test_wrong_key_share_is_refused_with_one_event(
    newcomer: Newcomer, redis: Redis, happened: list[events.Event]
) -> None:
    challenge = newcomer.challenge(newcomer.account)
    wrong = f"{int(newcomer.share, 16) ^ 1:064x}"
    with refused(redis, happened, "share_mismatch"):
        assert newcomer.ask(challenge, share=wrong).status_code == 400
    assert [event.account for event in happened if isinstance(event, events.SignInFailed)] == [newcomer.account]


@pytest.mark.parametrize(
    "share", ["", "0x" + "11" * 31, "11" * 31, "11" * 33, "AA" * 32, "gg" * 32, "\uff11" * 64, "1" * 63 + "\n"]
)
def test_malformed_key_share_is_refused(newcomer: Newcomer, redis: Redis, share: str) -> None:
    challenge = newcomer.challenge(newcomer.account)
    sign_refused(newcomer, redis, "body_malformed", challenge, share=share)


@pytest.mark.parametrize(
    "body", [{}, [], {"share": 1}, {"account": "x", "share": "1" * 64, "message": None, "challenge": ""}]
)
def test_malformed_body_is_refused(newcomer: Newcomer, body: Any) -> None:
    assert code(newcomer.json(SIGN, "POST", json=body)) == "body_malformed"


def test_failing_signatures_leak_no_key_share(
    newcomer: Newcomer, services: Services, happened: list[events.Event]
) -> None:
    """No log line, event or answer holds one."""
    ours = services.part(TrialWallets).key_shares.reveal(parse(newcomer.account)).hex()
    challenge = newcomer.challenge(newcomer.account)
    wrong = f"{int(newcomer.share, 16) ^ 1:064x}"
    key = f"{int(newcomer.share, 16) ^ int(ours, 16):064x}"
    with everything_logged() as logged:
        answers = [
            newcomer.ask(challenge, share=wrong),
            newcomer.ask(challenge, share=ours),
            newcomer.ask(challenge, share=newcomer.share + "0"),
            newcomer.ask(challenge, message="Something else."),
            newcomer.ask(challenge, challenge="x"),
            newcomer.json(SIGN, "POST", data=newcomer.share, content_type="text/plain"),
            newcomer.json(SIGN, "POST", data=f'{{"share": "{newcomer.share}"', content_type="application/json"),
            newcomer.ask(challenge),
        ]
    assert [answer.status_code for answer in answers] == [400] * 5 + [415, 400, 200]
    said = "\n".join([*logged, repr(happened), *(answer.get_data(as_text=True) for answer in answers)])
    for secret in (newcomer.share, wrong, ours, key):
        assert secret not in said
        assert str(bytes.fromhex(secret)) not in said


# -- Signing for a step-up -------------------------------------------------------------------------------------------


def test_a_confirmation_is_signed_in_its_own_session_only(member: Newcomer, app: Flask, redis: Redis) -> None:
    waiting = member.waiting(member.submit("/session/extend"))
    text = member.text_for(waiting.request)
    other = Newcomer(app)
    other.make()
    other.enter()
    other.account, other.share = member.account, member.share
    sign_refused(other, redis, "confirmation_malformed", text, request=waiting.request)
    sign_refused(member, redis, "challenge_foreign", text)  # as if it were a sign-in
    stranger = Newcomer(app)
    stranger.account, stranger.share = member.account, member.share
    assert code(stranger.ask(text, request=waiting.request)) == "no_token"


def test_a_confirmation_is_signed_for_its_own_request_only(member: Newcomer, redis: Redis) -> None:
    one = member.waiting(member.submit("/session/extend"))
    two = member.waiting(member.submit(DELETE, word="delete"))
    sign_refused(member, redis, "challenge_foreign", member.text_for(one.request), request=two.request)


def test_a_sign_in_is_not_signed_as_a_confirmation(member: Newcomer, redis: Redis) -> None:
    waiting = member.waiting(member.submit("/session/extend"))
    sign_refused(member, redis, "challenge_foreign", member.challenge(member.account), request=waiting.request)


# -- Making: where from ----------------------------------------------------------------------------------------------


def test_no_wallet_is_made_for_another_site_or_without_a_token(app: Flask, redis: Redis) -> None:
    visitor = Visitor(app)
    token = visitor.token()
    with unchanged(redis):
        assert code(visitor.json(WALLETS, "POST", json={})) == "csrf_failed"
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = visitor.json(WALLETS, "POST", json={}, headers={"X-CSRFToken": token} | headers)
            assert code(answer) == "cross_site_request"
            assert code(visitor.json(SIGN, "POST", json={}, headers=headers)) == "cross_site_request"
        headers = {"X-CSRFToken": token}
        assert code(visitor.json(WALLETS, "POST", data="{}", headers=headers)) == "media_type_unsupported"
        assert visitor.get(WALLETS).status_code == 405
    assert visitor.client.get_cookie(MARKER) is None


def test_two_clicks_make_two_wallets(newcomer: Newcomer) -> None:
    before = newcomer.account, newcomer.share
    newcomer.make()
    assert newcomer.account != before[0]
    assert newcomer.share != before[1]


# -- Which sessions are of a wallet in this browser ------------------------------------------------------------------


def exported(services: Services, newcomer: Newcomer) -> Wallet:
    """The whole key, as its person may have imported it into a wallet."""
    ours = services.part(TrialWallets).key_shares.reveal(parse(newcomer.account))
    return Wallet(Signer.from_key(bytes(a ^ b for a, b in zip(ours, bytes.fromhex(newcomer.share), strict=True))))


def test_exported_key_has_an_ordinary_session_elsewhere(newcomer: Newcomer, services: Services, app: Flask) -> None:
    """The other browser holds no key share whose loss could end the session."""
    elsewhere, wallet = Visitor(app), exported(services, newcomer)
    elsewhere.attempt(wallet, elsewhere.challenge(newcomer.account))
    assert not TRIAL_WALLET.of(session_of(services, newcomer).record).held
    assert elsewhere.get(DELETE).status_code == 404


def test_another_wallet_in_this_browser_has_an_ordinary_session(newcomer: Newcomer, services: Services) -> None:
    wallet = Wallet()
    form = newcomer.challenge(wallet.account())
    form |= {
        "signature": wallet.sign(form["message"]),
        "wallet": "Wallet of this browser",
        "csrf_token": newcomer.token(),
    }
    assert newcomer.post("/sign-in", data=form).status_code == 303
    [live] = services.repository.living(wallet.account())
    assert not TRIAL_WALLET.of(live.record).held


def test_marker_cookie_without_a_key_share_is_ignored(newcomer: Newcomer, services: Services) -> None:
    wallet = exported(services, newcomer)
    services.part(TrialWallets).key_shares.forget(parse(newcomer.account))
    newcomer.attempt(wallet, newcomer.challenge(newcomer.account))
    assert not TRIAL_WALLET.of(session_of(services, newcomer).record).held


@pytest.mark.parametrize("path", [EXPORT, DELETE])
def test_an_ordinary_session_has_nothing_to_export_or_delete(visitor: Visitor, wallet: Wallet, path: str) -> None:
    visitor.sign_in(wallet)
    assert visitor.get(path).status_code == 404
    assert visitor.submit(DELETE, word="delete").status_code == 404
    assert visitor.send("DELETE", WALLETS).status_code == 404
    assert 'data-testid="pregenerated"' not in visitor.get("/session").get_data(as_text=True)


def test_visitors_are_sent_to_sign_in(visitor: Visitor) -> None:
    for path in (EXPORT, DELETE):
        assert visitor.get(path).headers["Location"].startswith("/sign-in?next=")
    assert code(visitor.send("DELETE", WALLETS)) == "no_token"


# -- Export ----------------------------------------------------------------------------------------------------------


def test_export_page_carries_only_the_servers_key_share(
    member: Newcomer, services: Services, happened: list[events.Event]
) -> None:
    happened.clear()
    answer = member.get(EXPORT)
    page = answer.get_data(as_text=True)
    ours = services.part(TrialWallets).key_shares.reveal(parse(member.account)).hex()
    assert answer.headers["Cache-Control"] == "no-store"
    assert page.count(ours) == 1
    assert member.share not in page
    assert exported(services, member).key.key.hex().removeprefix("0x") not in page
    [event] = happened
    assert isinstance(event, WalletExported)
    assert (event.account, event.handle) == (member.account, session_of(services, member).record.handle)
    assert "private key was shown" in member.get("/activity?kind=changes").get_data(as_text=True)


def test_exporting_takes_a_fresh_signature(
    member: Newcomer, services: Services, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    pass_time(301)
    ours = services.part(TrialWallets).key_shares.reveal(parse(member.account)).hex()
    happened.clear()
    answer = member.get(EXPORT)
    assert answer.status_code == 303
    assert ours not in answer.get_data(as_text=True)
    waiting = member.waiting(answer)
    assert waiting.sentence == "Show the private key of this wallet in this browser."
    assert not [event for event in happened if isinstance(event, WalletExported)]
    opened = member.step_up(member.get(EXPORT))
    assert opened.headers["Location"] == EXPORT
    assert ours in member.get(EXPORT).get_data(as_text=True)


# -- Deleting --------------------------------------------------------------------------------------------------------


def test_delete_page_explains_the_loss_and_changes_nothing(member: Newcomer, redis: Redis) -> None:
    with unchanged(redis):
        page = member.get(DELETE).get_data(as_text=True)
    assert "lost for good" in page
    assert 'name="csrf_token"' in page


def test_deleting_needs_a_signature_and_leaves_nothing(
    member: Newcomer, app: Flask, services: Services, redis: Redis, happened: list[events.Event]
) -> None:
    elsewhere = Visitor(app)
    elsewhere.attempt(exported(services, member), elsewhere.challenge(member.account))
    asked = member.submit(DELETE, word="delete")
    assert member.waiting(asked).sentence == "Delete this wallet: its key is lost for good."
    assert shares(redis)
    answer = member.step_up(asked)
    assert answer.headers["Location"] == "/signed-out"
    assert "Clear-Site-Data" not in answer.headers
    assert not member.has(SESSION_COOKIE)
    assert not member.has(MARKER)
    assert shares(redis) == []
    assert services.repository.living(member.account) == []
    state = elsewhere.json("/api/auth/sessions/validate")
    assert state.get_json()["error"]["reason"] == "wallet_deleted"
    assert [event.name for event in happened[-2:]] == ["session.revoked_all", "wallet.deleted"]
    assert "Your trial wallet is deleted" in member.get("/signed-out").get_data(as_text=True)
    assert code(member.ask(member.challenge(member.account))) == "share_mismatch"


@pytest.mark.parametrize("word", ["", "no", "delete it", "\u0434elete", "deletedelete", "\0delete"])
def test_deleting_takes_the_typed_word(member: Newcomer, redis: Redis, word: str) -> None:
    """Such a wallet asks nobody before it signs, so two stray or lured clicks must not be enough."""
    answer = member.submit(DELETE, word=word)
    assert answer.headers["Location"] == DELETE
    page = member.get(DELETE).get_data(as_text=True)
    assert "That is not the word “delete”. Nothing was deleted." in page
    assert "delete-wrong" not in member.get(DELETE).get_data(as_text=True), "said once"
    assert shares(redis)
    assert member.signed_in


@pytest.mark.parametrize("word", ["delete", " Delete ", "DELETE"])
def test_the_typed_word_may_have_another_case(member: Newcomer, word: str) -> None:
    assert member.waiting(member.submit(DELETE, word=word)).sentence.startswith("Delete this wallet")


def test_a_stolen_cookie_deletes_no_wallet(member: Newcomer, redis: Redis) -> None:
    """Nor right after the sign-in, when other things that matter need no further signature."""
    with unchanged(redis):
        assert member.submit(DELETE, word="delete").status_code == 303
        answer = member.send("DELETE", WALLETS)
        assert code(answer) == "step_up_required"
        assert code(member.send("DELETE", WALLETS, headers={"X-CSRFToken": "x"})) == "csrf_failed"


def test_a_script_deletes_the_wallet_with_the_proof_in_a_header(member: Newcomer, redis: Redis) -> None:
    request = member.send("DELETE", WALLETS).get_json()["error"]["request"]
    text = member.text_for(request)
    signature = member.ask(text, request=request).get_json()["data"]["signature"]
    proof = {"message": text["message"], "challenge": text["challenge"], "signature": signature}
    answer = member.send("DELETE", WALLETS, headers={"Wallet-Confirmation": as_header(proof)})
    assert answer.get_json()["data"] == {"account": member.account, "deleted": True}
    assert f'<share-forget data-account="{member.account}"' in member.get("/signed-out").get_data(as_text=True)
    assert shares(redis) == []


# -- Signing out, and coming back ------------------------------------------------------------------------------------


def test_sign_out_keeps_the_key_share_in_the_browser(member: Newcomer, redis: Redis) -> None:
    answer = member.sign_out()
    assert "Clear-Site-Data" not in answer.headers
    assert not member.has(SESSION_COOKIE)
    assert not member.has(BROWSER_COOKIE)
    assert member.has(MARKER)
    assert not member.signed_in
    assert shares(redis)
    member.enter()
    assert member.signed_in


@pytest.mark.parametrize("leave", ["/api/auth/sessions/logout", "/sessions/everywhere"])
def test_every_other_way_to_sign_out_keeps_the_key_share(member: Newcomer, leave: str) -> None:
    answer = member.submit(leave)
    assert "Clear-Site-Data" not in answer.headers
    assert member.has(MARKER)
    member.enter()


def test_a_session_of_another_wallet_leaves_it_there_as_well(newcomer: Newcomer) -> None:
    newcomer.sign_in(Wallet())
    newcomer.sign_out()
    assert newcomer.has(MARKER)
    newcomer.enter()


def test_sign_out_says_that_the_trial_wallet_stays(member: Newcomer, app: Flask) -> None:
    """The next user of this browser could use it."""
    assert 'data-testid="half-stays"' in member.get(member.sign_out().headers["Location"]).get_data(as_text=True)
    assert "half-stays" not in Newcomer(app).get("/signed-out").get_data(as_text=True)
    member.enter()
    member.step_up(member.submit(DELETE, word="delete"))
    assert "half-stays" not in member.get("/signed-out").get_data(as_text=True)


def test_trial_wallet_pages_mention_no_wallet_window(member: Newcomer) -> None:
    page = member.get(member.submit(DELETE, word="delete").headers["Location"]).get_data(as_text=True)
    assert 'data-testid="server-signs"' in page
    assert "Your wallet will show this sentence" not in page
    assert "Let this site see" not in page
    assert "unlocked screen" not in member.get("/sessions/everywhere").get_data(as_text=True)
    assert "Waiting for your signature" not in page


def test_delete_page_names_what_linked_wallets_keep(member: Newcomer, services: Services) -> None:
    lost = "everything the account has here and on any network"
    assert lost in member.get(DELETE).get_data(as_text=True)
    linked_accounts_of(services).link(parse(Wallet().account()), by=parse(member.account))
    page = member.get(DELETE).get_data(as_text=True)
    assert lost not in page
    assert "You keep your account here with your other wallets" in page


def test_lost_key_share_ends_the_session_with_its_reason(
    member: Newcomer, services: Services, redis: Redis, happened: list[events.Event]
) -> None:
    answer = member.submit("/session/wallet/gone")
    assert answer.headers["Location"] == "/signed-out"
    # What the page could not see is not destroyed for that; the server's half goes by its own clock.
    assert "Clear-Site-Data" not in answer.headers
    assert "<share-forget" not in member.get("/signed-out").get_data(as_text=True)
    assert not member.has(MARKER)
    assert services.repository.living(member.account) == []
    assert [event.reason for event in happened if isinstance(event, events.SessionEnded)] == ["share_gone"]
    assert "no longer in this browser" in member.get("/signed-out").get_data(as_text=True)
    member.enter()
    assert member.has(MARKER)


def test_new_trial_wallet_survives_the_old_ones_session(member: Newcomer) -> None:
    member.make()
    member.submit("/session/wallet/gone")
    assert member.has(MARKER)
    member.enter()
    member.sign_out()
    assert member.has(MARKER)


@pytest.mark.parametrize("reason", ["revoked", "wallet_deleted", "<script>", ""])
def test_a_page_can_t_give_any_other_reason(member: Newcomer, happened: list[events.Event], reason: str) -> None:
    answer = member.submit("/sign-out", reason=reason)
    assert answer.headers["Location"] == "/signed-out"
    assert [event.reason for event in happened if isinstance(event, events.SessionEnded)] == ["signed_out"]


def test_other_site_can_not_report_a_lost_key_share(member: Newcomer) -> None:
    """It could sign the user out that way."""
    assert member.post("/session/wallet/gone").status_code == 400
    assert member.signed_in


# -- Off, and without Redis ------------------------------------------------------------------------------------------


@pytest.fixture
def off(make_app: Callable[..., Flask]) -> Flask:
    return make_app(SESSIONS_CORE_PREGENERATED_WALLETS=False)


def test_disabled_trial_wallet_routes_are_404(off: Flask, member: Newcomer, wallet: Wallet, redis: Redis) -> None:
    visitor = Newcomer(off)
    assert "Try it without a wallet" not in visitor.get("/sign-in").get_data(as_text=True)
    challenge = visitor.challenge(member.account)
    visitor.account, visitor.share = member.account, member.share
    with unchanged(redis):
        made = visitor.json(WALLETS, "POST", json={}, headers={"X-CSRFToken": visitor.token()})
        assert (made.status_code, code(made)) == (404, "not_found")
        signed = visitor.ask(challenge)
        assert (signed.status_code, code(signed)) == (404, "not_found")
    visitor.session_id = member.session_id
    for path in (EXPORT, DELETE):
        assert visitor.get(path).status_code == 404
    assert visitor.submit(DELETE, word="delete").status_code == 404
    assert visitor.send("DELETE", WALLETS).status_code == 404


def test_exported_key_confirms_when_trial_wallets_are_off(off: Flask, member: Newcomer) -> None:
    """With any wallet that holds the key."""
    visitor = Newcomer(off)
    visitor.session_id = member.session_id
    page = visitor.get(visitor.submit("/session/extend").headers["Location"]).get_data(as_text=True)
    assert '"eip155": "' in page
    assert '"pregenerated": "' not in page
    assert EXPORT not in visitor.get("/session").get_data(as_text=True)


def test_trial_wallets_are_off_in_production_unless_set(make_app: Callable[..., Flask]) -> None:
    production = PRODUCTION | {"SESSIONS_CORE_REDIS_CHECK": False}
    for wanted, chain in ((None, None), (False, None), (True, "eip155:11155111")):
        app = make_app(SESSIONS_CORE_PREGENERATED_WALLETS=wanted, **production)
        assert app.extensions["sessions_core"].part(TrialWallets).chain == chain


def test_without_redis_each_step_is_a_503_and_nothing_is_lost(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    server = embedded.start(tmp_path / "redis")
    newcomer = Newcomer(make_app(SESSIONS_CORE_REDIS_URL=server.url))
    newcomer.make()
    token, challenge = newcomer.token(), newcomer.challenge(newcomer.account)
    server.stop()
    made = newcomer.json(WALLETS, "POST", json={}, headers={"X-CSRFToken": token})
    assert (made.status_code, code(made)) == (503, "store_unavailable")
    assert "share" not in made.get_data(as_text=True)
    signed = newcomer.ask(challenge)
    assert (signed.status_code, code(signed)) == (503, "store_unavailable")
    assert int(signed.headers["Retry-After"]) > 0
    cookie = newcomer.client.get_cookie(MARKER)
    assert cookie is not None
    assert re.fullmatch(r"[A-Za-z0-9_-]{12}", cookie.value)


def test_deleting_without_redis_is_503_and_keeps_the_wallet(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    server = embedded.start(tmp_path / "redis")
    member = Newcomer(make_app(SESSIONS_CORE_REDIS_URL=server.url))
    member.make()
    member.enter()
    waiting = member.waiting(member.submit(DELETE, word="delete"))
    text = member.text_for(waiting.request)
    signature = member.ask(text, request=waiting.request).get_json()["data"]["signature"]
    proof = {
        "confirm_message": text["message"],
        "confirm_challenge": text["challenge"],
        "confirm_signature": signature,
    }
    server.stop()
    answer = member.post(waiting.target, data={name: proof.get(name, value) for name, value in waiting.fields})
    assert answer.status_code == 503
    assert "Clear-Site-Data" not in answer.headers
    assert member.has(MARKER)
