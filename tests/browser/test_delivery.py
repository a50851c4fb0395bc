"""What a page costs in Chromium over a slow network: requests, bytes and round trips, and the second time the page
alone. `pytest -s` prints the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from sessions_core.parts.delivery import Delivery

from ..servers import serving
from .conftest import Site
from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage

# "Slow 4G" of Chromium's developer tools: milliseconds, and bytes in a second.
LATENCY, BANDWIDTH = 400, 200_000
FIGURES = """
    const [page] = performance.getEntriesByType("navigation");
    return {
      html: page.responseEnd, ready: page.domContentLoadedEventEnd, bytes: page.encodedBodySize,
      files: performance.getEntriesByType("resource").map(
        ({ name, startTime, responseEnd, transferSize, encodedBodySize }) => ({
          name, kind: name.match(/[.](js|css|svg)([?]|$)/)?.[1], begun: startTime, arrived: responseEnd,
          sent: transferSize, bytes: encodedBodySize,
          later: Array.from(document.querySelectorAll("link[rel=prefetch]")).some(({ href }) => href === name),
        })).filter(({ kind }) => kind),
    };
"""
NAMED = """
    const found = document.querySelectorAll(`script[type=module], link[rel=modulepreload]${arguments[0]}`);
    return Array.from(found, (each) => each.src ?? each.href).map((url) => new URL(url, location).href);
