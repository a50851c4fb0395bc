"""The pages around a refusal that the person can do something about: `/confirm` and `/unauthorized`."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .. import policy
from ..errors import ConfirmationMalformed
from . import confirmations, origin
from .guards import public, session_view, signed_in, wallet_session
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
    return redirect(origin.safe_path(request.script_root + pending.path, url_for("sessions.status")), 303)


@pages.get("/unauthorized")
@public
def unauthorized() -> ResponseReturnValue:
    """Name what is missing, and how to get it. Who was let in meanwhile may go on."""
    ours, view, args = services(), session_view(), request.args
    role = args.get("role") if args.get("role") in ours.policy.roles else None
    kind = args.get("session_type") if args.get("session_type") in ours.policy.types else None
    permission = args.get("permission") if args.get("permission") in _known(ours.policy) else None
    decision = view.may(permission) if view and permission else None
    granting = [each for each in ours.policy.types.values() if each.by_wallet and permission in each.permissions]
    page = render_template(
        "sessions/unauthorized.html",
        role=role,
        session_type=ours.policy.types[kind] if kind else None,
        decision=decision,
        permission=permission,
        granting=granting[0] if granting else None,
        next=origin.safe_path(args.get("next"), ""),
    )
    return page, 403


def _known(rules: policy.Policy) -> set[str]:
    own = {name for each in rules.types.values() for name in each.permissions}
    return own | {*policy.ALL_NETWORK_PERMISSIONS, *policy.OWN_RIGHTS}
