"""Reads `SESSIONS_CORE_REDIS_URL`: which server it names, and how to connect to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel

from .errors import Misconfigured


def opener(url: str, timeout: float) -> Callable[[], Any]:
    """Return a function that opens a client of the server at `url`; raise `Misconfigured` for a URL that can't be
    used. `timeout` is in seconds.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    scheme, _, rest = url.partition("://")
    try:
        if scheme == "redis+sentinel":
            return _sentinel_opener(url, options)
        plain = f"redis://{rest}" if scheme == "redis+cluster" else url
        parse_url(plain)  # type: ignore[no-untyped-call]
        return partial((RedisCluster if scheme == "redis+cluster" else Redis).from_url, plain, **options)
    except (ValueError, IndexError) as error:
        raise Misconfigured(f"SESSIONS_CORE_REDIS_URL can't be used: {error}") from error


def _sentinel_opener(url: str, options: dict[str, Any]) -> Callable[[], Any]:
    # By hand: some versions of urlsplit refuse a list of hosts with an IPv6 address in it.
    location, _, query = url.partition("://")[2].partition("?")
    netloc, _, path = location.partition("/")
    service, _, database = path.strip("/").partition("/")
    credentials, _, hosts = netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    nodes = [(host.strip("[]"), int(port)) for host, _, port in (node.rpartition(":") for node in hosts.split(","))]
    if not service:
        raise ValueError("name the service, as in redis+sentinel://host:26379/service")
    extra = {
        "username": unquote(username) or None,
        "password": unquote(password) or None,
        **dict(parse_qsl(query)),
    }
    sentinel = Sentinel(nodes, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    return partial(sentinel.master_for, service, db=int(database or 0), **options, **extra)
