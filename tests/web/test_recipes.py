"""The recipes of docs/integrate.md, run as they stand."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import WalletSessions
from sessions_core.errors import Misconfigured

from .. import documented
from ..actors import ORIGIN, Visitor, Wallet
from ..constants import ANOTHER, PRODUCTION, SECRET
from ..payment_provider import HERE, KEY, form
from ..servers import Server, running

AT_LOCALHOST = PRODUCTION | {"SESSIONS_CORE_PUBLIC_ORIGIN": "https://localhost"}


class Customer(Visitor):
    """A browser that reaches a site in production, behind TLS."""

    site = "https://localhost"

    def post(self, path: str, **options: Any) -> TestResponse:
        headers = {"Origin": self.site} | options.pop("headers", {})
        return super().post(path, headers=headers, **options)


# -- A payment provider ------------------------------------------------------------------------------------------


@pytest.fixture
def invoices() -> dict[str, str]:
    return {"7": "open"}


@pytest.fixture
def shop(make_app: Callable[..., Flask], invoices: dict[str, str]) -> Flask:
    app = make_app()
    documented.run(
        app,
        "A payment provider posts the customer back",
        hmac=hmac,
        PROVIDER_KEY=KEY,
        invoices=invoices,
        **HERE,
    )
    return app


PROVIDER = {"Origin": "https://pay.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


def test_payment_is_noted_without_a_session(shop: Flask, wallet: Wallet, invoices: dict[str, str]) -> None:
    """SameSite=Lax keeps the cookie from the POST, and lets it go with the redirect."""
    customer = Visitor(shop)
    customer.sign_in(wallet)
    for _ in range(2):
        answer = shop.test_client().post("/paid", base_url=ORIGIN, headers=PROVIDER, data=form())
        assert (answer.status_code, answer.headers["Location"]) == (303, "/receipt/7")
        assert "Set-Cookie" not in answer.headers
    assert invoices == {"7": "paid"}
    receipt = customer.get("/receipt/7", headers={"Sec-Fetch-Site": "cross-site"})
    assert receipt.text == f"{wallet.account()}: invoice 7 is paid"


@pytest.mark.parametrize(
    "sent", [form(key=b"a guess"), {"number": "7"}, {}, form() | {"signature": "\xe9"}, form() | {"number": "8"}]
)
def test_payment_without_the_signature_is_none(shop: Flask, invoices: dict[str, str], sent: dict[str, str]) -> None:
    answer = shop.test_client().post("/paid", base_url=ORIGIN, headers=PROVIDER, data=sent)
    assert answer.status_code == 400
    assert invoices == {"7": "open"}


# -- An application that was there before --------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["hook", "sessions"])
def test_hook_turns_a_banned_account_away(
    overrides: dict[str, Any], redis: Redis, wallet: Wallet, first: str
) -> None:
    app, banned = Flask("before"), set[str]()
    app.config.update(overrides)
    if first == "sessions":
        WalletSessions(app)
    documented.run(app, "A hook that was there before", banned=banned, **HERE)
    if first == "hook":
        WalletSessions(app)
    user = Visitor(app)
    user.sign_in(wallet)
    assert user.get("/session").status_code == 200
    banned.add(wallet.account())
    answer = user.get("/session")
    assert answer.status_code == 403
    assert "This account may not use the site." in answer.text
    assert Visitor(app).get("/sign-in").status_code == 200


# -- Redis ---------------------------------------------------------------------------------------------------------


def test_managed_redis_serves_with_the_check_off(tmp_path: Path, overrides: dict[str, Any], wallet: Wallet) -> None:
    """Without CONFIG, and without an append-only file."""
    with running(Server(tmp_path, "--rename-command", "CONFIG", "")) as server:
        settings = overrides | AT_LOCALHOST | {"SESSIONS_CORE_REDIS_URL": server.url}
        refused, app = Flask("checked"), Flask("managed")
        refused.config.update(settings)
        with pytest.raises(Misconfigured, match="appendonly"):
            WalletSessions(refused)
        app.config.update(settings)
        documented.run(app, "A managed Redis")
        WalletSessions(app)
        customer = Customer(app)
        customer.sign_in(wallet)
        assert customer.signed_in


def test_prefix_keeps_staging_and_production_apart(
    make_app: Callable[..., Flask], redis: Redis, wallet: Wallet
) -> None:
    staging_config = Flask("config")
    documented.run(staging_config, "Staging and production on one Redis")
    settings = {key: value for key, value in staging_config.config.items() if key.startswith("SESSIONS_CORE_")}
    production = make_app(**AT_LOCALHOST, SECRET_KEY=SECRET)
    staging = make_app(**AT_LOCALHOST, SECRET_KEY=ANOTHER, **settings)
    there, here = Customer(production), Customer(staging)
    there.sign_in(wallet)
    here.sign_in(wallet)
    assert {key.split(b":")[0] for key in redis.keys("*")} == {b"sessions_core", b"staging"}
    staging.extensions["sessions_core"].lifecycle.revoke_everybody()
    staging.test_cli_runner().invoke(args=["sessions", "sweep"])
    assert (there.signed_in, here.signed_in) == (True, False)


# -- Under a path --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["X-Forwarded-Prefix", "SCRIPT_NAME"])
def test_whole_way_works_under_a_path(overrides: dict[str, Any], redis: Redis, wallet: Wallet, way: str) -> None:
    app = Flask("shop", root_path=str(documented.ROOT))
    app.config.update(overrides, SESSIONS_CORE_TRUSTED_PROXIES=1)
    if way == "X-Forwarded-Prefix":
        documented.run(app, "Under a path")
    WalletSessions(app)
    user = Visitor(app)
    user.client.environ_base["HTTP_X_FORWARDED_FOR"] = "198.51.100.7"
    if way == "X-Forwarded-Prefix":
        user.client.environ_base["HTTP_X_FORWARDED_PREFIX"] = "/shop"
    else:
        inner = app.wsgi_app
        app.wsgi_app = lambda environ, start: inner(environ | {"SCRIPT_NAME": "/shop"}, start)  # type: ignore[method-assign]
    assert user.get("/session").headers["Location"] == "/shop/sign-in?next=/shop/session"
    page = user.get("/sign-in?next=/shop/session").text
    assert 'data-challenge-url="/shop/api/auth/challenges"' in page
    answer = user.attempt(wallet, next="/shop/session")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/shop/session")
    assert 'action="/shop/sign-out"' in user.get("/session").text
    assert user.sign_out().headers["Location"].startswith("/shop/signed-out")


# -- The Content-Security-Policy -----------------------------------------------------------------------------------


def test_policy_of_the_app_replaces_ours_where_it_is_set(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    documented.run(app, "A policy of your own for some pages", **HERE)
    app.add_url_rule("/maps/one", "one", HERE["public"](lambda: "one"))
    policies = [
        Visitor(app).get(path).headers.getlist("Content-Security-Policy") for path in ("/maps/one", "/sign-in")
    ]
    assert [len(each) for each in policies] == [1, 1]
    assert ["https://cdn.example.net" in each for (each,) in policies] == [True, False]
