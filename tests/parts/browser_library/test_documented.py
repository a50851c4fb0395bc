"""docs/browser-library.md lists every option, method, event, error and attribute that the sources have."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from sessions_core.settings import Settings

from ...browser_sources import PACKAGE, code_of
from ...constants import ROOT
from ...documented import table

GUIDE = "docs/browser-library.md"
STATIC = PACKAGE / "parts/browser_library/static"
PUBLIC = {"session-manager": "", "session-monitor": "monitor ", "secure-storage": "storage "}
SHOWN = {path.stem: path.read_text() for path in STATIC.glob("*.js")}


def written(first: str) -> set[str]:
    """Return the names in the first column of the tables with this heading."""
    return {name for row in table(GUIDE, first) for name in re.findall(r"`?\b(\w[\w-]*)(?:\([^)]*\))?(?:`|$)", row)}


def options_of(source: str) -> set[str]:
    """Return what a constructor takes by name."""
    found = re.search(r"constructor\((?:\w+, )?\{([^}]*)\} = \{\}\)", code_of(source))
    assert found
    return set(re.findall(r"(\w+)(?: = [^,}]+)?,?\s", f"{found[1]} "))


def members_of(source: str) -> set[str]:
    """Return the methods and values of the exported class that have no private name."""
    body = re.search(r"^export class (?:Session|Secure)(?:Manager|Monitor|Storage) .*?^\}", source, re.S | re.M)
    assert body
    code = code_of(body[0])
    return set(re.findall(r"^  (?:async |get )?([a-z]\w*)(?:\(| = \()", code, re.M)) - {"constructor"}


def events_of(source: str) -> set[str]:
    return set(re.findall(r"""(?:#tell|new CustomEvent)\("(\w+)\"""", code_of(source)))


def test_reader_of_sources_sees_every_form() -> None:
    source = """
export class SessionManager extends EventTarget {
  #hidden = 1;
  field = () => this.#hidden;
  constructor({ one = "", two, three = null } = {}) { super(); }
  get value() { return 1; }
  async method() { if (this.#tell("event_name", {})) return; }
  #secret() {}
}
"""
    assert members_of(source) == {"field", "value", "method"}
    assert options_of(source) == {"one", "two", "three"}
    assert events_of(source) == {"event_name"}


@pytest.mark.parametrize(("module", "kind"), PUBLIC.items())
def test_guide_lists_every_option(module: str, kind: str) -> None:
    assert written(f"{kind}option") == options_of(SHOWN[module])


@pytest.mark.parametrize(("module", "kind"), PUBLIC.items())
def test_guide_lists_every_method(module: str, kind: str) -> None:
    rows = " ".join(f"`{name}`" for name in table(GUIDE, f"{kind}method"))
    names = set(re.findall(r"`(\w+)", rows))
    assert names == members_of(SHOWN[module])


@pytest.mark.parametrize("module", ["session-manager", "session-monitor"])
def test_guide_lists_every_event(module: str) -> None:
    assert written(f"{PUBLIC[module]}event") == events_of(SHOWN[module])


def test_guide_lists_every_module() -> None:
    """But for those that the others import."""
    inner = {"cookie-site", "page-events", "tabs", "token-site", "turns"}
    assert {name.removesuffix(".js") for name in table(GUIDE, "module")} == set(SHOWN) - inner


def test_guide_lists_every_error() -> None:
    http = code_of((PACKAGE / "static/lib/http.js").read_text())
    codes = set(re.findall(r'"(network_error|timed_out|cancelled|unexpected_answer|\w+_error)"', http))
    codes |= set(re.findall(r'"(storage_\w+)"', SHOWN["secure-storage"]))
    assert written("error code") == codes


def test_guide_lists_every_reason_and_state() -> None:
    source = SHOWN["session-manager"]
    states = re.search(r'@typedef \{("unknown".*?)\} State', source)
    reasons = re.search(r'reason: ("no_token".*?),', source)
    assert states
    assert reasons
    assert written("`state`") == set(re.findall(r'"(\w+)"', states[1]))
    assert written("`reason` of `validateSession`") == set(re.findall(r'"(\w+)"', reasons[1]))


def test_guide_lists_every_attribute() -> None:
    read = set(re.findall(r"documentElement\.dataset\.(\w+)", SHOWN["page-events"]))
    attributes = {"data-" + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", name) for name in read}
    assert set(table(GUIDE, "attribute")) == attributes


def test_no_page_of_the_package_loads_the_library() -> None:
    """So it costs no page a request, and its folder can be deleted."""
    templates = [*PACKAGE.rglob("*.html"), *(ROOT / "templates").rglob("*.html")]
    assert [path for path in templates if "browser_library" in path.read_text()] == []


def test_library_knows_the_sentence_of_a_sign_in() -> None:
    """With another one `createSession` would refuse the texts of a site with the usual settings."""
    (default,) = (each.default for each in fields(Settings) if each.name == "statement")
    assert f'const STATEMENT = "{default}";' in SHOWN["session-manager"]
