"""How long a process takes from its first line to its first answer, against what its libraries alone take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from .servers import ROOT
from .subjects import SECRET

_CLOCK = "import time; began = time.perf_counter()\n"
_TOLD = "\nprint(time.perf_counter() - began)"
LIBRARIES = "import flask, flask_session, flask_wtf, redis, cryptography.hazmat.primitives.ciphers.aead"
DEMO = """
import app
answer = app.create_app().test_client().get("/", base_url="http://localhost:5000")
assert answer.status_code == 200, answer.status
"""


def measure(redis: str, rounds: int) -> tuple[list[float], list[float]]:
    """Return seconds of the demo, and of importing its libraries, for each round.

    Not the first start of an installation: that one compiles the modules.
    """
    demo, libraries = [], []
    with tempfile.TemporaryDirectory() as compiled:
        environment = {
            "REDIS_URL": redis,
            "SESSION_SECRET": SECRET,
            "DEVELOPMENT": "1",
            "PYTHONPYCACHEPREFIX": compiled,
            "PYTHONDONTWRITEBYTECODE": "",
        }
        _seconds(DEMO, environment)
        for _ in range(rounds):
            demo.append(_seconds(DEMO, environment))
            libraries.append(_seconds(LIBRARIES, environment))
    return demo, libraries


def _seconds(code: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-c", _CLOCK + code + _TOLD]
    run = subprocess.run(
        command, check=True, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return float(run.stdout.splitlines()[-1])
