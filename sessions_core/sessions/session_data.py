"""What views put into `flask.session`, as it is stored: all that Flask's own session takes comes back as it was.

MessagePack knows text, bytes, numbers, lists and dicts. Tuples, `Markup`, UUIDs, times, decimals, numbers over 64
bits and text with lone surrogates are stored as extension types (MessagePack specification, "Extension types").
Anything else is refused with the key that holds it, instead of coming back as something else or not at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from markupsafe import Markup
from msgspec.msgpack import Decoder, Ext, encode

# How each kind is written and read; the numbers are in stored records, so none is ever used for another kind.
_TUPLE, _MARKUP, _UUID, _DATETIME, _DATE, _DECIMAL, _INTEGER, _TEXT = range(1, 9)


def to_stored(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as MessagePack keeps it; raise `TypeError` that names the key of what can't be kept."""
    return {_name(key): stored(key, value) for key, value in data.items()}


def stored(key: str, value: Any) -> Any:
    """Return the value of a key as MessagePack keeps it; raise `TypeError` with the key if it can't be kept."""
    try:
        return _stored(value)
    except RecursionError:
        reason = "something that contains itself, or is nested too deeply"
    except TypeError as error:
        reason = str(error)
    raise TypeError(f"flask.session[{key!r}] can't keep {reason}.")


def same(key: str, one: Any, other: Any) -> bool:
    """Whether two values are stored alike; to Python, `True`, `1` and `1.0` are equal."""
    return encode(stored(key, one)) == encode(stored(key, other))


def read_extension(code: int, content: memoryview) -> Any:
    """Return what an extension type stands for, for the `ext_hook` of a decoder; raise `ValueError` for others."""
    read = _READ.get(code)
    if read is None:
        raise ValueError(f"no kind {code}")
    return read(bytes(content))


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"flask.session[{key!r}]: a key has to be text.")
    key.encode()  # a lone surrogate in a key; UnicodeEncodeError is a ValueError that shows it
    return key


def _stored(value: Any) -> Any:
    if value is None or type(value) in (bool, float, bytes):
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else Ext(_INTEGER, str(value).encode())
    if type(value) is str:
        return value if _is_utf8(value) else Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return {_nested_key(key): _stored(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_stored(each) for each in value]
        return items if isinstance(value, list) else Ext(_TUPLE, encode(items))
    return _stored_object(value)


def _stored_object(value: Any) -> Any:
    if hasattr(value, "__html__"):
        return Ext(_MARKUP, str(value.__html__()).encode("utf-8", "surrogatepass"))
    for kind, code, write in _WRITE:
        if isinstance(value, kind):
            return Ext(code, write(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _stored(dataclasses.asdict(value))  # as Flask's own JSON does
    for plain in (str, int, float):
        if isinstance(value, plain):  # a member of an enumeration of words, say
            return _stored(plain(value.value if isinstance(value, Enum) else value))
    raise TypeError(f"a {type(value).__name__}; store its parts as text, numbers, lists or dicts")


def _nested_key(key: Any) -> Any:
    if key is None or isinstance(key, (str, int, float)):
        return _stored(key)
    raise TypeError(f"a dict with a key of type {type(key).__name__}; use text")


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_WRITE: tuple[tuple[type, int, Callable[[Any], bytes]], ...] = (
    (UUID, _UUID, lambda value: value.bytes),
    (datetime, _DATETIME, lambda value: value.isoformat().encode()),  # before `date`, which it is as well
    (date, _DATE, lambda value: value.isoformat().encode()),
    (Decimal, _DECIMAL, lambda value: str(value).encode()),
)

_nested = Decoder(ext_hook=read_extension).decode

_READ: dict[int, Callable[[bytes], Any]] = {
    _TUPLE: lambda content: tuple(_nested(content)),
    _MARKUP: lambda content: Markup(content.decode("utf-8", "surrogatepass")),  # noqa: S704  # it was Markup before
    _UUID: lambda content: UUID(bytes=content),
    _DATETIME: lambda content: datetime.fromisoformat(content.decode()),
    _DATE: lambda content: date.fromisoformat(content.decode()),
    _DECIMAL: lambda content: Decimal(content.decode()),
    _INTEGER: int,
    _TEXT: lambda content: content.decode("utf-8", "surrogatepass"),
}
