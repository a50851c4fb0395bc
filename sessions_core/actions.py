"""What a person may be asked to sign for: a closed set of sentences, each naming exactly what will be done.

The sentence stands in the text that the wallet shows, so that a page that was tampered with can't have one thing
confirmed and do another. It obeys the rules of a statement of EIP-4361: one line, ASCII, no quotes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping

from .errors import BadRequest, Misconfigured
from .settings import STATEMENT_CHARACTER

ACTIONS: dict[str, str] = {
    "session.extend": "Keep this session for its full time again.",
    "session.revoke": "End the session {handle}.",
    "session.revoke_others": "End all other sessions of this account and of those linked to it.",
    "session.revoke_all": "Sign out everywhere: end every session of this account and of those linked to it.",
    "wallet.join": "Link this account to {account}: whoever holds either is the same person here.",
    "wallet.link": "Link {account} to this account: whoever holds either is the same person here.",
    "wallet.unlink": "Unlink {account} from this account, and end its sessions.",
    "wallet.primary": "Make {account} the primary account of this person.",
    "wallet.export": "Show the private key of this wallet in this browser.",
    "wallet.delete": "Delete this wallet: its key is lost for good.",
    "write:therapy_notes": "Write a therapy note.",
    "admin.open": "Open the administration of this site.",
    "admin.role": "Give the role {role} to {account}.",
    "admin.verify": "Verify {account} as professional {professional_id}, level {level}, for {days} days.",
    "admin.withdraw": "Withdraw the verification of {account}.",
    "admin.revoke": "End the session {handle} of {account}.",
    "admin.revoke_account": "End every session of {account}.",
    "admin.revoke_everybody": "Sign everybody out of this site.",
}

_LONGEST_VALUE = 120
_LONGEST = 300
_STRANGE = re.compile(f"(?!{STATEMENT_CHARACTER}).", re.ASCII | re.DOTALL)


class Actions:
    """Our actions and the application's own, as `{"invoice.pay": "Pay invoice {number}."}`."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._sentences = {**ACTIONS, **(own or {})}
        for name, sentence in self._sentences.items():
            if not _can_be_shown(sentence):
                raise Misconfigured(
                    f"The sentence of the action {name!r} must be one line of at most 200 ASCII characters without "
                    "quotes or < >, and name values as {number}: wallets show it as part of the text to sign."
                )

    def __contains__(self, name: str) -> bool:
        return name in self._sentences

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)

    def sentence(self, name: str, values: Mapping[str, str]) -> str:
        """Return the sentence of an action with the values of this request in it.

        Characters that a wallet would not show as they are become `?`; the request itself is bound by its digest.
        Raises `BadRequest` if a value is missing or too long to be read before signing.
        """
        shown = {field: _STRANGE.sub("?", value) for field, value in self.named(name, values).items()}
        sentence = self._sentences[name].format_map(shown)
        if len(sentence) > _LONGEST:
            raise BadRequest("the text would be too long to read", name)
        return sentence

    def named(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return those of the values that the sentence of an action names; raise `BadRequest` as above."""
        wanted = [field for _, field, _, _ in string.Formatter().parse(self._sentences[name]) if field]
        if any(not values.get(field) or len(values[field]) > _LONGEST_VALUE for field in wanted):
            raise BadRequest("a value that the signed text names is missing or too long", name)
        return {field: values[field] for field in wanted}


def _can_be_shown(sentence: str) -> bool:
    if not 0 < len(sentence.strip()) <= len(sentence) <= 200:
        return False
    try:
        parts = list(string.Formatter().parse(sentence))
    except ValueError:  # a brace without its other half
        return False
    return not any(
        _STRANGE.search(words) or (field is not None and not (field.isidentifier() and not form and not conversion))
        for words, field, form, conversion in parts
    )
