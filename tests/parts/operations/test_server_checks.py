"""What start-up and `/readyz` find out about all servers behind the URL, and the sentences that say what to do."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

import sessions_core
from sessions_core.errors import Misconfigured
from sessions_core.parts.operations.readiness import Readiness
from sessions_core.parts.operations.server_checks import PROBE, refuse_unsafe_server
from sessions_core.parts.operations.shared_secret import refuse_other_secret
from sessions_core.settings import Settings
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.encryption import KeyRing

from ...constants import ANOTHER, PRODUCTION, REDIS_PREFIX, SECRET
from ...servers import Server, free_port, running, with_rights

PREFIX = REDIS_PREFIX


def refusal(url: str, prefix: str = PREFIX) -> str:
    with pytest.raises(Misconfigured) as caught:
        refuse_unsafe_server(RedisConnection(url, 1), prefix)
    return str(caught.value)


def trouble(url: str) -> str | None:
    """What `/readyz` finds, once all servers have been looked at."""
    settings = Settings(secrets=(SECRET,), redis_url=url, public_origin="https://app.example.org")
    readiness = Readiness(RedisConnection(url, 1), KeyRing((SECRET,), "test"), settings)
    readiness._look_at_all()
    return readiness._elsewhere


# -- Rights --------------------------------------------------------------------------------------------------------


def test_every_command_that_is_used_is_tried() -> None:
    """Commands by name in all scripts and calls of the package; those about the server itself are not of requests."""
    package = Path(sessions_core.__file__).parent
    used: set[str] = set()
    for path in (*package.rglob("*.py"), *package.rglob("*.lua")):
        text = path.read_text()
        used |= set(re.findall(r"redis\.p?call\('([A-Z]+)'", text))
        used |= set(re.findall(r"(?:(?:_?connection|self)\.call|exchange)\(\s*\(?\"([A-Z]+)\"", text))
    tried = set(re.findall(r"try\('([A-Z]+)'", PROBE.text))
    assert used - tried <= {"INFO", "PING", "EVAL", "EVALSHA", "UNLINK"}
    assert {"SET", "HSET", "ZADD", "XADD", "MGET", "PUBLISH", "INCR"} <= used & tried


def test_a_user_with_all_rights_may_start(server: Server, raw: Redis, caplog: pytest.LogCaptureFixture) -> None:
    url = with_rights(server, f"~{REDIS_PREFIX}*", f"&{REDIS_PREFIX}ended", "+@all")
    refuse_unsafe_server(RedisConnection(url, 1), PREFIX)
    assert caplog.records == []
    assert raw.keys() == []
    assert trouble(url) is None


@pytest.mark.parametrize("command", ["zadd", "hset", "xadd", "mget", "incr", "lpush", "scan", "persist"])
def test_a_missing_right_is_named(server: Server, command: str) -> None:
    url = with_rights(server, "~*", "&*", "+@all", f"-{command}")
    assert f"ACL SETUSER <user> +{command}" in refusal(url)
    assert trouble(url) == "redis_refuses"


def test_scripts_that_are_forbidden_are_named(server: Server) -> None:
    assert "ACL SETUSER <user> +eval" in refusal(with_rights(server, "~*", "&*", "+@all", "-@scripting"))
    assert "ACL SETUSER <user> +evalsha" in refusal(with_rights(server, "~*", "&*", "+@all", "-evalsha"))


def test_keys_that_are_forbidden_are_named(server: Server) -> None:
    url = with_rights(server, "~other:*", "&*", "+@all")
    assert f"ACL SETUSER <user> ~{REDIS_PREFIX}*" in refusal(url)
    assert trouble(url) == "redis_refuses"


@pytest.mark.parametrize("command", ["EVAL", "SCAN", "ZADD"])
def test_a_renamed_command_is_named(tmp_path: Path, command: str) -> None:
    with running(Server(tmp_path, "--appendonly", "yes", "--rename-command", command, "")) as server:
        assert f"no command {command}: take its rename-command out" in refusal(server.url)
        assert trouble(server.url) == "redis_refuses"


def test_a_missing_channel_right_is_a_warning(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    url = with_rights(server, "~*", "+@all")
    refuse_unsafe_server(RedisConnection(url, 1), PREFIX)
    assert f"ACL SETUSER <user> &{REDIS_PREFIX}ended +publish" in caplog.text
    assert trouble(url) is None


def test_a_right_that_is_taken_later_is_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert trouble(with_rights(server, "~*", "&*", "+@all", "-hset")) == "redis_refuses"
    assert "ACL SETUSER <user> +hset" in caplog.text


# -- Credentials ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["", ":wrong@", "app:secret@"])
def test_a_wrong_or_missing_password_is_refused(
    server: Server, raw: Redis, make_app: Callable[..., Flask], given: str
) -> None:
    raw.config_set("requirepass", "right")
    raw.auth("right")
    url = server.url.replace("unix://", f"unix://{given}")
    with pytest.raises(Misconfigured, match="Redis refuses the user or the password of SESSIONS_CORE_REDIS_URL"):
        make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=url)
    make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url.replace("unix://", "unix://:right@"))


def test_without_the_check_a_wrong_password_is_still_refused(
    server: Server, raw: Redis, make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    """The setting is for a Redis that can't be changed, and says so in the log."""
    raw.config_set("appendonly", "no")
    unchecked = PRODUCTION | {"SESSIONS_CORE_REDIS_CHECK": False, "SESSIONS_CORE_REDIS_URL": server.url}
    make_app(**unchecked)
    assert "Redis has appendonly no" in caplog.text
    raw.config_set("requirepass", "right")
    with pytest.raises(Misconfigured, match="refuses the user or the password"):
        make_app(**unchecked)


