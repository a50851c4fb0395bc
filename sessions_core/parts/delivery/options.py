"""From where browsers load static files."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import Misconfigured
from ...settings import PREFIX, Settings, canonical_origin, is_safe_url


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """From where browsers load static files."""

    assets_url: str = ""
    """Origin of a CDN that fetches static files from this site, such as "https://cdn.example.org"; empty: none."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for what is no origin, or could be changed on the way to the browser."""
        url = self.assets_url
        if url and url != canonical_origin(url):
            raise Misconfigured(
                f"{PREFIX}ASSETS_URL is {url!r}. Write scheme, host and port only, in lower case and without the "
                'default port, a path or a slash at the end, such as "https://cdn.example.org"; "" serves the files '
                "from this site."
            )
        if url and not is_safe_url(url, plain=settings.development):
            # The scripts from there run in pages of signed-in users.
            raise Misconfigured(
                f"{PREFIX}ASSETS_URL is {url!r}. It must be https://; in development, http:// works for this machine."
            )
