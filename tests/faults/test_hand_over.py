"""Two hundred rounds of each thing that can happen while the id of a session changes, and what they cost.

No acknowledged write may be lost, no user signed out, a thief who knows only the former id gets nothing, and what was
revoked stays dead. Run by `make faults`, which prints the counts.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from redis import Redis

from sessions_core.sign_in.accounts import Account, parse
from sessions_core.storage import scripts
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, SESSION_COOKIE, Visitor, Wallet, handle_of, together
from ..part_services import roles_of
from ..servers import free_port
from .history import Table
from .relay import PASS, RedisRelay, kill
from .site import make

ROUNDS = 200


class Answer(NamedTuple):
    status: int
    text: str
    cookie: str | None


class Person:
    """A user's browser: all tabs have one session cookie, and requests run at once or lose their answers."""

    def __init__(self, app: Flask, services: Services) -> None:
        self.wallet = Wallet()
        self.visitor = Visitor(app)
        self.session_id = self.visitor.sign_in(self.wallet)
        browser = self.visitor.client.get_cookie(BROWSER_COOKIE)
        assert browser
        self.browser = browser.value
        self.handle = handle_of(self.visitor)
        self.token = self.visitor.token("/session")
        self.account: Account = parse(self.wallet.account())
        self.written: list[str] = []
        self._app, self._services = app, services
        self._role = "member"
        self._numbers = iter(range(1000))

    def send(self, method: str, path: str, *, lost: bool = False, **form: str) -> Answer:
        """Send a request with the cookies of this moment; a lost answer changes no cookie."""
        tab = Visitor(self._app)
        tab.session_id = self.session_id
        tab.client.set_cookie(BROWSER_COOKIE, self.browser, secure=True)
        fields = {"csrf_token": self.token, **form}
        found = tab.json(path) if method == "GET" else tab.json(path, method, data=fields)
        new = re.search(rf"{SESSION_COOKIE}=([^;]+)", str(found.headers.getlist("Set-Cookie")))
        answer = Answer(found.status_code, found.get_data(as_text=True), new[1] if new else None)
        if answer.cookie and not lost:
            self.session_id = answer.cookie
        return answer

    def write(self) -> Answer:
        """Write one key, and note it if that was acknowledged."""
        key = f"key{next(self._numbers)}"
        answer = self.send("POST", f"/write/{key}")
        if answer.status == 200:
            self.written.append(key)
        return answer

    def change_role(self) -> None:
        """Make the next request meet another role, and with it a new id."""
        self._role = "admin" if self._role == "member" else "member"
        roles_of(self._services).assign(self.account, self._role)

    def judge(self) -> Counter[str]:
        """Look at what is left after the round."""
        found = self.send("GET", "/written")
        return Counter(
            {
                "rounds": 1,
                "writes": len(self.written),
                "signed out": int(found.status != 200),
                "lost writes": len([key for key in self.written if f'"{key}"' not in found.text]),
            }
        )


def steal(app: Flask, session_id: str, browser: str | None) -> int:
    """Try a session id without the browser cookie that goes with it; return how often that opened something."""
    thief = Visitor(app)
    got = 0
    for path in ("/page", "/written"):
        thief.session_id = session_id
        if browser:
            thief.client.set_cookie(BROWSER_COOKIE, browser, secure=True)
        answer = thief.json(path)
        got += answer.status_code == 200 or SESSION_COOKIE in str(answer.headers.getlist("Set-Cookie"))
    return got


@pytest.fixture(scope="module")
def table() -> Table:
    return Table()


@pytest.fixture
def app(redis: Redis, redis_url: str) -> Flask:
    # A loaded machine answers late; that has rounds of its own.
    return make(SESSIONS_CORE_REDIS_URL=redis_url, SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)


@pytest.fixture
def services(app: Flask) -> Services:
    found: Services = app.extensions["sessions_core"]
    return found


@pytest.fixture
def enter(app: Flask, services: Services) -> Callable[[], Person]:
    return lambda: Person(app, services)


def rounds(table: Table, name: str, enter: Callable[[], Person], play: Callable[[Person], Any]) -> None:
    """Play all rounds, each with a person of its own."""
    found: Counter[str] = Counter()
    for _ in range(ROUNDS):
        person = enter()
        more = play(person)
        found += person.judge()
        if isinstance(more, Counter):
            found.update(more)
    table.line(name, found)


def test_writes_in_flight_survive_a_rotation(table: Table, enter: Callable[[], Person]) -> None:
    def play(person: Person) -> None:
        def rotate() -> None:
            for _ in range(2):
                person.change_role()
                person.send("GET", "/page")

        together(rotate, *([lambda: [person.write() for _ in range(3)]] * 3))

    rounds(table, "writes in flight", enter, play)


def test_lost_answers_end_no_session(table: Table, enter: Callable[[], Person]) -> None:
    def play(person: Person) -> None:
        for _ in range(3):
            person.change_role()
            person.send("GET", "/page", lost=True)
            person.write()

    rounds(table, "lost answers", enter, play)


def test_eight_parallel_requests(table: Table, enter: Callable[[], Person]) -> None:
    def play(person: Person) -> Counter[str]:
        person.change_role()
        answers = together(*([lambda: person.send("GET", "/page")] * 6), person.write, person.write)
        ids = {answer.cookie for answer in answers if answer.cookie}
        refused = sum(answer.status != 200 for answer in answers)
        return Counter({"signed out": refused + (len(ids) != 1)})

    rounds(table, "eight parallel requests", enter, play)


