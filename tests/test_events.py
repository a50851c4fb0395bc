"""The vocabulary of what happens: frozen, named once, and without secrets."""

from __future__ import annotations

import dataclasses
import gc
import logging
from typing import Any

import pytest

from sessions_core import events
from sessions_core.events import Event

from .event_types import event_types


@pytest.mark.parametrize("event", event_types(), ids=lambda event: event.__name__)
def test_event_is_frozen_documented_and_holds_no_secret(event: type[Event]) -> None:
    assert dataclasses.is_dataclass(event)
    made: Any = event(**{field.name: "x" for field in dataclasses.fields(event)})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(event)[0].name, "y")
    assert event.__doc__
    names = {field.name for field in dataclasses.fields(event)}
    assert not names & {"id", "session_id", "nonce", "signature", "secret", "token", "challenge", "message", "cookie"}


def test_every_event_has_a_name_of_its_own() -> None:
    names = [event.name for event in event_types()]
    assert len(names) == len(set(names)) >= 8
    assert all("." in name for name in names)


def test_publishing_sends_the_event_once_and_logs_it(happened: list[Event], caplog: pytest.LogCaptureFixture) -> None:
    event = events.SessionEnded(handle="sess_1", account="eip155:1:0x", reason="idle")
    with caplog.at_level(logging.INFO, logger="sessions_core"):
        events.publish(event)
    assert happened == [event]
    assert [record.getMessage() for record in caplog.records] == [
        "session.ended {'handle': 'sess_1', 'account': 'eip155:1:0x', 'reason': 'idle'}"
    ]


def test_hostile_event_text_can_not_forge_a_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="sessions_core"):
        events.publish(events.RequestRefused(code="not_found\nroot logged in", endpoint="\r\x1b[2J"))
    assert "\n" not in caplog.text.strip("\n")
    assert "\x1b" not in caplog.text


def test_receiver_made_in_a_factory_is_kept() -> None:
    heard: list[Event] = []

    def factory() -> None:
        @events.happened.connect
        def note(event: Event, **_: Any) -> None:
            heard.append(event)

    factory()
    gc.collect()
    before = set(events.happened.receivers)
    events.publish(events.SessionsRevoked(account=None, scope="everybody"))
    assert len(heard) == 1
    for receiver in list(events.happened.receivers_for(None)):
        if "test_receiver_made_in_a_factory" in receiver.__qualname__:
            events.happened.disconnect(receiver)
    assert len(events.happened.receivers) == len(before) - 1


def test_disconnected_receiver_gets_no_more_events() -> None:
    heard: list[Event] = []

    def note(event: Event, **_: Any) -> None:
        heard.append(event)

    events.happened.connect(note)
    events.publish(events.SessionsRevoked(account=None, scope="everybody"))
    events.happened.disconnect(note)
    events.publish(events.SessionsRevoked(account=None, scope="everybody"))
    assert len(heard) == 1
