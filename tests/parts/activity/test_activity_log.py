"""What is written down, for how long, and what it takes to fill it, forge it, read it or lose it."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.activity import activity_log
from sessions_core.parts.activity.activity_log import ActivityLog, Entry, Page
from sessions_core.parts.activity.options import ActivitySettings
from sessions_core.parts.devices.events import ClientChanged, SessionNamed
from sessions_core.parts.roles.events import RoleChanged
from sessions_core.sessions.record import account_tag
from sessions_core.settings import DAY
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.encryption import KeyRing
from sessions_core.web.request_client import Client

from ...activity import HERE, THERE, created, failed, wait_a_millisecond
from ...actors import together
from ...claims import event_classes
from ...clusters import Cluster
from ...constants import ALICE, BOB, REDIS_PREFIX, ROOT, SECRET
from ...event_types import event_types
from ...servers import Listener, Server, commands_run, frozen, running
from ...stored import encoded_entry, link_of, sealed_entry
from ...time_machine import TimeMachine

MOST = 100
PURPOSE = "test audit"
STRANGER = "eip155:1:0x8617E340B3D01FA5F11F306F4090FD50E238070D"


def renewed(account: str = ALICE, handle: str = "sess_1") -> events.Event:
    return events.SessionRenewed(handle=handle, account=account)


def key(kind: str, account: str | None = None) -> str:
    names = {"activity": "log", "routine": "log:routine", "refusals": "log:refusals"}
    return f"{REDIS_PREFIX}{{{account_tag(account)}}}:{names[kind]}" if account else f"{REDIS_PREFIX}{kind}"


def names(page: Page | Iterator[Entry]) -> list[str]:
    return [entry.name for entry in (page.entries if isinstance(page, Page) else page)]


def ids(page: Page) -> list[str]:
    return [entry.id for entry in page.entries]


def pages(read: Callable[..., Page], **options: Any) -> list[Page]:
    """All pages, from the newest to the oldest."""
    found = [read(**options)]
    while found[-1].older:
        assert len(found) < 1000, "the cursor goes round in circles"
        found.append(read(before=found[-1].older, **options))
    return found


def plant(
    redis: Redis, log: ActivityLog, where: str, entry_id: str, event: events.Event, client: Client = HERE
) -> None:
    """Put an entry into a log at a moment of the test's choice: of the account of the event, or of the site."""
    entry = encoded_entry(log, (event.name, dataclasses.asdict(event), client.ip, client.device))
    if ":log" in where:
        put(redis, where, entry_id.encode() + b"|" + sealed_entry(log, where, entry, getattr(event, "account", None)))
    else:
        put(redis, where, sealed_entry(log, where, entry), entry_id)


def stored(redis: Redis, where: str) -> list[bytes]:
    """What is stored in a log, oldest first: of an account, or of the site."""
    if ":log" in where:
        return redis.lrange(where, 0, -1)[::-1]
    return [row[b"e"] for _, row in redis.xrange(where)]


def put(redis: Redis, where: str, entry: bytes, stream_id: str = "*") -> None:
    """Put into a log what may be no entry, as an attacker who can write to Redis would."""
    if ":log" in where:
        redis.lpush(where, entry)
    else:
        redis.xadd(where, {"e": entry}, stream_id)


class Apart(ActivityLog):
    """Notes each event in a millisecond of its own."""

    def __init__(self, redis: Redis, *parts: Any) -> None:
        super().__init__(*parts)
        self._redis = redis

    def note(self, event: events.Event, client: Client) -> None:
        super().note(event, client)
        wait_a_millisecond(self._redis)


@pytest.fixture
def make(redis_url: str) -> Callable[..., ActivityLog]:
    def make(
        url: str = redis_url, secrets: tuple[str, ...] = (SECRET,), timeout: float = 2, **settings: Any
    ) -> ActivityLog:
        options = ActivitySettings(**{"activity_events": MOST, **settings})
        return ActivityLog(RedisConnection(url, timeout), KeyRing(secrets, PURPOSE), "sessions_core:", options)

    return make


