"""Settings: everything unsafe is refused at start, with the sentence that fixes it."""

from __future__ import annotations

import base64
import dataclasses
import string
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import pytest

import sessions_core
from sessions_core.errors import Misconfigured
from sessions_core.settings import DAY, PREFIX, Settings, _secret

from .constants import REDIS_PREFIX

SECRET = "kq3V8hT1mZ0xW5sY7bN2cR4dF6gJ9pLa"
PRODUCTION = {
    "SECRET_KEY": SECRET,
    "SESSIONS_CORE_PUBLIC_ORIGIN": "https://app.example.org",
    "SESSIONS_CORE_REDIS_URL": "rediss://redis.internal:6379/0",
}
DEVELOPMENT = {"SECRET_KEY": SECRET, "SESSIONS_CORE_DEVELOPMENT": True}


# How people make a secret: openssl, the module `secrets`, uuidgen, a password manager.
SECRETS: dict[str, Callable[[Random], str | bytes]] = {
    "openssl rand -base64 32": lambda random: base64.b64encode(random.randbytes(32)).decode(),
    "token_urlsafe": lambda random: base64.urlsafe_b64encode(random.randbytes(32)).decode().rstrip("="),
    "token_hex(32)": lambda random: random.randbytes(32).hex(),
    "token_hex(16)": lambda random: random.randbytes(16).hex(),
    "token_bytes": lambda random: random.randbytes(32),
    "base32": lambda random: base64.b32encode(random.randbytes(20)).decode(),
    "uuid": lambda random: str(UUID(int=random.getrandbits(128), version=4)),
    "lower case": lambda random: "".join(random.choices(string.ascii_lowercase, k=32)),
    "printable": lambda random: "".join(random.choices(string.printable[:94], k=32)),
}


def settings(base: dict[str, Any] = PRODUCTION, **changes: Any) -> Settings:
    """Read settings; names without the prefix get it."""
    prefixed = {
        name if name.startswith(("SECRET_", "SESSION")) else PREFIX + name: value for name, value in changes.items()
    }
    return Settings.from_config(base | prefixed)


def refusal(base: dict[str, Any] = PRODUCTION, **changes: Any) -> str:
    with pytest.raises(Misconfigured) as caught:
        settings(base, **changes)
    return str(caught.value)


def test_minimal_production_settings_have_documented_defaults() -> None:
    found = settings()
    assert (found.idle_seconds, found.absolute_seconds) == (1800, 43_200)
    assert (found.warn_seconds, found.absolute_warn_seconds, found.challenge_seconds) == (120, 300, 300)
    assert (found.cookie_secure, found.cookie_samesite) == (True, "Lax")
    assert (found.development, found.redis_timeout_ms) == (False, 250)
    assert "eip155:1" in found.chains
    assert (found.domain, found.host, found.secure_origin) == ("app.example.org", "app.example.org", True)


def test_the_smallest_development_configuration_is_accepted() -> None:
    found = settings(DEVELOPMENT)
    assert (found.public_origin, found.domain, found.host) == ("http://localhost:5000", "localhost:5000", "localhost")
    assert (found.redis_url, found.secure_origin) == (None, False)


def test_settings_are_frozen_and_ignore_other_flask_keys() -> None:
    found = settings(SESSION_TYPE="redis")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.idle_seconds = 1  # type: ignore[misc]


def test_every_setting_is_described_beside_its_default() -> None:
    import ast
    import inspect

    body = ast.parse(inspect.getsource(Settings)).body[0].body  # type: ignore[attr-defined]
    for at, line in enumerate(body):
        if isinstance(line, ast.AnnAssign):
            described = body[at + 1]
            assert isinstance(described, ast.Expr), ast.unparse(line)
            assert isinstance(described.value, ast.Constant), ast.unparse(line)


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("IDLE_SECOND", "IDLE_SECONDS"),
        ("IDEL_SECONDS", "IDLE_SECONDS"),
        ("PUBLIC_ORIGN", "PUBLIC_ORIGIN"),
        ("COOKIE_SAME_SITE", "COOKIE_SAMESITE"),
        ("REDIS_URI", "REDIS_URL"),
    ],
)
def test_a_typo_is_refused_with_the_name_that_was_meant(key: str, near: str) -> None:
    assert refusal(**{key: 1}) == f"SESSIONS_CORE_{key} is not a setting. Did you mean SESSIONS_CORE_{near}?"


