"""Flask-Session's Redis interface made safe: `flask.session` works as usual, over records that stay dead once
revoked.

What is overridden, and the attack or fault it stops: the raw cookie value as key (a database dump is a bunch of
working cookies), the unconditional SET (a request in flight revives a revoked session), the pickle fallback (code
execution by an attacker who can write to Redis), `regenerate` doing nothing on an empty session (fixation), a
deletion that leaves a `__Host-` cookie, a write on every request, and a client that hangs for seconds when Redis is
gone. `tests/sessions/test_session_interface.py` fails if upstream changes what this class overrides.

A visitor without a session costs Redis nothing. The CSRF secret of visitors comes from their pre-sign-in cookie; a
record for a visitor is made only when a view writes to `flask.session`.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Flask, Request, Response
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from flask_session.redis import RedisSessionInterface

from .. import events
from ..errors import NotSignedIn, RevocationPending, SessionEndedDuringRequest, StoreUnavailable
from ..settings import Settings
from . import cookies
from .lifecycle import Lifecycle
from .record import CSRF_KEY, ROTATED, EndedSession, LoadedSession, SessionRecord, account_tag, well_formed
from .repository import Change, KeepAlive, SessionRepository
from .session_data import same, to_stored

logger = logging.getLogger(__name__)

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_FLASHES = "_flashes"  # where Flask keeps what `flash` is given


@dataclass(frozen=True, slots=True)
class Unread:
    """The session was not read yet. `reason` is set for a cookie that this site can't have set."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The session is being read, or could not be read."""


_UNREAD, _READING = Unread(), Reading()


@dataclass(frozen=True, slots=True)
class Visitor:
    """No session came with the request, or it was left behind."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The session of the cookie or token has ended: why, which id it had, and whether it ended while this request
    ran.
    """

    session: EndedSession
    id: str | None = None
    during_request: bool = False


