"""Requests that arrive slowly, or never whole: on the server that README starts, and as servers hand them over."""

from __future__ import annotations

import http.client
import io
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event, Thread

import pytest
from flask import Flask, request
from gunicorn.http.errors import InvalidHeader
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app

from sessions_core import public
from sessions_core.sign_in import verifiers

from ...actors import ORIGIN
from ...constants import PATIENCE
from ...processes import BIN, Running

THREADS = 2
ONE_PROCESS = [str(BIN / "gunicorn"), "--workers", "1", "--threads", str(THREADS)]
# How a request begins, and what follows it twice a second, for ever.
SLOW = {
    "headers": (b"POST /sign-in HTTP/1.1\r\nX-A: b\r\n", b"X-A: b\r\n"),
    "form": (b"POST /sign-in HTTP/1.1\r\n{host}Content-Type: {form}\r\nContent-Length: 9000\r\n\r\na", b"a"),
    "JSON": (
        b"POST /api/auth/challenges HTTP/1.1\r\n{host}Content-Type: {json}\r\nContent-Length: 900\r\n\r\n",
        b" ",
    ),
    "chunks": (b"POST /sign-in HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "silence": (b"POST /sign-in HTTP/1.1\r\n{host}Content-Type: {form}\r\nContent-Length: 9000\r\n\r\n", b""),
}


class Slow:
    """A client that sends a request bit by bit."""

    def __init__(self, port: int, first: bytes, then: bytes) -> None:
        self._socket = socket.create_connection(("localhost", port), timeout=PATIENCE)
        self._over = Event()
        self._then = then
        for name, value in (
            (b"{host}", b"Host: localhost:%d\r\n" % port),
            (b"{form}", b"application/x-www-form-urlencoded"),
            (b"{json}", b"application/json"),
        ):
            first = first.replace(name, value)
        self._socket.sendall(first)
        self._thread = Thread(target=self._drip, daemon=True)
        self._thread.start()

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        self._socket.close()

    def _drip(self) -> None:
        while not self._over.wait(0.5):
            try:
                self._socket.sendall(self._then)
            except OSError:
                return

    def answer(self) -> bytes:
        """Return the status line, or nothing if the connection was just closed."""
        try:
            return self._socket.recv(65_536).partition(b"\r\n")[0]
        except ConnectionError:
            return b""


@pytest.mark.parametrize("kind", SLOW)
def test_slow_requests_do_not_stop_the_site(
    start_server: Callable[[list[str], str], Running],
    kind: str,
) -> None:
    """More of them than there are threads: without a limit nobody is answered any more, /livez neither."""
    server = start_server(ONE_PROCESS, "Ready:")
    with ExitStack() as stack:
        clients = [stack.enter_context(Slow(server.port, *SLOW[kind])) for _ in range(2 * THREADS)]
        assert server.ask("GET", "/livez")[0] == 200
        for answer in [client.answer() for client in clients]:
            assert answer in (b"", b"HTTP/1.1 400 BAD REQUEST"), answer
    assert server.ask("GET", "/sign-in")[0] == 200


def test_a_kept_connection_outlives_the_limit(
    start_server: Callable[[list[str], str], Running],
) -> None:
    """What has been answered is not late: the limit is on the request that is arriving, not on the connection."""
    limit = ["env", "REQUEST_ARRIVAL_SECONDS=0.5"]
    server = start_server([*limit, *ONE_PROCESS, "--keep-alive", "60"], "Ready:")
    connection = http.client.HTTPConnection("localhost", server.port, timeout=PATIENCE)
    connection.connect()
    kept = connection.sock
    for _ in range(2):
        connection.request("GET", "/livez")
        response = connection.getresponse()
        assert (response.status, b"alive" in response.read()) == (200, True)
        assert connection.sock is kept
        assert select.select([kept], [], [], 2.5)[0] == [], "the server closed the connection"
    connection.close()


# -- A body that breaks off --------------------------------------------------------------------------------------


@pytest.fixture
def taken(app: Flask) -> list[dict[str, str]]:
    """What a form of an application was taken for."""
    taken: list[dict[str, str]] = []

    @app.post("/pay")
    @public(csrf=False)
    def view() -> str:
        taken.append(request.form.to_dict())
        return "paid"

    return taken


class Broken(io.BytesIO):
    """Chunks that end without their last one. Each server reports it in its own way."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"amount=10")
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if not found:
            raise self._error
        return found

    def readinto(self, buffer: object) -> int:
        raise self._error


def pay(app: Flask, stream: io.BytesIO, **headers: str) -> TestResponse:
    """Hand a request over as gunicorn does: it promises that the stream ends (`wsgi.input_terminated`)."""
    environ = EnvironBuilder("/pay", base_url=ORIGIN, method="POST").get_environ() | headers
    environ |= {"CONTENT_TYPE": "application/x-www-form-urlencoded", "HTTP_ACCEPT": "application/json"}
    environ |= {"wsgi.input": stream, "wsgi.input_terminated": True}
    return TestResponse(*run_wsgi_app(app, environ), request=request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "stream"),
    [
        ({"CONTENT_LENGTH": "11"}, io.BytesIO(b"amount=10")),
        ({"CONTENT_LENGTH": "11"}, io.BytesIO(b"")),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, Broken(OSError("no more data"))),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, Broken(InvalidHeader("in the trailers"))),
    ],
    ids=["half", "nothing", "chunks", "trailers"],
)
def test_truncated_form_is_refused(
    app: Flask, taken: list[dict[str, str]], headers: dict[str, str], stream: io.BytesIO
) -> None:
    """The stream also ends where the connection was lost, or closed for being too slow."""
    answer = pay(app, stream, **headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "body_incomplete")
    assert taken == []


@pytest.mark.parametrize("headers", [{"CONTENT_LENGTH": "11"}, {"HTTP_TRANSFER_ENCODING": "chunked"}], ids=str)
def test_a_whole_form_is_taken(app: Flask, taken: list[dict[str, str]], headers: dict[str, str]) -> None:
    assert pay(app, io.BytesIO(b"amount=1000"), **headers).status_code == 200
    assert taken == [{"amount": "1000"}]


# -- A body that is not read -------------------------------------------------------------------------------------


def large(server: Running, size: int, chunked: bool = False) -> http.client.HTTPConnection:
    """Send a form that is larger than the sign-in takes, all of it before the answer is read."""
    connection = http.client.HTTPConnection("localhost", server.port, timeout=PATIENCE)
    pieces = (b"a" * 10_000 for _ in range(size // 10_000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (
        {} if chunked else {"Content-Length": str(size)}
    )
    connection.request("POST", "/sign-in", pieces, headers, encode_chunked=chunked)
    return connection


@pytest.mark.parametrize("size", [70_000, 200_000, 1_000_000])
def test_a_body_too_large_to_read_says_close(
    start_server: Callable[[list[str], str], Running],
    size: int,
) -> None:
    """And the client gets to read that: without reading on, the connection is reset while it sends."""
    server = start_server(ONE_PROCESS, "Ready:")
    for _ in range(5):
        connection = large(server, size)
        response = connection.getresponse()
        assert (response.status, response.headers["Connection"]) == (413, "close")
        assert b"larger than this address accepts" in response.read()
        connection.close()


def test_a_body_that_is_read_on_keeps_the_connection(
    start_server: Callable[[list[str], str], Running],
) -> None:
    server = start_server(ONE_PROCESS, "Ready:")
    connection = large(server, 50_000)
    kept = connection.sock
    response = connection.getresponse()
    assert (response.status, response.headers["Connection"]) == (413, "keep-alive")
    response.read()
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    assert connection.sock is kept
    connection.close()


def test_unread_chunked_body_closes_the_connection(start_server: Callable[[list[str], str], Running]) -> None:
    server = start_server(ONE_PROCESS, "Ready:")
    connection = large(server, 200_000, chunked=True)
    response = connection.getresponse()
    assert (response.status, response.headers["Connection"]) == (413, "close")
    assert response.read().endswith(b"</html>")
    connection.close()


def test_the_longest_signature_fits_into_a_header(start_server: Callable[[list[str], str], Running]) -> None:
    """Programs send it as a bearer; what is longer is refused by gunicorn, in a page of its own."""
    server = start_server(ONE_PROCESS, "Ready:")

    def signed_with(length: int) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Authorization": "Bearer 0x" + "1" * (length - 2)}
        body = '{"message": "m", "challenge": "c"}'
        status, _, answer = server.ask("POST", "/api/auth/sessions", body=body, headers=headers)
        return status, answer

    status, answer = signed_with(verifiers.max_signature())
    assert (status, b"challenge_malformed" in answer) == (400, True)
    status, answer = signed_with(8170)
    assert (status, b"challenge_malformed" in answer) == (431, False)
