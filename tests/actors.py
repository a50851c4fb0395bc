"""The people of the tests: a wallet that really signs, and a visitor with a browser's cookies and headers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from flask import Flask
from werkzeug.test import TestResponse

ORIGIN = "http://localhost:5000"
SESSION_COOKIE = "__Host-session"
BROWSER_COOKIE = "__Host-browser"


@dataclass
class Wallet:
    """A fresh key, unless one is given."""

    key: LocalAccount = field(default_factory=Account.create)

    @property
    def address(self) -> str:
        return self.key.address

    def account(self, chain: str = "eip155:1") -> str:
        return f"{chain}:{self.address}"

    def sign(self, message: str) -> str:
        """Return what `personal_sign` returns: 0x, r, s, v."""
        return "0x" + self.key.sign_message(encode_defunct(text=message)).signature.hex().removeprefix("0x")


class Visitor:
    """A browser at the site: one cookie jar, same-origin headers, forms filled in as they come."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, base_url=ORIGIN, headers=self._headers(options), **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"} | self._headers(options)
        return self.client.post(path, base_url=ORIGIN, headers=headers, **options)

    def json(self, path: str, method: str = "GET", **options: Any) -> TestResponse:
        headers = {"Accept": "application/json"} | options.pop("headers", {})
        return (self.get if method == "GET" else self.post)(path, headers=headers, **options)

    def token(self, path: str = "/sign-in") -> str:
        """Open a page and return the CSRF token in it."""
        page = self.get(path).get_data(as_text=True)
        found = re.search(r'name="csrf[_-]token"[^>]*(?:value|content)="([^"]+)"', page)
        assert found, f"no CSRF token on {path}"
        return found[1]

    def challenge(self, account: str) -> dict[str, str]:
        """Open the sign-in page and ask for a challenge."""
        self.get("/sign-in")
        return self.json("/api/auth/challenges", "POST", json={"account": account}).get_json()["data"]

    def attempt(self, wallet: Wallet, challenge: dict[str, str] | None = None, **fields: str) -> TestResponse:
        """Sign in, with single fields of the form replaced by the test's own."""
        challenge = challenge or self.challenge(wallet.account())
        form = {
            "message": challenge["message"],
            "challenge": challenge["challenge"],
            "csrf_token": self.token(),
        } | fields
        form.setdefault("signature", wallet.sign(form["message"]))
        return self.post("/sign-in", data=form)

    def sign_in(self, wallet: Wallet, **fields: str) -> str:
        """Sign in and return the session id."""
        response = self.attempt(wallet, **fields)
        assert response.status_code == 303, response.get_data(as_text=True)
        return self.session_id

    def sign_out(self) -> TestResponse:
        return self.post("/sign-out", data={"csrf_token": self.token("/sign-out")})

    @property
    def signed_in(self) -> bool:
        return self.json("/api/auth/sessions/validate").status_code == 200

    @property
    def session_id(self) -> str:
        cookie = self.client.get_cookie(SESSION_COOKIE)
        assert cookie, "no session cookie"
        return cookie.value

    @session_id.setter
    def session_id(self, value: str) -> None:
        self.client.set_cookie(SESSION_COOKIE, value, secure=True)

    @staticmethod
    def _headers(options: dict[str, Any]) -> dict[str, str]:
        return options.pop("headers", {})
