"""Step-up: what the wallet signed is done, once and to the letter; nothing else is, and nothing twice."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from redis import Redis
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from sessions_core import Misconfigured, SessionType, ensure_fresh, events, fresh_required, signed_in
from sessions_core.parts.development_redis import embedded
from sessions_core.sessions.record import EndedSession
from sessions_core.sign_in import messages, verifiers
from sessions_core.sign_in.accounts import parse
from sessions_core.web import confirmations
from sessions_core.web.services import Services

from ..actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet, as_browsers_send, as_header, together
from ..answers import code_of, code_on_page, data_of
from ..constants import SECRET
from ..part_services import roles_of
from ..shop import ACTIONS, ODD_FIELDS, Shop
from ..snapshot import unchanged
from ..stored import link_of
from ..time_machine import Clock, TimeMachine, ask_again


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    # Twenty at once on a machine that has other work, too: an answer that comes late is no violation.
    app = make_app({"actions": ACTIONS}, SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)
    app.extensions["shop"] = Shop(app)
    return app


@pytest.fixture
def shop(app: Flask) -> Shop:
    return app.extensions["shop"]


def problem_of(response: TestResponse) -> str:
    """The code with which a signature was refused."""
    if response.is_json:
        error = response.get_json()["error"]
        assert (response.status_code, error["code"]) == (403, "step_up_required")
        return str(error.get("problem"))
    assert response.status_code == 303
    found = re.search(r"^/confirm\?request=[\w-]+(?:&problem=([a-z_]+))?$", response.headers["Location"])
    assert found, response.headers["Location"]
    return str(found[1])


def from_now(data: dict[str, Any], name: str) -> float:
    """How many seconds after the answer a moment is that it names."""
    return (datetime.fromisoformat(data[name]) - datetime.fromisoformat(data["now"])).total_seconds()


# -- The way it is meant -----------------------------------------------------------------------------------------


def test_form_runs_once_after_the_wallet_has_signed(
    shop: Shop, person: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    happened.clear()
    with unchanged(redis):
        asked = person.submit("/invoices/7/pay", note="for the\r\nwindow")
        assert problem_of(asked) == "None"
        waiting = person.waiting(asked)
    assert (waiting.sentence, waiting.target) == ("Pay invoice 7.", "/invoices/7/pay")
    assert (shop.done, happened) == ([], [])
    assert person.confirm(wallet, asked).get_data(as_text=True) == "done"
    assert shop.done == [("7", "for the\r\nwindow")]
    handle = data_of(person)["session_id"]
    assert happened == [
        events.SessionRotated(handle=handle, account=wallet.account()),
        events.SessionConfirmed(handle=handle, account=wallet.account(), action="invoice.pay"),
    ]


def test_page_opens_after_a_signature_and_stays_open(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    """It stays open for the time the view declares."""
    pass_time(301)
    asked = person.get("/counter?desk=3&lamp=%C3%A9")
    opened = person.confirm(wallet, asked)
    assert (opened.status_code, opened.headers["Location"]) == (303, "/counter?desk=3&lamp=%C3%A9")
    assert shop.done == []
    assert person.get(opened.headers["Location"]).get_data(as_text=True) == "done"
    pass_time(290)
    assert person.get("/counter").status_code == 200
    pass_time(11)
    assert problem_of(person.get("/counter")) == "None"
    assert shop.done == [("counter", "3"), ("counter", None)]


def test_json_client_sends_the_proof_in_a_header(shop: Shop, person: Visitor, wallet: Wallet, redis: Redis) -> None:
    with unchanged(redis):
        asked = person.send("PUT", "/invoices/7/pay", json={"a": 1})
    error = asked.get_json()["error"]
    assert (asked.status_code, error["code"], error["reason"]) == (403, "step_up_required", "invoice.pay")
    assert "problem" not in error
    proof = person.proof(wallet, asked)
    assert person.send("PUT", "/invoices/7/pay", json={"a": 1}, headers=proof).status_code == 200
    assert shop.done == [("7", '{"a": 1}')]


def test_view_can_check_the_input_before_asking_to_sign(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    """The user is asked for no signature in vain."""
    pass_time(301)
    assert person.submit("/close").get_data(as_text=True) == "when?"
    asked = person.submit("/close", when="now")
    assert person.waiting(asked).sentence == "Close the shop."
    assert person.confirm(wallet, asked).status_code == 200
    assert shop.done == ["closed"]


# -- What is signed ----------------------------------------------------------------------------------------------


def test_text_names_action_account_site_and_request(
    app: Flask, person: Visitor, wallet: Wallet, services: Services, clock: Clock
) -> None:
    answer = person.text_for(person.waiting(person.submit("/invoices/7/pay", note="x")).request)
    assert set(answer) == {"account", "message", "challenge", "expires_at"}
    assert answer["account"] == wallet.account()
    text = messages.read(answer["message"])
    assert text.statement == "Pay invoice 7."
    assert (text.address, text.chain_id, text.domain, text.uri) == (
        wallet.address,
        "1",
        "localhost:5000",
        ORIGIN + "/",
    )
    assert text.expiration_time is not None
    assert messages.seconds(text.expiration_time) - messages.seconds(text.issued_at) == 120
    whole = json.dumps(["POST", "/invoices/7/pay", [[["note", "x"]], []]])
    digest = hashlib.sha256(whole.encode()).hexdigest()
    binding = f"{data_of(person)['session_id']}\ninvoice.pay\n{digest}"
    assert text.request_id == hashlib.sha256(binding.encode()).hexdigest()[:32]


def test_the_text_names_the_session_that_ends(app: Flask, person: Visitor, wallet: Wallet, pass_time: Any) -> None:
    other = Visitor(app)
    other.sign_in(wallet)
    handle = data_of(other)["session_id"]
    pass_time(301)
    asked = person.send("DELETE", f"/api/auth/sessions/{handle}")
    text = messages.read(person.text_for(asked.get_json()["error"]["request"])["message"])
    assert text.statement == f"Sign out [Unknown browser] ({handle[:9]})."


def test_request_id_differs_for_every_other_request(app: Flask, person: Visitor, wallet: Wallet) -> None:
    def request_id(visitor: Visitor, asked: TestResponse) -> str | None:
        return messages.read(visitor.text_for(visitor.waiting(asked).request)["message"]).request_id

    other = Visitor(app)
    other.sign_in(wallet)
    same = [request_id(person, person.submit("/invoices/7/pay", note="x")) for _ in range(2)]
    others = {
        request_id(person, person.submit("/invoices/8/pay", note="x")),
        request_id(person, person.submit("/invoices/7/pay", note="y")),
        request_id(person, person.submit("/invoices/7/pay")),
        request_id(person, person.submit("/invoices/7/pay?x", note="x")),
        request_id(person, person.submit("/invoices/7/refund", note="x")),
        request_id(other, other.submit("/invoices/7/pay", note="x")),
    }
    assert same[0] == same[1]
    assert len(others - {same[0], None}) == 6


HOSTILE = [
    "7\nURI: https://evil.example",
    "7.\r\n\r\nURI: https://evil.example/\nVersion: 1",
    "7\u2028\u2029\x85\x0b",
    '7" <b>',
    "7\x00\x1b[2J",
    "\u202e7 eciovni yaP",
    "\uff17\u00b2\u0667",
    "{number}{0}%s${x}",
    "7\ud83d\ude00\u00e9",
    "7]. Pay [8",
    " 7",
]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_no_value_forges_the_text_that_is_signed(shop: Shop, person: Visitor, redis: Redis, value: str) -> None:
    """One that a wallet would not show as it is can't be signed for: replaced, it would read like another."""
    value = value.encode("utf-16", "surrogatepass").decode("utf-16")
    token = person.token("/session")
    with unchanged(redis):
        for path in ("/pay", "/pay?" + urlencode({"number": value})):
            fields = {"number": as_browsers_send(value)} if path == "/pay" else {}
            answer = person.json(path, "POST", data=fields | {"csrf_token": token})
            assert (answer.status_code, code_of(answer)) == (400, "confirmation_unclear")
    assert shop.done == []


