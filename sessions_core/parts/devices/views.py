"""A session and the sign-ins elsewhere, for pages, the JSON service and commands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, cast

from ...web.services import current_services
from ...web.session_view import SessionView, described, iso, moment
from .recent_sign_ins import DEVICE, SECONDS, SignIn
from .schemas import SessionRow, SignInElsewhere
from .user_agent import UNKNOWN, device_name


class DeviceView(SessionView):
    """A session, and where it was last used from."""

    @property
    def name(self) -> str:
        """The user's own name for the session, else what it is used with, in the language of the request."""
        return self.label or device_name(self.device)

    @property
    def label(self) -> str:
        """The user's own name for the session, or empty."""
        return DEVICE.of(self.live.record).label

    @property
    def device(self) -> str:
        """What the session was last used with, such as "Firefox on Linux"; empty if that is not kept."""
        return DEVICE.of(self.live.record).device

    @property
    def is_new(self) -> bool:
        """Whether the browser of the session signed in with this account for the first time within the last day."""
        since = DEVICE.of(self.live.record).known_since or self.live.record.created_at
        return self.live.now - since < SECONDS * 1000

    @property
    def agent(self) -> str:
        """The user agent the session was last used with."""
        return DEVICE.of(self.live.record).agent

    @property
    def ip(self) -> str:
        """The address the session was last used from, shortened if the settings say so."""
        return DEVICE.of(self.live.record).ip

    def as_row(self) -> dict[str, Any]:
        """Return the session as a row of a list, for JSON."""
        known = {"label": self.label, "device": self.device, "user_agent": self.agent, "ip": self.ip}
        return super().as_row() | known

    def as_answer(self, current: str) -> SessionRow:
        """Return the session for the JSON service; `current` is the handle of the session that asks."""
        return SessionRow(current=self.handle == current, **self.as_row())


class SignInView:
    """A sign-in to the account from elsewhere. Unknown fields are empty."""

    def __init__(self, sign_in: SignIn) -> None:
        self.handle = sign_in.handle
        self.device = sign_in.device
        self.ip = sign_in.ip
        self.wallet = sign_in.wallet
        self.at = moment(sign_in.at)

    def as_answer(self) -> SignInElsewhere:
        """Return the sign-in for the answer of `validate`."""
        return SignInElsewhere(self.handle, self.device, self.ip, self.wallet, iso(self.at))


def signed_name(accounts: Iterable[str], handle: str) -> str:
    """Return the name, in ASCII, of the device whose session has a handle and belongs to one of the accounts."""
    for account in accounts:
        live = current_services().repository.find_living(account, handle)
        if live is not None:
            view = cast(DeviceView, described(live))
            return _in_ascii(view.label) or _in_ascii(view.device) or UNKNOWN
    return UNKNOWN


def _in_ascii(name: str) -> str:
    """Return what wallets can show of a name."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^A-Za-z0-9 .,_-]", " ", letters).split())[:40].rstrip()
