"""Every master and replica of a Cluster or a Sentinel service is checked, not the one that happens to answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from redis import Redis

from sessions_core.errors import Misconfigured
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.operations.readiness import Readiness
from sessions_core.parts.operations.server_checks import refuse_unsafe_server, trouble_anywhere
from sessions_core.settings import Settings
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.encryption import KeyRing

from ...constants import REDIS_PREFIX, SECRET
from ...servers import Server, free_port, running

SAFE = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


def wait_until(condition: Callable[[], object]) -> None:
    until, pause = time.monotonic() + 30, threading.Event()
    while not condition():
        assert time.monotonic() < until
        pause.wait(0.05)


def port_for_cluster() -> int:
    port = free_port()
    while port > 55535:  # the cluster bus listens 10000 above
        port = free_port()
    return port


class Service:
    """A service of several servers: its URL, and clients of each server by its part in it."""

    def __init__(self, url: str, **clients: Redis) -> None:
        self.url = url
        self.clients = clients

    def calm(self) -> None:
        for client in self.clients.values():
            for name, value in SAFE.items():
                client.config_set(name, value)
            client.execute_command("ACL", "SETUSER", "default", "+@all")


@pytest.fixture(scope="module")
def cluster_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two masters, and a replica of the first."""
    names = ("first", "second", "replica")
    ports = {name: port_for_cluster() for name in names}
    options = ("--cluster-enabled", "yes", "--appendonly", "yes")
    with ExitStack() as stack:
        clients = {}
        for name, port in ports.items():
            server = stack.enter_context(running(Server(tmp_path_factory.mktemp(name), *options, port=port)))
            clients[name] = stack.enter_context(server.client())
        clients["first"].execute_command("CLUSTER", "ADDSLOTS", *range(8192))
        clients["second"].execute_command("CLUSTER", "ADDSLOTS", *range(8192, 16384))
        clients["second"].execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
        for name in ("second", "replica"):
            clients[name].execute_command("CLUSTER", "MEET", "127.0.0.1", ports["first"])

        def info(name: str) -> bytes:
            return bytes(clients[name].execute_command("CLUSTER", "INFO"))

        wait_until(lambda: all(b"cluster_known_nodes:3" in info(name) for name in names))
        myself = clients["first"].execute_command("CLUSTER", "MYID").decode()
        clients["replica"].execute_command("CLUSTER", "REPLICATE", myself)
        wait_until(lambda: all(b"cluster_state:ok" in info(name) for name in names))
        wait_until(lambda: clients["replica"].info("replication")["role"] == "slave")
        url = f"redis+cluster://127.0.0.1:{ports['second']}"
        wait_until(lambda: len(RedisConnection(url, 2).service._open_client().get_nodes()) == 3)
        yield Service(url, **clients)


@pytest.fixture(scope="module")
def sentinel_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A master, its replica, and one sentinel that knows both."""
    ports = {"master": free_port(), "replica": free_port(), "sentinel": free_port()}
    directory = tmp_path_factory.mktemp("sentinel")
    (directory / "sentinel.conf").write_text(
        f"port {ports['sentinel']}\nbind 127.0.0.1\ndir {directory}\n"
        f"sentinel monitor sessions 127.0.0.1 {ports['master']} 1\n"
    )
    with ExitStack() as stack:
        clients = {}
        for name in ("master", "replica"):
            made = Server(tmp_path_factory.mktemp(name), "--appendonly", "yes", port=ports[name])
            clients[name] = stack.enter_context(stack.enter_context(running(made)).client())
        clients["replica"].replicaof("127.0.0.1", ports["master"])
        wait_until(lambda: clients["replica"].info("replication")["master_link_status"] == "up")
        watcher = Server(directory, socket_name=None, port=ports["sentinel"])
        watcher._spawn([embedded.binary(), str(directory / "sentinel.conf"), "--sentinel"])
        stack.callback(watcher.stop)
        watcher.wait_for_log(b"+slave")
        yield Service(f"redis+sentinel://127.0.0.1:{ports['sentinel']}/sessions", **clients)


@pytest.fixture(params=["cluster", "sentinel"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    found: Service = request.getfixturevalue(f"{request.param}_service")
    found.calm()
    yield found
    found.calm()


def refusal(service: Service) -> str:
    with pytest.raises(Misconfigured) as caught:
        refuse_unsafe_server(RedisConnection(service.url, 2))
    return str(caught.value)


def readiness(service: Service) -> Readiness:
    settings = Settings(secrets=(SECRET,), redis_url=service.url, public_origin="https://app.example.org")
    return Readiness(RedisConnection(service.url, 2), KeyRing((SECRET,), "test"), settings)


def test_service_with_only_safe_servers_starts(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    refuse_unsafe_server(RedisConnection(service.url, 2))
    assert caplog.records == []
    assert trouble_anywhere(RedisConnection(service.url, 2), REDIS_PREFIX, must_remember=True) is None


@pytest.mark.parametrize(("name", "value"), [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")])
def test_each_server_that_forgets_is_refused_by_name(service: Service, name: str, value: str) -> None:
    for client in service.clients.values():
        client.config_set(name, value)
        port = client.connection_pool.connection_kwargs.get("port") or client.info("server")["tcp_port"]
        sentence = refusal(service)
        assert f"127.0.0.1:{port} has {name} {value}" in sentence
        assert trouble_anywhere(RedisConnection(service.url, 2), REDIS_PREFIX, must_remember=True) == "redis_forgets"
        client.config_set(name, SAFE[name])


def test_ready_hears_of_each_server_that_forgets(service: Service) -> None:
    """In the background: one server that hangs must not make every process slow."""
    for client in service.clients.values():
        client.config_set("appendonly", "no")
        ready = readiness(service)
        wait_until(lambda asked=ready: asked.trouble() == "redis_forgets")  # type: ignore[misc]
        client.config_set("appendonly", "yes")


def test_each_master_is_tried_for_rights(service: Service) -> None:
    masters = [client for client in service.clients.values() if client.info("replication")["role"] == "master"]
    for client in masters:
        client.execute_command("ACL", "SETUSER", "default", "-zadd")
        assert "ACL SETUSER <user> +zadd" in refusal(service)
        client.execute_command("ACL", "SETUSER", "default", "+@all")
    assert len(masters) == len(service.clients) - 1


def test_trying_rights_leaves_nothing_behind(service: Service) -> None:
    refuse_unsafe_server(RedisConnection(service.url, 2))
    assert all(client.keys() == [] for client in service.clients.values())


def test_a_wrong_password_of_a_service_is_refused(service: Service) -> None:
    wrong = service.url.replace("://", "://app:wrong@")
    with pytest.raises(Misconfigured, match="Redis refuses the user or the password"):
        refuse_unsafe_server(RedisConnection(wrong, 2))


def test_a_replica_that_is_gone_does_not_stop_the_start(
    sentinel_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    replica = sentinel_service.clients["replica"]
    sentinel_service.calm()
    replica.execute_command("ACL", "SETUSER", "default", "-info")
    try:
        refuse_unsafe_server(RedisConnection(sentinel_service.url, 2))
        assert "does not let us ask INFO" in caplog.text
    finally:
        replica.execute_command("ACL", "SETUSER", "default", "+@all")


def test_no_service_at_all_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    for scheme, path in (("redis+cluster", ""), ("redis+sentinel", "/sessions")):
        refuse_unsafe_server(RedisConnection(f"{scheme}://127.0.0.1:{free_port()}{path}", 1))
    assert caplog.text.count("were not checked") == 2
