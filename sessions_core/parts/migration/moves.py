"""Moves former sessions: from what a request brought to a session of this site, once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Request, current_app, g, has_request_context
from flask.globals import request_ctx

from ... import events
from ...errors import AccountKeyless, AccountMalformed, SessionsError, StoreUnavailable
from ...sessions.flask_session import WalletSession
from ...sessions.record import CSRF_KEY, GRACE, ROTATED, TAG, EndedSession, LoadedSession, Section, SessionRecord
from ...settings import LONGEST, PREFIX
from ...sign_in.accounts import Account, parse
from ...sign_in.challenges import Signed
from ...web.guards import amend_if_writable, wallet_session
from .events import DataMigrated, MigrationRefused, SessionMigrated
from .former_cookies import FormerCookies
from .former_records import FormerRecords
from .marks import Mark, Marks, agent_digest, hidden, shown
from .options import REDIS, REMEMBER_COOKIE, REMEMBER_SECONDS, MigrationSettings
from .refused import KEPT, Refused
from .sources import Former, Presented, Sources
from .stored_data import FLASK_LOGIN_USER, OF_FLASK_LOGIN, kept

if TYPE_CHECKING:
    from ...web.services import Services

logger = logging.getLogger(__name__)

_LIFTED = ("pickled", "account")  # refusals that another setting would lift
_GOES_ON = ("idle", "absolute", "unknown", "replaced", "limit")  # ends after which the user may still be signed in
_LOGIN = "sessions_core_migration_login"  # of `flask.g`: the user of Flask-Login when the request began
_REFUSED_SECONDS = 60  # for which such a refusal is not repeated


class Origin(msgspec.Struct, array_like=True, frozen=True):
    """What a session was made of. `beside` says that the former session goes on, and both end together."""

    source: str = ""
    beside: bool = False


ORIGIN = Section("migration", Origin)


class Mover:
    """Moves what requests present, and keeps both sessions of a user together while the former servers run."""

    def __init__(
        self,
        services: Services,
        options: MigrationSettings,
        sources: Sources,
        marks: Marks,
        records: FormerRecords,
        cookies: FormerCookies,
    ) -> None:
        self._services = services
        self._options = options
        self._sources = sources
        self._marks = marks
        self._records = records
        self._cookies = cookies

    def ping(self) -> None:
        """Raise `StoreUnavailable` if the Redis of the former sessions does not answer."""
        self._sources.ping()

    # -- A request without a user ----------------------------------------------------------------------------------

    def find(self, session: WalletSession) -> None:
        """Sign the user of a former session in, or take over the data of a visitor. May raise `StoreUnavailable`."""
        # While a user is signed in with a password, a planted former cookie must not replace that.
        if not _login(session):
            self._find(session)
        setattr(g, _LOGIN, _login(session))

    def _find(self, session: WalletSession) -> None:
        request: Request = request_ctx.request
        if session.token is not None or not _can_bring_cookies(request):
            return
        source = ""
        try:
            for presented in self._sources.presented(request):
                source = presented.source
                try:
                    live = self._move(session, request, presented)
                except Refused as refused:
                    self._note(source, refused)
                    if refused.code in _LIFTED:
                        self._remember_refusal(presented)
                    continue
                if live is not None:
                    self._adopt(session, live)
                    return
        except Refused as refused:  # of no known form
            self._note(source, refused)

    def _adopt(self, session: WalletSession, live: LoadedSession) -> None:
        if session.browser is None and session.minted_browser:
            # With its Max-Age if the session's cookie has one: one must not outlive the other.
            session.browser, session.browser_cookie_due = session.minted_browser, not live.record.remember
        live.browser = session.browser
        session.adopt(live)
        if not self._options.migrate_beside:
            self._forget_cookies()

    def _note(self, source: str, refused: Refused) -> None:
        events.publish(MigrationRefused(source=source, code=refused.code, cause=refused.cause))
        if refused.code not in KEPT and not self._options.migrate_beside:
            self._forget_cookies()

    def _move(self, session: WalletSession, request: Request, presented: Presented) -> LoadedSession | None:
        stored = self._marks.settled(presented)
        for _ in range(3):
            if stored:
                mark = self._marks.read(presented, stored)
                live = self._again(session, request, presented, mark) if mark.hidden else None
                if live is not None or not mark.hidden:
                    return live
            try:
                former = self._sources.read(presented)
            except Refused as refused:
                before, stored = stored, self._marks.settled(presented)
                if refused.code != "expired" or stored == before:
                    raise
                continue  # another request has moved it between the two looks
            account = self._account_of(former)
            if account is None and self._options.migrate_beside:
                return None  # a visitor, who may still sign in at a former server
            if account is None and session.live is not None:
                self._forget_cookies()  # a visitor, who has newer data here
                return None
            token = self._marks.claim(presented, stored)
            if token:
                return self._claimed(session, request, presented, former, account, token)
            stored = self._marks.settled(presented)  # another request was first
        raise StoreUnavailable("a former session keeps being moved", retry_after=1)

    def _account_of(self, former: Former) -> Account | None:
        find = self._options.migrate_account
        if find is None:
            return None
        try:
            found = find(dict(former.data))
            if found is None:
                return None
            account = parse(str(found))
        except (AccountMalformed, AccountKeyless) as error:
            raise Refused("account", f"{PREFIX}MIGRATE_ACCOUNT named no CAIP-10 account") from error
        except SessionsError:
            raise
        except Exception as error:
            logger.exception("%sMIGRATE_ACCOUNT failed", PREFIX)
            raise Refused("account", f"{PREFIX}MIGRATE_ACCOUNT failed with {type(error).__name__}") from error
        if account.chain.id not in self._services.settings.chains:
            raise Refused("account", f"{PREFIX}CHAINS has no {account.chain.id}")
        return account

    # -- The first time --------------------------------------------------------------------------------------------

    def _claimed(
        self,
        session: WalletSession,
        request: Request,
        presented: Presented,
        former: Former,
        account: Account | None,
        token: bytes,
    ) -> LoadedSession:
        """Begin a session while this request alone has the claim to the former one, and end the former one."""
        try:
            session.bind_browser()
            browser = session.browser or session.minted_browser or ""
            if account is None:
                live = self._visitor(presented, former)
            else:
                live = self._user(session, presented, former, account, browser)
        except BaseException:
            with suppress(StoreUnavailable):
                self._marks.release(presented, token)
            raise
        beside = self._options.migrate_beside
        mark = Mark(hidden=hidden(presented, live.id, browser), agent=_agent(request), beside=beside)
        if not self._marks.settle(presented, token, mark, self._seconds(presented)):
            # Redis was so slow that another request took over: one session is enough.
            self._services.lifecycle.revoke(live, "replaced")
            raise StoreUnavailable("another request moves this session", retry_after=1)
        self._settle_record(presented, live, beside)
        if account is None:
            events.publish(DataMigrated(source=presented.source))
        return live

    def _visitor(self, presented: Presented, former: Former) -> LoadedSession:
        settings = self._services.settings
        clocks = settings.idle_seconds, settings.absolute_seconds
        login = _login_in(former.data)
        if login:  # it lasts as long as before: Flask's lifetime without a request
            self._refuse_signed_out(presented, former, _owner(login))
            idle = max(1, int(current_app.permanent_session_lifetime.total_seconds()))
            clocks = idle, max(idle, LONGEST)
        record = SessionRecord(data=kept(former.data, has_account=False), remember=former.remember)
        return self._services.lifecycle.create(record, *clocks)

    def _user(
        self, session: WalletSession, presented: Presented, former: Former, account: Account, browser: str
    ) -> LoadedSession:
        services = self._services
        values = services.repository.account_values(str(account))
        self._refuse_signed_out(presented, former, str(account), values.epoch)
        status = services.account_status(str(account), values)

        def prepare(record: SessionRecord) -> None:
            ORIGIN.put(record, Origin(presented.source, self._options.migrate_beside))
            for add in services.hooks("on_sign_in"):
                add(Signed(account), record, True)

        # What a visitor has stored here is newer than what the former session held.
        visitor = {key: value for key, value in session.items() if key not in {CSRF_KEY, *OF_FLASK_LOGIN}}
        live = services.lifecycle.start(
            account,
            services.policy.choose("", status.verified),
            remember=former.remember,
            data=kept(former.data, has_account=True) | visitor,
            replacing=session.live,
            privilege=services.privileges(str(account), values, status) or "",
            browser=browser,
            account_values=values,
            prepare=prepare,
            event=partial(SessionMigrated, source=presented.source),
        )

        def unsigned(record: SessionRecord) -> None:
            record.signed_at = 0  # no wallet has signed: sensitive actions ask for that

        changed = services.repository.change(live, unsigned)
        if isinstance(changed, EndedSession):
            raise Refused("revoked", "the account signed out at this moment")
        return changed

    def _refuse_signed_out(self, presented: Presented, former: Former, owner: str, epoch: int = 0) -> None:
        """Refuse what was made before its user signed out here."""
        own, everybody = self._records.closed_at(owner)
        # A record ends with its own sign-out. A cookie can't be deleted, and there may be earlier copies of it.
        ended = max(epoch, everybody) if presented.source == REDIS else max(epoch, everybody, own)
        if ended and (former.made_at is None or former.made_at <= ended):
            if not self._options.migrate_beside:
                self._delete(presented)
            raise Refused("revoked")

    def _seconds(self, presented: Presented) -> int:
        return REMEMBER_SECONDS if presented.source == REMEMBER_COOKIE else self._options.migrate_seconds

    def _remember_refusal(self, presented: Presented) -> None:
        token = self._marks.claim(presented)
        if token:
            self._marks.settle(presented, token, Mark(), _REFUSED_SECONDS)

    # -- What was moved before -------------------------------------------------------------------------------------

    def _again(
        self, session: WalletSession, request: Request, presented: Presented, mark: Mark
    ) -> LoadedSession | None:
        """Return the session of a mark, for a browser that has not received its cookie yet; `None` if it may be moved
        again.

        Such a browser proves itself by the former cookie alone. So it gets the session only for `GRACE`, and if it
        names itself as the one that came first.
        """
        beside = self._options.migrate_beside
        may_move_again = beside or mark.beside
        live, browser = self._load(presented, mark)
        if isinstance(live, EndedSession):
            if may_move_again and live.reason in _GOES_ON:
                return None
            self._delete(presented)  # it may still be there: its Redis did not answer when the session was ended
            raise Refused("revoked" if may_move_again else "used")
        if not live.id or live.now - live.record.created_at > GRACE or mark.agent != _agent(request):
            if may_move_again:  # the former session is not over: the user may move again, and the latest one counts
                self._records.unlink(live.record.account, live.record.handle)
                self._services.lifecycle.revoke(live, "replaced")
                return None
            self._delete(presented)  # a former server has written it again, at the end of a request
            raise Refused("used")
        self._settle_record(presented, live, beside)
        if session.browser is None and browser:
            session.minted_browser, session.browser_cookie_due = browser, True
        return live

    def _load(self, presented: Presented, mark: Mark) -> tuple[LoadedSession | EndedSession, str]:
        """Return the session of a mark, without its id if it has got another one since; and its browser's cookie."""
        session_id, browser = shown(presented, mark)
        repository = self._services.repository
        live = repository.load(session_id, "never", browser)
        if isinstance(live, EndedSession) and live.reason == ROTATED.reason:
            live = repository.load_handle(session_id[:TAG], live.handle, "never")
        return live, browser

    def _settle_record(self, presented: Presented, live: LoadedSession, beside: bool) -> None:
        """Delete the former record, or let it end together with the session that was made of it."""
        key = self._sources.key(presented)
        if key is not None and not beside:
            self._sources.delete(key)
        elif key is not None and live.record.account:
            self._records.link(live.record.account, live.record.handle, key)

    def _delete(self, presented: Presented) -> None:
        key = self._sources.key(presented)
        if key is not None:
            self._sources.delete(key)

    # -- Logins with a password ------------------------------------------------------------------------------------

    def notice_logout(self, session: WalletSession) -> None:
        """Remember it if a user of Flask-Login has signed out in this request: by `logout_user()`, `session.clear()`,
        or the form of this package. Nothing is published about that. May raise `StoreUnavailable`.
        """
        login = getattr(g, _LOGIN, "")
        if not login or session.lost or (session.account_live is not None and not session.cleared):
            return
        if _login_in(session) != login:
            self._forget_cookies()
            self._records.close(_owner(login))

    # -- While the former servers run ------------------------------------------------------------------------------

    def follow(self, session: WalletSession) -> None:
        """End a session that was moved if its user has signed out at a former server, or another user has signed in
        there. Once those servers are gone, end what they left of it. May raise `StoreUnavailable`.
        """
        live = session.account_live
        if live is None or session.token is not None or not ORIGIN.of(live.record).beside:
            return
        account, handle = live.record.account, live.record.handle
        if not self._options.migrate_beside:
            self._records.end(account, handle)
            self._forget_cookies()

            def alone(record: SessionRecord) -> None:
                ORIGIN.put(record, Origin(ORIGIN.of(record).source))

            amend_if_writable(self._services, session, alone)
        elif not self._is_signed_in_there(account, ORIGIN.of(live.record).source):
            self._records.unlink(account, handle)  # another user may have signed in there, in the same browser
            session.lose(EndedSession("signed_out", handle))
            self._services.lifecycle.revoke(live, "signed_out")
            self._forget_marks()
            self.find(session)

    def _forget_marks(self) -> None:
        """Let what the request presents be moved anew: a former server may sign users in under the id of a session
        that it signed out of.
        """
        with suppress(Refused):
            for presented in self._sources.presented(request_ctx.request):
                stored = self._marks.stored(presented) if presented.source == REDIS else b""
                mark = self._marks.read(presented, stored)
                if mark.hidden and isinstance(self._load(presented, mark)[0], EndedSession):
                    self._marks.release(presented, stored)  # unless another request has moved it anew already

    def _is_signed_in_there(self, account: str, source: str) -> bool:
        """Whether the former cookie of the request is that of a session of the account. If the request lacks one that
        it may lack, that is so.
        """
        none = True
        try:
            for presented in self._sources.presented(request_ctx.request):
                none = False
                try:
                    if str(self._account_of(self._sources.read(presented))) == account:
                        return True
                except Refused as refused:
                    if refused.code not in ("expired", "unsigned"):
                        return True  # it is there, and no sign that its user has signed out
        except Refused:
            return False  # of no known form: it can't be the one that was moved
        return none and not self._would_bring_cookie(source)

    def _would_bring_cookie(self, source: str) -> bool:
        """Whether the browser sends the former cookie of a source with this request, if it still has it.

        A request of another site lacks one with SameSite=Strict, and one outside its path lacks it always: without
        this check any link to this site would sign its user out.
        """
        request: Request = request_ctx.request
        remember = source == REMEMBER_COOKIE
        name = self._options.migrate_remember_cookie if remember else self._options.migrate_cookie
        root = self._cookies.path(name)
        path = f"{request.root_path}{request.path}"
        within = path == root or path.startswith(root if root.endswith("/") else f"{root}/")
        return within and request.headers.get("Sec-Fetch-Site") in ("same-origin", "same-site", "none")

    def hear(self, event: events.Event) -> None:
        """End former records with the sessions that were made of them; note when an account signed out."""
        own = _own_session()
        if isinstance(event, events.SessionEnded) and event.account:
            if own is not None and own.handle == event.handle:
                self._forget_cookies()  # the browser may hold a signed one, which can't be ended
            # First what is in our own Redis: that of the former sessions may not answer.
            if event.reason not in ("replaced", "limit"):
                self._records.close(event.account)
            self._records.end(event.account, event.handle)
        elif isinstance(event, events.SessionsRevoked):
            self._records.close(event.account)
            if event.account is not None:
                if own is not None and own.account == event.account and event.scope == "all":
                    self._forget_cookies()
                self._records.end_all(event.account, own.handle if own and event.scope == "others" else "")

    def _forget_cookies(self) -> None:
        """Delete the former cookies in the browser, with the answer to this request."""
        self._cookies.forget(request_ctx.request)


