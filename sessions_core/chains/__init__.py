"""One verifier per chain namespace behind one small protocol. Verifiers never import each other.

A verifier gets the account that the text names, the exact text, and the signature as the wallet gave it. It returns
nothing when the account signed the text and raises otherwise. Whatever else it raises counts as a refusal.
"""

from __future__ import annotations

import logging
from typing import Protocol

from ..accounts import Account
from ..errors import ChainUnsupported, MessageMalformed, SignatureMismatch, SignInRefused
from . import contract
from .eip155 import Eip155

logger = logging.getLogger(__name__)

MAX_SIGNATURE = 2 + 2 * contract.MAX_BYTES  # in characters; a key's has 132


class Verifier(Protocol):
    """What a chain must bring."""

    namespace: str
    """The CAIP-2 namespace, such as `eip155`."""
    account_kind: str
    """The word before "account:" in the sign-in text, such as `Ethereum`."""

    def verify(self, account: Account, message: str, signature: str) -> None:
        """Return if `account` signed `message`; raise `SignatureMalformed` or `SignatureMismatch` if not."""

    def warm(self) -> None:
        """Import what is slow to import, before the first signature comes."""


_VERIFIERS: dict[str, Verifier] = {chain.namespace: chain for chain in (Eip155(),)}


def verifier(namespace: str) -> Verifier:
    """Return the verifier of a CAIP-2 namespace; raise `ChainUnsupported` if there is none."""
    try:
        return _VERIFIERS[namespace]
    except KeyError:
        raise ChainUnsupported(namespace) from None


def namespace_of(account_kind: str) -> str:
    """Return the namespace whose texts say "your <account_kind> account", or raise `MessageMalformed`."""
    for chain in _VERIFIERS.values():
        if chain.account_kind == account_kind:
            return chain.namespace
    raise MessageMalformed("unknown kind of account", account_kind)


def verify(account: Account, message: str, signature: str) -> None:
    """Return if `account` signed `message`; raise a `SignInRefused` in every other case."""
    try:
        verifier(account.namespace).verify(account, message, signature)
    except SignInRefused:
        raise
    except Exception as error:
        # A library that stumbles over hostile input must not turn into a 500, and never into a sign-in.
        logger.warning("The %s verifier raised %s", account.namespace, type(error).__name__)
        raise SignatureMismatch("the verifier raised") from error


def warm(namespace: str) -> None:
    """Get a namespace's verifier ready."""
    verifier(namespace).warm()
