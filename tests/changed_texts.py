"""Texts of ours with one thing changed, and what each is refused for."""

from __future__ import annotations

import re
from collections.abc import Callable

from sessions_core.errors import (
    AccountMalformed,
    ChainUnsupported,
    ChallengeExpired,
    DomainMismatch,
    MessageChanged,
    MessageMalformed,
    MessageNotYetValid,
    SessionsError,
    UriMismatch,
    VersionUnsupported,
)

ANOTHER_ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

# What a phisher or a broken page might send: a text of ours with one thing changed, signed as changed.
CHANGES: dict[str, tuple[type[SessionsError], Callable[[str], str]]] = {
    "another domain": (DomainMismatch, lambda text: text.replace("localhost:5000 wants", "evil.example wants")),
    "a longer domain": (
        DomainMismatch,
        lambda text: text.replace("localhost:5000 w", "localhost:5000.evil.example w"),
    ),
    "another port": (DomainMismatch, lambda text: text.replace("localhost:5000 wants", "localhost:5001 wants")),
    "a user before the domain": (
        DomainMismatch,
        lambda text: text.replace("//localhost:5000 w", "//x@localhost:5000 w"),
    ),
    "the domain in capitals": (
        DomainMismatch,
        lambda text: text.replace("localhost:5000 wants", "LOCALHOST:5000 wants"),
    ),
    "another scheme": (
        DomainMismatch,
        lambda text: text.replace("http://localhost:5000 wants", "https://localhost:5000 wants"),
    ),
    "no scheme": (DomainMismatch, lambda text: text.replace("http://localhost:5000 wants", "localhost:5000 wants")),
    "another URI": (
        UriMismatch,
        lambda text: text.replace("URI: http://localhost:5000/", "URI: http://evil.example/"),
    ),
    "a longer URI": (UriMismatch, lambda text: text.replace("5000/\n", "5000/admin\n")),
    "a shorter URI": (UriMismatch, lambda text: text.replace("5000/\n", "5000\n")),
    "version 2": (VersionUnsupported, lambda text: text.replace("Version: 1", "Version: 2")),
    "version 01": (VersionUnsupported, lambda text: text.replace("Version: 1", "Version: 01")),
    "a chain that is not enabled": (ChainUnsupported, lambda text: text.replace("Chain ID: 1", "Chain ID: 5")),
    "another enabled chain": (MessageChanged, lambda text: text.replace("Chain ID: 1", "Chain ID: 10")),
    "a chain with a leading zero": (AccountMalformed, lambda text: text.replace("Chain ID: 1", "Chain ID: 01")),
    "a chain in hex": (AccountMalformed, lambda text: text.replace("Chain ID: 1", "Chain ID: 0x1")),
    "another account": (MessageChanged, lambda text: re.sub("0x[0-9a-fA-F]{40}", ANOTHER_ADDRESS, text)),
    "a bad checksum": (AccountMalformed, lambda text: re.sub("0x[0-9a-fA-F]{40}", ANOTHER_ADDRESS[:-1] + "D", text)),
    "a lower-case address": (
        MessageChanged,
        lambda text: re.sub("0x[0-9a-fA-F]{40}", lambda found: found[0].lower(), text),
    ),
    "a short address": (AccountMalformed, lambda text: re.sub("0x[0-9a-fA-F]{40}", ANOTHER_ADDRESS[:-1], text)),
    "another kind of account": (AccountMalformed, lambda text: text.replace("Ethereum", "Stacks")),
    "a kind of account that nobody has": (MessageMalformed, lambda text: text.replace("Ethereum", "Dogecoin")),
    "another nonce": (MessageChanged, lambda text: re.sub("Nonce: .*", "Nonce: 1234567890123456789012", text)),
    "a short nonce": (MessageMalformed, lambda text: re.sub("Nonce: .*", "Nonce: 1234567", text)),
    "an issue time of long ago": (
        MessageChanged,
        lambda text: re.sub("Issued At: .*", "Issued At: 2020-01-01T00:00:00Z", text),
    ),
    "an issue time far ahead": (
        MessageNotYetValid,
        lambda text: re.sub("Issued At: .*", "Issued At: 2999-01-01T00:00:00Z", text),
    ),
    "an issue time that never was": (
        MessageMalformed,
        lambda text: re.sub("Issued At: .*", "Issued At: 2026-02-30T00:00:00Z", text),
    ),
    "a long-gone expiration": (
        ChallengeExpired,
        lambda text: re.sub("Expiration Time: .*", "Expiration Time: 2020-01-01T00:00:00Z", text),
    ),
    "a later expiration": (
        MessageChanged,
        lambda text: re.sub("Expiration Time: .*", "Expiration Time: 2999-01-01T00:00:00Z", text),
    ),
    "an expiration that never will be": (
        MessageMalformed,
        lambda text: re.sub("Expiration Time: .*", "Expiration Time: 2999-13-01T00:00:00Z", text),
    ),
    "no expiration": (MessageChanged, lambda text: re.sub("\nExpiration Time: .*", "", text)),
    "a start far ahead": (MessageNotYetValid, lambda text: text + "\nNot Before: 2999-01-01T00:00:00Z"),
    "a start of long ago": (MessageChanged, lambda text: text + "\nNot Before: 2020-01-01T00:00:00Z"),
    "another statement": (MessageChanged, lambda text: text.replace("Sign in to prove", "Sign in to give away")),
    "no statement": (MessageChanged, lambda text: re.sub("\n\nSign in .*\n\n", "\n\n\n", text)),
    "a resource": (MessageChanged, lambda text: text + "\nResources:\n- https://evil.example/"),
    "a trailing line feed": (MessageMalformed, lambda text: text + "\n"),
    "a trailing blank": (MessageMalformed, lambda text: text + " "),
    "CR LF": (MessageMalformed, lambda text: text.replace("\n", "\r\n")),
    "not ASCII": (MessageMalformed, lambda text: text.replace("Sign in to", "Sign \u0456n to")),
    "a lone surrogate": (MessageMalformed, lambda text: text.replace("Sign in to", "Sign \ud800n to")),
    "NUL": (MessageMalformed, lambda text: text + "\0"),
    "nothing": (MessageMalformed, lambda text: ""),
    "over 2 kB": (MessageMalformed, lambda text: text + "a" * 2048),
}
