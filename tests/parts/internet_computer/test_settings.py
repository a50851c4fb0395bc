"""The page of Internet Identity that sign-in opens: a safe URL, or none."""

from __future__ import annotations

from functools import partial

import pytest

from sessions_core.parts.internet_computer import InternetComputer

from ...part_settings import DEVELOPMENT, options_of, refusal_of

options = partial(options_of, InternetComputer)
refusal = partial(refusal_of, InternetComputer)


def test_internet_identity_url_has_a_default() -> None:
    """It can be set to another page or left out."""
    assert options().internet_identity_url == "https://id.ai/#authorize"
    for url in ("", "https://identity.example.org", "https://identity.example.org:8443/authorize?x=1#a=b"):
        assert options(INTERNET_IDENTITY_URL=url).internet_identity_url == url
    local = "http://localhost:4943/?canisterId=rdmx6-jaaaa-aaaaa-aaadq-cai#authorize"
    assert options(DEVELOPMENT, INTERNET_IDENTITY_URL=local).internet_identity_url == local


@pytest.mark.parametrize(
    "url",
    [
        "http://id.ai/#authorize",
        "http://localhost:4943/",
        "id.ai",
        "//id.ai/",
        "#authorize",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://me@id.ai/",
        "https://id.ai:0/",
        "https://id.ai:x/",
        "https://id.ai/ x",
        "https://id.ai/\n#authorize",
        "https://id.ai/#a b",
        'https://id.ai/#"><script>',
        "https://id.ai/#a#b",
    ],
)
def test_a_page_of_internet_identity_that_is_not_safe_is_refused(url: str) -> None:
    assert "SESSIONS_CORE_INTERNET_IDENTITY_URL must be like" in refusal(INTERNET_IDENTITY_URL=url)


def test_internet_identity_url_must_not_be_remote_plain_http() -> None:
    assert "must be like" in refusal(DEVELOPMENT, INTERNET_IDENTITY_URL="http://id.ai/#authorize")
