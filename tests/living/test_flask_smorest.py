"""flask-smorest, which registers blueprints of its own and answers errors as JSON."""

from __future__ import annotations

from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields

from sessions_core import current_account, public, signed_in
from sessions_core.testing import TestWallet, csrf, sign_in


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
JSON = {"Accept": "application/json"}


def test_its_routes_answer_401_as_json(assemble) -> None:
    client = assemble(add, routes=ROUTES).test_client()
    answer = client.get("/shop-api/items/", headers=JSON)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "no_token")
    assert client.get("/shop-api/openapi.json").json["info"]["title"] == "Shop"


def test_its_views_know_the_account(assemble) -> None:
    client, wallet = assemble(add, routes=ROUTES).test_client(), TestWallet()
    sign_in(client, wallet)
    assert client.get("/shop-api/items/").json == {"name": wallet.account}
    refused = client.post("/shop-api/items/", json={"name": "a"}, headers=JSON)
    assert refused.json["error"]["code"] == "csrf_failed"
    token = {"X-CSRFToken": csrf(client)}
    made = client.post("/shop-api/items/", json={"name": "a"}, headers=token)
    assert (made.status_code, made.json) == (201, {"name": "a"})
    assert client.post("/shop-api/items/", json={}, headers=token).status_code == 422
