"""The Internet Computer: a wallet delegates to a key in the page, and that key signs the text.

There is no standard for signing in with a text, so the separator below is this package's own: a sign-in signature can
never be taken for a call of a canister or for a delegation. Delegations and principals are those of the Internet
Computer interface specification, "Authentication" and "Principals".

The signature travels as JSON, what `DelegationChain.toJSON()` of @icp-sdk/core gives with the signature beside it:

    {"delegations":[{"delegation":{"expiration":"18f0…","pubkey":"302a…"},"signature":"9b1c…"}],
     "publicKey":"302a…","signature":"5d21…"}

in exactly this order and without blanks, as `JSON.stringify` writes it. Keys are DER, all values lower-case hex;
`expiration` is nanoseconds since the epoch, without leading zeros. `publicKey` is the key of the principal, the last
`pubkey` that of the page; without delegations the key of the principal signs itself. The first delegation may be
signed by a canister, as those of Internet Identity are.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from ...errors import AccountKeyless, AccountMalformed, ChainUnsupported, SignatureMalformed, SignatureMismatch
from ...sign_in.accounts import Account, Chain, parse
from ...sign_in.curves import ed25519
from ...sign_in.messages import Layout
from ...sign_in.verifiers import Verifier
from . import canisters, ecdsa
from .errors import CanisterSignatureUnsupported, DelegationExpired, DelegationRestricted, KeyMalformed
from .principals import read_principal, write_principal

_SEPARATOR = b"\x0fsiwic-challenge"
_DELEGATION_SEPARATOR = b"\x1aic-request-auth-delegation"
_MOST_DELEGATIONS = 20

# What the DER of a public key begins with (RFC 8410, section 4; RFC 5480, section 2, uncompressed points), how many
# bytes follow, and what checks its signatures.
_KEYS: tuple[tuple[bytes, int, Callable[[bytes, bytes, bytes], None]], ...] = (
    (bytes.fromhex("302a300506032b6570032100"), 32, ed25519),
    (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004"), 64, ecdsa.p256),
    (bytes.fromhex("3056301006072a8648ce3d020106052b8104000a03420004"), 64, ecdsa.secp256k1),
)
_CANISTER = bytes.fromhex("300c060a2b0601040183b8430102")  # SEQUENCE { OID 1.3.6.1.4.1.56387.1.2 }

_REFERENCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ADDRESS = re.compile(r"[a-z2-7-]{7,63}", re.ASCII)
_LENGTH = 63  # of a self-authenticating principal, which is the only kind with a key
_HEX = re.compile(r"(?:[0-9a-f]{2}){1,130}", re.ASCII)  # as long as the longest key
_Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2})+\Z")]
_Nanoseconds = Annotated[str, msgspec.Meta(pattern=r"\A[1-9a-f][0-9a-f]{0,15}\Z")]


class _Delegation(msgspec.Struct, forbid_unknown_fields=True):
    expiration: _Nanoseconds
    pubkey: _Hex
    targets: list[str] | msgspec.UnsetType = msgspec.UNSET
    permissions: str | msgspec.UnsetType = msgspec.UNSET


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    delegation: _Delegation
    signature: _Hex


class _Proof(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    delegations: Annotated[list[_Link], msgspec.Meta(max_length=_MOST_DELEGATIONS)]
    public_key: _Hex
    signature: _Hex


class _Key(NamedTuple):
    der: bytes
    raw: bytes
    check: Callable[[bytes, bytes, bytes], None]

    def demand(self, signed: bytes, signature: str) -> None:
        self.check(self.raw, signed, bytes.fromhex(signature))


class InternetComputer(Verifier):
    """Verifies signatures of self-authenticating principals, made by their key or by one it delegated to."""

    namespace = "icp"
    order = 40
    name = "Internet Computer"
    chains = (Chain("icp:737ba355e855bd4b61279056603e0550", "Internet Computer", "mainnet"),)
    layout = Layout(account_kind="ICP")
    # 20 delegations, the most that the Internet Computer takes, are 8,077 characters with keys on P-256.
    max_signature = 8160  # what a header line has room for, behind "Authorization: Bearer "

    def address(self, reference: str, address: str) -> str:
        """Return the principal, whose text carries a checksum and has one spelling."""
        if not _REFERENCE.fullmatch(reference):
            raise AccountMalformed("not 16 bytes of hex", reference)
        if not _ADDRESS.fullmatch(address):
            raise AccountMalformed("not 7 to 63 characters of a principal")
        try:
            principal = read_principal(address)
        except ValueError as error:
            whole = len(address) == _LENGTH  # a shorter text may be the beginning of one
            raise AccountMalformed("not the text of a principal", wrong_checksum=whole) from error
        if len(principal) != 29 or principal[-1] != 2:
            raise AccountKeyless("a canister, or anonymous: only self-authenticating principals have a key")
        return address

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Check that the principal is of the public key, each delegation, and the signature over `message`.

        Everything cheap comes before the curves: at most 21 signatures are checked.
        """
        proof = _proof(signature)
        keys = [
            _first_key(proof.public_key, account.reference),
            *(_key(link.delegation.pubkey) for link in proof.delegations),
        ]
        if _principal(keys[0]) != account.address:
            raise SignatureMismatch("the principal is of another key")
        if len({key.der for key in keys}) != len(keys):
            raise SignatureMalformed("a key twice")
        if any(int(link.delegation.expiration, 16) <= now * 1e9 for link in proof.delegations):
            raise DelegationExpired("a delegation has expired")
        for key, link in zip(keys, proof.delegations, strict=False):
            key.demand(_DELEGATION_SEPARATOR + _hash(link.delegation), link.signature)
        keys[-1].demand(_SEPARATOR + message.encode(), proof.signature)

    def warm(self) -> None:
        """Import the curves."""
        for library in ("cryptography.hazmat.primitives.asymmetric.ec", "nacl.signing"):
            importlib.import_module(library)


