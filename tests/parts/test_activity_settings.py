"""What start-up refuses about the activity log."""

from __future__ import annotations

import pytest

from sessions_core.parts.activity import Activity

from ..part_settings import options_of, refusal_of


@pytest.mark.parametrize(("name", "least", "most"), [("ACTIVITY_DAYS", 1, 365), ("ACTIVITY_EVENTS", 10, 10_000)])
def test_numbers_outside_their_range_are_refused(name: str, least: int, most: int) -> None:
    """The limits themselves are accepted."""
    for value in (least - 1, most + 1):
        assert refusal_of(Activity, **{name: value}) == f"SESSIONS_CORE_{name} must be between {least} and {most}."
    for value in (least, most):
        assert getattr(options_of(Activity, **{name: value}), name.lower()) == value
