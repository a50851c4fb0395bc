"""`WalletSessions`: builds the services from the configuration and registers the web parts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from flask import Blueprint, Flask, current_app, g, has_app_context, has_request_context
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFProtect

from . import events, part
from .access.actions import Action, Actions
from .access.policy import PermissionsFor, Policy, SessionType
from .errors import Misconfigured
from .part import Part
from .sessions.flask_session import SessionStore
from .sessions.lifecycle import Lifecycle
from .sessions.repository import SessionRepository
from .sessions.sweeper import Sweeper
from .settings import PREFIX, Settings
from .sign_in import verifiers
from .sign_in.accounts import Account
from .sign_in.challenges import Challenges
from .storage import secret_file
from .storage.connection import RedisConnection
from .storage.encryption import KeyRing
from .web import assets, collisions, csrf, declarations, error_handlers, guards, session_view, texts
from .web.headers import ResponseHeaders, csp_nonce
from .web.request_body import WholeBodies
from .web.routes import api, pages
from .web.services import EXTENSION, SECRET_FILE, Services

logger = logging.getLogger(__name__)

# What Flask or Flask-Session would go by, and what counts here instead.
_IGNORED = {
    "PERMANENT_SESSION_LIFETIME": "set SESSIONS_CORE_IDLE_SECONDS and SESSIONS_CORE_ABSOLUTE_SECONDS",
    "SESSION_PERMANENT": "the user decides that on the sign-in page",
    "SESSION_COOKIE_NAME": "set SESSIONS_CORE_COOKIE_NAME; it is put behind __Host-, which other hosts can't set",
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

    `role_for(account)` returns the role of an account; it is called on each request of a signed-in user. Without it,
    roles are in Redis, and administrators change them. `session_types` adds types, `roles` says what roles leave of
    their permissions, `permissions_for(context)` replaces the rule (all in `policy`); `actions` has the sentences
    that users sign for `fresh_required`, each a string or an `Action`.

    `user_for(account)` returns the application's own user, which `current_user` is then (see `users`).
    `translate(text)` returns a text of pages, errors or step-up in the language of the request, or the text itself if
    it has no translation of it (`web.texts`).

    `routes` declares routes that can't be decorated, by endpoint pattern or blueprint; `undeclared` ("signed_in" or
    "public") is the declaration of those that have none (see `declarations`).

    `clock` returns seconds since the epoch and times challenges; sessions run on Redis's clock.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        role_for: Callable[[Account], str] | None = None,
        permissions_for: PermissionsFor | None = None,
        session_types: Iterable[SessionType] = (),
        roles: Mapping[str, tuple[str, ...] | None] | None = None,
        actions: Mapping[str, str | Action] | None = None,
        user_for: Callable[[Account], Any] | None = None,
        translate: Callable[[str], str] = str,
        routes: declarations.Routes | None = None,
        undeclared: str | None = None,
        parts: Iterable[str | type[Part]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._role_for = role_for
        self._user_for = user_for
        self._translate = translate
        self._policy: dict[str, Any] = {
            "permissions_for": permissions_for,
            "types": tuple(session_types),
            "roles": roles,
        }
        self._actions = actions
        self._routes = routes
        self._undeclared = undeclared
        self._parts = parts
        self._clock = clock
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up `app`; raise `Misconfigured` for anything unsafe, with the sentence that fixes it."""
        _development_secret(app)
        parts = part.choose(self._parts if self._parts is not None else app.config.get(f"{PREFIX}PARTS"))
        settings = _settings(app, parts)
        options = {each.name: part.read_options(each, app.config, settings) for each in parts}
        of_parts = {name: action for each in parts for name, action in each.actions.items()}
        actions = Actions(self._actions, of_parts)
        url = settings.redis_url or _development_redis(app, parts)
        connection = RedisConnection(url, settings.redis_timeout_ms / 1000, replicas=settings.revocation_replicas)
        keys = KeyRing(settings.secrets, "sessions_core record 1")
        repository = SessionRepository(
            connection, keys, settings, [key for each in parts for key in each.account_keys]
        )
        lifecycle = Lifecycle(repository)
        store = SessionStore(app, repository, lifecycle, settings)
        sweeper = Sweeper(connection, keys, repository)
        policy = Policy(settings, **self._policy)
        services = Services(
            settings=settings,
            connection=connection,
            keys=keys,
            repository=repository,
            store=store,
            lifecycle=lifecycle,
            challenges=Challenges(settings, repository, self._clock, lambda: services.hooks("verify_otherwise")),
            sweeper=sweeper,
            policy=policy,
            actions=actions,
            requests=KeyRing(settings.secrets, "sessions_core waiting request 1"),
            clock=self._clock,
            role_for=self._role_for,
            user_for=self._user_for,
            translate=self._translate,
        )
        services.install(app)
        _refuse_prefixes_of_nothing(settings, parts)
        _set_up(app, services, {each: options[each.name] for each in parts})
        _configure(app, settings, store)
        _csrf(app, settings)
        _demand_sentences(policy, actions)
        store.without_user = services.hooks("without_user")
        if services.hooks("read_token"):
            store.open_token = services.open_token
        _listen(app)
        app.url_map.converters["session_handle"] = session_view.HandleConverter
        routes = declarations.watch(app, self._routes, self._undeclared)
        app.before_request(guards.guard)
        _add_routes(app, services)
        error_handlers.register(app)
        _templates(app, services)
        layers: Callable[..., Any] = WholeBodies(app.wsgi_app)
        for surround in services.hooks("wsgi"):
            layers = surround(layers)
        origins = [origin for origins_of in services.hooks("asset_origins") for origin in origins_of()]
        layers = ResponseHeaders(layers, settings, origins)  # on what a part answers by itself, too
        app.wsgi_app = declarations.Settled(layers, routes)  # type: ignore[method-assign]

    @staticmethod
    def check_routes(app: Flask) -> None:
        """Check all routes of `app` now, at the end of `create_app`, rather than before its first request.

        Raises `Misconfigured` with a list of the routes that declare nothing.
        """
        declarations.settle(app)


