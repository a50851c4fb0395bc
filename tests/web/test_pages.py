"""The pages, end to end: real Redis, real keys, forms as browsers send them, and everything that is no such form."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask import Flask, redirect, session
from redis import Redis
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from sessions_core import errors, events, public, signed_in
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.internet_computer import canisters
from sessions_core.sessions import end_reasons
from sessions_core.sign_in import verifiers
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services
from sessions_core.web.sign_in import display_name

from ..actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, Visitor, Wallet, handle_of
from ..answers import code_on_page as code_of
from ..answers import data_of
from ..changed_texts import CHANGES
from ..constants import REDIS_PREFIX
from ..ethereum_signatures import other_encodings
from ..hostile import CROSS_SITE, HOSTILE_NEXT
from ..snapshot import refused, snapshot, unchanged
from ..stored import link_of
from ..time_machine import Clock, TimeMachine, ask_again

REASONS = tuple(end_reasons.with_pages())


def with_cookie(app: Flask, cookie: str, path: str = "/api/auth/sessions/validate", **headers: str) -> TestResponse:
    """What a client with exactly this Cookie header gets."""
    client = app.test_client(use_cookies=False)
    return client.get(path, base_url=ORIGIN, headers={"Cookie": cookie} | headers)


def form_of(visitor: Visitor, wallet: Wallet) -> dict[str, str]:
    """The form that this visitor's page would send, signed."""
    challenge = visitor.challenge(wallet.account())
    return {
        "message": challenge["message"],
        "challenge": challenge["challenge"],
        "signature": wallet.sign(challenge["message"]),
        "csrf_token": visitor.token(),
    }


# -- The way it is meant ---------------------------------------------------------------------------------------


def test_a_wallet_signs_in_lives_in_a_session_and_signs_out(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    page = visitor.get("/session")
    assert page.status_code == 200
    assert wallet.address in page.get_data(as_text=True)
    response = visitor.sign_out()
    assert response.status_code == 303
    assert response.headers["Location"] == "/signed-out"
    assert visitor.client.get_cookie(SESSION_COOKIE) is None
    assert not visitor.signed_in


def test_a_sign_in_makes_one_event_and_goes_to_the_session(
    visitor: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    response = visitor.attempt(wallet)
    assert (response.status_code, response.headers["Location"]) == (303, "/session")
    (event,) = happened
    assert isinstance(event, events.SessionCreated)
    assert (event.account, event.session_type) == (wallet.account(), "standard")
    assert event.handle.startswith("sess_")


def length(data: dict[str, Any]) -> float:
    """How many seconds the session has in all, at most, from now on."""
    end, now = (datetime.fromisoformat(data[name]) for name in ("absolute_expires_at", "now"))
    return (end - now).total_seconds()


@pytest.mark.parametrize(("asked", "seconds"), [("600", 600), ("1", 120), ("99999999", 43_200)])
def test_form_can_shorten_but_not_lengthen_the_session(
    visitor: Visitor, wallet: Wallet, asked: str, seconds: int
) -> None:
    visitor.sign_in(wallet, duration=asked)
    data = data_of(visitor)
    assert seconds - 5 < length(data) <= seconds
    assert data["time_remaining"] <= min(seconds, 1800)


def test_form_can_drop_but_not_add_permissions(visitor: Visitor, wallet: Wallet) -> None:
    form = MultiDict(form_of(visitor, wallet))
    form.setlist("permissions", ["sign", "read:profile", "test-only", "manage:sessions", "admin", ""])
    assert visitor.post("/sign-in", data=form).status_code == 303
    assert data_of(visitor)["permissions"] == ["sign", "read:profile"]


@pytest.mark.parametrize("kind", ["anonymous", "professional", "root", "standard "])
def test_session_type_the_account_may_not_have_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event], kind: str
) -> None:
    """An anonymous session needs a proof that names no account, so no wallet's signature gives one.

    The signed text stays valid for another type.
    """
    form = form_of(visitor, wallet)
    with refused(redis, happened, "permission_denied"):
        answer = visitor.post("/sign-in", data=form | {"session_type": kind})
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (303, [])
    assert answer.headers["Location"] == f"/unauthorized?session_type={quote_plus(kind)}"
    assert not visitor.signed_in
    assert visitor.post("/sign-in", data=form).status_code == 303
    assert visitor.signed_in


def test_the_line_feeds_of_a_form_may_be_those_of_a_browser(visitor: Visitor, wallet: Wallet) -> None:
    form = form_of(visitor, wallet)
    assert visitor.post("/sign-in", data=form | {"message": form["message"].replace("\n", "\r\n")}).status_code == 303


def test_session_cookie_has_every_flag(visitor: Visitor, wallet: Wallet) -> None:
    """It ends with the browser."""
    device, cookie = visitor.attempt(wallet).headers.getlist("Set-Cookie")
    assert device.startswith("__Host-device=")
    assert re.fullmatch(
        r"__Host-session=[A-Za-z0-9_-]{55}; Secure; HttpOnly; Path=/; SameSite=Lax",
        cookie,
    )


def test_remember_me_keeps_the_cookie_until_the_absolute_end(visitor: Visitor, wallet: Wallet) -> None:
    cookies = visitor.attempt(wallet, remember="1").headers.getlist("Set-Cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-device", SESSION_COOKIE, BROWSER_COOKIE]
    for cookie in cookies[1:]:
        found = re.search(r"Max-Age=(\d+)", cookie)
        assert found
        assert 43_190 <= int(found[1]) <= 43_200


