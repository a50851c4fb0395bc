"""The sign-in text: the published examples, the round trip, and a reader nothing hostile gets past or slows down."""

from __future__ import annotations

import dataclasses
import random
import string
import time
from collections.abc import Callable
from typing import Any

import pytest

from sessions_core.errors import ChainUnsupported, MessageMalformed
from sessions_core.sign_in import messages
from sessions_core.sign_in.messages import Layout, SignInMessage, read, seconds, timestamp, write

ADDRESS = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"

# The three examples of EIP-4361: implicit scheme, with a port, explicit scheme.
EXAMPLE = """example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json"""
EXAMPLE_PORT = EXAMPLE.replace("example.com wants", "example.com:3388 wants")
EXAMPLE_SCHEME = EXAMPLE.replace("example.com wants", "https://example.com wants")

# Every field there is.
FULL = """https://[2001:db8::1]:8443 wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

URI: is not a field here

URI: did:key:z6Mk#a
Version: 1
Chain ID: 11155111
Nonce: abcdefgh12345678
Issued At: 2026-01-31T12:00:00.123456789+05:30
Expiration Time: 2026-01-31T12:05:00Z
Not Before: 2026-01-31T11:59:00-08:00
Request ID: a.b~c!$&'()*+,;=:@%20
Resources:
- https://example.com/?a=b&c#d"""

# No statement: two blank lines.
BARE = EXAMPLE.replace("\nI accept the ExampleOrg Terms of Service: https://example.com/tos\n", "\n").partition(
    "\nResources"
)[0]


def test_the_published_example_is_read_field_by_field() -> None:
    assert read(EXAMPLE) == SignInMessage(
        domain="example.com",
        address=ADDRESS,
        uri="https://example.com/login",
        chain_id="1",
        nonce="32891756",
        issued_at="2021-09-30T16:25:24Z",
        statement="I accept the ExampleOrg Terms of Service: https://example.com/tos",
        resources=(
            "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
            "https://example.com/my-web2-claim.json",
        ),
    )


def test_the_domain_may_have_a_port_and_a_scheme() -> None:
    assert (read(EXAMPLE_PORT).scheme, read(EXAMPLE_PORT).domain) == (None, "example.com:3388")
    assert (read(EXAMPLE_SCHEME).scheme, read(EXAMPLE_SCHEME).domain) == ("https", "example.com")


def test_without_a_statement_there_are_two_blank_lines() -> None:
    assert f"{ADDRESS}\n\n\nURI: " in BARE
    assert read(BARE).statement is None
    assert write(read(BARE)) == BARE


def test_every_field_is_read() -> None:
    read_back = read(FULL)
    assert all(getattr(read_back, field.name) is not None for field in dataclasses.fields(read_back))


@pytest.mark.parametrize("text", [EXAMPLE, EXAMPLE_PORT, EXAMPLE_SCHEME, FULL, BARE])
def test_read_message_is_written_back_byte_for_byte(text: str) -> None:
    assert write(read(text)) == text


def test_a_statement_that_looks_like_fields_stays_a_statement() -> None:
    for statement in (
        "URI: https://evil.example/",
        "Nonce: 00000000",
        "Chain ID: 1",
        "Resources:",
        "- https://evil.example/",
        f"evil.example wants you to sign in with your Ethereum account: {ADDRESS}",
    ):
        hostile = dataclasses.replace(read(EXAMPLE), statement=statement)
        assert read(write(hostile)) == hostile


def test_multi_line_statement_can_not_inject_fields() -> None:
    for statement in (
        "a\n\nURI: https://evil.example/\nVersion: 1\nChain ID: 1\nNonce: 00000000\nIssued At: 2021-09-30T16:25:24Z",
        "a\nb",
        "",
        "\n",
    ):
        with pytest.raises(MessageMalformed):
            read(write(dataclasses.replace(read(EXAMPLE), statement=statement)))


def test_resources_may_be_an_empty_list_but_not_an_empty_item() -> None:
    assert read(BARE + "\nResources:").resources == ()
    assert write(read(BARE + "\nResources:")) == BARE + "\nResources:"
    with pytest.raises(MessageMalformed):
        read(BARE + "\nResources:\n- ")


