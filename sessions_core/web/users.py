"""The application's own user behind the account that is signed in, for itself and for Flask-Login.

    WalletSessions(app, user_for=lambda account: db.session.scalar(select(User).filter_by(account=str(account))))

`current_user` of this package is what that function returns. `current_user` of Flask-Login follows if the
application has a `LoginManager`: while a wallet is signed in it is the same user, and otherwise the one that the
application's own loaders know. `current_account` needs none of this.
"""

from __future__ import annotations

import logging
from typing import Any, cast

from flask import Flask, Request, g
from werkzeug.local import LocalProxy

from ..errors import Misconfigured
from .guards import session_view
from .services import EXTENSION, Services, services

logger = logging.getLogger(__name__)

_KEPT = "sessions_core_user"
_CONNECTED = "sessions_core_login_manager"


def find_user() -> Any:
    """Return the application's user for the account that is signed in, and `None` for visitors.

    Asks `user_for` once for each request. Raises `Misconfigured` if the application has given none.
    """
    user_for = services().user_for
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


def connect_flask_login(app: Flask) -> None:
    """Have Flask-Login find the user of the wallet session, if the application uses Flask-Login and `user_for`.

    The application's own loaders are asked when no wallet is signed in, so both ways to sign in work side by side.
    """
    manager = getattr(app, "login_manager", None)
    ours: Services = app.extensions[EXTENSION]
    if manager is None or ours.user_for is None or app.extensions.get(_CONNECTED) is manager:
        return
    _switch_off_session_protection(app, manager)
    by_id, by_request = manager._user_callback, manager._request_callback

    def load_by_id(user_id: str) -> Any:
        return find_user() if session_view() is not None else by_id(user_id) if by_id is not None else None

    def load_by_request(request: Request) -> Any:
        if session_view() is not None:
            return find_user()
        return by_request(request) if by_request is not None else None

    manager.user_loader(load_by_id)
    manager.request_loader(load_by_request)
    app.extensions[_CONNECTED] = manager


def _switch_off_session_protection(app: Flask, manager: Any) -> None:
    # It compares what only `login_user` stores, so for a wallet session it would mark each one as suspicious: "basic"
    # writes to the session of every visitor, "strong" makes everybody anonymous.
    if "strong" in (app.config.get("SESSION_PROTECTION"), manager.session_protection):
        raise Misconfigured(
            'SESSION_PROTECTION = "strong" of Flask-Login makes current_user anonymous for wallet sessions. Remove '
            "it: a session here is revoked on the server, and changes its id with every right."
        )
    app.config["SESSION_PROTECTION"] = None
