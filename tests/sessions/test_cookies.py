"""The Cookie header: split as RFC 6265 writes it, and one value of ours among planted ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse
from werkzeug.wrappers import Request

from sessions_core.sessions import cookies
from sessions_core.sessions.record import LoadedSession, well_formed
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, Visitor, Wallet
from ..constants import BOB

# Every character that some function of Python trims, splits lines at, or takes for a space; and a few that none does.
TRIMMED = [chr(code) for code in range(0x100) if not chr(code).strip() or len(f"a{chr(code)}b".splitlines()) > 1]
PLANTED = [
    *(f"{each}{{name}}" for each in TRIMMED),
    *(f"{{name}}{each}" for each in TRIMMED if each != " "),
    "  {name}",
    " \t{name}",
    "\xc2\xa0{name}",
    "\xef\xbb\xbf{name}",
    "x={name}",
    '"{name}',
    ",{name}",
    "$Version=1,{name}",
]


def read(header: str, name: str = SESSION_COOKIE) -> list[str]:
    return cookies.values(Request({"HTTP_COOKIE": header}), name)


def ask(app: Flask, header: str, path: str = "/api/auth/sessions/validate") -> TestResponse:
    cookies = {"HTTP_COOKIE": header}  # as a server hands it over: a header of the client can't hold every character
    return app.test_client(use_cookies=False).get(path, base_url=ORIGIN, environ_overrides=cookies)


def account_of(answer: TestResponse) -> str | None:
    return answer.get_json().get("data", {}).get("account") if answer.is_json else None


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("n=a", ["a"]),
        ("x=1; n=a; y=2", ["a"]),
        ("x=1;n=a;y=2", ["a"]),
        ("n=a=b==", ["a=b=="]),
        ('n="a"', ['"a"']),
        ('x="1; n=a; y=2"', ["a"]),
        ("n=a; n=b", ["a", "b"]),
        ("n=", [""]),
        ("n", []),
        ("n; n=a", ["a"]),
        ("=n=a", []),
        ("x=n=a", []),
        ("N=a; n2=b; nn=c", []),
        ("x=1,n=a", []),
        ("n=a ;x=1", ["a "]),
        (" n=a", ["a"]),
        ("x=1;  n=a", []),
        ("x=1; \tn=a", []),
        ("x=1; n =a", []),
        (";;; ;", []),
    ],
)
def test_pairs_are_split_as_rfc_6265_says(header: str, found: list[str]) -> None:
    assert read(header, "n") == found


@pytest.mark.parametrize("planted", PLANTED, ids=ascii)
def test_a_look_alike_name_is_not_ours(planted: str) -> None:
    """As the first, in the middle and at the end of the header; the real cookie beside it counts alone."""
    pair = planted.format(name=SESSION_COOKIE) + "=theirs"
    if not planted.startswith(" {"):  # one space at the start belongs to the separator, and no browser sends it
        assert read(pair) == []
    for header in (f"x=1; {pair}", f"x=1; {pair}; y=2"):
        assert read(header) == []
    for header in (f"x=1; {pair}; {SESSION_COOKIE}=mine", f"{SESSION_COOKIE}=mine; {pair}"):
        assert read(header) == ["mine"]


@pytest.mark.parametrize("planted", PLANTED, ids=ascii)
def test_look_alike_cookie_signs_no_user_in_or_out(
    app: Flask, start: Callable[..., LoadedSession], planted: str, redis: Redis
) -> None:
    """A visitor with the planted cookie stays a visitor, and a signed-in user stays signed in."""
    mine, theirs = start(), start(account=BOB)
    planted = f"{planted.format(name=SESSION_COOKIE)}={theirs.id}"
    assert ask(app, f"x=1; {planted}").get_json()["error"]["reason"] == "no_token"
    for header in (f"x=1; {planted}; {SESSION_COOKIE}={mine.id}", f"{SESSION_COOKIE}={mine.id}; {planted}"):
        assert account_of(ask(app, header)) == mine.record.account


@pytest.mark.parametrize("value", ["", "x", "A" * 54, "A" * 56, "A" * 54 + "\xa0", '"{id}"', "{id} ", "{id},"])
def test_a_value_that_is_no_id_does_not_hide_ours(
    app: Flask, start: Callable[..., LoadedSession], value: str
) -> None:
    """Another application on the same host uses the name, or somebody planted it."""
    mine = start()
    foreign = f"{SESSION_COOKIE}={value.format(id=start(account=BOB).id)}"
    for header in (f"{foreign}; {SESSION_COOKIE}={mine.id}", f"{SESSION_COOKIE}={mine.id}; {foreign}; x=1"):
        assert account_of(ask(app, header)) == mine.record.account
    assert ask(app, f"{foreign}; x=1").get_json()["error"]["reason"] == "unknown"


def test_repeated_equal_cookies_count_once(app: Flask, start: Callable[..., LoadedSession]) -> None:
    """A proxy repeats a header."""
    mine = start()
    assert account_of(ask(app, "; ".join([f"{SESSION_COOKIE}={mine.id}"] * 2))) == mine.record.account


def test_two_host_cookies_cancel_each_other(app: Flask, start: Callable[..., LoadedSession]) -> None:
    """No browser that knows `__Host-` sends two, so one of them may be an attacker's."""
    one, other = start(), start(account=BOB)
    for pair in ((one, other), (other, one)):
        answer = ask(app, "; ".join(f"{SESSION_COOKIE}={live.id}" for live in pair))
        assert answer.get_json()["error"]["reason"] == "unknown"


def test_without_prefix_a_longer_path_hides_nothing(
    make_app: Callable[..., Flask], start: Callable[..., LoadedSession]
) -> None:
    """In development another application on localhost sets `session` for a path below ours: it is sent first."""
    app = make_app(SESSIONS_CORE_COOKIE_SECURE=False)
    mine, theirs = start(), start(account=BOB)
    assert account_of(ask(app, f"session={theirs.id}; session={mine.id}")) == mine.record.account


def test_a_planted_browser_cookie_does_not_stop_signing_in(visitor: Visitor, wallet: Wallet) -> None:
    """Neither under a look-alike name nor as a value that is none of ours."""
    for name, value in ((f"\xa0{BROWSER_COOKIE}", "A" * 43), (f"\t{BROWSER_COOKIE}", "A" * 43), ("x", "1")):
        visitor.client.set_cookie(name, value)
    visitor.sign_in(wallet)
    assert visitor.signed_in


@pytest.mark.parametrize("before", TRIMMED, ids=ascii)
def test_a_look_alike_share_cookie_keeps_no_storage(app: Flask, services: Services, before: str) -> None:
    """The cookie that says "this browser holds half of a wallet" goes through the same reader."""
    name = services.store.name_of("share")
    real = ask(app, f"{name}=AAAAAAAAAAAA", "/signed-out")
    planted = ask(app, f"x=1; {before}{name}=AAAAAAAAAAAA" if before != " " else f"x=1;  {name}=A", "/signed-out")
    nothing = ask(app, "x=1", "/signed-out")
    assert planted.get_data() == nothing.get_data() != real.get_data()


def test_the_reader_takes_any_header() -> None:
    for header in ("=", ";", "==;=", "\x00", "\xff=\xfe", "n" * 10_000, "n=;" * 10_000):
        assert isinstance(read(header, "n"), list)
    assert cookies.own_value([], well_formed, prefixed=True) is None
