"""The Lua scripts: each change to a session's record, index and epoch is one of them, and so one atomic step.

Each file begins with what it does, its KEYS and ARGV in order, and its reply. All keys of one account share the hash
tag `{tag}`, so a script runs on one slot of a Redis Cluster:

    {tag}:session:<digest>   string  active|revision|idle timeout|absolute end|epoch|global epoch|encrypted record
    {tag}:epoch              number  a record that saw a smaller one is dead; gone after the longest session
    {tag}:index              hash    digest -> handle|created|ends|idle end|reason; no reason while the session lives
    {tag}:<name>             string  what a part keeps for the account (`AccountKey`)
    epoch                    number  like that of the account, for all accounts; outside the tag

The TTL of a record is its idle clock, never past its absolute end. `active` is when activity was last written: 13
digits, so that it can be written in place. All times are milliseconds by Redis's own clock. Index entries outlive
their session by a day, to tell the browser that comes back why it is signed out. The idle end of an entry tells a
record that ran out of time from one that was lost (eviction, FLUSHALL, a failover).

A script can fail at any of its commands, and nothing is undone then. So each reads first, then writes what must hold,
and does the rest (index, announcement) in a way that can't fail: an error means that nothing was done.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ...settings import DAY, LONGEST

EPOCH_SECONDS = LONGEST + DAY
"""How long an account's epoch stays: every record that is older than it has met its absolute end by then, whatever
the settings are or become, since no session is longer than `LONGEST`; a day is for what was under way.

Nothing moves that end meanwhile: `rotate` alone can, and refuses a record that is older than the epoch. A refresh and
a keep-alive move the idle end, and a rotated secret leaves the clocks as they are. To drop the epoch with the index
would be sooner, but not safe: a record that the index lost, or one being stored right now, may outlive the index.
"""

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r"^-- include (\w+\.lua)\n", re.MULTILINE)


class Script:
    """A Lua script and the SHA-1 that Redis knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def load(path: Path) -> Script:
    """Read a script from a `.lua` file. A line `-- include <file>` stands for a file beside it, or `_shared.lua`."""

    def included(line: re.Match[str]) -> str:
        beside = path.with_name(line[1])
        return (beside if beside.exists() else _FOLDER / line[1]).read_text("utf-8")

    return Script(_INCLUDE.sub(included, path.read_text("utf-8")))


def _load(name: str) -> Script:
    return load(_FOLDER / f"{name}.lua")


NOW = _load("now")
ACCOUNT = _load("account")
END_REASON = _load("end_reason")
FIND_BY_HANDLE = _load("find_by_handle")
CREATE = _load("create")
KEEP_ALIVE = _load("keep_alive")
SAVE = _load("save")
ROTATE = _load("rotate")
REVOKE = _load("revoke")
REVOKE_VISITOR = _load("revoke_visitor")
REVOKE_OTHERS = _load("revoke_others")
REVOKE_ACCOUNT = _load("revoke_account")
BUMP_EPOCH = _load("bump_epoch")
REPAIR = _load("repair")
ENSURE_TTL = _load("ensure_ttl")
TIDY_INDEX = _load("tidy_index")
COMPARE_AND_SWAP = _load("compare_and_swap")
COMPARE_AND_SWAP_FIELD = _load("compare_and_swap_field")
CONSUME_NONCE = _load("consume_nonce")
