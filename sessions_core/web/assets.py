"""Scripts, styles and pictures: those of the kernel in `static/`, those of a part in `parts/<part>/static/`.

Their URLs mirror the folders, so that a module of a part imports one of the kernel by the same relative path on disk
and over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from flask import Response, abort, send_from_directory, url_for
from flask.typing import ResponseReturnValue

from .guards import sessionless
from .pages import pages
from .services import current_services

_PACKAGE = Path(__file__).parent.parent


@pages.get("/sessions_core/<path:path>", endpoint="asset")
@sessionless
def send(path: str) -> ResponseReturnValue:
    """Send a static file of the kernel, or of a part that is loaded. Without a part that sends it, the browser asks
    again at each use whether the file has changed.
    """
    sent = (send_asset(path) for send_asset in current_services().hooks("send_asset"))
    answer: Response | None = next((each for each in sent if each is not None), None)
    if answer is not None:
        return answer
    place = path.split("/")
    part = place[1] if place[0] == "parts" and len(place) > 3 and place[2] == "static" else None
    if ".." in place or (place[0] != "static" and part not in current_services().parts):
        abort(404)
    return send_from_directory(_PACKAGE, path)


def wallet_modules(families: Iterable[str]) -> dict[str, str]:
    """Return the URL of the browser module of each family of wallets; a page loads these and no others."""
    modules = {
        family: f"parts/{part.name}/static/{file}"
        for part in current_services().parts.values()
        for family, file in part.wallet_modules.items()
    }
    return {family: url(modules[family]) for family in families if family in modules}


def url(path: str) -> str:
    """Return the URL of a static file: `static/css/base.css`, or `parts/<part>/static/<file>`."""
    return url_for("sessions.asset", path=path)
