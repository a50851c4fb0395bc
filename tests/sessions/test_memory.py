"""What accounts take in Redis, and what those leave behind that sign in once and never come back."""

from __future__ import annotations

import re

import pytest
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
    assert {key.decode().rpartition(":")[2] for key in keys} == {"epoch", "index", "log"}
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


AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
)


def bytes_of(redis: Redis, wallet: Wallet, *names: str) -> int:
    """What the keys of an account with these names take, by Redis's own estimate."""
    keys = redis.keys(f"*{{{account_tag(wallet.account())}}}:*")
    chosen = [key for key in keys if key.decode().partition("}:")[2].split(":")[0] in names]
    return sum(redis.memory_usage(key, samples=0) for key in chosen)


@pytest.mark.parametrize("agent", AGENTS, ids=["Firefox", "Safari", "Chrome"])
def test_session_takes_as_few_bytes_as_the_docs_state(app: Flask, redis: Redis, agent: str) -> None:
    """With its entry in the index and its notices; beside another session of the account, and alone."""
    said = re.search(r"index and its notices costs less than (\d+) bytes, whether the account has one or", OPERATIONS)
    assert said
    most, wallet = int(said[1]), Wallet()
    for number in range(1, 4):
        visitor = Visitor(app)
        visitor.client.environ_base |= {"HTTP_USER_AGENT": agent, "REMOTE_ADDR": "203.0.113.199"}
        form: dict[str, str] = visitor.challenge(wallet.account())
        form |= {"csrf_token": visitor.token(), "signature": wallet.sign(form["message"]), "wallet": "MetaMask"}
        assert visitor.post("/sign-in", data=form).status_code == 303
        assert bytes_of(redis, wallet, "session", "index", "news") < most * number, number
        if number == 1:
            everything = bytes_of(redis, wallet, "session", "index", "news", "log")
            # Each of the three keys is among those that expire (40 bytes), and in two tables (32 once they grew).
            assert everything + 3 * (40 + 32) < 1130, "where a million keys fill the tables better: 1,100"
