"""Which secrets the running server processes know: all of them must be able to decrypt what a command encrypts.

Each process notes the ids of its keys in Redis when it starts and, with its requests, once a minute. The note lives
for a day and goes when the process ends; one that was killed leaves it behind. Ids are hashes and give nothing away.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import sys
import time
import weakref
from itertools import pairwise

import click
from flask.cli import ScriptInfo

from ...errors import BadRequest, StoreUnavailable
from ...settings import DAY, MINUTE, Settings
from ...storage.connection import RedisConnection
from ...storage.encryption import KeyRing
from ...web.session_view import moment, second


class Servers:
    """The notes of all processes under one prefix, and that of this one."""

    def __init__(self, connection: RedisConnection, keys: KeyRing, settings: Settings) -> None:
        self._connection = connection
        self._keys = keys
        self._prefix = f"{settings.redis_prefix}server:"
        self._key = self._prefix + secrets.token_hex(8)
        self._due = 0.0
        self._notes = False
        self._pid = os.getpid()

    def start(self) -> None:
        """Note this process from now on: it is a server, not a command."""
        self._notes = True
        self.note()
        atexit.register(_forget, weakref.ref(self))

    def note(self) -> None:
        """Note this process again if that is due. If Redis does not answer, try again in a minute."""
        now = time.monotonic()
        if not self._notes or now < self._due:
            return
        self._due = now + MINUTE
        told = json.dumps({"keys": self._keys.ids, "at": int(time.time())})
        try:
            self._connection.call("SET", self._key, told, "EX", DAY)
        except StoreUnavailable:
            return  # requests say so themselves

    def forget(self) -> None:
        """Delete the note. A forked worker keeps that of its parent."""
        if self._pid == os.getpid():
            try:
                self._connection.call("DEL", self._key)
            except StoreUnavailable:
                return

    def unaware(self) -> list[int]:
        """Return when each process was last heard of that can't decrypt what is encrypted here, in seconds since the
        epoch.

        Raises `StoreUnavailable`.
        """
        notes = (self._connection.call("GET", key) for key in self._connection.scan(f"{self._prefix}*"))
        told = [json.loads(note) for note in notes if note]
        return [each["at"] for each in told if self._keys.newest_id not in each["keys"]]

    def refuse_unaware(self) -> None:
        """Raise `BadRequest` if a process could not decrypt what this one encrypts: users would be signed out, and
        roles lost. May raise `StoreUnavailable`.
        """
        unaware = self.unaware()
        if unaware:
            raise BadRequest(
                f"{len(unaware)} server process{'es do' if len(unaware) > 1 else ' does'} not know the secret of "
                f"this shell, and could not decrypt what this command encrypts (last heard of at "
                f"{second(moment(max(unaware) * 1000))}). Give this shell the environment of the servers, or restart "
                "them with the new secret. If the process was killed, say --force."
            )


def _forget(servers: weakref.ref[Servers]) -> None:
    found = servers()
    if found is not None:
        found.forget()


def is_command() -> bool:
    """Whether this process is a command and no server."""
    # `flask sessions sweep` and the like; `flask run` is a server.
    context = click.get_current_context(silent=True)
    return context is not None and context.find_object(ScriptInfo) is not None and context.info_name != "run"


def is_check() -> bool:
    """Whether this process is `flask sessions check`, which reports what start-up refuses."""
    return is_command() and ("sessions", "check") in pairwise(sys.argv)
