"""What start-up refuses about metrics and checks of Redis."""

from __future__ import annotations

import pytest

from sessions_core.parts.operations import Operations

from ..part_settings import DEVELOPMENT, PRODUCTION, options_of, refusal_of


def test_production_checks_redis_by_default() -> None:
    assert options_of(Operations).redis_check is True


@pytest.mark.parametrize("secret", ["5a1c9e07d3b8f2645a1c9e07d3b8f26", "a" * 64, "x"])
def test_metrics_secret_is_random_or_none(secret: str) -> None:
    for base in (PRODUCTION, DEVELOPMENT):
        sentence = refusal_of(Operations, base, METRICS_SECRET=secret)
        assert "METRICS_SECRET must have at least 32 random characters" in sentence
    assert options_of(Operations, METRICS_SECRET="5a1c9e07d3b8f264e0917b3d6c25fa48").metrics_secret
    assert options_of(Operations, METRICS_SECRET="").metrics_secret is None
