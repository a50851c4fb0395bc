"""Where a user is signed in: the list, a name for each session, and ending one, all others, or all. As pages and as
JSON. Users who were told of a sign-in elsewhere say here whether it was their own.

The list has the sessions of all accounts of the user. A session is named by its handle; one that is not this user's
answers like one that never was.
"""

from __future__ import annotations

import logging
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from ... import events
from ...access.policy import OWN_SESSIONS
from ...errors import NotFound, PermissionDenied, StoreUnavailable
from ...sessions.record import EndedSession as Gone
from ...sessions.record import LoadedSession, SessionRecord
from ...sign_in.accounts import Account
from ...web.csrf import safe_path
from ...web.guards import (
    ensure_fresh,
    ensure_permitted,
    fresh_required,
    refusal,
    requires,
    session_view,
    signed_in,
    wallet_session,
)
from ...web.json_routes import current_state
from ...web.operation import operation
from ...web.pages import clear_browser, own_session
from ...web.schemas import SessionState, success
from ...web.services import current_services
from ...web.session_view import sessions_of
from ...web.sign_in import display_name
from . import Devices
from .events import SessionNamed
from .recent_sign_ins import DEVICE, KEPT
from .schemas import EndedSession, EndedSessions, SessionList, SessionRow
from .user_agent import device_name
from .views import DeviceView, SignInView

logger = logging.getLogger(__name__)

pages = Blueprint("sessions_devices", __name__, template_folder="templates", url_prefix="/sessions")
api = Blueprint("sessions_devices_json", __name__, url_prefix="/api/auth")

PER_PAGE = 25


