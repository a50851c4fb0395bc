"""One way to Redis: short timeouts, no waiting retries, circuit breakers, and `StoreUnavailable` for all that fails.

`nodes` sends commands to a server; parts bring services of several (`redis_url.register`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError, TryAgainError

from ..errors import StoreUnavailable
from .nodes import Breaker, Command, Node, Server
from .redis_url import read
from .replies import items, pairs
from .scripts import Script

logger = logging.getLogger(__name__)

Place = tuple[int, int]  # where a walk through all keys is: the number of a master, and its SCAN cursor

# KEYS marker -> OK. A write that every replica has to hear of before it can confirm what was written before: WAIT
# counts from the last write of its connection, and ending a session that has ended writes nothing. DEL comes first
# since a Redis out of memory refuses SET as the first write of a script.
_MARK = Script("redis.call('DEL', KEYS[1]) return redis.call('SET', KEYS[1], '', 'PX', 1)")

_FAILOVER = 3.0  # seconds that a revocation waits for a failover under way; a planned one takes one or two


class RedisConnection:
    """Sends commands to the Redis, Valkey, Sentinel service or Cluster at `url`.

    `url` is one of those that `redis_url` reads. `timeout` is in seconds, for connecting and for each answer.
    `observe` is told how long each exchange took, in seconds, failed ones included. `replicas` is how many replicas
    must confirm what ends a session (`revoke`).
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        breaker: Breaker | None = None,
        observe: Callable[[float], None] = lambda seconds: None,
        replicas: int = 0,
    ) -> None:
        self._breaker = breaker or Breaker()
        self.observe = observe
        self._timeout = timeout
        self._replicas = replicas
        # Less than the socket waits: Redis notices up to a tenth of a second late that WAIT has waited long enough.
        self._wait_ms = max(int(timeout * 1000) - 150, int(timeout * 250), 1)
        target = read(url, timeout)
        self.service = target.service(target.open, self._breaker)

    def call(self, *command: str | bytes | int) -> Any:
        """Send one command and return its answer; raise `StoreUnavailable` when there is none."""
        answers: list[Any] = self._timed(self.service.exchange, (command,))
        if isinstance(answers[0], NoScriptError) and command[0] != "EVALSHA":
            # Something between us and Redis answers for it.
            raise StoreUnavailable(str(answers[0]), retry_after=2) from answers[0]
        return self._first(answers)

    def run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run a script and return its answer; raise `StoreUnavailable` when there is none.

        All keys are on one slot, and all but those found in an index are declared.
        """
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # a Redis that was restarted knows no scripts
            return self.call("EVAL", script.text, len(keys), *keys, *arguments)

    def run_each(self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run a script once for each pair of keys and arguments; everything else is as in `run_all`."""
        return self.run_all([(script, keys, arguments) for keys, arguments in calls])

    def run_all(self, calls: Sequence[tuple[Script, Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run scripts, each with its keys and arguments, in one round trip to each master.

        Returns the answers. Raises `StoreUnavailable` if one of them fails; the others were run all the same.
        """
        if not calls:
            return []
        commands = [("EVALSHA", script.sha, len(keys), *keys, *arguments) for script, keys, arguments in calls]
        answers = self._timed(self.service.exchange_each, commands)
        for number, (answer, (script, keys, arguments)) in enumerate(zip(answers, calls, strict=True)):
            if isinstance(answer, NoScriptError):
                answers[number] = self.run(script, keys, *arguments)
        return [self._first([answer]) for answer in answers]

    def values(self, *keys: str) -> list[bytes | None]:
        """Return the values of strings, in one round trip to each master; `None` for what is no string or missing."""
        return items(self.call("MGET", *keys), len(keys)) if keys else []

    def fields(self, key: str) -> Iterator[tuple[bytes, bytes]]:
        """Return the fields and values of a hash."""
        return pairs(self.call("HGETALL", key))

    def reachable(self, *keys: str) -> tuple[str, ...]:
        """Return the keys that a script may read beside those of its slot: all of them, but none on a Cluster, where
        they are on other masters, or will be while the slot moves.
        """
        return keys if self.service.one_server else ()

    def revoke(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> tuple[Any, bool]:
        """Run a script that ends sessions; return its answer, and whether that is confirmed.

        It is not while fewer than `replicas` replicas have it, nor, with Sentinel, if a failover did not end in time
        that began before it was answered: what the former master took is thrown away, so the new one is told again.
        Asking again confirms what has been done already.
        """
        answer, confirmed, settled = self._revoke(script, keys, arguments)
        until = time.monotonic() + _FAILOVER
        while not settled and time.monotonic() < until:
            time.sleep(0.05)
            again, confirmed, settled = self._revoke(script, keys, arguments)
            # -1 is "not on this record", and then the caller has to read it again.
            answer = again if again[0] == -1 else max(answer, again)
        return answer, confirmed and settled

    def scan(self, pattern: str) -> Iterator[str]:
        """Go through all keys that match, without stopping Redis for it; a key may come twice."""
        for keys, _ in self.pages(pattern):
            yield from keys

    def pages(self, pattern: str, since: Place = (0, 0)) -> Iterator[tuple[list[str], Place]]:
        """Go through all keys that match in pages of about a thousand keys of Redis, each with the place after it.

        With `since` it goes on from such a place, as long as the masters are the same and none was restarted.
        """
        number, cursor = since
        for master in self.masters()[number:]:
            while True:
                [(after, keys)] = master(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
                cursor = int(after)
                number += not cursor
                yield [key.decode() for key in keys], (number, cursor)
                if not cursor:
                    break

    def masters(self) -> list[Callable[..., list[Any]]]:
        """Return a function for each master that sends it commands in one round trip and returns their answers."""
        return [partial(self._ask, node) for node in self._timed(self.service.nodes)]

    def _ask(self, node: Node, *commands: Command) -> list[Any]:
        return [self._first([answer]) for answer in self._timed(node.exchange, commands)]

    def one_key_for_each_master(self, prefix: str) -> list[str]:
        """Return random keys that begin with `prefix`, one on each master; those on masters that failed come last.
        May raise `StoreUnavailable`.
        """
        keys: list[str] = self._timed(self.service.one_key_for_each_master, prefix)
        return keys

    def servers(self) -> Iterator[Server]:
        """Go through all servers, replicas included; raise `StoreUnavailable` if they can't be found."""
        return self.service.servers(self.call)

    def close(self) -> None:
        """Close the idle connections."""
        self.service.close()

    def _revoke(self, script: Script, keys: Sequence[str], arguments: Command) -> tuple[Any, bool, bool]:
        if not self._replicas and not self.service.fails_over:
            return self.run(script, keys, *arguments), True, True
        rest: tuple[Command, ...] = ()
        if self._replicas:
            marker = keys[0] + ":mark" if "{" in keys[0] else f"{{{keys[0]}}}:mark"
            rest = (("EVAL", _MARK.text, 1, marker), ("WAIT", self._replicas, self._wait_ms))
        whole = (len(keys), *keys, *arguments)
        try:
            answers, settled = self._settling((("EVALSHA", script.sha, *whole), *rest))
            answer = self._first(answers)
        except NoScriptError:
            answers, settled = self._settling((("EVAL", script.text, *whole), *rest))
            answer = self._first(answers)
        refused = any(isinstance(each, ResponseError) for each in answers)
        return answer, not rest or (not refused and int(answers[-1]) >= self._replicas), settled

    def _settling(self, commands: Sequence[Command]) -> tuple[list[Any], bool]:
        found: tuple[list[Any], bool] = self._timed(self.service.exchange_settled, commands)
        return found

    def _timed(self, step: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            found = step(*arguments)
        except (RedisError, RedisClusterException, OSError) as error:
            self.observe(time.perf_counter() - began)
            raise StoreUnavailable(str(error), retry_after=2) from error
        self.observe(time.perf_counter() - began)
        return found

    @staticmethod
    def _first(answers: list[Any]) -> Any:
        answer = answers[0]
        if isinstance(answer, NoScriptError):
            raise answer
        if isinstance(answer, ResponseError):
            raise StoreUnavailable(str(answer), retry_after=2) from answer
        return answer


def slot_is_moving(error: StoreUnavailable) -> bool:
    """Whether a Cluster refused keys together that are on two masters, while their slot moves to another."""
    return isinstance(error.__cause__, TryAgainError)
