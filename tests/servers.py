"""Redis servers that a test may stop, starve and kill, and applications on ports, for Chromium to open. `clusters`
makes Clusters and Sentinel services of them.

All of them listen on a Unix socket or on the loopback interface only, and end with the tests, also when those are
killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from redis import Redis
from werkzeug.serving import WSGIRequestHandler, make_server

from sessions_core.parts.development_redis import embedded

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Server:
    """A redis-server with its own directory, options and life."""

    def __init__(self, directory: Path, *options: str, socket_name: str | None = "redis.sock", port: int = 0) -> None:
        self.directory = directory
        self._options = options
        self._port = port
        self._path = directory / socket_name if socket_name else None
        self.url = f"unix://{self._path}" if self._path else f"redis://127.0.0.1:{port}"
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self, ready: bytes | None = b"eady to accept connections") -> Server:
        """Start, and wait until the log says `ready`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        options += ["--save", "", "--unixsocketperm", "700"]
        options += ["--unixsocket", str(self._path)] if self._path else []
        command = [embedded.binary(), *options, *self._options]
        self._spawn(command)
        if ready is not None:
            self.wait_for_log(ready)
        return self

    def _spawn(self, command: list[str]) -> None:
        # The keeper of `embedded` ends the server when we are gone.
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", embedded._KEEPER, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
        )

    def wait_for_log(self, words: bytes) -> None:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        seen = b""
        while words not in seen:
            assert select.select([self._keeper.stdout], [], [], 20)[0], seen.decode()
            line = self._keeper.stdout.readline()
            assert line, seen.decode()
            seen += line

    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=10)

    def pid(self) -> int:
        with self.client() as client:
            return int(client.info("server")["process_id"])

    def kill(self) -> None:
        """End it as the power cut does."""
        os.kill(self.pid(), signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.close()
        self._keeper.wait(timeout=20)
        self._keeper.stdout.close()
        self._keeper = None


def hearing_signals(command: Sequence[str]) -> list[str]:
    """Return the command, so that it hears Ctrl-C and SIGTERM however the suite was started.

    A shell without job control has what it starts in the background ignore SIGINT, and children inherit that.
    """
    code = (
        "import os, signal, sys\n"
        "for each in (signal.SIGINT, signal.SIGTERM): signal.signal(each, signal.SIG_DFL)\n"
        "signal.pthread_sigmask(signal.SIG_SETMASK, [])\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    return [sys.executable, "-I", "-S", "-c", code, *command]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop the server's process in its tracks: the kernel still accepts connections for it, and nobody answers."""
    pid = server.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Listener:
    """A port that accepts and reads. What it answers to each piece is up to the test: by default nothing, ever."""

    def __init__(self, answer: Callable[[bytes], bytes | None] = lambda _: b"") -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._serving: list[threading.Thread] = []
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self.port = int(self._socket.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        # Shut down first, and closed once nobody uses it: a thread that still reads, writes or selects would meet a
        # descriptor that is gone, or by now somebody else's.
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._serving:
            thread.join(timeout=20)
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._serving.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._serving[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._converse(connection)
        self.closed.release()

    def _converse(self, connection: socket.socket) -> None:
        while piece := connection.recv(65536):
            answer = self._answer(piece)
            if answer is None:
                connection.shutdown(socket.SHUT_RDWR)
                return
            connection.sendall(answer)


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@contextmanager
def serving(application: WSGIApplication, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """An application on a port of its own, which is returned, with a thread for each request."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tls_for(directory: Path, host: str) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for `host` that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    file = directory / f"{host}.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def with_rights(server: Server, *rules: str) -> str:
    """Make the user `app` with these rules and no others; return its URL. It has no channel unless they give one."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", "resetchannels", *rules)
    return server.url.replace("unix://", "unix://app:secret@")


def commands_run(client: Redis) -> dict[str, int]:
    """How often each command has run, those inside scripts included, and those of this question left out."""
    stats = client.info("commandstats")
    names = {name.removeprefix("cmdstat_"): int(entry["calls"]) for name, entry in stats.items()}
    return {name: calls for name, calls in names.items() if not re.match(r"info|config|client|hello", name)}
