"""Signing in, tokens and signing out for programs: JSON routes under /api/auth."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState
from msgspec import Meta
from werkzeug.wrappers import Response

from ...errors import (
    CsrfFailed,
    PermissionDenied,
    RateLimited,
    SessionExpired,
    SessionInvalid,
    SignatureMalformed,
    SignInRefused,
    SignOutIncomplete,
    VerificationUnavailable,
    family,
)
from ...sessions.flask_session import WalletSession, bearer
from ...sessions.record import LoadedSession
from ...web import attempts
from ...web.guards import follow, public, refusal, signed_in, wallet_session
from ...web.json_routes import current_state, signed_out_answer
from ...web.operation import operation
from ...web.pages import end_session, own_session
from ...web.schemas import SessionState, SignedOut
from ...web.services import current_services
from ...web.session_view import SessionView, iso
from ...web.sign_in import SignInOptions, authenticate
from . import Api
from .errors import TokenExpired, TokenInvalid
from .refresh_tokens import FAMILY
from .schemas import SessionToken, TokenSession
from .session_tokens import SessionTokenClaims, Token

json_routes = Blueprint("sessions_api_json", __name__, url_prefix="/api/auth")

_Text = Annotated[str, Meta(max_length=16_000)]
_Word = Annotated[str, Meta(max_length=64)]
# Longer than a refresh token, so that a client that sends the session token by mistake is told that it is the wrong
# one.
_Token = Annotated[str, Meta(max_length=8_000)]


class SessionRequest(msgspec.Struct):
    """The signed text and its challenge, as they came; the signature is the bearer. Permissions that the type does
    not grant are dropped. `duration` is in seconds; `wallet` is shown to users; `remember` is for cookies.
    """

    message: _Text
    challenge: _Text
    session_type: _Word = ""
    duration: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    permissions: Annotated[list[_Word], Meta(max_length=64)] | None = None
    wallet: Annotated[str, Meta(max_length=400)] = ""
    remember: bool = False


class RefreshRequest(msgspec.Struct):
    """The newest refresh token of the session. With `keep_alive` false the exchange is no activity, for a client
    whose user does nothing at the moment.
    """

    refresh_token: _Token
    keep_alive: bool = True


class LogoutRequest(msgspec.Struct):
    """A refresh token of the session to end, for a client whose session token has run out."""

    refresh_token: _Token | None = None


@json_routes.post("/sessions")
@public(keeps_alive=False, csrf=False)
@operation(
    RateLimited, *family(SignInRefused), PermissionDenied, VerificationUnavailable, status=201, by_signature=True
)
def create_session(body: SessionRequest) -> TokenSession | SessionState:
    """Sign in. A browser, which has the cookie that its challenge is bound to, gets a session cookie; any other
    client gets tokens.
    """
    signature = bearer(request)  # even with a cookie: a signed-in user may sign in again
    if signature is None:
        raise SignatureMalformed("no bearer")
    session = wallet_session()
    options = SignInOptions(
        session_type=body.session_type,
        duration=body.duration,
        permissions=body.permissions,
        wallet=body.wallet,
        remember=body.remember,
    )
    if session.browser is not None:
        session.adopt(authenticate(body.message, body.challenge, signature, options))
        return current_state()
    refresh = current_services().part(Api).refresh
    tokens, *secrets = refresh.start()
    live = authenticate(body.message, body.challenge, signature, options, lambda record: FAMILY.put(record, tokens))
    return _with_tokens(live, refresh.token(live, *secrets))


@json_routes.post("/sessions/refresh")
@public(keeps_alive=False, csrf=False)
@operation(RateLimited, SessionExpired, SessionInvalid, TokenInvalid)
def refresh_session(body: RefreshRequest) -> TokenSession:
    """Exchange a refresh token for the next one and a new session token. This counts as activity, unless the client
    says otherwise.
    """
    attempts.count("refreshes")
    services = current_services()
    live, token = services.part(Api).refresh.redeem(body.refresh_token, keep_alive=body.keep_alive)
    # Of the session that the token names, and not of the one whose cookie may have come along.
    session = WalletSession.of_client(live, token)
    follow(services, session)
    if session.live is None:
        raise refusal(session)
    return _with_tokens(session.live, token)


@json_routes.post("/sessions/token")
@signed_in(keeps_alive=False)
@operation(status=201)
def create_token() -> SessionToken:
    """Make a session token of this session, to show to another service. A client that sends such a token gets the
    same one back: otherwise a stolen token would yield new ones for as long as the session lives.
    """
    session = wallet_session()
    if session.token is not None and isinstance(session.claims, SessionTokenClaims):
        return _as_answer(Token(session.token, session.claims.payload.exp))
    return _token(own_session())


@public(keeps_alive=False, csrf=False)
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
        current_services().part(Api).refresh.revoke(refresh_token, "signed_out")
    return signed_out_answer()


@json_routes.record
def _take_over_logout(state: BlueprintSetupState) -> None:
    # The kernel's route knows cookies alone.
    state.app.view_functions["sessions_json.logout"] = logout


def _with_tokens(live: LoadedSession, refresh_token: str) -> TokenSession:
    view = SessionView(live, current_services())
    state, token = msgspec.structs.asdict(view.as_state()), msgspec.structs.asdict(_token(view))
    return current_services().extended(TokenSession)(**state, **token, refresh_token=refresh_token)


def _token(view: SessionView) -> SessionToken:
    fresh = view.session_type.fresh  # takes a signature each time, which another service can't ask for
    token = (
        current_services()
        .part(Api)
        .tokens.issue(
            view.live,
            session_type=view.type,
            network=view.network,
            role=view.role,
            permissions=[permission for permission in view.allowed if permission not in fresh],
        )
    )
    return _as_answer(token)


def _as_answer(token: Token) -> SessionToken:
    return SessionToken(
        session_token=token.text,
        token_type="Bearer",  # noqa: S106  # it is its kind, and no secret
        token_expires_at=iso(datetime.fromtimestamp(token.expires_at, UTC)),
    )
