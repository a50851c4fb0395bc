"""Every route: importing a module here hangs its views on one of the two blueprints."""

from . import assets, step_up
from .json_routes import api
from .pages import pages

__all__ = ["api", "assets", "pages", "step_up"]
