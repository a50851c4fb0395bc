"""Lines in the log: one for each event, JSON in production, and nothing that somebody sent can write its own."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from sessions_core import events
from sessions_core.parts.operations.logs import JsonLines, Readable

from ...actors import ORIGIN, Visitor, Wallet
from ...constants import ROOT, SECRET

HOSTILE = 'x"}\n{"event": "session.created"}\r\x1b[2J\u202e\u2028\x9b\x00'
ENDED = events.SessionEnded(handle="sess_1", account=None, reason="signed_out")


def attach(formatter: logging.Formatter) -> Iterator[StringIO]:
    stream, logger = StringIO(), logging.getLogger("sessions_core")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield stream
    logger.setLevel(level)
    logger.removeHandler(handler)


@pytest.fixture
def lines() -> Iterator[StringIO]:
    yield from attach(JsonLines())


@pytest.fixture
def readable() -> Iterator[StringIO]:
    yield from attach(Readable())


def read(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# -- JSON --------------------------------------------------------------------------------------------------------


def test_an_event_is_one_line_with_its_fields(lines: StringIO) -> None:
    events.publish(ENDED)
    (line,) = read(lines)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    data = {"handle": "sess_1", "account": None, "reason": "signed_out"}
    assert line == {"level": "info", "event": "session.ended", "data": data}


def test_an_event_of_a_request_names_the_request(app: Flask, lines: StringIO) -> None:
    answer = app.test_client().post("/sign-in", base_url=ORIGIN, headers={"X-Request-ID": "from-the-proxy"})
    assert answer.status_code == 400
    (line,) = read(lines)
    assert (line["event"], line["request_id"]) == ("request.refused", "from-the-proxy")
    assert line["data"].pop("cause").startswith("Neither the field csrf_token")
    assert line["data"] == {"code": "csrf_failed", "endpoint": "sessions.sign_in_post", "reason": "token_missing"}


def test_another_message_is_one_line_too(lines: StringIO) -> None:
    logging.getLogger("sessions_core.storage.connection").error("Redis failed %s times", 3)
    (line,) = read(lines)
    assert line.pop("time")
    expected = {"level": "error", "logger": "sessions_core.storage.connection", "message": "Redis failed 3 times"}
    assert line == expected


def test_a_traceback_stays_within_its_line(lines: StringIO) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("sessions_core").exception("broken")
    (line,) = read(lines)
    assert line["message"] == "broken"
    assert "Traceback" in line["exception"]
    assert line["exception"].endswith(HOSTILE)


def test_hostile_text_ends_no_line_and_steers_no_terminal(lines: StringIO) -> None:
    events.publish(events.RequestRefused(code=HOSTILE, endpoint=HOSTILE))
    logging.getLogger("sessions_core").warning("opened at %s", HOSTILE)
    event, message = read(lines)
    assert event["data"] == {"code": HOSTILE, "endpoint": HOSTILE, "reason": None, "cause": None}
    assert message["message"] == f"opened at {HOSTILE}"
    assert re.fullmatch(r"[ -~\n]+", lines.getvalue())


@pytest.mark.parametrize("formatter", [JsonLines(), Readable()], ids=["json", "readable"])
def test_lone_surrogate_is_logged_escaped(formatter: logging.Formatter) -> None:
    # Not by a logger: pytest collects what they say, and can't send half a character from one worker to another.
    record = logging.LogRecord("sessions_core", logging.INFO, __file__, 1, "opened at %s", ("\ud800",), None)
    assert "\\ud800" in formatter.format(record)


def test_a_value_that_json_does_not_know_is_written_all_the_same(lines: StringIO) -> None:
    events.publish(events.SessionEnded(handle=b"\xff", account={1}, reason=object))  # type: ignore[arg-type]
    (line,) = read(lines)
    assert line["data"]["handle"] == "b'\\xff'"


def test_log_has_the_users_actions_and_no_secret(
    app: Flask, visitor: Visitor, wallet: Wallet, lines: StringIO
) -> None:
    challenge = visitor.challenge(wallet.account())
    signature = wallet.sign(challenge["message"])
    agent = f"Evil/1.0 {'A' * 600} \x1b[2J"
    assert visitor.attempt(wallet, challenge, signature=signature, next=HOSTILE[:10]).status_code == 303
    session = visitor.session_id
    visitor.get("/session", headers={"User-Agent": agent})
    visitor.attempt(wallet, challenge, signature=signature)
    browser = visitor.client.get_cookie("__Host-browser")
    assert browser
    visitor.sign_out()
    written = lines.getvalue()
    names = [line["event"] for line in read(lines)]
    assert names[0] == "session.created"
    assert {"challenge.replayed", "signin.failed", "session.ended"} <= set(names)
    nonce = re.search(r"Nonce: (\w+)", challenge["message"])
    assert nonce
    for secret in (session, browser.value, nonce[1], signature[2:], challenge["challenge"], SECRET):
        assert secret not in written


# -- For people --------------------------------------------------------------------------------------------------


def test_in_development_an_event_is_a_line_that_people_read(readable: StringIO, app: Flask) -> None:
    with app.test_request_context("/", environ_overrides={"sessions_core.request_id": "0123abcd"}):
        events.publish(ENDED)
    expected = r"\d\d:\d\d:\d\d INFO    session\.ended handle=sess_1 reason=signed_out \[0123abcd\]\n"
    assert re.fullmatch(expected, readable.getvalue())


def test_for_people_too_hostile_text_ends_no_line(readable: StringIO) -> None:
    events.publish(events.RequestRefused(code=HOSTILE, endpoint=HOSTILE))
    logging.getLogger("sessions_core").warning("opened at %s", HOSTILE)
    assert readable.getvalue().count("\n") == 2
    assert all(line.isprintable() for line in readable.getvalue().splitlines())


def test_people_see_the_traceback_as_python_writes_it(readable: StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("sessions_core").exception("broken")
    first, *rest = readable.getvalue().splitlines()
    assert first.endswith("ERROR   broken")
    assert (rest[0], rest[-1]) == ("Traceback (most recent call last):", "ValueError: why")


# -- Where lines go ----------------------------------------------------------------------------------------------

SETUP = """
import logging, sys
from flask import Flask
from sessions_core import WalletSessions, events, public
{before}
app = Flask("site", instance_path={instance!r})
app.config.update(SECRET_KEY={secret!r}, SESSIONS_CORE_REDIS_URL={redis!r}, SESSIONS_CORE_REDIS_CHECK=False,
                  {config})
