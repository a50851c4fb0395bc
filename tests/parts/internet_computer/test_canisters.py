"""Canister signatures: two that were published, and a network of our own that signs what no real one would."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from sessions_core.errors import (
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
)
from sessions_core.parts.internet_computer import canisters, principals, verifier
from sessions_core.parts.internet_computer.errors import CanisterSignatureUnsupported, DelegationExpired
from sessions_core.sign_in.accounts import Account
from sessions_core.sign_in.verifiers import verify

from ...canister_signatures import (
    CANISTER,
    HERE,
    MAINNET_KEY,
    ROOT_SECRET,
    SEED,
    SUBNET,
    SUBNET_SECRET,
    TEXT,
    canister_key,
    cbor,
    delegation,
    document,
    key_of,
    ranges,
    sign,
    signed_tree,
    subnet_content,
    tree,
)
from ...chain_contract import NOW
from ...signers import NEVER, IcpSigner

# Internet Identity on the main network in 2023 (dfinity/ic, the calls that its boundary nodes are tested with): the
# key of a browser, until when, and the signature of the canister with MAINNET_KEY on that delegation.
MAINNET_PAGE = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004a0b28b61d6940150e69ff597d9c8bd1411aaddd8d3119e1058f0c3"
    "023e3b2f6da8af79f0322629ebfa9ef42e9f9487bc27414f91e41f7a7f4793986ee834227a"
)
MAINNET_EXPIRES = "1788b941235fdbdb"
MAINNET_SIGNATURE = bytes.fromhex(
    "d9d9f7a26b6365727469666963617465590463d9d9f7a3647472656583018301830183024863616e69737465728301830183024a0000"
    "00000000000701018301830183024e6365727469666965645f64617461820358204a0a49efee8f05f6d31002ed0a6043e2b2f3d945d1"
    "683f2b5f884c25011b559482045820d8f64f7afca6a55d4ee6ded9b0200bac6651caf4c7a1920212b5a03c9bf1df3682045820c751a1"
    "f91750e652047b3e46ab16f421193cfea4ac9c48e83617cfb8b062e3fa820458207b48071c1eae0e18530c79d53f35c71ae1063596b3"
    "5b9124916ddc14636584bb820458203072d868cf089bc25967673a29bef783994a9109eb04962a3104d2ec1900876782045820d7341a"
    "71a0a1bbeed057d2c1ff701a1b2d1bc986c6ee414585ff8f750529a72b82045820e4498cb3a6df19d5d3a8f86c7a5f9b3e377e4005bd"
    "08a10ed19f79333afaf6088301820458208c9c651d68c1e098b7c933df669ab79ebe5f490a3de66bc886de9565715405188302447469"
    "6d65820349dbcafee7e5f3adc417697369676e61747572655830b174326e54c18f4878cd4394ab7bc9f2b502b77d1c93be1846f58f37"
    "d9bce99f5bec4de1c224e32c76f55c934debe1566a64656c65676174696f6ea2697375626e65745f6964581d43dcaf1180db82fda708"
    "ce3ac7a03a6060abde13e9546c60e8cce65d026b636572746966696361746559026ed9d9f7a26474726565830182045820dd78deba35"
    "9050404aee97d4f8d8ce9dbf2824704ec0613ae4f12890e7de1ef983018302467375626e657483018301830182045820267fe55111b5"
    "6e3c3975532ea3373f7b72e9f82072fe8e607ed34486478a5b39830182045820466a70286cf9ace9801ca53e22af6ee059a094fd6049"
    "8606d484b6854058307d83018301820458208b2f6c15078ae4d3b93470915ca53e373327f37ea74ba1b8177d986bb79b31ae8302581d"
    "43dcaf1180db82fda708ce3ac7a03a6060abde13e9546c60e8cce65d02830183024f63616e69737465725f72616e67657382035832d9"
    "d9f782824a000000000000000701014a00000000000000070101824a000000000210000001014a00000000021fffff010183024a7075"
    "626c69635f6b657982035885308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c050302010361008675b634a4"
    "3e39726238cfe39c9518bc3e3225cb6f5a8479bfcf2b608fba6f8524dcb80f35a8ae44b47f262f0a6620d41279f06fe0c53a739fcca0"
    "1a48926fe651a3519b5b329ffbecc9f0cb908b098dd3e8845cfb99c56379e049ac465ec806820458202c51db7b5650b7a3dbbb8530a7"
    "449cc6f90144778b62f20f3c26d72e95e5069882045820a7f251951eed726811460449388214773c94153c758afe3aaa54f9b5170426"
    "868204582053500b9323caa4e30ecfb70fba000e908670ef4dbb1d8cae818051be76656ccb83024474696d65820349e6d6e59c87d989"
    "c417697369676e617475726558308dd37aea0ff4f474f75d96278e02523f73f84f59cc9a969756fddd25b7e837060968b08d7668ac5f"
    "ecdf56b9095d1b9d6474726565830182045820bef3927a4a7342a683c7fac44a60d1adcfd36ef1acebf1f676e412bfee8554a5830243"
    "736967830182045820a02c85144577092045edd9fa02be9d57eb442b730636a66c56c0b5455809c481830182045820dfad228e456d54"
    "b7a943d52eaaa8b4b8f41eaa9ca4aecda31b1bcd7c16b89aed830183025820b879c8fdcbd2f5ececa4d437b120b460fafd78aeed1816"
    "d2b12664f023c770d083025820d7fad75f4023d71fc3171d8a62b3c413c405271147f045a2826e6180042ba95282034082045820fa59"
    "09279dba35cab154e6b0fd366dee3ca8e4bc3bb8af181b90295e007c5fb7"
)

# A replica on somebody's machine (ic-standalone-sig-verifier and its successors).
LOCAL_ROOT = bytes.fromhex(
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100b90210504fe157d1df412e500ced967ef7"
    "94dc7aa88c84d764b74b6bc2cf0e575d79f331927df062240c88a28e1802c60b407c7bce541b50310d775919bcd0f799222c3738bc3b"
    "cc8bf05af5f52ee2afec54c460bda35c6c379267924db2d374"
)
LOCAL_KEY = bytes.fromhex(
    "303c300c060a2b0601040183b8430102032c000a000000000000000101011f809d0136deeed8e0187447d20ac0e13e0201e1dede8c43"
    "7eada3e8dc349f85"
)
LOCAL_SIGNED = bytes.fromhex("086c81b03b34184d2365b88a7d94ad9cc0f4e98970b6c10068aae4e407333339")
LOCAL_SIGNATURE = bytes.fromhex(
    "d9d9f7a26b636572746966696361746558a1d9d9f7a26474726565830183024863616e697374657283024a0000000000000001010183"
    "024e6365727469666965645f646174618203582053e3b19ab292296b52b451b0662af2d86ac707569b39825fc31f62aca41406d48302"
    "4474696d6582034387ad4b697369676e61747572655830a95766af95898e1c8492de7b7d9e6c601ea9d9958113f6c0491ef044ed5ebb"
    "03d31983abfa40ebbef7068ebaf7e66f05647472656583024373696783025820591047009df12cb39741d672f270045fd15beec2b0b8"
    "4c1d71bda98b758726cd83025820d37372239856cdf2ae158e5ac365f15501a9e5612a970ddd7b3199c522b54194820340"
)


def mainnet_delegation() -> bytes:
    delegation = verifier._Delegation(expiration=MAINNET_EXPIRES, pubkey=MAINNET_PAGE.hex())
    return b"\x1aic-request-auth-delegation" + verifier._hash(delegation)


def refusal(attempt: Callable[[], object]) -> type[SignInRefused]:
    with pytest.raises(SignInRefused) as caught:
        attempt()
    return type(caught.value)


# -- Published vectors -----------------------------------------------------------------------------------------


def test_the_main_network_is_the_one_of_its_chain_id() -> None:
    assert canisters.network() == "737ba355e855bd4b61279056603e0550"


def test_a_signature_of_a_local_network_is_accepted_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(lambda: canisters.check(LOCAL_KEY[19:], LOCAL_SIGNED, LOCAL_SIGNATURE)) is SignatureMismatch
    monkeypatch.setattr(canisters, "ROOT_KEY", LOCAL_ROOT)
    canisters.check(LOCAL_KEY[19:], LOCAL_SIGNED, LOCAL_SIGNATURE)
    assert refusal(lambda: canisters.check(LOCAL_KEY[19:], b"other", LOCAL_SIGNATURE)) is SignatureMismatch


def test_recorded_signature_lacks_only_the_certified_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is older than 2026, when subnets got a certified type; a signature without one is refused."""
    attempt = lambda: canisters.check(MAINNET_KEY[19:], mainnet_delegation(), MAINNET_SIGNATURE)  # noqa: E731
    assert refusal(attempt) is SignatureMismatch
    really = canisters._value

    def with_a_type(tree: list[Any], *path: bytes) -> bytes:
        return b"system" if path[-1] == b"type" else really(tree, *path)

    monkeypatch.setattr(canisters, "_value", with_a_type)
    attempt()
    chance = random.Random(2023)
    for at in chance.sample(range(len(MAINNET_SIGNATURE)), 150):
        changed = bytearray(MAINNET_SIGNATURE)
        changed[at] ^= 1 << chance.randrange(8)
        assert issubclass(
            refusal(lambda c=bytes(changed): canisters.check(MAINNET_KEY[19:], mainnet_delegation(), c)),
            (SignatureMalformed, SignatureMismatch),
        )


