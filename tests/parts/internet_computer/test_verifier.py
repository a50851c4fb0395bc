"""The Internet Computer: delegations by its own library and as published, and every way in which one is none."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from sessions_core.errors import (
    AccountKeyless,
    AccountMalformed,
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
)
from sessions_core.parts.internet_computer import canisters, principals, verifier
from sessions_core.parts.internet_computer.errors import (
    CanisterSignatureUnsupported,
    DelegationExpired,
    DelegationRestricted,
)
from sessions_core.sign_in import accounts, curves
from sessions_core.sign_in.accounts import Account

from ...canister_signatures import canister_key
from ...chain_contract import NOW, Signer, VerifierContract, verify
from ...signers import ICP, NEVER, IcpSigner

KINDS = ("ed25519", "p256", "secp256k1")
ORDERS = {"p256": curves.P256_ORDER, "secp256k1": curves.SECP256K1_ORDER}


def spelled(proof: dict[str, Any]) -> str:
    """What `JSON.stringify` makes of it."""
    return json.dumps(proof, separators=(",", ":"), ensure_ascii=False)


def changed_at(proof: dict[str, Any], path: tuple[Any, ...], value: Any) -> str:
    """The proof with the value at a path replaced."""
    copy = json.loads(json.dumps(proof))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return spelled(copy)


def account_of(der: bytes) -> str:
    """The account of a public key."""
    return f"{ICP}:" + principals.write_principal(hashlib.sha224(der).digest() + b"\2")


def refused(signature: str, account: str, text: str = "text", now: float = NOW) -> type[SignInRefused]:
    with pytest.raises(SignInRefused) as refusal:
        verify(accounts.parse(account), text, signature, now)
    return type(refusal.value)


class TestIcp(VerifierContract):
    namespace = "icp"
    account_kind = "ICP"
    networks: ClassVar[tuple[str, ...]] = (ICP,)
    # A bit of an expiration says another time.
    refusals: ClassVar[tuple[type[SignInRefused], ...]] = (SignatureMalformed, SignatureMismatch, DelegationExpired)
    kinds: ClassVar[tuple[str, ...]] = ("ed25519", "p256")

    def new_signer(self) -> Signer:
        return IcpSigner(self.kinds)

    def account_elsewhere(self, signer: Signer) -> Account:
        return dataclasses.replace(self.account(signer), reference="0" * 32)

    def signature_bits(self, signature: str) -> Iterator[str]:
        proof = json.loads(signature)
        paths: list[tuple[Any, ...]] = [("publicKey",), ("signature",)]
        for at in range(len(proof["delegations"])):
            paths += [("delegations", at, "signature")]
            paths += [("delegations", at, "delegation", name) for name in ("pubkey", "expiration")]
        for path in paths:
            value = proof
            for step in path:
                value = value[step]
            for bit in range(4 * len(value)):
                yield changed_at(proof, path, f"{int(value, 16) ^ (1 << bit):0{len(value)}x}")

    def other_encodings(self, signature: str) -> dict[str, str]:
        proof = json.loads(signature)
        longer = {"more": 1, **proof}
        others = {
            "base64": base64.b64encode(signature.encode()).decode(),
            "with blanks": json.dumps(proof),
            "indented": json.dumps(proof, indent=1),
            "a blank before": " " + signature,
            "a line feed after": signature + "\n",
            "NUL after": signature + "\0",
            "twice": signature + signature,
            "in a list": f"[{signature}]",
            "as a text": json.dumps(signature),
            "escaped": signature.replace("publicKey", "\\u0070ublicKey"),
            "an escaped value": signature.replace(':"30', ':"\\u00330'),
            "in another order": spelled(dict(reversed(list(proof.items())))),
            "a key twice": signature[:-1] + f',"signature":"{proof["signature"]}"}}',
            "an unknown field": spelled(longer),
            "an unknown field after": spelled({**proof, "more": None}),
            "upper case": signature.replace(proof["publicKey"], proof["publicKey"].upper()),
            "upper case of the signature": changed_at(proof, ("signature",), proof["signature"].upper()),
            "0x": changed_at(proof, ("signature",), "0x" + proof["signature"]),
            "half a byte": changed_at(proof, ("signature",), proof["signature"][:-1]),
            "a byte lost": changed_at(proof, ("signature",), proof["signature"][:-2]),
            "a byte more": changed_at(proof, ("signature",), proof["signature"] + "00"),
            "no signature": changed_at(proof, ("signature",), ""),
            "a signature that is null": changed_at(proof, ("signature",), None),
            "a signature that is a number": changed_at(proof, ("signature",), 1),
            "a key in PEM": changed_at(proof, ("publicKey",), "-----BEGIN PUBLIC KEY-----"),
            "a raw key": changed_at(proof, ("publicKey",), proof["publicKey"][-64:]),
            "a byte after the key": changed_at(proof, ("publicKey",), proof["publicKey"] + "00"),
            "delegations that are null": changed_at(proof, ("delegations",), None),
            "delegations that are an object": changed_at(proof, ("delegations",), {}),
            "no delegations at all": spelled({k: v for k, v in proof.items() if k != "delegations"}),
            "null": "null",
            "an empty object": "{}",
        }
        if proof["delegations"]:
            link = ("delegations", 0)
            expiration = proof["delegations"][0]["delegation"]["expiration"]
            delegation = (*link, "delegation")
            others |= {
                "an unknown field of a link": changed_at(proof, (*link, "more"), 1),
                "an unknown field of a delegation": changed_at(proof, (*delegation, "more"), 1),
                "senders": changed_at(proof, (*delegation, "senders"), []),
                "targets that are no list": changed_at(proof, (*delegation, "targets"), 1),
                "a leading zero": changed_at(proof, (*delegation, "expiration"), "0" + expiration),
                "an expiration in decimal": changed_at(proof, (*delegation, "expiration"), str(int(expiration, 16))),
                "an expiration with 0x": changed_at(proof, (*delegation, "expiration"), "0x" + expiration),
                "an expiration in capitals": changed_at(proof, (*delegation, "expiration"), expiration.upper() + "F"),
                "an expiration that is a number": changed_at(proof, (*delegation, "expiration"), int(expiration, 16)),
                "an expiration of 65 bits": changed_at(proof, (*delegation, "expiration"), "1" + "0" * 16),
                "an expiration of nothing": changed_at(proof, (*delegation, "expiration"), ""),
                "an expiration and a line feed": changed_at(proof, (*delegation, "expiration"), expiration + "\n"),
                "an expiration in other digits": changed_at(proof, (*delegation, "expiration"), "\u0661" * 16),
                "a delegation for nobody": changed_at(proof, (*delegation, "pubkey"), ""),
                "a link that is a list": changed_at(proof, link, []),
            }
        return others


class TestIcpWithoutADelegation(TestIcp):
    """The key of the principal is in the page itself."""

    kinds = ("secp256k1",)


class TestIcpWithEveryKindOfKey(TestIcp):
    kinds = ("p256", "secp256k1", "ed25519", "p256")


@pytest.mark.parametrize("root", KINDS)
@pytest.mark.parametrize("page", KINDS)
def test_every_kind_of_key_delegates_to_every_kind(root: str, page: str) -> None:
    signer = IcpSigner((root, page))
    verify(accounts.parse(signer.account()), "text", signer.sign("text"))


# -- Published vectors -----------------------------------------------------------------------------------------

# icp-js-core, packages/core/src/identity/identity/delegation.test.ts: keys of the seeds 2, 1 and 0.
GOLDEN = {
    "delegations": [
        {
            "delegation": {
                "expiration": "1655f29d787c0000",
                "pubkey": "302a300506032b6570032100cecc1507dc1ddd7295951c290888f095adb9044d1b73d696e6df065d683bd4fc",
            },
            "signature": "b106d135e5ad7459dc67db68a4946fdbe603e650df4035957db7f0fb54e7467b"
            "b463116a2ad025e1887cd1f29025e0f3607b09924abbbbebfaf921b675c8ff08",
        },
        {
            "delegation": {
                "expiration": "1655f29d787c0000",
                "pubkey": "302a300506032b65700321003b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
            },
            "signature": "5e40f3d171e499a691092e5b961b5447921091bcf8c6409cb5641541f4dc1390"
            "f501c5dfb16b10df29d429cd153b9e396af4e883ed3cfa090d28e214db14c308",
        },
    ],
    "publicKey": "302a300506032b65700321006b79c57e6a095239282c04818e96112f3f03a4001ba97a564c23852a3f1ea5fc",
}
GOLDEN_EXPIRES = 1_609_459_200  # the first second of 2021


def golden_signer() -> IcpSigner:
    seeds = tuple(f"{seed:02x}" + "00" * 31 for seed in (2, 1, 0))
    return IcpSigner(("ed25519",) * 3, (GOLDEN_EXPIRES * 1000,) * 2, keys=seeds)


def test_the_published_chain_is_accepted_until_it_expires() -> None:
    signer = golden_signer()
    signature = signer.sign("text")
    assert json.loads(signature) == GOLDEN | {"signature": json.loads(signature)["signature"]}
    account = accounts.parse(signer.account())
    verify(account, "text", signature, GOLDEN_EXPIRES - 1)
    for now in (GOLDEN_EXPIRES, GOLDEN_EXPIRES + 1, NOW):
        assert refused(signature, str(account), now=now) is DelegationExpired


def test_numbers_are_written_as_leb128() -> None:
    assert verifier._leb128(0) == b"\0"
    assert verifier._leb128(127) == b"\x7f"
    assert verifier._leb128(128) == b"\x80\x01"
    assert verifier._leb128(624485) == b"\xe5\x8e\x26"  # DWARF 4, section 7.6
    assert verifier._leb128(2**64 - 1) == b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize(
    ("key", "principal"),
    [
        # The principal of the key of 32 zero bytes as a seed, and of the golden chain's, by @icp-sdk/core.
        ("302a300506032b65700321003b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29", 0),
        ("302a300506032b6570032100cecc1507dc1ddd7295951c290888f095adb9044d1b73d696e6df065d683bd4fc", 1),
        ("302a300506032b65700321006b79c57e6a095239282c04818e96112f3f03a4001ba97a564c23852a3f1ea5fc", 2),
    ],
)
def test_a_principal_is_the_hash_of_its_key(key: str, principal: int) -> None:
    signer = IcpSigner(("ed25519",), keys=(f"{principal:02x}" + "00" * 31,))
    data = hashlib.sha224(bytes.fromhex(key)).digest() + b"\2"
    assert signer.address == principals.write_principal(data)
    assert principals.read_principal(signer.address) == data


# -- Accounts that sign nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "principal",
    [
        "2vxsx-fae",
        "aaaaa-aa",
        "rdmx6-jaaaa-aaaaa-aaadq-cai",
        "ryjl3-tyaaa-aaaaa-aaaba-cai",
        "2chl6-4hpzw-vqaaa-aaaaa-c",
    ],
)
def test_canister_and_anonymous_principals_are_keyless(principal: str) -> None:
    principals.read_principal(principal)
    with pytest.raises(AccountKeyless):
        accounts.parse(f"{ICP}:{principal}")


def test_canister_id_with_a_wrong_checksum_is_malformed() -> None:
    """This wrong spelling is often quoted."""
    with pytest.raises(AccountMalformed) as refusal:
        accounts.parse(f"{ICP}:rdmx6-jaaaa-aaaah-qcaiq-cai")
    assert type(refusal.value) is AccountMalformed


# -- Delegations -----------------------------------------------------------------------------------------------


def test_a_delegation_holds_to_the_nanosecond() -> None:
    signer = IcpSigner(expires=(1_800_000_000_000,))
    signature = signer.sign("text")
    verify(accounts.parse(signer.account()), "text", signature, 1_800_000_000 - 0.001)
    assert refused(signature, signer.account(), now=1_800_000_000) is DelegationExpired


def test_one_expired_delegation_ends_the_whole_chain() -> None:
    for expired in range(3):
        expires = tuple(NOW * 1000 - 1 if at == expired else NEVER for at in range(3))
        signer = IcpSigner(("ed25519", "p256", "secp256k1", "ed25519"), expires)
        assert refused(signer.sign("text"), signer.account()) is DelegationExpired


def test_an_expiration_that_was_moved_is_not_signed() -> None:
    signer = IcpSigner(expires=(NOW * 1000 - 1,))
    proof = json.loads(signer.sign("text"))
    path = ("delegations", 0, "delegation", "expiration")
    for later in (f"{NEVER * 10**6:x}", "f" * 16):
        assert refused(changed_at(proof, path, later), signer.account()) is SignatureMismatch


@pytest.mark.parametrize(
    "limit",
    [
        {"targets": ["rdmx6-jaaaa-aaaaa-aaadq-cai"]},
        {"targets": []},
        {"permissions": "queries"},
        {"permissions": "all"},
        {"targets": ["rdmx6-jaaaa-aaaaa-aaadq-cai"], "permissions": "queries"},
    ],
)
def test_restricted_delegation_is_refused(limit: dict[str, Any]) -> None:
    signer = IcpSigner(limits=(limit,))
    assert refused(signer.sign("text"), signer.account()) is DelegationRestricted


def test_dropped_delegation_limits_break_the_signature() -> None:
    for limit in ({"targets": ["rdmx6-jaaaa-aaaaa-aaadq-cai"]}, {"permissions": "all"}):
        signer = IcpSigner(limits=(limit,))
        proof = json.loads(signer.sign("text"))
        for name in limit:
            del proof["delegations"][0]["delegation"][name]
        assert refused(spelled(proof), signer.account()) is SignatureMismatch


def test_limits_that_a_page_adds_are_refused_too() -> None:
    signer = IcpSigner()
    proof = json.loads(signer.sign("text"))
    for name, value in (("targets", []), ("permissions", "")):
        added = changed_at(proof, ("delegations", 0, "delegation", name), value)
        assert refused(added, signer.account()) is DelegationRestricted


def test_twenty_delegations_are_accepted_and_21_are_not() -> None:
    """The longest accepted signature is within the length limit."""
    longest = IcpSigner(("p256",) * 21)
    signature = longest.sign("text")
    assert len(signature) == 8077 <= verifier.InternetComputer.max_signature
    verify(accounts.parse(longest.account()), "text", signature)
    one_more = IcpSigner(("ed25519",) * 22)
    assert len(one_more.sign("text")) < verifier.InternetComputer.max_signature
    assert refused(one_more.sign("text"), one_more.account()) is SignatureMalformed


def test_no_key_may_come_twice() -> None:
    """A chain that comes back to a key is longer than it needs to be, and that is an attack or a mistake."""
    keys = IcpSigner(("ed25519",) * 3).keys
    for turns in ((0, 0), (0, 1, 0), (0, 1, 1), (0, 1, 2, 1)):
        signer = IcpSigner(("ed25519",) * len(turns), keys=tuple(keys[turn] for turn in turns))
        assert refused(signer.sign("text"), signer.account()) is SignatureMalformed


def splice(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> tuple[str, str]:
    """A victim's proof, changed with an attacker's; and the victim's account."""
    kinds = ("ed25519",) * 3
    victim, attacker = IcpSigner(kinds), IcpSigner(kinds)
    proof, other = json.loads(victim.sign("text")), json.loads(attacker.sign("text"))
    change(proof, other)
    return spelled(proof), victim.account()


