"""A declaration is a check wherever it stands, is checked once, and what can't be checked refuses to run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Blueprint, Flask, request, session
from flask.views import MethodView, View
from redis import Redis
from werkzeug.exceptions import MethodNotAllowed

from sessions_core import (
    Misconfigured,
    WalletSessions,
    ensure_fresh,
    fresh_required,
    public,
    requires,
    sessionless,
    signed_in,
)
from sessions_core.sign_in.accounts import parse
from sessions_core.web.guards import declared
from sessions_core.web.services import Services

from ..actors import ORIGIN, ApiClient, Visitor, Wallet
from ..declared import ACTIONS, CHANGE, DEMANDS, ask, calling, commands, helper, plain, wrapping


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app({"actions": ACTIONS})
    app.testing = True  # so that what stops a request for good is raised here
    return app


# -- Where a declaration stands ------------------------------------------------------------------------------------


def _method(app: Flask, declare: Callable[..., Any]) -> None:
    class Things(MethodView):
        decorators = (public,)

        @declare
        def post(self) -> str:
            return helper()

    app.add_url_rule("/things", view_func=Things.as_view("things"))


class Resource(View):
    """Like that of Flask-RESTX: it finds its method by itself, and decorates it at each request."""

    method_decorators: tuple[Callable[..., Any], ...] = ()
    decorators = (public,)
    methods = ("POST",)

    def dispatch_request(self) -> str:
        method = getattr(self, request.method.lower(), None)
        if method is None:
            raise MethodNotAllowed()
        for decorator in self.method_decorators:
            method = decorator(method)
        return str(method())


def _resource(app: Flask, declare: Callable[..., Any]) -> None:
    class Things(Resource):
        @declare
        def post(self) -> str:
            return helper()

    app.add_url_rule("/things", view_func=Things.as_view("things"))


def _bound_method(app: Flask, declare: Callable[..., Any]) -> None:
    class Things(Resource):
        method_decorators = (declare,)

        def post(self) -> str:
            return helper()

    app.add_url_rule("/things", view_func=Things.as_view("things"))


def _static_method(app: Flask, declare: Callable[..., Any]) -> None:
    class Things:
        @staticmethod
        @declare
        def change() -> str:
            return helper()

        @classmethod
        @declare
        def other(cls) -> str:
            return helper()

    app.post("/things")(public(lambda: Things.change() + Things.other()[4:]))


def _helper(app: Flask, declare: Callable[..., Any]) -> None:
    guarded = declare(helper)
    app.post("/things")(public(calling(guarded)))


def _helper_of_a_sessionless_route(app: Flask, declare: Callable[..., Any]) -> None:
    guarded = declare(helper)
    app.post("/things")(sessionless(calling(guarded)))


def _nested_function(app: Flask, declare: Callable[..., Any]) -> None:
    @app.post("/things")
    @public
    def things() -> str:
        @declare
        def inner() -> str:
            return helper()

        return str(inner())


def _partial(app: Flask, declare: Callable[..., Any]) -> None:
    guarded = declare(partial(lambda word: word, "done"))
    app.post("/things")(public(calling(guarded)))


def _below_a_decorator_that_loses_it(app: Flask, declare: Callable[..., Any]) -> None:
    app.post("/things")(public(plain(declare(helper))))


def _helper_below_a_decorator(app: Flask, declare: Callable[..., Any]) -> None:
    guarded = wrapping(declare(wrapping(helper)))
    app.post("/things")(public(calling(guarded)))


def _above_a_decorator_of_a_guarded_function(app: Flask, declare: Callable[..., Any]) -> None:
    guarded = declare(wrapping(signed_in(helper)))
    app.post("/things")(public(calling(guarded)))


def _before_requests_of_a_blueprint(app: Flask, declare: Callable[..., Any]) -> None:
    shop = Blueprint("shop", __name__)
    shop.before_request(declare(lambda: None))
    shop.post("/things")(public(helper))
    app.register_blueprint(shop)


PLACES = [
    _method,
    _resource,
    _bound_method,
    _static_method,
    _helper,
    _helper_of_a_sessionless_route,
    _nested_function,
    _partial,
    _below_a_decorator_that_loses_it,
    _helper_below_a_decorator,
    _above_a_decorator_of_a_guarded_function,
    _before_requests_of_a_blueprint,
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__.strip("_"))
@pytest.mark.parametrize("demand", DEMANDS, ids=lambda demand: demand[0].replace(" ", "_"))
def test_a_declaration_is_a_check_wherever_it_stands(
    app: Flask,
    visitor: Visitor,
    wallet: Wallet,
    place: Callable[[Flask, Any], None],
    demand: tuple[str, Callable[..., Any], str, str],
) -> None:
    _, declare, for_visitors, for_members = demand
    place(app, declare)
    token = {"X-CSRFToken": visitor.token()}
    answer = visitor.json("/things", "POST", headers=token)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, for_visitors)
    visitor.sign_in(wallet)
    assert ask(visitor, "/things", "POST")[1] == for_members


def test_a_helper_that_changes_something_needs_the_token(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """The route does without one; whoever acts for a session does not."""
    guarded = signed_in(helper)
    app.post("/things")(public(csrf=False)(calling(guarded)))
    app.post("/health", endpoint="health")(sessionless(calling(guarded)))
    visitor.sign_in(wallet)
    for path in ("/things", "/health"):
        answer = visitor.json(path, "POST")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "csrf_failed")
        elsewhere = visitor.json(path, "POST", headers={"Origin": "https://evil.example"})
        assert elsewhere.get_json()["error"]["code"] == "cross_site_request"
        assert ask(visitor, path, "POST") == (200, "done")


def test_a_laxer_declaration_never_loosens(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    open_ = public(csrf=False)(helper)
    unread = sessionless(helper)
    app.post("/private")(signed_in(lambda: open_() and unread()))
    app.post("/stacked")(signed_in(plain(public(csrf=False)(plain(sessionless(helper))))))
    for path in ("/private", "/stacked"):
        assert visitor.json(path, "POST").get_json()["error"]["code"] == "no_token"
    visitor.sign_in(wallet)
    for path in ("/private", "/stacked"):
        assert visitor.json(path, "POST").get_json()["error"]["code"] == "csrf_failed"
        assert ask(visitor, path, "POST") == (200, "done")


def test_a_token_made_to_be_shown_opens_no_helper(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    guarded = signed_in(helper)
    app.get("/shown", endpoint="shown")(signed_in(accept_presented_token=True)(helper))
    app.get("/helped", endpoint="helped")(signed_in(accept_presented_token=True)(calling(guarded)))
    app.get("/both", endpoint="both")(signed_in(accept_presented_token=True)(requires("read:profile")(helper)))
    app.get("/both_ways", endpoint="both_ways")(
        requires("read:profile")(signed_in(accept_presented_token=True)(helper))
    )
    visitor.sign_in(wallet)
    shown = visitor.send("POST", "/api/auth/sessions/token").get_json()["data"]["session_token"]
    client = ApiClient(app)
    for path in ("/shown", "/both", "/both_ways"):
        assert client.get(path, bearer=shown).get_data(as_text=True) == "done"
    answer = client.get("/helped", bearer=shown, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "token_invalid")


def test_a_declaration_leaves_the_one_below_as_it_was(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """Both routes would have asked for the role."""
    member = signed_in(helper)
    admin = requires(role="admin")(member)
    app.get("/member")(member)
    app.get("/admin_only", endpoint="admin_only")(admin)
    visitor.sign_in(wallet)
    assert ask(visitor, "/member") == (200, "done")
    assert ask(visitor, "/admin_only") == (403, "permission_denied")
    assert getattr(declared(member), "role", "") is None


def test_a_helper_sees_that_its_session_is_over(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """What the guard saw before the view is no reason to let a helper in after it."""
    guarded = signed_in(helper)

    @app.post("/things")
    @signed_in
    def things() -> str:
        services: Services = app.extensions["sessions_core"]
        services.lifecycle.revoke_account(parse(wallet.account()))
        session["a"] = 1
        services.store.amend(session, lambda record: None)
        return guarded()

    visitor.sign_in(wallet)
    assert ask(visitor, "/things", "POST") == (401, "session_invalid")


# -- Before requests -----------------------------------------------------------------------------------------------


def test_a_check_before_the_guard_runs_the_guard_first(
    redis: Redis, overrides: dict[str, Any], wallet: Wallet
) -> None:
    """Registered first, it would have met a session that nobody had read."""
    app, seen = Flask("app", root_path=str(overrides.get("root") or _root())), []
    app.config.update(overrides)
    shop = Blueprint("shop", __name__)

    @shop.before_request
    @signed_in
    def only_members() -> None:
        seen.append(request.path)

    @app.before_request
    @public(csrf=False)
    def look() -> None:
        seen.append("any")

    shop.post("/things")(signed_in(helper))
    app.register_blueprint(shop)
    WalletSessions(app)
    visitor = Visitor(app)
    answer = visitor.json("/things", "POST")
    assert (answer.status_code, answer.get_json()["error"]["code"], seen) == (401, "no_token", [])
    visitor.sign_in(wallet)
    seen.clear()
    before = commands(redis)
    assert visitor.json("/things", "POST").get_json()["error"]["code"] == "csrf_failed"
    assert seen == []
    assert ask(visitor, "/things", "POST") == (200, "done")
    assert seen == ["any", "any", "/things"], "one for the question for the token"
    assert before < commands(redis)


def test_guard_on_every_request_does_not_block_sign_in(app: Flask, visitor: Visitor) -> None:
    """The sign-in page would send its visitors to the sign-in page."""
    app.before_request_funcs.setdefault(None, []).append(signed_in(lambda: None))
    with pytest.raises(Misconfigured, match="so no user could sign in"):
        visitor.get("/sign-in")
    with pytest.raises(Misconfigured, match="Use it on a blueprint of your own"):
        visitor.json("/api/auth/challenges", "POST", json={})
    assert visitor.get("/session").headers["Location"] == "/sign-in?next=/session"


def _root() -> str:
    from app import create_app

    return str(create_app.__globals__["__file__"]).removesuffix("/app.py")


# -- What can't be checked refuses to run --------------------------------------------------------------------------


@pytest.mark.parametrize("declare", [each[1] for each in DEMANDS] + [public, sessionless], ids=range(8))
def test_a_class_is_no_function_to_guard(declare: Callable[..., Any]) -> None:
    class Things(MethodView):
        def get(self) -> str:
            return helper()

    with pytest.raises(Misconfigured, match=r"Things is a class.*decorators = \[signed_in\]"):
        declare(Things)
    for wrapped in (staticmethod(helper), classmethod(helper), property(helper), "helper"):  # type: ignore[arg-type]
        with pytest.raises(Misconfigured, match="right above the function"):
            declare(wrapped)


def test_two_open_declarations_have_to_agree() -> None:
    """A view class of an extension may bring one of its own."""
    assert declared(public(public(helper))) == declared(public(helper))
    open_ = (public, public(csrf=False), public(keeps_alive=False), sessionless)
    for outer in open_:
        for inner in open_:
            if outer is not inner:
                with pytest.raises(Misconfigured, match="says twice who may use it"):
                    outer(inner(helper))


def test_a_guarded_function_runs_in_requests_only(app: Flask) -> None:
    with (
        app.app_context(),
        pytest.raises(RuntimeError, match=r"helper says who may use it.*only .* in a request"),
    ):
        signed_in(helper)()


def test_a_request_without_its_guard_is_guarded(app: Flask, wallet: Wallet) -> None:
    """As in `app.test_request_context()`, which runs nothing before the view."""
    from sessions_core.errors import NotSignedIn

    with app.test_request_context("/", base_url=ORIGIN), pytest.raises(NotSignedIn):
        signed_in(helper)()


@pytest.mark.parametrize(
    "wrong",
    [
        requires,
        lambda: requires(helper),  # type: ignore[arg-type]
        lambda: requires(""),
        lambda: requires(role=""),
        lambda: requires(session_type=""),
        lambda: fresh_required(-1, "thing.change"),
        lambda: fresh_required(1.5, "thing.change"),  # type: ignore[arg-type]
        lambda: fresh_required(True, "thing.change"),
        lambda: fresh_required(60, ""),
        lambda: fresh_required(60, helper),  # type: ignore[arg-type]
    ],
    ids=range(10),
)
def test_a_declaration_that_names_nothing_is_refused(wrong: Callable[[], Any]) -> None:
    """An empty role, for one, is what an account has whose role can't be found out."""
    with pytest.raises(Misconfigured, match=r"requires\(|fresh_required\("):
        wrong()


