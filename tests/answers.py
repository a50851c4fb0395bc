"""What the answers of the JSON service and the pages say."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.test import TestResponse

from .actors import SESSION_COOKIE, Visitor


def code_of(response: TestResponse) -> str:
    assert not response.get_json()["success"]
    return str(response.get_json()["error"]["code"])


def code_on_page(response: TestResponse) -> str:
    """The code that a refused sign-in or an error page shows."""
    page = response.get_data(as_text=True)
    found = re.search(
        r'data-testid="server-code".*?<code[^>]*>([a-z_]+)</code>|data-code="([a-z_]+)"', page, re.DOTALL
    )
    assert found, page
    return found[1] or found[2]


def data_of(visitor: Visitor) -> dict[str, Any]:
    return visitor.json("/api/auth/sessions/validate").get_json()["data"]


def error_of(response: TestResponse) -> tuple[int, str, str | None]:
    error = response.get_json()["error"]
    return response.status_code, error["code"], error.get("reason")


def session_cookies(response: TestResponse) -> list[str]:
    return [value for value in response.headers.getlist("Set-Cookie") if value.startswith(SESSION_COOKIE)]
