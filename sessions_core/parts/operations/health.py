"""For machines: is the process alive, can it take requests, and its numbers. Always JSON, or Prometheus' text."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Any

from flask import current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from ... import errors
from ...settings import Settings
from ...web import error_handlers
from ...web.guards import sessionless
from ...web.operation import operation
from ...web.pages import pages
from ...web.schemas import Alive, Ready
from ...web.services import services
from . import metrics
from .readiness import READY


class AnyHost:
    """Lets `/livez` and `/readyz` be asked by address, as load balancers do; nothing they answer depends on the host.

    `/metrics` too, once it takes a secret. Without one a page that has its own name point here could have a browser
    read it.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], settings: Settings) -> None:
        self._app = app
        self._domain = settings.domain
        paths = ("/livez", "/readyz", *(["/metrics"] if settings.metrics_secret else []))
        self._paths = tuple(settings.url_prefix + path for path in paths)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application as if these had been asked for at the site's own address."""
        if environ.get("PATH_INFO") in self._paths:
            environ["HTTP_HOST"] = self._domain
        return self._app(environ, start_response)


@pages.get("/livez")
@sessionless
@operation()
def livez() -> Alive:
    """Say that this process answers. Asks nobody: restarting it would not heal Redis."""
    return Alive(True)


@pages.get("/readyz")
@sessionless
@operation(errors.NotReady)
def readyz() -> Ready | Response:
    """Say whether requests should be sent here, within 200 milliseconds; what is wrong is a word of a closed set."""
    trouble = services().readiness.trouble()
    if trouble in READY:
        return Ready(True, trouble)
    if trouble is not None:
        return _refused(errors.NotReady(trouble, reason=trouble))
    return Ready(True)


@pages.get("/metrics")
@sessionless
def metrics_text() -> ResponseReturnValue:
    """Answer the numbers to who may read them; to others there is nothing here."""
    ours = services()
    if not _may_read(ours.settings):
        return _refused(errors.NotFound("no such secret"))
    return metrics.text(ours.census.latest()), {"Content-Type": metrics.CONTENT_TYPE}


def _may_read(settings: Settings) -> bool:
    if settings.metrics_secret is None:
        return settings.development
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.metrics_secret.encode()
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1", "replace"), wanted)


def _refused(error: errors.SessionsError) -> Response:
    response = current_app.make_response(error_handlers.envelope(error, error_handlers.note(error)))
    response.status_code = error.status
    return response
