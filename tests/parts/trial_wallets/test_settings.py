"""The settings of trial wallets: whether there are any, and how long they are kept."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from sessions_core.access.policy import Policy
from sessions_core.errors import Misconfigured
from sessions_core.parts.trial_wallets import TrialWallets
from sessions_core.settings import DAY

from ...part_settings import DEVELOPMENT, PRODUCTION, config_of, options_of, refusal_of, settings_of

options = partial(options_of, TrialWallets)
refusal = partial(refusal_of, TrialWallets)


def chain(base: dict[str, object] = PRODUCTION, **changes: object) -> str | None:
    """The chain of the wallets that are made with such settings."""
    return options(base, **changes).chain(settings_of(config_of(base, changes), [TrialWallets]))  # type: ignore[no-any-return]


def outlived(days: int, longest: int) -> str:
    """The sentence that refuses sessions which last longer than a wallet, in seconds."""
    standard = Policy(settings_of(PRODUCTION, [TrialWallets])).standard
    with pytest.raises(Misconfigured) as caught:
        options(PREGENERATED_DAYS=days).refuse_outlived([standard, replace(standard, absolute_seconds=longest)])
    return str(caught.value)


def test_trial_wallets_are_off_in_production_by_default() -> None:
    """In development they are on if an Ethereum chain is accepted."""
    assert chain() is None
    assert chain(DEVELOPMENT) == "eip155:11155111"
    assert chain(PREGENERATED_WALLETS=True) == "eip155:11155111"
    assert chain(DEVELOPMENT, PREGENERATED_WALLETS=False) is None
    assert chain(PREGENERATED_WALLETS=True, CHAINS=["stacks:1", "eip155:10", "eip155:1"]) == "eip155:10"
    assert chain(DEVELOPMENT, CHAINS=["stacks:1"]) is None
    assert "needs a chain of Ethereum" in refusal(PREGENERATED_WALLETS=True, CHAINS=["stacks:1"])
    for wrong in (1, 0, "1", ""):
        assert "PREGENERATED_WALLETS must be" in refusal(PREGENERATED_WALLETS=wrong)


def test_trial_wallet_is_kept_as_long_as_the_longest_session() -> None:
    assert options(PREGENERATED_DAYS=1).pregenerated_days == 1
    assert "between 2 and 365" in outlived(1, DAY + 1)
    assert "between 30 and 365" in outlived(29, 30 * DAY)
    assert "PREGENERATED_DAYS" in refusal(PREGENERATED_DAYS=366)
