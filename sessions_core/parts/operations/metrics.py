"""Metrics for Prometheus, from the events of this process and the latency of its Redis.

With several workers the library puts them together from files, if `PROMETHEUS_MULTIPROC_DIR` names a folder before
this module is imported (`gunicorn.conf.py` does). Every label is of a closed set: an attacker must not create new
time series with request data, and no series may identify a user.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ... import events
from ...errors import catalogue
from ...sessions import end_reasons
from ...sign_in.accounts import CHAINS

CONTENT_TYPE = CONTENT_TYPE_LATEST
SCOPES = ("others", "all", "everybody")

_OTHER = "other"
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

sign_ins = Counter("wallet_sign_ins", "Sign-ins by CAIP-2 chain; outcome is success or a code.", ["chain", "outcome"])
revocations = Counter(
    "wallet_revocations", "Revocations by reason; others, all and everybody end many sessions at once.", ["reason"]
)
refusals = Counter("wallet_refusals", "Refused requests, sign-ins and confirmations by code.", ["code"])
redis_seconds = Histogram("wallet_redis_seconds", "How long Redis took, failures included.", buckets=_BUCKETS)


def counter(name: str, meaning: str, *labels: str) -> Counter:
    """Return a counter for another part. Its labels are of closed sets, too."""
    return Counter(name, meaning, labels)


def begin() -> None:
    """Start a series for each known reason: one that starts with its first event hides it from `rate()`."""
    for reason in (*end_reasons.counted(), *SCOPES):
        revocations.labels(reason)


def count(event: events.Event) -> None:
    """Count an event."""
    if type(event) is events.SessionCreated:  # what parts derive from it is no sign-in
        sign_ins.labels(_chain(event.account), "success").inc()
    elif isinstance(event, events.SignInFailed):
        sign_ins.labels(_chain(event.account), _code(event.code)).inc()
        refusals.labels(_code(event.code)).inc()
    elif isinstance(event, (events.RequestRefused, events.ConfirmationFailed)):
        refusals.labels(_code(event.code)).inc()
    elif isinstance(event, events.SessionEnded):
        revocations.labels(event.reason if event.reason in end_reasons.counted() else _OTHER).inc()
    elif isinstance(event, events.SessionsRevoked):
        revocations.labels(event.scope if event.scope in SCOPES else _OTHER).inc()


def text(live: int | None) -> bytes:
    """Return all numbers in Prometheus' text format; `live` is how many sessions there are, if that is known."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    session_registry = CollectorRegistry()
    session_registry.register(_Live(live))
    return generate_latest(registry) + generate_latest(session_registry)


class _Live(Collector):
    """One number that all processes share: a gauge would be added up, once for each of them."""

    def __init__(self, live: int | None) -> None:
        self._live = live

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._live is not None:
            yield GaugeMetricFamily("wallet_sessions_live", "Sessions in Redis when last counted.", value=self._live)


def _chain(account: str | None) -> str:
    chain = ":".join((account or "").split(":")[:2])
    return chain if chain in CHAINS else _OTHER


def _code(code: str) -> str:
    return code if code in catalogue() else _OTHER
