"""The tour of the demo: seven cards to try, and what the server does meanwhile.

`cards.py` is the example to copy. `pages.py` shows the cards, `source.py` their code, `server_log.py` what the server
did, and `tricks.py` what only development allows. An application has none of this.
"""

from __future__ import annotations

from flask import Flask

from sessions_core.web.services import EXTENSION, Services

from . import pages, server_log, tricks
from .cards import ACTIONS, ROLES, cards

__all__ = ["ACTIONS", "ROLES", "register"]


def register(app: Flask) -> None:
    """Add the tour to the demo, after `WalletSessions(app)`."""
    services: Services = app.extensions[EXTENSION]
    app.register_blueprint(cards)
    app.register_blueprint(pages.pages)
    app.context_processor(pages.context)
    if services.settings.development:
        tricks.register(app)
        server_log.register(app, services)
