"""The payment provider of docs/integrate.md."""

from __future__ import annotations

import hmac
from typing import Any

import flask

import sessions_core

KEY = b"the payment provider's key"
# What the code in the document imports.
HERE: dict[str, Any] = {name: getattr(flask, name) for name in ("abort", "redirect", "request", "url_for")} | {
    name: getattr(sessions_core, name) for name in ("current_account", "public", "sessionless", "signed_in")
}


def form(number: str = "7", key: bytes = KEY) -> dict[str, str]:
    """Return the form that the provider has the customer's browser send."""
    return {"number": number, "signature": hmac.new(key, number.encode(), "sha256").hexdigest()}