def test_the_hash_of_a_tree_is_the_published_one() -> None:
    """The example of the specification, whole and pruned."""
    whole = (
        "8301830183024161830183018302417882034568656c6c6f810083024179820345776f726c6483024162820344676f6f64"
        "8301830241638100830241648203476d6f726e696e67"
    )
    pruned = (
        "83018301830241618301820458201b4feff9bef8131788b0c9dc6dbad6e81e524249c879e9f10f71ce3749f5a638830241"
        "79820345776f726c6483024162820458207b32ac0c6ba8ce35ac82c255fc7906f7fc130dab2a090f80fe12f9c2cae83ba6"
        "830182045820ec8324b8a1f1ac16bd2e806edba78006479c9877fed4eb464a25485465af601d830241648203476d6f726e"
        "696e67"
    )
    for text in (whole, pruned):
        tree = canisters._tree(canisters._Cbor(b"\xd9\xd9\xf7" + bytes.fromhex(text)).document())
        assert canisters._digest(tree).hex() == "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0"
        assert canisters._value(tree, b"a", b"y") == b"world"
        assert canisters._value(tree, b"d") == b"morning"
        for path in ((b"a", b"a"), (b"aa",), (b"ax",), (b"bb",), (b"e",), (b"a",), (b"a", b"y", b"z")):
            assert refusal(lambda t=tree, p=path: canisters._value(t, *p)) is SignatureMismatch
    assert refusal(lambda: canisters._value(tree, b"b")) is SignatureMismatch


