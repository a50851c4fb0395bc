"""Reads `SESSIONS_CORE_REDIS_URL`: what kind of service it names, and how to connect to it.

    redis://, rediss://                       one server; rediss is TLS
    unix:///path                              one server on a Unix socket
    redis+<kind>://, rediss+<kind>://         a service of several servers, of a kind that a part registered

`valkey` and `valkeys` stand for `redis` and `rediss`. By hand: redis-py takes any option and fails with the first
request, drops a database that is no number, and repeats parts of a URL in its errors. No sentence here repeats any
of it, since what stands in the wrong place may be a piece of the password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from redis import ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.retry import Retry

from ..errors import Misconfigured
from .nodes import Service

Options = dict[str, Any]

_SCHEME = re.compile(r"(redis|rediss|valkey|valkeys|unix)(?:\+([a-z]+))?", re.ASCII)
_NODE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)?(?::([0-9]{1,5}))?", re.ASCII)
_ENCODE = "If the password holds any of : / ? # @ & % [ ], percent-encode it: / is %2F."

# What redis-py takes too and must not be set here, and why.
_REFUSED = {
    "decode_responses": "sessions are bytes. Remove it.",
    "encoding": "sessions are bytes. Remove it.",
    "encoding_errors": "sessions are bytes. Remove it.",
    "protocol": "this package speaks RESP2. Remove it.",
    "ssl": "TLS is in the scheme: write rediss://, rediss+sentinel:// or rediss+cluster://.",
    "max_connections": "connections are as many as threads. Remove it.",
    "retry_on_timeout": "a command that timed out must not be sent again. Remove it.",
    "retry_on_error": "commands are not sent again. Remove it.",
    "health_check_interval": "each connection is checked by its use. Remove it.",
}


def _number(text: str) -> float:
    found = float(text)
    if not 0 < found < 60:
        raise ValueError
    return found


def _truth(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]


def _requirement(text: str) -> str:
    return {"required": "required", "optional": "optional", "none": "none"}[text.lower()]


def _file(text: str) -> str:
    if not Path(text).exists():
        raise ValueError
    return text


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "db": int,
    "username": str,
    "password": str,
    "client_name": str,
    "socket_timeout": _number,
    "socket_connect_timeout": _number,
    "socket_keepalive": _truth,
}
_OF_TLS: dict[str, Callable[[str], Any]] = {
    "ssl_cert_reqs": _requirement,
    "ssl_check_hostname": _truth,
    "ssl_ca_certs": _file,
    "ssl_ca_path": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": str,
}


@dataclass(frozen=True, slots=True)
class Target:
    """The service that a URL names. `open` returns a client of redis-py; that of a Cluster connects to do so."""

    open: Callable[[], Any] = field(repr=False)  # it holds the password
    service: type[Service] = Service


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of service of several servers. `read(hosts, path, tls, options)` returns what opens a client, and raises
    `ValueError` with what is wrong; `options` are those beyond the ones of a server, each with what reads its value.
    """

    service: type[Service]
    read: Callable[[str, str, bool, Options], Callable[[], Any]]
    options: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)


_KINDS: dict[str, Kind] = {}


def register(name: str, kind: Kind) -> None:
    """Make `redis+<name>://` and `rediss+<name>://` name services of this kind."""
    _KINDS[name] = kind


def read(url: str, timeout: float) -> Target:
    """Read a URL; `timeout` is in seconds, for connecting and for each answer.

    Raises `Misconfigured` with what is wrong and what to write, and without any part of the URL that may be secret.
    """
    try:
        return _read(url, timeout)
    except ValueError as error:
        # Without its cause: int() repeats what is no number.
        sentence = f"SESSIONS_CORE_REDIS_URL can't be used: {error}"
    raise Misconfigured(sentence)


