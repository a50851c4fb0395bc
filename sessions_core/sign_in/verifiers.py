"""One verifier for each namespace of accounts, behind one small base class. Parts bring them and register them here.

A verifier gets the account that the text names, the exact text, and the signature as the wallet gave it. It returns
nothing when the account signed the text and raises otherwise. Whatever else it raises counts as a refusal.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from ..errors import ChainUnsupported, MessageMalformed, SignatureMalformed, SignatureMismatch, SignInRefused
from . import accounts
from .accounts import Account, Chain
from .messages import Layout

logger = logging.getLogger(__name__)

_VERIFIERS: dict[str, Verifier] = {}


class Verifier:
    """One kind of account: what its chains, addresses, texts and signatures look like."""

    namespace: ClassVar[str]
    """The CAIP-2 namespace, such as `eip155`."""
    name: ClassVar[str] = ""
    """What users call these chains, such as "Ethereum"; empty: as the texts call the kind of account."""
    chains: ClassVar[tuple[Chain, ...]]
    """The chains that a site may accept."""
    order: ClassVar[int] = 50
    """Where its wallets stand among others on the sign-in page; the smallest first."""
    layout: ClassVar[Layout]
    """How its texts are laid out, and what they call the account and the chain."""
    max_signature: ClassVar[int]
    """The longest signature it takes, in characters."""

    def address(self, reference: str, address: str) -> str:
        """Return an address of the chain `reference` in its one canonical spelling.

        Raises `AccountMalformed` for what is no address, `AccountKeyless` for one that no single key signs for.
        """
        raise NotImplementedError

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Return if `account` signed `message`; raise a `SignInRefused` that says what is wrong if not.

        `now`, in seconds since the epoch, is for signatures that expire by themselves.
        """
        raise NotImplementedError

    def warm(self) -> None:
        """Import what is slow to import, before the first signature comes."""


def layouts() -> tuple[Layout, ...]:
    """Return the layouts of all texts that can be signed here."""
    return tuple(each.layout for each in _VERIFIERS.values())


def max_signature() -> int:
    """Return the length of the longest signature of any kind, in characters."""
    return max(each.max_signature for each in _VERIFIERS.values())


def register(verifier: Verifier) -> None:
    """Make a kind of account known in this process; to do so twice is fine."""
    _VERIFIERS[verifier.namespace] = verifier
    accounts.register(verifier)


def verifier(namespace: str) -> Verifier:
    """Return the verifier of a CAIP-2 namespace; raise `ChainUnsupported` if there is none."""
    try:
        return _VERIFIERS[namespace]
    except KeyError:
        raise ChainUnsupported(namespace) from None


def name_of(namespace: str) -> str:
    """Return what users call the chains of a CAIP-2 namespace."""
    found = verifier(namespace)
    return found.name or found.layout.account_kind


def namespace_of(account_kind: str) -> str:
    """Return the namespace whose texts say "your <account_kind> account", or raise `MessageMalformed`."""
    for chain in _VERIFIERS.values():
        if chain.layout.account_kind == account_kind:
            return chain.namespace
    raise MessageMalformed("unknown kind of account", account_kind)


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
