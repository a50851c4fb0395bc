"""The people of the tests: a wallet that really signs, and a visitor with a browser's cookies and headers."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from threading import Barrier, Thread
from typing import Any, TypeVar

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

T = TypeVar("T")

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


@dataclass
class Waiting:
    """What `/confirm` asks for: the request that waits, the sentence to sign, and the form that brings it along."""

    request: str
    sentence: str
    target: str
    fields: list[tuple[str, str]]


def let_parts_finish(app: Flask) -> None:
    """Wait until Redis has heard what a part tells it in a thread of its own, so that a test can count commands."""
    if live_updates := app.extensions["sessions_core"].parts.get("live_updates"):
        live_updates.announcements.finish()


class Visitor:
    """A browser at the site: one cookie jar, same-origin headers, forms filled in as they come."""

    site = ORIGIN

    def __init__(self, app: Flask, prefix: str = "") -> None:
        self.app = app
        self.client = app.test_client()
        self.prefix = prefix  # of every address: SESSIONS_CORE_URL_PREFIX

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(self.prefix + path, base_url=self.site, headers=self._headers(options), **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"} | self._headers(options)
        return self.client.post(self.prefix + path, base_url=self.site, headers=headers, **options)

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
        let_parts_finish(self.app)
        return self.session_id

    def sign_out(self) -> TestResponse:
        return self.post("/sign-out", data={"csrf_token": self.token("/sign-out")})

    def send(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send any request as a script of the site's own page does, with the token of the session."""
        token = self.json("/api/auth/sessions/validate").get_json().get("data", {}).get("csrf_token", "")
        headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
        headers |= {"X-CSRFToken": token} | options.pop("headers", {})
        return self.client.open(path, method=method, base_url=self.site, headers=headers, **options)

    def submit(self, path: str, **fields: str) -> TestResponse:
        """Send a form of the site's own page."""
        return self.post(path, data={"csrf_token": self.token("/session")} | fields)

    def waiting(self, answer: TestResponse) -> Waiting:
        """Read the page that asks for a signature: where a redirect leads to, or in the place of the answer."""
        page = answer if answer.status_code == 403 else self.get(answer.headers["Location"])
        assert page.status_code in (200, 403), page.get_data(as_text=True)
        return _Confirm.read(page.get_data(as_text=True))

    def text_for(self, request: str) -> dict[str, str]:
        """Ask for the text that confirms a waiting request."""
        answer = self.json("/api/auth/challenges", "POST", json={"request": request})
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return answer.get_json()["data"]

    def signed_form(self, wallet: Wallet, answer: TestResponse, **changes: str) -> tuple[str, MultiDict[str, str]]:
        """Return the address and the fields of the form that confirms, as a browser sends them once it is signed."""
        waiting = self.waiting(answer)
        text = self.text_for(waiting.request)
        proof = {
            "confirm_message": text["message"],
            "confirm_challenge": text["challenge"],
            "confirm_signature": wallet.sign(text["message"]),
        } | changes
        fields = [(name, proof.get(name, value)) for name, value in waiting.fields]
        assert {name for name, _ in fields} >= proof.keys()
        return waiting.target, MultiDict([(name, as_browsers_send(value)) for name, value in fields])

    def confirm(self, wallet: Wallet, answer: TestResponse, **changes: str) -> TestResponse:
        """Do what the page does: have the text written, sign it, and send the form."""
        target, form = self.signed_form(wallet, answer, **changes)
        return self.post(target, data=form)

    def proof(self, wallet: Wallet, answer: TestResponse, **changes: Any) -> dict[str, str]:
        """Return the header with which a client of the JSON service sends the refused request again."""
        error = answer.get_json()["error"]
        assert error["code"] == "step_up_required", error
        text = self.text_for(error["request"])
        given = {
            "message": text["message"],
            "challenge": text["challenge"],
            "signature": wallet.sign(text["message"]),
        }
        return {"Wallet-Confirmation": as_header(given | changes)}

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