@pytest.mark.parametrize("time_", ["2021-09-30T16:25:24Z", "2021-09-30T16:25:24.1Z", "2021-09-30T18:25:24+02:00"])
def test_times_may_have_fractions_and_offsets(time_: str) -> None:
    assert int(seconds(time_)) == 1633019124


def test_a_written_time_is_utc_in_whole_seconds_and_reads_back() -> None:
    assert timestamp(1633019124.999) == "2021-09-30T16:25:24Z"
    assert seconds(timestamp(1633019124)) == 1633019124


@pytest.mark.parametrize(
    "time_",
    [
        "2021-02-29T00:00:00Z",
        "2021-02-31T00:00:00Z",
        "2021-13-01T00:00:00Z",
        "2021-00-01T00:00:00Z",
        "2021-01-00T00:00:00Z",
        "2021-01-01T24:00:00Z",
        "2021-01-01T00:60:00Z",
        "2016-12-31T23:59:60Z",  # a leap second that did happen; Python has none, so it is refused
        "0000-01-01T00:00:00Z",
        "2021-01-01T00:00:00+24:00",
        "2021-01-01T00:00:00+99:99",
        "2021-01-01T00:00:00",
        "2021-01-01 00:00:00Z",
        "2021-01-01t00:00:00z",
        "2021-01-01T00:00Z",
        "2021-01-01T00:00:00.Z",
        "2021-01-01T00:00:00.1234567890Z",
        "2021-01-01T00:00:00+0000",
        "20210101T000000Z",
        "2021-W01-1T00:00:00Z",
        "21-01-01T00:00:00Z",
        "\u0662\u0660\u0662\u0661-01-01T00:00:00Z",
        "2021-01-01T00:00:00Z\n",
        "1633019124",
        "",
    ],
)
def test_a_time_that_does_not_exist_is_no_time(time_: str) -> None:
    with pytest.raises(MessageMalformed):
        seconds(time_)


def test_times_at_the_ends_of_the_calendar_are_no_crash() -> None:
    for time_ in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        assert isinstance(seconds(time_), float)


# -- Layouts ---------------------------------------------------------------------------------------------------

COMPACT = Layout(account_kind="Compact", scheme=False, blank_lines=1, chain_ids={"1": "mainnet", "2": "devnet"})
LAYOUTS = (messages.EIP4361, COMPACT)
SHORT = BARE.replace("Ethereum", "Compact").replace("\n\n\n", "\n\n").replace("Chain ID: 1", "Chain ID: mainnet")


def test_a_layout_may_have_one_blank_line_without_a_statement() -> None:
    found = read(SHORT, LAYOUTS)
    assert (found.layout, found.statement, found.chain_id) == (COMPACT, None, "mainnet")
    assert write(found) == SHORT
    for other in (SHORT.replace("\n\n", "\n\n\n"), SHORT.replace("\n\n", "\n"), SHORT.replace("\n\n", "\n\n\n\n")):
        with pytest.raises(MessageMalformed):
            read(other, LAYOUTS)


def test_statement_and_fields_can_not_be_confused() -> None:
    """In layouts with one blank line a statement may look like a field, but a field never becomes a statement."""
    for statement in ("URI: https://evil.example/", "Version: 1", "x"):
        found = read(write(dataclasses.replace(read(SHORT, LAYOUTS), statement=statement)), LAYOUTS)
        assert (found.statement, found.uri) == (statement, "https://example.com/login")
    for hostile in (
        SHORT.replace("Version: 1", "\nVersion: 1"),
        SHORT.replace("URI:", "URI: https://a\n\nURI: https://b\nURI:"),
        SHORT.replace("URI:", "URI: https://a\nURI:"),
    ):
        with pytest.raises(MessageMalformed):
            read(hostile, LAYOUTS)


def test_a_layout_may_forbid_a_scheme() -> None:
    with pytest.raises(MessageMalformed):
        read("https://" + SHORT, LAYOUTS)
    assert read("https://" + BARE, LAYOUTS).scheme == "https"


def test_a_layout_belongs_to_its_kind_of_account_alone() -> None:
    for text in (SHORT.replace("Compact", "Ethereum"), SHORT.replace("Compact", "compact"), SHORT):
        with pytest.raises(MessageMalformed):
            read(text, LAYOUTS if "Compact" not in text else ())
    assert read(BARE.replace("Ethereum", "Other"), LAYOUTS).layout == Layout(account_kind="Other")


