"""What start-up refuses about tokens."""

from __future__ import annotations

import pytest

from sessions_core.parts.api import Api

from ..part_settings import options_of, refusal_of


@pytest.mark.parametrize(("name", "least", "most"), [("TOKEN_SECONDS", 30, 300)])
def test_numbers_outside_their_range_are_refused(name: str, least: int, most: int) -> None:
    """The limits themselves are accepted."""
    for value in (least - 1, most + 1):
        assert refusal_of(Api, **{name: value}) == f"SESSIONS_CORE_{name} must be between {least} and {most}."
    for value in (least, most):
        assert getattr(options_of(Api, **{name: value}), name.lower()) == value
