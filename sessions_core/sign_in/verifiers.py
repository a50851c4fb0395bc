"""One verifier per chain namespace behind one small protocol. Verifiers never import each other.

A verifier gets the account that the text names, the exact text, and the signature as the wallet gave it. It returns
nothing when the account signed the text and raises otherwise. Whatever else it raises counts as a refusal.
"""

from __future__ import annotations

import logging
from typing import Protocol

from ..errors import ChainUnsupported, MessageMalformed, SignatureMalformed, SignatureMismatch, SignInRefused
from ..parts.ethereum.verifier import Eip155
from ..parts.internet_computer.verifier import Icp
from ..parts.solana.verifier import Solana
from ..parts.stacks.verifier import Stacks
from .accounts import Account, parse
from .messages import Layout

logger = logging.getLogger(__name__)


class Verifier(Protocol):
    """What a chain must bring."""

    namespace: str
    """The CAIP-2 namespace, such as `eip155`."""
    layout: Layout
    """How its texts are laid out, and what they call the account and the chain."""
    max_signature: int
    """The longest signature it takes, in characters."""

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Return if `account` signed `message`; raise a `SignInRefused` that says what is wrong if not.

        `now`, in seconds since the epoch, is for signatures that expire by themselves.
        """

    def warm(self) -> None:
        """Import what is slow to import, before the first signature comes."""


_VERIFIERS: dict[str, Verifier] = {chain.namespace: chain for chain in (Eip155(), Stacks(), Solana(), Icp())}

LAYOUTS = tuple(chain.layout for chain in _VERIFIERS.values())
MAX_SIGNATURE = max(chain.max_signature for chain in _VERIFIERS.values())


def verifier(namespace: str) -> Verifier:
    """Return the verifier of a CAIP-2 namespace; raise `ChainUnsupported` if there is none."""
    try:
        return _VERIFIERS[namespace]
    except KeyError:
        raise ChainUnsupported(namespace) from None


def namespace_of(account_kind: str) -> str:
    """Return the namespace whose texts say "your <account_kind> account", or raise `MessageMalformed`."""
    for chain in _VERIFIERS.values():
        if chain.layout.account_kind == account_kind:
            return chain.namespace
    raise MessageMalformed("unknown kind of account", account_kind)


def account_of_key(chain_id: str, key: str) -> Account:
    """Return the account of a public key on a chain (CAIP-2) whose addresses are hashes that browsers can't make.

    `key` is DER in lower-case hex. Raises `ChainUnsupported` for every other chain, and what `Icp.address_of` does.
    """
    namespace, _, reference = chain_id.partition(":")
    found = verifier(namespace)
    if not isinstance(found, Icp):
        raise ChainUnsupported(chain_id)
    return parse(f"{chain_id}:{found.address_of(reference, key)}")


def refuse_oversized(account: Account, signature: str) -> None:
    """Raise `SignatureMalformed` for a signature longer than any of the account's chain."""
    if len(signature) > verifier(account.namespace).max_signature:
        raise SignatureMalformed("too long")


def verify(account: Account, message: str, signature: str, now: float) -> None:
    """Return if `account` signed `message`; raise a `SignInRefused` in every other case."""
    refuse_oversized(account, signature)
    try:
        verifier(account.namespace).verify(account, message, signature, now)
    except SignInRefused:
        raise
    except Exception as error:
        # A library that stumbles over hostile input must not turn into a 500, and never into a sign-in.
        logger.warning("The %s verifier raised %s", account.namespace, type(error).__name__)
        raise SignatureMismatch("the verifier raised") from error


def warm(namespace: str) -> None:
    """Get a namespace's verifier ready."""
    verifier(namespace).warm()
