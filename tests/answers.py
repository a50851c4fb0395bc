"""Reading answers: error codes, session data and cookies, from JSON and from pages."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.test import TestResponse

from .actors import SESSION_COOKIE, Visitor


def code_of(response: TestResponse) -> str:
    """Return the error code of a refusal in JSON."""
    assert not response.get_json()["success"]
    return str(response.get_json()["error"]["code"])


def code_on_page(response: TestResponse) -> str:
    """Return the error code that a refused sign-in or an error page shows."""
    page = response.get_data(as_text=True)
    found = re.search(
        r'data-testid="server-code".*?<code[^>]*>([a-z_]+)</code>|data-code="([a-z_]+)"', page, re.DOTALL
    )
    assert found, page
    return found[1] or found[2]


def data_of(visitor: Visitor) -> dict[str, Any]:
    """Return what the server says of the session of a visitor."""
    return visitor.json("/api/auth/sessions/validate").get_json()["data"]


def error_of(response: TestResponse) -> tuple[int, str, str | None]:
    """Return status, error code and reason of a refusal in JSON."""
    error = response.get_json()["error"]
    return response.status_code, error["code"], error.get("reason")


def session_cookies(response: TestResponse) -> list[str]:
    """Return each `Set-Cookie` of the session cookie."""
    return [value for value in response.headers.getlist("Set-Cookie") if value.startswith(SESSION_COOKIE)]
