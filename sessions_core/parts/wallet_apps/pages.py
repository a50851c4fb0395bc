"""The way to the sign-in page inside a wallet's app on a phone."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from ...settings import LOOPBACK
from ...web import csrf
from ...web.guards import public
from ...web.pages import accepted, kind_of
from ...web.services import current_services
from . import wallet_apps

pages = Blueprint("sessions_wallet_apps", __name__, template_folder="templates")


@pages.get("/sign-in/phone")
@public
def phone() -> ResponseReturnValue:
    """Show the way to the sign-in page inside a wallet's app on a phone, as a code and as a link."""
    args, settings = request.args, current_services().settings
    apps = wallet_apps.apps(accepted()["families"])
    app = next((each for each in apps if each.id == args.get("app")), apps[0] if apps else None)
    fields = {"next": csrf.safe_path(args.get("next"), ""), **kind_of(args.get("session_type", ""))}
    # The ordinary kind needs no naming, and a short link makes a code that is easy to scan.
    kind = fields["session_type"] if args.get("session_type") else None
    target = url_for("sessions.sign_in", next=fields["next"] or None, session_type=kind)
    link = app.link(settings.public_origin + target) if app else ""
    return render_template(
        "sessions/phone.html",
        apps=apps,
        app=app,
        link=link,
        code=Markup(wallet_apps.qr_code(link) or ""),  # noqa: S704  # made of numbers, not of the text
        unreachable=settings.host in LOOPBACK,
        **fields,
    )
