"""The settings of the Internet Computer: which page of Internet Identity sign-in opens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import Misconfigured
from ...settings import PREFIX, Settings, is_safe_url

_FRAGMENT = re.compile(r"[A-Za-z0-9._~/?=&-]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class InternetComputerSettings:
    """Where users sign in with Internet Identity."""

    internet_identity_url: str = "https://id.ai/#authorize"
    """The page of Internet Identity that sign-in opens in a window; empty does not offer it."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for a page that is no safe URL."""
        url, _, fragment = self.internet_identity_url.partition("#")
        safe = is_safe_url(url, plain=settings.development) and _FRAGMENT.fullmatch(fragment)
        if self.internet_identity_url and not safe:
            raise Misconfigured(
                f"{PREFIX}INTERNET_IDENTITY_URL must be like https://id.ai/#authorize: the page that sign-in opens. "
                '"" does not offer it; http:// is for this machine in development only.'
            )
