"""Wallet sign-in beside a login that the application has already: Flask-Login's.

Of both, the latest sign-in counts, and signing out, with either's form, ends both.
"""

from __future__ import annotations

from flask import Flask
from werkzeug.wrappers import Response

from ...part import Part


class FlaskLogin(Part):
    """Makes Flask-Login's `current_user` the user of the wallet session, and gives its logins a session of their own.

    Does nothing in an application without a `LoginManager`.
    """

    def setup(self, app: Flask) -> None:
        """Wait for the `LoginManager`, which may come later."""
        from . import logins

        logins.follow(app, self.services)

    def forget_browser(self, response: Response) -> None:
        """Delete the cookie by which Flask-Login remembers a user: it would sign them in again at once."""
        from . import logins

        logins.forget_remembered(response)
