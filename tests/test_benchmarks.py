"""`make bench`: what it compares does what it says. Not what it measures: machines differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import request
from benchmarks.sign_ins import signed_forms
from benchmarks.subjects import SUBJECTS, Subject

from .actors import Visitor

SERVED_BY_PYTHON = [each for each in SUBJECTS if each.importable]


@pytest.mark.parametrize("subject", SERVED_BY_PYTHON, ids=lambda subject: subject.name)
def test_every_python_subject_answers_a_signed_in_user(subject: Subject, redis_url: str) -> None:
    assert subject.app is not None
    app = subject.app(redis_url)
    measured = request.direct({subject.name: (app, subject.credentials(app))}, rounds=1, calls=1)
    assert measured[subject.name] > 0


@pytest.mark.parametrize("name", ["ours", "bearer", "stock", "flask-login"])
def test_no_session_is_measured_without_credentials(name: str, redis_url: str) -> None:
    (subject,) = (each for each in SERVED_BY_PYTHON if each.name == name)
    assert subject.app is not None
    with pytest.raises((RuntimeError, KeyError)):
        request.direct({name: (subject.app(redis_url), {})}, rounds=1, calls=1)


def test_measured_forms_sign_in(visitor: Visitor) -> None:
    cookie, forms = signed_forms(visitor.app, 2)
    for form in forms:
        answer = visitor.app.test_client(use_cookies=False).post(
            "/sign-in",
            base_url=visitor.site,
            data=form,
            headers={"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 303


def test_table_divides_by_ours() -> None:
    subjects = [each for each in SUBJECTS if each.name in ("ours", "stock")]
    table = request.table(subjects, {"ours": 100.0, "stock": 200.0}, {"ours": 3000.0, "stock": 2000.0})
    assert "| Flask-Session | 2.00 times | 1.50 times | 200 | 2000 |" in table


def test_missed_targets_are_named() -> None:
    few, many = request.Target("sign-ins", 999, 1000, "a second"), request.Target("sign-ins", 1000, 1000)
    assert (few.met, many.met) == (False, True)
    assert str(few) == "MISSED: sign-ins: 999 a second (target: at least 1000 a second)"
    late = request.Target("start", 0.31, 0.3, "s", at_least=False)
    assert str(late) == "MISSED: start: 0.31 s (target: at most 0.30 s)"


def test_rivals_that_are_not_installed_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = request.choose(tmp_path, wrk=False)
    assert all(each.app for each in chosen)
    assert "Left out: express-session with connect-redis (needs express, " in capsys.readouterr().err
