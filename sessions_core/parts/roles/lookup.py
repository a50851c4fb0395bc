"""Finds accounts for administrators: by address, by the beginning of an address, by role, and by device.

Accounts, roles and devices are encrypted, so Redis can't search for them. A whole address leads to its keys.
Everything else is read, decrypted and compared here: a bounded part with each page. A `Place` says where the next
page goes on. What an administrator typed never becomes a pattern of Redis.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal, NamedTuple

from ...errors import AccountKeyless, AccountMalformed, NotFound
from ...sessions.record import LoadedSession
from ...sign_in import accounts
from ...sign_in.accounts import Account
from ...storage.replies import items, number
from ...web.services import Services
from ...web.sign_in import display_name
from ..devices.user_agent import device_name
from ..devices.views import DeviceView
from .roles import AccountRoles, Member

Kind = Literal["address", "prefix", "role", "device"]
Problem = Literal["malformed", "checksum", "keyless", "unknown"]

LONGEST, LONGEST_DEVICE = 180, 40  # characters of what is looked for; a session's name has 40 at most
LISTED = 2500  # accounts of each list that are compared for a page
DECIDED = 1000  # accounts whose role is compared for a page
SCANNED = 5000  # keys of Redis that are looked at for a page; a third of them or more are sessions

_PREFIX = re.compile(r"[A-Za-z0-9-]{3,128}", re.ASCII)
_LIST_PLACE = re.compile(r"list\.(\d{1,7})", re.ASCII)
_SESSIONS_PLACE = re.compile(
    r"sessions\.(\d{1,4})\.(\d{1,20})\.(\d{1,12})\.((?:[a-z]{1,16}_[A-Za-z0-9_-]{16})?)", re.ASCII
)


class Place(NamedTuple):
    """Where a search goes on: from a rank of the lists, or from a SCAN cursor of a master.

    `looked_at` is how many keys were looked at before. `after` is the handle of the last session shown, if the page
    of the cursor has more: they come in the order of their handles.
    """

    source: Literal["list", "sessions"] = "list"
    rank: int = 0
    master: int = 0
    cursor: int = 0
    looked_at: int = 0
    after: str = ""

    def __str__(self) -> str:
        if self.source == "list":
            return f"list.{self.rank}"
        return f"sessions.{self.master}.{self.cursor}.{self.looked_at}.{self.after}"


SESSIONS = Place("sessions")


def read_place(text: str) -> Place | None:
    """Return the place that `str(place)` wrote; `None` for anything else."""
    if found := _LIST_PLACE.fullmatch(text):
        return Place(rank=int(found[1]))
    found = _SESSIONS_PLACE.fullmatch(text)
    if found is None or int(found[2]) >= 1 << 64:  # Redis refuses larger cursors, which would look like an outage
        return None
    return Place("sessions", 0, int(found[1]), int(found[2]), int(found[3]), found[4])


class Refused(Exception):
    """There is nothing to show. `problem` says why; for `unknown`, `candidates` are the accounts that were looked
    for.
    """

    def __init__(self, problem: Problem, candidates: tuple[Account, ...] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.candidates = candidates


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits: accounts (`members`), or sessions for a device.

    `searched` of `total` accounts or keys were compared so far; `following` is the place after this page, if there
    is more to search.
    """

    kind: Kind
    text: str
    source: Literal["list", "sessions"]
    members: list[Member] = field(default_factory=list)
    sessions: list[DeviceView] = field(default_factory=list)
    searched: int = 0
    total: int = 0
    following: Place | None = None

    @property
    def percent(self) -> int:
        """The share that was searched so far; 100 only once all of it was."""
        return 100 if self.following is None else min(99, 100 * self.searched // max(1, self.total))


class AccountLookup:
    """Finds accounts; `page_size` is the number of hits on a page. Raises `StoreUnavailable` if Redis does not
    answer, and `NotFound` for a place on a master that there is not.
    """

    def __init__(self, services: Services, roles: AccountRoles, page_size: int) -> None:
        self._services = services
        self._roles = roles
        self._size = page_size

    def account(self, text: str, place: Place) -> Account | Found:
        """Return the account that a CAIP-10 text names, or else a page of accounts by address, beginning or role.

        Raises `Refused`.
        """
        if len(text) > LONGEST:
            raise Refused("malformed")
        if ":" in text:
            return self._parsed(text)
        for role in self._services.policy.roles:
            if role.lower() == text.lower():
                return self._by_role(role, place)
        if candidates := self._addresses(text):
            members = self._roles.known([str(each) for each in candidates])
            if not members:
                raise Refused("unknown", candidates)
            return Found("address", text, "list", members)
        if not _PREFIX.fullmatch(text):
            raise Refused("malformed")
        if place.source == "list":
            return self._by_prefix(text, place)
        beginning = text.lower()
        return self._in_sessions("prefix", text, place, lambda live: _begins(live.record.account, beginning))

    def device(self, text: str, place: Place) -> Found:
        """Return a page of the sessions whose name or browser has all these words. Raises `Refused`."""
        words = display_name(text).lower().split()
        if not words or len(text) > LONGEST_DEVICE:
            raise Refused("malformed")

        def matches(live: LoadedSession) -> bool:
            view = DeviceView(live, self._services)
            # As the pages call it in the administrator's language, and as it is stored.
            shown = f"{view.name} {device_name(view.device)} {view.device}".lower()
            return all(word in shown for word in words)

        start = place if place.source == "sessions" else SESSIONS
        return self._in_sessions("device", display_name(text), start, matches)

    def _parsed(self, text: str) -> Account:
        try:
            return accounts.parse(text)
        except AccountMalformed as error:
            raise Refused(_problem(error)) from error

    def _addresses(self, text: str) -> tuple[Account, ...]:
        """Return the accounts with an address, one on each chain that accepts it. Raises `Refused` for a text that is
        an address on no chain because of its checksum, or because no single key signs for it.
        """
        found, problems = list[Account](), set[Problem]()
        for chain in self._services.settings.chains:
            try:
                found.append(self._parsed(f"{chain}:{text}"))
            except Refused as refused:
                problems.add(refused.problem)
        if not found and problems != {"malformed"}:
            raise Refused("checksum" if "checksum" in problems else "keyless")
        return tuple(found)

    def _by_role(self, role: str, place: Place) -> Found:
        listed = self._roles.listed((place.rank, DECIDED))
        members = {each.account: each for each in self._roles.members(listed.decided)}
        hits, rank = list[Member](), place.rank
        for account, _ in listed.decided:
            rank += 1
            if account and members[account].status.role == role:
                hits.append(members[account])
            if len(hits) == self._size:
                break
        following = Place(rank=rank) if rank < listed.all_decided and listed.decided else None
        return Found("role", role, "list", hits, [], rank, listed.all_decided, following)

    def _by_prefix(self, text: str, place: Place) -> Found:
        listed = self._roles.listed((place.rank, LISTED), (place.rank, LISTED))
        beginning, hits, rank = text.lower(), dict[str, int](), place.rank
        for row in zip_longest(listed.decided, listed.seen):
            rank += 1
            hits.update(each for each in row if each and _begins(each[0], beginning))
            if len(hits) >= self._size - 1:  # a rank adds two at most
                break
        more = rank < max(listed.all_decided, listed.all_seen) and (listed.decided or listed.seen)
        searched = min(rank, listed.all_decided) + min(rank, listed.all_seen)
        return Found(
            *("prefix", text, "list", self._roles.members(hits.items()), []),
            *(searched, listed.all_decided + listed.all_seen, Place(rank=rank) if more else SESSIONS),
        )

    def _in_sessions(self, kind: Kind, text: str, place: Place, matches: Callable[[LoadedSession], bool]) -> Found:
        connection = self._services.connection
        masters = connection.masters()
        if place.master >= len(masters):
            raise NotFound("no such page")
        # Without MATCH, to know how many keys were looked at.
        size, reply = masters[place.master](("DBSIZE",), ("SCAN", place.cursor, "COUNT", SCANNED))
        after, keys = items(reply, 2)
        cursor, looked_at = number(after), place.looked_at + len(keys)
        prefix = f"{self._services.settings.redis_prefix}{{".encode()
        records = {key.decode(errors="replace") for key in keys if key.startswith(prefix) and b"}:session:" in key}
        sessions = self._services.sweeper.living(list(records))
        hits = (
            live for live in sessions if live.record.account and live.record.handle > place.after and matches(live)
        )
        shown = heapq.nsmallest(self._size + 1, hits, key=lambda live: live.record.handle)
        following: Place | None
        if len(shown) > self._size:
            following = place._replace(after=shown[self._size - 1].record.handle)
        elif cursor:
            following = Place("sessions", 0, place.master, cursor, looked_at)
        else:
            following = Place("sessions", 0, place.master + 1, 0, looked_at)
            following = following if following.master < len(masters) else None
        shown = shown[: self._size]
        total = number(size) * len(masters)
        if kind == "device":
            views = [DeviceView(live, self._services) for live in shown]
            return Found(kind, text, "sessions", [], views, looked_at, total, following)
        signed_in = {live.record.account: live.record.created_at for live in shown}
        members = self._roles.members(signed_in.items())
        return Found(kind, text, "sessions", members, [], looked_at, total, following)


def _begins(account: str, beginning: str) -> bool:
    return account.rpartition(":")[2].lower().startswith(beginning)


def _problem(error: AccountMalformed) -> Problem:
    if isinstance(error, AccountKeyless):
        return "keyless"
    return "checksum" if error.wrong_checksum else "malformed"
