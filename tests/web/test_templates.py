"""The templates have words for all that the code can tell people: no event, code or permission goes unnamed."""

from __future__ import annotations

from dataclasses import fields
from types import ModuleType
from typing import Any, cast

import pytest
from flask import Flask

from sessions_core import events
from sessions_core.access import actions, policy
from sessions_core.parts.activity.pages import KINDS
from sessions_core.parts.roles.events import RoleChanged

from .. import claims
from ..claims import event_classes

SAMPLES: dict[str, Any] = {
    "account": "eip155:1:0x71C7656EC7ab88b098defB751B7401B5f6d8976F",
    "before": "eip155:11155111:0x71C7656EC7ab88b098defB751B7401B5f6d8976F",
    "until": 1_893_456_000_000,
}

# Those of other tests aside: their applications bring events of their own.
# Nor is what is about Redis in the activity of an account.
OURS = [each for each in event_classes() if each.name != events.RevocationUnconfirmed.name]


def words_of(app: Flask, name: str) -> ModuleType:
    """The macros and tables of a template."""
    return cast(ModuleType, app.jinja_env.get_template(f"sessions/{name}.html").module)


def sentence(app: Flask, event: type[events.Event], **values: Any) -> str:
    known = {field.name: SAMPLES.get(field.name, f"a-{field.name}") for field in fields(event)}
    return str(words_of(app, "_entries").sentence(event.name, known | values)).strip()


@pytest.mark.parametrize("event", OURS, ids=lambda event: event.name)
def test_every_event_has_a_sentence_that_holds_no_machine_name(app: Flask, event: type[events.Event]) -> None:
    said = sentence(app, event)
    assert said[0].isupper()
    assert event.name not in said
    assert "None" not in said


def test_an_event_of_the_application_goes_by_its_name_alone(app: Flask) -> None:
    assert str(words_of(app, "_entries").sentence("invoice.paid", {"number": 7})).strip() == ""


def test_event_text_is_escaped(app: Flask) -> None:
    said = sentence(app, RoleChanged, after="<script>", by="<b>")
    assert "&lt;script&gt;" in said
    assert "&lt;b&gt;" in said


@pytest.mark.parametrize("code", [each.code for each in claims.error_classes()])
def test_every_code_is_explained_in_words(app: Flask, code: str) -> None:
    assert words_of(app, "_entries").refusal_words[code]
    assert code not in sentence(app, events.RequestRefused, code=code)


@pytest.mark.parametrize("action", actions.ACTIONS)
def test_every_action_is_named(app: Flask, action: str) -> None:
    assert action not in sentence(app, events.SessionConfirmed, action=action)


@pytest.mark.parametrize(
    "reason", ["signed_out", "revoked", "replaced", "limit", "wallet_revoked", "wallet_unlinked", "share_gone"]
)
def test_every_end_says_why(app: Flask, reason: str) -> None:
    assert sentence(app, events.SessionEnded, reason=reason) != sentence(app, events.SessionEnded, reason="")


def test_every_kind_of_the_filter_is_named(app: Flask) -> None:
    assert set(words_of(app, "_entries").kind_words) == {"", *KINDS}


def test_every_permission_role_and_network_is_named(app: Flask) -> None:
    rules = app.extensions["sessions_core"].policy
    granted = {name for each in rules.types.values() for name in each.permissions}
    words = words_of(app, "_words")
    assert set(words.permission_words) == granted | {*policy.ALL_NETWORK_PERMISSIONS, *policy.OWN_RIGHTS}
    assert set(words.role_words) == set(policy.ROLES)
    assert set(words.network_words) == set(policy.NETWORK_PERMISSIONS)
