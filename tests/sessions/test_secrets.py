"""Nothing secret leaves: a whole life, failures included, and then every log, event and answer is searched for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import msgspec
import pytest
from flask import Flask, request
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events, fresh_required
from sessions_core.parts.activity import Activity
from sessions_core.parts.development_redis import embedded
from sessions_core.sign_in import messages
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, Visitor, Wallet
from ..constants import SECRET
from ..logs import everything_logged
from ..part_services import roles_of
from ..time_machine import Clock, TimeMachine


class Recorder(Visitor):
    """A visitor who keeps every answer, and notes every secret that passed."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self.answers: list[tuple[str, str]] = []
        self.secrets: dict[str, str] = {}
        self.used: dict[str, str] = {}

    def get(self, path: str, **options: Any) -> TestResponse:
        return self._kept("GET", path, super().get(path, **options))

    def post(self, path: str, **options: Any) -> TestResponse:
        form = options.get("data")
        if isinstance(form, dict):
            for name in ("signature", "challenge", "csrf_token"):
                if len(form.get(name, "")) > 20:
                    self.used[form[name]] = name
        return self._kept("POST", path, super().post(path, **options))

    def challenge(self, account: str) -> dict[str, str]:
        challenge = super().challenge(account)
        self.used[messages.read(challenge["message"]).nonce] = "nonce"
        return challenge

    def _kept(self, method: str, path: str, response: TestResponse) -> TestResponse:
        headers = "\n".join(f"{name}: {value}" for name, value in response.headers if name != "Set-Cookie")
        self.answers.append((f"{method} {path}", f"{headers}\n\n{response.get_data(as_text=True)}"))
        for name in (SESSION_COOKIE, BROWSER_COOKIE):
            cookie = self.client.get_cookie(name)
            if cookie is not None:
                self.secrets[cookie.value] = name
                self.secrets[cookie.value[-43:]] = f"the random part of {name}"
        return response


def live(recorder: Recorder, wallet: Wallet, pass_time: Callable[[float], None]) -> None:
    """Sign in, fail in every way, stay, switch, expire, sign out."""
    recorder.sign_in(wallet, remember="1", next="/session")
    recorder.get("/session")
    recorder.get("/")
    recorder.get("/nothing")
    recorder.json("/api/auth/sessions/validate")
    token = recorder.token("/session")
    recorder.used[token] = "csrf_token"
    recorder.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": token})
    recorder.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": token + "x"})
    recorder.sign_in(Wallet())
    recorder.post("/sign-out", data={"csrf_token": token})
    recorder.sign_out()
    recorder.get("/session")
    challenge = recorder.challenge(wallet.account())
    recorder.attempt(wallet, challenge, signature=Wallet().sign(challenge["message"]))
    recorder.attempt(wallet, challenge)
    recorder.attempt(wallet, recorder.challenge(wallet.account()), signature="0x" + "ab" * 65)
    recorder.attempt(wallet, challenge | {"message": challenge["message"].replace("1", "2")})
    recorder.attempt(wallet, challenge | {"challenge": challenge["challenge"][:-5]})
    recorder.post("/sign-in", data=challenge | {"signature": wallet.sign(challenge["message"])})
    recorder.sign_in(wallet)
    pass_time(1801)
    recorder.get("/session")
    recorder.json("/api/auth/sessions/validate")
    recorder.sign_in(wallet)
    recorder.session_id = recorder.session_id[:-1] + ("A" if recorder.session_id[-1] != "A" else "B")
    recorder.get("/session")
    recorder.json("/api/auth/sessions/validate")


def search(recorder: Recorder, logged: list[str], happened: list[events.Event]) -> None:
    assert len(recorder.secrets) >= 8
    assert set(recorder.used.values()) == {"nonce", "signature", "challenge", "csrf_token"}
    assert len(recorder.answers) > 40
    assert len(happened) > 10
    assert any("session.created" in line for line in logged)
    secrets = recorder.secrets | {SECRET: "SECRET_KEY"}
    written = [("log", line) for line in logged] + [("event", repr(event)) for event in happened]
    for where, text in [*written, *recorder.answers]:
        for secret, name in secrets.items():
            assert secret not in text, f"{name} in {where}"
            assert secret not in unquote(text), f"{name} in {where}"
    for where, text in written:
        for secret, name in recorder.used.items():
            assert secret not in text, f"{name} in {where}"
    for where, text in recorder.answers:
        for secret, name in recorder.used.items():
            # The answer to a challenge holds the nonce and the challenge, the page of a form its token; nothing else.
            allowed = {"nonce": "POST /api/auth/challenges", "challenge": "POST /api/auth/challenges"}.get(name)
            if where == allowed or (name == "csrf_token" and re.search(r"csrf[-_]token", text)):
                continue
            assert secret not in text, f"{name} in {where}"


