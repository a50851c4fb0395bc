"""A real Cluster of three masters and three replicas, and a real Sentinel service of a master, replicas and three
sentinels: what a test breaks in them breaks as in production.

A test ends, freezes or kills a node by its own process id; all of them end with the tests.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from sessions_core.parts.development_redis import embedded
from sessions_core.parts.high_availability.cluster import slot_of

from .servers import Server, free_port

SLOTS = 16384
NODE_TIMEOUT = 1000  # milliseconds until a master counts as failed


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Ask again and again until the answer is true; return it. A server that can't answer yet is asked again."""
    until, pause = time.monotonic() + seconds, threading.Event()
    while True:
        with contextlib.suppress(RedisError, OSError):
            found = condition()
            if found:
                return found
        assert time.monotonic() < until, f"{seconds} seconds have passed"
        pause.wait(0.02)


class Member(Server):
    """A server of a Cluster or of a Sentinel service. It logs to a file: a pipe that nobody reads would stop it."""

    def __init__(self, directory: Path, port: int, *options: str) -> None:
        quick = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--appendonly", "yes")
        log = ("--logfile", str(directory / "log"))
        super().__init__(directory, *log, *quick, *options, socket_name=None, port=port)
        self.port = port
        self.process = 0

    def start(self, ready: bytes | None = None) -> Member:
        super().start(ready=None)
        wait_until(lambda: self.ask("PING"))
        self.process = self.pid()
        return self

    def ask(self, *command: Any) -> Any:
        """Return what it answers to a command of an administrator."""
        with Redis(port=self.port, socket_timeout=5) as client:
            return client.execute_command(*command)

    def crash(self) -> None:
        """End it as the power cut does."""
        os.kill(self.process, signal.SIGKILL)
        self.stop()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it in its tracks: connections are accepted, and nobody answers."""
        os.kill(self.process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process, signal.SIGCONT)


class SentinelServer(Server):
    """A sentinel that watches a master under the name `sessions`; so many of them must agree that it is down."""

    def __init__(self, directory: Path, port: int, master_port: int, quorum: int = 1) -> None:
        super().__init__(directory, socket_name=None, port=port)
        self.port = port
        self._master_port = master_port
        self._quorum = quorum

    def start(self, ready: bytes | None = b"+monitor master sessions") -> SentinelServer:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nbind 127.0.0.1\ndir {self.directory}\n"
            f"sentinel monitor sessions 127.0.0.1 {self._master_port} {self._quorum}\n"
            f"sentinel down-after-milliseconds sessions 1000\nsentinel failover-timeout sessions 5000\n"
        )
        self._spawn([embedded.binary(), str(config), "--sentinel"])
        self.wait_for_log(ready or b"")
        return self


class Cluster:
    """Three masters, the slots in equal parts, each with one replica: `nodes[n + 3]` begins as that of `nodes[n]`."""

    def __init__(self, directory: Path, *options: str) -> None:
        settings = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT))
        # A replica belongs to its master, and may be promoted however late it is: tests break more than one node.
        settings += ("--cluster-allow-replica-migration", "no", "--cluster-replica-validity-factor", "0", *options)
        self.nodes = [Member(directory / str(number), _bus_port(), *settings) for number in range(6)]
        self.url = f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def start(self) -> Cluster:
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        for number, node in enumerate(self.nodes[:3]):
            node.ask("CLUSTER", "ADDSLOTS", *_part(number))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in others:
            node.ask("CLUSTER", "MEET", "127.0.0.1", first.port)
        wait_until(lambda: all(len(self.view(node)) == 6 for node in self.nodes))
        for master, replica in zip(self.nodes[:3], self.nodes[3:], strict=True):
            identity = master.ask("CLUSTER", "MYID")
            wait_until(lambda r=replica, i=identity: r.ask("CLUSTER", "REPLICATE", i))
        wait_until(self.whole)
        return self

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def view(self, node: Member) -> dict[str, Any]:
        """Return the nodes as one of them sees them."""
        return node.ask("CLUSTER NODES")

    def whole(self) -> bool:
        """Whether all six serve: each master with its replica, and everybody knows."""
        for node in self.nodes:
            if node.ask("CLUSTER INFO")["cluster_state"] != "ok":
                return False
            flags = [each["flags"] for each in self.view(node).values()]
            if (
                any("fail" in each or "handshake" in each for each in flags)
                or sum("slave" in each for each in flags) != 3
            ):
                return False
            replication = node.ask("INFO", "replication")
            if replication.get("master_link_status") != "up" and replication["connected_slaves"] != 1:
                return False
        return True

    def masters(self) -> list[Member]:
        """Return the masters that have slots."""
        return list(dict.fromkeys(self.master_of(slot) for slot in (0, SLOTS // 2, SLOTS - 1)))

    def owner(self, key: str) -> Member:
        """Return the master that has a key now."""
        return self.master_of(slot_of(key))

    def master_of(self, slot: int) -> Member:
        """Return the master that has a slot now."""
        return next(node for node in self.nodes if self._has(node, slot))

    def replica_of(self, master: Member) -> Member:
        """Return the replica of a master."""
        identity = master.ask("CLUSTER", "MYID").decode()
        views = self.view(master)
        port = next(int(name.rpartition(":")[2]) for name, each in views.items() if each["master_id"] == identity)
        return next(node for node in self.nodes if node.port == port)

    def begin_to_move(self, slot: int, source: Member, target: Member) -> None:
        """Begin to move a slot; its keys stay where they are."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))

    def move_keys(self, slot: int, source: Member, target: Member, most: int = 10_000) -> int:
        """Move at most that many keys of a slot that is being moved; return how many were."""
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, most)
        if keys:
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end_of_move(self, slot: int, source: Member, target: Member) -> None:
        """Give the slot to its new master, and tell all masters."""
        identity = target.ask("CLUSTER", "MYID")
        for node in (target, source, *(each for each in self.masters() if each not in (source, target))):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", identity)

    def _has(self, node: Member, slot: int) -> bool:
        try:
            views = self.view(node)
        except (RedisError, OSError):
            return False
        mine = next(each for each in views.values() if "myself" in each["flags"])
        if "master" not in mine["flags"]:
            return False
        return any(int(part[0]) <= slot <= int(part[-1]) for part in mine["slots"])


