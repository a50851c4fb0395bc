"""Notes in an encrypted cookie why the last session of this browser ended.

The response that ends a session sets it. The page that shows the reason must not believe its own address: an attacker
can link to `/signed-out?reason=…`. A session that ended in another way needs no note, since the browser still sends
its cookie, and Redis knows the reason.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec
from flask import request
from werkzeug.wrappers import Response

from ..sessions import cookies
from ..storage.encryption import DecryptionFailed
from .services import current_services

_PLACE = b"ended session"
_SECONDS = 3600
_VALUE = re.compile(r"[A-Za-z0-9_-]{32,400}={0,2}", re.ASCII)


class Ending(msgspec.Struct, array_like=True):
    """A reason, and the account if its wallet was deleted: the page then deletes this browser's key share."""

    at: int
    reason: str
    account: str = ""


def note(response: Response, reason: str, account: str = "") -> Response:
    """Store in a cookie of the response why the session of this browser ended."""
    services = current_services()
    ending = Ending(int(services.clock()), reason, account)
    encrypted = services.requests.encrypt(msgspec.msgpack.encode(ending), _PLACE)
    value = base64.urlsafe_b64encode(encrypted).decode()
    response.set_cookie(
        services.store.ended_cookie_name, value, max_age=_SECONDS, **services.store.cookie_attributes()
    )
    return response


def noted() -> Ending | None:
    """Return the note in this browser's cookie if it is at most an hour old."""
    services = current_services()
    store = services.store
    values = cookies.values(request, store.ended_cookie_name)
    value = cookies.own_value(values, _VALUE.fullmatch, prefixed=store.settings.cookie_secure) or ""
    try:
        encrypted = base64.b64decode(value, altchars=b"-_", validate=True)
        found = msgspec.msgpack.decode(services.requests.decrypt(encrypted, _PLACE), type=Ending)
    except (DecryptionFailed, binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    return found if services.clock() - found.at <= _SECONDS else None
