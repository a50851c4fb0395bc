"""The plain module `challenge.js`: what the page checks of a text before anybody may sign it."""

from __future__ import annotations

from .pages import Browser


def test_the_header_of_a_text_tells_who_asks_and_for_whom(page: Browser) -> None:
    text = "http://localhost:5000 wants you to sign in\n0xabc\n\nURI: x\nIssued At: 2026-01-01T00:00:00.000Z"
    header = page.module("challenge", "module.readHeader(given[0])", text)
    assert header == {"domain": "localhost:5000", "address": "0xabc", "issuedAt": 1767225600000}
    assert page.module("challenge", "module.readHeader('').domain") == ""


def test_accounts_are_compared_as_their_chains_spell_them(page: Browser) -> None:
    upper, lower = "0x" + "Ab" * 20, "0x" + "ab" * 20
    pairs = [
        (upper, lower, True),
        ("eip155:1:" + upper, "eip155:1:" + lower, True),
        ("eip155:1:" + upper, "eip155:10:" + lower, False),
        ("7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv", "7s3p4hxjpyyiggzodywhtcxzyuqe9jibmhyrwxaraakv", False),
        ("SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", True),
    ]
    same = page.module("accounts", "given[0].map(([one, other]) => module.same(one, other))", pairs)
    assert same == [expected for *_, expected in pairs]
