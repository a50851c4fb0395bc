"""The sign-in text of EIP-4361, and as the wallets of other chains want it (CAIP-122): write it, read it.

The reader goes line by line and by position. It never searches for `URI:`, which a hostile statement could contain,
and uses no pattern that backtracks, so that it takes linear time on any input.
Verification happens over the received bytes; what is read here only says what those bytes claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import ChainUnsupported, MessageMalformed

MAX_BYTES = 2048

# What EIP-4361 lets a statement have: reserved and unreserved characters of RFC 3986, and the space.
STATEMENT_CHARACTER = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;= -]"

# Character classes of RFC 3986; one class and one repetition each, so matching is linear.
_AUTHORITY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%\[\]-]+", re.ASCII)
_STATEMENT = re.compile(STATEMENT_CHARACTER + "+", re.ASCII)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9]{8,128}", re.ASCII)
_PCHARS = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]*", re.ASCII)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_CHAIN_REFERENCE = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)
_ACCOUNT_KIND = re.compile(r"[A-Za-z]{1,32}", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9.-]{1,128}", re.ASCII)

_GREETING = " wants you to sign in with your "


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the texts of a chain are laid out. The defaults are EIP-4361 itself."""

    account_kind: str = "Ethereum"
    """The word before "account:" in the first line."""
    scheme: bool = True
    """Whether a scheme may stand before the domain."""
    blank_lines: int = 2
    """How many blank lines stand between address and URI when there is no statement: 1 or 2."""
    chain_ids: Mapping[str, str] | None = None
    """What the line "Chain ID" says for each CAIP-2 reference; `None` if it is the reference itself."""

    def chain_id(self, reference: str) -> str:
        """Return what the text says for a CAIP-2 reference; raise `ChainUnsupported` if it has no word for it."""
        try:
            return self.chain_ids[reference] if self.chain_ids is not None else reference
        except KeyError:
            raise ChainUnsupported(reference) from None

    def reference(self, chain_id: str) -> str:
        """Return the CAIP-2 reference of what a text says; raise `ChainUnsupported` for another word."""
        if self.chain_ids is None:
            return chain_id
        for reference, word in self.chain_ids.items():
            if word == chain_id:
                return reference
        raise ChainUnsupported(chain_id)