@pytest.mark.parametrize("key", ["", "QQQ", "SECRETS", "idle__seconds ", "DOMAIN"])
def test_an_unknown_name_is_refused(key: str) -> None:
    assert f"SESSIONS_CORE_{key} is not a setting." in refusal(**{PREFIX + key: "x"})


def test_the_secrets_can_not_be_set_under_the_prefix() -> None:
    assert "not a setting" in refusal(SECRETS=(SECRET,))


WRONG_TYPES: list[tuple[str, Any]] = [
    ("IDLE_SECONDS", True),
    ("IDLE_SECONDS", "1800"),
    ("IDLE_SECONDS", 1800.0),
    ("IDLE_SECONDS", None),
    ("REVOCATION_REPLICAS", True),
    ("REVOCATION_REPLICAS", False),
    ("REVOCATION_REPLICAS", "1"),
    ("REDIS_TIMEOUT_MS", 250.5),
    ("DEVELOPMENT", 1),
    ("DEVELOPMENT", "1"),
    ("DEVELOPMENT", "false"),
    ("COOKIE_SECURE", 0),
    ("COOKIE_SECURE", "False"),
    ("COOKIE_SECURE", None),
    ("COOKIE_SAMESITE", None),
    ("CHAINS", "eip155:1"),
    ("CHAINS", ("eip155:1", 10)),
    ("CHAINS", {"eip155:1"}),
    ("CHAINS", None),
    ("REDIS_URL", 6379),
    ("REDIS_URL", b"redis://localhost"),
    ("PUBLIC_ORIGIN", None),
    ("PUBLIC_ORIGIN", b"https://app.example.org"),
    ("STATEMENT", None),
    ("SITE_NAME", 5),
]


@pytest.mark.parametrize(("key", "value"), WRONG_TYPES)
def test_a_wrong_type_is_refused_and_named(key: str, value: Any) -> None:
    sentence = refusal(**{key: value})
    assert sentence.startswith(f"SESSIONS_CORE_{key} must be ")
    if key == "REDIS_URL":  # it may hold a password
        assert (type(value).__name__ in sentence, str(value) in sentence) == (True, False)
    else:
        assert repr(value) in sentence


def test_chains_may_be_a_list() -> None:
    assert settings(CHAINS=["eip155:1", "eip155:10"]).chains == ("eip155:1", "eip155:10")


@pytest.mark.parametrize("name", ["IDLE_SECONDS", "ABSOLUTE_SECONDS"])
@pytest.mark.parametrize("value", [-1, 0, 1, 119, 30 * DAY + 1, 10**12])
def test_lifetimes_outside_2_minutes_to_30_days_are_refused(name: str, value: int) -> None:
    assert refusal(**{name: value}) == (
        f"SESSIONS_CORE_{name} = {value} is outside 120 (2 minutes) to 2592000 (30 days)."
    )


def test_lifetimes_at_both_limits_are_accepted() -> None:
    shortest = settings(
        IDLE_SECONDS=120, ABSOLUTE_SECONDS=120, WARN_SECONDS=20, ABSOLUTE_WARN_SECONDS=20, SLIDE_SECONDS=1
    )
    assert shortest.idle_seconds == 120
    assert settings(IDLE_SECONDS=30 * DAY, ABSOLUTE_SECONDS=30 * DAY).absolute_seconds == 30 * DAY


def test_an_idle_clock_longer_than_the_absolute_one_is_refused() -> None:
    sentence = refusal(IDLE_SECONDS=3601, ABSOLUTE_SECONDS=3600)
    assert sentence == "SESSIONS_CORE_IDLE_SECONDS must not be longer than SESSIONS_CORE_ABSOLUTE_SECONDS."


