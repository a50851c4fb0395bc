"""The answers of the JSON service: `data` of each route, and the error of a refusal.

The views return these and `openapi` describes them, so the two can't differ.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

import msgspec
from flask import current_app
from msgspec import UNSET, Meta, Struct, UnsetType
from werkzeug.wrappers import Response

Time = Annotated[
    str,
    Meta(
        description="RFC 3339, in UTC, with milliseconds.",
        examples=["2026-01-31T12:00:00.000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
AccountId = Annotated[
    str,
    Meta(description="CAIP-10.", examples=["eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"]),
]
Handle = Annotated[str, Meta(description="The public name of a session.", examples=["sess_V5eJ0sBz1yQmWk3T"])]
Seconds = Annotated[int, Meta(description="In seconds.", ge=0)]


class Challenge(Struct):
    """The text to sign, and the challenge that proves that this site wrote it."""

    account: AccountId
    message: str
    challenge: str
    expires_at: Time


class SessionState(Struct, kw_only=True):
    """A session: its permissions and when it ends. `expires_at` is the end without further activity.

    `csrf_token` is for cookie sessions alone.
    """

    valid: Literal[True]
    session_id: Handle
    user_id: Annotated[str, Meta(description="The user: the same for all accounts that are theirs.")]
    account: AccountId
    accounts: list[AccountId]
    session_type: str
    network: Literal["mainnet", "testnet", "unsupported"]
    role: str
    permissions: list[str]
    now: Time
    expires_at: Time
    time_remaining: Seconds
    idle_expires_at: Time
    absolute_expires_at: Time
    warn_seconds: Seconds
    absolute_warn_seconds: Seconds
    csrf_token: str | UnsetType = UNSET


class SignedOut(Struct):
    """The session of this cookie or token lives no longer, if there was one."""

    signed_out: Literal[True]


class Problem(Struct, kw_only=True):
    """Why a request was refused. `message` is a sentence for users, `request_id` finds it in the log.

    `reason` refines the code: why a session ended, which action needs a signature. `missing` is what is lacking, and
    `kind` tells whether that is a `permission`, a `role` or a `session_type`. `request` identifies the request that
    waits for a signature, `problem` is the code of the signature that was refused just now. `cause`, in development
    only, says what was wrong and which line to write.
    """

    code: str
    message: str
    request_id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    reason: str | UnsetType = UNSET
    missing: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    request: str | UnsetType = UNSET
    problem: str | UnsetType = UNSET
    cause: str | UnsetType = UNSET


class Failure(Struct):
    """The envelope of every refusal."""

    success: Literal[False]
    error: Problem


@cache
def extended(base: type[Struct], additions: tuple[type[Struct], ...]) -> type[Struct]:
    """Return a Struct with the fields of `base`, and those that parts add to it (`Part.state`)."""
    added = (each for struct in additions for each in msgspec.structs.fields(struct))
    new = [(each.name, each.type, msgspec.field(default=each.default)) for each in added]
    return msgspec.defstruct(base.__name__, new, bases=(base,), namespace={"__doc__": base.__doc__}, kw_only=True)


class _Success(Struct):
    success: Literal[True]
    data: object


def success(data: object, status: int = 200) -> Response:
    """Return data in the envelope of the service."""
    return as_json(_Success(True, data), status)


def as_json(value: object, status: int = 200) -> Response:
    """Return a value as JSON, as it is."""
    return current_app.response_class(msgspec.json.encode(value), status, mimetype="application/json")
