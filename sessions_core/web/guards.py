"""Declares and checks who may use a route. A route without a declaration stops the application from starting.

    @app.get("/account")
    @signed_in
    def account(): ...

`public` admits all visitors and reads the session if there is one, `signed_in` requires one, `sessionless` never
reads it (health checks, files). `requires` asks for a permission, a role or a session type, `fresh_required` for a
signature of the last seconds that names what will be done; both include `signed_in` and can be combined. Declare
below the route, as above. Reading counts as activity unless `keeps_alive=False`.

A declaration is a check wherever it stands: each call of a function that has one is checked, be it a route, a method
of a view class, a helper, or a function that runs before requests. What a route declares is checked by `guard` before
anything else runs, and not again when the view is called.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast, overload

from flask import Flask, Request, has_request_context
from flask.ctx import RequestContext
from flask.globals import request_ctx
from werkzeug.exceptions import SecurityError
from werkzeug.local import LocalProxy

from ..errors import (
    BodyTooLarge,
    Misconfigured,
    NotSignedIn,
    PermissionDenied,
    SessionExpired,
    SessionInvalid,
    StoreUnavailable,
)
from ..sessions.flask_session import WalletSession
from ..sessions.record import SessionRecord
from ..sessions.repository import Change, KeepAlive
from ..sign_in.accounts import Account
from ..sign_in.user import User
from ..storage.replies import trouble_of
from . import confirmations, csrf
from .checks import checks_of
from .services import EXTENSION, Services, current_services
from .session_view import SessionView

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_MARK = "__sessions_access__"
_WRAPPER = "__sessions_wrapper__"
_LARGEST_BODY = 16 * 1024
_NO_RIGHTS = (None, None, None, None)
_PURPOSES = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_MOZ")


@dataclass(frozen=True, slots=True)
class Access:
    """The declaration of a route: whether the session is read, whether one is required, whether the request counts as
    activity, whether a CSRF token is required, whether a presented token is accepted (one that a browser made for
    another service); and the required permission, role, session type, and signature (seconds, action).
    """

    reads: bool = True
    demands: bool = False
    keep_alive: KeepAlive = "due"
    csrf: bool = True
    accept_presented_token: bool = False
    permission: str | None = None
    role: str | None = None
    session_type: str | None = None
    fresh: tuple[int, str] | None = None


@overload
def public(view: Callable[P, R]) -> Callable[P, R]: ...
@overload
def public(*, keeps_alive: bool = True, csrf: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def public(view: Any = None, *, keeps_alive: bool = True, csrf: bool = True) -> Any:
    """Admit all visitors. `csrf=False` is for routes that change nothing or authenticate their caller otherwise."""
    access = Access(keep_alive="due" if keeps_alive else "never", csrf=csrf)
    return _declare(access)(view) if view is not None else _declare(access)


@overload
def signed_in(view: Callable[P, R]) -> Callable[P, R]: ...
@overload
def signed_in(
    *, keeps_alive: bool = True, accept_presented_token: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def signed_in(view: Any = None, *, keeps_alive: bool = True, accept_presented_token: bool = False) -> Any:
    """Admit signed-in users. Others get 401 as JSON, or are sent to sign in and come back.

    `accept_presented_token=True` is for routes that other services ask about a token: they also take one that a
    browser made to present it there.
    """
    keep_alive: KeepAlive = "due" if keeps_alive else "never"
    access = Access(demands=True, keep_alive=keep_alive, accept_presented_token=accept_presented_token)
    return _declare(access)(view) if view is not None else _declare(access)


def sessionless(view: Callable[P, R]) -> Callable[P, R]:
    """Admit all visitors without reading the session; `flask.session` stays empty."""
    return _declare(Access(reads=False))(view)


def requires(
    permission: str | None = None, *, role: str | None = None, session_type: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Admit sessions with this permission, this role, this type. Others get 403 as JSON, or see what they lack.

    Decided on each request. If the session type lists the permission in `SessionType.fresh`, a fresh signature is
    required too.
    """
    for name in (permission, role, session_type):
        if name is not None and not (isinstance(name, str) and name):
            # Without its brackets, or empty like the role of an account that has none.
            raise Misconfigured(f"requires({name!r}) names nothing. Write @requires('read:profile'), for example.")
    if permission is role is session_type is None:
        raise Misconfigured("requires() names no permission, role or session type. Write @signed_in for none.")
    return _demand(permission=permission, role=role, session_type=session_type)