@pytest.mark.parametrize(
    ("name", "clock", "value"),
    [
        ("WARN_SECONDS", "IDLE_SECONDS", 19),
        ("WARN_SECONDS", "IDLE_SECONDS", 0),
        ("WARN_SECONDS", "IDLE_SECONDS", -20),
        ("WARN_SECONDS", "IDLE_SECONDS", 1800),
        ("ABSOLUTE_WARN_SECONDS", "ABSOLUTE_SECONDS", 19),
        ("ABSOLUTE_WARN_SECONDS", "ABSOLUTE_SECONDS", 43_200),
    ],
)
def test_a_warning_that_leaves_no_time_to_react_is_refused(name: str, clock: str, value: int) -> None:
    sentence = refusal(**{name: value})
    assert f"SESSIONS_CORE_{name} must be at least 20 and less than SESSIONS_CORE_{clock}" in sentence


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("SLIDE_SECONDS", 1, 900),
        ("CHALLENGE_SECONDS", 30, DAY),
        ("CONFIRM_SECONDS", 30, DAY),
        ("REDIS_TIMEOUT_MS", 10, 10_000),
        ("REVOCATION_REPLICAS", 0, 10),
    ],
)
def test_numbers_outside_their_range_are_refused(name: str, least: int, most: int) -> None:
    """The limits themselves are accepted."""
    for value in (least - 1, most + 1):
        assert refusal(**{name: value}) == f"SESSIONS_CORE_{name} must be between {least} and {most}."
    for value in (least, most):
        assert getattr(settings(**{name: value}), name.lower()) == value


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "",
        "short",
        SECRET[:31],
        b"",
        SECRET[:31].encode(),
        "x" * 64,
        "changeme" * 8,
        "01234567" * 8,
        "change-me-please-change-me-please-1",
        "Replace this with 32 random characters!",
        "your-secret-key-goes-right-here-please",
        "django-insecure-8#v!q3z@kx5w1m7p0r2t6y9u4o",
        "SuperSecret_2026_production_flask_app_!",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "0123456789abcdef" * 4,
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "abcdefghij" * 5,
        bytes(range(64)),
        32,
        True,
        [SECRET],
    ],
)
def test_weak_secret_is_refused_with_a_command_to_make_one(secret: Any) -> None:
    """The message does not repeat the secret."""
    for sentence in (refusal(SECRET_KEY=secret), refusal(DEVELOPMENT, SECRET_KEY=secret)):
        assert sentence.startswith("SECRET_KEY")
        assert "openssl rand -base64 32" in sentence
        assert not (isinstance(secret, str) and len(secret) > 4 and secret in sentence)


def test_a_former_secret_must_be_as_strong() -> None:
    for weak in ("weak", "change-me-please-change-me-please-1"):
        sentence = refusal(SECRET_KEY_FALLBACKS=[SECRET, weak])
        assert sentence.startswith("SECRET_KEY_FALLBACKS[1] ")
        assert "openssl rand" in sentence


@pytest.mark.parametrize("make", SECRETS.values(), ids=SECRETS)
def test_a_secret_made_at_random_is_never_refused(make: Callable[[Random], str | bytes]) -> None:
    """Ten thousand of each kind that people make. The seed is fixed, so the test says the same each time."""
    random = Random(7)
    for _ in range(10_000):
        secret = make(random)
        assert _secret("SECRET_KEY", secret), secret


@pytest.mark.parametrize(
    "phrase",
    [
        "my grandmother keeps seven blue parrots in the attic",
        "correct horse battery staple correct horse battery staple",
        "Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du",
        "the cat sat on the mat and the rat ate the hat",
    ],
)
def test_a_long_passphrase_is_a_secret(phrase: str) -> None:
    assert settings(SECRET_KEY=phrase).secrets == (phrase,)


