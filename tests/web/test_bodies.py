"""JSON bodies: one object, each key once, the declared types, and nothing that two parsers read differently."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import EnvironBuilder, run_wsgi_app

from sessions_core import events

from ..actors import ORIGIN, Visitor, Wallet
from ..constants import ROOT
from ..snapshot import refused, snapshot

PATH = "/api/auth/challenges"
ACCOUNT = "eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def body(account: str = f'"{ACCOUNT}"') -> bytes:
    return b'{"account": ' + account.encode("utf-8", "surrogatepass") + b"}"


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "a blank": b" ",
    "not JSON": b"account=x",
    "cut off": body()[:-1],
    "two objects": body() + body(),
    "text after": body() + b"x",
    "NUL after": body() + b"\0",
    "a comment": b"/* */" + body(),
    "single quotes": body().replace(b'"', b"'"),
    "a trailing comma": body()[:-1] + b",}",
    "a list": b"[" + body() + b"]",
    "a string": b'"' + ACCOUNT.encode() + b'"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "no field": b"{}",
    "another field": b'{"Account": "x"}',
    "the field as null": body("null"),
    "the field as a number": body("1"),
    "the field as true": body("true"),
    "the field as a list": body(f'["{ACCOUNT}"]'),
    "the field as an object": body(f'{{"account": "{ACCOUNT}"}}'),
    "the field twice": body()[:-1] + b', "account": "eip155:1:0x00"}',
    "the field twice, alike": body()[:-1] + b", " + body()[1:],
    "the field twice, escaped": body()[:-1] + b', "\\u0061ccount": "x"}',
    "another key twice": body()[:-1] + b', "a": {"b": 1, "b": 2}}',
    "NaN": body()[:-1] + b', "a": NaN}',
    "Infinity": body()[:-1] + b', "a": -Infinity}',
    "NaN as the account": body("NaN"),
    "a huge number": body()[:-1] + b', "a": ' + b"9" * 5000 + b"}",
    "a lone surrogate": body('"\\ud800"'),
    "a lone low surrogate": body()[:-1] + b', "\\udc00": 1}',
    "a surrogate in UTF-8": body('"\ud800"'),
    "not UTF-8": b'{"account": "\xff\xfe"}',
    "overlong UTF-8": b'{"account": "\xc0\xaf"}',
    "Latin-1": '{"account": "ü"}'.encode("latin-1"),
    "UTF-16": body().decode().encode("utf-16"),
    "UTF-16 without a mark": body().decode().encode("utf-16-le"),
    "UTF-32": body().decode().encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "a control character in a string": body('"a\nb"'),
    "deeply nested lists": b"[" * 8000 + b"]" * 8000,
    "deeply nested objects": b'{"a":' * 2500 + b"1" + b"}" * 2500,
    "deeply nested beside the field": body()[:-1] + b', "a": ' + b"[" * 7000 + b"]" * 7000 + b"}",
    "deeply nested and cut off": b"[" * 16_000,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_body_that_is_not_the_documented_object_is_refused(
    visitor: Visitor, redis: Redis, happened: list[events.Event], data: bytes
) -> None:
    with refused(redis, happened, "body_malformed"):
        response = visitor.post(PATH, data=data, content_type="application/json")
    assert response.status_code == 400
    answer = response.get_json()
    assert answer["success"] is False
    assert (answer["error"]["code"], answer["error"]["message"]) == (
        "body_malformed",
        "Send one JSON object with the documented fields, each once, in UTF-8.",
    )


@pytest.mark.parametrize(
    "account",
    ["", "x", "\0", "é", "a" * 10_000, "eip155:1:0x00", ACCOUNT[:-1] + "D", ACCOUNT + "\n", "\\u0000", "🦊"],
    ids=lambda account: ascii(account[:20]),
)
def test_a_string_that_is_no_account_is_refused(
    visitor: Visitor, redis: Redis, happened: list[events.Event], account: str
) -> None:
    with refused(redis, happened, "account_malformed"):
        response = visitor.post(PATH, json={"account": account})
    assert (response.status_code, response.get_json()["error"]["code"]) == (400, "account_malformed")


def test_a_chain_that_is_not_enabled_is_refused(
    visitor: Visitor, redis: Redis, happened: list[events.Event], wallet: Wallet
) -> None:
    with refused(redis, happened, "chain_unsupported"):
        response = visitor.post(PATH, json={"account": wallet.account("eip155:5")})
    assert (response.status_code, response.get_json()["error"]["code"]) == (400, "chain_unsupported")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json+x",
        "application/problem+json",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "\u00e9",
    ],
)
def test_another_content_type_is_refused(
    app: Flask, redis: Redis, happened: list[events.Event], content_type: str | None
) -> None:
    """A simple form of another site can only send the three types that are refused here."""
    client = app.test_client()
    with refused(redis, happened, "media_type_unsupported"):
        response = client.post(PATH, base_url=ORIGIN, data=body(), content_type=content_type)
    assert (response.status_code, response.get_json()["error"]["code"]) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON; Charset=UTF-8"]
)
def test_json_by_any_of_its_names_is_read(visitor: Visitor, content_type: str) -> None:
    assert visitor.post(PATH, data=body(), content_type=content_type).status_code == 201


def test_escapes_and_white_space_are_json_too(visitor: Visitor) -> None:
    data = b' \r\n\t{ "\\u0061ccount" : "' + ACCOUNT.replace("1", "\\u0031").encode() + b'" } \n'
    assert visitor.post(PATH, data=data, content_type="application/json").status_code == 201


# -- Sizes ---------------------------------------------------------------------------------------------------


def _padded(size: int) -> bytes:
    return body()[:-1] + b', "pad": "' + b"a" * (size - len(body()) - 11) + b'"}'


def test_a_body_of_16_kb_is_read_and_one_byte_more_is_not(
    visitor: Visitor, redis: Redis, happened: list[events.Event]
) -> None:
    largest = _padded(16 * 1024)
    assert len(largest) == 16 * 1024
    assert visitor.post(PATH, data=largest, content_type="application/json").status_code == 201
    with refused(redis, happened, "body_too_large"):
        response = visitor.post(PATH, data=largest + b" ", content_type="application/json")
    assert (response.status_code, response.get_json()["error"]["code"]) == (413, "body_too_large")


def _post_raw(app: Flask, stream: Any, **changes: Any) -> tuple[int, Any]:
    """Call the application as a server would, with headers that no test client sends."""
    environ = EnvironBuilder(PATH, method="POST", base_url=ORIGIN, content_type="application/json").get_environ()
    chunks, status, _ = run_wsgi_app(app, environ | {"wsgi.input": stream} | changes)
    return int(status.split()[0]), json.loads(b"".join(chunks))


class Endless:
    """A body that never ends; how much of it was read is the cost of refusing it."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "read to an end that never comes"
        self.read_bytes += size
        assert self.read_bytes < 1_000_000
        return b" " * size

    readline = read


