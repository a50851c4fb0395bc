"""The catalogues: complete, without leftovers, and with everything that a text needs."""

from __future__ import annotations

import logging
import re
import tomllib
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from sessions_core.parts.languages import catalogues
from sessions_core.parts.languages.options import FOLDER

from ...constants import ROOT

DEMO = ROOT / "tour/translations"
CATALOGUES = [
    pytest.param(path, id="/".join(path.parts[-3:])) for path in sorted([*FOLDER.iterdir(), *DEMO.iterdir()])
]

Text = str | tuple[str, ...]


@pytest.fixture(scope="module")
def texts() -> dict[Path, set[Text]]:
    """The texts that each folder with catalogues must translate, by the settings for `pybabel extract` in
    pyproject.toml. The package translates those that the demo has too.
    """
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["babel"]["mappings"]
    methods = [(each["pattern"], each["method"]) for each in mappings]
    options = {each.pop("pattern"): {key: each[key] for key in each if key != "method"} for each in mappings}
    found: dict[Path, set[Text]] = {FOLDER: set(), DEMO: set()}
    # The patterns begin at the root, and only these folders are looked through.
    within = re.compile(rf"{re.escape(str(ROOT))}/(sessions_core|templates|tour)(/|$)").match
    keywords = DEFAULT_KEYWORDS | {"Action": None}
    for name, _, text, _, _ in extract_from_dir(ROOT, methods, options, keywords, directory_filter=within):
        folder = FOLDER if name.startswith("sessions_core/") else DEMO
        found[folder].add(text if isinstance(text, str) else tuple(text))
    found[DEMO] -= found[FOLDER]
    return found


def of(path: Path) -> dict[Text, Message]:
    with path.open("rb") as file:
        found = read_po(file, locale=path.stem)
    return {each.id if isinstance(each.id, str) else tuple(each.id): each for each in found if each.id}


def test_texts_of_pages_errors_and_code_are_extracted(texts: dict[Path, set[Text]]) -> None:
    assert len(texts[FOLDER]) > 1000
    assert {
        "Sign in with your wallet",  # a page
        "There is nothing at this address. Check it for typing mistakes, or start from the home page.",  # an error
        "Give the role {role} to {account}.",  # a sentence to sign
        "Where you’re signed in",  # a part
        "Devices",  # a link of the header
        ("%(num)s minute", "%(num)s minutes"),
    } <= texts[FOLDER]


def test_texts_of_the_demo_are_extracted(texts: dict[Path, set[Text]]) -> None:
    assert len(texts[DEMO]) > 150
    assert {
        "What you get",  # the home page
        "Members only",  # a card
        "Pay invoice {number}: {amount} USDC.",  # a sentence to sign
        "Payee",  # a fact on `/confirm`
        ("%(num)s round trip to Redis, %(ms)s ms", "%(num)s round trips to Redis, %(ms)s ms"),
    } <= texts[DEMO]


@pytest.mark.parametrize("path", CATALOGUES)
def test_no_text_lacks_a_translation(path: Path, texts: dict[Path, set[Text]]) -> None:
    translated = {key for key, each in of(path).items() if each.string and not each.fuzzy}
    assert sorted(map(str, texts[path.parent] - translated)) == []


@pytest.mark.parametrize("path", CATALOGUES)
def test_no_translation_is_left_over(path: Path, texts: dict[Path, set[Text]]) -> None:
    assert sorted(map(str, set(of(path)) - texts[path.parent])) == []


@pytest.mark.parametrize("path", CATALOGUES)
def test_no_translation_has_a_fault(path: Path) -> None:
    assert {str(key): found for key, each in of(path).items() if (found := catalogues.faults(each))} == {}


def test_demo_has_the_languages_of_the_package() -> None:
    assert sorted(each.name for each in DEMO.iterdir()) == sorted(each.name for each in FOLDER.iterdir())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Ends after %(time)s.", "Endet."),
        ("Ends after %(time)s.", "Endet nach %(zeit)s."),
        ("Ends after %(time)s.", "Endet nach %(time)s und %(more)s."),
        ("Ends after {time}.", "Endet nach {zeit}."),
        ("Sign out {handle:.9}.", "{handle} abmelden."),
        ("Half of it", "50 % davon"),
        ("<strong>One</strong> signature", "<b>Eine</b> Signatur"),
        ("One signature", "<script>alert(1)</script>"),
        ("Session clock", '"Uhr" der Sitzung'),
        (("%(num)s day", "%(num)s days"), ("%(num)s Tag", "")),
        (("%(num)s day of %(name)s", "%(num)s days of %(name)s"), ("%(num)s Tag", "%(num)s Tage von %(name)s")),
    ],
)
def test_translation_that_lacks_something_is_not_used(
    written: str | tuple[str, ...],
    said: str | tuple[str, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The page shows the English text instead, and the log names it."""
    catalogue = Catalog(locale="de")
    catalogue.add(written, said)
    catalogue.add("Sign out", "Abmelden")
    with (tmp_path / "de.po").open("wb") as file:
        write_po(file, catalogue)
    with caplog.at_level(logging.WARNING):
        german = catalogues.read.__wrapped__("de", (tmp_path,))
    one, many = (written, "") if isinstance(written, str) else written
    assert german.ngettext(one, many, 1) == one
    assert german.ngettext("Sign out", "", 1) == "Abmelden"
    assert "is not used" in caplog.text


def test_number_may_be_said_in_words() -> None:
    assert catalogues.faults(Message(("%(num)s day", "%(num)s days"), ("ein Tag", "%(num)s Tage"))) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "ساعة واحدة"), (2, "ساعتين"), (3, "%(num)s ساعات"), (11, "%(num)s ساعة"), (100, "%(num)s ساعة")],
)
def test_arabic_has_its_forms_of_the_plural(number: int, said: str) -> None:
    assert catalogues.read("ar").ngettext("%(num)s hour", "%(num)s hours", number) == said