def test_a_value_can_not_go_on_with_the_sentence(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    asked = person.submit("/pay", number="7. Extend this session")
    text = person.text_for(person.waiting(asked).request)["message"]
    assert messages.read(text).statement == "Pay invoice [7. Extend this session]."
    assert person.confirm(wallet, asked).status_code == 200
    assert shop.done == ["7. Extend this session"]


@pytest.mark.parametrize("fields", [{}, {"number": ""}, {"number": "7" * 121}, {"Number": "7"}], ids=str)
def test_values_named_in_the_text_must_be_present_and_short(
    shop: Shop, person: Visitor, redis: Redis, fields: dict[str, str]
) -> None:
    with unchanged(redis):
        answer = person.submit("/pay", **fields)
    assert answer.status_code == 400
    assert shop.done == []


def test_two_values_for_one_name_can_not_be_signed(shop: Shop, person: Visitor, redis: Redis) -> None:
    """The text would name one of them, and the view might use the other."""
    token = person.token("/session")
    with unchanged(redis):
        for path, options in (
            ("/pay", {"data": {"number": ["7", "8"], "csrf_token": token}}),
            ("/pay?number=8", {"data": {"number": "7", "csrf_token": token}}),
            ("/pay?number=7&number=8", {"data": {"csrf_token": token}}),
            ("/pay?number=8", {"json": {"number": "7"}, "headers": {"X-CSRFToken": token}}),
        ):
            assert person.post(path, **options).status_code == 400
    assert shop.done == []
    same = person.post("/pay?number=7", data={"number": ["7", "7"], "csrf_token": token})
    assert person.waiting(same).sentence == "Pay invoice 7."


def test_form_field_can_not_replace_a_path_value(shop: Shop, person: Visitor) -> None:
    assert person.waiting(person.submit("/invoices/7/pay?number=8", number="9")).sentence == "Pay invoice 7."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"number": 7}, "Pay invoice 7."),
        ({"number": "7", "more": [1, {"number": "8"}]}, "Pay invoice 7."),
        ({"number": True}, "Pay invoice true."),
        ({"number": 7.5}, "Pay invoice 7.5."),
        ({"number": "7 of 8"}, "Pay invoice [7 of 8]."),
    ],
    ids=ascii,
)
def test_the_values_of_a_json_body_are_named_as_they_are(
    shop: Shop, person: Visitor, wallet: Wallet, body: dict[str, Any], sentence: str
) -> None:
    asked = person.send("POST", "/pay", json=body)
    text = person.text_for(asked.get_json()["error"]["request"])["message"]
    assert messages.read(text).statement == sentence
    assert person.send("POST", "/pay", json=body, headers=person.proof(wallet, asked)).status_code == 200
    assert shop.done == [body["number"]]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"7", b'"number"', b'{"number"', b"\xff\xfe", b'{"n":7}', b"[" * 101, b'{"a":' * 16_000),
        *(b'{"number":null}', b'{"number":["7"]}', b'{"number":{"a":7}}', b'{"number":"\\ud800"}', b'{"number":NaN}'),
        *(b'{"number":7,"number":8}', '{"number":7}'.encode("utf-16")),
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_a_body_that_names_nothing_is_refused_and_never_a_fault(
    shop: Shop, person: Visitor, redis: Redis, body: bytes
) -> None:
    with unchanged(redis):
        answer = person.send("POST", "/pay", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert shop.done == []


def test_too_deep_json_leaves_no_other_value_to_sign(shop: Shop, person: Visitor) -> None:
    """If it were skipped, the query would name the signed number while the view reads the one in the body."""
    deep = b'{"number": "8", "x": ' + b"[" * 200 + b"]" * 200 + b"}"
    answer = person.send("POST", "/pay?number=7", data=deep, content_type="application/json")
    assert (answer.status_code, code_of(answer)) == (400, "body_malformed")


# -- One proof, one request --------------------------------------------------------------------------------------

Send = Callable[[Visitor, dict[str, str]], TestResponse]


def _form(path: str, *fields: tuple[str, str], method: str = "POST") -> Send:
    def send(visitor: Visitor, proof: dict[str, str]) -> TestResponse:
        return visitor.send(method, path, data=MultiDict(fields), headers=proof)

    return send


def _json(path: str, body: bytes, method: str = "POST", content_type: str = "application/json") -> Send:
    def send(visitor: Visitor, proof: dict[str, str]) -> TestResponse:
        return visitor.send(method, path, data=body, content_type=content_type, headers=proof)

    return send


def _file(content: bytes, name: str = "a.png", field: str = "picture", more: str = "x") -> Send:
    def send(visitor: Visitor, proof: dict[str, str]) -> TestResponse:
        data: dict[str, Any] = {field: (io.BytesIO(content), name)} | ({"more": more} if more else {})
        return visitor.send("POST", "/picture", data=data, content_type="multipart/form-data", headers=proof)

    return send


SIGNED = _form("/invoices/7/pay?a=1", ("note", "x"), ("note", "y"), ("z", "1"))
BODY = b'{"number": "7", "note": "x"}'
OTHERS: list[tuple[str, Send, Send]] = [
    ("value", SIGNED, _form("/invoices/7/pay?a=1", ("note", "x"), ("note", "z"), ("z", "1"))),
    ("order of one name", SIGNED, _form("/invoices/7/pay?a=1", ("note", "y"), ("note", "x"), ("z", "1"))),
    ("one less", SIGNED, _form("/invoices/7/pay?a=1", ("note", "x"), ("z", "1"))),
    ("one more", SIGNED, _form("/invoices/7/pay?a=1", ("note", "x"), ("note", "y"), ("z", "1"), ("b", ""))),
    ("another name", SIGNED, _form("/invoices/7/pay?a=1", ("note", "x"), ("note", "y"), ("Z", "1"))),
    ("none", SIGNED, _form("/invoices/7/pay?a=1")),
    ("joined fields", SIGNED, _form("/invoices/7/pay?a=1", ("note", "x&note=y"), ("z", "1"))),
    ("path", SIGNED, _form("/invoices/8/pay?a=1", ("note", "x"), ("note", "y"), ("z", "1"))),
    ("path in another case", SIGNED, _form("/invoices/7/pay/?a=1", ("note", "x"), ("note", "y"), ("z", "1"))),
    ("query", SIGNED, _form("/invoices/7/pay?a=2", ("note", "x"), ("note", "y"), ("z", "1"))),
    ("no query", SIGNED, _form("/invoices/7/pay", ("note", "x"), ("note", "y"), ("z", "1"))),
    ("query twice", SIGNED, _form("/invoices/7/pay?a=1&a=1", ("note", "x"), ("note", "y"), ("z", "1"))),
    ("field in the query", SIGNED, _form("/invoices/7/pay?a=1&z=1", ("note", "x"), ("note", "y"))),
    ("action", SIGNED, _form("/invoices/7/refund?a=1", ("note", "x"), ("note", "y"), ("z", "1"))),
    ("method", SIGNED, _form("/invoices/7/pay?a=1", ("note", "x"), ("note", "y"), ("z", "1"), method="PUT")),
    ("form for json", SIGNED, _json("/invoices/7/pay?a=1", b"note=x&note=y&z=1")),
    ("json value", _json("/pay", BODY), _json("/pay", BODY.replace(b"7", b"8"))),
    ("json one space", _json("/pay", BODY), _json("/pay", BODY + b" ")),
    ("json for form", _json("/pay", BODY), _form("/pay", ("number", "7"), ("note", "x"))),
    ("json in the query", _json("/pay", BODY), _json("/pay?number=7", BODY)),
    ("no body", _json("/invoices/7/pay", b"x", "DELETE"), _json("/invoices/7/pay", b"", "DELETE")),
    ("some body", _json("/invoices/7/pay", b"", "DELETE"), _json("/invoices/7/pay", b"x", "DELETE")),
    ("file", _file(b"one"), _file(b"two")),
    ("file without fields", _file(b"one", more=""), _file(b"two", more="")),
    ("no file", _file(b"one"), _form("/picture", ("more", "x"))),
    ("name of the file", _file(b"one"), _file(b"one", "b.png")),
    ("field of the file", _file(b"one"), _file(b"one", field="other")),
    ("question mark in the path", _form("/any/b%3Fnumber=7"), _form("/any/b?number=7")),
    ("question mark at the end", _form("/any/b%3F"), _form("/any/b")),
    ("percent in the path", _form("/any/b%2541"), _form("/any/bA")),
]


@pytest.mark.parametrize(
    ("signed", "sent"), [each[1:] for each in OTHERS], ids=[each[0].replace(" ", "_") for each in OTHERS]
)
def test_a_signature_for_one_request_does_nothing_for_another(
    shop: Shop,
    person: Visitor,
    wallet: Wallet,
    redis: Redis,
    happened: list[events.Event],
    pass_time: TimeMachine,
    signed: Send,
    sent: Send,
) -> None:
    pass_time(301)
    proof = person.proof(wallet, signed(person, {}))
    happened.clear()
    with unchanged(redis):
        answer = sent(person, proof)
    if answer.status_code != 404:
        assert problem_of(answer) == "challenge_foreign"
        assert [event.name for event in happened] == ["confirmation.failed"]
    assert shop.done == []
    assert signed(person, proof).status_code == 200, "the proof itself was good"
    assert len(shop.done) == 1


def test_a_file_that_was_signed_for_arrives_whole(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    content = bytes(range(256)) * 1000
    send = _file(content)
    assert send(person, person.proof(wallet, send(person, {}))).status_code == 200
    assert shop.done == [{"picture": content}]


def test_signature_is_void_in_another_session_of_the_account(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    other = Visitor(app)
    other.sign_in(wallet)
    proof = person.proof(wallet, SIGNED(person, {}))
    with unchanged(redis):
        assert problem_of(SIGNED(other, proof)) == "challenge_foreign"
    assert shop.done == []


def test_a_signature_of_one_account_does_nothing_for_another(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    mallory, hers = Visitor(app), Wallet()
    mallory.sign_in(hers)
    proof = mallory.proof(hers, SIGNED(mallory, {}))
    with unchanged(redis):
        assert problem_of(SIGNED(person, proof)) == "challenge_foreign"
    with unchanged(redis, spent=1):
        assert problem_of(person.confirm(hers, person.submit("/pay", number="7"))) == "signature_mismatch"
    assert shop.done == []


def test_the_same_address_on_another_network_does_not_confirm(
    app: Flask, shop: Shop, visitor: Visitor, wallet: Wallet, redis: Redis
) -> None:
    visitor.attempt(wallet, visitor.challenge(wallet.account("eip155:11155111")))
    asked = visitor.submit("/pay", number="7")
    text = visitor.text_for(visitor.waiting(asked).request)
    assert messages.read(text["message"]).chain_id == "11155111"
    forged = text["message"].replace("Chain ID: 11155111", "Chain ID: 1")
    with unchanged(redis):
        answer = visitor.confirm(
            wallet,
            asked,
            confirm_message=forged,
            confirm_challenge=text["challenge"],
            confirm_signature=wallet.sign(forged),
        )
    assert problem_of(answer) == "message_changed"
    assert shop.done == []


# -- What is no proof --------------------------------------------------------------------------------------------


def _flip(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


@pytest.mark.parametrize(
    ("field", "change", "code", "spent"),
    [
        ("confirm_signature", lambda _: "0x" + "ab" * 65, "signature_malformed", 1),
        ("confirm_signature", lambda _: "yes", "signature_malformed", 1),
        ("confirm_signature", lambda text: text[:-2] + "05", "signature_malformed", 1),
        ("confirm_signature", lambda text: "0x" + "1" * 64 + text[66:], "signature_mismatch", 1),
        ("confirm_signature", lambda text: text * 1000, "signature_malformed", 0),
        ("confirm_challenge", lambda text: text[:-1], "challenge_malformed", 0),
        ("confirm_challenge", lambda _: "", "challenge_malformed", 0),
        ("confirm_challenge", lambda _: "\u00e9", "challenge_malformed", 0),
        ("confirm_challenge", lambda text: text * 9, "challenge_malformed", 0),
        ("confirm_message", lambda _: "", "message_malformed", 0),
        ("confirm_message", lambda _: "Yes, pay it.", "message_malformed", 0),
        ("confirm_message", lambda text: text.replace("invoice 7", "invoice 8"), "message_changed", 0),
        ("confirm_message", lambda text: text.replace("localhost:5000", "evil.example"), "domain_mismatch", 0),
        ("confirm_message", lambda text: text + "\n", "message_malformed", 0),
        ("confirm_message", lambda text: text * 9, "message_malformed", 0),
    ],
)
def test_invalid_proof_confirms_nothing_and_is_explained(
    shop: Shop,
    person: Visitor,
    wallet: Wallet,
    redis: Redis,
    happened: list[events.Event],
    field: str,
    change: Callable[[str], str],
    code: str,
    spent: int,
) -> None:
    before = person.session_id
    asked = person.submit("/pay", number="7")
    target, form = person.signed_form(wallet, asked)
    form[field] = change(form[field].replace("\r\n", "\n"))
    happened.clear()
    with unchanged(redis, spent=spent):
        answer = person.post(target, data=form)
    assert problem_of(answer) == code
    [event] = happened
    assert event == events.ConfirmationFailed(
        handle=data_of(person)["session_id"], account=wallet.account(), action="invoice.pay", code=code
    )
    assert (shop.done, person.session_id) == ([], before)
    assert answer.headers.getlist("Set-Cookie") == []
    assert person.waiting(answer).sentence == "Pay invoice 7.", "the next attempt is one click away"
    assert person.confirm(wallet, answer).status_code == 200
    assert shop.done == ["7"]


def test_a_signature_is_good_for_two_minutes(
    shop: Shop, person: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine
) -> None:
    asked = person.submit("/pay", number="7")
    target, late = person.signed_form(wallet, asked)
    pass_time(60)
    target, early = person.signed_form(wallet, asked)
    pass_time(61)
    person.get("/session")
    with unchanged(redis):
        assert problem_of(person.post(target, data=late)) == "challenge_expired"
    assert shop.done == []
    assert person.post(target, data=early).status_code == 200


def test_the_time_to_sign_is_a_setting(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app({"actions": ACTIONS}, SESSIONS_CORE_CONFIRM_SECONDS=30)
    shop, visitor = Shop(app), Visitor(app)
    visitor.sign_in(wallet)
    text = messages.read(visitor.text_for(visitor.waiting(visitor.submit("/pay", number="7")).request)["message"])
    assert text.expiration_time is not None
    assert messages.seconds(text.expiration_time) - messages.seconds(text.issued_at) == 30
    assert shop.done == []


def test_a_text_that_was_asked_for_in_time_can_be_signed(
    person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    """A page that waits to be opened: ten minutes to read, and then as long as the text says."""
    pass_time(301)
    asked = person.get("/counter")
    pass_time(9 * 60 + 50)
    target, form = person.signed_form(wallet, asked)
    pass_time(110)
    answer = person.post(target, data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/counter")


def test_owners_of_a_safe_can_be_given_hours(
    make_app: Callable[..., Flask], wallet: Wallet, pass_time: TimeMachine
) -> None:
    hours = 4 * 60 * 60
    app = make_app(
        {"actions": ACTIONS},
        SESSIONS_CORE_CHALLENGE_SECONDS=hours,
        SESSIONS_CORE_CONFIRM_SECONDS=hours,
        SESSIONS_CORE_IDLE_SECONDS=2 * hours,
    )
    shop, visitor = Shop(app), Visitor(app)
    challenge = visitor.challenge(wallet.account())
    pass_time(hours - 60)
    assert visitor.attempt(wallet, challenge).status_code == 303
    assert code_on_page(visitor.attempt(wallet, challenge)) == "challenge_used"
    pass_time(301)
    asked = visitor.get("/counter")
    assert 'This request expires in <span class="nowrap">4 hours' in visitor.get(asked.headers["Location"]).get_data(
        as_text=True
    )
    target, form = visitor.signed_form(wallet, asked)
    pass_time(hours - 60)
    assert visitor.post(target, data=form).headers["Location"] == "/counter"
    assert visitor.get("/counter").status_code == 200
    assert shop.done == [("counter", None)]


def test_replayed_proof_does_nothing(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, redis: Redis, happened: list[events.Event]
) -> None:
    proof = person.proof(wallet, SIGNED(person, {}))
    assert SIGNED(person, proof).status_code == 200
    happened.clear()
    with unchanged(redis):
        assert problem_of(SIGNED(person, proof)) == "challenge_used"
    assert [event.name for event in happened] == ["challenge.replayed", "confirmation.failed"]
    thief = Visitor(app)
    thief.session_id = person.session_id
    with unchanged(redis):
        assert problem_of(SIGNED(thief, proof)) == "challenge_used"
    assert len(shop.done) == 1


def test_sign_in_text_confirms_nothing_and_vice_versa(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    asked = person.submit("/pay", number="7")
    sign_in = person.challenge(wallet.account())
    given = {
        "confirm_message": sign_in["message"],
        "confirm_challenge": sign_in["challenge"],
        "confirm_signature": wallet.sign(sign_in["message"]),
    }
    with unchanged(redis):
        assert problem_of(person.confirm(wallet, asked, **given)) == "challenge_foreign"
    text = person.text_for(person.waiting(asked).request)
    with unchanged(redis):
        refused = person.attempt(wallet, text)
    assert refused.status_code == 400
    assert "challenge_foreign" in refused.get_data(as_text=True)
    assert shop.done == []


def test_a_proof_in_the_query_or_in_json_is_none(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    asked = person.submit("/pay", number="7")
    _, form = person.signed_form(wallet, asked)
    proof = {name: form[name] for name in form if name.startswith("confirm_")}
    again = person.post("/pay", query_string=proof, data={"number": "7", "csrf_token": person.token("/session")})
    assert problem_of(again) == "None"
    assert problem_of(person.send("POST", "/pay", json={"number": "7"} | proof)) == "None"
    assert shop.done == []


def test_a_proof_without_a_signature_only_asks_again(
    shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    with unchanged(redis):
        again = person.confirm(wallet, person.submit("/pay", number="7"), confirm_signature="")
        assert problem_of(again) == "None"
    assert shop.done == []


def test_bad_signature_is_refused_even_in_a_fresh_session(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    pass_time(301)
    asked = person.submit("/close", when="now")
    target, form = person.signed_form(wallet, asked)
    person.confirm(wallet, asked)
    shop.done.clear()
    token = person.token("/session")
    assert problem_of(person.post(target, data={**form, "csrf_token": token, "confirm_signature": "0x"})) != "None"
    assert shop.done == []


def test_confirmed_form_still_needs_csrf_token_and_origin(
    shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    target, form = person.signed_form(wallet, person.submit("/pay", number="7"))
    with unchanged(redis):
        assert person.post(target, data={**form, "csrf_token": "x"}).status_code == 400
        assert person.post(target, data=form, headers={"Origin": "https://evil.example"}).status_code == 403
        assert person.post(target, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert shop.done == []


# -- The header --------------------------------------------------------------------------------------------------

GOOD = {"message": "m", "challenge": "c", "signature": "s"}


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "x",
        "====",
        "not base64!",
        "\u00e9",
        json.dumps(GOOD),
        as_header([GOOD]),
        as_header("text"),
        as_header(None),
        as_header({**GOOD, "signature": None}),
        as_header({**GOOD, "signature": 7}),
        as_header({**GOOD, "message": ["m"]}),
        as_header({"message": "m", "challenge": "c"}),
        as_header({}),
        base64.urlsafe_b64encode(b'{"message": "\xff", "challenge": "c", "signature": "s"}').decode(),
        base64.urlsafe_b64encode(b'{"message": "\\ud800", "challenge": "c", "signature": "s"}').decode(),
        base64.urlsafe_b64encode(b"[" * 6000).decode(),
        base64.urlsafe_b64encode(b'{"x":' * 1200).decode(),
        as_header(GOOD)[:-3] + "!" + as_header(GOOD)[-3:],
        as_header({**GOOD, "message": "m" * 8000}),
    ],
    ids=lambda header: ascii(header[:24]),
)
def test_malformed_proof_header_is_400(
    shop: Shop, person: Visitor, redis: Redis, happened: list[events.Event], header: str
) -> None:
    """Nothing is done."""
    happened.clear()
    with unchanged(redis):
        answer = person.send(
            "POST", "/pay", json={"number": "7"}, headers={confirmations.HEADER: header.encode().decode("latin-1")}
        )
    assert (answer.status_code, code_of(answer)) == (400, "confirmation_malformed")
    assert shop.done == []
    assert [getattr(event, "code", "") for event in happened] == ["confirmation_malformed"]


def test_a_header_is_malformed_also_where_the_session_is_fresh(shop: Shop, person: Visitor) -> None:
    assert person.get("/counter", headers={confirmations.HEADER: "x"}).status_code == 400
    assert shop.done == []


# -- Only once ---------------------------------------------------------------------------------------------------


def test_a_proof_works_once_under_a_race_of_twenty(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    verifiers.warm("eip155")
    for number in range(3):
        target, form = person.signed_form(wallet, person.submit("/pay", number=str(number)))
        racers = [Visitor(app) for _ in range(20)]
        for racer in racers:
            racer.session_id = person.session_id
        answers = together(*(partial(racer.post, target, data=form) for racer in racers))
        assert sorted(answer.status_code for answer in answers) == [200] + [303] * 19
        assert shop.done == [str(each) for each in range(number + 1)]
        [cookie] = [each for answer in answers for each in session_cookies(answer)]
        person.session_id = cookie
        assert len(redis.keys("*:session:*")) == 1
        assert person.signed_in


def session_cookies(response: TestResponse) -> list[str]:
    values = [value for value in response.headers.getlist("Set-Cookie") if value.startswith(f"{SESSION_COOKIE}=")]
    return [value.partition("=")[2].partition(";")[0] for value in values]


def test_step_up_never_revives_a_revoked_session(
    app: Flask, services: Services, shop: Shop, wallet: Wallet, redis: Redis
) -> None:
    """Two hundred rounds, three ways to revoke: whatever the order, the user is signed out afterwards."""
    account = parse(wallet.account())
    verifiers.warm("eip155")
    outcomes: dict[int, int] = {}
    revived = 0
    for number in range(200):
        live = services.lifecycle.start(account, services.policy.standard)
        visitor = Visitor(app)
        visitor.session_id = live.id
        body = {"number": str(number)}
        token = data_of(visitor)["csrf_token"]
        asked = visitor.json("/pay", "POST", json=body, headers={"X-CSRFToken": token})
        headers = visitor.proof(wallet, asked) | {"X-CSRFToken": token}
        revoke: Callable[[], Any] = (
            lambda live=live: services.lifecycle.revoke(live, "revoked"),
            lambda live=live: services.lifecycle.revoke_handle(account, live.record.handle),
            lambda: services.lifecycle.revoke_account(account),
        )[number % 3]
        before = len(shop.done)
        answer, _ = together(lambda: visitor.json("/pay", "POST", json=body, headers=headers), revoke)  # noqa: B023
        outcomes[answer.status_code] = outcomes.get(answer.status_code, 0) + 1
        assert (answer.status_code == 200) == (len(shop.done) == before + 1)
        for session_id in (live.id, *session_cookies(answer)):
            revived += not isinstance(services.repository.load(session_id, "never"), EndedSession)
        revived += len(services.repository.living(wallet.account()))
    assert revived == 0
    assert outcomes.keys() <= {200, 401}
    assert sum(outcomes.values()) == 200


def test_session_revoked_during_a_step_up_does_nothing(
    app: Flask, services: Services, shop: Shop, person: Visitor, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation falls between the signature and the rotation."""
    verify = verifiers.verify
    target, form = person.signed_form(wallet, person.submit("/pay", number="7"))
    handle = data_of(person)["session_id"]

    def and_then_revoke(account: Any, *rest: Any) -> None:
        verify(account, *rest)
        services.lifecycle.revoke_handle(account, handle)

    monkeypatch.setattr(verifiers, "verify", and_then_revoke)
    answer = person.post(target, data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?reason=revoked")
    assert session_cookies(answer) == []
    assert shop.done == []


# -- What a signature changes ------------------------------------------------------------------------------------


def test_step_up_rotates_the_session_id(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    before, handle = person.session_id, data_of(person)["session_id"]
    person.confirm(wallet, person.submit("/pay", number="7"))
    assert person.session_id != before
    assert person.session_id[:12] == before[:12]
    assert data_of(person)["session_id"] == handle
    thief = Visitor(app)
    thief.session_id = before
    error = thief.json("/api/auth/sessions/validate").get_json()["error"]
    assert (error["code"], error["reason"]) == ("session_invalid", "rotated")
    assert len(redis.keys("*:session:*")) == 1


def test_with_the_signature_the_csrf_secret_changes(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    old = person.token("/session")
    person.confirm(wallet, person.submit("/pay", number="7"))
    pass_time(21)  # until then, other tabs may send what they had open
    assert person.post("/close", data={"csrf_token": old}).status_code == 400
    assert person.post("/close", data={"csrf_token": person.token("/session")}).status_code == 200


def test_with_the_signature_both_clocks_start_again(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    for _ in range(30):
        pass_time(1400)
        assert person.get("/session").status_code == 200
    assert from_now(data_of(person), "absolute_expires_at") < 1300
    person.confirm(wallet, person.submit("/pay", number="7"))
    data = data_of(person)
    assert 43_195 < from_now(data, "absolute_expires_at") <= 43_200
    assert 1795 < from_now(data, "idle_expires_at") <= 1800
    pass_time(1500)
    assert person.signed_in
    pass_time(301)
    assert not person.signed_in


def test_confirmed_session_still_ends_at_its_new_end(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    """The step-up moves the absolute end, and activity can't."""
    pass_time(1000)
    person.confirm(wallet, person.submit("/pay", number="7"))
    for _ in range(28):
        pass_time(1500)
        assert person.get("/session").status_code == 200
    pass_time(1201)
    answer = person.json("/api/auth/sessions/validate").get_json()
    assert answer["error"]["reason"] == "absolute"


def test_remembered_session_stays_remembered_after_a_step_up(
    app: Flask, shop: Shop, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet, remember="1")
    pass_time(1000)
    answer = visitor.confirm(wallet, visitor.submit("/pay", number="7"))
    [cookie] = [value for value in answer.headers.getlist("Set-Cookie") if value.startswith(SESSION_COOKIE)]
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    age = int(re.search(r"Max-Age=(\d+)", cookie)[1])  # type: ignore[index]
    assert 43_195 < age <= 43_200


def test_step_up_does_not_lengthen_a_session_cookie(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    answer = person.confirm(wallet, person.submit("/pay", number="7"))
    [cookie] = [value for value in answer.headers.getlist("Set-Cookie") if value.startswith(SESSION_COOKIE)]
    assert "Max-Age" not in cookie
    assert "Expires" not in cookie


def test_shortened_session_is_extended_by_its_own_duration(
    shop: Shop, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet, duration="600")
    for _ in range(3):
        pass_time(500)
        visitor.confirm(wallet, visitor.submit("/pay", number="7"))
        data = data_of(visitor)
        assert 595 < from_now(data, "absolute_expires_at") <= 600
        assert 595 < from_now(data, "idle_expires_at") <= 600
    assert len(shop.done) == 3


def test_session_of_a_custom_type_is_extended_by_its_own_time(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    kiosk = SessionType("kiosk", "kiosk_", idle_seconds=300, absolute_seconds=3600, permissions=("read:profile",))
    app = make_app({"actions": ACTIONS, "session_types": [kiosk]})
    shop, visitor = Shop(app), Visitor(app)
    visitor.sign_in(wallet, session_type="kiosk")
    TimeMachine(app, redis, clock)(250)
    visitor.confirm(wallet, visitor.submit("/pay", number="7"))
    data = data_of(visitor)
    assert shop.done == ["7"]
    assert 3595 < from_now(data, "absolute_expires_at") <= 3600
    assert 295 < from_now(data, "idle_expires_at") <= 300


def test_narrowed_session_stays_narrow_after_a_step_up(shop: Shop, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet, permissions="read:profile")
    visitor.confirm(wallet, visitor.submit("/pay", number="7"))
    assert data_of(visitor)["permissions"] == ["read:profile"]


def test_step_up_keeps_old_and_new_session_data(person: Visitor, wallet: Wallet) -> None:
    for key in "abc":
        answer = person.confirm(wallet, person.submit(f"/keep/{key}"))
    assert answer.get_json() == {"a": "kept", "b": "kept", "c": "kept"}


# -- How fresh a signature is ------------------------------------------------------------------------------------


def test_a_sign_in_counts_as_a_signature_for_its_time(shop: Shop, person: Visitor, pass_time: TimeMachine) -> None:
    assert person.get("/counter").status_code == 200
    pass_time(290)
    assert person.get("/counter").status_code == 200
    pass_time(11)
    assert problem_of(person.get("/counter")) == "None"
    assert len(shop.done) == 2


def test_nothing_but_a_signature_makes_a_session_fresh(shop: Shop, person: Visitor, pass_time: TimeMachine) -> None:
    pass_time(301)
    person.get("/session")
    person.send("POST", "/api/auth/sessions/keep-alive")
    assert problem_of(person.get("/counter")) == "None"
    assert shop.done == []


def test_a_signature_for_one_action_is_fresh_for_no_other(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    pass_time(301)
    person.confirm(wallet, person.submit("/close", when="now"))
    assert shop.done == ["closed"]
    assert person.submit("/close", when="later").status_code == 200
    assert problem_of(person.get("/counter")) == "None"
    assert problem_of(person.send("DELETE", "/api/auth/sessions?scope=all")) == "None"
    assert shop.done == ["closed", "closed"]


def test_zero_seconds_always_need_a_signature(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    person.confirm(wallet, person.submit("/pay", number="7"))
    assert problem_of(person.submit("/pay", number="7")) == "None"
    assert shop.done == ["7"]


@pytest.mark.parametrize("age", [0, -10_000])
def test_zero_seconds_ask_also_in_the_millisecond_of_the_sign_in(
    shop: Shop, visitor: Visitor, wallet: Wallet, services: Services, monkeypatch: pytest.MonkeyPatch, age: int
) -> None:
    """And where our clock, which is Redis's as we last heard it, says that the signature is yet to come."""
    live = services.lifecycle.start(parse(wallet.account()), services.policy.standard)
    monkeypatch.setattr(services.repository, "now", lambda place: live.record.signed_at + age)
    visitor.session_id = live.id
    assert problem_of(visitor.send("POST", "/pay", json={"number": "7"})) == "None"
    assert shop.done == []


def test_a_permission_that_wants_fresh_signatures_asks_for_one(
    shop: Shop, services: Services, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    roles_of(services).verify(parse(wallet.account()), "lic_7", "full", 30)
    visitor.sign_in(wallet, session_type="professional")
    assert visitor.submit("/notes", text="first").status_code == 200
    pass_time(301)
    asked = visitor.submit("/notes", text="second")
    assert visitor.waiting(asked).sentence == "Write a therapy note."
    assert visitor.confirm(wallet, asked).status_code == 200
    assert shop.done == ["first", "second"]


def test_missing_permission_is_reported_before_signing(shop: Shop, person: Visitor, pass_time: TimeMachine) -> None:
    pass_time(301)
    error = person.send("POST", "/notes").get_json()["error"]
    assert (error["code"], error["missing"]) == ("permission_denied", "write:therapy_notes")


def test_only_the_last_actions_are_remembered(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    """The record of a session must not grow with every signature."""
    app = make_app({"actions": {f"shop.{number}": f"Do {number}." for number in range(12)}})

    @app.post("/do/<int:number>")
    @signed_in
    def do(number: int) -> str:
        ensure_fresh(300, f"shop.{number}")
        return "done"

    person = Visitor(app)
    person.sign_in(wallet)
    TimeMachine(app, redis, clock)(301)
    for number in range(12):
        assert person.confirm(wallet, person.submit(f"/do/{number}")).status_code == 200
    [live] = app.extensions["sessions_core"].repository.living(wallet.account())
    assert set(live.record.confirmed) == {f"shop.{number}" for number in range(4, 12)}
    assert person.submit("/do/11").status_code == 200
    assert problem_of(person.submit("/do/3")) == "None"


def test_action_without_a_sentence_fails_closed(app: Flask, shop: Shop, person: Visitor) -> None:
    """It is an error of the app: a 500, and the view does not run."""
    assert person.submit("/forgotten").status_code == 500
    app.testing = True
    with pytest.raises(Misconfigured, match=r"'shop\.forgotten' has no sentence"):
        person.submit("/forgotten")
    assert shop.done == []


# -- The value that stands for a waiting request -----------------------------------------------------------------


@pytest.fixture
def token(person: Visitor) -> str:
    return person.waiting(person.submit("/pay", number="7")).request


def takers(visitor: Visitor, token: str) -> Iterator[TestResponse]:
    """What every place says that takes such a value."""
    yield visitor.json("/confirm", query_string={"request": token})
    yield visitor.send("POST", "/confirm", data={"request": token})
    yield visitor.json("/api/auth/challenges", "POST", json={"request": token})


FORGED: list[tuple[str, Callable[[str], str]]] = [
    ("empty", lambda _: ""),
    ("short", lambda _: "x"),
    ("spaces", lambda _: " " * 50),
    ("truncated", lambda token: token[:-1]),
    ("cut in half", lambda token: token[: len(token) // 2]),
    ("first", lambda token: ("A" if token[0] != "A" else "B") + token[1:]),
    ("last", lambda token: token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]),
    ("longer", lambda token: token + "AAAA"),
    ("twice", lambda token: token + token),
    ("odd character", lambda token: token[:9] + "!" + token[9:]),
    ("line feed", lambda token: token + "\n"),
    ("not ascii", lambda token: token + "\u00e9"),
    ("nul", lambda token: token + "\0"),
    ("json", lambda _: '{"handle": "sess_x"}'),
    ("long", lambda token: "A" * 8000),
]


@pytest.mark.parametrize("forge", [each[1] for each in FORGED], ids=[each[0] for each in FORGED])
def test_foreign_token_names_no_request(
    shop: Shop, person: Visitor, token: str, redis: Redis, forge: Callable[[str], str]
) -> None:
    with unchanged(redis):
        for answer in takers(person, forge(token)):
            assert (answer.status_code, code_of(answer)) == (400, "confirmation_malformed")
    assert shop.done == []


def test_a_value_changed_in_any_character_stands_for_nothing(person: Visitor, token: str) -> None:
    for position in range(0, len(token) - 1, 7):
        forged = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        answer = person.json("/api/auth/challenges", "POST", json={"request": forged})
        assert answer.status_code == 400, position


def test_a_value_of_another_session_stands_for_nothing(
    app: Flask, person: Visitor, wallet: Wallet, token: str, redis: Redis
) -> None:
    same, foreign = Visitor(app), Visitor(app)
    same.sign_in(wallet)
    foreign.sign_in(Wallet())
    with unchanged(redis):
        for other in (same, foreign):
            for answer in takers(other, token):
                assert (answer.status_code, code_of(answer)) == (400, "confirmation_malformed")


def test_a_value_is_good_for_ten_minutes(person: Visitor, token: str, pass_time: TimeMachine) -> None:
    pass_time(595)
    assert person.json("/api/auth/challenges", "POST", json={"request": token}).status_code == 201
    pass_time(10)
    for answer in takers(person, token):
        assert (answer.status_code, code_of(answer)) == (400, "confirmation_malformed")


def test_token_may_come_from_half_a_minute_ahead(person: Visitor, token: str, clock: Clock) -> None:
    """It was made by another server whose clock runs ahead."""
    clock.ahead = -25
    assert person.json("/api/auth/challenges", "POST", json={"request": token}).status_code == 201
    clock.ahead = -35
    assert person.json("/api/auth/challenges", "POST", json={"request": token}).status_code == 400


def test_waiting_token_survives_a_secret_change(make_app: Callable[..., Flask], person: Visitor, token: str) -> None:
    """But not the retirement of the old secret."""
    new = "another secret of 32 characters or more, 0123456789"
    after = Visitor(make_app({"actions": ACTIONS}, SECRET_KEY=new, SECRET_KEY_FALLBACKS=[SECRET]))
    after.session_id = person.session_id
    assert after.json("/api/auth/challenges", "POST", json={"request": token}).status_code == 201
    retired = make_app({"actions": ACTIONS}, SECRET_KEY=new)
    services: Services = retired.extensions["sessions_core"]
    with retired.test_request_context(), pytest.raises(confirmations.ConfirmationMalformed):
        confirmations.from_token(services, None, token)  # type: ignore[arg-type]


def test_address_reveals_nothing_of_the_form(person: Visitor) -> None:
    """Addresses are logged by servers and proxies, and kept by browsers."""
    asked = person.submit("/invoices/7/pay", note="the patient said that")
    location = asked.headers["Location"]
    token = location.partition("request=")[2]
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for position in range(len(raw)):
        piece = raw[position:]
        assert b"patient" not in piece
        try:
            assert b"patient" not in zlib.decompressobj().decompress(piece)
        except zlib.error:
            continue
    assert "invoices" not in location
    assert person.waiting(asked).fields[-1] == ("note", "the patient said that")


def test_a_form_too_long_for_an_address_waits_in_its_own_place(
    shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    note = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(80))
    with unchanged(redis):
        asked = person.submit("/invoices/7/pay", note=note)
    assert asked.status_code == 403
    assert "Location" not in asked.headers
    waiting = person.waiting(asked)
    assert 3000 < len(waiting.request) < 16_000
    assert person.confirm(wallet, asked).status_code == 200
    assert shop.done == [("7", note)]


def test_too_long_form_is_refused_before_signing(shop: Shop, person: Visitor, redis: Redis) -> None:
    note = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(400))
    with unchanged(redis):
        assert person.submit("/invoices/7/pay", note=note).status_code == 413
    assert shop.done == []


def test_a_long_body_that_is_no_form_waits_like_any_other(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    body = {"number": "7", "note": "x" * 100_000}
    asked = person.send("POST", "/pay", json=body)
    assert len(asked.get_json()["error"]["request"]) < 1000
    assert person.send("POST", "/pay", json=body, headers=person.proof(wallet, asked)).status_code == 200
    assert shop.done == ["7"]


def test_every_field_comes_back_as_it_was(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    token = person.token("/session")
    fields = {name: [value, value + "!"] for name, value in ODD_FIELDS.items()}
    asked = person.post("/odd", data=fields | {"csrf_token": token})
    assert person.confirm(wallet, asked).status_code == 200
    assert shop.done == [fields]


@pytest.mark.parametrize(
    "rest", ["b%3Fc%3Dd", "b%2541", "b%20c", "%C3%A9", "b%2525", "b%26c", "b%23c", "b+c", "b;c=d"]
)
def test_an_odd_address_is_come_back_to_as_it_was(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine, rest: str
) -> None:
    from urllib.parse import unquote

    pass_time(301)
    opened = person.confirm(wallet, person.get(f"/any/{rest}?x=%26&y=%C3%A9"))
    assert person.get(opened.headers["Location"]).status_code == 200
    pass_time(301)
    assert person.confirm(wallet, person.submit(f"/any/{rest}?x=%26&y=%C3%A9")).status_code == 200
    assert shop.done == [unquote(rest)] * 2


# -- Where a signature may lead ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("//evil.example/", "/evil.example/"),
        ("///evil.example", "/evil.example"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("/\t/evil.example", "/%09/evil.example"),
        ("/%2F/evil.example", "/%252F/evil.example"),
        ("/" + "a" * 5000, "/session"),
    ],
    ids=ascii,
)
def test_step_up_never_redirects_to_another_site(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis, clock: Clock, path: str, location: str
) -> None:
    app = make_app({"actions": ACTIONS})
    app.url_map.merge_slashes = False
    app.get("/<path:anything>")(fresh_required(300, "shop.open")(lambda anything: "seen"))
    person = Visitor(app)
    person.sign_in(wallet)
    TimeMachine(app, redis, clock)(301)
    opened = person.confirm(wallet, person.get("/x", environ_overrides={"PATH_INFO": path}))
    assert (opened.status_code, opened.headers["Location"]) == (303, location)


def test_parameters_of_the_page_lead_nowhere(person: Visitor, wallet: Wallet, pass_time: TimeMachine) -> None:
    pass_time(301)
    asked = person.get("/counter")
    location = (
        asked.headers["Location"] + "&next=https://evil.example&path=//evil.example&problem=https://evil.example"
    )
    page = person.get(location).get_data(as_text=True)
    assert "evil.example" not in page
    target, form = person.signed_form(wallet, asked)
    opened = person.post(f"{target}?next=//evil.example", data={**form, "next": "//evil.example"})
    assert opened.headers["Location"] == "/counter"


def test_a_waiting_form_is_not_sent_to_the_page_of_waiting_pages(
    shop: Shop, person: Visitor, wallet: Wallet, redis: Redis
) -> None:
    """The page would spend the signature and do nothing of what was signed."""
    asked = person.submit("/pay", number="7")
    _, form = person.signed_form(wallet, asked)
    with unchanged(redis):
        answer = person.post("/confirm", data={**form, "request": person.waiting(asked).request})
    assert answer.status_code == 400
    assert shop.done == []


def test_page_signature_opens_only_that_page(
    shop: Shop, person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    pass_time(301)
    _, form = person.signed_form(wallet, person.get("/counter"))
    other = person.waiting(person.submit("/close", when="now"))
    token = person.token("/session")
    answer = person.post("/close", data={**form, "when": "now", "csrf_token": token})
    assert problem_of(answer) == "challenge_foreign"
    assert other.request != form["request"]
    assert shop.done == []


class Below(Visitor):
    """A browser at an application that is served below a path."""

    site = ORIGIN + "/shop"

    def get(self, path: str, **options: Any) -> TestResponse:
        return super().get(path.removeprefix("/shop"), **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return super().post(path.removeprefix("/shop"), **options)


def test_an_application_below_a_path_is_come_back_to_below_it(
    app: Flask, shop: Shop, wallet: Wallet, pass_time: TimeMachine
) -> None:
    person = Below(app)
    assert person.get("/counter").headers["Location"] == "/shop/sign-in?next=/shop/counter"
    person.sign_in(wallet)
    asked = person.submit("/pay", number="7")
    assert asked.headers["Location"].startswith("/shop/confirm?")
    assert person.waiting(asked).target == "/shop/pay"
    assert person.confirm(wallet, asked).status_code == 200
    pass_time(301)
    opened = person.confirm(wallet, person.get("/counter?desk=1"))
    assert opened.headers["Location"] == "/shop/counter?desk=1"
    assert shop.done == ["7"]


# -- Visitors, and sessions that ended ---------------------------------------------------------------------------


def test_visitors_are_sent_to_sign_in_and_asked_for_no_signature(
    app: Flask, shop: Shop, person: Visitor, wallet: Wallet, token: str, redis: Redis
) -> None:
    proof = person.proof(wallet, person.send("POST", "/pay", json={"number": "7"}))
    visitor = Visitor(app)
    with unchanged(redis):
        assert visitor.get("/confirm", query_string={"request": token}).headers["Location"].startswith("/sign-in")
        answers = [*takers(visitor, token), visitor.send("POST", "/pay", json={"number": "7"}, headers=proof)]
    assert [(answer.status_code, code_of(answer)) for answer in answers] == [(401, "no_token")] * 4
    assert shop.done == []


def test_signed_out_session_can_not_confirm(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    target, form = person.signed_form(wallet, person.submit("/pay", number="7"))
    before = person.session_id
    person.sign_out()
    person.session_id = before
    assert person.post(target, data=form).headers["Location"] == "/sign-in?reason=signed_out"
    assert shop.done == []


def test_new_session_can_not_confirm_an_earlier_request(
    shop: Shop, person: Visitor, wallet: Wallet, token: str
) -> None:
    proof = person.proof(wallet, person.send("POST", "/pay", json={"number": "7"}))
    person.sign_in(wallet)
    assert problem_of(person.send("POST", "/pay", json={"number": "7"}, headers=proof)) == "challenge_foreign"
    for answer in takers(person, token):
        assert code_of(answer) == "confirmation_malformed"
    assert shop.done == []


# -- Redis is gone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after the nonce"])
def test_redis_lost_during_a_step_up_is_503(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Nothing is done."""
    server = embedded.start(tmp_path / "redis")
    app = make_app({"actions": ACTIONS}, SESSIONS_CORE_REDIS_URL=server.url)
    shop, person = Shop(app), Visitor(app)
    person.sign_in(wallet)
    before = person.session_id
    target, form = person.signed_form(wallet, person.submit("/pay", number="7"))
    verify = verifiers.verify

    def and_then_stop(*arguments: Any) -> None:
        verify(*arguments)
        server.stop()

    if moment == "before":
        server.stop()
    else:
        monkeypatch.setattr(verifiers, "verify", and_then_stop)
    answer = person.post(target, data=form)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers.getlist("Set-Cookie") == []
    assert shop.done == []
    back = embedded.start(tmp_path / "redis")
    try:
        ask_again(link_of(app.extensions["sessions_core"].repository))
        assert (person.session_id, person.signed_in) == (before, True)
        monkeypatch.setattr(verifiers, "verify", verify)
        assert person.confirm(wallet, person.submit("/pay", number="7")).status_code == 200
        assert shop.done == ["7"]
    finally:
        back.stop()
