"""The JSON service under /api/auth, in the envelope `{"success": true, "data": …}`."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response

from .. import chains, clients
from ..errors import BodyMalformed, ChainUnsupported, SignatureMalformed, TokenExpired, TokenInvalid
from ..records import Ended, Live
from ..store import WalletSession, bearer
from ..tokens import Token
from . import bodies, confirmations, origin
from .entrance import Wanted, enter
from .failures import wants_json
from .guards import follow, public, refusal, session_view, signed_in, wallet_session
from .pages import clear_browser, end_session
from .services import services
from .view import SessionView, iso

api = Blueprint("sessions_api", __name__, url_prefix="/api/auth")


_Text = Annotated[str, msgspec.Meta(max_length=16_000)]
# Longer than a refresh token: who sends the session token by mistake is told that it is the wrong one.
_Token = Annotated[str, msgspec.Meta(max_length=8_000)]


class SessionRequest(msgspec.Struct):
    """The body of `POST sessions`; the signature comes as the bearer. `duration` is in seconds."""

    message: _Text
    challenge: _Text
    session_type: Annotated[str, msgspec.Meta(max_length=64)] = ""
    duration: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None
    permissions: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=64)] | None = (
        None
    )
    wallet: Annotated[str, msgspec.Meta(max_length=400)] = ""
    remember: bool = False


class RefreshRequest(msgspec.Struct):
    """The body of `POST sessions/refresh`."""

    refresh_token: _Token


class LogoutRequest(msgspec.Struct):
    """The body of `POST sessions/logout`, for a client whose session token has run out."""

    refresh_token: _Token | None = None


class ChallengeRequest(msgspec.Struct):
    """The body of `POST challenges`: an account to sign in with or to link, or a waiting request to confirm."""

    account: str | None = None
    purpose: Literal["sign-in", "link"] = "sign-in"
    request: str | None = None


@api.post("/challenges")
@public(slides=False, csrf=False)
def create_challenge() -> ResponseReturnValue:
    """Write the text for an account to sign. Changes nothing and stores nothing, so it needs no CSRF token."""
    body, ours, current = bodies.read(request, ChallengeRequest), services(), wallet_session()
    if body.request is not None:
        view = session_view()
        if view is None:
            raise refusal(current)
        pending = confirmations.from_token(ours, current, body.request)
        issued = ours.challenges.issue_confirmation(view.account, pending.sentence, pending.binding)
    elif body.account is not None and body.purpose == "link":
        view = session_view()
        if view is None:
            raise refusal(current)
        statement = ours.actions.sentence("wallet.join", {"account": str(view.account)})
        issued = ours.challenges.issue_link(body.account, statement, view.handle)
        ours.people.admit(issued.account, view.person)
    elif body.account is not None:
        issued = ours.challenges.issue(body.account, current.browser)
    else:
        raise BodyMalformed("neither account nor request")
    _warm_up(issued.account.namespace)
    return success(
        {
            "account": str(issued.account),
            "message": issued.message,
            "challenge": issued.challenge,
            "expires_at": iso(datetime.fromtimestamp(issued.expires_at, UTC)),
        },
        201,
    )


class AccountRequest(msgspec.Struct):
    """The body of `POST accounts`: a chain (CAIP-2), and a public key in the encoding of that chain."""

    chain: str
    public_key: str


@api.post("/accounts")
@public(slides=False, csrf=False)
def find_account() -> ResponseReturnValue:
    """Say which account a public key has, where a browser can't work that out. Anybody can; it says nothing more."""
    body = bodies.read(request, AccountRequest)
    if body.chain not in services().settings.chains:
        raise ChainUnsupported(body.chain)
    return success({"account": str(chains.account_of_key(body.chain, body.public_key))})


@api.post("/sessions")
@public(slides=False, csrf=False)
def create_session() -> ResponseReturnValue:
    """Sign in. A browser, which has the cookie that its challenge is bound to, gets a session cookie; any other
    client gets tokens.
    """
    signature = bearer(request)  # whatever cookie came along: who is signed in may sign in again
    if signature is None:
        raise SignatureMalformed("no bearer")
    body, ours, current = bodies.read(request, SessionRequest), services(), wallet_session()
    wanted = Wanted(
        session_type=body.session_type,
        duration=body.duration,
        permissions=body.permissions,
        wallet=body.wallet,
        remember=body.remember,
    )
    if current.browser is not None:
        current.adopt(enter(body.message, body.challenge, signature, wanted))
        return success(_state(), 201)
    family, *secrets = ours.refresh.start()
    live = enter(body.message, body.challenge, signature, wanted, family)
    return success(_with_tokens(live, ours.refresh.token(live, *secrets)), 201)


