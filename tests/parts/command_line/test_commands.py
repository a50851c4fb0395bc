"""The command line: it shows and ends sessions, gives roles, rotates the secret; and prints no secret and no control
character, whatever somebody called their device.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import WalletSessions, errors, events
from sessions_core.parts.activity import Activity
from sessions_core.parts.activity import commands as events_commands
from sessions_core.parts.activity.activity_log import Entry
from sessions_core.parts.command_line import commands as cli
from sessions_core.parts.command_line import output, sweep
from sessions_core.parts.devices.recent_sign_ins import DEVICE, Device, packed
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.parts.roles import commands as roles_commands
from sessions_core.sessions.record import SessionRecord
from sessions_core.sessions.sweeper import Sweeper
from sessions_core.sign_in import accounts
from sessions_core.web.services import SECRET_FILE, Services
from sessions_core.web.session_view import iso, moment

from ...actors import ORIGIN, Visitor, Wallet, handle_of, together
from ...constants import ALICE, ANOTHER, BOB, REDIS_PREFIX, ROOT, SECRET
from ...part_services import roles_of
from ...servers import Server, commands_run, running
from ...stored import link_of
from ...time_machine import TimeMachine

NOBODY = "sess_AAAAAAAAAAAAAAAA"
HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202egnp.exe\u2028\r\n\t\x7f\x00é" + "x" * 60
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@dataclass
class Shell:
    """Runs commands, and demands of each what holds for all."""

    app: Flask
    said: list[str] = field(default_factory=list)

    def __call__(self, *command: str, typed: str | None = None) -> Ran:
        result = self.app.test_cli_runner().invoke(args=list(command), input=typed)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        ran = Ran(result.exit_code, result.stdout, result.stderr)
        for text in (ran.out, ran.err):
            assert all(each == "\n" or unicodedata.category(each)[0] != "C" for each in text), ascii(text)
        self.said += [ran.out, ran.err]
        return ran

    def refuses(self, code: str, *command: str) -> str:
        """Demand a refusal in one sentence with this code; return the sentence."""
        ran = self(*command)
        assert ran.code == 1
        assert ran.out == ""
        found, _, sentence = ran.err.partition(": ")
        assert found == code
        assert code in errors.catalogue()
        assert re.fullmatch(r"[A-Z][^\n]*\.\n", sentence), ran.err
        return sentence.strip()


@pytest.fixture
def flask(app: Flask) -> Shell:
    return Shell(app)


def reason_of(visitor: Visitor) -> str:
    return visitor.json("/api/auth/sessions/validate").get_json()["error"]["reason"]


def noted(services: Services, account: str | None = None) -> list[Entry]:
    """What the audit kept, newest first."""
    return list(services.part(Activity).log.iterate(account))


def store_session(services: Services, account: str = ALICE, **fields: Any) -> str:
    """Store a session without signing in, and return its handle."""
    handle = f"sess_{len({live.record.handle for live in services.sweeper.every()}):016d}"  # SCAN may give one twice
    device = {name: fields.pop(name) for name in ("device", "ip", "label") if name in fields}
    device |= {"packed_agent": packed(fields.pop("agent"))} if "agent" in fields else {}
    record = SessionRecord(**{"handle": handle, "account": account, "session_type": "standard", "data": {}} | fields)
    DEVICE.put(record, Device(**device))
    services.repository.create(record, 1800, 43_200)
    return record.handle


# -- Listing sessions --------------------------------------------------------------------------------------------


def test_without_sessions_the_list_says_so(flask: Shell) -> None:
    assert flask("sessions", "list") == Ran(0, "There is no living session.\n", "")
    assert flask("sessions", "list", ALICE) == Ran(0, "There is no living session.\n", "")
    assert flask("sessions", "list", "--json").json == []


def test_the_list_has_every_session_below_its_account(
    app: Flask, flask: Shell, pass_time: TimeMachine, visitor: Visitor
) -> None:
    mine, yours = Wallet(), Wallet()
    visitor.sign_in(mine)
    pass_time(20 * 60)
    second, third = Visitor(app), Visitor(app)
    second.sign_in(mine)
    pass_time(9 * 60 + 30)
    third.sign_in(yours)
    heading, *lines = flask("sessions", "list").lines
    assert heading.split() == ["HANDLE", "TYPE", "DEVICE", "IP", "SIGNED", "IN", "ACTIVE", "EXPIRES"]
    blocks = {mine.account(): [second, visitor], yours.account(): [third]}
    expected = [line for owner in sorted(blocks) for line in (owner, *map(handle_of, blocks[owner]))]
    assert [line.split()[0] for line in lines] == expected, "the latest activity of each comes first"
    row = next(line for line in lines if handle_of(second) in line)
    rest = ["standard", "Unknown browser", "127.0.0.1", "9m ago", "9m ago", "in 20m"]
    assert re.split(r" {2,}", row.strip()) == [handle_of(second), *rest]
    assert all(len(line) <= 100 for line in (heading, *lines))


def test_the_list_of_one_account_has_no_other(app: Flask, flask: Shell) -> None:
    wallets = [Wallet(), Wallet()]
    for wallet in wallets:
        Visitor(app).sign_in(wallet)
    for wallet, other in (wallets, wallets[::-1]):
        out = flask("sessions", "list", wallet.account()).out
        assert wallet.address in out
        assert other.address not in out
        assert len(out.splitlines()) == 3


def test_an_account_may_be_written_in_lower_case(app: Flask, flask: Shell, wallet: Wallet) -> None:
    Visitor(app).sign_in(wallet)
    assert len(flask("sessions", "list", wallet.account().lower(), "--json").json) == 1


def test_json_list_matches_the_json_service(app: Flask, flask: Shell, services: Services, wallet: Wallet) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    expected = visitor.json("/api/auth/sessions").get_json()["data"]["sessions"]
    for row in expected:
        del row["current"]
    assert flask("sessions", "list", "--json").json == expected
    assert flask("sessions", "list", wallet.account(), "--json").json == expected
    for name in ("created_at", "last_activity", "expires_at", "absolute_expires_at"):
        assert ISO.fullmatch(expected[0][name])


def test_visitor_sessions_are_not_listed(flask: Shell, services: Services) -> None:
    services.repository.create(SessionRecord(data={"basket": 1}), 1800, 43_200)
    assert flask("sessions", "list", "--json").json == []


def test_a_session_that_scan_finds_twice_is_listed_once(
    flask: Shell, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_session(services)
    every = Sweeper.every
    monkeypatch.setattr(Sweeper, "every", lambda self: [*every(self), *every(self)])
    assert len(flask("sessions", "list", "--json").json) == 1


def test_hostile_names_are_harmless_in_the_session_list(flask: Shell, services: Services) -> None:
    """Twenty sessions fit the terminal."""
    for number in range(20):
        store_session(services, device=HOSTILE if number % 2 else "Samsung Internet on Android", ip="192.168.100.200")
    ran = flask("sessions", "list")
    assert all(len(line) <= 100 for line in ran.lines)
    assert len(ran.lines) == 22
    assert "?]0;pwned?" in ran.out
    listed = flask("sessions", "list", "--json")
    assert HOSTILE in {row["device"] for row in listed.json}
    assert listed.out.isascii()


@pytest.mark.parametrize("name", ["device", "label", "wallet", "agent"])
def test_no_control_character_reaches_the_terminal_from_any_name(flask: Shell, services: Services, name: str) -> None:
    handle = store_session(services, **{name: HOSTILE})
    for command in (["show", handle], ["list"], ["events"], ["revoke", handle, "--account", ALICE]):
        for options in ([], ["--json"]):
            assert flask("sessions", *command, *options).code == 0  # and `Shell` looks at every character


def store_many(services: Services, count: int) -> None:
    """Store the sessions of so many accounts."""
    for number in range(count):
        record = SessionRecord(
            handle=f"sess_{number:016d}", account=some_account(number), session_type="standard", data={}
        )
        services.repository.create(record, 1800, 43_200)


def some_account(number: int) -> str:
    return f"eip155:1:{checksum_address(f'0x{number:040x}')}"


def test_large_list_is_printed_in_sorted_blocks(flask: Shell, services: Services, redis: Redis) -> None:
    store_many(services, 1300)
    lines = flask("sessions", "list").lines
    assert lines[0].split()[0] == "HANDLE"
    owners = [line for line in lines[1:] if not line.startswith(" ")]
    assert (len(owners), len(set(owners)), len(lines)) == (1300, 1300, 2601)
    assert owners[:1000] == sorted(owners[:1000])
    assert owners[1000:] == sorted(owners[1000:])
    rows = flask("sessions", "list", "--json")
    assert {row["account"] for row in rows.json} == set(owners)
    assert len(rows.lines) == 1300, "each session has a line"


def test_list_prints_before_it_has_read_everything(
    flask: Shell, services: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis stops after the first thousand: they were printed, and the end says that they are not all."""
    store_many(services, 1300)
    every = Sweeper.every

    def until_redis_stops(self: Sweeper) -> Iterator[Any]:
        yield from itertools.islice(every(self), 1200)
        raise errors.StoreUnavailable("gone")

    monkeypatch.setattr(Sweeper, "every", until_redis_stops)
    for options in ([], ["--json"]):
        ran = flask("sessions", "list", *options)
        assert ran.code == 1
        assert ran.err == "store_unavailable: Redis does not answer, or refuses (gone).\n"
        assert ran.out.count("sess_") == 1000
    with pytest.raises(json.JSONDecodeError):
        json.loads(ran.out)