# -- A new signature each time, for a page -------------------------------------------------------------------------


def _page(app: Flask) -> None:
    app.get("/things")(CHANGE(helper))


def _page_and_form(app: Flask) -> None:
    app.route("/things", methods=["GET", "POST"])(requires("read:profile")(CHANGE(helper)))


def _page_of_a_class(app: Flask) -> None:
    class Things(MethodView):
        decorators = (public,)

        @CHANGE
        def get(self) -> str:
            return helper()

    app.add_url_rule("/things", view_func=Things.as_view("things"))


def _class(app: Flask) -> None:
    class Things(MethodView):
        decorators = (CHANGE,)

        def get(self) -> str:
            return helper()

        def post(self) -> str:
            return helper()

    app.add_url_rule("/things", view_func=Things.as_view("things"))


@pytest.mark.parametrize("register", [_page, _page_and_form, _page_of_a_class, _class])
def test_a_page_signed_for_each_time_stops_the_start(
    app: Flask, redis: Redis, overrides: dict[str, Any], register: Callable[[Flask], None]
) -> None:
    with pytest.raises(Misconfigured, match=r"takes GET\..*Write fresh_required\(60, 'thing\.change'\)"):
        register(app)
    before = Flask(__name__)
    before.config.update(overrides)
    register(before)
    with pytest.raises(Misconfigured, match="without end"):
        WalletSessions(before, actions=ACTIONS)


def test_a_method_that_changes_may_ask_each_time(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    class Things(MethodView):
        decorators = (signed_in,)

        def get(self) -> str:
            return helper()

        @CHANGE
        def post(self) -> str:
            return helper()

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    visitor.sign_in(wallet)
    assert ask(visitor, "/things") == (200, "done")
    assert ask(visitor, "/things", "POST") == (403, "step_up_required")


@pytest.mark.parametrize("inside", [CHANGE(helper), lambda: ensure_fresh(0, "thing.change")], ids=["helper", "view"])
def test_a_helper_of_a_page_asks_not_each_time(
    app: Flask, visitor: Visitor, wallet: Wallet, inside: Callable[[], Any]
) -> None:
    app.get("/things")(signed_in(calling(inside)))
    visitor.sign_in(wallet)
    with pytest.raises(Misconfigured, match="without end"):
        visitor.get("/things")


def test_an_action_of_a_method_needs_a_sentence(app: Flask) -> None:
    class Things(MethodView):
        decorators = (public,)

        @fresh_required(60, "thing.lost")
        def post(self) -> str:
            return helper()

    with pytest.raises(Misconfigured, match=r"'thing\.lost', which has no sentence"):
        app.add_url_rule("/things", view_func=Things.as_view("things"))