def page_of(total: int, size: int = PER_PAGE) -> tuple[int, int]:
    """Return the number of the requested page, from 1, and the number of pages; a number out of range is the nearest
    page.
    """
    text = request.args.get("page", "1")
    count = max(1, -(-total // size))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    return min(max(1, number), count), count


@pages.get("")
@requires(OWN_SESSIONS)
def devices() -> ResponseReturnValue:
    """List the sessions of this user."""
    view = own_session()
    rows = sessions_of(*view.user.accounts, current=view.handle)
    page, count = page_of(len(rows))
    return render_template(
        "sessions/devices.html",
        rows=rows[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(rows),
        page=page,
        pages=count,
        most=current_services().settings.sessions_per_account,
    )


@pages.post("/<session_handle:handle>/revoke")
@signed_in
def revoke_one(handle: str) -> ResponseReturnValue:
    """End one session of this user; ending this one is signing out."""
    account, found = _find(handle)
    alive = _revoke(account, found, handle)
    if session_view() is None:
        return clear_browser(redirect(url_for("sessions.signed_out"), 303), "signed_out")
    if alive and isinstance(found, LoadedSession):
        flash(_name_of(found), "ended")
    else:
        flash("", "ended_already")
    return redirect(url_for("sessions_devices.devices"), 303)


@pages.post("/<session_handle:handle>/name")
@signed_in
def name_one(handle: str) -> ResponseReturnValue:
    """Give a session of this user a label; an empty one removes it."""
    found = _name(handle, request.form.get("label", ""))
    if found is None:
        flash("", "ended_already")
    else:
        flash(_name_of(found), "named" if DEVICE.of(found.record).label else "unnamed")
    return redirect(url_for("sessions_devices.devices"), 303)


@pages.post("/<session_handle:handle>/recognise")
@signed_in
def recognise_one(handle: str) -> ResponseReturnValue:
    """Note that the user knows of a sign-in, so that this session no longer tells of it. One at a time: users who
    confirmed their own sign-in are still told of an attacker's. It may also be a sign-in that this session is not
    told of.
    """
    _recognise(handle)
    return redirect(safe_path(request.form.get("next"), url_for("sessions.status")), 303)


@pages.get("/<session_handle:handle>/not-me")
@signed_in
def not_me(handle: str) -> ResponseReturnValue:
    """Ask whether to end a session that the user did not start."""
    _, found, sign_in = _doubted(handle)
    row = DeviceView(found, current_services()) if isinstance(found, LoadedSession) else None
    return render_template("sessions/not_me.html", handle=handle, row=row, sign_in=sign_in)


@pages.post("/<session_handle:handle>/not-me", endpoint="not_me_post")
@signed_in
def not_me_post(handle: str) -> ResponseReturnValue:
    """End a session that the user did not start. One that has ended already is fine. Browsers that were known to the
    account are new again.
    """
    account, found, _ = _doubted(handle)
    if found is not None:
        ensure_fresh(300, "session.revoke")
    _doubt(account)  # before the notice goes: if Redis fails in between, a second attempt does the rest
    alive = found is not None and _revoke(account, found, handle)
    if found is None:
        _recognise(handle)
    flash(_name_of(found) if alive and isinstance(found, LoadedSession) else "", "not_me" if alive else "not_me_gone")
    return redirect(url_for("sessions_devices.devices"), 303)


@pages.get("/others")
@requires(OWN_SESSIONS)
def others() -> ResponseReturnValue:
    """Ask whether to end all other sessions."""
    return _ask("others")


@pages.post("/others", endpoint="others_post")
@fresh_required(300, "session.revoke_others")
@requires(OWN_SESSIONS)
def others_post() -> ResponseReturnValue:
    """End all other sessions of this user, those being signed in right now included."""
    flash(str(_revoke_others()), "ended_others")
    return redirect(url_for("sessions_devices.devices"), 303)


@pages.get("/everywhere")
@requires(OWN_SESSIONS)
def everywhere() -> ResponseReturnValue:
    """Ask whether to end all sessions, including this one."""
    return _ask("everywhere")


@pages.post("/everywhere", endpoint="everywhere_post")
@fresh_required(300, "session.revoke_all")
@requires(OWN_SESSIONS)
def everywhere_post() -> ResponseReturnValue:
    """End all sessions of this user, including this one."""
    _end_all()
    return clear_browser(redirect(url_for("sessions.signed_out"), 303), "everywhere")


class Scope(msgspec.Struct):
    """Which sessions to end: all but this one, or this one too."""

    scope: Literal["others", "all"]


@api.get("/sessions")
@signed_in(keeps_alive=False)
@requires(OWN_SESSIONS)
@operation()
def list_sessions() -> SessionList:
    """List the sessions of this user. Asking is no activity."""
    view = own_session()
    rows = sessions_of(*view.user.accounts, current=view.handle)
    return SessionList([SessionRow(current=row.handle == view.handle, **row.as_row()) for row in rows])


class NameRequest(msgspec.Struct):
    """The user's own name for a session; an empty one takes it away."""

    label: Annotated[str, msgspec.Meta(max_length=400)]


@api.patch("/sessions/<session_handle:handle>")
@signed_in
@operation(NotFound, PermissionDenied)
def name_session(handle: str, body: NameRequest) -> SessionRow:
    """Give a session of this user a label: one line, at most 40 characters of it."""
    found = _name(handle, body.label)
    if found is None:
        raise NotFound("that session has ended")
    return DeviceView(found, current_services()).as_answer(own_session().handle)


@api.post("/sessions/<session_handle:handle>/recognise")
@signed_in
@operation(NotFound)
def recognise_session(handle: str) -> SessionState:
    """Note that the user knows of a sign-in, so that this session no longer tells of it."""
    _recognise(handle)
    return current_state()


@api.delete("/sessions/<session_handle:handle>")
@signed_in
@operation(NotFound, PermissionDenied, confirms=True)
def delete_session(handle: str) -> EndedSession | Response:
    """End one session of this user. One that has ended already is fine; this one takes no signature."""
    _revoke(*_find(handle), handle)
    ended = EndedSession(handle, True)
    return clear_browser(success(ended), "signed_out") if session_view() is None else ended


@api.delete("/sessions")
@requires(OWN_SESSIONS)
@operation(confirms=True)
def delete_sessions(query: Scope) -> EndedSessions | Response:
    """End all other sessions of this account, or all."""
    if query.scope == "others":
        ensure_fresh(300, "session.revoke_others")
        return EndedSessions(query.scope, _revoke_others())
    ensure_fresh(300, "session.revoke_all")
    return clear_browser(success(EndedSessions(query.scope, _end_all())), "everywhere")


def _name(handle: str, label: str) -> LoadedSession | None:
    """Name a session of this user and return it, or `None` if it has ended. Raises `NotFound` for another's, and
    `StoreUnavailable` if the record keeps changing.
    """
    _, found = _find(handle)

    def name(record: SessionRecord) -> None:
        DEVICE.put(record, msgspec.structs.replace(DEVICE.of(record), label=display_name(label)))

    named = current_services().repository.change(found, name) if isinstance(found, LoadedSession) else found
    if isinstance(named, Gone):
        return None
    events.publish(SessionNamed(handle=handle, account=named.record.account))
    return named


def _name_of(live: LoadedSession) -> str:
    device = DEVICE.of(live.record)
    return device.label or device_name(device.device)


def _ask(scope: str) -> str:
    count = len(sessions_of(*own_session().user.accounts))
    return render_template("sessions/end.html", scope=scope, others=count - 1)


def _end_all() -> int:
    _doubt(*own_session().user.accounts)
    ended = _end_linked("everywhere") + current_services().lifecycle.revoke_account(own_session().account)
    wallet_session().release()
    return ended


def _end_linked(reason: str) -> int:
    # Before those of the own account, in case Redis fails in between: a second attempt ends the rest.
    view, lifecycle = own_session(), current_services().lifecycle
    return sum(lifecycle.revoke_account(each, reason) for each in view.user.accounts if each != view.account)


def _find(handle: str) -> tuple[Account, LoadedSession | Gone]:
    """Return the session of this user that has, or recently had, this handle, with its account; raise `NotFound` if
    there is none.
    """
    services, view = current_services(), own_session()
    if handle == view.handle:
        return view.account, view.live
    ensure_permitted(OWN_SESSIONS)
    for account in dict.fromkeys((view.account, *view.user.accounts)):  # its own first: most are found there
        found = services.repository.find(str(account), handle)
        if found is not None:
            return account, found
    raise NotFound("no session of this user")


def _doubted(handle: str) -> tuple[Account, LoadedSession | Gone | None, SignInView | None]:
    """Return another session of this user, with its account, and the sign-in as this session is told of it.

    The session is `None` if only the notice still knows of it. Raises `NotFound` for a handle of anything else.
    """
    view = own_session()
    if handle == view.handle:
        raise NotFound("the session that asks")
    told = next((each for each in current_services().part(Devices).elsewhere(view) if each.handle == handle), None)
    try:
        return *_find(handle), told
    except NotFound:
        if told is None:
            raise
        return view.account, None, told


def _doubt(*accounts: Account) -> None:
    for account in accounts:
        current_services().part(Devices).known_browsers.doubt(str(account), own_session().live.now)


def _revoke(account: Account, found: LoadedSession | Gone, handle: str) -> bool:
    lifecycle, view = current_services().lifecycle, own_session()
    if handle != view.handle:
        ensure_fresh(300, "session.revoke")
        # A session that has ended is ended once more: that confirms an end that too few replicas had confirmed.
        alive = lifecycle.revoke_handle(account, handle)
        wallet_session().done = True
        _recognise(handle)
        return alive
    # Signing out never needs a signature. The cookie goes last: if Redis fails, the user is still signed in.
    alive = lifecycle.revoke(view.live, "signed_out")
    wallet_session().release()
    return alive


def _revoke_others() -> int:
    _doubt(*own_session().user.accounts)
    ended = _end_linked("revoked") + current_services().store.revoke_others(wallet_session())
    wallet_session().done = True
    view = session_view()
    if view is not None:
        _recognise(*(each.handle for each in current_services().part(Devices).elsewhere(view)))
    return ended


def _recognise(*handles: str) -> None:
    # After ending them: the notice must stay for a session that is still alive.
    view = session_view()
    told = (
        [each.handle for each in current_services().part(Devices).elsewhere(view) if each.handle in handles]
        if view
        else []
    )

    def note(record: SessionRecord) -> None:
        # Twice what the news holds. Of one that is still there at most seven older ones were recognised later, and
        # seven newer ones: what goes here is gone there.
        device = DEVICE.of(record)
        recognised = tuple(dict.fromkeys((*device.recognised, *told)))[-2 * KEPT :]
        DEVICE.put(record, msgspec.structs.replace(device, recognised=recognised))

    if not told:
        return
    try:
        current_services().store.amend(wallet_session(), note)
    except StoreUnavailable as error:
        if not wallet_session().done:
            raise
        logger.warning("The sign-ins of sessions that ended are still told of: %s", error)
    if session_view() is None and not wallet_session().done:
        raise refusal(wallet_session())  # ended meanwhile, and nothing was noted
