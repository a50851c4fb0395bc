"""What administrators decide, as events for `sessions_core.events.happened`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(Event):
    """An administrator, or the command line (`by` is empty), gave an account another role."""

    name: ClassVar[str] = "role.changed"
    kind = "changes"
    account: str
    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationChanged(Event):
    """An administrator verified a professional, or withdrew it (`level` is empty). Times are milliseconds."""

    name: ClassVar[str] = "verification.changed"
    kind = "changes"
    times = ("until",)
    account: str
    level: str
    until: int
    by: str
