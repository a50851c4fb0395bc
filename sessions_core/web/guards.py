"""Who may use a route. Every route declares it; one that declares nothing stops the application from starting.

    @app.get("/account")
    @signed_in
    def account(): ...

`public` lets everybody in and reads the session if there is one, `signed_in` asks for one, `sessionless` never looks
(health checks, files). `requires` asks for a permission, a role or a session type, `fresh_required` for a signature
of the last seconds that names what will be done; both include `signed_in` and can be combined. Declare below the
route, as above. Reading counts as activity unless `slides=False`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast, overload

import msgspec
from flask import Flask, Request, g
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.local import LocalProxy

from .. import events
from ..accounts import Account
from ..errors import (
    BadRequest,
    BodyTooLarge,
    Misconfigured,
    NotSignedIn,
    PermissionDenied,
    SessionExpired,
    SessionInvalid,
    StoreUnavailable,
    TokenExpired,
    TokenInvalid,
)
from ..person import Person
from ..records import Record, Slide
from ..server_checks import trouble_of
from ..store import WalletSession
from . import client, confirmations, contract_wallets, origin
from .services import EXTENSION, Services, services
from .view import SessionView

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "__sessions_access__"
_OUR_BLUEPRINTS = ("sessions", "sessions_api")
_LARGEST_BODY = 16 * 1024


@dataclass(frozen=True, slots=True)
class Access:
    """What a route declared: is the session read, is one demanded, does reading count as activity, is a CSRF token
    due, will a token do that was made to be shown to others; and which permission, role, session type, and signature
    (seconds, action) it takes.
    """

    reads: bool = True
    demands: bool = False
    slide: Slide = "due"
    csrf: bool = True
    shown: bool = False
    permission: str | None = None
    role: str | None = None
    session_type: str | None = None
    fresh: tuple[int, str] | None = None


@overload
def public(view: Callable[P, R]) -> Callable[P, R]: ...
@overload
def public(*, slides: bool = True, csrf: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def public(view: Any = None, *, slides: bool = True, csrf: bool = True) -> Any:
    """Let everybody in. `csrf=False` is for routes that change nothing, or that prove their caller in another way."""
    access = Access(slide="due" if slides else "never", csrf=csrf)
    return _declare(access)(view) if view else _declare(access)


@overload
def signed_in(view: Callable[P, R]) -> Callable[P, R]: ...
@overload
def signed_in(*, slides: bool = True, shown: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def signed_in(view: Any = None, *, slides: bool = True, shown: bool = False) -> Any:
    """Let in who is signed in. Others get 401 as JSON, or are sent to sign in and come back.

    `shown=True` is for asking about a token: one will do that a browser had made to show it to other services.
    """
    access = Access(demands=True, slide="due" if slides else "never", shown=shown)
    return _declare(access)(view) if view else _declare(access)


def sessionless(view: Callable[P, R]) -> Callable[P, R]:
    """Let everybody in without looking at the session; `flask.session` stays empty."""
    return _declare(Access(reads=False))(view)


def requires(
    permission: str | None = None, *, role: str | None = None, session_type: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let in whose session has this permission, this role, this type. Others get 403 as JSON, or see what they lack.

    Decided on each request. A permission whose type wants fresh signatures for it (`SessionType.fresh`) gets one.
    """
    return _demand(permission=permission, role=role, session_type=session_type)


