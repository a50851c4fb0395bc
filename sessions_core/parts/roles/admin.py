"""Administration: accounts, roles, verification, sessions.

Opening it takes the role `admin` and a signature of the last quarter of an hour; each change takes its own signature
that names it. So neither a stolen cookie nor an unlocked screen changes a user's rights.
"""

from __future__ import annotations

import re

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from ...errors import AccountMalformed, BadRequest, NotFound, PermissionDenied
from ...sign_in import accounts
from ...sign_in.accounts import Account
from ...web.guards import ensure_fresh, fresh_required, requires, wallet_session
from ...web.pages import clear_browser, own_session
from ...web.services import current_services
from ...web.session_view import sessions_of
from ..devices.pages import PER_PAGE, page_of
from . import OPEN, Roles
from .lookup import LONGEST, AccountLookup, Place, Refused, read_place
from .roles import AccountRoles

pages = Blueprint("sessions_roles", __name__, template_folder="templates", url_prefix="/admin")

PROFESSIONAL_ID = re.compile(r"lic_[A-Za-z0-9_-]{1,40}", re.ASCII)
LEVEL = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII)
MOST_DAYS = 3650


@pages.get("")
@fresh_required(*OPEN)
@requires(role="admin")
def admin() -> ResponseReturnValue:
    """Show the accounts with a role or a verification, the latest sign-ins, and forms to look up any account."""
    account, device = request.args.get("account", "").strip(), request.args.get("device", "").strip()
    refused = None
    if account or device:
        place, lookup = _place(), AccountLookup(current_services(), _roles(), PER_PAGE)
        try:
            hits = lookup.account(account, place) if account else lookup.device(device, place)
        except Refused as error:
            refused = error
        else:
            if isinstance(hits, Account):
                return _to(hits)
            return render_template("sessions/admin_lookup.html", hits=hits, hits_now=own_session().live.now)
    decided, seen = _number("decided"), _number("seen")
    found = _roles().page(PER_PAGE, (decided - 1) * PER_PAGE, (seen - 1) * PER_PAGE)
    return render_template(
        "sessions/admin.html",
        found=found,
        decided=decided,
        decided_pages=_pages(decided, found.all_decided),
        seen=seen,
        seen_pages=_pages(seen, found.all_seen),
        looked_for=_shown(account),
        looked_for_device="" if account else _shown(device),
        refused=refused,
    )


