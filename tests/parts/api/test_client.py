"""The client for programs, the same in curl as `docs/api.md` has it, against a server on a port."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.serving import WSGIRequestHandler, make_server

from examples.client import client as module
from examples.client.client import (
    Client,
    NetworkError,
    PermissionDenied,
    RateLimited,
    ServiceError,
    SessionExpired,
    SessionInvalid,
    SignInRefused,
    TextRefused,
    TokenRefused,
    Unavailable,
)
from sessions_core import events, requires, signed_in
from sessions_core.parts.api import Api
from sessions_core.parts.api.errors import TokenExpired
from sessions_core.parts.api.events import TokenReused
from sessions_core.sign_in.accounts import parse

from ...actors import Wallet, together
from ...constants import ROOT
from ...servers import free_port
from ...time_machine import Clock, TimeMachine, read_long_ago

REFRESH = "/api/auth/sessions/refresh"
SIGN_IN = "/api/auth/sessions"
Answer = Callable[[Callable[..., Any], dict[str, Any], Callable[..., Any]], Any]


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


class Site:
    """The application on a port of this machine. What happens to single requests is up to the test."""

    def __init__(self, app: Flask, port: int) -> None:
        self.app, self.url = app, f"http://localhost:{port}"
        self.asked: list[str] = []
        self.troubles: dict[str, list[str]] = {}
        inner = app.wsgi_app

        def outer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            path = environ["PATH_INFO"]
            self.asked.append(f"{environ['REQUEST_METHOD']} {path}")
            trouble = self.troubles.get(path, [])
            return self._answer(trouble.pop(0) if trouble else "", inner, environ, start_response)

        app.wsgi_app = outer  # type: ignore[method-assign]
        self._server = make_server("localhost", port, app, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @staticmethod
    def _answer(trouble: str, inner: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if trouble in ("lost", "never arrives"):
            if trouble == "lost":  # done, and nobody hears of it
                b"".join(inner(environ, lambda *_: None))
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        if trouble.isdigit():
            wait = "3600" if trouble == "429" else "2"
            start_response(f"{trouble} Trouble", [("Retry-After", wait), ("Content-Type", "text/html")])
            return [b"<h1>Sorry</h1>"]
        if trouble == "half":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [b'{"success": tr']
        if trouble == "elsewhere":
            start_response("302 Found", [("Location", "http://evil.example/")])
            return [b""]
        return inner(environ, start_response)

    def count(self, path: str) -> int:
        return self.asked.count(path)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def site(make_app: Callable[..., Flask]) -> Iterator[Site]:
    port = free_port()
    app = make_app(
        SESSIONS_CORE_PUBLIC_ORIGIN=f"http://localhost:{port}",
        SESSIONS_CORE_TOKEN_SECONDS=30,
        SESSIONS_CORE_REDIS_TIMEOUT_MS=2000,
    )

    @app.get("/profile")
    @requires("write:messages")
    def profile() -> dict[str, bool]:
        return {"mine": True}

    @app.post("/orders")
    @signed_in
    def orders() -> dict[str, bool]:
        return {"ordered": True}

    site = Site(app, port)
    yield site
    site.stop()


@pytest.fixture
def pass_time(site: Site, redis: Redis, clock: Clock) -> TimeMachine:
    return TimeMachine(site.app, redis, clock)


@pytest.fixture
def pauses() -> list[float]:
    """How long the client waited before each further attempt."""
    return []


@pytest.fixture
def make_client(site: Site, wallet: Wallet, clock: Clock, pauses: list[float]) -> Callable[..., Client]:
    def make(**options: Any) -> Client:
        given = {"clock": clock, "sleep": pauses.append, "jitter": lambda: 0.5} | options
        return Client(given.pop("site", site.url), given.pop("key", wallet.key), **given)

    return make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    client = make_client()
    client.sign_in()
    return client


# -- Signing in ------------------------------------------------------------------------------------------------------


def test_client_finds_the_service_below_a_prefix(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    port = free_port()
    origin = f"http://localhost:{port}"
    site = Site(make_app(SESSIONS_CORE_PUBLIC_ORIGIN=origin, SESSIONS_CORE_URL_PREFIX="/account"), port)
    try:
        client = Client(f"{site.url}/account", wallet.key)
        assert client.sign_in()["account"] == wallet.account()
        client.close()
    finally:
        site.stop()  # or its thread keeps the tests running


def test_client_signs_in_calls_and_signs_out(
    make_client: Callable[..., Client], site: Site, wallet: Wallet, happened: list[events.Event]
) -> None:
    with make_client() as client:
        assert client.session["account"] == wallet.account()
        assert client.request("GET", "/profile") == {"mine": True}
        (row,) = client.request("GET", "/api/auth/sessions")["sessions"]
        assert row["session_id"] == client.session["session_id"]
        assert client.validate()["valid"] is True
        assert client.keep_alive()["time_remaining"] > 1700
    ended = [event for event in happened if isinstance(event, events.SessionEnded)]
    assert [(event.handle, event.reason) for event in ended] == [(row["session_id"], "signed_out")]
    with pytest.raises(SessionInvalid) as refused:
        client.request("GET", "/profile")
    assert refused.value.reason == "signed_out"
    client.close()  # twice is fine
    assert site.count("GET /profile") == 1
    assert site.count("POST /api/auth/sessions/logout") == 1


def test_the_first_request_signs_in_by_itself(make_client: Callable[..., Client], site: Site) -> None:
    client = make_client()
    assert client.request("GET", "/profile") == {"mine": True}
    assert site.asked == ["POST /api/auth/challenges", f"POST {SIGN_IN}", "GET /profile"]


def test_a_key_may_be_given_as_its_digits(make_client: Callable[..., Client], wallet: Wallet) -> None:
    assert make_client(key="0x" + wallet.key.key.hex().removeprefix("0x")).sign_in()["account"] == wallet.account()


def test_a_testnet_gives_the_permissions_of_a_testnet(make_client: Callable[..., Client], wallet: Wallet) -> None:
    session = make_client(chain="eip155:11155111").sign_in()
    assert session["account"] == wallet.account("eip155:11155111")
    assert session["network"] == "testnet"
    assert "test-only" in session["permissions"]
    assert not {"transact", "sign"} & set(session["permissions"])


@pytest.mark.parametrize("wanted", [["read:profile"], []])
def test_client_can_request_a_narrower_session(make_client: Callable[..., Client], wanted: list[str]) -> None:
    client = make_client(permissions=wanted, duration=600)
    assert client.sign_in()["permissions"] == wanted
    assert client.session["time_remaining"] <= 600
    with pytest.raises(PermissionDenied) as refused:
        client.request("GET", "/profile")
    assert refused.value.details["missing"] == "write:messages"
    assert client.validate()["permissions"] == wanted  # and it is still signed in


def test_session_type_the_account_may_not_have_is_refused(
    make_client: Callable[..., Client],
) -> None:
    """The error carries status and reason."""
    with pytest.raises(PermissionDenied) as refused:
        make_client(session_type="professional").sign_in()
    assert (refused.value.status, refused.value.reason) == (403, "verification")


def test_another_wallet_s_signature_is_refused(make_client: Callable[..., Client], wallet: Wallet) -> None:
    client = make_client()
    client._key = OtherSigner(wallet.address)  # type: ignore[assignment]
    with pytest.raises(SignInRefused) as refused:
        client.sign_in()
    assert refused.value.code == "signature_mismatch"
    assert re.fullmatch("[0-9a-f]{16}", refused.value.request_id or "")


def test_a_network_that_the_site_does_not_take_is_refused(make_client: Callable[..., Client]) -> None:
    with pytest.raises(SignInRefused) as refused:
        make_client(chain="eip155:424242").sign_in()
    assert refused.value.code == "chain_unsupported"


class OtherSigner:
    """Says that it is one account, and signs with the key of another."""

    def __init__(self, address: str) -> None:
        self.address, self._key = address, Wallet().key

    def sign_message(self, message: Any) -> Any:
        return self._key.sign_message(message)


@pytest.mark.parametrize(
    ("theirs", "instead"),
    [("http://localhost", "http://bank.example"), ("{address}", "0x52908400098527886E0F7030069857D2E4169EE7")],
)
def test_client_signs_only_its_own_sign_in_at_this_site(
    make_client: Callable[..., Client], site: Site, wallet: Wallet, theirs: str, instead: str
) -> None:
    """An attacker who took over the server relays the sign-in text of another site."""
    client, ask = make_client(), Client._once

    def relayed(self: Client, method: str, path: str, *rest: Any) -> Any:
        data = ask(self, method, path, *rest)
        data["message"] = data["message"].replace(theirs.format(address=wallet.address), instead, 1)
        return data

    client._once = relayed.__get__(client)  # type: ignore[method-assign]
    with pytest.raises(TextRefused):
        client.sign_in()
    assert site.asked == ["POST /api/auth/challenges"]


@pytest.mark.parametrize(
    "url", ["http://app.example.org", "ftp://app.example.org", "app.example.org", "https://me@app.example.org", ""]
)
def test_insecure_or_malformed_origin_is_refused(url: str, wallet: Wallet) -> None:
    """The session would be visible to others on the network."""
    with pytest.raises(ValueError, match=r"origin|clear"):
        Client(url, wallet.key)


def test_a_path_must_not_lead_to_another_host(client: Client) -> None:
    with pytest.raises(ValueError, match="slash"):
        client.request("GET", "@evil.example/")


# -- Staying signed in -----------------------------------------------------------------------------------------------


def test_a_token_is_replaced_before_it_ends(client: Client, site: Site, pass_time: TimeMachine) -> None:
    first = client.token()
    pass_time(19)
    assert client.token() == first
    pass_time(2)  # a third of its 30 seconds is left
    assert client.token() != first
    assert site.count(f"POST {REFRESH}") == 1
    assert client.request("GET", "/profile") == {"mine": True}


def test_a_session_goes_on_for_many_tokens(client: Client, site: Site, pass_time: TimeMachine) -> None:
    handle = client.session["session_id"]
    for _ in range(12):
        pass_time(600)
        assert client.request("GET", "/profile") == {"mine": True}
    assert client.validate()["session_id"] == handle
    assert site.count(f"POST {SIGN_IN}") == 1


def test_a_token_that_ended_unnoticed_is_replaced_once(site: Site, wallet: Wallet, pass_time: TimeMachine) -> None:
    client = Client(site.url, wallet.key, clock=lambda: 0.0)  # a laptop that was asleep: its clock stood still
    client.sign_in()
    pass_time(60)
    assert client.request("GET", "/profile") == {"mine": True}
    assert site.asked[2:] == ["GET /profile", f"POST {REFRESH}", "GET /profile"]


def test_token_expired_when_issued_is_not_requested_again(site: Site, client: Client, clock: Clock) -> None:
    """The clock of the issuing process is wrong; the client refreshes once and then reports the error."""
    tokens = site.app.extensions["sessions_core"].part(Api).tokens
    tokens._clock = lambda: clock() - 3600  # the process that makes them has a wrong clock
    opens, tokens.open = tokens.open, lambda text: (_ for _ in ()).throw(TokenExpired("too late"))
    with pytest.raises(TokenRefused) as refused:
        client.request("GET", "/profile")
    assert refused.value.code == "token_expired"
    assert site.count(f"POST {REFRESH}") == 1
    tokens._clock, tokens.open = clock, opens
    assert client.request("GET", "/profile") == {"mine": True}


def test_lost_signing_keys_cost_a_refresh_not_the_session(
    client: Client, site: Site, redis: Redis, pass_time: TimeMachine
) -> None:
    handle = client.session["session_id"]
    (name,) = [key for key in redis.keys("*") if b"keys" in key or b"signing" in key]
    redis.delete(name)
    read_long_ago(site.app.extensions["sessions_core"].part(Api).signing_keys)
    assert client.request("GET", "/profile") == {"mine": True}
    assert client.validate()["session_id"] == handle
    assert site.count(f"POST {REFRESH}") == 1


@pytest.mark.parametrize("count", [2, 10])
def test_threads_that_see_an_expired_token_refresh_once(
    client: Client, site: Site, pass_time: TimeMachine, happened: list[events.Event], count: int
) -> None:
    pass_time(25)
    assert together(*[lambda: client.request("GET", "/profile")] * count) == [{"mine": True}] * count
    assert site.count(f"POST {REFRESH}") == 1
    assert not [event for event in happened if isinstance(event, TokenReused)]


def test_threads_told_of_an_expired_token_refresh_once(site: Site, wallet: Wallet, pass_time: TimeMachine) -> None:
    """The client's own clock does not show that the token expired."""
    client = Client(site.url, wallet.key, clock=lambda: 0.0)
    client.sign_in()
    pass_time(60)
    assert together(*[lambda: client.request("GET", "/profile")] * 8) == [{"mine": True}] * 8
    assert site.count(f"POST {REFRESH}") == 1


