"""/livez, /readyz and /metrics: in time, without a session, without a cookie, and for nobody else's eyes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events
from sessions_core.parts.operations import metrics, readiness

from ...actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet
from ...constants import PRODUCTION, REDIS_PREFIX, ROOT, SECRET
from ...metric_samples import grown, read
from ...servers import Listener, Server, commands_run

READER = "the secret of whoever reads numbers, 0123456789"
PATHS = ("/livez", "/readyz", "/metrics")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A busy machine may be slow where it is not slowness that is tested."""
    monkeypatch.setattr(readiness, "SECONDS", 10)
    return monkeypatch


def ask(app: Flask, path: str, base: str = ORIGIN, **headers: str) -> TestResponse:
    return app.test_client().get(path, base_url=base, headers=headers)


# -- Alive and ready ---------------------------------------------------------------------------------------------


def test_alive_never_asks_redis(app: Flask, redis: Redis) -> None:
    redis.config_resetstat()
    answer = ask(app, "/livez", Cookie=f"{SESSION_COOKIE}={'A' * 55}")
    assert (answer.status_code, answer.get_json()) == (200, {"success": True, "data": {"alive": True}})
    assert commands_run(redis) == {}


def test_alive_while_redis_is_gone_and_not_ready(make_app: Callable[..., Flask], server: Server) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    assert ask(app, "/readyz").status_code == 200
    server.stop()
    assert ask(app, "/livez").status_code == 200
    answer = ask(app, "/readyz")
    assert (answer.status_code, answer.mimetype) == (503, "application/json")
    error = answer.get_json()["error"]
    assert (error["code"], error["reason"]) == ("not_ready", "redis_unreachable")
    assert re.fullmatch("[0-9a-f]{16}", error["request_id"])


def test_ready_app_answers_200(app: Flask) -> None:
    answer = ask(app, "/readyz")
    assert (answer.status_code, answer.get_json()) == (200, {"success": True, "data": {"ready": True}})


def test_a_redis_that_hangs_is_answered_in_time(make_app: Callable[..., Flask], patience: pytest.MonkeyPatch) -> None:
    patience.undo()
    with Listener() as listener:
        app = make_app(SESSIONS_CORE_REDIS_URL=listener.url, SESSIONS_CORE_REDIS_TIMEOUT_MS=10_000)
        assert ask(app, "/readyz").get_json()["error"]["reason"] == "redis_slow"


def test_readiness_gives_a_reason_word_and_no_address(make_app: Callable[..., Flask], server: Server) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    server.stop()
    answer = ask(app, "/readyz")
    assert answer.get_json()["error"]["reason"] in readiness.TROUBLES
    assert str(server.directory) not in answer.get_data(as_text=True)


