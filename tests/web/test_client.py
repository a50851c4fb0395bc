"""Where a request came from: its address as the proxies say and the settings want it, its device in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, g

from sessions_core import public
from sessions_core.web.request_client import COMMAND_LINE, Client, current

from ..constants import FIREFOX


def client(app: Flask, ip: str | None = "203.0.113.7", agent: str | None = FIREFOX, **headers: str) -> Client:
    """The client of one request, as the application sees it behind all its middleware."""
    seen: list[Client] = []
    if "whoami" not in app.view_functions:

        @app.get("/whoami")
        @public
        def whoami() -> str:
            app.extensions["seen"].append(current())
            return ""

    app.extensions["seen"] = seen
    sent = headers | ({"User-Agent": agent} if agent is not None else {})
    environ = {"REMOTE_ADDR": ip} if ip is not None else {}
    browser = app.test_client()
    if ip is None:
        del browser.environ_base["REMOTE_ADDR"]
    if agent is None:
        del browser.environ_base["HTTP_USER_AGENT"]
    response = browser.get("/whoami", base_url="http://localhost:5000", headers=sent, environ_overrides=environ)
    assert response.status_code == 200
    (found,) = seen
    return found


def test_a_request_has_the_address_and_the_browser_it_came_with(app: Flask) -> None:
    assert client(app) == Client("203.0.113.7", FIREFOX, "Firefox on Linux")


def test_the_address_is_shortened_where_the_settings_say_so(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_SHORTEN_IP=True)
    assert client(app).ip == "203.0.113.0/24"
    assert client(app, "2001:db8:1:2::7").ip == "2001:db8:1::/48"


def test_forwarded_header_without_a_proxy_is_ignored(app: Flask) -> None:
    assert client(app, **{"X-Forwarded-For": "198.51.100.1", "Forwarded": "for=198.51.100.1"}).ip == "203.0.113.7"


def test_client_ip_is_the_last_one_the_proxy_saw(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=1)
    assert client(app, **{"X-Forwarded-For": "10.0.0.1, 198.51.100.1"}).ip == "198.51.100.1"
    assert client(app, **{"X-Forwarded-For": "<script>"}).ip == ""


@pytest.mark.parametrize(("ip", "agent"), [("", ""), (None, None), ("/run/app.sock", "\t")])
def test_missing_address_and_agent_mean_an_unknown_browser(app: Flask, ip: Any, agent: Any) -> None:
    assert client(app, ip, agent) == Client("", "", "Unknown browser")


def test_outside_of_a_request_it_is_the_command_line(app: Flask) -> None:
    assert current() is COMMAND_LINE
    with app.app_context():
        assert current() is COMMAND_LINE
    assert Client(device="Command line") == COMMAND_LINE


def test_within_a_request_it_is_described_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[str] = []

    def client_of(ip: str, agent: str, shorten: bool, describe: object) -> Client:
        described.append(ip)
        return Client(ip)

    monkeypatch.setattr("sessions_core.web.request_client.client_of", client_of)
    with app.test_request_context(environ_overrides={"REMOTE_ADDR": "203.0.113.7"}):
        assert current() is current()
    assert described == ["203.0.113.7"]


def test_two_requests_in_one_application_context_are_two_clients(app: Flask) -> None:
    with app.app_context():
        for ip in ("203.0.113.1", "203.0.113.2"):
            with app.test_request_context(environ_overrides={"REMOTE_ADDR": ip}):
                assert current().ip == ip
        assert current() is COMMAND_LINE
        assert "sessions_core_client" in g, "they share one g, and that is what this is about"


def test_requests_at_the_same_time_do_not_mix_their_clients(app: Flask) -> None:
    barrier, found = threading.Barrier(8), {}

    def request(ip: str) -> None:
        with app.test_request_context(environ_overrides={"REMOTE_ADDR": ip}):
            barrier.wait()
            found[ip] = current().ip

    threads = [threading.Thread(target=request, args=(f"203.0.113.{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ip == seen for ip, seen in found.items())
    assert len(found) == 8
