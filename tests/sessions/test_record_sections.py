"""What parts keep with a session and for an account, and that the kernel needs none of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import msgspec
import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.sessions.lifecycle import Lifecycle
from sessions_core.sessions.record import AccountKey, EndedSession, LoadedSession, Section, SessionRecord
from sessions_core.sessions.repository import SessionRepository
from sessions_core.storage.encryption import KeyRing
from sessions_core.web.services import Services

from ..actors import Visitor, Wallet
from ..constants import ABSOLUTE, ALICE, BOB, IDLE, REDIS_PREFIX
from ..stored import keys_of, link_of, replace_sealed


class Note(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """What a part might keep with a session."""

    text: str = ""
    times: int = 0


NOTE = Section("notes", Note)


def of_nothing(services: Services, *keys: AccountKey) -> SessionRepository:
    """A repository of the kernel alone, or with these keys for each account."""
    connection = link_of(services.repository)
    return SessionRepository(connection, keys_of(services.repository), services.settings, keys)


# -- Sections of a record ----------------------------------------------------------------------------------------


def test_section_is_stored_and_read_with_the_record(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    assert NOTE.of(live.record) == Note()
    store.change(live, lambda record: NOTE.put(record, Note(text="hello", times=2)))
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert NOTE.of(found.record) == Note(text="hello", times=2)


def test_section_is_decoded_once(store: SessionRepository, start: Callable[..., LoadedSession]) -> None:
    live = store.load(start(sections={"notes": Note(text="hello")}).id, "never")
    assert isinstance(live, LoadedSession)
    assert NOTE.of(live.record) is NOTE.of(live.record)


def test_sections_of_unloaded_parts_are_kept(store: SessionRepository, start: Callable[..., LoadedSession]) -> None:
    live = start(sections={"notes": Note(text="hello"), "another": {"a": 1}})
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    NOTE.put(found.record, Note(text="changed"))
    assert store.save(found) == "saved"
    again = store.load(live.id, "never")
    assert isinstance(again, LoadedSession)
    assert msgspec.msgpack.decode(again.record.sections["another"]) == {"a": 1}
    assert NOTE.of(again.record) == Note(text="changed")


def test_change_of_a_copy_leaves_the_record_alone(start: Callable[..., LoadedSession]) -> None:
    live = start(sections={"notes": Note(text="hello")})
    copy = msgspec.structs.replace(live.record)
    NOTE.put(copy, Note(text="changed"))
    assert NOTE.of(live.record) == Note(text="hello")


def test_section_of_another_type_is_refused(
    store: SessionRepository, start: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    """The default would say less than what is stored, such as that a contract is to be asked again."""
    live = store.load(start(sections={"notes": [1, 2]}).id, "never")
    assert isinstance(live, LoadedSession)
    happened.clear()
    with pytest.raises(StoreUnavailable):
        NOTE.of(live.record)
    assert [event.name for event in happened] == [events.RecordUnreadable.name]


# -- The format of a record --------------------------------------------------------------------------------------


def test_record_of_format_1_is_refused_without_an_error(
    redis: Redis, services: Services, visitor: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    visitor.sign_in(wallet)
    live = services.repository.load(visitor.session_id, "never")
    assert isinstance(live, LoadedSession)
    # As the former version stored it: the same beginning, and then the fields of parts.
    former = [1, live.record.handle, live.record.account, "standard", "", False, live.now, live.now, {}, 0, {}, ""]
    replace_sealed(redis, services.repository, live, msgspec.msgpack.encode([*former, None, "Firefox", "", "", ""]))
    happened.clear()
    assert services.repository.load(live.id, "never") == EndedSession("unknown")
    assert {event.name for event in happened} == {events.RecordUnreadable.name}
    answer = visitor.json("/api/auth/sessions/validate")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "unknown")
    assert visitor.get("/session").status_code == 303


# -- What is kept for an account ---------------------------------------------------------------------------------


def test_the_kernel_alone_works_with_its_own_keys(redis: Redis, services: Services) -> None:
    store = of_nothing(services)
    lifecycle = Lifecycle(store)
    record = SessionRecord(handle="sess_0123456789abcdef", account=ALICE, session_type="standard", data={})
    live = lifecycle.create(record, IDLE, ABSOLUTE)
    found = store.load(live.id, "now")
    assert isinstance(found, LoadedSession)
    assert found.account_values == {}
    by_handle = store.find(ALICE, record.handle)
    assert isinstance(by_handle, LoadedSession)
    assert store.find(BOB, record.handle) is None
    moved = lifecycle.rotate(found)
    assert isinstance(moved, LoadedSession)
    assert [each.record.handle for each in store.living(ALICE)] == [record.handle]
    assert lifecycle.revoke(moved, "signed_out")
    names = {key.decode().rpartition("}:")[2].partition(":")[0] for key in redis.keys(f"{REDIS_PREFIX}{{*")}
    assert names == {"index"}


def test_declared_account_values_are_read_with_the_session(redis: Redis, services: Services) -> None:
    store = of_nothing(services, AccountKey(name="one"), AccountKey(name="two"), AccountKey(name="not", read=False))
    record = SessionRecord(handle="sess_0123456789abcdef", account=ALICE, session_type="standard", data={})
    live = store.create(record, IDLE, ABSOLUTE)
    for name in ("one", "not"):
        redis.set(live.keys.account_key(name), name)
    expected = {"one": b"one", "two": None}
    for found in (store.load(live.id, "never"), store.find(ALICE, record.handle)):
        assert isinstance(found, LoadedSession)
        assert found.account_values == expected
    values = store.account_values(ALICE)
    assert values == expected
    decoded: list[bytes | None] = []
    for _ in range(3):
        values.decoded("one", lambda key, stored: decoded.append(stored) or key)
    assert decoded == [b"one"]


def test_account_list_gets_an_entry_for_a_session_beside_others(redis: Redis, services: Services) -> None:
    def entry(keys: KeyRing, key: str, record: SessionRecord) -> bytes:
        assert record.created_at, "the time is known by then"
        return b64encode(f"{key.rpartition(':')[2]} {record.handle}".encode())

    store = of_nothing(services, AccountKey(name="latest", entry=entry, most=2, seconds=60))
    for number in range(3):
        record = SessionRecord(handle=f"sess_{number}", account=ALICE, session_type="standard", data={})
        live = store.create(record, IDLE, ABSOLUTE)
        key = live.keys.account_key("latest")
        assert redis.exists(key) == (number > 0), "there is no other session to read of the first"
    assert redis.get(key) == b"|".join(b64encode(f"latest sess_{number}".encode()) for number in (2, 1))
    assert 0 < redis.ttl(key) <= 60


# -- Round trips -------------------------------------------------------------------------------------------------


@pytest.fixture
def round_trips(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often something was sent to Redis, by the first command of each time."""
    sent: list[str] = []
    server = link_of(services.repository).service
    exchange = server.exchange

    def counted(commands: list[tuple[str, ...]]) -> list[object]:
        sent.append(str(commands[0][0]))
        return exchange(commands)

    monkeypatch.setattr(server, "exchange", counted)
    return sent


