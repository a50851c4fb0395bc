"""Every route: importing a module here hangs its views on one of the two blueprints."""

from . import activity, admin, devices, health, linking, openapi, pregenerated, step_up
from .api import api
from .pages import pages

__all__ = ["activity", "admin", "api", "devices", "health", "linking", "openapi", "pages", "pregenerated", "step_up"]