def test_threads_that_need_a_session_sign_in_once(make_client: Callable[..., Client], site: Site) -> None:
    client = make_client()
    together(*[lambda: client.request("GET", "/profile")] * 8)
    assert site.count(f"POST {SIGN_IN}") == 1


# -- What the network loses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [0, 60])
def test_lost_refresh_answer_does_not_end_the_session(
    client: Client, site: Site, pass_time: TimeMachine, happened: list[events.Event], later: float
) -> None:
    pass_time(25)
    site.troubles[REFRESH] = ["lost"]
    old = client.token()  # it is good for 5 seconds yet
    assert client.request("GET", "/profile") == {"mine": True}
    assert site.count(f"POST {REFRESH}") == 1
    pass_time(6 + later)
    assert client.token() != old
    assert client.request("GET", "/profile") == {"mine": True}
    assert site.count(f"POST {REFRESH}") == 2
    assert not [event for event in happened if isinstance(event, TokenReused)]


@pytest.mark.parametrize("trouble", ["lost", "never arrives", "half", "502", "503", "504"])
def test_a_refresh_is_tried_again_when_nothing_else_will_do(
    client: Client, site: Site, pass_time: TimeMachine, pauses: list[float], trouble: str
) -> None:
    pass_time(40)
    site.troubles[REFRESH] = [trouble] * 3
    assert client.request("GET", "/profile") == {"mine": True}
    assert site.count(f"POST {REFRESH}") == 4
    said = 2 if trouble.isdigit() else 0  # Retry-After
    assert pauses == [said + 0.25, said + 0.5, said + 1.0]  # half of what they may be at most


