"""The pages around a refusal that the person can do something about: `/confirm` and `/unauthorized`."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..errors import ConfirmationMalformed
from . import confirmations, csrf
from . import unauthorized as denial
from .guards import public, signed_in, wallet_session
from .pages import pages
from .services import services


@pages.get("/confirm")
@signed_in
def confirm() -> ResponseReturnValue:
    """Say in words what is about to happen, and ask for the signature."""
    args = request.args
    return confirmations.page(services(), wallet_session(), args.get("request", ""), args.get("problem", ""))


@pages.post("/confirm", endpoint="confirm_post")
@signed_in
def confirm_post() -> ResponseReturnValue:
    """Take the signature for a page that waits to be opened, and go there. Forms bring their own signature along."""
    ours, current, form = services(), wallet_session(), request.form
    token, signing = form.get("request", ""), ours.settings.confirm_seconds
    pending = confirmations.from_token(ours, current, token, signing=signing)
    if pending.method != "GET":
        raise ConfirmationMalformed("a form is sent to its own address")
    confirmations.redeem(ours, current, pending, *confirmations.proof(request))
    return redirect(csrf.safe_path(request.script_root + pending.path, url_for("sessions.status")), 303)


@pages.get("/unauthorized")
@public
def unauthorized() -> ResponseReturnValue:
    """Name what is missing, and how to get it. Who was let in meanwhile may go on.

    Of an address that another site has written nothing is repeated.
    """
    return denial.page({} if csrf.linked_from_elsewhere(request) else request.args), 403
