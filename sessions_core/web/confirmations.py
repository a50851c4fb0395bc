"""Step-up: a request that matters waits until the wallet has signed a text that names exactly what it will do.

The proof is bound to the session, to the action, and to a digest of the whole request, so that what was signed for
one request confirms no other. It takes effect in the same request: the id of the session changes, and both its clocks
start again. Nothing is stored while a request waits: a signed value in the address of `/confirm` stands for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Request, render_template
from itsdangerous import BadData, URLSafeTimedSerializer

from .. import events
from ..errors import ConfirmationMalformed, SignInRefused, StepUpRequired, catalogue
from ..records import Record
from ..store import WalletSession
from .services import Services
from .view import SessionView

HEADER = "Wallet-Confirmation"
"""Where a client of the JSON service puts the proof: base64url of `{"message", "challenge", "signature"}`."""

_PROOF = ("confirm_message", "confirm_challenge", "confirm_signature")
_NOT_THE_REQUEST = (*_PROOF, "csrf_token")
_WAITING = 10 * 60  # seconds to read the page before the wallet is asked
_REMEMBERED = 8  # actions whose last signature a session remembers


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits for its signature: what it is called, what it says, and how to send it again.

    `fields` are those of its form; `digest` covers method, path, query and body.
    """

    handle: str
    action: str
    sentence: str
    values: dict[str, str]
    method: str
    path: str
    fields: list[tuple[str, str]]
    digest: str

    @property
    def binding(self) -> str:
        """What the challenge is bound to."""
        return "\n".join((self.handle, self.action, self.digest))


def serializer(secrets: tuple[str, ...]) -> URLSafeTimedSerializer:
    """Return what signs waiting requests."""
    return URLSafeTimedSerializer(
        list(secrets),
        salt="sessions_core.confirmation",
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def demand(ours: Services, current: WalletSession, request: Request, seconds: int, action: str) -> None:
    """Let a request pass that brings its own proof, or whose session signed within the last `seconds`.

    Raises `StepUpRequired` otherwise, also when the proof is not for this request: nothing was done then.
    """
    view = _view(ours, current)
    message, challenge, signature = proof(request)
    if not signature and view.fresh(seconds, action):
        return
    pending = _of(ours, view, request, action)
    if not signature:
        raise StepUpRequired(action, to_token(ours, pending))
    redeem(ours, current, pending, message, challenge, signature)


def redeem(
    ours: Services, current: WalletSession, pending: Pending, message: str, challenge: str, signature: str
) -> None:
    """Spend a proof: new id, both clocks from the start. Raises `StepUpRequired` with the `problem` if it is none."""
    view = _view(ours, current)
    account = str(view.account)
    try:
        # Browsers send the line feeds of a form field as CR LF (HTML, section 4.10.21.4); wallets sign LF alone.
        signed_by = ours.challenges.redeem(
            message.replace("\r\n", "\n"), challenge, signature, pending.binding, "confirm"
        )
        if str(signed_by) != account:
            raise SignInRefused("another account signed")
    except SignInRefused as error:
        failure = {"handle": view.handle, "account": account, "action": pending.action, "code": error.code}
        events.publish(events.ConfirmationFailed(**failure))
        raise StepUpRequired(pending.action, to_token(ours, pending), error.code) from error

    def confirm(record: Record) -> None:
        times = record.confirmed | {pending.action: view.live.now}
        newest = sorted(times.items(), key=lambda item: item[1])[-_REMEMBERED:]
        record.confirmed = dict(newest)

    ours.store.regenerate(current, confirm, restart_seconds=view.absolute_seconds)
    if current.account_live is not None:  # or it was revoked meanwhile, and the guard says so
        events.publish(events.SessionConfirmed(handle=view.handle, account=account, action=pending.action))


def to_token(ours: Services, pending: Pending) -> str:
    """Return the value that stands for a waiting request in an address."""
    fields = (
        pending.handle,
        pending.action,
        pending.sentence,
        pending.values,
        pending.method,
        pending.path,
        pending.fields,
        pending.digest,
    )
    return str(ours.requests.dumps(fields))


def from_token(ours: Services, current: WalletSession, token: str) -> Pending:
    """Return the waiting request of this session; raise `ConfirmationMalformed` if there is none."""
    try:
        handle, action, sentence, values, method, path, fields, digest = ours.requests.loads(token, max_age=_WAITING)
    except (BadData, ValueError, RecursionError) as error:
        raise ConfirmationMalformed("not ours, or too old") from error
    live = current.account_live
    if live is None or live.record.handle != handle:
        raise ConfirmationMalformed("of another session")
    pairs = [(str(name), str(value)) for name, value in fields]
    return Pending(handle, action, sentence, dict(values), method, path, pairs, digest)


def page(ours: Services, current: WalletSession, token: str, problem: str = "") -> str:
    """Return the page that says in words what is about to happen, and asks for the signature."""
    pending = from_token(ours, current, token)
    return render_template(
        "sessions/confirm.html",
        pending=pending,
        token=token,
        problem=catalogue().get(problem),
        about=_about(ours, current, pending.values),
        seconds=ours.settings.confirm_seconds,
    )


def proof(request: Request) -> tuple[str, str, str]:
    """Return message, challenge and signature as form or header bring them; empty ones if there are none."""
    header = request.headers.get(HEADER)
    if header is None:
        return cast("tuple[str, str, str]", tuple(request.form.get(name, "") for name in _PROOF))
    try:
        found = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
        return str(found["message"]), str(found["challenge"]), str(found["signature"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfirmationMalformed("the header is not base64url of a JSON object") from error


def _about(ours: Services, current: WalletSession, values: Mapping[str, str]) -> SessionView | None:
    """Return the session that a waiting request names, so that the page can describe it."""
    handle = values.get("handle")
    if not handle:
        return None
    account = values.get("account") or str(_view(ours, current).account)
    live = ours.records.find(account, handle)
    return SessionView(live, ours) if live else None


def _view(ours: Services, current: WalletSession) -> SessionView:
    assert current.account_live is not None  # noqa: S101  # the guard saw to it
    return SessionView(current.account_live, ours)


def _of(ours: Services, view: SessionView, request: Request, action: str) -> Pending:
    path = request.full_path.rstrip("?")
    fields = [(name, value) for name, value in request.form.items(multi=True) if name not in _NOT_THE_REQUEST]
    body: Any = sorted(fields) if request.form else hashlib.sha256(request.get_data()).hexdigest()
    whole = json.dumps([request.method, path, body])
    values = _values(request)
    return Pending(
        handle=view.handle,
        action=action,
        sentence=ours.actions.sentence(action, values),
        values=ours.actions.named(action, values),
        method=request.method,
        path=path,
        fields=fields,
        digest=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _values(request: Request) -> Mapping[str, str]:
    body = request.get_json(silent=True) if request.is_json else None
    given = {**request.args.to_dict(), **request.form.to_dict(), **(body if isinstance(body, dict) else {})}
    # The path last: a field of the form can't stand in for what the address names.
    return {name: str(value) for name, value in {**given, **(request.view_args or {})}.items()}
