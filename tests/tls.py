"""Redis over TLS, with a certificate of the test's own: a front that speaks TLS and plain text on one port.

The embedded server is built without TLS. A Cluster announces the port of its front, and a Sentinel watches it, so
that clients meet TLS wherever they are sent.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sessions_core.parts.development_redis import embedded

from .servers import Server, free_port, running

HANDSHAKE = b"\x16"


def certificate(directory: Path) -> Path:
    """Make a key and a certificate for 127.0.0.1 that is its own authority; return the file that holds both."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis of a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "redis.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class TlsFront:
    """A port that passes on what it gets to another one; `encrypted` counts the connections over TLS."""

    def __init__(self, pem: Path, target: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.encrypted = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._socket.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if client.recv(1, socket.MSG_PEEK) == HANDSHAKE:
                client = self._context.wrap_socket(client, server_side=True)
                self.encrypted += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
            _pass_on(client, server)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def fronted(directory: Path, pem: Path, *options: str) -> Iterator[tuple[TlsFront, Server]]:
    """A server and its front."""
    port = free_port()
    while port > 55535:  # the cluster bus listens 10000 above
        port = free_port()
    front = TlsFront(pem, port)
    announced = [str(front.port) if each == "{front}" else each for each in options]
    try:
        with running(Server(directory, "--appendonly", "yes", *announced, port=port)) as server:
            yield front, server
    finally:
        front.stop()


@contextmanager
def tls_server(directory: Path, pem: Path) -> Iterator[tuple[TlsFront, str]]:
    with fronted(directory, pem) as (front, _):
        yield front, f"127.0.0.1:{front.port}/0"


@contextmanager
def tls_cluster(directory: Path, pem: Path) -> Iterator[tuple[TlsFront, str]]:
    """A Cluster of one node; a node of the URL is away."""
    with fronted(directory, pem, "--cluster-enabled", "yes", "--cluster-announce-port", "{front}") as (front, server):
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        server.wait_for_log(b"Cluster state changed: ok")
        yield front, f"127.0.0.1:{free_port()},127.0.0.1:{front.port}"


@contextmanager
def tls_sentinel(directory: Path, pem: Path) -> Iterator[tuple[TlsFront, str]]:
    """A master, and a sentinel behind a front of its own."""
    with fronted(directory / "master", pem) as (front, _):
        port = free_port()
        config = directory / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor sessions 127.0.0.1 {front.port} 1\n"
        )
        watcher, own = Server(directory, socket_name=None, port=port), TlsFront(pem, port)
        watcher._spawn([embedded.binary(), str(config), "--sentinel"])
        try:
            watcher.wait_for_log(b"+monitor master sessions")
            yield front, f"127.0.0.1:{own.port}/sessions/0"
        finally:
            own.stop()
            watcher.stop()
