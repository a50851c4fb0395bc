"""For operators: metrics, health, readiness, counts of sessions, logs, the gunicorn worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...part import Part
from ...storage.encryption import KeyRing
from .errors import NotReady
from .options import OperationsSettings

if TYPE_CHECKING:
    import click
    from flask import Blueprint, Flask

    from ...events import Event
    from ...sessions.flask_session import WalletSession
    from .readiness import Readiness
    from .server_processes import Servers
    from .session_count import SessionCount


class Operations(Part):
    """`/livez`, `/readyz`, `/metrics`, lines in the log, and checks of Redis and of the whole deployment."""

    libraries = {"prometheus_client": "prometheus-client>=0.22"}
    settings = OperationsSettings
    uses = ("command_line", "reverse_proxy")
    errors = (NotReady,)
    slots = {"activity_words": "sessions/_activity_operations.html"}
    redis_keys = {
        "census": "string: how many sessions there were when they were last counted",
        "census:due": "string: there until sessions may be counted again",
        "ready:<random>": "string: what a health check writes and takes back, encrypted",
        "secret": "string: a value that each SECRET_KEY in use has encrypted, the latest four",
        "server:<process>": "string: the ids of the keys that a running process knows, as JSON",
        "{<random>}:<word>": "any: what a check of the rights of the Redis user writes and deletes",
    }
    options: OperationsSettings
    readiness: Readiness
    session_count: SessionCount
    servers: Servers

    def setup(self, app: Flask) -> None:
        """Start logging and counting, and refuse a Redis that is unfit for production."""
        from . import logs, metrics
        from .readiness import Readiness
        from .server_processes import Servers, is_check, is_command
        from .session_count import SessionCount

        services, settings = self.services, self.services.settings
        logs.set_up(app, settings.development)
        metrics.begin()
        services.connection.observe = metrics.redis_seconds.observe
        self.readiness = Readiness(services.connection, services.keys, settings, self.options.redis_check)
        self.session_count = SessionCount(services.connection, settings)
        self.servers = Servers(services.connection, services.keys, settings)
        if not settings.development:  # in development each secret has a Redis of its own
            if not is_check():
                self._check_redis()
            if not is_command():
                self.servers.start()

    def _check_redis(self) -> None:
        from .server_checks import refuse_unsafe_server, warn_of_lost_writes
        from .shared_secret import refuse_other_secret

        connection, settings, strict = self.services.connection, self.services.settings, self.options.redis_check
        refuse_unsafe_server(connection, settings.redis_prefix, strict=strict)
        secret = KeyRing(settings.secrets, "sessions_core secret 1")
        refuse_other_secret(connection, secret, settings.redis_prefix)
        if strict and connection.service.fails_over and not settings.revocation_replicas:
            warn_of_lost_writes(connection)

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the routes that load balancers and Prometheus ask."""
        from .health import health

        return (health,)

    def commands(self) -> Sequence[click.Command]:
        """Return `flask sessions check`, where there is a command line."""
        if "command_line" not in self.services.parts:
            return ()
        from .commands import sessions

        return (sessions,)

    def wsgi(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Let the health checks be asked by address."""
        from .health import AnyHost

        return AnyHost(app, self.services.settings, self.options.metrics_secret)

    def on_read(self, session: WalletSession) -> None:
        """Note from time to time that this process runs, and which secrets it knows."""
        self.servers.note()

    def on_event(self, event: Event) -> None:
        """Count what happens."""
        from . import metrics

        metrics.count(event)

    def check_command(self) -> None:
        """Refuse to encrypt what a running server process could not decrypt."""
        self.servers.refuse_unaware()
