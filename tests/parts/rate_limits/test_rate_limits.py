"""Limits by network and by browser: exact, in one place for all processes, and there without Redis too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from sessions_core.errors import Misconfigured, RateLimited
from sessions_core.parts.rate_limits.options import RateLimitSettings
from sessions_core.parts.rate_limits.rate_limits import RateLimits, network_of
from sessions_core.storage.connection import Breaker, RedisConnection

from ...actors import together
from ...constants import ANOTHER, REDIS_PREFIX, SECRET
from ...servers import Listener, Server, commands_run, running

HERE, THERE = "203.0.113.7", "203.0.113.8"
COOKIE, OTHER_COOKIE = "c" * 43, "d" * 43


def of(link: RedisConnection, secrets: tuple[str, ...] = (SECRET,), **limits: str) -> RateLimits:
    none = dict.fromkeys(("challenges_per_address", "challenges_per_browser"), "0")
    return RateLimits(link, REDIS_PREFIX, secrets, RateLimitSettings(**(none | limits)))


@pytest.fixture
def link(redis: Redis, redis_url: str) -> Iterator[RedisConnection]:
    link = RedisConnection(redis_url, 2)
    yield link
    link.close()


@pytest.fixture
def two(link: RedisConnection) -> RateLimits:
    """Two from one address."""
    return of(link, challenges_per_address="2/minute")


def refused(limits: RateLimits, address: str = HERE, browser: str | None = None, name: str = "challenges") -> bool:
    try:
        limits.hit(name, address, browser)
    except RateLimited:
        return True
    return False


def many(times: int, limits: RateLimits, address: str = HERE, browser: str | None = None) -> list[bool]:
    return [refused(limits, address, browser) for _ in range(times)]


# -- Who counts together -----------------------------------------------------------------------------------------


def test_each_address_has_its_own_limit(two: RateLimits) -> None:
    assert many(4, two) == [False, False, True, True]
    assert many(3, two, THERE) == [False, False, True]


def test_ipv6_addresses_count_by_their_64_prefix(two: RateLimits) -> None:
    assert not refused(two, "2001:db8:1:2::1")
    assert not refused(two, "2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert refused(two, "2001:db8:1:2:aaaa::3")
    assert not refused(two, "2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:CB00:7107", "203.0.113.7"),
        ("2001:DB8::1", "2001:db8::/64"),
        ("2001:db8:0:0:1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::/64"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        # No addresses: counted apart by what the server or a trusted proxy wrote, never all as one.
        ("unix:", "unix:"),
        ("0xcb007107", "0xcb007107"),
        ("203.0.113.007", "203.0.113.007"),
        ("_hidden-by-the-proxy", "_hidden-by-the-proxy"),
        ("x" * 10_000, "x" * 100),
    ],
)
def test_an_address_is_counted_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_two_browsers_of_one_address_count_apart(link: RedisConnection) -> None:
    limits = of(link, challenges_per_address="100/minute", challenges_per_browser="2/minute")
    assert many(3, limits, browser=COOKIE) == [False, False, True]
    assert many(3, limits, browser=OTHER_COOKIE) == [False, False, True]
    assert many(3, limits) == [False, False, False]


def test_one_browser_counts_wherever_it_moves(link: RedisConnection) -> None:
    limits = of(link, challenges_per_browser="2/minute")
    addresses = (HERE, THERE, "2001:db8::1")
    assert [refused(limits, address, COOKIE) for address in addresses] == [False, False, True]


def test_forged_cookies_bypass_no_limit_and_fill_no_redis(link: RedisConnection, redis: Redis) -> None:
    limits = of(link, challenges_per_address="3/minute", challenges_per_browser="2/minute")
    assert [refused(limits, HERE, f"{number:043}") for number in range(20)] == [False] * 3 + [True] * 17
    assert redis.dbsize() == 4


def test_each_rate_limit_counts_separately(link: RedisConnection) -> None:
    limits = of(
        link, challenges_per_address="1/minute", sign_ins_per_address="1/minute", refreshes_per_address="1/minute"
    )
    for name in ("challenges", "sign_ins", "refreshes"):
        assert not refused(limits, name=name)
        assert refused(limits, name=name)


# -- How long ----------------------------------------------------------------------------------------------------


def wait_after(limits: RateLimits) -> int:
    with pytest.raises(RateLimited) as caught:
        limits.hit("challenges", HERE, None)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_retry_after_is_the_rest_of_the_window(two: RateLimits, redis: Redis) -> None:
    """No refusal lengthens it."""
    assert many(2, two) == [False, False]
    assert 55 <= wait_after(two) <= 60
    (key,) = redis.keys()
    redis.pexpire(key, 40_500)
    assert 35 <= wait_after(two) <= 41
    assert redis.pttl(key) <= 40_500
    redis.delete(key)  # the window is over
    assert many(3, two) == [False, False, True]


def test_retry_after_is_at_least_one_second(two: RateLimits, redis: Redis) -> None:
    assert many(2, two) == [False, False]
    (key,) = redis.keys()
    redis.set(key, 7, px=300)
    assert wait_after(two) == 1


def test_a_counter_that_lost_its_clock_gets_it_back(two: RateLimits, redis: Redis) -> None:
    assert not refused(two)
    (key,) = redis.keys()
    redis.persist(key)
    assert not refused(two)
    assert 0 < redis.ttl(key) <= 60


def test_two_combined_limits_both_apply(link: RedisConnection, redis: Redis) -> None:
    limits = of(link, challenges_per_address="2/minute; 3/hour")
    assert many(3, limits) == [False, False, True]
    minute = next(key for key in redis.scan_iter() if redis.ttl(key) <= 60)
    redis.delete(minute)
    assert not refused(limits)  # the third of the hour: what the minute refused was none
    assert 3000 < wait_after(limits) <= 3600


@pytest.mark.parametrize("text", ["0", "", " 0 "])
def test_limit_of_none_never_asks_redis(link: RedisConnection, redis: Redis, text: str) -> None:
    limits = of(link, challenges_per_address=text)
    redis.config_resetstat()
    assert not any(many(50, limits))
    assert commands_run(redis) == {}


@pytest.mark.parametrize(
    "text", ["many", "0/minute", "-1/minute", "5", "5/fortnight", "5/year", "2/month", "1e3/minute"]
)
def test_malformed_limit_stops_the_start_with_an_example(link: RedisConnection, text: str) -> None:
    with pytest.raises(Misconfigured, match=r"SESSIONS_CORE_CHALLENGES_PER_ADDRESS = .* is no limit. Write it like"):
        of(link, challenges_per_address=text)


def test_a_race_lets_no_more_through(two: RateLimits, link: RedisConnection) -> None:
    limits = of(link, challenges_per_address="10/minute")
    assert sorted(together(*[lambda: refused(limits)] * 30)) == [False] * 10 + [True] * 20


# -- In Redis ----------------------------------------------------------------------------------------------------


def test_processes_count_together(two: RateLimits, redis_url: str) -> None:
    assert not refused(two)
    another = of(RedisConnection(redis_url, 2), challenges_per_address="2/minute")
    assert many(2, another) == [False, True]


def test_processes_count_together_while_the_secret_changes(link: RedisConnection) -> None:
    """One has swapped the new secret and the former one, the other not yet."""
    one = of(link, (SECRET, ANOTHER), challenges_per_address="2/minute")
    other = of(link, (ANOTHER, SECRET), challenges_per_address="2/minute")
    assert [refused(one), refused(other), refused(one), refused(other)] == [False, False, True, True]


def test_a_limit_is_one_round_trip(link: RedisConnection, redis: Redis) -> None:
    limits = of(link, challenges_per_address="100/minute", challenges_per_browser="100/minute")
    limits.hit("challenges", HERE, COOKIE)
    redis.config_resetstat()
    limits.hit("challenges", HERE, COOKIE)
    assert commands_run(redis)["evalsha"] == 2
    assert commands_run(redis).keys() <= {"evalsha", "incrby", "pttl"}


def test_redis_holds_no_address_and_no_cookie(link: RedisConnection, redis: Redis) -> None:
    limits = of(link, challenges_per_address="9/minute", challenges_per_browser="9/minute")
    limits.hit("challenges", HERE, COOKIE)
    dump = b" ".join(key + b" " + (redis.get(key) or b"") for key in redis.scan_iter()).decode()
    assert len(redis.keys()) == 2
    assert dump.count(f"{REDIS_PREFIX}limit:") == 2
    assert HERE not in dump
    assert COOKIE[:8] not in dump


def test_every_form_of_url_counts(other_url: str) -> None:
    assert many(3, of(RedisConnection(other_url, 2), challenges_per_address="2/minute")) == [False, False, True]


# -- Without Redis -----------------------------------------------------------------------------------------------


def test_without_redis_memory_counts_until_it_is_back(tmp_path: Path) -> None:
    now = [0.0]
    server = Server(tmp_path)
    with running(server):
        limits = of(RedisConnection(server.url, 1, Breaker(lambda: now[0])), challenges_per_address="2/minute")
        assert many(3, limits) == [False, False, True]
        server.stop()
        assert many(5, limits) == [False, False, True, True, True]
        assert 55 <= wait_after(limits) <= 60
        server.start()
        now[0] = 100.0
        assert many(3, limits) == [False, False, True]  # a server without a file has forgotten


def test_a_full_redis_is_no_way_around_a_limit(tmp_path: Path) -> None:
    with running(Server(tmp_path)) as server, server.client() as client:
        client.config_set("maxmemory", 1)
        assert many(3, of(RedisConnection(server.url, 1), challenges_per_address="2/minute")) == [False, False, True]


def test_a_redis_that_hangs_is_asked_three_times_and_then_spared() -> None:
    with Listener() as listener:
        limits = of(RedisConnection(listener.url, 0.05, Breaker(lambda: 0.0)), challenges_per_address="50/minute")
        assert not any(many(50, limits))
        assert refused(limits)
        assert listener.connections == 3


def test_memory_is_made_only_once_it_is_needed(two: RateLimits) -> None:
    refused(two)
    assert "_memory" not in vars(two._strategy.storage)
