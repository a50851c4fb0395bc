"""For tests of applications: let time pass for a session, without waiting for it.

    from sessions_core import testing

    testing.age(app, session_id, 29 * 60)
    assert client.get("/account").status_code == 200
    testing.age(app, session_id, 31 * 60)
    assert client.get("/account").status_code == 303  # signed out for lack of activity

Redis's clock can't be moved, so the session is: its times, its expiry and its entry in the account's index.
"""

from __future__ import annotations

import re

import msgspec
from flask import Flask

from .sessions.record import EndedSession, SessionRecord
from .web.services import EXTENSION, Services


def age(app: Flask, session_id: str, seconds: float) -> None:
    """Make a session older by so many seconds: afterwards it is as it would be then, or gone if it had ended by then.

    `session_id` is the value of the session cookie. Nothing happens for a session that has ended already. Raises
    `StoreUnavailable` when Redis does not answer.
    """
    services: Services = app.extensions[EXTENSION]
    repository, call = services.repository, services.connection.call
    found = repository.load_id(session_id, "never")
    if isinstance(found, EndedSession):
        return
    milliseconds, keys = int(seconds * 1000), found.keys
    older(found.record, milliseconds)
    found.active -= milliseconds
    found.absolute_expires_at -= milliseconds
    entry = call("HGET", keys.entries, keys.digest) or b""
    times = re.compile(rb"(?<=\|)\d+(?=\|)")
    call("HSET", keys.entries, keys.digest, times.sub(lambda at: b"%d" % (int(at[0]) - milliseconds), entry))
    left = call("PTTL", keys.record) - milliseconds
    if left <= 0:
        call("DEL", keys.record)
    else:
        call("SET", keys.record, b"%013d" % found.active + repository.encrypted(found), "PX", left)


def older(record: SessionRecord, milliseconds: int) -> None:
    """Move every time in a record back by so many milliseconds; what parts keep with the session stays."""
    record.created_at -= milliseconds
    record.signed_at -= milliseconds
    record.restarted_at -= milliseconds if record.restarted_at else 0
    record.confirmed = {action: at - milliseconds for action, at in record.confirmed.items()}
    record.formers = tuple(msgspec.structs.replace(each, at=each.at - milliseconds) for each in record.formers)