State = Unread | Reading | Visitor | LoadedSession | Gone


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The session that a valid bearer token names.

    `presented` says that a browser made the token to present it to other services: only routes with
    `accept_presented_token=True` take it. `refusal` is what other routes raise, also for a token that no longer fits
    its session.
    """

    account: str
    handle: str
    presented: bool
    refusal: type[NotSignedIn]


class WalletSession(ServerSideSession):  # type: ignore[misc]  # flask_session is untyped
    """`flask.session`: a dict for views, beside the record that the server keeps.

    `state` says what this request knows of its session. A stored one is a `LoadedSession`, also a visitor's; it is
    then `live` as well, and `account_live` if a user is signed in with it.
    `browser` is the pre-sign-in cookie that came with the request, and challenges are bound to it. A client without
    cookies brings a `token` instead; `claims` is what it says if it is good. `done` says that the request did
    something that can't be undone: it stays a success, even if `flask.session` can't be stored.

    The guard reads the session before each view. Code that runs earlier, or without the guard, makes it be read at
    the first access: a hook that asks for the account must never mistake a user for a visitor.
    """

    read = b""  # the record as the dict was filled from it; what differs at the end is what the view changed
    saved = False  # the response has begun: later changes are lost
    cleared = False  # the view has signed out
    done = False
    revocation_pending = False  # sessions have ended, but too few replicas have confirmed it
    cookie_due = False
    minted_browser: str | None = None
    browser_cookie_due = False
    wants_permanent = False
    visitor_clocks: tuple[int, int] | None = None  # idle and absolute seconds of a visitor's session that begins now
    claims: TokenClaims | None = None
    token_refusal: NotSignedIn | None = None  # why the token of this request is invalid

    def __init__(
        self,
        sid: str | None,
        browser: str | None,
        token: str | None = None,
        reader: Callable[[WalletSession], None] | None = None,
    ) -> None:
        super().__init__()
        self.on_update = type(self)._changed
        self.state = _UNREAD
        self.sid: str | None = sid
        self.browser = browser
        self.token = token
        self._reader = reader

    @classmethod
    def of_client(cls, live: LoadedSession, token: str) -> WalletSession:
        """Return the session of a client without cookies that proved itself by something else than this request's
        cookie or bearer.
        """
        session = cls(sid=None, browser=None, token=token)
        session.fill(live)
        return session

    @property
    def state(self) -> State:
        """What this request knows of its session."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        # Both are looked at many times in a request, and the state changes once or twice.
        self._state = state
        self.live: LoadedSession | None = state if isinstance(state, LoadedSession) else None
        self.account_live = self.live if self.live is not None and self.live.record.account else None
        self.view: Any = None  # what `web.guards.session_view` makes of it

    @property
    def loaded(self) -> bool:
        """Whether the session was read."""
        return not isinstance(self.state, (Unread, Reading))

    @property
    def ended(self) -> str | None:
        """Why the session of the cookie or token has ended, if there was one."""
        if isinstance(self.state, Gone):
            return self.state.session.reason
        return self.state.reason if isinstance(self.state, Unread) else None

    @property
    def ended_handle(self) -> str:
        """The handle of the session that ended, where it is known."""
        return self.state.session.handle if isinstance(self.state, Gone) else ""

    @property
    def ended_id(self) -> str | None:
        """The id in the cookie of the session that ended."""
        return self.state.id if isinstance(self.state, Gone) else None

    @property
    def lost(self) -> bool:
        """Whether the session ended while this request ran."""
        return isinstance(self.state, Gone) and self.state.during_request

    def _changed(self) -> None:
        self.modified = self.accessed = True
        if self.saved:
            logger.warning("flask.session was changed after its response had begun, in a stream; that is not kept.")

    def ensure_read(self) -> None:
        """Read the session from Redis unless that was tried already. May raise `StoreUnavailable`."""
        if isinstance(self.state, Unread) and self._reader is not None:
            self._reader(self)

    def close(self) -> None:
        """Keep the session unread for the whole request: the route is sessionless."""
        self._reader = None

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Leave the session unread within the block, and for good if the block fails."""
        reader, self._reader = self._reader, None
        yield
        self._reader = reader

    def __getitem__(self, key: str) -> Any:
        self.ensure_read()
        if key == CSRF_KEY and self.account_live is None:
            self.bind_browser()  # a form was made for a visitor: the secret must be the same when it comes back
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.ensure_read()
        to_stored({key: value})  # a value that can't be stored is refused at the line that sets it
        super().__setitem__(key, value)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, which gets the default if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several keys."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> WalletSession:
        self.update(other)
        return self

    def seed_csrf(self) -> None:
        """Give a visitor the CSRF secret of their browser."""
        # Hashed one way: a page that leaks its CSRF token does not leak the cookie that challenges are bound to.
        seed = hashlib.sha256(b"csrf" + self._browser_value().encode()).hexdigest()
        dict.__setitem__(self, CSRF_KEY, seed)

    def bind_browser(self) -> None:
        """Make sure that the browser has a pre-sign-in cookie after this response."""
        self.browser_cookie_due = self.browser is None and bool(self._browser_value())

    def _browser_value(self) -> str:
        if self.browser is None and self.minted_browser is None:
            self.minted_browser = secrets.token_urlsafe(32)
        return self.browser or self.minted_browser or ""

    def fill(self, live: LoadedSession) -> None:
        """Take over the session that was read. Its id differs from the cookie's if that was a former one."""
        self.cookie_due = bool(self.sid) and live.id != self.sid
        self.sid, self.state, self.read = live.id or self.sid, live, live.plaintext
        dict.update(self, live.record.data)

    def adopt(self, live: LoadedSession) -> None:
        """Take over this session: its data, its id, and its cookie with the response, replacing what the request
        brought.
        """
        dict.clear(self)
        dict.update(self, live.record.data)
        self.sid, self.state, self.read = live.id, live, live.plaintext
        self.modified, self.cleared, self.cookie_due = False, False, True
        self.token = self.claims = self.token_refusal = None

    def move(self, found: LoadedSession | EndedSession) -> None:
        """Continue with the session as it is stored now, under its current id and CSRF secret; the view's changes are
        still saved. If it has ended, the session is lost.
        """
        if isinstance(found, EndedSession):
            self.lose(found)
            return
        if found.id != self.sid:
            # If the id must not be told, the cookie stays: another answer has brought the browser its id.
            self.sid, self.cookie_due = found.id or self.sid, bool(found.id)
        self.state = found
        if found.record.account:
            dict.__setitem__(self, CSRF_KEY, found.record.data[CSRF_KEY])

    def refuse_token(self, refusal: NotSignedIn) -> None:
        """Note that the token of this request is invalid."""
        self.state, self.token_refusal = Gone(EndedSession(refusal.code)), refusal

    def lose(self, ended: EndedSession) -> None:
        """Note that the session ended while this request ran. Nothing of it may become a visitor's."""
        dict.clear(self)
        self.state = Gone(ended, self.sid, during_request=True)
        self.sid, self.cookie_due = None, False
        self.seed_csrf()  # a page with a form continues as one for visitors, and has written nothing

    def release(self) -> None:
        """Become a visitor; the cookie is deleted with the response."""
        dict.clear(self)
        if not isinstance(self.state, Gone):
            self.state = Visitor()
        self.sid = None
        self.modified, self.cookie_due = False, True

    def clear(self) -> None:
        """Sign out, or delete a visitor's data, with the response."""
        dict.clear(self)
        self.modified = self.accessed = self.cleared = True

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser. Users of wallets decide that at sign-in, so setting it has an
        effect on sessions with `visitor_clocks` alone.
        """
        return self.live is not None and self.live.record.remember

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self.wants_permanent = value


def _reading_first(name: str) -> Callable[..., Any]:
    method = getattr(ServerSideSession, name)

    @wraps(method)
    def reads(self: WalletSession, *args: Any, **kwargs: Any) -> Any:
        self.ensure_read()
        return method(self, *args, **kwargs)

    return reads


for _name in (
    *("__bool__", "__contains__", "__delitem__", "__eq__", "__iter__", "__len__", "__ne__", "__or__", "__repr__"),
    *("__reversed__", "__ror__", "copy", "get", "items", "keys", "pop", "popitem", "values"),
):
    setattr(WalletSession, _name, _reading_first(_name))


class SessionStore(RedisSessionInterface):  # type: ignore[misc]  # flask_session is untyped
    """The session interface: cookies on one side, `SessionRepository` on the other."""

    session_class = WalletSession

    def __init__(self, app: Flask, repository: SessionRepository, lifecycle: Lifecycle, settings: Settings) -> None:
        # Not RedisSessionInterface.__init__: it insists on a client and would open one to localhost.
        ServerSideSessionInterface.__init__(self, app, key_prefix=settings.redis_prefix)
        self.repository = repository
        self.lifecycle = lifecycle
        # Reads a bearer token, and raises a `NotSignedIn` for an invalid one. `None`: bearer tokens are ignored.
        self.open_token: Callable[[str], TokenClaims | None] | None = None
        # What parts do about a request that brought no session of a user.
        self.without_user: tuple[Callable[[WalletSession], None], ...] = ()
        self.settings = settings
        # Returns the current fingerprint of the account's privileges, as in `SessionRecord.privilege`; set by the
        # services.
        self.privilege: Callable[[LoadedSession], str | None] = lambda live: live.record.privilege
        self.cookie_name = ("__Host-" if settings.cookie_secure else "") + settings.cookie_name
        self.browser_cookie_name = self.name_of("browser")
        self.ended_cookie_name = self.name_of("ended")

    def name_of(self, cookie: str) -> str:
        """Return the name of a further cookie."""
        # All from one name: of two applications on one host, neither reads or deletes a cookie of the other.
        host = "__Host-" if self.settings.cookie_secure else ""
        own = "" if self.settings.cookie_name == "session" else f"{self.settings.cookie_name}-"
        return f"{host}{own}{cookie}"

    # -- Reading ---------------------------------------------------------------------------------------------

    def open_session(self, app: Flask, request: Request) -> WalletSession:
        """Read the cookies only; the guard calls `load` once it knows what the route needs."""
        sids = cookies.values(request, self.cookie_name)
        browsers = cookies.values(request, self.browser_cookie_name)
        prefixed = self.settings.cookie_secure
        session = WalletSession(
            sid=cookies.own_value(sids, well_formed, prefixed=prefixed),
            browser=cookies.own_value(browsers, _BROWSER.fullmatch, prefixed=prefixed),
            # If there is a cookie it decides, and the CSRF token is required: another site's page can't set a header,
            # but it can make the browser send the cookie.
            token=None if sids or self.open_token is None else bearer(request),
            reader=self._read_early,
        )
        if sids and session.sid is None:
            session.state = Unread("unknown")  # forged or planted, and refused as such where a session is required
        return session

    def _read_early(self, session: WalletSession) -> None:
        self.load(session, "never")  # the guard may find later that this request counts as activity

    def load(self, session: WalletSession, keep_alive: KeepAlive, accept_presented: bool = False) -> None:
        """Fill the session from Redis: one round trip with a session cookie or a valid token, none without.

        `accept_presented` is for routes that take a token which a browser made to present it to other services. May
        raise `StoreUnavailable`.
        """
        if session.loaded:
            self._load_again(session, keep_alive, accept_presented)
            return
        planted, session.state = session.ended, _READING
        if session.sid is not None:
            found = self.repository.load(session.sid, keep_alive, session.browser)
            if isinstance(found, LoadedSession) and self._outgrown(found):
                found = EndedSession(ROTATED.reason, found.record.handle)
            if isinstance(found, EndedSession):
                session.state, session.sid = Gone(found, session.sid), None
            else:
                session.fill(found)
        elif session.token is not None:
            self._load_bearer(session, session.token, keep_alive, accept_presented)
        else:
            session.state = Gone(EndedSession(planted)) if planted else Visitor()
        for look in self.without_user:
            if session.account_live is None:
                look(session)
        if session.account_live is None:
            session.seed_csrf()

    def _load_again(self, session: WalletSession, keep_alive: KeepAlive, accept_presented: bool) -> None:
        # A hook has read it before the guard knew what the route needs.
        if session.live is not None and self.repository.is_due(session.live, keep_alive):
            session.move(self.repository.reload(session.live, keep_alive))
            if session.live is not None and session.token is None and self._outgrown(session.live):
                session.lose(ROTATED)
        elif session.token is not None and session.live is None and accept_presented:
            session.token_refusal = None
            self._load_bearer(session, session.token, keep_alive, accept_presented)
        if session.account_live is None:
            session.seed_csrf()

    def _outgrown(self, live: LoadedSession) -> bool:
        """Whether the rights of the account have changed since this id was made, and the browser's cookie did not
        come with it. The next request that brings both gets a new id.

        Without this an attacker who learned the id before a role was given would only have to come first: with a
        request that gets the new id, or with one that never rotates the id, such as a poll or a prefetch.
        """
        if not live.record.browser or live.record.started_by(live.browser):
            return False
        privilege = self.privilege(live)
        if privilege is None or privilege == live.record.privilege:
            return False
        events.publish(events.FormerIdRefused(handle=live.record.handle, account=live.record.account))
        return True

    def _load_bearer(self, session: WalletSession, token: str, keep_alive: KeepAlive, accept_presented: bool) -> None:
        assert self.open_token is not None  # noqa: S101  # else `open_session` took no token
        try:
            claims = self.open_token(token)
        except NotSignedIn as refusal:
            session.refuse_token(refusal)
            return
        if claims is None:
            session.state = Visitor()  # no part knows this bearer token
            return
        if claims.presented and not accept_presented:
            # The token of a session with a cookie. Other services and any script of the page have seen it. So it must
            # not do what needs the cookie and its CSRF token, nor rotate the id under the browser.
            session.refuse_token(claims.refusal("not for this use"))
            return
        found = self.repository.load_handle(account_tag(claims.account), claims.handle, keep_alive)
        if isinstance(found, EndedSession):
            session.state = Gone(EndedSession(found.reason, claims.handle))
        elif found.record.account != claims.account:
            session.refuse_token(claims.refusal("not for this use"))
        else:
            session.fill(found)
            session.claims = claims

    # -- Writing ---------------------------------------------------------------------------------------------

    def save_session(self, app: Flask, session: WalletSession, response: Response) -> None:
        """Save the changes if the session still exists, and set a cookie only if its id is new."""
        session.saved = True
        if not session.loaded:  # not read, or it could not be read
            if dict.keys(session) - {CSRF_KEY}:
                logger.warning("flask.session was written on a route without one; declare it @public to keep it.")
            return
        self._write_and_tell(app, session, response)
        if "Cache-Control" in response.headers:  # without one, `web.headers` says no-store
            if session.account_live is not None or session.cookie_due or session.browser_cookie_due:
                # Even if the view made its page cacheable: a page for one user must not be cached for others.
                response.headers["Cache-Control"] = "no-store"
            else:
                response.headers.add("Vary", "Cookie")
        if session.cookie_due and session.token is None:  # a client with a token has no cookie
            self._set_session_cookie(session, response)
        if session.browser_cookie_due and session.minted_browser:
            response.set_cookie(self.browser_cookie_name, session.minted_browser, **self.cookie_attributes())

    def _write_and_tell(self, app: Flask, session: WalletSession, response: Response) -> None:
        """Save the changes; replace an answer that would claim a false success with a refusal."""
        try:
            if session.modified:
                session.modified = False
                self._write(session)
                if session.lost and response.status_code < 400:
                    raise SessionEndedDuringRequest(reason=session.ended)
        except (StoreUnavailable, SessionEndedDuringRequest) as error:
            if session.done:
                logger.warning("What a request left in flask.session could not be stored: %s", error)
            else:
                _replace(response, app.make_response(app.handle_user_exception(error)))
        if session.revocation_pending and response.status_code < 400:
            # The cookies that the answer deletes are deleted anyway: the session has ended.
            forget = [pair for pair in _pairs(response) if pair[0] == "Set-Cookie"]
            pending = RevocationPending("too few replicas confirm it", retry_after=2)
            _replace(response, app.make_response(app.handle_user_exception(pending)))
            response.headers.extend(forget)

    def regenerate(self, session: WalletSession, change: Change | None = None, restart_seconds: int = 0) -> None:
        """Move the session to a new id; the old one is dead at once. May raise `StoreUnavailable`.

        `change` is made to the record in the same step; with `restart_seconds` both clocks start again, the absolute
        one with that length.
        """
        session.ensure_read()  # a hook may call this before the guard
        if session.live is None:
            return
        if session.sid and not session.live.id:
            # Another request has moved it, and this browser is not the one that may learn where to.
            session.lose(ROTATED)
        elif restart_seconds and change is not None:
            session.move(self.lifecycle.extend(session.live, restart_seconds, change))
        else:
            session.move(self.lifecycle.rotate(session.live, change))

    def revoke_others(self, session: WalletSession) -> int:
        """End all other sessions of the account of this one; return how many there were. May raise
        `StoreUnavailable`, and `SessionEndedDuringRequest` if this one has ended: then the others live on.
        """
        if session.live is None:
            raise SessionEndedDuringRequest(reason=session.ended)
        try:
            live, ended = self.lifecycle.revoke_others(session.live)
        except SessionEndedDuringRequest as error:
            session.lose(EndedSession(error.reason or "unknown"))
            raise
        session.move(live)
        return ended

    def amend(self, session: WalletSession, change: Change) -> None:
        """Change what the server keeps beside `flask.session`, unless the session has ended. May raise
        `StoreUnavailable`.
        """
        if session.live is not None:
            session.move(self.repository.change(session.live, change))

    def _write(self, session: WalletSession) -> None:
        if session.lost:
            return  # what an account stored must not become a visitor's, nor this response set a cookie
        signed_in = session.account_live is not None and not session.cleared
        data = {key: value for key, value in session.items() if key != CSRF_KEY or signed_in}
        if session.cleared and session.live is not None:
            self.lifecycle.revoke(session.live, "signed_out")
            session.release()
        if session.live is not None:
            self._save(session, session.live, data)
        elif data and session.token is None:  # without a cookie the visitor could not come back to it
            remember = session.wants_permanent and session.visitor_clocks is not None
            clocks = session.visitor_clocks or (self.settings.idle_seconds, self.settings.absolute_seconds)
            live = self.lifecycle.create(SessionRecord(data=data, remember=remember), *clocks)
            session.state, session.sid, session.cookie_due = live, live.id, True

    def _save(self, session: WalletSession, live: LoadedSession, data: dict[str, Any]) -> None:
        # Another request may have saved since this one read: then the changes are merged key by key, and neither is
        # lost.
        before = self.repository.decode(session.read).data
        data = {key: value for key, value in data.items() if key != CSRF_KEY}  # that goes with the id
        changed = {
            key: value for key, value in data.items() if key not in before or not same(key, before[key], value)
        }
        removed = before.keys() - data.keys() - {CSRF_KEY}
        if not changed and not removed:
            return

        def merge(record: SessionRecord) -> None:
            now = record.data
            record.data = {key: value for key, value in now.items() if key not in removed} | changed
            if _FLASHES in changed or _FLASHES in removed:
                flashes = _merge_flashes(*(each.get(_FLASHES, []) for each in (before, data, now)))
                record.data.pop(_FLASHES, None)
                record.data |= {_FLASHES: flashes} if flashes else {}

        session.move(self.repository.change(live, merge))

    # -- Cookies ---------------------------------------------------------------------------------------------

    def _set_session_cookie(self, session: WalletSession, response: Response) -> None:
        if session.live is None:
            # A __Host- cookie is only deleted by a cookie with the same attributes; stock Flask-Session forgets
            # Secure.
            response.delete_cookie(self.cookie_name, **self.cookie_attributes())
            return
        live = session.live
        # Without Max-Age the browser forgets the cookie when it closes.
        age = (live.absolute_expires_at - live.now) // 1000 if live.record.remember else None
        response.set_cookie(self.cookie_name, live.id, max_age=age, **self.cookie_attributes())
        if age is not None and session.browser is not None:
            # The session is handed over to a browser with both cookies: one must not outlive the other.
            response.set_cookie(self.browser_cookie_name, session.browser, max_age=age, **self.cookie_attributes())

    def cookie_attributes(self) -> dict[str, Any]:
        """Return the attributes of all cookies; a cookie is only deleted with the same ones."""
        return {
            "path": "/",
            "secure": self.settings.cookie_secure,
            "httponly": True,
            "samesite": self.settings.cookie_samesite,
        }


def _merge_flashes(read: list[Any], mine: list[Any], now: list[Any]) -> list[Any]:
    """Return the flashes stored `now`, without those that this request consumed and with those it added since it
    `read` them.
    """
    taken = mine[: len(read)] != read  # `get_flashed_messages` consumes all of them
    left = [each for each in now if each not in read] if taken else now
    return left + (mine if taken else mine[len(read) :])


def bearer(request: Request) -> str | None:
    """Return what follows `Bearer` in the header Authorization (RFC 6750, section 2.1), or `None`.

    Werkzeug's own parser reads a value with an equals sign as parameters; signatures of some chains contain one.
    """
    authorization: str = request.environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = authorization.partition(" ")  # the scheme in any case (RFC 9110, section 11.1)
    return token.strip() if scheme.lower() == "bearer" else None


def _replace(response: Response, other: Response) -> None:
    response.status_code = other.status_code
    response.headers.clear()
    response.headers.extend(_pairs(other))
    response.response = other.response


def _pairs(response: Response) -> Iterator[tuple[str, str]]:
    return iter(response.headers.to_wsgi_list())