def test_a_chunked_body_over_the_limit_is_refused_after_16_kb(
    app: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    endless = Endless()
    with refused(redis, happened, "body_too_large"):
        status, answer = _post_raw(
            app, endless, **{"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
        )
    assert (status, answer["error"]["code"]) == (413, "body_too_large")
    assert endless.read_bytes < 200_000


def test_a_chunked_body_of_the_right_size_is_read(app: Flask) -> None:
    status, _ = _post_raw(
        app,
        BytesIO(body()),
        **{"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""},
    )
    assert status == 201


def test_chunks_that_the_server_can_not_read_are_a_bad_request(
    app: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    class Malformed:
        def read(self, size: int = -1) -> bytes:
            raise RuntimeError("a server's own error for a chunk that lies about its size")

    with refused(redis, happened, "body_incomplete"):
        status, answer = _post_raw(
            app, Malformed(), **{"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        )
    assert (status, answer["error"]["code"]) == (400, "body_incomplete")


@pytest.mark.parametrize("length", ["999999999999", "16385"])
def test_a_content_length_over_the_limit_is_refused_unread(
    app: Flask, redis: Redis, happened: list[events.Event], length: str
) -> None:
    class Unread:
        def read(self, size: int = -1) -> bytes:
            pytest.fail("read")

    with refused(redis, happened, "body_too_large"):
        status, _ = _post_raw(app, Unread(), CONTENT_LENGTH=length)
    assert status == 413


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "0x10", "", "0", "5", "+5", "5, 5", "\u0665"])
def test_false_content_length_is_refused(app: Flask, redis: Redis, happened: list[events.Event], length: str) -> None:
    """No more than the stated length is read."""
    with refused(redis, happened, "body_malformed"):
        status, _ = _post_raw(app, BytesIO(body()), CONTENT_LENGTH=length)
    assert status == 400


def test_a_body_shorter_than_its_content_length_is_refused(
    app: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    happened.clear()
    status, answer = _post_raw(app, BytesIO(body()), CONTENT_LENGTH="5000")
    assert status == 400
    assert answer["error"]["code"] == "body_incomplete"
    assert len(happened) == 1
    assert snapshot(redis) == {}


def test_thousands_of_keys_are_read_in_linear_time_or_refused(visitor: Visitor) -> None:
    many = json.dumps({"account": ACCOUNT} | {f"{at:x}": 0 for at in range(1500)})
    assert len(many) < 16 * 1024
    assert visitor.post(PATH, data=many, content_type="application/json").status_code in (201, 400)


def test_a_form_in_chunks_over_the_limit_is_refused(app: Flask, redis: Redis, happened: list[events.Event]) -> None:
    environ = EnvironBuilder("/sign-in", method="POST", base_url=ORIGIN, headers={"Accept": "application/json"})
    changes = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": "",
        "wsgi.input": Endless(),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    with refused(redis, happened, "body_too_large"):
        _, status, _ = run_wsgi_app(app, environ.get_environ() | changes)
    assert status.startswith("413")


def test_deep_body_can_not_crash_a_worker() -> None:
    """py_ecc lifts the recursion limit when eth-account is imported; a thread of one megabyte would then crash."""
    code = (
        "import sys, threading; sys.setrecursionlimit(100_000); threading.stack_size(1024 * 1024)\n"
        "from flask import Request; from werkzeug.test import EnvironBuilder\n"
        "from sessions_core.errors import BodyMalformed; from sessions_core.web import json_routes, request_body\n"
        "def read():\n"
        "    builder = EnvironBuilder(method='POST', data='[' * 16000, content_type='application/json')\n"
        "    try: request_body.read(Request(builder.get_environ()), json_routes.ChallengeRequest)\n"
        "    except BodyMalformed: print('refused')\n"
        "thread = threading.Thread(target=read); thread.start(); thread.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
