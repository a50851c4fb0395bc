"""The JSON service of the cookie session: challenges, accounts of keys, validate, keep-alive, logout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.parts.internet_computer import canisters
from sessions_core.sign_in import messages
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, SESSION_COOKIE, Visitor, Wallet
from ..canister_signatures import MAINNET_KEY, canister_key
from ..constants import KEEP_ALIVE, VALIDATE
from ..part_services import roles_of
from ..signers import ICP, IcpSigner
from ..snapshot import refused, snapshot, unchanged
from ..time_machine import TimeMachine

LOGOUT = "/api/auth/sessions/logout"
ACCOUNTS = "/api/auth/accounts"
# The seed and the principal that the Internet Computer's own library has for the key of RFC 8410, section 10.1.
RFC8410 = "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
EVERY_KIND = [("ed25519",), ("p256",), ("secp256k1",)]


# -- Challenges ----------------------------------------------------------------------------------------------


def test_a_challenge_is_the_text_the_value_and_when_both_expire(visitor: Visitor, wallet: Wallet) -> None:
    response = visitor.json("/api/auth/challenges", "POST", json={"account": wallet.account()})
    assert response.status_code == 201
    body = response.get_json()
    assert body["success"] is True
    assert set(body["data"]) == {"account", "message", "challenge", "expires_at"}
    text = messages.read(body["data"]["message"])
    assert body["data"]["account"] == wallet.account()
    assert text.expiration_time is not None
    assert datetime.fromisoformat(body["data"]["expires_at"]).timestamp() == messages.seconds(text.expiration_time)


def test_challenge_stores_only_counters_and_sets_no_cookie(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    """The counters are those of the rate limits."""
    visitor.get("/sign-in")
    for _ in range(10):
        response = visitor.post("/api/auth/challenges", json={"account": wallet.account()})
        assert response.headers.getlist("Set-Cookie") == []
    assert snapshot(redis) == {}
    assert redis.dbsize() == 2  # the counters of the address and of the browser
    assert happened == []


def test_asking_for_a_challenge_is_no_activity(
    visitor: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet)
    pass_time(900)
    with unchanged(redis):
        assert visitor.post("/api/auth/challenges", json={"account": wallet.account()}).status_code == 201


def test_any_spelling_of_the_address_gives_the_checksummed_text(visitor: Visitor, wallet: Wallet) -> None:
    for address in (wallet.address, wallet.address.lower(), "0x" + wallet.address[2:].upper()):
        data = visitor.post("/api/auth/challenges", json={"account": f"eip155:1:{address}"}).get_json()["data"]
        assert wallet.address in data["message"]


def test_a_script_may_not_ask_from_another_site(visitor: Visitor, wallet: Wallet) -> None:
    response = visitor.json(
        "/api/auth/challenges", "POST", json={"account": wallet.account()}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert (response.status_code, response.get_json()["error"]["code"]) == (403, "cross_site_request")
    assert "Access-Control-Allow-Origin" not in response.headers


# -- Accounts of keys ------------------------------------------------------------------------------------------


def key_of(signer: IcpSigner) -> str:
    return str(json.loads(signer.sign(""))["publicKey"])


def ask(visitor: Visitor, **body: Any) -> tuple[int, str]:
    """The status, and the account or the code."""
    response = visitor.json(ACCOUNTS, "POST", json={"chain": ICP, "public_key": RFC8410} | body)
    answer = response.get_json()
    return response.status_code, answer["data"]["account"] if answer["success"] else answer["error"]["code"]


@pytest.mark.parametrize("kinds", EVERY_KIND, ids=lambda kinds: kinds[0])
def test_account_matches_the_chains_own_library(visitor: Visitor, kinds: tuple[str]) -> None:
    signer = IcpSigner(kinds)
    assert ask(visitor, public_key=key_of(signer)) == (200, signer.account())


def test_the_key_of_a_canister_has_an_account_as_well(visitor: Visitor) -> None:
    status, account = ask(visitor, public_key=MAINNET_KEY.hex())
    assert (status, parse(account).chain.id) == (200, ICP)


def test_account_lookup_changes_nothing(visitor: Visitor, redis: Redis, happened: list[events.Event]) -> None:
    """It sets no cookie and announces no event."""
    with unchanged(redis):
        response = visitor.json(ACCOUNTS, "POST", json={"chain": ICP, "public_key": RFC8410})
    assert response.headers.getlist("Set-Cookie") == []
    assert set(response.get_json()["data"]) == {"account"}
    assert happened == []


KEYS = {
    "nothing": "",
    "no hex": "xyz",
    "upper case": RFC8410.upper(),
    "half a byte": RFC8410[:-1],
    "blanks": " ".join(RFC8410[at : at + 2] for at in range(0, len(RFC8410), 2)),
    "a line feed after": RFC8410 + "\n",
    "0x": "0x" + RFC8410,
    "digits of another script": "\uff130" + RFC8410[2:],
    "a byte lost": RFC8410[:-2],
    "a byte more": RFC8410 + "00",
    "a raw key": RFC8410[-64:],
    "another curve": RFC8410.replace("2b6570", "2b6571"),
    "a compressed point": "3039301306072a8648ce3d020106082a8648ce3d030107032200" + "02" * 33,
    "a canister's key cut off": canister_key().hex()[:60],
    "a canister's key of another length": canister_key().hex() + "00",
    "a canister's id longer than any": canister_key(canister=b"\1" * 30).hex(),
    "as long as none": "30" * 131,
    "very long": "30" * 7000,
    "not ASCII": "é" * 20,
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_malformed_key_has_its_own_error_code(visitor: Visitor, key: str) -> None:
    assert ask(visitor, public_key=key) == (400, "key_malformed")


@pytest.mark.parametrize(
    "chain",
    [
        "eip155:1",
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
        "icp:" + "0" * 32,
        "icp",
        "",
        "ICP:1",
        "tezos:1",
        ICP + ":x",
    ],
)
def test_chain_without_such_accounts_is_refused(visitor: Visitor, chain: str) -> None:
    """A chain that is not accepted is refused too."""
    assert ask(visitor, chain=chain) == (400, "chain_unsupported")


def test_a_chain_that_this_site_leaves_out_is_refused(make_app: Callable[..., Flask]) -> None:
    visitor = Visitor(make_app(SESSIONS_CORE_CHAINS=("eip155:1",)))
    assert ask(visitor) == (400, "chain_unsupported")


def test_without_the_library_canister_keys_are_unsupported(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canisters, "available", lambda: False)
    assert ask(visitor, public_key=canister_key().hex()) == (400, "canister_signature_unsupported")
    assert ask(visitor)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"chain": ICP},
        {"public_key": RFC8410},
        {"chain": 1, "public_key": RFC8410},
        {"chain": ICP, "public_key": 7},
        {"chain": ICP, "public_key": None},
        {"chain": ICP, "public_key": [RFC8410]},
        [],
        "text",
    ],
)
def test_a_body_without_a_chain_and_a_key_is_refused(visitor: Visitor, body: Any) -> None:
    response = visitor.json(ACCOUNTS, "POST", json=body)
    assert (response.status_code, response.get_json()["error"]["code"]) == (400, "body_malformed")


def test_too_large_body_and_other_media_types_are_refused(visitor: Visitor) -> None:
    assert ask(visitor, public_key="30" * 20_000) == (413, "body_too_large")
    response = visitor.json(ACCOUNTS, "POST", data={"chain": ICP, "public_key": RFC8410})
    assert (response.status_code, response.get_json()["error"]["code"]) == (415, "media_type_unsupported")


def test_other_site_may_not_look_up_the_account_of_a_key(visitor: Visitor) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = visitor.json(ACCOUNTS, "POST", json={"chain": ICP, "public_key": RFC8410}, headers=headers)
    assert (response.status_code, response.get_json()["error"]["code"]) == (403, "cross_site_request")


# -- Validate ------------------------------------------------------------------------------------------------


def test_validate_says_until_when_the_session_lives(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    body = visitor.json(VALIDATE).get_json()
    assert body["success"] is True
    data = body["data"]
    assert data["valid"] is True
    assert data["account"] == wallet.account()
    assert 1790 <= data["time_remaining"] <= 1800
    assert data["expires_at"] == data["idle_expires_at"] < data["absolute_expires_at"]


def test_validate_never_extends(
    visitor: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    visitor.sign_in(wallet)
    first = visitor.json(VALIDATE).get_json()["data"]
    happened.clear()
    for _ in range(3):
        pass_time(500)
        with unchanged(redis):
            assert visitor.json(VALIDATE).status_code == 200
    left = visitor.json(VALIDATE).get_json()["data"]["time_remaining"]
    assert abs(first["time_remaining"] - 1500 - left) <= 2
    pass_time(310)
    answer = visitor.json(VALIDATE)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "session_expired")
    assert answer.get_json()["error"]["reason"] == "idle"
    assert happened == []


def test_validate_without_a_session_says_no_token(visitor: Visitor, happened: list[events.Event]) -> None:
    answer = visitor.json(VALIDATE)
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "no_token")
    assert happened == []


def test_validate_shows_verification_only_while_it_lasts(
    visitor: Visitor, wallet: Wallet, services: Services
) -> None:
    account = parse(wallet.account())
    roles_of(services).verify(account, "lic_2041_77", "licensed", 30)
    visitor.sign_in(wallet)
    assert not {"professional_id", "verification_level"} & visitor.json(VALIDATE).get_json()["data"].keys()
    visitor.sign_in(wallet, session_type="professional")

    def who() -> tuple[str, str | None, str | None]:
        data = visitor.json(VALIDATE).get_json()["data"]
        return data["session_type"], data["professional_id"], data["verification_level"]

    assert who() == ("professional", "lic_2041_77", "licensed")
    roles_of(services).revoke_verification(account)
    assert who() == ("professional", None, None)


# -- Keep alive ----------------------------------------------------------------------------------------------


def test_keep_alive_restarts_the_idle_clock_only(
    visitor: Visitor, wallet: Wallet, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    """The absolute end never moves."""
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    pass_time(1500)
    before = visitor.json(VALIDATE).get_json()["data"]
    happened.clear()
    response = visitor.json(KEEP_ALIVE, "POST", headers={"X-CSRFToken": token})
    after = response.get_json()["data"]
    assert response.status_code == 200
    assert before["time_remaining"] <= 300
    assert after["time_remaining"] >= 1790
    assert after["absolute_expires_at"] == before["absolute_expires_at"]
    assert [event.name for event in happened] == ["session.renewed"]
    assert response.headers.getlist("Set-Cookie") == []


def test_keep_alive_stops_at_the_absolute_end(
    make_app: Callable[..., Flask], redis: Redis, clock: object, wallet: Wallet
) -> None:
    app = make_app(SESSIONS_CORE_IDLE_SECONDS=600, SESSIONS_CORE_ABSOLUTE_SECONDS=900)
    pass_time = TimeMachine(app, redis, clock)  # type: ignore[arg-type]
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    headers = {"X-CSRFToken": visitor.token("/session")}
    pass_time(500)
    assert visitor.json(KEEP_ALIVE, "POST", headers=headers).get_json()["data"]["time_remaining"] <= 400
    pass_time(401)
    answer = visitor.json(KEEP_ALIVE, "POST", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "absolute")


def test_keep_alive_form_returns_to_the_page_it_came_from(
    visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    """But never to another site."""
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    pass_time(1000)
    page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for target, location in (("/a?b=c", "/a?b=c"), ("//evil.example", "/session"), ("", "/session")):
        response = visitor.post(KEEP_ALIVE, data={"csrf_token": token, "next": target}, headers=page)
        assert (response.status_code, response.headers["Location"]) == (303, location)
    assert visitor.json(VALIDATE).get_json()["data"]["time_remaining"] >= 1790


def test_keep_alive_without_its_token_extends_nothing(
    visitor: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    visitor.sign_in(wallet)
    pass_time(1000)
    with refused(redis, happened, "csrf_failed"):
        answer = visitor.json(KEEP_ALIVE, "POST")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "csrf_failed")


def test_keep_alive_of_an_ended_session_says_why(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    headers = {"X-CSRFToken": visitor.token("/session")}
    copy = Visitor(app)
    copy.session_id = visitor.session_id
    copy.sign_out()
    answer = visitor.json(KEEP_ALIVE, "POST", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "session_invalid")
    assert answer.get_json()["error"]["reason"] == "signed_out"


def test_keep_alive_without_a_session_is_401(visitor: Visitor) -> None:
    assert visitor.json(KEEP_ALIVE, "POST").status_code == 401
    response = visitor.post(KEEP_ALIVE, headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")


# -- Logout --------------------------------------------------------------------------------------------------


def test_logout_ends_the_session_and_clears_the_browser(
    app: Flask, visitor: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    copy = Visitor(app)
    copy.session_id = visitor.sign_in(wallet)
    headers = {"X-CSRFToken": visitor.token("/session")}
    happened.clear()
    response = visitor.json(LOGOUT, "POST", headers=headers)
    assert (response.status_code, response.get_json()) == (200, {"success": True, "data": {"signed_out": True}})
    assert "Clear-Site-Data" not in response.headers
    assert visitor.client.get_cookie(SESSION_COOKIE) is None
    assert not copy.signed_in
    (event,) = happened
    assert isinstance(event, events.SessionEnded)
    assert event.reason == "signed_out"


def test_logout_is_idempotent(visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]) -> None:
    visitor.sign_in(wallet)
    headers = {"X-CSRFToken": visitor.token("/session")}
    assert visitor.json(LOGOUT, "POST", headers=headers).status_code == 200
    happened.clear()
    with unchanged(redis):
        for each in (headers, {}, headers):
            answer = visitor.json(LOGOUT, "POST", headers=each)
            assert (answer.status_code, answer.get_json()["success"]) == (200, True)
    assert happened == []


def test_logout_with_a_forged_cookie_succeeds(app: Flask, visitor: Visitor, redis: Redis) -> None:
    """The cookie is deleted; a visitor without one gets the same answer."""
    assert visitor.json(LOGOUT, "POST").status_code == 200
    visitor.session_id = "A" * 55
    with unchanged(redis):
        assert visitor.json(LOGOUT, "POST").status_code == 200
    assert visitor.client.get_cookie(SESSION_COOKIE) is None


def test_logout_needs_the_token_of_its_session(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    visitor.sign_in(wallet)
    for headers in ({}, {"X-CSRFToken": "x"}):
        with refused(redis, happened, "csrf_failed"):
            answer = visitor.json(LOGOUT, "POST", headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "csrf_failed")
        assert "Clear-Site-Data" not in answer.headers
    assert visitor.signed_in


def test_failed_logout_is_reported(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet, happened: list[events.Event]
) -> None:
    from sessions_core.parts.development_redis import embedded

    server = embedded.start(tmp_path / "redis")
    visitor = Visitor(make_app(SESSIONS_CORE_REDIS_URL=server.url))
    visitor.sign_in(wallet)
    headers = {"X-CSRFToken": visitor.token("/session")}
    server.stop()
    happened.clear()
    answer = visitor.json(LOGOUT, "POST", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "sign_out_incomplete")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Clear-Site-Data" not in answer.headers
    assert visitor.client.get_cookie(SESSION_COOKIE) is not None
    assert [getattr(event, "code", None) for event in happened] == ["sign_out_incomplete"]


def test_logout_keeps_all_other_sessions(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    phone, stranger = Visitor(app), Visitor(app)
    for each, key in ((visitor, wallet), (phone, wallet), (stranger, Wallet())):
        each.sign_in(key)
    visitor.sign_out()
    assert phone.signed_in
    assert stranger.signed_in


# -- The envelope --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", VALIDATE, 401, "no_token"),
        ("POST", KEEP_ALIVE, 401, "no_token"),
        ("POST", "/api/auth/challenges", 415, "media_type_unsupported"),
        ("GET", "/api/auth/challenges", 405, "method_not_allowed"),
        ("GET", "/api/auth/nothing", 404, "not_found"),
        ("GET", "/api/auth/", 404, "not_found"),
        ("GET", "/api/nothing", 404, "not_found"),
    ],
)
def test_every_failure_of_the_service_is_the_same_envelope(
    visitor: Visitor, method: str, path: str, status: int, code: str
) -> None:
    response = visitor.client.open(path, method=method, base_url="http://localhost:5000")
    assert (response.status_code, response.mimetype) == (status, "application/json")
    body = response.get_json()
    assert set(body) == {"success", "error"}
    assert body["error"]["code"] == code
    assert re.fullmatch("[0-9a-f]{16}", body["error"]["request_id"])


def test_pre_sign_in_cookie_is_set_by_the_page_only(visitor: Visitor, wallet: Wallet) -> None:
    """A client without cookies gets a challenge for the API."""
    visitor.post("/api/auth/challenges", json={"account": wallet.account()})
    assert visitor.client.get_cookie(BROWSER_COOKIE) is None
