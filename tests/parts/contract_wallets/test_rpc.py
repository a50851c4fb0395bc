"""JSON-RPC: one question, one answer, and whatever a node does instead, within its time and its bytes."""

from __future__ import annotations

import gzip
import io
import json
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sessions_core.parts.contract_wallets import rpc
from sessions_core.parts.contract_wallets.errors import RpcUnavailable
from sessions_core.parts.contract_wallets.rpc import Node

from ...evm.nodes import Call, Speak, Stranger, http, result, says, tells
from ...servers import Listener, free_port

KEY = "k3y-in-the-url"
SECONDS = 0.4  # of a conversation in which the node is at fault
BUSY = 20  # what a machine with other work may add; without a limit each of these would take minutes


def ask(url: str, seconds: float = 5) -> str:
    with Node(url, seconds) as node:
        return node.ask("eth_chainId")


def failing(url: str, seconds: float = SECONDS) -> RpcUnavailable:
    """What is raised, within the time."""
    start = time.monotonic()
    with pytest.raises(RpcUnavailable) as caught:
        ask(url + KEY, seconds)
    assert time.monotonic() - start < seconds + BUSY
    assert KEY not in repr(caught.value) + str(caught.value)
    assert (caught.value.status, caught.value.retry_after) == (503, 5)
    return caught.value


# -- As it is meant ----------------------------------------------------------------------------------------------


