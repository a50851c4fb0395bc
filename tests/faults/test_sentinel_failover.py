"""Failovers of a Sentinel service under traffic: what was acknowledged, and what of it was undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from .. import clusters
from ..clusters import Sentinels
from ..failovers import sign_outs_during
from . import table


@pytest.fixture(params=[1, 2], ids=["1 replica", "2 replicas"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sentinels]:
    """A Sentinel service of this test alone."""
    with clusters.sentinel(tmp_path, request.param) as made:
        yield made


def test_sign_outs_survive_a_planned_failover(broken: Sentinels, make_app: Callable[..., Flask]) -> None:
    found = sign_outs_during(broken, make_app, broken.fail_over, count=24, seconds=6)
    table(f"SENTINEL FAILOVER, {len(broken.servers) - 1} replica(s)", found)
    assert found["alive after the failover"] == 0
    assert found["seen alive elsewhere at once"] == 0
    assert found["acknowledged"] >= 20


def test_sign_outs_survive_a_killed_master(broken: Sentinels, make_app: Callable[..., Flask]) -> None:
    found = sign_outs_during(broken, make_app, broken.servers[0].crash, count=24, seconds=6)
    table(f"kill -9 of the master, {len(broken.servers) - 1} replica(s)", found)
    assert found["alive after the failover"] == 0
