"""The example of an application that exists: as it was before wallet sign-in, and with the diff that adds it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from ..adopters import run
from ..constants import ROOT
from ..documented import blocks

EXAMPLE = ROOT / "examples" / "existing_app"
DIFF = EXAMPLE / "wallet_sign_in.diff"


@pytest.fixture
def after(tmp_path: Path) -> Path:
    """A copy of the example."""
    copied = tmp_path / "after"
    shutil.copytree(EXAMPLE, copied, ignore=shutil.ignore_patterns("__pycache__", "instance"))
    return copied


@pytest.fixture
def before(after: Path, tmp_path: Path) -> Path:
    """The example without the diff."""
    copied = tmp_path / "before"
    shutil.copytree(after, copied)
    apply(copied, "-R")
    return copied


def apply(folder: Path, *options: str) -> None:
    subprocess.run(["git", "apply", *options, str(DIFF)], cwd=folder, check=True, capture_output=True)


def counted(folder: Path, path: str) -> int:
    """Run tests and return how many passed. Files that the test client uploads stay open, so warnings pass."""
    done = run(folder, "-W", "default", path)
    found = re.search(r"^(\d+) passed\b(?!.*failed)", done.stdout, re.M)
    assert found, done.stdout + done.stderr
    return int(found[1])


def test_app_works_before_wallet_sign_in(before: Path) -> None:
    texts = "".join(path.read_text() for path in [*before.rglob("shop/*.py"), *before.rglob("*.html")])
    assert "sessions_core" not in texts
    assert "wallet" not in texts.lower()
    assert counted(before, "tests/test_shop.py") == 16


def test_app_works_with_both_logins(after: Path) -> None:
    """What the shop could do before, and what is new, with the kit's plugin."""
    assert counted(after, "tests") > 40


def test_diff_leads_from_before_to_after(before: Path, after: Path) -> None:
    apply(before)
    for path in [each for each in after.rglob("*") if each.is_file()]:
        assert (before / path.relative_to(after)).read_bytes() == path.read_bytes(), path.name


def test_diff_is_of_the_size_of_a_commit() -> None:
    added = [line for line in DIFF.read_text().splitlines() if re.match(r"\+(?!\+\+)", line)]
    assert len(added) < 100


def test_documented_diff_is_that_of_the_example() -> None:
    """The Python of the application, as `git apply` takes it."""
    files = re.split(r"^(?=diff --git)", DIFF.read_text(), flags=re.M)
    python = [each for each in files if re.match(r"diff --git a/shop/\w+\.py ", each)]
    assert blocks("integrate.md", "An example", "diff") == ["".join(python)]


def test_its_tests_need_the_kit_alone() -> None:
    imported = set()
    for path in (EXAMPLE / "tests").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {each.name for each in node.names}
    assert {name for name in imported if "sessions_core" in str(name)} == {"sessions_core.testing"}


def test_translations_are_compiled() -> None:
    folder = EXAMPLE / "shop/translations/de/LC_MESSAGES"
    with (folder / "messages.po").open("rb") as words, (folder / "messages.mo").open("rb") as compiled:
        written, found = read_po(words), read_mo(compiled)
    assert {each.id: each.string for each in written if each.id} == {
        each.id: each.string for each in found if each.id
    }
