"""What Flask-Login and wallet sessions know of each other.

A login of the application's own is kept in `flask.session`, as Flask-Login does everywhere; while no wallet is signed
in, that is the session of a visitor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, appcontext_pushed, current_app
from werkzeug.wrappers import Response

from ...sessions.flask_session import WalletSession
from ...sessions.record import CSRF_KEY
from ...settings import LONGEST
from ...web.guards import session_view, wallet_session
from ...web.services import Services, current_services
from ...web.users import find_user

logger = logging.getLogger(__name__)

_KEPT = "sessions_core_flask_login"
_FOLLOWS = "__sessions_follows__"  # marks a loader that looks for the user of the wallet session first
_LOGIN_KEYS = ("_user_id", "_fresh", "_id", "_remember", "_remember_seconds")  # what Flask-Login stores of a login


def follow(app: Flask, services: Services) -> None:
    """Make Flask-Login find the user of the wallet session, if the application has given `user_for`, and hear of its
    logins.

    Done with each application context, before a request or a handler of Socket.IO can ask: the `LoginManager` and its
    loaders may come later than `WalletSessions`.
    """

    def follow(sender: Flask, **_: Any) -> None:
        manager = getattr(sender, "login_manager", None)
        if manager is None:
            return
        if sender.extensions[_KEPT] is follow:
            sender.extensions[_KEPT] = (follow, *_hear_of_logins(sender))
        if services.user_for is None:
            return
        if not hasattr(manager._request_callback, _FOLLOWS):
            _switch_off_session_protection(sender, manager)
            manager.request_loader(_following(manager._request_callback))
        if not hasattr(manager._user_callback, _FOLLOWS):
            manager.user_loader(_following(manager._user_callback))

    app.extensions[_KEPT] = follow  # the signal holds it weakly
    appcontext_pushed.connect(follow, app, weak=True)


def forget_remembered(response: Response) -> None:
    """Delete Flask-Login's own cookie with a response, if the application uses Flask-Login."""
    manager = getattr(current_app, "login_manager", None)
    if manager is not None:
        manager._clear_cookie(response)


# -- Who is signed in ----------------------------------------------------------------------------------------


def _following(loader: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Return a loader that finds the user of the wallet session, and asks the application's when there is none."""

    def load(given: Any) -> Any:
        if session_view() is not None:
            return find_user()
        return loader(given) if loader is not None else None

    setattr(load, _FOLLOWS, True)
    return load


def _switch_off_session_protection(app: Flask, manager: Any) -> None:
    # It compares what only `login_user` stores, so it would suspect each wallet session: "basic" writes to the
    # session of every visitor, "strong" signs all users out.
    if "strong" in (app.config.get("SESSION_PROTECTION"), manager.session_protection):
        logger.warning(
            'SESSION_PROTECTION = "strong" is set and has no effect: it would make the users of wallets anonymous.'
        )
    app.config["SESSION_PROTECTION"] = None


# -- Logins and logouts --------------------------------------------------------------------------------------


def _hear_of_logins(app: Flask) -> tuple[Callable[..., None], ...]:
    """Connect to Flask-Login's signals; return the receivers, which these hold weakly."""
    from flask_login import user_loaded_from_cookie, user_logged_in, user_logged_out

    user_logged_in.connect(_logged_in, app)
    user_loaded_from_cookie.connect(_remembered, app)
    user_logged_out.connect(_logged_out, app)
    return _logged_in, _remembered, _logged_out


def _logged_in(app: Flask, user: Any, **_: Any) -> None:
    """Start the session of a login: under a new id, since an attacker who knows the former one must not be signed in
    with it. A wallet session of the same user goes on; that of another ends, with all that its account stored.

    Without `user_for` the users of wallets are not known, so each is another: an attacker may have signed in with
    their own wallet, and kept the cookies.
    """
    session, services = wallet_session(), current_services()
    session.ensure_read()
    wallet = session.account_live is not None
    if session.token is not None or (wallet and services.user_for is not None and find_user() == user):
        return
    if session.live is not None:
        kept = {key: session[key] for key in {*session} - {CSRF_KEY} if not wallet or key in _LOGIN_KEYS}
        services.lifecycle.revoke(session.live, "replaced")
        session.release()
        session.seed_csrf()
        session.update(kept)
    # Flask's own clock for what is in its session. Flask knows no other end; ours comes after a month at the latest.
    idle = max(1, int(app.permanent_session_lifetime.total_seconds()))
    session.visitor_clocks = (idle, max(idle, LONGEST))


def _remembered(app: Flask, user: Any, **_: Any) -> None:
    """Start the session of a login that Flask-Login's own cookie brought back, if no wallet is signed in.

    Without `user_for` the user of that cookie is current in a wallet session too. The session must not store the
    login, as an attacker may know its id, and it goes on, as the cookie would end each one: the cookie is read again
    with the next request.
    """
    session = wallet_session()
    if session_view() is not None and current_services().user_for is None:
        for key in ("_user_id", "_fresh"):
            session.pop(key, None)
        return
    _logged_in(app, user)


def _logged_out(app: Flask, user: Any, **_: Any) -> None:
    """End the wallet session, whose user would be signed in again with the next request."""
    session: WalletSession = wallet_session()
    if session_view() is None or current_services().user_for is None:
        return
    forget = session.get("_remember")  # Flask-Login deletes its cookie with this response
    session.clear()
    if forget is not None:
        session["_remember"] = forget
