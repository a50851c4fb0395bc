"""Routes that a team can't decorate: declared by endpoint, by pattern or by blueprint, and refused all at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, request
from flask.views import MethodView

from sessions_core import (
    Misconfigured,
    WalletSessions,
    current_account,
    fresh_required,
    public,
    requires,
    sessionless,
    signed_in,
)

from ..actors import ORIGIN, Visitor, Wallet
from ..constants import ROOT

Bare = Callable[..., Flask]


def view(**_: Any) -> str:
    return "seen"


@pytest.fixture
def bare(overrides: dict[str, Any], redis: Any) -> Bare:
    """Make an application that has no WalletSessions yet."""

    def bare(**settings: Any) -> Flask:
        app = Flask("shop_app")
        app.config.update(overrides | settings)
        return app

    return bare


def office() -> Blueprint:
    """A blueprint of somebody else, with three routes and without any declaration."""
    made = Blueprint("office", __name__, url_prefix="/office")
    made.add_url_rule("/", "index", view)
    made.add_url_rule("/edit", "edit", view, methods=["GET", "POST"])
    made.add_url_rule("/help", "help", view)
    return made


def code(app: Flask, path: str, method: str = "GET") -> tuple[int, str]:
    answer = Visitor(app).json(path, method)
    answer.close()  # a file stays open without
    return answer.status_code, (answer.get_json(silent=True) or {}).get("error", {}).get("code", "")


# -- Declared from outside -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_pattern_guards_every_route_it_matches(bare: Bare, first: bool) -> None:
    app = bare()
    blueprint = office()
    if first:
        app.register_blueprint(blueprint)
    WalletSessions(app, routes={"office.*": signed_in, "office.help": public})
    if not first:
        app.register_blueprint(blueprint)
    assert [code(app, path) for path in ("/office/edit", "/office/help")] == [(401, "no_token"), (200, "")]
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    assert visitor.get("/office/edit").text == "seen"
    refused = visitor.json("/office/edit", "POST")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "csrf_failed")


@pytest.mark.parametrize("name", ["office", "hq"])
def test_blueprint_as_key_means_all_its_routes(bare: Bare, name: str) -> None:
    app, blueprint = bare(), office()
    nested = Blueprint("inner", __name__)
    nested.add_url_rule("/inner", "page", view)
    blueprint.register_blueprint(nested)
    WalletSessions(app, routes={blueprint: signed_in})
    app.register_blueprint(blueprint, name=name)
    assert [code(app, f"/office{path}")[0] for path in ("/", "/edit", "/help", "/inner")] == [401] * 4


def test_right_of_a_pattern_is_asked_for(bare: Bare) -> None:
    app = bare()
    app.register_blueprint(office())
    wallet = Wallet()
    roles = {"admin": False}
    WalletSessions(
        app,
        routes={"office.*": requires(role="admin")},
        role_for=lambda account: "admin" if roles["admin"] else "member",
    )
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    assert visitor.json("/office/edit").get_json()["error"]["code"] == "permission_denied"
    roles["admin"] = True
    assert visitor.get("/office/edit").text == "seen"


def test_view_classes_and_async_views_are_covered(bare: Bare) -> None:
    app = bare()
    app.async_to_sync = lambda wanted: lambda *args: asyncio.run(wanted(*args))  # type: ignore[method-assign]

    class Things(MethodView):
        def get(self) -> str:
            return str(current_account)

        def post(self) -> str:
            return "changed"

    async def later() -> str:
        return "later"

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    app.add_url_rule("/later", view_func=later)
    WalletSessions(app, routes={"things": signed_in, "later": signed_in})
    assert [code(app, "/things"), code(app, "/later"), code(app, "/things", "POST")[:1]] == [
        (401, "no_token"),
        (401, "no_token"),
        (401,),
    ]
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    assert (visitor.get("/things").text, visitor.get("/later").text) == (wallet.account(), "later")


def test_endpoint_with_two_rules_is_guarded_at_both(bare: Bare) -> None:
    """Flask takes the second rule only as long as the view is the one of the first."""
    app = bare()
    app.add_url_rule("/one", "both", view)
    WalletSessions(app, routes={"both": signed_in})
    app.add_url_rule("/two", "both", view)
    assert (code(app, "/one")[0], code(app, "/two")[0]) == (401, 401)


def test_view_that_answers_options_itself_is_guarded(bare: Bare) -> None:
    app = bare()
    app.add_url_rule("/own", "own", view, methods=["OPTIONS"], provide_automatic_options=False)
    WalletSessions(app, routes={"own": signed_in})
    asked = {"Access-Control-Request-Method": "POST", "Accept": "application/json"}
    assert app.test_client().options("/own", base_url=ORIGIN, headers=asked).status_code == 401


def test_a_declaration_on_the_view_wins(bare: Bare) -> None:
    app = bare()
    app.add_url_rule("/open", "shop.open", public(view))
    app.add_url_rule("/closed", "shop.closed", view)
    WalletSessions(app, routes={"shop.*": signed_in})
    assert (code(app, "/open")[0], code(app, "/closed")[0]) == (200, 401)


def test_the_more_specific_pattern_wins(bare: Bare) -> None:
    app = bare()
    for name in ("a", "ab", "abc", "b"):
        app.add_url_rule(f"/{name}", f"shop.{name}", view)
    WalletSessions(
        app, routes={"shop.*": signed_in, "shop.a*": public, "shop.ab?": signed_in, "shop.ab": sessionless}
    )
    assert [code(app, f"/{name}")[0] for name in ("a", "ab", "abc", "b")] == [200, 200, 401, 401]


def test_what_a_declaration_is_composed_of_stays(bare: Bare) -> None:
    """A value may be a function of the team's own that wraps the view as well."""
    app = bare()
    app.add_url_rule("/open", "open", view)
    WalletSessions(app, routes={"open": lambda wrapped: public(lambda: "wrapped " + wrapped())})
    assert Visitor(app).get("/open").text == "wrapped seen"