# -- A network of our own ----------------------------------------------------------------------------------------


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canisters, "ROOT_KEY", key_of(ROOT_SECRET))


def check(signature: bytes, text: bytes = TEXT, key: bytes | None = None) -> None:
    canisters.check((key or canister_key())[19:], text, signature)


@pytest.mark.usefixtures("ours")
def test_canister_signature_is_accepted_from_any_subnet() -> None:
    """From the root subnet and from delegated subnets."""
    check(sign())
    check(sign(secret=ROOT_SECRET, link=None))
    check(sign(signs=signed_tree(seed=b"")), key=canister_key(b""))


@pytest.mark.usefixtures("ours")
def test_ranges_may_come_in_shards() -> None:
    elsewhere = ranges((b"\0" * 10, b"\0" * 9 + b"\1"))
    shards = {b"canister_ranges": {SUBNET: {b"\0" * 10: elsewhere, CANISTER[:-3] + b"\0\1\1": HERE}}}
    check(sign(link=delegation(subnet_content(canister_ranges=None) | shards)))
    others = {b"canister_ranges": {b"\3" * 29: {CANISTER: HERE}, SUBNET: {b"\0" * 10: elsewhere}}}
    attempt = lambda: check(sign(link=delegation(subnet_content(canister_ranges=None) | others)))  # noqa: E731
    assert refusal(attempt) is SignatureMismatch