def test_list_stops_at_its_limit(flask: Shell, services: Services, redis: Redis) -> None:
    store_many(services, 5)
    ran = flask("sessions", "list", "--limit", "3", "--json")
    assert len(ran.json) == 3
    assert ran.err == "There are more than 3.\n"
    assert flask("sessions", "list", "--limit", "5").err == ""
    assert flask("sessions", "list", ALICE, "--limit", "1", "--json").json == []


def test_list_is_filtered(flask: Shell, services: Services, pass_time: TimeMachine) -> None:
    old = store_session(services)
    pass_time(20 * 60)
    professional = store_session(services, BOB, session_type="professional")
    polygon = store_session(services, BOB.replace("eip155:1:", "eip155:137:"))

    def listed(*options: str) -> set[str]:
        return {row["session_id"] for row in flask("sessions", "list", *options, "--json").json}

    assert listed() == {old, professional, polygon}
    assert listed("--type", "professional") == {professional}
    assert listed("--chain", "eip155:137") == {polygon}
    assert listed("--inactive", "10") == {old}
    assert listed(BOB, "--type", "professional") == {professional}
    assert listed("--type", "standard", "--chain", "eip155:1") == {old}


def test_filter_that_matches_nothing_says_so(flask: Shell, services: Services) -> None:
    store_session(services)
    for filters in (["--type", "professional"], ["--chain", "eip155:137"], ["--inactive", "10"]):
        for options in ([], ["--json"]):
            sentence = flask.refuses("not_found", "sessions", "list", *filters, *options)
            assert sentence == "No living session matches."


def test_malformed_filter_is_refused_with_the_right_values(flask: Shell, services: Services) -> None:
    store_session(services)
    assert "standard, " in flask.refuses("bad_request", "sessions", "list", "--type", "standart")
    for chain in ("1", "eip155:", "eip155:1:0x", "\x1b[2J", ""):
        assert "CAIP-2" in flask.refuses("bad_request", "sessions", "list", "--chain", chain)


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "x"], ["--inactive", "-1"], ["--inactive", "1.5"]])
def test_wrong_number_is_refused(flask: Shell, wrong: list[str]) -> None:
    ran = flask("sessions", "list", *wrong)
    assert (ran.code, ran.out) == (2, "")
    assert wrong[0] in ran.err


# -- One session -------------------------------------------------------------------------------------------------


def test_session_is_found_by_its_handle_without_a_search(
    app: Flask, flask: Shell, wallet: Wallet, redis: Redis
) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    handle = handle_of(visitor)
    redis.config_resetstat()
    assert flask("sessions", "show", handle, "--json").json["account"] == wallet.account()
    assert flask("sessions", "revoke", handle).code == 0
    assert "scan" not in commands_run(redis)


def test_session_is_found_by_its_handle_after_a_rotation(
    make_app: Callable[..., Flask], plain: str, wallet: Wallet, redis: Redis
) -> None:
    """The handle was made with the former secret; once that is dropped, it takes a search."""
    visitor = Visitor(make_app(SECRET_KEY=plain))
    visitor.sign_in(wallet)
    handle = handle_of(visitor)
    found = settings_of(environment(Shell(visitor.app)("keys", "rotate")))
    during = Shell(make_app(**found))
    redis.config_resetstat()
    assert during("sessions", "show", handle).code == 0
    assert "scan" not in commands_run(redis)
    assert during("sessions", "sweep").code == 0
    assert Shell(make_app(SECRET_KEY=found["SECRET_KEY"]))("sessions", "show", handle).code == 0


def test_session_show_prints_role_and_permissions(
    app: Flask, flask: Shell, services: Services, wallet: Wallet
) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    roles_of(services).assign(accounts.parse(wallet.account()), "restricted")
    handle = handle_of(visitor)
    shown = flask("sessions", "show", handle, "--json").json
    assert flask("sessions", "show", handle, "--account", wallet.account(), "--json").json == shown
    assert (shown["session_id"], shown["account"], shown["role"]) == (handle, wallet.account(), "restricted")
    assert shown["permissions"] == visitor.json("/api/auth/sessions/validate").get_json()["data"]["permissions"]
    assert ISO.fullmatch(shown["signed_at"])
    text = dict(line.split(maxsplit=1) for line in flask("sessions", "show", handle).lines if " " in line)
    assert text["session_id"] == handle
    assert text["role"] == "restricted"
    assert text["permissions"] == "read:profile"
    assert text["remember"] == "no"


