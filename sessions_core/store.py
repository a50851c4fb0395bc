"""Flask-Session's Redis interface made safe: `flask.session` works as usual, over records that stay dead once
revoked.

What is overridden, and the attack or fault it stops: the raw cookie value as key (a database dump is a bunch of
working cookies), the unconditional SET (a request in flight revives a revoked session), the pickle fallback (code
execution by whoever can write to Redis), `regenerate` doing nothing on an empty session (fixation), a deletion that
leaves a `__Host-` cookie, a write on every request, and a client that hangs for seconds when Redis is gone.
`tests/test_store.py` fails if upstream changes what we override.

A visitor without a session costs Redis nothing. The CSRF secret of visitors comes from their pre-sign-in cookie; a
record for a visitor is made only when a view writes to `flask.session`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
from flask import Flask, Request, Response
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from flask_session.redis import RedisSessionInterface

from .errors import StoreUnavailable, TokenExpired, TokenInvalid
from .records import CSRF_KEY, Ended, Live, Record, Records, Slide, account_tag, well_formed
from .settings import Settings
from .tokens import Claims, Tokens

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_MERGE_ATTEMPTS = 100  # each round at least one of the writers gets through


class WalletSession(ServerSideSession):  # type: ignore[misc]  # flask_session is untyped
    """`flask.session`: a dict of what views store, beside the record the server keeps.

    `live` is the stored session, a visitor's included; `ended` says why the cookie's session is no more, and
    `lost` that it ended while this request ran; `browser` is the pre-sign-in cookie that came with the request, and
    challenges are bound to it. A client without cookies brings a `token` instead; `claims` is what it says if it is
    good.
    """

    live: Live | None = None
    read = b""  # the record as the dict was filled from it; what differs at the end is what the view changed
    ended: str | None = None
    ended_sid: str | None = None
    ended_handle = ""
    loading = loaded = False
    lost = False
    cleared = False
    cookie_due = False
    minted_browser: str | None = None
    browser_cookie_due = False
    claims: Claims | None = None

    def __init__(self, sid: str | None, browser: str | None, token: str | None = None) -> None:
        super().__init__()
        self.sid: str | None = sid
        self.browser = browser
        self.token = token

    @property
    def account_live(self) -> Live | None:
        """The stored session if somebody is signed in with it."""
        return self.live if self.live is not None and self.live.record.account else None

    def __getitem__(self, key: str) -> Any:
        if key == CSRF_KEY and self.account_live is None:
            self.bind_browser()  # a form was made for a visitor: the secret must be the same when it comes back
        return super().__getitem__(key)

    def seed_csrf(self) -> None:
        """Give a visitor the CSRF secret of their browser."""
        # One way: a page that leaks its CSRF token does not leak the cookie that challenges are bound to.
        seed = hashlib.sha256(b"csrf" + self._browser_value().encode()).hexdigest()
        dict.__setitem__(self, CSRF_KEY, seed)

    def bind_browser(self) -> None:
        """Make sure that the browser has a pre-sign-in cookie after this response."""
        self.browser_cookie_due = self.browser is None and bool(self._browser_value())

    def _browser_value(self) -> str:
        if self.browser is None and self.minted_browser is None:
            self.minted_browser = secrets.token_urlsafe(32)
        return self.browser or self.minted_browser or ""

    def fill(self, live: Live) -> None:
        """Become what was read."""
        self.live, self.read = live, live.plaintext
        dict.update(self, live.record.data)

    def adopt(self, live: Live) -> None:
        """Become this session: its data, its id, and its cookie with the response, whatever came instead of one."""
        dict.clear(self)
        dict.update(self, live.record.data)
        self.sid, self.live, self.read, self.ended = live.id, live, live.plaintext, None
        self.modified, self.cleared, self.lost, self.cookie_due = False, False, False, True
        self.token = self.claims = None

    def move(self, live: Live) -> None:
        """Go on under another id, with the CSRF secret that belongs to it; what the view changed is still saved."""
        self.sid, self.live, self.cookie_due = live.id, live, True
        if live.record.account:
            dict.__setitem__(self, CSRF_KEY, live.record.data[CSRF_KEY])

    def lose(self, reason: str) -> None:
        """Note that the session ended while this request ran. Nothing of it may become a visitor's."""
        dict.clear(self)
        self.live, self.sid, self.ended, self.lost, self.cookie_due = None, None, reason, True, False

    def release(self) -> None:
        """Stop being any session; the cookie is deleted with the response."""
        dict.clear(self)
        self.live, self.sid = None, None
        self.modified, self.cookie_due = False, True

    def clear(self) -> None:
        """Forget everything: signs out, or drops what was stored for a visitor, with the response."""
        dict.clear(self)
        self.modified = self.accessed = self.cleared = True

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser. Decided at sign-in by the person, so setting it does nothing."""
        return self.live is not None and self.live.record.remember

    @permanent.setter
    def permanent(self, value: bool) -> None:
        pass


class SessionStore(RedisSessionInterface):  # type: ignore[misc]  # flask_session is untyped
    """The session interface: cookies on one side, `Records` on the other."""

    session_class = WalletSession

    def __init__(self, app: Flask, records: Records, settings: Settings, tokens: Tokens) -> None:
        # Not RedisSessionInterface.__init__: it insists on a client and would open one to localhost.
        ServerSideSessionInterface.__init__(self, app, key_prefix=settings.redis_prefix)
        self.records = records
        self.tokens = tokens
        self.settings = settings
        self.cookie_name = "__Host-session" if settings.cookie_secure else "session"
        self.browser_cookie_name = "__Host-browser" if settings.cookie_secure else "browser"
        self.ended_cookie_name = "__Host-ended" if settings.cookie_secure else "ended"
        self.share_cookie_name = "__Host-share" if settings.cookie_secure else "share"

    # -- Reading ---------------------------------------------------------------------------------------------

    def open_session(self, app: Flask, request: Request) -> WalletSession:
        """Take the cookies as they came; the guard calls `load` once it knows what the route needs."""
        cookies: str = request.environ.get("HTTP_COOKIE", "")
        sids = _values(cookies, self.cookie_name)
        browsers = _values(cookies, self.browser_cookie_name)
        # Two cookies of one name: somebody planted one (a subdomain without __Host-, a proxy). Trust neither.
        session = WalletSession(
            sid=sids[0] if len(sids) == 1 and well_formed(sids[0]) else None,
            browser=browsers[0] if len(browsers) == 1 and _BROWSER.fullmatch(browsers[0]) else None,
            # A cookie that came along decides, and with it the CSRF token: a page elsewhere can't choose a header,
            # but it can have the browser send the cookie.
            token=None if sids else bearer(request),
        )
        if sids and session.sid is None:
            session.ended = "unknown"  # forged or planted, and refused as such where a session is demanded
        return session

    def load(self, session: WalletSession, slide: Slide, shown: bool = False) -> None:
        """Fill the session from Redis: one round trip with a session cookie or a good token, none without.

        `shown` says whether a token will do that a browser had made to show it to others. Raises `StoreUnavailable`.
        """
        session.loading = True
        if session.sid is not None:
            found = self.records.load(session.sid, slide)
            if isinstance(found, Ended):
                session.ended, session.ended_sid, session.sid = found.reason, session.sid, None
                session.ended_handle = found.handle
            else:
                session.fill(found)
        elif session.token is not None:
            self._load_bearer(session, session.token, slide, shown)
        if session.account_live is None:
            session.seed_csrf()
        session.loaded = True

    def _load_bearer(self, session: WalletSession, token: str, slide: Slide, shown: bool) -> None:
        try:
            claims = self.tokens.open(token)
        except (TokenInvalid, TokenExpired) as refusal:
            session.ended = refusal.code
            return
        if claims.gen is None and not shown:
            # Of a session with a cookie. Others have seen it, and so has any script of the page: it must not do what
            # takes the cookie and its CSRF token, nor have the id of the session changed under the browser.
            session.ended = TokenInvalid.code
            return
        found = self.records.load_handle(account_tag(claims.sub), claims.sid, slide)
        if isinstance(found, Ended):
            session.ended, session.ended_handle = found.reason, claims.sid
        elif found.record.account != claims.sub:
            session.ended = TokenInvalid.code
        else:
            session.fill(found)
            session.claims = claims

    # -- Writing ---------------------------------------------------------------------------------------------

    def save_session(self, app: Flask, session: WalletSession, response: Response) -> None:
        """Write what changed, if the session still exists, and set a cookie only if its id is new."""
        if not session.loaded:
            if session.modified and not session.loading:
                raise RuntimeError("flask.session was written where it is not read: declare the route @public.")
            return
        try:
            if session.modified:
                session.modified = False
                self._write(session)
        except StoreUnavailable as error:
            # The view's answer claims a change that was not stored.
            _replace(response, app.make_response(app.handle_user_exception(error)))
        if "Cache-Control" in response.headers:  # without one, `web.headers` says no-store
            if session.account_live is not None or session.cookie_due or session.browser_cookie_due:
                # Whatever the view thought of its page: what belongs to one person must not be kept for all.
                response.headers["Cache-Control"] = "no-store"
            else:
                response.headers.add("Vary", "Cookie")
        if session.cookie_due and session.token is None:  # who brings a token keeps no cookie
            self._set_session_cookie(session, response)
        if session.browser_cookie_due and session.minted_browser:
            response.set_cookie(self.browser_cookie_name, session.minted_browser, **self.cookie_attributes())

    def regenerate(
        self, session: WalletSession, change: Callable[[Record], None] | None = None, restart_seconds: int = 0
    ) -> None:
        """Move the session to a new id; the old one is dead at once. May raise `StoreUnavailable`.

        `change` is made to the record in the same step; with `restart_seconds` both clocks start again, the absolute
        one with that length.
        """
        if session.live is None:
            return
        for _ in range(_MERGE_ATTEMPTS):
            if change is not None:
                change(session.live.record)
            moved = self.records.rotate(session.live, restart_seconds)
            if moved is not None:
                session.move(moved)
                return
            if not self._reload(session):
                return
        raise StoreUnavailable("the record kept changing", retry_after=1)

    def revoke_others(self, session: WalletSession) -> int:
        """End all other sessions of the account of this one; return how many there were. May raise
        `StoreUnavailable`.
        """
        for _ in range(_MERGE_ATTEMPTS):
            if session.live is None:
                return 0
            ended = self.records.revoke_others(session.live)
            if ended is not None:
                return ended
            if not self._reload(session):
                return 0
        raise StoreUnavailable("the record kept changing", retry_after=1)

    def amend(self, session: WalletSession, change: Callable[[Record], None]) -> None:
        """Change what the server keeps beside `flask.session`, unless the session has ended. May raise
        `StoreUnavailable`.
        """
        for _ in range(_MERGE_ATTEMPTS):
            if session.live is None:
                return
            change(session.live.record)
            if self.records.save(session.live) == "saved" or not self._reload(session):
                return
        raise StoreUnavailable("the record kept changing", retry_after=1)

    def _write(self, session: WalletSession) -> None:
        if session.lost:
            return  # what an account stored must not become a visitor's, nor this response set a cookie
        signed_in = session.account_live is not None and not session.cleared
        data = {key: value for key, value in session.items() if key != CSRF_KEY or signed_in}
        if session.cleared and session.live is not None:
            self.records.revoke(session.live, "signed_out")
            session.release()
        if session.live is not None:
            self._save(session, data)
        elif data and session.token is None:  # without a cookie nobody could come back to it
            record = Record(data=data)
            session.live = self.records.create(record, self.settings.idle_seconds, self.settings.absolute_seconds)
            session.sid, session.cookie_due = session.live.id, True

    def _save(self, session: WalletSession, data: dict[str, Any]) -> None:
        # Another request may have saved since we read: then our changes go on top of its, key by key, and neither is
        # lost.
        live = cast(Live, session.live)
        before: dict[str, Any] = msgspec.msgpack.decode(session.read, type=Record).data
        # By what would be stored: to Python, True and 1 and 1.0 are equal.
        encode = msgspec.msgpack.encode
        changed = {
            key: value for key, value in data.items() if key not in before or encode(before[key]) != encode(value)
        }
        removed = before.keys() - data.keys()
        if not changed and not removed:
            return
        for _ in range(_MERGE_ATTEMPTS):
            live.record.data = {key: value for key, value in live.record.data.items() if key not in removed} | changed
            outcome = self.records.save(live)
            if outcome == "saved":
                return
            if not self._reload(session):
                return
            live = cast(Live, session.live)
        raise StoreUnavailable("the record kept changing", retry_after=1)

    def _reload(self, session: WalletSession) -> bool:
        found = self.records.again(cast(Live, session.live))
        if isinstance(found, Ended):
            session.lose(found.reason)
            return False
        session.live = found
        return True

    # -- Cookies ---------------------------------------------------------------------------------------------

    def _set_session_cookie(self, session: WalletSession, response: Response) -> None:
        if session.live is None:
            # A __Host- cookie is only deleted by a cookie with the same attributes; stock Flask-Session forgets
            # Secure.
            response.delete_cookie(self.cookie_name, **self.cookie_attributes())
            return
        live = session.live
        # Without Max-Age the browser forgets the cookie when it closes.
        age = (live.ends - live.now) // 1000 if live.record.remember else None
        response.set_cookie(self.cookie_name, live.id, max_age=age, **self.cookie_attributes())

    def cookie_attributes(self) -> dict[str, Any]:
        """Return what all our cookies have in common; one is only deleted with the same."""
        return {
            "path": "/",
            "secure": self.settings.cookie_secure,
            "httponly": True,
            "samesite": self.settings.cookie_samesite,
        }


def bearer(request: Request) -> str | None:
    """Return what follows `Bearer` in the header Authorization (RFC 6750, section 2.1), or `None`.

    Werkzeug's own reading takes what has an equals sign in it for parameters; signatures of some chains have.
    """
    authorization: str = request.environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = authorization.partition(" ")  # the scheme in any case (RFC 9110, section 11.1)
    return token.strip() if scheme.lower() == "bearer" else None


def _values(cookies: str, name: str) -> list[str]:
    # Our values never need quoting, so splitting is enough, and a sixth of the cost of `request.cookies`.
    return [value for part in cookies.split(";") for key, _, value in (part.strip().partition("="),) if key == name]


def _replace(response: Response, other: Response) -> None:
    response.status_code = other.status_code
    response.headers.clear()
    response.headers.extend(_pairs(other))
    response.response = other.response


def _pairs(response: Response) -> Iterator[tuple[str, str]]:
    return iter(response.headers.to_wsgi_list())
