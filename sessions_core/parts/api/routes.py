"""The JSON service under /api/auth, in the envelope `{"success": true, "data": …}`."""

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

from ...errors import (
    AccountKeyless,
    AccountMalformed,
    BodyMalformed,
    ChainUnsupported,
    ConfirmationMalformed,
    CsrfFailed,
    NotSignedIn,
    PermissionDenied,
    RateLimited,
    SessionExpired,
    SessionInvalid,
    SignatureMalformed,
    SignInRefused,
    SignOutIncomplete,
    TokenExpired,
    TokenInvalid,
    VerificationUnavailable,
    family,
)
from ...sessions.flask_session import WalletSession, bearer
from ...sessions.record import LoadedSession
from ...sign_in import verifiers
from ...sign_in.challenges import SIGN_IN
from ...web import attempts, confirmations, csrf
from ...web.error_handlers import wants_json
from ...web.guards import follow, public, refusal, session_view, signed_in, wallet_session
from ...web.operation import operation
from ...web.pages import clear_browser, end_session, own_session
from ...web.schemas import Challenge, SessionState, SessionToken, SignedOut, TokenSession, success
from ...web.services import services
from ...web.session_view import SessionView, iso
from ...web.sign_in import Wanted, enter, refuse_type
from .refresh_tokens import FAMILY
from .session_tokens import Token

api = Blueprint("sessions_json", __name__, url_prefix="/api/auth")


_Text = Annotated[str, Meta(max_length=16_000)]
_Word = Annotated[str, Meta(max_length=64)]
# Longer than a refresh token: who sends the session token by mistake is told that it is the wrong one.
_Token = Annotated[str, Meta(max_length=8_000)]
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


class SessionRequest(msgspec.Struct):
    """The signed text and its challenge, as they came; the signature is the bearer. What is asked for beyond what the
    type grants is dropped. `duration` is in seconds; `wallet` is shown to people; `remember` is for cookies.
    """

    message: _Text
    challenge: _Text
    session_type: _Word = ""
    duration: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    permissions: Annotated[list[_Word], Meta(max_length=64)] | None = None
    wallet: Annotated[str, Meta(max_length=400)] = ""
    remember: bool = False


class RefreshRequest(msgspec.Struct):
    """The newest refresh token of the session."""

    refresh_token: _Token


class LogoutRequest(msgspec.Struct):
    """A refresh token of the session to end, for a client whose session token has run out."""

    refresh_token: _Token | None = None


@api.post("/challenges")
@public(slides=False, csrf=False)
@operation(
    RateLimited,
    *(AccountMalformed, AccountKeyless, ChainUnsupported, ConfirmationMalformed),
    *family(NotSignedIn),
    PermissionDenied,
    status=201,
)
def create_challenge(body: ChallengeRequest) -> Challenge:
    """Write the text for an account to sign. Changes nothing, so it needs no CSRF token."""
    attempts.count("challenges")
    ours, current = services(), wallet_session()
    if body.request is not None:
        view = session_view()
        if view is None:
            raise refusal(current)
        pending = confirmations.from_token(ours, current, body.request)
        issued = ours.challenges.issue_confirmation(view.account, pending.sentence, pending.binding)
    elif body.account is not None and body.purpose == SIGN_IN:
        issued = ours.challenges.issue(body.account, current.browser)
        refuse_type(body.session_type, lambda: issued.account)
    elif body.account is not None:
        issued = ours.challenge_for(body.purpose, body.account)
    else:
        raise BodyMalformed("neither account nor request")
    _warm_up(issued.account.namespace)
    expires_at = iso(datetime.fromtimestamp(issued.expires_at, UTC))
    return Challenge(str(issued.account), issued.message, issued.challenge, expires_at)


@api.post("/sessions")
@public(slides=False, csrf=False)
@operation(
    RateLimited, *family(SignInRefused), PermissionDenied, VerificationUnavailable, status=201, by_signature=True
)
def create_session(body: SessionRequest) -> TokenSession | SessionState:
    """Sign in. A browser, which has the cookie that its challenge is bound to, gets a session cookie; any other
    client gets tokens.
    """
    signature = bearer(request)  # whatever cookie came along: who is signed in may sign in again
    if signature is None:
        raise SignatureMalformed("no bearer")
    ours, current = services(), wallet_session()
    wanted = Wanted(
        session_type=body.session_type,
        duration=body.duration,
        permissions=body.permissions,
        wallet=body.wallet,
        remember=body.remember,
    )
    if current.browser is not None:
        current.adopt(enter(body.message, body.challenge, signature, wanted))
        return current_state()
    tokens, *secrets = ours.refresh.start()
    live = enter(body.message, body.challenge, signature, wanted, lambda record: FAMILY.put(record, tokens))
    return _with_tokens(live, ours.refresh.token(live, *secrets))


