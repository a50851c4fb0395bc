"""The settings of the migration."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...errors import Misconfigured
from ...settings import DAY, PREFIX, Settings, is_random, refuse_outside

REDIS, SIGNED_COOKIE, REMEMBER_COOKIE = SOURCES = ("redis", "signed_cookie", "remember_cookie")

REMEMBER_SECONDS = 400 * DAY
"""How long a remember cookie may be good: it has no time in it, and browsers keep none for longer."""

_COOKIE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationSettings:
    """Where sessions are moved from, and who their users are."""

    migrate_from: tuple[str, ...] = ()
    """What is moved: "redis" (Flask-Session), "signed_cookie" (Flask), "remember_cookie" (Flask-Login)."""
    migrate_account: Callable[..., Any] | None = None
    """A function that returns the CAIP-10 account of a former session from its data, or None if it has no user."""
    migrate_redis_url: str | None = field(default=None, repr=False)
    """The Redis of Flask-Session; None is that of this site."""
    migrate_key_prefix: str = "session:"
    """What its keys begin with (SESSION_KEY_PREFIX)."""
    migrate_cookie: str = "session"
    """The name of the former session cookie (SESSION_COOKIE_NAME)."""
    migrate_remember_cookie: str = "remember_token"
    """The name of Flask-Login's remember cookie (REMEMBER_COOKIE_NAME)."""
    migrate_secrets: tuple[str, ...] = field(default=(), repr=False)
    """The secrets that signed the former cookies; empty: SECRET_KEY and SECRET_KEY_FALLBACKS."""
    migrate_seconds: int = 31 * DAY
    """How old a former session or cookie may be (PERMANENT_SESSION_LIFETIME)."""
    migrate_unpickle: Callable[..., Any] | None = None
    """What reads the pickles of Flask-Session before 0.7, such as pickle.loads; None refuses them."""
    migrate_beside: bool = False
    """True while servers of the former version still run: their sessions stay until the last one has stopped."""

    @property
    def closed_seconds(self) -> int:
        """How long it must be known that an account has signed out: as long as something from before may be good."""
        return REMEMBER_SECONDS if REMEMBER_COOKIE in self.migrate_from else max(self.migrate_seconds, 31 * DAY)

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for what can't work, or would let strangers in."""
        for source in self.migrate_from:
            if source not in SOURCES:
                known = ", ".join(map(repr, SOURCES))
                raise Misconfigured(f"{PREFIX}MIGRATE_FROM names {source!r}. Write one or more of {known}.")
        if REMEMBER_COOKIE in self.migrate_from and self.migrate_account is None:
            raise Misconfigured(
                f"{PREFIX}MIGRATE_FROM names 'remember_cookie', and {PREFIX}MIGRATE_ACCOUNT is missing: such a "
                "cookie holds nothing but its user. Set it to a function that returns the account."
            )
        if not self.migrate_key_prefix or self.migrate_key_prefix.startswith(settings.redis_prefix):
            raise Misconfigured(
                f"{PREFIX}MIGRATE_KEY_PREFIX is {self.migrate_key_prefix!r}, so a cookie could name any key, or one "
                'of this package. Write what the keys of Flask-Session begin with, such as "session:".'
            )
        for name in ("migrate_cookie", "migrate_remember_cookie"):
            if not _COOKIE.fullmatch(getattr(self, name)):
                raise Misconfigured(f'{PREFIX}{name.upper()} must be the name of a cookie, such as "session".')
        for place, secret in enumerate(self.migrate_secrets):
            if not is_random(secret):
                raise Misconfigured(
                    f"{PREFIX}MIGRATE_SECRETS[{place}] must have at least 32 random characters: an attacker who "
                    "guesses it can forge cookies of any user. Leave it out, and let its users sign in again."
                )
        if self.migrate_beside and not settings.cookie_secure and self.migrate_cookie == settings.cookie_name:
            raise Misconfigured(
                f"{PREFIX}MIGRATE_BESIDE = True needs another cookie than {self.migrate_cookie!r}, which the former "
                f"servers set. Set {PREFIX}COOKIE_NAME."
            )
        refuse_outside(self, "migrate_seconds", 60, REMEMBER_SECONDS)
