"""The house: imports point one way, parts are on top, and only some modules know Flask, Redis and each other."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from sessions_core import part

from .constants import ROOT

PACKAGE = ROOT / "sessions_core"

# What stands in a row may import its own row and those above. docs/design.md, "Imports point one way". Above all of
# these are the parts, each of which may import everything here, and the parts that it names.
ROWS = (
    ("errors", "events"),
    ("sign_in",),
    ("settings",),
    ("storage",),
    ("access",),
    ("sessions",),
    ("part",),
    ("web",),
    ("extension", "__init__", "__main__"),
)
ROW_OF = {name: number for number, row in enumerate(ROWS) for name in row}
FILES = sorted(PACKAGE.rglob("*.py"))
# For tests of applications: no application loads it, and it may be deleted like a part.
KIT = [path for path in FILES if path.is_relative_to(PACKAGE / "testing")]
KERNEL = [path for path in FILES if "parts" not in path.relative_to(PACKAGE).parts and path not in KIT]
PARTS = {each.name: each for each in part.choose(None)}

# The kernel with Ethereum is what a team has to read before it owns it. The aim is 5,500 lines in 48 files; until
# then these numbers only go down.
MOST_LINES, MOST_FILES = 10_625, 66


def module_of(path: Path) -> tuple[str, ...]:
    """`("web", "guards")` of `sessions_core/web/guards.py`, `("web",)` of `sessions_core/web/__init__.py`."""
    names = path.relative_to(PACKAGE).with_suffix("").parts
    return names[:-1] if names[-1] == "__init__" and len(names) > 1 else names


def imports_of(path: Path, source: str | None = None) -> list[tuple[str, ...]]:
    """Every module that a file imports when it runs, wherever in it; ours begin with `sessions_core`."""
    package = ("sessions_core", *path.relative_to(PACKAGE).parts[:-1])
    found: list[tuple[str, ...]] = []
    for node in _running(ast.parse(path.read_text() if source is None else source)):
        if isinstance(node, ast.Import):
            found += [tuple(name.name.split(".")) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            # `from . import events` names a module, `from .events import Event` what is in one.
            found += [(*base, name.name) if is_module((*base, name.name)) else base for name in node.names]
    return found


def _running(tree: ast.AST) -> list[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`, which no program runs."""
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return [node for node in ast.walk(tree) if node not in skipped]


def is_module(name: tuple[str, ...]) -> bool:
    place = PACKAGE.parent.joinpath(*name)
    return name[0] == "sessions_core" and (place.is_dir() or place.with_suffix(".py").is_file())


def ours(path: Path) -> set[tuple[str, ...]]:
    """The modules of the package that a file imports, without `sessions_core` in front."""
    return {name[1:] or ("__init__",) for name in imports_of(path) if name[0] == "sessions_core"}


def part_of(path: Path) -> str | None:
    names = module_of(path)
    return names[1] if names[0] == "parts" and len(names) > 1 else None


def test_table_names_every_room_of_the_kernel() -> None:
    assert sorted({module_of(path)[0] for path in KERNEL}) == sorted(ROW_OF)


def test_reader_of_imports_sees_every_form() -> None:
    source = (
        "import redis.client\nfrom flask import request\ndef late():\n    from .. import events\n"
        "    from ..web.guards import guard\n    from . import guards\n    from ..errors import NotFound\n"
        "if TYPE_CHECKING:\n    from ..extension import WalletSessions\n"
    )
    assert imports_of(PACKAGE / "web" / "pages.py", source) == [
        ("redis", "client"),
        ("flask",),
        ("sessions_core", "events"),
        ("sessions_core", "web", "guards"),
        ("sessions_core", "web", "guards"),
        ("sessions_core", "errors"),
    ]


@pytest.mark.parametrize("path", KERNEL, ids=lambda path: ".".join(module_of(path)))
def test_imports_of_the_kernel_point_one_way(path: Path) -> None:
    own = module_of(path)[0]
    # The folder itself, which lists its parts, is no part.
    rooms = {name[0] for name in ours(path) if name != ("parts",)} - {own}
    assert {room for room in rooms if ROW_OF.get(room, len(ROWS)) > ROW_OF[own]} == set()


