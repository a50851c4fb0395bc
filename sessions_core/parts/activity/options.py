"""The settings of the activity log."""

from __future__ import annotations

from dataclasses import dataclass

from ...settings import Settings, refuse_outside


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivitySettings:
    """How much is kept, and for how long."""

    activity_days: int = 30
    """How long activity is kept, in days; three for an account that has not come back on another day."""
    activity_events: int = 1000
    """How many events are kept of an account; the site keeps ten times as many."""
    activity_budget: int = 1_000_000
    """How many events are kept of all accounts together, where each account counts one more: about 200 MB. New
    accounts use at most half of it."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for numbers outside their limits."""
        refuse_outside(self, "activity_days", 1, 365)
        refuse_outside(self, "activity_events", 10, 10_000)
        refuse_outside(self, "activity_budget", 1000, 1_000_000_000)
