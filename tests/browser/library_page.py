"""A page of an adopter's own that uses the browser library, and nothing else of the package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from sessions_core import requires, sessionless

from ..actors import Wallet
from .conftest import Hold
from .pages import ROOT, Browser

PATH = "/bare"
LIBRARY = "/sessions_core/parts/browser_library/static"
PAGE = """<!doctype html>
<html lang="en"><head><title>A page</title><link rel="icon" href="data:,"></head>
<body><main><h1>A page</h1><label>A field <input id="field"></label><div id="root"></div>
<dialog id="ask" aria-labelledby="ask-title"><h2 id="ask-title">Are you still there?</h2>
<button value="extend" autofocus>Stay signed in</button><button value="sign_out">Sign out</button></dialog>
</main></body></html>"""
EVENTS = (
    "change", "expiring", "network_error", "permission_denied", "reconnected", "refresh_failed", "replaced",
    "session_expired", "session_invalid", "signed_out",
)  # fmt: skip
MAKE = """
    const [library, options, stored, events, done] = arguments;
    (async () => {
      const { SessionManager } = await import(`${library}/session-manager.js`);
      const { SecureStorage } = await import(`${library}/secure-storage.js`);
      if (stored) options.storage = window.storage = new SecureStorage();
      window.manager = new SessionManager(options);
      window.told = [];
      const plain = (value) => value && JSON.parse(JSON.stringify(value));
      for (const name of events) manager.addEventListener(name, ({ detail }) => told.push([name, plain(detail)]));
    })().then(() => done(null), (error) => done(String(error)));
"""
CALL = """
    const done = arguments[arguments.length - 1], given = Array.from(arguments).slice(0, -1);
    (async () => { %s })()
      .then((value) => done({ value }), (error) => done({ error: String(error), code: error.code }));
"""
DUMP = """
    const databases = await indexedDB.databases(), found = [];
    for (const { name } of databases) {
      const database = await new Promise((resolve, reject) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => reject(opening.error);
      });
      for (const store of database.objectStoreNames) {
        const rows = database.transaction(store).objectStore(store);
        const values = await new Promise((resolve) => {
          const all = rows.getAll();
          all.onsuccess = () => resolve(all.result);
        });
        for (const value of values) {
          const key = value?.key instanceof CryptoKey ? value.key : null;
          found.push({ store, text: JSON.stringify(value), extractable: key?.extractable ?? null });
          if (key) await crypto.subtle.exportKey("raw", key).then(() => found.push({ exported: true }), () => {});
        }
      }
      database.close();
    }
    return { found, local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie };
"""


def add_page(app: Flask) -> Flask:
    """Give an application the page, and a route that only administrators may use."""

    @app.get(PATH)
    @sessionless
    def bare() -> str:
        return PAGE

    @app.post("/api/reports")
    @requires(role="admin")
    def reports() -> dict[str, Any]:
        return {"success": True, "data": {}}

    return app


class LibraryPage:
    """The page in the tab in front, with a `SessionManager` in `window.manager`; `told` are its events."""

    def __init__(self, browser: Browser, library: str = LIBRARY) -> None:
        self.browser = browser
        self.library = library

    def open(self, path: str = PATH, *, start: bool = True, stored: bool = False, **options: Any) -> LibraryPage:
        """Open the page, and make a manager; `stored` keeps its tokens in a `SecureStorage`."""
        self.browser.open(path)
        return self.make(start=start, stored=stored, **options)

    def make(self, *, start: bool = True, stored: bool = False, **options: Any) -> LibraryPage:
        wrong = self.browser.driver.execute_async_script(MAKE, self.library, options, stored, EVENTS)
        assert wrong is None, wrong
        if start:
            self.call("await manager.start()")
        return self

    def call(self, code: str, *given: Any) -> Any:
        """Run asynchronous code in the page; `given` are its arguments."""
        answer = self.browser.driver.execute_async_script(CALL % code, *given)
        assert "error" not in answer, answer
        return answer["value"]

    def refused(self, code: str) -> str:
        """Run code that throws; return the error's code, or its text."""
        answer = self.browser.driver.execute_async_script(CALL % code)
        assert "error" in answer, answer
        return str(answer.get("code") or answer["error"])

    @property
    def state(self) -> str:
        return str(self.browser.run("return manager.state"))

    def wait_for(self, state: str) -> None:
        self.browser.wait(
            lambda: self.state == state, lambda: f"the session is {self.state}, not {state}: {self.told()}"
        )

    def told(self, name: str = "") -> list[Any]:
        """The details of all events of a name, or all events."""
        heard = self.browser.run("return told")
        return [detail for each, detail in heard if each == name] if name else heard

    def hear(self, name: str) -> Any:
        """Wait for an event; return its detail."""
        return self.browser.wait(lambda: self.told(name), lambda: f"no {name}: {self.told()}")[-1]

    def sign_in(self, signer: Wallet, **wanted: Any) -> dict[str, Any]:
        """Create a session, with a wallet outside of the browser."""
        self.browser.run(
            "const [account, wanted] = arguments; delete window.toSign; window.signing = manager.createSession({"
            " account, ...wanted, sign: (text) => new Promise((sign) => { window.toSign = { text, sign }; }) });"
            " signing.catch(() => {});",
            signer.account(),
            wanted,
        )
        text = self.browser.wait(lambda: self.browser.run("return window.toSign?.text"), "nothing to sign")
        self.browser.run("toSign.sign(arguments[0])", signer.sign(text))
        session: dict[str, Any] = self.call("return signing")
        return session

    def open_tabs(self, count: int, **options: Any) -> list[str]:
        """Open the page in as many tabs, that in front included; return all of them."""
        tabs = [self.browser.driver.current_window_handle]
        for _ in range(count - 1):
            tabs.append(self.browser.new_tab())
            self.open(**options)
        return tabs

    def refresh_in_all(self, tabs: list[str], hold: Hold, path: str) -> None:
        """Have all tabs refresh at the same moment: none is answered before all have begun."""
        hold(path, "POST")
        for tab in tabs:
            self.browser.switch_to(tab)
            self.browser.run("manager.refreshSession().then((done) => { window.done = done; })")
        hold.release()
        for tab in tabs:
            self.browser.switch_to(tab)
            self.browser.wait(lambda: self.browser.run("return window.done === true && manager.state === 'active'"))

    def stored(self) -> dict[str, Any]:
        """Everything that scripts can store in this browser for the page's origin, and its cookies for scripts."""
        found: dict[str, Any] = self.call(DUMP)
        return found


class Requests:
    """What the application is asked, and answers that get lost on the way."""

    def __init__(self, app: Flask) -> None:
        self._inner = app.wsgi_app
        self._lock = threading.Lock()
        self._losing: set[tuple[str, str]] = set()
        self.seen: list[tuple[str, str]] = []
        app.wsgi_app = self  # type: ignore[assignment]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        asked = (environ["PATH_INFO"], environ["REQUEST_METHOD"])
        with self._lock:
            self.seen.append(asked)
            loses = asked in self._losing
        if not loses:
            return self._inner(environ, start_response)
        # The application has done what it was asked for; a proxy has lost its answer.
        for _ in self._inner(environ, lambda *_: None):
            pass
        start_response("502 Bad Gateway", [("Access-Control-Allow-Origin", "*")])
        return [b"<h1>502</h1>"]

    def count(self, path: str, method: str = "POST") -> int:
        return self.seen.count((path, method))

    @contextmanager
    def losing(self, path: str, method: str = "POST") -> Iterator[None]:
        """Lose the answers to these requests."""
        self._losing.add((path, method))
        try:
            yield
        finally:
            self._losing.discard((path, method))


def served_from_disk(path: str) -> bytes | None:
    """Return a module as another origin serves it that has copied the library with the folders around it."""
    file = (ROOT / path.removeprefix("/")).resolve()
    static = file.is_relative_to(ROOT / "sessions_core") and "static" in file.parts
    return file.read_bytes() if static and file.suffix == ".js" else None