@pytest.mark.parametrize("remember", ["0", "true", "on", "", "1 ", "2"])
def test_only_the_ticked_box_remembers(visitor: Visitor, wallet: Wallet, remember: str) -> None:
    _, cookie = visitor.attempt(wallet, remember=remember).headers.getlist("Set-Cookie")
    assert "Max-Age" not in cookie
    assert "Expires" not in cookie


def test_the_pre_sign_in_cookie_has_every_flag_and_comes_once(visitor: Visitor) -> None:
    (cookie,) = visitor.get("/sign-in").headers.getlist("Set-Cookie")
    assert re.fullmatch(r"__Host-browser=[A-Za-z0-9_-]{43}; Secure; HttpOnly; Path=/; SameSite=Lax", cookie)
    assert visitor.get("/sign-in").headers.getlist("Set-Cookie") == []


def test_a_page_that_only_reads_sets_no_cookie(visitor: Visitor, wallet: Wallet) -> None:
    assert visitor.get("/").headers.getlist("Set-Cookie") == []
    visitor.sign_in(wallet)
    for path in ("/", "/session", "/sign-out", "/nothing", "/sessions_core/static/lib/clock.js"):
        with visitor.get(path) as response:
            assert response.headers.getlist("Set-Cookie") == []


def test_sign_out_deletes_the_cookie_with_its_attributes(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    response = visitor.sign_out()
    cookies = {cookie.partition("=")[0]: cookie for cookie in response.headers.getlist("Set-Cookie")}
    assert set(cookies) == {"__Host-session", "__Host-browser", "__Host-ended"}
    for name, cookie in cookies.items():
        assert cookie.startswith(f"{name}=;") == (name != "__Host-ended")
        age = "Max-Age=3600" if name == "__Host-ended" else "Max-Age=0"
        for attribute in (age, "Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
            assert attribute in cookie
        assert "Domain" not in cookie
    # It would empty what the application stored, and hold the answer up while a full cache is emptied.
    assert "Clear-Site-Data" not in response.headers


def test_strict_cookies_by_setting(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    visitor = Visitor(make_app(SESSIONS_CORE_COOKIE_SAMESITE="Strict"))
    cookies = visitor.get("/sign-in").headers.getlist("Set-Cookie")
    cookies += visitor.attempt(wallet).headers.getlist("Set-Cookie")
    assert len(cookies) == 3
    assert all("SameSite=Strict" in cookie for cookie in cookies)


def test_insecure_development_cookies_have_other_names(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    visitor = Visitor(make_app(SESSIONS_CORE_COOKIE_SECURE=False))
    (first,) = visitor.get("/sign-in").headers.getlist("Set-Cookie")
    device, second = visitor.attempt(wallet).headers.getlist("Set-Cookie")
    assert first.startswith("browser=")
    assert device.startswith("device=")
    assert second.startswith("session=")
    assert "Secure" not in first + device + second
    assert "HttpOnly" in first
    assert "HttpOnly" in second
    assert visitor.signed_in


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://app.example.org", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://app.example.org"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("referer", [None, "https://app.example.org/sign-in", "https://other.example/"])
def test_an_https_site_signs_people_in(
    make_app: Callable[..., Flask], wallet: Wallet, headers: dict[str, str], referer: str | None
) -> None:
    """A Referer decides nothing: proxies and browsers leave it out, and Origin and Sec-Fetch-Site say more."""
    origin = "https://app.example.org"
    headers = headers | ({"Referer": referer} if referer else {})
    client = make_app(SESSIONS_CORE_DEVELOPMENT=False, SESSIONS_CORE_PUBLIC_ORIGIN=origin).test_client()
    page = client.get("/sign-in", base_url=origin).get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    challenge = client.post(
        "/api/auth/challenges", base_url=origin, json={"account": wallet.account()}, headers=headers
    ).get_json()["data"]
    form = challenge | {"signature": wallet.sign(challenge["message"]), "csrf_token": token[1]}
    assert (
        client.post("/sign-in", base_url=origin, data=form | {"csrf_token": ""}, headers=headers).status_code == 400
    )
    response = client.post("/sign-in", base_url=origin, data=form, headers=headers)
    assert response.status_code == 303
    assert "Secure" in response.headers["Set-Cookie"]


# -- Challenges over HTTP ----------------------------------------------------------------------------------------


def test_one_nonce_mints_one_session_under_a_race(app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    form = form_of(visitor, wallet)
    browser = visitor.client.get_cookie(BROWSER_COOKIE)
    assert browser
    verifiers.warm("eip155")
    racers = [Visitor(app) for _ in range(20)]
    for racer in racers:
        racer.client.set_cookie(BROWSER_COOKIE, browser.value, secure=True)
    barrier = threading.Barrier(len(racers))
    statuses: list[int] = []

    def race(racer: Visitor) -> None:
        barrier.wait()
        statuses.append(racer.post("/sign-in", data=form).status_code)

    threads = [threading.Thread(target=race, args=(racer,)) for racer in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [400] * 19
    assert len(redis.keys(f"{REDIS_PREFIX}*:session:*")) == 1
    assert sum(racer.client.get_cookie(SESSION_COOKIE) is not None for racer in racers) == 1


def test_a_replayed_form_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    assert visitor.post("/sign-in", data=form).status_code == 303
    visitor.client.delete_cookie(SESSION_COOKIE)
    form["csrf_token"] = visitor.token()
    with refused(redis, happened, "challenge_used"):
        response = visitor.post("/sign-in", data=form)
    assert (response.status_code, code_of(response)) == (400, "challenge_used")
    assert not visitor.signed_in


def test_challenges_of_several_tabs_are_open_at_once(visitor: Visitor, wallet: Wallet) -> None:
    first, second = (visitor.challenge(wallet.account()) for _ in range(2))
    assert visitor.attempt(wallet, first).status_code == 303
    assert visitor.attempt(wallet, second).status_code == 303


def test_challenge_is_consumed_even_by_a_wrong_signature(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    challenge = visitor.challenge(wallet.account())
    with refused(redis, happened, "signature_mismatch", spent=1):
        response = visitor.attempt(wallet, challenge, signature=Wallet().sign(challenge["message"]))
    assert (response.status_code, code_of(response)) == (400, "signature_mismatch")
    event = happened[0]
    assert isinstance(event, events.SignInFailed)
    assert event.account == wallet.account()
    with refused(redis, happened, "challenge_used"):
        assert visitor.attempt(wallet, challenge).status_code == 400


def test_a_challenge_of_another_browser_is_refused(
    app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    challenge = Visitor(app).challenge(wallet.account())
    with refused(redis, happened, "challenge_foreign"):
        response = visitor.attempt(wallet, challenge)
    assert (response.status_code, code_of(response)) == (400, "challenge_foreign")


def test_a_challenge_for_the_api_is_refused_by_the_page(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    challenge = visitor.json("/api/auth/challenges", "POST", json={"account": wallet.account()}).get_json()["data"]
    with refused(redis, happened, "challenge_foreign"):
        response = visitor.attempt(wallet, challenge)
    assert (response.status_code, code_of(response)) == (400, "challenge_foreign")


def test_an_expired_challenge_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, clock: Clock, happened: list[events.Event]
) -> None:
    challenge = visitor.challenge(wallet.account())
    clock.ahead += 300
    with refused(redis, happened, "challenge_expired"):
        response = visitor.attempt(wallet, challenge)
    assert (response.status_code, code_of(response)) == (400, "challenge_expired")
    assert 'data-state="nonce_expired"' in response.get_data(as_text=True)


def test_a_tampered_challenge_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    value = form["challenge"]
    for changed in ("", value[1:], value[:-2], value + ".x", value.swapcase(), "\0", "\u00e9", "a" * 1025):
        with refused(redis, happened, "challenge_malformed"):
            response = visitor.post("/sign-in", data=form | {"challenge": changed})
        assert (response.status_code, code_of(response)) == (400, "challenge_malformed")


@pytest.mark.parametrize(
    ("error", "change"), [each for name, each in CHANGES.items() if name not in ("CR LF", "a lone surrogate")]
)
def test_changed_text_is_refused_with_a_precise_error(
    visitor: Visitor,
    wallet: Wallet,
    redis: Redis,
    happened: list[events.Event],
    error: type[errors.SessionsError],
    change: Callable[[str], str],
) -> None:
    challenge = visitor.challenge(wallet.account())
    with refused(redis, happened, error.code):
        response = visitor.attempt(wallet, challenge, message=change(challenge["message"]))
    assert (response.status_code, code_of(response)) == (400, error.code)
    assert visitor.client.get_cookie(SESSION_COOKIE) is None


def test_text_changed_in_any_byte_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    text = form["message"]
    with unchanged(redis):
        for at, byte in enumerate(text):
            changed = text[:at] + ("\0" if byte == "x" else "x") + text[at + 1 :]
            response = visitor.post("/sign-in", data=form | {"message": changed, "signature": wallet.sign(changed)})
            assert response.status_code == 400
    assert len(happened) == len(text)
    assert all(isinstance(event, events.SignInFailed) for event in happened)
    assert visitor.post("/sign-in", data=form).status_code == 303


def test_carriage_returns_alone_are_no_line_feeds(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    for changed in (form["message"].replace("\n", "\r"), form["message"].replace("\n", "\r\r\n")):
        with refused(redis, happened, "message_malformed"):
            assert visitor.post("/sign-in", data=form | {"message": changed}).status_code == 400


def test_bytes_that_are_no_utf_8_are_no_text(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    body = (
        f"csrf_token={form['csrf_token']}&challenge={form['challenge']}&signature={form['signature']}&message=%ff%fe"
    )
    with refused(redis, happened, "message_malformed"):
        response = visitor.post("/sign-in", data=body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400


def _encodings() -> Iterator[tuple[str, str]]:
    message = "text"
    yield from other_encodings(Wallet().sign(message)).items()
    yield "empty", ""
    yield "not hex", "0x" + "g" * 130
    yield "not ASCII", "0x" + "\u00e9" * 130
    yield "too long", "0x" + "0" * (verifiers.max_signature() - 1)
    yield "a JSON list", '["0x00"]'


@pytest.mark.parametrize("signature", [pytest.param(each, id=name) for name, each in _encodings()])
def test_a_signature_in_any_other_encoding_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event], signature: str
) -> None:
    challenge = visitor.challenge(wallet.account())
    reached = len(signature) <= verifiers.verifier("eip155").max_signature
    # What no key can have made, because it is too long, may be a contract's.
    of_a_contract = reached and re.fullmatch("0x([0-9a-f]{2}){66,}", signature) is not None
    code = "contract_wallet_unsupported" if of_a_contract else "signature_malformed"
    with refused(redis, happened, code, spent=1 if reached else 0):
        response = visitor.attempt(wallet, challenge, signature=signature)
    assert (response.status_code, code_of(response)) == (400, code)


def test_empty_or_wrong_form_is_refused(visitor: Visitor, redis: Redis, happened: list[events.Event]) -> None:
    token = visitor.token()
    for form in ({}, {"account": "x"}, {"message": ""}, {"Message": "x", "CHALLENGE": "y"}):
        with refused(redis, happened, "challenge_malformed"):
            assert visitor.post("/sign-in", data=form | {"csrf_token": token}).status_code == 400


def test_fields_in_the_query_are_not_the_form(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    with refused(redis, happened, "csrf_failed"):
        assert visitor.post("/sign-in", query_string=form).status_code == 400


def test_a_json_body_is_not_the_form(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    headers = {"X-CSRFToken": form["csrf_token"]}
    with refused(redis, happened, "challenge_malformed"):
        assert visitor.post("/sign-in", json=form, headers=headers).status_code == 400


def test_refused_sign_in_says_what_to_do_without_echo(visitor: Visitor, wallet: Wallet) -> None:
    """The page repeats no field of the form."""
    challenge = visitor.challenge(wallet.account())
    form = {"csrf_token": visitor.token(), "signature": "0x<script>alert(1)</script>", "wallet": "<b>Wallet</b>"}
    response = visitor.post("/sign-in", data=challenge | form)
    assert code_of(response) == "signature_malformed"
    page = response.get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<b>Wallet" not in page
    assert challenge["challenge"] not in page
    assert challenge["message"] not in page


# -- Where people are sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", HOSTILE_NEXT, ids=lambda target: ascii(target[:30]))
def test_a_hostile_next_sends_people_to_their_session_instead(visitor: Visitor, wallet: Wallet, target: str) -> None:
    page = visitor.get("/sign-in", query_string={"next": target})
    assert page.status_code == 200
    assert "evil.example" not in unescape(page.get_data(as_text=True))
    response = visitor.attempt(wallet, next=target)
    assert (response.status_code, response.headers["Location"]) == (303, "/session")
    signed_out = visitor.get("/signed-out", query_string={"next": target}).get_data(as_text=True)
    assert "evil.example" not in unescape(signed_out)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/session",
        "/a/b?c=d&e=%2F%2Fevil.example#f",
        "/%2F%2Fevil.example",
        "/@evil.example",
        "/a//b",
        "/" + "a" * 500,
    ],
)
def test_a_path_on_this_site_is_where_people_go_on(visitor: Visitor, wallet: Wallet, target: str) -> None:
    response = visitor.attempt(wallet, next=target)
    assert (response.status_code, response.headers["Location"]) == (303, target)


def test_private_page_is_shown_after_the_sign_in(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    @app.get("/private/<name>")
    @signed_in
    def private(name: str) -> str:
        return name

    response = visitor.get("/private/a?b=c&d=//e")
    assert response.status_code == 303
    assert response.headers["Location"] == "/sign-in?next=/private/a?b%3Dc%26d%3D//e"
    page = visitor.get(response.headers["Location"]).get_data(as_text=True)
    found = re.search(r'name="next" value="([^"]*)"', page)
    assert found
    assert unescape(found[1]) == "/private/a?b=c&d=//e"
    assert visitor.attempt(wallet, next=unescape(found[1])).headers["Location"] == "/private/a?b=c&d=//e"


# -- Forms that are not ours -------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
def test_form_from_another_site_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event], headers: dict[str, str]
) -> None:
    """All its fields are right."""
    form = form_of(visitor, wallet)
    for path in ("/sign-in", "/sign-out", "/api/auth/sessions/logout", "/api/auth/challenges"):
        with refused(redis, happened, "cross_site_request"):
            response = visitor.post(path, data=form, headers={"Accept": "text/html"} | headers)
        assert (response.status_code, code_of(response)) == (403, "cross_site_request")


def test_typed_address_and_old_browser_count_as_this_site(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    form = form_of(visitor, wallet)
    assert visitor.client.post("/sign-in", base_url=ORIGIN, data=form).status_code == 303
    assert (
        visitor.post("/sign-in", data=form_of(visitor, wallet), headers={"Sec-Fetch-Site": "none"}).status_code == 303
    )


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "\0", "\u00e9", "a" * 5000])
def test_a_form_without_its_token_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event], token: str | None
) -> None:
    form = form_of(visitor, wallet)
    del form["csrf_token"]
    with refused(redis, happened, "csrf_failed"):
        response = visitor.post("/sign-in", data=form if token is None else form | {"csrf_token": token})
    assert (response.status_code, code_of(response)) == (400, "csrf_failed")


def test_the_token_of_another_browser_is_refused(
    app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet) | {"csrf_token": Visitor(app).token()}
    with refused(redis, happened, "csrf_failed"):
        assert visitor.post("/sign-in", data=form).status_code == 400


def test_an_attacker_s_sign_in_can_not_be_forced_on_a_victim(
    app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    """Login CSRF: everything the attacker can prepare is theirs, and none of it is of the victim's browser."""
    form = form_of(Visitor(app), wallet)
    visitor.get("/sign-in")
    with refused(redis, happened, "csrf_failed"):
        assert visitor.client.post("/sign-in", base_url=ORIGIN, data=form).status_code == 400
    with refused(redis, happened, "challenge_foreign"):
        assert visitor.post("/sign-in", data=form | {"csrf_token": visitor.token()}).status_code == 400
    assert visitor.client.get_cookie(SESSION_COOKIE) is None


def test_a_visitor_s_token_is_nothing_once_they_are_signed_in(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    token = visitor.token()
    visitor.sign_in(wallet)
    for path in ("/sign-out", "/api/auth/sessions/keep-alive", "/api/auth/sessions/logout"):
        with refused(redis, happened, "csrf_failed"):
            assert visitor.post(path, data={"csrf_token": token}).status_code == 400
    assert visitor.signed_in


def test_the_token_of_another_session_is_refused(
    app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    other = Visitor(app)
    other.sign_in(wallet)
    token = other.token("/session")
    visitor.sign_in(wallet)
    with refused(redis, happened, "csrf_failed"):
        assert visitor.post("/sign-out", data={"csrf_token": token}).status_code == 400
    assert visitor.signed_in


def test_csrf_token_of_an_earlier_session_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    visitor.sign_in(wallet)
    with refused(redis, happened, "csrf_failed"):
        assert visitor.post("/sign-out", data={"csrf_token": token}).status_code == 400


def test_an_old_form_still_works_while_its_session_lives(
    visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    for _ in range(4):
        pass_time(25 * 60)
        assert visitor.get("/session").status_code == 200
    assert visitor.post("/sign-out", data={"csrf_token": token}).status_code == 303


def test_link_does_not_sign_out(visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    visitor.sign_in(wallet)
    with unchanged(redis):
        assert visitor.get("/sign-out").status_code == 200
        assert visitor.get("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert visitor.signed_in


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X-HTTP-Method-Override": "POST"}},
        {"headers": {"X-HTTP-Method": "POST"}},
        {"headers": {"X-Method-Override": "POST"}},
        {"query_string": {"_method": "POST"}},
    ],
    ids=str,
)
def test_a_get_does_not_become_a_post(
    visitor: Visitor, wallet: Wallet, redis: Redis, options: dict[str, Any]
) -> None:
    visitor.sign_in(wallet)
    with unchanged(redis):
        assert visitor.get("/sign-out", **options).status_code == 200
        assert visitor.get("/api/auth/sessions/logout", **options).status_code == 405
    assert visitor.signed_in


def test_nul_bytes_anywhere_are_refused_and_change_nothing(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    form = form_of(visitor, wallet)
    for field, code in (
        ("message", "message_malformed"),
        ("challenge", "challenge_malformed"),
        ("csrf_token", "csrf_failed"),
    ):
        with refused(redis, happened, code):
            assert visitor.post("/sign-in", data=form | {field: form[field] + "\0"}).status_code == 400
    with refused(redis, happened, "signature_malformed", spent=1):
        assert visitor.post("/sign-in", data=form | {"signature": form["signature"][:-1] + "\0"}).status_code == 400
    for path in ("/%00", "/sign-in%00", "/session%00", "/static/%00", "/sessions_core/static/lib/clock.js%00"):
        assert visitor.get(path).status_code == 404
    assert visitor.get("/sign-in?next=%00&reason=%00&wallet=%00").status_code == 200


# -- Sizes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-out", "/api/auth/sessions/logout", "/api/auth/sessions/keep-alive"]
)
def test_a_form_over_16_kb_is_refused(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event], path: str
) -> None:
    visitor.sign_in(wallet)
    form = {"csrf_token": visitor.token("/session"), "message": "a" * 16_384}
    with refused(redis, happened, "body_too_large"):
        response = visitor.post(path, data=form, headers={"Accept": "text/html"})
    assert (response.status_code, code_of(response)) == (413, "body_too_large")
    with refused(redis, happened, "body_too_large"):
        assert visitor.post(path, data=form, content_type="multipart/form-data").status_code == 413
    assert visitor.signed_in


def test_thousands_of_fields_are_refused(visitor: Visitor, redis: Redis, happened: list[events.Event]) -> None:
    token = visitor.token()
    many = {f"f{at}": "" for at in range(40)} | {"csrf_token": token}
    with refused(redis, happened, "body_too_large"):
        assert visitor.post("/sign-in", data=many, content_type="multipart/form-data").status_code == 413
    body = f"csrf_token={token}" + "&a" * 8000
    with refused(redis, happened, "challenge_malformed"):
        response = visitor.post("/sign-in", data=body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400


def test_an_uploaded_file_is_not_a_field(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    from io import BytesIO

    form: dict[str, Any] = form_of(visitor, wallet)
    form["message"] = (BytesIO(form["message"].encode()), "message.txt")
    with refused(redis, happened, "message_malformed"):
        assert visitor.post("/sign-in", data=form).status_code == 400


def test_a_field_that_comes_twice_counts_once(visitor: Visitor, wallet: Wallet) -> None:
    form = form_of(visitor, wallet)
    body = {**form, "message": [form["message"], "another"]}
    assert visitor.post("/sign-in", data=body).status_code == 303


# -- Cookies that are not ours ------------------------------------------------------------------------------------

FORGED_COOKIES = [
    "x",
    "",
    "A" * 54,
    "A" * 55,
    "A" * 56,
    "A" * 4000,
    "\x7f" * 55,
    "../" * 18 + "a",
    "*" * 55,
    "A" * 54 + "%",
    '"' + "A" * 55 + '"',
    "{A}" + "A" * 52,
]


@pytest.mark.parametrize("value", FORGED_COOKIES, ids=lambda value: ascii(value[:20]))
def test_a_forged_cookie_is_no_session(
    app: Flask, wallet: Wallet, redis: Redis, happened: list[events.Event], value: str
) -> None:
    Visitor(app).sign_in(wallet)
    with refused(redis, happened, "session_invalid"):
        response = with_cookie(app, f"{SESSION_COOKIE}={value}")
    assert response.status_code == 401
    error = response.get_json()["error"]
    assert (error["code"], error["reason"]) == ("session_invalid", "unknown")
    assert response.headers.getlist("Set-Cookie") == []
    with unchanged(redis):
        page = with_cookie(app, f"{SESSION_COOKIE}={value}", "/session")
    assert (page.status_code, page.headers["Location"]) == (303, "/sign-in?next=/session&reason=unknown")


def test_a_malformed_cookie_never_reaches_redis(app: Flask, redis: Redis) -> None:
    before = redis.info("stats")["total_commands_processed"]
    for value in [each for each in FORGED_COOKIES if each != "A" * 55]:
        with_cookie(app, f"{SESSION_COOKIE}={value}", "/session")
    assert redis.info("stats")["total_commands_processed"] - before == 1  # the INFO itself


def test_two_session_cookies_are_none(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    """Somebody planted one, and which of the two is ours can't be known; `test_cookies.py` has those that can."""
    session_id = visitor.sign_in(wallet)
    for planted in ("A" * 55, session_id.swapcase()):
        for cookies in ((session_id, planted), (planted, session_id)):
            header = "; ".join(f"{SESSION_COOKIE}={value}" for value in cookies)
            with refused(redis, happened, "session_invalid"):
                response = with_cookie(visitor.app, header)
            assert response.status_code == 401


def test_session_id_with_a_changed_character_is_refused(visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    session_id = visitor.sign_in(wallet)
    with unchanged(redis):
        for at, character in enumerate(session_id):
            guess = session_id[:at] + ("B" if character == "A" else "A") + session_id[at + 1 :]
            response = with_cookie(visitor.app, f"{SESSION_COOKIE}={guess}")
            assert response.status_code == 401


def test_session_id_under_another_name_is_no_session(visitor: Visitor, wallet: Wallet) -> None:
    """Another cookie name, the query or the `Authorization` header."""
    session_id = visitor.sign_in(wallet)
    for cookie in (f"__host-session={session_id}", f"session={session_id}", f"{BROWSER_COOKIE}={session_id}"):
        assert with_cookie(visitor.app, cookie, "/session").status_code == 303
    assert with_cookie(visitor.app, f"{SESSION_COOKIE}={session_id}", "/session").status_code == 200
    path = f"/session?session={session_id}&{SESSION_COOKIE}={session_id}"
    assert with_cookie(visitor.app, "", path, Authorization=f"Bearer {session_id}").status_code == 401


@pytest.mark.parametrize("value", ["", "x", "b" * 42, "b" * 44, "b" * 42 + "=", "b" * 5000])
def test_forged_pre_sign_in_cookie_is_replaced(app: Flask, value: str) -> None:
    (cookie,) = with_cookie(app, f"{BROWSER_COOKIE}={value}", "/sign-in").headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{BROWSER_COOKIE}=")
    assert f"={value};" not in cookie


def test_a_fixed_session_id_does_not_survive_the_sign_in(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """Session fixation: an id the attacker knew before is not the id after."""

    @app.post("/basket")
    @public(csrf=False)
    def basket() -> str:
        session["basket"] = ["an apple"]
        return "kept"

    @app.get("/basket")
    @public
    def show() -> str:
        return ", ".join(session.get("basket", []))

    visitor.post("/basket")
    planted = visitor.session_id
    attacker = Visitor(app)
    attacker.session_id = planted
    assert attacker.get("/basket").get_data(as_text=True) == "an apple"
    session_id = visitor.sign_in(wallet)
    assert session_id != planted
    assert visitor.get("/basket").get_data(as_text=True) == "an apple"
    assert not attacker.signed_in
    assert attacker.get("/basket").get_data(as_text=True) == ""


# -- Signing in again, and out --------------------------------------------------------------------------------------


def test_sign_in_over_another_account_ends_it_and_its_data(
    app: Flask, visitor: Visitor, happened: list[events.Event]
) -> None:
    @app.post("/note")
    @signed_in
    def note() -> str:
        session["note"] = "of the first"
        return "kept"

    @app.get("/note")
    @signed_in
    def read() -> str:
        return str(session.get("note"))

    first, second = Wallet(), Wallet()
    old = visitor.sign_in(first)
    visitor.post("/note", data={"csrf_token": visitor.token("/session")})
    assert visitor.get("/note").get_data(as_text=True) == "of the first"
    happened.clear()
    new = visitor.sign_in(second)
    assert new != old
    assert new[:12] != old[:12]
    assert visitor.get("/note").get_data(as_text=True) == "None"
    assert second.address in visitor.get("/session").get_data(as_text=True)
    assert [(event.name, getattr(event, "reason", None)) for event in happened] == [
        ("session.ended", "replaced"),
        ("session.created", None),
        ("wallet.changed", None),
    ]
    thief = Visitor(app)
    thief.session_id = old
    answer = thief.json("/api/auth/sessions/validate")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "replaced")


def test_a_refused_sign_in_leaves_the_session_there_is_alone(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    assert visitor.attempt(Wallet(), signature="0x00").status_code == 400
    assert visitor.signed_in
    assert wallet.address in visitor.get("/session").get_data(as_text=True)


def test_signing_out_twice_succeeds(
    visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    happened.clear()
    for _ in range(3):
        response = visitor.post("/sign-out", data={"csrf_token": token})
        assert (response.status_code, response.headers["Location"]) == (303, "/signed-out")
    assert [event.name for event in happened] == ["session.ended"]
    assert visitor.get("/sign-out").headers["Location"] == "/signed-out"


def test_a_copied_cookie_is_dead_after_sign_out(app: Flask, visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    copy = Visitor(app)
    copy.session_id = visitor.sign_in(wallet)
    assert copy.signed_in
    visitor.sign_out()
    with unchanged(redis):
        assert not copy.signed_in
        response = copy.get("/session")
    assert response.headers["Location"] == "/sign-in?next=/session&reason=signed_out"


def told(page: str) -> str | None:
    """The reason that a page gives for the end of a session, if it gives one."""
    found = re.search(r'data-reason="([^"]*)"', page)
    return found[1] if found else None


@pytest.mark.parametrize("path", ["/signed-out", "/sign-in"])
@pytest.mark.parametrize("reason", [*REASONS, "", "<script>", "x" * 500, "\0", "__class__"])
def test_a_link_with_a_reason_says_nothing(visitor: Visitor, redis: Redis, path: str, reason: str) -> None:
    """Anybody can write an address: "ended from elsewhere" would send people to look for thieves."""
    with unchanged(redis):
        response = visitor.get(path, query_string={"reason": reason})
    assert response.status_code == 200
    assert told(response.get_data(as_text=True)) == ("unknown" if path == "/signed-out" else None)
    assert "Clear-Site-Data" not in response.headers
    assert [each for each in response.headers.getlist("Set-Cookie") if "__Host-browser" not in each] == []


@pytest.mark.parametrize("reason", [*sorted({*REASONS} - {"rotated"}), "a reason of the application"])
def test_the_page_says_why_the_session_of_its_cookie_ended(
    visitor: Visitor, wallet: Wallet, services: Services, reason: str
) -> None:
    handle = handle_of_session(visitor, wallet)
    services.lifecycle.revoke_handle(parse(wallet.account()), handle, reason)
    expected = reason if reason in REASONS else "unknown"
    for path in ("/signed-out", "/signed-out?reason=absolute", "/signed-out?session_type=professional"):
        assert told(visitor.get(path).get_data(as_text=True)) == expected
    shown = reason if reason in REASONS else None
    assert told(visitor.get("/sign-in?reason=absolute").get_data(as_text=True)) == shown
    assert told(visitor.get("/sign-in").get_data(as_text=True)) is None


def handle_of_session(visitor: Visitor, wallet: Wallet) -> str:
    visitor.sign_in(wallet)
    return handle_of(visitor)


def test_sign_out_page_names_the_limits_of_the_ended_session(
    visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet)
    pass_time(1800)
    page = visitor.get("/signed-out?session_type=professional").get_data(as_text=True)
    assert "for 30 minutes" in page


def test_the_answer_that_signs_out_is_remembered_for_an_hour(
    visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet)
    visitor.sign_out()
    assert told(visitor.get("/signed-out").get_data(as_text=True)) == "signed_out"
    pass_time(3601)
    assert told(visitor.get("/signed-out").get_data(as_text=True)) == "unknown"


@pytest.mark.parametrize("value", ["", "x", "AAAA", "wallet_deleted", "!" * 80, "A" * 400, "\xff\xfe"])
def test_a_made_up_note_counts_for_nothing(visitor: Visitor, value: str) -> None:
    visitor.client.set_cookie("__Host-ended", value, domain="localhost", secure=True)
    page = visitor.get("/signed-out").get_data(as_text=True)
    assert told(page) == "unknown"
    assert "<share-forget" not in page


def test_signed_in_user_is_redirected_from_the_sign_out_page(visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    visitor.sign_in(wallet)
    response = visitor.get("/signed-out?reason=revoked")
    assert (response.status_code, response.headers["Location"]) == (303, "/session")
    assert visitor.signed_in


@pytest.mark.parametrize("seconds", [1800, 43_200])
def test_an_expired_session_is_sent_to_sign_in_with_the_reason(
    visitor: Visitor, wallet: Wallet, pass_time: TimeMachine, seconds: int
) -> None:
    visitor.sign_in(wallet)
    left = seconds
    while left > 1800:
        pass_time(1500)
        left -= 1500
        assert visitor.get("/session").status_code == 200
    pass_time(left)
    response = visitor.get("/session")
    reason = "idle" if seconds == 1800 else "absolute"
    assert response.headers["Location"] == f"/sign-in?next=/session&reason={reason}"
    assert f'data-reason="{reason}"' in visitor.get(response.headers["Location"]).get_data(as_text=True)


# -- The wallet's name is hostile ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("MetaMask", "MetaMask"),
        ("  Meta \t\n Mask ", "Meta Mask"),
        ("evil\u202ekcaB", "evilkcaB"),
        ("\u2066\u2069\u200b\ufeff\x00\x1b[31m", "[31m"),
        ("", ""),
        ("a" * 100, "a" * 40),
        ("\u200b" * 10_000 + "late", ""),
        ("\U000e0041tag", "tag"),
        ("ü€😀", "ü€😀"),
        ("<script>", "<script>"),
    ],
)
def test_a_wallet_s_name_is_shown_as_one_clean_line(claimed: str, shown: str) -> None:
    assert display_name(claimed) == shown


def test_a_hostile_wallet_name_is_text_and_nothing_else(visitor: Visitor, wallet: Wallet) -> None:
    challenge = visitor.challenge(wallet.account())
    form = {
        "csrf_token": visitor.token(),
        "signature": wallet.sign(challenge["message"]),
        "wallet": '"><script>alert(1)',
    }
    assert visitor.post("/sign-in", data=challenge | form).status_code == 303
    page = visitor.get("/session").get_data(as_text=True)
    assert "<script>alert" not in page
    visitor.sign_out()
    assert "<script>alert" not in visitor.get('/sign-in?wallet="><script>alert(1)</script>').get_data(as_text=True)


# -- Redis is gone ------------------------------------------------------------------------------------------------


@pytest.fixture
def fragile(make_app: Callable[..., Flask], tmp_path: Path) -> Iterator[tuple[Flask, embedded.EmbeddedRedis]]:
    server = embedded.start(tmp_path / "redis")
    yield make_app(SESSIONS_CORE_REDIS_URL=server.url), server
    server.stop()


def test_without_redis_every_step_is_503_with_retry_after(
    fragile: tuple[Flask, embedded.EmbeddedRedis], wallet: Wallet, happened: list[events.Event]
) -> None:
    """Each step has its own words."""
    app, server = fragile
    visitor, stranger = Visitor(app), Visitor(app)
    form = form_of(stranger, wallet)
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    server.stop()
    happened.clear()
    answers = [
        (visitor.get("/session"), "store_unavailable"),
        (visitor.get("/"), "store_unavailable"),
        (visitor.get("/nothing"), "store_unavailable"),
        (stranger.post("/sign-in", data=form), "store_unavailable"),
        (visitor.post("/sign-out", data={"csrf_token": token}), "sign_out_incomplete"),
    ]
    for response, code in answers:
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        assert code_of(response) == code
        assert response.headers.getlist("Set-Cookie") == []
        assert "Clear-Site-Data" not in response.headers
        assert response.mimetype == "text/html"
    assert [getattr(event, "code", None) for event in happened] == [code for _, code in answers]


def test_without_redis_a_visitor_still_gets_every_public_page(
    fragile: tuple[Flask, embedded.EmbeddedRedis], happened: list[events.Event]
) -> None:
    app, server = fragile
    server.stop()
    visitor = Visitor(app)
    for path, status in (("/", 200), ("/sign-in", 200), ("/signed-out", 200), ("/nothing", 404), ("/sign-in/x", 404)):
        response = visitor.get(path)
        assert (response.status_code, response.mimetype) == (status, "text/html")
    assert happened == []


def test_sessions_go_on_without_a_restart_when_redis_is_back(
    fragile: tuple[Flask, embedded.EmbeddedRedis], wallet: Wallet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, server = fragile
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    server.stop()
    assert visitor.get("/session").status_code == 503
    back = embedded.start(tmp_path / "redis")
    try:
        assert back.url == server.url
        services: Services = app.extensions["sessions_core"]
        ask_again(link_of(services.repository))
        assert visitor.get("/session").status_code == 200
    finally:
        back.stop()


def test_half_failed_sign_in_leaves_no_session_and_no_cookie(
    visitor: Visitor, wallet: Wallet, redis: Redis, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nonce is consumed."""

    def fail(*_: object, **__: object) -> None:
        raise errors.StoreUnavailable("gone between the nonce and the record", retry_after=2)

    form = form_of(visitor, wallet)
    monkeypatch.setattr(type(services.repository), "create", fail)
    before = snapshot(redis)
    response = visitor.post("/sign-in", data=form)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert response.headers.getlist("Set-Cookie") == []
    burnt = snapshot(redis).keys() - before.keys()
    assert [key.startswith(f"{REDIS_PREFIX}nonce:".encode()) for key in burnt] == [True]


def test_a_view_that_redirects_is_left_alone(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    @app.get("/away")
    @signed_in
    def away() -> Any:
        return redirect("/session")

    visitor.sign_in(wallet)
    assert (visitor.get("/away").status_code, visitor.get("/away").headers["Location"]) == (302, "/session")


@pytest.mark.parametrize(
    ("settings", "library", "offered"),
    [
        ({"INTERNET_IDENTITY_URL": "https://id.ai/#authorize"}, True, "https://id.ai/#authorize"),
        ({"INTERNET_IDENTITY_URL": "https://id.ai/#authorize"}, False, ""),
        ({"INTERNET_IDENTITY_URL": "https://id.ai/#authorize", "CHAINS": ("eip155:1",)}, True, ""),
        ({"INTERNET_IDENTITY_URL": ""}, True, ""),
    ],
    ids=["as it comes", "no library", "another chain", "left out"],
)
def test_internet_identity_is_offered_where_it_would_be_believed(
    make_app: Callable[..., Flask],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    library: bool,
    offered: str,
) -> None:
    monkeypatch.setattr(canisters, "available", lambda: library)
    app = make_app(**{f"SESSIONS_CORE_{name}": value for name, value in settings.items()})
    page = Visitor(app).get("/sign-in").get_data(as_text=True)
    assert f'data-identity-url="{offered}"' in page
    assert 'data-account-url="/api/auth/accounts"' in page