def test_the_debugger_is_refused_in_production() -> None:
    """FLASK_DEBUG=1 is `DEBUG` in the configuration: tracebacks and a console for visitors."""
    sentence = refusal(PRODUCTION | {"DEBUG": True})
    assert "unset FLASK_DEBUG" in sentence
    assert Settings.from_config(PRODUCTION | {"DEBUG": False})
    assert Settings.from_config(DEVELOPMENT | {"DEBUG": True})


@pytest.mark.parametrize("fallbacks", [SECRET, SECRET.encode(), 5, {SECRET: 1}, True])
def test_former_secrets_that_are_not_a_list_are_refused(fallbacks: Any) -> None:
    assert "SECRET_KEY_FALLBACKS must be a list" in refusal(SECRET_KEY_FALLBACKS=fallbacks)


def test_secrets_are_kept_newest_last_and_may_be_bytes() -> None:
    former = SECRET[::-1]
    assert settings(SECRET_KEY=SECRET.encode(), SECRET_KEY_FALLBACKS=[former]).secrets == (former, SECRET)
    binary = Random(1).randbytes(32)
    assert settings(SECRET_KEY=binary).secrets == ("".join(map(chr, binary)),)


def test_the_secrets_do_not_show_in_a_refusal_of_something_else() -> None:
    assert SECRET not in refusal(IDLE_SECONDS=1)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "app.example.org",
        "//app.example.org",
        "https://",
        "https://app.example.org/",
        "https://app.example.org/path",
        "https://app.example.org?x",
        "https://app.example.org#x",
        "https://user@app.example.org",
        "https://user:pass@app.example.org",
        "https://app.example.org:443",
        "https://app.example.org:0443",
        "https://app.example.org:",
        "https://app.example.org:x",
        "https://app.example.org:65536",
        "https://App.example.org",
        "HTTPS://app.example.org",
        "https://app.exämple.org",
        "https://app example.org",
        "https://app.example.org\n",
        "https://app.example.org\r\nX: y",
        "https://app.example.org\\@evil.example",
        "https://[::1",
        "https://*",
        "ftp://app.example.org",
        "javascript:alert(1)",
        "null",
    ],
)
def test_a_public_origin_that_no_browser_would_send_is_refused(origin: str) -> None:
    sentence = refusal(PUBLIC_ORIGIN=origin)
    assert sentence.startswith("SESSIONS_CORE_PUBLIC_ORIGIN is ")
    assert '"https://app.example.org"' in sentence


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.org", "https://app.example.org:8443", "https://xn--exmple-cua.org", "https://192.0.2.1"],
)
def test_an_origin_as_browsers_write_it_is_accepted(origin: str) -> None:
    assert settings(PUBLIC_ORIGIN=origin).domain == origin.removeprefix("https://")


def test_plain_http_is_refused_except_local_development() -> None:
    for base, origin in (
        (PRODUCTION, "http://app.example.org"),
        (PRODUCTION, "http://localhost:5000"),
        (DEVELOPMENT, "http://app.example.org"),
        (DEVELOPMENT, "http://192.0.2.1"),
        (DEVELOPMENT, "http://localhost.evil.example"),
    ):
        sentence = refusal(base, PUBLIC_ORIGIN=origin)
        assert sentence.startswith("SESSIONS_CORE_PUBLIC_ORIGIN must be https:// outside development.")
        assert "SESSIONS_CORE_DEVELOPMENT = True" in sentence
    assert settings(DEVELOPMENT, PUBLIC_ORIGIN="http://127.0.0.1:8000").host == "127.0.0.1"


def test_an_insecure_cookie_is_refused_outside_development() -> None:
    assert "COOKIE_SECURE = False is for SESSIONS_CORE_DEVELOPMENT = True only" in refusal(COOKIE_SECURE=False)
    assert settings(DEVELOPMENT, COOKIE_SECURE=False).cookie_secure is False


