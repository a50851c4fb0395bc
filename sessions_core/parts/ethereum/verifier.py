"""Ethereum and its networks: `personal_sign` by a key (EIP-191 version 0x45, EIP-4361).

eth-account recovers, with coincurve underneath. It accepts more than one encoding of a signature, so the one
canonical encoding is demanded first: otherwise the same approval would have several forms.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

from ...errors import AccountMalformed, SignatureMalformed, SignatureMismatch
from ...sign_in.accounts import Account, Chain
from ...sign_in.curves import SECP256K1_ORDER, ecdsa_numbers
from ...sign_in.messages import EIP4361
from ...sign_in.verifiers import Verifier

_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)


class Eip155(Verifier):
    """Verifies signatures of externally owned accounts."""

    namespace = "eip155"
    order = 10
    name = "Ethereum"
    chains = (  # add yours here: id, name, whether its money is real
        Chain("eip155:1", "Ethereum Mainnet", "mainnet"),
        Chain("eip155:10", "OP Mainnet", "mainnet"),
        Chain("eip155:100", "Gnosis", "mainnet", default=False),
        Chain("eip155:137", "Polygon", "mainnet"),
        Chain("eip155:8453", "Base", "mainnet"),
        Chain("eip155:42161", "Arbitrum One", "mainnet"),
        Chain("eip155:11155111", "Sepolia", "testnet"),
        Chain("eip155:84532", "Base Sepolia", "testnet", default=False),
        Chain("eip155:31337", "Local development chain", "testnet", default=False),
    )
    layout = EIP4361
    max_signature = 8002  # 4000 bytes of a contract wallet; a key's has 132

    def address(self, reference: str, address: str) -> str:
        """Return the address with its checksum (ERC-55); one in a single case carries none, and is accepted."""
        if not _NUMBER.fullmatch(reference):
            raise AccountMalformed("chain id is not a plain decimal", reference)
        if not _ADDRESS.fullmatch(address):
            raise AccountMalformed("not 20 bytes of hex")
        checksummed = checksum_address(address)
        digits = address[2:]
        if address != checksummed and digits not in (digits.lower(), digits.upper()):
            raise AccountMalformed("wrong ERC-55 checksum", wrong_checksum=True)
        return checksummed

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Recover the signer of `message` and compare its 20 bytes with the account's.

        `signature` is `0x` and 130 hex digits: r, s, v with 0 < r < n, 0 < s ≤ n/2 (EIP-2) and v one of 0, 1, 27, 28.
        """
        canonical = _canonical(signature)
        from eth_account import Account as Recovery  # 0.6 s to import: see `warm`
        from eth_account.messages import encode_defunct

        recovered = Recovery.recover_message(encode_defunct(text=message), signature=canonical)
        if bytes.fromhex(recovered[2:]) != bytes.fromhex(account.address[2:]):
            raise SignatureMismatch("signed by another key")

    def warm(self) -> None:
        """Import eth-account, and make sure that it uses coincurve where that is installed."""
        from eth_account import Account as Recovery

        backend = type(Recovery._keys.backend).__name__
        if "CoinCurve" not in backend and find_spec("coincurve"):
            raise RuntimeError(f"eth-keys uses {backend}, 100 times slower than coincurve: unset ECC_BACKEND_CLASS")


def checksum_address(address: str) -> str:
    """Return the ERC-55 form of `0x` and 40 hex digits: a letter is upper case where the hash says so."""
    from Crypto.Hash import keccak  # 70 ms to import, and only sign-in needs it

    digits = address[2:].lower()
    hashed = keccak.new(digest_bits=256, data=digits.encode("ascii")).hexdigest()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, hashed, strict=False)
    )


def _canonical(signature: str) -> bytes:
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureMalformed("not 0x and 130 hex digits")
    raw = bytes.fromhex(signature[2:])
    v = raw[64]
    ecdsa_numbers(raw[:64], SECP256K1_ORDER, SECP256K1_ORDER // 2)
    if v not in (0, 1, 27, 28):
        raise SignatureMalformed("v is none of 0, 1, 27, 28")
    return raw[:64] + bytes([v if v >= 27 else v + 27])
