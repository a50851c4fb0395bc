"""The activity of an account, for its user: a page with filters, and downloads as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from ...access.policy import OWN_SESSIONS
from ...events import names_of
from ...web.guards import requires
from ...web.pages import own_session
from ...web.services import current_services
from ...web.session_view import iso, moment
from . import Activity
from .activity_log import ActivityLog, Entry, Page
from .days import by_day

KINDS = ("sign_ins", "ends", "changes", "refusals")
"""The choices of the filter (`Event.kind`)."""
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
COLUMNS = ("time", "event", "result", "count", "device", "ip", "details")


activity_pages = Blueprint("sessions_activity", __name__, url_prefix="/activity", template_folder="templates")


@activity_pages.get("")
@requires(OWN_SESSIONS)
def activity() -> ResponseReturnValue:
    """Show the activity of this account, newest first."""
    account = str(own_session().account)
    return page_of_entries("sessions/activity.html", partial(log().account, account))


@requires(OWN_SESSIONS)
def activity_csv() -> ResponseReturnValue:
    """Download all that is kept, as CSV."""
    return as_csv(log().iterate(str(own_session().account)), "activity")


@requires(OWN_SESSIONS)
def activity_json() -> ResponseReturnValue:
    """Download all that is kept, as JSON."""
    return as_json(log().iterate(str(own_session().account)), "activity")


def log() -> ActivityLog:
    """Return the log of the current application."""
    return current_services().part(Activity).log


def add_downloads(blueprint: Blueprint, **views: Callable[[], ResponseReturnValue]) -> None:
    """Serve each view at the URL of the blueprint with its ending: `csv` at /activity.csv."""

    def add(state: BlueprintSetupState) -> None:
        for ending, view in views.items():
            endpoint = f"{blueprint.name}.{view.__name__}"
            state.app.add_url_rule(f"{state.url_prefix}.{ending}", endpoint, view, methods=["GET"])

    blueprint.record(add)


add_downloads(activity_pages, csv=activity_csv, json=activity_json)


def page_of_entries(template: str, read: Callable[[tuple[str, ...], str], Page], **more: Any) -> str:
    """Return the page that this request asks for by `kind` and `before`; invalid values are ignored. `more` is for
    the template.
    """
    kind, before = request.args.get("kind", ""), request.args.get("before", "")
    kind = kind if kind in KINDS else ""
    page = read(names_of(kind) if kind else (), before)
    return render_template(
        template,
        groups=by_day(page.entries),
        older=page.older,
        before=before,
        kind=kind,
        kinds=KINDS,
        days=current_services().part(Activity).options.activity_days,
        **more,
    )


def as_csv(entries: Iterable[Entry], name: str) -> Response:
    """Return entries as a CSV file (RFC 4180) that is harmless when a spreadsheet opens it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in entries:
        row = as_row(entry)
        row["details"] = "; ".join(f"{key}={value}" for key, value in entry.fields.items() if value not in (None, ""))
        writer.writerow([_harmless(str(row[column])) for column in COLUMNS])
    return _download(text.getvalue(), "text/csv; charset=utf-8", f"{name}.csv")


def as_json(entries: Iterable[Entry], name: str) -> Response:
    """Return entries as a JSON file."""
    rows = [as_row(entry) | {"details": entry.fields} for entry in entries]
    return _download(json.dumps(rows, indent=1), "application/json", f"{name}.json")


def as_row(entry: Entry) -> dict[str, Any]:
    """Return one entry for the downloads, without the fields of its event."""
    return {
        "time": iso(moment(entry.at)),
        "event": entry.name,
        "result": "refused" if entry.refused else "done",
        "count": entry.count,
        "device": entry.device,
        "ip": entry.ip,
    }


def _harmless(cell: str) -> str:
    # Events of the application may hold a visitor's words. A cell that begins like this is a formula to
    # spreadsheets, and some skip blanks or take the wide forms for the narrow ones.
    return f"'{cell}" if cell.lstrip().startswith(_FORMULA) or cell[:1].isspace() else cell


def _download(text: str, media_type: str, name: str) -> Response:
    response = Response(text, content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