@pytest.mark.parametrize(
    "path", [path for path in FILES if part_of(path)], ids=lambda path: ".".join(module_of(path))
)
def test_part_imports_only_the_parts_it_names(path: Path) -> None:
    own = PARTS[str(part_of(path))]
    named = {own.name, *own.needs, *own.uses}
    assert {name[1] for name in ours(path) if name[0] == "parts" and len(name) > 1} - named == set()


def test_nothing_imports_the_kit_for_tests() -> None:
    """So no application loads it, and its folder can be deleted."""
    assert [path for path in FILES if path not in KIT and any(name[:1] == ("testing",) for name in ours(path))] == []


def test_kit_for_tests_imports_no_part() -> None:
    """It looks for them when it needs them, so that each can be deleted."""
    assert {name for path in KIT for name in ours(path) if name[0] == "parts" and len(name) > 1} == set()


def test_no_two_modules_import_each_other() -> None:
    graph = {module_of(path): {name for name in ours(path) if name != module_of(path)} for path in KERNEL}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("name", sorted(PARTS))
def test_kernel_names_no_part(name: str) -> None:
    """Neither in code nor in words. Ordinary words, and one of EIP-4361, count where only the part can be meant."""
    words = [name, name.replace("_", " "), name.replace("_", "-")]
    if name in ("activity", "api", "command_line", "copying", "devices", "ethereum", "operations", "roles"):
        words = [f"parts/{name}", f"parts.{name}", f"sessions_{name}"]
    pattern = re.compile("|".join(rf"(?<![\w-]){re.escape(word)}(?![\w-])" for word in words), re.IGNORECASE)
    texts = [*KERNEL, *(PACKAGE / "templates").rglob("*.html"), *(PACKAGE / "static").rglob("*.*")]
    found = {
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    }
    assert sorted(found) == []


def test_kernel_with_ethereum_does_not_grow() -> None:
    files = [*KERNEL, *(path for path in FILES if part_of(path) == "ethereum")]
    lines = sum(len(path.read_text().splitlines()) for path in files)
    assert (lines <= MOST_LINES, len(files) <= MOST_FILES) == (True, True), f"{lines} lines in {len(files)} files"


def test_only_storage_knows_redis_py() -> None:
    knowing = {module_of(path)[0] for path in KERNEL for name in imports_of(path) if name[0] in ("redis", "hiredis")}
    assert knowing == {"storage"}


def test_only_flask_session_knows_flask_session() -> None:
    knowing = {module_of(path) for path in FILES for name in imports_of(path) if name[0] == "flask_session"}
    assert knowing == {("sessions", "flask_session")}


def test_nothing_below_web_reads_the_request_of_flask() -> None:
    globals_of_flask = {"request", "session", "g", "current_app", "request_ctx", "app_ctx"}
    for path in KERNEL:
        if ROW_OF[module_of(path)[0]] >= ROW_OF["web"]:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flask"):
                assert {name.name for name in node.names} & globals_of_flask == set(), path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "flask":
                assert node.attr not in globals_of_flask, path


@pytest.mark.parametrize("room", ["errors", "events", "sign_in", "settings", "access"])
def test_rules_know_neither_flask_nor_redis(room: str) -> None:
    web = {"flask", "flask_session", "flask_wtf", "werkzeug", "redis", "hiredis"}
    for path in KERNEL:
        if module_of(path)[0] == room:
            assert {name[0] for name in imports_of(path)} & web == set(), path


def test_api_client_is_one_file_without_the_package() -> None:
    """Adopters copy it alone."""
    client = ROOT / "examples" / "client" / "client.py"
    names = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(client.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
    }
    assert {name for name in names if name and name.startswith(("sessions_core", "flask"))} == set()


def test_package_never_imports_the_application() -> None:
    for path in FILES:
        assert {name[0] for name in imports_of(path)} & {"app", "config", "tests"} == set(), path


def test_there_is_no_pickle_anywhere() -> None:
    forbidden = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
    for path in FILES:
        assert {name[0] for name in imports_of(path)} & forbidden == set(), path
