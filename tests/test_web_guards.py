"""Every route says who may use it, and what it says holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, session
from flask.views import MethodView
from redis import Redis

from app import create_app
from sessions_core import (
    Misconfigured,
    WalletSessions,
    current_account,
    current_session,
    events,
    public,
    sessionless,
    signed_in,
)

from .actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet
from .snapshot import refused, unchanged
from .time_machine import TimeMachine


def view() -> str:
    return "seen"


# -- Routes that declare nothing -----------------------------------------------------------------------------


def test_every_route_of_the_demo_declares_its_access(app: Flask) -> None:
    from sessions_core.web.guards import declared

    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()} - {"static"}
    assert len(endpoints) >= 10
    assert [endpoint for endpoint in endpoints if declared(app.view_functions[endpoint]) is None] == []


def _route(app: Flask) -> None:
    app.get("/naked")(view)


def _add_url_rule(app: Flask) -> None:
    app.add_url_rule("/naked", "view", view)


def _blueprint(app: Flask) -> None:
    blueprint = Blueprint("shop", __name__)
    blueprint.get("/naked")(view)
    app.register_blueprint(blueprint)


def _nested_blueprint(app: Flask) -> None:
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__)
    inner.get("/naked")(view)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)


def _method_view(app: Flask) -> None:
    class Naked(MethodView):
        def get(self) -> str:
            return "seen"

    app.add_url_rule("/naked", view_func=Naked.as_view("view"))


def _declared_above_the_route(app: Flask) -> None:
    signed_in(app.get("/naked")(view))


def _view_called_static(app: Flask) -> None:
    app.add_url_rule("/naked", "shop.static", view)


def _blueprint_view_called_static(app: Flask) -> None:
    blueprint = Blueprint("shop", __name__)
    blueprint.add_url_rule("/naked", "static", view)
    app.register_blueprint(blueprint)


NAKED = [
    _route,
    _add_url_rule,
    _blueprint,
    _nested_blueprint,
    _method_view,
    _declared_above_the_route,
    _view_called_static,
    _blueprint_view_called_static,
]


@pytest.mark.parametrize("naked", NAKED, ids=lambda naked: naked.__name__)
def test_an_undeclared_route_stops_the_start_after_init_app(app: Flask, naked: Callable[[Flask], None]) -> None:
    with pytest.raises(Misconfigured, match=r"does not say who may use it\. Put @public"):
        naked(app)


@pytest.mark.parametrize("naked", NAKED, ids=lambda naked: naked.__name__)
def test_an_undeclared_route_stops_the_start_before_init_app(
    redis: Redis, overrides: dict[str, Any], naked: Callable[[Flask], None]
) -> None:
    app = Flask(__name__)
    app.config.update(overrides)
    naked(app)
    with pytest.raises(Misconfigured, match="does not say who may use it"):
        WalletSessions(app)


def test_an_undeclared_route_that_was_smuggled_in_answers_nobody(app: Flask, visitor: Visitor) -> None:
    app.add_url_rule("/naked", "late")
    app.view_functions["late"] = view
    response = visitor.get("/naked")
    assert response.status_code == 500
    assert "seen" not in response.get_data(as_text=True)


def test_files_of_the_application_and_of_blueprints_need_no_declaration(app: Flask, visitor: Visitor) -> None:
    shop = Blueprint("shop", __name__, static_folder="browser", static_url_path="/shop-files")
    app.register_blueprint(shop)
    for path in ("/static/sessions/clock.js", "/shop-files/injected_wallet.js"):
        with visitor.get(path) as response:
            assert response.status_code == 200


def test_a_method_view_declares_for_all_its_methods(app: Flask, visitor: Visitor) -> None:
    class Private(MethodView):
        decorators = (signed_in,)

        def get(self) -> str:
            return "seen"

        def delete(self) -> str:
            return "deleted"

    app.add_url_rule("/private", view_func=Private.as_view("private"))
    assert visitor.get("/private").status_code == 303
    assert visitor.client.delete("/private", base_url=ORIGIN).status_code == 303


def test_a_declaration_survives_decorators_above_it(app: Flask, visitor: Visitor) -> None:
    from functools import wraps

    def shout(function: Callable[[], str]) -> Callable[[], str]:
        @wraps(function)
        def louder() -> str:
            return function().upper()

        return louder

    app.get("/private")(shout(signed_in(view)))
    assert visitor.get("/private").status_code == 303


# -- Without init_app everything is closed -------------------------------------------------------------------


@pytest.mark.parametrize("declare", [public, signed_in, sessionless, public(slides=False), signed_in(slides=False)])
def test_a_guard_without_init_app_fails_closed(declare: Callable[..., Any]) -> None:
    bare = Flask(__name__)
    bare.secret_key = "x" * 32
    bare.get("/")(declare(view))
    response = bare.test_client().get("/")
    assert response.status_code == 500
    bare.testing = True
    with pytest.raises(Misconfigured, match=r"Create WalletSessions\(app\)"):
        bare.test_client().get("/")


def test_a_guarded_view_called_outside_a_request_fails_closed() -> None:
    with pytest.raises(RuntimeError):
        signed_in(view)()


# -- What a declaration means --------------------------------------------------------------------------------


@pytest.fixture
def site(app: Flask) -> Flask:
    @app.get("/public")
    @public
    def open_() -> str:
        return str(current_account.address) if current_account else "nobody"

    @app.get("/private")
    @signed_in
    def private() -> str:
        return f"{current_account.address} {current_session.handle}"

    @app.get("/quiet")
    @signed_in(slides=False)
    def quiet() -> str:
        return "quiet"

    @app.get("/health")
    @sessionless
    def health() -> str:
        return f"{dict(session)} {bool(current_account)} {bool(current_session)}"

    @app.route("/change", methods=["POST", "PUT", "PATCH", "DELETE"])
    @signed_in
    def change() -> str:
        return "changed"

    @app.post("/webhook")
    @public(csrf=False)
    def webhook() -> str:
        return "taken"

    return app


def test_public_lets_everybody_in_and_knows_who_is_there(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    assert visitor.get("/public").get_data(as_text=True) == "nobody"
    visitor.sign_in(wallet)
    assert visitor.get("/public").get_data(as_text=True) == wallet.address


def test_signed_in_lets_in_who_is_signed_in(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    assert visitor.get("/private").status_code == 303
    visitor.sign_in(wallet)
    assert visitor.get("/private").get_data(as_text=True).startswith(f"{wallet.address} sess_")


def test_a_visitor_s_record_is_no_sign_in(site: Flask, visitor: Visitor) -> None:
    @site.post("/basket")
    @public(csrf=False)
    def basket() -> str:
        session["account"] = "eip155:1:0x0"
        return "kept"

    visitor.post("/basket")
    assert visitor.client.get_cookie(SESSION_COOKIE)
    assert visitor.get("/private").status_code == 303
    assert visitor.get("/public").get_data(as_text=True) == "nobody"


def test_sessionless_never_looks_at_the_session_nor_at_redis(
    site: Flask, visitor: Visitor, wallet: Wallet, redis: Redis
) -> None:
    visitor.sign_in(wallet)
    before = redis.info("stats")["total_commands_processed"]
    response = visitor.get("/health")
    assert redis.info("stats")["total_commands_processed"] - before == 1  # the INFO itself
    assert response.get_data(as_text=True) == "{} False False"
    assert response.headers.getlist("Set-Cookie") == []


def test_a_visitor_costs_redis_nothing(site: Flask, visitor: Visitor, redis: Redis) -> None:
    before = redis.info("stats")["total_commands_processed"]
    for path in ("/public", "/private", "/", "/sign-in", "/nothing", "/static/nothing"):
        visitor.get(path)
    assert redis.info("stats")["total_commands_processed"] - before == 1
    assert redis.dbsize() == 0


def test_reading_is_activity_unless_the_route_says_not(
    site: Flask, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet)
    pass_time(1000)
    visitor.get("/private")
    pass_time(1000)
    assert visitor.get("/quiet").status_code == 200
    pass_time(810)
    assert visitor.get("/quiet").headers["Location"] == "/sign-in?next=/quiet&reason=idle"


def test_404_and_405_and_files_are_no_activity(visitor: Visitor, wallet: Wallet, pass_time: TimeMachine) -> None:
    visitor.sign_in(wallet)
    pass_time(1700)
    assert visitor.get("/nothing").status_code == 404
    assert visitor.get("/api/auth/challenges").status_code == 405
    assert visitor.get("/static/nothing").status_code == 404
    pass_time(110)
    assert not visitor.signed_in


# -- 401 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "answers_json"),
    [
        ({}, False),
        ({"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, False),
        ({"Accept": "*/*"}, False),
        ({"Accept": "application/json"}, True),
        ({"Accept": "application/json, text/html;q=0.5"}, True),
        ({"Accept": "text/html, application/json"}, False),
        ({"Accept": "text/html;q=0.1, application/json;q=0.2"}, True),
        ({"Accept": "image/*"}, False),
        ({"Accept": "\x00;;q=,"}, False),
        ({"Accept": "application/json;q=nan"}, False),
        ({"Accept": "text/html;q=-1"}, False),
        ({"Accept": "a/b," * 1000}, False),
        ({"Content-Type": "application/json"}, True),
    ],
    ids=lambda value: str(value)[:60],
)
def test_401_is_json_or_a_redirect_by_what_the_client_accepts(
    site: Flask, visitor: Visitor, headers: dict[str, str], answers_json: bool
) -> None:
    response = visitor.get("/private?a=b", headers=headers)
    if answers_json:
        assert response.status_code == 401
        error = response.get_json()["error"]
        assert (error["code"], error["reason"]) == ("no_token", "no_token")
        assert response.get_json()["success"] is False
    else:
        assert (response.status_code, response.headers["Location"]) == (303, "/sign-in?next=/private?a%3Db")


@pytest.mark.parametrize(
    ("headers", "answers_json"),
    [
        ({}, True),
        ({"Accept": "*/*"}, True),
        ({"Accept": "text/html"}, False),
        ({"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, False),
    ],
    ids=str,
)
def test_the_json_service_answers_pages_only_to_who_names_them(
    visitor: Visitor, headers: dict[str, str], answers_json: bool
) -> None:
    response = visitor.get("/api/auth/sessions/validate", headers=headers)
    assert response.is_json == answers_json
    assert response.status_code == (401 if answers_json else 303)


@pytest.mark.parametrize(
    "path",
    ["//evil.example/private", "/private%0d%0aX: y", "/private%00", "/private/%e9", "/private%5c%5cevil.example"],
)
def test_a_hostile_path_is_not_where_people_come_back_to(site: Flask, visitor: Visitor, path: str) -> None:
    site.get("/<path:anything>")(signed_in(lambda anything: "seen"))
    response = visitor.client.get(path, base_url=ORIGIN)
    assert response.status_code in (303, 308, 404)
    location = response.headers.get("Location", "/")
    assert location.startswith("/")
    assert not location.startswith("//")
    assert "next=//" not in location


def test_a_post_without_a_session_is_not_come_back_to(site: Flask, visitor: Visitor) -> None:
    response = visitor.post("/change")
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")


# -- Changes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_change_needs_the_token_of_its_session(
    site: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event], method: str
) -> None:
    visitor.sign_in(wallet)
    token = visitor.token("/session")
    with refused(redis, happened, "csrf_failed"):
        assert visitor.client.open("/change", method=method, base_url=ORIGIN).status_code == 400
    with refused(redis, happened, "cross_site_request"):
        headers = {"X-CSRFToken": token, "Sec-Fetch-Site": "cross-site"}
        assert visitor.client.open("/change", method=method, base_url=ORIGIN, headers=headers).status_code == 403
    with unchanged(redis):
        headers = {"X-CSRFToken": token}
        response = visitor.client.open("/change", method=method, base_url=ORIGIN, headers=headers)
    assert response.get_data(as_text=True) == "changed"


def test_a_route_that_proves_its_caller_otherwise_needs_no_token_but_is_never_cross_site(
    site: Flask, visitor: Visitor, redis: Redis, happened: list[events.Event]
) -> None:
    assert visitor.client.post("/webhook", base_url=ORIGIN).get_data(as_text=True) == "taken"
    with refused(redis, happened, "cross_site_request"):
        assert visitor.post("/webhook", headers={"Origin": "https://evil.example"}).status_code == 403


def test_nothing_is_read_for_a_cross_site_request(
    site: Flask, visitor: Visitor, wallet: Wallet, redis: Redis
) -> None:
    visitor.sign_in(wallet)
    before = redis.info("stats")["total_commands_processed"]
    visitor.post("/change", headers={"Sec-Fetch-Site": "cross-site"})
    assert redis.info("stats")["total_commands_processed"] - before == 1


def test_the_application_s_own_limits_hold_on_its_own_routes(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(MAX_CONTENT_LENGTH=1_000_000)

    @app.post("/upload")
    @public(csrf=False)
    def upload() -> str:
        from flask import request

        return str(len(request.get_data()))

    visitor = Visitor(app)
    assert visitor.post("/upload", data=b"a" * 500_000).get_data(as_text=True) == "500000"
    assert visitor.post("/upload", data=b"a" * 1_000_001).status_code == 413


def test_an_application_with_a_csrf_protection_of_its_own_still_signs_people_in(
    redis: Redis, overrides: dict[str, Any], wallet: Wallet
) -> None:
    """Flask-WTF would check before our session is there, and refuse every form."""
    from flask_wtf.csrf import CSRFProtect

    before = Flask("app", root_path=create_app.__globals__["__file__"].removesuffix("/app.py"))
    before.config.update(overrides)
    CSRFProtect(before)
    WalletSessions(before)
    after = create_app(overrides)
    CSRFProtect(after)
    for app in (before, after):
        visitor = Visitor(app)
        assert visitor.attempt(wallet).status_code == 303
        assert visitor.post("/sign-out").status_code == 400
        assert visitor.sign_out().status_code == 303


# -- current_account -----------------------------------------------------------------------------------------


def test_current_account_is_false_for_visitors_and_an_account_for_others(
    site: Flask, visitor: Visitor, wallet: Wallet
) -> None:
    seen: list[Any] = []

    @site.get("/look")
    @public
    def look() -> str:
        seen.append((bool(current_account), bool(current_session), str(current_account), current_account == None))  # noqa: E711
        return ""

    visitor.get("/look")
    visitor.sign_in(wallet)
    visitor.get("/look")
    assert seen == [(False, False, "None", True), (True, True, wallet.account(), False)]


def test_current_account_is_gone_once_the_view_signed_out(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    @site.get("/leave")
    @signed_in
    def leave() -> str:
        session.clear()
        return "left"

    visitor.sign_in(wallet)
    visitor.get("/leave")
    assert not visitor.signed_in


def test_a_session_view_shows_neither_id_nor_secret(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    session_id = visitor.sign_in(wallet)
    answer = visitor.get("/private").get_data(as_text=True)
    assert session_id not in answer
    assert session_id[12:] not in answer
