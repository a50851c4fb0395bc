"""Values that many tests use: times, secrets, accounts, browsers and places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sessions_core.sign_in.accounts import parse

ROOT = Path(__file__).parent.parent
"""The folder of the checkout."""

# Seconds.
MINUTE, HOUR, DAY = 60, 3600, 86_400
IDLE, ABSOLUTE = 30 * MINUTE, 12 * HOUR
"""The two clocks of a standard session."""
PATIENCE = 20
"""How long a test waits for a page, a server or a process before it fails."""

SECRET = "a test secret of 32 characters or more, 0123456789"
ANOTHER = "another secret of 32 characters or more, 9876543210"

PRODUCTION: dict[str, Any] = {
    "SESSIONS_CORE_DEVELOPMENT": False,
    "SESSIONS_CORE_PUBLIC_ORIGIN": "https://app.example.org",
}
"""What turns the settings of the tests into those of a site in production."""

ALICE, BOB, CAROL = (
    "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7",
    "eip155:1:0xde709f2102306220921060314715629080e2fb77",
    "eip155:137:0x71C7656EC7ab88b098defB751B7401B5f6d8976F",
)
ALICE_ACCOUNT, BOB_ACCOUNT, CAROL_ACCOUNT = parse(ALICE), parse(BOB), parse(CAROL)

BROWSER = "b" * 43
"""The value of a browser cookie."""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

VALIDATE, KEEP_ALIVE = "/api/auth/sessions/validate", "/api/auth/sessions/keep-alive"

REDIS_PREFIX = "sessions_core:"
"""What every key of ours begins with in Redis, as SESSIONS_CORE_REDIS_PREFIX is by default."""
