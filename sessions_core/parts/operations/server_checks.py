"""Checks of the Redis servers, at start and at `/readyz`: do they keep data, may this application use every command,
and do all applications under this prefix have the same secret.

All servers are asked: the masters and replicas of a Cluster, the master and replicas of a Sentinel service. A replica
is the next master.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from typing import Any

from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from ...errors import Misconfigured, StoreUnavailable
from ...storage.connection import RedisConnection
from ...storage.nodes import Server
from ...storage.replies import items
from ...storage.scripts import Script

logger = logging.getLogger(__name__)

# KEYS text, counter, hash, sorted set, stream, list; ARGV channel or none -> "COMMAND reason" for each that is
# refused. These are all that requests and the command line use; test_redis_rights.py compares.
PROBE = Script("""
local refused = {}
local function try(name, ...)
  local reply = redis.pcall(name, ...)
  if type(reply) == 'table' and reply.err then table.insert(refused, name .. ' ' .. reply.err) end
end
local text, count, hash, zset, stream, list = unpack(KEYS)
try('TIME')
try('PERSIST', text)
try('TYPE', text)
try('SET', text, 'probe', 'NX', 'PX', 5000)
try('GET', text)
try('MGET', text, count)
try('EXISTS', text)
try('STRLEN', text)
try('GETRANGE', text, 0, 1)
try('SETRANGE', text, 0, 'P')
try('PTTL', text)
try('PEXPIRE', text, 5000)
try('INCR', count)
try('INCRBY', count, 1)
try('EXPIRE', count, 5)
try('HSET', hash, 'a', 'b')
try('EXPIRE', hash, 5)
try('HGET', hash, 'a')
try('HMGET', hash, 'a')
try('HGETALL', hash)
try('HLEN', hash)
try('HKEYS', hash)
try('HSCAN', hash, '0')
try('HDEL', hash, 'c')
try('ZADD', zset, 1, 'a')
try('EXPIRE', zset, 5)
try('ZSCORE', zset, 'a')
try('ZMSCORE', zset, 'a')
try('ZCARD', zset)
try('ZRANGE', zset, 0, 0)
try('ZREVRANGE', zset, 0, 0)
try('ZREMRANGEBYRANK', zset, 5, 5)
try('ZREMRANGEBYSCORE', zset, '-inf', '(0')
try('ZREM', zset, 'c')
try('XADD', stream, 'MAXLEN', 10, '*', 'e', 'x')
try('EXPIRE', stream, 5)
try('XTRIM', stream, 'MINID', '0')
try('XREVRANGE', stream, '+', '-', 'COUNT', 1)
try('LPUSH', list, 'e')
try('EXPIRE', list, 5)
try('LTRIM', list, 0, 9)
try('LLEN', list)
try('LINDEX', list, 0)
try('LRANGE', list, 0, 0)
try('RPOP', list)
try('GETDEL', text)
try('DEL', text, count, hash, zset, stream, list)
try('SCAN', 0, 'COUNT', 1)
if ARGV[1] then try('PUBLISH', ARGV[1], '{"handle": "", "reason": "probe"}') end
return refused
""")

_NO_RIGHT = re.compile(
    r"NOPERM|no permissions|ACL failure|user executing the script|unknown (?:redis )?command", re.IGNORECASE
)
_NO_PASSWORD = re.compile(r"NOAUTH|WRONGPASS|invalid (?:username-)?password|without any password|Authentication")

_RISKS = {
    "appendonly": "after a restart, sessions that were revoked live again",
    "maxmemory-policy": "under memory pressure it drops sessions, and what says that others were revoked",
}


def refuse_unsafe_server(connection: RedisConnection, prefix: str = "sessions_core:", strict: bool = True) -> None:
    """Refuse a production Redis that forgets, refuses this application, or lacks a right: raise `Misconfigured` with
    what to do. Unless `strict`, only the password is a reason to refuse it, and the rest is logged.

    Without the append-only file a restart loads an older snapshot, in which revoked sessions are alive again. With
    eviction, sessions, epochs and consumed nonces vanish under memory pressure. A server that does not answer now is
    only logged: the application starts while Redis is down.
    """
    try:
        for server in connection.servers():
            _check(server, prefix, strict)
    except StoreUnavailable as error:
        refuse_credentials(error)
        logger.warning("Redis does not answer (%s): its persistence, eviction and rights were not checked", error)


def _check(server: Server, prefix: str, strict: bool) -> None:
    try:
        info = info_of(server.ask("INFO"))
    except StoreUnavailable as error:
        refuse_credentials(error)
        reason = "does not let us ask INFO" if isinstance(error.__cause__, ResponseError) else "does not answer"
        logger.warning(
            "%s %s (%s), so it can't be checked: make sure of appendonly and noeviction yourself",
            server.name,
            reason,
            error,
        )
    else:
        for sentence in complaints(server.name, info):
            _refuse(sentence, strict)
    if server.master:
        _refuse_missing_rights(server, prefix, strict)


def _refuse(sentence: str, strict: bool) -> None:
    if strict:
        raise Misconfigured(sentence)
    logger.warning("%s", sentence)


def refuse_credentials(error: StoreUnavailable) -> None:
    """Raise `Misconfigured` if the server refused our user or password."""
    for cause in _causes(error):
        if isinstance(cause, AuthenticationError) or (
            isinstance(cause, RedisError) and _NO_PASSWORD.search(str(cause))
        ):
            raise Misconfigured(
                "Redis refuses the user or the password of SESSIONS_CORE_REDIS_URL, or asks for one that it lacks. "
                "Write them as redis://user:password@host, percent-encoded."
            ) from None


def complaints(name: str, info: dict[str, str]) -> list[str]:
    """Return a sentence for each reason not to keep sessions on a server: its version, and what it would forget."""
    version = info.get("redis_version", "")
    found = []
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < (6, 2):
        found.append(f"{name} {version} is too old: sessions need Redis 6.2 or later, or Valkey.")
    return found + [
        f"{name} has {setting} {value}: a revoked session could come back, or a live one vanish. "
        f"Run: redis-cli CONFIG SET {setting} {wanted} (and write it into redis.conf), or set it where your "
        "provider has you set it. If that is not possible, SESSIONS_CORE_REDIS_CHECK = False starts all the "
        f"same, at your risk: {_RISKS[setting]}."
        for setting, value, wanted in _forgets(info)
    ]


def _refuse_missing_rights(server: Server, prefix: str, strict: bool) -> None:
    try:
        missing = missing_rights(server, prefix, f"{prefix}ended")
    except StoreUnavailable as error:
        logger.warning("%s does not answer (%s): its rights were not checked", server.name, error)
        return
    if missing:
        _refuse(f"{server.name} lacks what sessions need: {' '.join(missing)}", strict)


def warn_of_lost_writes(connection: RedisConnection) -> None:
    """Log what a failover can undo, if the master goes on alone when its replicas are cut off.

    Not refused: with one replica, `min-replicas-to-write` stops all writing whenever that replica is restarted, and
    the adopter decides which of the two is worse.
    """
    try:
        replication = bytes(connection.call("INFO", "replication"))
    except StoreUnavailable:
        return  # `refuse_unsafe_server` has said so
    if b"min_slaves_good_slaves:" not in replication:  # only there if the setting is
        logger.warning(
            "Redis runs under Sentinel without min-replicas-to-write: a master that is cut off goes on taking "
            "writes, and a failover throws them away, sign-outs included. Set min-replicas-to-write 1 and "
            "min-replicas-max-lag 10, or SESSIONS_CORE_REVOCATION_REPLICAS = 1 to have revocations confirmed."
        )


def trouble_now(connection: RedisConnection, must_remember: bool) -> str | None:
    """Return one word for the trouble that keeps the present Redis from storing sessions, or `None`.

    After a failover it may be another server than the one that was checked at start. With `must_remember` its
    append-only file and its eviction are looked at again. Raises `StoreUnavailable` if it does not answer at all.
    """
    try:
        info = info_of(connection.call("INFO"))
    except StoreUnavailable as error:
        if isinstance(error.__cause__, ResponseError):
            return None  # it may not be asked, which start-up has warned of
        raise
    return _trouble(info, must_remember, master=True)


def trouble_anywhere(
    connection: RedisConnection, prefix: str, must_remember: bool, strict: bool = True
) -> str | None:
    """Return one word for the trouble that keeps one of all servers from storing sessions: forgetting, or a missing
    right, which is only logged unless `strict`.

    It has no time limit. Servers that don't answer are left out: other checks tell whether requests are answered.
    """
    try:
        for server in connection.servers():
            try:
                trouble = _trouble(info_of(server.ask("INFO")), must_remember, server.master)
            except StoreUnavailable:
                trouble = None
            if trouble is None and server.master and _lacks_rights(server, prefix) and strict:
                trouble = "redis_refuses"
            if trouble is not None:
                return trouble
    except StoreUnavailable:
        pass
    return None


def _trouble(info: dict[str, str], must_remember: bool, master: bool) -> str | None:
    if master and info.get("role") == "slave":
        return "redis_replica"
    return "redis_forgets" if must_remember and _forgets(info) else None


def _lacks_rights(server: Server, prefix: str) -> bool:
    try:
        missing = missing_rights(server, prefix)
    except StoreUnavailable:
        return False
    if missing:
        logger.error("%s lacks what sessions need: %s", server.name, " ".join(missing))
    return bool(missing)


def missing_rights(server: Server, prefix: str, *channel: str) -> list[str]:
    """Return a sentence for each right that requests would lack on a master. May raise `StoreUnavailable`.

    With a `channel` something without meaning is announced there.
    """
    tag = _tag_on(server)
    keys = [f"{prefix}{{{tag}}}:{name}" for name in ("text", "count", "hash", "zset", "stream", "list")]
    refused: list[str] = []
    for command, what in (("EVAL", PROBE.text), ("EVALSHA", PROBE.sha)):
        try:
            refused = [each.decode() for each in items(server.ask(command, what, len(keys), *keys, *channel))]
        except NoScriptError:
            continue  # they have just been flushed
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, ResponseError):
                raise
            refused = [f"{command} {error}"]  # it may also be full, or a replica; others say so
            break
    found = dict(each.split(" ", 1) for each in refused if _NO_RIGHT.search(each))
    silent = found.pop("PUBLISH", None)
    if silent is not None:
        logger.warning("Ended sessions are not announced: %s. ACL SETUSER <user> &%s +publish", silent, *channel)
    return [_sentence(name, reason, prefix) for name, reason in found.items()]


def _sentence(name: str, reason: str, prefix: str) -> str:
    if re.search("unknown", reason, re.IGNORECASE):
        return f"it has no command {name}: take its rename-command out of redis.conf."
    if "key" in reason:
        return f"its user may not use {name} on our keys: ACL SETUSER <user> ~{prefix}*."
    return f"its user may not use {name}: ACL SETUSER <user> +{name.lower()}."


def _tag_on(server: Server) -> str:
    while True:
        tag = f"probe-{secrets.token_hex(8)}"
        if not server.slots or key_slot(tag.encode()) in server.slots:
            return tag


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _forgets(info: dict[str, str]) -> list[tuple[str, str, str]]:
    # What would lose records, as the name of the setting, its value, and the one it has to have.
    found = {
        "appendonly": "no" if info.get("aof_enabled") == "0" else "yes",
        "maxmemory-policy": info.get("maxmemory_policy", "noeviction"),
    }
    wanted = (("appendonly", "yes"), ("maxmemory-policy", "noeviction"))
    return [(name, found[name], value) for name, value in wanted if found[name] != value]


def info_of(answer: Any) -> dict[str, str]:
    """Return the fields of an answer to INFO; raise `StoreUnavailable` if it is something else."""
    if isinstance(answer, dict):  # redis-py has parsed it
        return {str(key): str(value) for key, value in answer.items()}
    if not isinstance(answer, (bytes, str)):
        raise StoreUnavailable("Redis answered INFO with something else", retry_after=2)
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    lines = (line.partition(":") for line in text.splitlines())
    return {key: value for key, _, value in lines}
