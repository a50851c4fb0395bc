"""Takes address, scheme, host and path prefix of a request from the headers of trusted proxies.

`SESSIONS_CORE_TRUSTED_PROXIES` is the number of trusted proxies. They write `X-Forwarded-For`, `-Proto` and `-Host`,
or `Forwarded` (RFC 7239), and `X-Forwarded-Prefix` if `SESSIONS_CORE_FORWARDED_PREFIX` says so. Of both
X-Forwarded-For and Forwarded the first counts. A malformed header is logged once: visitors with an unknown address
share one limit.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.request import parse_http_list

from werkzeug.middleware.proxy_fix import ProxyFix

from ...settings import PREFIX, Settings
from ...sign_in.addresses import read_address
from .options import ReverseProxySettings

logger = logging.getLogger(__name__)

_HEADERS = {"for": "HTTP_X_FORWARDED_FOR", "proto": "HTTP_X_FORWARDED_PROTO", "host": "HTTP_X_FORWARDED_HOST"}
_NAMES = "X-Forwarded-For or Forwarded"
# The path of a prefix. One that begins with two slashes would be another host in links.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+/?", re.ASCII)
_FOR_MACHINES = ("/livez", "/readyz", "/metrics")  # asked from inside, past the proxies


class Proxies:
    """Replaces the facts of the connection with those in the headers of trusted proxies."""

    def __init__(
        self, app: Callable[..., Iterable[bytes]], settings: Settings, options: ReverseProxySettings
    ) -> None:
        self._app = app
        self._hops = hops = options.trusted_proxies
        self._development = settings.development
        prefix = hops if options.forwarded_prefix else 0
        self._next = ProxyFix(self._called, x_for=hops, x_proto=hops, x_host=hops, x_prefix=prefix) if hops else None
        self._for_machines = tuple(settings.url_prefix + path for path in _FOR_MACHINES)
        self._warned: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application as if the client had connected to it by itself."""
        if self._next is None:
            return self._called(environ, start_response)
        if "HTTP_FORWARDED" in environ and "HTTP_X_FORWARDED_FOR" not in environ:
            _translate(environ)
        if not _PATH.fullmatch(environ.get("HTTP_X_FORWARDED_PREFIX", "/none")):
            del environ["HTTP_X_FORWARDED_PREFIX"]
        return self._next(environ, start_response)

    def _called(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = environ.get("REMOTE_ADDR") or ""
        address = read_address(given)
        if address is not None:
            environ["REMOTE_ADDR"] = str(address)
        brought = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("HTTP_FORWARDED")
        if self._hops or brought or address is None:
            self._warn(environ, given, brought, address)
        return self._app(environ, start_response)

    def _warn(
        self,
        environ: dict[str, Any],
        given: str,
        brought: str | None,
        address: IPv4Address | IPv6Address | None,
    ) -> None:
        known, shown = address is not None, ascii(given[:100])
        if environ.get("PATH_INFO") in self._for_machines:
            return
        if self._hops:
            count = len(parse_http_list(brought or ""))
            if count < self._hops:
                self._once(
                    "fewer",
                    f"{PREFIX}TRUSTED_PROXIES is {self._hops}, and {_NAMES} names {count} addresses. All visitors "
                    f"count as {shown}. Have each proxy add to the header, or set the number of those that do.",
                )
            elif not known:
                self._once(
                    "unreadable",
                    f"The proxy in front says that a request came from {shown}, which is no IP address. It is shown "
                    f"nowhere, and requests with the same text share one limit. Have the proxy write the "
                    f"address into {_NAMES}.",
                )
        elif not known:
            self._once(
                "unknown",
                f"The server does not say where requests come from (REMOTE_ADDR is {shown}), so all visitors share "
                f"one limit. Behind a Unix socket, set {PREFIX}TRUSTED_PROXIES to the number of proxies in front.",
            )
        elif address is not None and address.is_private and not self._development:
            self._once(
                "untrusted",
                f"Requests from {shown} bring {_NAMES}, and {PREFIX}TRUSTED_PROXIES is 0. All visitors behind that "
                "proxy share one limit. Set it to the number of proxies in front.",
            )

    def _once(self, what: str, sentence: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            logger.warning(sentence)


def _translate(environ: dict[str, Any]) -> None:
    """Copy `Forwarded` into the headers that `ProxyFix` reads: one value for each proxy."""
    hops = [_parameters(hop) for hop in parse_http_list(environ["HTTP_FORWARDED"])]
    for name, header in _HEADERS.items():
        if all(name in hop for hop in hops):
            environ[header] = ", ".join(f'"{hop[name]}"' for hop in hops)


def _parameters(hop: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in hop.split(";"))
    return {name.strip().lower(): re.sub(r'["\\,]', "", value).strip() for name, _, value in pairs}