@pytest.mark.parametrize("value", ["None", "none", "lax", "STRICT", "", "Lax; Domain=example.org"])
def test_samesite_is_lax_or_strict(value: str) -> None:
    for base in (PRODUCTION, DEVELOPMENT):
        assert 'COOKIE_SAMESITE must be "Lax" or "Strict"' in refusal(base, COOKIE_SAMESITE=value)
    assert settings(COOKIE_SAMESITE="Strict").cookie_samesite == "Strict"


@pytest.mark.parametrize("weakening", [{"SESSION_COOKIE_HTTPONLY": False}, {"SESSION_COOKIE_SAMESITE": "None"}])
def test_flasks_own_settings_can_not_weaken_the_cookie(weakening: dict[str, Any]) -> None:
    assert "would weaken the session cookie" in refusal(**weakening)


@pytest.mark.parametrize("url", [None, ""])
def test_production_needs_a_redis(url: str | None) -> None:
    sentence = refusal(REDIS_URL=url)
    assert sentence.startswith("SESSIONS_CORE_REDIS_URL is missing.")
    assert "rediss://" in sentence


def test_at_least_one_known_chain_may_sign_in() -> None:
    assert refusal(CHAINS=()).startswith("SESSIONS_CORE_CHAINS is empty.")
    for unknown in ("eip155:5", "eip155:01", "1", "solana:mainnet", "eip155:1 "):
        sentence = refusal(CHAINS=("eip155:1", unknown))
        assert repr(unknown) in sentence
        assert "verifier.py" in sentence


@pytest.mark.parametrize(
    "statement",
    ["", "Grüße", "two\nlines", "two\r\nlines", "a\ttab", 'a "quote"', "<b>", "a" * 201, "100%", "NUL\0", "“quotes”"],
)
def test_a_statement_that_wallets_would_not_recognise_is_refused(statement: str) -> None:
    assert "STATEMENT must be one line of at most 200 ASCII characters" in refusal(STATEMENT=statement)


def test_a_statement_of_200_characters_is_accepted() -> None:
    assert settings(STATEMENT="a" * 200).statement == "a" * 200


@pytest.mark.parametrize(
    "url",
    [
        "http://reports.example.org/",
        "reports.example.org",
        "//reports.example.org/",
        "/reports; script-src *",
        "https://reports.example.org/;script-src",
        "https://reports.example.org/,x",
        'https://reports.example.org/"',
        "https://reports.example.org/\r\nSet-Cookie: a=b",
        "/a b",
    ],
)
def test_a_report_url_that_would_change_the_header_is_refused(url: str) -> None:
    assert "SESSIONS_CORE_CSP_REPORT_URL must be like" in refusal(CSP_REPORT_URL=url)


@pytest.mark.parametrize("url", ["", "/csp", "/csp/reports?site=1", "https://reports.example.org/csp"])
def test_a_report_url_may_be_a_path_or_https(url: str) -> None:
    assert settings(CSP_REPORT_URL=url).csp_report_url == url


@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("", ""),
        ("help@example.org", "mailto:help@example.org"),
        ("https://example.org/help", "https://example.org/help"),
        ("https://example.org/@help", "https://example.org/@help"),
        ("a/b@example.org", "mailto:a/b@example.org"),
        ("Write to help@example.org, or ask Ada.", ""),
    ],
)
def test_contact_is_a_sentence_or_what_a_link_leads_to(contact: str, link: str) -> None:
    assert settings(CONTACT=contact).contact_link == link


@pytest.mark.parametrize(
    "contact",
    [
        "javascript:alert(1)//",
        "http://example.org/",
        "/help",
        "//example.org",
        "help@",
        "a@b@c",
        "x " * 101,
        "a\nb c",
    ],
)
def test_contact_that_leads_nowhere_is_refused(contact: str) -> None:
    assert "SESSIONS_CORE_CONTACT is" in refusal(CONTACT=contact)


def test_default_prefix_is_the_name_of_the_package() -> None:
    assert Settings(secrets=(SECRET,)).redis_prefix == REDIS_PREFIX == f"{sessions_core.__name__}:"
