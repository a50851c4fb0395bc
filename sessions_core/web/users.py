"""The application's own user behind the signed-in account, for the application and for Flask-Login.

    WalletSessions(app, user_for=lambda account: db.session.scalar(select(User).filter_by(account=str(account))))

`current_user` of this package is what that function returns. `current_user` of Flask-Login follows if the
application has a `LoginManager`: while a wallet is signed in it is the same user, and otherwise the one that the
application's own loaders know. `current_account` needs none of this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, appcontext_pushed, g
from werkzeug.local import LocalProxy

from ..errors import Misconfigured
from .guards import session_view
from .services import EXTENSION, Services, current_services

logger = logging.getLogger(__name__)

_KEPT = "sessions_core_user"
_FOLLOWS = "__sessions_follows__"  # marks a loader that looks for the user of the wallet session first


def find_user() -> Any:
    """Return the application's user for the signed-in account, and `None` for visitors.

    Asks `user_for` once for each request. Raises `Misconfigured` if the application has given none.
    """
    user_for = current_services().user_for
    if user_for is None:
        raise Misconfigured("current_user needs a function that finds it: WalletSessions(app, user_for=…).")
    view = session_view()
    if view is None:
        return None
    kept = g.get(_KEPT)
    if kept is None or kept[0] is not view.live:
        kept = (view.live, user_for(view.account))
        setattr(g, _KEPT, kept)
    return kept[1]


current_user = cast(Any, LocalProxy(find_user))


def follow_with_flask_login(app: Flask) -> None:
    """Make Flask-Login find the user of the wallet session, if the application uses Flask-Login and `user_for`.

    The application's own loaders are asked when no wallet is signed in, so both ways to sign in work side by side.
    Done with each application context, before a request or a handler of Socket.IO can ask: the `LoginManager` and its
    loaders may come later than `WalletSessions`.
    """

    def follow(sender: Flask, **_: Any) -> None:
        manager = getattr(sender, "login_manager", None)
        if manager is not None and not hasattr(manager._request_callback, _FOLLOWS):
            _switch_off_session_protection(sender, manager)
            manager.request_loader(_following(manager._request_callback))
        if manager is not None and not hasattr(manager._user_callback, _FOLLOWS):
            manager.user_loader(_following(manager._user_callback))

    services: Services = app.extensions[EXTENSION]
    if services.user_for is not None:
        app.extensions[_KEPT] = follow  # the signal holds it weakly
        appcontext_pushed.connect(follow, app, weak=True)


def _following(loader: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
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
