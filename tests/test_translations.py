"""Every sentence that users read can be translated, and a translation keeps what the sentence needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from .constants import ROOT
from .templates_checked import imported_without_context, kept_for_all, parsed, untranslated

PACKAGE = ROOT / "sessions_core"
TEMPLATES = sorted([*PACKAGE.glob("templates/sessions/*.html"), *PACKAGE.glob("parts/*/templates/sessions/*.html")])
OF_THE_DEMO = sorted((ROOT / "templates").rglob("*.html"))


def name_of(path: Path) -> str:
    return path.name if path in TEMPLATES else path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*TEMPLATES, *OF_THE_DEMO], ids=name_of)
def test_every_word_of_a_template_can_be_translated(path: Path) -> None:
    assert untranslated(parsed(path), path.name) == []


@pytest.mark.parametrize("path", [*TEMPLATES, *OF_THE_DEMO], ids=name_of)
def test_words_are_not_kept_for_the_next_user(path: Path) -> None:
    """Jinja runs a template that is imported without the context once, and keeps what it says for all requests."""
    keeping = {f"sessions/{each.name}" for each in TEMPLATES if kept_for_all(parsed(each))}
    states = path.name == "_panel_states.html"  # it imports templates that hold no words for users
    assert [name for name in imported_without_context(parsed(path)) if name in keeping or not (name or states)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{% trans %}Hello{% endtrans %} you</p>", ["\0 you"]),
        ('<p aria-label="Your account"></p>', ['aria-label="Your account"']),
        ("{% if a %}<p>{{ a }}{% else %}No{% endif %}", ["\0No"]),
        ('{{ "Sign in" if a else _("Sign out") }}', ["Sign in"]),
        ('{% set words = {"a": "You are here."} %}', ["You are here."]),
        ('{{ show("Your wallets") }}', ["Your wallets"]),
        ('{{ _("Go to %(place)s", place="the shop") }}', ["the shop"]),
        ('<code translate="no">GET</code><p data-part="left" hidden>{{ left }}</p>', []),
        ("{{ ngettext('%(num)s day', '%(num)s days', n) }}", []),
    ],
)
def test_checker_finds_words_outside_translations(source: str, found: list[str]) -> None:
    assert untranslated(parsed(Path("page.html"), source)) == found


def test_checker_tells_macros_from_words_that_are_kept() -> None:
    assert kept_for_all(parsed(Path("page.html"), '{% set words = {"a": _("You")} %}'))
    assert not kept_for_all(parsed(Path("page.html"), '{% macro a() %}{{ _("You") }}{% endmacro %}'))
