"""Signs test wallets in, and does to their sessions what users and administrators would."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, url_for
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from .. import events
from ..errors import catalogue
from ..sessions.record import EndedSession, LoadedSession
from ..sign_in.accounts import parse
from ..web.services import EXTENSION, Services
from .errors import NotSignedIn, NoWalletSessions, PartMissing, SignInFailed, TestingInProduction
from .wallets import TestWallet

_TOKEN = re.compile(r'name="csrf[_-]token"[^>]*(?:value|content)="([^"]+)"')


class TestSession:
    """A session under test, by its account and handle: it stays the same when its id changes.

    `token` and `refresh_token` are those of a session for a program, and empty for a browser's.
    """

    __test__ = False  # no class of tests, although pytest would take the name for one

    def __init__(self, app: Flask, account: str, handle: str, token: str = "", refresh_token: str = "") -> None:
        self.app = app
        self.account = account
        """CAIP-10."""
        self.handle = handle
        """`sess_…`, the public name."""
        self.token = token
        self.refresh_token = refresh_token

    def load(self) -> LoadedSession | None:
        """Read the session from Redis; `None` if it has ended. Looking at it is no activity."""
        return services_of(self.app).repository.find_living(self.account, self.handle)

    @property
    def end_reason(self) -> str | None:
        """Why the session has ended, such as "idle" or "revoked" (docs/errors.md); `None` while it lives."""
        found = services_of(self.app).repository.find(self.account, self.handle)
        if found is None:
            return "unknown"
        return found.reason if isinstance(found, EndedSession) else None

    def __repr__(self) -> str:
        return f"TestSession({self.handle!r} of {self.account!r})"


def services_of(app: Flask) -> Services:
    """Return the services of an application under test.

    Raises `TestingInProduction` for an application that is not in development, and `NoWalletSessions`.
    """
    services: Services | None = app.extensions.get(EXTENSION)
    if services is None:
        raise NoWalletSessions
    if not services.settings.development:
        raise TestingInProduction
    return services


def sign_in(
    client: FlaskClient,
    wallet: TestWallet,
    session_type: str = "",
    *,
    bearer: bool = False,
    remember: bool = False,
    duration: int | None = None,
    permissions: list[str] | None = None,
) -> TestSession:
    """Sign a wallet in over HTTP, as its user would, and return the session.

    The client has the session's cookies afterwards. With `bearer` it sends the session token with each request
    instead (part `api`). `duration` is in seconds; permissions that the type does not grant are dropped.

    Raises `SignInFailed` if the application refuses, and `PartMissing` for `bearer` without its part.
    """
    services = services_of(client.application)
    asked: dict[str, Any] = {"session_type": session_type, "permissions": permissions, "duration": duration}
    asked = {key: value for key, value in asked.items() if value not in (None, "")}
    if bearer:
        return _sign_in_program(services, client, wallet, asked)
    client.environ_base.pop("HTTP_AUTHORIZATION", None)
    token = _token_of(_send(client, "GET", "sessions.sign_in"))
    text = _challenge(client, wallet)
    form = asked | {"csrf_token": token, "wallet": "Test wallet"}
    form |= {"message": text["message"], "challenge": text["challenge"], "signature": wallet.sign(text["message"])}
    refusals: list[str] = []

    def note(event: events.Event) -> None:
        if isinstance(event, (events.SignInFailed, events.RequestRefused)):
            refusals.append(event.code)

    # The page says it in words, and the template may be the application's own.
    with events.happened.connected_to(note):
        answer = _send(client, "POST", "sessions.sign_in_post", data=form | ({"remember": "1"} if remember else {}))
    if refusals or answer.status_code != 303:
        code = refusals[-1] if refusals else str(answer.status)
        known = catalogue().get(code)
        raise _refusal(wallet, code, known.message if known else answer.text)
    return session_of(client)


def _sign_in_program(
    services: Services, client: FlaskClient, wallet: TestWallet, asked: dict[str, Any]
) -> TestSession:
    if "api" not in services.parts:
        raise PartMissing("sign_in(…, bearer=True) needs the part 'api', which gives programs their tokens. Load it.")
    app = client.application
    program = app.test_client(use_cookies=False)  # with a cookie the answer would be a cookie
    text = _challenge(program, wallet)
    body = asked | {"message": text["message"], "challenge": text["challenge"], "wallet": "Test wallet"}
    headers = {"Authorization": f"Bearer {wallet.sign(text['message'])}"}
    client.delete_cookie(services.store.cookie_name, domain=services.settings.host)  # or it would count, and no token
    answer = _send(program, "POST", "sessions_api_json.create_session", json=body, headers=headers)
    data = _data(answer, wallet)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {data['session_token']}"
    return TestSession(app, data["account"], data["session_id"], data["session_token"], data["refresh_token"])


def session_of(client: FlaskClient) -> TestSession:
    """Return the session of a client that has signed in. Raises `NotSignedIn` if it has none that lives."""
    answer = _send(client, "GET", "sessions_json.validate")
    if answer.status_code != 200:
        error = (answer.get_json(silent=True) or {}).get("error", {})
        raise NotSignedIn(f"The client is not signed in: {error.get('reason') or error.get('code')}. Call sign_in.")
    data = answer.get_json()["data"]
    return TestSession(client.application, data["account"], data["session_id"])


class _VisitorSession(TestSession):
    """The session of a visitor, by its id: it has no account and no handle."""

    def __init__(self, app: Flask, session_id: str) -> None:
        super().__init__(app, "", "")
        self._id = session_id

    def _find(self) -> LoadedSession | EndedSession:
        return services_of(self.app).repository.load_id(self._id, "never")

    def load(self) -> LoadedSession | None:
        found = self._find()
        return found if isinstance(found, LoadedSession) else None

    @property
    def end_reason(self) -> str | None:
        found = self._find()
        return found.reason if isinstance(found, EndedSession) else None


def visitor_session(client: FlaskClient) -> TestSession:
    """Return the session that keeps `flask.session` for a client without a wallet, such as a login of Flask-Login.

    It has no account and no handle, and its `end_reason` is always "unknown". Raises `NotSignedIn` if the client has
    none that lives, or has signed in with a wallet.
    """
    services = services_of(client.application)
    cookie = client.get_cookie(services.store.cookie_name, domain=services.settings.host)
    session = _VisitorSession(client.application, cookie.value if cookie is not None else "")
    found = session.load() if cookie is not None else None
    if found is None or found.record.account:
        raise NotSignedIn("The client has no session of a visitor. Log in, or call session_of for that of a wallet.")
    return session


def csrf(client: FlaskClient) -> str:
    """Return the CSRF token for forms (`csrf_token`) and scripts (the header `X-CSRFToken`) of a client: that of its
    session, or for a visitor that of its browser. It changes when the session's id does. Asking is no activity.
    """
    services_of(client.application)
    answer = _send(client, "GET", "sessions_json.validate")
    if answer.status_code == 200:
        return str(answer.get_json()["data"].get("csrf_token", ""))  # a program has none, and needs none
    return _token_of(_send(client, "GET", "sessions.sign_in"))


def revoke(session: TestSession, reason: str = "revoked") -> None:
    """End a session at once, as its user or an administrator does from another device; one that has ended is left."""
    lifecycle, found = services_of(session.app).lifecycle, session.load()
    with session.app.app_context():
        if found is not None:
            lifecycle.revoke(found, reason)


def make_admin(session: TestSession, role: str = "admin") -> None:
    """Give the account of a session a role (part `roles`). The session has it from its next request on, under a new
    id.

    Raises `PartMissing` if the part is not loaded: then your `role_for` decides about roles.
    """
    roles = services_of(session.app).parts.get("roles")
    if roles is None or services_of(session.app).role_for is not None:
        raise PartMissing(
            "make_admin needs the part 'roles', without a role_for of yours. Load it, or have role_for return "
            f"{role!r} for {session.account}."
        )
    assign = roles.roles.assign  # type: ignore[attr-defined]  # the kit imports no part, so that each can be deleted
    with session.app.app_context():
        assign(parse(session.account), role)


def reset(app: Flask) -> None:
    """Delete everything that the application keeps in Redis: all keys with its prefix, and no others."""
    services = services_of(app)
    pattern = re.sub(r"([\\*?\[\]])", r"\\\1", services.settings.redis_prefix) + "*"
    for key in list(services.connection.scan(pattern)):
        services.connection.call("DEL", key)


# -- Requests ------------------------------------------------------------------------------------------------


def _send(client: FlaskClient, method: str, endpoint: str, **options: Any) -> TestResponse:
    """Send a request as a page of the site does, whatever other address the test's own requests go to."""
    app = client.application
    origin = services_of(app).settings.public_origin
    with app.test_request_context(base_url=origin):
        path = url_for(endpoint)
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"} | options.pop("headers", {})
    return client.open(path, method=method, base_url=origin, headers=headers, **options)


def _challenge(client: FlaskClient, wallet: TestWallet) -> dict[str, str]:
    answer = _send(client, "POST", "sessions_json.create_challenge", json={"account": wallet.account})
    found: dict[str, str] = _data(answer, wallet)
    return found


def _data(answer: TestResponse, wallet: TestWallet) -> dict[str, Any]:
    body: dict[str, Any] = answer.get_json(silent=True) or {}
    if not body.get("success"):
        error = body.get("error", {})
        code, sentence = error.get("code", answer.status), error.get("cause") or error.get("message", "")
        raise _refusal(wallet, code, sentence)
    found: dict[str, Any] = body["data"]
    return found


def _refusal(wallet: TestWallet, code: str, sentence: str) -> SignInFailed:
    return SignInFailed(f"The sign-in of {wallet!r} was refused: {code}. {sentence}")


def _token_of(page: TestResponse) -> str:
    found = _TOKEN.search(page.text)
    if found is None:
        raise SignInFailed(
            f"The sign-in page answered {page.status}, without a CSRF token. If the template is yours, write into "
            'its form: <input type="hidden" name="csrf_token" value="{{ csrf_token() }}">'
        )
    return found[1]
