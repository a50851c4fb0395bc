"""Flask-Admin, whose views nobody can decorate."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_admin import Admin, BaseView, expose
from flask_babel import Babel

from sessions_core import Misconfigured, WalletSessions, current_account, requires
from sessions_core.testing import TestWallet, make_admin, sign_in


class Reports(BaseView):  # type: ignore[misc]  # flask_admin is untyped
    @expose("/")
    @expose("/all")
    def index(self) -> str:
        return f"reports for {current_account}"


def add(app: Flask) -> None:
    Babel(app)  # Flask-Admin looks for it where Flask-Babel is installed
    admin = Admin(app, name="office", url="/office", endpoint="office")
    admin.add_view(Reports(name="Reports", endpoint="reports", url="/office/reports"))


ROUTES = {"office.*": requires(role="admin"), "reports.*": requires(role="admin")}


def test_office_admits_administrators_alone(assemble) -> None:
    client, wallet = assemble(add, routes=ROUTES).test_client(), TestWallet()
    for path in ("/office/", "/office/reports/", "/office/reports/all"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/sign-in?next={path}")
    session = sign_in(client, wallet)
    assert client.get("/office/").headers["Location"].startswith("/unauthorized?role=admin")
    make_admin(session)
    assert client.get("/office/").status_code == 200
    assert client.get("/office/reports/all").text == f"reports for {wallet.account}"


def test_both_keep_their_own_pages(assemble) -> None:
    client = assemble(add, routes=ROUTES).test_client()
    assert client.get("/").text == "home"
    assert client.get("/sign-in").status_code == 200


def test_its_usual_address_collides_with_our_page(assemble) -> None:
    """Both are at /admin by default: one of them moves."""
    with pytest.raises(Misconfigured, match=r"/admin/: endpoint 'admin\.index'.*'admin'.*, and endpoint 'sessions"):
        assemble(Admin, routes={"admin.*": requires(role="admin")})
    app = assemble(Admin, {"SESSIONS_CORE_URL_PREFIX": "/account"}, routes={"admin.*": requires(role="admin")})
    answer = app.test_client().get("/admin/")
    assert answer.headers["Location"] == "/account/sign-in?next=/admin/"


def test_refusal_lists_its_views(overrides, redis) -> None:
    app = Flask("tests.living")
    app.config.update(overrides)
    add(app)
    with pytest.raises(Misconfigured, match=r'"office\.index": signed_in,  # GET /office/(.|\n)*"reports\.index"'):
        WalletSessions(app)
