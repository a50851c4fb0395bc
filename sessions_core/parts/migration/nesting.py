"""Tells how deeply MessagePack and JSON are nested, before a decoder follows it.

A decoder calls itself for each level. Python stops it at its recursion limit, but some libraries raise that limit
(py_ecc sets 100,000), and then the process crashes. So this goes through the bytes without calling itself.
"""

from __future__ import annotations

import re

DEEPEST = 64
"""Levels; sessions have a handful."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

# The first byte of a value → how many bytes say its length, and how many follow in any case (MessagePack, "Formats").
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
_SIZED |= {0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_CONTAINERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}  # and how many values an item of it has


def is_deep_json(text: bytes) -> bool:
    """Whether JSON has more than `DEEPEST` levels. What is no JSON gets any answer."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > DEEPEST:
            return True
    return False


def is_deep_msgpack(data: bytes) -> bool:
    """Whether MessagePack has more than `DEEPEST` levels. What is no MessagePack gets any answer."""
    place, left = 0, [1]  # how many values are still to come, on each level
    while left and place < len(data):
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        first = data[place]
        place += 1
        values = 0
        if first in _CONTAINERS:
            width, each = _CONTAINERS[first]
            values = int.from_bytes(data[place : place + width], "big") * each
            place += width
        elif first in _SIZED:
            width, more = _SIZED[first]
            place += width + more + int.from_bytes(data[place : place + width], "big")
        elif 0x80 <= first <= 0x9F:
            values = (first & 0x0F) * (2 if first < 0x90 else 1)
        elif 0xA0 <= first <= 0xBF:
            place += first & 0x1F
        else:
            place += _FIXED.get(first, 0)
        if values:
            left.append(values)
        if len(left) > DEEPEST + 1:
            return True
    return False
