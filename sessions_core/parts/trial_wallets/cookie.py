"""A cookie that says which pre-generated wallet this browser holds half of, so that signing out leaves it there.

It is no secret and proves nothing: its value is the tag of an account, which whoever knows the account can make. What
it decides concerns this browser alone: what is said at its sign-out, and whether its session ends when the half is
gone. The half itself is in the browser's own storage, which no server can look into.
"""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from ...sessions import cookies
from ...sessions.record import account_tag
from ...settings import DAY
from ...sign_in.accounts import Account
from ...web.services import services


def present() -> bool:
    """Whether this browser holds half of some wallet."""
    return bool(_values())


def names(account: Account) -> bool:
    """Whether this browser holds half of the wallet of this account."""
    return account_tag(str(account)) in _values()


def give(response: Response, account: Account) -> Response:
    """Note with a response that the browser holds half of this wallet, for as long as the server keeps the other."""
    ours = services()
    age = ours.settings.pregenerated_days * DAY
    response.set_cookie(
        ours.store.share_cookie_name, account_tag(str(account)), max_age=age, **ours.store.cookie_attributes()
    )
    return response


def take(response: Response) -> Response:
    """Forget with a response that the browser held one."""
    store = services().store
    response.delete_cookie(store.share_cookie_name, **store.cookie_attributes())
    return response


def _values() -> list[str]:
    return cookies.values(request, services().store.share_cookie_name)