def account_of_key(chain_id: str, key: str) -> Account:
    """Return the account of a public key on a chain (CAIP-2): `key` is DER in lower-case hex, of a wallet's own or of
    a canister's key. Browsers can't compute it: they have no SHA-224.

    Raises `ChainUnsupported` for a chain of another kind, `KeyMalformed`, and `CanisterSignatureUnsupported` where
    `InternetComputer.verify` would.
    """
    namespace, _, reference = chain_id.partition(":")
    if namespace != InternetComputer.namespace:
        raise ChainUnsupported(chain_id)
    if not _HEX.fullmatch(key):
        raise KeyMalformed("not hex of a length that keys have")
    try:
        return parse(f"{chain_id}:{_principal(_first_key(key, reference))}")
    except SignatureMalformed as error:
        raise KeyMalformed(*error.args) from error


def _proof(signature: str) -> _Proof:
    try:
        proof = msgspec.json.decode(signature, type=_Proof)
    except (msgspec.MsgspecError, ValueError) as error:
        raise SignatureMalformed("not a proof in JSON") from error
    for link in proof.delegations:
        if link.delegation.targets is not msgspec.UNSET or link.delegation.permissions is not msgspec.UNSET:
            # Wallets with one principal for all sites limit what they delegate to the site's own canisters. To accept
            # such a delegation would let every site they are connected with sign in here.
            raise DelegationRestricted("targets or permissions")
    if msgspec.json.encode(proof) != signature.encode():
        raise SignatureMalformed("another spelling")
    return proof


def _principal(key: _Key) -> str:
    return write_principal(hashlib.sha224(key.der).digest() + b"\2")


def _first_key(text: str, reference: str) -> _Key:
    der = bytes.fromhex(text)
    if _CANISTER not in der[:17]:
        return _key(text)
    if not canisters.available() or reference != canisters.network():
        raise CanisterSignatureUnsupported("pyblst is missing, or another network")
    # SEQUENCE { algorithm, BIT STRING { length of the id, the id, a seed } }, all shorter than 128 bytes.
    raw = der[19:]
    if not 19 < len(der) < 130 or der[:19] != bytes([0x30, len(der) - 2, *_CANISTER, 3, len(der) - 18, 0]):
        raise SignatureMalformed("not the DER of a canister's key")
    if raw[0] > min(29, len(raw) - 1):
        raise SignatureMalformed("not the id of a canister")
    return _Key(der, raw, canisters.check)


def _key(text: str) -> _Key:
    der = bytes.fromhex(text)
    if _CANISTER in der[:17]:
        raise CanisterSignatureUnsupported("a canister that was delegated to")
    for prefix, length, check in _KEYS:
        if der.startswith(prefix) and len(der) == len(prefix) + length:
            return _Key(der, der[-length:], check)
    raise SignatureMalformed("a key of another kind")


def _hash(delegation: _Delegation) -> bytes:
    """Return the representation-independent hash of a delegation: over the hashes of names and values, in order."""
    fields = {b"pubkey": bytes.fromhex(delegation.pubkey), b"expiration": _leb128(int(delegation.expiration, 16))}
    hashed = sorted(_sha256(name) + _sha256(value) for name, value in fields.items())
    return _sha256(b"".join(hashed))


def _leb128(number: int) -> bytes:
    groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