def test_impatient_click(table: Table, enter: Callable[[], Person]) -> None:
    """The form that confirms is sent twice; the browser keeps the second answer only."""

    def play(person: Person) -> Counter[str]:
        visitor = person.visitor
        waits = visitor.post("/confirmed/pressed", data={"csrf_token": visitor.token("/session")})
        target, form = visitor.signed_form(person.wallet, waits)
        fields = {name: value for name, value in form.items() if name != "csrf_token"}
        person.token = form["csrf_token"]
        first = person.send("POST", target, lost=True, **fields)
        second = person.send("POST", target, **fields)
        person.written += ["pressed"] if first.status == 200 else []
        return Counter({"signed out": (first.status != 200) + (second.status == 401)})

    rounds(table, "impatient click", enter, play)


def test_thief_with_the_former_id(table: Table, enter: Callable[[], Person], app: Flask) -> None:
    stranger = Visitor(app)
    stranger.get("/sign-in")
    own = stranger.client.get_cookie(BROWSER_COOKIE)
    assert own

    def play(person: Person) -> Counter[str]:
        former = person.session_id
        person.change_role()
        person.send("GET", "/page", lost=True)
        got, *_ = together(
            lambda: steal(app, former, None) + steal(app, former, own.value),
            person.write,
            lambda: person.send("GET", "/page"),
        )
        return Counter({"thief in": int(got) + steal(app, former, None)})

    rounds(table, "thief with the former id", enter, play)


def test_revocation_in_the_middle(table: Table, enter: Callable[[], Person], services: Services) -> None:
    found: Counter[str] = Counter()
    for _ in range(ROUNDS):
        person = enter()
        former, begun = person.session_id, threading.Event()
        person.change_role()

        def write(person: Person = person, begun: threading.Event = begun) -> None:
            for _ in range(4):
                person.write()
                begun.set()

        def revoke(person: Person = person, begun: threading.Event = begun) -> None:
            assert begun.wait(20)
            services.lifecycle.revoke_handle(person.account, person.handle)

        together(lambda person=person: person.send("GET", "/page"), write, write, revoke)
        found["rounds"] += 1
        found["writes"] += len(person.written)
        for session_id in (former, person.session_id):
            person.session_id = session_id
            found["revoked alive"] += person.send("GET", "/page").status != 401
        found["revoked alive"] += len(services.repository.living(str(person.account)))
    table.line("revocation in the middle", found)


@pytest.fixture
def relay(redis_url: str, tmp_path: Path) -> Iterator[RedisRelay]:
    with RedisRelay(redis_url.removeprefix("unix://"), tmp_path, scripts.ROTATE) as relay:
        yield relay


def test_late_redis(table: Table, relay: RedisRelay, services: Services, enter: Callable[[], Person]) -> None:
    """Redis has moved the session, and its answer comes too late: 503, and the next request goes on."""
    slow = make(SESSIONS_CORE_REDIS_URL=f"unix://{relay.path}", SESSIONS_CORE_REDIS_TIMEOUT_MS=400)
    by_relay: Services = slow.extensions["sessions_core"]
    warm = Person(slow, by_relay)
    warm.change_role()
    assert warm.send("GET", "/page").status == 200

    def play(person: Person) -> Counter[str]:
        person.change_role()
        relay.armed.set()
        answer = person.send("GET", "/page")
        wrong = answer.status != 503
        person.write()
        return Counter({"signed out": int(wrong)})

    rounds(table, "late Redis", lambda: Person(slow, by_relay), play)
    assert relay.met == ROUNDS


def test_killed_worker(
    table: Table, relay: RedisRelay, services: Services, enter: Callable[[], Person], tmp_path: Path
) -> None:
    """The worker dies between Redis's answer and its own: a real server, and SIGKILL."""
    relay.on_answer = kill
    with Gunicorn(f"unix://{relay.path}", tmp_path) as ask:

        def play(person: Person) -> Counter[str]:
            person.change_role()
            relay.armed.set()
            died = ask(person) is None
            again = ask(person)
            person.write()
            return Counter({"signed out": int(not died) + int(again != 200)})

        warm = enter()
        warm.change_role()
        assert ask(warm) == 200
        rounds(table, "killed worker", enter, play)
    relay.on_answer = lambda pid: PASS
    assert relay.met == ROUNDS


class Gunicorn:
    """A server with one worker on this Redis; as a context, it returns what asks it for a person's page."""

    def __init__(self, redis_url: str, directory: Path) -> None:
        self._port = free_port()
        self._origin = "http://localhost:5000"
        command = [sys.executable, "-m", "gunicorn", "-c", "/dev/null", "--preload", "--workers", "1"]
        command += ["--worker-class", "gthread", "--threads", "4", "--bind", f"127.0.0.1:{self._port}"]
        command += ["--no-control-socket", "tests.faults.site:app"]
        environment = os.environ | {"FAULTS_REDIS_URL": redis_url}
        self._log = (directory / "gunicorn.log").open("w")
        self._process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)

    def __enter__(self) -> Callable[[Person], int | None]:
        return self._ask

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def _ask(self, person: Person) -> int | None:
        """Return the status of a person's page, or `None` if the connection broke. Waits for a worker to be there."""
        cookies = f"{SESSION_COOKIE}={person.session_id}; {BROWSER_COOKIE}={person.browser}"
        for _ in range(2000):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            try:
                connection.connect()
            except ConnectionRefusedError:
                threading.Event().wait(0.01)
                continue
            try:
                headers = {"Cookie": cookies, "Accept": "application/json", "Host": "localhost:5000"}
                connection.request("GET", "/page", headers=headers)
                response = connection.getresponse()
                response.read()
                new = re.search(rf"{SESSION_COOKIE}=([^;]+)", str(response.headers.get_all("Set-Cookie")))
                if new:
                    person.session_id = new[1]
                return response.status
            except (ConnectionError, http.client.HTTPException):
                return None
            finally:
                connection.close()
        raise AssertionError("no server")
