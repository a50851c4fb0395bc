"""Replies and values that are not what the command or the key should hold: 503, never 500, never a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core.errors import StoreUnavailable
from sessions_core.sessions.record import LoadedSession
from sessions_core.sessions.repository import SessionRepository
from sessions_core.storage.replies import items, number
from sessions_core.web.services import Services

from ..actors import Visitor, Wallet
from ..constants import ALICE, REDIS_PREFIX
from ..part_services import roles_of
from ..servers import Listener
from ..stored import link_of, site_epoch_of

JUNK = {
    "text": lambda redis, key: redis.set(key, "junk"),
    "empty": lambda redis, key: redis.set(key, ""),
    "negative": lambda redis, key: redis.set(key, "-1"),
    "list": lambda redis, key: redis.delete(key) + redis.rpush(key, "1"),
    "hash": lambda redis, key: redis.delete(key) + redis.hset(key, "a", "b"),
}


@pytest.mark.parametrize("reply", [None, b"", b"OK", b"1.5", [], [1], {}, "1"])
def test_reply_that_is_no_number_is_unavailable(reply: Any) -> None:
    with pytest.raises(StoreUnavailable, match=f"{REDIS_PREFIX}epoch holds no number"):
        number(reply, f"{REDIS_PREFIX}epoch")
    assert (number(b"12"), number(12)) == (12, 12)


@pytest.mark.parametrize("reply", [None, b"ab", 2, [1], [1, 2, 3], {1: 2, 3: 4}])
def test_reply_of_another_shape_is_unavailable(reply: Any) -> None:
    with pytest.raises(StoreUnavailable, match="another shape"):
        items(reply, 2)
    assert items([1, 2], 2) == [1, 2]


@pytest.mark.parametrize("damage", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("of", ["account", "site"])
def test_corrupted_epoch_makes_sessions_unavailable(
    store: SessionRepository,
    redis: Redis,
    start: Callable[..., LoadedSession],
    of: str,
    damage: Callable[[Redis, str], object],
) -> None:
    """Both a record of before any revocation, and one that saw an epoch, once its clock is due to slide."""
    key = store.account_keys(ALICE).epoch if of == "account" else site_epoch_of(store)
    redis.set(key, 3)
    live = start()
    assert (live.epoch if of == "account" else live.global_epoch) == 3
    damage(redis, key)
    for keep_alive in ("never", "due", "now"):
        with pytest.raises(StoreUnavailable):
            store.load(live.id, keep_alive)
    with pytest.raises(StoreUnavailable):
        store.load_handle(live.keys.tag, live.record.handle, "never")


@pytest.mark.parametrize("damage", JUNK.values(), ids=JUNK)
def test_corrupted_epoch_prevents_keep_alive(
    store: SessionRepository,
    redis: Redis,
    start: Callable[..., LoadedSession],
    damage: Callable[[Redis, str], object],
) -> None:
    """MGET reads another type as no epoch, so a record that saw none is detected when it is kept alive."""
    live = start()
    damage(redis, live.keys.epoch)
    with pytest.raises(StoreUnavailable):
        store.load(live.id, "now")


@pytest.mark.parametrize("damage", JUNK.values(), ids=JUNK)
def test_pages_answer_503_on_a_corrupted_epoch(
    app: Flask, redis: Redis, person: Visitor, services: Services, damage: Callable[[Redis, str], object]
) -> None:
    services.repository.revoke_account(ALICE)
    redis.set(site_epoch_of(services.repository), 1)
    person.sign_in(Wallet())
    damage(redis, site_epoch_of(services.repository))
    assert [person.get(path).status_code for path in ("/session", "/sessions", "/")] == [503] * 3
    assert Visitor(app).attempt(Wallet()).status_code == 503


@pytest.mark.parametrize("name", ["index", "standing", "person", "news", "activity", "routine", "refusals", "share"])
@pytest.mark.parametrize("kind", ["string", "list"])
def test_key_of_another_type_raises_no_traceback(
    app: Flask, redis: Redis, person: Visitor, wallet: Wallet, services: Services, name: str, kind: str
) -> None:
    key = services.repository.account_keys(wallet.account()).account_key(name)
    redis.delete(key)
    redis.set(key, "junk") if kind == "string" else redis.rpush(key, "junk")
    paths = ("/session", "/sessions", "/activity", "/sessions/others", "/api/auth/sessions")
    statuses = {person.get(path).status_code for path in paths}
    statuses.add(person.json("/api/auth/sessions/validate").status_code)
    statuses.add(Visitor(app).attempt(wallet).status_code)
    statuses.add(person.sign_out().status_code)
    assert statuses <= {200, 303, 401, 404, 503}


def test_a_record_of_another_type_is_no_session(redis: Redis, person: Visitor) -> None:
    [key] = redis.keys("*:session:*")
    redis.delete(key)
    redis.rpush(key, "junk")
    assert person.json("/api/auth/sessions/validate").status_code in (401, 503)


@pytest.mark.parametrize(
    "reply",
    [
        b"-NOSCRIPT No matching script. Please use EVAL.\r\n",
        b"+OK\r\n",
        b":7\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"*1\r\n$4\r\njunk\r\n",
        b"*2\r\n$4\r\njunk\r\n$-1\r\n",
    ],
)
def test_a_redis_that_answers_anything_is_unavailable(
    make_app: Callable[..., Flask], app: Flask, reply: bytes
) -> None:
    """A proxy that answers the same to every command."""
    with Listener(lambda piece: b"+OK\r\n" if b"SETINFO" in piece else reply) as listener:
        strange = make_app(SESSIONS_CORE_REDIS_URL=listener.url, SESSIONS_CORE_REDIS_TIMEOUT_MS=1000)
        person = Visitor(strange)
        person.session_id = "A" * 55
        for path in ("/session", "/", "/api/auth/sessions/validate"):
            assert person.get(path).status_code == 503, path
        # Nothing is what Redis answers to a nonce that was spent.
        assert Visitor(strange).attempt(Wallet()).status_code == (400 if reply == b"$-1\r\n" else 503)
        link_of(strange.extensions["sessions_core"].repository).close()


@pytest.mark.parametrize("name", ["decided", "seen", "names"])
def test_lists_of_another_type_are_no_traceback(
    redis: Redis, person: Visitor, wallet: Wallet, services: Services, name: str
) -> None:
    roles_of(services).assign(services.repository.load(person.session_id, "never").record.account, "admin")  # type: ignore[union-attr, arg-type]
    redis.set(f"{REDIS_PREFIX}{{directory}}:{name}", "junk")
    assert person.get("/admin").status_code in (200, 303, 503)
    assert Visitor(person.app).attempt(wallet).status_code == 303, "a list that lacks one is no reason to refuse"
