"""Names a client in words that users recognise: "Firefox on Linux". For users to read, never for a decision about
access.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ...errors import _
from ...web.texts import gettext

if TYPE_CHECKING:
    from ua_parser import PartialResult

UNKNOWN = _("Unknown browser")

# What may be shown, under the family that ua-parser finds. Its patterns copy whole words out of the agent, so without
# this list an attacker could write "Call 0800 … spider" into the activity of another user's account.
_OWN_NAMES = (
    "Amazon Silk",
    "Brave",
    "Chrome",
    "Chromium",
    "DuckDuckGo",
    "Edge",
    "Epiphany",
    "Falkon",
    "Firefox",
    "HTTPie",
    "Konqueror",
    "Opera",
    "Opera GX",
    "Opera Mini",
    "Opera Touch",
    "Pale Moon",
    "PostmanRuntime",
    "Safari",
    "Samsung Internet",
    "SeaMonkey",
    "UC Browser",
    "Vivaldi",
    "Wget",
    "Whale",
    "Yandex Browser",
    "axios",
    "curl",
    "okhttp",
)
_BROWSERS = {
    **{name: name for name in _OWN_NAMES},
    "Android": _("Android Browser"),
    "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": _("In-app browser"),  # of a wallet, mostly
    "Chrome Mobile iOS": "Chrome",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Edge Mobile": "Edge",
    "Facebook": "In-app browser",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Go-http-client": "Go",
    "HeadlessChrome": _("Headless Chrome"),
    "IE": "Internet Explorer",
    "Instagram": "In-app browser",
    "MiuiBrowser": "Mi Browser",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "In-app browser",
    "Opera Mobile": "Opera",
    "Python Requests": "Python",
    "Python aiohttp": "Python",
    "Python-urllib": "Python",
    "QQ Browser": "QQ Browser",
    "QQ Browser Mobile": "QQ Browser",
}
# One browser names the distribution in one version and not in the next: that must not count as another device.
_LINUX = ("Arch Linux", "CentOS", "Debian", "Fedora", "Gentoo", "Linux", "Linux Mint", "Red Hat", "SUSE", "Ubuntu")
_SYSTEMS = {
    **{name: name for name in ("Android", "FreeBSD", "KaiOS", "NetBSD", "OpenBSD", "Tizen", "Windows", "iOS")},
    "Chrome OS": "ChromeOS",
    "Mac OS X": "macOS",
    "Windows Phone": "Windows",
    **dict.fromkeys(_LINUX, "Linux"),
}

# The kernel's name for what was done without a request.
_("Command line")

_building = threading.Lock()


def describe(agent: str) -> str:
    """Return the device that a User-Agent header names, such as "Firefox on Linux". Families without versions, so
    that an update makes no new device.
    """
    return _device(agent)


def device_name(device: str) -> str:
    """Return a device in the language of the request, such as "Firefox unter Linux"; empty is an unknown browser.
    What is stored, and what programs read, stays English.
    """
    browser, _on, system = (device or UNKNOWN).partition(" on ")
    browser = gettext(browser)
    return gettext("%(browser)s on %(system)s", browser=browser, system=system) if system else browser


def warm() -> None:
    """Load and compile the patterns, for which the first description would wait 50 ms. For another thread."""
    _reader()("")


@lru_cache(maxsize=512)
def _device(agent: str) -> str:
    found = _reader()(agent)
    browser = _BROWSERS.get(found.user_agent.family if found.user_agent else "", UNKNOWN)
    system = _SYSTEMS.get(found.os.family if found.os else "")
    return f"{browser} on {system}" if system else browser


def _reader() -> Callable[[str], PartialResult]:
    with _building:  # many threads may want it at once after a start, and it is heavy
        return _build()


@cache
def _build() -> Callable[[str], PartialResult]:
    from ua_parser import BasicResolver, Domain, load_lazy_builtins  # 30 ms to import, and only sign-in needs it

    browsers, systems, _ = load_lazy_builtins()
    # Without the patterns that begin by skipping any text, to find crawlers: a hostile agent makes them try it split
    # everywhere, which takes 3 ms in all instead of 0.6, and we name no crawler.
    quick = [each for each in browsers if not each.regex.startswith((".{0,200}", "^.{0,200}"))]
    read = BasicResolver((quick, systems, []))
    return lambda agent: read(agent, Domain.USER_AGENT | Domain.OS)
