"""The numbers of the metrics endpoint."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from sessions_core.parts.operations import metrics

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: bytes) -> Numbers:
    """The samples of an answer by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def grown(do: Callable[[], object], name: str, **labels: str) -> float:
    """By how much a number grows."""
    key = (name, frozenset(labels.items()))
    before = read(metrics.text(None)).get(key, 0.0)
    do()
    return read(metrics.text(None)).get(key, 0.0) - before