"""


@dataclass(frozen=True)
class View:
    """One view of a page, as Chromium timed it. `asked` are the paths that the server was asked for."""

    figures: dict[str, Any]
    asked: list[str]

    def files(self, kind: str) -> list[dict[str, Any]]:
        """The files of the page itself, and not of the one after it."""
        return [each for each in self.figures["files"] if each["kind"] == kind and not each["later"]]

    @property
    def scripts(self) -> list[dict[str, Any]]:
        return self.files("js")

    @property
    def script_bytes(self) -> int:
        return sum(each["bytes"] for each in self.scripts)

    @property
    def in_one_chain(self) -> bool:
        """Whether Chromium had asked for every script before the first had arrived."""
        return max(each["begun"] for each in self.scripts) < min(each["arrived"] for each in self.scripts)

    def __str__(self) -> str:
        last = max(each["arrived"] for each in self.scripts)
        return (
            f"{self.figures['bytes']:,} B of HTML until {self.figures['html']:.0f} ms, "
            f"{len(self.scripts)} scripts with {self.script_bytes:,} B, {len(self.files('css'))} styles, "
            f"content loaded after {self.figures['ready']:.0f} ms, last script after {last:.0f} ms, "
            f"{len(self.asked)} requests"
        )


Look = Callable[[str], View]


@pytest.fixture
def look(browser: Browser, app: Flask) -> Iterator[Look]:
    """Open a page over the slow network, wait until it needs nothing more, and return what that took."""
    asked: list[str] = []
    inner = app.wsgi_app

    def note(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        asked.append(environ["PATH_INFO"])
        return inner(environ, start_response)

    app.wsgi_app = note  # type: ignore[method-assign]

    def look(path: str) -> View:
        asked.clear()
        browser.open(path)
        last = [0]

        def rested() -> bool:
            """Whether all modules that the page names have arrived, those that were asked for by import() too."""
            found = browser.run(FIGURES)["files"]
            named = {each["name"] for each in found if each["arrived"]}
            before, last[0] = last[0], len(found)
            return set(browser.run(NAMED, ", link[rel=prefetch]")) <= named and before == len(found)

        browser.wait(rested, lambda: f"{path} never rests")
        view = View(browser.run(FIGURES), list(asked))
        print(f"\n{path}: {view}")
        return view

    slow = {"latency": LATENCY, "downloadThroughput": BANDWIDTH, "uploadThroughput": BANDWIDTH}
    browser.forget_files()
    browser.cdp("Network.emulateNetworkConditions", offline=False, **slow)
    yield look
    browser.online()


def of_files(view: View) -> list[str]:
    return [path for path in view.asked if path.startswith(("/sessions_core/", "/static/"))]


def test_first_view_of_sign_in_keeps_to_its_budget(look: Look) -> None:
    """With wallets of four networks, Internet Identity and trial wallets; a production site has no trial wallets."""
    view = look("/sign-in")
    assert len(view.scripts) <= 36
    assert view.script_bytes <= 70_000
    assert len(view.files("css")) <= 3
    assert view.in_one_chain
    assert view.figures["ready"] < 10 * LATENCY


def test_first_view_of_a_private_page_keeps_to_its_budget(look: Look, browser: Browser, wallet: WalletInPage) -> None:
    browser.take_cookie(wallet)
    view = look("/session")
    assert len(view.scripts) <= 37  # four of them, and 6 kB, hear of changes in other tabs and devices
    assert view.script_bytes <= 59_000
    assert len(view.files("css")) <= 2
    assert view.in_one_chain
    assert view.figures["ready"] < 10 * LATENCY


@pytest.mark.parametrize("path", ["/", "/sign-in", "/session", "/sessions", "/activity"])
def test_second_view_asks_for_no_file(look: Look, browser: Browser, wallet: WalletInPage, path: str) -> None:
    if path != "/sign-in":
        browser.take_cookie(wallet)
    first, second = look(path), look(path)
    assert of_files(first)
    assert of_files(second) == []
    assert [each["name"] for each in second.figures["files"] if each["sent"]] == []
    assert second.figures["ready"] < first.figures["ready"] * 0.75


@pytest.mark.parametrize("path", ["/sign-in", "/session", "/sessions", "/session/wallets/link"])
def test_page_preloads_what_chromium_loads(look: Look, browser: Browser, wallet: WalletInPage, path: str) -> None:
    if path != "/sign-in":
        browser.take_cookie(wallet)
    view = look(path)
    assert set(browser.run(NAMED, "")) == {each["name"] for each in view.scripts}


def test_sign_in_brings_the_scripts_of_the_next_page(look: Look, browser: Browser, wallet: WalletInPage) -> None:
    """While the user looks for their wallet."""
    look("/sign-in")
    browser.take_cookie(wallet)
    view = look("/session")
    assert len(view.scripts) > 25
    assert len([each for each in view.files("js") + view.files("css") if each["sent"]]) <= 3


def test_new_release_is_loaded_although_the_old_is_kept(
    look: Look, browser: Browser, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    look("/sign-in")
    monkeypatch.setattr(app.extensions["sessions_core"].part(Delivery).snapshots.current(), "fingerprint", "0" * 16)
    view = look("/sign-in")
    assert len(of_files(view)) > 30
    assert all("/0000000000000000/" in each["name"] for each in view.scripts)


# -- From a CDN ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cdn(site: Site) -> Iterator[str]:
    """A server of another origin that passes requests on to the site, as a CDN does."""

    def passed_on(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["HTTP_HOST"] = site.origin.removeprefix("http://")
        return site(environ, start_response)

    with serving(passed_on) as port:
        yield f"http://127.0.0.1:{port}"


class TestFromACdn:
    @pytest.fixture
    def app(self, make_app: Callable[..., Flask], cdn: str) -> Flask:
        return make_app(SESSIONS_CORE_ASSETS_URL=cdn)

    def test_wallet_signs_in_with_scripts_of_a_cdn(self, browser: Browser, wallet: WalletInPage, cdn: str) -> None:
        """No script, style or picture is blocked: the console stays empty."""
        browser.sign_in(wallet)
        assert browser.session_state == "active"
        loaded = browser.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
        files = [name for name in loaded if "/sessions_core/" in name]
        assert len(files) > 20
        assert all(name.startswith(f"{cdn}/sessions_core/") for name in files)

    def test_page_preloads_what_comes_from_a_cdn(self, look: Look, browser: Browser, cdn: str) -> None:
        """Chromium takes what it preloaded, and does not load it again in another mode."""
        view = look("/sign-in")
        assert len(of_files(view)) == len(set(of_files(view)))
        assert set(browser.run(NAMED, "")) == {each["name"] for each in view.scripts}
        ConnectPanel(browser).wait_for("no_wallet")
