"""What `flask sessions check` finds out about the settings, the secret and the Redis servers of a deployment."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from redis.exceptions import ResponseError

from ...errors import Misconfigured, StoreUnavailable
from ...settings import PREFIX, Settings
from ...storage.connection import RedisConnection
from ...storage.encryption import KeyRing
from ...storage.nodes import Server
from ...storage.replies import items
from . import server_checks
from .shared_secret import refuse_other_secret

_CLOCKS_APART = 1.0  # seconds; docs/several-machines.md, "Clocks"


class Finding(NamedTuple):
    """One line of the checklist. `about` is one word; the sentence of anything but "ok" says what to do."""

    state: Literal["ok", "advice", "unsafe"]
    about: str
    sentence: str


def ok(about: str, sentence: str) -> Finding:
    """Return a line that says what is right."""
    return Finding("ok", about, sentence)


def advice(about: str, sentence: str) -> Finding:
    """Return a line that says what would be better."""
    return Finding("advice", about, sentence)


def unsafe(about: str, sentence: str) -> Finding:
    """Return a line that says what is wrong; it makes the command fail."""
    return Finding("unsafe", about, sentence)


def reason_of(error: Exception) -> str:
    """Return what an error says, on one line: whatever answered in place of a server may stand in it."""
    return " ".join((str(error) or type(error).__name__)[:200].split())


# -- Settings ----------------------------------------------------------------------------------------------------


def of_settings(settings: Settings, redis_check: bool, metrics_secret: str | None) -> Iterator[Finding]:
    """Yield what the settings allow that production should not; start-up has refused the rest."""
    if settings.development:
        yield unsafe(
            "settings",
            f"{PREFIX}DEVELOPMENT is True, which is for work on one machine. Remove it, and set SECRET_KEY, "
            f"{PREFIX}REDIS_URL and {PREFIX}PUBLIC_ORIGIN.",
        )
    else:
        yield ok("settings", f"Start-up accepts all settings; the site is {settings.public_origin}.")
    if not redis_check:
        yield advice(
            "settings",
            f"{PREFIX}REDIS_CHECK is False, so the app starts with a Redis that forgets sign-outs. Remove it once "
            "the lines about Redis are ok.",
        )
    former = len(settings.secrets) - 1
    if former:
        yield advice(
            "secret",
            f"SECRET_KEY_FALLBACKS holds {former} former secret{'s' if former > 1 else ''}. Run flask sessions sweep "
            "once every server knows the new one, and then remove them.",
        )
    if metrics_secret is None and not settings.development:
        yield advice(
            "settings",
            f"No client can read /metrics. Set {PREFIX}METRICS_SECRET to let your monitoring do so: openssl rand "
            "-base64 32",
        )


# -- Redis -------------------------------------------------------------------------------------------------------


def of_redis(connection: RedisConnection, settings: Settings) -> Iterator[Finding]:
    """Yield what is right and wrong with each server behind `SESSIONS_CORE_REDIS_URL`. Never raises."""
    yield from _transport(settings.redis_url or "")
    try:
        for server in connection.servers():
            yield from _server(server, settings.redis_prefix)
    except StoreUnavailable as error:
        yield _unreachable("Redis", error)
    if connection.service.fails_over and not settings.revocation_replicas:
        yield advice(
            "redis",
            f"A failover can undo the sign-outs of the last moments. Set {PREFIX}REVOCATION_REPLICAS = 1 to have "
            "each confirmed by a replica.",
        )


def _transport(url: str) -> Iterator[Finding]:
    scheme, _, rest = url.partition("://")
    hosts = {re.sub(r":\d+$", "", each) for each in rest.partition("/")[0].rpartition("@")[2].split(",")}
    if scheme.partition("+")[0] in ("redis", "valkey") and not hosts <= {"", "localhost", "127.0.0.1", "[::1]"}:
        yield advice(
            "redis",
            f"{PREFIX}REDIS_URL connects to Redis without TLS. Write rediss:// unless only machines of yours are on "
            "that network.",
        )


def _server(server: Server, prefix: str) -> Iterator[Finding]:
    try:
        info = server_checks.info_of(server.ask("INFO"))
    except StoreUnavailable as error:
        if not isinstance(error.__cause__, ResponseError):
            yield _unreachable(server.name, error)
            return
        yield advice(
            "redis",
            f"{server.name} does not let the app ask INFO. Make sure of appendonly yes and maxmemory-policy "
            "noeviction yourself, or run: ACL SETUSER <user> +info",
        )
        info = {}
    if info:
        yield from _memory(server.name, info)
    if server.master:
        yield from _master(server, info, prefix)


def _memory(name: str, info: dict[str, str]) -> Iterator[Finding]:
    complaints = server_checks.complaints(name, info)
    yield from (unsafe("redis", each) for each in complaints)
    if not complaints:
        version = info.get("valkey_version") or info.get("redis_version")
        yield ok(
            "redis",
            f"{name} {version} keeps an append-only file, and drops no key under memory pressure.",
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        yield unsafe("redis", f"{name} could not write its append-only file. Make room on its disk.")
    used, most = (_number(info.get(field)) for field in ("used_memory", "maxmemory"))
    if most and used > 0.9 * most:
        yield unsafe(
            "redis",
            f"{name} has used {100 * used // most} % of maxmemory. Raise it: once it is full, no user can sign in.",
        )


def _master(server: Server, info: Mapping[str, str], prefix: str) -> Iterator[Finding]:
    if info.get("role") == "slave":
        yield unsafe(
            "redis",
            f"{server.name} is a replica, and refuses what the app writes. Have {PREFIX}REDIS_URL name its master.",
        )
        return
    try:
        missing = server_checks.missing_rights(server, prefix, f"{prefix}ended")
        ahead, unsure = _clock_of(server)
    except StoreUnavailable as error:
        yield _unreachable(server.name, error)
        return
    yield from (unsafe("rights", f"In {server.name}, {each}") for each in missing)
    if not missing:
        yield ok("rights", f"{server.name} lets the app use every command that sessions need.")
    yield clocks(f"{server.name}'s clock", ahead, unsure)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _unreachable(name: str, error: StoreUnavailable) -> Finding:
    try:
        server_checks.refuse_credentials(error)
    except Misconfigured as refused:
        return unsafe("redis", str(refused))
    return unsafe(
        "redis",
        f"{name} does not answer, or refuses ({reason_of(error)}). Start it, let this machine connect to it, or "
        f"correct {PREFIX}REDIS_URL.",
    )


def _clock_of(server: Server) -> tuple[float, float]:
    """Return how far ahead of this machine the server's clock is, and by how much that may be wrong, in seconds."""
    before = time.time()
    reply = server.ask("TIME")
    after = time.time()
    seconds, micro = (int(each) for each in items(list(reply) if isinstance(reply, tuple) else reply, 2))
    return seconds + micro / 1e6 - (before + after) / 2, (after - before) / 2


