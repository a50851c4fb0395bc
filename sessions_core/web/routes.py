"""Every route: importing a module here hangs its views on one of the two blueprints."""

from ..parts.activity import pages as activity
from ..parts.api import openapi
from ..parts.api.routes import api
from ..parts.devices import pages as devices
from ..parts.linked_wallets import pages as linked_wallets
from ..parts.operations import health
from ..parts.roles import admin
from . import assets, step_up
from .pages import pages

__all__ = ["activity", "admin", "api", "assets", "devices", "health", "linked_wallets", "openapi", "pages", "step_up"]