MISMATCHES: dict[str, Callable[[], None]] = {
    "another text": lambda: check(sign(), b"another"),
    "another seed": lambda: check(sign(), key=canister_key(b"\2" * 32)),
    "another canister": lambda: check(sign(), key=canister_key(canister=CANISTER[:-1] + b"\2")),
    "certified for another canister": lambda: check(sign(canister=b"\1" * 10)),
    "a subnet that nobody vouches for": lambda: check(sign(link=None)),
    "signed by another subnet": lambda: check(sign(secret=5)),
    "vouched for by another root": lambda: check(sign(link=delegation(secret=SUBNET_SECRET))),
    "a subnet that vouches for itself": lambda: check(
        sign(link=delegation(secret=SUBNET_SECRET) | {"subnet_id": b"\3" * 29})
    ),
    "a subnet that is not in the tree": lambda: check(sign(link=delegation() | {"subnet_id": b"\3" * 29})),
    "a subnet without this canister": lambda: check(
        sign(link=delegation(subnet_content(canister_ranges=ranges((b"\1" * 10, b"\2" * 10)))))
    ),
    "a subnet without canisters": lambda: check(sign(link=delegation(subnet_content(canister_ranges=ranges())))),
    "a subnet whose ranges are not shown": lambda: check(sign(link=delegation(subnet_content(canister_ranges=None)))),
    "a subnet that signs for no other": lambda: check(sign(link=delegation(subnet_content(type=b"cloud_engine")))),
    "a subnet of no type": lambda: check(sign(link=delegation(subnet_content(type=None)))),
    "a subnet without a key": lambda: check(sign(link=delegation(subnet_content(public_key=None)))),
    "nothing signed": lambda: check(sign(signs=[0])),
    "a mark that is not empty": lambda: check(sign(signs=signed_tree(leaf=b"no"))),
    "a mark that is pruned": lambda: check(
        sign(signs=[2, b"sig", [2, hashlib.sha256(SEED).digest(), [4, b"\0" * 32]]])
    ),
    "a mark that is a branch": lambda: check(sign(signs=signed_tree(leaf={b"x": b""}))),
    "the hash of what is certified, and not it": lambda: check(
        sign(certified=tree({b"canister": {CANISTER: b"\0" * 32}}))
    ),
    "something else certified": lambda: check(
        sign(certified=tree({b"canister": {CANISTER: {b"certified_data": b"\0" * 32}}}))
    ),
    "what is certified in another place": lambda: check(
        sign(certified=tree({b"canister": {b"certified_data": {CANISTER: canisters._digest(signed_tree())}}}))
    ),
}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("attempt", MISMATCHES.values(), ids=MISMATCHES)
def test_signature_without_proof_is_a_mismatch(attempt: Callable[[], None]) -> None:
    assert refusal(attempt) is SignatureMismatch


def two_marks(first: bytes, second: bytes) -> list[Any]:
    return [1, [2, first, [3, b""]], [2, second, [3, b""]]]