NO_HANDLES = (
    "x",
    "sess_",
    "sess_" + "A" * 15,
    "sess_" + "A" * 17,
    "SESS_" + "A" * 16,
    "sess_" + "A" * 16 + "\n",
    "sess_" + "é" * 16,
    "sess_../../../../etc",
    "*",
    "a" * 10_000,
    "\x1b[2J",
    "A" * 55,
)


@pytest.mark.parametrize("command", ["show", "revoke"])
def test_malformed_handle_is_not_found(flask: Shell, services: Services, command: str) -> None:
    store_session(services)
    for handle in NO_HANDLES:
        for option in ([], ["--account", ALICE]):
            sentence = flask.refuses("not_found", "sessions", command, handle, *option)
            assert "handles look like" in sentence


@pytest.mark.parametrize("command", ["show", "revoke"])
def test_unknown_or_foreign_handle_is_not_found(flask: Shell, services: Services, command: str) -> None:
    handle = store_session(services)
    flask.refuses("not_found", "sessions", command, NOBODY)
    flask.refuses("not_found", "sessions", command, NOBODY, "--account", ALICE)
    flask.refuses("not_found", "sessions", command, handle, "--account", BOB)
    assert len(list(services.sweeper.every())) == 1


def test_revoked_session_ends_and_its_user_sees_the_reason(
    app: Flask, flask: Shell, services: Services, wallet: Wallet
) -> None:
    visitor, other = Visitor(app), Visitor(app)
    visitor.sign_in(wallet)
    other.sign_in(wallet)
    handle = handle_of(visitor)
    assert flask("sessions", "revoke", handle) == Ran(0, f"{handle} has ended.\n", "")
    assert reason_of(visitor) == "revoked"
    assert other.signed_in
    [entry, *_] = noted(services, wallet.account())
    assert (entry.name, entry.device, entry.ip) == ("session.ended", "Command line", "")
    assert entry.fields == {"handle": handle, "account": wallet.account(), "reason": "revoked"}
    flask.refuses("not_found", "sessions", "revoke", handle)
    again = flask("sessions", "revoke", handle, "--account", wallet.account(), "--json").json
    assert again == {"session_id": handle, "account": wallet.account(), "ended": False}


@pytest.mark.parametrize("with_account", [False, True])
def test_revoking_as_json_says_whether_it_was_alive(flask: Shell, services: Services, with_account: bool) -> None:
    handle = store_session(services)
    option = ["--account", ALICE] if with_account else []
    answer = flask("sessions", "revoke", handle, "--json", *option).json
    assert answer == {"session_id": handle, "account": ALICE, "ended": True}
    assert list(services.sweeper.every()) == []


def test_a_session_that_is_missing_in_its_index_can_be_revoked(
    flask: Shell, services: Services, redis: Redis
) -> None:
    handle = store_session(services)
    redis.delete(*redis.keys("*:index"))
    assert flask("sessions", "revoke", handle, "--json").json["ended"] is True
    assert list(services.sweeper.every()) == []


