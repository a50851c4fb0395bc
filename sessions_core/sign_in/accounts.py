"""CAIP-2 chains and CAIP-10 accounts: parse them, check them, name their network.

Sources: CAIP-2, CAIP-10 and its profiles for each namespace, ERC-55 (mixed-case checksum of eip155 addresses),
SIP-005 (version byte of Stacks addresses), the Internet Computer interface specification, "Principals".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import AccountKeyless, AccountMalformed
from . import curves, encodings

Network = Literal["mainnet", "testnet", "unsupported"]

_CAIP10 = re.compile(r"([a-z0-9]{3,8}):([A-Za-z0-9]{1,32}):([A-Za-z0-9.%-]{1,128})", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_EIP155_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_STACKS_ADDRESS = re.compile(f"S[{encodings.C32}]{{27,40}}", re.ASCII)
_SOLANA_REFERENCE = re.compile(f"[{encodings.BASE58}]{{32}}", re.ASCII)
_SOLANA_ADDRESS = re.compile(f"[{encodings.BASE58}]{{32,44}}", re.ASCII)
_ICP_REFERENCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ICP_ADDRESS = re.compile(r"[a-z2-7-]{7,63}", re.ASCII)

# Version bytes of Stacks addresses: of one key, by network; of several keys, or wrapped (SIP-005).
_STACKS_SINGLE: dict[Network, tuple[int, ...]] = {"mainnet": (22,), "testnet": (26,), "unsupported": (22, 26)}
_STACKS_MULTIPLE = (20, 21)


@dataclass(frozen=True, slots=True)
class Chain:
    """A network by its CAIP-2 id, with the name people know and whether its money is real."""

    id: str
    name: str
    network: Network

    @property
    def namespace(self) -> str:
        """The CAIP-2 namespace."""
        return self.id.partition(":")[0]


# The chains an application may enable in SESSIONS_CORE_CHAINS. Add yours here: id, name, whether it is real.
CHAINS = {
    chain.id: chain
    for chain in (
        Chain("eip155:1", "Ethereum Mainnet", "mainnet"),
        Chain("eip155:10", "OP Mainnet", "mainnet"),
        Chain("eip155:100", "Gnosis", "mainnet"),
        Chain("eip155:137", "Polygon", "mainnet"),
        Chain("eip155:8453", "Base", "mainnet"),
        Chain("eip155:42161", "Arbitrum One", "mainnet"),
        Chain("eip155:11155111", "Sepolia", "testnet"),
        Chain("eip155:84532", "Base Sepolia", "testnet"),
        Chain("eip155:31337", "Local development chain", "testnet"),
        Chain("stacks:1", "Stacks Mainnet", "mainnet"),
        Chain("stacks:2147483648", "Stacks Testnet", "testnet"),
        Chain("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "Solana Mainnet", "mainnet"),
        Chain("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "Solana Devnet", "testnet"),
        Chain("solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", "Solana Testnet", "testnet"),
        Chain("icp:737ba355e855bd4b61279056603e0550", "Internet Computer", "mainnet"),
    )
}


def chain(chain_id: str) -> Chain:
    """Return the chain of a CAIP-2 id; one we don't know has the network "unsupported"."""
    return CHAINS.get(chain_id) or Chain(chain_id, f"Unknown network {chain_id}", "unsupported")


@dataclass(frozen=True, slots=True)
class Account:
    """An account on a chain (CAIP-10). Made by `parse`, so it is always in its canonical form."""

    namespace: str
    reference: str
    address: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.reference}:{self.address}"

    @property
    def chain(self) -> Chain:
        """The chain the account is on."""
        return chain(f"{self.namespace}:{self.reference}")

    @property
    def short_address(self) -> str:
        """The address as people compare it: `0x12ab…90ef`."""
        return f"{self.address[:6]}…{self.address[-4:]}"


