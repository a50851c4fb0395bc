"""Catalogues of translations: one file `<language>.po` for each language and folder, read when the app starts."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import cast

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, format_time, format_timedelta
from babel.messages.catalog import Message
from babel.messages.pofile import PoFileError, read_po

from ...errors import Misconfigured
from ...settings import PREFIX
from ...web.texts import Language
from .options import FOLDER

logger = logging.getLogger(__name__)

_PLACEHOLDER = re.compile(r"%\((\w+)\)s|(\{\w+(?::[^{}]*)?\})|%(%)")
_TAG = re.compile(r"</?\w[^>]*>")


@dataclass(frozen=True)
class Translations:
    """The texts of one file by their English ones; `plural` returns the place of the form for a number."""

    texts: Mapping[str, str | tuple[str, ...]]
    plural: Callable[[int], int]


class BabelLanguage(Language):
    """A language with its catalogues. Babel knows its dates, its clock of 12 or 24 hours, and its direction."""

    def __init__(self, locale: Locale, catalogues: Sequence[Translations]) -> None:
        self.locale = locale
        self.code = str(locale).replace("_", "-")
        self.direction = locale.text_direction
        self._catalogues = catalogues
        # The forms repeat after 100; some languages have one of their own for millions.
        self.plural_forms = {locale.plural_form(number): number for number in (0, 1_000_000, *range(200, 0, -1))}

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Return the translation, or the English text if there is none."""
        for catalogue in self._catalogues:
            said = catalogue.texts.get(one)
            if said is not None:
                return said if isinstance(said, str) else said[catalogue.plural(number)]
        return super().ngettext(one, many, number)

    def moment(self, at: datetime, form: str) -> str:
        """Return a time as people write it in this language."""
        if form == "Hm":
            return format_time(at, "short", tzinfo=UTC, locale=self.locale)
        return format_skeleton(form, at, locale=self.locale)

    def ago(self, length: timedelta) -> str:
        """Return how long ago something was."""
        return format_timedelta(-length, add_direction=True, locale=self.locale)


@cache
def read(name: str, folders: tuple[Path, ...] = (FOLDER,)) -> BabelLanguage:
    """Return a language with the translations of its files, but those that `faults` finds something wrong with.

    Of two translations of a text, that of the first folder counts. Raises `Misconfigured` for a file that can't be
    used.
    """
    try:
        locale = Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise Misconfigured(f"{PREFIX}LANGUAGES names {name}, which Babel does not know as a language.") from error
    files = (folder / f"{name}.po" for folder in folders)
    return BabelLanguage(locale, [_read(file, name, locale) for file in files if file.is_file()])


def _read(path: Path, name: str, locale: Locale) -> Translations:
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=locale, abort_invalid=True)
        plural = c2py(catalogue.plural_expr)
        fits = {plural(number) for number in range(1000)} <= set(range(catalogue.num_plurals))
    except (PoFileError, ValueError, LookupError, ArithmeticError) as error:
        raise Misconfigured(f"{path} is no catalogue of translations: {error}.") from error
    if not fits:
        raise Misconfigured(f"{path} has a header Plural-Forms whose rule needs more forms than it has.")
    texts: dict[str, str | tuple[str, ...]] = {}
    for message in catalogue:
        if not message.id or message.fuzzy or not any(_forms(message.string)):
            continue
        found = faults(message)
        if found:
            logger.warning("The translation of %r to %s is not used: %s", message.id, name, "; ".join(found))
        else:
            texts[_forms(message.id)[0]] = cast("str | tuple[str, ...]", message.string)
    return Translations(texts, plural)


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