WalletSessions(app)

@app.get("/broken")
@public
def broken():
    raise ValueError("why")

client = app.test_client()
client.get("/broken", base_url={origin!r}, headers={{"Accept": "application/json"}})
events.publish(events.SessionEnded(handle="sess_1", account=None, reason="signed_out"))
app.logger.warning("the application says")
"""
PRODUCTION = 'SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org"'


def run(redis_url: str, tmp_path: Path, config: str, origin: str, before: str = "") -> list[str]:
    """What an application of its own process writes to standard error."""
    values = {"instance": str(tmp_path), "secret": SECRET, "redis": redis_url}
    script = SETUP.format(before=before, config=config, origin=origin, **values)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr.splitlines()


def test_production_log_is_json_for_package_and_app(redis_url: str, tmp_path: Path) -> None:
    found = [json.loads(line) for line in run(redis_url, tmp_path, PRODUCTION, "https://app.example.org")]
    assert [line.get("event") or line["logger"] for line in found] == [
        "site",  # Flask, with the traceback
        "request.refused",
        "sessions_core.web.error_handlers",
        "session.ended",
        "site",
    ]
    assert "ValueError: why" in found[0]["exception"]
    assert len({line["request_id"] for line in found[:3]}) == 1
    assert "request_id" not in found[3]


def test_development_writes_for_people(redis_url: str, tmp_path: Path) -> None:
    found = run(redis_url, tmp_path, "SESSIONS_CORE_DEVELOPMENT=True", ORIGIN)
    assert any(
        re.search(r"INFO    request\.refused code=internal_error endpoint=broken \[\w+\]$", line) for line in found
    )
    assert found[-1].endswith("WARNING the application says")


def test_an_application_that_has_configured_logging_keeps_it(redis_url: str, tmp_path: Path) -> None:
    before = 'logging.basicConfig(format="mine %(message)s", level="INFO")'
    found = run(redis_url, tmp_path, PRODUCTION, "https://app.example.org", before)
    assert "mine the application says" in found
    assert found.count("mine session.ended {'handle': 'sess_1', 'account': None, 'reason': 'signed_out'}") == 1
    assert [line for line in found if line.startswith("{")] == []


def test_the_documented_configuration_has_all_loggers_write_json(redis_url: str, tmp_path: Path) -> None:
    from sessions_core.parts.operations import logs

    said = re.search(r"    (logging\.config\.dictConfig.*)", logs.__doc__ or "", re.DOTALL)
    assert said
    before = "import logging.config\n" + "\n".join(line.removeprefix("    ") for line in said[1].splitlines())
    found = run(redis_url, tmp_path, PRODUCTION, "https://app.example.org", before)
    assert {json.loads(line).get("event") for line in found} >= {"session.ended", "request.refused"}


def test_command_prints_its_result_and_no_log_line(redis_url: str, tmp_path: Path) -> None:
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environ |= {"SESSION_SECRET": SECRET, "REDIS_URL": redis_url, "DEVELOPMENT": "1"}
    command = [str(Path(sys.executable).parent / "flask"), "--app", "app", "sessions", "revoke-all"]
    command += ["--everybody", "--yes"]
    done = subprocess.run(command, check=False, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