MALFORMED: dict[str, Callable[[], bytes]] = {
    "a delegation of a delegation": lambda: sign(link=delegation(delegation=delegation())),
    "labels out of order": lambda: sign(signs=two_marks(b"b", b"a")),
    "a label twice": lambda: sign(signs=two_marks(b"sig", b"sig")),
    "a value among labels": lambda: sign(signs=[1, [2, b"a", [0]], [3, b""]]),
    "a value in a fork": lambda: sign(signs=[1, [3, b""], [0]]),
    "labels out of order further down": lambda: sign(signs=[2, b"sig", two_marks(b"b", b"a")]),
    "labels out of order in a certificate": lambda: sign(
        certified=[1, [2, b"b", [0]], tree({b"a": {CANISTER: b""}})]
    ),
    "a key at infinity": lambda: sign(
        link=delegation(subnet_content(public_key=canisters.ROOT_KEY[:37] + b"\xc0" + bytes(95)))
    ),
    "a key that is no point": lambda: sign(
        link=delegation(subnet_content(public_key=canisters.ROOT_KEY[:37] + b"\x80" + b"\1" * 95))
    ),
    "a key of another kind": lambda: sign(link=delegation(subnet_content(public_key=b"\0" * 133))),
    "a key and a byte": lambda: sign(link=delegation(subnet_content(public_key=key_of(SUBNET_SECRET) + b"\0"))),
    "ranges that are no list": lambda: sign(link=delegation(subnet_content(canister_ranges=document({})))),
    "a range of one end": lambda: sign(link=delegation(subnet_content(canister_ranges=document([[CANISTER]])))),
    "a range of texts": lambda: sign(link=delegation(subnet_content(canister_ranges=document([["", "z"]])))),
    "no tree": lambda: document({"certificate": b""}),
    "no certificate": lambda: document({"tree": [0]}),
    "a certificate that is a text": lambda: document({"certificate": "", "tree": [0]}),
    "a certificate of nothing": lambda: document({"certificate": b"", "tree": [0]}),
    "a certificate without a signature": lambda: document({"certificate": document({"tree": [0]}), "tree": [0]}),
    "a signature that is no point": lambda: document(
        {"certificate": document({"tree": [0], "signature": b"\0" * 48}), "tree": [0]}
    ),
    "a signature of another length": lambda: document(
        {"certificate": document({"tree": [0], "signature": b"\0" * 47}), "tree": [0]}
    ),
    "a delegation of null": lambda: document(
        {"certificate": document({"tree": [0], "signature": b"", "delegation": 0}), "tree": [0]}
    ),
    **{
        f"the tree {node}": lambda node=node: document({"certificate": b"", "tree": node})  # type: ignore[misc]
        for node in (
            [],
            [5],
            [0, 0],
            [1],
            [1, [0]],
            [1, [0], [0], [0]],
            [2, b"a"],
            [2, "a", [0]],
            [2, b"a", b"b"],
            [3],
            [3, "a"],
            [3, b"a", b"b"],
            [4, b"a"],
            [4, b"a" * 33],
            [b"a"],
            ["0"],
            [[0]],
        )
    },
}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("make", MALFORMED.values(), ids=MALFORMED)
def test_canister_signature_of_another_form_is_malformed(make: Callable[[], bytes]) -> None:
    assert refusal(lambda: check(make())) is SignatureMalformed


BAD_CBOR: dict[str, bytes] = {
    "nothing": b"",
    "no tag": cbor({"certificate": b"", "tree": [0]}),
    "another tag": b"\xd9\xd9\xf8\xa0",
    "the tag twice": b"\xd9\xd9\xf7" * 2 + b"\xa0",
    "the tag alone": b"\xd9\xd9\xf7",
    "bytes after the end": document({"certificate": b"", "tree": [0]}) + b"\0",
    "an object of indefinite length": b"\xd9\xd9\xf7\xbf\xff",
    "a list of indefinite length": b"\xd9\xd9\xf7\x9f\xff",
    "bytes of indefinite length": b"\xd9\xd9\xf7\x5f\xff",
    "a reserved length": b"\xd9\xd9\xf7\x5c",
    "a name twice": b"\xd9\xd9\xf7\xa2\x61a\0\x61a\0",
    "a name that is a list": b"\xd9\xd9\xf7\xa1\x80\0",
    "a negative number": b"\xd9\xd9\xf7\x20",
    "a float": b"\xd9\xd9\xf7\xfb" + bytes(8),
    "null": b"\xd9\xd9\xf7\xf6",
    "a list of 2^64": b"\xd9\xd9\xf7\x9b" + b"\xff" * 8,
    "an object of 2^64": b"\xd9\xd9\xf7\xbb" + b"\xff" * 8,
    "bytes of 2^64": b"\xd9\xd9\xf7\x5b" + b"\xff" * 8,
    "nested lists": b"\xd9\xd9\xf7" + b"\x81" * 4000,
    "nested objects": b"\xd9\xd9\xf7" + b"\xa1\x60" * 2000,
    "nested forks": b"\xd9\xd9\xf7\xa2\x64tree" + b"\x83\x01" * 1900,
}


@pytest.mark.parametrize("data", BAD_CBOR.values(), ids=BAD_CBOR)
def test_unsupported_cbor_is_malformed_and_never_recurses(data: bytes) -> None:
    start = time.process_time()
    assert refusal(lambda: check(data)) is SignatureMalformed
    assert time.process_time() - start < 0.05


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    "change",
    [
        lambda signature: signature + b"\0",
        lambda signature: signature + signature,
        lambda signature: signature.replace(b"\xd9\xd9\xf7\xa2", b"\xd9\xd9\xf7\xb8\2", 1),
        lambda signature: signature.replace(b"\xd9\xd9\xf7\xa2", b"\xd9\xd9\xf7\xb9\0\2", 1),
        lambda signature: signature.replace(b"\xd9\xd9\xf7\xa2", b"\xd9\xd9\xf7\xbb" + bytes(7) + b"\2", 1),
        lambda signature: signature.replace(b"\xd9\xd9\xf7\xa2", b"\xd9\xd9\xf7\xbf", 1) + b"\xff",
        lambda signature: signature[3:],
    ],
)
def test_a_good_signature_has_one_spelling(change: Callable[[bytes], bytes]) -> None:
    changed = change(sign())
    assert changed != sign()
    assert refusal(lambda: check(changed)) is SignatureMalformed


