"""Lets time pass for a session, without waiting for it.

Redis's clock can't be moved, so the session is: its times, its expiry and its entry in the account's index.
"""

from __future__ import annotations

import re

import msgspec

from ..sessions.record import SessionRecord
from .sessions import TestSession, services_of


def age(session: TestSession, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
    """Make a session older: afterwards it is as it would be then, or gone if it had ended by then.

    Nothing happens to a session that has ended already. Session tokens of programs, which carry their end in
    themselves, run on real time. Raises `StoreUnavailable` when Redis does not answer.
    """
    services, found = services_of(session.app), session.load()
    if found is None:
        return
    call, keys = services.connection.call, found.keys
    milliseconds = int((seconds + 60 * minutes + 3600 * hours) * 1000)
    older(found.record, milliseconds)
    found.active -= milliseconds
    found.absolute_expires_at -= milliseconds
    entry = call("HGET", keys.entries, keys.digest)
    if entry is not None:  # a visitor's session has none
        times = re.compile(rb"(?<=\|)\d+(?=\|)")
        call("HSET", keys.entries, keys.digest, times.sub(lambda at: b"%d" % (int(at[0]) - milliseconds), entry))
    left = call("PTTL", keys.record) - milliseconds
    if left <= 0:
        call("DEL", keys.record)
    else:
        call("SET", keys.record, b"%013d" % found.active + services.repository.encrypted(found), "PX", left)


def expire(session: TestSession) -> None:
    """Let a session end for lack of activity."""
    found = session.load()
    if found is not None:
        age(session, seconds=found.idle_timeout_ms / 1000)


def older(record: SessionRecord, milliseconds: int) -> None:
    """Move every time in a record back by so many milliseconds; what parts keep with the session stays."""
    record.created_at -= milliseconds
    record.signed_at -= milliseconds
    record.restarted_at -= milliseconds if record.restarted_at else 0
    record.confirmed = {action: at - milliseconds for action, at in record.confirmed.items()}
    record.formers = tuple(msgspec.structs.replace(each, at=each.at - milliseconds) for each in record.formers)
