"""Where a request comes from and where an answer may send people: CSRF in layers, and safe redirect targets."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import Request
from flask_wtf.csrf import CSRFError, CSRFProtect

from ..errors import CrossSiteRequest, CsrfFailed
from ..settings import Settings

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
# Path, query and fragment in the characters RFC 3986 allows: no backslash (browsers read it as a slash), no control
# characters.
_PATH = re.compile(r"/(?![/\\])[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{0,511}", re.ASCII)


def refuse_cross_site(request: Request, settings: Settings) -> None:
    """Refuse a change that another site's page sent; raise `CrossSiteRequest`.

    Browsers say where a request comes from in headers that no page can set: Sec-Fetch-Site, and Origin in those that
    do not know it. A client that sends neither is no browser, or an old one, which the token stops.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise CrossSiteRequest("Sec-Fetch-Site", site)
    origin = request.headers.get("Origin")
    if origin is not None and origin != settings.public_origin:
        raise CrossSiteRequest("Origin", origin)


def linked_from_elsewhere(request: Request) -> bool:
    """Whether a page of another site led here, by a link or a redirect. Old browsers don't say."""
    return request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def demand_token(csrf: CSRFProtect) -> None:
    """Refuse a change without the CSRF token of this session or browser; raise `CsrfFailed`."""
    try:
        csrf.protect()
    except CSRFError as error:
        raise CsrfFailed(error.description) from error


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
    """Return `target` if it is a path on this site, and `otherwise` if not."""
    return target if target and is_safe_path(target) else otherwise
