"""Decodes what former sessions hold, without running anything of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from ...sessions.record import CSRF_KEY
from ...sessions.session_data import to_stored
from ...settings import PREFIX
from .nesting import is_deep_json, is_deep_msgpack
from .refused import Refused

logger = logging.getLogger(__name__)

LARGEST = 256 * 1024

# What Flask, Flask-WTF and Flask-Login keep there for themselves. A session here has a CSRF secret of its own, and
# the user of a wallet session is found by its account.
_OF_FLASK = {CSRF_KEY, "_permanent"}
FLASK_LOGIN_USER = "_user_id"
OF_FLASK_LOGIN = {FLASK_LOGIN_USER, "_fresh", "_id", "_remember", "_remember_seconds"}

_DECODERS = (
    (is_deep_msgpack, msgspec.msgpack.Decoder().decode),
    (is_deep_json, msgspec.json.Decoder().decode),
)


def decoded(stored: bytes, unpickle: Callable[[bytes], Any] | None) -> dict[Any, Any]:
    """Return the data of a record of Flask-Session: MessagePack or JSON; a pickle only with a function that reads it.

    Raises `Refused`.
    """
    too_deep = False
    for is_deep, decode in _DECODERS:
        if is_deep(stored):
            too_deep = True
            continue
        try:
            return mapping(decode(stored))
        except (msgspec.MsgspecError, ValueError):
            continue
    if not _looks_pickled(stored):
        raise Refused("unreadable", "nested too deeply" if too_deep else "neither MessagePack nor JSON")
    if unpickle is None:
        raise Refused("pickled", f"a pickle can run code when it is read; {PREFIX}MIGRATE_UNPICKLE allows that")
    try:
        return mapping(unpickle(stored))
    except Refused:
        raise
    except Exception as error:
        raise Refused("unreadable", f"a pickle that fails with {type(error).__name__}") from error


def mapping(data: Any) -> dict[Any, Any]:
    """Return the data if it is a dict; raise `Refused` otherwise."""
    if not isinstance(data, dict):
        raise Refused("unreadable", f"a {type(data).__name__} and no mapping")
    return data


def kept(data: dict[Any, Any], has_account: bool) -> dict[str, Any]:
    """Return the data that `flask.session` takes over. Values that it can't keep are left out, and logged by key."""
    left_out = _OF_FLASK | (OF_FLASK_LOGIN if has_account else set())
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key in left_out:
            continue
        try:
            to_stored({key: value})
        except (TypeError, ValueError) as error:
            logger.warning("A value of a former session is left out: %s", str(error)[:200])
            continue
        found[key] = value
    return found


def _looks_pickled(stored: bytes) -> bool:
    return (stored[:1] == b"\x80" and stored[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or (
        stored.startswith((b"(d", b"}", b"(lp", b"c")) and stored.endswith(b".")
    )
