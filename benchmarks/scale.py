"""How the time and memory of requests and commands grow with the number of sessions.

Fills a private Redis with sessions as a sign-in stores them, a batch at a time, and measures at each size. Prints a
Markdown table. Run with `make scale`, or name the sizes: `python -m benchmarks.scale 1000 100000 1000000`. A million
sessions take some minutes, and about 1.5 GB of memory and 3 GB of disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from flask import Flask
from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from sessions_core import WalletSessions, current_account, signed_in
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.devices.recent_sign_ins import note_client
from sessions_core.parts.operations import Operations
from sessions_core.parts.roles import Roles
from sessions_core.sessions.record import CSRF_KEY, AccountValues, LoadedSession, SessionRecord
from sessions_core.sign_in import accounts
from sessions_core.storage import scripts
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.scripts import Script
from sessions_core.web.request_client import Client
from sessions_core.web.services import Services

from .request import caller
from .subjects import ORIGIN, SECRET

SIZES = (1_000, 100_000)
BATCH = 500  # sessions stored in one round trip
SAMPLE = 2_000  # sessions that requests are made with
REQUESTS = 4_000
VERIFIED = 2_000  # accounts on the administration page
URL = "SCALE_REDIS_URL"  # the variable that tells the commands where Redis is

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def create_app() -> Flask:
    """Return the application that is measured; commands find it by this name."""
    app = Flask("scale")
    app.config.update(
        SECRET_KEY=SECRET,
        SESSIONS_CORE_DEVELOPMENT=True,
        SESSIONS_CORE_REDIS_URL=os.environ[URL],
        SESSIONS_CORE_PUBLIC_ORIGIN=ORIGIN,
        SESSIONS_CORE_REDIS_TIMEOUT_MS=5000,
    )
    WalletSessions(app)

    @app.get("/")
    @signed_in
    def home() -> str:
        return f"hello {current_account.address}"

    return app


class Server:
    """A private Redis with an append-only file, that can be started again."""

    def __init__(self, directory: Path) -> None:
        self.url = f"unix://{directory}/redis.sock"
        self._command = [embedded.binary(), "--port", "0", "--unixsocket", f"{directory}/redis.sock"]
        self._command += ["--dir", str(directory), "--appendonly", "yes", "--save", "", "--logfile", "redis.log"]
        self._command += ["--auto-aof-rewrite-percentage", "0"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; return the seconds until it has loaded its file."""
        began = time.perf_counter()
        self._process = subprocess.Popen(self._command)
        with Redis.from_url(self.url) as client:
            while True:
                with contextlib.suppress(BusyLoadingError, RedisError):
                    client.ping()
                    return time.perf_counter() - began
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop it, with its file written."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class Batch(RedisConnection):
    """Collects the scripts that store sessions, and runs them in one round trip."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._calls: list[tuple[Sequence[str], Sequence[Any]]] = []

    def run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Note a call; it displaces no session."""
        self._calls.append((keys, arguments))
        return []

    def flush(self) -> None:
        """Run what was noted."""
        if 0 in self._connection.run_each(scripts.CREATE, self._calls):
            raise RuntimeError("a session was not stored")
        self._calls.clear()


