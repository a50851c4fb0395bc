"""Events for the page that shows the activity log."""

from __future__ import annotations

from sessions_core import events
from sessions_core.parts.devices.events import ClientChanged, SessionNamed
from sessions_core.parts.roles.events import RoleChanged, VerificationChanged


def everything(account: str) -> list[events.Event]:
    """One of each kind of line."""
    handle = "sess_1"
    stranger = account.replace("eip155:1:", "eip155:11155111:")
    return [
        *[events.SessionRenewed(handle=handle, account=account)] * 3,
        SessionNamed(handle=handle, account=account),
        ClientChanged(handle=handle, account=account, changed="ip"),
        events.SessionConfirmed(handle=handle, account=account, action="session.revoke_all"),
        events.NetworkChanged(account=account, before=stranger),
        RoleChanged(account=account, before="member", after="admin", by=""),
        VerificationChanged(account=account, level="licensed", until=1_893_456_000_000, by=account),
        events.SessionsRevoked(account=account, scope="others"),
        events.SignInFailed(code="domain_mismatch", account=account),
        events.ConfirmationFailed(handle=handle, account=account, action="session.extend", code="challenge_expired"),
        events.ChallengeReplayed(account=account),
    ]
