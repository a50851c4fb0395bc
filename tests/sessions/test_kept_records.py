"""A record that has not changed is decrypted once. What has changed meanwhile still counts with the next request."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.sessions.repository import SessionRepository
from sessions_core.web.services import Services

from ..constants import ALICE, BOB
from ..stored import change, fields_of, key_of

Start = Callable[..., LoadedSession]


@pytest.fixture
def repository(services: Services) -> SessionRepository:
    return services.repository


def kept(repository: SessionRepository) -> int:
    """Return how many decrypted records the process keeps."""
    return repository._opened.cache_info().currsize


def decrypted(repository: SessionRepository) -> int:
    """Return how many records were decrypted, rather than found among the kept ones."""
    return repository._opened.cache_info().misses


def read(repository: SessionRepository, live: LoadedSession) -> LoadedSession | EndedSession:
    return repository.load(live.id, "never")


def twice(repository: SessionRepository, live: LoadedSession) -> None:
    """Read a session until its record is among the kept ones."""
    for _ in range(2):
        assert isinstance(read(repository, live), LoadedSession)
    assert kept(repository)


def test_unchanged_record_is_decrypted_once(repository: SessionRepository, start: Start) -> None:
    live = start()
    read(repository, live)
    before = decrypted(repository)
    for _ in range(5):
        assert isinstance(read(repository, live), LoadedSession)
    assert decrypted(repository) == before


def test_activity_needs_no_decryption(repository: SessionRepository, start: Start) -> None:
    live = start()
    twice(repository, live)
    before = decrypted(repository)
    assert isinstance(repository.load(live.id, "now"), LoadedSession)
    assert isinstance(read(repository, live), LoadedSession)
    assert decrypted(repository) == before


@pytest.mark.parametrize("by", ["revoke", "revoke_account", "revoke_others", "revoke_everybody"])
def test_revoked_session_ends_although_it_was_kept(
    services: Services, repository: SessionRepository, start: Start, by: str
) -> None:
    live, other = start(handle="sess_first"), start(handle="sess_other")
    twice(repository, live)
    lifecycle = services.lifecycle
    {
        "revoke": lambda: lifecycle.revoke(live, "revoked"),
        "revoke_account": lambda: lifecycle.revoke_account(ALICE),
        "revoke_others": lambda: lifecycle.revoke_others(other),
        "revoke_everybody": lifecycle.revoke_everybody,
    }[by]()
    assert isinstance(read(repository, live), EndedSession)


def test_revocation_counts_even_if_the_record_comes_back(
    repository: SessionRepository, start: Start, redis: Redis
) -> None:
    """An attacker who can write to Redis puts the very bytes back that were kept."""
    live = start()
    twice(repository, live)
    key, stored = key_of(redis, live), redis.get(key_of(redis, live))
    repository.revoke_account(ALICE)
    redis.set(key, stored)
    assert isinstance(read(repository, live), EndedSession)


def test_new_id_has_the_record_and_the_old_one_none(repository: SessionRepository, start: Start) -> None:
    live = start()
    twice(repository, live)
    moved = repository.rotate(live)
    assert moved is not None
    assert isinstance(read(repository, moved), LoadedSession)
    assert isinstance(read(repository, live), EndedSession)


def test_changes_are_seen_by_the_next_request(repository: SessionRepository, start: Start) -> None:
    live = start()
    twice(repository, live)

    def narrow(record: object) -> None:
        record.narrowed = ("read:profile",)  # type: ignore[attr-defined]

    repository.change(live, narrow)
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    assert found.record.narrowed == ("read:profile",)


def test_record_under_a_new_secret_is_opened_again(
    repository: SessionRepository, start: Start, rotated: Callable[..., Services]
) -> None:
    live = start()
    twice(repository, live)
    after = rotated()
    twice(after.repository, live)
    assert after.sweeper.sweep()["resealed"] == 1
    before = decrypted(after.repository)
    assert isinstance(read(after.repository, live), LoadedSession)
    assert decrypted(after.repository) == before + 1
    assert isinstance(read(repository, live), EndedSession), "this process does not know the new secret"


def test_what_one_request_changes_in_place_is_not_kept(repository: SessionRepository, start: Start) -> None:
    """It was not saved, so the next request must not see it."""
    live = start(data={"list": [1], "csrf_token": "x"})
    first, second = read(repository, live), read(repository, live)
    assert isinstance(first, LoadedSession)
    assert isinstance(second, LoadedSession)
    first.record.data["list"].append(2)
    first.record.session_type = "professional"
    assert second.record.data["list"] == [1]
    third = read(repository, live)
    assert isinstance(third, LoadedSession)
    assert (third.record.data["list"], third.record.session_type) == ([1], "standard")


# -- Attacks by a writer to Redis ----------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["revision", "idle", "ends", "epoch", "site"])
def test_changed_clock_or_epoch_is_not_hidden(
    repository: SessionRepository, start: Start, redis: Redis, field: str
) -> None:
    live = start()
    twice(repository, live)
    change(redis, live, field, lambda number: b"%d" % (int(number) + 1))
    assert read(repository, live) == EndedSession("unknown")


def test_changed_ciphertext_is_not_hidden(repository: SessionRepository, start: Start, redis: Redis) -> None:
    live = start()
    twice(repository, live)
    change(redis, live, "sealed", lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert read(repository, live) == EndedSession("unknown")


def test_kept_record_opens_no_other_key(repository: SessionRepository, start: Start, redis: Redis) -> None:
    """The same bytes at the key of another session, or of another account."""
    mine = start(handle="sess_mine")
    twice(repository, mine)
    for other in (start(handle="sess_other"), start(account=BOB)):
        twice(repository, other)
        redis.set(key_of(redis, other), redis.get(key_of(redis, mine)))
        assert read(repository, other) == EndedSession("unknown")


def test_older_bytes_of_the_same_session_count_as_before(
    repository: SessionRepository, start: Start, redis: Redis
) -> None:
    """Redis decides what is stored. To keep a record must make no difference to a record that was put back."""
    live = start()
    twice(repository, live)
    key, stored = key_of(redis, live), redis.get(key_of(redis, live))
    changed = repository.change(live, lambda record: setattr(record, "wallet", "Another"))
    assert isinstance(changed, LoadedSession)
    redis.set(key, stored)
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    assert found.record.wallet == ""
    assert fields_of(redis, key)[1] == b"%d" % found.revision


# -- Memory --------------------------------------------------------------------------------------------------------


def test_ten_thousand_records_stay_in_bounded_memory(repository: SessionRepository) -> None:
    for number in range(10_000):
        key = f"key {number}"
        sealed = b"1|2|3|4|5|" + repository._keys.encrypt(b"x" * 50, b"|".join((key.encode(), *b"1 2 3 4 5".split())))
        assert repository._open(key, sealed) == (b"x" * 50, (1, 2, 3, 4, 5))
    assert kept(repository) <= 1000


def test_large_record_is_not_kept(repository: SessionRepository, start: Start) -> None:
    live, before = start(data={"note": "x" * 5000}), kept(repository)
    assert isinstance(read(repository, live), LoadedSession)
    assert kept(repository) == before
