"""A program's way to sign in, without a browser: one file to copy, on eth-account and the standard library.

    with Client("https://app.example.org", key) as client:
        print(client.request("GET", "/api/auth/sessions"))

`key` is an eth-account key, or its hexadecimal digits. The client signs in when it is first needed, gets a new
session token before the old one ends, tries again what the network lost, and signs out at the end. Threads may share
it. It keeps nothing anywhere: a program that starts again signs in again.

Every refusal is a `ServiceError` with the `code` and `reason` of docs/errors.md. If a session ended, by its clocks or
because it was revoked, the client does not sign in again by itself: call `sign_in` if you want that.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_ANSWER = 1_000_000  # bytes
_LONGEST_WAIT = 60.0  # seconds that a server may have us wait before we say so instead
_REFRESH = "/api/auth/sessions/refresh"
_IDEMPOTENT = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")  # RFC 9110, section 9.2.2


class ServiceError(Exception):
    """A refusal: `code` and `reason` of the closed set, the HTTP `status`, and the id that finds it in the log.

    `details` is the whole error of the answer; `retry_after` is in seconds, if the server said so.
    """

    def __init__(
        self, code: str, message: str, status: int = 0, details: dict[str, Any] | None = None, retry_after: int = 0
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}
        self.reason: str | None = self.details.get("reason")
        self.request_id: str | None = self.details.get("request_id")
        self.retry_after = retry_after
        super().__init__(f"{code}: {message}" + (f" ({self.reason})" if self.reason else ""))


class NetworkError(ServiceError):
    """No usable answer. `sent` says whether the request may have arrived."""

    sent = True


class Unavailable(ServiceError):
    """The service can't do it now, and has done nothing (503)."""


class RateLimited(Unavailable):
    """Too many requests (429)."""


class SignInRefused(ServiceError):
    """The signature, the account or the kind of session was not accepted."""


class NotSignedIn(ServiceError):
    """There is no session, or this one has ended; `reason` says why (401)."""


class SessionExpired(NotSignedIn):
    """The session ran out by one of its clocks; `reason` is "idle" or "absolute"."""


class SessionInvalid(NotSignedIn):
    """The session was ended: from elsewhere, or because one of its tokens was used twice."""


class TokenRefused(NotSignedIn):
    """The session token is too old, or of no key that the site still has, although it was made just now."""


class PermissionDenied(ServiceError):
    """The session lacks something: `details["missing"]` (403)."""


class StepUpRequired(ServiceError):
    """The wallet has to sign for exactly this first; `details["request"]` stands for it (403)."""


class TextRefused(SignInRefused):
    """We did not sign what the server gave us: it is no sign-in of our account at this site."""


_BY_CODE: dict[str, type[ServiceError]] = {
    "no_token": NotSignedIn,
    "session_expired": SessionExpired,
    "session_invalid": SessionInvalid,
    "session_ended_during_request": SessionInvalid,
    "token_invalid": TokenRefused,
    "token_expired": TokenRefused,
    "permission_denied": PermissionDenied,
    "step_up_required": StepUpRequired,
}
_BY_STATUS: dict[int, type[ServiceError]] = {
    401: NotSignedIn,
    429: RateLimited,
    502: NetworkError,  # of a proxy, which does not know what became of the request
    503: Unavailable,
    504: NetworkError,
}


@dataclass(frozen=True)
class _Tokens:
    session: str
    refresh: str
    due: float  # by our clock, when to get the next
    ends: float  # by our clock, when the session token is of no use any more