@api.post("/sessions/refresh")
@public(slides=False, csrf=False)
def refresh_session() -> ResponseReturnValue:
    """Exchange a refresh token for the next one and a new session token; this counts as activity."""
    ours = services()
    live, token = ours.refresh.redeem(bodies.read(request, RefreshRequest).refresh_token)
    # Of the session that the token names, and not of the one whose cookie may have come along.
    session = WalletSession(sid=None, browser=None, token=token)
    session.fill(live)
    follow(ours, session)
    if session.live is None:
        raise refusal(session)
    return success(_with_tokens(session.live, token))


@api.post("/sessions/token")
@signed_in(slides=False)
def create_token() -> ResponseReturnValue:
    """Make a session token of this session, to show to another service. Who brings one gets the same again: else a
    stolen token would make the next for as long as the session lives.
    """
    view, current = session_view(), wallet_session()
    assert view is not None  # noqa: S101  # signed_in saw to it
    if current.token is not None and current.claims is not None:
        return success(_as_json(Token(current.token, current.claims.exp)), 201)
    return success(_token(view), 201)


@api.get("/sessions/validate")
@signed_in(slides=False, shown=True)
def validate() -> ResponseReturnValue:
    """Say until when this session lives; asking is no activity."""
    return success(_state())


@api.post("/sessions/keep-alive")
@signed_in(slides=False)
def keep_alive() -> ResponseReturnValue:
    """Start the idle clock again. A form without script is sent back to the page it came from."""
    ours, current = services(), wallet_session()
    assert current.live is not None  # noqa: S101  # signed_in saw to it
    renewed = ours.lifecycle.renew(current.live)
    if isinstance(renewed, Ended):
        current.lose(renewed.reason)
        raise refusal(current)
    current.live = renewed
    if not wants_json():
        return redirect(origin.safe_path(request.form.get("next"), url_for("sessions.status")), 303)
    return success(_state())


@api.post("/sessions/logout")
@public(slides=False, csrf=False)
def logout() -> ResponseReturnValue:
    """Revoke the session of this cookie or token, and with it all its tokens; signing out twice is fine."""
    body = bodies.read(request, LogoutRequest) if request.is_json else LogoutRequest()
    try:
        end_session()  # first: if it is refused, nothing has ended
    except (TokenExpired, TokenInvalid):
        if body.refresh_token is None:
            raise
    if body.refresh_token is not None:
        services().refresh.revoke(body.refresh_token, "signed_out")
    return clear_browser(success({"signed_out": True}))


def _with_tokens(live: Live, refresh_token: str) -> dict[str, Any]:
    view = SessionView(live, services())
    return _token(view) | {"refresh_token": refresh_token} | view.as_json()


def _token(view: SessionView) -> dict[str, Any]:
    fresh = view.session_type.fresh  # takes a signature each time, which another service can't ask for
    token = services().tokens.issue(
        view.live,
        session_type=view.type,
        network=view.network,
        role=view.role,
        permissions=[permission for permission in view.allowed if permission not in fresh],
    )
    return _as_json(token)


def _as_json(token: Token) -> dict[str, Any]:
    return {
        "session_token": token.text,
        "token_type": "Bearer",
        "token_expires_at": iso(datetime.fromtimestamp(token.expires_at, UTC)),
    }


def _state() -> dict[str, Any]:
    view = session_view()
    assert view is not None  # noqa: S101  # signed_in saw to it
    if wallet_session().claims is not None:
        return view.as_json()
    # With the token of this session's id, so that the forms of a tab work again after another tab made the id change.
    return view.as_json() | {"csrf_token": generate_csrf()}


def success(data: dict[str, Any], status: int = 200) -> Response:
    """Return data in the envelope of the service."""
    response = jsonify(success=True, data=data)
    response.status_code = status
    return response


@cache
def _warm_up(namespace: str) -> None:
    # The person now reads the text in their wallet; the verifier's slow imports happen meanwhile.
    def warm() -> None:
        chains.warm(namespace)
        clients.warm()

    threading.Thread(target=warm, daemon=True).start()
