"""The settings of the part roles: how long sessions of professionals last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from sessions_core import Misconfigured
from sessions_core.settings import DAY
from sessions_core.web.services import EXTENSION

MakeApp = Callable[..., Flask]


def refused(make_app: MakeApp, **settings: Any) -> str:
    with pytest.raises(Misconfigured) as refusal:
        make_app(**{f"SESSIONS_CORE_{name}": value for name, value in settings.items()})
    return str(refusal.value)


def test_professional_sessions_last_as_their_settings_say(make_app: MakeApp) -> None:
    app = make_app(SESSIONS_CORE_PROFESSIONAL_IDLE_SECONDS=600, SESSIONS_CORE_PROFESSIONAL_ABSOLUTE_SECONDS=7200)
    chosen = app.extensions[EXTENSION].policy.types["professional"]
    assert (chosen.idle_seconds, chosen.absolute_seconds) == (600, 7200)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PROFESSIONAL_IDLE_SECONDS": 119}, "PROFESSIONAL_IDLE_SECONDS = 119 is outside 120"),
        ({"PROFESSIONAL_ABSOLUTE_SECONDS": 30 * DAY + 1}, "is outside 120 (2 minutes) to 2592000 (30 days)"),
        (
            {"PROFESSIONAL_IDLE_SECONDS": 7200, "PROFESSIONAL_ABSOLUTE_SECONDS": 3600},
            "SESSIONS_CORE_PROFESSIONAL_IDLE_SECONDS must not be longer than",
        ),
        ({"PROFESSIONAL_IDLE_SECONDS": 120}, "WARN_SECONDS must be at least 20 and less than"),
        ({"PROFESSIONAL_IDLE_SECONDS": "900"}, "must be int, not '900'"),
    ],
)
def test_unsafe_clocks_of_professionals_are_refused(make_app: MakeApp, settings: dict[str, Any], said: str) -> None:
    assert said in refused(make_app, **settings)


def test_trial_wallet_outlives_a_professional_session(make_app: MakeApp) -> None:
    said = refused(make_app, PREGENERATED_DAYS=29, PROFESSIONAL_ABSOLUTE_SECONDS=30 * DAY)
    assert "between 30 and 365" in said
