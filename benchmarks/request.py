"""What a signed-in request costs: bare Flask, bare Flask with one Redis GET (the floor), stock Flask-Session, ours
with a cookie, and ours with a session token.

Calls the WSGI applications directly, in turn, in rounds, against one private Redis. What counts are the ratios of one
run, since machines are noisy. Run with `make bench`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, session
from flask_session import Session
from redis import Redis
from werkzeug.test import EnvironBuilder

from sessions_core import WalletSessions, signed_in
from sessions_core.parts.api import Api
from sessions_core.parts.api.refresh_tokens import FAMILY
from sessions_core.parts.development_redis import embedded
from sessions_core.sign_in import accounts

ROUNDS, CALLS = 40, 500
ORIGIN = "http://localhost:5000"
SECRET = "a benchmark secret of 32 characters or more 0123456789"

Request = Callable[[], None]


def request(app: Flask, path: str = "/", /, **headers: str) -> Request:
    """Return a function that makes one GET with these headers and throws the answer away."""
    environ = EnvironBuilder(path=path, base_url=ORIGIN, headers=headers).get_environ()
    seen: list[str] = []

    def call() -> None:
        seen.clear()
        for _ in app.wsgi_app(dict(environ), lambda status, headers, exc_info=None: seen.append(status)):
            pass
        if seen != ["200 OK"]:
            raise RuntimeError(f"{app.name}: {seen}")

    return call


def bare(redis: Redis) -> Request:
    """Flask alone."""
    app = Flask("bare")
    app.add_url_rule("/", "home", lambda: "hello")
    return request(app)


def floor(redis: Redis) -> Request:
    """Flask and one GET of a value as large as our sealed record."""
    app = Flask("floor")
    redis.set("floor", b"x" * 300)

    @app.get("/")
    def home() -> str:
        return "hello" if redis.get("floor") else "gone"

    return request(app)


def stock(redis: Redis) -> Request:
    """Flask-Session as its documentation shows it, reading one value."""
    app = Flask("stock")
    app.config.update(SECRET_KEY=SECRET, SESSION_TYPE="redis", SESSION_REDIS=redis)
    Session(app)

    @app.get("/in")
    def sign_in() -> str:
        session["account"] = "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"
        return "in"

    @app.get("/")
    def home() -> str:
        return "hello" if session["account"] else "gone"

    client = app.test_client()
    client.get("/in")
    cookie = client.get_cookie("session")
    return request(app, Cookie=f"session={cookie.value if cookie else ''}")


def ours(url: str) -> tuple[Request, Request]:
    """This package: guard, one round trip, sealed record, both clocks, both epochs, security headers. With a cookie,
    and with a token: ES256 besides, and a look-up by handle in the one round trip.
    """
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

    services: Any = app.extensions["sessions_core"]
    account = accounts.parse("eip155:1:0x52908400098527886E0F7030069857D2E4169EE7")
    live = services.lifecycle.start(account, services.policy.standard)
    api = services.part(Api)
    family, *_ = api.refresh.start()
    bearer = services.lifecycle.start(
        account, services.policy.standard, prepare=lambda record: FAMILY.put(record, family)
    )
    token = api.tokens.issue(
        bearer, session_type="standard", network="mainnet", role="member", permissions=["transact", "sign"]
    )
    return (
        request(app, Cookie=f"{services.store.cookie_name}={live.id}"),
        request(app, Authorization=f"Bearer {token.text}"),
    )


def measure(subjects: dict[str, Request]) -> dict[str, float]:
    """Return the median microseconds of one call, subjects taken in turn so that noise meets all alike."""
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    for call in subjects.values():
        for _ in range(CALLS):
            call()
    for _ in range(ROUNDS):
        for name, call in subjects.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            samples[name].append((time.perf_counter() - start) / CALLS * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> int:
    """Measure, print, and fail if a target is missed."""
    with tempfile.TemporaryDirectory() as directory:
        server = embedded.start(Path(directory))
        redis = Redis.from_url(server.url)
        cookie, bearer = ours(server.url)
        subjects = {"bare": bare(redis), "floor": floor(redis), "stock": stock(redis)}
        result = measure(subjects | {"ours": cookie, "bearer": bearer})
        redis.close()
        server.stop()
    for name, microseconds in result.items():
        print(f"{name:6} {microseconds:7.1f} µs   {1e6 / microseconds:7.0f} requests/s")
    met = True
    for rival, target in (("stock", 1.6), ("floor", 0.9)):
        ratio = result[rival] / result["ours"]
        met = met and ratio >= target
        print(f"ours is {ratio:.2f} times as fast as {rival} (target {target})")
    print(f"a bearer takes {result['bearer'] / result['ours']:.2f} times as long as a cookie")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