def steal(proof: dict[str, Any], other: dict[str, Any], at: int, *names: str) -> None:
    for name in names:
        link, theirs = proof["delegations"][at], other["delegations"][at]
        if name == "signature":
            link[name] = theirs[name]
        else:
            link["delegation"][name] = theirs["delegation"][name]


SPLICES: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "signed by the attacker's key": lambda proof, other: proof.update(signature=other["signature"]),
    "the attacker's root": lambda proof, other: proof.update(publicKey=other["publicKey"]),
    "the attacker's links under the victim's root": lambda proof, other: proof.update(
        delegations=other["delegations"], signature=other["signature"]
    ),
    "everything but the account": lambda proof, other: proof.update(other),
    "the last link and the signature": lambda proof, other: (
        steal(proof, other, 1, "pubkey", "signature"),
        proof.update(signature=other["signature"]),
    ),
    "the attacker's key put into the last link": lambda proof, other: (
        steal(proof, other, 1, "pubkey"),
        proof.update(signature=other["signature"]),
    ),
    "the attacker's key put into the first link": lambda proof, other: steal(proof, other, 0, "pubkey"),
    "the attacker's signature on the first link": lambda proof, other: steal(proof, other, 0, "signature"),
    "no links": lambda proof, other: proof.update(delegations=[]),
    "the first link only": lambda proof, other: proof["delegations"].pop(),
    "the last link only": lambda proof, other: proof["delegations"].pop(0),
    "the links turned round": lambda proof, other: proof["delegations"].reverse(),
    "the attacker's links after the victim's": lambda proof, other: (
        proof["delegations"].extend(other["delegations"]),
        proof.update(signature=other["signature"]),
    ),
}


