"""A test's name is a claim that can be read at a glance; details belong in its docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
LONGEST = 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def names_by_scope(source: str) -> Iterator[list[str]]:
    """Yield the names of the test functions in each module, class and function body of a source text."""
    for scope in ast.walk(ast.parse(source)):
        if isinstance(scope, (ast.Module, ast.ClassDef, *FUNCTIONS)):
            yield [each.name for each in scope.body if isinstance(each, FUNCTIONS) and each.name.startswith("test_")]


@cache
def scopes() -> list[tuple[str, list[str]]]:
    """Return the path and the test names of each scope in each file below `tests/`."""
    files = sorted(path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)
    return [
        (path.relative_to(TESTS).as_posix(), names)
        for path in files
        for names in names_by_scope(path.read_text("utf-8"))
        if names
    ]


def test_reader_finds_functions_methods_and_coroutines() -> None:
    source = "def test_a(): ...\nclass TestB:\n    async def test_c(self): ...\ndef helper(): ...\n"
    assert [names for names in names_by_scope(source) if names] == [["test_a"], ["test_c"]]


def test_no_test_name_is_longer_than_60_characters() -> None:
    """Parametrised ids do not count."""
    assert sum(len(names) for _, names in scopes()) > 1000, "the tests were not found"
    assert [f"{path}: {name}" for path, names in scopes() for name in names if len(name) > LONGEST] == []


def test_no_test_replaces_another_of_the_same_name() -> None:
    """Python keeps only the last function of a name, so pytest would never run the first."""
    repeated = [f"{path}: {name}" for path, names in scopes() for name in sorted(set(names)) if names.count(name) > 1]
    assert repeated == []
