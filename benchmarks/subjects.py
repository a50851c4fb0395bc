"""The applications that are compared: each answers one `GET /` of a signed-in user with one value of the session.

Each is set up as its own documentation shows, with the middleware that this one request needs and no other. Those in
Python are WSGI applications. Those on Node.js are the scripts in `benchmarks/rivals/`.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from flask import Flask, session
from flask_session import Session
from redis import Redis
from werkzeug.test import Client

from sessions_core import WalletSessions, signed_in
from sessions_core.parts.api import Api
from sessions_core.parts.api.refresh_tokens import FAMILY
from sessions_core.sign_in import accounts

ORIGIN = "http://localhost:5000"
SECRET = "a benchmark secret of 32 characters or more 0123456789"
ACCOUNT = "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"

Headers = dict[str, str]
Wsgi = Any


@dataclass(frozen=True)
class Subject:
    """One row of the table. `lacks` says what the subject does not do that ours does."""

    name: str
    title: str
    lacks: str
    needs: tuple[str, ...] = ()
    """Packages without which the row is left out; of Node.js if there is a `script`."""
    app: Callable[[str], Wsgi] | None = None
    """Builds the WSGI application for the Redis at a URL."""
    credentials: Callable[[Wsgi], Headers] = lambda app: {}
    """Signs a user in to the WSGI application, and returns the headers of their requests."""
    script: str = ""
    """The file in `benchmarks/rivals/` that Node.js runs in place of `app`."""
    served_credentials: Callable[[str], Headers] = lambda origin: {}
    """Signs a user in to the server of `script` at an origin, and returns the headers of their requests."""

    @property
    def importable(self) -> bool:
        """Whether Python has the packages that this subject needs."""
        return self.app is not None and all(find_spec(name) for name in self.needs)


def cookie(app: Wsgi) -> Headers:
    """Sign in at `/in`, and return the cookie that was set."""
    return _cookie_of(Client(app).get("/in", base_url=ORIGIN).headers.getlist("Set-Cookie"))


def served_cookie(request: urllib.request.Request) -> Headers:
    """Send a request to a server that runs, and return the cookie that was set."""
    with urllib.request.urlopen(request, timeout=10) as answer:
        return _cookie_of(answer.headers.get_all("Set-Cookie"))


def _cookie_of(lines: list[str]) -> Headers:
    return {"Cookie": "; ".join(line.partition(";")[0] for line in lines)}


# -- Measures without a session ----------------------------------------------------------------------------------


def bare(url: str) -> Flask:
    """Return Flask alone."""
    app = Flask("bare")
    app.add_url_rule("/", "home", lambda: "hello")
    return app


def floor(url: str) -> Flask:
    """Return Flask with one GET of a value as large as our encrypted record."""
    app, redis = Flask("floor"), Redis.from_url(url)
    redis.set("floor", b"x" * 300)

    @app.get("/")
    def home() -> str:
        return "hello" if redis.get("floor") else "gone"

    return app


# -- Sessions in Python ------------------------------------------------------------------------------------------


def ours(url: str) -> Flask:
    """Return an application with this package and all its parts."""
    app = Flask("ours")
    app.config.update(
        SECRET_KEY=SECRET,
        SESSIONS_CORE_DEVELOPMENT=True,
        SESSIONS_CORE_REDIS_URL=url,
        SESSIONS_CORE_PUBLIC_ORIGIN=ORIGIN,
    )
    WalletSessions(app)

    @app.get("/")
    @signed_in
    def home() -> str:
        return "hello" if session["csrf_token"] else "gone"

    return app


def our_cookie(app: Flask) -> Headers:
    """Start a session as a sign-in does, and return its cookie."""
    services: Any = app.extensions["sessions_core"]
    started = services.lifecycle.start(accounts.parse(ACCOUNT), services.policy.standard)
    return {"Cookie": f"{services.store.cookie_name}={started.id}"}


def our_token(app: Flask) -> Headers:
    """Start a session of a client without cookies, and return its session token."""
    services: Any = app.extensions["sessions_core"]
    api = services.part(Api)
    family, *_ = api.refresh.start()
    started = services.lifecycle.start(
        accounts.parse(ACCOUNT), services.policy.standard, prepare=lambda record: FAMILY.put(record, family)
    )
    token = api.tokens.issue(
        started, session_type="standard", network="mainnet", role="member", permissions=["transact", "sign"]
    )
    return {"Authorization": f"Bearer {token.text}"}


def stock(url: str) -> Flask:
    """Return Flask with Flask-Session."""
    app = Flask("stock")
    app.config.update(SECRET_KEY=SECRET, SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(url))
    Session(app)

    @app.get("/in")
    def sign_in() -> str:
        session["account"] = ACCOUNT
        return "in"

    @app.get("/")
    def home() -> str:
        return "hello" if session["account"] else "gone"

    return app


def flask_login(url: str) -> Flask:
    """Return Flask with Flask-Login, which keeps the user's id in Flask's signed cookie."""
    from flask_login import LoginManager, UserMixin, current_user, login_required, login_user

    class User(UserMixin):
        def __init__(self, account: str) -> None:
            self.id = self.account = account

    app, users = Flask("flask_login"), {ACCOUNT: User(ACCOUNT)}
    app.config["SECRET_KEY"] = SECRET
    LoginManager(app).user_loader(users.get)

    @app.get("/in")
    def sign_in() -> str:
        login_user(users[ACCOUNT])
        return "in"

    @app.get("/")
    @login_required
    def home() -> str:
        return "hello" if current_user.account else "gone"

    return app


def django(url: str) -> Wsgi:
    """Return Django with its session middleware, and sessions in its cache, which is Redis."""
    import django as framework
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    def sign_in(request: HttpRequest) -> HttpResponse:
        request.session["account"] = ACCOUNT
        return HttpResponse("in")

    def home(request: HttpRequest) -> HttpResponse:
        return HttpResponse("hello" if request.session["account"] else "gone")

    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["localhost"],
        ROOT_URLCONF=(path("in", sign_in), path("", home)),
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}},
    )
    framework.setup()
    return WSGIHandler()


# -- Sessions on Node.js -----------------------------------------------------------------------------------------


def express_cookie(origin: str) -> Headers:
    """Sign in to express-session."""
    return served_cookie(urllib.request.Request(f"{origin}/in"))


def better_auth_cookie(origin: str) -> Headers:
    """Sign up to better-auth with an e-mail address and a password, which signs in as well."""
    body = {"name": ACCOUNT, "email": "user@example.org", "password": "a long enough password"}
    headers = {"Content-Type": "application/json", "Origin": ORIGIN}
    url = f"{origin}/api/auth/sign-up/email"
    return served_cookie(urllib.request.Request(url, json.dumps(body).encode(), headers))


SUBJECTS = (
    Subject("bare", "Flask alone", "no session", app=bare),
    Subject("floor", "Flask with one `GET` of Redis", "no session", app=floor),
    Subject("ours", "**this package, with a cookie**", "", app=ours, credentials=our_cookie),
    Subject("bearer", "this package, with a session token", "", app=ours, credentials=our_token),
    Subject(
        "stock",
        "Flask-Session",
        "no encryption, no list of a user's sessions to revoke; a request in flight brings a deleted session back",
        app=stock,
        credentials=cookie,
    ),
    Subject(
        "flask-login",
        "Flask-Login with Flask's cookie",
        "nothing on the server, so no revocation; no encryption",
        needs=("flask_login",),
        app=flask_login,
        credentials=cookie,
    ),
    Subject(
        "django",
        "Django, sessions in its Redis cache",
        "no encryption, no list of a user's sessions to revoke, no sliding unless each request saves",
        needs=("django",),
        app=django,
        credentials=cookie,
    ),
    Subject(
        "express",
        "express-session with connect-redis",
        "no encryption, no list of a user's sessions to revoke; slides with a write on every request",
        needs=("express", "express-session", "connect-redis", "redis"),
        script="express_session.mjs",
        served_credentials=express_cookie,
    ),
    Subject(
        "better-auth",
        "better-auth with Express, sessions in Redis",
        "no encryption, and Redis holds the tokens themselves; slides once a day",
        needs=("express", "better-auth", "redis"),
        script="better_auth.mjs",
        served_credentials=better_auth_cookie,
    ),
)


def served() -> Wsgi:
    """Return the application that a worker of gunicorn serves, named by the environment."""
    name, url = os.environ["BENCHMARK_SUBJECT"], os.environ["BENCHMARK_REDIS"]
    (subject,) = (each for each in SUBJECTS if each.name == name)
    assert subject.app is not None
    return subject.app(url)
