"""The configuration of an application under test."""

from __future__ import annotations

from typing import Any


def config(
    redis_url: str, prefix: str = "sessions_core_test:", origin: str = "http://localhost:5000", **settings: Any
) -> dict[str, Any]:
    """Return a Flask configuration for tests: in development, with a Redis and a prefix of its keys.

    `origin` is where a browser finds the application; the test client needs none. `settings` are added to it.
    """
    return {
        "TESTING": True,
        "SECRET_KEY": "a secret of tests alone, with 32 characters or more",
        "SESSIONS_CORE_DEVELOPMENT": True,
        "SESSIONS_CORE_PUBLIC_ORIGIN": origin,
        "SESSIONS_CORE_REDIS_URL": redis_url,
        "SESSIONS_CORE_REDIS_PREFIX": prefix,
        "SESSIONS_CORE_REDIS_TIMEOUT_MS": 5000,  # a busy machine answers late
        **settings,
    }
