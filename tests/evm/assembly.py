"""A small assembler: what the tests' contracts are written in, and what checks the listing in `chains/contract.py`.

    assemble("PUSH1 1  PUSH1 0 MSTORE  PUSH1 32  PUSH1 0 RETURN")

Words are mnemonics, numbers (decimal or 0x), `name:` for a JUMPDEST, `@name` for its place (one byte), `@end` for the
length of the whole; the rest of a line after `;` is for readers.
"""

from __future__ import annotations

from collections.abc import Iterator

# Opcodes: the Yellow Paper, appendix H.2, and the EIPs that added to it.
OPCODES = {
    "STOP": 0x00, "ADD": 0x01, "MUL": 0x02, "SUB": 0x03, "LT": 0x10, "GT": 0x11, "EQ": 0x14, "ISZERO": 0x15,
    "AND": 0x16, "OR": 0x17, "BYTE": 0x1A, "SHL": 0x1B, "SHR": 0x1C, "KECCAK256": 0x20, "ADDRESS": 0x30,
    "ORIGIN": 0x32, "CALLER": 0x33, "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36, "CALLDATACOPY": 0x37,
    "CODESIZE": 0x38, "CODECOPY": 0x39, "EXTCODESIZE": 0x3B, "RETURNDATASIZE": 0x3D, "POP": 0x50, "MLOAD": 0x51,
    "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMP": 0x56, "JUMPI": 0x57, "GAS": 0x5A, "JUMPDEST": 0x5B,
    "CALL": 0xF1, "RETURN": 0xF3, "STATICCALL": 0xFA, "REVERT": 0xFD, "INVALID": 0xFE,
    **{f"PUSH{size}": 0x5F + size for size in range(1, 33)},
    **{f"DUP{at}": 0x7F + at for at in range(1, 17)},
    **{f"SWAP{at}": 0x8F + at for at in range(1, 17)},
}  # fmt: skip


def assemble(source: str) -> bytes:
    """Return the bytes of a program."""
    parts = list(_parts(source))
    places: dict[str, int] = {}
    at = 0
    for word, size in parts:
        if word.endswith(":"):
            places[word[:-1]] = at
        at += size
    places["end"] = at
    return b"".join(_bytes(word, size, places) for word, size in parts)


def _parts(source: str) -> Iterator[tuple[str, int]]:
    """Yield each word with how many bytes it takes; a number takes as many as the PUSH before it says."""
    size = 1
    for line in source.splitlines():
        for word in line.partition(";")[0].split():
            yield word, size
            size = int(word[4:]) if word.startswith("PUSH") else 1


def _bytes(word: str, size: int, places: dict[str, int]) -> bytes:
    if word.endswith(":"):
        return bytes([OPCODES["JUMPDEST"]])
    if word in OPCODES:
        return bytes([OPCODES[word]])
    return (places[word[1:]] if word.startswith("@") else int(word, 0)).to_bytes(size)
