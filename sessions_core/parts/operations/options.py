"""The settings of operations."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import Misconfigured
from ...settings import PREFIX, Settings, is_random


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsSettings:
    """What is checked of Redis, and which monitoring may read the metrics."""

    redis_check: bool = True
    """Whether production refuses a Redis that forgets (no append-only file, eviction) or lacks a right."""
    metrics_secret: str | None = field(default=None, repr=False)
    """The bearer token that reads /metrics, at least 32 characters; without one only development answers there."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for a secret that can be guessed."""
        if self.metrics_secret is not None and not is_random(self.metrics_secret):
            raise Misconfigured(
                f"{PREFIX}METRICS_SECRET must have at least 32 random characters: openssl rand -base64 32"
            )
