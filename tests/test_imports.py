"""The house: imports point one way, and only some rooms know Flask, Redis and each other."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .constants import ROOT

PACKAGE = ROOT / "sessions_core"

# What stands in a row may import its own row and those above. docs/design.md, "Imports point one way".
ROWS = (
    ("errors", "client", "session_data"),
    ("encodings", "curves", "canisters", "accounts", "settings", "sealing", "keyfile"),
    ("messages", "standing", "person", "news", "policy", "actions", "events", "clients", "wallet_apps"),
    ("redis_url", "nodes", "cluster", "sentinel", "connection", "replies"),
    ("embedded", "scripts", "server_checks", "records", "directory", "people", "shares", "janitor", "rpc", "chains"),
    ("servers", "census", "rate_limits"),
    ("signing_keys", "tokens", "cookies", "store"),
    ("challenges", "lifecycle", "refresh"),
    ("audit", "metrics", "readiness"),
    ("web",),
    ("extension",),
    ("__init__",),
)
DOMAIN = tuple(module for row in ROWS[:3] for module in row)
KNOWS_REDIS = ("cluster", "connection", "nodes", "redis_url", "sentinel", "server_checks")
KNOWS_FLASK_SESSION = ("store",)

ROW_OF = {module: number for number, row in enumerate(ROWS) for module in row}
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> tuple[str, ...]:
    """`("web", "guards")` of `sessions_core/web/guards.py`, `("web",)` of `sessions_core/web/__init__.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def imports_of(path: Path, source: str | None = None) -> list[tuple[str, ...]]:
    """Every module that a file imports, wherever it does; those of the package begin with `sessions_core`."""
    package = ("sessions_core", *path.relative_to(PACKAGE).parts[:-1])
    found: list[tuple[str, ...]] = []
    for node in ast.walk(ast.parse(path.read_text() if source is None else source)):
        if isinstance(node, ast.Import):
            found += [tuple(name.name.split(".")) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            # `from . import events` names a module, `from .events import Event` what is in one.
            found += [(*base, name.name) if is_module((*base, name.name)) else base for name in node.names]
    return found


def is_module(name: tuple[str, ...]) -> bool:
    place = PACKAGE.parent.joinpath(*name)
    return name[0] == "sessions_core" and (place.is_dir() or place.with_suffix(".py").is_file())


def rooms(path: Path) -> set[str]:
    """The top-level modules of the package that a file imports."""
    own = module_of(path)[0]
    names = {name[1] if len(name) > 1 else "__init__" for name in imports_of(path) if name[0] == "sessions_core"}
    return names - {own}


def test_the_table_names_every_file_and_no_other() -> None:
    assert sorted({module_of(path)[0] for path in FILES}) == sorted(ROW_OF)


def test_the_reader_of_imports_sees_every_form() -> None:
    source = (
        "import redis.client\nfrom flask import request\ndef late():\n    from .. import events\n"
        "    from ..web.guards import guard\n    from . import view\n    from ..errors import NotFound\n"
    )
    assert imports_of(PACKAGE / "web" / "api.py", source) == [
        ("redis", "client"),
        ("flask",),
        ("sessions_core", "events"),
        ("sessions_core", "web", "guards"),
        ("sessions_core", "web", "view"),
        ("sessions_core", "errors"),
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: ".".join(module_of(path)))
def test_imports_point_one_way(path: Path) -> None:
    own = module_of(path)[0]
    assert {room for room in rooms(path) if ROW_OF[room] > ROW_OF[own]} == set()


def test_no_two_modules_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(module_of(path)[0], set()).update(rooms(path))
    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("name", DOMAIN)
def test_the_domain_knows_neither_flask_nor_redis(name: str) -> None:
    libraries = {imported[0] for imported in imports_of(PACKAGE / f"{name}.py")}
    assert libraries & {"flask", "flask_session", "flask_wtf", "werkzeug", "redis", "hiredis"} == set()


def test_only_the_connection_knows_redis_py() -> None:
    knowing = {module_of(path)[0] for path in FILES for name in imports_of(path) if name[0] in ("redis", "hiredis")}
    assert knowing == set(KNOWS_REDIS)


def test_only_the_store_knows_flask_session() -> None:
    knowing = {module_of(path)[0] for path in FILES for name in imports_of(path) if name[0] == "flask_session"}
    assert knowing == set(KNOWS_FLASK_SESSION)


def test_nothing_above_web_reads_the_request_of_flask() -> None:
    globals_of_flask = {"request", "session", "g", "current_app", "request_ctx", "app_ctx"}
    for path in FILES:
        if ROW_OF[module_of(path)[0]] >= ROW_OF["web"]:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flask"):
                assert {name.name for name in node.names} & globals_of_flask == set(), path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "flask":
                assert node.attr not in globals_of_flask, path


def test_client_module_is_independent_of_the_package() -> None:
    """Adopters copy it alone."""
    assert rooms(PACKAGE / "client.py") == set()
    assert [module_of(path) for path in FILES if ("sessions_core", "client") in imports_of(path)] == []


def test_chains_never_import_each_other() -> None:
    for path in (PACKAGE / "chains").glob("*.py"):
        if path.name != "__init__.py":
            chains = {name for name in imports_of(path) if name[:2] == ("sessions_core", "chains")}
            assert chains == set(), path


@pytest.mark.parametrize("name", ["encodings", "curves", "canisters"])
def test_shared_chain_modules_import_no_accounts(name: str) -> None:
    assert rooms(PACKAGE / f"{name}.py") <= {"errors"}


def test_the_package_never_imports_the_application() -> None:
    for path in FILES:
        assert {name[0] for name in imports_of(path)} & {"app", "config", "tests"} == set(), path


def test_there_is_no_pickle_anywhere() -> None:
    forbidden = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
    for path in FILES:
        assert {name[0] for name in imports_of(path)} & forbidden == set(), path
