"""Where our pages live: below a prefix, behind a proxy's, and never at a path or under a name that is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, render_template

from sessions_core import Misconfigured, WalletSessions, public, signed_in

from ..actors import ORIGIN, Visitor, Wallet

AT = "/account"


@pytest.fixture
def prefixed(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(SESSIONS_CORE_URL_PREFIX=AT)

    @app.get("/members")
    @signed_in
    def members() -> str:
        return render_template("sessions/status.html", pregenerated_days=30)

    return app


def links(page: str) -> set[str]:
    """Every address of this site that a page names, in an attribute or in a data-attribute."""
    return {found for found in re.findall(r'="(/[^"#?]*)', page) if found != "/"}


# -- Below a prefix ------------------------------------------------------------------------------------------------


def test_prefix_moves_every_route_of_ours(prefixed: Flask) -> None:
    ours = {rule.rule for rule in prefixed.url_map.iter_rules() if rule.endpoint.startswith("sessions")}
    assert len(ours) > 30
    assert {rule for rule in ours if not rule.startswith(f"{AT}/")} == {"/.well-known/jwks.json"}


@pytest.mark.parametrize("page", ["/sign-in", "/sign-in/phone", "/signed-out", "/unauthorized"])
def test_pages_below_a_prefix_link_below_it(prefixed: Flask, page: str) -> None:
    answer = Visitor(prefixed).get(AT + page)
    assert answer.status_code in (200, 403)
    assert {link for link in links(answer.text) if not link.startswith(f"{AT}/")} <= {"/static/demo.css", "/tour"}


def test_whole_stay_works_below_a_prefix(prefixed: Flask) -> None:
    visitor, wallet = Visitor(prefixed, prefix=AT), Wallet()
    assert visitor.client.get("/members", base_url=ORIGIN).headers["Location"] == f"{AT}/sign-in?next=/members"
    visitor.sign_in(wallet)
    for page in ("/session", "/sessions", "/activity"):
        answer = visitor.get(page)
        assert answer.status_code == 200
        assert {link for link in links(answer.text) if not link.startswith(f"{AT}/")} <= {"/static/demo.css", "/tour"}
    assert visitor.json("/api/auth/sessions/validate").status_code == 200
    assert visitor.sign_out().headers["Location"].startswith(f"{AT}/signed-out")
    assert visitor.get("/session").status_code == 303


def test_files_below_a_prefix_are_served(prefixed: Flask) -> None:
    visitor = Visitor(prefixed)
    page = visitor.get(f"{AT}/sign-in").text
    files = {link for link in links(page) if link.startswith(f"{AT}/sessions_core/") and "/static/" in link}
    assert len(files) > 3
    for file in files:
        with visitor.get(file) as answer:
            assert answer.status_code == 200, file


def test_unknown_address_of_the_moved_service_is_json(prefixed: Flask) -> None:
    for path in (f"{AT}/api/nothing", "/api/nothing"):
        answer = prefixed.test_client().get(path, base_url=ORIGIN)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")


def test_openapi_names_the_moved_paths(prefixed: Flask) -> None:
    described = Visitor(prefixed).get(f"{AT}/api/openapi.json").get_json()
    assert f"{AT}/api/auth/sessions/validate" in described["paths"]
    assert {path for path in described["paths"] if not path.startswith((AT, "/api/tour/"))} == {
        "/.well-known/jwks.json"
    }


def test_health_checks_move_and_take_any_host(prefixed: Flask) -> None:
    client = prefixed.test_client()
    assert client.get(f"{AT}/livez", base_url="http://10.0.0.7").status_code == 200
    assert client.get("/livez", base_url=ORIGIN).status_code == 404


@pytest.mark.parametrize(
    "prefix", ["account", "/account/", "/", "//account", "/a/../b", "/..", "/.", "/a b", "/a?b", "/<a>", "https://a"]
)
def test_bad_prefix_is_refused(make_app: Callable[..., Flask], prefix: str) -> None:
    with pytest.raises(Misconfigured, match=r'SESSIONS_CORE_URL_PREFIX is .* such as "/account"'):
        make_app(SESSIONS_CORE_URL_PREFIX=prefix)


def test_script_name_stands_before_the_prefix(prefixed: Flask) -> None:
    client = prefixed.test_client()
    at = {"SCRIPT_NAME": "/shop"}
    answer = client.get("/members", base_url=ORIGIN, environ_overrides=at)
    assert answer.headers["Location"] == f"/shop{AT}/sign-in?next=/shop/members"
    page = client.get(f"{AT}/sign-in", base_url=ORIGIN, environ_overrides=at).text
    assert {link for link in links(page) if not link.startswith(f"/shop{AT}/")} <= {
        "/shop/static/demo.css",
        "/shop/",
        "/shop/tour",
    }
    described = client.get(f"{AT}/api/openapi.json", base_url=ORIGIN, environ_overrides=at).get_json()
    assert described["servers"] == [{"url": f"{ORIGIN}/shop"}]
    assert client.get(f"{AT}/api/openapi.json", base_url=ORIGIN).get_json()["servers"] == [{"url": ORIGIN}]


def test_forwarded_prefix_stands_before_the_prefix(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_URL_PREFIX=AT, SESSIONS_CORE_TRUSTED_PROXIES=1, SESSIONS_CORE_FORWARDED_PREFIX=True)
    headers = {"X-Forwarded-Prefix": "/shop"}
    answer = app.test_client().get(f"{AT}/session", base_url=ORIGIN, headers=headers)
    assert answer.headers["Location"] == f"/shop{AT}/sign-in?next=/shop{AT}/session"


# -- Taken paths and names -----------------------------------------------------------------------------------------


def page() -> str:
    return "theirs"


@pytest.fixture
def bare(overrides: dict[str, Any], redis: Any) -> Flask:
    app = Flask("shop_app")
    app.config.update(overrides)
    return app


PLACES = [
    "/sign-in",
    "/session",
    "/sign-in/",
    "/sessions/<int:number>",
    "/.well-known/jwks.json",
    "/api/auth/sessions",
]


@pytest.mark.parametrize("path", PLACES)
def test_path_that_the_app_has_already_is_refused(bare: Flask, path: str) -> None:
    bare.add_url_rule(path, "mine", public(page))
    if "<" in path:
        bare.add_url_rule("/sessions/<handle>/revoke", "mine_too", public(page))
    with pytest.raises(Misconfigured) as refused:
        WalletSessions(bare)
    said = str(refused.value)
    assert "two owners" in said
    assert "endpoint 'mine" in said
    assert f"(function {__name__}.page)" in said
    assert "of the blueprint 'sessions" in said
    assert ('app.config["SESSIONS_CORE_URL_PREFIX"] = "/account"' in said) == ("well-known" not in path)


@pytest.mark.parametrize("path", ["/sign-in", "/.well-known/jwks.json"])
def test_path_of_ours_is_refused_to_later_routes(bare: Flask, path: str) -> None:
    WalletSessions(bare)
    shop = Blueprint("shop", "their.shop")
    shop.add_url_rule(path, "login", public(page))
    with pytest.raises(
        Misconfigured, match=r"'shop\.login' of the blueprint 'shop' \(their\.shop\), and .*'sessions(_api)?\."
    ):
        bare.register_blueprint(shop)


def test_all_taken_paths_are_in_one_refusal(bare: Flask) -> None:
    for number, path in enumerate(("/session", "/sessions", "/confirm")):
        bare.add_url_rule(path, f"mine_{number}", public(page))
    with pytest.raises(Misconfigured, match=r"^These paths have two owners(.|\n)*mine_0(.|\n)*mine_1(.|\n)*mine_2"):
        WalletSessions(bare)


def test_prefix_ends_a_collision(bare: Flask) -> None:
    bare.config["SESSIONS_CORE_URL_PREFIX"] = AT
    bare.add_url_rule("/session", "mine", public(page))
    WalletSessions(bare)
    bare.add_url_rule("/sign-in", "mine_too", public(page))
    client = bare.test_client()
    assert (client.get("/session", base_url=ORIGIN).text, client.get("/sign-in", base_url=ORIGIN).text) == (
        "theirs",
        "theirs",
    )
    assert client.get(f"{AT}/session", base_url=ORIGIN).status_code == 303


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_home_page_and_catch_all_never_collide(bare: Flask, first: bool) -> None:
    def routes() -> None:
        bare.add_url_rule("/", "home", public(page))
        bare.add_url_rule("/<path:anything>", "anything", public(lambda anything: anything))

    if first:
        routes()
    WalletSessions(bare)
    if not first:
        routes()
    client = bare.test_client()
    assert client.get("/", base_url=ORIGIN).text == "theirs"
    assert client.get("/other", base_url=ORIGIN).text == "other"
    assert client.get("/session", base_url=ORIGIN).status_code == 303


@pytest.mark.parametrize("name", ["sessions", "sessions_api"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_taken_blueprint_name_is_refused(bare: Flask, first: bool, name: str) -> None:
    theirs = Blueprint(name, "their.shop")
    if first:
        bare.register_blueprint(theirs)
    else:
        WalletSessions(bare)
    with pytest.raises(
        Misconfigured, match=rf"{name!r}: that of their\.shop and that of sessions_core\..*name=\"my_{name}\""
    ):
        WalletSessions(bare) if first else bare.register_blueprint(theirs)


def test_blueprint_under_the_proposed_name_works(bare: Flask) -> None:
    theirs = Blueprint("sessions", "their.shop", url_prefix="/shop")
    theirs.add_url_rule("/", "home", public(page))
    WalletSessions(bare)
    bare.register_blueprint(theirs, name="my_sessions")
    assert bare.test_client().get("/shop/", base_url=ORIGIN).text == "theirs"


# -- Names of cookies ----------------------------------------------------------------------------------------------


def test_all_cookies_begin_with_the_one_name(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_COOKIE_NAME="shop")
    visitor, wallet = Visitor(app), Wallet()
    names = set()

    def note(answer: Any) -> Any:
        names.update(each.partition("=")[0] for each in answer.headers.getlist("Set-Cookie"))
        return answer

    note(visitor.get("/sign-in"))
    note(visitor.attempt(wallet))
    assert visitor.get("/session").status_code == 200
    note(visitor.sign_out())
    assert names == {"__Host-shop", "__Host-shop-browser", "__Host-shop-device", "__Host-shop-ended"}
    assert app.config["SESSION_COOKIE_NAME"] == "__Host-shop"


@pytest.mark.parametrize(
    "name", ["", " ", "__Host-shop", "__Secure-shop", "a b", "a;b", "a=b", "1a", "-a", "ä", "a" * 41, "shop,"]
)
def test_bad_cookie_name_is_refused(make_app: Callable[..., Flask], name: str) -> None:
    with pytest.raises(Misconfigured, match=r'SESSIONS_CORE_COOKIE_NAME is .* such as "shop"'):
        make_app(SESSIONS_CORE_COOKIE_NAME=name)


@pytest.mark.parametrize("secure", [True, False])
def test_two_apps_on_one_host_keep_their_sessions(make_app: Callable[..., Flask], secure: bool) -> None:
    """Cookies know no ports: both apps get those of both."""
    shop = make_app(SESSIONS_CORE_COOKIE_NAME="shop", SESSIONS_CORE_COOKIE_SECURE=secure)
    blog = make_app(SESSIONS_CORE_COOKIE_SECURE=secure, SESSIONS_CORE_REDIS_PREFIX="blog:")
    browser, wallet = Visitor(shop), Wallet()

    def at(app: Flask) -> Visitor:
        browser.client.application = app
        return browser

    def statuses() -> list[int]:
        return [at(app).get("/session").status_code for app in (shop, blog)]

    for app in (shop, blog):
        assert at(app).attempt(wallet).status_code == 303
    assert statuses() == [200, 200]
    assert at(blog).sign_out().status_code == 303
    assert statuses() == [200, 303]
