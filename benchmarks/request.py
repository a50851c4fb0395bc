"""What a request of a signed-in user costs: this package against what else an application could use.

Run with `make bench`. It prints Markdown, and ends with 0 only if every target is met that could be measured.

1. Each WSGI application is called directly, in one process and one thread.
2. Each is served by gunicorn with two workers of sixteen threads (on Node.js: by two processes), and wrk asks.
3. Users sign in to the demo, served with the settings of `gunicorn.conf.py`.
4. The demo starts and answers once.

All share one private Redis, and all subjects of a step take turns in rounds. The best round of each counts: whatever
else the machine does only makes a round slower. The ratios compare, seconds of two runs or machines don't.

wrk and the rivals are optional; what is left out is told. Flask-Login and Django are used if they can be imported.
Those on Node.js are used from a folder that `--node` or BENCHMARK_NODE names, after this command in it:

    npm install express express-session connect-redis redis better-auth
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from redis import Redis
from werkzeug.test import EnvironBuilder

from sessions_core.parts.development_redis import embedded

from . import servers, sign_ins, start_up
from .subjects import ORIGIN, SUBJECTS, Headers, Subject, Wsgi

Ready = Mapping[str, tuple[Wsgi, Headers]]
"""Each WSGI application, and the headers of a user who is signed in to it."""
Best = Mapping[str, float]
"""The best round of each subject."""


class Target(NamedTuple):
    """What was measured of one claim, and what it must reach."""

    claim: str
    measured: float
    bound: float
    unit: str = ""
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether the measured number is on the right side of the bound."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        unit = self.unit and f" {self.unit}"
        measured, bound = (f"{number:.0f}" if number >= 10 else f"{number:.2f}" for number in self[1:3])
        return f"{'met' if self.met else 'MISSED'}: {self.claim}: {measured}{unit} (target: {word} {bound}{unit})"


# -- The steps ---------------------------------------------------------------------------------------------------


def direct(ready: Ready, rounds: int, calls: int) -> dict[str, float]:
    """Return the microseconds of one call, for each WSGI application."""
    callers = {name: caller(app, headers) for name, (app, headers) in ready.items()}
    measured: dict[str, list[float]] = {name: [] for name in callers}
    for number in range(rounds + 1):
        for name, call in callers.items():
            began = time.perf_counter()
            for _ in range(calls):
                call()
            if number:  # the first round only warms up
                measured[name].append((time.perf_counter() - began) / calls * 1e6)
    return {name: min(rounds) for name, rounds in measured.items()}


def served(
    subjects: Sequence[Subject], ready: Ready, redis: str, packages: Path | None, rounds: int, seconds: int
) -> dict[str, float]:
    """Return the requests per second that wrk counts, for each subject."""
    measured: dict[str, list[float]] = {each.name: [] for each in subjects}
    with contextlib.ExitStack() as running:
        asked = {}
        for each in subjects:
            origin = running.enter_context(servers.serve(each, redis, packages))
            asked[each.name] = origin, ready[each.name][1] if each.app else each.served_credentials(origin)
        for number in range(rounds + 1):
            for name, (origin, headers) in asked.items():
                load = servers.wrk(origin, seconds, headers)
                if load.refused or load.broken:
                    raise RuntimeError(f"{name} did not answer every request: {load}")
                if number:
                    measured[name].append(load.per_second)
    return {name: max(rounds) for name, rounds in measured.items()}


def caller(app: Wsgi, headers: Headers, path: str = "/") -> Callable[[], None]:
    """Return a function that makes one GET with these headers and throws the answer away."""
    environ = EnvironBuilder(path=path, base_url=ORIGIN, headers=headers).get_environ()
    environ["REMOTE_ADDR"] = "127.0.0.1"
    seen: list[str] = []

    def call() -> None:
        seen.clear()
        answer = app(dict(environ), lambda status, headers, exc_info=None: seen.append(status))
        body = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if seen != ["200 OK"] or not body:
            raise RuntimeError(f"{app}: {seen}")

    return call


# -- What they say -----------------------------------------------------------------------------------------------


def speed(direct: Best, served: Best) -> list[Target]:
    """Return the targets of a request."""
    found = [
        Target("WSGI called directly, times as fast as Flask-Session", direct["stock"] / direct["ours"], 2.0),
        Target("WSGI called directly, times as fast as the floor", direct["floor"] / direct["ours"], 1.0),
        Target("a session token, times as long as a cookie", direct["bearer"] / direct["ours"], 1.25, at_least=False),
    ]
    if served:
        found.append(
            Target("gunicorn and wrk, times as fast as Flask-Session", served["ours"] / served["stock"], 1.35)
        )
    return found


def table(subjects: Sequence[Subject], direct: Best, served: Best) -> str:
    """Return the Markdown table of all subjects."""
    lines = [
        "| one signed-in `GET` | ours is … as fast, called directly | … served, with wrk | µs, called directly "
        "| requests a second, served | what it does not do |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for each in subjects:
        times = microseconds = ""
        if each.name in direct:
            times = f"{direct[each.name] / direct['ours']:.2f} times"
            microseconds = f"{direct[each.name]:.0f}"
        under_load = per_second = ""
        if each.name in served:
            under_load = f"{served['ours'] / served[each.name]:.2f} times"
            per_second = f"{served[each.name]:.0f}"
        cells = (each.title, times, under_load, microseconds, per_second, each.lacks)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine(redis: str, packages: Path | None) -> str:
    """Return the date, the machine and the versions, as one sentence."""
    client = Redis.from_url(redis)
    server = client.info("server")["redis_version"]
    client.close()
    found = [f"Python {platform.python_version()}", f"Redis {server}"]
    found += [f"{name} {version(name)}" for name in ("gunicorn", "flask-session")]
    if packages:
        node = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
        found.append(f"Node.js {node.strip().removeprefix('v')}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    today = datetime.date.today().isoformat()
    return f"Measured on {today}, {cores} cores ({platform.machine()}), {', '.join(found)}."


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare the cost of a request, and say which targets are met.")
    folder = os.environ.get("BENCHMARK_NODE") or None
    parser.add_argument("--node", type=Path, default=folder, help="a folder with the packages of Node.js")
    parser.add_argument("--rounds", type=int, default=80, help="of direct calls; an eighth as many of the rest")
    parser.add_argument("--calls", type=int, default=100, help="in a round of direct calls")
    parser.add_argument("--seconds", type=int, default=1, help="of wrk for each subject in a round")
    return parser.parse_args()


def choose(packages: Path | None, wrk: bool) -> list[Subject]:
    """Return the subjects that are installed; say on standard error which are not."""
    chosen = []
    for each in SUBJECTS:
        if not each.script:
            installed = each.importable
        else:
            has_packages = packages and all((packages / "node_modules" / name).is_dir() for name in each.needs)
            installed = bool(wrk and has_packages and shutil.which("node"))
        if installed:
            chosen.append(each)
        else:
            needed = ", ".join((*each.needs, *(("node", "wrk") if each.script else ())))
            print(f"Left out: {each.title} (needs {needed})", file=sys.stderr)
    return chosen


def main() -> int:
    """Measure, print Markdown, and return 0 only if every target is met that could be measured."""
    logging.disable(logging.WARNING)
    options = arguments()
    fewer = max(options.rounds // 8, 1)
    wrk = shutil.which("wrk") is not None
    packages = options.node.resolve() if options.node else None
    subjects = choose(packages, wrk)
    with tempfile.TemporaryDirectory() as directory:
        server = embedded.start(Path(directory))
        try:
            apps = {each: each.app(server.url) for each in subjects if each.app}
            ready = {each.name: (app, each.credentials(app)) for each, app in apps.items()}
            called = direct(ready, options.rounds, options.calls)
            loads = served(subjects, ready, server.url, packages, fewer, options.seconds) if wrk else {}
            targets = speed(called, loads)
            if wrk:
                per_second = max(sign_ins.measure(server.url, fewer))
                targets.append(Target("sign-ins", per_second, 1000, "a second"))
            demo, libraries = (min(each) for each in start_up.measure(server.url, fewer))
            claim = f"from start to first answer, where importing the libraries takes {libraries:.2f} s"
            targets.append(Target(claim, demo, 0.3, "s", at_least=False))
            print(machine(server.url, packages), table(subjects, called, loads), sep="\n\n", end="\n\n")
        finally:
            server.stop()
    print("\n".join(f"- {target}" for target in targets))
    if not wrk:
        print("Not measured without wrk: gunicorn, and sign-ins.", file=sys.stderr)
    return 0 if all(target.met for target in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
