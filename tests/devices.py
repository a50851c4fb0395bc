"""The sessions of an account, as the JSON service and the pages list them."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from .actors import Visitor


def listed(visitor: Visitor) -> list[dict[str, Any]]:
    """Return the sessions that the JSON service lists, in its order."""
    answer = visitor.json("/api/auth/sessions")
    assert answer.status_code == 200
    return list(answer.get_json()["data"]["sessions"])


def handles(page: TestResponse | str) -> list[str]:
    """The sessions that a page lists, in its order."""
    text = page if isinstance(page, str) else page.get_data(as_text=True)
    return re.findall(r'data-testid="session-row" data-handle="([^"]+)"', text)


def message(page: TestResponse) -> str | None:
    """Return the message of the last form, if the page has one."""
    found = re.search(r'data-message="([^"]*)"', page.get_data(as_text=True))
    return found[1] if found else None


def reason(app: Flask, session_id: str) -> str | None:
    """Why a session is no more; `None` while it lives."""
    visitor = Visitor(app)
    visitor.session_id = session_id
    answer = visitor.json("/api/auth/sessions/validate").get_json()
    return None if answer["success"] else str(answer["error"]["reason"])
