"""A cookie that says for which trial wallet this browser holds a key share, so that signing out leaves it there.

It is no secret and proves nothing: its value is the tag of an account, which an attacker who knows the account can
compute. It only affects this browser: the text at its sign-out, and whether its session ends when the key share is
gone. The key share itself is in the browser's own storage, which no server can look into.
"""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from ...sessions import cookies
from ...sessions.record import account_tag
from ...settings import DAY
from ...sign_in.accounts import Account
from ...web.services import current_services
from . import TrialWallets


def name() -> str:
    """Return the name of the cookie."""
    return current_services().store.name_of("share")


def present() -> bool:
    """Whether this browser holds a key share of some wallet."""
    return bool(_values())


def names(account: Account) -> bool:
    """Whether this browser holds a key share of the wallet of this account."""
    return account_tag(str(account)) in _values()


def give(response: Response, account: Account) -> Response:
    """Note with a response that the browser holds a key share, for as long as the server keeps the other."""
    services = current_services()
    age = services.part(TrialWallets).options.pregenerated_days * DAY
    response.set_cookie(name(), account_tag(str(account)), max_age=age, **services.store.cookie_attributes())
    return response


def take(response: Response) -> Response:
    """Forget with a response that the browser held one."""
    response.delete_cookie(name(), **current_services().store.cookie_attributes())
    return response


def _values() -> list[str]:
    return cookies.values(request, name())
