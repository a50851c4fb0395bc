"""Live updates behind a real nginx: one that does not upgrade connections, and one that does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessions_core.parts.live_updates import LiveUpdates
from sessions_core.web.services import Services

from ..constants import PATIENCE
from ..servers import free_port, serving
from .conftest import Elsewhere, Site
from .pages import Browser
from .session_page import hurried
from .wallet_in_page import WalletInPage

UPGRADES = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"


@contextmanager
def nginx(folder: Path, app_port: int, more: str) -> Iterator[int]:
    """An nginx before an application; returns its port."""
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in kinds)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}server {{ listen localhost:{port};\n"
        f"location / {{ proxy_pass http://127.0.0.1:{app_port}; proxy_set_header Host $http_host; {more} }} }} }}\n"
    )
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert binary, "nginx is missing: sh tests/browser/install.sh"
    process = subprocess.Popen([binary, "-p", str(folder), "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module", params=["does not upgrade", "upgrades"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application is open at the address of nginx."""
    site, more = Site(), UPGRADES if request.param == "upgrades" else ""
    with serving(site) as port, nginx(tmp_path_factory.mktemp("nginx"), port, more) as front:
        site.origin = f"http://localhost:{front}"
        site.upgrades = bool(more)  # type: ignore[attr-defined]
        yield site


def test_browser_behind_nginx_hears_of_changes(
    browser: Browser, site: Site, wallet: WalletInPage, elsewhere: Elsewhere, services: Services
) -> None:
    """At once where the proxy lets the connection through; else with the question of every 30 seconds."""
    live, upgrades = services.part(LiveUpdates), bool(site.upgrades)  # type: ignore[attr-defined]
    browser.expected_complaints.append("WebSocket connection to")
    with hurried(browser):
        browser.enter(wallet)
        browser.wait_for_session("active")
        if upgrades:
            browser.wait(lambda: live.hub.count == 1)
        elsewhere.sign_in(wallet)
        assert "New sign-in to your account" in browser.see("live-notice").text
        assert live.hub.count == int(upgrades)
        handle = str(browser.run("return document.querySelector('session-timeout').dataset.sessionId"))
        elsewhere.end(wallet, handle)
        browser.arrive_at("/signed-out")
