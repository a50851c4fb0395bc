"""The keys that sign session tokens: taking turns, agreeing across processes, and what an attacker can do to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from redis import Redis

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.api import Api, signing_keys
from sessions_core.parts.api.errors import TokenInvalid
from sessions_core.parts.api.signing_keys import SigningKeys
from sessions_core.sessions.record import LoadedSession
from sessions_core.web.services import Services

from ...actors import Visitor, together
from ...constants import ANOTHER, DAY, MINUTE, REDIS_PREFIX, SECRET
from ...servers import Server, commands_run, running
from ...session_tokens import issue
from ...stored import keys_of, link_of
from ...time_machine import TimeMachine, ask_again, read_long_ago

KEY = f"{REDIS_PREFIX}{{signing}}:keys".encode()


class Monotonic:
    """The processor's clock, as the module under test reads it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    fake = Monotonic()
    monkeypatch.setattr(signing_keys, "time", fake)
    return fake


@pytest.fixture
def keys(services: Services) -> SigningKeys:
    return services.part(Api).signing_keys


@pytest.fixture
def another_process(make_app: Callable[..., Flask]) -> Callable[..., Services]:
    """Another process of the same site: its own memory, the same Redis."""
    return lambda **settings: make_app(**settings).extensions["sessions_core"]


def ids(keys: SigningKeys) -> list[str]:
    return [key["kid"] for key in keys.public()]


# -- Taking turns --------------------------------------------------------------------------------------------


def test_the_first_key_signs_at_once(keys: SigningKeys) -> None:
    """Nobody can have a copy of the list without it."""
    assert [keys.signer().kid] == ids(keys)


def test_no_signing_key_is_made_before_the_first_use(redis: Redis, services: Services, visitor: Visitor) -> None:
    visitor.get("/")
    assert redis.get(KEY) is None


def test_successor_key_is_made_at_30_days_and_used_10_min_later(keys: SigningKeys, pass_time: TimeMachine) -> None:
    """It is published first, so that services that cache the list know it in time."""
    first = keys.signer().kid
    pass_time(30 * DAY - 60)
    assert ids(keys) == [first]
    pass_time(60)
    assert keys.signer().kid == first
    assert len(ids(keys)) == 2, "published, so that whoever keeps the list knows it in time"
    pass_time(10 * MINUTE - 5)
    assert keys.signer().kid == first
    pass_time(5)
    assert keys.signer().kid == ids(keys)[1] != first


def test_cached_key_list_always_holds_the_signing_key(
    visitor: Visitor, services: Services, pass_time: TimeMachine
) -> None:
    """Services cache the list for as long as `Cache-Control` allows."""
    services.part(Api).signing_keys.signer()
    pass_time(30 * DAY - 1)
    answer = visitor.get("/.well-known/jwks.json")
    kept = {key["kid"] for key in answer.get_json()["keys"]}
    age = int(answer.headers["Cache-Control"].removeprefix("public, max-age="))
    for _ in range(2):
        pass_time(age / 2)
        assert services.part(Api).signing_keys.signer().kid in kept


def test_a_key_is_published_until_its_last_token_has_ended(
    services: Services, start: Callable[..., LoadedSession], pass_time: TimeMachine, clock: Any
) -> None:
    keys = services.part(Api).signing_keys
    first = keys.signer().kid
    pass_time(30 * DAY)
    keys.signer()  # makes the successor
    pass_time(10 * MINUTE - 1)
    last = issue(services, start())
    assert keys.signer().kid == first
    pass_time(last.expires_at - clock() - 1)
    services.part(Api).tokens.open(last.text)
    assert first in ids(keys)
    pass_time(10 * MINUTE)
    assert len(ids(keys)) == 1
    assert first not in ids(keys)
    with pytest.raises(TokenInvalid):
        services.part(Api).tokens.open(last.text)


def test_key_older_than_a_year_is_replaced_after_publication(keys: SigningKeys, pass_time: TimeMachine) -> None:
    """The new key waits its ten minutes."""
    first = keys.signer().kid
    pass_time(365 * DAY)
    assert keys.signer().kid == first
    assert len(ids(keys)) == 2
    pass_time(10 * MINUTE)
    assert keys.signer().kid != first


def test_rotation_is_seen_by_every_process_within_a_minute(
    keys: SigningKeys, another_process: Callable[..., Services], pass_time: TimeMachine, monotonic: Monotonic
) -> None:
    other = another_process().part(Api).signing_keys
    assert other.signer().kid == keys.signer().kid
    pass_time(30 * DAY)
    assert len(ids(keys)) == 2
    monotonic.now += 59
    assert len(ids(other)) == 1
    monotonic.now += 1
    assert ids(other) == ids(keys)