def fresh_required(seconds: int, action: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Require a signature of the last `seconds`: that of the sign-in, or one that named this `action` (`actions.py`).

    With 0 each request needs its own signature. A user without one is sent to `/confirm` and, once the wallet has
    signed, back into this request.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        raise Misconfigured(f"fresh_required({seconds!r}, …) takes whole seconds, or 0 for a signature each time.")
    if not (isinstance(action, str) and action):
        raise Misconfigured(f"fresh_required(…, {action!r}) takes the name of an action, as in actions={{…}}.")
    return _demand(fresh=(seconds, action))


def _demand(**rights: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    given = {name: value for name, value in rights.items() if value is not None}

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        access = declared(view)
        if access is None:
            return _guarded(view, Access(demands=True, **given))
        if not access.demands:
            raise Misconfigured(f"{_name(view)} can't be open to everybody and ask for rights. Remove @public.")
        for name in given:
            if getattr(access, name) is not None:  # the declaration below would be lost silently
                raise Misconfigured(f"{_name(view)} asks for {name} twice. Ask for one of them in the view.")
        return _guarded(view, replace(access, **given))

    return declare


def _declare(access: Access) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def declare(view: Callable[P, R]) -> Callable[P, R]:
        rights = declared(view)
        if rights is None:
            return _guarded(view, access)
        if not (access.demands or rights.demands):
            if access != rights:
                raise Misconfigured(f"{_name(view)} says twice who may use it, each time differently. Keep one.")
            return _guarded(view, rights)
        if not (access.demands and rights.demands):
            raise Misconfigured(f"{_name(view)} can't be open to everybody and ask for rights. Remove @public.")
        keep_alive: KeepAlive = "never" if "never" in (rights.keep_alive, access.keep_alive) else "due"
        accept = rights.accept_presented_token or access.accept_presented_token
        return _guarded(view, replace(rights, keep_alive=keep_alive, accept_presented_token=accept))

    return declare


def _guarded(view: Callable[P, R], access: Access) -> Callable[P, R]:
    """Return `view` with a check of each call against `access`, wherever it is called from.

    The guard only knows the declarations of routes. Declarations on a method of a view class, a helper or a function
    that runs before requests are checked here, and nowhere else.
    """
    if isinstance(view, type):
        raise Misconfigured(
            f"{view.__name__} is a class, and only functions can be guarded. "
            "Write decorators = [signed_in] in it, or guard its methods."
        )
    if isinstance(view, (staticmethod, classmethod, property)) or not callable(view):
        raise Misconfigured(
            f"A {type(view).__name__} can't be guarded. Put the declaration below it, right above the function."
        )
    if getattr(view, _WRAPPER, None) is view:
        view = view.__wrapped__  # already guarded: `access` has all that it declares
    guarded: Any
    if inspect.iscoroutinefunction(view):

        @wraps(view)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            _enforce(view, access)
            return await view(*args, **kwargs)

    else:

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            _enforce(view, access)
            return view(*args, **kwargs)

    setattr(guarded, _MARK, access)
    setattr(guarded, _WRAPPER, guarded)  # a copy of it on another function, as functools.wraps makes, is not itself
    return cast("Callable[P, R]", guarded)


def _enforce(view: Callable[..., Any], access: Access) -> None:
    if not has_request_context():
        raise RuntimeError(
            f"{_name(view)} says who may use it, so it can only be called in a request. "
            "Move what commands and jobs need into a function without a declaration."
        )
    context = request_ctx._get_current_object()  # type: ignore[attr-defined]
    if not isinstance(context.session, WalletSession):
        raise Misconfigured("Create WalletSessions(app) before you guard routes with it.")
    done = checks_of(context.request)
    if not done.guard:
        guard()  # called before it, by a function that was registered first
    if access is done.access and context.session.live is done.live:
        return
    try:
        _admit(context, access)
    except NotSignedIn as error:
        if _is_way_in(context):
            raise Misconfigured(
                f"{_name(view)} demands a session on the pages to sign in on, so no user could sign in. "
                f"Use it on a blueprint of your own, or leave out those of this package: "
                f"{', '.join(map(repr, sorted(_blueprints(context))))}."
            ) from error
        raise


def _is_way_in(context: RequestContext) -> bool:
    """Whether the request is for a page or a service of this package that visitors need to sign in."""
    access = declared(context.app.view_functions.get(context.request.endpoint or ""))
    return context.request.blueprint in _blueprints(context) and access is not None and not access.demands


def _blueprints(context: RequestContext) -> set[str]:
    services: Services = context.app.extensions[EXTENSION]
    return services.blueprints


def _name(view: Any) -> str:
    return str(getattr(view, "__qualname__", None) or getattr(view, "__name__", None) or view)


def declared(view: Callable[..., Any] | None) -> Access | None:
    """Return what a view function declared."""
    return getattr(view, _MARK, None)


class Declarations:
    """Finds the declaration of a route whose view has none; `declarations` has the rules."""

    KEY = "sessions_core_routes"
    """The key of the application's instance in `app.extensions`."""

    def is_static(self, endpoint: str | None) -> bool:
        """Whether this is Flask's own route for files."""
        raise NotImplementedError

    def put_on_view(self, endpoint: str) -> Access | None:
        """Make the view of a route check what is declared for it from outside; return that."""
        raise NotImplementedError


def guard() -> None:
    """Check a request before its view: where it comes from, which session it has, whether the route admits it.

    The order is by cost and by attack: a cross-site request is refused before anything else of it is read, nothing is
    read from Redis for a route that does not need it, and no form is parsed before the session is known.
    """
    context = request_ctx._get_current_object()  # type: ignore[attr-defined]  # once: each proxy costs a look-up
    app: Flask = context.app
    request: Request = context.request
    done = checks_of(request)
    if done.guard:
        return  # a guarded function that runs before requests has called it already
    endpoint = request.endpoint
    if request.method == "OPTIONS" and (
        getattr(request.url_rule, "provide_automatic_options", False)
        or "Access-Control-Request-Method" in request.headers
    ):
        # Flask, or a decorator around the view (`@cross_origin` of Flask-CORS), answers with the route's methods: a
        # preflight has no cookies. A view that is called anyway checks its own declaration.
        done.guard = True
        return
    access = declared(app.view_functions.get(endpoint or ""))
    if access is None and endpoint is not None:
        # A view that was replaced after the first request, or one of Flask's own.
        routes: Declarations = app.extensions[Declarations.KEY]
        access = routes.put_on_view(endpoint)
        if access is None and routes.is_static(endpoint):
            done.guard = True
            return
        if access is None:
            raise Misconfigured(f"The route {endpoint!r} does not say who may use it.")
    if access is None:
        if isinstance(request.routing_exception, SecurityError):
            raise request.routing_exception  # a host that is not trusted: nothing else of the request counts
        # 404 and 405: their page shows the signed-in user. It can't change anything, so nothing else is checked.
        access = Access(keep_alive="never", csrf=False)
    _admit(context, access, route=True)
    done.guard = True


def _admit(context: RequestContext, access: Access, *, route: bool = False) -> None:
    """Check the request against `access`; `route` says whether that is the declaration of its route.

    Checks that an earlier declaration caused for this request are not repeated.
    """
    session = cast(WalletSession, context.session)
    if not access.reads:
        if route:
            session.close()
        return
    request: Request = context.request
    services: Services = context.app.extensions[EXTENSION]
    done = checks_of(request)
    # An address without a route changes nothing, unless a hook or an error page calls a guarded function.
    unsafe = request.method not in csrf.SAFE_METHODS and not (route and request.endpoint is None)
    if unsafe and not done.site:
        _refuse_other_sites(request, services, session)
    keep_alive = "never" if _is_prefetch(request) else access.keep_alive
    first = not session.loaded
    if first or route:  # a hook may have read it before the guard knew what the route needs
        services.store.load(session, keep_alive, access.accept_presented_token)
        _call(services.hooks("on_read"), session)
    if unsafe and not done.site:
        _refuse_other_sites(request, services, session)
    if access.demands:
        if session.account_live is None:
            raise refusal(session)
        if session.claims is not None and session.claims.presented and not access.accept_presented_token:
            raise session.claims.refusal(
                "not for this use"
            )  # read for a declaration that accepts it; this one does not
    if unsafe and access.csrf and session.claims is None and not done.token:
        # No page of another site can set the header of a token.
        csrf.demand_token(request, context.app.config, session)
        done.token = True  # a new id has another one
    if keep_alive == "due" and (route or first) and not done.followed:
        follow(services, session)
        done.followed = True
    elif access.demands or not unsafe:
        # A poll, a token, a page that shows the signed-in user: all tell a client that the session is alive. What
        # only ends a session, or asks for a text to sign, needs no node.
        _call(services.hooks("check_session"), session, False)
    if access.demands:
        _demand_rights(services, session, access)
    done.access, done.live = access, session.live


def _call(hooks: Iterable[Callable[..., None]], *arguments: Any) -> None:
    for hook in hooks:
        hook(*arguments)


def _refuse_other_sites(request: Request, services: Services, session: WalletSession) -> None:
    """Refuse a change that another site's page sent. With a bearer token and no cookie, decide after reading the
    session.

    A good token excuses any origin: no page can have a browser send it.
    """
    done = checks_of(request)
    if session.token is None:
        with session.closed():  # the session of a cross-site request stays unread, even on its error page
            csrf.refuse_cross_site(request, services.settings, services.hooks("allow_origin"))
        done.site = True
    elif session.loaded:
        if session.claims is None:  # a proxy may have added it, to a form of another site's page as well
            csrf.refuse_cross_site(request, services.settings, services.hooks("allow_origin"))
        done.site = True
    if request.blueprint in services.blueprints:
        _limit_body(request)


def _is_prefetch(request: Request) -> bool:
    # The browser asks by itself, and the user may never see the page (Fetch Standard, "Sec-Purpose"; older browsers
    # write one of the other two). No browser sends a form like that: an attacker could, to leave no trace of where
    # they are.
    said = [request.environ[name] for name in _PURPOSES if name in request.environ]
    return request.method == "GET" and any("prefetch" in purpose for purpose in said)


def amend_if_writable(services: Services, session: WalletSession, change: Change) -> bool:
    """Change the record of a session if Redis takes writes; return whether it did.

    For side notes of a request: requests that only read must not need a Redis that takes writes.
    """
    try:
        services.store.amend(session, change)
    except StoreUnavailable as error:
        if trouble_of(error) not in ("redis_full", "redis_replica", "redis_refuses"):
            raise
        logger.warning("The use of a session could not be noted: %s", error)
        return False
    return True


def follow(services: Services, session: WalletSession) -> None:
    """Bring a session in use up to date with its account and with its parts.

    A session that a part no longer accepts ends here; `session` is a visitor's then. After a change of privileges the
    id rotates: an id that an attacker learned before must not gain rights.
    """
    _call(services.hooks("check_session"), session, False)
    live = session.account_live
    if live is None:
        return
    privilege = services.privileges_of(live)
    if privilege is not None and privilege != live.record.privilege:
        known = privilege

        def change(record: SessionRecord) -> None:
            record.privilege = known

        services.store.regenerate(session, change)
    _call(services.hooks("on_use"), session)


def _demand_rights(services: Services, session: WalletSession, access: Access) -> None:
    session.ensure_read()
    if session.account_live is None:  # ended while this request ran
        raise refusal(session)
    if (access.role, access.session_type, access.permission, access.fresh) == _NO_RIGHTS:
        return
    view = cast(SessionView, session_view())
    if access.role is not None and view.role != access.role:
        reason = "narrowed" if view.account_role == access.role else "role"
        raise PermissionDenied(access.role, kind="role", reason=reason)
    if access.session_type is not None and view.type != access.session_type:
        raise PermissionDenied(access.session_type, kind="session_type", reason="session_type")
    due = [access.fresh] if access.fresh is not None else []
    if access.permission is not None:
        decision = view.may(access.permission)
        if decision.reason is not None:
            raise PermissionDenied(access.permission, reason=decision.reason)
        if access.permission in view.session_type.fresh:
            due.append((services.settings.fresh_seconds, access.permission))
    for seconds, action in sorted(due, reverse=True):  # a signature for this request alone comes last
        ensure_fresh(seconds, action)


def ensure_fresh(seconds: int, action: str) -> None:
    """Require a fresh signature inside a view, like `fresh_required`: for a view that reads the request first."""
    services, session = current_services(), wallet_session()
    if session.account_live is not None:
        confirmations.demand(services, session, request_ctx.request, seconds, action)
    if session.account_live is None:
        raise refusal(session)


def ensure_permitted(permission: str) -> None:
    """Require a permission inside a view, like `requires(permission)`."""
    _demand_rights(current_services(), wallet_session(), Access(demands=True, permission=permission))


def _limit_body(request: Request) -> None:
    request.max_content_length = _LARGEST_BODY
    request.max_form_memory_size = _LARGEST_BODY
    request.max_form_parts = 32
    if request.content_length is None:
        _refuse_chunks(request)


def _refuse_chunks(request: Request) -> None:
    if len(request.get_data()) >= _LARGEST_BODY:
        # Werkzeug stops reading at the limit without an error, and part of a body would count as all of it.
        raise BodyTooLarge("chunked")


def refusal(session: WalletSession) -> NotSignedIn:
    """Return the 401 that says why this request has no session."""
    if session.token_refusal is not None:
        return session.token_refusal
    if session.ended is None:
        return NotSignedIn("no session cookie", reason="no_token")
    if session.ended in ("idle", "absolute"):
        return SessionExpired(reason=session.ended)
    return SessionInvalid(reason=session.ended)


def wallet_session() -> WalletSession:
    """Return `flask.session` as a `WalletSession`; raise `Misconfigured` if another extension has replaced it."""
    session = request_ctx.session
    if not isinstance(session, WalletSession):
        raise Misconfigured(
            f"flask.session is a {type(session).__name__} here, which does not know who is signed in. Remove what "
            "replaces it: Session(app) of Flask-Session, or write SocketIO(app, manage_session=False)."
        )
    return session


def session_view() -> SessionView | None:
    """Return the session of this request, or `None` for a visitor. Reads it first if it was not read yet."""
    session = wallet_session()
    session.ensure_read()
    if session.view is None and session.account_live is not None:
        session.view = SessionView(session.account_live, current_services())
    return cast("SessionView | None", session.view)


def _current_account() -> Account | None:
    view = session_view()
    return view.account if view is not None else None


def _current_user() -> User | None:
    view = session_view()
    return view.user if view is not None else None


# All are false for visitors: `if current_account:` asks whether a user is signed in.
current_session = cast(SessionView, LocalProxy(session_view))
current_account = cast(Account, LocalProxy(_current_account))
# Not `current_user`: that is the application's own user (`users`).
current_wallet_user = cast(User, LocalProxy(_current_user))