@pytest.fixture
def log(redis: Redis, redis_url: str) -> ActivityLog:
    return Apart(
        redis,
        RedisConnection(redis_url, 2),
        KeyRing((SECRET,), PURPOSE),
        "sessions_core:",
        ActivitySettings(activity_events=MOST),
    )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis that the test may ruin."""
    with running(Server(tmp_path_factory.mktemp("r"), "--appendonly", "yes")) as server:
        yield server


# -- What is written down ---------------------------------------------------------------------------------------


def test_account_log_is_read_newest_first(redis: Redis, log: ActivityLog) -> None:
    log.note(created(), HERE)
    log.note(events.SessionEnded(handle="sess_1", account=ALICE, reason="signed_out"), THERE)
    seconds, microseconds = redis.time()
    page = log.account(ALICE)
    assert names(page) == ["session.ended", "session.created"]
    assert page.older == ""
    ended, began = page.entries
    assert (ended.ip, ended.device) == ("2001:db8:1::7", "curl")
    assert (began.ip, began.device) == ("203.0.113.7", "Firefox on Linux")
    assert ended.fields == {"handle": "sess_1", "account": ALICE, "reason": "signed_out"}
    now = seconds * 1000 + microseconds // 1000
    assert now - 60_000 < began.at <= ended.at <= now
    assert (ended.count, ended.refused) == (1, False)


@pytest.mark.parametrize("event", event_types(), ids=lambda event: event.name)
def test_every_event_of_the_vocabulary_can_be_written_down(log: ActivityLog, event: Any) -> None:
    made = event(**{field.name: "x" for field in dataclasses.fields(event)})
    log.note(created("x"), HERE)
    log.note(made, HERE)
    assert [log.site().entries[0].name, log.site().entries[0].fields] == [event.name, dataclasses.asdict(made)]
    assert names(log.account("x"))[0] == (event.name if hasattr(made, "account") else "session.created")


def test_site_log_holds_all_accounts_and_account_log_only_one(log: ActivityLog) -> None:
    log.note(created(ALICE), HERE)
    log.note(created(BOB), THERE)
    log.note(events.SessionsRevoked(account=None, scope="everybody"), HERE)
    assert names(log.site()) == ["session.revoked_all", "session.created", "session.created"]
    assert [entry.fields["account"] for entry in log.account(ALICE).entries] == [ALICE]
    assert [entry.fields["account"] for entry in log.account(BOB).entries] == [BOB]


def test_one_address_on_two_networks_is_two_accounts(log: ActivityLog) -> None:
    log.note(created(ALICE), HERE)
    assert log.account(ALICE.replace("eip155:1:", "eip155:10:")).entries == ()


def test_event_without_an_account_makes_no_account_stream(redis: Redis, log: ActivityLog) -> None:
    for account in (None, ""):
        log.note(events.SessionEnded(handle="sess_1", account=account, reason="replaced"), HERE)
    log.note(events.RecordUnreadable(key=f"{REDIS_PREFIX}x"), HERE)
    log.note(events.RequestRefused(code="not_found", endpoint=None), HERE)
    assert sorted(redis.keys("*")) == [f"{REDIS_PREFIX}activity".encode(), f"{REDIS_PREFIX}refusals".encode()]


def test_unknown_account_has_an_empty_page(log: ActivityLog) -> None:
    assert log.account(STRANGER) == Page((), "")
    assert log.site() == Page((), "")
    assert list(log.iterate(STRANGER)) == list(log.iterate(None)) == []


def test_refusal_and_routine_event_names_are_these() -> None:
    """Refusals are events that any visitor can cause; routine events are those one session can cause without end."""
    kept = {each.name: each.kept for each in event_classes()}
    assert {name for name, how in kept.items() if how == "refusals"} == {
        "session.former_id_refused",
        "signin.failed",
        "confirmation.failed",
        "link.failed",
        "challenge.replayed",
        "request.refused",
    }
    assert {name for name, how in kept.items() if how == "routine"} == {
        "session.renewed",
        "session.named",
        "token.refreshed",
    }


def test_refusals_are_listed_in_order_with_other_events(log: ActivityLog) -> None:
    log.note(created(), HERE)
    log.note(failed(), THERE)
    log.note(renewed(), HERE)
    for page in (log.account(ALICE), log.site()):
        assert names(page) == ["session.renewed", "signin.failed", "session.created"]
        assert [entry.refused for entry in page.entries] == [False, True, False]


# -- Bounds ----------------------------------------------------------------------------------------------------


def test_refusal_for_an_unknown_account_uses_no_memory_for_it(redis: Redis, log: ActivityLog) -> None:
    """Only the site's stream of refusals grows."""
    for number in range(100):
        log.note(failed(f"eip155:1:0x{number:040x}"), HERE)
    assert sorted(redis.keys("*")) == [f"{REDIS_PREFIX}refusals".encode()]


