"""The pages: sign in, the session's status, sign out, signed out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from .. import errors
from ..sessions import end_reasons
from ..sign_in import messages
from ..sign_in.accounts import chain
from . import csrf, ended_cookie, error_handlers
from .guards import public, refusal, session_view, signed_in, wallet_session
from .services import current_services
from .session_view import SessionView
from .sign_in import SignInOptions, authenticate, display_name

pages = Blueprint("sessions", __name__, template_folder="../templates")


@pages.get("/sign-in")
@public
def sign_in() -> ResponseReturnValue:
    """Show the connect panel. A user who is signed in already may go on, or use another account.

    `reason` only says that the page was left because its session had ended. The server decides which reason to show.
    """
    told = request.args.get("reason")
    if session_view() is not None and told in ("replaced", "rotated"):
        # Another request of this browser moved the session to a new id just now; its cookie has arrived since.
        return redirect(csrf.safe_path(request.args.get("next"), url_for("sessions.status")), 303)
    reason = _known(wallet_session().ended) if told else None
    # "again" comes from the warning before the absolute end: the user wants to sign again, not to read that they are
    # signed in.
    state = "already_signed_in" if session_view() and "again" not in request.args else "idle"
    return _sign_in_page(state, request.args, reason=reason)


@pages.post("/sign-in")
@public
def sign_in_post() -> ResponseReturnValue:
    """Verify the signed text; start a session and redirect the user, or say what was wrong."""
    form = request.form
    message = messages.from_form(form.get("message", ""))
    options = SignInOptions(
        session_type=form.get("session_type", ""),
        duration=_duration(form),
        permissions=form.getlist("permissions") or None,
        wallet=form.get("wallet", ""),
        remember=form.get("remember") == "1",
    )
    try:
        live = authenticate(message, form.get("challenge", ""), form.get("signature", ""), options)
    except (
        errors.SignInRefused,
        errors.RateLimited,
        errors.VerificationUnavailable,
        errors.StoreUnavailable,
    ) as error:
        error_handlers.note(error)
        return _refused(error)
    wallet_session().adopt(live)
    return redirect(csrf.safe_path(form.get("next"), url_for("sessions.status")), 303)


@pages.get("/session")
@signed_in
def status() -> ResponseReturnValue:
    """Show the signed-in account, what the session may do, and both its clocks."""
    return render_template("sessions/status.html")


@pages.get("/sign-out")
@public
def sign_out() -> ResponseReturnValue:
    """Ask whether to sign out; a link alone can't sign users out."""
    if session_view() is None:
        return redirect(url_for("sessions.signed_out"), 303)
    return render_template("sessions/sign_out.html")


@pages.post("/sign-out", endpoint="sign_out_post")
@public(csrf=False)
def sign_out_post() -> ResponseReturnValue:
    """Revoke on the server, then clear the browser. Signing out twice is fine."""
    end_session()
    return clear_browser(redirect(url_for("sessions.signed_out"), 303), "signed_out")


@pages.get("/signed-out")
@public
def signed_out() -> ResponseReturnValue:
    """Say why the session ended and what to do. A user who is signed in after all does not see it.

    A link from anywhere may lead here. It changes nothing, and the page only shows reasons that the server knows:
    from the session of this browser's cookie, or from the note of the answer that deleted the cookie.
    """
    session, services, noted = wallet_session(), current_services(), ended_cookie.noted()
    if session_view() is not None:
        return redirect(csrf.safe_path(request.args.get("next"), url_for("sessions.status")), 303)
    reason = _known(session.ended) or _known(noted.reason if noted else None) or "unknown"
    ended_type = services.policy.type_of_handle(session.ended_handle)
    return render_template(
        "sessions/signed_out.html",
        reason=reason,
        noted_account=noted.account if noted else "",
        next=csrf.safe_path(request.args.get("next"), ""),
        **kind_of(ended_type.name if ended_type is not None else request.args.get("session_type", "")),
    )


def end_session(reason: str = "signed_out") -> None:
    """Revoke the session of this request, if it has one.

    Raises instead of reporting a false success: `StoreUnavailable`; the refusal of an invalid bearer token, which
    does not name a session; `SessionInvalid` for a former id from another browser, since that session may still be
    alive.
    """
    services, session = current_services(), wallet_session()
    if session.token_refusal is not None:
        raise session.token_refusal
    if session.live is not None:  # also a visitor's: it may be a login of the application's own
        # Only a live session needs protecting, and only its page has a token: a second sign-out must not fail for
        # lack of one.
        if session.claims is None:
            csrf.demand_token(request, current_app.config, session)
        services.lifecycle.revoke(session.live, reason)
    elif (
        session.ended == "rotated"
        and session.ended_id is not None
        and not services.lifecycle.revoke_former(session.ended_id, session.browser, reason)
    ):
        raise refusal(session)
    session.release()


def clear_browser(response: Response, reason: str, account: str = "") -> Response:
    """Delete the session's cookies in the browser, and note why the session ended (`ended_cookie.note`).

    Nothing else: `Clear-Site-Data` would reach what the application stored, cookies of other applications below the
    same domain, and what parts keep in the browser; and emptying a full cache holds the answer up for a second. The
    page that follows removes our own keys from the storage, and tells the application's scripts (own-storage.js).
    """
    store = current_services().store
    response.delete_cookie(store.browser_cookie_name, **store.cookie_attributes())
    for forget in current_services().hooks("forget_browser"):
        forget(response)
    return ended_cookie.note(response, reason, account)


def own_session() -> SessionView:
    """Return the session of this request, on a route that requires one."""
    view = session_view()
    assert view is not None  # noqa: S101  # the guard saw to it
    return view


def _refused(error: errors.SessionsError) -> ResponseReturnValue:
    response = make_response(_sign_in_page(error.panel_state, request.form, error=error))
    response.status_code = error.status
    if error.retry_after:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _sign_in_page(
    state: str, fields: Any, *, error: errors.SessionsError | None = None, reason: str | None = None
) -> str:
    wallet_session().bind_browser()
    return render_template(
        "sessions/sign_in.html",
        state=state,
        error=error,
        reason=reason,
        next=csrf.safe_path(fields.get("next"), ""),
        wallet=display_name(request.form.get("wallet", "")),
        remember=request.form.get("remember") == "1",
        statement=current_services().settings.statement,
        **accepted(),
        **kind_of(fields.get("session_type", "")),
    )


def accepted() -> dict[str, Any]:
    """Return the variables of the connect panel: chains to sign for, and families of wallets."""
    chains = [chain(each) for each in current_services().settings.chains]
    families = list(dict.fromkeys(each.namespace for each in chains))
    return {"chains": chains, "families": families}


def _duration(form: Any) -> int | None:
    text = form.get("duration", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def kind_of(name: str) -> dict[str, str | int]:
    """Return the facts of a session type for a page: the type of that name, or the standard one.

    The type of a sign-in is decided when it is signed.
    """
    rules = current_services().policy
    chosen = rules.types.get(name, rules.standard)
    chosen = chosen if chosen.by_wallet else rules.standard
    return {
        "session_type": chosen.name,
        "idle_seconds": chosen.idle_seconds,
        "absolute_seconds": chosen.absolute_seconds,
    }


def _known(reason: str | None) -> str | None:
    return reason if reason in end_reasons.with_pages() else None
