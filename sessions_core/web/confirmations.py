"""Step-up: a sensitive request waits until the wallet has signed a text that names exactly what it will do.

The proof is bound to the session, to the action, and to a digest of the whole request, so that what was signed for
one request confirms no other. It takes effect in the same request: the id of the session changes, and both its clocks
start again. Nothing is stored while a request waits: the address of `/confirm` carries it, encrypted. Signing it
would not be enough, since addresses are logged and forms may contain private data.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from flask import Request, current_app, render_template, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from .. import events
from ..access.actions import Action
from ..errors import (
    BadRequest,
    BodyMalformed,
    BodyTooLarge,
    ChallengeForeign,
    ConfirmationMalformed,
    MediaTypeUnsupported,
    Misconfigured,
    SignInRefused,
    StepUpRequired,
    VerificationUnavailable,
    catalogue,
)
from ..sessions.flask_session import WalletSession
from ..sessions.record import SessionRecord
from ..sign_in import messages
from ..sign_in.challenges import CONFIRM
from ..storage.encryption import DecryptionFailed
from . import csrf, request_body
from .checks import checks_of
from .services import Services
from .session_view import SessionView, described
from .texts import gettext

HEADER = csrf.CONFIRMATION_HEADER
"""Where a client of the JSON service puts the proof: base64url of `{"message", "challenge", "signature"}`."""

NO_END = "A page is opened again once it was signed for, and would ask again, without end."
_READING = ("GET", "HEAD")
_PROOF = ("confirm_message", "confirm_challenge", "confirm_signature")
_NOT_THE_REQUEST = (*_PROOF, "csrf_token")
_WAITING = 10 * 60  # seconds to read the page before the wallet is asked
_CLOCK_SKEW = 30  # seconds that two of our own servers may differ
_PLACE = b"waiting request"
_LONGEST_PROOF = 8 * 1024  # of the header; gunicorn takes no longer one
_LONGEST_TOKEN = 16_000  # it has to fit into the 16 kB that asking for the text may have
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_REMEMBERED = 8  # actions whose last signature a session remembers


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits for its signature: its action, the values of its sentence, and how to send it again.

    `path` is percent-encoded and has the query with it; `fields` are those of the form; `facts` are what the server
    knows of it (`Action.facts`); `digest` covers method, path, query and body, files included.
    """

    handle: str
    action: str
    sentence: str
    values: dict[str, str]
    method: str
    path: str
    fields: list[tuple[str, str]]
    digest: str
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def binding(self) -> str:
        """The binding of the challenge."""
        return "\n".join((self.handle, self.action, self.digest))


class _Proof(msgspec.Struct):
    message: str
    challenge: str
    signature: str


def demand(services: Services, session: WalletSession, request: Request, seconds: int, action: str) -> None:
    """Let a request pass if it brings its own proof, or if its session signed within the last `seconds`.

    Raises `StepUpRequired` otherwise, also when the proof is not for this request: nothing was done then.
    """
    if action not in services.actions:
        raise Misconfigured(f"The action {action!r} has no sentence: WalletSessions(app, actions={{…}}) takes one.")
    if seconds <= 0 and request.method in _READING:
        raise Misconfigured(f"A page asks for a signature for {action!r} each time that it is opened. {NO_END}")
    view, done = _view(services, session), checks_of(request)
    what = (view.handle, action)
    if what in done.fresh and done.fresh[what] <= max(seconds, 0):
        return  # checked before in this request: its signature is consumed
    message, challenge, signature = proof(request)
    if done.signature is not None:
        signature = ""
    fresh = view.fresh(seconds, action)
    pending = _of(services, view, request, action) if signature or not fresh else None
    if fresh and (pending is None or _is_for_another(services, pending, challenge)):
        for check in services.hooks("check_session"):
            check(session, True)
        if session.account_live is not None:  # otherwise a part has ended it, and the guard refuses the request
            done.fresh[what] = seconds
        return
    assert pending is not None  # noqa: S101  # it is None only for what is fresh
    if not signature:
        if done.signature is not None and done.signature[1] <= 0:
            raise Misconfigured(
                f"This request was signed for {done.signature[0]!r}, and {action!r} takes a signature, too. "
                "A request carries one. Use one action for both; or give one of them seconds, and ask for it first."
            )
        raise StepUpRequired(action, to_token(services, pending))
    redeem(services, session, pending, message, challenge, signature)
    done.signature, done.fresh[what] = (action, seconds), 0


def _is_for_another(services: Services, pending: Pending, challenge: str) -> bool:
    """Whether a proof is for this very request, and for another action that is asked for later on."""
    others = (replace(pending, action=each) for each in services.actions if each != pending.action)
    return services.challenges.is_for(challenge, (each.binding for each in others), CONFIRM)


