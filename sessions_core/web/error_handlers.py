"""Answers errors with a page or a JSON envelope, by what the client accepts, and publishes one event each."""

from __future__ import annotations

import logging
from typing import Any, cast
from urllib.parse import quote

from flask import Flask, current_app, redirect, render_template, request, url_for
from flask.globals import request_ctx
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    SecurityError,
)
from werkzeug.wrappers import Response

from .. import errors, events
from ..settings import LOOPBACK
from . import confirmations, csrf, request_id, texts, unauthorized
from .guards import wallet_session
from .schemas import Failure, Problem, as_json
from .services import current_services

logger = logging.getLogger(__name__)

_BY_STATUS: dict[int, type[errors.SessionsError]] = {
    401: errors.NotSignedIn,
    403: errors.PermissionDenied,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.BodyTooLarge,
    415: errors.MediaTypeUnsupported,
    429: errors.RateLimited,
}

_LONGEST_IN_ADDRESS = 3800  # gunicorn takes request lines of 4094 bytes


def register(app: Flask) -> None:
    """Register handlers for this package's refusals, and for the application's errors without their own handler."""
    app.register_error_handler(errors.SessionsError, answer)
    app.register_error_handler(SecurityError, _wrong_host)
    app.register_error_handler(ClientDisconnected, _body_incomplete)
    if HTTPException not in app.error_handler_spec[None][None]:
        app.register_error_handler(HTTPException, _answer_http)


def wants_json() -> bool:
    """Whether this request reads JSON rather than pages.

    A navigation gets a page. A script gets JSON: it would follow a redirect to the sign-in page and take that page's
    200 for success. An Authorization header alone does not decide, since proxies add one to every request.
    """
    headers, accepted = request.headers, request.accept_mimetypes
    named = set(accepted.values())
    # This package's routes, and those of an application that has its own service there.
    if request.path.startswith(("/api/", f"{current_services().settings.url_prefix}/api/")):
        return "text/html" not in named  # a form in a browser without script names it
    if request.is_json or wallet_session().claims is not None:
        return True
    if "text/html" in named:
        return accepted["application/json"] > accepted["text/html"]
    by_script = (
        headers.get("X-Requested-With") == "XMLHttpRequest"  # jQuery, and others that send `Accept: */*`
        or headers.get("Sec-Fetch-Dest") == "empty"  # fetch and XMLHttpRequest (Fetch Metadata, section 2.1)
        or wallet_session().token is not None  # a client with a token that ran out, say
    )
    return by_script or "application/json" in named


def answer(error: errors.SessionsError) -> ResponseReturnValue:
    """Answer a refusal from the closed set."""
    if isinstance(error, errors.StoreUnavailable) and request.endpoint in current_services().sign_outs:
        error = errors.SignOutIncomplete(*error.args, retry_after=error.retry_after)
    found_by = note(error)
    if not wants_json():
        elsewhere = _elsewhere(error)
        if elsewhere is not None:
            return elsewhere
    body: str | Response = envelope(error, found_by) if wants_json() else _page(error, found_by)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    if error.status == 401:  # RFC 6750, section 3: without a token in the request, no error is named
        headers["WWW-Authenticate"] = "Bearer" + (' error="invalid_token"' if wallet_session().token else "")
    return body, error.status, headers


def note(error: errors.SessionsError) -> str:
    """Publish the one event of a refusal, log a fault of the server, and return the request id that finds it.

    Ordinary refusals publish none: a page that isn't there, a session that is missing or has ended. A cookie that
    never was a session does, and so does a token that this site did not issue.
    """
    if isinstance(error, errors.StepUpRequired):
        pass  # no refusal, or `confirmations` has published it
    elif isinstance(error, errors.SignInRefused):
        events.publish(events.SignInFailed(code=error.code, account=error.account))
    elif (
        error.reason == "unknown" or error.suspicious or not isinstance(error, (errors.NotSignedIn, errors.NotFound))
    ):
        refused = events.RequestRefused(
            code=error.code, endpoint=request.endpoint, reason=error.reason, cause=error.cause
        )
        events.publish(refused)
    current = request_id.current() or ""
    if error.status >= 500:
        logger.error("%s (request %s): %s", error.code, current, error)
    return current


def envelope(error: errors.SessionsError, found_by: str) -> Response:
    """Return the JSON form of an error; the request id `found_by` finds it in the log."""
    problem = Problem(code=error.code, message=texts.gettext(error.message, **error.values), request_id=found_by)
    if error.reason is not None:
        problem.reason = error.reason
    if error.cause is not None and current_services().settings.development:
        problem.cause = error.cause
    if isinstance(error, errors.PermissionDenied) and error.reason is not None:
        problem.missing, problem.kind = error.missing, error.kind
    if isinstance(error, errors.StepUpRequired):
        problem.request = error.request
        if error.problem:
            problem.problem = error.problem
    return as_json(Failure(False, problem), error.status)


