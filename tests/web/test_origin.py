"""Where a request comes from, and where an answer may send people: as plain functions."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from sessions_core.errors import CrossSiteRequest
from sessions_core.settings import Settings
from sessions_core.web.csrf import is_safe_path, refuse_cross_site, safe_path

from ..hostile import CROSS_SITE, HOSTILE_NEXT

SETTINGS = Settings(secrets=("unused",), public_origin="http://localhost:5000")


def request(method: str = "POST", **headers: str) -> Request:
    return Request(EnvironBuilder("/", method=method, headers=headers).get_environ())


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_a_change_from_elsewhere_is_refused(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(CrossSiteRequest):
        refuse_cross_site(request(method, **headers), SETTINGS)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:5000"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:5000"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ],
    ids=str,
)
def test_a_change_from_here_or_from_no_browser_is_let_through(headers: dict[str, str]) -> None:
    refuse_cross_site(request(**headers), SETTINGS)


def test_one_header_that_is_right_does_not_excuse_the_other() -> None:
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:5000"},
        {"Sec-Fetch-Site": "none", "Origin": "null"},
    ):
        with pytest.raises(CrossSiteRequest):
            refuse_cross_site(request(**headers), SETTINGS)


def test_a_hidden_origin_is_not_called_another_site() -> None:
    """`Origin: null` alone: a browser without Sec-Fetch-Site, on a page with `Referrer-Policy: no-referrer`."""
    for headers, reason in (
        ({"Origin": "null"}, "origin_hidden"),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, None),
        ({"Origin": "https://evil.example"}, None),
    ):
        with pytest.raises(CrossSiteRequest) as refusal:
            refuse_cross_site(request(**headers), SETTINGS)
        assert refusal.value.reason == reason


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_from_elsewhere_is_a_link(method: str) -> None:
    refuse_cross_site(request(method, **{"Sec-Fetch-Site": "cross-site"}), SETTINGS)


@pytest.mark.parametrize("target", HOSTILE_NEXT, ids=lambda target: ascii(target[:30]))
def test_a_hostile_target_is_never_used(target: str) -> None:
    assert not is_safe_path(target)
    assert safe_path(target, "/session") == "/session"


@pytest.mark.parametrize("target", ["/", "/a", "/a/b?c=d#e", "/%2F%2Fevil.example", "/;//evil", "/" + "a" * 511])
def test_a_safe_target_stays_on_this_site_for_a_browser(target: str) -> None:
    assert is_safe_path(target)
    assert safe_path(target, "/session") == target
    assert urlsplit(urljoin("http://localhost:5000/sign-in", target)).netloc == "localhost:5000"


@pytest.mark.parametrize(
    "fragment", ["\\\\evil.example", "a b", "\r\nLocation: x", "\u202e", '"><script>', "a" * 5000]
)
def test_a_hostile_fragment_is_left_out(fragment: str) -> None:
    """What stands before it is still where the visitor wanted to go."""
    assert safe_path(f"/docs?page=3#{fragment}", "/session") == "/docs?page=3"
    assert safe_path(f"//evil.example#{fragment}", "/session") == "/session"


def test_every_single_character_after_the_slash_keeps_the_host() -> None:
    for code in range(0x250):
        target = "/" + chr(code) + "evil.example"
        if is_safe_path(target):
            assert urlsplit(urljoin("http://localhost:5000/a", target)).netloc == "localhost:5000"
            assert target.isascii()
            assert target.isprintable()
            assert chr(code) not in "/\\ \"'<>^`{|}" or chr(code) == "'"
    assert is_safe_path("/evil.example")


@pytest.mark.parametrize("target", [None, ""])
def test_missing_target_falls_back_to_the_default(target: str | None) -> None:
    assert safe_path(target, "/session") == "/session"