def test_a_refusal_is_in_the_log_and_among_the_numbers(
    make_app: Callable[..., Flask], server: Server, happened: list[events.Event], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    server.stop()
    assert grown(lambda: ask(app, "/readyz"), "wallet_refusals_total", code="not_ready") == 1
    assert (
        events.RequestRefused(code="not_ready", endpoint="sessions_operations.readyz", reason="redis_unreachable")
        in happened
    )
    assert "redis_unreachable" in caplog.text


@pytest.mark.parametrize("path", PATHS)
def test_machines_leave_no_trace_and_get_no_cookie(app: Flask, redis: Redis, path: str) -> None:
    answer = ask(app, path, Accept="text/html")
    assert answer.status_code == 200
    assert answer.mimetype in ("application/json", "text/plain")
    assert answer.headers.getlist("Set-Cookie") == []
    assert answer.headers["Cache-Control"] == "no-store"
    assert {key.decode() for key in redis.scan_iter()} <= {f"{REDIS_PREFIX}census", f"{REDIS_PREFIX}census:due"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_health_endpoints_accept_no_unsafe_method(app: Flask, path: str, method: str) -> None:
    answer = app.test_client().open(path, method=method, base_url=ORIGIN, headers={"Origin": ORIGIN})
    assert answer.status_code == 405


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_load_balancers_may_ask_by_address(app: Flask, path: str) -> None:
    assert ask(app, path, "http://10.0.0.7:5000").status_code == 200
    assert ask(app, "/sign-in", "http://10.0.0.7:5000").status_code == 400


@pytest.mark.parametrize("path", ["/livez/", "//livez", "/livez/../sign-in", "/LIVEZ"])
def test_only_these_paths_are_answered_under_any_name(app: Flask, path: str) -> None:
    assert ask(app, path, "http://evil.example").status_code == 400


# -- The numbers -------------------------------------------------------------------------------------------------


def test_development_serves_metrics_to_local_callers(app: Flask) -> None:
    answer = ask(app, "/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
    assert ("wallet_sessions_live", frozenset()) in read(answer.get_data())


def test_a_page_that_has_its_name_point_here_reads_no_numbers(app: Flask) -> None:
    assert ask(app, "/metrics", "http://evil.example:5000").status_code == 400


def test_without_a_secret_production_has_no_numbers(make_app: Callable[..., Flask], server: Server) -> None:
    app = make_app(**PRODUCTION, SESSIONS_CORE_REDIS_URL=server.url)
    answer = ask(app, "/metrics", "https://app.example.org", Authorization="Bearer ")
    assert (answer.status_code, answer.mimetype) == (404, "application/json")


@pytest.mark.parametrize("development", [True, False])
def test_metrics_secret_is_required_when_set(
    make_app: Callable[..., Flask], server: Server, development: bool
) -> None:
    settings: dict[str, Any] = {} if development else PRODUCTION
    app = make_app(**settings, SESSIONS_CORE_REDIS_URL=server.url, SESSIONS_CORE_METRICS_SECRET=READER)
    wrong = ("", READER, "Bearer", "Bearer ", f"Basic {READER}", f"Bearer {READER}x", f"Bearer {READER[:-1]}")
    for given in (*wrong, "Bearer \xff\xfe", f"Bearer {SECRET}"):
        answer = ask(app, "/metrics", "http://10.0.0.7", Authorization=given)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found"), given
    assert ask(app, "/metrics", "http://10.0.0.7", Authorization=f"Bearer {READER}").status_code == 200
    assert ask(app, "/metrics", "http://10.0.0.7", Authorization=f"bearer {READER}").status_code == 200


def test_metrics_match_the_users_actions(app: Flask, wallet: Wallet, redis: Redis) -> None:
    def numbers() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        redis.delete(f"{REDIS_PREFIX}census:due")
        return read(ask(app, "/metrics").get_data())

    def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
        return name, frozenset(labels.items())

    before = numbers()
    people = [Visitor(app) for _ in range(3)]
    for person in people:
        person.sign_in(wallet)
    people[0].sign_out()
    assert people[0].attempt(wallet, signature="0x00").status_code == 400
    after = numbers()
    assert after[key("wallet_sessions_live")] == before[key("wallet_sessions_live")] + 2 == 2
    for name, labels, number in (
        ("wallet_sign_ins_total", {"chain": "eip155:1", "outcome": "success"}, 3),
        ("wallet_sign_ins_total", {"chain": "eip155:1", "outcome": "signature_malformed"}, 1),
        ("wallet_refusals_total", {"code": "signature_malformed"}, 1),
        ("wallet_revocations_total", {"reason": "signed_out"}, 1),
    ):
        assert after[key(name, **labels)] - before.get(key(name, **labels), 0) == number, name


def test_without_redis_the_numbers_are_there_but_for_the_living(
    make_app: Callable[..., Flask], server: Server
) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    server.stop()
    answer = ask(app, "/metrics")
    assert answer.status_code == 200
    assert ("wallet_sessions_live", frozenset()) not in read(answer.get_data())


def test_the_documents_name_every_number_and_every_trouble() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for family in (metrics.sign_ins, metrics.revocations, metrics.refusals, metrics.redis_seconds):
        assert f"`{family.describe()[0].name}" in text
    assert {word for word in readiness.TROUBLES if f"`{word}`" not in text} == set()
