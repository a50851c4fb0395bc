"""CAIP-2 chains and CAIP-10 accounts: parse them, check them, name their network.

Sources: CAIP-2, CAIP-10, ERC-55 (mixed-case checksum of eip155 addresses).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .errors import AccountMalformed

Network = Literal["mainnet", "testnet", "unsupported"]

_CAIP10 = re.compile(r"([a-z0-9]{3,8}):([A-Za-z0-9]{1,32}):([A-Za-z0-9.%-]{1,128})", re.ASCII)
_EIP155_REFERENCE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_EIP155_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Chain:
    """A network by its CAIP-2 id, with the name people know and whether its money is real."""

    id: str
    name: str
    network: Network


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

    Raises `AccountMalformed` for anything else, namespaces this package has no rules for included.
    """
    parts = _CAIP10.fullmatch(text)
    if parts is None:
        raise AccountMalformed("not CAIP-10")
    namespace, reference, address = parts.groups()
    if namespace != "eip155":
        raise AccountMalformed("unknown namespace", namespace)
    if not _EIP155_REFERENCE.fullmatch(reference):
        raise AccountMalformed("chain id is not a plain decimal", reference)
    if not _EIP155_ADDRESS.fullmatch(address):
        raise AccountMalformed("not 20 bytes of hex")
    checksummed = eip55(address)
    digits = address[2:]
    if address != checksummed and digits not in (digits.lower(), digits.upper()):
        raise AccountMalformed("wrong ERC-55 checksum")
    return Account(namespace, reference, checksummed)


def stored(text: str) -> Account:
    """Return the account of a text that `str(account)` made earlier, without checking it again."""
    namespace, reference, address = text.split(":", 2)
    return Account(namespace, reference, address)


def eip55(address: str) -> str:
    """Return the ERC-55 form of `0x` and 40 hex digits: a letter is upper case where the hash says so."""
    from Crypto.Hash import keccak  # 70 ms to import, and only sign-in needs it

    digits = address[2:].lower()
    hashed = keccak.new(digest_bits=256, data=digits.encode("ascii")).hexdigest()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, hashed, strict=False)
    )
