"""The documents say what the code says, and link to what is there."""

from __future__ import annotations

import re
import subprocess
from dataclasses import MISSING
from pathlib import Path

import pytest

from sessions_core import errors
from sessions_core.sessions import end_reasons
from sessions_core.settings import PREFIX

from . import claims
from .constants import ROOT
from .documented import table


def test_errors_md_lists_exactly_the_closed_set() -> None:
    written = {code: (cells[0], cells[1]) for code, cells in table("docs/errors.md", "code").items()}
    assert written == {code: (str(error.status), error.message) for code, error in errors.catalogue().items()}


def test_errors_md_lists_the_reasons_of_a_401() -> None:
    assert {reason: cells[1] for reason, cells in table("docs/errors.md", "reason").items()} == end_reasons.meanings()


def test_errors_md_lists_the_reasons_of_csrf_failed() -> None:
    assert {
        reason: cells[0] for reason, cells in table("docs/errors.md", "csrf reason").items()
    } == errors.CSRF_REASONS


def test_settings_md_lists_exactly_the_settings() -> None:
    fields = claims.settings()
    rows = table("docs/settings.md", "setting")
    ours = {f"{PREFIX}{name.upper()}" for name in fields if name != "secrets"}
    assert set(rows) == ours | {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}
    for name in ours:
        field = fields[name.removeprefix(PREFIX).lower()]
        default = field.default if field.default is not MISSING else field.default_factory()
        assert rows[name][0] == f"`{default!r}`", name


def test_events_md_names_every_event() -> None:
    text = (ROOT / "docs" / "events.md").read_text()
    known = {each.name for each in claims.event_classes()}
    assert {name for name in known if f"`{name}`" not in text} == set()
    assert set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)`", text, re.MULTILINE)) == known


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]*src=\"([^\"]+)\"", document.read_text()):
        path = target[0] or target[1]
        if not path.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / path).exists(), path


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_every_anchor_that_a_document_names_exists(document: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#\s:]*\.md)?#([^)\s]+)\)", document.read_text()):
        assert anchor in anchors(document.parent / path if path else document), f"{path}#{anchor}"


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_readme_has_at_most_700_words() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 700


# What the example of a part consists of, and what a browser asks for.
NOT_HERE = {"announcement.py", "templates/announcement.html", "../../../static/lib/bytes.js"}


# CHANGES.md names files that are gone.
@pytest.mark.parametrize("document", sorted({*documents()} - {ROOT / "CHANGES.md"}), ids=lambda path: path.name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    """As a path from the root, from the package, or the end of one: `lifecycle.py`, `parts/roles/admin.py`."""
    paths = [f"/{path.relative_to(ROOT)}" for path in tracked()]
    named = set(re.findall(r"`([\w./-]+\.(?:py|js|lua|html|css|toml))`", document.read_text())) - NOT_HERE
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in paths)] == []


def test_the_map_names_every_folder() -> None:
    """Of the package, and of the repository's root. A folder with an element's scripts goes with the element."""
    linked = {
        (ROOT / "docs" / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)\)", (ROOT / "docs" / "map.md").read_text())
    }
    assert all(path.exists() for path in linked)
    package = ROOT / "sessions_core"
    folders = {path.parent for path in tracked() if path.is_relative_to(package)}
    within = {"static", "elements", "templates"}  # of a part, or of an element: their folder names say it
    folders = {path for path in folders if path.parent.name not in within and path.name not in within}
    folders |= {ROOT / path.relative_to(ROOT).parts[0] for path in tracked() if path.parent != ROOT}
    hidden = {path for path in folders if path.name.startswith(".")}
    assert {str(path.relative_to(ROOT)) for path in folders - linked - hidden} == set()


def test_the_readme_s_application_is_the_example() -> None:
    example = (ROOT / "examples" / "minimal" / "app.py").read_text()
    assert f"```python\n{example}```" in (ROOT / "README.md").read_text()
    assert len(example.splitlines()) - example.count("\n\n\n") <= 14


def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name.decode() for name in done.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


# Written so that this file does not hold what it looks for.
REGISTRIES = "pypi[.]org|pythonhosted[.]org|registry[.]npmjs|registry[.]yarnpkg|--index[-]url[ =]"
MACHINES = r"(?<![\w.~$}/*)-])/(?:home|Users|work|root)[/][\w.]"


def test_no_file_holds_a_registry_or_a_local_path() -> None:
    pattern = re.compile(f"{REGISTRIES}|{MACHINES}")
    for example in ("https://pypi" + ".org/simple", 'open("/ho' + 'me/me/x")', "cd /wo" + "rk/main"):
        assert pattern.search(example)
    assert not pattern.search("static/home/x, https://example.org/home/x")
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []
    assert len(tracked()) > 80