def clocks(whose: str, ahead: float, unsure: float) -> Finding:
    """Return the line about a clock that is so many seconds ahead of this machine's; `unsure` is how far that may be
    off.
    """
    if abs(ahead) - unsure <= _CLOCKS_APART:
        return ok("clocks", f"{whose} and this machine's agree within a second.")
    return unsafe(
        "clocks",
        f"{whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's. Have NTP set both: "
        "sessions end by the one, and texts to sign expire by the other.",
    )


# -- Secrets -----------------------------------------------------------------------------------------------------


def of_secrets(connection: RedisConnection, settings: Settings, unaware: int) -> Iterator[Finding]:
    """Yield whether Redis and the running servers know the secret of this shell; `unaware` servers don't."""
    try:
        refuse_other_secret(connection, KeyRing(settings.secrets, "sessions_core secret 1"), settings.redis_prefix)
    except Misconfigured as refused:
        yield unsafe("secret", str(refused))
        return
    if unaware:
        yield unsafe(
            "secret",
            f"{unaware} server process{'es do' if unaware > 1 else ' does'} not know the SECRET_KEY of this shell. "
            "Give all servers and this shell the same environment. One that was killed counts for a day.",
        )
    else:
        yield ok("secret", "No running server process has another SECRET_KEY than this shell.")