def _can_bring_cookies(request: Request) -> bool:
    """Whether the browser keeps the cookies of the answer. Otherwise the former session would be used up for nothing.

    Without a route there may be no answer: the events of Flask-SocketIO. Nor can a WebSocket set a cookie after its
    handshake. In a page of another site, such as by `<img>` or in a frame, browsers send a former cookie with
    SameSite=None, and refuse ours: any site could sign users out.
    """
    if request.url_rule is None or request.url_rule.websocket:
        return False
    headers = request.headers
    return headers.get("Sec-Fetch-Site") != "cross-site" or (
        headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest", "document") == "document"
    )


def _login(session: WalletSession) -> str:
    """Return the user of Flask-Login whom a session without an account keeps; nothing if there is none."""
    live = session.live
    return _login_in(live.record.data) if live is not None and not live.record.account else ""


def _login_in(data: Mapping[Any, Any]) -> str:
    return str(data.get(FLASK_LOGIN_USER) or "")


def _owner(login: str) -> str:
    """Return what stands for a user of Flask-Login where sign-outs are remembered by account; no account is called
    like that.
    """
    return f"flask-login {login}"


def _own_session() -> SessionRecord | None:
    """Return the record of the user's session of this request."""
    live = wallet_session().account_live if has_request_context() else None
    return live.record if live is not None else None


def _agent(request: Request) -> bytes:
    return agent_digest(request.headers.get("User-Agent", ""))