def test_a_server_that_is_down_is_truthfully_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    refuse_unsafe_server(RedisConnection(f"redis://127.0.0.1:{free_port()}", 1), PREFIX)
    assert "does not answer" in caplog.text
    assert "can't be checked" in caplog.text


# -- Servers that can't be changed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "risk"),
    [
        ("appendonly", "no", "after a restart, sessions that were revoked live again"),
        ("maxmemory-policy", "volatile-lru", "under memory pressure it drops sessions"),
    ],
)
def test_the_way_out_and_its_risk_are_named(server: Server, raw: Redis, name: str, value: str, risk: str) -> None:
    raw.config_set(name, value)
    sentence = refusal(server.url)
    assert "SESSIONS_CORE_REDIS_CHECK = False starts all the same, at your risk" in sentence
    assert risk in sentence


# -- One secret for each prefix ------------------------------------------------------------------------------------


def check(url: str, *secrets: str, prefix: str = PREFIX) -> None:
    refuse_other_secret(RedisConnection(url, 1), KeyRing(secrets, "test"), prefix)


def test_two_secrets_under_one_prefix_are_refused(server: Server) -> None:
    check(server.url, SECRET)
    with pytest.raises(
        Misconfigured, match=rf"SESSIONS_CORE_REDIS_PREFIX.*SECRET_KEY_FALLBACKS.*DEL {REDIS_PREFIX}secret"
    ):
        check(server.url, ANOTHER)
    check(server.url, ANOTHER, prefix="staging:")
    check(server.url, SECRET)


def test_rotating_the_secret_is_never_refused(server: Server) -> None:
    """In any order of restarts, and whichever process starts late with the former secret."""
    check(server.url, SECRET)
    check(server.url, SECRET, ANOTHER)
    check(server.url, SECRET)  # one that is still to be updated starts again
    check(server.url, SECRET, ANOTHER)
    check(server.url, ANOTHER)  # the former one is dropped
    secrets = [ANOTHER, *(f"secret number {number} of 32 characters, abcdef" for number in range(8))]
    for former, newer in itertools.pairwise(secrets):
        check(server.url, former, newer)
        check(server.url, newer)


def test_a_secret_that_was_replaced_starts_once_told_so(server: Server, raw: Redis) -> None:
    check(server.url, SECRET)
    raw.delete(f"{REDIS_PREFIX}secret")
    check(server.url, ANOTHER)


def test_two_applications_with_two_secrets_do_not_start(server: Server, make_app: Callable[..., Flask]) -> None:
    production = PRODUCTION | {"SESSIONS_CORE_REDIS_URL": server.url}
    make_app(**production)
    make_app(**production)
    with pytest.raises(Misconfigured, match="Another application uses this Redis"):
        make_app(**production, SECRET_KEY=ANOTHER)
    make_app(**production, SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[SECRET])


@pytest.mark.parametrize("value", [b"junk", b"|||", b"!!!|???"])
def test_corrupted_secret_marker_raises_no_traceback(server: Server, raw: Redis, value: bytes) -> None:
    raw.set(f"{REDIS_PREFIX}secret", value)
    with contextlib.suppress(Misconfigured):
        check(server.url, SECRET)


def test_a_full_redis_does_not_stop_the_start(server: Server, raw: Redis) -> None:
    raw.config_set("maxmemory", 1)
    check(server.url, SECRET)
    refuse_unsafe_server(RedisConnection(server.url, 1), PREFIX)