def test_files_of_a_blueprint_stay_open_unless_named(bare: Bare, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("file")
    for routes, status in (({"office.edit": signed_in}, 200), ({"office.*": signed_in}, 401)):
        app = bare()
        made = Blueprint("office", __name__, static_folder=str(tmp_path), static_url_path="/office/static")
        made.add_url_rule("/edit", "edit", view)
        app.register_blueprint(made)
        WalletSessions(app, routes=routes)
        assert code(app, "/office/static/a.txt")[0] == status


# -- What is refused -----------------------------------------------------------------------------------------------


def test_one_refusal_lists_all_undeclared_routes(bare: Bare) -> None:
    app = bare()
    app.register_blueprint(office())
    app.add_url_rule("/open", "open", public(view))
    with pytest.raises(Misconfigured) as refused:
        WalletSessions(app)
    lines = [line.strip() for line in str(refused.value).splitlines()]
    assert lines[0].startswith("3 routes do not say who may use them. Put @public, @signed_in or @sessionless")
    assert lines[1:] == [
        '"office.edit": signed_in,  # GET, POST /office/edit',
        '"office.help": signed_in,  # GET /office/help',
        '"office.index": signed_in,  # GET /office/',
    ]


def test_lines_of_the_refusal_can_be_pasted(bare: Bare) -> None:
    app = bare()
    app.register_blueprint(office())
    with pytest.raises(Misconfigured) as refused:
        WalletSessions(app)
    routes = eval("{" + str(refused.value).partition("\n")[2] + "\n}", {"signed_in": signed_in})
    app = bare()
    app.register_blueprint(office())
    WalletSessions(app, routes=routes)
    assert code(app, "/office/edit")[0] == 401


def test_later_routes_are_refused_together(bare: Bare) -> None:
    app = bare()
    WalletSessions(app)
    app.register_blueprint(office())
    app.add_url_rule("/last", "last", view)
    for _ in range(2):
        with pytest.raises(Misconfigured, match=r'^4 routes(.|\n)*"last": signed_in'):
            Visitor(app).get("/livez")


def test_check_routes_refuses_before_any_request(bare: Bare) -> None:
    app = bare()
    sessions = WalletSessions(app)
    sessions.check_routes(app)
    app.add_url_rule("/last", "last", view)
    with pytest.raises(Misconfigured, match='"last": signed_in'):
        sessions.check_routes(app)


_COMMAND = """
from flask import Flask
from sessions_core import WalletSessions
app = Flask(__name__)
app.config.from_prefixed_env()
WalletSessions(app)
with app.app_context():
    pass  # as `db.create_all()` needs it, before the routes
app.add_url_rule("/last", "last", lambda: "last")
"""


def test_flask_routes_refuses_undeclared_routes(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "app.py").write_text(_COMMAND)
    environ = os.environ | {"FLASK_SESSIONS_CORE_DEVELOPMENT": "true", "FLASK_SESSIONS_CORE_REDIS_URL": redis_url}
    environ |= {"PYTHONPATH": str(ROOT), "FLASK_SECRET_KEY": os.urandom(32).hex()}
    command = [sys.executable, "-m", "flask", "--app", "app", "routes"]
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode != 0
    assert '"last": signed_in,  # GET /last' in run.stderr


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("office.*", "'office.*' in routes={…} matches no route"),
        ("shop.indx", "matches no route. Did you mean 'shop.index'?"),
        ("sessions.*", "has no effect: 'sessions."),
    ],
)
def test_pattern_without_effect_is_refused(bare: Bare, key: str, sentence: str) -> None:
    app = bare()
    app.add_url_rule("/shop", "shop.index", view)
    WalletSessions(app, routes={"shop.index": public, key: signed_in})
    with pytest.raises(Misconfigured) as refused:
        Visitor(app).get("/shop")
    assert sentence in str(refused.value)


