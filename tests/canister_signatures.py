"""Canister signatures: a network of our own that signs what no real one would."""

from __future__ import annotations

import hashlib
from typing import Any

import pyblst

from sessions_core.parts.internet_computer import canisters

# The key of a principal at Internet Identity on the main network in 2023 (dfinity/ic, the calls that its boundary
# nodes are tested with).
MAINNET_KEY = bytes.fromhex(
    "303c300c060a2b0601040183b8430102032c000a00000000000000070101256be5adbf2dc79db139418571658ee831d2017646e834c3"
    "c63649bb2df966b9"
)
CANISTER = bytes.fromhex("00000000000000070101")
SEED = b"\1" * 32
SUBNET = b"\2" * 29
TEXT = b"what is signed"
ROOT_SECRET, SUBNET_SECRET = 7**80, 11**70


def canister_key(seed: bytes = SEED, canister: bytes = CANISTER) -> bytes:
    """The DER of a canister's key."""
    bits = b"\0" + bytes([len(canister)]) + canister + seed
    body = bytes.fromhex("300c060a2b0601040183b8430102") + b"\x03" + bytes([len(bits)]) + bits
    return b"\x30" + (bytes([len(body)]) if len(body) < 128 else b"\x81" + bytes([len(body)])) + body


def cbor(value: Any) -> bytes:
    """CBOR of numbers, bytes, texts, lists and objects."""

    def head(kind: int, size: int) -> bytes:
        if size < 24:
            return bytes([kind << 5 | size])
        wide = 1 if size < 256 else 2
        return bytes([kind << 5 | 23 + wide]) + size.to_bytes(wide)

    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value)) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(name) + cbor(each) for name, each in value.items())


def document(value: Any) -> bytes:
    """A CBOR document, with the tag that says so."""
    return b"\xd9\xd9\xf7" + cbor(value)


def tree(labels: dict[bytes, Any] | bytes) -> list[Any]:
    """A hash tree of nested labels, in their order."""
    if isinstance(labels, bytes):
        return [3, labels]
    nodes = [[2, label, tree(value)] for label, value in sorted(labels.items())]
    while len(nodes) > 1:
        nodes = [[1, nodes[0], nodes[1]], *nodes[2:]]
    return nodes[0] if nodes else [0]


def key_of(secret: int) -> bytes:
    """The DER of a BLS key."""
    generator = pyblst.BlstP2Element.uncompress(canisters._G2_GENERATOR)
    return canisters.ROOT_KEY[:37] + bytes(generator.scalar_mul(secret).compress())


def bls(secret: int, signed: bytes) -> bytes:
    """A BLS signature."""
    return bytes(pyblst.BlstP1Element.hash_to_group(signed, canisters._CIPHERSUITE).scalar_mul(secret).compress())


def certificate(secret: int, content: list[Any], **more: Any) -> bytes:
    """A certificate of a hash tree, signed with a secret of ours."""
    signed = b"\x0dic-state-root" + canisters._digest(content)
    return document({"tree": content, "signature": bls(secret, signed), **more})


def ranges(*pairs: tuple[bytes, bytes]) -> bytes:
    """Ranges of canister ids, first and last."""
    return document([list(pair) for pair in pairs])


HERE = ranges((CANISTER[:-3] + b"\0\1\1", CANISTER[:-3] + b"\xff\1\1"))


def subnet_content(**changes: Any) -> dict[bytes, Any]:
    """What the root certifies of a subnet; a field that is `None` is left out."""
    fields = {"public_key": key_of(SUBNET_SECRET), "type": b"system", "canister_ranges": HERE} | changes
    return {b"subnet": {SUBNET: {name.encode(): value for name, value in fields.items() if value is not None}}}


def delegation(content: dict[bytes, Any] | None = None, secret: int = ROOT_SECRET, **more: Any) -> dict[str, Any]:
    """What the root signs for a subnet."""
    return {
        "subnet_id": SUBNET,
        "certificate": certificate(secret, tree(subnet_content() if content is None else content), **more),
    }


def signed_tree(text: bytes = TEXT, seed: bytes = SEED, leaf: Any = b"") -> list[Any]:
    """The hash tree in which a canister notes the texts that it signed."""
    return tree({b"sig": {hashlib.sha256(seed).digest(): {hashlib.sha256(text).digest(): leaf}}})


def sign(
    text: bytes = TEXT,
    *,
    secret: int = SUBNET_SECRET,
    canister: bytes = CANISTER,
    signs: list[Any] | None = None,
    certified: list[Any] | None = None,
    link: dict[str, Any] | bool | None = True,
) -> bytes:
    """A canister's signature; `link` is the delegation of its subnet, or none."""
    signs = signed_tree(text) if signs is None else signs
    if certified is None:
        certified = tree({b"canister": {canister: {b"certified_data": canisters._digest(signs)}}, b"time": b"\1"})
    more = {"delegation": delegation() if link is True else link} if link else {}
    return document({"certificate": certificate(secret, certified, **more), "tree": signs})
