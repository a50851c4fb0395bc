"""What is counted from events, and that no label can be made up by whoever sends a request."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from flask import Flask

from sessions_core import errors, events
from sessions_core.parts.operations import metrics
from sessions_core.sessions import end_reasons

from ...constants import ROOT
from ...metric_samples import grown, read
from ...stored import link_of

ACCOUNT = "eip155:1:0x71C7656EC7ab88b098defB751B7401B5f6d8976F"


def counting(*happened: events.Event) -> Callable[[], None]:
    def count() -> None:
        for event in happened:
            metrics.count(event)

    return count


def test_a_sign_in_is_counted_by_its_chain() -> None:
    created = events.SessionCreated(handle="sess_1", account=ACCOUNT, session_type="standard")
    assert grown(counting(created, created), "wallet_sign_ins_total", chain="eip155:1", outcome="success") == 2


def test_a_refused_sign_in_is_counted_by_chain_and_by_code() -> None:
    failed = events.SignInFailed(code="challenge_used", account=ACCOUNT)
    labels = {"chain": "eip155:1", "outcome": "challenge_used"}
    assert grown(counting(failed), "wallet_sign_ins_total", **labels) == 1
    assert grown(counting(failed), "wallet_refusals_total", code="challenge_used") == 1


@pytest.mark.parametrize(
    "event",
    [
        events.RequestRefused(code="csrf_failed", endpoint="home"),
        events.ConfirmationFailed(handle="sess_1", account=ACCOUNT, action="x", code="csrf_failed"),
    ],
    ids=lambda event: event.name,
)
def test_other_refusals_are_counted_by_code(event: events.Event) -> None:
    assert grown(counting(event), "wallet_refusals_total", code="csrf_failed") == 1


@pytest.mark.parametrize("reason", end_reasons.counted())
def test_an_end_is_counted_by_reason(reason: str) -> None:
    ended = events.SessionEnded(handle="sess_1", account=None, reason=reason)
    assert grown(counting(ended), "wallet_revocations_total", reason=reason) == 1


@pytest.mark.parametrize("scope", metrics.SCOPES)
def test_ending_many_at_once_counts_as_one_revocation(scope: str) -> None:
    revoked = events.SessionsRevoked(account=None, scope=scope)
    assert grown(counting(revoked), "wallet_revocations_total", reason=scope) == 1


def test_every_end_that_people_can_read_of_has_a_number(app: Flask) -> None:
    words = cast(ModuleType, app.jinja_env.get_template("sessions/_entries.html").module)
    assert set(words.ended_words) <= set(end_reasons.counted())
    assert set(words.revoked_words) == set(metrics.SCOPES)


def test_hostile_values_make_no_series_of_their_own() -> None:
    before = read(metrics.text(None)).keys()
    hostile = 'x"} 1\nwallet_sign_ins_total{chain="forged'
    for _ in range(2):
        metrics.count(events.SignInFailed(code=hostile, account=hostile))
        metrics.count(events.SignInFailed(code="no_such_code", account=None))
        metrics.count(events.SignInFailed(code="chain_unsupported", account="eip155:424242:0x" + "a" * 40))
        metrics.count(events.RequestRefused(code=hostile, endpoint=hostile))
        metrics.count(events.SessionEnded(handle=hostile, account=hostile, reason=hostile))
        metrics.count(events.SessionsRevoked(account=hostile, scope=hostile))
    values = {value for name, labels in read(metrics.text(None)).keys() - before for _, value in labels}
    assert values <= {"other", *errors.catalogue()}


def test_no_metric_identifies_a_user() -> None:
    metrics.count(events.SessionCreated(handle="sess_secret", account=ACCOUNT, session_type="standard"))
    metrics.count(events.SignInFailed(code="challenge_used", account=ACCOUNT))
    text = metrics.text(3).decode()
    assert ACCOUNT.rpartition(":")[2] not in text
    assert "sess_secret" not in text


def test_a_revocation_that_never_happened_is_there_as_zero() -> None:
    script = "from sessions_core.parts.operations import metrics; metrics.begin(); print(metrics.text(None).decode())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert re.search(r'^wallet_revocations_total\{reason="limit"\} 0\.0$', done.stdout, re.MULTILINE)


def test_how_many_live_is_left_out_while_it_is_not_known() -> None:
    assert read(metrics.text(7))["wallet_sessions_live", frozenset()] == 7
    assert ("wallet_sessions_live", frozenset()) not in read(metrics.text(None))


def test_the_latency_of_redis_is_observed(app: Flask) -> None:
    link = link_of(app.extensions["sessions_core"].repository)
    assert grown(lambda: link.call("PING"), "wallet_redis_seconds_count") == 1


def test_processes_add_up(tmp_path: Path) -> None:
    child = (
        "from sessions_core import events, part\n"
        "from sessions_core.parts.operations import metrics\n"
        "part.choose(None)\n"  # so that the chains are known
        f"metrics.count(events.SessionCreated(handle='s', account={ACCOUNT!r}, session_type='standard'))\n"
    )
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    def run(script: str) -> str:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
        return done.stdout

    run(child)
    numbers = read(run(child + "print(metrics.text(5).decode())").encode())
    labels = frozenset({("chain", "eip155:1"), ("outcome", "success")})
    assert numbers["wallet_sign_ins_total", labels] == 2
    assert numbers["wallet_sessions_live", frozenset()] == 5
