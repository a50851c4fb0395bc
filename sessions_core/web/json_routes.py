"""The JSON routes that the kernel's own pages need, under /api/auth."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

import msgspec
from flask import Blueprint, redirect, request, url_for
from flask_wtf.csrf import generate_csrf
from msgspec import Meta
from werkzeug.wrappers import Response

from ..errors import (
    AccountKeyless,
    AccountMalformed,
    BodyMalformed,
    ChainUnsupported,
    ConfirmationMalformed,
    CsrfFailed,
    NotSignedIn,
    PermissionDenied,
    RateLimited,
    SignOutIncomplete,
    family,
)
from ..sign_in import verifiers
from ..sign_in.challenges import SIGN_IN
from . import attempts, confirmations, csrf
from .error_handlers import wants_json
from .guards import public, refusal, session_view, signed_in, wallet_session
from .operation import operation
from .pages import clear_browser, end_session
from .schemas import Challenge, SessionState, SignedOut, success
from .services import current_services
from .session_view import SessionView, iso
from .sign_in import refuse_type

api = Blueprint("sessions_json", __name__, url_prefix="/api/auth")

_Word = Annotated[str, Meta(max_length=64)]
_Account = Annotated[
    str,
    Meta(
        description="CAIP-10; the address in any spelling that its chain has.",
        examples=["eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"],
    ),
]


class ChallengeRequest(msgspec.Struct):
    """An account to sign in with, or to sign for another `purpose`; or the `request` of a 403 `step_up_required` to
    confirm. With the `session_type` that the sign-in will ask for, one that the account may
    not have is refused before anything is signed.
    """

    account: _Account | None = None
    purpose: _Word = SIGN_IN
    request: str | None = None
    session_type: _Word = ""


@api.post("/challenges")
@public(keeps_alive=False, csrf=False)
@operation(
    RateLimited,
    *(AccountMalformed, AccountKeyless, ChainUnsupported, ConfirmationMalformed),
    *family(NotSignedIn),
    PermissionDenied,
    status=201,
)
def create_challenge(body: ChallengeRequest) -> Challenge:
    """Write the text for an account to sign. It changes nothing, so it needs no CSRF token."""
    attempts.count("challenges")
    services, session = current_services(), wallet_session()
    if body.request is not None:
        view = session_view()
        if view is None:
            raise refusal(session)
        pending = confirmations.from_token(services, session, body.request)
        issued = services.challenges.issue_confirmation(view.account, pending.sentence, pending.binding)
    elif body.account is not None and body.purpose == SIGN_IN:
        issued = services.challenges.issue(body.account, session.browser)
        refuse_type(body.session_type, lambda: issued.account)
    elif body.account is not None:
        issued = services.challenge_for(body.purpose, body.account)
    else:
        raise BodyMalformed("neither account nor request")
    _warm_up(issued.account.namespace)
    expires_at = iso(datetime.fromtimestamp(issued.expires_at, UTC))
    return Challenge(str(issued.account), issued.message, issued.challenge, expires_at)


@api.get("/sessions/validate")
@signed_in(keeps_alive=False, accept_presented_token=True)
@operation()
def validate() -> SessionState:
    """Return the session and when it ends. This does not count as activity."""
    return current_state()


@api.post("/sessions/keep-alive")
@signed_in(keeps_alive=False)
@operation()
def keep_alive() -> SessionState | Response:
    """Start the idle clock again. A form without script is redirected to the page it came from."""
    services, session = current_services(), wallet_session()
    assert session.live is not None  # noqa: S101  # signed_in saw to it
    renewed = services.lifecycle.keep_alive(session.live)
    session.move(renewed)
    if session.live is None:
        raise refusal(session)
    if not wants_json():
        return redirect(csrf.safe_path(request.form.get("next"), url_for("sessions.status")), 303)
    return current_state()


@api.post("/sessions/logout")
@public(keeps_alive=False, csrf=False)
@operation(CsrfFailed, SignOutIncomplete)
def logout() -> SignedOut | Response:
    """Revoke the session of this cookie. Signing out twice is fine. A living session requires its CSRF token."""
    end_session()
    return signed_out_answer()


def signed_out_answer() -> Response:
    """Return the answer to a sign-out, which deletes this site's cookies."""
    return clear_browser(success(SignedOut(True)), "signed_out")


def current_state() -> SessionState:
    """Return the current state of the session of this request for a client."""
    live = wallet_session().account_live
    assert live is not None  # noqa: S101  # the guard saw to it
    state = SessionView(live, current_services()).as_state()
    if wallet_session().claims is None:
        # With the CSRF token of the current id, so that the forms of a tab work again after another tab rotated the
        # id.
        state.csrf_token = generate_csrf()
    return state


@cache
def _warm_up(namespace: str) -> None:
    # The user now reads the text in the wallet; the verifier's slow imports happen meanwhile.
    of_parts = current_services().hooks("warm")

    def warm() -> None:
        verifiers.warm(namespace)
        for each in of_parts:
            each()

    threading.Thread(target=warm, daemon=True).start()