@api.post("/sessions/refresh")
@public(slides=False, csrf=False)
@operation(RateLimited, SessionExpired, SessionInvalid, TokenInvalid)
def refresh_session(body: RefreshRequest) -> TokenSession:
    """Exchange a refresh token for the next one and a new session token. This counts as activity."""
    attempts.count("refreshes")
    ours = services()
    live, token = ours.refresh.redeem(body.refresh_token)
    # Of the session that the token names, and not of the one whose cookie may have come along.
    session = WalletSession.of_client(live, token)
    follow(ours, session)
    if session.live is None:
        raise refusal(session)
    return _with_tokens(session.live, token)


@api.post("/sessions/token")
@signed_in(slides=False)
@operation(status=201)
def create_token() -> SessionToken:
    """Make a session token of this session, to show to another service. Who brings one gets the same again: else a
    stolen token would make the next for as long as the session lives.
    """
    current = wallet_session()
    if current.token is not None and current.claims is not None:
        return _as_answer(Token(current.token, current.claims.exp))
    return _token(own_session())


@api.get("/sessions/validate")
@signed_in(slides=False, shown=True)
@operation()
def validate() -> SessionState:
    """Say until when this session lives. Asking is no activity."""
    return current_state()


@api.post("/sessions/keep-alive")
@signed_in(slides=False)
@operation()
def keep_alive() -> SessionState | Response:
    """Start the idle clock again. A form without script is sent back to the page it came from."""
    ours, current = services(), wallet_session()
    assert current.live is not None  # noqa: S101  # signed_in saw to it
    renewed = ours.lifecycle.keep_alive(current.live)
    current.move(renewed)
    if current.live is None:
        raise refusal(current)
    if not wants_json():
        return redirect(csrf.safe_path(request.form.get("next"), url_for("sessions.status")), 303)
    return current_state()


@api.post("/sessions/logout")
@public(slides=False, csrf=False)
@operation(CsrfFailed, SignOutIncomplete, TokenExpired, TokenInvalid)
def logout(body: LogoutRequest | None) -> SignedOut | Response:
    """Revoke the session of this cookie or token, and with it all its tokens. Signing out twice is fine. A cookie
    that is alive takes its CSRF token.
    """
    refresh_token = body.refresh_token if body is not None else None
    try:
        end_session()  # first: if it is refused, nothing has ended
    except (TokenExpired, TokenInvalid):
        if refresh_token is None:
            raise
    if refresh_token is not None:
        services().refresh.revoke(refresh_token, "signed_out")
    return clear_browser(success(SignedOut(True)), "signed_out")


def _with_tokens(live: LoadedSession, refresh_token: str) -> TokenSession:
    view = SessionView(live, services())
    state, token = msgspec.structs.asdict(view.as_state()), msgspec.structs.asdict(_token(view))
    return services().extended(TokenSession)(**state, **token, refresh_token=refresh_token)


def _token(view: SessionView) -> SessionToken:
    fresh = view.session_type.fresh  # takes a signature each time, which another service can't ask for
    token = services().tokens.issue(
        view.live,
        session_type=view.type,
        network=view.network,
        role=view.role,
        permissions=[permission for permission in view.allowed if permission not in fresh],
    )
    return _as_answer(token)


def _as_answer(token: Token) -> SessionToken:
    return SessionToken(
        session_token=token.text,
        token_type="Bearer",  # noqa: S106  # it is its kind, and no secret
        token_expires_at=iso(datetime.fromtimestamp(token.expires_at, UTC)),
    )


def current_state() -> SessionState:
    """Return what a client is told of the session of this request, as it is by now."""
    live = wallet_session().account_live
    assert live is not None  # noqa: S101  # the guard saw to it
    state = SessionView(live, services()).as_state()
    if wallet_session().claims is None:
        # With the token of this session's id, so that the forms of a tab work again after another tab made the id
        # change.
        state.csrf_token = generate_csrf()
    return state


@cache
def _warm_up(namespace: str) -> None:
    # The person now reads the text in their wallet; the verifier's slow imports happen meanwhile.
    of_parts = services().hooks("warm")

    def warm() -> None:
        verifiers.warm(namespace)
        for each in of_parts:
            each()

    threading.Thread(target=warm, daemon=True).start()