def test_flood_of_refusals_evicts_no_other_event(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make()
    log.note(created(), HERE)
    for _ in range(MOST * 12):
        log.note(failed(), THERE)
    assert redis.llen(key("activity", ALICE)) == redis.xlen(key("activity")) == 1
    assert redis.llen(key("refusals", ALICE)) == MOST // 10
    assert redis.xlen(key("refusals")) == MOST
    assert names(log.account(ALICE))[-1] == names(log.site(limit=1000))[-1] == "session.created"


def test_session_thief_can_not_hide_behind_keep_alive_events(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    """A flood of renewals and renamings evicts no other event."""
    log = make()
    log.note(created(), HERE)
    log.note(ClientChanged(handle="sess_1", account=ALICE, changed="ip"), THERE)
    for _ in range(MOST * 6):
        log.note(renewed(), THERE)
        log.note(SessionNamed(handle="sess_1", account=ALICE), THERE)
    assert names(log.account(ALICE, limit=1000))[-2:] == ["client.changed", "session.created"]
    assert redis.llen(key("routine", ALICE)) == MOST // 10
    assert redis.xlen(key("routine")) == MOST


def test_account_seen_once_costs_less_than_half_a_kilobyte(redis: Redis, log: ActivityLog) -> None:
    log.note(created(), HERE)
    log.note(failed(), HERE)
    for kind in ("activity", "refusals"):
        assert redis.memory_usage(key(kind, ALICE), samples=0) < 500
        assert redis.ttl(key(kind, ALICE)) > 0
    assert len(redis.keys("*")) == 5, "two of the account, two of the site, and the budget"


def test_a_flood_of_refusals_does_not_make_activity_live_longer(redis: Redis, log: ActivityLog) -> None:
    log.note(created(), HERE)
    redis.expire(key("activity", ALICE), 1000)
    log.note(failed(), THERE)
    assert redis.ttl(key("activity", ALICE)) <= 1000


def test_logs_keep_the_newest_events(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    """The site's log keeps ten times as many as an account's."""
    log = make()
    for number in range(MOST * 11):
        log.note(created(handle=f"sess_{number}"), HERE)
    assert redis.llen(key("activity", ALICE)) == MOST
    assert redis.xlen(key("activity")) == MOST * 10
    newest = [f"sess_{number}" for number in reversed(range(MOST * 11))]
    assert [entry.fields["handle"] for entry in log.account(ALICE, limit=1000).entries] == newest[:MOST]
    assert [entry.fields["handle"] for entry in log.iterate(None)] == newest[: MOST * 10]


def test_even_the_smallest_setting_keeps_a_refusal(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_events=1)
    for _ in range(3):
        log.note(created(), HERE)
        log.note(failed(), HERE)
    assert sorted(names(log.account(ALICE))) == ["session.created", "signin.failed"]


def test_every_stream_expires_when_nothing_is_written_to_it(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_days=7)
    plant(redis, log, key("activity", ALICE), f"{(redis.time()[0] - DAY) * 1000}-0", created())
    log.note(created(handle="sess_2"), HERE)
    log.note(failed(), HERE)
    keys = redis.keys("*")
    assert len(keys) == 5
    for each in keys:
        extra = 2 * DAY if each.endswith(b"budget") else 0
        assert 7 * DAY - 60 < redis.ttl(each) <= 7 * DAY + extra


def test_activity_of_a_one_day_account_expires_in_days(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    """A wallet costs nothing to make. Only one that is used on another day is worth a month of memory."""
    kinds, log = ("activity", "routine", "refusals"), make()
    for event in (created(), renewed(), failed(), created(handle="sess_2")):
        log.note(event, HERE)
    assert all(3 * DAY - 60 < redis.ttl(key(kind, ALICE)) <= 3 * DAY for kind in kinds)
    assert all(30 * DAY - 60 < redis.ttl(key(kind)) <= 30 * DAY for kind in kinds)
    make(activity_days=1).note(created(BOB), HERE)
    assert redis.ttl(key("activity", BOB)) <= DAY


def test_activity_of_a_returning_account_is_kept_in_full(redis: Redis, log: ActivityLog) -> None:
    for ago, days in ((DAY - 60, 3), (DAY, 30)):
        redis.flushall()
        plant(redis, log, key("activity", ALICE), f"{(redis.time()[0] - ago) * 1000}-0", created())
        for event in (created(handle="sess_2"), renewed(), failed()):
            log.note(event, HERE)
        for kind in ("activity", "routine", "refusals"):
            assert days * DAY - 60 < redis.ttl(key(kind, ALICE)) <= days * DAY, kind


def test_new_event_never_shortens_the_retention(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    """The stream was cut to its latest entries, which are all from today."""
    log = make(activity_events=10)
    plant(redis, log, key("activity", ALICE), f"{(redis.time()[0] - DAY) * 1000}-0", created())
    for number in range(12):
        log.note(created(handle=f"sess_{number}"), HERE)
    assert redis.llen(key("activity", ALICE)) == 10
    assert redis.ttl(key("activity", ALICE)) > 30 * DAY - 60


def test_expired_events_are_hidden_and_trimmed_on_next_write(redis: Redis, log: ActivityLog) -> None:
    now = redis.time()[0]
    for stream in (key("activity", ALICE), key("activity")):
        plant(redis, log, stream, f"{(now - 30 * DAY - 60) * 1000}-0", created(handle="sess_old"))
        plant(redis, log, stream, f"{(now - 30 * DAY + 60) * 1000}-0", created(handle="sess_new"))
    for entries in (
        log.account(ALICE).entries,
        log.site().entries,
        tuple(log.iterate(ALICE)),
        tuple(log.iterate(None)),
    ):
        assert [entry.fields["handle"] for entry in entries] == ["sess_new"]
    assert redis.llen(key("activity", ALICE)) == 2
    log.note(created(), HERE)
    assert redis.llen(key("activity", ALICE)) == redis.xlen(key("activity")) == 2


# -- The budget of all accounts ----------------------------------------------------------------------------------

BUDGET = f"{REDIS_PREFIX}{{activity}}:budget"


def throwaway(number: int) -> str:
    return f"eip155:1:0x{number:040x}"


def held(redis: Redis) -> int:
    """What the logs of all accounts hold: their entries, and one more for each log."""
    return sum(redis.llen(log) + 1 for log in redis.keys("*:log*"))


def counted(redis: Redis) -> int:
    """What the budget says that they hold."""
    return sum(map(int, redis.hvals(BUDGET)))


def known_for_days(redis: Redis, log: ActivityLog, account: str) -> None:
    """Make an account one that was active on another day."""
    now = redis.time()[0]
    plant(redis, log, key("activity", account), f"{(now - 2 * DAY) * 1000}-0", created(account))
    redis.expire(key("activity", account), 28 * DAY)
    redis.hincrby(BUDGET, (now + 28 * DAY) // DAY, 2)


def test_budget_counts_what_the_logs_hold(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_events=10)
    known_for_days(redis, log, BOB)
    for number in range(300):
        account = (ALICE, BOB, throwaway(number % 20))[number % 3]
        log.note((created, renewed, failed)[number // 3 % 3](account), HERE)
        assert counted(redis) == held(redis)
    assert len([each for each in redis.hvals(BUDGET) if int(each)]) <= 3, "one number for each day"


def test_throwaway_wallets_fill_half_of_the_budget(
    redis: Redis, make: Callable[..., ActivityLog], caplog: pytest.LogCaptureFixture
) -> None:
    """Each signs in once, or does as much as it can: Redis holds no more for it."""
    log = make(activity_budget=1000)
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        for number in range(400):
            log.note(created(throwaway(number)), HERE)
    assert 498 <= held(redis) == counted(redis) <= 500
    assert names(log.account(throwaway(399))) == []
    assert names(log.site(limit=500)) == ["session.created"] * 400, "the site's log has them all"
    [record] = caplog.records
    assert "holds 500 entries, that of new accounts 500 of them" in record.getMessage()
    assert "SESSIONS_CORE_ACTIVITY_BUDGET (1000)" in record.getMessage()
    for number in range(2000):
        log.note((created, renewed, failed)[number % 3](throwaway(number % 250)), HERE)
    assert 498 <= held(redis) == counted(redis) <= 500


def test_full_budget_silences_no_account_with_a_log(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_budget=1000)
    known_for_days(redis, log, ALICE)
    log.note(created(BOB, "sess_first"), HERE)
    for number in range(300):
        log.note(created(throwaway(number)), HERE)
    log.note(created(BOB, "sess_second"), THERE)
    assert [entry.fields["handle"] for entry in log.account(BOB).entries] == ["sess_second"]
    for number in range(5):
        log.note(created(ALICE, f"sess_{number}"), THERE)
    assert len(log.account(ALICE).entries) == 6, "half of the room is not for new accounts"
    while held(redis) < 1000:
        known_for_days(redis, log, throwaway(1000 + held(redis)))
    log.note(created(ALICE, "sess_last"), THERE)
    found = [entry.fields["handle"] for entry in log.account(ALICE).entries]
    assert found == ["sess_last", "sess_4", "sess_3", "sess_2", "sess_1", "sess_0"]


def test_known_accounts_leave_room_for_new_ones(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    """Unless they need all of it: how much they have already is no reason to keep nothing of a new one."""
    log = make(activity_budget=1000)
    for number in range(350):
        known_for_days(redis, log, throwaway(number))
    for number in range(400, 600):
        log.note(created(throwaway(number)), HERE)
    assert held(redis) == counted(redis) == 1000
    assert names(log.account(throwaway(549))) == ["session.created"]
    assert names(log.account(throwaway(550))) == []
    log.note(created(throwaway(1)), HERE)
    assert len(log.account(throwaway(1)).entries) == 1, "it dropped its own oldest one"
    assert held(redis) == counted(redis) == 1000


def test_expired_logs_make_room_in_the_budget(
    app: Flask, redis: Redis, make: Callable[..., ActivityLog], pass_time: TimeMachine
) -> None:
    log = make(activity_budget=1000)
    for number in range(300):
        log.note(created(throwaway(number)), HERE)
    log.note(created(BOB), HERE)
    assert names(log.account(BOB)) == []
    pass_time(2 * DAY)
    log.note(created(BOB), HERE)
    assert names(log.account(BOB)) == [], "they are kept for three days"
    pass_time(2 * DAY)
    assert redis.keys("*:log*") == []
    log.note(created(BOB), HERE)
    assert names(log.account(BOB)) == ["session.created"]
    assert len(redis.hkeys(BUDGET)) == 1, "the days that are over are gone"
    assert counted(redis) == held(redis) == 2


def test_lost_or_damaged_budget_is_no_error(
    redis: Redis, make: Callable[..., ActivityLog], caplog: pytest.LogCaptureFixture
) -> None:
    """A failover lost it, or an attacker wrote to it. It is right again when the logs of today have expired."""
    log = make()
    log.note(created(), HERE)
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        redis.delete(BUDGET)
        log.note(created(), HERE)
        redis.hset(BUDGET, mapping={"x": "y", b"\xff": b"\xff", redis.hkeys(BUDGET)[0]: "z", "1": "999999999"})
        log.note(created(), HERE)
    assert caplog.records == []
    assert len(log.account(ALICE).entries) == 3
    redis.delete(BUDGET)
    redis.set(BUDGET, "x")
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        log.note(created(), HERE)
    assert "session.created could not be written down" in caplog.text
    assert len(log.account(ALICE).entries) == 3


def test_processes_together_keep_to_the_budget(
    redis: Redis, redis_url: str, make: Callable[..., ActivityLog]
) -> None:
    logs = [make(activity_budget=1000) for _ in range(4)]
    together(
        *[
            lambda log=log, first=number * 1000: [
                log.note(created(throwaway(first + each)), HERE) for each in range(150)
            ]
            for number, log in enumerate(logs)
        ]
    )
    assert 498 <= held(redis) == counted(redis) <= 500


def test_cluster_keeps_to_the_budget(cluster: Cluster, make: Callable[..., ActivityLog]) -> None:
    """No script reaches log and budget there: each process goes by what it heard last."""
    logs = [make(cluster.url, activity_budget=1000) for _ in range(3)]
    for number in range(300):
        logs[number % 3].note(created(throwaway(number)), HERE)
    kept = [number for number in range(300) if logs[0].account(throwaway(number)).entries]
    assert 249 <= len(kept) <= 253
    for number in range(300):
        logs[number % 3].note(created(throwaway(kept[number % len(kept)])), HERE)
    assert sum(len(list(logs[0].iterate(throwaway(number)))) for number in kept) == len(kept)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Odd(events.Event):
    """An event of an application, with whatever that puts into it."""

    name: ClassVar[str] = "shop.odd"
    account: str
    value: Any


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x" * 1_000_000, "x" * 200),
        ("\ud800", "?"),
        ("🦊" * 500, "🦊" * 200),
        (2**63 - 1, 2**63 - 1),
        (-(2**63) + 1, -(2**63) + 1),
        (2**64, str(2**64)),
        (True, True),
        (None, None),
        (1.5, "1.5"),
        (b"\xff", "b'\\xff'"),
        ({"a": [1, {2}]}, "{'a': [1, {2}]}"),
        (["x" * 1000] * 1000, str(["x" * 1000])[:200]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_entry_stays_small_and_readable_whatever_a_field_holds(
    redis: Redis, log: ActivityLog, value: Any, kept: Any
) -> None:
    log.note(Odd(account=ALICE, value=value), Client("1" * 5000, "", "\ud800" * 5000))
    (entry,) = log.account(ALICE).entries
    assert entry.fields == {"account": ALICE, "value": kept}
    assert (entry.ip, entry.device) == ("1" * 200, "?" * 200)
    for where in (key("activity", ALICE), key("activity")):
        [found] = stored(redis, where)
        assert len(found) < 2000


# -- Pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_show_each_event_once_even_with_equal_stream_ids(redis: Redis, log: ActivityLog, limit: int) -> None:
    """Two streams can use the same Redis entry id."""
    now = redis.time()[0] * 1000
    written = []
    for number in range(16):  # a moment each: nothing, one or two streams, or all three with one id
        for bit, (kind, event) in enumerate(zip(activity_log._KINDS, (failed(), renewed(), created()), strict=True)):
            if number & 1 << bit:
                plant(redis, log, key(kind, ALICE), f"{now - 100 + number // 2}-{number}", event)
                written.append((number, event.name))
    found = pages(log.account, account=ALICE, limit=limit)
    read = [(int(entry.id.split("-")[1]), entry.name) for page in found for entry in page.entries]
    assert read == written[::-1]
    everything = [each for page in found for each in ids(page)]
    assert len(set(everything)) == len(everything), "every entry has an id of its own"
    assert all(len(page.entries) == limit for page in found[:-1])


def test_an_entry_is_a_cursor_as_well(log: ActivityLog) -> None:
    for number in range(5):
        log.note(created(handle=f"sess_{number}"), HERE)
        log.note(failed(), HERE)
    everything = ids(log.account(ALICE))
    for number, each in enumerate(everything):
        assert ids(log.account(ALICE, before=each)) == everything[number + 1 :]


def test_events_between_two_pages_do_not_move_the_second(log: ActivityLog) -> None:
    for number in range(10):
        log.note(created(handle=f"sess_{number}"), HERE)
    first = log.account(ALICE, limit=4)
    before = ids(log.account(ALICE, before=first.older))
    for number in range(10, 20):
        log.note(created(handle=f"sess_{number}"), HERE)
    assert ids(log.account(ALICE, before=first.older)) == before


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "-",
        "+",
        "$",
        "1",
        "1-1-",
        "-1-1",
        "1-1-1\n",
        " 1-1-1",
        "(1-1-1",
        "1-1",
        "1-1-3",
        "1-1-00",
        "1-1-1-1",
        "-1-1-1",
        "1.5-1-1",
        "٣-٣-1",
        "1-1-1\0",
        "18446744073709551616-0-0",
        "0-18446744073709551616-0",
        "9" * 21 + "-0-0",
        "0-0-2",
        "00-000-0",
        "1" * 100_000,
    ],
)
def test_malformed_cursor_shows_the_first_page(log: ActivityLog, cursor: str) -> None:
    log.note(created(), HERE)
    log.note(failed(), HERE)
    assert log.account(ALICE, before=cursor) == log.account(ALICE)
    assert log.site(before=cursor) == log.site()


@pytest.mark.parametrize("cursor", ["0-1-0", "1-0-1", "1-1-2", "00000000000000000001-1-0"])
def test_a_cursor_before_all_time_shows_nothing(log: ActivityLog, cursor: str) -> None:
    log.note(created(), HERE)
    assert log.account(ALICE, before=cursor) == Page((), "")


def test_a_cursor_after_all_time_shows_everything(log: ActivityLog) -> None:
    log.note(created(), HERE)
    log.note(failed(), HERE)
    for kind in range(3):
        assert log.account(ALICE, before=f"{2**64 - 1}-{2**64 - 1}-{kind}") == log.account(ALICE)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_has_at_least_one_entry(log: ActivityLog, limit: int) -> None:
    log.note(created(), HERE)
    log.note(failed(), HERE)
    assert names(log.account(ALICE, limit=limit)) == ["signin.failed"]


def test_a_filter_looks_through_all_that_is_kept(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_events=1000)
    log.note(RoleChanged(account=ALICE, before="member", after="admin", by=""), HERE)
    for _ in range(410):
        log.note(created(), HERE)
    page = log.account(ALICE, names=["role.changed", "wallet.changed"])
    assert (names(page), page.older) == (["role.changed"], "")
    found = pages(log.site, names={"session.created"}, limit=100)
    assert [len(each.entries) for each in found] == [100, 100, 100, 100, 10]
    assert log.account(ALICE, names=["shop.odd"]) == Page((), "")


def test_only_streams_with_the_requested_events_are_read(redis: Redis, log: ActivityLog) -> None:
    log.note(created(), HERE)
    log.note(failed(), HERE)
    for asked, expected, reads in (
        (["signin.failed"], ["signin.failed"], 1),
        (["session.created"], ["session.created"], 1),
        (["session.created", "signin.failed"], ["signin.failed", "session.created"], 2),
        (["session.renewed", "session.named"], [], 1),
        ([], ["signin.failed", "session.created"], 3),
    ):
        for read, command in ((partial(log.account, ALICE), "lrange"), (log.site, "xrevrange")):
            before = commands_run(redis)[command]
            assert names(read(names=asked)) == expected
            assert commands_run(redis)[command] - before == reads


def test_a_page_reads_one_piece_of_each_stream_and_not_all_of_it(
    redis: Redis, make: Callable[..., ActivityLog]
) -> None:
    log = make(activity_events=1000)
    for _ in range(activity_log._CHUNK * 3):
        log.note(created(), HERE)
    for read, command in ((partial(log.account, ALICE), "lrange"), (log.site, "xrevrange")):
        before = commands_run(redis)[command]
        read(limit=50)
        assert commands_run(redis)[command] - before == 3


def test_log_that_is_trimmed_while_it_is_read_repeats_nothing(make: Callable[..., ActivityLog]) -> None:
    """Other entries are added, and the oldest go, between two pieces of it."""
    log = make(activity_events=300)
    for number in range(300):
        log.note(created(handle=f"sess_{number}"), HERE)
    read = log.iterate(ALICE)
    found = [next(read) for _ in range(150)]
    for number in range(300, 470):
        log.note(created(handle=f"sess_{number}"), HERE)
    found += read
    handles = [int(entry.fields["handle"].removeprefix("sess_")) for entry in found]
    assert handles == list(range(299, handles[-1] - 1, -1))
    assert handles[-1] <= 171, "what was there all the time was read"


# -- Renewals --------------------------------------------------------------------------------------------------


def test_consecutive_renewals_are_one_entry(log: ActivityLog) -> None:
    log.note(created(), HERE)
    for _ in range(4):
        log.note(renewed(), HERE)
    last = next(log.iterate(ALICE))
    page = log.account(ALICE)
    assert [(entry.name, entry.count) for entry in page.entries] == [("session.renewed", 4), ("session.created", 1)]
    assert (page.entries[0].id, page.entries[0].at) == (last.id, last.at)


def test_unrelated_renewals_are_not_collapsed(log: ActivityLog) -> None:
    """Renewals of another session, from another client, or after another event stay separate entries."""
    for event, client in (
        (created(), HERE),
        (renewed(), HERE),
        (renewed(handle="sess_2"), HERE),
        (renewed(), HERE),
        (renewed(), THERE),
        (renewed(), dataclasses.replace(HERE, ip=THERE.ip)),
        (failed(), HERE),
        (renewed(), HERE),
        (created(), HERE),
        (renewed(), HERE),
    ):
        log.note(event, client)
    assert {entry.count for entry in log.account(ALICE).entries} == {1}
    assert len(log.account(ALICE).entries) == 10


def test_only_renewals_are_collapsed(log: ActivityLog) -> None:
    for _ in range(3):
        log.note(created(), HERE)
        log.note(failed(), HERE)
    assert [entry.count for entry in log.account(ALICE, names=["session.created"]).entries] == [1, 1, 1]
    assert [entry.count for entry in log.account(ALICE, names=["signin.failed"]).entries] == [1, 1, 1]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_no_renewal_is_counted_on_two_pages(log: ActivityLog, limit: int) -> None:
    for number in range(3):
        log.note(created(handle=f"sess_{number}"), HERE)
        for _ in range(3):
            log.note(renewed(handle=f"sess_{number}"), HERE)
    found = pages(log.account, account=ALICE, limit=limit)
    counts = [entry.count for page in found for entry in page.entries]
    assert counts == [3, 1, 3, 1, 3, 1]


def test_export_is_not_collapsed(log: ActivityLog) -> None:
    log.note(created(), HERE)
    for _ in range(3):
        log.note(renewed(), HERE)
    log.note(failed(), HERE)
    assert names(log.iterate(ALICE)) == ["signin.failed", *["session.renewed"] * 3, "session.created"]
    assert names(log.iterate(None)) == names(log.iterate(ALICE))


# -- Who reads Redis, and who writes to it ------------------------------------------------------------------------


def test_redis_shows_no_account_event_or_address(redis: Redis, log: ActivityLog) -> None:
    log.note(created(), HERE)
    log.note(failed(), THERE)
    found = b"".join(each + redis.dump(each) for each in redis.keys("*"))
    for kind, account in itertools.product(("activity", "refusals"), (ALICE, None)):
        found += b"".join(stored(redis, key(kind, account)))
    for secret in (b"created", b"failed", b"sess_", b"eip155", ALICE[-8:].encode(), b"203.0", b"2001:", b"Firefox"):
        assert secret not in found
        assert secret.lower() not in found.lower()


def test_entry_copied_to_another_stream_is_not_shown(
    redis: Redis, log: ActivityLog, caplog: pytest.LogCaptureFixture
) -> None:
    """The log gets one warning for each stream that was read."""
    log.note(created(BOB), THERE)
    log.note(failed(BOB), THERE)
    log.note(created(ALICE), HERE)
    log.note(failed(ALICE), HERE)
    log.note(renewed(ALICE), HERE)
    streams = [key(kind, account) for kind in activity_log._KINDS for account in (ALICE, BOB, None)]
    before = {stream: stored(redis, stream) for stream in streams}
    pages_before = (log.account(ALICE), log.account(BOB), log.site())
    for source, target in itertools.permutations(streams, 2):
        for entry in before[source]:
            encrypted = entry.partition(b"|")[2] if ":log" in source else entry
            place = f"{redis.time()[0] * 1000}-0|".encode() if ":log" in target else b""
            put(redis, target, place + encrypted)
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        assert (log.account(ALICE), log.account(BOB), log.site()) == pages_before
    assert len(caplog.records) == 9, "one line for each stream that was read"


def test_forged_entries_are_left_out_with_one_line_and_no_event(
    redis: Redis, log: ActivityLog, happened: list[events.Event], caplog: pytest.LogCaptureFixture
) -> None:
    log.note(created(), HERE)
    stream = key("activity", ALICE)
    place, _, sealed = stored(redis, stream)[0].partition(b"|")
    site = key("activity")
    forged = [
        b"",
        b"x",
        sealed[:-1],
        sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:],
        b"\xff" * 100_000,
        encoded_entry(log, ("role.changed", {"account": ALICE, "after": "admin"}, "", "")),
        KeyRing(("another secret of thirty-two letters or more",), PURPOSE).encrypt(b"", stream.encode()),
        KeyRing((SECRET,), "another purpose").encrypt(b"", stream.encode()),
    ]
    # Whoever has the secret can seal what is no entry: that must not be a page that never loads.
    for shape in (
        b"",
        b"\xc1",
        encoded_entry(log, ["x"]),
        encoded_entry(log, {"a": 1}),
        encoded_entry(log, ("x", [], "", "")),
        b"\x94\xa1\xff\x80\xa0\xa0",  # not UTF-8
        b"\x91" * 5000,
    ):
        forged += [sealed_entry(log, stream, shape, ALICE), sealed_entry(log, stream, shape)]
        put(redis, site, sealed_entry(log, site, shape))
    forged += [(place if number % 3 else b"1-1-1") + b"|" + each for number, each in enumerate(forged)]
    for entry in (sealed, *forged * 30):  # without its place, the real one is none either
        put(redis, stream, entry)
    for row in ({"x": b"", "y": b"z"}, {b"": b""}, *({"e": each} for each in forged)):
        redis.xadd(site, row)
    log.note(created(), THERE)
    put(redis, stream, forged[0])
    assert redis.llen(stream) == MOST + 1  # noting has trimmed them
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        assert [entry.ip for entry in log.account(ALICE).entries] == [THERE.ip]
        assert [entry.ip for entry in log.site().entries] == [THERE.ip, HERE.ip]
    assert [record.getMessage() for record in caplog.records] == [
        f"{where} has entries that can't be opened; they are left out" for where in (stream, site)
    ]
    assert happened == []


def test_a_thousand_forged_entries_do_not_hide_a_real_one(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_events=1000)
    log.note(created(), HERE)
    for _ in range(1000):
        put(redis, key("activity", ALICE), b"x")
        put(redis, key("activity"), b"x")
    assert names(log.account(ALICE)) == names(log.site()) == ["session.created"]


def test_entry_with_the_last_possible_id_breaks_nothing(
    redis: Redis, log: ActivityLog, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker plants an entry with the highest id: Redis can add no more, but reading and the request go on."""
    log.note(created(), HERE)
    redis.xadd(key("activity"), {"e": b"x"}, f"{2**64 - 1}-{2**64 - 1}")
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        log.note(created(), HERE)  # Redis has no id left for it
    assert "session.created could not be written down" in caplog.text
    assert names(log.site(limit=1)) == ["session.created"]


@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 40])
@pytest.mark.parametrize("ahead", [0, 1000, 3 * DAY * 1000, 10**15])
def test_entry_from_the_future_moves_no_other(redis: Redis, log: ActivityLog, ahead: int, number: str) -> None:
    """An attacker plants an entry that claims to be newer than all others: the next one is read all the same."""
    log.note(created(handle="sess_1"), HERE)
    now = redis.time()[0] * 1000
    redis.lpush(key("activity", ALICE), f"{now + ahead}-{number}|x")
    log.note(created(handle="sess_2"), HERE)
    log.note(created(handle="sess_3"), HERE)
    entries = log.account(ALICE).entries
    assert [entry.fields["handle"] for entry in entries] == ["sess_3", "sess_2", "sess_1"]
    assert all(entry.at < now + DAY * 1000 for entry in entries)


def test_entry_encrypted_with_a_former_secret_is_shown(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    former = "a former secret of thirty-two letters or more"
    make(secrets=(former,)).note(created(), HERE)
    both = make(secrets=(former, SECRET))
    both.note(renewed(), HERE)
    assert names(both.account(ALICE)) == ["session.renewed", "session.created"]
    assert names(make().account(ALICE)) == ["session.renewed"], "and what a dropped one sealed is not"


# -- Trouble ---------------------------------------------------------------------------------------------------


def test_stopped_redis_only_logs_a_warning_when_writing(
    server: Server, make: Callable[..., ActivityLog], caplog: pytest.LogCaptureFixture
) -> None:
    log = make(server.url)
    log.note(created(), HERE)
    server.kill()
    with caplog.at_level(logging.WARNING, logger="sessions_core.parts.activity.activity_log"):
        for _ in range(5):
            log.note(created(), HERE)
    assert (
        len([record for record in caplog.records if record.name == "sessions_core.parts.activity.activity_log"]) == 5
    )
    for read in (log.site, lambda: log.account(ALICE), lambda: list(log.iterate(None))):
        with pytest.raises(StoreUnavailable):
            read()


def test_frozen_redis_only_logs_a_warning_when_writing(
    server: Server, make: Callable[..., ActivityLog], caplog: pytest.LogCaptureFixture
) -> None:
    log = make(server.url, timeout=0.25)
    log.note(created(), HERE)
    with frozen(server), caplog.at_level(logging.WARNING, logger="sessions_core.parts.activity.activity_log"):
        log.note(created(), THERE)
        with pytest.raises(StoreUnavailable):
            log.account(ALICE)
    assert len(caplog.records) == 1
    # What was sent may still be done when the server wakes up. What is shown is in order either way.
    log.note(created(handle="sess_2"), HERE)
    entries = log.account(ALICE).entries
    assert [entries[0].fields["handle"], entries[-1].fields["handle"]] == ["sess_2", "sess_1"]


def test_writing_to_a_silent_redis_waits_for_one_timeout(make: Callable[..., ActivityLog]) -> None:
    """The second stream is not tried."""
    with Listener() as silent:
        make(silent.url, timeout=0.25).note(created(), HERE)
        assert silent.connections == 1, "the second stream was not tried"


def test_full_redis_only_logs_a_warning_when_writing(
    server: Server, make: Callable[..., ActivityLog], caplog: pytest.LogCaptureFixture
) -> None:
    """Reading goes on."""
    log = make(server.url)
    log.note(created(), HERE)
    with server.client() as client:
        client.config_set("maxmemory", 1)
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        log.note(renewed(), HERE)
    assert "session.renewed could not be written down" in caplog.text
    assert names(log.account(ALICE)) == ["session.created"], "reading goes on"


@pytest.mark.parametrize("kind", activity_log._KINDS)
@pytest.mark.parametrize("account", [ALICE, None])
def test_stream_key_of_another_type_is_handled(
    redis: Redis, log: ActivityLog, caplog: pytest.LogCaptureFixture, kind: str, account: str | None
) -> None:
    """Reading raises `StoreUnavailable`, writing only logs a warning, and the foreign key stays."""
    log.note(created(), HERE)
    redis.delete(key(kind, account))
    redis.hset(key(kind, account), "x", "y")
    with caplog.at_level(logging.WARNING, logger="sessions_core"):
        log.note({"activity": created(), "routine": renewed(), "refusals": failed()}[kind], HERE)
    assert "could not be written down" in caplog.text
    with pytest.raises(StoreUnavailable):
        log.account(ALICE) if account else log.site()
    assert redis.hgetall(key(kind, account)) == {b"x": b"y"}


def test_malformed_redis_reply_does_not_fail_the_request(
    make: Callable[..., ActivityLog], caplog: pytest.LogCaptureFixture
) -> None:
    with Listener(lambda _: b"?nonsense\r\n") as listener, caplog.at_level(logging.WARNING, logger="sessions_core"):
        make(listener.url).note(created(), HERE)
    assert "session.created could not be written down" in caplog.text


def test_entry_resent_after_a_lost_answer_is_stored_once(redis: Redis, log: ActivityLog) -> None:
    mine, site, budget = key("activity", ALICE), key("activity"), f"{REDIS_PREFIX}{{activity}}:budget"
    for _ in range(2):
        link_of(log).run(
            activity_log._NOTE, (mine, mine, budget), b"\x00-|\n\xff|", MOST, DAY * 1000, DAY * 1000, 0, 1000, 0
        )
        link_of(log).run(activity_log._NOTE_SITE, (site,), b"\x00-|\n\xff|", MOST, DAY * 1000)
    assert (redis.llen(mine), redis.xlen(site)) == (1, 1)
    assert sum(map(int, redis.hvals(budget))) == 2
    log.note(created(), HERE)
    log.note(created(), HERE)
    assert (redis.llen(mine), redis.xlen(site)) == (3, 3), "the same event twice is two entries"


def test_logging_survives_a_flushed_redis(redis: Redis, log: ActivityLog) -> None:
    """Redis lost its data and its scripts."""
    log.note(created(), HERE)
    redis.flushall()
    redis.script_flush()
    log.note(failed(), HERE)
    log.note(created(), HERE)
    assert names(log.site()) == ["session.created", "signin.failed"]
    assert names(log.account(ALICE)) == ["session.created"]


# -- Together --------------------------------------------------------------------------------------------------


def test_concurrent_threads_write_without_loss(redis: Redis, make: Callable[..., ActivityLog]) -> None:
    log = make(activity_events=1000)
    together(*[lambda n=n: [log.note(created(handle=f"{n}-{i}"), HERE) for i in range(50)] for n in range(8)])
    entries = list(log.iterate(ALICE))
    assert {entry.fields["handle"] for entry in entries} == {f"{n}-{i}" for n in range(8) for i in range(50)}
    assert len({entry.id for entry in entries}) == len(entries) == 400


def test_two_processes_write_without_loss_within_the_bound(
    redis: Redis, redis_url: str, make: Callable[..., ActivityLog]
) -> None:
    script = f"""
from sessions_core.parts.activity.activity_log import ActivityLog
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.encryption import KeyRing
from sessions_core.parts.activity.options import ActivitySettings
from tests.activity import THERE, created, failed
keys = KeyRing(({SECRET!r},), {PURPOSE!r})
log = ActivityLog(RedisConnection({redis_url!r}, 2), keys, "sessions_core:", ActivitySettings(activity_events=50))
for number in range(300):
    log.note(created(handle=f"theirs-{{number}}"), THERE)
    log.note(failed(), THERE)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as process:
        log = make(activity_events=50)
        for number in range(300):
            log.note(created(handle=f"ours-{number}"), HERE)
            log.note(failed(), HERE)
        assert process.wait(timeout=60) == 0
    assert redis.llen(key("activity", ALICE)) == 50
    assert redis.llen(key("refusals", ALICE)) == 5
    everything = [entry.fields["handle"] for entry in log.iterate(None) if not entry.refused]
    assert len(everything) == 500
    for whose in ("ours", "theirs"):
        numbers = [int(handle.partition("-")[2]) for handle in everything if handle.startswith(whose)]
        assert numbers == sorted(numbers, reverse=True), "each in its order"
        assert len(set(numbers)) == len(numbers)


def test_activity_log_works_on_a_cluster(cluster: Cluster, make: Callable[..., ActivityLog]) -> None:
    log = make(cluster.url)
    for account in (ALICE, BOB):
        log.note(created(account), HERE)
        log.note(failed(account), THERE)
    log.note(failed(STRANGER), THERE)
    for found in (log.account(ALICE), log.iterate(BOB)):
        assert sorted(names(found)) == ["session.created", "signin.failed"]
    assert log.account(STRANGER) == Page((), "")
    assert [len(page.entries) for page in pages(log.site, limit=2)] == [2, 2, 1]
