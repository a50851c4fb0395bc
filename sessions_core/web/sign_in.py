"""Signs users in, for the form and the JSON service: from the signed text to the session."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..access import policy
from ..errors import ChallengeUsed
from ..sessions.flask_session import WalletSession
from ..sessions.record import CSRF_KEY, LoadedSession, SessionRecord
from ..sessions.repository import Change
from ..sign_in.accounts import Account
from ..sign_in.challenges import API, SIGN_IN
from . import attempts
from .guards import wallet_session
from .services import current_services


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInOptions:
    """The session that a client asks for; it gets that or less. `duration` is in seconds."""

    session_type: str = ""
    duration: int | None = None
    permissions: Iterable[str] | None = None
    wallet: str = ""
    remember: bool = False


def authenticate(
    message: str, challenge: str, signature: str, options: SignInOptions, client: Change | None = None
) -> LoadedSession:
    """Verify a signed text and start the session of its account.

    With `client` the session is for a client without cookies, and so is the challenge that it consumes; `client` is
    called with the record, to add what identifies the client. Without `client`, the session is for this browser and
    replaces the browser's previous session. Raises `RateLimited`, `SignInRefused`, `PermissionDenied`,
    `VerificationUnavailable` or `StoreUnavailable`; no session has started then, but the nonce may be consumed.
    """
    attempts.count("sign_ins")
    services, session = current_services(), wallet_session()
    binding, purpose = (None, API) if client else (session.browser, SIGN_IN)
    # A type that the account can't have is refused before the nonce is consumed, so the same signature works for
    # another type.
    refuse_type(options.session_type, lambda: _signer(message, challenge, binding, purpose))
    signed = services.challenges.redeem(message, challenge, signature, binding, purpose)
    account = signed.account
    values = services.repository.account_values(str(account))
    status = services.account_status(str(account), values)
    session_type = services.policy.choose(options.session_type, status.verified)
    permissions = list(options.permissions) if options.permissions is not None else None

    def prepare(record: SessionRecord) -> None:
        if client is not None:
            client(record)
        for add in services.hooks("on_sign_in"):
            add(signed, record, client is None)

    return services.lifecycle.start(
        account,
        session_type,
        wallet=display_name(options.wallet),
        remember=options.remember,
        data=None if client else _carried_over(session),
        replacing=None if client else session.live,
        scope=policy.scope_of(session_type, options.duration, permissions, services.policy.roles),
        privilege=services.privileges(str(account), values, status) or "",
        browser=None if client else session.browser,
        account_values=values,
        prepare=prepare,
    )


def _signer(message: str, challenge: str, binding: str | None, purpose: str) -> Account | None:
    try:
        return current_services().challenges.check(message, challenge, binding, purpose)
    except ChallengeUsed:
        return None  # `redeem` refuses it, and publishes a replay


def refuse_type(name: str, account: Callable[[], Account | None]) -> None:
    """Raise `PermissionDenied` for a session type that does not exist, or that this account can't have.

    `account` is called, and the account looked up in Redis, only for types that not every account can have.
    """
    services = current_services()
    if services.policy.choose(name, verified=True).verified and (found := account()) is not None:
        values = services.repository.account_values(str(found))
        services.policy.choose(name, services.account_status(str(found), values).verified)


def display_name(text: str) -> str:
    """Return a wallet's name fit for showing: one line, no control, format or bidi characters, at most 40."""
    visible = "".join(c for c in text[:400] if not unicodedata.category(c).startswith("C"))
    return " ".join(visible.split())[:40]


def _carried_over(session: WalletSession) -> dict[str, Any]:
    # Data of a visitor is kept. Data of another account must not become this one's.
    if session.account_live is not None:
        return {}
    return {key: value for key, value in session.items() if key != CSRF_KEY}
