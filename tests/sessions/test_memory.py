"""What people leave behind in Redis who sign in once and never come back: a wallet costs nothing to make."""

from __future__ import annotations

import re

from flask import Flask
from redis import Redis

from sessions_core.sessions.record import account_tag
from sessions_core.settings import DAY
from sessions_core.storage.scripts import EPOCH_SECONDS

from ..actors import Visitor, Wallet
from ..constants import ROOT

OPERATIONS = " ".join((ROOT / "docs" / "operations.md").read_text().split())
SIGN_INS = 300 * 60 * 24  # a day, at the default limit of one address


def test_throwaway_wallet_leaves_what_the_docs_state(app: Flask, redis: Redis) -> None:
    """It signs in, ends all its sessions, and never comes back."""
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    app.extensions["sessions_core"].repository.revoke_account(wallet.account())
    said = re.search(r"leaves less than (\d+) kB, most of it for (\d+) days", OPERATIONS)
    assert said
    kilobytes, days = map(int, said.groups())
    keys = redis.keys(f"*{{{account_tag(wallet.account())}}}*")
    assert {key.decode().rpartition(":")[2] for key in keys} == {"activity", "epoch", "index", "news"}
    sizes = {key: redis.memory_usage(key) for key in keys}
    assert kilobytes * 500 < sum(sizes.values()) < kilobytes * 1000, "neither more nor much less"
    for key, size in sizes.items():
        lasting = redis.ttl(key)
        if key.endswith(b":epoch"):
            assert size <= 100
            assert 0 < lasting <= EPOCH_SECONDS
        else:
            assert 0 < lasting <= days * DAY, key
    assert f"less than {SIGN_INS * kilobytes * days / 1e6:.1f} GB" in OPERATIONS
    assert f"{SIGN_INS * 100 * EPOCH_SECONDS / DAY / 1e9:.1f} GB more" in OPERATIONS
