"""What accounts cost in Redis: bytes for each kind of key, after each of many accounts has signed in once.

Starts every session through the package, with all its parts and real encrypted records, in a private Redis of its
own. `MEMORY USAGE` is what Redis estimates for one key, the mean of a sample. `freed` is what `used_memory` loses for
each key when all keys of the kind are deleted: it includes the key's entry among those that expire. Redis's tables of
keys are the rest. Run with `make memory`, or `python -m benchmarks.memory 1000000`.
"""

from __future__ import annotations

import logging
import random
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eth_utils import to_checksum_address
from flask import Flask
from redis import Redis

from sessions_core import WalletSessions
from sessions_core.parts.development_redis import embedded
from sessions_core.sign_in import accounts
from sessions_core.sign_in.challenges import Signed

ACCOUNTS, SAMPLE = 100_000, 200
ORIGIN = "http://localhost:5000"
SECRET = "a benchmark secret of 32 characters or more 0123456789"
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
)


def application(url: str, many: int) -> Flask:
    """Return an application with every part, whose budget is large enough to keep the activity of all accounts."""
    app = Flask("memory")
    app.config.update(
        SECRET_KEY=SECRET,
        SESSIONS_CORE_DEVELOPMENT=True,
        SESSIONS_CORE_REDIS_URL=url,
        SESSIONS_CORE_PUBLIC_ORIGIN=ORIGIN,
        SESSIONS_CORE_ACTIVITY_BUDGET=max(1000, 5 * many),
    )
    WalletSessions(app)
    return app


def sign_in(app: Flask, chance: random.Random) -> None:
    """Start one session of a new account, as a sign-in does once the signature is verified."""
    services: Any = app.extensions["sessions_core"]
    account = accounts.parse(f"eip155:1:{to_checksum_address(chance.randbytes(20))}")
    client = {
        "REMOTE_ADDR": ".".join(str(chance.randrange(1, 255)) for _ in range(4)),
        "HTTP_USER_AGENT": chance.choice(AGENTS),
    }

    def prepare(record: Any) -> None:
        for add in services.hooks("on_sign_in"):
            add(Signed(account), record, True)

    with app.test_request_context("/", environ_overrides=client):
        values = services.repository.account_values(str(account))
        status = services.account_status(str(account), values)
        services.lifecycle.start(
            account,
            services.policy.standard,
            wallet="MetaMask",
            privilege=services.privileges(str(account), values, status) or "",
            browser=chance.randbytes(32).hex(),
            account_values=values,
            prepare=prepare,
        )


def kind_of(key: bytes) -> str:
    """Return what a key is called in docs/operations.md."""
    name = key.decode().removeprefix("sessions_core:")
    return re.sub(r":session:[\w-]+$", ":session:<digest>", re.sub(r"^\{[\w=-]{12}\}", "{tag}", name))


def used(redis: Redis) -> int:
    """Return how many bytes Redis has allocated, once tables that were growing have grown."""
    before = -1
    while (now := int(redis.info("memory")["used_memory_dataset"])) != before:
        before = now
    return int(redis.info("memory")["used_memory"])


def table(redis: Redis, kinds: dict[str, list[bytes]], many: int) -> Iterator[str]:
    """Yield the rows of the table, and delete all keys meanwhile."""
    yield "| kind of key | type | keys | `MEMORY USAGE` | freed | for each account |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for kind, keys in sorted(kinds.items()):
        sample = random.sample(keys, min(SAMPLE, len(keys)))
        estimate = statistics.mean(int(redis.memory_usage(key, samples=0) or 0) for key in sample)
        form = redis.type(keys[0]).decode()
        before = used(redis)
        for start in range(0, len(keys), 1000):
            redis.delete(*keys[start : start + 1000])
        freed = before - used(redis)
        numbers = (len(keys), estimate, freed / len(keys), freed / many)
        yield f"| `{kind}` | {form} | " + " | ".join(f"{each:,.0f}" for each in numbers) + " |"


def main(many: int) -> None:
    """Fill, measure and print."""
    logging.disable()  # one line for each sign-in
    with tempfile.TemporaryDirectory() as directory:
        server = embedded.start(Path(directory))
        redis = Redis.from_url(server.url)
        redis.config_set("appendonly", "no")
        app, chance = application(server.url, many), random.Random(1)
        sign_in(app, chance)  # so that Redis knows the scripts
        redis.flushall()
        began, empty = time.monotonic(), used(redis)
        for _ in range(many):
            sign_in(app, chance)
        took, full = time.monotonic() - began, used(redis)
        kinds = defaultdict(list)
        for key in redis.scan_iter(count=1000):
            kinds[kind_of(key)].append(key)
        version, allocator = redis.info("server")["redis_version"], redis.info("memory")["mem_allocator"]
        print(f"{many:,} accounts signed in once: Redis {version} with {allocator} allocated")
        print(f"{(full - empty) / many:,.0f} bytes for each. A sign-in took {took / many * 1000:.2f} ms.\n")
        print("\n".join(table(redis, kinds, many)))
        redis.close()
        server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ACCOUNTS)