EIP4361 = Layout()


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInMessage:
    """The fields of a sign-in text, as written in it. Times are kept as text: the signature covers the text.

    `chain_id` is what the text says, which `layout` turns into the CAIP-2 reference.
    """

    domain: str
    address: str
    uri: str
    chain_id: str
    nonce: str
    issued_at: str
    layout: Layout = EIP4361
    version: str = "1"
    scheme: str | None = None
    statement: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC with whole seconds: `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Return an RFC 3339 time as seconds since the epoch; raise `MessageMalformed` if it isn't one."""
    if not _TIME.fullmatch(text):
        raise MessageMalformed("not an RFC 3339 time", text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:  # the 31st of February
        raise MessageMalformed("not a time that exists", text) from error


def write(message: SignInMessage) -> str:
    """Return the text, exactly as EIP-4361, section "Message Format", lays it out: LF only, none at the end."""
    origin = f"{message.scheme}://{message.domain}" if message.scheme else message.domain
    lines = [f"{origin}{_GREETING}{message.layout.account_kind} account:", message.address, ""]
    if message.statement is not None:
        lines += [message.statement, ""]
    elif message.layout.blank_lines == 2:
        lines += [""]
    lines += [
        f"URI: {message.uri}",
        f"Version: {message.version}",
        f"Chain ID: {message.chain_id}",
        f"Nonce: {message.nonce}",
        f"Issued At: {message.issued_at}",
    ]
    if message.expiration_time is not None:
        lines.append(f"Expiration Time: {message.expiration_time}")
    if message.not_before is not None:
        lines.append(f"Not Before: {message.not_before}")
    if message.request_id is not None:
        lines.append(f"Request ID: {message.request_id}")
    if message.resources is not None:
        lines.append("Resources:")
        lines += [f"- {uri}" for uri in message.resources]
    return "\n".join(lines)


def from_form(text: str) -> str:
    """Return a text as it was signed. Browsers send the line feeds of a form field as CR LF (HTML, section
    4.10.21.4); wallets sign LF alone.
    """
    return text.replace("\r\n", "\n")


def read(text: str, layouts: Iterable[Layout] = ()) -> SignInMessage:
    """Read a sign-in text by position; raise `MessageMalformed` for anything its layout does not allow.

    The kind of account chooses among `layouts`; a kind that none has is laid out as in EIP-4361. Accepts at most 2048
    bytes. The result written again is the text itself, byte for byte.
    """
    if len(text) > MAX_BYTES or not text.isascii():
        raise MessageMalformed("longer than 2 kB, or not ASCII")
    lines = _Lines(text.split("\n"))

    origin, greeting, kind = lines.take().partition(_GREETING)
    if not greeting or not kind.endswith(" account:"):
        raise MessageMalformed("the first line is not the greeting")
    kind = _matching(_ACCOUNT_KIND, kind.removesuffix(" account:"), "account kind")
    layout = next((each for each in layouts if each.account_kind == kind), Layout(account_kind=kind))
    scheme, separator, domain = origin.rpartition("://")
    if separator and not layout.scheme:
        raise MessageMalformed("a scheme before the domain")
    fields: dict[str, str | None] = {
        "scheme": _matching(_SCHEME, scheme, "scheme") if separator else None,
        "domain": _matching(_AUTHORITY, domain, "domain"),
        "address": _matching(_ADDRESS, lines.take(), "address"),
    }
    lines.blank()
    # EIP-4361 has two blank lines without a statement: the one above, and the one that would follow it. Where there
    # is only one, the next line is a statement if a blank line follows it: the fields have none among them.
    if layout.blank_lines == 2 or lines.peek(1) == "":
        if lines.peek() != "":
            fields["statement"] = _matching(_STATEMENT, lines.take(), "statement")
        lines.blank()
    fields["uri"] = _matching(_URI, lines.field("URI"), "URI")
    fields["version"] = _matching(_NUMBER, lines.field("Version"), "version")
    fields["chain_id"] = _matching(_CHAIN_REFERENCE, lines.field("Chain ID"), "chain id")
    fields["nonce"] = _matching(_NONCE, lines.field("Nonce"), "nonce")
    fields["issued_at"] = _matching(_TIME, lines.field("Issued At"), "issued at")
    for name, label, pattern in (
        ("expiration_time", "Expiration Time", _TIME),
        ("not_before", "Not Before", _TIME),
        ("request_id", "Request ID", _PCHARS),
    ):
        if lines.peek().startswith(f"{label}: "):
            fields[name] = _matching(pattern, lines.field(label), label)
    resources = None
    if lines.peek() == "Resources:":
        lines.take()
        resources = tuple(_matching(_URI, line, "resource") for line in lines.list_items())
    lines.end()
    return SignInMessage(**fields, layout=layout, resources=resources)  # type: ignore[arg-type]  # required ones are all set


def _matching(pattern: re.Pattern[str], value: str, name: str) -> str:
    if not pattern.fullmatch(value):
        raise MessageMalformed(f"{name} has characters it may not have")
    return value


class _Lines:
    """The lines of a text, taken one after the other; running out of them is a malformed message."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def peek(self, ahead: int = 0) -> str:
        return self._lines[self._at + ahead] if self._at + ahead < len(self._lines) else ""

    def take(self) -> str:
        if self._at >= len(self._lines):
            raise MessageMalformed("the text ends too early")
        self._at += 1
        return self._lines[self._at - 1]

    def blank(self) -> None:
        if self.take() != "":
            raise MessageMalformed("a blank line is missing")

    def field(self, label: str) -> str:
        line = self.take()
        if not line.startswith(f"{label}: "):
            raise MessageMalformed(f"{label} is not where it belongs")
        return line[len(label) + 2 :]

    def list_items(self) -> list[str]:
        items = []
        while self._at < len(self._lines):
            line = self.take()
            if not line.startswith("- "):
                raise MessageMalformed("a resource is not a list item")
            items.append(line[2:])
        return items

    def end(self) -> None:
        if self._at != len(self._lines):
            raise MessageMalformed("there is text after the last field")