def test_unreachable_service_signs_no_client_out(
    client: Client, site: Site, pass_time: TimeMachine, pauses: list[float]
) -> None:
    pass_time(40)
    site.troubles[REFRESH] = ["never arrives"] * 5
    with pytest.raises(NetworkError):
        client.request("GET", "/profile")
    assert len(pauses) == 4
    assert client.request("GET", "/profile") == {"mine": True}
    assert site.count(f"POST {SIGN_IN}") == 1


def test_a_service_that_is_out_for_a_moment_is_asked_again(client: Client, site: Site, pauses: list[float]) -> None:
    site.troubles["/profile"] = ["503", "503"]
    assert client.request("GET", "/profile") == {"mine": True}
    assert pauses == [2.25, 2.5]


def test_pauses_differ_from_client_to_client(site: Site, wallet: Wallet) -> None:
    seen = set()
    for _ in range(5):
        pauses: list[float] = []
        client = Client(site.url, wallet.key, sleep=pauses.append)
        site.troubles["/profile"] = ["never arrives"]
        client.request("GET", "/profile")
        seen.add(pauses[0])
        assert 0 <= pauses[0] <= 0.5
    assert len(seen) == 5


def test_last_attempt_raises_the_error_of_the_service(client: Client, site: Site, pauses: list[float]) -> None:
    site.troubles["/profile"] = ["503"] * 5
    with pytest.raises(Unavailable) as refused:
        client.request("GET", "/profile")
    assert (refused.value.status, refused.value.retry_after, len(pauses)) == (503, 2, 4)


