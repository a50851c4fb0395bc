"""Limits how often one network, and one browser, may ask for something. Counted in Redis, or in memory if it is down.

A limit belongs to where a request comes from and never to the account that it names: an attacker can name any
account, and must not lock its user out.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from functools import cached_property
from ipaddress import ip_network
from typing import NamedTuple

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, Storage
from limits.strategies import FixedWindowRateLimiter

from ...errors import Misconfigured, RateLimited, StoreUnavailable
from ...settings import DAY, PREFIX
from ...sign_in.addresses import read_address
from ...storage.connection import RedisConnection
from ...storage.replies import number
from ...storage.scripts import Script
from .options import RateLimitSettings

# KEYS counter; ARGV seconds, number -> what the counter is now. It lives as long as its window.
_COUNT = Script("""
local count = redis.call('INCRBY', KEYS[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
""")


class Counters(Storage):
    """The counters of `limits` over our own connections: their timeouts, their circuit breaker, every form of URL.

    Without Redis each process counts by itself, in memory.
    """

    STORAGE_SCHEME = None

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        super().__init__()
        self._connection = connection
        self._prefix = prefix

    @cached_property
    def _memory(self) -> MemoryStorage:
        return MemoryStorage()  # made once it is needed: it starts a thread

    @property
    def base_exceptions(self) -> type[Exception]:
        """The exceptions that `limits` may wrap; none leaves this module."""
        return StoreUnavailable

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter that lives for `expiry` seconds from its first count; return what it is then."""
        try:
            return number(self._connection.run(_COUNT, (self._prefix + key,), expiry, amount))
        except StoreUnavailable:
            return self._memory.incr(key, expiry, amount)

    def get(self, key: str) -> int:
        """Return what a counter is."""
        try:
            return number(self._connection.call("GET", self._prefix + key) or 0)
        except StoreUnavailable:
            return self._memory.get(key)

    def get_expiry(self, key: str) -> float:
        """Return when a counter starts again, in seconds since the epoch."""
        try:
            return time.time() + max(0, number(self._connection.call("PTTL", self._prefix + key))) / 1000
        except StoreUnavailable:
            return self._memory.get_expiry(key)

    def clear(self, key: str) -> None:
        """Forget a counter."""
        try:
            self._connection.call("DEL", self._prefix + key)
        except StoreUnavailable:
            self._memory.clear(key)

    def check(self) -> bool:
        """Whether counting works, which it always does."""
        return True

    def reset(self) -> None:
        """Refuse to forget everything: it is not used."""
        raise NotImplementedError


class _Limits(NamedTuple):
    address: list[RateLimitItem]
    browser: list[RateLimitItem]


class RateLimits:
    """Counts `challenges`, `sign_ins` and `refreshes`."""

    def __init__(
        self, connection: RedisConnection, prefix: str, secrets: Sequence[str], options: RateLimitSettings
    ) -> None:
        self._strategy = FixedWindowRateLimiter(Counters(connection, f"{prefix}limit:"))
        # Not the newest: during a rotation, processes that know the same secrets in another order count together.
        secret = min(secrets).encode("utf-8", "surrogatepass")
        self._key = hashlib.sha256(b"rate limits" + secret).digest()
        self._limits = {
            "challenges": _Limits(
                _parse("challenges_per_address", options.challenges_per_address),
                _parse("challenges_per_browser", options.challenges_per_browser),
            ),
            "sign_ins": _Limits(
                _parse("sign_ins_per_address", options.sign_ins_per_address),
                _parse("sign_ins_per_browser", options.sign_ins_per_browser),
            ),
            "refreshes": _Limits(_parse("refreshes_per_address", options.refreshes_per_address), []),
        }

    def hit(self, name: str, address: str, browser: str | None) -> None:
        """Count a request from an IP address and, if it brought one, a pre-sign-in cookie.

        Raises `RateLimited` with the seconds to wait. A round trip for each limit. A refused request does not extend
        the wait.
        """
        limits = self._limits[name]
        # The address first: cookies can be made up, and each new one would be a new counter.
        self._count(limits.address, name, "address", network_of(address))
        if browser is not None:
            self._count(limits.browser, name, "browser", browser)

    def _count(self, limits: list[RateLimitItem], name: str, kind: str, source: str) -> None:
        # Redis must not store addresses, or cookies that challenges are bound to.
        digest = hashlib.blake2b(source.encode(), digest_size=12, key=self._key).hexdigest()
        for limit in limits:
            if not self._strategy.hit(limit, name, kind, digest):
                again = self._strategy.get_window_stats(limit, name, kind, digest).reset_time - time.time()
                raise RateLimited(name, kind, retry_after=max(1, math.ceil(again)))


def network_of(address: str) -> str:
    """Return what an address is counted as: an IPv4 address itself, of IPv6 the /64 that one customer has.

    A malformed address counts by its text, which the server or a trusted proxy wrote.
    """
    found = read_address(address)
    if found is None:
        return address[:100]
    return str(ip_network((int(found), 64), strict=False)) if found.version == 6 else str(found)


def _parse(name: str, text: str) -> list[RateLimitItem]:
    if text.strip() in ("", "0"):
        return []
    try:
        limits = parse_many(text)
    except ValueError:
        limits = []
    if not limits or any(limit.amount < 1 or not 1 <= limit.get_expiry() <= DAY for limit in limits):
        raise Misconfigured(
            f"{PREFIX}{name.upper()} = {text!r} is no limit. Write it like "
            '"30/minute" or "30/minute; 500/hour", up to a day, and "0" for none.'
        )
    return limits
