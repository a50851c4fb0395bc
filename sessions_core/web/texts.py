"""Words in the language of the request: `{% trans %}` and `_()` in templates, `gettext` and `ngettext` in Python.

Texts are written in English. The application's `translate` translates them, else a part (`Part.language`). A text
without a translation stays English, and so does one whose translation has a placeholder that the text does not have.
The application's templates use the same, or the i18n extension that it sets up before or after this package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, has_app_context
from jinja2 import Environment, nodes, pass_eval_context
from jinja2.ext import Extension, InternationalizationExtension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser
from markupsafe import Markup

from .services import current_services

_NAMES = {"_": "sessions_core_gettext", "gettext": "sessions_core_gettext", "ngettext": "sessions_core_ngettext"}
# By their names in Unicode's tables of locales (CLDR).
_FORMATS = {"Hm": "%H:%M", "EEEE": "%A", "MMMd": "%b %d", "yMMMd": "%b %d, %Y"}
_FORMATS |= {"MMMMEEEEd": "%A, %B %d", "yMMMMEEEEd": "%A, %B %d, %Y"}


class Language:
    """English; a part's language replaces what differs. `code` and `direction` are for `lang` and `dir` of a page."""

    code, direction = "en", "ltr"
    plural_forms: Mapping[str, int] = {"one": 1, "other": 2}
    """A number that takes each form of the plural, by the form's name in Unicode's tables."""

    def ngettext(self, one: str, many: str, number: int) -> str:
        """Return the form of a text that belongs to a number; `many` is empty for a text without forms."""
        return one if number == 1 else many

    def moment(self, at: datetime, form: str) -> str:
        """Return a time in UTC in one of the forms `Hm`, `EEEE`, `MMMd`, `yMMMd`, `MMMMEEEEd` and `yMMMMEEEEd`."""
        return at.strftime(_FORMATS[form]).replace(" 0", " ")

    def ago(self, length: timedelta) -> str:
        """Return how long ago something was, in words; a minute at least."""
        from humanize import naturaltime  # 20 ms to import, and only some pages need it

        return naturaltime(length)


def language() -> Language:
    """Return the language of the request; English if no part knows another one."""
    return (current_services().language() if has_app_context() else None) or Language()


def gettext(text: str, /, **values: Any) -> str:
    """Return a text in the language of the request, with `values` for its placeholders `%(name)s`."""
    return _filled((text, "", 1), values, str) if values else _said(text, "", 1)


def ngettext(one: str, many: str, number: int, /, **values: Any) -> str:
    """Return the form of a text that belongs to a number, which is the placeholder `%(num)s`."""
    return _filled((one, many, number), {"num": number, **values}, str)


def _said(one: str, many: str, number: int) -> str:
    written = one if number == 1 else many
    said = current_services().translate(written) if has_app_context() else written
    return said if said != written else language().ngettext(one, many, number)


def _filled(text: tuple[str, str, int], values: Mapping[str, Any], kind: type[str]) -> str:
    try:
        return kind(_said(*text)) % values
    except (KeyError, TypeError, ValueError):  # a placeholder that the text does not have
        return kind(text[0] if text[2] == 1 else text[1]) % values


class Texts(Extension):
    """`{% trans %}` and `_()` in templates: texts are markup, values are escaped, and "%" is written twice."""

    tags = {"trans"}  # noqa: RUF012  # as in Jinja
    priority = 1000  # of several extensions with one tag, Jinja takes the last

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterator[Token]:
        """Let our templates call our functions, and not the application's functions of the same name."""
        ours = {("name", name): own for name, own in _NAMES.items()} if _is_ours(stream.name) else {}
        return (Token(line, kind, ours.get((kind, value), value)) for line, kind, value in stream)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Parse `{% trans %}`; leave the application's templates to its own extension, if it has one."""
        others = [each for each in self.environment.iter_extensions() if "trans" in each.tags and each is not self]
        if others and not _is_ours(parser.name):
            return others[0].parse(parser)
        parsed = _I18N.parse(parser)
        for name in nodes.Template(parsed if isinstance(parsed, list) else [parsed]).find_all(nodes.Name):
            name.name = _NAMES.get(name.name, name.name)
        return parsed


def _is_ours(template: str | None) -> bool:
    return (template or "").startswith("sessions/")  # or one of the application that replaces ours


_I18N = InternationalizationExtension(Environment(autoescape=True))
_I18N.environment.newstyle_gettext = True  # type: ignore[attr-defined]
_I18N.environment.policies["ext.i18n.trimmed"] = True  # white space in a text is one blank


@pass_eval_context
def _text(context: nodes.EvalContext, one: str, many: str = "", number: int = 1, /, **values: Any) -> str:
    values = {"num": number, **values} if many else values
    return _filled((one, many, number), values, Markup if context.autoescape else str)


def install(app: Flask) -> None:
    """Let templates be translated. Functions of the application with these names stay its own."""
    app.jinja_env.add_extension(Texts)
    app.jinja_env.filters["translated"] = gettext
    free = _NAMES.keys() - app.jinja_env.globals.keys()
    app.jinja_env.globals.update(dict.fromkeys([*_NAMES.values(), *free], _text), language=language)
