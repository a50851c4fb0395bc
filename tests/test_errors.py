"""The closed set of refusals: every class complete, every code once."""

from __future__ import annotations

import re

import pytest

from sessions_core import errors
from sessions_core.errors import SessionsError, catalogue

from .claims import error_classes


def test_the_catalogue_holds_every_class_under_a_code_of_its_own() -> None:
    ours = [each for each in catalogue().values() if each.__module__.startswith("sessions_core.")]
    assert sorted(ours, key=id) == sorted(error_classes(), key=id)
    assert all(code == error.code for code, error in catalogue().items())


def test_a_class_declares_its_own_code_rather_than_inherit_one() -> None:
    assert [each.__name__ for each in error_classes() if "code" not in vars(each)] == []


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.code)
def test_a_refusal_has_a_code_a_status_and_a_sentence_that_helps(error: type[SessionsError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert 400 <= error.status <= 503
    assert re.fullmatch(r"[A-Z].+[^.]", error.title)
    assert re.fullmatch(r"[A-Z][^<>{}%]+\.", error.message)
    assert len(error.message) > 25
    assert error.__doc__


def test_evidence_stays_out_of_the_public_sentence() -> None:
    refused = errors.StoreUnavailable("redis://user:hunter2@10.0.0.1", retry_after=2)
    assert "hunter2" not in refused.message + refused.title
    assert refused.args == ("redis://user:hunter2@10.0.0.1",)
    assert (refused.retry_after, refused.reason) == (2, None)


def test_a_misconfiguration_is_no_answer_to_a_request() -> None:
    assert not issubclass(errors.Misconfigured, SessionsError)