def test_a_question_is_one_post_and_its_answer_a_string() -> None:
    with Stranger(tells(eth_call="0x2a")) as node:
        with Node(f"{node.url}v3/{KEY}?a=b", 5) as conversation:
            assert conversation.ask("eth_call", {"to": "0x00"}, "latest") == "0x2a"
        assert node.calls == [{"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"to": "0x00"}, "latest"]}]
        first, *headers = node.heads[0].split("\r\n")
        assert first == f"POST /v3/{KEY}?a=b HTTP/1.1"
        names = {line.partition(":")[0]: line.partition(":")[2].strip() for line in headers}
        assert names == {
            "Host": f"127.0.0.1:{node.port}",
            "Accept-Encoding": "identity",
            "Content-Length": names["Content-Length"],
            "Content-Type": "application/json",
            "User-Agent": "sessions-core",
        }


def test_all_questions_of_a_conversation_go_over_one_connection() -> None:
    with Stranger(tells(eth_chainId="0x1")) as node, Node(node.url, 5) as conversation:
        assert [conversation.ask("eth_chainId") for _ in range(5)] == ["0x1"] * 5
        assert [call["id"] for call in node.calls] == [1, 2, 3, 4, 5]
        assert node.connections == 1


def test_node_that_closes_after_each_answer_is_reconnected() -> None:
    def speak(connection: socket.socket, call: Call) -> None:
        body = json.dumps({"id": call["id"], "result": "0x1"}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_RDWR)

    with Stranger(speak) as node, Node(node.url, 5) as conversation:
        assert [conversation.ask("eth_chainId") for _ in range(3)] == ["0x1"] * 3
        assert node.connections == 3


def test_chunked_and_interim_answers_are_understood() -> None:
    def speak(connection: socket.socket, call: Call) -> None:
        body = json.dumps({"id": call["id"], "result": "0x1"}).encode()
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(len(body)):
            connection.sendall(b"1\r\n" + body[at : at + 1] + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    with Stranger(speak) as node, Node(node.url, 5) as conversation:
        assert [conversation.ask("eth_chainId") for _ in range(2)] == ["0x1"] * 2
        assert node.connections == 1


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_every_name_of_this_machine_is_understood(host: str) -> None:
    port = free_port()
    with socket.create_server(("::1", port), family=socket.AF_INET6) as probe:
        probe.settimeout(0)
        if host == "[::1]":
            failing(f"http://{host}:{port}/")  # it listens, and never answers
    with Stranger(tells(eth_chainId="0x1")) as node:
        assert ask(node.url.replace("127.0.0.1", "localhost")) == "0x1"


@pytest.mark.parametrize(
    ("url", "place", "known_as"),
    [
        ("https://rpc.example.org/key", ("rpc.example.org", 443), "rpc.example.org"),
        ("https://rpc.example.org:443/key", ("rpc.example.org", 443), "rpc.example.org"),
        ("https://rpc.example.org:8443", ("rpc.example.org", 8443), "rpc.example.org:8443"),
        ("https://[2001:db8::1]/key", ("2001:db8::1", 443), "[2001:db8::1]"),
        ("http://[::1]/", ("::1", 80), "[::1]"),
        ("http://localhost", ("localhost", 80), "localhost"),
    ],
)
def test_the_url_says_where_the_node_is(
    monkeypatch: pytest.MonkeyPatch, url: str, place: tuple[str, int], known_as: str
) -> None:
    asked: list[tuple[object, ...]] = []
    with Stranger(tells(eth_chainId="0x1")) as node:

        def look_up(*place: object, **_: object) -> list[tuple[object, ...]]:
            asked.append(place)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", node.port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(rpc, "_trust", Unencrypted)
        assert ask(url) == "0x1"
        assert f"\r\nHost: {known_as}\r\n" in node.heads[0] + "\r\n"
    assert asked == [place]
    if url.startswith("https"):
        assert Unencrypted.names[-1] == place[0]


class Unencrypted:
    """Notes for which host a certificate would have to be."""

    names: ClassVar[list[str]] = []

    def wrap_socket(self, plain: socket.socket, server_hostname: str) -> socket.socket:
        self.names.append(server_hostname)
        return plain


def test_every_socket_is_closed_afterwards(recwarn: pytest.WarningsRecorder) -> None:
    with Stranger(tells(eth_chainId="0x1")) as node:
        for _ in range(5):
            ask(node.url)
    with Stranger(says(b"garbage")) as node:
        failing(node.url)
    assert [str(warning.message) for warning in recwarn] == []


# -- Nodes that take their time ----------------------------------------------------------------------------------


def drip(what: bytes, then: Callable[[int], bytes]) -> Speak:
    """Say `what`, and from then on a little every hundredth of a second, until nobody listens."""

    def speak(connection: socket.socket, call: Call) -> None:
        connection.sendall(what)
        at = 0
        while not hung_up(connection, 0.01):
            connection.sendall(then(at))
            at += 1

    return speak


def hung_up(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side goes within that time. It has asked, so nothing else is to be heard from it."""
    return bool(select.select([connection], [], [], seconds)[0])


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Speak] = {
    "says nothing": lambda connection, call: None,
    "drips its status": drip(b"HTTP/1.1 200 ", lambda at: b"O"),
    "drips one header": drip(HEAD + b"X: ", lambda at: b"x"),
    "drips headers": drip(HEAD, lambda at: b"X: x\r\n" if at < 90 else b""),
    "drips its body": drip(HEAD + b"Content-Length: 10000\r\n\r\n", lambda at: b" "),
    "drips a body without end": drip(HEAD + b"\r\n", lambda at: b" "),
    "drips chunks": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", lambda at: b"1\r\n \r\n"),
    "drips the size of a chunk": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", lambda at: b"0"),
    "says that it will answer, and says so again": drip(b"", lambda at: b"HTTP/1.1 100 Continue\r\n\r\n"),
    "stops in its body": lambda connection, call: connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{"),
}


@pytest.mark.parametrize("speak", SLOW.values(), ids=SLOW)
def test_a_slow_node_has_no_more_than_its_time(speak: Speak) -> None:
    with Stranger(speak) as node:
        failing(node.url)


def test_time_limit_covers_the_whole_conversation() -> None:
    def speak(connection: socket.socket, call: Call) -> None:
        if not hung_up(connection, 0.15):
            connection.sendall(result(call, "0x1"))

    with Stranger(speak) as node:
        start = time.monotonic()
        with Node(node.url, SECONDS) as conversation, pytest.raises(RpcUnavailable):
            list(map(conversation.ask, ["eth_chainId"] * 100))
        assert time.monotonic() - start < SECONDS + BUSY
        assert 1 <= len(node.calls) <= 3


def test_node_without_a_tls_handshake_is_given_up_in_time() -> None:
    with Listener() as listener:
        failing(f"https://127.0.0.1:{listener.port}/")


def test_many_addresses_of_a_node_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # A queue of one that is full: the kernel answers nobody who comes after.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(place)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", place)] * 50)
        try:
            assert "TimeoutError" in str(failing("http://node.example/"))
        finally:
            for each in waiting:
                each.close()


# -- Nodes that say too much --------------------------------------------------------------------------------------


def flood(head: bytes, piece: bytes) -> tuple[Speak, list[int]]:
    sent: list[int] = []

    def speak(connection: socket.socket, call: Call) -> None:
        connection.sendall(head)
        for _ in range(100_000_000 // len(piece)):
            connection.sendall(piece)
            sent.append(len(piece))

    return speak, sent


PIECE = b" " * 65536
FLOODS = {
    "a body": (HEAD + b"Content-Length: 100000000\r\n\r\n", PIECE),
    "a body without an end": (HEAD + b"\r\n", PIECE),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + PIECE + b"\r\n"),
    "a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n", PIECE),
    "a status": (b"HTTP/1.1 200 ", PIECE),
    "a header": (HEAD + b"X: ", PIECE),
    "headers": (HEAD, b"X: x\r\n" * 1000),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_left_unread(name: str) -> None:
    speak, sent = flood(*FLOODS[name])
    with Stranger(speak) as node:
        failing(node.url, 5)
    assert sum(sent) < 20_000_000  # what the kernel holds between us


def test_no_more_than_the_limit_is_read_of_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    take = rpc._Budget.take

    def count(budget: rpc._Budget, number: int) -> None:
        taken.append(number)
        take(budget, number)

    monkeypatch.setattr(rpc._Budget, "take", count)
    for head, piece in FLOODS.values():
        taken.clear()
        with Stranger(flood(head, piece)[0]) as node:
            failing(node.url, 5)
        assert sum(taken) <= 64 * 1024 + io.DEFAULT_BUFFER_SIZE


@pytest.mark.parametrize("size", [16 * 1024 - 41, 16 * 1024 - 40, 60_000])
def test_an_answer_may_have_16_kilobytes(size: int) -> None:
    with Stranger(tells(eth_chainId="x" * size)) as node:
        if size == 16 * 1024 - 41:  # for what is around it
            assert ask(node.url) == "x" * size
        else:
            assert "too long" in str(failing(node.url, 5))


# -- Nodes that answer something else -----------------------------------------------------------------------------

GARBAGE = {
    "nothing": b"",
    "a page": b"<!doctype html><title>Welcome</title>",
    "null": b"null",
    "a number": b"1",
    "a string": b'"0x1"',
    "a list": b'[{"jsonrpc": "2.0", "id": 1, "result": "0x1"}]',
    "an empty object": b"{}",
    "no id": b'{"jsonrpc": "2.0", "result": "0x1"}',
    "id null": b'{"jsonrpc": "2.0", "id": null, "result": "0x1"}',
    "id of another question": b'{"jsonrpc": "2.0", "id": 2, "result": "0x1"}',
    "id as text": b'{"jsonrpc": "2.0", "id": "1", "result": "0x1"}',
    "id true": b'{"jsonrpc": "2.0", "id": true, "result": "0x1"}',
    "no result": b'{"jsonrpc": "2.0", "id": 1}',
    "result null": b'{"jsonrpc": "2.0", "id": 1, "result": null}',
    "result true": b'{"jsonrpc": "2.0", "id": 1, "result": true}',
    "result a number": b'{"jsonrpc": "2.0", "id": 1, "result": 1}',
    "result an object": b'{"jsonrpc": "2.0", "id": 1, "result": {"0x1": "0x1"}}',
    "an error": b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "out of gas"}}',
    "an error and a result": b'{"jsonrpc": "2.0", "id": 1, "result": "0x1", "error": {"code": 3, "message": "no"}}',
    "an error without a code": b'{"jsonrpc": "2.0", "id": 1, "result": "0x1", "error": {}}',
    "an error that is text": b'{"jsonrpc": "2.0", "id": 1, "result": "0x1", "error": "no"}',
    "half of it": b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"',
    "more behind it": b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"} {}',
    "not UTF-8": b'{"jsonrpc": "2.0", "id": 1, "result": "\xff"}',
    "UTF-16": '{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'.encode("utf-16"),
    "compressed": gzip.compress(b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'),
    "brackets": b'{"id": 1, "result": "0x1", "x": ' + b"[" * 8000,
    "brackets that close": b'{"id": 1, "result": "0x1", "x": ' + b"[" * 200 + b"]" * 200 + b"}",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_malformed_reply_is_no_answer(name: str) -> None:
    with Stranger(says(GARBAGE[name])) as node:
        failing(node.url, 5)


@pytest.mark.parametrize(
    "status",
    ["201 Created", "204 No Content", "206 Partial Content", "401 Unauthorized", "429 Too Many Requests", "500 Oh"],
)
def test_other_status_codes_are_no_answer(status: str) -> None:
    with Stranger(says(b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}', status=status)) as node:
        failing(node.url, 5)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with Stranger(tells(eth_chainId="0x1")) as elsewhere:
        headers = f"Location: {elsewhere.url}\r\n"
        with Stranger(says(b"", status=f"{status} Elsewhere", headers=headers)) as node:
            failing(node.url, 5)
        assert elsewhere.connections == 0


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 two\r\n\r\n", b"\x16\x03\x01\x00"],
    ids=ascii,
)
def test_non_http_reply_is_no_answer(raw: bytes) -> None:
    def speak(connection: socket.socket, call: Call) -> None:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_RDWR)

    with Stranger(speak) as node:
        failing(node.url, 5)


def test_node_reply_can_not_forge_a_log_line() -> None:
    def speak(connection: socket.socket, call: Call) -> None:
        connection.sendall(b"HTTP/9 \x1b[2J\x07 200\r everything is fine\n")
        connection.shutdown(socket.SHUT_RDWR)

    with Stranger(speak) as node:
        assert str(failing(node.url, 5)).isprintable()


def test_a_node_that_is_not_there_is_unavailable() -> None:
    failing(f"http://127.0.0.1:{free_port()}/")


def test_a_name_that_does_not_exist_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failing("https://nobody.example/")


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Listener() as proxy, Stranger(tells(eth_chainId="0x1")) as node:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert ask(node.url) == "0x1"
        assert proxy.connections == 0


# -- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def certify(tmp_path: Path) -> Callable[..., ssl.SSLContext]:
    """Make a server with a certificate that it signed itself, kept in `certificate.pem`."""

    def make(name: str, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a node")])
        known_as = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([known_as]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(pem))
        (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, *plain))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
        return context

    return make


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Make this machine trust the certificate."""
    rpc._trust.cache_clear()
    yield lambda: monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    rpc._trust.cache_clear()


def test_node_with_a_trusted_certificate_is_asked(
    certify: Callable[..., ssl.SSLContext], trusting: Callable[[], None]
) -> None:
    """One connection serves three questions."""
    with Stranger(tells(eth_chainId="0x1"), certify("127.0.0.1")) as node:
        trusting()
        with Node(node.url, 5) as conversation:
            assert [conversation.ask("eth_chainId") for _ in range(3)] == ["0x1"] * 3
        assert node.connections == 1


@pytest.mark.parametrize(
    ("name", "days", "trusted"), [("127.0.0.1", 1, False), ("node.example", 1, True), ("127.0.0.1", -1, True)]
)
def test_invalid_certificate_is_refused(
    certify: Callable[..., ssl.SSLContext], trusting: Callable[[], None], name: str, days: int, trusted: bool
) -> None:
    """It is untrusted, for another name, or out of date."""
    with Stranger(tells(eth_chainId="0x1"), certify(name, days)) as node:
        if trusted:
            trusting()
        assert "SSLCertVerificationError" in str(failing(node.url, 5))
        assert node.calls == []


def test_a_node_without_tls_is_never_asked_in_its_place() -> None:
    with Stranger(tells(eth_chainId="0x1")) as node:
        failing(node.url.replace("http://", "https://"))
        assert node.calls == []


def test_a_slow_node_behind_tls_has_no_more_than_its_time(
    certify: Callable[..., ssl.SSLContext], trusting: Callable[[], None]
) -> None:
    with Stranger(SLOW["drips its body"], certify("127.0.0.1")) as node:
        trusting()
        rpc._trust()
        failing(node.url)


def test_truncated_answer_is_refused() -> None:
    """Even when the part that arrived could be read."""
    body = b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}'

    def speak(connection: socket.socket, call: Call) -> None:
        connection.sendall(http(body).replace(b"Content-Length: 44", b"Content-Length: 4400"))
        connection.shutdown(socket.SHUT_RDWR)

    with Stranger(speak) as node:
        failing(node.url, 5)
