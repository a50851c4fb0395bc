"""Reads JSON bodies and query strings strictly: each key once, the declared types, nothing that another parser would
read differently. Bodies of every kind are read whole or not at all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from flask import Request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wsgi import LimitedStream

from ..errors import BadRequest, BodyMalformed, MediaTypeUnsupported

T = TypeVar("T", bound=msgspec.Struct)

_MOST_BRACKETS = 100


class WholeBodies:
    """Makes Werkzeug refuse a body that breaks off (`ClientDisconnected`).

    Servers that say `wsgi.input_terminated`, as gunicorn does, just end the stream when the connection is lost, or
    was too slow. Then part of a form would count as all of it: `amount=1000` could arrive as `amount=10`.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application with a stream whose length is checked."""
        if environ.get("CONTENT_LENGTH"):
            environ.pop("wsgi.input_terminated", None)
        elif "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = _Chunks(environ["wsgi.input"], sys.maxsize, is_max=True)
        return self._app(environ, start_response)


class _Chunks(LimitedStream):
    def readinto(self, b: Any) -> int | None:
        try:
            return super().readinto(b)
        except HTTPException:
            raise
        except Exception as error:  # each server has its own for chunks that break off, or are malformed
            raise ClientDisconnected from error


def read(request: Request, model: type[T]) -> T:
    """Return the body as a `model`.

    Raises `MediaTypeUnsupported` or `BodyMalformed`; a body over the limit raises Werkzeug's `RequestEntityTooLarge`.
    """
    if request.mimetype != "application/json" or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise MediaTypeUnsupported(request.mimetype)
    try:
        return msgspec.convert(parse(request.get_data()), model)
    except msgspec.ValidationError as error:
        raise BodyMalformed(type(error).__name__) from error


def parse(data: bytes) -> Any:
    """Return the value of a JSON text; raise `BodyMalformed` if another parser could read it differently."""
    if data.count(b"[") + data.count(b"{") > _MOST_BRACKETS:
        # py_ecc, which eth-account imports, lifts Python's recursion limit to 100 000: depth would end in a crash of
        # the worker rather than in a RecursionError.
        raise BodyMalformed("nested too deeply")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone surrogate can't be written down again
    except (ValueError, RecursionError) as error:
        raise BodyMalformed(type(error).__name__) from error
    return value


def read_query(request: Request, model: type[T]) -> T:
    """Return the query string as a `model`; raise `BadRequest` if it does not fit."""
    try:
        return msgspec.convert(_each_once(list(request.args.items(multi=True))), model, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise BadRequest(str(error)) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Parsers disagree on which of two equal keys counts; a proxy that checks the first must not be fooled.
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
