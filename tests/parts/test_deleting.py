"""Each part deleted in turn from a copy of the project: what is left works, and nothing of the part is left over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessions_core import part

from ..constants import ROOT

PARTS = {each.name: each for each in part.choose(None)}
SHARED = {"eth_account", "eth_keys", "Crypto", "coincurve"}  # of several parts, Ethereum among them


def copied(tmp_path: Path, without: set[str]) -> Path:
    """Copy what an adopter has, without some parts."""
    for name in ("app.py", "config.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("templates", "static", "tour", "examples", "sessions_core"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests/parts").mkdir(parents=True)
    for name in ("__init__.py", "actors.py", "parts/__init__.py", "parts/walk.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests" / name)
    for name in without:
        shutil.rmtree(tmp_path / "sessions_core/parts" / name)
    return tmp_path


def walked(folder: Path, redis_url: str) -> dict[str, Any]:
    """Run `walk` in a copy; return what it found."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.parts.walk", redis_url],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def needing(name: str) -> set[str]:
    """Return a part and every part that can't be without it."""
    found = {name}
    while more := {each.name for each in PARTS.values() if found & set(each.needs)} - found:
        found |= more
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, redis_server: str) -> dict[str, Any]:
    return walked(copied(tmp_path_factory.mktemp("whole"), set()), redis_server)


def test_whole_demo_has_every_part_and_no_dead_link(whole: dict[str, Any]) -> None:
    assert whole["parts"] == sorted(PARTS)
    assert whole["dead"] == []
    assert len(whole["pages"]) > 15


@pytest.mark.parametrize("without", [*sorted(set(PARTS) - {"ethereum"}), "all but ethereum"])
def test_part_can_be_deleted(tmp_path: Path, redis_server: str, whole: dict[str, Any], without: str) -> None:
    """The app starts, a user signs in and out over HTTP, every remaining page renders, and no link is dead. No
    command, OpenAPI path or library of the part is left.
    """
    gone = set(PARTS) - {"ethereum"} if without == "all but ethereum" else needing(without)
    found = walked(copied(tmp_path, gone), redis_server)
    assert found["parts"] == sorted(set(PARTS) - gone)
    assert (found["signed_in"], found["signed_out"], found["dead"]) == (True, True, [])
    assert set(found["commands"]) <= set(whole["commands"])
    assert set(found["openapi"]) <= set(whole["openapi"])
    kept = {library for name, each in PARTS.items() if name not in gone for library in each.libraries}
    libraries = {library for name in gone for library in PARTS[name].libraries} - kept - SHARED
    assert libraries & set(found["modules"]) == set()


def test_kit_for_tests_can_be_deleted(tmp_path: Path, redis_server: str, whole: dict[str, Any]) -> None:
    folder = copied(tmp_path, set())
    shutil.rmtree(folder / "sessions_core/testing")
    found = walked(folder, redis_server)
    assert found["pages"].keys() == whole["pages"].keys()
    assert {**found, "pages": None} == {**whole, "pages": None}


def test_kernel_needs_no_library_of_a_part(tmp_path: Path, redis_server: str) -> None:
    """With Ethereum alone none of these is imported, so none has to be installed."""
    found = walked(copied(tmp_path, set(PARTS) - {"ethereum"}), redis_server)
    optional = {"nacl", "prometheus_client", "segno", "humanize", "ua_parser", "joserfc", "pyblst"}
    assert optional & set(found["modules"]) == set()