def redeem(
    services: Services, session: WalletSession, pending: Pending, message: str, challenge: str, signature: str
) -> None:
    """Consume a proof: new id, both clocks start again. Raises `StepUpRequired` with the `problem` of a bad one."""
    view = _view(services, session)
    account = str(view.account)
    try:
        text = messages.from_form(message)
        signed = services.challenges.redeem(text, challenge, signature, pending.binding, CONFIRM)
        if str(signed.account) != account:
            raise SignInRefused("another account signed")
        if services.actions[pending.action].recheck and f"\n{pending.sentence}\n" not in text:
            raise ChallengeForeign("what the sentence names has changed")
    except (VerificationUnavailable, SignInRefused) as error:
        failure = {"handle": view.handle, "account": account, "action": pending.action, "code": error.code}
        events.publish(events.ConfirmationFailed(**failure))
        raise StepUpRequired(pending.action, to_token(services, pending), error.code) from error

    def confirm(record: SessionRecord) -> None:
        times = record.confirmed | {pending.action: view.live.now}
        newest = sorted(times.items(), key=lambda item: item[1])[-_REMEMBERED:]
        record.confirmed = dict(newest)
        for add in services.hooks("on_sign_in"):
            add(signed, record, session.token is None)

    services.store.regenerate(session, confirm, restart_seconds=view.absolute_seconds)
    if session.account_live is not None:  # otherwise it was revoked meanwhile, and the guard refuses the request
        events.publish(events.SessionConfirmed(handle=view.handle, account=account, action=pending.action))


def to_token(services: Services, pending: Pending) -> str:
    """Return the waiting request as an encrypted value for an address; raise `BodyTooLarge` if it is too long."""
    packed = zlib.compress(msgspec.msgpack.encode((int(services.clock()), pending)))
    token = base64.urlsafe_b64encode(services.requests.encrypt(packed, _PLACE)).decode().rstrip("=")
    if len(token) > _LONGEST_TOKEN:
        raise BodyTooLarge("too long to wait for a signature")
    return token


def from_token(services: Services, session: WalletSession, token: str, *, signing: int = 0) -> Pending:
    """Return the waiting request of this session; raise `ConfirmationMalformed` if there is none.

    `signing` is the time for the wallet in seconds, after the time for reading the page.
    """
    try:
        packed = services.requests.decrypt(_unpadded(token), _PLACE)
        at, pending = msgspec.msgpack.decode(zlib.decompress(packed), type=tuple[int, Pending])
    except (DecryptionFailed, ValueError, zlib.error, msgspec.MsgspecError) as error:
        raise ConfirmationMalformed("not issued by this site") from error
    if not -_CLOCK_SKEW <= services.clock() - at <= _WAITING + signing:
        raise ConfirmationMalformed("too old")
    live = session.account_live
    if live is None or live.record.handle != pending.handle:
        raise ConfirmationMalformed("of another session")
    return pending


def page(services: Services, session: WalletSession, token: str, problem: str = "") -> str:
    """Return the page that explains the action and asks for the signature."""
    pending = from_token(services, session, token)
    return render_template(
        "sessions/confirm.html",
        pending=pending,
        translation=_translation(services, pending),
        token=token,
        problem=catalogue().get(problem),
        action=services.actions[pending.action] if pending.action in services.actions else Action(pending.sentence),
        back=_back(services, pending),
        about=_about(services, session, pending.values),
        seconds=services.settings.confirm_seconds,
    )


def _translation(services: Services, pending: Pending) -> str:
    """Return the sentence to sign in the language of the request; empty if it is the same."""
    written = services.actions[pending.action].sentence if pending.action in services.actions else ""
    translated = gettext(written)
    return services.actions.sentence(pending.action, pending.values, translated) if translated != written else ""


def _back(services: Services, pending: Pending) -> str:
    """Return the address of the page where the action begins. Its arguments are among the values of the action."""
    endpoint = services.actions[pending.action].back if pending.action in services.actions else Action("").back
    taken = {name for rule in current_app.url_map.iter_rules(endpoint) for name in rule.arguments}
    values: dict[str, Any] = {name: value for name, value in pending.values.items() if name in taken}
    return url_for(endpoint, **values)


def proof(request: Request) -> tuple[str, str, str]:
    """Return message, challenge and signature as form or header bring them; empty ones if there are none."""
    header = request.headers.get(HEADER)
    if header is None:
        message, challenge, signature = (request.form.get(name, "") for name in _PROOF)
        return message, challenge, signature
    if len(header) > _LONGEST_PROOF:
        raise ConfirmationMalformed("the header is too long")
    try:
        found = msgspec.json.decode(_unpadded(header), type=_Proof)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfirmationMalformed("the header is not base64url of a JSON object") from error
    return found.message, found.challenge, found.signature


def _unpadded(text: str) -> bytes:
    # Strictly: the standard library silently drops characters outside the alphabet.
    digits = text.rstrip("=")
    return base64.b64decode(digits + "=" * (-len(digits) % 4), altchars=b"-_", validate=True)


