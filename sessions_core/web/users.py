"""The application's own user behind the signed-in account.

    WalletSessions(app, user_for=lambda account: db.session.scalar(select(User).filter_by(account=str(account))))

`current_user` is what that function returns; `current_account` needs none of this.
"""

from __future__ import annotations

from typing import Any, cast

from flask import g
from werkzeug.local import LocalProxy

from ..errors import Misconfigured
from .guards import session_view
from .services import current_services

_KEPT = "sessions_core_user"


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
