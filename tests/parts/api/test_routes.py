"""Clients without cookies over HTTP: signing in, bearers, refreshing, and what browsers and tokens must not share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events, fresh_required, public, requires, signed_in
from sessions_core.parts.api import Api
from sessions_core.parts.api.refresh_tokens import FAMILY
from sessions_core.parts.devices.recent_sign_ins import DEVICE
from sessions_core.sessions.record import LoadedSession, account_tag
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, ApiClient, Visitor, Wallet
from ...answers import error_of, session_cookies
from ...constants import MINUTE, REDIS_PREFIX
from ...evm import CHAIN, Anvil
from ...evm.contracts import ContractWallet
from ...evm.nodes import Relay
from ...part_services import linked_accounts_of, roles_of
from ...servers import Server, commands_run, running
from ...session_tokens import decode, forge, parts_of
from ...snapshot import refused, unchanged
from ...stored import link_of
from ...time_machine import TimeMachine, ask_again

SESSIONS = "/api/auth/sessions"
VALIDATE, KEEP_ALIVE, LOGOUT = f"{SESSIONS}/validate", f"{SESSIONS}/keep-alive", f"{SESSIONS}/logout"
REFRESH, TOKEN = f"{SESSIONS}/refresh", f"{SESSIONS}/token"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app({"actions": {"invoice.pay": "Pay invoice {number}."}})
    app.extensions["done"] = []

    @app.get("/who")
    @signed_in
    def who() -> str:
        return "somebody"

    @app.get("/poll")
    @signed_in(keeps_alive=False)
    def poll() -> str:
        return "polled"

    @app.post("/change")
    @signed_in
    def change() -> str:
        app.extensions["done"].append("change")
        return "changed"

    @app.get("/set/<value>")
    @public
    def set_value(value: str) -> dict[str, Any]:
        session["value"] = value
        return {"value": session["value"]}

    @app.get("/value")
    @public
    def value() -> dict[str, Any]:
        return {"value": session.get("value")}

    @app.get("/clear")
    @public
    def clear() -> str:
        session.clear()
        return "cleared"

    @app.get("/transact")
    @requires("transact")
    def transact() -> str:
        return "done"

    @app.post("/invoices/<number>/pay")
    @fresh_required(0, "invoice.pay")
    def pay(number: str) -> str:
        app.extensions["done"].append(number)
        return "paid"

    return app


@pytest.fixture
def done(app: Flask) -> list[str]:
    return app.extensions["done"]


@pytest.fixture
def client(app: Flask) -> ApiClient:
    return ApiClient(app)


@pytest.fixture
def signed(client: ApiClient, wallet: Wallet) -> ApiClient:
    """A client that has signed in."""
    client.sign_in(wallet)
    return client


@pytest.fixture
def used(signed: ApiClient) -> ApiClient:
    """A client that has signed in and used its token."""
    assert signed.get("/who").status_code == 200
    return signed


def live_of(services: Services, wallet: Wallet) -> LoadedSession:
    [live] = services.repository.living(str(parse(wallet.account())))
    return live


# -- Signing in without cookies ------------------------------------------------------------------------------


def test_a_signature_as_the_bearer_becomes_two_tokens(client: ApiClient, wallet: Wallet) -> None:
    answer = client.attempt(wallet, session_type="standard", duration=3600, permissions=["sign", "read:profile"])
    assert (answer.status_code, answer.mimetype) == (201, "application/json")
    assert answer.headers.getlist("Set-Cookie") == []
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.get_json()
    assert body["success"] is True
    data = body["data"]
    assert data["refresh_token"].startswith("rt_")
    assert data["token_type"] == "Bearer"
    claims = parts_of(data["session_token"])[1]
    assert (claims["sub"], claims["sid"]) == (wallet.account(), data["session_id"])
    assert claims["permissions"] == data["permissions"] == ["sign", "read:profile"]
    assert claims["exp"] == datetime.fromisoformat(data["token_expires_at"]).timestamp()
    assert re.fullmatch(r"sess_[A-Za-z0-9_-]{16}", data["session_id"])
    assert 1790 <= data["time_remaining"] <= 1800
    assert data["valid"] is True
    assert "csrf_token" not in data
    ends = datetime.fromisoformat(data["absolute_expires_at"]) - datetime.fromisoformat(data["now"])
    assert ends.total_seconds() == 3600


def test_requests_beyond_the_type_are_left_out(client: ApiClient, wallet: Wallet) -> None:
    asked = ["sign", "test-only", "write:therapy_notes", "admin", "everything"]
    data = client.sign_in(wallet, duration=10**9, permissions=asked)
    assert data["permissions"] == ["sign"]
    ends = datetime.fromisoformat(data["absolute_expires_at"]) - datetime.fromisoformat(data["now"])
    assert ends.total_seconds() == 12 * 3600
    assert error_of(client.get("/transact"))[:2] == (403, "permission_denied")


def test_types_that_the_account_may_not_have_are_refused(
    client: ApiClient, wallet: Wallet, services: Services, redis: Redis, happened: list[events.Event]
) -> None:
    for kind in ("anonymous", "nonsense", "visitor"):
        with refused(redis, happened, "permission_denied"):
            answer = client.attempt(wallet, session_type=kind)
        assert error_of(answer) == (403, "permission_denied", "session_type")
    with refused(redis, happened, "permission_denied"):
        answer = client.attempt(wallet, session_type="professional")
    assert error_of(answer) == (403, "permission_denied", "verification")


def test_a_type_is_refused_before_the_wallet_is_asked(
    client: ApiClient, wallet: Wallet, services: Services, redis: Redis, happened: list[events.Event]
) -> None:
    def ask(kind: str, **body: str) -> TestResponse:
        sent = {"account": wallet.account(), "session_type": kind} | body
        return client.post("/api/auth/challenges", json=sent)

    for kind, reason in (("anonymous", "session_type"), ("root", "session_type"), ("professional", "verification")):
        with refused(redis, happened, "permission_denied"):
            answer = ask(kind)
        assert error_of(answer) == (403, "permission_denied", reason)
    assert ask("standard").status_code == ask("").status_code == 201
    with refused(redis, happened, "account_malformed"):
        assert ask("professional", account="nobody").status_code == 400
    roles_of(services).verify(parse(wallet.account()), "lic_2041_77", "licensed", 30)
    assert ask("professional").status_code == 201


def test_a_type_that_was_lost_meanwhile_is_refused_too(
    client: ApiClient, wallet: Wallet, services: Services, redis: Redis
) -> None:
    """The challenge was for one that the account could have; what it can have is decided when it signs in."""
    account = parse(wallet.account())
    roles_of(services).verify(account, "lic_2041_77", "licensed", 30)
    text = client.challenge(account=wallet.account(), session_type="professional")
    roles_of(services).revoke_verification(account)
    sent = {"message": text["message"], "challenge": text["challenge"], "session_type": "professional"}
    answer = client.post("/api/auth/sessions", bearer=wallet.sign(text["message"]), json=sent)
    assert error_of(answer) == (403, "permission_denied", "verification")


def test_tokens_omit_permissions_that_need_a_signature(client: ApiClient, wallet: Wallet, services: Services) -> None:
    """Another service can't ask for a signature, so it must not take the token for one."""
    roles_of(services).verify(parse(wallet.account()), "lic_2041_77", "licensed", 30)
    data = client.sign_in(wallet, session_type="professional")
    assert data["session_id"].startswith("prof_")
    assert (data["professional_id"], data["verification_level"]) == ("lic_2041_77", "licensed")
    permissions = parts_of(data["session_token"])[1]["permissions"]
    assert "read:all_profiles" in permissions
    assert "write:therapy_notes" in data["permissions"]
    assert "write:therapy_notes" not in permissions


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "signature_malformed"),
        ({"Authorization": "Bearer"}, "signature_malformed"),
        ({"Authorization": "Bearer "}, "signature_malformed"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, "signature_malformed"),
        ({"Authorization": "Bearer 0x00"}, "signature_malformed"),
        ({"Authorization": "Bearer rt_AAAA"}, "signature_malformed"),
        ({"Authorization": "Bearer a.b.c"}, "signature_malformed"),
        ({"Authorization": "Bearer " + "A" * 20_000}, "signature_malformed"),
    ],
)
def test_a_bearer_that_is_no_signature_starts_nothing(
    client: ApiClient, wallet: Wallet, services: Services, headers: dict[str, str], code: str
) -> None:
    text = client.challenge(account=wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    answer = client.post(SESSIONS, bearer="", json=body, headers=headers)
    assert error_of(answer)[:2] == (400, code)
    assert services.repository.living(wallet.account()) == []


def test_the_signature_of_another_wallet_is_refused(
    client: ApiClient, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    text = client.challenge(account=wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    with refused(redis, happened, "signature_mismatch", spent=1):
        answer = client.post(SESSIONS, bearer=Wallet().sign(text["message"]), json=body)
    assert error_of(answer)[:2] == (400, "signature_mismatch")
    with refused(redis, happened, "challenge_used"):
        client.post(SESSIONS, bearer=wallet.sign(text["message"]), json=body)


def test_one_signature_gives_one_session(client: ApiClient, wallet: Wallet, services: Services) -> None:
    text = client.challenge(account=wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    answers = [client.post(SESSIONS, bearer=wallet.sign(text["message"]), json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 400, 400]
    assert error_of(answers[1])[1] == "challenge_used"
    assert live_of(services, wallet)


def test_the_scheme_is_read_in_any_case(client: ApiClient, wallet: Wallet) -> None:
    client.sign_in(wallet)
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert (
            client.get("/who", bearer="", headers={"Authorization": f"{scheme} {client.access}"}).status_code == 200
        )


# -- Browsers ------------------------------------------------------------------------------------------------


def json_sign_in(
    visitor: Visitor, wallet: Wallet, text: dict[str, str] | None = None, **headers: str
) -> TestResponse:
    text = text or visitor.challenge(wallet.account())
    return visitor.json(
        SESSIONS,
        "POST",
        json={"message": text["message"], "challenge": text["challenge"]},
        headers={"Authorization": f"Bearer {wallet.sign(text['message'])}", **headers},
    )


def test_json_sign_in_in_a_browser_sets_a_cookie_not_tokens(visitor: Visitor, wallet: Wallet) -> None:
    answer = json_sign_in(visitor, wallet)
    assert answer.status_code == 201
    data = answer.get_json()["data"]
    assert not {"session_token", "refresh_token"} & data.keys()
    [cookie] = session_cookies(answer)
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert visitor.signed_in
    sent = visitor.json("/change", "POST", headers={"X-CSRFToken": data["csrf_token"]})
    assert sent.status_code == 200, "the token of the answer is that of the new session"


@pytest.mark.parametrize("before", ["live", "dead", "malformed"])
def test_json_sign_in_replaces_any_session_cookie(
    visitor: Visitor, wallet: Wallet, services: Services, before: str
) -> None:
    """Whether the old session is alive, dead or malformed."""
    visitor.sign_in(wallet)
    old = visitor.session_id
    if before == "dead":
        services.lifecycle.revoke_account(parse(wallet.account()))
    elif before == "malformed":
        visitor.session_id = "nonsense"
    assert json_sign_in(visitor, wallet).status_code == 201
    assert visitor.signed_in
    assert visitor.session_id != old
    if before == "live":
        assert live_of(services, wallet), "the session of before has been replaced"


def test_another_site_can_not_sign_a_browser_in(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    text = visitor.challenge(wallet.account())
    for header in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        with refused(redis, happened, "cross_site_request"):
            assert json_sign_in(visitor, wallet, text, **header).status_code == 403


def test_a_challenge_for_tokens_never_becomes_a_cookie(
    client: ApiClient, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    text = client.challenge(account=wallet.account())
    visitor.get("/sign-in")
    with refused(redis, happened, "challenge_foreign"):
        answer = visitor.attempt(wallet, text)
    assert session_cookies(answer) == []
    with refused(redis, happened, "challenge_foreign"):
        answer = json_sign_in(visitor, wallet, text)
    assert error_of(answer)[:2] == (400, "challenge_foreign")
    assert session_cookies(answer) == []


def test_a_challenge_of_a_browser_never_becomes_tokens(
    client: ApiClient, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    text = visitor.challenge(wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    with refused(redis, happened, "challenge_foreign"):
        answer = client.post(SESSIONS, bearer=wallet.sign(text["message"]), json=body)
    assert "session_token" not in answer.get_data(as_text=True)


def test_attackers_api_challenge_signs_no_browser_in(app: Flask, client: ApiClient, visitor: Visitor) -> None:
    """Login CSRF through the API: the attacker's signature and challenge in the victim's browser."""
    attacker = Wallet()
    text = client.challenge(account=attacker.account())
    visitor.get("/sign-in")
    assert visitor.client.get_cookie(BROWSER_COOKIE)
    assert json_sign_in(visitor, attacker, text).status_code == 400
    assert not visitor.signed_in


# -- Bearers -------------------------------------------------------------------------------------------------


def test_token_bearer_is_signed_in(signed: ApiClient) -> None:
    assert signed.get("/who").get_data(as_text=True) == "somebody"
    assert signed.get("/transact").status_code == 200


def test_a_bearer_s_request_is_one_round_trip_and_writes_nothing(used: ApiClient, redis: Redis) -> None:
    redis.config_resetstat()
    for _ in range(5):
        assert used.get("/who").status_code == 200
    # One script each, and what it reads: the index, the record, both epochs (with GET: see records), the rest.
    assert commands_run(redis) == {"evalsha": 5, "hgetall": 5, "get": 15, "mget": 5}


def test_a_bearer_s_first_request_after_a_refresh_writes_once(used: ApiClient, redis: Redis) -> None:
    used.refresh()
    redis.config_resetstat()
    for _ in range(3):
        assert used.get("/poll").status_code == 200
    assert commands_run(redis)["set"] == 1


def test_a_bearer_needs_no_csrf_token(signed: ApiClient, done: list[str]) -> None:
    assert signed.post("/change").status_code == 200
    assert done == ["change"]


@pytest.mark.parametrize("cookie", ["live", "dead", "malformed", "empty", "twice"])
def test_a_bearer_beside_a_session_cookie_counts_for_nothing(
    signed: ApiClient, app: Flask, services: Services, done: list[str], cookie: str
) -> None:
    """A page of another site can have the browser send the cookie; what it can't send is the token of the form."""
    victim = Visitor(app)
    victim.sign_in(Wallet())
    value = {"live": victim.session_id, "dead": "A" * 55, "malformed": "nonsense", "empty": ""}.get(cookie, "x")
    header = f"{SESSION_COOKIE}={value}" + (f"; {SESSION_COOKIE}={value}" if cookie == "twice" else "")
    answer = signed.post("/change", headers={"Cookie": header, "Accept": "application/json"})
    if cookie == "live":
        assert error_of(answer)[:2] == (400, "csrf_failed")
    else:
        assert error_of(answer) == (401, "session_invalid", "unknown")
    assert done == []
    who = signed.get(VALIDATE, headers={"Cookie": header})
    if cookie == "live":
        assert who.get_json()["data"]["account"] != signed.get(VALIDATE).get_json()["data"]["account"]
    else:
        assert who.status_code == 401


def test_a_good_bearer_needs_no_origin(signed: ApiClient, done: list[str]) -> None:
    """No page can have the browser send one: its preflight is not answered. One that is not ours excuses nothing."""
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert signed.post("/change", headers=elsewhere).status_code == 200
    assert done == [str(done[0])]
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = signed.send("OPTIONS", "/change", bearer="", headers=elsewhere | preflight)
    assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []
    for bearer in ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm94eSJ9.c2ln", signed.access[:-4] + "AAAA", "x"):
        refused = signed.send("POST", "/change", bearer=bearer, headers=elsewhere)
        assert error_of(refused)[:2] == (403, "cross_site_request")
    assert len(done) == 1


def test_a_bearer_s_answer_never_sets_a_session_cookie(
    used: ApiClient, wallet: Wallet, services: Services, app: Flask
) -> None:
    answers = [used.get("/who"), used.get("/set/1"), used.get("/value"), used.post(KEEP_ALIVE), used.get("/")]
    before = live_of(services, wallet).keys.digest
    roles_of(services).assign(parse(wallet.account()), "admin")
    answers.append(used.get("/who"))
    assert live_of(services, wallet).keys.digest != before, "the session has moved to another id"
    answers += [used.get("/who"), used.get("/sign-in"), used.refresh() and used.get("/who")]
    answers.append(used.post(LOGOUT))
    for answer in answers:
        assert session_cookies(answer) == []
    assert used.get("/who").status_code == 401


def test_session_data_is_kept_for_bearers_as_for_cookies(used: ApiClient, wallet: Wallet, services: Services) -> None:
    assert used.get("/set/42").get_json() == {"value": "42"}
    assert used.get("/value").get_json() == {"value": "42"}
    roles_of(services).assign(parse(wallet.account()), "admin")
    assert used.get("/value").get_json() == {"value": "42"}
    assert session_cookies(used.get("/clear")) == []
    assert error_of(used.get("/who")) == (401, "session_invalid", "signed_out")


def test_invalid_token_leaves_nothing_in_redis(client: ApiClient, redis: Redis) -> None:
    """Without a cookie no client could come back to the session; a flood of them would fill memory."""
    answer = client.get("/set/1", bearer="nonsense")
    assert answer.status_code == 200
    assert session_cookies(answer) == []
    assert redis.keys("*:session:*") == []


# -- What there is for a bearer to do ------------------------------------------------------------------------


def test_validate_answers_a_bearer_and_never_extends(used: ApiClient, redis: Redis, pass_time: TimeMachine) -> None:
    pass_time(200)
    with unchanged(redis):
        data = used.get(VALIDATE).get_json()["data"]
    assert data["valid"] is True
    assert 1590 <= data["time_remaining"] <= 1600
    assert "csrf_token" not in data


def test_keep_alive_extends_the_session_of_a_bearer(
    used: ApiClient, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    pass_time(250)
    happened.clear()
    answer = used.post(KEEP_ALIVE)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.get_json()["data"]["time_remaining"] >= 1790
    assert [event.name for event in happened] == ["session.renewed"]


def test_token_bearer_lists_and_revokes_other_sessions(
    used: ApiClient, visitor: Visitor, wallet: Wallet, app: Flask
) -> None:
    """Only those of its own account."""
    visitor.sign_in(wallet)
    rows = used.get(SESSIONS).get_json()["data"]["sessions"]
    assert [row["current"] for row in rows] == [True, False]
    assert used.delete(f"{SESSIONS}/{rows[1]['session_id']}").status_code == 200
    assert not visitor.signed_in
    stranger = ApiClient(app)
    stranger.sign_in(Wallet())
    assert error_of(stranger.delete(f"{SESSIONS}/{rows[0]['session_id']}"))[:2] == (404, "not_found")
    assert used.get("/who").status_code == 200


def test_a_bearer_ends_all_others_and_goes_on(used: ApiClient, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    answer = used.delete(f"{SESSIONS}?scope=others")
    assert answer.get_json()["data"] == {"scope": "others", "ended": 1}
    assert not visitor.signed_in
    assert used.get("/who").status_code == 200
    used.refresh()


def test_a_bearer_ends_all_and_itself(used: ApiClient, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    answer = used.delete(f"{SESSIONS}?scope=all")
    assert answer.get_json()["data"] == {"scope": "all", "ended": 2}
    assert session_cookies(answer) == []
    assert not visitor.signed_in
    assert error_of(used.get("/who")) == (401, "session_invalid", "everywhere")
    assert error_of(used.exchange(used.refresh_token)) == (401, "session_invalid", "everywhere")


def test_a_bearer_ends_itself_by_its_handle(used: ApiClient) -> None:
    handle = used.get(VALIDATE).get_json()["data"]["session_id"]
    assert used.delete(f"{SESSIONS}/{handle}").status_code == 200
    assert error_of(used.get("/who")) == (401, "session_invalid", "signed_out")


def test_a_bearer_confirms_by_the_header_and_its_family_goes_on(
    used: ApiClient, wallet: Wallet, services: Services, done: list[str]
) -> None:
    first = used.refresh_token
    asked = used.post("/invoices/7/pay")
    assert error_of(asked) == (403, "step_up_required", "invoice.pay")
    before = live_of(services, wallet).keys.digest
    answer = used.post("/invoices/7/pay", headers=used.proof(wallet, asked))
    assert (answer.status_code, done) == (200, ["7"])
    assert session_cookies(answer) == []
    assert live_of(services, wallet).keys.digest != before
    assert used.get("/who").status_code == 200
    used.refresh()
    used.refresh()
    assert error_of(used.exchange(first)) == (401, "session_invalid", "token_reused")


def test_a_confirmation_of_one_session_is_none_of_another(
    used: ApiClient, app: Flask, wallet: Wallet, done: list[str]
) -> None:
    other = ApiClient(app)
    other.sign_in(wallet)
    proof = used.proof(wallet, used.post("/invoices/7/pay"))
    answer = other.post("/invoices/7/pay", headers=proof)
    assert error_of(answer)[:2] == (403, "step_up_required")
    assert done == []


# -- Signing out ---------------------------------------------------------------------------------------------


def test_a_bearer_signs_out_and_its_family_with_it(used: ApiClient) -> None:
    assert used.post(LOGOUT).get_json()["data"] == {"signed_out": True}
    assert error_of(used.get("/who")) == (401, "session_invalid", "signed_out")
    assert error_of(used.exchange(used.refresh_token)) == (401, "session_invalid", "signed_out")
    assert used.post(LOGOUT).status_code == 200, "twice is fine"


def test_the_refresh_token_alone_signs_out(used: ApiClient, pass_time: TimeMachine) -> None:
    pass_time(600)
    answer = used.post(LOGOUT, bearer="", json={"refresh_token": used.refresh_token})
    assert answer.get_json()["data"] == {"signed_out": True}
    assert error_of(used.exchange(used.refresh_token)) == (401, "session_invalid", "signed_out")
    again = used.post(LOGOUT, bearer="", json={"refresh_token": used.refresh_token})
    assert again.status_code == 200


def test_refresh_token_signs_out_without_a_session_token(used: ApiClient, pass_time: TimeMachine) -> None:
    """The session token has expired."""
    pass_time(600)
    assert used.post(LOGOUT, json={"refresh_token": used.refresh_token}).status_code == 200
    assert error_of(used.exchange(used.refresh_token)) == (401, "session_invalid", "signed_out")


def test_expired_token_is_never_told_that_it_signed_out(
    used: ApiClient, pass_time: TimeMachine, redis: Redis
) -> None:
    """Its session lives on, and the refresh token with it."""
    pass_time(301)
    with unchanged(redis):
        assert error_of(used.post(LOGOUT)) == (401, "token_expired", "token")
        assert error_of(used.post(LOGOUT, bearer="nonsense")) == (401, "token_invalid", "token")
    used.refresh()


def test_a_refused_sign_out_of_a_browser_ends_nothing_else(used: ApiClient, person: Visitor, redis: Redis) -> None:
    with unchanged(redis):
        answer = person.json(LOGOUT, "POST", json={"refresh_token": used.refresh_token})
    assert error_of(answer)[:2] == (400, "csrf_failed")
    used.refresh()


# -- Tokens that are none here -------------------------------------------------------------------------------


def test_refresh_and_session_tokens_are_not_interchangeable(
    used: ApiClient, redis: Redis, happened: list[events.Event]
) -> None:
    with unchanged(redis):
        assert error_of(used.get("/who", bearer=used.refresh_token)) == (401, "token_invalid", "token")
        assert error_of(used.exchange(used.access)) == (401, "token_invalid", "token")
        assert error_of(used.exchange("rt_" + used.access)) == (401, "token_invalid", "token")
        assert error_of(used.exchange("A" * 9000))[:2] == (400, "body_malformed")
    used.refresh()


def test_a_wallet_s_signature_and_a_session_id_are_no_bearers(
    used: ApiClient, person: Visitor, wallet: Wallet
) -> None:
    for bearer in (wallet.sign("anything"), person.session_id, used.get(VALIDATE).get_json()["data"]["session_id"]):
        assert error_of(used.get("/who", bearer=bearer)) == (401, "token_invalid", "token")


def test_each_401_says_why_and_names_the_scheme(
    used: ApiClient, client: ApiClient, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    answer = client.get(VALIDATE, bearer="")
    assert error_of(answer) == (401, "no_token", "no_token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = client.get(VALIDATE, bearer="nonsense")
    assert error_of(answer) == (401, "token_invalid", "token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    access = used.access
    pass_time(301)
    answer = used.get(VALIDATE, bearer=access)
    assert error_of(answer) == (401, "token_expired", "token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    answer = used.exchange("nonsense")
    assert error_of(answer) == (401, "token_invalid", "token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("reason", ["revoked", "everywhere", "idle", "absolute", "limit"])
def test_ended_session_is_refused_with_the_next_request(
    used: ApiClient,
    wallet: Wallet,
    services: Services,
    clock: Any,
    app: Flask,
    pass_time: TimeMachine,
    reason: str,
) -> None:
    """Its token would still be valid for minutes by its own claims."""
    live = live_of(services, wallet)
    if reason == "revoked":
        services.lifecycle.revoke_handle(parse(wallet.account()), live.record.handle)
    elif reason == "everywhere":
        services.lifecycle.revoke_account(parse(wallet.account()))
    elif reason == "limit":
        for _ in range(20):
            ApiClient(app).sign_in(wallet)
    else:
        pass_time(31 * MINUTE if reason == "idle" else 13 * 3600)
        clock.ahead = 0  # so that it is the session's clock that has run out, and not the token's
    code = "session_expired" if reason in ("idle", "absolute") else "session_invalid"
    assert error_of(used.get("/who")) == (401, code, reason)
    assert error_of(used.exchange(used.refresh_token)) == (401, code, reason)


def test_a_token_of_an_account_is_none_of_another_chain_s(
    used: ApiClient, services: Services, wallet: Wallet
) -> None:
    """The same address elsewhere: another account, whatever its index says."""
    live = live_of(services, wallet)
    live.record.account = wallet.account("eip155:10")
    forged = (
        services.part(Api)
        .tokens.issue(live, session_type="standard", network="mainnet", role="member", permissions=[])
        .text
    )
    assert error_of(used.get("/who", bearer=forged)) == (401, "session_invalid", "unknown")


def test_an_account_in_another_spelling_finds_no_session(used: ApiClient, services: Services, wallet: Wallet) -> None:
    account = wallet.account()
    for spelling in (
        account.lower(),
        account.upper(),
        account + " ",
        account.replace("eip155:1:", "eip155:01:"),
        wallet.address,
        "",
        "}{",
        "\0" * 100,
    ):
        forged = forge(services, used.access, claims={"sub": spelling})
        assert error_of(used.get("/who", bearer=forged)) == (401, "session_invalid", "unknown")
    assert used.get("/who", bearer=forge(services, used.access)).status_code == 200


# -- Tokens that a browser has made to show them to others ----------------------------------------------------


@pytest.fixture
def shown(person: Visitor) -> str:
    answer = person.send("POST", TOKEN)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    data = answer.get_json()["data"]
    assert data.keys() == {"session_token", "token_type", "token_expires_at"}
    return str(data["session_token"])


def test_any_caller_may_validate_a_presented_token(
    shown: str, client: ApiClient, person: Visitor, redis: Redis
) -> None:
    """A browser made the token to present it; the answer has no CSRF token."""
    with unchanged(redis):
        data = client.get(VALIDATE, bearer=shown).get_json()["data"]
    assert data["account"] == parts_of(shown)[1]["sub"]
    assert "csrf_token" not in data
    person.sign_out()
    assert error_of(client.get(VALIDATE, bearer=shown)) == (401, "session_invalid", "signed_out")


def test_making_a_token_takes_the_csrf_token_of_the_page(person: Visitor) -> None:
    assert error_of(person.json(TOKEN, "POST"))[:2] == (400, "csrf_failed")


def test_a_token_that_was_shown_does_nothing_else_here(
    shown: str, client: ApiClient, person: Visitor, done: list[str], redis: Redis, pass_time: TimeMachine
) -> None:
    """A script of the page can take it away, and whoever it was shown to has it: it must not be the cookie."""
    handle = parts_of(shown)[1]["sid"]
    pass_time(120)
    with unchanged(redis):
        for method, path in (
            ("GET", "/who"),
            ("GET", "/poll"),
            ("POST", "/change"),
            ("GET", "/transact"),
            ("GET", SESSIONS),
            ("POST", TOKEN),
            ("POST", KEEP_ALIVE),
            ("POST", LOGOUT),
            ("DELETE", f"{SESSIONS}/{handle}"),
            ("DELETE", f"{SESSIONS}?scope=all"),
            ("POST", "/invoices/7/pay"),
        ):
            assert error_of(client.send(method, path, bearer=shown)) == (401, "token_invalid", "token"), path
    assert client.get("/value", bearer=shown).get_json() == {"value": None}, "a visitor"
    assert done == []
    assert person.signed_in


def test_validating_a_token_does_not_rotate_the_session(
    shown: str, client: ApiClient, person: Visitor, wallet: Wallet, services: Services
) -> None:
    roles_of(services).assign(parse(wallet.account()), "admin")
    before = person.session_id
    assert client.get(VALIDATE, bearer=shown).get_json()["data"]["role"] == "admin"
    assert person.session_id == before
    assert person.signed_in


def test_session_token_can_not_be_used_to_get_another(used: ApiClient, pass_time: TimeMachine) -> None:
    """Otherwise a thief could renew a stolen token for as long as the session lives."""
    pass_time(200)
    answer = used.post(TOKEN)
    assert answer.status_code == 201
    data = answer.get_json()["data"]
    assert data["session_token"] == used.access
    assert datetime.fromisoformat(data["token_expires_at"]).timestamp() == parts_of(used.access)[1]["exp"]


# -- Refreshing over HTTP ------------------------------------------------------------------------------------


def test_a_refresh_answers_two_new_tokens_and_the_session(used: ApiClient) -> None:
    before = (used.access, used.refresh_token)
    answer = used.exchange(used.refresh_token)
    assert answer.headers.getlist("Set-Cookie") == []
    assert answer.headers["Cache-Control"] == "no-store"
    data = used.keep(answer)
    assert data["session_token"] != before[0]
    assert data["refresh_token"] != before[1]
    assert data["valid"] is True
    assert data["time_remaining"] >= 1790
    assert used.get("/who").status_code == 200
    assert used.get("/who", bearer=before[0]).status_code == 200, "the token before is good until its end"


def test_a_refresh_decides_permissions_anew(used: ApiClient, wallet: Wallet, services: Services) -> None:
    roles_of(services).assign(parse(wallet.account()), "restricted")
    data = used.refresh()
    assert data["role"] == parts_of(used.access)[1]["role"] == "restricted"
    assert parts_of(used.access)[1]["permissions"] == ["read:profile"]


def test_a_refresh_says_where_the_session_is_used_from(
    used: ApiClient, wallet: Wallet, services: Services, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    """A thief who only refreshes is seen among the devices all the same."""
    pass_time(120)
    happened.clear()
    used.post(
        REFRESH,
        bearer="",
        json={"refresh_token": used.refresh_token},
        environ_base={"REMOTE_ADDR": "203.0.113.9"},
    )
    assert DEVICE.of(live_of(services, wallet).record).ip == "203.0.113.9"
    assert [event.name for event in happened] == ["token.refreshed", "client.changed"]


def test_refresh_leaves_the_cookies_session_alone(used: ApiClient, person: Visitor) -> None:
    before = person.session_id
    answer = person.json(REFRESH, "POST", json={"refresh_token": used.refresh_token})
    assert answer.status_code == 200
    assert session_cookies(answer) == []
    assert person.session_id == before


def test_retry_after_the_grace_keeps_the_session(used: ApiClient, pass_time: TimeMachine) -> None:
    """The old session token is used in between; that does not show that the answer arrived."""
    lost = used.exchange(used.refresh_token).get_json()["data"]
    assert used.get("/who").status_code == 200
    assert used.post(TOKEN).status_code == 201
    pass_time(60)
    used.refresh()
    assert used.refresh_token != lost["refresh_token"]
    assert used.get("/who").status_code == 200


def test_stolen_refresh_token_ends_the_session(
    used: ApiClient, app: Flask, pass_time: TimeMachine, happened: list[events.Event], wallet: Wallet, redis: Redis
) -> None:
    """It ends once both the thief and the owner have used the token."""
    thief = ApiClient(app)
    thief.refresh_token = used.refresh_token
    thief.refresh()
    assert thief.get("/who").status_code == 200
    pass_time(60)
    happened.clear()
    channel = redis.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(f"{REDIS_PREFIX}ended")
    channel.get_message(timeout=5)
    assert error_of(used.exchange(used.refresh_token)) == (401, "session_invalid", "token_reused")
    assert [event.name for event in happened][:2] == ["session.ended", "token.reused"]
    told = channel.get_message(timeout=5)
    channel.close()
    assert told is not None
    assert b"token_reused" in told["data"]
    for client in (thief, used):
        assert error_of(client.get("/who")) == (401, "session_invalid", "token_reused")
        assert error_of(client.exchange(client.refresh_token)) == (401, "session_invalid", "token_reused")


def test_a_token_of_an_older_generation_is_no_sign_of_use(
    used: ApiClient, services: Services, wallet: Wallet
) -> None:
    old = used.access
    used.refresh()
    for bearer, expected in ((old, False), (used.access, True)):
        assert used.get("/poll", bearer=bearer).status_code == 200
        family = FAMILY.of(live_of(services, wallet).record)
        assert family.id
        assert family.used is expected


# -- Contract wallets ----------------------------------------------------------------------------------------


@pytest.fixture
def contract_site(make_app: Callable[..., Flask], node: Relay) -> Flask:
    app = make_app(SESSIONS_CORE_CHAINS=("eip155:1", CHAIN), SESSIONS_CORE_RPC_URLS={CHAIN: node.url + "key"})

    @app.get("/who")
    @signed_in
    def who() -> str:
        return "somebody"

    return app


@pytest.mark.parametrize("by", ["request", "refresh"])
def test_a_contract_is_asked_again_for_a_bearer_as_for_a_cookie(
    contract_site: Flask, evm: Anvil, redis: Redis, clock: Any, by: str
) -> None:
    """A client that only refreshes, and shows its tokens elsewhere, must not get past the contract."""
    wallet, pass_time = ContractWallet(evm).deploy(), TimeMachine(contract_site, redis, clock)
    client = ApiClient(contract_site)
    client.sign_in(wallet)  # type: ignore[arg-type]  # it has what is used of a wallet
    pass_time(14 * MINUTE)
    client.refresh()
    wallet.replace_key(Wallet())
    if by == "request":
        pass_time(4 * MINUTE)
        answer = client.get("/who")
    else:
        pass_time(14 * MINUTE)
        answer = client.exchange(client.refresh_token)
    assert error_of(answer) == (401, "session_invalid", "wallet_revoked")
    assert "session_token" not in answer.get_data(as_text=True)
    assert error_of(client.exchange(client.refresh_token)) == (401, "session_invalid", "wallet_revoked")


# -- Bad bodies ----------------------------------------------------------------------------------------------

JSON = "application/json"
BODIES: list[tuple[str, bytes, str, int]] = [
    ("nothing", b"", JSON, 400),
    ("no object", b"[]", JSON, 400),
    ("null", b"null", JSON, 400),
    ("a field of another type", b'{"message": 1, "challenge": 2, "refresh_token": 3, "account": 4}', JSON, 400),
    ("a field twice", b'{"refresh_token": "a", "refresh_token": "b"}', JSON, 400),
    ("UTF-16", '{"refresh_token": "a"}'.encode("utf-16"), JSON, 400),
    ("UTF-16, and says so", '{"refresh_token": "a"}'.encode("utf-16"), f"{JSON}; charset=utf-16", 415),
    ("no UTF-8", b'{"refresh_token": "\xff"}', JSON, 400),
    ("half a pair", b'{"refresh_token": "\\ud800"}', JSON, 400),
    ("NaN", b'{"refresh_token": NaN, "message": NaN, "account": NaN}', JSON, 400),
    ("cut off", b'{"refresh_token": "a', JSON, 400),
    ("depth", b"[" * 10_000, JSON, 400),
    (
        "10 000 fields",
        b"&".join(b"f%d=1" % number for number in range(10_000)),
        "application/x-www-form-urlencoded",
        0,
    ),
    ("a form", b"refresh_token=a", "application/x-www-form-urlencoded", 415),
    ("text", b'{"refresh_token": "a"}', "text/plain", 415),
    ("no type", b'{"refresh_token": "a"}', "", 415),
    ("20 kB", b'{"refresh_token": "' + b"a" * 20_000 + b'"}', JSON, 413),
]


@pytest.mark.parametrize("path", [SESSIONS, REFRESH])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[0])
def test_a_bad_body_is_refused_and_changes_nothing(
    used: ApiClient, redis: Redis, wallet: Wallet, path: str, body: tuple[str, bytes, str, int]
) -> None:
    _, data, content_type, status = body
    with unchanged(redis):
        answer = used.post(path, bearer=wallet.sign("x"), data=data, content_type=content_type)
    assert answer.status_code in ((status,) if status else (413, 415))
    assert answer.get_json()["error"]["code"] in ("body_malformed", "media_type_unsupported", "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        {"duration": "3600"},
        {"duration": 0},
        {"duration": -1},
        {"duration": 1.5},
        {"duration": 10**12},
        {"permissions": "sign"},
        {"permissions": [1]},
        {"permissions": ["p"] * 65},
        {"permissions": ["p" * 65]},
        {"session_type": ["standard"]},
        {"session_type": "s" * 65},
        {"message": None},
        {"challenge": ["x"]},
        {"remember": "yes"},
    ],
)
def test_malformed_sign_in_option_consumes_no_nonce(
    client: ApiClient, wallet: Wallet, redis: Redis, happened: list[events.Event], body: dict[str, Any]
) -> None:
    with refused(redis, happened, "body_malformed"):
        assert client.attempt(wallet, **body).status_code == 400


# -- Without Redis -------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(Server(tmp_path / "own", "--appendonly", "yes", "--appendfsync", "always")) as server:
        yield server


def test_without_redis_everything_is_503_and_nothing_is_lost(
    server: Server, make_app: Callable[..., Flask], wallet: Wallet
) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    services: Services = app.extensions["sessions_core"]
    client = ApiClient(app)
    client.sign_in(wallet)
    text = client.challenge(account=wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    server.stop()
    for answer in (
        client.get(VALIDATE),
        client.post(KEEP_ALIVE),
        client.get(SESSIONS),
        client.exchange(client.refresh_token),
        client.post(SESSIONS, bearer=wallet.sign(text["message"]), json=body),
    ):
        assert error_of(answer)[:2] == (503, "store_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "WWW-Authenticate" not in answer.headers
    for answer in (
        client.post(LOGOUT),
        client.post(LOGOUT, bearer="", json={"refresh_token": client.refresh_token}),
    ):
        assert error_of(answer)[:2] == (503, "sign_out_incomplete")
    server.start()
    ask_again(link_of(services.repository))
    assert client.get(VALIDATE).status_code == 200
    client.refresh()
    assert client.post(SESSIONS, bearer=wallet.sign(text["message"]), json=body).status_code == 201


def test_tokens_tell_nothing_of_the_session_s_id(used: ApiClient, wallet: Wallet, services: Services) -> None:
    live = live_of(services, wallet)
    header, payload, _ = used.access.split(".")
    for piece in (decode(header), decode(payload), used.refresh_token.encode()):
        assert live.keys.digest.encode() not in piece
    assert account_tag(wallet.account()) in used.refresh_token
    assert ORIGIN.encode() in decode(payload)


def test_linked_accounts_share_a_user_id_in_the_api(
    app: Flask, client: ApiClient, wallet: Wallet, services: Services
) -> None:
    other, linked = ApiClient(app), Wallet()
    client.sign_in(wallet)
    other.sign_in(linked)
    with app.app_context():
        person = linked_accounts_of(services).link(parse(linked.account()), by=parse(wallet.account()))
    for each in (client, other):
        data = each.get("/api/auth/sessions/validate").get_json()["data"]
        assert data["user_id"] == person.id
        assert data["accounts"] == [wallet.account(), linked.account()]
    fresh = ApiClient(app)
    assert fresh.sign_in(linked)["user_id"] == person.id, "the answer to a sign-in says so already"
