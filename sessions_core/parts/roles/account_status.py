"""The decisions of administrators about an account: its role, and whether it is a verified professional.

It is read with the session in the same round trip, so that a change applies from the next request on.
"""

from __future__ import annotations

import msgspec

from ...access.policy import MEMBER
from ...sessions.record import AccountKey


class StoredStatus(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Role and verification of one account, as they are stored; an account without has the default.

    `verified_until` is in milliseconds since the epoch, by Redis's clock.
    """

    role: str = MEMBER
    professional_id: str = ""
    verification_level: str = ""
    verified_until: int = 0

    def verified(self, now: int) -> bool:
        """Whether the verification as a professional holds at `now` (milliseconds since the epoch)."""
        return bool(self.verification_level) and now < self.verified_until


UNKNOWN = StoredStatus()
STATUS_KEY = AccountKey(name="standing")
