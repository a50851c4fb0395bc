"""Where a request came from, in words a person recognises: "Firefox on Linux", from 203.0.113.7.

Everything here is what the client says of itself, or what a proxy says of it: for people to read, never for a
decision about access.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ua_parser import PartialResult

LONGEST_AGENT = 300
UNKNOWN = "Unknown browser"

# What may be shown, under the family that ua-parser finds. Its patterns copy whole words out of the agent, so without
# this list anybody could write "Call 0800 … spider" into the activity of an account that is not theirs.
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
    "Android": "Android Browser",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile WebView": "In-app browser",  # of a wallet, mostly
    "Chrome Mobile iOS": "Chrome",
    "DuckDuckGo Mobile": "DuckDuckGo",
    "Edge Mobile": "Edge",
    "Facebook": "In-app browser",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Go-http-client": "Go",
    "HeadlessChrome": "Headless Chrome",
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
# One browser names the distribution in one version and not in the next: nobody is told of another device for that.
_LINUX = ("Arch Linux", "CentOS", "Debian", "Fedora", "Gentoo", "Linux", "Linux Mint", "Red Hat", "SUSE", "Ubuntu")
_SYSTEMS = {
    **{name: name for name in ("Android", "FreeBSD", "KaiOS", "NetBSD", "OpenBSD", "Tizen", "Windows", "iOS")},
    "Chrome OS": "ChromeOS",
    "Mac OS X": "macOS",
    "Windows Phone": "Windows",
    **dict.fromkeys(_LINUX, "Linux"),
}

_PORT = re.compile(r":(?:[0-9]{1,5}|_[A-Za-z0-9._-]{1,50})", re.ASCII)  # RFC 7239 lets proxies hide it

_building = threading.Lock()


@dataclass(frozen=True, slots=True)
class Client:
    """The address, the user agent and the device of a request, as they are stored and shown.

    `ip` is an address or, where the settings shorten it, its network; empty if there is none. `agent` has at most 300
    characters, all of them visible. `device` is families without versions, so that an update makes no new device.
    """

    ip: str = ""
    agent: str = ""
    device: str = ""


def describe(ip: str, agent: str, shorten: bool) -> Client:
    """Return the client with this address and User-Agent header; what can't be read is left empty.

    `shorten` keeps only the network: 24 bits of IPv4, 48 of IPv6.
    """
    # Cut first: whatever comes after costs the same however long the header was.
    visible = "".join(each for each in agent[:LONGEST_AGENT] if each.isprintable()).strip()
    return Client(_address(ip, shorten), visible, _device(visible))


def warm() -> None:
    """Load and compile the patterns, for which the first description would wait 50 ms. For another thread."""
    _reader()("")


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address in `text`, in any form that servers and proxies write; `None` if there is none.

    With a port (`192.0.2.1:443`, `[2001:db8::1]:443`), in brackets or quotes (RFC 7239, section 6), with a zone, or
    as IPv4 mapped into IPv6. After IPv6 without brackets a port is only read where all eight groups are there.
    """
    host = text.strip('"')
    if host.startswith("["):
        host, closed, port = host[1:].partition("]")
        port = port or (":0" if closed else "")
    elif host.count(":") in (1, 8):
        host, _, port = host.rpartition(":")
        port = f":{port}"
    else:
        port = ":0"
    if not _PORT.fullmatch(port):
        return None
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A socket for both families says ::ffff:192.0.2.1; a zone (%eth0) means something on one machine only.
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _address(text: str, shorten: bool) -> str:
    address = read_address(text)
    if address is None:
        return ""
    if shorten:
        return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))
    return str(address)


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
