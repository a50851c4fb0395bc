"""Base58, c32check and principals: published vectors, the chains' own libraries, and one spelling for each value."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from sessions_core.parts.internet_computer.principals import read_principal, write_principal
from sessions_core.parts.solana.verifier import BASE58
from sessions_core.parts.stacks import c32check
from sessions_core.parts.stacks.c32check import C32, read_stacks
from sessions_core.sign_in.encodings import read_digits, write_digits

# draft-msporny-base58-03, section 5, and Bitcoin Core's base58_encode_decode.json.
BASE58_VECTORS = (
    ("", ""),
    ("48656c6c6f20576f726c6421", "2NEpo7TZRRrLZSi2U"),
    (
        "54686520717569636b2062726f776e20666f78206a756d7073206f76657220746865206c617a7920646f672e",
        "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
    ),
    ("0000287fb4cd", "11233QC4"),
    ("61", "2g"),
    ("626262", "a3gV"),
    ("516b6fcd0f", "ABnLTmg"),
    ("00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"),
    ("00000000000000000000", "1111111111"),
)

# stacks-network/c32check, tests/unitTests.
C32_VECTORS = (
    ("a46ff88886c2ef9762d970b4d2c63678835bd39d", "MHQZH246RBQSERPSE2TD5HHPF21NQMWX"),
    ("", ""),
    ("0000000000000000000000000000000000000000", "00000000000000000000"),
    ("0000000000000000000000000000000000000001", "00000000000000000001"),
    ("1000000000000000000000000000000000000001", "20000000000000000000000000000001"),
    ("01", "1"),
    ("22", "12"),
    ("0001", "01"),
    ("000001", "001"),
    ("10", "G"),
    ("1000", "400"),
    ("100000", "10000"),
)
STACKS_VECTORS = (
    (22, "a46ff88886c2ef9762d970b4d2c63678835bd39d", "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"),
    (0, "a46ff88886c2ef9762d970b4d2c63678835bd39d", "S02J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKPVKG2CE"),
    (31, "a46ff88886c2ef9762d970b4d2c63678835bd39d", "SZ2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQ9H6DPR"),
    (22, "0000000000000000000000000000000000000000", "SP000000000000000000002Q6VF78"),
    (22, "0000000000000000000000000000000000000001", "SP00000000000000000005JA84HQ"),
    (22, "1000000000000000000000000000000000000001", "SP80000000000000000000000000000004R0CMNV"),
    (31, "1000000000000000000000000000000000000000", "SZ800000000000000000000000000000007VF5G0"),
    (17, "1000000000000000000000000000000000000000", "SH80000000000000000000000000000002R04Y9K"),
)

# The interface specification, "Textual representation of principals", and icp-js-core, principal.test.ts.
PRINCIPALS = (
    ("", "aaaaa-aa"),
    ("04", "2vxsx-fae"),
    ("abcd01", "em77e-bvlzu-aq"),
    ("efcdab000000000001", "2chl6-4hpzw-vqaaa-aaaaa-c"),
    ("00000000000000070101", "rdmx6-jaaaa-aaaaa-aaadq-cai"),
    ("00000000000000020101", "ryjl3-tyaaa-aaaaa-aaaba-cai"),
)


@pytest.mark.parametrize(("data", "text"), BASE58_VECTORS)
def test_base58_is_the_published_one(data: str, text: str) -> None:
    assert write_digits(bytes.fromhex(data), BASE58) == text
    assert read_digits(text, BASE58).hex() == data


@pytest.mark.parametrize(("data", "text"), C32_VECTORS)
def test_c32_is_the_published_one(data: str, text: str) -> None:
    assert write_digits(bytes.fromhex(data), C32) == text
    assert read_digits(text, C32).hex() == data


@pytest.mark.parametrize(("version", "hash160", "address"), STACKS_VECTORS)
def test_a_stacks_address_is_the_published_one(version: int, hash160: str, address: str) -> None:
    assert c32check.write_stacks(version, bytes.fromhex(hash160)) == address
    assert read_stacks(address) == (version, bytes.fromhex(hash160))


@pytest.mark.parametrize(("data", "text"), PRINCIPALS)
def test_a_principal_s_text_is_the_published_one(data: str, text: str) -> None:
    assert write_principal(bytes.fromhex(data)) == text
    assert read_principal(text).hex() == data


def test_written_values_are_read_back() -> None:
    chance = random.Random(58)
    for _ in range(1000):
        data = bytes(chance.choice((0, 0, 1, 3))) + chance.randbytes(chance.randrange(30))
        for alphabet in (BASE58, C32):
            assert read_digits(write_digits(data, alphabet), alphabet) == data
        assert read_principal(write_principal(data[:29])) == data[:29]
        version, hash160 = chance.randrange(32), (data + bytes(20))[:20]
        assert read_stacks(c32check.write_stacks(version, hash160)) == (version, hash160)


READERS: dict[str, tuple[Callable[[str], object], str]] = {
    "base58": (lambda text: read_digits(text, BASE58), "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"),
    "c32": (read_stacks, STACKS_VECTORS[0][2]),
    "c32 with zeros": (read_stacks, STACKS_VECTORS[3][2]),
    "principal": (read_principal, "dm2j7-ddq7f-hwbhg-dsga5-zexu5-37pae-psybn-yphun-cjcxh-cfhxf-kae"),
    "canister": (read_principal, PRINCIPALS[4][1]),
}


@pytest.mark.parametrize(("read", "text"), READERS.values(), ids=READERS)
def test_each_value_has_one_spelling(read: Callable[[str], object], text: str) -> None:
    """Each character replaced, lost or doubled is refused, or is the spelling of another value."""
    chance = random.Random(32)
    original = read(text)
    for at in range(len(text)):
        for other in ("", text[at] * 2, text[at].swapcase(), *chance.choices(BASE58 + "0OIl-_ \n\0é", k=12)):
            changed = text[:at] + other + text[at + 1 :]
            if changed == text:
                continue
            try:
                assert read(changed) != original, changed
            except ValueError:
                continue


@pytest.mark.parametrize(
    "address",
    [
        "",
        "S",
        "SP",
        STACKS_VECTORS[0][2].lower(),
        STACKS_VECTORS[3][2].replace("0", "O"),
        STACKS_VECTORS[0][2].replace("1", "I"),
        STACKS_VECTORS[0][2].replace("1", "L"),
        STACKS_VECTORS[0][2][1:],
        "X" + STACKS_VECTORS[0][2][1:],
        STACKS_VECTORS[0][2][:2] + "0" + STACKS_VECTORS[0][2][2:],
        STACKS_VECTORS[0][2] + "0",
        " " + STACKS_VECTORS[0][2],
        STACKS_VECTORS[0][2] + "\n",
        "SP37JJX3D",  # c32check of nothing
        "SP4VKEFGY",  # of one byte
    ],
    ids=ascii,
)
def test_a_stacks_address_has_no_second_spelling(address: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # which one doesn't matter
        read_stacks(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "aaaaa",
        "aaaaaaa",
        "AAAAA-AA",
        "aaaaa-aa ",
        "aaaaa-aa-",
        "aaaaa--aa",
        "aaaa-aaa",
        "aaaaa-ab",  # a bit that means nothing
        "2vxsx-faf",
        "0vxsx-fae",
        "rdmx6-jaaaa-aaaah-qcaiq-cai",
        "rdmx6-jaaaa-aaaaa-aaadq-cai=",
        "rdmx6jaaaaaaaaaaaadqcai",
        write_principal(bytes(30)),
        "é",
    ],
    ids=ascii,
)
def test_a_principal_has_no_second_spelling(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_principal(text)


def test_the_longest_text_that_is_let_through_takes_no_time() -> None:
    start = time.process_time()
    for _ in range(100):
        read_digits("z" * 88, BASE58)
    assert time.process_time() - start < 0.1