# -- Several processes ---------------------------------------------------------------------------------------


def test_processes_that_make_the_first_key_at_once_agree(
    another_process: Callable[..., Services], redis: Redis
) -> None:
    processes = [another_process().part(Api).signing_keys for _ in range(6)]
    for _ in range(20):
        redis.delete(KEY)
        read_long_ago(*processes)
        signers = together(*(lambda each=each: each.signer().kid for each in processes))
        assert len(set(signers)) == 1
        assert {tuple(ids(each)) for each in processes} == {(signers[0],)}


def test_processes_that_make_the_next_key_at_once_agree(
    another_process: Callable[..., Services], keys: SigningKeys, pass_time: TimeMachine
) -> None:
    processes = [another_process().part(Api).signing_keys for _ in range(4)]
    for rounds in range(5):
        first = keys.signer().kid
        pass_time(30 * DAY)
        read_long_ago(*processes)
        lists = together(*(lambda each=each: ids(each) for each in processes))
        assert len({tuple(each) for each in lists}) == 1, f"round {rounds}"
        assert lists[0][0] == first
        assert len(lists[0]) == 2
        pass_time(20 * MINUTE)


def test_a_key_of_one_process_is_good_at_another_at_once(
    services: Services, another_process: Callable[..., Services], start: Callable[..., LoadedSession], redis: Redis
) -> None:
    """A process that has read its keys a second ago meets a token of a key that was made since."""
    other = another_process()
    other.part(Api).signing_keys.signer()
    redis.delete(KEY)
    read_long_ago(other.part(Api).signing_keys, seconds=2)
    assert other.part(Api).tokens.open(issue(services, start()).text)


# -- What they cost ------------------------------------------------------------------------------------------


def test_keys_are_read_once_a_minute(keys: SigningKeys, redis: Redis, monotonic: Monotonic) -> None:
    keys.signer()
    redis.config_resetstat()
    for _ in range(59):
        keys.signer()
        keys.public()
        keys.find(ids(keys)[0])
        monotonic.now += 1
    assert commands_run(redis) == {}
    monotonic.now += 1
    keys.signer()
    assert commands_run(redis)["get"] <= 2


def test_a_flood_of_unknown_keys_costs_one_read_a_second(
    keys: SigningKeys, redis: Redis, monotonic: Monotonic
) -> None:
    keys.signer()
    monotonic.now += 1
    redis.config_resetstat()
    for number in range(1000):
        assert keys.find(f"unknown{number}") is None
    once = commands_run(redis)["evalsha"]
    assert once == 1
    for _ in range(3):
        monotonic.now += 1.0
        for number in range(1000):
            assert keys.find(f"unknown{number}") is None
    assert commands_run(redis)["evalsha"] == 4 * once


def test_flood_of_unknown_key_ids_costs_one_read_a_second(
    services: Services, start: Callable[..., LoadedSession], redis: Redis, monotonic: Monotonic
) -> None:
    from ...session_tokens import forge

    token = issue(services, start()).text
    forged = [forge(services, token, {"kid": f"unknown{number}"}) for number in range(50)]
    monotonic.now += 1
    redis.config_resetstat()
    for text in forged:
        with pytest.raises(TokenInvalid):
            services.part(Api).tokens.open(text)
    assert commands_run(redis)["evalsha"] == 1


# -- What is published ---------------------------------------------------------------------------------------


def test_published_keys_are_public_and_cacheable(
    visitor: Visitor, services: Services, pass_time: TimeMachine
) -> None:
    """They may be cached for five minutes."""
    services.part(Api).signing_keys.signer()
    pass_time(30 * DAY)
    answer = visitor.get("/.well-known/jwks.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers.getlist("Set-Cookie") == []
    assert "Cookie" not in answer.headers.get("Vary", "")
    keys = answer.get_json()["keys"]
    assert len(keys) == 2
    for key in keys:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_key_list_ignores_the_session(person: Visitor, redis: Redis) -> None:
    """It is the same for every caller."""
    first = person.get("/.well-known/jwks.json")
    redis.config_resetstat()
    again = person.get("/.well-known/jwks.json", headers={"Authorization": "Bearer nonsense"})
    assert commands_run(redis) == {}
    assert again.get_json() == first.get_json()
    assert again.headers.getlist("Set-Cookie") == []


def test_private_keys_are_encrypted_in_redis(keys: SigningKeys, redis: Redis) -> None:
    secret = keys.signer().as_dict(private=True)["d"]
    stored = redis.get(KEY)
    assert stored is not None
    for piece in (b'"d"', secret.encode(), b"kty", keys.signer().kid.encode()):
        assert piece not in stored


# -- What somebody can do who writes to Redis -----------------------------------------------------------------


def forget(*processes: Services) -> None:
    read_long_ago(*(each.part(Api).signing_keys for each in processes))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "garbage", "json", "moved"])
