"""Applications that leave one part out, and what is imported then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable

from flask import Flask

from sessions_core import part

from ..constants import ROOT, SECRET

_PROGRAM = """
import json, sys
from app import create_app
redis_url, secret, parts = json.loads(sys.argv[1])
config = {"SECRET_KEY": secret, "SESSIONS_CORE_REDIS_URL": redis_url, "SESSIONS_CORE_REDIS_TIMEOUT_MS": 5000}
app = create_app(config, parts=parts)
assert app.test_client().get("/sign-in").status_code == 200
print(json.dumps(sorted(sys.modules)))
"""


def all_but(name: str) -> list[str]:
    """Return the names of all parts without one."""
    return [each for each in part.available() if each != name]


def without(make_app: Callable[..., Flask], name: str) -> Flask:
    """Make an application with all parts without one."""
    return make_app({"parts": all_but(name)})


def commands(app: Flask) -> set[str]:
    """Return the commands of an application, as `group name`."""
    groups = app.cli.commands.items()
    return {f"{group} {name}" for group, each in groups for name in getattr(each, "commands", {})}


def imported(redis_url: str, parts: Iterable[str]) -> set[str]:
    """Return the modules that a process has imported which serves these parts."""
    arguments = json.dumps([redis_url, SECRET, list(parts)])
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return set(json.loads(done.stdout.splitlines()[-1]))
