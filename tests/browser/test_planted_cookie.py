"""A site behind TLS, and a plain-http page of a sibling host that plants cookies with `Domain=`: in real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from selenium.webdriver import Chrome

from sessions_core import current_account, signed_in
from sessions_core.sessions.record import LoadedSession

from ..actors import SESSION_COOKIE
from ..constants import BOB
from ..servers import serving, tls_for
from .conftest import Site

HOST, SIBLING, DOMAIN = "app.shop.test", "evil.shop.test", "shop.test"
# Names that a server may read as ours. Chromium stores those with bytes that it does not trim itself.
STORED = ["\xa0", "\x85", "\xc2\xa0", '"']
# Chromium refuses these: a real `__Host-` name with `Domain=`, no name at all, and control characters; it trims tabs.
REFUSED = ["", "=", "\t", " ", "\x0b", "\x0c", "\x1c", "\x1f"]


class Victim:
    """A browser that knows the site, and where the attacker's page is."""

    def __init__(self, driver: Chrome, site: str, sibling: str) -> None:
        self.driver, self.site, self.sibling = driver, site, sibling
        self.sent: list[str] = []

    def cookies(self) -> str:
        """Return what the browser sends to the site: the header Cookie, byte for byte."""
        self.sent.clear()
        self.driver.get(f"{self.site}/livez")
        return self.sent[0]

    def sign_in(self, live: LoadedSession) -> None:
        cookie = {"name": SESSION_COOKIE, "value": live.id, "url": self.site, "path": "/", "secure": True}
        assert self.driver.execute_cdp_cmd("Network.setCookie", cookie)["success"]

    @property
    def account(self) -> str | None:
        """Whose session the site shows; `None` for a visitor, who is sent to sign in."""
        self.driver.get(f"{self.site}/whoami")
        if self.driver.current_url.startswith(f"{self.site}/sign-in"):
            return None
        return str(self.driver.execute_script("return document.body.textContent"))


@pytest.fixture
def behind_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site()
    with serving(site, tls_for(tmp_path_factory.mktemp("tls"), HOST)) as port:
        site.origin = f"https://{HOST}:{port}"
        yield site


@pytest.fixture
def overrides(overrides: dict[str, Any], behind_tls: Site) -> dict[str, Any]:
    production = {"SESSIONS_CORE_DEVELOPMENT": False, "SESSIONS_CORE_REDIS_CHECK": False}
    return overrides | production | {"SESSIONS_CORE_PUBLIC_ORIGIN": behind_tls.origin}


@pytest.fixture
def attacker(start: Callable[..., LoadedSession]) -> LoadedSession:
    """The attacker's own session, into which victims should be drawn."""
    return start(account=BOB)


@pytest.fixture
def victim(driver: Chrome, app: Flask, behind_tls: Site, attacker: LoadedSession) -> Iterator[Victim]:
    @app.get("/whoami")
    @signed_in
    def whoami() -> str:
        return str(current_account)

    def plant(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        before = bytes.fromhex(environ["QUERY_STRING"]).decode("latin-1")
        cookie = f"{before}{SESSION_COOKIE}={attacker.id}; Domain={DOMAIN}; Path=/"
        start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", cookie)])
        return [b"planted"]

    def listen(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        victim.sent.append(environ.get("HTTP_COOKIE", ""))
        return app(environ, start_response)

    with serving(plant) as port:
        victim = Victim(driver, behind_tls.origin, f"http://{SIBLING}:{port}")
        behind_tls.app = listen  # type: ignore[assignment]
        driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        yield victim
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.get("about:blank")
        driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": False})
        driver.get_log("browser")
        behind_tls.app = None


def planted(victim: Victim, before: str) -> str:
    victim.driver.get(f"{victim.sibling}/?{before.encode('latin-1').hex()}")
    return victim.cookies()


@pytest.mark.parametrize("before", STORED, ids=ascii)
def test_look_alike_cookie_does_not_sign_in(victim: Victim, attacker: LoadedSession, before: str) -> None:
    """Chromium sends the planted cookie to the site. The visitor does not act as the attacker."""
    assert f"{before}{SESSION_COOKIE}={attacker.id}" in planted(victim, before)
    assert victim.account is None


@pytest.mark.parametrize("before", STORED, ids=ascii)
def test_look_alike_cookie_does_not_sign_out(
    victim: Victim, attacker: LoadedSession, start: Callable[..., LoadedSession], before: str
) -> None:
    """Planted before and after the sign-in: the real cookie beside it counts."""
    mine = start()
    victim.sign_in(mine)
    assert attacker.id in planted(victim, before)
    assert victim.account == mine.record.account
    victim.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    assert attacker.id in planted(victim, before)
    victim.sign_in(mine)
    assert victim.account == mine.record.account


@pytest.mark.parametrize("before", REFUSED, ids=ascii)
def test_sibling_host_can_not_plant_our_host_cookie(victim: Victim, attacker: LoadedSession, before: str) -> None:
    """What the server need not tell apart: no plant arrives under exactly our name."""
    assert attacker.id not in planted(victim, before)
    assert victim.account is None