def _settings(app: Flask, parts: Iterable[type[Part]]) -> Settings:
    loaded = {name for each in parts for name in part.settings_of(each)}
    known = loaded | {each.name for each in fields(Settings)}
    for key in app.config:
        name = key.removeprefix(PREFIX).lower()
        owner = part.owner_of(name) if key.startswith(PREFIX) and name not in known else None
        if owner is not None:
            raise Misconfigured(
                f"{key} is a setting of the part {owner!r}, which is not loaded. Remove it, or add {owner!r} to "
                f"{PREFIX}PARTS."
            )
    # What this application's parts bring, even if another application in this process has more of them.
    kinds = sorted((verifier for each in parts for verifier in each.verifiers), key=lambda each: each.order)
    known_chains = {chain.id: chain for kind in kinds for chain in kind.chains}
    default = [chain.id for chain in known_chains.values() if chain.default]
    settings = Settings.from_config({f"{PREFIX}CHAINS": default, **app.config}, loaded)
    settings.refuse_unknown_chains(known_chains)
    return settings


def _set_up(app: Flask, services: Services, options: Mapping[type[Part], Any]) -> None:
    """Make the instances of parts for this application, then set up each: it may look at what the others bring."""
    for kind, own in options.items():
        part = services.parts[kind.name] = kind(services, own)
        services.policy.add_types(part.session_types(services.settings))
    for part in services.parts.values():
        try:
            part.setup(app)
        except Misconfigured:
            raise
        except Exception as error:
            raise Misconfigured(
                f"The part {part.name!r} could not be set up: {error!r}. Fix that, or take {part.name!r} out of "
                f"{PREFIX}PARTS."
            ) from error


def _load(app: Flask, services: Services, part: Part) -> None:
    """Register what a part brings: its routes, its templates, its commands."""
    pages = Blueprint(f"sessions_{part.name}", type(part).__module__, template_folder="templates")
    own, prefix = part.blueprints(), services.settings.url_prefixes.get(part.name)
    if prefix is not None and pages.name not in {each.name for each in own}:
        raise Misconfigured(
            f"{PREFIX}URL_PREFIXES moves the part {part.name!r}, which has no blueprint {pages.name!r} to move. "
            "Remove it there."
        )
    for blueprint in own or (pages,):
        moved = prefix if blueprint.name == pages.name else None
        services.blueprints.add(blueprint.name)
        _register(app, services.settings, blueprint, moved)
    for command in part.commands():
        _add_command(app, command)


def _add_command(app: Flask, command: click.Command) -> None:
    """Give the application a command. A group of a name that it has already adds its commands to that group."""
    group = app.cli.commands.get(command.name or "")
    if not isinstance(command, click.Group):
        app.cli.add_command(command)
    elif isinstance(group, click.Group):
        group.commands.update(command.commands)
    else:
        own = copy(command)  # a part adds to that of its application alone
        own.commands = dict(command.commands)
        app.cli.add_command(own)


def _refuse_prefixes_of_nothing(settings: Settings, parts: Iterable[type[Part]]) -> None:
    for name in settings.url_prefixes:
        if name not in {each.name for each in parts}:
            raise Misconfigured(f"{PREFIX}URL_PREFIXES moves the part {name!r}, which is not loaded. Remove it.")