def test_corrupted_signing_keys_are_replaced_and_announced(
    services: Services, start: Callable[..., LoadedSession], redis: Redis, happened: list[events.Event], damage: str
) -> None:
    live = start()
    before = issue(services, live)
    stored = redis.get(KEY)
    changed = {
        "flip": stored[:-1] + bytes([stored[-1] ^ 1]),
        "cut": stored[:20],
        "empty": b"",
        "garbage": b"\xff" * 300,
        "json": json.dumps([{"jwk": {"kty": "oct", "k": "AAAA", "kid": "mine"}, "created_at": 0}]).encode(),
        "moved": keys_of(services.part(Api).signing_keys).encrypt(b"[]", b"another key"),
    }[damage]
    redis.set(KEY, changed)
    forget(services)
    happened.clear()
    after = issue(services, live)
    assert services.part(Api).tokens.open(after.text)
    expected = [] if damage == "empty" else ["session.unreadable"]
    assert [event.name for event in happened] == expected
    with pytest.raises(TokenInvalid):
        services.part(Api).tokens.open(before.text)
    forget(services)
    assert services.part(Api).tokens.open(after.text), "once replaced, they stay"


def test_a_key_of_the_attacker_never_gets_in(
    services: Services, start: Callable[..., LoadedSession], redis: Redis
) -> None:
    """Not even one that they got sealed as something else: each purpose has keys of its own."""
    issue(services, start())
    jwk = ECKey.generate_key("P-256", {"kid": "mine"}).as_dict(private=True)
    known = json.dumps([{"jwk": jwk, "created_at": 0}]).encode()
    for ring in (keys_of(services.repository), services.requests):
        redis.set(KEY, ring.encrypt(known, KEY))
        forget(services)
        assert services.part(Api).signing_keys.find("mine") is None
        assert "mine" not in ids(services.part(Api).signing_keys)


def test_no_session_ends_for_a_key_that_is_lost(
    services: Services, start: Callable[..., LoadedSession], store: Any, redis: Redis
) -> None:
    live = start()
    issue(services, live)
    redis.delete(KEY)
    forget(services)
    assert isinstance(store.load(live.id, "never"), LoadedSession)


# -- Secrets -------------------------------------------------------------------------------------------------


def test_secret_rotation_encrypts_the_same_signing_keys_again(
    services: Services, another_process: Callable[..., Services], start: Callable[..., LoadedSession], redis: Redis
) -> None:
    """Then the old secret is needed no more."""
    token = issue(services, start())
    before = ids(services.part(Api).signing_keys)
    rotated = another_process(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[SECRET])
    assert rotated.part(Api).tokens.open(token.text)
    stored = redis.get(KEY)
    assert keys_of(rotated.part(Api).signing_keys).is_newest(stored)
    forget(rotated)
    assert ids(rotated.part(Api).signing_keys) == before
    assert redis.get(KEY) == stored, "sealed once"
    later = another_process(SECRET_KEY=ANOTHER)
    assert later.part(Api).tokens.open(token.text), "the old secret is needed no more"


def test_unknown_secret_makes_new_signing_keys(
    services: Services,
    another_process: Callable[..., Services],
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
) -> None:
    """The event `session.unreadable` reports it and no request crashes."""
    token = issue(services, start())
    stranger = another_process(SECRET_KEY=ANOTHER)
    happened.clear()
    with pytest.raises(TokenInvalid):
        stranger.part(Api).tokens.open(token.text)
    assert [event.name for event in happened] == ["session.unreadable"]


# -- Without Redis -------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(Server(tmp_path / "own")) as server:
        yield server


def test_without_redis_nothing_is_said_that_is_not_known(server: Server, make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    services: Services = app.extensions["sessions_core"]
    visitor = Visitor(app)
    known = visitor.get("/.well-known/jwks.json").get_json()
    server.stop()
    assert visitor.get("/.well-known/jwks.json").get_json() == known, "what was read a moment ago still holds"
    forget(services)
    for ask in (
        services.part(Api).signing_keys.signer,
        services.part(Api).signing_keys.public,
        lambda: services.part(Api).signing_keys.find("x"),
    ):
        with pytest.raises(StoreUnavailable):
            ask()
    answer = visitor.json("/.well-known/jwks.json")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "store_unavailable")
    assert "max-age" not in answer.headers.get("Cache-Control", "")
    server.start()
    ask_again(link_of(services.repository))
    assert len(visitor.get("/.well-known/jwks.json").get_json()["keys"]) == 1
