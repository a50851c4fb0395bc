"""`WalletSessions`: builds the services from the configuration and registers the web parts."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from flask import Blueprint, Flask, current_app, g, has_app_context, has_request_context
from flask.cli import ScriptInfo
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from . import events
from .access.actions import Actions
from .access.policy import PermissionsFor, Policy, SessionType
from .errors import Misconfigured
from .parts.activity.activity_log import Audit
from .parts.api.refresh_tokens import Refresh
from .parts.api.session_tokens import Tokens
from .parts.api.signing_keys import SigningKeys
from .parts.contract_wallets.contracts import Contracts
from .parts.internet_computer import canisters
from .parts.linked_wallets.linked_accounts import People
from .parts.operations import metrics
from .parts.operations.health import AnyHost
from .parts.operations.readiness import Readiness
from .parts.operations.session_count import Census
from .parts.roles.roles import Directory
from .parts.trial_wallets.key_shares import Shares
from .sessions.flask_session import SessionStore
from .sessions.lifecycle import Lifecycle
from .sessions.repository import Records
from .sessions.sweeper import Janitor
from .settings import PREFIX, Settings
from .sign_in.accounts import Account
from .sign_in.challenges import Challenges
from .sign_in.rate_limits import RateLimits
from .storage import embedded, secret_file
from .storage.connection import Link
from .storage.encryption import KeyRing
from .storage.server_checks import refuse_other_secret, refuse_unsafe_server, warn_of_lost_writes
from .storage.server_processes import Servers
from .web import cli, csrf, error_handlers, guards, logs, request_client, session_view
from .web.headers import SecurityHeaders, csp_nonce
from .web.other_origins import OtherOrigins
from .web.proxies import Proxies
from .web.request_body import WholeBodies
from .web.request_id import RequestIds
from .web.routes import api, devices, pages
from .web.services import EXTENSION, Services
from .web.wallet_modules import wallet_modules

# What verifiers import late, when the first signature of their chain comes: missing then, it would refuse everybody.
_NEEDED = {
    "nacl": "PyNaCl is missing: run pip install pynacl. "
    "It checks the keys and signatures of Solana and the Internet Computer.",
}
# coincurve has no wheel for Python 3.14 and later. There eth-keys recovers signers in Python, in 5 ms.
if sys.version_info < (3, 14):
    _NEEDED["coincurve"] = (
        "coincurve is missing: run pip install coincurve. Without it a flood of signatures stops the server."
    )

logger = logging.getLogger(__name__)

# What Flask or Flask-Session would go by, and what counts here instead.
_IGNORED = {
    "PERMANENT_SESSION_LIFETIME": "set SESSIONS_CORE_IDLE_SECONDS and SESSIONS_CORE_ABSOLUTE_SECONDS",
    "SESSION_PERMANENT": "the user decides that on the sign-in page",
    "SESSION_COOKIE_NAME": "the cookie is called __Host-session, which other hosts can't set",
    "SESSION_COOKIE_DOMAIN": "a __Host- cookie belongs to one host",
    "SESSION_COOKIE_PATH": "a __Host- cookie is for the whole host",
    "SESSION_COOKIE_SAMESITE": "set SESSIONS_CORE_COOKIE_SAMESITE",
    "SESSION_TYPE": "sessions are kept in Redis; set SESSIONS_CORE_REDIS_URL",
    "SESSION_REDIS": "set SESSIONS_CORE_REDIS_URL",
    "SESSION_KEY_PREFIX": "set SESSIONS_CORE_REDIS_PREFIX",
    "WTF_CSRF_METHODS": "every method but GET, HEAD, OPTIONS and TRACE takes the token",
}

_METHODS_OF_FLASK_WTF = {"POST", "PUT", "PATCH", "DELETE"}  # what it sets by itself


class WalletSessions:
    """The Flask extension.

    `role_for(account)` returns the role of an account, asked on each request of somebody who is signed in; without
    it, roles are in Redis, and administrators change them. `session_types` adds types, `roles` says what roles leave
    of their permissions, `permissions_for(grounds)` replaces the rule (all in `policy`); `actions` gives sentences to
    what `fresh_required` has people sign for. `clock` returns seconds since the epoch and times challenges; sessions
    run on Redis's clock.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        role_for: Callable[[Account], str] | None = None,
        permissions_for: PermissionsFor | None = None,
        session_types: Iterable[SessionType] = (),
        roles: Mapping[str, tuple[str, ...] | None] | None = None,
        actions: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._role_for = role_for
        self._policy: dict[str, Any] = {
            "permissions_for": permissions_for,
            "types": tuple(session_types),
            "roles": roles,
        }
        self._actions = Actions(actions)
        self._clock = clock
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up `app`; raise `Misconfigured` for anything unsafe, with the sentence that fixes it."""
        for module, sentence in _NEEDED.items():
            if importlib.util.find_spec(module) is None:
                raise Misconfigured(sentence)
        _development_secret(app)
        settings = Settings.from_config(app.config)
        _refuse_slow_signing(settings)
        logs.set_up(app, settings)
        url = settings.redis_url or _private_redis(app)
        link = Link(
            url,
            settings.redis_timeout_ms / 1000,
            observe=metrics.redis_seconds.observe,
            replicas=settings.revocation_replicas,
        )
        if not settings.development:
            refuse_unsafe_server(link, settings.redis_prefix, strict=settings.redis_check)
            refuse_other_secret(link, KeyRing(settings.secrets, "sessions_core secret 1"), settings.redis_prefix)
            if settings.redis_check and link.is_sentinel and not settings.revocation_replicas:
                warn_of_lost_writes(link)
        keys = KeyRing(settings.secrets, "sessions_core record 1")
        records = Records(link, keys, settings)
        signing_keys = SigningKeys(link, KeyRing(settings.secrets, "sessions_core signing keys 1"), records, settings)
        tokens = Tokens(settings, signing_keys, self._clock)
        store = SessionStore(app, records, settings, tokens)
        janitor = Janitor(link, keys, records)
        contracts = Contracts(settings)
        _configure(app, settings, store)
        _csrf(app, settings)
        policy = Policy(settings, **self._policy)
        _demand_sentences(policy, self._actions)
        servers = Servers(link, keys, settings)
        if not settings.development and not _is_command():  # in development each secret has a Redis of its own
            servers.start()
        Services(
            settings=settings,
            records=records,
            store=store,
            lifecycle=Lifecycle(records),
            tokens=tokens,
            refresh=Refresh(records),
            signing_keys=signing_keys,
            challenges=Challenges(settings, records, contracts, self._clock),
            contracts=contracts,
            directory=Directory(link, keys, records, settings),
            people=People(link, keys, records, settings),
            janitor=janitor,
            shares=Shares(link, keys, records, settings),
            audit=Audit(link, KeyRing(settings.secrets, "sessions_core activity 1"), settings),
            servers=servers,
            census=Census(link, janitor, settings),
            readiness=Readiness(link, keys, settings),
            rate_limits=RateLimits(link, settings),
            policy=policy,
            actions=self._actions,
            requests=KeyRing(settings.secrets, "sessions_core waiting request 1"),
            clock=self._clock,
            role_for=self._role_for,
        ).install(app)
        _keep_what_happens(app)
        events.happened.connect(metrics.count)  # once for the process, as Prometheus counts
        app.url_map.converters["session_handle"] = devices.HandleConverter
        guards.demand_declarations(app)
        app.before_request(guards.guard)
        app.register_blueprint(pages)
        app.register_blueprint(api)
        _serve_static_files_of_parts(app)
        error_handlers.register(app)
        cli.register(app)
        _templates(app, settings)
        answers = SecurityHeaders(OtherOrigins(AnyHost(WholeBodies(app.wsgi_app), settings), settings), settings)
        app.wsgi_app = Proxies(RequestIds(answers), settings)  # type: ignore[method-assign]


def _serve_static_files_of_parts(app: Flask) -> None:
    # The URLs mirror the folders, so that the relative imports of the modules are right on disk and over HTTP.
    for folder in sorted((Path(__file__).parent / "parts").glob("*/static")):
        part = folder.parent.name
        url = f"/sessions_core/parts/{part}/static"
        app.register_blueprint(
            Blueprint(f"sessions_{part}", f"{__package__}.parts.{part}", static_folder=folder, static_url_path=url)
        )


def _is_command() -> bool:
    # `flask sessions sweep` and the like; `flask run` is a server.
    context = click.get_current_context(silent=True)
    return context is not None and context.find_object(ScriptInfo) is not None and context.info_name != "run"


def _refuse_slow_signing(settings: Settings) -> None:
    # Without coincurve the keys of trial wallets would sign in Python, whose time depends on the key.
    serves_others = settings.pregenerated_chain is not None and not settings.development
    if serves_others and importlib.util.find_spec("coincurve") is None:
        raise Misconfigured(
            "SESSIONS_CORE_PREGENERATED_WALLETS needs coincurve outside development: use Python 3.13 or earlier, or "
            "run pip install coincurve, which needs a C compiler."
        )


def _demand_sentences(policy: Policy, actions: Actions) -> None:
    for permission in (name for each in policy.types.values() for name in each.fresh):
        if permission not in actions:
            raise Misconfigured(
                f"Each use of {permission!r} takes a signature, and there is no sentence to sign. "
                f"Give it one: WalletSessions(app, actions={{{permission!r}: 'What will be done.'}})."
            )


def _keep_what_happens(app: Flask) -> None:
    def keep(event: events.Event) -> None:
        # The signal is one for the process; an application keeps what happened in its own requests and commands.
        if isinstance(event, events.RequestRefused):
            return  # anybody can cause these without end; they are in the log, and cost Redis nothing
        if not has_app_context() or current_app._get_current_object() is not app:  # type: ignore[attr-defined]
            return
        if isinstance(event, events.RevocationUnconfirmed):
            # What makes room for a sign-in was not asked for: the sign-in is what its answer is about.
            if event.reason not in ("replaced", "limit"):
                told: Any = guards.wallet_session() if has_request_context() else g
                told.revocation_pending = True
            return
        ours: Services = app.extensions[EXTENSION]
        ours.audit.note(event, request_client.current())
        if isinstance(event, events.SessionCreated):
            ours.directory.saw(event.account)

    # Held weakly, and by the application: it ends with that.
    events.happened.connect(keep, weak=True)
    app.extensions["wallet_sessions_keeper"] = keep


def _configure(app: Flask, settings: Settings, store: SessionStore) -> None:
    if type(app.session_interface) not in (SecureCookieSessionInterface, SessionStore):
        raise Misconfigured(
            f"{type(app.session_interface).__name__} keeps flask.session already. Remove Session(app), or what else "
            "sets it up: WalletSessions(app) keeps flask.session in Redis."
        )
    for name, ours in _IGNORED.items():
        if app.config.get(name) not in (Flask.default_config.get(name), _METHODS_OF_FLASK_WTF):
            logger.warning("%s is set and has no effect: %s.", name, ours)
    app.session_interface = store
    app.config.update(
        SESSION_COOKIE_NAME=store.cookie_name,
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE=settings.cookie_samesite,
    )
    if app.config["TRUSTED_HOSTS"] is None:
        # A spoofed Host must not get into links and redirects.
        app.config["TRUSTED_HOSTS"] = [settings.host]


def _csrf(app: Flask, settings: Settings) -> None:
    # Flask-WTF makes the tokens, and `web/origin.py` checks them. They live as long as the session's secret.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # an application that made its own CSRFProtect has set it to True
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    # The newest signs, all are accepted: a rotation of SECRET_KEY leaves open forms alone.
    app.config.setdefault("WTF_CSRF_SECRET_KEY", [each.encode("utf-8", "surrogatepass") for each in settings.secrets])
    if "csrf" not in app.extensions:
        CSRFProtect(app)


def _templates(app: Flask, settings: Settings) -> None:
    filters = (
        session_view.iso,
        session_view.clock,
        session_view.duration,
        session_view.ago,
        session_view.moment,
        session_view.account,
        session_view.quoted,
        csrf.address_of,
    )
    app.jinja_env.filters.update({each.__name__: each for each in filters})
    app.jinja_env.globals.update(csp_nonce=csp_nonce, wallet_modules=wallet_modules)
    site = {
        "name": settings.site_name,
        "origin": settings.public_origin,
        "cookie_secure": settings.cookie_secure,
        "identity_url": settings.internet_identity_url if _believes_identity(settings) else "",
    }
    # Outside a request (an e-mail made by a command) nobody is signed in.
    app.context_processor(
        lambda: {"site": site, "current_session": guards.session_view() if has_request_context() else None}
    )


def _believes_identity(settings: Settings) -> bool:
    """Whether what Internet Identity signs would be accepted: nobody is sent there for nothing."""
    return canisters.available() and f"icp:{canisters.network()}" in settings.chains


def _private_redis(app: Flask) -> str:
    return embedded.keep(Path(app.instance_path) / "redis").url


def _development_secret(app: Flask) -> None:
    if app.config.get("SECRET_KEY") or not app.config.get(f"{PREFIX}DEVELOPMENT"):
        return
    path = Path(app.instance_path) / "secret_key"
    *former, app.config["SECRET_KEY"] = secret_file.read(path)
    if former:  # `flask keys rotate` was here
        app.config["SECRET_KEY_FALLBACKS"] = [*(app.config.get("SECRET_KEY_FALLBACKS") or ()), *former]
    app.extensions[cli.KEYFILE] = path
