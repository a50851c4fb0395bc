"""Wallet sign-in and server-side sessions for Flask that stay dead once they are revoked.

from flask import Flask
from sessions_core import WalletSessions, current_account, signed_in

app = Flask(__name__)
app.config["SESSIONS_CORE_DEVELOPMENT"] = True
WalletSessions(app)

@app.get("/")
@signed_in
def home():
    return f"Hello {current_account.address}"
"""

from . import events
from .access.actions import Action
from .access.policy import SessionType
from .errors import Misconfigured, SessionsError
from .extension import WalletSessions
from .web.guards import (
    current_account,
    current_session,
    current_wallet_user,
    ensure_fresh,
    fresh_required,
    public,
    requires,
    sessionless,
    signed_in,
)
from .web.operation import operation
from .web.texts import gettext, ngettext
from .web.users import current_user

current_person = current_wallet_user
"""The name that `current_wallet_user` had before; it goes with the next release."""

__all__ = [
    "Action",
    "Misconfigured",
    "SessionType",
    "SessionsError",
    "WalletSessions",
    "current_account",
    "current_person",
    "current_session",
    "current_user",
    "current_wallet_user",
    "ensure_fresh",
    "events",
    "fresh_required",
    "gettext",
    "ngettext",
    "operation",
    "public",
    "requires",
    "sessionless",
    "signed_in",
]
