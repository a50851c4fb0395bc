"""Routes for machines: liveness, readiness, metrics and checks. Always JSON, or Prometheus' text."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from ... import errors
from ...settings import Settings
from ...web import error_handlers
from ...web.guards import sessionless
from ...web.operation import operation
from ...web.services import current_services
from . import Operations, metrics, site_checks
from .errors import NotReady
from .readiness import READY

health = Blueprint("sessions_operations", __name__, template_folder="templates")


class Alive(msgspec.Struct):
    """The process answers."""

    alive: Literal[True]


class Ready(msgspec.Struct):
    """The process can take requests. `trouble` says what is wrong all the same: "redis_partial" is that the sessions
    of part of the accounts are out of reach.
    """

    ready: Literal[True]
    trouble: str | msgspec.UnsetType = msgspec.UNSET


class AnyHost:
    """Lets `/livez` and `/readyz` be asked by address, as load balancers do; nothing they answer depends on the host.

    `/metrics` too, once it takes a secret. Without one an attacker's page whose host name points here could read it
    through a browser.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings, metrics_secret: str | None) -> None:
        self._app = app
        self._domain = settings.domain
        paths = ("/livez", "/readyz", *(["/metrics"] if metrics_secret else []))
        self._paths = tuple(settings.url_prefix + path for path in paths)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application as if these had been asked for at the site's own address."""
        if environ.get("PATH_INFO") in self._paths:
            environ["HTTP_HOST"] = self._domain
        return self._app(environ, start_response)


@health.get("/livez")
@sessionless
@operation()
def livez() -> Alive:
    """Say that this process answers. It does not ask Redis: a restart of this process would not heal that."""
    return Alive(True)


@health.get("/readyz")
@sessionless
@operation(NotReady)
def readyz() -> Ready | Response:
    """Say whether requests should be sent here, within 200 milliseconds; what is wrong is a word of a closed set."""
    trouble = current_services().part(Operations).readiness.trouble()
    if trouble in READY:
        return Ready(True, trouble)
    if trouble is not None:
        return _refused(NotReady(trouble, reason=trouble))
    return Ready(True)


@health.get("/metrics")
@sessionless
def metrics_text() -> ResponseReturnValue:
    """Return the metrics to clients that may read them, and 404 to others."""
    operations = current_services().part(Operations)
    if not _may_read(operations.options.metrics_secret):
        return _refused(errors.NotFound("no such secret"))
    return metrics.text(operations.session_count.latest()), {"Content-Type": metrics.CONTENT_TYPE}


@health.get(site_checks.PATH)
@sessionless
def checkz() -> ResponseReturnValue:
    """Tell `flask sessions check` how its request arrived, and others 404."""
    services = current_services()
    proxies: Any = services.parts.get("reverse_proxy")
    trusted = proxies.options.trusted_proxies if proxies else 0
    told = site_checks.arrived(request, services.settings.secrets, trusted)
    return _refused(errors.NotFound("no such secret")) if told is None else msgspec.to_builtins(told)


def _may_read(secret: str | None) -> bool:
    if secret is None:
        return current_services().settings.development
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    given_bytes = given.strip().encode("latin-1", "replace")
    return scheme.lower() == "bearer" and hmac.compare_digest(given_bytes, secret.encode())


def _refused(error: errors.SessionsError) -> Response:
    response = current_app.make_response(error_handlers.envelope(error, error_handlers.note(error)))
    response.status_code = error.status
    return response
