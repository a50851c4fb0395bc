"""Without the part `operations` nothing is counted or checked, and the site works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from ..actors import Visitor
from ..constants import PRODUCTION
from ..servers import Server
from .left_out import all_but, imported, without
from .walk import walk


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return without(make_app, "operations")


def test_user_signs_in_and_out_and_no_link_is_dead(app: Flask) -> None:
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])


def test_no_route_of_the_part_is_left(app: Flask) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert Visitor(app).get(path).status_code == 404
    assert "/livez" not in Visitor(app).json("/api/openapi.json").get_json()["paths"]


def test_production_starts_on_a_redis_that_is_not_checked(make_app: Callable[..., Flask], server: Server) -> None:
    with server.client() as client:
        client.config_set("appendonly", "no")
    make_app({"parts": all_but("operations")}, SESSIONS_CORE_REDIS_URL=server.url, **PRODUCTION)


def test_sweep_asks_no_server_process(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["sessions", "sweep"])
    assert (done.exit_code, "WHAT WAS FOUND" in done.output) == (0, True)


def test_its_library_is_not_imported(redis_url: str) -> None:
    found = imported(redis_url, all_but("operations"))
    assert {name for name in found if name.partition(".")[0] == "prometheus_client"} == set()
