"""What README promises to copiers: three folders beside twelve lines, and people can sign in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .constants import ROOT

_SIGN_IN = """
import sys
sys.path.append({root!r})  # for the actors only; the folder's own sessions_core comes first
import app, sessions_core
from tests.actors import Visitor, Wallet
assert sessions_core.__file__.startswith({folder!r}), sessions_core.__file__
visitor, wallet = Visitor(app.app), Wallet()
assert visitor.get("/").status_code == 303
visitor.sign_in(wallet)
assert visitor.get("/").get_data(as_text=True) == "Hello " + wallet.address
assert visitor.get("/session").status_code == 200
assert visitor.sign_out().status_code == 303
assert visitor.get("/").status_code == 303
print("signed in and out")
"""


def test_minimal_app_works_with_the_three_copied_folders(tmp_path: Path) -> None:
    """A wallet signs in and out."""
    for folder in ("sessions_core", "templates/sessions", "static/sessions"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "examples/minimal/app.py", tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", _SIGN_IN.format(root=str(ROOT), folder=str(tmp_path))],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout == "signed in and out\n", run.stderr
