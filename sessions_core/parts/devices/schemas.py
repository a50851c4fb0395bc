"""A user's sessions in the JSON service."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ...web.schemas import AccountId, Handle, Time


class SignInElsewhere(Struct):
    """A sign-in to the account after that of this session. Unknown fields are empty."""

    session_id: Handle
    device: str
    ip: str
    wallet: str
    created_at: Time


class State(Struct):
    """The fields that this part adds to the state of a session."""

    sign_ins_elsewhere: list[SignInElsewhere]


class SessionRow(Struct, kw_only=True):
    """One session in the list of an account's."""

    session_id: Handle
    current: bool
    session_type: str
    account: AccountId
    network: Literal["mainnet", "testnet", "unsupported"]
    wallet: str
    label: str
    device: str
    user_agent: str
    ip: str
    created_at: Time
    last_activity: Time
    expires_at: Time
    absolute_expires_at: Time


class SessionList(Struct):
    """The living sessions of an account: the one that asks first, then by last activity."""

    sessions: list[SessionRow]


class EndedSession(Struct):
    """The session that has ended."""

    session_id: Handle
    ended: Literal[True]


class EndedSessions(Struct):
    """How many sessions ended."""

    scope: Literal["others", "all"]
    ended: Annotated[int, Meta(ge=0)]