@pytest.mark.usefixtures("ours")
def test_a_signature_with_any_byte_changed_is_refused() -> None:
    signature = sign()
    chance = random.Random(12381)
    for at in range(0, len(signature), 2):
        changed = bytearray(signature)
        changed[at] ^= 1 << chance.randrange(8)
        try:
            check(bytes(changed))
        except SignInRefused:
            continue
        pytest.fail(f"accepted with byte {at} changed")


# -- As a link of a proof ----------------------------------------------------------------------------------------


def proof(signer: IcpSigner, der: bytes, text: str = "text", expires: int = NEVER * 10**6) -> str:
    """The proof of a page whose key Internet Identity delegated to."""
    page = json.loads(signer.sign(text))
    delegated = {"expiration": f"{expires:x}", "pubkey": page["publicKey"]}
    signed = b"\x1aic-request-auth-delegation" + verifier._hash(verifier._Delegation(**delegated))
    first = {"delegation": delegated, "signature": sign(signed).hex()}
    whole = {"delegations": [first, *page["delegations"]], "publicKey": der.hex(), "signature": page["signature"]}
    return json.dumps(whole, separators=(",", ":"))


def account_of(der: bytes) -> Account:
    principal = principals.write_principal(hashlib.sha224(der).digest() + b"\2")
    return Account("icp", canisters.network(), principal)


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("kinds", [("p256",), ("ed25519",), ("p256", "secp256k1", "ed25519")])
def test_a_key_that_a_canister_delegated_to_signs_in(kinds: tuple[str, ...]) -> None:
    der, signer = canister_key(), IcpSigner(kinds)
    signature = proof(signer, der)
    assert len(signature) < verifier.InternetComputer.max_signature
    verify(account_of(der), "text", signature, NOW)
    assert refusal(lambda: verify(account_of(der), "other", signature, NOW)) is SignatureMismatch
    other = account_of(canister_key(b"\2" * 32))
    assert refusal(lambda: verify(other, "text", signature, NOW)) is SignatureMismatch
    stranger = json.loads(proof(IcpSigner(kinds), der))
    stolen = json.loads(signature) | {"signature": stranger["signature"]}
    spelled = json.dumps(stolen, separators=(",", ":"))
    assert refusal(lambda: verify(account_of(der), "text", spelled, NOW)) is SignatureMismatch


@pytest.mark.usefixtures("ours")
def test_a_delegation_of_a_canister_expires_as_any_other() -> None:
    der = canister_key()
    signature = proof(IcpSigner(("p256",)), der, expires=NOW * 10**9)
    verify(account_of(der), "text", signature, NOW - 1)
    assert refusal(lambda: verify(account_of(der), "text", signature, NOW)) is DelegationExpired


@pytest.mark.usefixtures("ours")
def test_a_canister_of_another_network_is_unsupported() -> None:
    der = canister_key()
    elsewhere = Account("icp", "0" * 32, account_of(der).address)
    signature = proof(IcpSigner(("p256",)), der)
    assert refusal(lambda: verify(elsewhere, "text", signature, NOW)) is CanisterSignatureUnsupported


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    "der",
    [
        canister_key(b"\1" * 120),
        canister_key()[:-1],
        canister_key() + b"\0",
        b"\x30\x81" + canister_key()[1:],
        canister_key()[:18] + b"\1" + canister_key()[19:],
        canister_key(b"", b"")[:19],
        canister_key(b"", b"\1" * 30),
        canister_key()[:19] + b"\x2b" + canister_key()[20:],
    ],
    ids=range(8),
)
def test_a_canister_s_key_has_one_form(der: bytes) -> None:
    signature = proof(IcpSigner(("p256",)), der)
    assert refusal(lambda: verify(account_of(der), "text", signature, NOW)) is SignatureMalformed