def _about(services: Services, session: WalletSession, values: Mapping[str, str]) -> SessionView | None:
    """Return the session that a waiting request names, so that the page can describe it."""
    handle = values.get("handle")
    if not handle:
        return None
    own = _view(services, session).user.accounts
    for account in (values["account"],) if values.get("account") else own:
        live = services.repository.find_living(str(account), handle)
        if live is not None:
            return described(live)
    return None


def _view(services: Services, session: WalletSession) -> SessionView:
    assert session.account_live is not None  # noqa: S101  # the guard saw to it
    return SessionView(session.account_live, services)


def _of(services: Services, view: SessionView, request: Request, action: str) -> Pending:
    _limit_body(request, services.settings.confirm_body_bytes)
    path = csrf.address_of(request)
    fields = [(name, value) for name, value in request.form.items(multi=True) if name not in _NOT_THE_REQUEST]
    whole = json.dumps([request.method, path, _body(request, fields)])
    look_up = services.actions[action].facts
    values = _values(request, services.actions.fields(action), everything=look_up is not None)
    facts = {name: str(value) for name, value in look_up(values).items()} if look_up else {}
    values |= facts
    return Pending(
        handle=view.handle,
        action=action,
        sentence=services.actions.sentence(action, values),
        values=services.actions.named(action, values),
        method=request.method,
        path=path,
        fields=fields,
        digest=hashlib.sha256(whole.encode()).hexdigest(),
        facts=facts,
    )


def _limit_body(request: Request, most: int) -> None:
    """Refuse a body that is too large to be held in memory while its request waits; raise `BodyTooLarge`.

    Forms have bounds of their own: Werkzeug keeps their files on disk.
    """
    if request.mimetype in _FORMS:
        return
    if request.content_length is not None:
        if request.content_length > most:
            raise BodyTooLarge("to wait for a signature", limit=most)
        return
    read = b""  # chunked, so its length is not known
    try:
        while len(read) <= most and (part := request.stream.read(most + 1 - len(read))):
            read += part
    except HTTPException:
        raise
    except Exception as error:  # each server raises its own error for a malformed chunk
        raise BadRequest("malformed chunks") from error
    if len(read) > most:
        raise BodyTooLarge("chunked, to wait for a signature", limit=most)
    if read:
        request.stream = io.BytesIO(read)


def _body(request: Request, fields: list[tuple[str, str]]) -> Any:
    files = [(name, each.filename, each.mimetype, _digest(each)) for name, each in request.files.items(multi=True)]
    data = request.get_data()
    if data:
        return hashlib.sha256(data).hexdigest()
    if request.content_length and request.mimetype not in _FORMS:
        raise Misconfigured(
            "The body was read from request.stream before a signature was asked for, so it would not be covered. "
            "Ask first, or read it with request.get_data()."
        )
    # By name alone: of a field that comes twice, a view may take the first.
    return [sorted(fields, key=lambda field: field[0]), files]


def _digest(file: FileStorage) -> str:
    found = hashlib.sha256()
    while part := file.read(1 << 16):
        found.update(part)
    file.seek(0)
    return found.hexdigest()


def _values(request: Request, fields: Iterable[str], *, everything: bool) -> dict[str, str]:
    """Return the values that a sentence names, from the same places as the view: from the path, otherwise from query
    and body if they come once, or always the same. With `everything` those that no sentence names come along.

    Raises `MediaTypeUnsupported` for a body whose values only the view could read: it might name another one.
    """
    named = {name: str(value) for name, value in (request.view_args or {}).items()}
    missing = [field for field in (*fields, *(request.args if everything else ())) if field not in named]
    given = [*request.args.items(multi=True), *_body_values(request, missing)] if missing or everything else []
    found: dict[str, str] = {}
    for name, value in given:
        # Of two different values the view may take the one that was not signed for. So the sentence gets an empty
        # one, and the request is refused.
        found[name] = value if found.get(name, value) == value else ""
    # The path last: a field of the form can't override a value in the address.
    return {**found, **named}


def _body_values(request: Request, fields: Iterable[str]) -> Iterable[tuple[str, str]]:
    data = request.get_data()
    if request.mimetype in _FORMS:
        if data.lstrip()[:1] in (b"{", b"["):  # cached by the first reader, and the view may read it as JSON
            raise MediaTypeUnsupported("JSON as a form")
        return request.form.items(multi=True)
    if not data:
        return ()
    if not request.is_json:
        raise MediaTypeUnsupported(request.mimetype)
    body = request_body.parse(data)
    if not isinstance(body, dict):
        raise BodyMalformed("no object")
    deeper = _keys_below(body)
    top = [(name, _as_text(value)) for name, value in body.items()]
    # A value in the query, and a nested one in the body: the server can't know which one the view takes.
    return [*top, *((name, "") for name in fields if name in deeper and name not in body)]


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, (dict, list)) else json.dumps(value)


def _keys_below(value: Any, *, top: bool = True) -> set[str]:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = set() if top or not isinstance(value, dict) else set(value)
    return own.union(*(_keys_below(each, top=False) for each in below))