def test_no_log_event_or_answer_holds_a_secret(
    app: Flask, wallet: Wallet, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    recorder = Recorder(app)
    with everything_logged() as logged:
        live(recorder, wallet, pass_time)
    search(recorder, logged, happened)


def test_failing_redis_leaks_no_secret(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet, happened: list[events.Event]
) -> None:
    server = embedded.start(tmp_path / "redis")
    recorder = Recorder(make_app(SESSIONS_CORE_REDIS_URL=server.url))
    with everything_logged() as logged:
        recorder.sign_in(wallet)
        token = recorder.token("/session")
        challenge = recorder.challenge(wallet.account())
        form = challenge | {"signature": wallet.sign(challenge["message"]), "csrf_token": token}
        server.stop()
        assert recorder.post("/sign-in", data=form).status_code == 503
        assert recorder.post("/sign-out", data={"csrf_token": token}).status_code == 503
        assert recorder.get("/session").status_code == 503
    text = "\n".join(logged) + repr(happened) + "".join(text for where, text in recorder.answers[-3:])
    for secret in [*recorder.secrets, *recorder.used, SECRET, wallet.key.key.hex()]:
        assert secret not in text


def test_a_password_of_redis_is_in_no_answer_and_no_log(
    make_app: Callable[..., Flask], wallet: Wallet, happened: list[events.Event]
) -> None:
    recorder = Recorder(make_app(SESSIONS_CORE_REDIS_URL="redis://somebody:hunter2@127.0.0.1:1/0"))
    recorder.session_id = "A" * 55
    with everything_logged() as logged:
        assert recorder.get("/session").status_code == 503
        assert recorder.json("/api/auth/sessions/validate").status_code == 503
    assert logged
    assert "hunter2" not in "\n".join(logged) + repr(happened) + repr(recorder.answers)


def test_redis_holds_no_plain_cookie_account_or_signature(
    app: Flask, wallet: Wallet, redis: Redis, pass_time: TimeMachine
) -> None:
    recorder = Recorder(app)
    live(recorder, wallet, pass_time)
    recorder.sign_in(wallet)
    recorder.get("/session")
    dump = b"".join(key + (redis.dump(key) or b"") for key in redis.keys("*")).decode("latin-1")
    assert len(redis.keys("*")) > 3
    for secret, name in recorder.secrets.items():
        assert secret not in dump, name
    for secret, name in recorder.used.items():
        assert name == "nonce" or secret not in dump, name
    assert wallet.address not in dump
    assert wallet.address.lower() not in dump
    assert SECRET not in dump


def test_the_handle_people_see_says_nothing_about_the_id(app: Flask, wallet: Wallet) -> None:
    visitor = Visitor(app)
    handles = set()
    for _ in range(20):
        session_id = visitor.sign_in(wallet)
        handle = visitor.json("/api/auth/sessions/validate").get_json()["data"]["session_id"]
        assert handle.removeprefix("sess_") not in session_id
        assert session_id[:12] not in handle
        handles.add(handle)
    assert len(handles) == 20


# -- Step-up, devices, administration --------------------------------------------------------------------------------

NOTE = "the patient said something private"
IP = "203.0.113.77"


@pytest.fixture
def clinic(make_app: Callable[..., Flask]) -> Flask:
    """An application whose forms hold what is nobody's business, and that keeps no full addresses."""
    app = make_app({"actions": {"note.write": "Write a note."}}, SESSIONS_CORE_SHORTEN_IP=True)

    @app.post("/note")
    @fresh_required(0, "note.write")
    def note() -> str:
        return f"{len(request.form['text'])} characters"

    return app


class Confirmer(Recorder):
    """A recorder from one address who signs for things, and notes what proves it and what waits for it."""

    def __init__(self, app: Flask, ip: str = IP) -> None:
        super().__init__(app)
        self.client.environ_base["REMOTE_ADDR"] = ip
        self.addresses: list[str] = []

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        for value in options.get("headers", {}).values():
            self.used[value] = "proof"
        return self._kept(method, path, super().send(method, path, **options))

    def post(self, path: str, **options: Any) -> TestResponse:
        form = options.get("data")
        if isinstance(form, dict):
            for name in ("confirm_signature", "confirm_challenge"):
                if len(form.get(name, "")) > 20:
                    self.used[form[name]] = name
        return super().post(path, **options)

    def text_for(self, request: str) -> dict[str, str]:
        text = super().text_for(request)
        self.used[request] = "waiting request"
        self.used[messages.read(text["message"]).nonce] = "nonce"
        self.used[text["challenge"]] = "challenge"
        return text

    def _kept(self, method: str, path: str, response: TestResponse) -> TestResponse:
        self.addresses += [path, response.request.url, response.headers.get("Location", "")]
        return super()._kept(method, path, response)


def confirm_everything(person: Confirmer, wallet: Wallet, services: Services, pass_time: TimeMachine) -> None:
    """Sign for things, in time and late, rightly and wrongly, and use what a signature opens."""
    roles_of(services).assign(parse(wallet.account()), "admin")
    person.sign_in(wallet)
    person.confirm(wallet, person.submit("/note", text=NOTE))
    person.confirm(Wallet(), person.submit("/note", text=NOTE))
    person.confirm(wallet, person.submit("/note", text=NOTE), confirm_signature="0x" + "ab" * 65)
    target, form = person.signed_form(wallet, person.submit("/note", text=NOTE))
    for _ in range(2):  # the second is a replay
        person.post(target, data=form | {"csrf_token": person.token("/session")})
    proof = person.proof(wallet, person.send("POST", "/note", data={"text": NOTE}))
    for text in ("another", NOTE, NOTE):
        person.send("POST", "/note", data={"text": text}, headers=proof)
    person.submit("/note", text=NOTE * 200)  # waits in its own place
    late = person.signed_form(wallet, person.submit("/note", text=NOTE))[1]
    pass_time(901)
    person.post("/note", data=late)
    person.confirm(wallet, person.get("/admin"))
    account = Wallet().account()
    person.confirm(wallet, person.submit(f"/admin/accounts/{account}/role", role="restricted"))
    person.confirm(wallet, person.submit("/session/extend"))
    handle = person.json("/api/auth/sessions/validate").get_json()["data"]["session_id"]
    person.submit(f"/sessions/{handle}/name", label="Laptop")
    for path in (
        "/sessions",
        "/sessions/others",
        "/activity",
        "/activity.csv",
        "/activity.json",
        f"/admin/accounts/{wallet.account()}",
        "/admin/activity",
        "/admin/activity.csv",
        "/admin/activity.json",
        "/confirm?request=x",
        "/unauthorized?role=admin",
        "/nothing",
    ):
        person.get(path)
    person.json("/api/auth/sessions")
    pass_time(901)
    person.get("/session", environ_overrides={"REMOTE_ADDR": "198.51.100.77"})
    person.confirm(wallet, person.submit("/sessions/others"))


def opened(services: Services, redis: Redis) -> list[str]:
    """Everything that is sealed in Redis, opened: records, standings, both directories, and all that happened."""
    repository, found = services.repository, []
    for key in redis.keys("*:standing"):
        found.append(repr(roles_of(services)._values.decode(key.decode(), redis.get(key))))
    for member in (*roles_of(services).decided(), *roles_of(services).seen()):
        found.append(repr(member))
        # What views put in the session is theirs, and the CSRF secret has to be somewhere.
        found += [repr(msgspec.structs.replace(live.record, data={})) for live in repository.living(member.account)]
        found += [repr(entry) for entry in services.part(Activity).log.iterate(member.account)]
    return found + [repr(entry) for entry in services.part(Activity).log.iterate(None)]


def test_step_up_leaks_no_secret(
    clinic: Flask, wallet: Wallet, redis: Redis, clock: Clock, happened: list[events.Event]
) -> None:
    """No log, event, Redis value or address holds one."""
    services: Services = clinic.extensions["sessions_core"]
    person = Confirmer(clinic)
    with everything_logged() as logged:
        confirm_everything(person, wallet, services, TimeMachine(clinic, redis, clock))
        person.sign_in(wallet)
        sealed_away = opened(services, redis)
    names = {event.name for event in happened}
    assert names >= {
        "session.confirmed",
        "confirmation.failed",
        "challenge.replayed",
        "client.changed",
        "role.changed",
    }
    kinds = {"nonce", "challenge", "confirm_signature", "confirm_challenge", "proof", "waiting request", "signature"}
    assert set(person.used.values()) >= kinds
    assert len(person.secrets) > 10
    assert len(sealed_away) > 30
    dump = b"".join(key + (redis.dump(key) or b"") for key in redis.keys("*")).decode("latin-1")
    written = [
        *(("log", line) for line in logged),
        *(("event", repr(event)) for event in happened),
        *(("what is sealed", text) for text in sealed_away),
        ("Redis", dump),
    ]
    for where, text in written:
        for secret, name in (person.secrets | person.used | {SECRET: "SECRET_KEY", NOTE: "field"}).items():
            # What is spent is stored as spent; a nonce is worth nothing then.
            assert secret not in text or (where, name) == ("Redis", "nonce"), f"{name} in {where}"
    for address in person.addresses:
        for secret, name in (person.secrets | person.used).items():
            allowed = name == "waiting request" and unquote(address).startswith(("/confirm?request=", ORIGIN))
            assert secret not in address or allowed, f"{name} in {address}"
        assert NOTE not in unquote(address)
        assert "private" not in unquote_plus(address)


def test_confirmed_fields_appear_only_in_the_returning_form(
    clinic: Flask, wallet: Wallet, redis: Redis, clock: Clock
) -> None:
    """No other answer holds the signed proof or a field of the form."""
    services: Services = clinic.extensions["sessions_core"]
    person = Confirmer(clinic)
    confirm_everything(person, wallet, services, TimeMachine(clinic, redis, clock))
    assert len(person.answers) > 60
    for where, text in person.answers:
        for secret, name in person.secrets.items():
            assert secret not in text, f"{name} in {where}"
        for secret, name in person.used.items():
            if name in ("confirm_signature", "signature", "proof"):
                assert secret not in text, f"{name} in {where}"
            elif name in ("nonce", "challenge", "confirm_challenge"):
                assert secret not in text or where == "POST /api/auth/challenges", f"{name} in {where}"
        if NOTE in text:
            assert where.startswith("GET /confirm?request=") or where == "POST /note", where
            assert 'data-testid="confirm-form"' in text


def test_no_full_address_is_kept_where_the_settings_shorten_it(
    clinic: Flask, wallet: Wallet, redis: Redis, clock: Clock, happened: list[events.Event]
) -> None:
    services: Services = clinic.extensions["sessions_core"]
    people = Confirmer(clinic), Confirmer(clinic, "2001:db8:85a3:1234:5678:8a2e:370:7334")
    with everything_logged() as logged:
        for person in people:
            confirm_everything(person, wallet, services, TimeMachine(clinic, redis, clock))
            person.sign_in(wallet)
        sealed_away = opened(services, redis)
    dump = b"".join(key + (redis.dump(key) or b"") for key in redis.keys("*")).decode("latin-1")
    answers = [text for person in people for _, text in person.answers]
    everything = "\n".join([*logged, *map(repr, happened), *sealed_away, dump, *answers])
    assert "203.0.113.0/24" in everything, "it was shortened and not dropped"
    assert "2001:db8:85a3::/48" in everything
    for full in (IP, "198.51.100.77", "8a2e:370", "85a3:1234"):
        assert full not in everything


def test_the_full_address_is_kept_where_the_settings_say_so(app: Flask, wallet: Wallet) -> None:
    """So that the test above can fail."""
    person = Confirmer(app)
    person.sign_in(wallet)
    assert IP in person.get("/activity").get_data(as_text=True)
    assert IP in person.get("/sessions").get_data(as_text=True)
