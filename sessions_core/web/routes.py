"""Every route: importing a module here hangs its views on one of the two blueprints."""

from ..parts.devices import pages as devices
from ..parts.linked_wallets import pages as linked_wallets
from ..parts.roles import admin
from ..parts.trial_wallets import pages as trial_wallets
from . import assets, step_up
from .json_routes import api
from .pages import pages

__all__ = ["admin", "api", "assets", "devices", "linked_wallets", "pages", "step_up"]
__all__ += ["trial_wallets"]
