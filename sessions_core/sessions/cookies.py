"""Reads the Cookie header, for every cookie that this package sets.

The header is split exactly as RFC 6265 (section 4.2.1) writes it, and nothing else is trimmed. This stops an attack:
a page of a sibling host sets `\\xa0__Host-session=<the attacker's id>` with `Domain=`, over plain http. For the
browser that is no `__Host-` cookie, so it stores and sends it. A server that trims like `str.strip` would read it as
its own.
"""

from __future__ import annotations

from collections.abc import Callable

from werkzeug.wrappers import Request


def values(request: Request, name: str) -> list[str]:
    """Return the values of all cookies with exactly this name, in the order of the header."""
    header: str = request.environ.get("HTTP_COOKIE", "")
    if name not in header:
        return []
    # Browsers refuse cookies with a semicolon, so each one ends a pair, also within quotes.
    pairs = (part.removeprefix(" ").partition("=") for part in header.split(";"))
    return [value for key, equals, value in pairs if key == name and equals]


def own_value(values: list[str], fits: Callable[[str], object], *, prefixed: bool) -> str | None:
    """Return the one value that this site has set; `None` if there is none, or if two could be it.

    `fits` tells whether a value has the form that this site gives its values. The others belong to another app, or
    an attacker planted them, so they don't count. If two different values fit:

    - With the prefix `__Host-` neither counts. Only this host can set such a cookie, and a browser keeps one. So the
      browser does not know the prefix, or a proxy added one, and either value may lead to an attacker's session.
    - Without the prefix (development on localhost) the last one counts. The other was set by an app on the same host
      for a longer path, and browsers send longer paths first (RFC 6265, section 5.4). Our path is the shortest.
    """
    fitting = [value for value in values if fits(value)]
    if prefixed and len(set(fitting)) > 1:
        return None
    return fitting[-1] if fitting else None