def fresh_required(seconds: int, action: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Ask for a signature of the last `seconds`: that of the sign-in, or one that named this `action` (`actions.py`).

    With 0 each request brings a signature of its own. Who has none is sent to `/confirm` and, once the wallet has
    signed, back into this request.
    """
    return _demand(fresh=(seconds, action))


def _demand(**rights: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def declare(view: Callable[P, R]) -> Callable[P, R]:
        access = declared(view)
        if access is None:
            return _declare(Access(demands=True, **rights))(view)
        if not access.demands:
            raise Misconfigured(f"{view.__name__} can't be open to everybody and ask for rights. Remove @public.")
        given = {name: value for name, value in rights.items() if value is not None}
        for name in given:
            if getattr(access, name) is not None:  # the one below would be gone without a word
                raise Misconfigured(f"{view.__name__} asks for {name} twice. Ask for one of them in the view.")
        setattr(view, _MARK, replace(access, **given))
        return view

    return declare


def _declare(access: Access) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def declare(view: Callable[P, R]) -> Callable[P, R]:
        rights = declared(view)
        if rights is not None:
            if not (access.demands and rights.demands):
                raise Misconfigured(f"{view.__name__} can't be open to everybody and ask for rights. Remove @public.")
            setattr(view, _MARK, replace(rights, slide=access.slide))
            return view

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            # The guard has run before; this stops an application that copied the decorators and forgot `init_app`.
            if not isinstance(request_ctx.session, WalletSession):
                raise Misconfigured("Create WalletSessions(app) before you guard routes with it.")
            return view(*args, **kwargs)

        setattr(guarded, _MARK, access)
        return guarded

    return declare


def declared(view: Callable[..., Any] | None) -> Access | None:
    """Return what a view function declared."""
    return getattr(view, _MARK, None)


def demand_declarations(app: Flask) -> None:
    """Make `app` refuse every route without a declaration, those it has already and those to come."""
    add_url_rule = app.add_url_rule

    def checked(
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        *args: Any,
        **options: Any,
    ) -> None:
        add_url_rule(rule, endpoint, view_func, *args, **options)
        _demand_declaration(app, str(endpoint or getattr(view_func, "__name__", "")))

    app.add_url_rule = checked  # type: ignore[method-assign]
    for endpoint in app.view_functions:
        _demand_declaration(app, endpoint)


def _demand_declaration(app: Flask, endpoint: str) -> None:
    view = app.view_functions.get(endpoint)
    access = declared(view)
    if access is not None and access.fresh and access.fresh[1] not in app.extensions[EXTENSION].actions:
        raise Misconfigured(
            f"The route {endpoint!r} asks for a signature for {access.fresh[1]!r}, which has no sentence. "
            f"Give it one: WalletSessions(app, actions={{{access.fresh[1]!r}: 'What will be done.'}})."
        )
    if view is None or _is_static(app, endpoint) or access:
        return
    raise Misconfigured(
        f"The route {endpoint!r} does not say who may use it. "
        "Put @public, @signed_in or @sessionless between its route and its function."
    )


def _is_static(app: Flask, endpoint: str | None) -> bool:
    # Flask's own route for files, and not a view of the application that is called `static`.
    owner, _, name = (endpoint or "").rpartition(".")
    scaffold = app.blueprints.get(owner) if owner else app
    return name == "static" and scaffold is not None and scaffold.has_static_folder


def guard() -> None:
    """Check a request before its view: where it comes from, which session it has, whether the route lets it in.

    The order is by cost and by attack: nothing of a cross-site request is looked at, nothing is read from Redis for a
    route that does not need it, and no form is parsed before the session is known.
    """
    context = request_ctx._get_current_object()  # type: ignore[attr-defined]  # once: each proxy costs a look-up
    app: Flask = context.app
    request: Request = context.request
    current: WalletSession = context.session
    ours: Services = app.extensions[EXTENSION]
    endpoint = request.endpoint
    access = declared(app.view_functions.get(endpoint or ""))
    if access is None:
        if _is_static(app, endpoint):
            return
        if endpoint is not None:
            raise Misconfigured(f"The route {endpoint!r} does not say who may use it.")
        if isinstance(request.routing_exception, SecurityError):
            raise request.routing_exception  # a host that is not ours: nothing else of the request counts
        access = Access(slide="never")  # 404 and 405: their page shows who is signed in
    if not access.reads:
        return
    unsafe = request.method not in origin.SAFE_METHODS
    if unsafe:
        origin.refuse_cross_site(request, ours.settings)
        if request.blueprint in _OUR_BLUEPRINTS:
            _limit_body(request)
    ours.store.load(current, access.slide, access.shown)
    _note_use(ours, current)
    if access.demands and current.account_live is None:
        raise refusal(current)
    if unsafe and access.csrf and current.claims is None:  # no page of another site can set the header of a token
        origin.demand_token(ours.csrf)
    if access.slide == "due":
        follow(ours, current)
    if access.demands:
        _demand_rights(ours, current, access)


def _note_use(ours: Services, current: WalletSession) -> None:
    """Note that somebody has used the session token that came with the newest refresh token (see `refresh`): the
    answer that both were in was not lost. One write for each refresh.
    """
    live, claims = current.account_live, current.claims
    family = live.record.family if live is not None else None
    if family is None or claims is None or family.used or family.generation != claims.gen:
        return

    def use(record: Record) -> None:
        if record.family is not None and record.family.generation == claims.gen:
            record.family = msgspec.structs.replace(record.family, used=True)

    # Without Redis's writes there is no refresh either: the next request notes it.
    _try_to_amend(ours, current, use)


def _try_to_amend(ours: Services, current: WalletSession, change: Callable[[Record], None]) -> bool:
    """Change the record if Redis takes writes; return whether it did. Requests that only read must not need it."""
    try:
        ours.store.amend(current, change)
    except StoreUnavailable as error:
        if trouble_of(error) not in ("redis_full", "redis_replica", "redis_refuses"):
            raise
        logger.warning("The use of a session could not be noted: %s", error)
        return False
    return True


def follow(ours: Services, current: WalletSession) -> None:
    """Keep a session that is in use in step with its contract, its account and its place.

    What a contract no longer accepts ends here; `current` is nobody's then. After a change of role or verification it
    goes on under a new id: one that somebody else learned before must not be worth more than it was. Where it is used
    from is looked at as rarely as activity is written.
    """
    contract_wallets.check_when_due(ours, current)
    live = current.account_live
    if live is None:
        return
    record = live.record
    privilege = ours.privilege(record.account, live.standing, live.pointer, live.now)
    if privilege is not None and privilege != record.privilege:
        known = privilege

        def change(record: Record) -> None:
            record.privilege = known

        ours.store.regenerate(current, change)
    elif live.slid and record.device:
        seen = client.current()
        changed = "ip" if seen.ip != record.ip else "device" if seen.agent != record.agent else ""
        if changed:

            def move(record: Record) -> None:
                record.ip, record.agent, record.device = seen.ip, seen.agent, seen.device

            if _try_to_amend(ours, current, move):
                handle, account = record.handle, record.account
                events.publish(events.ClientChanged(handle=handle, account=account, changed=changed))


def _demand_rights(ours: Services, current: WalletSession, access: Access) -> None:
    view = session_view()
    if view is None:  # ended while this request ran
        raise refusal(current)
    if access.role is not None and view.role != access.role:
        raise PermissionDenied(access.role, kind="role", reason="role")
    if access.session_type is not None and view.type != access.session_type:
        raise PermissionDenied(access.session_type, kind="session_type", reason="session_type")
    fresh = access.fresh
    if access.permission is not None:
        decision = view.may(access.permission)
        if decision.reason is not None:
            raise PermissionDenied(access.permission, reason=decision.reason)
        if fresh is None and access.permission in view.session_type.fresh:
            fresh = (ours.settings.fresh_seconds, access.permission)
    if fresh is not None:
        ensure_fresh(*fresh)


def ensure_fresh(seconds: int, action: str) -> None:
    """Do in a view what `fresh_required` does before it: for a view that first looks at what was asked."""
    ours, current = services(), wallet_session()
    if current.account_live is not None:
        confirmations.demand(ours, current, request_ctx.request, seconds, action)
    if current.account_live is None:
        raise refusal(current)


def _limit_body(current: Request) -> None:
    current.max_content_length = _LARGEST_BODY
    current.max_form_memory_size = _LARGEST_BODY
    current.max_form_parts = 32
    if current.content_length is None:
        _refuse_chunks(current)


def _refuse_chunks(current: Request) -> None:
    try:
        size = len(current.get_data())
    except HTTPException:
        raise
    except Exception as error:  # each server has its own for a malformed chunk; gunicorn's is no OSError
        raise BadRequest("malformed chunks") from error
    if size >= _LARGEST_BODY:
        # Werkzeug stops reading at the limit without a word, and half a body would count as all.
        raise BodyTooLarge("chunked")


def refusal(current: WalletSession) -> NotSignedIn:
    """Return the 401 that says why this request has no session."""
    if current.ended is None:
        return NotSignedIn("no session cookie", reason="no_token")
    if current.ended in ("idle", "absolute"):
        return SessionExpired(reason=current.ended)
    if current.ended == TokenExpired.code:
        return TokenExpired()
    if current.ended == TokenInvalid.code:
        return TokenInvalid()
    return SessionInvalid(reason=current.ended)


def wallet_session() -> WalletSession:
    """Return `flask.session` as what it is."""
    return cast(WalletSession, request_ctx.session)


def session_view() -> SessionView | None:
    """Return the session of this request, or `None` for a visitor."""
    live = wallet_session().account_live
    if live is None:
        return None
    view: SessionView | None = g.get("wallet_session_view")
    if view is None or view.live is not live:
        view = g.wallet_session_view = SessionView(live, services())
    return view


def _current_account() -> Account | None:
    view = session_view()
    return view.account if view is not None else None


def _current_person() -> Person | None:
    view = session_view()
    return view.person if view is not None else None


# All are false for visitors: `if current_account:` asks whether somebody is signed in.
current_session = cast(SessionView, LocalProxy(session_view))
current_account = cast(Account, LocalProxy(_current_account))
current_person = cast(Person, LocalProxy(_current_person))
