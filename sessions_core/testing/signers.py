"""How a key signs on each kind of chain, by the libraries that the chain's part takes from its extra.

Nothing is imported before a wallet of that kind is made. A signer shares no code with the verifier that checks it,
but for the spelling of addresses.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from .. import parts as folder
from ..sign_in.encodings import write_digits
from .errors import PackageMissing, PartMissing

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_STACKS_VERSIONS = {"1": 22, "2147483648": 26}  # of addresses of one key (SIP-005)
_ED25519 = bytes.fromhex("302a300506032b6570032100")  # what the DER of such a key begins with (RFC 8410)


class Signer(NamedTuple):
    """`address(key, reference)` and `sign(key, text)`, where `key` is 32 bytes; `chain` is the default, CAIP-2."""

    chain: str
    address: Callable[[bytes, str], str]
    sign: Callable[[bytes, str], str]


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PackageMissing(
            f"A test wallet of this chain needs {error.name or module}: run pip install 'sessions-core[{extra}]'."
        ) from error


def _of_part(part: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(f"{folder.__name__}.{part}.{module}")
    except ImportError as error:
        raise PartMissing(
            f"A test wallet of this chain needs the part {part!r}, whose folder is not in sessions_core/parts. "
            "Restore it, or test with another chain."
        ) from error


# -- Ethereum and other EVM chains: EIP-191 ------------------------------------------------------------------


def _ethereum_address(key: bytes, reference: str) -> str:
    return str(_library("eth_account", "ethereum").Account.from_key(key).address)


def _ethereum_sign(key: bytes, text: str) -> str:
    encode = _library("eth_account.messages", "ethereum").encode_defunct
    signed = _library("eth_account", "ethereum").Account.from_key(key).sign_message(encode(text=text))
    return "0x" + bytes(signed.signature).hex()


# -- Solana: Ed25519 over the text itself --------------------------------------------------------------------


def _ed25519(key: bytes, extra: str) -> Any:
    return _library("nacl.signing", extra).SigningKey(key)


def _solana_address(key: bytes, reference: str) -> str:
    return write_digits(bytes(_ed25519(key, "solana").verify_key), _BASE58)


def _solana_sign(key: bytes, text: str) -> str:
    return write_digits(_ed25519(key, "solana").sign(text.encode()).signature, _BASE58)


# -- Stacks: secp256k1 over SHA-256 of prefix, length and text -----------------------------------------------


def _stacks_key(key: bytes) -> Any:
    return _library("eth_keys.datatypes", "stacks").PrivateKey(key)


def _stacks_address(key: bytes, reference: str) -> str:
    ripemd160 = _library("Crypto.Hash.RIPEMD160", "stacks")
    public = _stacks_key(key).public_key.to_compressed_bytes()
    hash160 = ripemd160.new(hashlib.sha256(public).digest()).digest()
    return str(_of_part("stacks", "c32check").write_stacks(_STACKS_VERSIONS[reference], hash160))


def _stacks_sign(key: bytes, text: str) -> str:
    body = text.encode()
    length = bytes([len(body)]) if len(body) < 253 else b"\xfd" + len(body).to_bytes(2, "little")
    digest = hashlib.sha256(b"\x17Stacks Signed Message:\n" + length + body).digest()
    return str(_stacks_key(key).sign_msg_hash(digest).to_bytes().hex())


# -- The Internet Computer: the key of a principal, without delegations --------------------------------------


def _icp_public(key: bytes) -> bytes:
    return _ED25519 + bytes(_ed25519(key, "internet-computer").verify_key)


def _icp_address(key: bytes, reference: str) -> str:
    principal = hashlib.sha224(_icp_public(key)).digest() + b"\2"
    return str(_of_part("internet_computer", "principals").write_principal(principal))


def _icp_sign(key: bytes, text: str) -> str:
    signature = _ed25519(key, "internet-computer").sign(b"\x0fsiwic-challenge" + text.encode()).signature
    proof = {"delegations": [], "publicKey": _icp_public(key).hex(), "signature": signature.hex()}
    return json.dumps(proof, separators=(",", ":"))


SIGNERS = {
    "eip155": Signer("eip155:1", _ethereum_address, _ethereum_sign),
    "stacks": Signer("stacks:1", _stacks_address, _stacks_sign),
    "solana": Signer("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", _solana_address, _solana_sign),
    "icp": Signer("icp:737ba355e855bd4b61279056603e0550", _icp_address, _icp_sign),
}
"""By CAIP-2 namespace."""
