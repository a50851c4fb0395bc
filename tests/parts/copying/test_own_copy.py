"""A team's whole way: copy an old version, edit it, upgrade to this one, and sign in over HTTP."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from sessions_core.parts.copying import package
from sessions_core.parts.copying.package import Package

from ...actors import Wallet
from ...constants import ROOT
from ...processes import Running
from .projects import NAME, Project, commit, git, run, tree

APP = """\
import os

from flask import Flask

app = Flask(__name__)
app.config["SESSIONS_CORE_REDIS_URL"] = {redis_url!r}
app.config["SESSIONS_CORE_PUBLIC_ORIGIN"] = "http://localhost:" + os.environ["PORT"]
{lines}

@app.get("/")
@signed_in
def home():
    return f"Hello {{current_account.address}}"


app.run(host="localhost", port=int(os.environ["PORT"]))
"""

# What the old version said, and what this one says.
OLDER = {
    "templates/sessions/status.html": ("Your session{% endtrans %}", "Session{% endtrans %}"),
    "templates/sessions/sign_in.html": (
        "{% else %}{% trans %}Sign in{% endtrans %}",
        "{% else %}{% trans %}Enter{% endtrans %}",
    ),
    "errors.py": ('"""The closed set of refusals', '"""The set of refusals'),
}
# What the team edits: three templates and a module, two of them where the new version has edits, too.
EDITS = {
    "templates/sessions/status.html": ('<div class="stack stack--loose">', '<div class="stack stack--loose shop">'),
    "templates/sessions/sign_in.html": (
        "{% trans %}Sign in with your wallet{% endtrans %}</h1>",
        "Welcome to the shop</h1>",
    ),
    "templates/sessions/signed_out.html": (">{% trans %}Sign in again{% endtrans %}</a>", ">Back to the shop</a>"),
    "errors.py": ("Sign in with your wallet to use this page.", "Sign in to the shop to use this page."),
}


def edit(folder: Path, path: str, old: str, new: str) -> None:
    text = (folder / path).read_text(encoding="utf-8")
    assert old in text, path
    (folder / path).write_text(text.replace(old, new), encoding="utf-8")


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m sessions_core` with the package in a folder."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [sys.executable, "-m", "sessions_core", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the version before: 0.0.9."""
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(ROOT / NAME, folder / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    for path, (new, older) in OLDER.items():
        edit(folder / NAME, path, new, older)
    edit(folder / NAME, "parts/copying/package.py", f'VERSION = "{package.VERSION}"', 'VERSION = "0.0.9"')
    (folder / NAME / "web/former.py").write_text('"""A module that the new version does not have."""\n')
    (folder / NAME / "static/lib/bytes.js").unlink()
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project's folder, in which `start_server` starts the application."""
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


def printed_lines(said: str) -> str:
    block = said.partition("Add to your app:\n\n")[2].partition("\n\nEach route")[0]
    return re.sub(r"^ {4}", "", block, flags=re.M)


def test_edited_copy_is_upgraded_and_signs_in(
    old: Path, checkout: Path, redis_url: str, start_server: Callable[..., Running]
) -> None:
    copied = python(old, "copy", str(checkout), "--parts", "ethereum,devices,development_redis")
    assert copied.returncode == 0, copied.stderr
    (checkout / "app.py").write_text(APP.format(redis_url=redis_url, lines=printed_lines(copied.stdout)))
    (checkout / ".gitignore").write_text("/instance/\n__pycache__/\n")
    commit(checkout)
    shop = Project(checkout)
    for path, (ours, edited) in EDITS.items():
        edit(shop.copy, path, ours, edited)
    commit(checkout)

    status = python(ROOT, "status", str(checkout))
    assert status.returncode == 0, status.stderr
    assert {path for path in EDITS if f"edited   {path}\n" in status.stdout} == set(EDITS)
    assert {path for path in OLDER if f"changed  {path}  (edited here, too)\n" in status.stdout} == set(OLDER)
    assert "added    static/lib/bytes.js\n" in status.stdout
    assert "removed  web/former.py\n" in status.stdout

    upgraded = python(ROOT, "upgrade", str(checkout))
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert "from version 0.0.9 to" in upgraded.stdout
    expected = Package().files(("devices", "development_redis", "ethereum"))
    for path, (ours, edited) in EDITS.items():
        expected[path] = expected[path].replace(ours.encode(), edited.encode())
    assert {
        path.removeprefix(f"{NAME}/"): content
        for path, (_, content) in tree(checkout).items()
        if path.startswith(f"{NAME}/") and isinstance(content, bytes) and "/.upstream/" not in path
    } == expected
    assert git(checkout, "status", "--porcelain", "--", ".", f":!{NAME}") == ""
    commit(checkout)

    server = start_server([sys.executable, "app.py"], "Running on http://localhost:{port}")
    page = server.ask("GET", "/sign-in")[2].decode()
    assert "Welcome to the shop</h1>" in page
    assert "<title>Sign in" in page
    wallet = Wallet()
    cookies = {"Cookie": server.sign_in(wallet)}
    assert server.ask("GET", "/", headers=cookies)[2].decode() == f"Hello {wallet.address}"
    page = server.ask("GET", "/session", headers=cookies)[2].decode()
    assert 'class="stack stack--loose shop"' in page
    assert "<title>Your session" in page
    refused = server.ask("GET", "/", headers={"Accept": "application/json"})[2].decode()
    assert "Sign in to the shop to use this page." in refused


def test_copy_has_no_commands_and_says_where_they_are(old: Path, tmp_path: Path) -> None:
    assert python(old, "copy", str(tmp_path)).returncode == 0
    assert not (tmp_path / NAME / "parts/copying").exists()
    done = python(tmp_path, "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("This copy of sessions_core has no commands. Run them in the checkout")


def test_copy_without_a_redis_of_its_own_names_the_setting(old: Path, tmp_path: Path) -> None:
    said = python(old, "copy", str(tmp_path), "--parts", "roles,ethereum").stdout
    assert 'app.config["SESSIONS_CORE_REDIS_URL"] = ' in printed_lines(said)
    assert "and the parts devices, ethereum, roles.\n" in said
    assert '"ua-parser>=1.0.1"' in said
    assert "prometheus" not in said


def test_version_and_libraries_are_those_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == package.VERSION
    assert tuple(project["dependencies"]) == package.KERNEL_LIBRARIES


def test_packages_to_install_are_named_once() -> None:
    names = [each.partition(">=")[0] for each in package.requirements(package.known_parts())]
    assert len(names) == len(set(names))
    assert {"flask", "pynacl", "segno"} <= set(names)


def test_command_without_a_name_lists_the_three() -> None:
    done = python(ROOT)
    assert re.findall(r"^  (copy|status|upgrade) ", done.stdout + done.stderr, re.M) == ["copy", "status", "upgrade"]


def test_commands_of_the_page_run_as_written(tmp_path: Path) -> None:
    """Those of docs/copying.md, one after another, in the place of the reader's own folders."""
    (tmp_path / "shop").mkdir()
    text = (ROOT / "docs/copying.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\S*python (?:-P )?-m sessions_core (.+)$", text, re.M)
    assert [line.split()[0] for line in lines] == ["copy", "status", "upgrade", "upgrade", "status"]
    for line in lines:
        words = [re.sub(r"^(\.\./shop|\.)$", str(tmp_path / "shop"), word) for word in line.split()]
        done = run(words[0], *words[1:])
        assert done.exit_code == 0, (line, done.output)


def test_copy_goes_into_a_repository_with_other_edits(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("# the application\n")
    commit(tmp_path)
    (tmp_path / "app.py").write_text("# edited\n")
    assert run("copy", tmp_path, "--parts", "ethereum").exit_code == 0
