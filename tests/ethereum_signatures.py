"""Signatures of Ethereum, and their encodings that are refused."""

from __future__ import annotations

# The order of secp256k1 (SEC 2, section 2.4.1).
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def encoded(r: int, s: int, v: int) -> str:
    """Return the encoding that is accepted: 0x, r, s, v."""
    return f"0x{r:064x}{s:064x}{v:02x}"


def decoded(signature: str) -> tuple[int, int, int]:
    """Return r, s and v."""
    raw = bytes.fromhex(signature[2:])
    return int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]), raw[64]


def other_encodings(signature: str) -> dict[str, str]:
    """Return encodings of a signature that are refused, by what is wrong with each."""
    r, s, v = decoded(signature)
    digits = signature[2:]
    return {
        "without 0x": digits,
        "0X": "0X" + digits,
        "0x twice": "0x" + signature,
        "short by a byte": signature[:-2],
        "short by a digit": signature[:-1],
        "long by a digit": signature + "0",
        "long by a byte": signature + "00",
        "a leading zero byte": "0x00" + digits,
        "a blank before": " " + signature,
        "a blank after": signature + " ",
        "a line feed after": signature + "\n",
        "NUL after": signature + "\0",
        "blanks between bytes": "0x" + " ".join(digits[at : at + 2] for at in range(0, 130, 2)),
        "underscores": "0x" + "_".join((digits[:64], digits[64:128], digits[128:]))[:130],
        "compact (EIP-2098)": "0x" + digits[:64] + f"{s | ((v - 27) << 255):064x}",
        "v first": "0x" + digits[128:] + digits[:128],
        "high s": encoded(r, N - s, 55 - v),
        "high s with the same v": encoded(r, N - s, v),
        "odd v of EIP-155": encoded(r, s, v + 10),
        **{f"v {other}": encoded(r, s, other) for other in (2, 3, 4, 26, 29, 30, 31, 35, 36, 37, 38, 127, 255)},
        "r zero": encoded(0, s, v),
        "s zero": encoded(r, 0, v),
        "r and s zero": encoded(0, 0, v),
        "r = n": encoded(N, s, v),
        "s = n": encoded(r, N, v),
        "r > n": encoded(N + 1, s, v),
        "r largest": encoded(2**256 - 1, s, v),
        "s largest": encoded(r, 2**256 - 1, v),
        "s just above n/2": encoded(r, N // 2 + 1, v),
        "r + n where it fits": encoded(r + N if r + N < 2**256 else N, s, v),
        "digits of another script": "0x" + "".join(chr(0x660 + int(d)) if d.isdigit() else d for d in digits),
        "full-width digits": "0x" + "".join(chr(ord(d) + 0xFEE0) for d in digits),
        "bytes written out": str(bytes.fromhex(digits)),
    }