def test_session_that_rotates_during_the_search_is_found(
    flask: Shell, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = store_session(services)
    every, calls = Sweeper.every, []

    def miss_it_once(self: Sweeper) -> Any:
        calls.append(1)
        return [] if len(calls) == 1 else every(self)

    monkeypatch.setattr(Sweeper, "every", miss_it_once)
    assert flask("sessions", "revoke", handle).code == 0


def test_session_that_rotates_after_the_search_is_revoked(
    flask: Shell, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, find = services.repository, cli._find
    live = repository.create(SessionRecord(handle=NOBODY, account=ALICE, data={}), 1800, 43_200)

    def move(*arguments: Any) -> Any:
        found = find(*arguments)
        assert repository.rotate(live) is not None
        return found

    monkeypatch.setattr(cli, "_find", move)
    assert flask("sessions", "revoke", NOBODY, "--json").json["ended"] is True
    assert list(services.sweeper.every()) == []


# -- All sessions ------------------------------------------------------------------------------------------------


def test_all_sessions_of_an_account_end_and_no_other(
    app: Flask, flask: Shell, services: Services, wallet: Wallet
) -> None:
    visitors = [Visitor(app) for _ in range(3)]
    for visitor in visitors:
        visitor.sign_in(wallet)
    other = Visitor(app)
    other.sign_in(Wallet())
    ran = flask("sessions", "revoke-all", wallet.account(), "--yes")
    assert ran.out == f"{wallet.account()} is signed out everywhere. Sessions that ended: 3.\n"
    assert [reason_of(visitor) for visitor in visitors] == ["revoked"] * 3
    assert other.signed_in
    [entry, *_] = noted(services, wallet.account())
    assert (entry.name, entry.device, entry.fields["scope"]) == ("session.revoked_all", "Command line", "all")
    answer = flask("sessions", "revoke-all", wallet.account(), "--yes", "--json").json
    assert answer == {"scope": "all", "account": wallet.account(), "ended": 0}


def test_revoke_all_ends_all_sessions_of_the_site(app: Flask, flask: Shell, services: Services) -> None:
    visitors = [Visitor(app) for _ in range(2)]
    for visitor in visitors:
        visitor.sign_in(Wallet())
    assert flask("sessions", "revoke-all", "--everybody", "--yes").out == "Everybody is signed out.\n"
    assert [reason_of(visitor) for visitor in visitors] == ["revoked"] * 2
    [entry, *_] = noted(services)
    assert (entry.name, entry.device, entry.fields["scope"]) == ("session.revoked_all", "Command line", "everybody")
    assert flask("sessions", "revoke-all", "--everybody", "--yes", "--json").json == {"scope": "everybody"}


@pytest.mark.parametrize("whom", [[ALICE], ["--everybody"]])
@pytest.mark.parametrize("typed", ["n\n", "\n", ""])
def test_unconfirmed_revoke_all_ends_nothing(flask: Shell, services: Services, whom: list[str], typed: str) -> None:
    store_session(services)
    for options in ([], ["--json"]):
        ran = flask("sessions", "revoke-all", *whom, *options, typed=typed)
        assert ran.code == 1
        assert ran.out.strip("\n") == ""
        assert "?" in ran.err
    assert len(list(services.sweeper.every())) == 1


def test_confirmed_revoke_all_ends_them(flask: Shell, services: Services) -> None:
    store_session(services)
    ran = flask("sessions", "revoke-all", ALICE, "--json", typed="y\n")
    assert json.loads(ran.out)["ended"] == 1, "the question is not in what a program reads"
    assert f"Sign {ALICE} out everywhere?" in ran.err
    store_session(services)
    assert flask("sessions", "revoke-all", "--everybody", typed="y\n").code == 0
    assert list(services.sweeper.every()) == []


def test_revoke_all_needs_an_account_or_everybody_not_both(flask: Shell, services: Services) -> None:
    store_session(services)
    flask.refuses("bad_request", "sessions", "revoke-all", "--yes")
    flask.refuses("bad_request", "sessions", "revoke-all", ALICE, "--everybody", "--yes")
    assert len(list(services.sweeper.every())) == 1


# -- Sweeping and events -----------------------------------------------------------------------------------------


def test_sweep_prints_what_it_repaired(flask: Shell, services: Services, redis: Redis) -> None:
    handle = store_session(services)
    assert set(flask("sessions", "sweep", "--json").json.values()) == {0}
    redis.delete(*redis.keys("*:index"))
    heading, *lines = flask("sessions", "sweep").lines
    assert heading.split(maxsplit=2) == ["COUNT", "KIND", "WHAT WAS FOUND"]
    counts = {kind: int(count) for count, kind, _ in (line.split(maxsplit=2) for line in lines)}
    assert {kind: count for kind, count in counts.items() if count} == {"lost": 1}
    assert [row["session_id"] for row in flask("sessions", "list", ALICE, "--json").json] == [handle]
    assert all(len(line) <= 100 for line in lines)


def test_interrupted_sweep_goes_on_where_it_stopped(
    flask: Shell, services: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_many(services, 1300)
    for key in redis.scan_iter("*:session:*", count=1000):
        redis.persist(key)
    steps = Sweeper.steps

    def stop_after_two_pages(*arguments: Any) -> Iterator[Any]:
        yield from itertools.islice(steps(*arguments), 2)
        raise errors.StoreUnavailable("gone")

    monkeypatch.setattr(Sweeper, "steps", stop_after_two_pages)
    monkeypatch.setattr(sweep, "_EVERY", 0)
    ran = flask("sessions", "sweep")
    assert (ran.code, ran.out) == (1, "")
    said, refusal = ran.err.splitlines()
    assert said == "The sweep was interrupted. What it did stays done; run it again to go on."
    assert refusal == "store_unavailable: Redis does not answer, or refuses (gone)."
    monkeypatch.undo()
    done = 1300 - sum(redis.ttl(key) == -1 for key in redis.scan_iter("*:session:*", count=1000))
    assert 0 < done < 1300
    ran = flask("sessions", "sweep", "--json")
    assert ran.err == "A sweep was interrupted within the last hour: this one goes on where it stopped.\n"
    assert ran.json["clock"] == 1300, "those before the interruption are counted"
    assert not redis.exists(f"{REDIS_PREFIX}sweep")
    assert set(flask("sessions", "sweep", "--json").json.values()) == {0}


@pytest.mark.parametrize("why", ["--again", "another secret", "another server", "changed by hand"])
def test_sweep_begins_again_if_the_place_is_no_good(
    make_app: Callable[..., Flask], plain: str, redis: Redis, why: str
) -> None:
    app = make_app(SECRET_KEY=plain)
    flask, services = Shell(app), app.extensions["sessions_core"]
    store_session(services)
    redis.persist(next(iter(redis.keys("*:session:*"))))
    secret = ANOTHER if why == "another secret" else services.keys.newest_id
    runs = ["run_id:another"] if why == "another server" else sweep._runs(services.connection)
    place = json.dumps([runs, secret, [1, 0], 7, {}]) if why != "changed by hand" else "{"
    redis.set(f"{REDIS_PREFIX}sweep", place)
    ran = flask("sessions", "sweep", "--json", *(["--again"] if why == "--again" else []))
    assert (ran.json["clock"], ran.err) == (1, "")


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((io.StringIO(), False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        with output.progress_bar(100) as advance:
            advance(100)
        assert ("100%" in stream.getvalue()) is shown


def test_everything_that_a_sweep_counts_is_explained(services: Services) -> None:
    assert set(cli._FOUND) == {*services.sweeper.sweep()}
    of_parts = {name: said for sweep in services.hooks("sweep") for name, (_, said) in sweep().items()}
    assert {"people", "standings", "shares"} <= of_parts.keys()
    assert all(of_parts.values())


def test_events_come_newest_first_of_one_account_or_of_all(
    app: Flask, flask: Shell, services: Services, wallet: Wallet
) -> None:
    Visitor(app).sign_in(wallet)
    other = Wallet()
    Visitor(app).sign_in(other)
    flask("sessions", "revoke-all", wallet.account(), "--yes")
    flask("roles", "verify", wallet.account(), "lic_1", "licensed", "--days", "30")
    site, mine = flask("sessions", "events"), flask("sessions", "events", wallet.account())
    names = ["verification.changed", "session.revoked_all", "session.created", "session.created"]
    assert [line.split()[2] for line in site.lines[::2]] == names
    assert [line.split()[2] for line in mine.lines[::2]] == [*names[:2], names[3]]
    assert [line.split()[3] for line in site.lines[::2]] == [wallet.account()] * 2 + [
        other.account(),
        wallet.account(),
    ]
    assert site.lines[1].startswith("    Command line; level=licensed; until=20")
    assert all(len(line) <= 100 for ran in (site, mine) for line in ran.lines)
    rows = flask("sessions", "events", "--json").json
    assert [row["event"] for row in rows] == names
    assert set(rows[0]) == {"time", "event", "result", "count", "device", "ip", "details"}
    assert all(ISO.fullmatch(row["time"]) for row in rows)
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)


def test_events_can_be_limited_in_number_and_kind(app: Flask, flask: Shell, wallet: Wallet) -> None:
    visitor = Visitor(app)
    for _ in range(3):
        visitor.sign_in(wallet)
    assert len(flask("sessions", "events", "--limit", "2", "--json").json) == 2
    assert len(flask("sessions", "events", "--limit", "2").lines) == 4
    kinds = {row["event"] for row in flask("sessions", "events", "--kind", "ends", "--json").json}
    assert kinds == {"session.ended"}
    assert flask("sessions", "events", "--kind", "refusals").out == "Nothing has happened.\n"
    assert flask("sessions", "events", BOB, "--json").json == []


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "x"], ["--limit", "10001"], ["--kind", "rumours"]])
def test_wrong_option_is_refused_with_the_right_ones(flask: Shell, wrong: list[str]) -> None:
    ran = flask("sessions", "events", *wrong)
    assert ran.code == 2
    assert ran.out == ""
    assert wrong[0] in ran.err


def test_app_events_are_shown_with_any_content(flask: Shell, services: Services) -> None:
    from sessions_core.web.request_client import Client

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Odd(events.Event):
        name = "odd.\x1b[2J"
        account: str
        until: str
        many: tuple[int, ...] = (1, 2)

    services.part(Activity).log.note(Odd(account=ALICE, until=HOSTILE), Client(HOSTILE, HOSTILE, HOSTILE))
    for whom in ([], [ALICE]):
        for options in ([], ["--json"]):
            assert "odd." in flask("sessions", "events", *whom, *options).out


# -- Roles -------------------------------------------------------------------------------------------------------


def test_role_changes_are_kept_in_the_activity_log(
    app: Flask, flask: Shell, services: Services, wallet: Wallet
) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    account = wallet.account()

    def role() -> str:
        return visitor.json("/api/auth/sessions/validate").get_json()["data"]["role"]

    assert flask("roles", "list").out == "No account has a role or a verification.\n"
    assert flask("roles", "grant", account, "admin").out == f"{account} is admin now.\n"
    assert role() == "admin"
    assert flask("roles", "grant", account, "admin").out == f"{account} is admin already.\n"
    heading, line = flask("roles", "list").lines
    assert heading.split() == ["ACCOUNT", "ROLE", "PROFESSIONAL", "LEVEL", "UNTIL"]
    assert line.split() == [account, "admin"]
    answer = flask("roles", "revoke", account, "--json").json
    assert answer == {"account": account, "role": "member", "changed": True}
    assert role() == "member"
    assert flask("roles", "list", "--json").json == []
    changes = [entry for entry in noted(services, account) if entry.name == "role.changed"]
    assert [entry.device for entry in changes] == ["Command line"] * 2
    assert changes[1].fields == {"account": account, "before": "member", "after": "admin", "by": ""}


def test_the_first_administrator_is_made_here(app: Flask, flask: Shell, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    assert "/unauthorized" in visitor.get("/admin").location
    flask("roles", "grant", wallet.account(), "admin")
    assert visitor.get("/admin").status_code == 200


@pytest.mark.parametrize("role", ["admn", "Admin", "", "admin ", "\x1b[2J"])
def test_a_role_that_is_none_is_refused_with_the_list_of_roles(
    flask: Shell, services: Services, redis: Redis, role: str
) -> None:
    sentence = flask.refuses("bad_request", "roles", "grant", ALICE, role)
    assert sentence.endswith("the roles are member, admin, restricted, editor.")
    assert redis.keys("*") == []


def test_a_role_of_the_application_s_own_table_can_be_given(make_app: Callable[..., Flask]) -> None:
    flask = Shell(make_app({"roles": {"auditor": ("read:profile",)}}))
    assert flask("roles", "grant", ALICE, "auditor", "--json").json["changed"] is True
    assert "auditor" in flask.refuses("bad_request", "roles", "grant", ALICE, "auditer")


@pytest.mark.parametrize("command", [["grant", ALICE, "admin"], ["revoke", ALICE], ["grant", ALICE, "admn"]])
def test_roles_can_not_be_changed_if_the_app_has_role_for(
    make_app: Callable[..., Flask], redis: Redis, command: list[str]
) -> None:
    flask = Shell(make_app({"role_for": lambda account: "admin"}))
    assert "role_for" in flask.refuses("bad_request", "roles", *command)
    assert redis.keys("*") == []


def test_role_list_uses_the_apps_role_for(make_app: Callable[..., Flask]) -> None:
    flask = Shell(make_app({"role_for": lambda account: "restricted"}))
    assert flask("roles", "verify", ALICE, "lic_1", "licensed", "--days", "1").code == 0
    assert [row["role"] for row in flask("roles", "list", "--json").json] == ["restricted"]


def test_verification_is_granted_and_revoked(flask: Shell, services: Services, pass_time: TimeMachine) -> None:
    ran = flask("roles", "verify", ALICE, "lic_12345", "licensed", "--days", "30", "--json")
    until = roles_of(services).status(accounts.parse(ALICE)).verified_until
    assert abs(until - services.repository.time() - 30 * 86_400_000) < 5000
    assert ran.json == {
        "account": ALICE,
        "professional_id": "lic_12345",
        "verification_level": "licensed",
        "verified_until": iso(moment(until)),
    }
    assert flask("roles", "list").lines[1].split() == [
        ALICE,
        "member",
        "lic_12345",
        "licensed",
        iso(moment(until))[:10],
    ]
    assert flask("roles", "list", "--json").json == [
        {
            "account": ALICE,
            "role": "member",
            "professional_id": "lic_12345",
            "verification_level": "licensed",
            "verified": True,
            "verified_until": iso(moment(until)),
            "last_sign_in": None,
        }
    ]
    pass_time(31 * 86_400)
    assert flask("roles", "list").lines[1].endswith("(past)")
    assert flask("roles", "withdraw", ALICE).out == f"{ALICE} is not verified any more.\n"
    assert flask("roles", "withdraw", ALICE, "--json").json == {"account": ALICE, "changed": False}
    assert flask("roles", "withdraw", ALICE).out == f"{ALICE} is not verified, and was not before.\n"


@pytest.mark.parametrize(
    ("professional_id", "level"),
    [
        ("12345", "licensed"),
        ("lic_", "licensed"),
        ("lic_" + "x" * 41, "licensed"),
        ("lic_1\n", "licensed"),
        ("lic_1", "Licensed"),
        ("lic_1", ""),
        ("lic_1", "x" * 33),
    ],
)
def test_cli_refuses_the_same_input_as_the_admin_page(
    flask: Shell, redis: Redis, professional_id: str, level: str
) -> None:
    flask.refuses("bad_request", "roles", "verify", ALICE, professional_id, level, "--days", "30")
    assert redis.keys("*") == []


@pytest.mark.parametrize("days", [[], ["--days", "0"], ["--days", "3651"], ["--days", "-1"], ["--days", "1e3"]])
def test_a_verification_has_an_end(flask: Shell, redis: Redis, days: list[str]) -> None:
    ran = flask("roles", "verify", ALICE, "lic_1", "licensed", *days)
    assert ran.code == 2
    assert "--days" in ran.err
    assert redis.keys("*") == []


def test_the_longest_role_list_fits_the_terminal(flask: Shell) -> None:
    flask("roles", "grant", ALICE, "restricted")
    flask("roles", "verify", ALICE, "lic_" + "x" * 40, "licensed", "--days", "30")
    assert all(len(line) <= 100 for line in flask("roles", "list").lines)


@pytest.mark.parametrize(
    "command",
    [
        ["grant", ALICE, "admin"],
        ["revoke", ALICE],
        ["verify", ALICE, "lic_2", "licensed", "--days", "1"],
        ["withdraw", ALICE],
    ],
    ids=lambda command: command[0],
)
def test_shell_with_another_secret_asks_before_overwriting(
    make_app: Callable[..., Flask], services: Services, command: list[str]
) -> None:
    """If the secret is lost, the operator can decide again after confirming."""
    alice = accounts.parse(ALICE)
    roles_of(services).assign(alice, "restricted")
    roles_of(services).verify(alice, "lic_1", "licensed", 30)
    before = roles_of(services).status(alice)
    stranger = Shell(make_app(SECRET_KEY=ANOTHER))
    for typed in ("", "n\n"):
        ran = stranger("roles", *command, typed=typed)
        assert (ran.code, ran.out.strip()) == (1, "")
        assert "a secret that is not known here" in ran.err
    assert roles_of(services).status(alice) == before
    assert [member.status for member in roles_of(services).decided()] == [before]
    assert stranger("roles", *command, typed="y\n").code == 0, "where the secret is lost it can be decided again"
    assert roles_of(services).status(alice) != before


# -- What is refused ---------------------------------------------------------------------------------------------

OF_AN_ACCOUNT = (
    ["sessions", "list", "{}"],
    ["sessions", "show", NOBODY, "--account", "{}"],
    ["sessions", "revoke", NOBODY, "--account", "{}"],
    ["sessions", "revoke-all", "{}", "--yes"],
    ["sessions", "events", "{}"],
    ["roles", "grant", "{}", "admin"],
    ["roles", "revoke", "{}"],
    ["roles", "verify", "{}", "lic_1", "licensed", "--days", "30"],
    ["roles", "withdraw", "{}"],
)
OF_ALL = (
    ["sessions", "list"],
    ["sessions", "show", NOBODY],
    ["sessions", "revoke", NOBODY],
    ["sessions", "revoke-all", "--everybody", "--yes"],
    ["sessions", "sweep"],
    ["sessions", "events"],
    ["roles", "list"],
)


GROUPS = (cli.sessions, events_commands.sessions, roles_commands.roles, cli.keys)


def test_every_command_is_tried_below() -> None:
    tried = {tuple(command[:2]) for command in (*OF_AN_ACCOUNT, *OF_ALL)} | {("keys", "rotate")}
    assert tried == {(group.name, name) for group in GROUPS for name in group.commands}
    for group in GROUPS:
        for command in group.commands.values():
            assert "as_json" in {parameter.name for parameter in command.params}, command.name
            assert command.help


NO_ACCOUNTS = (
    "",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "eip155:1:0x52908400098527886e0F7030069857D2E4169EE7",
    "eip155:01:0x52908400098527886E0F7030069857D2E4169EE7",
    "eip155:1:0x5290",
    f"{ALICE}\n",
    "cosmos:hub:cosmos1xyz",
    "\x1b[2J\u202e",
    "x" * 5000,
)


@pytest.mark.parametrize("command", OF_AN_ACCOUNT, ids=lambda command: " ".join(command[:2]))
def test_an_account_that_is_none_is_refused(flask: Shell, redis: Redis, command: list[str]) -> None:
    for account in NO_ACCOUNTS:
        words = [account if word == "{}" else word for word in command]
        for options in ([], ["--json"]):
            assert len(flask.refuses("account_malformed", *words, *options)) < 150
    assert redis.keys("*") == []


@pytest.mark.parametrize("command", [*OF_AN_ACCOUNT, *OF_ALL], ids=" ".join)
def test_without_redis_every_command_says_so(
    make_app: Callable[..., Flask], tmp_path: Path, command: list[str]
) -> None:
    with running(Server(tmp_path / "redis")) as server:
        flask = Shell(make_app(SESSIONS_CORE_REDIS_URL=server.url))
        server.stop()
        words = [ALICE if word == "{}" else word for word in command]
        for options in ([], ["--json"]):
            assert "Redis" in flask.refuses("store_unavailable", *words, *options)


def test_redis_error_is_quoted(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    with running(Server(tmp_path / "redis")) as server:
        flask = Shell(make_app(SESSIONS_CORE_REDIS_URL=server.url))
        with server.client() as client:
            client.config_set("maxmemory", 1)
        assert "maxmemory" in flask.refuses("store_unavailable", "roles", "grant", ALICE, "admin")


def test_a_password_of_redis_is_in_no_refusal(make_app: Callable[..., Flask]) -> None:
    flask = Shell(make_app(SESSIONS_CORE_REDIS_URL="redis://somebody:hunter2@127.0.0.1:1/0"))
    flask.refuses("store_unavailable", "sessions", "list")
    assert "hunter2" not in "".join(flask.said)


def test_no_command_prints_a_session_id_or_a_secret(app: Flask, flask: Shell, wallet: Wallet) -> None:
    visitor = Visitor(app)
    session_id = visitor.sign_in(wallet)
    token = visitor.token("/session")
    handle = handle_of(visitor)
    flask("roles", "grant", wallet.account(), "admin")
    for command in (*OF_AN_ACCOUNT, *OF_ALL):
        words = [{"{}": wallet.account(), NOBODY: handle}.get(word, word) for word in command]
        for options in ([], ["--json"]):
            if "revoke" not in words[1]:
                assert flask(*words, *options).code == 0
    flask("sessions", "revoke", handle)
    said = "".join(flask.said)
    assert handle in said
    for secret in (session_id, session_id[-43:], session_id[12:30], token, SECRET, SECRET[:12], "csrf"):
        assert secret not in said


# -- Keys --------------------------------------------------------------------------------------------------------


def environment(ran: Ran) -> dict[str, str]:
    """Read the two lines as a shell does."""
    assert ran.code == 0
    assert len(ran.lines) == 2
    return dict(shlex.split(line)[0].split("=", 1) for line in ran.lines)


def settings_of(found: dict[str, str]) -> dict[str, Any]:
    """What config.py makes of these lines."""
    return {
        "SECRET_KEY": found["SESSION_SECRET"],
        "SECRET_KEY_FALLBACKS": found["SESSION_SECRET_FALLBACKS"].split(","),
    }


@pytest.fixture
def plain() -> str:
    """A secret as `openssl rand -base64 32` makes it."""
    return "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="


def test_keys_rotate_prints_the_new_and_all_former_secrets(make_app: Callable[..., Flask], plain: str) -> None:
    """The former ones stand oldest first."""
    older = ["a first secret of $HOME and 32 characters' length", "a second secret of 32 characters and more"]
    flask = Shell(make_app(SECRET_KEY=plain, SECRET_KEY_FALLBACKS=older))
    ran = flask("keys", "rotate")
    found = environment(ran)
    assert list(found) == ["SESSION_SECRET", "SESSION_SECRET_FALLBACKS"]
    assert found["SESSION_SECRET_FALLBACKS"] == ",".join([*older, plain])
    assert len(found["SESSION_SECRET"]) >= 43
    assert re.fullmatch(r"SESSION_SECRET=[A-Za-z0-9_-]+", ran.lines[0]), "no quotes where none are needed"
    for words in ("estart", "flask sessions sweep", "SESSION_SECRET_FALLBACKS", "activity"):
        assert words in ran.err
    assert all(len(line) <= 100 for line in ran.err.splitlines())
    again = flask("keys", "rotate", "--json")
    assert again.err == ""
    assert again.json["SESSION_SECRET"] != found["SESSION_SECRET"]
    assert again.json["SESSION_SECRET_FALLBACKS"] == found["SESSION_SECRET_FALLBACKS"]


@pytest.mark.parametrize(
    "odd",
    [
        "a secret with, a comma in it and 32 characters",
        "a secret with a\x1b[2J in it and more",
        "ein geheimnis mit ä und über 32 zeichen",
    ],
)
def test_secret_unfit_for_the_environment_is_not_printed(
    make_app: Callable[..., Flask], odd: str, plain: str
) -> None:
    for settings in ({"SECRET_KEY": odd}, {"SECRET_KEY": plain, "SECRET_KEY_FALLBACKS": [odd]}):
        flask = Shell(make_app(**settings))
        assert "SECRET_KEY_FALLBACKS" in flask.refuses("bad_request", "keys", "rotate")
        assert odd[:20] not in "".join(flask.said)
        assert plain not in "".join(flask.said)


def test_secret_rotation_keeps_sessions_and_rights(make_app: Callable[..., Flask], plain: str, redis: Redis) -> None:
    """Before and after the old secret is dropped."""
    before = make_app(SECRET_KEY=plain)
    flask = Shell(before)
    admin, expert, member = Wallet(), Wallet(), Wallet()
    flask("roles", "grant", admin.account(), "admin")
    flask("roles", "verify", expert.account(), "lic_1", "licensed", "--days", "30")
    ids = {
        each.address: Visitor(before).sign_in(each, **({"session_type": "professional"} if each is expert else {}))
        for each in (admin, expert, member)
    }

    def state(app: Flask) -> dict[str, tuple[Any, ...]]:
        found = {}
        for address, session_id in ids.items():
            visitor = Visitor(app)
            visitor.session_id = session_id
            answer = visitor.json("/api/auth/sessions/validate").get_json()
            assert answer["success"], answer
            data = answer["data"]
            found[address] = (data["session_id"], data["role"], data["permissions"], data.get("professional_id"))
        return found

    expected = state(before)
    assert [expected[each.address][1] for each in (admin, expert, member)] == ["admin", "member", "member"]
    assert expected[expert.address][3] == "lic_1"
    found = settings_of(environment(flask("keys", "rotate")))
    during = make_app(**found)
    assert state(during) == expected, "nobody has to wait for the sweep"
    counts = Shell(during)("sessions", "sweep", "--json").json
    assert counts["resealed"] == 3
    assert counts["standings"] == 2 + 2 + 3, "two decided, their standings, three names"
    assert (counts["unreadable"], counts["dead"], counts["foreign"]) == (0, 0, 0)
    assert set(Shell(during)("sessions", "sweep", "--json").json.values()) == {0}
    after = make_app(SECRET_KEY=found["SECRET_KEY"])
    assert state(after) == expected
    assert len(Shell(after)("roles", "list", "--json").json) == 2
    assert len(Shell(after)("sessions", "list", "--json").json) == 3
    assert len(Shell(during)("sessions", "events", "--json").json) >= 5
    assert Shell(after)("sessions", "events", "--json").json == [], "as `keys rotate` says"
    signed_in = Visitor(after)
    signed_in.session_id = ids[member.address]
    assert signed_in.sign_out().status_code == 303


def test_without_a_sweep_a_dropped_secret_loses_its_sessions(
    make_app: Callable[..., Flask], plain: str, wallet: Wallet
) -> None:
    """They come back with the secret."""
    visitor = Visitor(make_app(SECRET_KEY=plain))
    visitor.sign_in(wallet)
    found = settings_of(environment(Shell(visitor.app)("keys", "rotate")))
    dropped = make_app(SECRET_KEY=found["SECRET_KEY"])
    listed = Shell(dropped)("sessions", "list", "--json")
    assert (listed.code, json.loads(listed.out)) == (1, [])
    assert listed.err.endswith("Not listed, since a secret that is not known here encrypted them: 1.\n")
    assert Shell(dropped)("sessions", "sweep", "--json").json["foreign"] == 1
    assert visitor.signed_in, "and come back with it"


@pytest.fixture
def in_development(redis_url: str, redis: Redis, tmp_path: Path) -> Callable[..., Flask]:
    """An application that makes its own secret; each call is another process that starts."""

    def start(**config: Any) -> Flask:
        app = Flask("bare", instance_path=str(tmp_path / "instance"), root_path=str(ROOT))
        app.config.update(
            SESSIONS_CORE_DEVELOPMENT=True,
            SESSIONS_CORE_PUBLIC_ORIGIN=ORIGIN,
            SESSIONS_CORE_REDIS_URL=redis_url,
            **config,
        )
        WalletSessions(app)
        return app

    return start


def test_a_secret_that_development_made_is_rotated_in_its_file(
    in_development: Callable[..., Flask], tmp_path: Path, wallet: Wallet
) -> None:
    path = tmp_path / "instance" / "secret_key"
    visitor = Visitor(in_development())
    session_id = visitor.sign_in(wallet)
    [former] = path.read_text().splitlines()
    flask = Shell(visitor.app)
    ran = flask("keys", "rotate")
    assert ran.out == f"{path} holds 2 secrets now, the newest last.\n"
    for words in ("estart", "flask sessions sweep", f"every line but the last in {path}", "activity"):
        assert words in ran.err
    kept, newest = path.read_text().splitlines()
    assert kept == former
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert visitor.signed_in, "the process that runs goes on with what it knows"
    restarted = Visitor(in_development())
    assert restarted.app.config["SECRET_KEY"] == newest
    assert restarted.app.config["SECRET_KEY_FALLBACKS"] == [former]
    restarted.session_id = session_id
    assert restarted.signed_in
    assert Shell(restarted.app)("sessions", "sweep", "--json").json["resealed"] == 1
    path.write_text(newest + "\n")
    last = Visitor(in_development())
    last.session_id = session_id
    assert last.signed_in
    assert not last.app.config["SECRET_KEY_FALLBACKS"]
    assert Shell(last.app)("keys", "rotate", "--json").json == {"path": str(path), "secrets": 2}
    assert not any(secret in "".join(flask.said) for secret in (former, newest))


def test_configured_fallbacks_come_before_those_of_the_file(
    in_development: Callable[..., Flask],
) -> None:
    Shell(in_development())("keys", "rotate")
    app = in_development(SECRET_KEY_FALLBACKS=[SECRET])
    secrets = app.extensions["sessions_core"].settings.secrets
    assert secrets[0] == SECRET
    assert len(secrets) == 3
    assert secrets[-1] == app.config["SECRET_KEY"]


def test_concurrent_key_rotations_lose_no_secret(in_development: Callable[..., Flask], tmp_path: Path) -> None:
    apps = [in_development() for _ in range(4)]
    with_app = [lambda app=app: rotate_in(app) for app in apps]  # type: ignore[misc]
    counts = together(*with_app)
    assert sorted(counts) == [2, 3, 4, 5]
    assert len(set((tmp_path / "instance" / "secret_key").read_text().splitlines())) == 5


def rotate_in(app: Flask) -> int:
    return cli._in_file(app.extensions[SECRET_FILE])


def test_unwritable_secret_file_is_reported(
    in_development: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    flask = Shell(in_development())

    def full(path: Path) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli.secret_file, "rotate", full)
    assert "No space left" in flask.refuses("internal_error", "keys", "rotate")


# -- Cluster and Sentinel ----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(other_url: str, make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    return lambda **settings: make_app(SESSIONS_CORE_REDIS_URL=other_url, **settings)


def test_commands_work_on_cluster_and_sentinel(elsewhere: Callable[..., Flask], plain: str) -> None:
    app = elsewhere(SECRET_KEY=plain)
    flask, services = Shell(app), app.extensions["sessions_core"]
    wallets = [Wallet() for _ in range(5)]
    visitors = [Visitor(app) for _ in wallets]
    for visitor, wallet in zip(visitors, wallets, strict=True):
        visitor.sign_in(wallet)
    assert {row["account"] for row in flask("sessions", "list", "--json").json} == {w.account() for w in wallets}
    handle = handle_of(visitors[0])
    assert flask("sessions", "show", handle, "--json").json["account"] == wallets[0].account()
    for live in services.sweeper.every():  # a hand in the database
        link_of(services.repository).call("HDEL", live.keys.entries, live.keys.digest)
        link_of(services.repository).call("PERSIST", live.keys.record)
    counts = flask("sessions", "sweep", "--json").json
    assert (counts["lost"], counts["clock"]) == (5, 5)
    assert set(flask("sessions", "sweep", "--json").json.values()) == {0}
    assert flask("sessions", "revoke", handle, "--json").json["ended"] is True
    assert reason_of(visitors[0]) == "revoked"
    flask("roles", "grant", wallets[1].account(), "admin")
    found = settings_of(environment(flask("keys", "rotate")))
    counts = Shell(elsewhere(**found))("sessions", "sweep", "--json").json
    assert (counts["resealed"], counts["standings"]) == (4, 2 + 5)
    after = Shell(elsewhere(SECRET_KEY=found["SECRET_KEY"]))
    assert len(after("sessions", "list", "--json").json) == 4
    assert [row["role"] for row in after("roles", "list", "--json").json] == ["admin"]
    assert flask("sessions", "events", wallets[1].account(), "--json").json[0]["event"] == "role.changed"
    assert after("sessions", "revoke-all", wallets[1].account(), "--yes", "--json").json["ended"] == 1
    assert after("sessions", "revoke-all", "--everybody", "--yes").code == 0
    assert after("sessions", "list", "--json").json == []


# -- As a person runs it -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that the developer's own instance folder is left alone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("app.py", "config.py"):
        shutil.copy(ROOT / name, folder)
    for name in ("sessions_core", "tour", "templates", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def typed(checkout: Path) -> Iterator[Callable[..., Ran]]:
    """Run a line of a shell in the checkout."""
    sockets = tempfile.mkdtemp(prefix="ws-")  # the path of a socket must be short
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

    def run(line: str, **environment: str) -> Ran:
        done = subprocess.run(
            line,
            shell=True,
            cwd=checkout,
            env=kept | {"TMPDIR": sockets} | environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        encoding = environment.get("PYTHONIOENCODING", "utf-8")
        return Ran(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))

    yield run
    shutil.rmtree(sockets)


def line_of_readme(beginning: str) -> str:
    """The command of README that begins like this."""
    readme = (ROOT / "README.md").read_text()
    found = re.findall(rf"^(\.venv/bin/flask --app app {beginning}.*?)(?: +#.*)?$", readme, re.MULTILINE)
    assert len(found) == 1, found
    return found[0]


def test_the_first_administrator_is_made_as_readme_says(
    typed: Callable[..., Ran], app: Flask, visitor: Visitor, wallet: Wallet, redis_url: str
) -> None:
    visitor.sign_in(wallet)
    environment = {"REDIS_URL": redis_url, "SESSION_SECRET": SECRET}
    listed = typed(line_of_readme("sessions list"), **environment)
    assert listed.code == 0, listed.err
    assert wallet.account() in listed.out
    assert handle_of(visitor) in listed.out
    grant = re.sub(r"eip155:1:0x\S*", wallet.account(), line_of_readme("roles grant"))
    assert typed(grant, **environment) == Ran(0, f"{wallet.account()} is admin now.\n", "")
    assert visitor.json("/api/auth/sessions/validate").get_json()["data"]["role"] == "admin"
    refused = typed(grant.replace(" admin", " admn"), **environment)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "bad_request: There is no such role; the roles are member, admin, restricted, editor.\n"


def test_development_cli_uses_the_secret_and_redis_of_the_demo(typed: Callable[..., Ran], checkout: Path) -> None:
    first = typed(f".venv/bin/flask --app app roles grant {ALICE} admin")
    assert first.code == 0, first.err
    path = checkout / "instance" / "secret_key"
    secret = path.read_text()
    rotated = typed(".venv/bin/flask --app app keys rotate")
    assert rotated.out == f"{path} holds 2 secrets now, the newest last.\n"
    assert secret not in rotated.out + rotated.err
    swept = typed(".venv/bin/flask --app app sessions sweep --json")
    assert swept.json["standings"] == 2, swept.err
    path.write_text(path.read_text().splitlines()[-1])
    listed = typed(".venv/bin/flask --app app roles list --json")
    assert [(row["account"], row["role"]) for row in listed.json] == [(ALICE, "admin")]


def test_the_lines_of_a_rotation_can_be_evaluated_by_a_shell(typed: Callable[..., Ran], redis_url: str) -> None:
    odd = 'it\'s a secret with $HOME and `id` and "quotes" in it'
    environment = {"REDIS_URL": redis_url, "SESSION_SECRET": odd}
    rotate = ".venv/bin/flask --app app keys rotate"
    ran = typed(
        f'{rotate} > lines && set -a && . ./lines && {rotate} --json && echo "$SESSION_SECRET"', **environment
    )
    value, end = json.JSONDecoder().raw_decode(ran.out)
    assert value["SESSION_SECRET_FALLBACKS"] == f"{odd},{ran.out[end:].strip()}"


def test_without_redis_a_person_reads_one_sentence(typed: Callable[..., Ran]) -> None:
    ran = typed(".venv/bin/flask --app app sessions list", REDIS_URL="redis://127.0.0.1:1/0", SESSION_SECRET=SECRET)
    assert (ran.code, ran.out) == (1, "")
    assert re.fullmatch(r"store_unavailable: Redis does not answer, or refuses \(.*\)\.\n", ran.err)


@pytest.mark.parametrize(("encoding", "command"), [("latin-1", "list"), ("latin-1", "show {}"), ("ascii", "show {}")])
def test_a_terminal_that_can_not_show_a_name_shows_the_rest(
    typed: Callable[..., Ran], services: Services, redis_url: str, encoding: str, command: str
) -> None:
    handle = store_session(services, label="Καλημέρα \N{GRINNING FACE}", device="€" * 60)
    environment = {"REDIS_URL": redis_url, "SESSION_SECRET": SECRET, "PYTHONIOENCODING": encoding}
    ran = typed(f".venv/bin/flask --app app sessions {command.format(handle)}", **environment)
    assert (ran.code, ran.err) == (0, "")
    assert handle in ran.out