def _page(error: errors.SessionsError, found_by: str) -> str:
    cause = error.cause if current_services().settings.development else None
    return render_template("sessions/error.html", error=error, request_id=found_by, back=_back(error), cause=cause)


def _back(error: errors.SessionsError) -> str | None:
    # The page whose form failed, to open it again with one click. The client controls the Referer, so only its path
    # is used.
    referrer = request.headers.get("Referer", "")
    public_origin = current_services().settings.public_origin
    path = referrer.removeprefix(public_origin)
    if referrer.startswith(public_origin + "/") and csrf.is_safe_path(path):
        return path
    path = request.script_root + request.path
    if isinstance(error, errors.StoreUnavailable) and request.method == "GET" and csrf.is_safe_path(path):
        return path
    return None


def _elsewhere(error: errors.SessionsError) -> Response | None:
    """Return a redirect to the page on which the user can fix the problem, or `None`."""
    if isinstance(error, errors.NotSignedIn):
        # The user has to read what may have been done before leaving the page.
        return None if isinstance(error, errors.SessionEndedDuringRequest) else _to_sign_in(error)
    if isinstance(error, errors.StepUpRequired):
        if len(error.request) > _LONGEST_IN_ADDRESS:
            page = confirmations.page(current_services(), wallet_session(), error.request, error.problem)
            return current_app.make_response((page, error.status))
        return redirect(url_for("sessions.confirm", request=error.request, problem=error.problem or None), 303)
    if isinstance(error, errors.PermissionDenied) and error.reason not in (None, "own_account"):
        named: dict[str, Any] = {error.kind: error.missing, **_target()}
        if csrf.linked_from_elsewhere(request):  # `/unauthorized` could not tell whether that site made it up
            return current_app.make_response((unauthorized.page(named), error.status))
        return redirect(url_for("sessions.unauthorized", **named), 303)
    return None


def _target() -> dict[str, Any]:
    path = request.script_root + csrf.address_of(request)
    returns = request.method == "GET" and csrf.is_safe_path(path) and len(quote(path)) <= _LONGEST_IN_ADDRESS
    return {"next": path} if returns else {}


def _to_sign_in(error: errors.NotSignedIn) -> Response:
    target = _target()
    session_type = current_services().policy.type_of_handle(wallet_session().ended_handle)
    if session_type is not None and session_type is not current_services().policy.standard:
        target["session_type"] = session_type.name  # the page names its clocks, and offers a new session of that type
    if error.reason and error.reason != "no_token":
        target["reason"] = error.reason
    return redirect(url_for("sessions.sign_in", **target), 303)


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    if error.code is not None and error.code < 400:
        return error  # a redirect that Werkzeug raises, to the path with its slash
    own = current_app.error_handler_spec[None][None].get(Exception)
    if own is not None:  # the application's handler for all errors, which this package's handlers would come before
        return cast(ResponseReturnValue, current_app.ensure_sync(own)(error))
    if isinstance(error, InternalServerError):
        cause = error.original_exception
        if isinstance(cause, errors.SessionsError):
            return answer(cause)
        if cause is not None:
            return answer(errors.SessionsError(str(cause)))
    status = error.code or 500
    otherwise = errors.BadRequest if status < 500 else errors.SessionsError
    refusal = _BY_STATUS.get(status, otherwise)(error.name)
    refusal.status = status  # a view that aborts with 409 or 503 intends that status
    if "description" in vars(error) and error.description:
        refusal.title, refusal.message = error.name, error.description  # the application's own words
        refusal.said = error.description
    elif isinstance(error, RequestEntityTooLarge) and request.max_content_length is not None:
        from humanize import naturalsize  # 20 ms to import

        size = naturalsize(request.max_content_length, binary=True)
        refusal.message = refusal.said = texts.gettext(
            "What you sent is larger than this address accepts: at most %(size)s.", size=size
        )
    response = current_app.make_response(answer(refusal))
    for name, value in error.get_headers():  # Allow, Retry-After, Content-Range …
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _body_incomplete(_: ClientDisconnected) -> ResponseReturnValue:
    return answer(errors.BodyIncomplete("the body ended early"))


def _wrong_host(_: SecurityError) -> ResponseReturnValue:
    settings = current_services().settings
    # Flask routes nothing for a host it refuses; the links of the error page have the configured origin.
    request_ctx.url_adapter = current_app.url_map.bind(settings.domain)
    host = request.environ.get("HTTP_HOST", "").rpartition(":")[0] or request.environ.get("HTTP_HOST", "")
    if settings.development and request.method == "GET" and host.strip("[]") in LOOPBACK:
        # 127.0.0.1 is another origin than localhost: wallets compare the address bar with the text they sign.
        logger.warning(
            "Opened at %s; sending the browser to %s, which is SESSIONS_CORE_PUBLIC_ORIGIN",
            host,
            settings.public_origin,
        )
        return redirect(settings.public_origin + csrf.safe_path(request.script_root + request.path, "/"), 307)
    return answer(errors.HostUntrusted(host, cause=csrf.cause_of_host(request, settings)))