def test_a_layout_names_the_chain_in_one_way() -> None:
    assert (COMPACT.chain_id("2"), COMPACT.reference("devnet")) == ("devnet", "2")
    assert (messages.EIP4361.chain_id("2"), messages.EIP4361.reference("2")) == ("2", "2")
    for unknown in ("3", "Devnet", "mainnet "):
        with pytest.raises(ChainUnsupported):
            COMPACT.chain_id(unknown)
        with pytest.raises(ChainUnsupported):
            COMPACT.reference(unknown)
    with pytest.raises(ChainUnsupported):
        COMPACT.reference("1")


def _lines(text: str, change: Callable[[list[str]], object]) -> str:
    lines = text.split("\n")
    change(lines)
    return "\n".join(lines)


MALFORMED = {
    "empty": "",
    "a blank": " ",
    "line feeds only": "\n" * 12,
    "a trailing line feed": EXAMPLE + "\n",
    "a trailing blank": EXAMPLE + " ",
    "a leading line feed": "\n" + EXAMPLE,
    "carriage returns": EXAMPLE.replace("\n", "\r\n"),
    "one carriage return": EXAMPLE.replace("Version: 1", "Version: 1\r"),
    "old Macintosh lines": EXAMPLE.replace("\n", "\r"),
    "a line separator": EXAMPLE.replace("\n", "\u2028"),
    "a form feed": EXAMPLE.replace("\n\n", "\n\f", 1),
    "a byte order mark": "\ufeff" + EXAMPLE,
    "NUL": EXAMPLE.replace("ExampleOrg", "Example\0rg"),
    "a tab in the statement": EXAMPLE.replace("I accept", "I\taccept"),
    "a quote in the statement": EXAMPLE.replace("I accept", 'I "accept"'),
    "a statement that is not ASCII": EXAMPLE.replace("I accept", "I accépt"),
    "a look-alike domain": EXAMPLE.replace("example.com wants", "ex\u0430mple.com wants"),
    "a lone surrogate": EXAMPLE.replace("I accept", "I \ud800"),
    "no domain": EXAMPLE.replace("example.com wants", " wants", 1),
    "no domain after the scheme": EXAMPLE.replace("example.com wants", "https:// wants", 1),
    "a path after the domain": EXAMPLE.replace("example.com wants", "example.com/x wants", 1),
    "a blank in the domain": EXAMPLE.replace("example.com wants", "example.com evil.com wants", 1),
    "a scheme of nothing": EXAMPLE.replace("example.com wants", "://example.com wants", 1),
    "two schemes": EXAMPLE.replace("example.com wants", "https://https://example.com wants", 1),
    "another greeting": EXAMPLE.replace("wants you to sign in", "wants you to log in"),
    "another case": EXAMPLE.replace("account:", "Account:"),
    "no kind of account": EXAMPLE.replace("Ethereum account:", "account:"),
    "a kind with blanks": EXAMPLE.replace("Ethereum account:", "Ethereum Classic account:"),
    "text after the greeting": EXAMPLE.replace("account:", "account: 0x"),
    "no address": _lines(EXAMPLE, lambda lines: lines.__setitem__(1, "")),
    "a blank before the address": EXAMPLE.replace("\n0x", "\n 0x"),
    "two addresses": EXAMPLE.replace(ADDRESS, f"{ADDRESS}\n{ADDRESS}"),
    "no blank line before the statement": _lines(EXAMPLE, lambda lines: lines.pop(2)),
    "no blank line after the statement": _lines(EXAMPLE, lambda lines: lines.pop(4)),
    "a third blank line": _lines(EXAMPLE, lambda lines: lines.insert(4, "")),
    "a third blank line without a statement": _lines(BARE, lambda lines: lines.insert(3, "")),
    "one blank line without a statement": _lines(BARE, lambda lines: lines.pop(3)),
    "a blank line among the fields": EXAMPLE.replace("\nNonce", "\n\nNonce"),
    "lower case": EXAMPLE.replace("Version:", "version:"),
    "no blank after the colon": EXAMPLE.replace("Version: 1", "Version:1"),
    "two blanks after the colon": EXAMPLE.replace("Version: 1", "Version:  1"),
    "fields in another order": EXAMPLE.replace("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
    "a field twice": EXAMPLE.replace("Version: 1", "Version: 1\nVersion: 1"),
    "an unknown field": EXAMPLE.replace("Resources:", "Extra: 1\nResources:"),
    "a URI without a scheme": EXAMPLE.replace("URI: https://example.com/login", "URI: /login"),
    "a URI with a blank": EXAMPLE.replace("URI: https://example.com/login", "URI: https://example.com/ login"),
    "a URI that only has a scheme": EXAMPLE.replace("URI: https://example.com/login", "URI: https:"),
    "a URI with a backslash": EXAMPLE.replace("URI: https://example.com/login", "URI: https:\\\\example.com"),
    "no version": EXAMPLE.replace("Version: 1", "Version: "),
    "a version in words": EXAMPLE.replace("Version: 1", "Version: one"),
    "a version with a sign": EXAMPLE.replace("Version: 1", "Version: +1"),
    "a version in other digits": EXAMPLE.replace("Version: 1", "Version: \u0661"),
    "a chain with a colon": EXAMPLE.replace("Chain ID: 1", "Chain ID: eip155:1"),
    "a short nonce": EXAMPLE.replace("32891756", "3289175"),
    "a long nonce": EXAMPLE.replace("32891756", "3" * 129),
    "a nonce with a dash": EXAMPLE.replace("32891756", "3289-1756"),
    "no time": EXAMPLE.replace("Issued At: 2021-09-30T16:25:24Z", "Issued At: "),
    "a time in lower case": EXAMPLE.replace("16:25:24Z", "16:25:24z"),
    "a blank in the time": EXAMPLE.replace("30T16", "30 16"),
    "not before, then expiration": EXAMPLE.replace(
        "Resources:", "Not Before: 2021-09-30T16:25:24Z\nExpiration Time: 2021-09-30T16:25:24Z\nResources:"
    ),
    "a request id with a slash": EXAMPLE.replace("Resources:", "Request ID: a/b\nResources:"),
    "a resource without a dash": EXAMPLE.replace("- ipfs", "ipfs"),
    "a resource that is no URI": EXAMPLE.replace("- https://example.com/my-web2-claim.json", "- claim"),
    "an empty line after the resources": EXAMPLE + "\n\n",
    "resources twice": EXAMPLE + "\nResources:",
    "a field after the resources": EXAMPLE + "\nRequest ID: 1",
    "text on the line of the resources": EXAMPLE.replace("Resources:", "Resources: none"),
    "a second message": EXAMPLE + "\n" + EXAMPLE,
    "over 2 kB": EXAMPLE + "\n- https://example.com/" + "a" * 2048,
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_text_that_is_not_exactly_the_format_is_refused(text: str) -> None:
    assert text != EXAMPLE
    with pytest.raises(MessageMalformed):
        read(text)


def test_a_text_that_ends_early_is_refused_wherever_it_ends() -> None:
    end = BARE.index("Issued At: ") + len("Issued At: ")
    for at in range(end):
        with pytest.raises(MessageMalformed):
            read(BARE[:at])


def test_the_limit_is_2048_bytes_exactly() -> None:
    longest = EXAMPLE + "a" * (2048 - len(EXAMPLE))
    assert write(read(longest)) == longest
    with pytest.raises(MessageMalformed):
        read(longest + "a")


def test_changed_byte_is_refused_or_changes_a_field() -> None:
    """No two texts read as the same fields, so code that compares the fields notices every change."""
    original = read(FULL)
    for at in range(len(FULL)):
        for byte in ("\n", " ", "\0", "a", "9", ":", "\x7f", "é"):
            changed = FULL[:at] + byte + FULL[at + 1 :]
            if changed == FULL:
                continue
            try:
                found = read(changed)
            except MessageMalformed:
                continue
            assert found != original
            assert write(found) == changed


def _random_message(chance: random.Random) -> SignInMessage:
    def text(alphabet: str, least: int, most: int) -> str:
        return "".join(chance.choices(alphabet, k=chance.randint(least, most)))

    word = string.ascii_letters + string.digits
    uri_characters = word + "-._~:/?#[]@!$&'()*+,;=%"

    def uri() -> str:
        return chance.choice(["https", "ipfs", "did", "x+y.z-1"]) + ":" + text(uri_characters, 1, 40)

    def time_() -> str:
        offset = chance.choice(["Z", "+00:00", "-11:30", "+14:00"])
        return timestamp(chance.randint(0, 4_000_000_000))[:-1] + chance.choice(["", ".5", ".123456789"]) + offset

    def maybe(make: Callable[[], Any]) -> Any:
        return make() if chance.random() < 0.5 else None

    layout = chance.choice((*LAYOUTS, Layout(account_kind=text(string.ascii_letters, 5, 12))))
    return SignInMessage(
        layout=layout,
        scheme=maybe(lambda: chance.choice(["http", "https", "x-app"])) if layout.scheme else None,
        domain=text(word + "-._~!$&'()*+,;=:@%[]", 1, 30),
        address=text(word + ".-", 1, 60),
        statement=maybe(lambda: text(word + "-._~:/?#[]@!$&'()*+,;= ", 1, 120)),
        uri=uri(),
        version=text(string.digits, 1, 4),
        chain_id=text(word, 1, 32),
        nonce=text(word, 8, 40),
        issued_at=time_(),
        expiration_time=maybe(time_),
        not_before=maybe(time_),
        request_id=maybe(lambda: text(word + "-._~!$&'()*+,;=:@%", 0, 30)),
        resources=maybe(lambda: tuple(uri() for _ in range(chance.randrange(6)))),
    )


def test_written_messages_are_read_back_unchanged() -> None:
    chance = random.Random(4361)
    for _ in range(2000):
        message = _random_message(chance)
        text = write(message)
        assert read(text, LAYOUTS) == message
        assert write(read(text, LAYOUTS)) == text


def test_random_lines_are_refused_and_never_crash_the_reader() -> None:
    chance = random.Random(1)
    lines = [*FULL.split("\n"), "", " ", "Resources:", "- ", "URI: ", "\0", "é"]
    refused = 0
    for _ in range(5000):
        text = "\n".join(chance.choices(lines, k=chance.randrange(1, 18)))
        try:
            assert write(read(text)) == text
        except MessageMalformed:
            refused += 1
    assert refused > 4900


_HEAD = f"example.com wants you to sign in with your Ethereum account:\n{ADDRESS}\n\n"
_REST = "\n\nURI: https://example.com\nVersion: 1\nChain ID: 1\nNonce: 32891756\nIssued At: 2021-09-30T16:25:24Z"

HOSTILE: dict[str, Callable[[int], str]] = {
    "line feeds": lambda size: "\n" * size,
    "greetings": lambda size: (" wants you to sign in with your " * size)[:size],
    "schemes": lambda size: "://" * (size // 3) + _HEAD,
    "a long domain": lambda size: "a" * size + _HEAD,
    "a long statement and a bad end": lambda size: _HEAD + "a " * (size // 2) + '"' + _REST,
    "URI lines": lambda size: _HEAD + "URI: https://a\n" * (size // 15),
    "a long URI and a bad end": lambda size: (
        _HEAD + "s" + _REST.replace(".com\nV", ".com" + "/%20" * (size // 4) + "\\\nV")
    ),
    "colons": lambda size: _HEAD + "s" + _REST.replace("https://", "a" + ":" * size + "\\"),
    "many resources and a bad end": lambda size: (
        _HEAD + "s" + _REST + "\nResources:" + "\n- a:b" * (size // 6) + "\n-"
    ),
    "digits": lambda size: _HEAD + "s" + _REST.replace("24Z", "24." + "0" * size + "Z"),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_takes_linear_time(make: Callable[[int], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the text takes about ten times as long, and not a hundred; the cap is lifted to see it."""
    with pytest.raises(MessageMalformed):
        read(make(2000))
    monkeypatch.setattr(messages, "MAX_BYTES", 10**8)

    def cost(size: int) -> float:
        text = make(size)
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            with pytest.raises(MessageMalformed):
                read(text)
            best = min(best, time.process_time() - start)
        return best

    assert cost(300_000) < 40 * max(cost(30_000), 0.0002)


def test_a_huge_text_is_refused_without_being_read() -> None:
    text = "a\n" * 20_000_000
    start = time.process_time()
    with pytest.raises(MessageMalformed):
        read(text)
    assert time.process_time() - start < 0.01
