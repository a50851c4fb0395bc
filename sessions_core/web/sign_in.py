"""Signing in: what the form and the JSON service have in common, from the signed text to the session."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..access import policy
from ..errors import ChallengeUsed
from ..parts.devices.recent_sign_ins import note_client
from ..parts.trial_wallets import cookie
from ..parts.trial_wallets.key_shares import TRIAL_WALLET, TrialWallet
from ..sessions.flask_session import WalletSession
from ..sessions.record import CSRF_KEY, LoadedSession, SessionRecord
from ..sign_in.accounts import Account
from ..sign_in.challenges import API, SIGN_IN
from . import attempts, request_client
from .guards import wallet_session
from .services import services


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asks its session to be; it gets that or less. `duration` is in seconds."""

    session_type: str = ""
    duration: int | None = None
    permissions: Iterable[str] | None = None
    wallet: str = ""
    remember: bool = False


def enter(
    message: str,
    challenge: str,
    signature: str,
    wanted: Wanted,
    *,
    cookies: bool = True,
    prepare: Callable[[SessionRecord], None] | None = None,
) -> LoadedSession:
    """Verify a signed text and start the session of its account.

    With `cookies` the session is for this browser, and replaces the one that this browser had; without, it is for a
    program, and so is the challenge that it takes. `prepare` adds to the record before it is stored.

    Raises `RateLimited`, `SignInRefused`, `PermissionDenied`, `RpcUnavailable` or `StoreUnavailable`. Nothing has
    begun then, but the nonce may be spent.
    """
    attempts.count("sign_ins")
    ours, current = services(), wallet_session()
    binding, purpose = (current.browser, SIGN_IN) if cookies else (None, API)
    # What the account can't have is refused before the nonce is spent: the same signature does for another type.
    refuse_type(wanted.session_type, lambda: _signer(message, challenge, binding, purpose))
    signed = ours.challenges.redeem(message, challenge, signature, binding, purpose)
    account = signed.account
    values = ours.repository.account_values(str(account))
    session_type = ours.policy.choose(wanted.session_type, ours.directory.standing_of(values).verified(values.now))
    permissions = list(wanted.permissions) if wanted.permissions is not None else None

    # Not by the name that the page gave the wallet: any page can give any name.
    held = cookies and cookie.names(account) and ours.shares.holds(account)

    def add_from_parts(record: SessionRecord) -> None:
        note_client(record, request_client.current())
        if held:
            TRIAL_WALLET.put(record, TrialWallet(held=True))
        for add in ours.hooks("on_sign_in"):
            add(signed, record, cookies)
        if prepare is not None:
            prepare(record)

    return ours.lifecycle.start(
        account,
        session_type,
        wallet=display_name(wanted.wallet),
        remember=wanted.remember,
        data=_carried_over(current) if cookies else None,
        replacing=current.live if cookies else None,
        narrowed=policy.narrow(session_type, wanted.duration, permissions, ours.policy.roles),
        privilege=ours.privilege_of(str(account), values, values.now) or "",
        browser=current.browser if cookies else None,
        account_values=values,
        prepare=add_from_parts,
    )


def _signer(message: str, challenge: str, binding: str | None, purpose: str) -> Account | None:
    try:
        return services().challenges.check(message, challenge, binding, purpose)
    except ChallengeUsed:
        return None  # `redeem` refuses it, and notes it as a replay


def refuse_type(name: str, account: Callable[[], Account | None]) -> None:
    """Raise `PermissionDenied` for a type of session that nobody can have, or that this account can't.

    The account is asked for, and looked up in Redis, for types alone that not every account can have.
    """
    ours = services()
    if ours.policy.choose(name, verified=True).verified and (found := account()) is not None:
        values = ours.repository.account_values(str(found))
        ours.policy.choose(name, ours.directory.standing_of(values).verified(values.now))


def display_name(text: str) -> str:
    """Return a wallet's name fit for showing: one line, no control, format or bidi characters, at most 40."""
    visible = "".join(c for c in text[:400] if not unicodedata.category(c).startswith("C"))
    return " ".join(visible.split())[:40]


def _carried_over(current: WalletSession) -> dict[str, Any]:
    # What a visitor collected stays theirs. What another account stored must not become this one's.
    if current.account_live is not None:
        return {}
    return {key: value for key, value in current.items() if key != CSRF_KEY}