class Sentinels:
    """A master, its replicas and three sentinels that watch it under the name `sessions`."""

    def __init__(self, directory: Path, replicas: int = 1, *options: str) -> None:
        self.servers = [Member(directory / str(number), free_port(), *options) for number in range(1 + replicas)]
        master = self.servers[0].port
        self.sentinels = [SentinelServer(directory / f"s{number}", free_port(), master, 2) for number in range(3)]
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        self.url = f"redis+sentinel://{hosts}/sessions/0"

    def start(self) -> Sentinels:
        for server in self.servers:
            server.start()
        for server in self.servers[1:]:
            server.ask("REPLICAOF", "127.0.0.1", self.servers[0].port)
        wait_until(lambda: self.replicas_of(self.servers[0]) == len(self.servers) - 1)
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(self.whole)
        return self

    def stop(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.stop()

    @staticmethod
    def replicas_of(server: Member) -> int:
        return int(server.ask("INFO", "replication")["connected_slaves"])

    def whole(self) -> bool:
        """Whether each sentinel knows the others and all replicas, and a failover could begin."""
        states = [self.state(each) for each in self.sentinels]
        return all(
            state["num-other-sentinels"] == 2
            and state["num-slaves"] == len(self.servers) - 1
            and "failover_in_progress" not in state["flags"]
            and state["flags"] == "master"
            for state in states
        )

    @staticmethod
    def state(sentinel: SentinelServer) -> dict[str, Any]:
        with Redis(port=sentinel.port, socket_timeout=5) as client:
            return client.sentinel_master("sessions")

    def master(self) -> Member:
        """Return the server that all sentinels call the master, once they agree."""
        ports = wait_until(lambda: len(found := {self.state(each)["port"] for each in self.sentinels}) == 1 and found)
        return next(server for server in self.servers if server.port in ports)

    def masters(self) -> list[Member]:
        return [self.master()]

    def fail_over(self) -> None:
        """Have a replica promoted, as an administrator does before maintenance. It has only begun."""
        with Redis(port=self.sentinels[0].port, socket_timeout=5) as client:
            client.execute_command("SENTINEL", "FAILOVER", "sessions")


@contextmanager
def cluster(directory: Path, *options: str) -> Iterator[Cluster]:
    with ExitStack() as stack:
        made = Cluster(directory, *options)
        stack.callback(made.stop)
        yield made.start()


@contextmanager
def sentinel(directory: Path, replicas: int = 1, *options: str) -> Iterator[Sentinels]:
    with ExitStack() as stack:
        made = Sentinels(directory, replicas, *options)
        stack.callback(made.stop)
        yield made.start()


def empty(made: Cluster | Sentinels) -> None:
    """Delete everything, on the replicas too, so that no replica is behind."""
    for master in made.masters():
        master.ask("FLUSHALL")
        master.ask("WAIT", 1, 5000)


def _part(number: int) -> range:
    return range(SLOTS * number // 3, SLOTS * (number + 1) // 3)


def _bus_port() -> int:
    # The bus of the Cluster listens 10000 above. Both are below what the kernel gives to clients (32768 and up).
    while True:
        port = random.randint(11_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port
