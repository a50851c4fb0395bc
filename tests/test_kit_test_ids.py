"""docs/test-ids.md lists every `data-testid` and `data-state` of the pages, which browser tests name."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from flask import Flask

from sessions_core import part

from .constants import ROOT
from .documented import table

PACKAGE = ROOT / "sessions_core"
PAGE = "docs/test-ids.md"
TEMPLATES = sorted(PACKAGE.rglob("templates/**/*.html"))
ELEMENTS = "static/elements"
# By macros, which get them as an argument: `when(at, now, "session-created")`, `change(…, "wallet-unlink")`.
BY_MACRO = re.compile(
    r'\b(?:when|since)\((?:[^(){}]|\([^()]*\))*"([a-z-]+)"\)|\bchange\("[^"]*", \w+, [^,]*, "([a-z-]+)"'
)
MACROS = {"{{ test_id }}", "{{ testid }}"}
# Who sets a state: the row of the table → its source, and what surrounds the names in it.
STATES = {
    "wallet-confirm": (f"{ELEMENTS}/wallet-confirm.js", r"#show\(((?:[^(){]|\([^)]*\))*)"),
    "timeout-dialog": (f"{ELEMENTS}/session-timeout/dialog.js", r"@typedef \{(.*)\} DialogState"),
    "cover": (f"{ELEMENTS}/session-timeout/cover.js", r"@typedef \{(.*)\} CoverState"),
    "wallet-watch": (
        f"{ELEMENTS}/wallet-watch.js",
        r"TWINS = (.*);|\? (\"watching\" : \"no_wallet\")|\{state: (.*),",
    ),
    "copy-address": (f"{ELEMENTS}/copy-button.js", r"#say\((\".*?)\)"),
    "session-list": ("parts/devices/static/session-list.js", r"dataset\.state = (.*);"),
    "share-export": ("parts/trial_wallets/static/share-export.js", r"@param \{(.*)\} state"),
    "share-watch": ("parts/trial_wallets/static/share-watch.js", r"dataset\.state = (.*);"),
    "unauthorized": ("templates/sessions/unauthorized.html", r"set state = (\"\w+\")"),
    "admin-verification": ("parts/roles/templates/sessions/admin_account.html", r"data-state=\"\{\{ (.*) \}\}\""),
}
PANEL = {f"{ELEMENTS}/wallet-sign-in/view.js", "templates/sessions/_connect.html"}


def ids_in_templates() -> dict[str, set[str]]:
    """Return the `data-testid` values of each template, by its name."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TEMPLATES:
        text = path.read_text()
        names = set(re.findall(r'data-testid="([^"]*)"', text)) - MACROS
        names |= {one or other for one, other in BY_MACRO.findall(text)}
        if names:
            found[path.name] |= {name.replace("{{ entry.label|lower }}", "…") for name in names}
    return found


def written(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_test_id_is_documented_with_its_template() -> None:
    rows = table(PAGE, "template")
    documented = {name: written(cells[1]) for name, cells in rows.items()}
    found = ids_in_templates()
    assert documented == found
    assert len(set().union(*found.values())) > 200


def test_no_test_id_is_set_elsewhere() -> None:
    """By a script or in Python, where the list would miss it."""
    sources = [*PACKAGE.rglob("static/**/*.js"), *PACKAGE.rglob("*.py")]
    setting = re.compile(r"dataset\.testid\s*=|setAttribute\(.data-testid|(?<!\[)data-testid=\\?[\"']\w")
    assert [str(path) for path in sources if setting.search(path.read_text())] == []


def test_words_of_the_menu_are_documented() -> None:
    labels = {"session", *(entry.label.lower() for each in part.choose(None) for entry in each.menu)}
    assert {f"nav-{label}" for label in labels} <= written((ROOT / PAGE).read_text())


def test_every_state_of_the_sign_in_panel_is_documented(app: Flask) -> None:
    states = app.jinja_env.get_template("sessions/_panel_states.html").module.panel_states  # type: ignore[attr-defined]
    assert written(table(PAGE, "element")["wallet-sign-in"][1]) == set(states)


def test_every_state_of_the_document_is_documented() -> None:
    source = (PACKAGE / ELEMENTS / "session-timeout.js").read_text()
    marked = re.search(r"@param \{(.*)\} state \*/\nfunction mark", source)
    assert marked
    assert written(table(PAGE, "element")["html"][1]) == set(re.findall(r'"(\w+)"', marked[1]))


@pytest.mark.parametrize("element", STATES)
def test_every_state_is_documented(element: str) -> None:
    path, pattern = STATES[element]
    text = (PACKAGE / path).read_text()
    named = {name for groups in re.findall(pattern, text) for name in re.findall(r'["\'](\w+)["\']', str(groups))}
    if path.endswith(".js"):
        named |= {name for each in TEMPLATES for name in first_states(each.read_text(), element)}
    assert written(table(PAGE, "element")[element][1]) == named


def first_states(template: str, element: str) -> set[str]:
    """Return the states in which a template delivers an element, by its tag or its test id."""
    tags = re.findall(r"<[a-z][^>]*data-state=\"\w+\"[^>]*>", template)
    own = [tag for tag in tags if tag.startswith(f"<{element} ") or f'data-testid="{element}"' in tag]
    return {name for tag in own for name in re.findall(r'data-state="(\w+)"', tag)}


def test_nothing_else_has_a_state() -> None:
    sources = [*PACKAGE.rglob("static/**/*.js"), *TEMPLATES]
    setting = re.compile(r"dataset\.state = |(?<![\w-])data-state=\"")
    found = {str(path.relative_to(PACKAGE)) for path in sources if setting.search(code_of(path))}
    known = {path for path, _ in STATES.values()} | PANEL
    delivered = {path for path in found - known if any(first_states((PACKAGE / path).read_text(), e) for e in STATES)}
    assert found - delivered == known


def code_of(path: Path) -> str:
    """Return a source without its comments."""
    return re.sub(r"/\*.*?\*/|\{#.*?#\}|(?<!\S)//[^\n]*", "", path.read_text(), flags=re.S)
