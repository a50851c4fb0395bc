"""Users of a Redis that fails over: what they were answered, and what of it was true afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Flask

from .actors import Visitor, Wallet
from .clusters import Cluster, Member, Sentinels, wait_until
from .constants import REDIS_PREFIX
from .stored import link_of


def sign_outs_during(
    sentinels: Sentinels, make_app: Callable[..., Flask], begin: Callable[[], object], count: int, seconds: float
) -> dict[str, Any]:
    """Sign out one user after another from `begin` on; return what was answered, and what came of it."""
    app = make_app(SESSIONS_CORE_REDIS_URL=sentinels.url)
    # Another process, with a connection to the master that it has used before.
    watcher = Visitor(make_app(SESSIONS_CORE_REDIS_URL=sentinels.url))
    people = [Visitor(app) for _ in range(count)]
    cookies = [person.sign_in(Wallet()) for person in people]
    tokens = [person.token("/sign-out") for person in people]
    watcher.session_id = cookies[0]
    assert watcher.signed_in
    former, answers, seen, pause = sentinels.master(), Counter[int](), Counter[int](), threading.Event()
    acknowledged: list[str] = []
    begin()
    began, over = time.monotonic(), 0.0
    for person, cookie, token in zip(people, cookies, tokens, strict=True):
        pause.wait(seconds / count)
        status = person.post("/sign-out", data={"csrf_token": token}).status_code
        answers[status] += 1
        watcher.session_id = cookie
        if status == 303:
            acknowledged.append(cookie)
            seen[watcher.json("/api/auth/sessions/validate").status_code] += 1
        if not over and former.port not in {sentinels.state(each)["port"] for each in sentinels.sentinels}:
            over = time.monotonic() - began
    wait_until(lambda: sentinels.master() is not former)
    later = Visitor(make_app(SESSIONS_CORE_REDIS_URL=sentinels.url))  # knows the new master only
    alive = 0
    for cookie in acknowledged:
        later.session_id = cookie
        answer = wait_until(lambda: (found := later.json("/api/auth/sessions/validate")).status_code != 503 and found)
        alive += answer.status_code == 200
    return {
        "sign-outs": count,
        "acknowledged": answers[303],
        "refused (503)": answers[503],
        "seen alive elsewhere at once": seen[200],
        "alive after the failover": alive,
        "over after (s)": round(over, 1),
    }


class Accounts:
    """One account on each master of a Cluster, and somebody signed in as each."""

    def __init__(self, cluster: Cluster, app: Flask) -> None:
        self.cluster = cluster
        self.app = app
        self.link = link_of(app.extensions["sessions_core"].repository)
        self.by_master: dict[int, Visitor] = {}
        while len(self.by_master) < 3:
            person, wallet = Visitor(app), Wallet()
            person.sign_in(wallet)
            self.by_master.setdefault(self.master_of(person).port, person)

    def master_of(self, person: Visitor) -> Member:
        return self.cluster.owner(f"{REDIS_PREFIX}{{{person.session_id[:12]}}}:epoch")
