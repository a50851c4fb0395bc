"""Redis Cluster: which master has a key, and where to go when it has moved.

redis-py finds the nodes. Commands are sent as to a single server (`nodes`), with a circuit breaker for each master:
the loss of one does not affect users with sessions on another.
"""

from __future__ import annotations

import binascii
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from redis import RedisCluster
from redis.cluster import ClusterNode
from redis.exceptions import (
    AskError,
    MovedError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)

from ...errors import StoreUnavailable
from ...storage.nodes import Breaker, Command, Node, Server, Service, asker, new_connection
from ...storage.redis_url import Kind, Options, database, nodes

_SLOTS = 16384
_REDIRECTIONS = 8
_REST = 0.2  # seconds between two looks at the table of slots: an outage must not make a storm of them
_PATIENCE = 0.1  # seconds that a script waits for its keys, some of which have moved, to be together again
_ASKING: Command = ("ASKING",)


class Cluster(Service):
    """Sends commands to the master that has their key.

    `open_client` returns a client of redis-py, and raises what it raises while no node answers: the Cluster is asked
    for its nodes with the first command, so that we start while it is down. `breaker` spares the nodes of the URL
    while none of them answers.
    """

    one_server = False

    def __init__(self, open_client: Callable[[], Any], breaker: Breaker) -> None:
        self._open_client = open_client
        self.breaker = breaker
        self.client: Any = None
        self._nodes: dict[str, Node] = {}
        self._owners: dict[int, Node] = {}
        self._lock = threading.Lock()  # held while the table is read
        self._looked_at = 0.0
        self._pid = os.getpid()

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands to the master that has the key of the first one, in one piece, and return their answers.

        MGET takes keys of several masters. A `ResponseError` that the server answered is in the list, but for
        redirections, which are followed: they are no failure of any node. Raises `StoreUnavailable` while the circuit
        of that master is open, and what redis-py raises when there is no answer.
        """
        key = key_of(commands[0])
        if key is None:
            return self._anywhere(commands)
        slot = slot_of(key)
        if commands[0][0] == "MGET":
            slots = _by_slot(commands[0][1:])
            if len(slots) > 1:
                return [self._of_several_slots(commands[0][1:], slots)]
        node, asking, lost, redirections = self._owner(slot), False, False, 0
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                answers = _ask(node, commands) if asking else node.exchange(commands)
            except (RedisError, OSError):
                newer = None if lost else self._newer_owner(slot, node)
                if newer is None:
                    raise
                node, asking, lost = newer, False, True  # it has been promoted: once more, and there
                continue
            refusal = answers[0]
            if isinstance(refusal, AskError) and redirections < _REDIRECTIONS:
                node, asking = self._node(refusal.host, refusal.port), not isinstance(refusal, MovedError)
                redirections += 1
                if not asking:
                    self._owners[slot] = node
            elif isinstance(refusal, TryAgainError) and commands[0][0] == "MGET":
                return [self._one_by_one(commands[0][1:])]
            elif isinstance(refusal, TryAgainError) and time.monotonic() < until:
                time.sleep(0.01)
                node, asking, redirections = self._owner(slot), False, 0
            else:
                return answers

    def exchange_each(self, commands: Sequence[Command]) -> list[Any]:
        """Send each command to the master that has its first key, in one round trip to each master; return the
        answers in the order of the commands.
        """
        answers: list[Any] = [None] * len(commands)
        places: dict[Node, list[int]] = {}
        for place, command in enumerate(commands):
            places.setdefault(self._owner(_slot_of_command(command)), []).append(place)
        for node, of_node in places.items():
            found = self._pipeline(node, [commands[place] for place in of_node])
            for place, answer in zip(of_node, found, strict=True):
                if isinstance(answer, MovedError):  # or the next try would be sent there for nothing
                    self._owners[_slot_of_command(commands[place])] = self._node(answer.host, answer.port)
                redirected = isinstance(answer, (AskError, TryAgainError))
                answers[place] = self.exchange((commands[place],))[0] if redirected else answer
        return answers

    def _pipeline(self, node: Node, commands: Sequence[Command]) -> list[Any]:
        if len(commands) == 1:
            return self.exchange(commands)
        try:
            return node.exchange(commands)
        except (RedisError, OSError):
            if self._newer_owner(_slot_of_command(commands[0]), node) is None:
                raise
        return [self.exchange((command,))[0] for command in commands]  # a replica has taken its place

    def _one_by_one(self, keys: Sequence[str | bytes | int]) -> Any:
        # The slot is on its way to another master, and the keys are not all on one of the two: those that don't exist
        # count as there already, so that it can last as long as the move. From the last to the first: a record, which
        # carries the epochs that it saw, is read after them, so that a change in between can't make a living session
        # look older than its account's epoch.
        read = [self.exchange([("GET", key)])[0] for key in reversed(keys)]
        return next((each for each in read if isinstance(each, ResponseError)), read[::-1])

    def _of_several_slots(self, keys: Sequence[Any], slots: dict[int, list[Any]]) -> Any:
        answers = self.exchange_each([("MGET", *of_slot) for of_slot in slots.values()])
        found: dict[Any, Any] = {}
        for of_slot, answer in zip(slots.values(), answers, strict=True):
            if isinstance(answer, ResponseError):
                return answer
            found.update(zip(of_slot, answer, strict=True))
        return [found[key] for key in keys]

    def nodes(self) -> list[Node]:
        """Return the masters that have slots, once each."""
        if not self._owners:
            self._look(self._owners)
        return list(dict.fromkeys(list(self._owners.values())))  # a copy: another thread may follow a redirection

    def one_key_for_each_master(self, prefix: str) -> list[str]:
        """Return random keys that begin with `prefix`, one on each master; those on masters that failed come last."""
        missing, owners, found = set(self.nodes()), self._owners.copy(), dict[Node, str]()
        missing &= set(owners.values())
        while missing:
            key = prefix + secrets.token_hex(8)
            node = owners.get(slot_of(key))
            if node in missing:
                missing.remove(node)
                found[node] = key
        return [found[node] for node in sorted(found, key=lambda node: node.breaker.failing)]

    def servers(self, ask: Callable[..., Any]) -> Iterator[Server]:
        """Go through all nodes, with connections of our own: requests go to masters only."""
        try:
            client = self._open_client()
        except (RedisError, RedisClusterException, OSError) as error:
            raise StoreUnavailable(str(error), retry_after=2) from error
        try:
            for node in client.get_nodes():
                slots = [slot for slot, owners in client.nodes_manager.slots_cache.items() if owners[0] == node]
                of_node = asker(client.get_redis_connection(node))
                yield Server(f"The Redis node {node.name}", of_node, bool(slots), frozenset(slots))
        finally:
            client.close()

    def close(self) -> None:
        """Close the idle connections."""
        for node in self._nodes.values():
            node.close()
        if self.client is not None:
            self.client.close()

    def _anywhere(self, commands: Sequence[Command]) -> list[Any]:
        failure: Exception = RedisClusterException("no master is known")
        for node in self.nodes():
            try:
                return node.exchange(commands)
            except (RedisError, OSError, StoreUnavailable) as error:
                failure = error
        try:
            raise failure
        finally:
            del failure  # its traceback has this frame

    def _owner(self, slot: int) -> Node:
        node = self._owners.get(slot)
        if node is None:
            self._look(self._owners)
            node = self._owners.get(slot)
        if node is None:
            raise RedisClusterException(f"no master has slot {slot}")
        return node

    def _newer_owner(self, slot: int, lost: Node) -> Node | None:
        try:
            self._look(self._owners)
        except (RedisError, RedisClusterException, OSError, StoreUnavailable):
            return None  # what the lost node said is the better reason
        newer = self._owners.get(slot)
        return None if newer is lost else newer

    def _look(self, known: dict[int, Node]) -> None:
        """Read the table of slots, unless another thread has while we waited, or one just did."""
        if self._pid != os.getpid():  # a thread of the parent may have held the lock when it forked
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock:
            if self._owners is not known or (known and time.monotonic() < self._looked_at + _REST):
                return
            try:
                self._owners = self._table() or self._first_table()
            finally:
                self._looked_at = time.monotonic()

    def _table(self) -> dict[int, Node]:
        # A node that is away must not be waited for again and again: the others know what has become of it.
        for name, node in list(self._nodes.items()):
            try:
                [answer] = node.exchange([("CLUSTER", "SLOTS")])
                if isinstance(answer, ResponseError) or not answer:
                    continue
                asked = name.rpartition(":")[0]
                return {
                    slot: self._node(host.decode() if host else asked, port)  # a node may not know its own address
                    for first, last, (host, port, *_), *_ in answer
                    for slot in range(first, last + 1)
                }
            except (RedisError, OSError, StoreUnavailable):
                continue
        return {}

    def _first_table(self) -> dict[int, Node]:
        self.breaker.check()
        try:
            self.client = self._open_client()
        except (RedisError, RedisClusterException, OSError):
            self.breaker.failed()
            raise
        self.breaker.succeeded()
        found = self.client.nodes_manager.slots_cache
        return {slot: self._node(owner.host, owner.port) for slot, (owner, *_) in found.items()}

    def _node(self, host: str, port: int) -> Node:
        name = f"{host}:{port}"
        node = self._nodes.get(name)
        if node is None:
            pool = self.client.get_redis_connection(ClusterNode(host, port)).connection_pool  # type: ignore[no-untyped-call]
            made = Node(partial(new_connection, pool), Breaker(self.breaker.clock, f"The Redis node {name}"))
            node = self._nodes.setdefault(name, made)
        return node


def key_of(command: Command) -> str | bytes | None:
    """Return the key that decides which master a command goes to; `None` if it has none."""
    name = command[0]
    if name in ("EVALSHA", "EVAL"):
        return command[3] if int(command[2]) else None  # type: ignore[return-value]  # keys are never numbers
    if name in ("PING", "INFO", "TIME", "PUBLISH", "CLIENT", "CONFIG", "SCAN", "ACL", "COMMAND", "CLUSTER"):
        return None
    return command[1] if len(command) > 1 else None  # type: ignore[return-value]


def _slot_of_command(command: Command) -> int:
    key = key_of(command)
    if key is None:
        raise ValueError(f"{command[0]!r} has no key, so no master of a Cluster is its own")
    return slot_of(key)


def _by_slot(keys: Sequence[Any]) -> dict[int, list[Any]]:
    slots: dict[int, list[Any]] = {}
    for key in keys:
        slots.setdefault(slot_of(key), []).append(key)
    return slots


def slot_of(key: str | bytes) -> int:
    """Return the hash slot of a key, by its hash tag if it has one."""
    raw = key.encode() if isinstance(key, str) else key
    begin = raw.find(b"{")
    end = raw.find(b"}", begin + 1)
    if begin >= 0 and end > begin + 1:
        raw = raw[begin + 1 : end]
    return binascii.crc_hqx(raw, 0) % _SLOTS


def _ask(node: Node, commands: Sequence[Command]) -> list[Any]:
    answers = node.exchange([each for command in commands for each in (_ASKING, command)])
    return answers[1::2]


def _read(hosts: str, path: str, tls: bool, options: Options) -> Callable[[], Any]:
    if database(path, options) != 0:
        raise ValueError("a Cluster has no database but 0: leave it out, and use SESSIONS_CORE_REDIS_PREFIX")
    options.pop("db", None)
    found = [ClusterNode(*node) for node in nodes(hosts, 6379)]  # type: ignore[no-untyped-call]
    if tls:
        options["ssl"] = True
    return partial(RedisCluster, startup_nodes=found, **options)


KIND = Kind(Cluster, _read)