def _add_routes(app: Flask, services: Services) -> None:
    for blueprint in (pages, api):
        _register(app, services.settings, blueprint)
    for loaded in services.parts.values():
        _load(app, services, loaded)
    collisions.refuse_shared_paths(app)
    collisions.watch(app)


def _register(app: Flask, settings: Settings, blueprint: Blueprint, prefix: str | None = None) -> None:
    """Register a blueprint of this package below the prefix of its part, or else below `SESSIONS_CORE_URL_PREFIX`."""
    collisions.refuse_taken_name(app, blueprint)
    below = settings.url_prefix + (blueprint.url_prefix or "") if prefix is None else prefix
    app.register_blueprint(blueprint, url_prefix=below or None)


def _demand_sentences(policy: Policy, actions: Actions) -> None:
    for permission in (name for each in policy.types.values() for name in each.fresh):
        if permission not in actions:
            raise Misconfigured(
                f"Each use of {permission!r} takes a signature, and there is no sentence to sign. "
                f"Give it one: WalletSessions(app, actions={{{permission!r}: 'What will be done.'}})."
            )


def _listen(app: Flask) -> None:
    def hear(event: events.Event) -> None:
        # The signal is one for the process; an application hears of its own requests and commands.
        if not has_app_context() or current_app._get_current_object() is not app:  # type: ignore[attr-defined]
            return
        # What makes room for a sign-in was not asked for: the sign-in is what its answer is about.
        if isinstance(event, events.RevocationUnconfirmed) and event.reason not in ("replaced", "limit"):
            told: Any = guards.wallet_session() if has_request_context() else g
            told.revocation_pending = True
        services: Services = app.extensions[EXTENSION]
        for tell in services.hooks("on_event"):
            tell(event)

    # Held weakly, and by the application: it ends with that.
    events.happened.connect(hear, weak=True)
    app.extensions["sessions_core_listener"] = hear


def _configure(app: Flask, settings: Settings, store: SessionStore) -> None:
    if type(app.session_interface) not in (SecureCookieSessionInterface, SessionStore):
        raise Misconfigured(
            f"{type(app.session_interface).__name__} keeps flask.session already. Remove Session(app), or what else "
            "sets it up: WalletSessions(app) keeps flask.session in Redis."
        )
    for name, instead in _IGNORED.items():
        if app.config.get(name) not in (Flask.default_config.get(name), _METHODS_OF_FLASK_WTF):
            logger.warning("%s is set and has no effect on wallet sessions: %s.", name, instead)
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
    # Flask-WTF makes the tokens, and `web/csrf.py` checks them. They live as long as the session's secret.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # an application that made its own CSRFProtect has set it to True
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    # The newest signs, all are accepted: a rotation of SECRET_KEY leaves open forms alone.
    app.config.setdefault("WTF_CSRF_SECRET_KEY", [each.encode("utf-8", "surrogatepass") for each in settings.secrets])
    if "csrf" not in app.extensions:
        CSRFProtect(app)


def _templates(app: Flask, services: Services) -> None:
    settings = services.settings
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
    app.jinja_env.filters["family_name"] = verifiers.name_of
    texts.install(app)
    app.jinja_env.globals.update(csp_nonce=csp_nonce, asset=assets.url, menu=services.menu, slots=services.slots)
    app.jinja_env.globals.update(
        wallet_modules=assets.wallet_modules,
        wallet_families=services.wallet_families,
        wallet_family=services.wallet_family,
    )
    app.jinja_env.globals.update(parts=services.parts, signing_words=services.signing_words)
    site = {
        "name": settings.site_name,
        "contact": settings.contact,
        "contact_link": settings.contact_link,
        "origin": settings.public_origin,
        "cookie_secure": settings.cookie_secure,
    }
    # Outside a request (an e-mail made by a command) there is no signed-in user.
    app.context_processor(
        lambda: {"site": site, "current_session": guards.session_view() if has_request_context() else None}
    )


def _development_redis(app: Flask, parts: Iterable[type[Part]]) -> str:
    for each in parts:
        url = each.redis_url(app)
        if url is not None:
            return url
    raise Misconfigured(f'{PREFIX}REDIS_URL is missing. Set it to your Redis, such as "redis://localhost:6379/0".')


def _development_secret(app: Flask) -> None:
    if app.config.get("SECRET_KEY") or not app.config.get(f"{PREFIX}DEVELOPMENT"):
        return
    path = Path(app.instance_path) / "secret_key"
    *former, app.config["SECRET_KEY"] = secret_file.read(path)
    if former:  # `flask keys rotate` was here
        app.config["SECRET_KEY_FALLBACKS"] = [*(app.config.get("SECRET_KEY_FALLBACKS") or ()), *former]
    app.extensions[SECRET_FILE] = path