class ApiClient:
    """A client without cookies: it keeps two tokens, and nothing that an answer sets."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.access = self.refresh_token = ""

    def send(self, method: str, path: str, bearer: str | None = None, **options: Any) -> TestResponse:
        """Send a request with the session token, or with the bearer that is given; an empty one sends none."""
        given = self.access if bearer is None else bearer
        headers = ({"Authorization": f"Bearer {given}"} if given else {}) | options.pop("headers", {})
        client = self.app.test_client(use_cookies=False)
        return client.open(path, method=method, base_url=ORIGIN, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.send("POST", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.send("DELETE", path, **options)

    def challenge(self, **body: str) -> dict[str, str]:
        answer = self.post("/api/auth/challenges", json=body)
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return answer.get_json()["data"]

    def attempt(self, wallet: Wallet, bearer: str | None = None, **body: Any) -> TestResponse:
        """Sign in, with single fields of the body replaced by the test's own."""
        text = self.challenge(account=wallet.account())
        sent = {"message": text["message"], "challenge": text["challenge"]} | body
        signature = wallet.sign(text["message"]) if bearer is None else bearer
        return self.post("/api/auth/sessions", bearer=signature, json=sent)

    def sign_in(self, wallet: Wallet, **body: Any) -> dict[str, Any]:
        """Sign in and return what was answered."""
        return self.keep(self.attempt(wallet, **body), 201)

    def refresh(self) -> dict[str, Any]:
        """Exchange the refresh token and return what was answered."""
        return self.keep(self.exchange(self.refresh_token))

    def exchange(self, token: str) -> TestResponse:
        return self.post("/api/auth/sessions/refresh", bearer="", json={"refresh_token": token})

    def keep(self, answer: TestResponse, status: int = 200) -> dict[str, Any]:
        """Keep the tokens of an answer."""
        assert answer.status_code == status, answer.get_data(as_text=True)
        data: dict[str, Any] = answer.get_json()["data"]
        self.access, self.refresh_token = data["session_token"], data["refresh_token"]
        return data

    def proof(self, wallet: Wallet, answer: TestResponse) -> dict[str, str]:
        """Return the header with which the refused request is sent again."""
        error = answer.get_json()["error"]
        assert error["code"] == "step_up_required", error
        text = self.challenge(request=error["request"])
        signature = wallet.sign(text["message"])
        given = {"message": text["message"], "challenge": text["challenge"], "signature": signature}
        return {"Wallet-Confirmation": as_header(given)}


class _Confirm(HTMLParser):
    """Reads the page of `confirm.html`."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = Waiting("", "", "", [])
        self._in_form = self._in_sentence = False

    @classmethod
    def read(cls, page: str) -> Waiting:
        reader = cls()
        reader.feed(page)
        assert reader.waiting.request, page
        assert reader.waiting.target, page
        return reader.waiting

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        testid = given.get("data-testid")
        if testid == "confirm":
            self.waiting.request = given["data-request"]
        elif testid == "confirm-form":
            self._in_form, self.waiting.target = True, given["action"]
        elif testid == "confirm-sentence":
            self._in_sentence = True
        elif self._in_form and tag == "input":
            self.waiting.fields.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in_form = False
        if tag == "p":
            self._in_sentence = False

    def handle_data(self, data: str) -> None:
        if self._in_sentence:
            self.waiting.sentence += data


def handle_of(visitor: Visitor) -> str:
    """Return what this visitor's session is called."""
    return str(visitor.json("/api/auth/sessions/validate").get_json()["data"]["session_id"])


def as_browsers_send(value: str) -> str:
    """Return the value of a field as forms send it: with CR LF at the end of lines (HTML, section 4.10.21.4)."""
    return value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def as_header(value: Any) -> str:
    """Return JSON as base64url without padding."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def together(*jobs: Callable[[], T]) -> list[T]:
    """Run every job in a thread of its own, all from the same moment; return their results in order."""
    barrier = Barrier(len(jobs))
    results: dict[int, T] = {}
    failures: list[BaseException] = []

    def run(number: int, job: Callable[[], T]) -> None:
        barrier.wait()
        try:
            results[number] = job()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=run, args=each) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(jobs))]
