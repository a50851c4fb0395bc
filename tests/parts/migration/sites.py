"""A site as it was before, with the real Flask-Session or Flask's signed cookie, and browsers that meet both."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from flask import Flask, jsonify, request, session
from flask_login import LoginManager, UserMixin, login_user, logout_user
from flask_session import Session
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import public
from tests.actors import ORIGIN
from tests.constants import FIREFOX, SECRET, VALIDATE


class User(UserMixin):
    def __init__(self, account: str) -> None:
        self.id = account


def former_site(redis_url: str | None, **settings: Any) -> Flask:
    """Make the former site. With `redis_url` its sessions are those of Flask-Session, otherwise signed cookies."""
    app = Flask("former")
    app.config.update({"SECRET_KEY": SECRET} | settings)
    if redis_url:
        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(redis_url))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SESSION_USE_SIGNER is deprecated, and in use
            Session(app)
    manager = LoginManager(app)
    manager.user_loader(User)

    @app.post("/sign-in")
    def sign_in() -> str:
        data = request.get_json()
        session.permanent = True
        session.update(data)
        if "remember" in data:
            login_user(User(data["remember"]), remember=True)
        return "signed in"

    @app.post("/sign-out")
    def sign_out() -> str:
        logout_user()
        session.clear()
        return "signed out"

    @app.get("/")
    def home() -> Any:
        return jsonify({key: session[key] for key in session if isinstance(key, str)})

    return app


def account_of(data: dict[str, Any]) -> str | None:
    """What the tests' sites set as SESSIONS_CORE_MIGRATE_ACCOUNT."""
    return data.get("account") or data.get("_user_id")


def with_data_page(app: Flask) -> Flask:
    """Add a page that shows `flask.session` to the new site, and some that clear it."""

    @app.route("/data", methods=["GET", "POST"])
    @public(csrf=False)
    def data() -> Any:
        if request.method == "POST":
            session.update(request.get_json())
        return jsonify({key: session[key] for key in session if key != "csrf_token"})

    @app.get("/clear")
    @public
    def clear() -> str:
        session.clear()
        return "signed out"

    @app.get("/log-out")
    @public
    def log_out() -> str:
        session.pop("_user_id", None)
        return "logged out"

    return app


@dataclass
class Browser:
    """One cookie jar for several servers of one host. `agent` is its User-Agent header."""

    agent: str = FIREFOX
    jar: dict[str, str] = field(default_factory=dict)

    def send(self, app: Flask, path: str, *, lose: bool = False, **options: Any) -> TestResponse:
        """Send a request; with `lose` the answer never arrives, nor its cookies."""
        method = options.pop("method", "POST" if "json" in options else "GET")
        headers = {
            "User-Agent": self.agent,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items()),
        }
        headers |= {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"} | options.pop("headers", {})
        client = app.test_client(use_cookies=False)
        answer = client.open(path, method=method, base_url=ORIGIN, headers=headers, **options)
        if not lose:
            self.keep(answer)
        return answer

    def keep(self, answer: TestResponse) -> None:
        """Keep the cookies of an answer."""
        for line in answer.headers.getlist("Set-Cookie"):
            for name, cookie in SimpleCookie(line).items():
                self.jar.pop(name, None)
                if cookie.value and cookie["max-age"] != "0":
                    self.jar[name] = cookie.value

    def account(self, app: Flask) -> str | None:
        """Ask the new site who is signed in."""
        answer = self.send(app, VALIDATE)
        assert answer.status_code in (200, 401), answer.get_data(as_text=True)
        return answer.get_json()["data"]["account"] if answer.status_code == 200 else None

    def sign_out(self, app: Flask) -> None:
        """Sign out at the new site."""
        token = self.send(app, VALIDATE).get_json()["data"]["csrf_token"]
        headers = {"Accept": "application/json", "X-CSRFToken": token}
        assert self.send(app, "/api/auth/sessions/logout", json={}, headers=headers).status_code == 200

    def data(self, app: Flask) -> dict[str, Any]:
        """Ask the new site for the data of the session."""
        answer = self.send(app, "/data")
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return dict(answer.get_json())

    def copy(self) -> Browser:
        """Return another browser with the same cookies."""
        return Browser(self.agent, dict(self.jar))


def signed_in(app: Flask, account: str, **data: Any) -> Browser:
    """Sign in at a former site."""
    browser = Browser()
    browser.send(app, "/sign-in", json={"account": account, **data})
    return browser
