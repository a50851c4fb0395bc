"""CAIP-10 accounts: the published checksums, and everything that is not one canonical account."""

from __future__ import annotations

import random

import pytest

from sessions_core.errors import AccountKeyless, AccountMalformed
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.parts.internet_computer import principals
from sessions_core.parts.stacks import c32check
from sessions_core.sign_in import accounts
from sessions_core.sign_in.accounts import Account

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

# One account of every chain. CAIP-10's profiles for Stacks and Solana have the first three.
STACKS = "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"
STACKS_TESTNET = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM"
SOLANA = "7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv"
PRINCIPAL = "dm2j7-ddq7f-hwbhg-dsga5-zexu5-37pae-psybn-yphun-cjcxh-cfhxf-kae"
MAINNET_SOLANA = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
ICP = "icp:737ba355e855bd4b61279056603e0550"


def example(chain_id: str) -> str:
    """An account of a chain that is listed."""
    address = {"eip155": GOOD, "stacks": STACKS, "solana": SOLANA, "icp": PRINCIPAL}[chain_id.partition(":")[0]]
    return f"{chain_id}:{STACKS_TESTNET if chain_id == 'stacks:2147483648' else address}"


@pytest.mark.parametrize("address", ERC55)
def test_the_published_checksums_are_ours(address: str) -> None:
    assert checksum_address(address.lower()) == address
    assert checksum_address("0x" + address[2:].upper()) == address
    assert str(accounts.parse(f"eip155:1:{address}")) == f"eip155:1:{address}"


def test_single_case_address_is_given_its_checksum() -> None:
    """An address in only lower or only upper case carries no checksum to verify."""
    assert accounts.parse(f"eip155:1:{GOOD.lower()}").address == GOOD
    assert accounts.parse(f"eip155:1:0x{GOOD[2:].upper()}").address == GOOD


def test_one_letter_in_the_wrong_case_breaks_the_checksum() -> None:
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
def test_non_canonical_account_is_refused(text: str) -> None:
    with pytest.raises(AccountMalformed):
        accounts.parse(text)


def test_mutated_account_is_refused_or_parses_to_itself() -> None:
    chance = random.Random(55)
    accepted = refused = 0
    for _ in range(2000):
        address = checksum_address("0x" + chance.randbytes(20).hex())
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


def test_unlisted_chain_is_unsupported_not_malformed() -> None:
    stranger = accounts.parse(f"eip155:5:{GOOD}").chain
    assert (stranger.id, stranger.network) == ("eip155:5", "unsupported")
    assert "eip155:5" in stranger.name


def test_every_listed_chain_is_found_by_its_own_id() -> None:
    assert accounts.CHAINS
    for chain_id, chain in accounts.CHAINS.items():
        assert chain.id == chain_id
        assert chain.network in ("mainnet", "testnet")
        assert accounts.parse(example(chain_id)).chain is chain
        assert str(accounts.parse(example(chain_id))) == example(chain_id)


@pytest.mark.parametrize("chain_id", accounts.CHAINS)
def test_an_account_of_a_chain_survives_being_stored_and_shown(chain_id: str) -> None:
    account = accounts.parse(example(chain_id))
    assert accounts.stored(str(account)) == account
    assert len(account.short_address) == 11


@pytest.mark.parametrize("chain_id", accounts.CHAINS)
def test_an_address_of_another_chain_is_no_account(chain_id: str) -> None:
    namespace = chain_id.partition(":")[0]
    for other in accounts.CHAINS:
        if other.partition(":")[0] != namespace:
            with pytest.raises(AccountMalformed):
                accounts.parse(f"{chain_id}:{example(other).split(':', 2)[2]}")


@pytest.mark.parametrize("chain_id", [each for each in accounts.CHAINS if not each.startswith("eip155")])
def test_each_character_of_an_address_counts(chain_id: str) -> None:
    """With one changed, lost or doubled it is refused, or on Solana, which has no checksum, another account."""
    chance = random.Random(10)
    original = example(chain_id)
    for at in range(len(chain_id) + 1, len(original)):
        for other in ("", original[at] * 2, *chance.choices("019AIOlzSP-. \n\0é2", k=6)):
            changed = original[:at] + other + original[at + 1 :]
            if changed == original:
                continue
            try:
                account = accounts.parse(changed)
            except AccountMalformed:
                continue
            assert chain_id.startswith("solana:")
            assert str(account) == changed


# -- Stacks ----------------------------------------------------------------------------------------------------

HASH160 = bytes.fromhex("a46ff88886c2ef9762d970b4d2c63678835bd39d")


def kind_of(text: str) -> type[AccountMalformed]:
    with pytest.raises(AccountMalformed) as refusal:
        accounts.parse(text)
    return type(refusal.value)


def test_multisig_stacks_addresses_are_refused_as_keyless() -> None:
    """They have an error code of their own on both networks; a wrong checksum stays malformed."""
    for version, name in ((20, "SM"), (21, "SN")):
        address = c32check.write_stacks(version, HASH160)
        assert address.startswith(name)
        for chain in ("stacks:1", "stacks:2147483648"):
            assert kind_of(f"{chain}:{address}") is AccountKeyless
        assert kind_of(f"stacks:1:{address[:-1]}{'0' if address[-1] != '0' else '1'}") is AccountMalformed