def test_blueprint_that_is_not_registered_is_refused(bare: Bare) -> None:
    app = bare()
    WalletSessions(app, routes={office(): signed_in})
    with pytest.raises(Misconfigured, match=r"The blueprint 'office' in routes=.* matches no route"):
        Visitor(app).get("/livez")


@pytest.mark.parametrize("key", ["", " ", "/admin", "admin/*", "admin.[", "admin.]", "a b", None, 7, view])
def test_ill_formed_pattern_is_refused(bare: Bare, key: Any) -> None:
    with pytest.raises(Misconfigured, match=r"is no pattern for routes=.*'admin\.\*'"):
        WalletSessions(bare(), routes={key: signed_in})


@pytest.mark.parametrize("key", ["*", "*.*", "?", "[a-z]*"])
def test_pattern_of_everything_is_refused(bare: Bare, key: str) -> None:
    with pytest.raises(Misconfigured, match="Write undeclared='signed_in'"):
        WalletSessions(bare(), routes={key: public})


@pytest.mark.parametrize("given", ["public", None, requires, view, object(), signed_in(view)])
def test_value_that_is_no_declaration_is_refused(bare: Bare, given: Any) -> None:
    with pytest.raises(Misconfigured, match=r"needs a declaration, such as|requires\(.*names nothing"):
        WalletSessions(bare(), routes={"admin.*": given})


def test_equally_specific_patterns_are_refused(bare: Bare) -> None:
    app = bare()
    app.add_url_rule("/ab", "ab", view)
    with pytest.raises(Misconfigured, match=r"'a\*' and '\*b' .* both match the route 'ab'.*'ab': signed_in"):
        WalletSessions(app, routes={"a*": signed_in, "*b": public})


def test_signature_without_a_sentence_is_refused_for_patterns(bare: Bare) -> None:
    app = bare()
    app.add_url_rule("/pay", "pay", view, methods=["POST"])
    with pytest.raises(Misconfigured, match=r"'pay\.it', which has no sentence"):
        WalletSessions(app, routes={"pay": fresh_required(0, "pay.it")})
    app.add_url_rule("/page", "page", view)
    with pytest.raises(Misconfigured, match="without end"):
        WalletSessions(app, routes={"pay": public, "page": fresh_required(0, "session.extend")})


# -- A default for large applications ------------------------------------------------------------------------------


@pytest.mark.parametrize(("default", "status"), [("signed_in", 401), ("public", 200)])
def test_default_declares_what_is_left(bare: Bare, default: str, status: int) -> None:
    app = bare()
    app.add_url_rule("/early", "early", view)
    WalletSessions(app, undeclared=default, routes={"named": sessionless})
    app.add_url_rule("/late", "late", view)
    app.add_url_rule("/named", "named", view)
    app.add_url_rule("/own", "own", public(view))
    assert [code(app, f"/{name}")[0] for name in ("early", "late", "named", "own")] == [status, status, 200, 200]


def test_default_keeps_csrf_on(bare: Bare) -> None:
    app = bare()
    app.add_url_rule("/change", "change", lambda: request.method, methods=["POST"])
    WalletSessions(app, undeclared="public")
    assert code(app, "/change", "POST") == (400, "csrf_failed")


@pytest.mark.parametrize("default", ["sessionless", "", "everybody", True, signed_in])
def test_unknown_default_is_refused(bare: Bare, default: Any) -> None:
    with pytest.raises(Misconfigured, match=r"is no default\. Write undeclared='signed_in'"):
        WalletSessions(bare(), undeclared=default)


def test_our_gunicorn_worker_does_not_start_with_them(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "app.py").write_text(_COMMAND)
    environ = os.environ | {"FLASK_SESSIONS_CORE_DEVELOPMENT": "true", "FLASK_SESSIONS_CORE_REDIS_URL": redis_url}
    environ |= {"PYTHONPATH": str(ROOT), "FLASK_SECRET_KEY": os.urandom(32).hex()}
    worker = "sessions_core.parts.operations.gunicorn_worker.Worker"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        f"unix:{tmp_path}/socket",
        "--worker-class",
        worker,
        "app:app",
    ]
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode != 0
    assert '"last": signed_in,  # GET /last' in run.stderr
