"""Catalogues of translations: one file `translations/<language>.po` for each language, read when the app starts."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from gettext import c2py
from typing import cast

from babel import Locale
from babel.dates import format_skeleton, format_time, format_timedelta
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from ...web.texts import Language
from .options import FOLDER

logger = logging.getLogger(__name__)

_PLACEHOLDER = re.compile(r"%\((\w+)\)s|(\{\w+(?::[^{}]*)?\})|%(%)")
_TAG = re.compile(r"</?\w[^>]*>")


class BabelLanguage(Language):
    """A language with a catalogue. Babel knows its dates, its clock of 12 or 24 hours, and its direction."""

    def __init__(
        self, locale: Locale, texts: Mapping[str, str | tuple[str, ...]], plural: Callable[[int], int]
    ) -> None:
        self.locale = locale
        self.code = str(locale).replace("_", "-")
        self.direction = locale.text_direction
        self._texts = texts
        self._plural = plural

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Return the translation, or the English text if there is none."""
        said = self._texts.get(one)
        if said is None:
            return super().ngettext(one, many, number)
        return said if isinstance(said, str) else said[self._plural(number)]

    def moment(self, at: datetime, form: str) -> str:
        """Return a time as people write it in this language."""
        if form == "Hm":
            return format_time(at, "short", tzinfo=UTC, locale=self.locale)
        return format_skeleton(form, at, locale=self.locale)

    def ago(self, length: timedelta) -> str:
        """Return how long ago something was."""
        return format_timedelta(-length, add_direction=True, locale=self.locale)


@cache
def read(name: str) -> BabelLanguage:
    """Return a language with the translations of its file, but those that `faults` finds something wrong with."""
    with (FOLDER / f"{name}.po").open("rb") as file:
        catalogue = read_po(file, locale=name.replace("-", "_"))
    texts: dict[str, str | tuple[str, ...]] = {}
    for message in catalogue:
        if not message.id or message.fuzzy or not any(_forms(message.string)):
            continue
        found = faults(message)
        if found:
            logger.warning("The translation of %r to %s is not used: %s", message.id, name, "; ".join(found))
        else:
            texts[_forms(message.id)[0]] = cast("str | tuple[str, ...]", message.string)
    locale = catalogue.locale
    assert locale is not None  # noqa: S101  # it was given
    return BabelLanguage(locale, texts, c2py(catalogue.plural_expr))


def faults(message: Message) -> list[str]:
    """Return what a translation lacks or has too much: placeholders, tags, or forms of the plural.

    The form for a number may leave out the number: "One device".
    """
    found = []
    written, said = _forms(message.id), _forms(message.string)
    wanted = _placeholders(written[-1])
    for form in said:
        if not form:
            found.append("a form of the plural is missing")
            continue
        own, optional = _placeholders(form), {"num"} if len(written) > 1 else set()
        if {each for each in own if each not in optional} != {each for each in wanted if each not in optional}:
            found.append(f"its placeholders are {_listed(own)}, and not {_listed(wanted)}")
        if Counter(_TAG.findall(form)) != Counter(_TAG.findall(written[-1])):
            found.append("its tags are others")
        # In an attribute, they would end it.
        if any(sign in _TAG.sub("", form) for sign in '"<>'):
            found.append('it has one of " < > outside a tag')
    return found


def _forms(text: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return (text or "",) if isinstance(text, str | None) else tuple(text)


def _placeholders(text: str) -> set[str]:
    stray = "%" in _PLACEHOLDER.sub("", text)
    return {next(filter(None, each)) for each in _PLACEHOLDER.findall(text)} | ({"a single %"} if stray else set())


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
