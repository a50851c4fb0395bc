"""The settings of the JSON service."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ...errors import Misconfigured
from ...settings import LOOPBACK, MINUTE, PREFIX, Settings, canonical_origin, refuse_outside


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Session tokens, refresh tokens, and pages on other origins."""

    token_seconds: int = 5 * MINUTE
    """How long a session token (JWT) is good for, 5 minutes at most: so long other services go on trusting it."""
    token_audience: str = ""
    """The `aud` of session tokens, which the services that take them compare; empty is the public origin."""
    allowed_origins: tuple[str, ...] = ()
    """Origins whose pages may call this site with a session token. They never get to use its cookies."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for a token that lives too long, and for an origin that would admit any site."""
        refuse_outside(self, "token_seconds", 30, 5 * MINUTE)
        for origin in self.allowed_origins:
            local = settings.development and urlsplit(origin).hostname in LOOPBACK
            if origin != canonical_origin(origin) or not (local or origin.startswith("https://")):
                raise Misconfigured(
                    f"{PREFIX}ALLOWED_ORIGINS has {origin!r}. Write each as https://, host and port only, in lower "
                    'case and without the default port, such as "https://shop.example.org". "*" and "null" would let '
                    "in any site; http:// is for this machine in development only."
                )
