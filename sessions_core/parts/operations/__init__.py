"""For the people who run the site: metrics, health, readiness, counts of sessions, the gunicorn worker."""

from __future__ import annotations

from ...part import Part


class Operations(Part):
    """`/livez`, `/readyz`, `/metrics`, and checks of Redis."""

    libraries = {"prometheus_client": "prometheus-client>=0.22"}
