"""flask-smorest, which registers blueprints of its own and answers errors as JSON."""

from __future__ import annotations

from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields

from sessions_core import current_account, public, signed_in

from ..actors import ORIGIN, Visitor, Wallet


class Item(Schema):
    name = fields.String(required=True)


def add(app: Flask) -> None:
    app.config.update(API_TITLE="Shop", API_VERSION="1", OPENAPI_VERSION="3.1.0", OPENAPI_URL_PREFIX="/shop-api")
    items = Blueprint("items", __name__, url_prefix="/shop-api/items")

    @items.route("/")
    class Items(MethodView):
        @items.response(200, Item)
        def get(self):
            return {"name": str(current_account)}

        @items.arguments(Item)
        @items.response(201, Item)
        def post(self, item):
            return item

    Api(app).register_blueprint(items)


ROUTES = {"items.*": signed_in, "api-docs.*": public}


def test_its_routes_answer_401_as_json(assemble) -> None:
    app = assemble(add, routes=ROUTES)
    answer = app.test_client().get("/shop-api/items/", base_url=ORIGIN, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "no_token")
    assert app.test_client().get("/shop-api/openapi.json", base_url=ORIGIN).get_json()["info"]["title"] == "Shop"


def test_its_views_know_the_account(assemble) -> None:
    app = assemble(add, routes=ROUTES)
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    assert visitor.json("/shop-api/items/").get_json() == {"name": wallet.account()}
    assert visitor.json("/shop-api/items/", "POST", json={"name": "a"}).get_json()["error"]["code"] == "csrf_failed"
    made = visitor.send("POST", "/shop-api/items/", json={"name": "a"})
    assert (made.status_code, made.get_json()) == (201, {"name": "a"})
    assert visitor.send("POST", "/shop-api/items/", json={}).status_code == 422
