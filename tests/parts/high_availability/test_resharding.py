"""A slot of the Cluster is on its way to another master: its accounts are served from both, and no breaker trips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, session

from sessions_core import signed_in
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.high_availability.cluster import slot_of
from sessions_core.storage.connection import Script

from ...actors import Visitor, Wallet
from ...clusters import Cluster, Member
from ...constants import REDIS_PREFIX
from ...stored import link_of

TWO = Script("return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}")


class Move:
    """A slot that is moved step by step."""

    def __init__(self, cluster: Cluster, slot: int) -> None:
        self.cluster = cluster
        self.slot = slot
        self.source = cluster.master_of(slot)
        self.target: Member = next(each for each in cluster.masters() if each is not self.source)

    def begin(self) -> None:
        self.cluster.begin_to_move(self.slot, self.source, self.target)

    def keys(self, most: int = 10_000) -> int:
        return self.cluster.move_keys(self.slot, self.source, self.target, most)

    def end(self) -> None:
        while self.keys():
            pass
        self.cluster.end_of_move(self.slot, self.source, self.target)


class Site:
    """The application, somebody who is signed in, and the slot of their account."""

    def __init__(self, cluster: Cluster, app: Flask) -> None:
        self.app = app
        self.link = link_of(app.extensions["sessions_core"].repository)

        @app.get("/note")
        @signed_in
        def note() -> str:
            session["note"] = session.get("note", 0) + 1
            return f"noted {session['note']}"

        self.person, self.wallet = Visitor(app), Wallet()
        self.person.sign_in(self.wallet)
        self.move = Move(cluster, slot_of(f"{{{self.person.session_id[:12]}}}"))


@pytest.fixture
def site(cluster: Cluster, make_app: Callable[..., Flask]) -> Iterator[Site]:
    site = Site(cluster, make_app(SESSIONS_CORE_REDIS_URL=cluster.url))
    yield site
    owner = cluster.master_of(site.move.slot)
    for node in cluster.masters():
        node.ask("CLUSTER", "SETSLOT", site.move.slot, "STABLE")
    if owner is not site.move.source:  # as it was, for the next test
        again = Move(cluster, site.move.slot)
        again.target = site.move.source
        again.begin()
        again.end()


def statuses(person: Visitor, count: int = 5) -> Counter[int]:
    return Counter(person.get("/session").status_code for _ in range(count))


def test_pages_are_served_while_their_slot_moves(site: Site) -> None:
    """MGET of keys of which some don't exist is refused with TRYAGAIN for as long as the move takes."""
    site.move.begin()
    assert statuses(site.person) == {200: 5}
    assert site.person.get("/note").text == "noted 1"
    while site.move.keys(1):
        assert statuses(site.person, 2) == {200: 2}
        assert site.person.get("/note").status_code == 200
    site.move.end()
    assert statuses(site.person) == {200: 5}


def test_sign_out_holds_after_an_interrupted_move(site: Site) -> None:
    """All keys have moved, and nobody has told the Cluster: ASK leads to them."""
    site.move.begin()
    site.move.keys()
    assert site.person.sign_out().status_code == 303
    assert not site.person.signed_in
    site.move.end()
    assert not site.person.signed_in


def test_bearer_tokens_work_while_their_slot_moves(site: Site) -> None:
    """They are looked up by a script of five keys, of which some don't exist."""
    token = site.person.send("POST", "/api/auth/sessions/token").get_json()["data"]["session_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    found = [Visitor(site.app).json("/api/auth/sessions/validate", headers=bearer).status_code]
    site.move.begin()
    found.append(Visitor(site.app).json("/api/auth/sessions/validate", headers=bearer).status_code)
    site.move.keys()
    found.append(Visitor(site.app).json("/api/auth/sessions/validate", headers=bearer).status_code)
    assert site.person.sign_out().status_code == 303
    found.append(Visitor(site.app).json("/api/auth/sessions/validate", headers=bearer).status_code)
    assert found == [200, 200, 200, 401]


def test_redirections_never_trip_a_breaker(site: Site) -> None:
    """A script whose keys are on both masters is refused in the time of one answer, and harms nobody else."""
    site.move.begin()
    tag = site.person.session_id[:12]
    for _ in range(4):
        with pytest.raises(StoreUnavailable, match=r"(?i)tryagain|multiple keys"):
            site.link.run(TWO, (f"{REDIS_PREFIX}{{{tag}}}:index", f"{REDIS_PREFIX}{{{tag}}}:absent"))
    server: Any = site.link.service
    assert [node.breaker.failing for node in server.nodes()] == [False] * 3
    assert statuses(site.person) == {200: 5}


def test_a_moved_slot_is_found_with_one_redirection(site: Site) -> None:
    site.move.begin()
    site.move.end()
    before = {node.port: _moved(node) for node in site.move.cluster.masters()}
    assert statuses(site.person) == {200: 5}
    after = {node.port: _moved(node) for node in site.move.cluster.masters()}
    assert sum(after.values()) - sum(before.values()) == 1


def _moved(node: Member) -> int:
    found: dict[str, Any] = node.ask("INFO", "errorstats")
    return int(found.get("errorstat_MOVED", {}).get("count", 0))
