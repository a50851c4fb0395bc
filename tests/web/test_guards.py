"""Every route says who may use it, and what it says holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import Any
from urllib.parse import parse_qs

import pytest
from flask import Blueprint, Flask, session
from flask.views import MethodView
from redis import Redis

from app import create_app
from sessions_core import (
    Misconfigured,
    SessionType,
    WalletSessions,
    current_account,
    current_session,
    ensure_fresh,
    events,
    fresh_required,
    public,
    requires,
    sessionless,
    signed_in,
)
from sessions_core.parts.devices.events import ClientChanged
from sessions_core.parts.devices.recent_sign_ins import DEVICE, Device
from sessions_core.parts.devices.user_agent import describe
from sessions_core.sign_in.accounts import parse
from sessions_core.web.guards import Access, declared
from sessions_core.web.request_client import client_of
from sessions_core.web.services import Services

from ..actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet, together
from ..answers import data_of
from ..constants import FIREFOX
from ..new_sessions import used_from
from ..part_services import roles_of
from ..snapshot import refused, unchanged
from ..time_machine import Clock, TimeMachine


def view() -> str:
    return "seen"


# -- Routes that declare nothing -----------------------------------------------------------------------------


def test_every_route_of_the_demo_declares_its_access(app: Flask) -> None:
    rules = {rule.endpoint for rule in app.url_map.iter_rules()}
    endpoints = {endpoint for endpoint in rules if endpoint.rpartition(".")[2] != "static"}
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
def test_undeclared_later_route_stops_the_first_request(app: Flask, naked: Callable[[Flask], None]) -> None:
    naked(app)
    for _ in range(2):
        with pytest.raises(Misconfigured, match=r"does not say who may use it\. Put @public"):
            Visitor(app).get("/livez")


@pytest.mark.parametrize("naked", NAKED, ids=lambda naked: naked.__name__)
def test_an_undeclared_route_stops_the_start_before_init_app(
    redis: Redis, overrides: dict[str, Any], naked: Callable[[Flask], None]
) -> None:
    app = Flask(__name__)
    app.config.update(overrides)
    naked(app)
    with pytest.raises(Misconfigured, match="does not say who may use it"):
        WalletSessions(app)


def test_undeclared_route_added_late_is_not_served(app: Flask, visitor: Visitor) -> None:
    app.add_url_rule("/naked", "late")
    app.view_functions["late"] = view
    with pytest.raises(Misconfigured, match="does not say who may use it"):
        visitor.get("/naked")


def test_view_put_in_after_the_first_request_answers_nobody(app: Flask, visitor: Visitor) -> None:
    app.get("/late", endpoint="late")(public(view))
    assert visitor.get("/late").status_code == 200
    app.view_functions["late"] = view
    response = visitor.get("/late")
    assert response.status_code == 500
    assert "seen" not in response.get_data(as_text=True)


def test_static_files_need_no_declaration(app: Flask, visitor: Visitor) -> None:
    """Neither those of the app nor those of blueprints."""
    shop = Blueprint("shop", __name__, static_folder="../browser", static_url_path="/shop-files")
    app.register_blueprint(shop)
    for path in ("/sessions_core/static/lib/clock.js", "/shop-files/injected_wallet.js"):
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


@pytest.mark.parametrize(
    "declare", [public, signed_in, sessionless, public(keeps_alive=False), signed_in(keeps_alive=False)]
)
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
    @signed_in(keeps_alive=False)
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


def test_public_view_serves_visitors_and_sees_the_account(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    assert visitor.get("/public").get_data(as_text=True) == "nobody"
    visitor.sign_in(wallet)
    assert visitor.get("/public").get_data(as_text=True) == wallet.address


def test_signed_in_view_serves_only_signed_in_users(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
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
def test_401_format_follows_the_accept_header(
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
def test_json_service_redirects_only_if_html_is_requested(
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


def test_csrf_exempt_route_still_refuses_other_sites(
    site: Flask, visitor: Visitor, redis: Redis, happened: list[events.Event]
) -> None:
    """It authenticates its caller in another way and needs no token."""
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


def test_app_with_its_own_csrf_protection_still_works(
    redis: Redis, overrides: dict[str, Any], wallet: Wallet
) -> None:
    """Flask-WTF would check before the session is there, and refuse every form."""
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


def test_current_account_is_false_for_visitors(site: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """For signed-in users it is their account."""
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


# -- Rights ------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(app: Flask) -> Flask:
    """Routes that ask for rights, and one that asks for all of them at once."""
    for name, demand in (
        ("pay", requires("transact")),
        ("try", requires("test-only")),
        ("write", requires("write:messages")),
        ("notes", requires("read:all_profiles")),
        ("office", requires(role="admin")),
        ("practice", requires(session_type="professional")),
        ("all", requires("read:all_profiles", role="admin", session_type="professional")),
    ):
        app.route(f"/{name}", methods=["GET", "POST", "PUT"], endpoint=name)(demand(view))
    return app


def lacks(visitor: Visitor, path: str) -> tuple[str, str] | None:
    """What a route says is missing, and why; `None` if it lets the visitor in."""
    answer = visitor.json(path)
    if answer.status_code == 200:
        return None
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"]) == (403, "permission_denied")
    return error["missing"], error["reason"]


@pytest.mark.parametrize("path", ["/pay", "/office", "/practice", "/all"])
def test_a_route_that_asks_for_rights_asks_for_a_session_first(desk: Flask, visitor: Visitor, path: str) -> None:
    assert visitor.get(path).headers["Location"] == f"/sign-in?next={path}"
    answer = visitor.json(path)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "no_token")


def test_member_gets_the_permissions_of_the_session(
    desk: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    """A refusal names what is missing."""
    visitor.sign_in(wallet)
    happened.clear()
    with unchanged(redis):
        assert lacks(visitor, "/pay") is None
        assert lacks(visitor, "/write") is None
        assert lacks(visitor, "/try") == ("test-only", "network_mainnet")
        assert lacks(visitor, "/notes") == ("read:all_profiles", "type")
        assert lacks(visitor, "/office") == ("admin", "role")
        assert lacks(visitor, "/practice") == ("professional", "session_type")
        assert lacks(visitor, "/all") == ("admin", "role")
    assert [getattr(event, "code", "") for event in happened] == ["permission_denied"] * 5


def test_a_page_is_sent_to_where_the_lack_is_explained(desk: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    for path, location in (
        ("/try?a=b", "/unauthorized?permission=test-only&next=/try?a%3Db"),
        ("/office", "/unauthorized?role=admin&next=/office"),
        ("/practice", "/unauthorized?session_type=professional&next=/practice"),
    ):
        answer = visitor.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, location)
    assert visitor.submit("/office").headers["Location"] == "/unauthorized?role=admin"


def test_the_token_is_demanded_before_rights_are_explained(desk: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    assert visitor.json("/office", "POST").get_json()["error"]["code"] == "csrf_failed"


def test_each_right_of_a_route_is_demanded(desk: Flask, services: Services, visitor: Visitor, wallet: Wallet) -> None:
    account = parse(wallet.account())
    visitor.sign_in(wallet)
    roles_of(services).verify(account, "lic_7", "full", 30)
    assert lacks(visitor, "/all") == ("admin", "role")
    roles_of(services).assign(account, "admin")
    assert lacks(visitor, "/all") == ("professional", "session_type")
    visitor.sign_in(wallet, session_type="professional", permissions="write:therapy_notes")
    assert lacks(visitor, "/all") == ("admin", "narrowed")
    visitor.sign_in(wallet, session_type="professional", permissions="role:admin")
    assert lacks(visitor, "/all") == ("read:all_profiles", "narrowed")
    visitor.sign_in(wallet, session_type="professional")
    assert lacks(visitor, "/all") is None
    roles_of(services).assign(account, "member")
    assert lacks(visitor, "/all") == ("admin", "role")


def test_every_order_of_declarations_means_the_same(app: Flask) -> None:
    declarations = (
        signed_in(keeps_alive=False),
        requires("transact"),
        requires(role="admin", session_type="standard"),
        fresh_required(60, "session.extend"),
    )
    found = set()
    for order in permutations(declarations):
        guarded: Callable[..., Any] = view
        for declare in order:
            guarded = declare(guarded)
        found.add(declared(guarded))
    assert found == {
        Access(
            demands=True,
            keep_alive="never",
            permission="transact",
            role="admin",
            session_type="standard",
            fresh=(60, "session.extend"),
        )
    }
    assert declared(view) is None, "the function itself is left as it was"


RIGHTS = [
    requires("transact"),
    requires(role="admin"),
    requires(session_type="standard"),
    fresh_required(0, "admin.open"),
]


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("open_", [public, public(keeps_alive=False), public(csrf=False), sessionless])
def test_a_route_can_not_be_open_and_ask_for_rights(right: Callable[..., Any], open_: Callable[..., Any]) -> None:
    for outer, inner in ((right, open_), (open_, right)):
        with pytest.raises(Misconfigured, match=r"can't be open to everybody and ask for rights"):
            outer(inner(view))


@pytest.mark.parametrize("closed", [signed_in, signed_in(keeps_alive=False)])
@pytest.mark.parametrize("open_", [public, public(keeps_alive=False), public(csrf=False), sessionless])
def test_a_route_can_not_be_open_and_ask_for_a_session(closed: Callable[..., Any], open_: Callable[..., Any]) -> None:
    """Whichever stood first would have won, and one of the orders left the route open."""
    for outer, inner in ((closed, open_), (open_, closed)):
        with pytest.raises(Misconfigured, match=r"can't be open to everybody and ask for rights"):
            outer(inner(view))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (requires("transact"), requires("sign")),
        (requires(role="admin"), requires(role="editor")),
        (requires(session_type="standard"), requires("sign", session_type="kiosk")),
        (fresh_required(0, "admin.open"), fresh_required(300, "session.extend")),
    ],
)
def test_a_route_can_not_ask_for_two_rights_of_one_kind(one: Callable[..., Any], other: Callable[..., Any]) -> None:
    """The one below would be gone without a word."""
    for outer, inner in ((one, other), (other, one)):
        with pytest.raises(Misconfigured, match="twice"):
            outer(inner(view))


def test_action_without_a_sentence_stops_the_start(app: Flask, redis: Redis, overrides: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"'shop\.open', which has no sentence"):
        app.get("/shop")(fresh_required(60, "shop.open")(view))
    before = Flask(__name__)
    before.config.update(overrides)
    before.get("/shop")(fresh_required(60, "shop.open")(view))
    with pytest.raises(Misconfigured, match=r"'shop\.open', which has no sentence"):
        WalletSessions(before)
    WalletSessions(before, actions={"shop.open": "Open the shop."})


def test_public_view_asks_visitors_to_sign_in_before_signing(app: Flask, visitor: Visitor) -> None:
    @app.get("/shop")
    @public
    def shop() -> str:
        ensure_fresh(300, "session.extend")
        return "seen"

    answer = visitor.json("/shop")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "no_token")
    assert visitor.get("/shop").headers["Location"] == "/sign-in?next=/shop"


def test_a_permission_that_takes_signatures_needs_a_sentence(make_app: Callable[..., Flask]) -> None:
    cash = SessionType("cash", "cash_", 600, 3600, ("open:till",), fresh=("open:till",))
    with pytest.raises(Misconfigured, match=r"'open:till' takes a signature"):
        make_app({"session_types": [cash]})
    make_app({"session_types": [cash], "actions": {"open:till": "Open the till."}})


# -- Rights that change ------------------------------------------------------------------------------------------


def rotated(happened: list[events.Event]) -> list[str]:
    return [event.handle for event in happened if isinstance(event, events.SessionRotated)]


def test_given_role_changes_the_id_of_each_living_session(
    desk: Flask, services: Services, wallet: Wallet, happened: list[events.Event], pass_time: TimeMachine
) -> None:
    people = [Visitor(desk) for _ in range(3)]
    before = [person.sign_in(wallet) for person in people]
    handles = [data_of(person)["session_id"] for person in people]
    old_token = people[0].token("/session")
    roles_of(services).assign(parse(wallet.account()), "admin")
    happened.clear()
    for person in people:
        assert lacks(person, "/office") is None
        assert lacks(person, "/office") is None
    assert rotated(happened) == handles
    assert [data_of(person)["session_id"] for person in people] == handles
    assert not {person.session_id for person in people} & set(before)
    for session_id in before:
        thief = Visitor(desk)
        thief.session_id = session_id
        assert thief.json("/office").get_json()["error"]["reason"] == "rotated"
    assert people[0].post("/office", data={"csrf_token": old_token}).status_code == 200, "a tab that was open"
    pass_time(21)
    assert people[0].post("/office", data={"csrf_token": old_token}).status_code == 400


def test_a_role_that_is_taken_is_gone_with_the_very_next_request(
    desk: Flask, services: Services, visitor: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    account = parse(wallet.account())
    roles_of(services).assign(account, "admin")
    before = visitor.sign_in(wallet)
    assert lacks(visitor, "/office") is None
    assert visitor.session_id == before, "it was signed in with that role"
    roles_of(services).assign(account, "restricted")
    happened.clear()
    assert lacks(visitor, "/office") == ("admin", "role")
    assert lacks(visitor, "/pay") == ("transact", "role")
    assert len(rotated(happened)) == 1
    assert visitor.session_id != before


def test_app_defined_role_change_rotates_the_session_id(
    make_app: Callable[..., Flask], wallet: Wallet, happened: list[events.Event]
) -> None:
    roles = {wallet.account(): "member"}
    app = make_app({"role_for": lambda account: roles[str(account)]})
    app.get("/office")(requires(role="admin")(view))
    visitor = Visitor(app)
    before = visitor.sign_in(wallet)
    assert lacks(visitor, "/office") == ("admin", "role")
    roles[wallet.account()] = "admin"
    assert lacks(visitor, "/office") is None
    assert visitor.session_id != before
    raised = visitor.session_id
    del roles[wallet.account()]  # the application's own database is out of reach
    assert lacks(visitor, "/office") == ("admin", "role")
    assert visitor.session_id == raised, "nobody's id changes for an outage"
    assert visitor.sign_out().status_code == 303


def test_expired_verification_ends_with_the_next_request(
    desk: Flask,
    services: Services,
    visitor: Visitor,
    wallet: Wallet,
    pass_time: TimeMachine,
    happened: list[events.Event],
) -> None:
    roles_of(services).verify(parse(wallet.account()), "lic_7", "full", 1)
    pass_time(86_400 - 600)
    before = visitor.sign_in(wallet, session_type="professional")
    pass_time(590)
    assert lacks(visitor, "/notes") is None
    assert visitor.session_id == before
    pass_time(11)
    happened.clear()
    assert lacks(visitor, "/notes") == ("read:all_profiles", "verification")
    assert len(rotated(happened)) == 1
    assert (data_of(visitor)["session_type"], data_of(visitor)["permissions"]) == (
        "professional",
        ["transact", "sign"],
    )
    assert visitor.attempt(wallet, session_type="professional").headers["Location"].startswith("/unauthorized")


def test_revoked_verification_ends_with_the_next_request(
    desk: Flask, services: Services, visitor: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    account = parse(wallet.account())
    roles_of(services).verify(account, "lic_7", "full", 1)
    before = visitor.sign_in(wallet, session_type="professional")
    assert lacks(visitor, "/notes") is None
    assert data_of(visitor)["professional_id"] == "lic_7"
    roles_of(services).revoke_verification(account)
    happened.clear()
    assert lacks(visitor, "/notes") == ("read:all_profiles", "verification")
    assert len(rotated(happened)) == 1
    assert visitor.session_id != before
    assert data_of(visitor)["professional_id"] is None


def test_a_poll_never_changes_the_id_and_still_tells_the_truth(
    desk: Flask, services: Services, visitor: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine
) -> None:
    """Several tabs poll at once: each but one would be left with a dead cookie."""
    before = visitor.sign_in(wallet)
    token = visitor.token("/session")
    roles_of(services).assign(parse(wallet.account()), "admin")
    pass_time(100)
    with unchanged(redis):
        assert data_of(visitor)["role"] == "admin"
        assert visitor.json("/api/auth/sessions").status_code == 200
        assert visitor.get("/nothing").status_code == 404
        visitor.json("/api/auth/challenges", "POST", json={"account": wallet.account()})
    assert visitor.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": token}).status_code == 200
    assert visitor.session_id == before
    visitor.get("/session")
    assert visitor.session_id != before


def test_concurrent_requests_after_a_role_change_leave_one_id(
    desk: Flask, services: Services, wallet: Wallet, redis: Redis
) -> None:
    account = parse(wallet.account())
    roles_of(services).assign(account, "admin")
    for _ in range(10):
        live = services.lifecycle.start(account, services.policy.standard)  # as an ordinary member
        tabs = [Visitor(desk) for _ in range(4)]
        for tab in tabs:
            tab.session_id = live.id
        answers = together(*(partial(tab.json, "/pay") for tab in tabs))
        assert {answer.status_code for answer in answers} <= {200, 401}
        [moved] = {tab.session_id for tab in tabs} - {live.id}
        assert len(services.repository.living(wallet.account())) == 1
        tabs[0].session_id = moved
        assert tabs[0].signed_in
        services.lifecycle.revoke_account(account)


# -- Where a session is used from --------------------------------------------------------------------------------

SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)


def seen_from(visitor: Visitor, ip: str, agent: str = FIREFOX, path: str = "/session") -> None:
    answer = visitor.get(path, headers={"User-Agent": agent}, environ_overrides={"REMOTE_ADDR": ip})
    assert answer.status_code in (200, 404)


def moves(happened: list[events.Event]) -> list[str]:
    return [event.changed for event in happened if isinstance(event, ClientChanged)]


@pytest.fixture
def traveller(services: Services, visitor: Visitor, wallet: Wallet) -> Visitor:
    live = services.lifecycle.start(
        parse(wallet.account()),
        services.policy.standard,
        prepare=used_from(client_of("203.0.113.7", FIREFOX, False, [describe])),
    )
    visitor.session_id = live.id
    return visitor


def test_session_used_from_elsewhere_announces_the_change(
    traveller: Visitor, wallet: Wallet, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    pass_time(61)
    seen_from(traveller, "203.0.113.7")
    assert moves(happened) == []
    pass_time(61)
    seen_from(traveller, "198.51.100.1")
    handle = data_of(traveller)["session_id"]
    assert happened[-1:] == [ClientChanged(handle=handle, account=wallet.account(), changed="ip")]
    pass_time(61)
    seen_from(traveller, "198.51.100.1", SAFARI)
    pass_time(61)
    seen_from(traveller, "203.0.113.7", FIREFOX)
    assert moves(happened) == ["ip", "device", "ip"]
    [row] = traveller.json("/api/auth/sessions").get_json()["data"]["sessions"]
    assert (row["ip"], row["device"], row["user_agent"]) == ("203.0.113.7", "Firefox on Linux", FIREFOX)


def test_address_change_is_announced_at_most_once_a_minute(
    traveller: Visitor, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    for number in range(20):
        seen_from(traveller, f"198.51.100.{number}")
    assert moves(happened) == []
    pass_time(61)
    for number in range(20):
        seen_from(traveller, f"198.51.100.{number}", SAFARI if number % 2 else FIREFOX)
    assert moves(happened) == ["ip"]


def test_poll_from_elsewhere_announces_no_change(
    traveller: Visitor, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    pass_time(61)
    traveller.json("/api/auth/sessions/validate", environ_overrides={"REMOTE_ADDR": "198.51.100.1"})
    seen_from(traveller, "198.51.100.1", path="/nothing")
    assert moves(happened) == []


def test_a_session_that_keeps_no_device_is_not_followed(
    services: Services, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    visitor.session_id = services.lifecycle.start(parse(wallet.account()), services.policy.standard).id
    pass_time(61)
    seen_from(visitor, "198.51.100.1")
    assert moves(happened) == []
    [live] = services.repository.living(wallet.account())
    assert DEVICE.of(live.record) == Device()


def test_shortened_address_in_the_same_network_is_no_move(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis, clock: Clock, happened: list[events.Event]
) -> None:
    app = make_app(SESSIONS_CORE_SHORTEN_IP=True)
    services: Services = app.extensions["sessions_core"]
    visitor, pass_time = Visitor(app), TimeMachine(app, redis, clock)
    visitor.session_id = services.lifecycle.start(
        parse(wallet.account()),
        services.policy.standard,
        prepare=used_from(client_of("203.0.113.7", FIREFOX, True, [describe])),
    ).id
    pass_time(61)
    seen_from(visitor, "203.0.113.99")
    assert moves(happened) == []
    pass_time(61)
    seen_from(visitor, "203.0.114.7")
    assert moves(happened) == ["ip"]


# -- The network is the signed one ---------------------------------------------------------------------------------

CLAIMS: list[dict[str, Any]] = [
    {"query_string": {"network": "mainnet", "chain": "eip155:1", "chain_id": "1", "chainId": "0x1"}},
    {"headers": {"X-Chain-Id": "1", "X-Network": "mainnet", "Chain-Id": "eip155:1", "X-Wallet-Network": "mainnet"}},
    {"headers": {"X-Original-Account": "eip155:1:0x0", "X-Forwarded-Proto": "mainnet", "Cookie2": "network=mainnet"}},
    {"data": {"network": "mainnet", "chain": "eip155:1", "chain_id": "1", "account": "eip155:1:0x0"}},
    {"json": {"network": "mainnet", "chain": "eip155:1", "chainId": 1, "permissions": ["transact"], "role": "admin"}},
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: ascii(claim)[:40])
def test_a_page_that_claims_another_network_gets_nothing_for_it(
    desk: Flask, visitor: Visitor, wallet: Wallet, redis: Redis, claim: dict[str, Any]
) -> None:
    visitor.attempt(wallet, visitor.challenge(wallet.account("eip155:11155111")))
    visitor.client.set_cookie("network", "mainnet")
    visitor.client.set_cookie("chain_id", "1")
    assert lacks(visitor, "/try") is None
    with unchanged(redis):
        for method in ("GET", "POST", "PUT"):
            answer = visitor.send(method, "/pay", **claim)
            error = answer.get_json()["error"]
            assert (answer.status_code, error["missing"], error["reason"]) == (403, "transact", "network_testnet")
    assert data_of(visitor)["permissions"][0] == "test-only"


def test_network_comes_from_the_signed_text_not_the_form(desk: Flask, visitor: Visitor, wallet: Wallet) -> None:
    challenge = visitor.challenge(wallet.account("eip155:11155111"))
    claims = {"network": "mainnet", "chain": "eip155:1", "account": wallet.account(), "permissions": "transact"}
    assert visitor.attempt(wallet, challenge, **claims).status_code == 303
    data = data_of(visitor)
    assert (data["network"], data["account"], data["permissions"]) == (
        "testnet",
        wallet.account("eip155:11155111"),
        [],
    )
    assert lacks(visitor, "/pay") == ("transact", "network_testnet")


# -- Addresses in no encoding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["\xff", "a=\xff&b=\xc3\xa9", "%ff=%00", "\x00", "%", "&&==&"], ids=ascii)
def test_a_query_in_no_encoding_is_never_a_fault(site: Flask, visitor: Visitor, wallet: Wallet, query: str) -> None:
    """WSGI hands bytes over as they came; browsers encode them, and others need not."""
    for path, statuses in (("/private", (303, 200)), ("/public", (200, 200)), ("/nothing", (404, 404))):
        for status in statuses:
            answer = visitor.get(path, environ_overrides={"QUERY_STRING": query})
            assert answer.status_code == status
            assert answer.headers.get("Location", "/").isascii()
            if path == "/private" and status == 303:
                visitor.sign_in(wallet)
    assert visitor.get("/session", environ_overrides={"QUERY_STRING": query}).status_code == 200


def test_sign_in_returns_to_the_exact_address(site: Flask, visitor: Visitor) -> None:
    site.get("/files/<path:name>")(signed_in(lambda name: name))
    answer = visitor.get("/files/a%3Fb%20c%25/%C3%A9?x=%26&y=1")
    assert answer.headers["Location"] == "/sign-in?next=/files/a%253Fb%2520c%2525/%25C3%25A9?x%3D%2526%26y%3D1"
    came_back_to = parse_qs(answer.headers["Location"].partition("?")[2])["next"]
    assert came_back_to == ["/files/a%3Fb%20c%25/%C3%A9?x=%26&y=1"]
