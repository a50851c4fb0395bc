"""Where a request comes from and where an answer may send people: CSRF in layers, and safe redirect targets."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Request, g
from itsdangerous import BadData, URLSafeTimedSerializer

from ..errors import CrossSiteRequest, CsrfFailed
from ..records import CONFIRMING_GRACE, CSRF_KEY, GRACE
from ..settings import Settings
from ..store import WalletSession

CONFIRMATION_HEADER = "Wallet-Confirmation"
"""Where a client of the JSON service puts the proof that confirms a request (see `confirmations`)."""

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
# Path, query and fragment in the characters RFC 3986 allows: no backslash (browsers read it as a slash), no control
# characters.
_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{0,4000}", re.ASCII)


def refuse_cross_site(request: Request, settings: Settings) -> None:
    """Refuse a change that another site's page sent; raise `CrossSiteRequest`.

    Browsers say where a request comes from in headers that no page can set: Sec-Fetch-Site, and Origin in those that
    do not know it. A client that sends neither is no browser, or an old one, which the token stops.

    Under `Referrer-Policy: no-referrer` browsers send `Origin: null` with forms (Fetch, "append a request `Origin`
    header"). Then Sec-Fetch-Site decides alone. For sandboxed frames and data: pages it is "cross-site".
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSiteRequest("Sec-Fetch-Site", site)
    origin = request.headers.get("Origin")
    if origin is None or origin == settings.public_origin or (origin == "null" and site == "same-origin"):
        return
    raise CrossSiteRequest("Origin", origin, reason="origin_hidden" if origin == "null" and site is None else None)


def linked_from_elsewhere(request: Request) -> bool:
    """Whether a page of another site led here, by a link or a redirect. Old browsers don't say."""
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def demand_token(request: Request, config: Mapping[str, Any], current: WalletSession) -> None:
    """Refuse a change without the CSRF token of this session or browser; raise `CsrfFailed`.

    Flask-WTF makes the tokens and this checks them. Its own check looks at POST, PUT, PATCH and DELETE only. Over
    https it also demands a Referer, which says less than the headers that `refuse_cross_site` looks at.
    """
    given = _token_of(request, config)
    if given is None:
        raise CsrfFailed("neither a field csrf_token nor a header X-CSRFToken", reason="token_missing")
    wanted = _csrf_secrets(request, current)
    # WTF_CSRF_SECRET_KEY holds all secrets (see `extension`): a form that was open before a rotation still works.
    serializer = URLSafeTimedSerializer(config["WTF_CSRF_SECRET_KEY"], salt="wtf-csrf-token")
    try:
        found = str(serializer.loads(given, max_age=config["WTF_CSRF_TIME_LIMIT"]))
    except BadData as error:
        raise CsrfFailed(str(error), reason="token_wrong") from error
    if not any(hmac.compare_digest(found.encode(), secret.encode()) for secret in wanted):
        # A token of ours, but the cookie that it belongs to did not come along: cookies are blocked, or were cleared.
        cookieless = current.sid is None and current.browser is None and current.ended is None
        raise CsrfFailed("of another session", reason="cookie_missing" if cookieless else "token_wrong")
    g.csrf_valid = True  # a FlaskForm in the view need not check it again


def _csrf_secrets(request: Request, current: WalletSession) -> list[str]:
    """Return the secrets that a token may hold: that of the session, or of a visitor's browser; and those that the
    session had until its id changed just now.
    """
    secrets = [current[CSRF_KEY]] if CSRF_KEY in current else []
    live = current.account_live
    if live is not None:
        # A client that brings a signature was told to send the same request again, and the wallet takes its time. A
        # page of another site can't set that header.
        grace = CONFIRMING_GRACE if CONFIRMATION_HEADER in request.headers else GRACE
        secrets += live.record.former_csrf(since=live.now - grace)
    return secrets


def _token_of(request: Request, config: Mapping[str, Any]) -> str | None:
    # A FlaskForm with a prefix puts that before the name of each field.
    prefixed = (value for name, value in request.form.items() if name.endswith(CSRF_KEY))
    headers = (request.headers.get(name) for name in config["WTF_CSRF_HEADERS"])
    return next((token for token in (request.form.get(CSRF_KEY), *prefixed, *headers) if token), None)


def address_of(request: Request) -> str:
    """Return path and query of a request as they can be asked for again: percent-encoded, and so never ambiguous."""
    path = quote(request.path, safe="/:@!$&'()*+,;=~")
    query = quote(request.query_string, safe="/?:@!$&'()*+,;=~[]%")
    return f"{path}?{query}" if query else path


def is_safe_path(target: str) -> bool:
    """Whether a redirect to `target` stays on this site."""
    # "//evil.example" and "/\\evil.example" are other hosts to a browser.
    return _PATH.fullmatch(target) is not None


def safe_path(target: str | None, otherwise: str) -> str:
    """Return `target` if it is a path on this site, and `otherwise` if not. An unsafe fragment is left out."""
    path = (target or "").partition("#")[0]
    if not is_safe_path(path):
        return otherwise
    return target if target and is_safe_path(target) else path
