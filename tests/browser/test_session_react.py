"""`createSessionReact` with React from npm, in a page with our strict policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, Response

from sessions_core import sessionless
from sessions_core.web.services import Services

from .conftest import Interruption, account_of
from .library_page import LIBRARY, PAGE, LibraryPage, add_page
from .pages import Browser
from .wallet_in_page import WalletInPage

PACKAGES = Path(__file__).parent / "node_modules"
MODULES = {
    "react": "react/cjs/react.production.js",
    "react-dom": "react-dom/cjs/react-dom.production.js",
    "react-dom/client": "react-dom/cjs/react-dom-client.production.js",
    "scheduler": "scheduler/cjs/scheduler.production.js",
}
COMPONENT = f"""
import {{ createSessionReact }} from "{LIBRARY}/react.js";
import {{ SessionManager }} from "{LIBRARY}/session-manager.js";
const React = load("react"), {{ createRoot }} = load("react-dom/client");
const {{ createElement }} = React;
const {{ SessionProvider, useSession }} = createSessionReact(React);

class Boundary extends React.Component {{
  state = {{ error: null }};
  static getDerivedStateFromError(error) {{ return {{ error }}; }}
  render() {{
    const {{ error }} = this.state;
    return error ? createElement("output", null, error.message) : this.props.children;
  }}
}}

function Who() {{
  const {{ state, session, reason, logout }} = useSession();
  return createElement("section", {{ "data-state": state }},
    createElement("output", null, session ? session.account : reason ?? "nobody"),
    createElement("button", {{ onClick: logout }}, "Sign out"));
}}

window.manager = new SessionManager({{ signInUrl: null, disableAutoSessionKeepAlive: true }});
const who = createElement(Who);
const tree = location.hash === "#bare" ? who : createElement(SessionProvider, {{ manager }}, who);
createRoot(document.querySelector("#root")).render(createElement(Boundary, null, tree));
"""


def bundle() -> str:
    """React as one script: its files are CommonJS, which no browser loads."""
    files = (f"{json.dumps(name)}(module, exports, require) {{{(PACKAGES / path).read_text()}\n}}"
             for name, path in MODULES.items())  # fmt: skip
    return (
        f"const files = {{{','.join(files)}}}, loaded = {{}};"
        "function load(name) { if (!loaded[name]) { const module = { exports: {} }; loaded[name] = module;"
        " files[name](module, module.exports, load); } return loaded[name].exports; }"
    )


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = add_page(make_app())

    @app.get("/react")
    @sessionless
    def page() -> str:
        scripts = '<script src="/react/bundle.js"></script><script type="module" src="/react/component.js"></script>'
        return PAGE.replace("</body>", f"{scripts}</body>")

    @app.get("/react/<name>.js")
    @sessionless
    def script(name: str) -> Response:
        return Response({"bundle": bundle(), "component": COMPONENT}[name], mimetype="text/javascript")

    return app


@pytest.fixture
def shown(browser: Browser) -> Callable[[], list[str]]:
    """What the component shows now: the state, and its words."""

    def shown() -> list[str]:
        found: list[str] = browser.run(
            "return [document.querySelector('section')?.dataset.state, document.querySelector('output')?.textContent]"
        )
        return found

    return shown


def test_component_follows_the_session(
    browser: Browser,
    wallet: WalletInPage,
    shown: Callable[[], list[str]],
    interrupt: Interruption,
    services: Services,
) -> None:
    browser.take_cookie(wallet)
    browser.open("/react")
    browser.wait(lambda: shown() == ["active", wallet.account], lambda: str(shown()))
    interrupt.answers["/api/auth/sessions/validate", "GET"] = lambda: ("", 503)
    LibraryPage(browser).call("await manager.validateSession()")
    browser.wait(lambda: shown() == ["offline", wallet.account], lambda: str(shown()))
    interrupt.answers.clear()
    browser.look_again()
    browser.wait(lambda: shown()[0] == "active")
    browser.run("document.querySelector('section button').click()")
    browser.wait(lambda: shown() == ["signed_out", "signed_out"], lambda: str(shown()))
    assert services.repository.living(str(account_of(wallet))) == []


def test_component_shows_why_a_session_ended(
    browser: Browser, wallet: WalletInPage, shown: Callable[[], list[str]], services: Services, app: Flask
) -> None:
    browser.take_cookie(wallet)
    browser.open("/react")
    browser.wait(lambda: shown()[0] == "active")
    with app.test_request_context():
        (live,) = services.repository.living(str(account_of(wallet)))
        services.lifecycle.revoke_handle(account_of(wallet), live.record.handle, "revoked")
    browser.look_again()
    browser.wait(lambda: shown() == ["signed_out", "revoked"], lambda: str(shown()))


def test_hook_outside_of_a_provider_says_so(browser: Browser, shown: Callable[[], list[str]]) -> None:
    browser.expected_complaints.append("useSession must be used within SessionProvider")
    browser.open("/react#bare")
    browser.wait(lambda: shown()[1] == "useSession must be used within SessionProvider", lambda: str(shown()))
