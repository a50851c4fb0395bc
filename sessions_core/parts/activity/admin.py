"""What happened on the whole site, for administrators."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from ...web.guards import fresh_required, requires
from ...web.pages import pages
from ...web.services import services
from ..roles import OPEN
from .pages import as_csv, as_json, page_of_entries


@pages.get("/admin/activity")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_activity() -> ResponseReturnValue:
    """Show what happened on the site, newest first."""
    return page_of_entries("sessions/admin_activity.html", services().audit.site)


@pages.get("/admin/activity.csv")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_activity_csv() -> ResponseReturnValue:
    """Download all that is kept of the site, as CSV."""
    return as_csv(services().audit.iterate(None), "site-activity")


@pages.get("/admin/activity.json")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_activity_json() -> ResponseReturnValue:
    """Download all that is kept of the site, as JSON."""
    return as_json(services().audit.iterate(None), "site-activity")
