"""A Cluster of three masters and three replicas loses one, and has a slot moved, under traffic."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from .. import clusters
from ..actors import Visitor, Wallet
from ..clusters import Cluster, Member
from ..constants import REDIS_PREFIX
from ..failovers import Accounts
from . import table


@pytest.fixture
def shaken(tmp_path: Path) -> Iterator[Cluster]:
    """A Cluster of this test alone, whose living masters serve when one is lost."""
    with clusters.cluster(tmp_path, "--cluster-require-full-coverage", "no") as made:
        yield made


class Traffic:
    """Users of each master, each asking for pages in a thread of their own until the end."""

    def __init__(self, accounts: Accounts) -> None:
        self.found: dict[int, Counter[int]] = {port: Counter() for port in accounts.by_master}
        self.last_failure: dict[int, float] = dict.fromkeys(accounts.by_master, 0.0)
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(port, person)) for port, person in accounts.by_master.items()
        ]

    def __enter__(self) -> Traffic:
        self.began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, port: int, person: Visitor) -> None:
        while not self._end.is_set():
            status = person.get("/session").status_code
            self.found[port][status] += 1
            if status != 200:
                self.last_failure[port] = time.monotonic() - self.began
            self._end.wait(0.01)


def counts(traffic: Traffic, lost: Member) -> dict[str, object]:
    theirs = traffic.found[lost.port]
    others = sum((each for port, each in traffic.found.items() if port != lost.port), Counter[int]())
    return {
        "its accounts: 200": theirs[200],
        "its accounts: 503": theirs[503],
        "other accounts: 200": others[200],
        "other accounts: 503": others[503],
        "other statuses": sum(n for status, n in (theirs + others).items() if status not in (200, 503)),
        "last 503 after (s)": round(max(traffic.last_failure.values()), 1),
    }


@pytest.mark.parametrize("everything", [False, True], ids=["master killed", "master and replica killed"])
def test_a_lost_master_costs_only_its_own_accounts(
    shaken: Cluster, make_app: Callable[..., Flask], everything: bool
) -> None:
    accounts = Accounts(shaken, make_app(SESSIONS_CORE_REDIS_URL=shaken.url))
    lost = next(each for each in shaken.masters() if each is not shaken.owner(f"{REDIS_PREFIX}epoch"))
    replica = shaken.replica_of(lost)
    with Traffic(accounts) as traffic:
        if everything:
            replica.crash()
        lost.crash()
        threading.Event().wait(6)
    found = counts(traffic, lost)
    table("One of three masters killed" + (", with its replica" if everything else ""), found)
    assert found["other accounts: 503"] == 0
    assert found["other statuses"] == 0


def test_moving_slot_fails_no_request(shaken: Cluster, make_app: Callable[..., Flask]) -> None:
    accounts = Accounts(shaken, make_app(SESSIONS_CORE_REDIS_URL=shaken.url))
    source = accounts.master_of(person := next(iter(accounts.by_master.values())))
    target = next(each for each in shaken.masters() if each is not source)
    slot = clusters.slot_of(f"{{{person.session_id[:12]}}}")
    with Traffic(accounts) as traffic:
        for here, there in ((source, target), (target, source)) * 3:
            shaken.begin_to_move(slot, here, there)
            threading.Event().wait(0.2)
            while shaken.move_keys(slot, here, there, 1):
                threading.Event().wait(0.05)
            threading.Event().wait(0.2)
            shaken.end_of_move(slot, here, there)
    found = counts(traffic, source)
    table("A slot moved six times, key by key", found)
    assert found["its accounts: 503"] == found["other accounts: 503"] == found["other statuses"] == 0


def test_revoked_sessions_stay_dead_when_masters_are_killed(shaken: Cluster, make_app: Callable[..., Flask]) -> None:
    """One master after another is killed while users sign out; replicas confirm each sign-out that says so."""
    app = make_app(SESSIONS_CORE_REDIS_URL=shaken.url, SESSIONS_CORE_REVOCATION_REPLICAS=1)
    people = [Visitor(app) for _ in range(60)]
    cookies = [person.sign_in(Wallet()) for person in people]
    tokens = [person.token("/sign-out") for person in people]
    answers, confirmed = Counter[str](), []
    lost = shaken.masters()[0]
    for number, (person, cookie, token) in enumerate(zip(people, cookies, tokens, strict=True)):
        if number == 20:
            lost.crash()
        answer = person.post("/sign-out", data={"csrf_token": token})
        pending = "revocation_pending" in answer.get_data(as_text=True)
        answers["confirmed" if answer.status_code == 303 else "pending" if pending else "refused (503)"] += 1
        if answer.status_code == 303:
            confirmed.append(cookie)
        threading.Event().wait(0.1)
    later, statuses = Visitor(make_app(SESSIONS_CORE_REDIS_URL=shaken.url)), Counter[int]()
    for cookie in confirmed:
        later.session_id = cookie
        statuses[later.json("/api/auth/sessions/validate").status_code] += 1
    table("A master killed during 60 sign-outs", {**answers, "confirmed and alive again": statuses[200]})
    assert statuses[200] == 0
