"""The pages for refusals that the user can fix: `/confirm` and `/unauthorized`. And the routes that extend a session,
which is a step-up alone.
"""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..errors import ConfirmationMalformed
from . import confirmations, csrf
from . import unauthorized as denial
from .guards import fresh_required, public, signed_in, wallet_session
from .json_routes import api, current_state
from .operation import operation
from .pages import pages
from .schemas import SessionState
from .services import current_services


@pages.get("/confirm")
@signed_in
def confirm() -> ResponseReturnValue:
    """Explain the action and ask for the signature."""
    args = request.args
    return confirmations.page(current_services(), wallet_session(), args.get("request", ""), args.get("problem", ""))


@pages.post("/confirm", endpoint="confirm_post")
@signed_in
def confirm_post() -> ResponseReturnValue:
    """Take the signature for a page that waits to be opened, and redirect there. Forms bring their own signature."""
    services, session, form = current_services(), wallet_session(), request.form
    token, signing = form.get("request", ""), services.settings.confirm_seconds
    pending = confirmations.from_token(services, session, token, signing=signing)
    if pending.method != "GET":
        raise ConfirmationMalformed("a form is sent to its own address")
    confirmations.redeem(services, session, pending, *confirmations.proof(request))
    return redirect(csrf.safe_path(request.script_root + pending.path, url_for("sessions.status")), 303)


@pages.post("/session/extend")
@fresh_required(0, "session.extend")
def extend() -> ResponseReturnValue:
    """Start both clocks again: the guard has done so when it accepted the signature."""
    flash("", "extended")
    return redirect(url_for("sessions.status"), 303)


@api.post("/sessions/extend")
@fresh_required(0, "session.extend")
@operation()
def extend_session() -> SessionState:
    """Start both clocks again. This needs a signature."""
    return current_state()


@pages.get("/unauthorized")
@public
def unauthorized() -> ResponseReturnValue:
    """Name what is missing, and how to get it. A user who got access meanwhile may go on.

    The page repeats nothing from an address that another site wrote.
    """
    return denial.page({} if csrf.linked_from_elsewhere(request) else request.args), 403