def parse(text: str) -> Account:
    """Read a CAIP-10 account such as `eip155:1:0x52908400098527886E0F7030069857D2E4169EE7`.

    An address all in lower or all in upper case carries no checksum (ERC-55) and is accepted, because wallets send
    such ones; one in mixed case must carry the right one. The result always holds the checksummed form.

    Addresses of other namespaces carry a checksum, or are a key, and have one spelling. Raises `AccountMalformed` for
    anything else, namespaces this package has no rules for included; `AccountKeyless` for addresses nobody signs for.
    """
    parts = _CAIP10.fullmatch(text)
    if parts is None:
        raise AccountMalformed("not CAIP-10")
    namespace, reference, address = parts.groups()
    rules = {"eip155": _eip155, "stacks": _stacks, "solana": _solana, "icp": _icp}.get(namespace)
    if rules is None:
        raise AccountMalformed("unknown namespace", namespace)
    return Account(namespace, reference, rules(reference, address))


def stored(text: str) -> Account:
    """Return the account of a text that `str(account)` made earlier, without checking it again."""
    namespace, reference, address = text.split(":", 2)
    return Account(namespace, reference, address)


def _eip155(reference: str, address: str) -> str:
    if not _NUMBER.fullmatch(reference):
        raise AccountMalformed("chain id is not a plain decimal", reference)
    if not _EIP155_ADDRESS.fullmatch(address):
        raise AccountMalformed("not 20 bytes of hex")
    checksummed = eip55(address)
    digits = address[2:]
    if address != checksummed and digits not in (digits.lower(), digits.upper()):
        raise AccountMalformed("wrong ERC-55 checksum")
    return checksummed


def _stacks(reference: str, address: str) -> str:
    if not _NUMBER.fullmatch(reference):
        raise AccountMalformed("chain id is not a plain decimal", reference)
    if not _STACKS_ADDRESS.fullmatch(address):
        raise AccountMalformed("not 28 to 41 characters of c32")
    try:
        version, _ = encodings.read_stacks(address)
    except ValueError as error:
        raise AccountMalformed("not c32check") from error
    if version in _STACKS_MULTIPLE:
        raise AccountKeyless("SM and SN addresses are of several keys, or wrapped", version)
    if version not in _STACKS_SINGLE[chain(f"stacks:{reference}").network]:
        raise AccountMalformed("version byte of another network", version)
    return address


def _solana(reference: str, address: str) -> str:
    if not _SOLANA_REFERENCE.fullmatch(reference):
        raise AccountMalformed("not the beginning of a genesis hash", reference)
    if not _SOLANA_ADDRESS.fullmatch(address):
        raise AccountMalformed("not 32 to 44 characters of base58")
    key = encodings.read_digits(address, encodings.BASE58)
    if len(key) != 32:
        raise AccountMalformed("not 32 bytes")
    if not curves.is_ed25519_key(key):
        # What programs own (token accounts, vaults) is off the curve on purpose.
        raise AccountKeyless("not a key, but the address of a program's account")
    return address


def _icp(reference: str, address: str) -> str:
    if not _ICP_REFERENCE.fullmatch(reference):
        raise AccountMalformed("not 16 bytes of hex", reference)
    if not _ICP_ADDRESS.fullmatch(address):
        raise AccountMalformed("not 7 to 63 characters of a principal")
    try:
        principal = encodings.read_principal(address)
    except ValueError as error:
        raise AccountMalformed("not the text of a principal") from error
    if len(principal) != 29 or principal[-1] != 2:
        raise AccountKeyless("a canister, or nobody: only self-authenticating principals have a key")
    return address


def eip55(address: str) -> str:
    """Return the ERC-55 form of `0x` and 40 hex digits: a letter is upper case where the hash says so."""
    from Crypto.Hash import keccak  # 70 ms to import, and only sign-in needs it

    digits = address[2:].lower()
    hashed = keccak.new(digest_bits=256, data=digits.encode("ascii")).hexdigest()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, hashed, strict=False)
    )