def test_sign_in_takes_seven_round_trips(
    app: Flask, visitor: Visitor, wallet: Wallet, round_trips: list[str]
) -> None:
    Visitor(app).sign_in(Wallet())  # so that Redis knows the scripts
    challenge = visitor.challenge(wallet.account())
    round_trips.clear()
    assert visitor.attempt(wallet, challenge).status_code == 303
    assert len(round_trips) <= 7, round_trips


def test_revoking_another_session_takes_six_round_trips(
    person: Visitor, other: Visitor, services: Services, round_trips: list[str]
) -> None:
    live = services.repository.load(other.session_id, "never")
    assert isinstance(live, LoadedSession)
    token = person.token("/sessions")

    def end(handle: str) -> None:
        answer = person.post(f"/sessions/{handle}/revoke", data={"csrf_token": token})
        assert answer.headers["Location"].endswith("/sessions")

    third = SessionRecord(handle="sess_0123456789abcdef", account=live.record.account, data={})
    end(services.lifecycle.create(third, IDLE, ABSOLUTE).record.handle)  # so that Redis knows the scripts
    round_trips.clear()
    end(live.record.handle)
    assert len(round_trips) <= 6, round_trips
    assert services.repository.load(other.session_id, "never") == EndedSession("revoked")


def test_authenticated_request_takes_one_round_trip(person: Visitor, round_trips: list[str]) -> None:
    person.get("/session")
    round_trips.clear()
    assert person.get("/session").status_code == 200
    assert round_trips == ["MGET"]