@pages.get("/accounts/<account>")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_account(account: str) -> ResponseReturnValue:
    """Show one account: its role, its verification, its sessions."""
    services, found = current_services(), _account(account)
    rows = sessions_of(str(found))
    page, count = page_of(len(rows))
    return render_template(
        "sessions/admin_account.html",
        account=found,
        status=_roles().status(found),
        now=services.repository.time(),
        roles=tuple(services.policy.roles),
        own=found == own_session().account,
        rows=rows[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(rows),
        page=page,
        pages=count,
    )


@pages.post("/accounts/<account>/role")
@requires(role="admin")
def admin_role(account: str) -> ResponseReturnValue:
    """Give an account a role."""
    services, found, role = current_services(), _account(account), request.form.get("role", "")
    if role not in services.policy.roles:
        return _again(found, "role")
    _refuse_own(found)
    ensure_fresh(0, "admin.role")
    changed = _roles().assign(found, role, by=str(own_session().account))
    flash(role, "role_given" if changed else "role_kept")
    return _to(found)


@pages.post("/accounts/<account>/verify")
@requires(role="admin")
def admin_verify(account: str) -> ResponseReturnValue:
    """Verify an account as a professional for a number of days."""
    found, form = _account(account), request.form
    professional_id, level, days = form.get("professional_id", ""), form.get("level", ""), form.get("days", "")
    if not PROFESSIONAL_ID.fullmatch(professional_id):
        return _again(found, "professional_id")
    if not LEVEL.fullmatch(level):
        return _again(found, "level")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", days, re.ASCII) or int(days) > MOST_DAYS:
        return _again(found, "days")
    ensure_fresh(0, "admin.verify")
    _roles().verify(found, professional_id, level, int(days), by=str(own_session().account))
    flash(level, "verified")
    return _to(found)


@pages.post("/accounts/<account>/withdraw")
@requires(role="admin")
def admin_withdraw(account: str) -> ResponseReturnValue:
    """Take the verification of an account away."""
    found = _account(account)
    ensure_fresh(0, "admin.withdraw")
    _roles().revoke_verification(found, by=str(own_session().account))
    flash("", "withdrawn")
    return _to(found)


@pages.post("/accounts/<account>/sessions/<session_handle:handle>/revoke")
@requires(role="admin")
def admin_revoke(account: str, handle: str) -> ResponseReturnValue:
    """End one session of an account."""
    services, found = current_services(), _account(account)
    if services.repository.find(str(found), handle) is None:
        raise NotFound("no session of this account")
    ensure_fresh(0, "admin.revoke")
    alive = services.lifecycle.revoke_handle(found, handle)
    wallet_session().done = True
    flash(handle, "ended_by_admin" if alive else "ended_already")
    return _to(found)


@pages.post("/accounts/<account>/revoke")
@requires(role="admin")
def admin_revoke_account(account: str) -> ResponseReturnValue:
    """End all sessions of an account."""
    found = _account(account)
    ensure_fresh(0, "admin.revoke_account")
    ended = current_services().lifecycle.revoke_account(found, "revoked")
    if found == own_session().account:
        return _signed_out()
    wallet_session().done = True
    flash(str(ended), "ended_all_by_admin")
    return _to(found)


@pages.get("/everybody")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_everybody() -> ResponseReturnValue:
    """Ask whether to sign all users out."""
    return render_template("sessions/admin_everybody.html")


@pages.post("/everybody", endpoint="admin_everybody_post")
@fresh_required(0, "admin.revoke_everybody")
@requires(role="admin")
def admin_everybody_post() -> ResponseReturnValue:
    """Sign all users out, including the administrator who asked for it."""
    current_services().lifecycle.revoke_everybody()
    return _signed_out()


def _place() -> Place:
    place = read_place(request.args.get("place", "list.0"))
    if place is None:
        raise BadRequest("no place of a search")
    return place


def _shown(text: str) -> str:
    """Return what was typed as the form repeats it: without control and bidi characters, and not longer than it
    takes.
    """
    return "".join(each for each in text[:LONGEST] if each.isprintable())


def _number(name: str) -> int:
    text = request.args.get(name, "1")
    if not re.fullmatch(r"[1-9][0-9]{0,6}", text, re.ASCII):
        raise BadRequest("no number of a page")
    return int(text)


def _pages(number: int, total: int) -> int:
    pages = max(1, -(-total // PER_PAGE))
    if number > pages:
        raise NotFound("no such page")
    return pages


def _roles() -> AccountRoles:
    return current_services().part(Roles).roles


def _account(text: str) -> Account:
    try:
        found = accounts.parse(text)
    except AccountMalformed as error:
        raise NotFound("no account") from error
    if str(found) != text:
        # One account, one address: what is signed names the account as it stands in the address.
        raise BadRequest("not in its canonical form")
    return found


def _refuse_own(account: Account) -> None:
    if account == own_session().account:
        # One click must not lock the last administrator out; the command line can.
        raise PermissionDenied("admin", kind="role", reason="own_account")


def _again(account: Account, field: str) -> ResponseReturnValue:
    flash(field, "invalid")
    return _to(account)


def _to(account: Account) -> ResponseReturnValue:
    return redirect(url_for("sessions_roles.admin_account", account=str(account)), 303)


def _signed_out() -> ResponseReturnValue:
    wallet_session().release()
    return clear_browser(redirect(url_for("sessions.signed_out"), 303), "revoked")
