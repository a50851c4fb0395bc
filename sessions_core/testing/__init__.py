"""For the tests of applications: wallets that really sign, sign-in, time that passes, a private Redis, a browser.

    from sessions_core.testing import TestWallet, age, sign_in

    pytest_plugins = ["sessions_core.testing.plugin"]

    def test_session_ends_without_activity(app):
        client = app.test_client()
        session = sign_in(client, TestWallet("eip155:1"))
        age(session, minutes=29)
        assert client.get("/account").status_code == 200
        age(session, minutes=31)
        assert client.get("/account").status_code == 303

No application imports this folder, and it can be deleted. Every function refuses an application that is not in
development (`errors.TestingInProduction`). `docs/test-your-app.md` is the guide.
"""

from __future__ import annotations

from .clocks import age, expire
from .config import config
from .errors import KitError
from .sessions import TestSession, csrf, make_admin, reset, revoke, session_of, sign_in, visitor_session
from .wallets import TestWallet

__all__ = [
    "KitError",
    "TestSession",
    "TestWallet",
    "age",
    "config",
    "csrf",
    "expire",
    "make_admin",
    "reset",
    "revoke",
    "session_of",
    "sign_in",
    "visitor_session",
]
