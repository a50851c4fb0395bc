"""Sessions of Flask-Session, of Flask's signed cookie and of Flask-Login's remember cookie go on here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from flask import Response, current_app
from flask import session as flask_session

from ...part import Part
from ...settings import DAY, PREFIX
from .events import DataMigrated, MigrationRefused, SessionMigrated
from .options import MigrationSettings

if TYPE_CHECKING:
    from flask import Flask

    from ...events import Event
    from ...sessions.flask_session import WalletSession
    from ...storage.connection import RedisConnection
    from ...web.session_view import SessionView
    from .former_cookies import FormerCookies
    from .moves import Mover


class Migration(Part):
    """Moves the sessions of a former session store, without signing its users out. Idle until its setting is set."""

    uses = ("operations",)
    settings = MigrationSettings
    events = (SessionMigrated, DataMigrated, MigrationRefused)
    slots = {
        "activity_words": "sessions/_activity_migration.html",
        "session_facts": "sessions/_migration_fact.html",
    }
    redis_keys = {
        "moved:<digest>": "string: what became of a former session or cookie, encrypted",
        "{tag}:former": "hash: the keys of former records that end together with sessions of the account, encrypted",
        "{tag}:closed": "string: when the account, or a user of Flask-Login, last signed out; former cookies from "
        "before don't count",
        "migration:closed": "string: when everybody was signed out; former sessions from before don't count",
    }
    options: MigrationSettings
    mover: Mover | None = None
    cookies: FormerCookies | None = None
    app: Flask

    def setup(self, app: Flask) -> None:
        """Make what moves sessions, if there is anything to move."""
        if not self.options.migrate_from:
            return
        self.app = app
        self._refuse_shared_cookie()
        from ...storage.encryption import KeyRing
        from .former_cookies import FormerCookies
        from .former_records import FormerRecords
        from .marks import Marks
        from .moves import Mover
        from .sources import Sources

        services, settings, options = self.services, self.services.settings, self.options
        ring = KeyRing(settings.secrets, "sessions_core migration 1")
        connection, prefix = services.connection, settings.redis_prefix
        secrets = options.migrate_secrets or settings.secrets
        sources = Sources(options, self.former_redis(), secrets, services.store.cookie_name)
        seconds = options.migrate_seconds, options.closed_seconds
        records = FormerRecords(connection, ring, services.repository, sources, prefix, *seconds)
        marks = Marks(connection, ring, prefix)
        self.cookies = FormerCookies(self._attributes(app.config))
        self.mover = Mover(services, options, sources, marks, records, self.cookies)
        app.after_request(self._notice_logout)
        if "operations" in services.parts:
            from . import counted

            counted.begin()

    def former_redis(self) -> RedisConnection:
        """Return the connection to the former Redis, which may be that of this site. May raise `Misconfigured`."""
        from ...errors import Misconfigured
        from ...storage.connection import RedisConnection

        url = self.options.migrate_redis_url
        if url is None:
            return self.services.connection
        try:
            return RedisConnection(url, self.services.settings.redis_timeout_ms / 1000)
        except Misconfigured as error:
            raise Misconfigured(str(error).replace(f"{PREFIX}REDIS_URL", f"{PREFIX}MIGRATE_REDIS_URL")) from error

    def wsgi(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Delete former cookies with the answers. Raise `Misconfigured` if Flask-Login sets such cookies."""
        if self.cookies is None:
            return app
        answer = self.cookies.layer(app)

        def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            self._refuse_shared_cookie()  # with each request: the `LoginManager` may come later than `WalletSessions`
            return answer(environ, start_response)

        return checked

    def _sets_remember_cookies(self) -> bool:
        """Whether Flask-Login sets remember cookies here, while former ones sign users in."""
        return "remember_cookie" in self.options.migrate_from and hasattr(self.app, "login_manager")

    def _refuse_shared_cookie(self) -> None:
        from ...errors import Misconfigured

        name = self.options.migrate_remember_cookie
        if self._sets_remember_cookies() and self.app.config.get("REMEMBER_COOKIE_NAME", "remember_token") == name:
            raise Misconfigured(
                f"Flask-Login's cookies here are called {name!r}, as the former ones that {PREFIX}MIGRATE_FROM takes "
                'for proof of a wallet: rename them, such as by app.config["REMEMBER_COOKIE_NAME"] = "remember".'
            )

    def _attributes(self, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the former cookies with the attributes that delete them, but for one that this site sets as well."""
        store, found = self.services.store, {}
        names = {self.options.migrate_cookie: "SESSION", self.options.migrate_remember_cookie: "REMEMBER"}
        for name, of in names.items():
            if name != store.cookie_name:
                path = config.get(f"{of}_COOKIE_PATH") or (config["APPLICATION_ROOT"] if of == "SESSION" else "/")
                domain = config.get(f"{of}_COOKIE_DOMAIN") or None
                found[name] = store.cookie_attributes() | {"path": path, "domain": domain}
        return found

    def without_user(self, session: WalletSession) -> None:
        """Move the former session of a request that brings no session of a user."""
        if self.mover is not None:
            self.mover.find(session)

    def on_read(self, session: WalletSession) -> None:
        """End a session with the former one that it was made of."""
        if self.mover is not None:
            self.mover.follow(session)

    def _notice_logout(self, response: Response) -> Response:
        from ...errors import StoreUnavailable

        app, session = current_app, cast("WalletSession", flask_session)
        try:
            if self.mover is not None:
                self.mover.notice_logout(session)
        except StoreUnavailable as error:
            # The user stays signed in, and can try again: otherwise an earlier cookie would be good for ever.
            session.modified = session.cleared = False
            return app.make_response(app.handle_user_exception(error))
        return response

    def on_event(self, event: Event) -> None:
        """Count what was moved, and end what is left of it with its session."""
        if self.mover is None:
            return
        if "operations" in self.services.parts:
            from . import counted

            counted.count(event)
        self.mover.hear(event)

    def findings(self) -> Sequence[tuple[Literal["ok", "advice", "unsafe"], str]]:
        """Say what is left to do until the migration is over."""
        if self.mover is None:
            return ()
        from ...errors import StoreUnavailable

        found: list[tuple[Literal["ok", "advice", "unsafe"], str]] = []
        if self.options.migrate_redis_url is not None:
            try:
                self.mover.ping()
                found.append(("ok", "The Redis of the former sessions answers."))
            except StoreUnavailable as error:
                reason = " ".join(str(error).split())[:200]
                found.append(("unsafe", f"The Redis of the former sessions does not answer: {reason}"))
        if self.options.migrate_unpickle is not None:
            found.append(
                (
                    "advice",
                    f"{PREFIX}MIGRATE_UNPICKLE is set, so an attacker who can write to the former Redis can run code "
                    "here. Remove it as soon as you can.",
                )
            )
        secrets = self.services.settings.secrets
        if self._sets_remember_cookies() and secrets[-1] in (self.options.migrate_secrets or secrets):
            found.append(
                (
                    "advice",
                    "Flask-Login signs its remember cookies with a secret of the former ones, so a user who knows "
                    "only a password can send one under the former name, and gets a wallet session. Change "
                    f"SECRET_KEY, and write the former one into {PREFIX}MIGRATE_SECRETS.",
                )
            )
        if self.options.migrate_beside:
            sentence = f"{PREFIX}MIGRATE_BESIDE is True. Remove it when the last former server has stopped."
        else:
            days = -(-self.options.migrate_seconds // DAY)
            sentence = (
                f"{PREFIX}MIGRATE_FROM is set. Remove it {days} days after the last former server has stopped: no "
                "former session is younger then."
            )
        return (*found, ("advice", sentence))

    # -- For templates -------------------------------------------------------------------------------------------

    @staticmethod
    def is_moved(view: SessionView) -> bool:
        """Whether a session was moved here."""
        from .moves import ORIGIN

        return bool(ORIGIN.of(view.live.record).source)
