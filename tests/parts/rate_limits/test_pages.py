"""429: who gets it, what it says, and that it costs nobody else anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events
from sessions_core.parts.rate_limits.options import RateLimitSettings
from sessions_core.settings import PREFIX

from ...actors import BROWSER_COOKIE, ApiClient, Visitor, Wallet
from ...constants import REDIS_PREFIX
from ...servers import Server, commands_run, running

HERE, THERE = "203.0.113.7", "203.0.113.8"


def at(app: Flask, address: str) -> Visitor:
    """A browser at this address."""
    visitor = Visitor(app)
    visitor.client.environ_base["REMOTE_ADDR"] = address
    return visitor


def ask(visitor: Visitor, wallet: Wallet, **options: object) -> TestResponse:
    """Ask for a text to sign."""
    return visitor.json("/api/auth/challenges", "POST", json={"account": wallet.account()}, **options)


def asked(visitor: Visitor, wallet: Wallet, times: int, **options: object) -> list[int]:
    return [ask(visitor, wallet, **options).status_code for _ in range(times)]


@pytest.fixture
def strict(make_app: Callable[..., Flask]) -> Flask:
    """Two texts and two sign-ins from one address."""
    return make_app(SESSIONS_CORE_CHALLENGES_PER_ADDRESS="2/minute", SESSIONS_CORE_SIGN_INS_PER_ADDRESS="2/minute")


def test_too_many_texts_are_429_with_the_seconds_to_wait(
    strict: Flask, wallet: Wallet, happened: list[events.Event]
) -> None:
    visitor = at(strict, HERE)
    assert asked(visitor, wallet, 2) == [201, 201]
    answer = ask(visitor, wallet)
    assert answer.status_code == 429
    assert 50 <= int(answer.headers["Retry-After"]) <= 60
    error = answer.get_json()["error"]
    assert error["code"] == "rate_limited"
    assert error["request_id"] == answer.headers["X-Request-ID"]
    assert happened == [events.RequestRefused(code="rate_limited", endpoint="sessions_json.create_challenge")]


def test_naming_an_account_does_not_lock_its_owner_out(strict: Flask, wallet: Wallet) -> None:
    attacker, owner = at(strict, HERE), at(strict, THERE)
    assert asked(attacker, wallet, 5)[-1] == 429
    for _ in range(4):
        attacker.post("/sign-in", data={"csrf_token": attacker.token(), "message": wallet.account()})
    owner.sign_in(wallet)
    assert owner.signed_in


def test_address_limit_is_shared_and_each_browser_has_its_own(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_CHALLENGES_PER_ADDRESS="5/minute", SESSIONS_CORE_CHALLENGES_PER_BROWSER="2/minute")
    one, another, third = (at(app, HERE) for _ in range(3))
    for each in (one, another, third):
        each.get("/sign-in")  # gives the cookie
    assert asked(one, wallet, 3) == [201, 201, 429]
    assert asked(another, wallet, 2) == [201, 201]
    assert asked(third, wallet, 1) == [429]  # the sixth of the address


def test_a_planted_second_cookie_is_no_browser(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_CHALLENGES_PER_BROWSER="1/minute")
    visitor = at(app, HERE)
    malformed = {"Cookie": f"{BROWSER_COOKIE}=x"}
    assert asked(visitor, wallet, 3, headers=malformed) == [201, 201, 201]


def test_two_addresses_of_one_64_count_together(strict: Flask, wallet: Wallet) -> None:
    assert asked(at(strict, "2001:db8::1"), wallet, 1) == [201]
    assert asked(at(strict, "2001:db8::2"), wallet, 2) == [201, 429]
    assert asked(at(strict, "2001:db8:0:1::1"), wallet, 1) == [201]


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"]
)
def test_forged_header_does_not_change_the_limited_address(strict: Flask, wallet: Wallet, header: str) -> None:
    visitor = at(strict, HERE)
    answers = [ask(visitor, wallet, headers={header: f"198.51.100.{number}"}) for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]


def test_behind_a_proxy_the_address_that_it_saw_counts(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=1, SESSIONS_CORE_CHALLENGES_PER_ADDRESS="2/minute")
    proxy = at(app, "10.0.0.1")

    def through(client: str, claim: str) -> int:
        return ask(proxy, wallet, headers={"X-Forwarded-For": f"{claim}, {client}"}).status_code

    assert [through(HERE, f"198.51.100.{number}") for number in range(3)] == [201, 201, 429]
    assert through(THERE, HERE) == 201


def test_other_site_can_not_use_up_a_visitors_limit(strict: Flask, wallet: Wallet) -> None:
    visitor = at(strict, HERE)
    hostile = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert asked(visitor, wallet, 5, headers=hostile) == [403] * 5
    assert asked(visitor, wallet, 2) == [201, 201]


# -- The sign-in form --------------------------------------------------------------------------------------------


def test_too_many_sign_ins_show_the_wait_and_consume_no_nonce(
    strict: Flask, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    visitor = at(strict, HERE)
    challenge = visitor.challenge(wallet.account())
    assert [visitor.attempt(wallet, challenge, signature="0x").status_code for _ in range(2)] == [400, 400]
    redis.delete(*redis.scan_iter(f"{REDIS_PREFIX}nonce:*"))
    for key in redis.scan_iter(f"{REDIS_PREFIX}limit:*/sign_ins/*"):
        redis.pexpire(key, 30_000)
    before = set(redis.scan_iter())
    happened.clear()
    answer = visitor.attempt(wallet, challenge, next="/session?a=b")
    assert (answer.status_code, answer.mimetype) == (429, "text/html")
    wait = int(answer.headers["Retry-After"])
    assert 20 <= wait <= 30
    page = answer.get_data(as_text=True)
    assert re.search(r'<wallet-sign-in[^>]*data-state="rate_limited"', page)
    assert f'data-retry-after="{wait}"' in page
    assert 'value="/session?a=b"' in page
    assert set(redis.scan_iter()) == before
    assert happened == [events.RequestRefused(code="rate_limited", endpoint="sessions.sign_in_post")]
    for key in redis.scan_iter(f"{REDIS_PREFIX}limit:*"):
        redis.delete(key)  # a minute later
    assert visitor.attempt(wallet, challenge).status_code == 303


def test_rate_limited_sign_in_keeps_the_current_session(strict: Flask, wallet: Wallet) -> None:
    visitor = at(strict, HERE)
    session = visitor.sign_in(wallet)
    for _ in range(3):
        visitor.post("/sign-in", data={"csrf_token": visitor.token("/session")})
    assert visitor.session_id == session
    assert visitor.signed_in


# -- What it costs -----------------------------------------------------------------------------------------------


def test_ordinary_requests_ask_for_no_counter(strict: Flask, wallet: Wallet, redis: Redis) -> None:
    visitor = at(strict, HERE)
    visitor.sign_in(wallet)
    redis.config_resetstat()
    for path in ("/session", "/sign-in", "/sessions", "/livez"):
        assert visitor.get(path).status_code == 200
    assert visitor.json("/api/auth/sessions/validate").status_code == 200
    assert "incrby" not in commands_run(redis)


def test_rate_limits_work_without_redis(make_app: Callable[..., Flask], wallet: Wallet, tmp_path: Path) -> None:
    """No answer is a 500."""
    with running(Server(tmp_path)) as server:
        app = make_app(
            SESSIONS_CORE_REDIS_URL=server.url,
            SESSIONS_CORE_CHALLENGES_PER_ADDRESS="3/minute",
            SESSIONS_CORE_SIGN_INS_PER_ADDRESS="3/minute",
        )
        visitor = at(app, HERE)
        challenge = visitor.challenge(wallet.account())
        server.stop()
        assert asked(visitor, wallet, 5) == [201, 201, 201, 429, 429]
        answers = [visitor.attempt(wallet, challenge) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [503, 503, 503, 429]
        assert int(answers[-1].headers["Retry-After"]) > 0


def test_default_limits_allow_many_mistakes(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    fields = RateLimitSettings.__dataclass_fields__
    limits = {
        name: field.default for name, field in fields.items() if name.endswith(("_per_address", "_per_browser"))
    }
    app = make_app(**{f"{PREFIX}{name.upper()}": limit for name, limit in limits.items()})
    visitor = at(app, HERE)
    challenge = visitor.challenge(wallet.account())
    answers = [visitor.attempt(wallet, challenge, signature="0x").status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]
    assert asked(visitor, wallet, 60) == [201] * 59 + [429]  # one was asked for above
    Visitor(app).sign_in(Wallet())


# -- Every way in is counted -----------------------------------------------------------------------------------------


def test_json_sign_in_counts_like_the_form(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """A refused attempt consumes no challenge."""
    app = make_app(SESSIONS_CORE_SIGN_INS_PER_ADDRESS="2/minute")
    client = ApiClient(app)
    client.sign_in(wallet)
    client.sign_in(wallet)
    text = client.challenge(account=wallet.account())
    body = {"message": text["message"], "challenge": text["challenge"]}
    signature = wallet.sign(text["message"])
    answer = client.post("/api/auth/sessions", bearer=signature, json=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1


def test_too_many_refreshes_are_refused_and_the_family_lives_on(
    make_app: Callable[..., Flask], wallet: Wallet
) -> None:
    client = ApiClient(make_app(SESSIONS_CORE_REFRESHES_PER_ADDRESS="1/minute"))
    client.sign_in(wallet)
    client.refresh()
    refused = client.post("/api/auth/sessions/refresh", json={"refresh_token": client.refresh_token})
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (429, "rate_limited")
    assert client.get("/api/auth/sessions/validate").status_code == 200


def test_trial_wallet_requests_count_as_challenges(make_app: Callable[..., Flask]) -> None:
    """Making one and signing with it."""
    app = make_app(SESSIONS_CORE_CHALLENGES_PER_ADDRESS="3/minute")
    visitor = Visitor(app)
    token = {"X-CSRFToken": visitor.token()}
    made = visitor.json("/api/auth/wallets", "POST", json={}, headers=token)
    assert made.status_code == 201
    half = made.get_json()["data"]
    text = visitor.challenge(half["account"])
    body = half | {"message": text["message"], "challenge": text["challenge"]}
    assert visitor.json("/api/auth/wallets/sign", "POST", json=body).status_code == 200
    for path, sent in (("/api/auth/wallets/sign", body), ("/api/auth/wallets", {})):
        answer = visitor.json(path, "POST", json=sent, headers=token)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (429, "rate_limited")
