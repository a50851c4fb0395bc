"""The states of the connect panel are one table: the template, the script and the errors name no state beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from sessions_core import errors

from ..constants import ROOT

PACKAGE = ROOT / "sessions_core"
PANEL = "\n".join(path.read_text() for path in PACKAGE.rglob("*.html"))
SCRIPTS = [PACKAGE / "static/elements/wallet-sign-in.js", *(PACKAGE / "static/elements/wallet-sign-in").glob("*.js")]
SOURCE = "\n".join(path.read_text() for path in SCRIPTS)
# No words of their own: the panel shows what it does while it looks for wallets, or the list of them.
WORDLESS = {"wallet_list"}


@pytest.fixture
def states(app: Flask) -> dict[str, str]:
    module = app.jinja_env.get_template("sessions/_panel_states.html").module
    return dict(module.panel_states)  # type: ignore[attr-defined]


def refusals() -> Iterator[type[errors.SessionsError]]:
    waiting = [errors.SessionsError]
    while waiting:
        each = waiting.pop()
        waiting += each.__subclasses__()
        yield each


def named_in_panel() -> set[str]:
    return {word for words in re.findall(r"\bon\('([^']+)'\)", PANEL) for word in words.split()}


def test_every_state_has_words(states: dict[str, str]) -> None:
    assert set(states) - WORDLESS - named_in_panel() == set()


def test_the_panel_names_states_and_words_of_the_table(states: dict[str, str]) -> None:
    words = {word for words in states.values() for word in words.split()}
    assert named_in_panel() - set(states) <= words
    assert words & set(states) == set()


def test_the_script_shows_states_of_the_table(states: dict[str, str]) -> None:
    shown = set(re.findall(r"""\bshow\("(\w+)\"""", SOURCE))
    followed = set(re.findall(r"""^  \w+: "(\w+)",$""", SOURCE, re.MULTILINE))
    compared = set(re.findall(r"""\bstate [!=]== "(\w+)\"""", SOURCE))
    returned = set(re.findall(r"""\breturn "(\w+)\"""", SOURCE))
    assert len(shown) >= 10
    assert len(followed) >= 15
    assert (shown | followed | compared | returned) - set(states) == set()


def test_the_script_asks_for_words_of_the_table(states: dict[str, str]) -> None:
    words = {word for words in states.values() for word in words.split()}
    asked = set(re.findall(r"""\bis\((?:[\w.]+, )?"([\w-]+)"\)""", SOURCE))
    assert len(asked) >= 8
    assert asked - words == set()


def test_every_word_of_the_table_is_used(states: dict[str, str]) -> None:
    words = {word for words in states.values() for word in words.split()}
    asked = set(re.findall(r"""\bis\((?:[\w.]+, )?"([\w-]+)"\)""", SOURCE))
    assert words - asked - named_in_panel() == set()


@pytest.mark.parametrize("error", list(refusals()), ids=lambda error: error.__name__)
def test_every_refusal_leads_to_a_state_of_the_table(
    states: dict[str, str], error: type[errors.SessionsError]
) -> None:
    assert error.panel_state in states


def test_what_proves_nothing_new_starts_over() -> None:
    assert errors.SignatureMismatch.panel_state == "bad_signature"
    assert errors.ChallengeUsed.panel_state == errors.ChallengeExpired.panel_state == "nonce_expired"
    assert errors.UriMismatch.panel_state == errors.DomainMismatch.panel_state == "domain_mismatch"
    assert errors.MessageChanged.panel_state == errors.SessionsError.panel_state == "nonce_failed"