def _read(url: str, timeout: float) -> Target:
    scheme, separator, rest = url.partition("://")
    found = _SCHEME.fullmatch(scheme.lower())
    several = [f"redis+{name}://" for name in sorted(_KINDS)]
    if not separator or found is None or (found[2] and (found[1] == "unix" or found[2] not in _KINDS)):
        schemes = ", ".join(("redis://", "rediss:// (TLS)", "unix://", *several))
        raise ValueError(f"begin it with {schemes}, or with rediss+ for TLS")
    if not url.isprintable() or " " in url:
        raise ValueError("it has a space, a line feed or another character that is no part of a URL")
    if "#" in rest:
        raise ValueError(f"it has a #. {_ENCODE}")
    kind = _KINDS[found[2]] if found[2] else None
    tls = found[1] in ("rediss", "valkeys")
    location, _, query = rest.partition("?")
    netloc, slash, path = location.partition("/")
    if "@" in path + query and "@" not in netloc:
        raise ValueError(f"user and password end before the first /. {_ENCODE}")
    credentials, _, hosts = netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    options = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        **({"username": unquote(username)} if username else {}),
        **({"password": unquote(password)} if password else {}),
        **_options(query, kind, tls),
    }
    if found[1] == "unix":
        if hosts or not path:
            raise ValueError("write a Unix socket as unix:///path/to/redis.sock, with a third /")
        return Target(partial(_client, UnixDomainSocketConnection, path=unquote(slash + path), **options))
    if kind is not None:
        return Target(kind.read(hosts, path, tls, options), kind.service)
    found_nodes = nodes(hosts or "localhost", 6379)
    if len(found_nodes) > 1:
        raise ValueError(f"several hosts are for {' and '.join(several) or 'services of several servers'}")
    [(host, port)] = found_nodes
    options["db"] = database(path, options)
    return Target(partial(_client, SSLConnection if tls else Connection, host=host, port=port, **options))


def _options(query: str, kind: Kind | None, tls: bool) -> dict[str, Any]:
    known = _OPTIONS | _OF_TLS | dict(kind.options if kind else {})
    found: dict[str, Any] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name in _REFUSED:
            raise ValueError(f"the option {name} can't be set: {_REFUSED[name]}")
        if name not in known:
            # It may be the rest of a password, so it is not repeated.
            raise ValueError(f"after the ? it has an option that is none of {', '.join(known)}. {_ENCODE}")
        if name in _OF_TLS and not tls:
            raise ValueError(f"the option {name} is for TLS: write rediss in the place of redis")
        if name in found:
            raise ValueError(f"it has the option {name} twice")
        try:
            found[name] = known[name](unquote(value)) if value else None
        except (ValueError, KeyError):
            found[name] = None
        if found[name] is None:
            raise ValueError(
                f"the option {name} has no good value{' (no such file)' if known[name] is _file else ''}"
            )
    return found


def nodes(hosts: str, default_port: int | None) -> list[tuple[str, int]]:
    """Return the hosts and ports of a list; raise `ValueError` if it is none."""
    found_nodes = []
    for each in hosts.split(","):
        found = _NODE.fullmatch(each)
        host, port = (found[1], int(found[2] or default_port or 0)) if found else (None, 0)
        if not host or not 0 < port < 65536:
            raise ValueError(f"write host:port, and several of them as host:port,host:port. {_ENCODE}")
        found_nodes.append((host.strip("[]"), port))
    return found_nodes


def database(path: str, options: Options) -> int:
    """Return the number of the database that a path or an option names; raise `ValueError` if they don't agree."""
    text = path.rstrip("/")
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"what follows the host is the number of a database, as in /0. {_ENCODE}")
    found = int(text or options.get("db", 0))
    if found != options.get("db", found) or found < 0:
        raise ValueError("it names two databases, or a negative one")
    return found


def _client(connection_class: type, **options: Any) -> Any:
    # Not Redis(host=…): its pool makes connections with more than they need, one for each request here.
    return Redis(connection_pool=ConnectionPool(connection_class=connection_class, **options))
