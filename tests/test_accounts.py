"""CAIP-10 accounts: the published checksums, and everything that is not one canonical account."""

from __future__ import annotations

import random

import pytest

from sessions_core import accounts
from sessions_core.accounts import Account
from sessions_core.errors import AccountMalformed

# The test cases of ERC-55: all caps, all lower, and four in mixed case.
ERC55 = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
GOOD = ERC55[4]


@pytest.mark.parametrize("address", ERC55)
def test_the_published_checksums_are_ours(address: str) -> None:
    assert accounts.eip55(address.lower()) == address
    assert accounts.eip55("0x" + address[2:].upper()) == address
    assert str(accounts.parse(f"eip155:1:{address}")) == f"eip155:1:{address}"


def test_an_address_in_one_case_carries_no_checksum_and_is_given_one() -> None:
    assert accounts.parse(f"eip155:1:{GOOD.lower()}").address == GOOD
    assert accounts.parse(f"eip155:1:0x{GOOD[2:].upper()}").address == GOOD


def test_one_letter_of_a_checksummed_address_in_the_other_case_is_refused() -> None:
    letters = [at for at in range(2, 42) if GOOD[at].isalpha()]
    assert len(letters) > 15
    for at in letters:
        with pytest.raises(AccountMalformed):
            accounts.parse(f"eip155:1:{GOOD[:at]}{GOOD[at].swapcase()}{GOOD[at + 1 :]}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "::",
        GOOD,
        f"eip155:{GOOD}",
        f"eip155::{GOOD}",
        f"eip155:1:{GOOD}:1",
        f"EIP155:1:{GOOD}",
        f"eip155:01:{GOOD}",
        f"eip155:+1:{GOOD}",
        f"eip155:-1:{GOOD}",
        f"eip155:0x1:{GOOD}",
        f"eip155:1e0:{GOOD}",
        f"eip155:1.0:{GOOD}",
        f"eip155:\u0663:{GOOD}",
        f"eip155:{'9' * 20}:{GOOD}",
        f"eip155:{'9' * 40}:{GOOD}",
        f" eip155:1:{GOOD}",
        f"eip155:1:{GOOD} ",
        f"eip155:1:{GOOD}\n",
        f"eip155:1:{GOOD}\0",
        f"eip155:1:\n{GOOD}",
        f"eip155:1:0X{GOOD[2:]}",
        f"eip155:1:{GOOD[2:]}",
        f"eip155:1:{GOOD[:-1]}",
        f"eip155:1:{GOOD}0",
        f"eip155:1:{GOOD[:-1]}g",
        f"eip155:1:{GOOD[:-1]}\uff44",
        "eip155:1:0x" + "\u0661" * 40,
        "eip155:1:" + "a" * 128,
        "eip155:1:" + "a" * 100_000,
        f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{GOOD}",
        "bip122:000000000019d6689c085ae165831e93:128Lkh3S7CkDTBZ8W7BbpsN3YYizJMp8p6",
        f"{'e' * 9}:1:{GOOD}",
        "\ud800",
    ],
)
def test_what_is_not_one_canonical_account_is_refused(text: str) -> None:
    with pytest.raises(AccountMalformed):
        accounts.parse(text)


def test_a_mutated_account_is_refused_or_another_spelling_of_itself() -> None:
    chance = random.Random(55)
    accepted = refused = 0
    for _ in range(2000):
        address = accounts.eip55("0x" + chance.randbytes(20).hex())
        text = list(f"eip155:{chance.choice((1, 10, 8453))}:{address}")
        if chance.random() < 0.8:
            text[chance.randrange(len(text))] = chance.choice("eip15:x0aAfF9.-%\n\0é ")
        try:
            account = accounts.parse("".join(text))
        except AccountMalformed:
            refused += 1
        else:
            accepted += 1
            assert str(account) == "".join(text)
    assert accepted > 300
    assert refused > 300


def test_an_account_survives_being_stored() -> None:
    account = accounts.parse(f"eip155:11155111:{GOOD}")
    assert accounts.stored(str(account)) == account == Account("eip155", "11155111", GOOD)


def test_a_chain_has_a_name_and_a_network() -> None:
    account = accounts.parse(f"eip155:11155111:{GOOD}")
    assert (account.chain.id, account.chain.name, account.chain.network) == ("eip155:11155111", "Sepolia", "testnet")
    assert accounts.chain("eip155:1").network == "mainnet"


def test_a_chain_that_is_not_listed_is_unsupported_rather_than_an_error() -> None:
    stranger = accounts.parse(f"eip155:5:{GOOD}").chain
    assert (stranger.id, stranger.network) == ("eip155:5", "unsupported")
    assert "eip155:5" in stranger.name


def test_every_listed_chain_is_found_by_its_own_id() -> None:
    assert accounts.CHAINS
    for chain_id, chain in accounts.CHAINS.items():
        assert chain.id == chain_id
        assert chain.network in ("mainnet", "testnet")
        assert accounts.parse(f"{chain_id}:{GOOD}").chain is chain


def test_a_short_address_shows_both_ends() -> None:
    assert accounts.parse(f"eip155:1:{GOOD}").short_address == "0x5aAe…eAed"


def test_an_account_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        accounts.parse(f"eip155:1:{GOOD}").address = ERC55[0]  # type: ignore[misc]
