"""What the wallet shows is what the view gets; and how much of a request is read while it waits."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from sessions_core import Misconfigured
from sessions_core.sign_in import messages

from ..actors import ApiClient, Visitor, Wallet
from ..answers import code_of
from ..shop import ACTIONS, Shop


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app({"actions": ACTIONS})
    app.extensions["shop"] = Shop(app)
    return app


@pytest.fixture
def shop(app: Flask) -> Shop:
    return app.extensions["shop"]


@pytest.fixture
def client(app: Flask, wallet: Wallet) -> ApiClient:
    client = ApiClient(app)
    client.sign_in(wallet)
    return client


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", b'{"number": 2}'),
        ("", b'{"number": 2}'),
        ("application/octet-stream", b"number=2"),
        ("application/xml", b"<number>2</number>"),
        ("text/plain;application/json", b'{"number": 2}'),
        ("application/json", b'{"invoice": {"number": 2}}'),
        ("application/json", b'{"invoices": [{"number": 2}]}'),
        ("application/json", b'[{"number": 2}]'),
        ("application/json", b'{"number": 1, "number": 2}'),
        ("application/x-www-form-urlencoded", b'{"number": 2, "x": "&number=1&"}'),
        ("application/x-www-form-urlencoded", b' [{"number": 2}]'),
    ],
)
def test_signed_value_is_the_one_the_view_reads(
    shop: Shop, person: Visitor, client: ApiClient, content_type: str, body: bytes
) -> None:
    """A view that decodes its body by itself would pay another invoice than the wallet showed."""
    if "form" in content_type:
        # Nobody reads anew what the check of a CSRF token has read as a form. Bearers need no such check.
        sender: Visitor | ApiClient = client
    else:
        sender = person
        answer = person.send("POST", "/pay?number=1", data=body, content_type=content_type)
        assert answer.status_code in (400, 415)
    answer = sender.send(
        "POST", "/decode?number=1", data=body, content_type=content_type, headers={"Accept": "application/json"}
    )
    assert answer.status_code in (400, 415)
    assert code_of(answer) in ("body_malformed", "media_type_unsupported", "confirmation_unclear")
    assert shop.done == []
    with_path = person.send("POST", "/invoices/1/pay", data=body, content_type=content_type)
    assert code_of(with_path) == "step_up_required", "the address names it, whatever the body is"


def test_query_gives_a_value_missing_in_the_json_body(shop: Shop, person: Visitor) -> None:
    answer = person.send("POST", "/pay?number=7", json={"note": {"text": "x"}})
    text = person.text_for(answer.get_json()["error"]["request"])["message"]
    assert messages.read(text).statement == "Pay invoice 7."


# -- How much is read ----------------------------------------------------------------------------------------------

LIMIT = 1024 * 1024


class Endless(io.RawIOBase):
    """A body that goes on, and counts what is read of it."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.taken += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_too_large_to_wait_is_not_read(shop: Shop, person: Visitor, announced: bool) -> None:
    body = Endless()
    length: dict[str, Any] = {"CONTENT_LENGTH": str(150 * LIMIT)} if announced else {"wsgi.input_terminated": True}
    length["wsgi.input"] = body
    answer = person.send("POST", "/pay", content_type="application/json", environ_overrides=length)
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
    assert answer.get_json()["error"]["message"].endswith("Send less than 1024 kB.")
    assert body.taken <= (0 if announced else 2 * LIMIT)
    assert shop.done == []


def test_a_body_up_to_the_limit_waits_and_arrives(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """Also in chunks, whose length is known only once they were read."""
    app = make_app({"actions": ACTIONS}, SESSIONS_CORE_CONFIRM_BODY_BYTES=20_000)
    shop, person = Shop(app), Visitor(app)
    person.sign_in(wallet)
    start = b'{"number": "7", "note": "'
    whole = start + b"x" * (20_000 - len(start) - 2) + b'"}'
    for body, status in ((whole, 403), (whole + b" ", 413)):
        for chunked in (True, False):
            options: dict[str, Any] = {"data": body}
            if chunked:
                options = {"input_stream": io.BytesIO(body), "environ_overrides": {"wsgi.input_terminated": True}}
            answer = person.send("POST", "/invoices/7/pay", content_type="application/json", **options)
            assert answer.status_code == status
    asked = person.send("POST", "/invoices/7/pay", data=whole, content_type="application/json")
    proof = person.proof(wallet, asked)
    chunks = {"input_stream": io.BytesIO(whole), "environ_overrides": {"wsgi.input_terminated": True}}
    sent = person.send("POST", "/invoices/7/pay", content_type="application/json", headers=proof, **chunks)
    assert sent.status_code == 200
    assert shop.done == [("7", whole.decode())]


def test_a_body_that_is_gone_is_not_signed_for(app: Flask, shop: Shop, person: Visitor) -> None:
    """The digest would be that of an empty one, whatever the view has read."""
    app.testing = True
    with pytest.raises(Misconfigured, match=r"read from request\.stream"):
        person.send("POST", "/stream", data=b"open", content_type="text/plain")
    assert shop.done == []
