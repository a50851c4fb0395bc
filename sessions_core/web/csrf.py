"""Checks of where a request comes from and where a response may redirect to: CSRF in layers, and safe targets."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Request, g
from itsdangerous import BadData, URLSafeTimedSerializer

from ..errors import CrossSiteRequest, CsrfFailed
from ..sessions.flask_session import WalletSession
from ..sessions.record import CONFIRMING_GRACE, CSRF_KEY, GRACE
from ..settings import PREFIX, Settings
from ..sign_in.addresses import read_address

CONFIRMATION_HEADER = "Wallet-Confirmation"
"""Where a client of the JSON service puts the proof that confirms a request (see `confirmations`)."""

_WITHOUT = (
    "Neither the field csrf_token nor the header X-CSRFToken came along. Write into the form: "
    '<input type="hidden" name="csrf_token" value="{{ csrf_token() }}"> or, if the route takes requests of '
    "programs that authenticate in another way, @public(csrf=False)."
)
_LOAD_AGAIN = "Load the page with the form again; a script takes the token from the page or an answer it just got."

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
# Path, query and fragment in the characters RFC 3986 allows: no backslash (browsers read it as a slash), no control
# characters.
_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{0,4000}", re.ASCII)


AllowOrigin = Callable[[Request, str], bool]


def refuse_cross_site(request: Request, settings: Settings, allow_origin: Iterable[AllowOrigin] = ()) -> None:
    """Raise `CrossSiteRequest` for a change that another site's page sent.

    `allow_origin` are the parts' own rules: one that returns true lets a page of another origin send the request.

    Browsers say where a request comes from in headers that no page can set: Sec-Fetch-Site, and Origin in those that
    do not know it. A client that sends neither is no browser, or an old one, which the token stops.

    Under `Referrer-Policy: no-referrer` browsers send `Origin: null` with forms (Fetch, "append a request `Origin`
    header"). Then Sec-Fetch-Site decides alone. For sandboxed frames and data: pages it is "cross-site".

    A request with a valid bearer token and no session cookie is not checked: no page can make the browser send it.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if origin is not None and any(allow(request, origin) for allow in allow_origin):
        return
    if site not in (None, "same-origin", "none"):
        raise CrossSiteRequest("Sec-Fetch-Site", site, cause=_cause_of_origin(origin, site, settings))
    if origin is None or origin == settings.public_origin or (origin == "null" and site == "same-origin"):
        return
    if site == "same-origin" or urlsplit(origin).netloc == request.host:
        # A page of this site, at an address that the settings don't have: another port, or http instead of https.
        cause = (
            f"The browser is at {_quoted(origin)}, and {PREFIX}PUBLIC_ORIGIN is {settings.public_origin!r}. Open "
            f'{settings.public_origin}, or write app.config["{PREFIX}PUBLIC_ORIGIN"] = {_quoted(origin)}'
        )
        raise CrossSiteRequest("Origin", origin, reason="other_address", cause=cause)
    reason = "origin_hidden" if origin == "null" and site is None else None
    raise CrossSiteRequest("Origin", origin, reason=reason, cause=_cause_of_origin(origin, site, settings))


def _cause_of_origin(origin: str | None, site: str | None, settings: Settings) -> str:
    """Return what a developer has to know about a cross-site request."""
    if origin == "null":
        return (
            "The browser sent Origin: null, which hides the page that sent this, and no Sec-Fetch-Site: same-origin."
        )
    return (
        f"A page of {_quoted(origin) if origin else 'another origin'} sent this (Sec-Fetch-Site: "
        f"{_quoted(site or 'missing')}), and {PREFIX}PUBLIC_ORIGIN is {settings.public_origin!r}. Other origins are "
        "refused; docs/integrate.md says what a payment provider's form and an application on another origin take."
    )


def cause_of_host(request: Request, settings: Settings) -> str:
    """Return what a developer has to know about a request for a host that is not trusted."""
    host: str = request.environ.get("HTTP_HOST", "")
    # In development this is on the page, which must not repeat names that an attacker made up.
    shown = _quoted(host) if not settings.development or read_address(host) else "another host"
    return (
        f"The browser asked for {shown}, and {PREFIX}PUBLIC_ORIGIN is {settings.public_origin!r}. "
        f"Open {settings.public_origin}, or set {PREFIX}PUBLIC_ORIGIN. Behind a proxy that renames the host, set "
        f"{PREFIX}TRUSTED_PROXIES and have the proxy send X-Forwarded-Host."
    )


def _quoted(text: str) -> str:
    return ascii(text[:100])


def linked_from_elsewhere(request: Request) -> bool:
    """Whether a page of another site led here, by a link or a redirect. Old browsers don't tell."""
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def demand_token(request: Request, config: Mapping[str, Any], session: WalletSession) -> None:
    """Raise `CsrfFailed` for a change without the CSRF token of this session or browser.

    Flask-WTF makes the tokens and this checks them. Its own check looks at POST, PUT, PATCH and DELETE only. Over
    https it also demands a Referer, which says less than the headers that `refuse_cross_site` looks at.
    """
    given = _token_of(request, config)
    if given is None:
        raise CsrfFailed("neither field nor header", reason="token_missing", cause=_WITHOUT)
    wanted = _csrf_secrets(request, session)
    # WTF_CSRF_SECRET_KEY holds all secrets (see `extension`): a form that was open before a rotation still works.
    serializer = URLSafeTimedSerializer(config["WTF_CSRF_SECRET_KEY"], salt="wtf-csrf-token")
    try:
        found = str(serializer.loads(given, max_age=config["WTF_CSRF_TIME_LIMIT"]))
    except BadData as error:
        cause = f"The CSRF token is not one of this SECRET_KEY and its fallbacks, or too old ({error}). {_LOAD_AGAIN}"
        raise CsrfFailed(str(error), reason="token_wrong", cause=cause) from error
    if not any(hmac.compare_digest(found.encode(), secret.encode()) for secret in wanted):
        # This site issued the token, but its cookie did not come along: cookies are blocked, or were cleared.
        cookieless = session.sid is None and session.browser is None and session.ended is None
        if cookieless:
            raise CsrfFailed("no cookie", reason="cookie_missing", cause=_cause_of_cookie(request, config))
        cause = f"The CSRF token belongs to another session, or to this browser before it signed in. {_LOAD_AGAIN}"
        raise CsrfFailed("of another session", reason="token_wrong", cause=cause)
    g.csrf_valid = True  # a FlaskForm in the view need not check it again


def _cause_of_cookie(request: Request, config: Mapping[str, Any]) -> str:
    name = config["SESSION_COOKIE_NAME"]
    came = ", ".join(_quoted(each) for each in list(request.cookies)[:10])
    cause = f"The CSRF token came without the cookie it belongs to: neither {name} nor the cookie for visitors came, "
    cause += f"only {came}. " if came else "and no other cookie. "
    if config["SESSION_COOKIE_SECURE"] and request.scheme == "http":
        return cause + (
            f"Safari keeps no Secure cookie of http://localhost: for this machine, write app.config"
            f'["{PREFIX}COOKIE_SECURE"] = False. A script has to fetch with credentials: "same-origin".'
        )
    return cause + 'The browser blocks cookies, or a script has to fetch with credentials: "same-origin".'


def _csrf_secrets(request: Request, session: WalletSession) -> list[str]:
    """Return the secrets that a token may contain: that of the session, or of a visitor's browser; and those that the
    session had until its id changed just now.
    """
    secrets = [session[CSRF_KEY]] if CSRF_KEY in session else []
    live = session.account_live
    if live is not None:
        # A client with a signature was told to send the same request again, and signing takes time. A page of another
        # site can't set that header.
        grace = CONFIRMING_GRACE if CONFIRMATION_HEADER in request.headers else GRACE
        secrets += live.record.former_csrf(since=live.now - grace)
    return secrets


def _token_of(request: Request, config: Mapping[str, Any]) -> str | None:
    # A FlaskForm with a prefix puts that before the name of each field.
    prefixed = (value for name, value in request.form.items() if name.endswith(CSRF_KEY))
    headers = (request.headers.get(name) for name in config["WTF_CSRF_HEADERS"])
    return next((token for token in (request.form.get(CSRF_KEY), *prefixed, *headers) if token), None)


def address_of(request: Request) -> str:
    """Return path and query of a request for a repeated request: percent-encoded, and so never ambiguous."""
    path = quote(request.path, safe="/:@!$&'()*+,;=~")
    query = quote(request.query_string, safe="/?:@!$&'()*+,;=~[]%")
    return f"{path}?{query}" if query else path


def is_safe_path(target: str) -> bool:
    """Whether a redirect to `target` stays on this site."""
    # "//evil.example" and "/\\evil.example" are other hosts to a browser.
    return _PATH.fullmatch(target) is not None


def safe_path(target: str | None, otherwise: str) -> str:
    """Return `target` if it is a path on this site, otherwise `otherwise`. An unsafe fragment is removed."""
    path = (target or "").partition("#")[0]
    if not is_safe_path(path):
        return otherwise
    return target if target and is_safe_path(target) else path
