"""Runs gunicorn and Node.js, and measures them with wrk."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .subjects import ORIGIN, SECRET, Headers, Subject

ROOT = Path(__file__).parents[1]
RIVALS = Path(__file__).parent / "rivals"
PATIENCE = 20.0  # seconds that a server may take to start
CONNECTIONS = 16  # of wrk: as many as a worker of gunicorn has threads


class Load(NamedTuple):
    """What wrk counted."""

    per_second: float
    refused: int
    """Answers that were neither 2xx nor 3xx."""
    broken: int
    """Connections that failed, and answers that did not come."""


def wrk(origin: str, seconds: int, headers: Headers, *arguments: str, **environment: str) -> Load:
    """Return what wrk counts in this many seconds; `arguments` are further ones of wrk."""
    lines = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    host = ORIGIN.removeprefix("http://")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", f"Host: {host}", *lines, *arguments, origin]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment)
    per_second = re.search(r"Requests/sec: +([\d.]+)", run.stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", run.stdout)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", run.stdout)
    assert per_second, run.stdout
    return Load(
        float(per_second[1]), int(refused[1]) if refused else 0, sum(map(int, broken.groups())) if broken else 0
    )


@contextlib.contextmanager
def gunicorn(*arguments: str, **environment: str) -> Iterator[str]:
    """Run gunicorn with these arguments, and yield its origin."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "error", *arguments]
    # In an empty folder, since gunicorn reads `gunicorn.conf.py` where it starts.
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with _running(command, port, folder, {"PYTHONPATH": paths} | environment) as origin:
            yield origin


@contextlib.contextmanager
def serve(subject: Subject, redis: str, packages: Path | None) -> Iterator[str]:
    """Serve a subject with two processes, and yield its origin; `packages` is the folder of Node.js."""
    if subject.script:
        assert packages is not None
        with _node(subject, redis, packages) as origin:
            yield origin
    else:
        ways = ("--workers", "2", "--threads", "16", "--worker-class", "gthread", "--no-control-socket")
        named = {"BENCHMARK_SUBJECT": subject.name, "BENCHMARK_REDIS": redis}
        with gunicorn(*ways, "benchmarks.subjects:served()", **named) as origin:
            yield origin


@contextlib.contextmanager
def _node(subject: Subject, redis: str, packages: Path) -> Iterator[str]:
    port = _free_port()
    environment = {
        "PORT": str(port),
        "NODE_ENV": "production",
        "BENCHMARK_REDIS": redis.removeprefix("unix://"),
        "BENCHMARK_SECRET": SECRET,
    }
    with tempfile.TemporaryDirectory() as folder:  # Node.js looks for packages beside the script
        shutil.copy(RIVALS / subject.script, folder)
        (Path(folder) / "node_modules").symlink_to(packages / "node_modules")
        with _running(["node", subject.script], port, folder, environment) as origin:
            yield origin


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: str, environment: Mapping[str, str]) -> Iterator[str]:
    origin = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + PATIENCE
            while not _answers(origin):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise RuntimeError(f"{' '.join(command)} did not start: {output.read()}")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            yield origin
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _answers(origin: str) -> bool:
    request = urllib.request.Request(f"{origin}/", headers={"Host": ORIGIN.removeprefix("http://")})
    try:
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True  # a refusal is an answer: nobody is signed in yet
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
