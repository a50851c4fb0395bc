"""How the tests are put together: what several test modules use is in a module of its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from .constants import ROOT

MODULES = sorted(path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts)


def imported(code: str) -> Iterator[str]:
    """Yield each dotted name that the code imports, in functions and in the scripts that it runs as well."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^\s*(?:from|import) (tests[.\w]*)", node.value, re.M)


def of_tests(code: str) -> list[str]:
    """Return the names that the code imports from a test module."""
    return [name for name in imported(code) if any(part.startswith("test_") for part in name.split("."))]


@pytest.mark.parametrize(
    "code",
    [
        "from .test_a import b",
        "from ..test_a import b",
        "from . import test_a",
        "import TESTS.browser.test_a",
        "from TESTS.test_a import *",
        "def f():\n    from .browser.test_a import b",
        'script = """\nfrom TESTS.test_a import *\n"""',
    ],
)
def test_import_of_a_test_module_is_noticed(code: str) -> None:
    code = code.replace("TESTS", "tests")  # the other test reads this module, too
    assert len(of_tests(code)) == 1


def test_no_module_imports_a_test_module() -> None:
    """What it uses would move, change or vanish with tests of another subject."""
    assert len(MODULES) > 100
    found = {str(path.relative_to(ROOT)): of_tests(path.read_text(encoding="utf-8")) for path in MODULES}
    assert {path: names for path, names in found.items() if names} == {}