@pytest.mark.parametrize("change", SPLICES.values(), ids=SPLICES)
def test_parts_of_two_proofs_prove_nothing(change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    signature, account = splice(change)
    assert refused(signature, account) is SignatureMismatch


# -- What was signed for something else ------------------------------------------------------------------------


def raw_signer() -> tuple[Callable[[bytes], str], str, str]:
    """An Ed25519 key in Python, to sign what no library would; its DER and its account."""
    from nacl.signing import SigningKey

    key = SigningKey.generate()
    der = "302a300506032b6570032100" + bytes(key.verify_key).hex()
    return lambda data: key.sign(data).signature.hex(), der, account_of(bytes.fromhex(der))


def test_a_request_to_a_canister_or_a_delegation_never_signs_in() -> None:
    sign, der, account = raw_signer()

    def proof(data: bytes) -> str:
        return spelled({"delegations": [], "publicKey": der, "signature": sign(data)})

    verify(accounts.parse(account), "text", proof(b"\x0fsiwic-challengetext"))
    for data in (
        b"text",
        b"siwic-challengetext",
        b"\x0aic-requesttext",
        b"\x1aic-request-auth-delegationtext",
        b"\x0eic-hostauth-v1text",
        b"\x10siwic-challengetext",
        b"\x0fsiwic-challenge" + hashlib.sha256(b"text").digest(),
    ):
        assert refused(proof(data), account) is SignatureMismatch


def test_a_signed_text_is_no_delegation() -> None:
    """Who can have a text of theirs signed must not get a delegation by it."""
    sign, der, account = raw_signer()
    attacker_sign, attacker_der, _ = raw_signer()
    delegation = verifier._Delegation(expiration="f" * 16, pubkey=attacker_der)
    text_hash = verifier._hash(delegation)
    link = {
        "delegation": {"expiration": delegation.expiration, "pubkey": delegation.pubkey},
        "signature": sign(b"\x0fsiwic-challenge" + text_hash),
    }
    forged = {
        "delegations": [link],
        "publicKey": der,
        "signature": attacker_sign(b"\x0fsiwic-challengetext"),
    }
    assert refused(spelled(forged), account) is SignatureMismatch
    link["signature"] = sign(b"\x1aic-request-auth-delegation" + text_hash)
    verify(accounts.parse(account), "text", spelled(forged))


# -- Keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [b"", b"\1" * 32, b"\1" * 90])
def test_without_pyblst_canister_signatures_are_unsupported(seed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canisters, "available", lambda: False)
    der = canister_key(seed)
    account = account_of(der)
    proof = json.loads(IcpSigner().sign("text"))
    cbor = "d9d9f7a26b6365727469666963617465" + "00" * 2000
    assert (
        refused(
            spelled(
                {
                    "delegations": [proof["delegations"][0] | {"signature": cbor}],
                    "publicKey": der.hex(),
                    "signature": proof["signature"],
                }
            ),
            account,
        )
        is CanisterSignatureUnsupported
    )
    within = changed_at(proof, ("delegations", 0, "delegation", "pubkey"), der.hex())
    assert refused(within, account) is CanisterSignatureUnsupported


@pytest.mark.parametrize(
    "der",
    [
        "302a300506032b6570032100" + "00" * 31,
        "302a300506032b6570032100" + "00" * 33,
        "302a300506032b6571032100" + "00" * 32,  # Ed448's identifier
        "302a300506032b656e032100" + "09" + "00" * 31,  # X25519
        "302c300706032b65700500032100" + "00" * 32,  # with parameters, which RFC 8410 forbids
        "3081" + "2a300506032b6570032100" + "00" * 32,  # a length in two bytes, which DER forbids
        "3039301306072a8648ce3d020106082a8648ce3d03010703220002" + "11" * 32,  # a compressed point
        "3059301306072a8648ce3d020106082a8648ce3d03010703420006" + "11" * 64,  # a hybrid point
        "3056301006072a8648ce3d020106052b8104000a03420007" + "11" * 64,
        "3059301306072a8648ce3d020106082a8648ce3d03010703420104" + "11" * 64,  # an unused bit
        "3076301006072a8648ce3d020106052b81040022036200" + "04" + "11" * 96,  # P-384
        "304b300c060a2b0601040183b84301010" + "33b00" + "11" * 58,  # COSE, as WebAuthn keys are
        "30",
        "00",
    ],
)
def test_a_key_of_another_kind_or_form_is_refused(der: str) -> None:
    proof = json.loads(IcpSigner().sign("text"))
    account = account_of(bytes.fromhex(der))
    assert refused(changed_at(proof, ("publicKey",), der), account) is SignatureMalformed


@pytest.mark.parametrize(
    "der",
    [
        "302a300506032b6570032100" + "00" * 32,
        "302a300506032b6570032100" + "01" + "00" * 31,
        "302a300506032b6570032100" + "ff" * 32,
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + "00" * 64,
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + "11" * 64,
        "3056301006072a8648ce3d020106052b8104000a03420004" + "00" * 64,
        "3056301006072a8648ce3d020106052b8104000a03420004" + "ff" * 64,
    ],
)
def test_key_without_a_private_half_signs_nothing(der: str) -> None:
    account = account_of(bytes.fromhex(der))
    for signature in ("00" * 64, "00" * 31 + "01" + "00" * 31 + "01", "01" + "00" * 63):
        proof = {"delegations": [], "publicKey": der, "signature": signature}
        assert refused(spelled(proof), account) in (SignatureMismatch, SignatureMalformed)


def test_high_s_is_accepted_of_browsers_keys_and_of_no_others() -> None:
    """WebCrypto makes P-256 signatures with either s; all else has one form."""
    for kind, order in ORDERS.items():
        signer = IcpSigner((kind,))
        proof = json.loads(signer.sign("text"))
        r, s = (int(part, 16) for part in (proof["signature"][:64], proof["signature"][64:]))
        other = changed_at(proof, ("signature",), f"{r:064x}{order - s:064x}")
        if kind == "p256":
            verify(accounts.parse(signer.account()), "text", other)
        else:
            assert refused(other, signer.account()) is SignatureMalformed


# -- Bounded work ----------------------------------------------------------------------------------------------


HOSTILE = {
    "nested lists": "[" * 8000,
    "nested objects": '{"a":' * 1600,
    "nested in an unknown field": '{"more":' + "[" * 8000,
    "nested in a known field": '{"delegations":' + "[" * 8000,
    "nested in targets": '{"delegations":[{"delegation":{"targets":' + "[" * 8000,
    "many empty links": '{"delegations":[' + ",".join(["{}"] * 2500) + "]",
    "many targets": '{"delegations":[{"delegation":{"expiration":"1","pubkey":"00","targets":['
    + ",".join(['""'] * 2500)
    + "]}",
    "a long number": '{"delegations":' + "9" * 8000,
    "a number that overflows": '{"delegations":1e' + "9" * 8000,
    "a long key": '{"' + "a" * 8000,
    "escapes": '{"publicKey":"' + "\\u0030" * 1300,
    "a lone surrogate": '{"publicKey":"\ud800"}',
    "an escaped lone surrogate": '{"publicKey":"\\ud800","delegations":[],"signature":"00"}',
}


@pytest.mark.parametrize("signature", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_proof_is_refused_and_recurses_nowhere(signature: str) -> None:
    assert len(signature) <= verifier.InternetComputer.max_signature
    assert refused(signature, IcpSigner().account()) is SignatureMalformed


def test_cheap_checks_run_before_any_signature_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    expired = IcpSigner(("ed25519",) * 5, (NEVER, NEVER, NEVER, NOW * 1000 - 1))
    limited = IcpSigner(("ed25519",) * 3, limits=({}, {"permissions": "all"}))
    stranger = IcpSigner()
    signatures = [(expired.sign("text"), expired.account()), (limited.sign("text"), limited.account())]
    signatures.append((expired.sign("text"), stranger.account()))
    monkeypatch.setattr(verifier._Key, "demand", lambda *_: pytest.fail("verified"))
    found = [refused(signature, account) for signature, account in signatures]
    assert found == [DelegationExpired, DelegationRestricted, SignatureMismatch]