def test_client_does_not_wait_an_hour_for_a_retry(client: Client, site: Site, pauses: list[float]) -> None:
    site.troubles["/profile"] = ["429"]
    with pytest.raises(RateLimited) as refused:
        client.request("GET", "/profile")
    assert (refused.value.retry_after, pauses) == (3600, [])


@pytest.mark.parametrize(("trouble", "sent"), [("lost", 1), ("502", 1), ("503", 2)])
def test_unsafe_request_is_sent_once(client: Client, site: Site, trouble: str, sent: int) -> None:
    """Unless the service says that nothing happened."""
    site.troubles["/orders"] = [trouble]
    if sent == 1:
        with pytest.raises(NetworkError):
            client.request("POST", "/orders", {})
    else:
        assert client.request("POST", "/orders", {}) == {"ordered": True}
    assert site.count("POST /orders") == sent


def test_request_that_was_never_sent_is_retried(
    client: Client, site: Site, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    import http.client

    connect, refused = http.client.HTTPConnection.connect, [ConnectionRefusedError(), OSError("no route")]

    def unsteady(self: http.client.HTTPConnection) -> None:
        if refused:
            raise refused.pop()
        connect(self)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", unsteady)
    assert client.request("POST", "/orders", {}) == {"ordered": True}
    assert (site.count("POST /orders"), len(pauses)) == (1, 2)


def test_lost_sign_in_answer_starts_a_new_sign_in(make_client: Callable[..., Client], site: Site) -> None:
    client = make_client()
    site.troubles[SIGN_IN] = ["lost"]
    assert client.sign_in()["valid"] is True
    assert site.count("POST /api/auth/challenges") == 2  # the nonce of the first was spent


def test_a_redirect_is_not_followed(client: Client, site: Site) -> None:
    """It would take the token along."""
    site.troubles["/profile"] = ["elsewhere"]
    with pytest.raises(ServiceError) as refused:
        client.request("GET", "/profile")
    assert (refused.value.code, refused.value.status) == ("unexpected_answer", 302)


# -- The end ---------------------------------------------------------------------------------------------------------


def test_session_revoked_elsewhere_stays_ended_with_its_reason(client: Client, site: Site, wallet: Wallet) -> None:
    """The client signs in again only when asked to."""
    ours = site.app.extensions["sessions_core"]
    ours.lifecycle.revoke_handle(parse(wallet.account()), client.session["session_id"])
    for _ in range(2):
        with pytest.raises(SessionInvalid) as refused:
            client.request("GET", "/profile")
        assert refused.value.reason == "revoked"
    assert site.count("GET /profile") == 1  # the second was known here
    assert site.count(f"POST {SIGN_IN}") == 1
    client.sign_in()
    assert client.request("GET", "/profile") == {"mine": True}


def test_refresh_notices_a_session_revoked_elsewhere(
    client: Client, site: Site, wallet: Wallet, pass_time: TimeMachine
) -> None:
    site.app.extensions["sessions_core"].lifecycle.revoke_account(parse(wallet.account()))
    pass_time(25)
    with pytest.raises(SessionInvalid) as refused:
        client.request("GET", "/profile")
    assert refused.value.reason == "everywhere"


def test_unused_session_expires(client: Client, pass_time: TimeMachine) -> None:
    pass_time(1900)
    with pytest.raises(SessionExpired) as refused:
        client.request("GET", "/profile")
    assert refused.value.reason == "idle"


def test_failed_sign_out_is_reported(client: Client, site: Site) -> None:
    site.troubles["/api/auth/sessions/logout"] = ["503"] * 5
    with pytest.raises(Unavailable):
        client.close()
    assert client.request("GET", "/profile") == {"mine": True}
    client.close()
    with pytest.raises(SessionInvalid):
        client.request("GET", "/profile")


def test_signing_out_works_with_a_token_that_has_run_out(
    client: Client, site: Site, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    pass_time(60)
    client.close()
    assert [event.reason for event in happened if isinstance(event, events.SessionEnded)] == ["signed_out"]
    assert site.count(f"POST {REFRESH}") == 0


def test_error_inside_the_block_is_raised_unchanged(make_client: Callable[..., Client], site: Site) -> None:
    with pytest.raises(KeyError), make_client() as client:  # noqa: PT012
        site.troubles["/api/auth/sessions/logout"] = ["503"] * 5
        raise KeyError(client)


def test_signing_in_again_ends_the_session_before(client: Client, happened: list[events.Event]) -> None:
    first = client.session["session_id"]
    assert client.sign_in()["session_id"] != first
    assert [event.handle for event in happened if isinstance(event, events.SessionEnded)] == [first]


# -- The file, and the document --------------------------------------------------------------------------------------


def test_the_client_is_one_file_that_can_be_copied_alone(tmp_path: Path, site: Site, wallet: Wallet) -> None:
    (tmp_path / "client.py").write_text(Path(module.__file__).read_text())
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name.split(".")[0]
        for node in ast.walk(ast.parse((tmp_path / "client.py").read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported - set(sys.stdlib_module_names) == {"eth_account"}
    (code,) = blocks("In Python", "python")
    done = run([sys.executable, "-c", code], tmp_path, site, wallet)
    assert done.stdout.splitlines()[0] == "['read:profile', 'own:sessions']"
    assert re.fullmatch(r"sess_\S+ \S+Z", done.stdout.splitlines()[1])


def test_documented_curl_commands_work(tmp_path: Path, site: Site, wallet: Wallet) -> None:
    script = "\n".join(blocks("With curl", "sh"))
    assert script.count("curl ") == 7
    done = run(["sh", "-eu", "-c", script], tmp_path, site, wallet)
    decoder, text, answers = json.JSONDecoder(), done.stdout, []
    while text.strip():
        answer, end = decoder.raw_decode(text.strip())
        answers.append(answer)
        text = text.strip()[end:]
    sessions, state, out, after = answers
    assert sessions["data"]["sessions"][0]["account"] == wallet.account()
    assert state["data"]["valid"] is True
    assert out["data"] == {"signed_out": True}
    assert (after["error"]["code"], after["error"]["reason"]) == ("session_invalid", "signed_out")
    assert site.count(f"POST {REFRESH}") == 1


def blocks(section: str, language: str) -> list[str]:
    """The fenced blocks of a section of `docs/api.md`."""
    text = (ROOT / "docs" / "api.md").read_text()
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
    assert found, section
    return found


def run(command: list[str], folder: Path, site: Site, wallet: Wallet) -> subprocess.CompletedProcess[str]:
    key = "0x" + wallet.key.key.hex().removeprefix("0x")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept | {"PATH": path, "SITE": site.url, "KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done
