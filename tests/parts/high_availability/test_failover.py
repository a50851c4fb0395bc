"""Sentinel and Cluster replace a master: nothing that was acknowledged afterwards is undone, and nobody gets an error
once it is over.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from sessions_core.errors import StoreUnavailable
from sessions_core.parts.operations import Operations
from sessions_core.storage.connection import RedisConnection, Script

from ... import clusters
from ...actors import Visitor, Wallet
from ...clusters import Cluster, Member, Sentinels, wait_until
from ...constants import PRODUCTION, REDIS_PREFIX, ROOT
from ...failovers import Accounts, sign_outs_during
from ...servers import free_port
from ...time_machine import finish_looking

WRITE = Script("redis.call('GET', KEYS[1]) return redis.call('SET', KEYS[1], ARGV[1])")


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Sentinels]:
    """A Sentinel service of this test alone."""
    with clusters.sentinel(tmp_path) as made:
        yield made


def test_sign_outs_survive_a_planned_failover(broken: Sentinels, make_app: Callable[..., Flask]) -> None:
    found = sign_outs_during(broken, make_app, broken.fail_over, count=8, seconds=3)
    assert (found["alive after the failover"], found["seen alive elsewhere at once"]) == (0, 0)
    assert found["acknowledged"] >= 6


def test_no_request_fails_once_a_failover_is_over(broken: Sentinels, make_app: Callable[..., Flask]) -> None:
    """A process that was idle meanwhile has connections to a master that is dead."""
    app = make_app(SESSIONS_CORE_REDIS_URL=broken.url)
    person = Visitor(app)
    person.sign_in(Wallet())
    former = broken.master()
    former.crash()
    wait_until(lambda: broken.master() is not former)
    assert [person.get("/session").status_code for _ in range(5)] == [200] * 5


def test_a_frozen_former_master_is_left_at_once(broken: Sentinels) -> None:
    link = RedisConnection(broken.url, 0.5)
    link.call("SET", "a", "1")
    former = broken.master()
    with former.frozen():
        wait_until(lambda: broken.master() is not former)
        assert link.call("GET", "a") == b"1"
    link.close()


def test_idle_connections_leave_a_former_master(broken: Sentinels) -> None:
    """The former master still takes writes when the sentinels name another: they would be thrown away."""
    link = RedisConnection(broken.url, 1.0)
    link.call("SET", "a", "1")
    former = broken.master()
    broken.fail_over()
    wait_until(lambda: broken.master() is not former)
    assert link.service.fails_over
    link.service.master._ask_again = 0.0  # a tenth of a second has passed
    link.call("SET", "a", "2")
    assert broken.master().ask("GET", "a") == b"2"
    link.close()


@pytest.mark.parametrize("words", ["NOREPLICAS", "read only replica"])
def test_master_that_takes_no_writes_is_left_at_once(tmp_path: Path, words: str) -> None:
    """Both say that this is the master no longer, in the error of a script as well."""
    member = Member(tmp_path, free_port()).start()
    link = RedisConnection(f"redis://127.0.0.1:{member.port}", 1.0)
    try:
        first = link.call("CLIENT", "ID")
        if words == "NOREPLICAS":
            member.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        else:
            member.ask("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(StoreUnavailable, match=words):
            link.run(WRITE, ("k",), "x")
        assert link.call("CLIENT", "ID") not in (first, first + 1)
    finally:
        link.close()
        member.stop()


def test_sentinel_without_min_replicas_is_warned_of(
    sentinels: Sentinels, make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    production = PRODUCTION | {"SESSIONS_CORE_REDIS_URL": sentinels.url}
    with caplog.at_level(logging.WARNING):
        make_app(**production, SESSIONS_CORE_REVOCATION_REPLICAS=1)
        sentinels.servers[0].ask("CONFIG", "SET", "min-replicas-to-write", 1)
        make_app(**production)
        assert "min-replicas-to-write" not in caplog.text
        sentinels.servers[0].ask("CONFIG", "SET", "min-replicas-to-write", 0)
        make_app(**production)
    assert "without min-replicas-to-write" in caplog.text


@pytest.fixture
def shaken(tmp_path: Path) -> Iterator[Cluster]:
    """A Cluster of this test alone."""
    with clusters.cluster(tmp_path, "--cluster-require-full-coverage", "no") as made:
        yield made


@pytest.fixture
def accounts(shaken: Cluster, make_app: Callable[..., Flask]) -> Accounts:
    return Accounts(shaken, make_app(SESSIONS_CORE_REDIS_URL=shaken.url))


def test_a_lost_master_costs_only_its_own_accounts(accounts: Accounts) -> None:
    """With one circuit breaker for all, a third of the accounts would take the others with them."""
    cluster, app = accounts.cluster, accounts.app
    lost = next(each for each in cluster.masters() if each is not cluster.owner(f"{REDIS_PREFIX}epoch"))
    unlucky = accounts.by_master[lost.port]
    lucky = [person for port, person in accounts.by_master.items() if port != lost.port]
    cluster.replica_of(lost).crash()
    lost.crash()
    statuses: dict[str, Counter[int]] = {"lost": Counter(), "living": Counter()}
    for _ in range(10):
        statuses["lost"].update(unlucky.get("/session").status_code for _ in range(4))
        statuses["living"].update(person.get("/session").status_code for person in lucky)
    assert statuses == {"lost": Counter({503: 40}), "living": Counter({200: 20})}
    found = [Visitor(app).json("/readyz") for _ in range(10)]
    assert {each.status_code for each in found} == {200}
    assert {each.get_json()["data"]["trouble"] for each in found} == {"redis_partial"}


def test_lost_master_of_the_global_epoch_is_not_ready(accounts: Accounts) -> None:
    """Every request reads the global epoch: without its master no account can be served."""
    cluster = accounts.cluster
    lost = cluster.owner(f"{REDIS_PREFIX}epoch")
    cluster.replica_of(lost).crash()
    lost.crash()
    assert [person.get("/session").status_code for person in accounts.by_master.values()] == [503] * 3
    answer = Visitor(accounts.app).json("/readyz")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (503, "redis_unreachable")


def test_a_frozen_master_is_partial_too(accounts: Accounts) -> None:
    """A master that hangs takes longer than the answer may: those that did answer decide."""
    cluster = accounts.cluster
    lost = next(each for each in cluster.masters() if each is not cluster.owner(f"{REDIS_PREFIX}epoch"))
    replica = cluster.replica_of(lost)
    with lost.frozen(), replica.frozen():
        assert accounts.by_master[lost.port].get("/session").status_code == 503
        answer = wait_until(lambda: (found := Visitor(accounts.app).json("/readyz")).status_code == 200 and found)
        assert answer.get_json()["data"]["trouble"] == "redis_partial"
    finish_looking(
        accounts.app.extensions["sessions_core"].part(Operations).readiness, 10
    )  # its thread has connections


def test_no_request_fails_once_a_replica_is_promoted(accounts: Accounts) -> None:
    """A process that was idle meanwhile has connections to a master that is dead."""
    cluster = accounts.cluster
    lost = next(each for each in cluster.masters() if each is not cluster.owner(f"{REDIS_PREFIX}epoch"))
    person = accounts.by_master[lost.port]
    heir = cluster.replica_of(lost)
    lost.crash()
    wait_until(lambda: heir in cluster.masters())
    wait_until(lambda: all("fail?" not in str(each["flags"]) for each in cluster.view(heir).values()))
    assert [person.get("/session").status_code for _ in range(5)] == [200] * 5


def test_a_planned_cluster_failover_costs_nothing(cluster: Cluster, make_app: Callable[..., Flask]) -> None:
    accounts = Accounts(cluster, make_app(SESSIONS_CORE_REDIS_URL=cluster.url))
    statuses: Counter[int] = Counter()
    for master in cluster.masters():
        heir = cluster.replica_of(master)
        heir.ask("CLUSTER", "FAILOVER")
        while heir not in cluster.masters():
            statuses.update(person.get("/session").status_code for person in accounts.by_master.values())
        statuses.update(person.get("/session").status_code for person in accounts.by_master.values())
    assert set(statuses) == {200}
    wait_until(cluster.whole)


def test_forked_workers_never_wait_for_their_parent(several: Cluster | Sentinels) -> None:
    """gunicorn --preload: a thread of the parent looks for the master at the moment of the fork."""
    script = """
import os, sys
from sessions_core.parts import high_availability
from sessions_core.storage.connection import RedisConnection
link = RedisConnection(sys.argv[1], 1.0)
before = link.call("CLIENT", "ID")
getattr(link.service, "master", link.service)._lock.acquire()
if link.service.fails_over:
    link.service.master._ask_again = 0.0
else:
    link.service._owners = {}
reader, writer = os.pipe()
if os.fork() == 0:
    ours = link.call("CLIENT", "ID")
    os.write(writer, b"%d" % (ours != before and link.call("GET", "absent") is None))
    os._exit(0)
os.wait()
assert os.read(reader, 1) == b"1"
"""
    subprocess.run([sys.executable, "-c", script, several.url], cwd=ROOT, check=True, timeout=30)
