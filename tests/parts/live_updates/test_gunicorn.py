"""The WebSocket in gunicorn, which serves the demo: two processes of 16 threads, eight connections each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from websocket import WebSocketBadStatusException

from ...actors import Wallet, together
from ...processes import BIN, Running
from .sockets import Socket, connected

GUNICORN = [str(BIN / "gunicorn")]
PROCESSES, CAP = 2, 8

Start = Callable[[list[str], str], Running]


@pytest.fixture
def demo(start_server: Start) -> Running:
    server = start_server(GUNICORN, "Ready:")
    server.wait_for_workers()
    return server


def listen(stack: ExitStack, server: Running, cookies: str) -> Socket:
    origin = f"http://localhost:{server.port}"
    socket = stack.enter_context(connected(server.port, cookies, origin, host=f"localhost:{server.port}"))
    socket.hear("state")
    return socket


def sign_out(server: Running, cookies: str) -> None:
    headers = {"Cookie": cookies, "Accept": "application/json"}
    state = json.loads(server.ask("GET", "/api/auth/sessions/validate", headers=headers)[2])["data"]
    headers["X-CSRFToken"] = state["csrf_token"]
    assert server.ask("POST", "/api/auth/sessions/logout", headers=headers)[0] == 200


def test_end_of_session_is_told_in_every_process(demo: Running) -> None:
    """Whichever process ends the session, and whichever has the connection."""
    for _ in range(6):
        cookies = demo.sign_in(Wallet())
        with ExitStack() as stack:
            browser = listen(stack, demo, cookies)
            began = time.monotonic()
            sign_out(demo, cookies)
            assert browser.end() == (4401, "signed_out")
            assert time.monotonic() - began < 1


def test_full_server_refuses_connections_and_still_answers(demo: Running) -> None:
    with ExitStack() as stack:
        refused: list[str] = []
        for _ in range(PROCESSES * CAP):
            cookies = demo.sign_in(Wallet())
            for _ in range(3):
                try:
                    listen(stack, demo, cookies)
                except WebSocketBadStatusException as refusal:
                    refused.append(json.loads(refusal.resp_body)["error"]["reason"])
            if len(refused) > 20:
                break
        assert set(refused) == {"full"}
        answers = together(*[lambda: demo.ask("GET", "/sign-in")[0]] * 16)
        assert answers == [200] * 16


def test_connections_do_not_hold_up_a_stop(start_server: Start) -> None:
    """They end with "service restart", and browsers come back to the next process. Requests would have minutes."""
    demo = start_server([*GUNICORN, "--graceful-timeout", "300"], "Ready:")
    demo.wait_for_workers()
    with ExitStack() as stack:
        browser = listen(stack, demo, demo.sign_in(Wallet()))
        demo.process.terminate()
        assert browser.end()[0] == 1012
        demo.demand_gone()
