"""Reads `SESSIONS_CORE_REDIS_URL`: what kind of service it names, and how to connect to it.

    redis://, rediss://                       one server; rediss is TLS
    unix:///path                              one server on a Unix socket
    redis+sentinel://, rediss+sentinel://     a Sentinel service: host:port,host:port/service/db
    redis+cluster://, rediss+cluster://       a Cluster: one or more of its nodes

`valkey` and `valkeys` stand for `redis` and `rediss`. By hand: redis-py takes any option and fails with the first
request, drops a database that is no number, and repeats parts of a URL in its errors. No sentence here repeats any
of it, since what stands in the wrong place may be a piece of the password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from redis import ConnectionPool, Redis, RedisCluster, SSLConnection, UnixDomainSocketConnection
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import Connection
from redis.retry import Retry
from redis.sentinel import Sentinel

from ..errors import Misconfigured

Kind = Literal["server", "sentinel", "cluster"]

_SCHEME = re.compile(r"(redis|rediss|valkey|valkeys|unix)(?:\+(sentinel|cluster))?", re.ASCII)
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
_OF_SENTINELS: dict[str, Callable[[str], Any]] = {"sentinel_username": str, "sentinel_password": str}


@dataclass(frozen=True, slots=True)
class Target:
    """The service that a URL names. `open` returns a client of redis-py; that of a Cluster connects to do so."""

    kind: Kind
    open: Callable[[], Any] = field(repr=False)  # it holds the password


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
    if not separator or found is None or (found[1] == "unix" and found[2]):
        raise ValueError(
            "begin it with redis://, rediss:// (TLS), unix://, redis+sentinel:// or redis+cluster://, "
            "or with rediss+ for TLS"
        )
    if not url.isprintable() or " " in url:
        raise ValueError("it has a space, a line feed or another character that is no part of a URL")
    if "#" in rest:
        raise ValueError(f"it has a #. {_ENCODE}")
    kind: Kind = found[2] or "server"  # type: ignore[assignment]
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
        return Target(kind, partial(_client, UnixDomainSocketConnection, path=unquote(slash + path), **options))
    if kind == "sentinel":
        return _sentinel(hosts, path, tls, options)
    if kind == "cluster":
        return _cluster(hosts, path, tls, options)
    nodes = _nodes(hosts or "localhost", 6379)
    if len(nodes) > 1:
        raise ValueError("several hosts are for redis+sentinel:// and redis+cluster://")
    [(host, port)] = nodes
    options["db"] = _database(path, options)
    return Target(kind, partial(_client, SSLConnection if tls else Connection, host=host, port=port, **options))


def _options(query: str, kind: Kind, tls: bool) -> dict[str, Any]:
    known = _OPTIONS | _OF_TLS | (_OF_SENTINELS if kind == "sentinel" else {})
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


def _nodes(hosts: str, default_port: int | None) -> list[tuple[str, int]]:
    nodes = []
    for each in hosts.split(","):
        found = _NODE.fullmatch(each)
        host, port = (found[1], int(found[2] or default_port or 0)) if found else (None, 0)
        if not host or not 0 < port < 65536:
            raise ValueError(f"write host:port, and several of them as host:port,host:port. {_ENCODE}")
        nodes.append((host.strip("[]"), port))
    return nodes


def _database(path: str, options: dict[str, Any]) -> int:
    text = path.rstrip("/")
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"what follows the host is the number of a database, as in /0. {_ENCODE}")
    database = int(text or options.get("db", 0))
    if database != options.get("db", database) or database < 0:
        raise ValueError("it names two databases, or a negative one")
    return database


def _client(connection_class: type, **options: Any) -> Any:
    # Not Redis(host=…): its pool makes connections with more than they need, one for each request here.
    return Redis(connection_pool=ConnectionPool(connection_class=connection_class, **options))


def _sentinel(hosts: str, path: str, tls: bool, options: dict[str, Any]) -> Target:
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("name the service, as in redis+sentinel://host:26379/service")
    options["db"] = _database(database, options)
    secure = {"ssl": True} if tls else {}
    # Sentinels have users of their own.
    names = {"sentinel_username": "username", "sentinel_password": "password"}
    own = {names[name]: options.pop(name) for name in names if name in options}
    shared = {name: value for name, value in options.items() if name not in ("username", "password", "db")}
    sentinel = Sentinel(_nodes(hosts, None), sentinel_kwargs=shared | own | secure)  # type: ignore[no-untyped-call]
    return Target("sentinel", partial(sentinel.master_for, unquote(service), **options, **secure))


def _cluster(hosts: str, path: str, tls: bool, options: dict[str, Any]) -> Target:
    if _database(path, options) != 0:
        raise ValueError("a Cluster has no database but 0: leave it out, and use SESSIONS_CORE_REDIS_PREFIX")
    options.pop("db", None)
    nodes = [ClusterNode(*node) for node in _nodes(hosts, 6379)]  # type: ignore[no-untyped-call]
    if tls:
        options["ssl"] = True
    return Target("cluster", partial(RedisCluster, startup_nodes=nodes, **options))
