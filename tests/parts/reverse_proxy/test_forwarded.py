"""The address of a visitor in every form that proxies write it, and what happens to one that is not understood."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import TestResponse

from sessions_core import public

from ... import documented
from ...actors import ORIGIN, Visitor, Wallet

FORMS = {
    "198.51.100.7": "198.51.100.7",
    "198.51.100.7:40001": "198.51.100.7",  # Azure Application Gateway
    "[2001:db8::1]:443": "2001:db8::1",
    "[2001:db8::1]": "2001:db8::1",
    "2001:db8::1": "2001:db8::1",
    "fe80::1%eth0": "fe80::1",
    "::ffff:198.51.100.7": "198.51.100.7",
    "[::ffff:198.51.100.7]:40001": "198.51.100.7",
    "203.0.113.9, 198.51.100.7:40001": "198.51.100.7",
}
FORWARDED = {
    "for=198.51.100.7": "198.51.100.7",
    "For=198.51.100.7:40001;Proto=https": "198.51.100.7",
    'for="[2001:db8::1]:443";proto=https;by=203.0.113.60': "2001:db8::1",
    'for=203.0.113.9, for="198.51.100.7:40001"': "198.51.100.7",
    'proto=https; for="198.51.100.7:_hidden"': "198.51.100.7",
}
Make = Callable[..., Flask]


@pytest.fixture
def behind(make_app: Make) -> Callable[..., Flask]:
    def make(hops: int = 1, **settings: Any) -> Flask:
        app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=hops, **settings)

        @app.get("/where")
        @public
        def where() -> str:
            return f"{request.remote_addr} {request.scheme}"

        return app

    return make


def where(app: Flask, peer: str = "10.0.0.2", path: str = "/where", **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(path, base_url=ORIGIN, headers=sent, environ_base={"REMOTE_ADDR": peer})


@pytest.mark.parametrize(("written", "address"), FORMS.items())
def test_every_form_of_x_forwarded_for_is_read(
    behind: Callable[..., Flask], written: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert where(behind(), X_Forwarded_For=written).text == f"{address} http"
    assert caplog.text == ""


@pytest.mark.parametrize(("written", "address"), FORWARDED.items())
def test_every_form_of_forwarded_is_read(behind: Callable[..., Flask], written: str, address: str) -> None:
    scheme = "https" if "proto" in written.lower() else "http"
    assert where(behind(), Forwarded=written).text == f"{address} {scheme}"


PROVIDERS = documented.table("docs/operations.md", "in front of the app")


@pytest.mark.parametrize(("written", "hops"), PROVIDERS.values(), ids=PROVIDERS)
def test_documented_number_of_proxies_finds_the_client(behind: Callable[..., Flask], written: str, hops: str) -> None:
    """The client is 198.51.100.7, and claims to be 192.0.2.1."""
    assert where(behind(int(hops)), X_Forwarded_For=written.strip("`")).text == "198.51.100.7 http"


@pytest.mark.parametrize("peer", ["198.51.100.7:5000", "[2001:db8::1]:5000", "::ffff:198.51.100.7"])
def test_address_of_the_server_is_read_as_well(behind: Callable[..., Flask], peer: str) -> None:
    assert where(behind(0), peer).text.split()[0] in ("198.51.100.7", "2001:db8::1")


def test_forwarded_of_a_client_counts_for_nothing(behind: Callable[..., Flask]) -> None:
    """Without a trusted proxy, and beside the header that the proxy writes."""
    assert where(behind(0), "203.0.113.1", Forwarded="for=198.51.100.7").text == "203.0.113.1 http"
    both = where(behind(), X_Forwarded_For="198.51.100.7", Forwarded="for=192.0.2.1;proto=https")
    assert both.text == "198.51.100.7 http"


def test_visitors_with_ports_have_limits_of_their_own(make_app: Make, wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=1, SESSIONS_CORE_CHALLENGES_PER_ADDRESS="2/hour")

    def ask(address: str) -> int:
        client, body = app.test_client(use_cookies=False), {"account": wallet.account()}
        headers = {"X-Forwarded-For": address}
        return client.post("/api/auth/challenges", base_url=ORIGIN, json=body, headers=headers).status_code

    assert [ask(f"198.51.100.7:{port}") for port in (40001, 40002, 40003)] == [201, 201, 429]
    assert ask("198.51.100.8:40001") == 201
    assert [ask(each) for each in ("_a1", "_a1", "_a1", "_b2")] == [201, 201, 429, 201]


def test_address_with_a_port_is_shown_to_its_user(make_app: Make, wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=1)
    person = Visitor(app)
    person.client.environ_base["HTTP_X_FORWARDED_FOR"] = "198.51.100.7:40001"
    person.sign_in(wallet)
    (session,) = person.json("/api/auth/sessions").get_json()["data"]["sessions"]
    assert session["ip"] == "198.51.100.7"


# -- What is not understood -----------------------------------------------------------------------------------------

NOT_UNDERSTOOD: dict[str, tuple[int, str, dict[str, str], str]] = {
    "no address": (1, "10.0.0.2", {"X_Forwarded_For": "unknown\x7f"}, "says that a request came from 'unknown\\x7f'"),
    "hidden": (1, "10.0.0.2", {"Forwarded": "for=_gazonk"}, "says that a request came from '_gazonk'"),
    "no header": (1, "10.0.0.2", {}, "TRUSTED_PROXIES is 1, and X-Forwarded-For or Forwarded names 0 addresses"),
    "too few": (2, "10.0.0.2", {"X_Forwarded_For": "198.51.100.7"}, "TRUSTED_PROXIES is 2"),
    "a Unix socket": (0, "", {}, "set SESSIONS_CORE_TRUSTED_PROXIES"),
}


@pytest.mark.parametrize(("hops", "peer", "headers", "said"), NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_malformed_forwarded_header_is_logged_once(
    behind: Callable[..., Flask],
    caplog: pytest.LogCaptureFixture,
    hops: int,
    peer: str,
    headers: dict[str, str],
    said: str,
) -> None:
    app = behind(hops)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert where(app, peer, **headers).status_code == 200
    (line,) = (record.getMessage() for record in caplog.records)
    assert said in line
    assert line.isprintable()


def test_untrusted_proxy_is_logged_in_production(
    behind: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    production = {"SESSIONS_CORE_DEVELOPMENT": False, "SESSIONS_CORE_PUBLIC_ORIGIN": "https://localhost"}
    app = behind(0, SESSIONS_CORE_REDIS_CHECK=False, **production)
    caplog.clear()
    for peer in ("10.0.0.2", "10.0.0.3"):
        assert where(app, peer, X_Forwarded_For="198.51.100.7").status_code == 200
    (line,) = (record.getMessage() for record in caplog.records if "PROXIES" in record.getMessage())
    assert "SESSIONS_CORE_TRUSTED_PROXIES is 0" in line
    caplog.clear()
    assert where(behind(0, SESSIONS_CORE_REDIS_CHECK=False, **production), "198.51.100.9").status_code == 200
    assert "PROXIES" not in caplog.text


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_checks_from_inside_log_nothing(
    behind: Callable[..., Flask], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    app = behind(1)
    caplog.clear()
    assert where(app, path=path).status_code == 200
    assert caplog.text == ""
