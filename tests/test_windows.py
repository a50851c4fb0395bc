"""What runs on Windows: everything but the private Redis of development, which says so.

Simulated: a process in which what Python has on POSIX systems alone can't be imported or is not there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

_WINDOWS = """
import importlib.util, os, socket, sys

GONE = {"fcntl", "pwd", "grp", "resource", "termios", "posix_ipc"}

class Windows:
    def find_spec(self, name, path=None, target=None):
        if name in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in GONE else find_spec(name, package)
for name in GONE:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Windows())
for name in ("fork", "forkpty", "register_at_fork", "getuid", "geteuid", "getgid", "uname", "O_NONBLOCK"):
    if hasattr(os, name):
        delattr(os, name)
"""

_APP = """
from flask import Flask
import sessions_core
from sessions_core import WalletSessions, public

app = Flask("app", root_path=sys.argv[1], instance_path=sys.argv[1] + "/instance")
app.config.from_prefixed_env()
try:
    WalletSessions(app)
except sessions_core.Misconfigured as refusal:
    sys.exit(f"refused: {refusal}")
answer = app.test_client().get("/sign-in", base_url=app.config["SESSIONS_CORE_PUBLIC_ORIGIN"])
print(answer.status_code, "Sign in" in answer.text, "fcntl" in sys.modules)
"""


@pytest.fixture(scope="module")
def libraries() -> str:
    """Imports of the libraries, which would have their own branches on Windows."""
    return "import flask, flask_session, flask_wtf, redis, eth_account, cryptography, joserfc, msgspec\n"


def _run(folder: Path, libraries: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": str(ROOT)} | {f"FLASK_{name}": text for name, text in settings.items()}
    command = [sys.executable, "-c", libraries + _WINDOWS + _APP, str(folder)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_production_needs_nothing_that_windows_lacks(tmp_path: Path, libraries: str, redis_url: str) -> None:
    run = _run(
        tmp_path,
        libraries,
        SECRET_KEY=os.urandom(32).hex(),
        SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org",
        SESSIONS_CORE_REDIS_URL=redis_url,
        SESSIONS_CORE_REDIS_PREFIX="windows:",
    )
    assert (run.stdout, run.returncode) == ("200 True False\n", 0), run.stderr


def test_development_works_with_a_redis_url(tmp_path: Path, libraries: str, redis_url: str) -> None:
    """The generated secret is written without the lock that Windows lacks."""
    settings = {"SESSIONS_CORE_DEVELOPMENT": "true", "SESSIONS_CORE_PUBLIC_ORIGIN": "http://localhost:5000"}
    run = _run(tmp_path, libraries, **settings, SESSIONS_CORE_REDIS_URL=redis_url)
    assert (run.stdout, run.returncode) == ("200 True False\n", 0), run.stderr
    assert len((tmp_path / "instance" / "secret_key").read_text()) >= 32


def test_private_redis_names_the_setting_that_helps(tmp_path: Path, libraries: str) -> None:
    settings = {"SESSIONS_CORE_DEVELOPMENT": "true", "SESSIONS_CORE_PUBLIC_ORIGIN": "http://localhost:5000"}
    run = _run(tmp_path, libraries, **settings)
    assert run.returncode == 1
    assert "refused: The private Redis server of development needs Linux or macOS" in run.stderr
    assert 'app.config["SESSIONS_CORE_REDIS_URL"] = "redis://' in run.stderr


_COPY = """
from pathlib import Path
from click.testing import CliRunner
from sessions_core.parts.copying import commands

del os.sync
for name in ("copy", "upgrade"):
    parts = "ethereum" if name == "copy" else "solana"
    done = CliRunner().invoke(getattr(commands, name), [sys.argv[1], "--parts", parts])
    assert done.exit_code == 0, done.output
print(*sorted(each.name for each in Path(sys.argv[1], "sessions_core/parts").iterdir() if each.is_dir()))
"""


def test_copies_and_upgrades_run_without_a_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WINDOWS + _COPY, str(tmp_path)]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (run.stdout, run.returncode) == ("solana\n", 0), run.stderr