class Client:
    """A session at a site that uses sessions_core.

    `site` is its public origin, as its texts name it; plain http is for this machine alone. `chain` is the CAIP-2 id
    of an Ethereum network, and decides between mainnet and testnet permissions. `session_type`, `duration` (seconds)
    and `permissions` ask for less than the site would give. `timeout` is in seconds; `attempts` says how often to ask
    in all when the network or the service fails. `clock` returns seconds that never go back, `sleep` waits for some,
    `jitter` returns a number from 0 to 1.
    """

    def __init__(
        self,
        site: str,
        key: str | LocalAccount,
        *,
        chain: str = "eip155:1",
        session_type: str = "",
        duration: int | None = None,
        permissions: Iterable[str] | None = None,
        timeout: float = 10.0,
        attempts: int = 5,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        parts = urlsplit(site)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ValueError(f"{site!r} is no origin such as https://app.example.org")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"{site!r} would carry the session in the clear; use https")
        self._scheme, self._host, self._port = parts.scheme, parts.hostname, parts.port
        self._base, self._domain = parts.path.rstrip("/"), parts.netloc.lower()
        self._key: LocalAccount = Account.from_key(key) if isinstance(key, str) else key
        self.account = f"{chain}:{self._key.address}"
        self._wanted = {
            "session_type": session_type,
            "duration": duration,
            "permissions": None if permissions is None else list(permissions),
        }
        self._timeout, self._attempts = timeout, max(1, attempts)
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        # Held while tokens change: of threads that find the same token too old, one gets the next, and the others
        # wait for it.
        self._lock = threading.RLock()
        self._tokens: _Tokens | None = None
        self._lost: NotSignedIn | None = None
        self._state: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Sign in."""
        self.sign_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Sign out; what went wrong inside the block counts for more than what goes wrong here."""
        try:
            self.close()
        except ServiceError:
            if error is None:
                raise

    @property
    def session(self) -> dict[str, Any]:
        """What the service last said of this session: `permissions`, `expires_at`, `session_id` and so on."""
        return dict(self._state)

    def sign_in(self) -> dict[str, Any]:
        """Start a session, and return what it is; one that this client has already ends first.

        Raises `SignInRefused`, `PermissionDenied` for a session type that the account may not have, or what
        `request` raises for the network.
        """
        with self._lock:
            if self._tokens is not None:
                self.close()
            self._lost = None
            # A nonce is good once. If the answer gets lost it may be spent, so what is repeated is the whole.
            self._keep(*self._persist(self._sign_in_once, lambda error: True))
            return self.session

    def token(self) -> str:
        """Return a session token that is good for a moment longer, to send with any HTTP library."""
        with self._lock:
            if self._tokens is None:
                if self._lost is not None:
                    raise self._lost.with_traceback(None)
                self.sign_in()
            elif self._clock() >= self._tokens.due:
                self._refresh(self._tokens)
            return self._newest().session

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request with the session, and return the `data` of the answer (or the answer, without envelope).

        `path` begins with a slash, `body` goes out as JSON. Raises a `ServiceError`. Without an answer, or with a 503
        or 429, it is sent again; but not where that could do something twice.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} does not begin with a slash")
        for first in (True, False):
            token = self.token()
            try:
                return self._send(method, path, body, token)
            except TokenRefused:
                if not first:
                    raise
                self._replace(token)
            except (SessionExpired, SessionInvalid) as error:
                self._forget(token, error)
                raise
        raise AssertionError  # the second round returns or raises

    def validate(self) -> dict[str, Any]:
        """Ask what the session is and until when it lives; this is no activity."""
        self._state = dict(self.request("GET", "/api/auth/sessions/validate"))
        return self.session

    def keep_alive(self) -> dict[str, Any]:
        """Start the idle clock again."""
        self._state = dict(self.request("POST", "/api/auth/sessions/keep-alive"))
        return self.session

    def close(self) -> None:
        """Sign out at the service, and forget the tokens; twice is fine.

        Raises if the service did not hear it. The session lives then, and this can be called again.
        """
        with self._lock:
            if self._tokens is None:
                return
            # By the refresh token: it is good for this whatever the clock says.
            self._call("POST", "/api/auth/sessions/logout", {"refresh_token": self._tokens.refresh})
            self._tokens = None
            self._lost = SessionInvalid("session_invalid", "This client signed out.", 401, {"reason": "signed_out"})

    # -- Tokens ------------------------------------------------------------------------------------------------------

    def _sign_in_once(self) -> tuple[dict[str, Any], float]:
        wanted = {name: value for name, value in self._wanted.items() if value not in (None, "")}
        try:
            challenge = self._once("POST", "/api/auth/challenges", {"account": self.account})
            text = str(challenge["message"])
            self._refuse_foreign(text)
            signature = self._key.sign_message(encode_defunct(text=text)).signature.hex().removeprefix("0x")
            body = {"message": text, "challenge": challenge["challenge"], **wanted}
            asked = self._clock()
            return self._once("POST", "/api/auth/sessions", body, f"0x{signature}"), asked
        except ServiceError as error:
            if error.status == 400:
                raise SignInRefused(error.code, error.message, error.status, error.details) from error
            raise

    def _refuse_foreign(self, text: str) -> None:
        # A server that an attacker took over could have this client sign in at another site for the attacker.
        first, address, *_ = [*text.split("\n"), ""]
        wants = " wants you to sign in with your Ethereum account:"
        ours = (f"{self._domain}{wants}", f"{self._scheme}://{self._domain}{wants}")
        if first not in ours or address != self._key.address:
            raise TextRefused(
                "text_refused", f"{self._domain} asked us to sign {first[:100]!r} for {address[:50]!r}."
            )

    def _refresh(self, tokens: _Tokens) -> None:
        """Get the next tokens. The lock is held. If an answer gets lost, the same refresh token gets another."""
        asked = self._clock()
        good = asked < tokens.ends
        body = {"refresh_token": tokens.refresh}
        try:
            data = self._call("POST", _REFRESH, body) if not good else self._once("POST", _REFRESH, body)
        except (NetworkError, Unavailable):
            if not good:
                raise
            # The present tokens are good for a while, so the caller need not wait for a service that is restarting.
            self._tokens = replace(tokens, due=asked + 5)
            return
        except NotSignedIn as error:
            self._tokens, self._lost = None, error
            raise
        self._keep(data, asked)

    def _replace(self, token: str) -> None:
        with self._lock:
            if self._tokens is not None and self._tokens.session == token:  # or another thread was here first
                self._tokens = replace(self._tokens, due=0, ends=0)
                self._refresh(self._tokens)

    def _forget(self, token: str, error: NotSignedIn) -> None:
        with self._lock:
            if self._tokens is not None and self._tokens.session == token:
                self._tokens, self._lost = None, error

    def _keep(self, data: dict[str, Any], asked: float) -> None:
        # Both times are the server's, so that it does not matter what time it is here; counted from before we asked.
        good_for = max(1.0, (_time(data["token_expires_at"]) - _time(data["now"])).total_seconds())
        due = asked + good_for - min(30.0, good_for / 3)
        self._tokens = _Tokens(data.pop("session_token"), data.pop("refresh_token"), due, asked + good_for)
        self._state = data

    def _newest(self) -> _Tokens:
        assert self._tokens is not None  # noqa: S101  # the callers saw to it
        return self._tokens

    # -- The wire ----------------------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, body: Any) -> Any:
        """Ask the service for something that may be asked for twice."""
        return self._persist(lambda: self._once(method, path, body), lambda error: True)

    def _send(self, method: str, path: str, body: Any, token: str) -> Any:
        def may_repeat(error: ServiceError) -> bool:
            return not isinstance(error, NetworkError) or not error.sent or method.upper() in _IDEMPOTENT

        return self._persist(lambda: self._once(method, path, body, token), may_repeat)

    def _persist(self, ask: Callable[[], Any], may_repeat: Callable[[ServiceError], bool]) -> Any:
        """Ask until there is an answer: with growing pauses of random length, so that clients don't come in step."""
        for attempt in range(1, self._attempts + 1):
            try:
                return ask()
            except (NetworkError, Unavailable) as error:
                if attempt == self._attempts or not may_repeat(error) or error.retry_after > _LONGEST_WAIT:
                    raise
                self._sleep(error.retry_after + self._jitter() * min(8.0, 0.25 * 2**attempt))
        raise AssertionError  # the last round returns or raises

    def _once(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        kind = http.client.HTTPSConnection if self._scheme == "https" else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        sent = False
        try:
            connection.connect()
            sent = True
            connection.request(method, self._base + path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read(_LONGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            failure = NetworkError("network_error", f"{type(error).__name__}: {error}")
            failure.sent = sent
            raise failure from error
        finally:
            connection.close()
        return _read(response.status, response.headers.get("Retry-After", ""), text)


def _read(status: int, retry_after: str, text: bytes) -> Any:
    """Return the data of an answer, or raise the error that it is."""
    try:
        answer = json.loads(text) if text else None
    except ValueError as error:
        if 200 <= status < 300:  # cut off, or the page of a proxy
            raise NetworkError("unexpected_answer", "The answer is not JSON.", status) from error
        answer = None
    if 200 <= status < 300:
        if isinstance(answer, dict) and answer.get("success") is True and "data" in answer:
            return answer["data"]
        return answer
    details = answer.get("error") if isinstance(answer, dict) else None
    details = details if isinstance(details, dict) else {}
    code = str(details.get("code") or "unexpected_answer")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status) or ServiceError
    message = str(details.get("message") or f"The service answered with status {status}.")
    seconds = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0
    raise kind(code, message, status, details, seconds)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
