"""Reads and checks the input of a JSON route and sends its answer, by the annotations of its view:

    @api.post("/sessions/refresh")
    @public(keeps_alive=False, csrf=False)
    @operation(TokenInvalid)
    def refresh_session(body: RefreshRequest) -> TokenSession: ...

`body` is read and checked before the view runs, and so is `query`, the query string; both are msgspec Structs, and a
body that may be missing is `| None`. A returned Struct is sent in the envelope, a `Response` as it is. `openapi`
documents the same annotations. The arguments are the errors that the view itself raises: those of the guards, of
bodies and of Redis follow from its declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_args, get_type_hints

import msgspec
from flask import request
from flask.typing import ResponseReturnValue

from ..errors import SessionsError
from . import request_body
from .schemas import as_json, success

_MARK = "__sessions_operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """The input and output of a route. `by_signature`: the bearer is a wallet's signature. `confirms`: the view may
    ask for a fresh one. `bare`: the answer has no envelope, because a standard defines its form.
    """

    body: type[msgspec.Struct] | None
    body_required: bool
    query: type[msgspec.Struct] | None
    answers: tuple[type[msgspec.Struct], ...]
    status: int
    refusals: tuple[type[SessionsError], ...]
    by_signature: bool
    confirms: bool
    bare: bool


def operation(
    *refusals: type[SessionsError],
    status: int = 200,
    by_signature: bool = False,
    confirms: bool = False,
    bare: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., ResponseReturnValue]]:
    """Read the input that a view's annotations name, and send its result with `status`."""

    def declare(view: Callable[..., Any]) -> Callable[..., ResponseReturnValue]:
        hints = get_type_hints(view, include_extras=True)
        body, query = _structs(hints.get("body")), _structs(hints.get("query"))
        told = Operation(
            body=body[0] if body else None,
            body_required=type(None) not in get_args(hints.get("body")),
            query=query[0] if query else None,
            answers=_structs(hints["return"]),
            status=status,
            refusals=refusals,
            by_signature=by_signature,
            confirms=confirms,
            bare=bare,
        )

        @wraps(view)
        def run(**arguments: Any) -> ResponseReturnValue:
            if told.body is not None:
                arguments["body"] = (
                    request_body.read(request, told.body) if told.body_required or request.is_json else None
                )
            if told.query is not None:
                arguments["query"] = request_body.read_query(request, told.query)
            answer: ResponseReturnValue = view(**arguments)
            if not isinstance(answer, msgspec.Struct):
                return answer
            return as_json(answer, status) if bare else success(answer, status)

        setattr(run, _MARK, told)
        return run

    return declare


def described(view: Callable[..., Any] | None) -> Operation | None:
    """Return the input and output of a view's route, or `None` if it is not one of the JSON service."""
    return getattr(view, _MARK, None)


def _structs(hint: Any) -> tuple[type[msgspec.Struct], ...]:
    """Return the Structs that an annotation allows."""
    return tuple(
        each for each in (hint, *get_args(hint)) if isinstance(each, type) and issubclass(each, msgspec.Struct)
    )
