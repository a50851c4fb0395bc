"""The settings of this part."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import DAY, MINUTE, Settings, refuse_unsafe_clocks


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """How long the sessions of verified professionals last, in seconds."""

    professional_idle_seconds: int = 15 * MINUTE
    """A professional session without activity for this long has ended."""
    professional_absolute_seconds: int = DAY
    """A professional session this old has ended, whatever happens."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Refuse clocks that are too short, too long, or over before their warning."""
        refuse_unsafe_clocks(self, ("professional_",), settings)
