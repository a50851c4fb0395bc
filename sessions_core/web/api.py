"""The JSON service under /api/auth, in the envelope `{"success": true, "data": …}`."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from flask import Blueprint, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response

from .. import chains, clients
from ..errors import BodyMalformed
from ..records import Ended
from . import bodies, confirmations, limits, origin
from .failures import wants_json
from .guards import public, refusal, session_view, signed_in, wallet_session
from .pages import clear_browser, end_session
from .services import services
from .view import iso

api = Blueprint("sessions_api", __name__, url_prefix="/api/auth")


class ChallengeRequest(msgspec.Struct):
    """The body of `POST challenges`: an account to sign in with, or a waiting request of this session to confirm."""

    account: str | None = None
    request: str | None = None


@api.post("/challenges")
@public(slides=False, csrf=False)
def create_challenge() -> ResponseReturnValue:
    """Write the text for an account to sign. Changes nothing, so it needs no CSRF token."""
    limits.spend("challenges")
    body, ours, current = bodies.read(request, ChallengeRequest), services(), wallet_session()
    if body.request is not None:
        view = session_view()
        if view is None:
            raise refusal(current)
        pending = confirmations.from_token(ours, current, body.request)
        issued = ours.challenges.issue_confirmation(view.account, pending.sentence, pending.binding)
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


@api.get("/sessions/validate")
@signed_in(slides=False)
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
    """Revoke the session of this cookie; signing out twice is fine."""
    end_session()
    return clear_browser(success({"signed_out": True}))


def _state() -> dict[str, Any]:
    view = session_view()
    assert view is not None  # noqa: S101  # signed_in saw to it
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
