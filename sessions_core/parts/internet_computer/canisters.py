"""Signatures by canisters of the Internet Computer, as Internet Identity makes them.

A canister holds no key. It puts a hash of what it signs into its certified data, the subnet it runs on signs the root
of a tree in which that stands, and the root of the network vouches for the subnet's key and for which canisters are
its own. What is signed is in a tree of the canister, under the hash of a seed: each seed is another key.

Source: Internet Computer interface specification 0.66, "Canister signatures" and "Certification". The curve is
BLS12-381 by pyblst, which is an optional dependency: ask `available` first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
from functools import cache
from typing import Any

from ...errors import SignatureMalformed, SignatureMismatch

# The key of the main network, as every library for it has it.
ROOT_KEY = bytes.fromhex(
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100"
    "814c0e6ec71fab583b08bd81373c255c3c371b2e84863c98a4f1e08b74235d14fb5d9c0cd546d9685f913a0c0b2cc534"
    "1583bf4b4392e467db96d65b9bb4cb717112f8472e0d5a4d14505ffd7484b01291091c5f87b98883463f98091a0baaae"
)

_KEY_PREFIX = ROOT_KEY[:37]  # SubjectPublicKeyInfo of BLS12-381 in G2
_SELF_DESCRIBED = b"\xd9\xd9\xf7"  # CBOR's tag 55799
_DEEPEST = 100
_EMPTY, _FORK, _LABELED, _LEAF, _PRUNED = range(5)
_CIPHERSUITE = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
_G2_GENERATOR = bytes.fromhex(
    "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
)

_Tree = list[Any]
"""`[0]`, `[1, left, right]`, `[2, label, tree]`, `[3, value]` or `[4, hash]`, checked by `_tree`."""


@cache
def available() -> bool:
    """Whether pyblst is installed."""
    return importlib.util.find_spec("pyblst") is not None


def network() -> str:
    """Return the CAIP-2 reference of the network whose canisters are believed: how the SHA-256 of its key begins."""
    return hashlib.sha256(ROOT_KEY).hexdigest()[:32]


def check(key: bytes, signed: bytes, signature: bytes) -> None:
    """Return if the canister signed; raise `SignatureMalformed` or `SignatureMismatch` if not.

    `key` is what its DER holds: the length of the canister's id (one byte), the id, and the seed.
    """
    canister, seed = key[1 : 1 + key[0]], key[1 + key[0] :]
    proof = _decoded(signature, certificate=bytes, tree=list)
    tree = _tree(proof["tree"])
    certified = _certified(proof["certificate"], canister)
    if _value(certified, b"canister", canister, b"certified_data") != _digest(tree):
        raise SignatureMismatch("the canister certifies something else")
    if _value(tree, b"sig", _sha256(seed), _sha256(signed)) != b"":
        raise SignatureMismatch("the canister signed something else")


def _certified(data: bytes, canister: bytes | None) -> _Tree:
    """Return the tree of a certificate that the network signed; `None` forbids a subnet to sign for it."""
    certificate = _decoded(data, tree=list, signature=bytes)
    tree, key = _tree(certificate["tree"]), ROOT_KEY
    if "delegation" in certificate:
        if canister is None:
            raise SignatureMalformed("a subnet that delegates")
        key = _subnet_key(certificate["delegation"], canister)
    _demand_bls(key, b"\x0dic-state-root" + _digest(tree), certificate["signature"])
    return tree


def _subnet_key(delegation: Any, canister: bytes) -> bytes:
    fields = _fields(delegation, subnet_id=bytes, certificate=bytes)
    subnet, tree = fields["subnet_id"], _certified(fields["certificate"], None)
    if _value(tree, b"subnet", subnet, b"type") == b"cloud_engine":
        raise SignatureMismatch("a subnet that signs for no other")
    # By shards, and as they were written until 2025.
    shards = _leaves(_under(tree, b"canister_ranges", subnet)) + _leaves(
        _under(tree, b"subnet", subnet, b"canister_ranges")
    )
    ranges = [each for shard in shards for each in _ranges(shard)]
    if not any(first <= canister <= last for first, last in ranges):
        raise SignatureMismatch("a subnet without this canister")
    return _value(tree, b"subnet", subnet, b"public_key")


def _ranges(shard: bytes) -> list[tuple[bytes, bytes]]:
    found = _Cbor(shard).document()
    if not isinstance(found, list):
        raise SignatureMalformed("ranges that are no list")
    for each in found:
        if not (isinstance(each, list) and [type(end) for end in each] == [bytes, bytes]):
            raise SignatureMalformed("a range that is none")
    return [(first, last) for first, last in found]


# -- Hash trees ------------------------------------------------------------------------------------------------


def _tree(value: Any) -> _Tree:
    """Return a well-formed tree: each node in its form, labels in increasing order, no values among them."""
    forest = _forest(value)
    labels = [node[1] for node in forest if node[0] == _LABELED]
    if any(label >= later for label, later in itertools.pairwise(labels)):
        raise SignatureMalformed("labels out of order")
    if value[0] != _LEAF and any(node[0] == _LEAF for node in forest):
        raise SignatureMalformed("a value among labels")
    for node in forest:
        if node[0] == _LABELED:
            _tree(node[2])
    return list(value)


def _forest(value: Any) -> list[_Tree]:
    """Return the siblings at the top of a tree, each node in its form."""
    if not isinstance(value, list) or not value or type(value[0]) is not int:
        raise SignatureMalformed("not a hash tree")
    kinds = [type(each) for each in value[1:]]
    if value[0] == _FORK and kinds == [list, list]:
        return _forest(value[1]) + _forest(value[2])
    forms: dict[int, list[type]] = {_EMPTY: [], _LABELED: [bytes, list], _LEAF: [bytes], _PRUNED: [bytes]}
    if kinds != forms.get(value[0]) or (value[0] == _PRUNED and len(value[1]) != 32):
        raise SignatureMalformed("not a hash tree")
    return [] if value[0] == _EMPTY else [value]


def _digest(tree: _Tree) -> bytes:
    match tree[0]:
        case 0:
            return _sha256(b"\x11ic-hashtree-empty")
        case 1:
            return _sha256(b"\x10ic-hashtree-fork" + _digest(tree[1]) + _digest(tree[2]))
        case 2:
            return _sha256(b"\x13ic-hashtree-labeled" + tree[1] + _digest(tree[2]))
        case 3:
            return _sha256(b"\x10ic-hashtree-leaf" + tree[1])
    return bytes(tree[1])


def _under(tree: _Tree, *path: bytes) -> _Tree:
    for label in path:
        tree = next((node[2] for node in _forest(tree) if node[0] == _LABELED and node[1] == label), [_EMPTY])
    return tree


def _value(tree: _Tree, *path: bytes) -> bytes:
    found = _under(tree, *path)
    if found[0] != _LEAF:
        raise SignatureMismatch("a path that the tree does not show", path[0])
    return bytes(found[1])


def _leaves(tree: _Tree) -> list[bytes]:
    if tree[0] == _LEAF:
        return [bytes(tree[1])]
    return [leaf for node in _forest(tree) if node[0] == _LABELED for leaf in _leaves(node[2])]


# -- CBOR ------------------------------------------------------------------------------------------------------


def _decoded(data: bytes, **fields: type) -> dict[str, Any]:
    return _fields(_Cbor(data).document(), **fields)


def _fields(value: Any, **fields: type) -> dict[str, Any]:
    if not isinstance(value, dict) or any(type(value.get(name)) is not kind for name, kind in fields.items()):
        raise SignatureMalformed("not the fields that belong here")
    return value


class _Cbor:
    """The part of CBOR (RFC 8949) that certificates use: definite, shortest lengths, nested a hundred deep at most.

    A library would recurse as deep as its input demands.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def document(self) -> Any:
        if self._take(3) != _SELF_DESCRIBED:
            raise SignatureMalformed("not CBOR that says so")
        value = self._value(0)
        if self._at != len(self._data):
            raise SignatureMalformed("bytes after the end")
        return value

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise SignatureMalformed("nested too deeply")
        head = self._take(1)[0]
        kind, size = head >> 5, self._size(head & 31)
        match kind:
            case 0:
                return size
            case 2:
                return self._take(size)
            case 3:
                return self._take(size).decode("ascii", "replace")
            case 4:
                return [self._value(depth + 1) for _ in range(size)]
            case 5:
                pairs = [(self._value(depth + 1), self._value(depth + 1)) for _ in range(size)]
                if any(type(name) is not str for name, _ in pairs) or len(dict(pairs)) != size:
                    raise SignatureMalformed("a name twice, or that is no text")
                return dict(pairs)
        raise SignatureMalformed("a kind that certificates don't use")

    def _size(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise SignatureMalformed("an indefinite length")
        size = int.from_bytes(self._take(1 << (low - 24)))
        if size < (24, 1 << 8, 1 << 16, 1 << 32)[low - 24]:
            raise SignatureMalformed("a length in more bytes than it needs")
        return size

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise SignatureMalformed("ends too early")
        self._at += size
        return taken


# -- The curve -------------------------------------------------------------------------------------------------


def _demand_bls(key: bytes, signed: bytes, signature: bytes) -> None:
    """Check a BLS signature: `key` is DER of a point of G2 in 96 bytes, `signature` one of G1 in 48."""
    from pyblst import BlstP1Element, BlstP2Element, final_verify, miller_loop

    point = key[len(_KEY_PREFIX) :]
    # With the point at infinity as the key, any signature would be valid.
    if not key.startswith(_KEY_PREFIX) or len(point) != 96 or point[0] & 0x40:
        raise SignatureMalformed("not a key of BLS12-381")
    try:
        claimed = miller_loop(BlstP1Element.uncompress(signature), BlstP2Element.uncompress(_G2_GENERATOR))
        expected = miller_loop(BlstP1Element.hash_to_group(signed, _CIPHERSUITE), BlstP2Element.uncompress(point))
    except ValueError as error:
        raise SignatureMalformed("not points of BLS12-381") from error
    if not final_verify(claimed, expected):
        raise SignatureMismatch("not signed by the network")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
