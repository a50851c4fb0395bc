"""A revocation is confirmed by as many replicas as the configuration asks for, or the answer says that it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from flask import Flask, session

from sessions_core import events, signed_in
from sessions_core.storage.connection import RedisConnection, Script
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...clusters import Cluster, Member, Sentinels, wait_until

PENDING = (503, "revocation_pending")
END = Script("return redis.call('DEL', KEYS[1])")


class Site:
    """The application on several servers, and two browsers of one user."""

    def __init__(self, several: Cluster | Sentinels, make: Callable[..., Flask], timeout: int) -> None:
        self.several = several
        self.app = make(
            SESSIONS_CORE_REDIS_URL=several.url,
            SESSIONS_CORE_REVOCATION_REPLICAS=1,
            SESSIONS_CORE_REDIS_TIMEOUT_MS=timeout,
        )
        self.services: Services = self.app.extensions["sessions_core"]

        @self.app.get("/leave")
        @signed_in
        def leave() -> str:
            session.clear()
            return "left"

        self.wallet = Wallet()
        self.person, self.other = Visitor(self.app), Visitor(self.app)
        self.person.sign_in(self.wallet)
        self.other.sign_in(self.wallet)

    @contextmanager
    def without_replicas(self) -> Iterator[None]:
        """Freeze every replica: nothing that is written meanwhile is confirmed."""
        with ExitStack() as stack:
            for replica in replicas(self.several):
                stack.enter_context(replica.frozen())
            yield


def replicas(several: Cluster | Sentinels) -> list[Member]:
    everyone = several.nodes if isinstance(several, Cluster) else several.servers
    masters = several.masters()
    return [each for each in everyone if each not in masters]


@pytest.fixture
def site(several: Cluster | Sentinels, make_app: Callable[..., Flask]) -> Iterator[Site]:
    """A site that gives its replicas 100 milliseconds."""
    yield Site(several, make_app, 250)
    wait_until(several.whole)


def outcome(response: Any) -> tuple[int, str]:
    body = response.get_json(silent=True) or {}
    return response.status_code, body.get("error", {}).get("code", "")


def test_confirmed_revocations_say_done(several: Cluster | Sentinels, make_app: Callable[..., Flask]) -> None:
    site = Site(several, make_app, 5000)
    assert outcome(site.person.send("DELETE", "/api/auth/sessions?scope=others")) == (200, "")
    assert not site.other.signed_in
    assert site.person.sign_out().status_code == 303
    assert [replica.ask("KEYS", "*:session:*") for replica in replicas(several)] == [[]] * len(replicas(several))


def test_unconfirmed_sign_out_is_pending_and_clears_the_cookie(site: Site) -> None:
    token = site.person.token("/sign-out")
    with site.without_replicas():
        answer = site.person.post("/sign-out", data={"csrf_token": token})
    assert answer.status_code == 503
    assert 'data-code="revocation_pending"' in answer.text
    assert "Signed out, but not confirmed yet" in answer.text
    assert not site.person.signed_in
    assert site.person.client.get_cookie("session") is None


def test_unconfirmed_json_sign_out_is_pending(site: Site) -> None:
    with site.without_replicas():
        answer = site.person.send("POST", "/api/auth/sessions/logout")
    assert outcome(answer) == PENDING
    assert int(answer.headers["Retry-After"]) > 0
    assert site.person.client.get_cookie("session") is None


@pytest.mark.parametrize("scope", ["others", "all"])
def test_unconfirmed_ends_of_many_are_pending(site: Site, scope: str, happened: list[events.Event]) -> None:
    with site.without_replicas():
        assert outcome(site.person.send("DELETE", f"/api/auth/sessions?scope={scope}")) == PENDING
    assert not site.other.signed_in
    assert site.person.signed_in == (scope == "others")
    assert [each.name for each in happened].count("session.unconfirmed") == 1
    assert [each.name for each in happened].count("session.revoked_all") == 1


def test_repeated_revocation_confirms_a_pending_one(site: Site) -> None:
    """The second request writes nothing new for an ended session; its answer must still cover the replica."""
    handle = site.other.json("/api/auth/sessions/validate").get_json()["data"]["session_id"]
    with site.without_replicas():
        assert outcome(site.person.send("DELETE", f"/api/auth/sessions/{handle}")) == PENDING
        assert outcome(site.person.send("DELETE", f"/api/auth/sessions/{handle}")) == PENDING
    wait_until(lambda: outcome(site.person.send("DELETE", f"/api/auth/sessions/{handle}")) == (200, ""))


def test_unconfirmed_site_wide_revocation_is_pending(site: Site) -> None:
    with site.without_replicas():
        ran = site.app.test_cli_runner().invoke(args=["sessions", "revoke-all", "--everybody", "--yes"])
    assert (ran.exit_code, ran.stderr.partition(":")[0]) == (1, "revocation_pending")
    assert not site.person.signed_in


def test_clearing_the_session_in_a_view_is_pending_too(site: Site) -> None:
    with site.without_replicas():
        assert outcome(site.person.json("/leave")) == PENDING
    assert site.person.client.get_cookie("session") is None


def test_signing_in_again_is_never_pending(site: Site) -> None:
    """The session that the new one replaces ends unconfirmed: the answer is about the sign-in."""
    with site.without_replicas():
        assert site.person.attempt(site.wallet).status_code == 303
    assert site.person.signed_in


def test_full_redis_still_confirms(several: Cluster | Sentinels) -> None:
    link = RedisConnection(several.url, 5.0, replicas=1)
    link.call("SET", "{a}:session", "1")
    for master in several.masters():
        master.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        assert link.revoke(END, ("{a}:session",)) == (1, True)
    finally:
        for master in several.masters():
            master.ask("CONFIG", "SET", "maxmemory", 0)
        link.close()
