"""Every route: importing a module here hangs its views on one of the two blueprints."""

from ..parts.activity import pages as activity
from ..parts.api import openapi
from ..parts.api.routes import api
from ..parts.operations import health
from . import assets, step_up
from .pages import pages

__all__ = ["activity", "api", "assets", "health", "openapi", "pages", "step_up"]
