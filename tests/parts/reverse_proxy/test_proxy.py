"""The nginx configuration of docs/integrate.md: a real nginx with TLS before the application."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from flask import Flask
from redis import Redis

from sessions_core.web.services import Services

from ...actors import together
from ...constants import ALICE_ACCOUNT, ANOTHER
from ...documented import blocks
from ...nginx import Nginx
from ...processes import BIN, Running
from ...servers import free_port
from ..live_updates.sockets import connected, cookie

HOST = "app.example.org"
SLOW, THREADS = 90, 2


class Proxy(Nginx):
    """nginx with the block of the page."""

    def __init__(self, folder: Path, port: int, app_port: int) -> None:
        self._app_port = app_port
        changes = {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8000": f"127.0.0.1:{app_port}",
            f"/etc/nginx/{HOST}.pem": str(folder / f"{HOST}.pem"),
            f"/etc/nginx/{HOST}.key": str(folder / f"{HOST}.pem"),
            "/var/cache/nginx/sessions_core": str(folder / "cache"),
        }
        (block,) = blocks("integrate.md", "A proxy that buffers", "nginx")
        config = f"events {{}}\nhttp {{\naccess_log off;\n{block}}}\n"
        super().__init__(folder, config, changes, HOST, port)

    def connections_to_the_app(self) -> int:
        open_ = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
        return sum(each.raddr.port == self._app_port for each in open_)


@pytest.fixture
def proxy(
    tmp_path: Path,
    start_server: Callable[..., Running],
    redis: Redis,
    redis_url: str,
) -> Iterator[Proxy]:
    """One worker of two threads, so that a handful of slow requests would be enough.

    With an empty Redis: start-up refuses one that knows another secret.
    """
    port = free_port()
    environment = {
        "PUBLIC_ORIGIN": f"https://{HOST}:{port}",
        "SESSION_SECRET": ANOTHER,
        "REDIS_URL": redis_url,
        "TRUSTED_PROXIES": "1",
    }
    command = [str(BIN / "gunicorn"), "--workers", "1", "--threads", str(THREADS)]
    app = start_server(["env", *(f"{name}={value}" for name, value in environment.items()), *command], "Ready:")
    proxy = Proxy(tmp_path, port, app.port)
    try:
        proxy.wait_until_it_answers()
        yield proxy
    finally:
        proxy.stop()


def test_the_documented_proxy_stops_slow_requests(proxy: Proxy) -> None:
    """They wait in nginx. The application, which has two threads, hears nothing of them."""
    form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\na"
    head = f"POST /sign-in HTTP/1.1\r\nHost: {HOST}:{proxy.port}\r\n{form}".encode()
    slow = [proxy.connect() for _ in range(SLOW)]
    try:
        for connection in slow:
            connection.sendall(head)
        assert proxy.get("/livez")[0] == 404  # nginx answers that itself, after it has read what came before
        assert proxy.connections_to_the_app() == 0
        answers = together(*[lambda: proxy.get("/sign-in")[0]] * 8)
        assert answers == [200] * 8
    finally:
        for connection in slow:
            connection.close()


def test_documented_proxy_sends_the_headers_the_app_needs(proxy: Proxy) -> None:
    """https, the host with its port, and a request id that no client chooses."""
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "chosen-by-the-client"}
    status, headers, _ = proxy.get("/sign-in", **forged)
    assert status == 200
    assert headers["Strict-Transport-Security"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Secure" in headers["Set-Cookie"]
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Request-ID"])
    assert proxy.get("/session")[1]["Location"].startswith("/sign-in")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_documented_proxy_keeps_static_files(proxy: Proxy, encoding: str) -> None:
    """The second answer has the request id of the first: the app was not asked again."""
    page = proxy.get("/sign-in")[2].decode()
    path = re.findall(r'src="(/sessions_core/[0-9a-f]{16}/[^"]+)"', page)[0]
    proxy.get(path, **{"Accept-Encoding": "identity" if encoding == "gzip" else "gzip"})
    answers = [proxy.get(path, **{"Accept-Encoding": encoding}) for _ in range(2)]
    assert [status for status, _, _ in answers] == [200, 200]
    assert len({headers["X-Request-ID"] for _, headers, _ in answers}) == 1
    assert [headers.get("Content-Encoding", "identity") for _, headers, _ in answers] == [encoding] * 2
    revalidated = [proxy.get(re.sub(r"[0-9a-f]{16}/", "", path)) for _ in range(2)]
    assert len({headers["X-Request-ID"] for _, headers, _ in revalidated}) == 2


def test_documented_proxy_upgrades_live_connections(proxy: Proxy, make_app: Callable[..., Flask]) -> None:
    services: Services = make_app(SECRET_KEY=ANOTHER).extensions["sessions_core"]
    session = services.lifecycle.start(ALICE_ACCOUNT, services.policy.standard)
    host = f"{HOST}:{proxy.port}"
    sent = cookie(session.id)
    with connected(proxy.port, sent, f"https://{host}", socket=proxy.connect(), host=host) as browser:
        browser.hear("state")
        services.lifecycle.revoke(session, "revoked")
        assert browser.end() == (4401, "revoked")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_documented_proxy_hides_machine_endpoints(proxy: Proxy, path: str) -> None:
    status, _, body = proxy.get(path)
    assert status == 404
    assert b"nginx" in body