def test_the_version_byte_of_an_address_fits_the_chain() -> None:
    fitting = {("stacks:1", 22), ("stacks:2147483648", 26)}
    for version in (*range(20), *range(22, 32)):
        address = c32check.write_stacks(version, HASH160)
        for chain in ("stacks:1", "stacks:2147483648"):
            if (chain, version) in fitting:
                assert accounts.parse(f"{chain}:{address}").address == address
            else:
                assert kind_of(f"{chain}:{address}") is AccountMalformed


def test_unknown_stacks_network_is_unsupported_not_malformed() -> None:
    for address in (STACKS, STACKS_TESTNET):
        assert accounts.parse(f"stacks:2147483649:{address}").chain.network == "unsupported"


def test_stacks_addresses_of_every_length_are_accepted() -> None:
    """A pattern of 38 characters after ST, often copied, refuses every mainnet address and most of testnet's."""
    lengths = set()
    for zeros in range(21):
        address = c32check.write_stacks(22, bytes(zeros) + b"\xff" * (20 - zeros))
        lengths.add(len(address))
        assert accounts.parse(f"stacks:1:{address}").address == address
    assert (min(lengths), max(lengths)) == (29, 41)


@pytest.mark.parametrize(
    "text",
    [
        f"stacks:01:{STACKS}",
        f"stacks:0x1:{STACKS}",
        f"stacks:mainnet:{STACKS}",
        f"stacks:2147483648:{STACKS}",
        f"stacks:1:{STACKS_TESTNET}",
        f"stacks:1:{STACKS.lower()}",
        f"stacks:1:{STACKS.replace('0', 'O').replace('1', 'L')}",
        f"stacks:1:{STACKS[1:]}",
        f"stacks:1:0{STACKS[1:]}",
        f"stacks:1:{STACKS}.token",
        "stacks:1:SP37JJX3D",
        "stacks:1:S" + "0" * 27,
        "stacks:1:S" + "Z" * 40,
        "stacks:1:S" + "Z" * 41,
        "stacks:1:1FzTxL9Mxnm2fdmnQEArfhzJHevwbvcH6d",
    ],
)
def test_malformed_stacks_account_is_refused(text: str) -> None:
    assert kind_of(text) is AccountMalformed


# -- Solana and the Internet Computer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"solana:mainnet:{SOLANA}",
        f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvd:{SOLANA}",
        f"solana:0eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{SOLANA}",
        f"{MAINNET_SOLANA}:{SOLANA[:-2]}",
        f"{MAINNET_SOLANA}:{SOLANA}1",
        f"{MAINNET_SOLANA}:1{SOLANA}",
        f"{MAINNET_SOLANA}:{SOLANA} ",
        f"{MAINNET_SOLANA}:{SOLANA.replace('7', '0')}",
        f"{MAINNET_SOLANA}:" + "1" * 31,
        f"{MAINNET_SOLANA}:" + "1" * 33,
        f"{MAINNET_SOLANA}:" + "z" * 44,
        f"icp:mainnet:{PRINCIPAL}",
        f"icp:737BA355E855BD4B61279056603E0550:{PRINCIPAL}",
        f"icp:737ba355e855bd4b61279056603e055:{PRINCIPAL}",
        f"{ICP}:{PRINCIPAL.upper()}",
        f"{ICP}:{PRINCIPAL.replace('-', '')}",
        f"{ICP}:{PRINCIPAL}-",
        f"{ICP}:{PRINCIPAL[:-1]}f",
        f"{ICP}:rdmx6-jaaaa-aaaah-qcaiq-cai",
        f"{ICP}:-------",
        f"{ICP}:" + principals.write_principal(b"\2" * 28 + b"\2")[:-4],
    ],
)
def test_malformed_solana_or_icp_account_is_refused(text: str) -> None:
    assert kind_of(text) is AccountMalformed


@pytest.mark.parametrize(
    "text",
    [
        f"{MAINNET_SOLANA}:11111111111111111111111111111111",
        f"{ICP}:2vxsx-fae",
        f"{ICP}:aaaaa-aa",
        f"{ICP}:rdmx6-jaaaa-aaaaa-aaadq-cai",
        f"{ICP}:" + principals.write_principal(b"\1" * 28 + b"\1"),  # opaque
        f"{ICP}:" + principals.write_principal(b"\1" * 28 + b"\3"),  # derived
        f"{ICP}:" + principals.write_principal(b"\1" * 28 + b"\4"),
        f"{ICP}:" + principals.write_principal(b"\1" * 27 + b"\2"),
    ],
)
def test_address_without_a_key_is_refused_as_keyless(text: str) -> None:
    """The error code differs from that of a malformed address."""
    assert kind_of(text) is AccountKeyless


def test_unknown_cluster_or_root_key_is_unsupported() -> None:
    """It is not malformed."""
    for text in (f"solana:EAQLJCV2mh23BsK2P9oYpV5CHVLDNHTx:{SOLANA}", f"icp:{'0' * 32}:{PRINCIPAL}"):
        assert accounts.parse(text).chain.network == "unsupported"


def test_a_short_address_shows_both_ends() -> None:
    assert accounts.parse(f"eip155:1:{GOOD}").short_address == "0x5aAe…eAed"


def test_an_account_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        accounts.parse(f"eip155:1:{GOOD}").address = ERC55[0]  # type: ignore[misc]
