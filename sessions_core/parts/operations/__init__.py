"""For the people who run the site: metrics, health, readiness, counts of sessions, the gunicorn worker."""

from __future__ import annotations

from flask import Flask

from ...part import Part
from ...storage.encryption import KeyRing


class Operations(Part):
    """`/livez`, `/readyz`, `/metrics`, and checks of Redis."""

    libraries = {"prometheus_client": "prometheus-client>=0.22"}

    def setup(self, app: Flask) -> None:
        """Refuse a production Redis that forgets, lacks rights, or is used with another secret as well."""
        from . import server_checks

        settings, connection = self.services.settings, self.services.connection
        if settings.development:
            return
        server_checks.refuse_unsafe_server(connection, settings.redis_prefix, strict=settings.redis_check)
        secret = KeyRing(settings.secrets, "sessions_core secret 1")
        server_checks.refuse_other_secret(connection, secret, settings.redis_prefix)
        if settings.redis_check and connection.service.fails_over and not settings.revocation_replicas:
            server_checks.warn_of_lost_writes(connection)
