"""CAIP-2 chains and CAIP-10 accounts: parse them, check them, name their network.

What an address looks like is for each namespace to say: a part registers its namespace here when it is loaded.
Sources: CAIP-2, CAIP-10 and its profile for each namespace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from ..errors import AccountMalformed

Network = Literal["mainnet", "testnet", "unsupported"]

_CAIP10 = re.compile(r"([a-z0-9]{3,8}):([A-Za-z0-9]{1,32}):([A-Za-z0-9.%-]{1,128})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Chain:
    """A network by its CAIP-2 id, with its common name and whether its money is real."""

    id: str
    name: str
    network: Network
    default: bool = True
    """Whether sites accept it that don't set SESSIONS_CORE_CHAINS."""

    @property
    def namespace(self) -> str:
        """The CAIP-2 namespace."""
        return self.id.partition(":")[0]


class Namespace(Protocol):
    """What a kind of account must bring: its CAIP-2 namespace, its chains, and the rules of its addresses."""

    namespace: ClassVar[str]
    chains: ClassVar[tuple[Chain, ...]]
    order: ClassVar[int]

    def address(self, reference: str, address: str) -> str:
        """Return an address of the chain `reference` in its one canonical spelling.

        Raises `AccountMalformed` for what is no address, `AccountKeyless` for one that no single key signs for.
        """


NAMESPACES: dict[str, Namespace] = {}
"""The namespaces of the parts that were loaded in this process. Which chains a site accepts is for its settings."""

CHAINS: dict[str, Chain] = {}
"""Their chains by CAIP-2 id: what a site may name in SESSIONS_CORE_CHAINS."""


def register(namespace: Namespace) -> None:
    """Make a namespace known; to do so twice is fine."""
    NAMESPACES[namespace.namespace] = namespace
    CHAINS.update({each.id: each for each in namespace.chains})


def default_chains() -> tuple[str, ...]:
    """Return the CAIP-2 ids that a site accepts which names none."""
    chains = sorted(CHAINS.values(), key=lambda each: NAMESPACES[each.namespace].order)
    return tuple(each.id for each in chains if each.default)


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
        """The address, shortened for users to compare: `0x12ab…90ef`."""
        return f"{self.address[:6]}…{self.address[-4:]}"


def parse(text: str) -> Account:
    """Read a CAIP-10 account such as `eip155:1:0x52908400098527886E0F7030069857D2E4169EE7`.

    An address all in lower or all in upper case carries no checksum (ERC-55) and is accepted, because wallets send
    such ones; one in mixed case must carry the right one. The result always holds the checksummed form.

    Addresses of other namespaces carry a checksum, or are a key, and have one spelling. Raises `AccountMalformed` for
    anything else, namespaces whose part is not loaded included; `AccountKeyless` for addresses that no key signs for.
    """
    parts = _CAIP10.fullmatch(text)
    if parts is None:
        raise AccountMalformed("not CAIP-10")
    namespace, reference, address = parts.groups()
    rules = NAMESPACES.get(namespace)
    if rules is None:
        raise AccountMalformed("unknown namespace", namespace)
    return Account(namespace, reference, rules.address(reference, address))


def stored(text: str) -> Account:
    """Return the account of a text that `str(account)` made earlier, without checking it again."""
    namespace, reference, address = text.split(":", 2)
    return Account(namespace, reference, address)