def fill(services: Services, first: int, last: int) -> list[LoadedSession]:
    """Store the sessions with these numbers, each of an account of its own; return some of them."""
    batch, repository = Batch(services.connection), copy(services.repository)
    repository._connection = batch
    standard, kept = services.policy.standard, list[LoadedSession]()
    step = max(1, (last - first) // SAMPLE)
    for begin in range(first, last, BATCH):
        now = services.repository.time()
        for number in range(begin, min(begin + BATCH, last)):
            account = f"eip155:1:0x{number:040d}"  # without letters, so it is its own checksum
            record = SessionRecord(
                handle=repository.new_handle(standard.handle_prefix, account),
                account=account,
                session_type=standard.name,
                wallet="MetaMask",
                data={CSRF_KEY: secrets.token_hex(32)},
            )
            note_client(record, Client("192.0.2.1", "Firefox on Linux", AGENT))
            values = AccountValues(repository.account_keys(account), now, 0, 0, {"news": None})
            live = repository.create(record, standard.idle_seconds, standard.absolute_seconds, values)
            if number % step == 0:
                kept.append(live)
        batch.flush()
    return kept


def quantiles(call: Callable[[int], object], count: int) -> tuple[float, float]:
    """Return median and 99th percentile of so many calls, in milliseconds."""
    taken = []
    for number in range(count):
        began = time.perf_counter()
        call(number)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


class Ran:
    """A command in a process of its own: seconds to its `first` line, and what it cost in all."""

    def __init__(self, *command: str) -> None:
        words = [sys.executable, "-m", "flask", "--app", "benchmarks.scale", "sessions", *command]
        began = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            self.first = 0.0
            for _ in process.stdout or ():
                self.first = self.first or time.perf_counter() - began
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        whole = time.perf_counter() - began
        memory, processor = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
        self.cost = f"{whole:.1f} s ({processor:.1f} s of processor time), {memory:.0f} MB"


@contextlib.contextmanager
def round_trips(connection: RedisConnection) -> Iterator[list[float]]:
    """Collect the exchanges with Redis."""
    before, exchanges = connection.observe, list[float]()
    connection.observe = exchanges.append
    yield exchanges
    connection.observe = before


def measure(app: Flask, sample: list[LoadedSession], size: int) -> dict[str, str]:
    """Return what is measured at one size."""
    services: Services = app.extensions["sessions_core"]
    redis = Redis.from_url(os.environ[URL])
    cookie = services.store.cookie_name
    calls = [caller(app, {"Cookie": f"{cookie}={live.id}"}) for live in sample]
    for call in calls:  # its first request moves the idle end of a session that was stored over a minute ago
        call()
    before, began = redis.info("stats")["total_commands_processed"], time.perf_counter()
    median, slowest = quantiles(lambda number: calls[number % len(calls)](), REQUESTS)
    elapsed = time.perf_counter() - began
    commands = (redis.info("stats")["total_commands_processed"] - before) / elapsed
    row = {
        "request, p50 / p99": f"{median:.2f} / {slowest:.2f} ms",
        "Redis commands a second, one client": f"{commands:,.0f}",
        "Redis memory": f"{redis.info('memory')['used_memory'] / 2**20:,.0f} MB",
    }

    boss = accounts.parse(f"eip155:1:0x{'9' * 40}")
    services.part(Roles).roles.assign(boss, "admin")
    values = services.repository.account_values(str(boss))
    privilege = services.privileges(str(boss), values, services.account_status(str(boss), values)) or ""
    live = services.lifecycle.start(boss, services.policy.standard, privilege=privilege)
    admin = caller(app, {"Cookie": f"{cookie}={live.id}"}, "/admin")
    admin()
    with round_trips(services.connection) as exchanges:
        admin()
    row[f"/admin, {VERIFIED:,} verified accounts"] = f"{quantiles(lambda _: admin(), 20)[0]:.0f} ms"
    row["its round trips"] = str(len(exchanges))

    counter = services.part(Operations).session_count
    redis.delete(f"{services.settings.redis_prefix}census:due")
    took = time.perf_counter()
    counted = counter.latest() or 0
    took = (time.perf_counter() - took) * 1000
    exact = sum(1 for _ in services.connection.scan(services.repository.pattern("session:*")))
    row["live count"] = f"{took:.0f} ms, off by {abs(counted - exact) / exact * 100:.1f} %"

    runner = app.test_cli_runner()

    def show(number: int) -> None:
        result = runner.invoke(args=["sessions", "show", sample[number].record.handle])
        if result.exit_code:
            raise RuntimeError(result.output)

    row["`sessions show HANDLE`, p50"] = f"{quantiles(show, 20)[0]:.1f} ms"
    listed = Ran("list", "--json")
    row["`sessions list --json`, first line"] = f"{listed.first:.2f} s"
    row["`sessions list --json`, all of it"] = listed.cost
    row["`sessions sweep`"] = Ran("sweep", "--force").cost
    redis.close()
    return row


def loading(server: Server) -> dict[str, str]:
    """Return how long Redis takes to load its append-only file, as it was written and after it was rewritten."""
    server.stop()
    written = server.start()
    with Redis.from_url(server.url) as redis:
        redis.bgrewriteaof()
        while redis.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)
        size = redis.info("persistence")["aof_base_size"] / 2**20
    server.stop()
    rewritten = server.start()
    return {
        "loading the append-only file, as written": f"{written:.1f} s",
        "loading it after BGREWRITEAOF": f"{rewritten:.1f} s ({size:,.0f} MB)",
    }


def main() -> int:
    """Fill, measure and print."""
    sizes = sorted({int(word) for word in sys.argv[1:]} or set(SIZES))
    if sizes[0] < 1:
        raise SystemExit("A size is a number of sessions, 1 or more.")
    with tempfile.TemporaryDirectory(prefix="scale") as directory:
        server = Server(Path(directory))
        server.start()
        os.environ[URL] = server.url
        try:
            columns = _columns(server, sizes)
        finally:
            server.stop()
    names = list(dict.fromkeys(name for column in columns for name in column))
    print("| sessions |", " | ".join(f"{size:,}" for size in sizes), "|")
    print("| --- |" + " --- |" * len(sizes))
    for name in names:
        print(f"| {name} |", " | ".join(column.get(name, "") for column in columns), "|")
    return 0


def _columns(server: Server, sizes: list[int]) -> list[dict[str, str]]:
    logging.disable(logging.INFO)  # the log of thousands of events
    app = create_app()
    services: Services = app.extensions["sessions_core"]
    for number in range(VERIFIED):  # none of those that have a session
        account = accounts.parse(f"eip155:1:0x1{number:039d}")
        services.part(Roles).roles.verify(account, f"lic_{number}", "full", 365)
    columns, filled = [], 0
    for size in sizes:
        began = time.perf_counter()
        sample = fill(services, filled, size)
        print(f"{size - filled:,} sessions stored in {time.perf_counter() - began:.1f} s", file=sys.stderr)
        filled = size
        columns.append(measure(app, sample, size))
        print(columns[-1], file=sys.stderr)
    columns[-1] |= loading(server)
    return columns


if __name__ == "__main__":
    sys.exit(main())
