"""Bytes as digits of an alphabet, which base58 and c32 have in common.

The reader accepts the one spelling that the writer makes, and raises `ValueError` for every other. Common libraries
strip blanks, take O for 0 and lower case for upper: then one account has several names, and code that compares names
is fooled. The reader takes quadratic time, so limit the length first.
"""

from __future__ import annotations


def write_digits(data: bytes, alphabet: str) -> str:
    """Return bytes as one big-endian number in the digits of `alphabet`; each leading zero byte is one zero digit."""
    zeros, number, digits = len(data) - len(data.lstrip(b"\0")), int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    return alphabet[0] * zeros + digits


def read_digits(text: str, alphabet: str) -> bytes:
    """Return the bytes that `write_digits` made the text of."""
    zeros, number = len(text) - len(text.lstrip(alphabet[0])), 0
    for digit in text:
        number = number * len(alphabet) + alphabet.index(digit)
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    if write_digits(data, alphabet) != text:
        raise ValueError("another spelling")
    return data
