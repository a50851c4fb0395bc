"""IP addresses as servers and proxies write them."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_PORT = re.compile(r":(?:[0-9]{1,5}|_[A-Za-z0-9._-]{1,50})", re.ASCII)  # RFC 7239 lets proxies hide it


@lru_cache(4096)  # looked at with each request, and slow to parse
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


def shown_address(text: str, shorten: bool) -> str:
    """Return an address as it may be stored and shown; empty for what is none.

    `shorten` keeps only the network: 24 bits of IPv4, 48 of IPv6.
    """
    address = read_address(text)
    if address is None:
        return ""
    if shorten:
        return str(ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))
    return str(address)
