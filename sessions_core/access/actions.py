"""The actions that a user may be asked to sign for: a closed set of sentences, each naming exactly what will be done.

The sentence stands in the message that the wallet shows, so that a page that was tampered with can't have one thing
confirmed and do another. It obeys the rules of a statement of EIP-4361: one line, ASCII, no quotes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..errors import ConfirmationUnclear, Misconfigured, _
from ..sign_in.messages import STATEMENT_CHARACTER


@dataclass(frozen=True, slots=True)
class Action:
    """What a user may be asked to sign for.

    `sentence` stands in the signed message. It names values of the request as {number}, or their first eight
    characters as {number:.8}. `words` is the template whose macros `title`, `consequences` and `facts` tell the user
    what will happen; without one the page shows the sentence and the facts. `back` is the endpoint of the page where
    the action begins.

    `facts` is called with the values of the request (path, query, form or JSON) and returns what the server knows
    about it, such as {"amount": "120 USDC", "payee": "Acme"}. The sentence may name facts, too; a fact replaces a
    value of the same name. If the sentence has changed when the signature arrives, the signature is refused; with
    `recheck` false it counts, for facts that only describe what the request names by an id.

    `danger` marks the button of an action that can't be undone.
    """

    sentence: str
    words: str = ""
    back: str = "sessions.status"
    facts: Callable[[Mapping[str, str]], Mapping[str, str]] | None = None
    recheck: bool = True
    danger: bool = False


ACTIONS = {"session.extend": Action(_("Extend this session."), "sessions/_extend_words.html")}
"""The kernel's own; parts and the application add theirs."""

_LONGEST_VALUE = 120
_LONGEST = 300
_STRANGE = re.compile(f"(?!{STATEMENT_CHARACTER}).", re.ASCII | re.DOTALL)
# What can't be taken for words of the sentence: a number, a handle, a CAIP-10 account.
_WORD = re.compile(r"[A-Za-z0-9_-]+(?:[.:][A-Za-z0-9_-]+)*", re.ASCII)
_BEFORE_WORD = re.compile(r"(?:|.*[^A-Za-z0-9_.:-])", re.ASCII)
# The format of a value: how many of its first characters stand in the sentence.
_FORM = re.compile(r"(?:\.[1-9]\d?)?", re.ASCII)
_AFTER_WORD = re.compile(r"[.:]?(?:\s|$)|[^A-Za-z0-9_.:-]", re.ASCII)


class Actions:
    """All actions: the kernel's, those of parts, and the application's own.

    Each of the application's own is a sentence, `{"invoice.pay": "Pay {number}."}`, or an `Action`.
    """

    def __init__(
        self, own: Mapping[str, str | Action] | None = None, of_parts: Mapping[str, Action] | None = None
    ) -> None:
        given = {name: Action(each) if isinstance(each, str) else each for name, each in (own or {}).items()}
        self._actions = {**ACTIONS, **(of_parts or {}), **given}
        for name, sentence in ((name, action.sentence) for name, action in self._actions.items()):
            if not _can_be_shown(sentence):
                raise Misconfigured(
                    f"The sentence of the action {name!r} must be one line of at most 200 ASCII characters without "
                    "quotes or < >, and name values as {number}: wallets show it as part of the message to sign."
                )

    def __contains__(self, name: str) -> bool:
        return name in self._actions

    def __iter__(self) -> Iterator[str]:
        return iter(self._actions)

    def __getitem__(self, name: str) -> Action:
        return self._actions[name]

    def fields(self, name: str) -> list[str]:
        """Return the values that the sentence of an action names."""
        return [field for field, _ in _fields(self._actions[name].sentence)]

    def sentence(self, name: str, values: Mapping[str, str], translated: str = "") -> str:
        """Return the sentence of an action with the values of this request in it.

        `translated` is the sentence in another language, for pages to show beside the one that is signed. It is not
        used if it names other values. A value that is more than a word stands in brackets, which none has itself, so
        that it can't go on with the sentence. Raises `ConfirmationUnclear` if one is missing, too long to be read
        before signing, or in characters that a wallet would not show as they are.
        """
        shown = self.named(name, values)
        written = self._actions[name].sentence
        said = translated if _fields(translated) == _fields(written) else written
        parts = list(string.Formatter().parse(said or written))
        sentence = ""
        for number, (words, field, form, _conversion) in enumerate(parts):
            sentence += words
            if field:
                before = words if words or number == 0 else sentence
                after = parts[number + 1][0] if number + 1 < len(parts) else ""
                last = number + 1 == len(parts)
                alone = _BEFORE_WORD.fullmatch(before) and (after or last) and _AFTER_WORD.match(after)
                value = format(shown[field], form or "")
                sentence += value if alone and _WORD.fullmatch(value) else f"[{value}]"
        if len(sentence) > _LONGEST:
            raise ConfirmationUnclear("the sentence would be too long to read", name)
        return sentence

    def named(self, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return those of the values that the sentence of an action names; raise as above."""
        found = {field: values.get(field, "") for field in self.fields(name)}
        for field, value in found.items():
            if not 0 < len(value) <= _LONGEST_VALUE:
                raise ConfirmationUnclear("missing, given twice, or too long", name, field)
            # Wallets and browsers show several blanks as one.
            if _STRANGE.search(value) or "[" in value or "]" in value or value != " ".join(value.split()):
                raise ConfirmationUnclear("can't be shown as it is", name, field)
        return found


def _fields(sentence: str) -> list[tuple[str, str]]:
    """Return the values that a sentence names, each with its format; none of a sentence that can't be read."""
    try:
        return sorted((field, form or "") for _, field, form, _ in string.Formatter().parse(sentence) if field)
    except ValueError:  # a brace without its other half
        return []


def _can_be_shown(sentence: str) -> bool:
    if not 0 < len(sentence.strip()) <= len(sentence) <= 200:
        return False
    try:
        parts = list(string.Formatter().parse(sentence))
    except ValueError:  # a brace without its other half
        return False
    return not any(
        _STRANGE.search(words)
        or (field is not None and not (field.isidentifier() and _FORM.fullmatch(form or "") and not conversion))
        for words, field, form, conversion in parts
    )
