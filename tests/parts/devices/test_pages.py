"""Where an account is signed in: its own sessions and nobody else's, each ended at once and for good."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.devices.events import SessionNamed
from sessions_core.parts.devices.recent_sign_ins import DEVICE
from sessions_core.sessions.record import LoadedSession, digest_of
from sessions_core.sessions.repository import Revocation
from sessions_core.sign_in.accounts import parse
from sessions_core.web.request_client import Client
from sessions_core.web.services import Services

from ...actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet, handle_of, together
from ...answers import code_of, session_cookies
from ...devices import handles, listed, message, reason
from ...new_sessions import used_from
from ...part_services import roles_of
from ...servers import commands_run
from ...snapshot import refused, unchanged
from ...stored import before_it_is_stored, link_of
from ...time_machine import TimeMachine, ask_again

UNKNOWN = "sess_0123456789abcdef"
MALFORMED = [
    "sess_",
    "sess_short",
    UNKNOWN + "x",
    "0123456789abcdef",
    "SESS_0123456789abcdef",
    "sess_0123456789abcde!",
    "sess_0123456789abcd%C3%A9",
    "sess_0123456789abcdef%0A",
    "sess_%00123456789abcdef",
    "..%2fsessions",
    "x" * 500,
]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)  # an answer that comes late is no violation of anything here


@pytest.fixture
def owner(wallet: Wallet) -> Wallet:
    """The user whose browser is `person`: `sign_in` signs them in elsewhere."""
    return wallet


@pytest.fixture
def stranger(app: Flask, person: Visitor) -> Visitor:
    """Somebody with another account."""
    stranger = Visitor(app)
    stranger.sign_in(Wallet())
    return stranger


def told(person: Visitor) -> str | None:
    """The reason on the page that says why a session ended; `None` if there is one."""
    page = person.get("/signed-out").get_data(as_text=True)
    found = re.search(r'data-reason="(\w+)"', page)
    return found[1] if found else None


# -- The list ------------------------------------------------------------------------------------------------------


def test_device_list_starts_here_then_sorts_by_last_activity(
    person: Visitor, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    expected = []
    for minutes in range(4):
        expected.append(sign_in(prepare=used_from(Client("203.0.113.7", "agent", f"Device {minutes}"))).record.handle)
        pass_time(60)
    expected = [handle_of(person), *reversed(expected)]
    assert handles(person.get("/sessions")) == expected
    assert [row["session_id"] for row in listed(person)] == expected
    assert [row["current"] for row in listed(person)] == [True, False, False, False, False]


def test_device_row_shows_only_recognisable_facts(
    person: Visitor, sign_in: Callable[..., LoadedSession], wallet: Wallet
) -> None:
    live = sign_in(wallet="MetaMask", prepare=used_from(Client("203.0.113.7", "Mozilla/5.0 (…)", "Firefox on Linux")))
    row = listed(person)[1]
    assert {name: row[name] for name in row if not name.endswith(("_at", "activity"))} == {
        "session_id": live.record.handle,
        "current": False,
        "session_type": "standard",
        "account": wallet.account(),
        "network": "mainnet",
        "wallet": "MetaMask",
        "label": "",
        "device": "Firefox on Linux",
        "user_agent": "Mozilla/5.0 (…)",
        "ip": "203.0.113.7",
    }
    assert {name for name in row if name.endswith(("_at", "activity"))} == {
        "created_at",
        "last_activity",
        "expires_at",
        "absolute_expires_at",
    }
    page = person.get("/sessions").get_data(as_text=True)
    for text in ("Firefox on Linux", "203.0.113.7", "MetaMask"):
        assert text in page


def test_device_list_holds_only_sessions_of_this_account(
    person: Visitor, sign_in: Callable[..., LoadedSession], wallet: Wallet
) -> None:
    sign_in(Wallet())
    sign_in(wallet, "eip155:11155111")
    assert [row["session_id"] for row in listed(person)] == handles(person.get("/sessions")) == [handle_of(person)]


def test_ended_sessions_are_not_listed(
    person: Visitor, sign_in: Callable[..., LoadedSession], services: Services, pass_time: TimeMachine, redis: Redis
) -> None:
    sign_in()
    pass_time(1000)
    assert person.get("/session").status_code == 200
    pass_time(801)
    ended = sign_in()
    services.lifecycle.revoke(ended, "revoked")
    assert handles(person.get("/sessions")) == [handle_of(person)]
    # A record that was put back from before the end, by somebody who can write to Redis.
    stale = sign_in()
    key, kept = stale.keys.record, redis.get(stale.keys.record)
    services.lifecycle.revoke_account(parse(stale.record.account))
    redis.set(key, kept, px=100_000)
    assert [live.record.handle for live in services.repository.living(stale.record.account)] == []


def test_a_script_that_asks_for_the_list_is_no_activity(person: Visitor, pass_time: TimeMachine) -> None:
    pass_time(1000)
    listed(person)
    pass_time(801)
    assert not person.signed_in


def test_pages_of_devices_show_each_session_once(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_SESSIONS_PER_ACCOUNT=100)
    services: Services = app.extensions["sessions_core"]
    person = Visitor(app)
    started = {
        services.lifecycle.start(parse(wallet.account()), services.policy.standard).record.handle for _ in range(59)
    }
    person.sign_in(wallet)
    pages = [handles(person.get(f"/sessions?page={number}")) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert pages[0][0] == handle_of(person)
    assert {handle for page in pages for handle in page} == {*started, handle_of(person)}
    assert len(listed(person)) == 60
    for odd, nearest in (
        ("0", 1),
        ("-1", 1),
        ("4", 3),
        ("99999", 3),
        ("999999", 1),
        ("x", 1),
        ("", 1),
        ("\u0663", 1),
    ):
        assert handles(person.get("/sessions", query_string={"page": odd})) == pages[nearest - 1], odd


def test_thousand_sessions_take_a_tenth_of_a_second(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """Of our own time: on a busy machine others have theirs in between."""
    app = make_app(SESSIONS_CORE_SESSIONS_PER_ACCOUNT=1000, SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)
    services: Services = app.extensions["sessions_core"]
    client = Client("203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101", "Firefox on Linux")
    person = Visitor(app)
    for _ in range(999):
        services.lifecycle.start(
            parse(wallet.account()), services.policy.standard, wallet="MetaMask", prepare=used_from(client)
        )
    person.sign_in(wallet)
    assert len(handles(person.get("/sessions"))) == 25
    assert len(listed(person)) == 1000
    for path in ("/sessions", "/api/auth/sessions"):
        fastest = 1.0
        for _ in range(10):
            began = time.process_time()
            assert person.get(path).status_code == 200
            fastest = min(fastest, time.process_time() - began)
            if fastest < 0.1:
                break
        assert fastest < 0.1, path


def test_no_page_or_answer_holds_any_part_of_a_session_id(
    app: Flask, person: Visitor, other: Visitor, sign_in: Callable[..., LoadedSession]
) -> None:
    ids = [person.session_id, other.session_id, *(sign_in().id for _ in range(3))]
    target = handle_of(other)
    answers = [person.get(path) for path in ("/sessions", "/sessions/others", "/sessions/everywhere", "/session")]
    answers += [person.json(path) for path in ("/api/auth/sessions", "/api/auth/sessions/validate")]
    answers += [
        person.submit(f"/sessions/{target}/name", label="x"),
        person.send("DELETE", f"/api/auth/sessions/{target}"),
        person.send("DELETE", "/api/auth/sessions?scope=others"),
        person.get("/sessions"),
    ]
    for answer in answers:
        assert answer.status_code in (200, 303)
        text = answer.get_data(as_text=True) + str(answer.headers.get("Location"))
        for session_id in ids:
            for piece in (session_id, session_id[12:], session_id[:12], session_id[-20:]):
                assert piece not in text
            assert digest_of(session_id) not in text
            assert hashlib.sha256(session_id.encode()).hexdigest() not in text


# -- A name of one's own -------------------------------------------------------------------------------------------


def test_a_session_gets_a_name_and_loses_it(
    person: Visitor, other: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    handle = handle_of(other)
    happened.clear()
    answer = person.submit(f"/sessions/{handle}/name", label="  Laptop \n at home ")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sessions")
    assert message(person.get("/sessions")) == "named"
    assert listed(person)[1]["label"] == "Laptop at home"
    assert happened == [SessionNamed(handle=handle, account=wallet.account())]
    person.submit(f"/sessions/{handle}/name", label="")
    assert message(person.get("/sessions")) == "unnamed"
    assert listed(person)[1]["label"] == ""
    assert other.signed_in


def test_naming_the_session_in_use_leaves_it_as_it_is(person: Visitor, redis: Redis) -> None:
    before = person.session_id
    person.submit(f"/sessions/{handle_of(person)}/name", label="Here")
    assert listed(person)[0]["label"] == "Here"
    assert (person.session_id, person.signed_in) == (before, True)
    assert message(person.get("/sessions")) == "named"


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ('" onmouseover="alert(1)', '" onmouseover="alert(1)'),
        ("</bdi></table>", "</bdi></table>"),
        ("{{ 7*7 }}{% raw %}", "{{ 7*7 }}{% raw %}"),
        ("\u202eevil\u202c\u2066x\u2069\u200b", "evilx"),
        ("a\0b\x1b[31m\r\nc", "ab[31mc"),
        ("x" * 500, "x" * 40),
        ("\u00e9\U0001f600\u4e2d", "\u00e9\U0001f600\u4e2d"),
        ("   \t ", ""),
    ],
    ids=ascii,
)
def test_a_hostile_name_is_text_on_one_line_and_nothing_else(
    person: Visitor, other: Visitor, label: str, kept: str
) -> None:
    person.submit(f"/sessions/{handle_of(other)}/name", label=label)
    assert listed(person)[1]["label"] == kept
    for path in ("/sessions", "/sessions"):
        page = person.get(path).get_data(as_text=True)
        assert kept == "" or kept in unescape(page)
        for markup in ("<script>alert", 'onmouseover="alert', "</bdi></table>"):
            assert markup not in page
        assert not re.search("[\u202e\u2066\u200b\0\x1b]", page)
    assert handles(page) == [handle_of(person), handle_of(other)]


@pytest.mark.parametrize("fields", [{}, {"Label": "x"}])
def test_a_form_without_a_name_takes_it_away(person: Visitor, other: Visitor, fields: dict[str, str]) -> None:
    person.submit(f"/sessions/{handle_of(other)}/name", label="Laptop")
    person.submit(f"/sessions/{handle_of(other)}/name", **fields)
    assert listed(person)[1]["label"] == ""


def test_a_name_changes_nothing_but_the_name(
    app: Flask, services: Services, person: Visitor, sign_in: Callable[..., LoadedSession], redis: Redis
) -> None:
    live = services.repository.load(sign_in(data={"basket": ["a"]}, remember=True).id, "never")
    assert isinstance(live, LoadedSession)
    ttl = redis.pttl(live.keys.record)
    person.submit(f"/sessions/{live.record.handle}/name", label="Laptop")
    found = services.repository.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert DEVICE.of(found.record).label == "Laptop"
    DEVICE.put(found.record, msgspec.structs.replace(DEVICE.of(found.record), label=""))
    DEVICE.put(live.record, DEVICE.of(live.record))
    assert found.record == live.record
    assert (found.absolute_expires_at, found.idle_timeout_ms) == (live.absolute_expires_at, live.idle_timeout_ms)
    assert abs(found.active - live.active) < 1000  # written by Redis, and read by us, a moment apart
    assert redis.pttl(live.keys.record) <= ttl


def test_naming_does_not_revive_a_session_that_just_ended(
    services: Services,
    person: Visitor,
    sign_in: Callable[..., LoadedSession],
    monkeypatch: pytest.MonkeyPatch,
    redis: Redis,
) -> None:
    live = sign_in()
    find = services.repository.find

    def and_then_end(account: str, handle: str) -> LoadedSession | None:
        found = find(account, handle)
        services.lifecycle.revoke(live, "revoked")
        return found

    monkeypatch.setattr(services.repository, "find", and_then_end)
    assert person.submit(f"/sessions/{live.record.handle}/name", label="Laptop").status_code == 303
    assert len(redis.keys("*:session:*")) == 1
    assert message(person.get("/sessions")) == "ended_already"


# -- Ending one ----------------------------------------------------------------------------------------------------


def test_a_session_is_ended_from_another_at_once_and_hears_why(
    app: Flask, person: Visitor, other: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    handle = handle_of(other)
    happened.clear()
    answer = person.submit(f"/sessions/{handle}/revoke")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sessions")
    assert happened == [events.SessionEnded(handle=handle, account=wallet.account(), reason="revoked")]
    assert other.get("/session").headers["Location"] == "/sign-in?next=/session&reason=revoked"
    page = person.get("/sessions")
    assert (message(page), handles(page)) == ("ended", [handle_of(person)])


def test_revoking_an_ended_session_succeeds_without_change(
    person: Visitor, other: Visitor, redis: Redis, happened: list[events.Event]
) -> None:
    handle = handle_of(other)
    assert person.send("DELETE", f"/api/auth/sessions/{handle}").get_json()["data"] == {
        "session_id": handle,
        "ended": True,
    }
    happened.clear()
    with unchanged(redis):
        again = person.send("DELETE", f"/api/auth/sessions/{handle}")
    assert (again.status_code, again.get_json()["data"]) == (200, {"session_id": handle, "ended": True})
    assert happened == []
    person.submit(f"/sessions/{handle}/revoke")
    assert message(person.get("/sessions")) == "ended_already"


def test_ended_session_is_unknown_a_day_later(
    person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    handle = handle_of(other)
    other.sign_out()
    pass_time(43_200 + 86_400 + 60)
    person.sign_in(wallet)
    assert person.send("DELETE", f"/api/auth/sessions/{handle}").status_code == 404


def test_revoking_a_session_needs_a_signature_after_a_while(
    person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine, redis: Redis
) -> None:
    """A sign-in of the last five minutes counts as one."""
    handle = handle_of(other)
    pass_time(301)
    other.get("/session")
    person.get("/session")
    with unchanged(redis):
        asked = person.submit(f"/sessions/{handle}/revoke")
    assert other.signed_in
    assert person.waiting(asked).sentence == f"Sign out [Unknown browser] ({handle[:9]})."
    assert person.confirm(wallet, asked).headers["Location"] == "/sessions"
    assert not other.signed_in
    assert person.signed_in


@pytest.mark.parametrize("change", ["named", "gone"])
def test_signature_counts_after_the_device_was_renamed(
    person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine, change: str
) -> None:
    """The request names the session by its handle; the name in the sentence only describes it."""
    pass_time(301)
    handle = handle_of(other)
    target, form = person.signed_form(wallet, person.submit(f"/sessions/{handle}/revoke"))
    if change == "named":
        other.submit(f"/sessions/{handle}/name", label="My laptop")
    else:
        other.sign_out()
    assert person.post(target, data=form).headers["Location"] == "/sessions"
    assert not other.signed_in


def test_a_signature_to_end_one_session_ends_no_other(
    app: Flask, person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine, redis: Redis
) -> None:
    third = Visitor(app)
    third.sign_in(wallet)
    first, second = handle_of(other), handle_of(third)
    pass_time(301)
    proof = person.proof(wallet, person.send("DELETE", f"/api/auth/sessions/{first}"))
    with unchanged(redis):
        refused_ = person.send("DELETE", f"/api/auth/sessions/{second}", headers=proof)
    assert refused_.get_json()["error"]["problem"] == "challenge_foreign"
    assert third.signed_in


# -- Ending this one is signing out ----------------------------------------------------------------------------------


def test_ending_the_session_in_use_is_signing_out(
    app: Flask, person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    pass_time(1000)  # never for a signature
    before, handle = person.session_id, handle_of(person)
    token = person.token("/session")
    happened.clear()
    answer = person.post(f"/sessions/{handle}/revoke", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signed-out")
    assert told(person) == "signed_out"
    assert happened == [events.SessionEnded(handle=handle, account=wallet.account(), reason="signed_out")]
    [cookie] = session_cookies(answer)
    assert cookie.startswith(f"{SESSION_COOKIE}=;")
    assert (reason(app, before), other.signed_in) == ("signed_out", True)


def test_revoking_the_own_session_by_json_signs_out(app: Flask, person: Visitor) -> None:
    before, handle = person.session_id, handle_of(person)
    answer = person.send("DELETE", f"/api/auth/sessions/{handle}")
    assert (answer.status_code, answer.get_json()["data"]) == (200, {"session_id": handle, "ended": True})
    assert told(person) == "signed_out"
    assert reason(app, before) == "signed_out"
    assert not person.signed_in


@pytest.mark.parametrize("method", ["form", "json"])
def test_failed_sign_out_keeps_the_cookie(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A cookie deleted while the session lives would leave the session to an attacker with a copy of it."""
    server = embedded.start(tmp_path / "redis")
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    services: Services = app.extensions["sessions_core"]
    person = Visitor(app)
    person.sign_in(wallet)
    handle, token = handle_of(person), person.token("/session")
    revoke = services.repository.revoke

    def stop_first(live: LoadedSession, reason: str) -> Revocation:
        server.stop()
        return revoke(live, reason)

    monkeypatch.setattr(services.repository, "revoke", stop_first)
    if method == "form":
        answer = person.post(f"/sessions/{handle}/revoke", data={"csrf_token": token})
    else:
        answer = person.client.delete(
            f"/api/auth/sessions/{handle}", base_url=ORIGIN, headers={"X-CSRFToken": token, "Origin": ORIGIN}
        )
    assert answer.status_code == 503
    assert session_cookies(answer) == []
    assert "Clear-Site-Data" not in answer.headers
    back = embedded.start(tmp_path / "redis")
    try:
        ask_again(link_of(services.repository))
        assert person.signed_in
    finally:
        back.stop()


# -- 404 without a difference ----------------------------------------------------------------------------------------

Ask = Callable[[Visitor, str], TestResponse]
ASKS: dict[str, Ask] = {
    "revoke": lambda visitor, handle: visitor.submit(f"/sessions/{handle}/revoke"),
    "name": lambda visitor, handle: visitor.submit(f"/sessions/{handle}/name", label="mine"),
    "delete": lambda visitor, handle: visitor.send("DELETE", f"/api/auth/sessions/{handle}"),
}


def _same(answer: TestResponse, handle: str) -> tuple[int, str, dict[str, str]]:
    """An answer without what differs between any two: the address, the request id and the salt of the token."""
    text = answer.get_data(as_text=True)
    for spelling in (handle, handle.replace("%", "%25")):
        text = text.replace(f"/{spelling}", "/HANDLE")
    text = re.sub(r'[0-9a-f]{16}(?=["<\s])', "REQUEST", text)
    text = re.sub(r'(?<=")\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?=")', "TOKEN", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d\d:\d\d UTC|next=[^\"&]*", "", text)
    differ = ("Content-Length", "X-Request-ID")
    headers = {name: value for name, value in answer.headers.items() if name not in differ}
    return answer.status_code, text, headers


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
@pytest.mark.parametrize("old", [False, True], ids=["fresh", "not fresh"])
def test_foreign_unknown_and_malformed_handles_look_alike(
    person: Visitor, stranger: Visitor, redis: Redis, pass_time: TimeMachine, ask: Ask, old: bool
) -> None:
    foreign = handle_of(stranger)
    pass_time(301 if old else 0)
    person.get("/session")
    stranger.get("/session")
    with unchanged(redis):
        expected = _same(ask(person, UNKNOWN), UNKNOWN)
        assert expected[0] == 404
        for handle in (foreign, foreign.replace("sess_", "prof_"), *MALFORMED):
            assert _same(ask(person, handle), handle) == expected, handle
    assert listed(stranger)[0]["label"] == ""


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS.keys())
def test_foreign_handle_costs_as_much_as_an_unknown_one(
    person: Visitor, stranger: Visitor, redis: Redis, ask: Ask
) -> None:
    """Redis runs the same commands for both, so the response time can't tell them apart either."""
    foreign = handle_of(stranger)

    def cost(handle: str) -> dict[str, int]:
        redis.config_resetstat()
        ask(person, handle)
        return commands_run(redis)

    cost(UNKNOWN)  # what is asked only once a minute
    assert cost(foreign) == cost(UNKNOWN)


def test_foreign_handle_ends_and_names_nothing(
    app: Flask, person: Visitor, stranger: Visitor, redis: Redis, services: Services, wallet: Wallet
) -> None:
    """Whichever user sends it."""
    with unchanged(redis):
        for ask in ASKS.values():
            assert ask(stranger, handle_of(person)).status_code == 404
            assert ask(person, handle_of(stranger)).status_code == 404
    assert person.signed_in
    assert stranger.signed_in


def test_the_same_address_on_another_network_is_another_account(
    person: Visitor, sign_in: Callable[..., LoadedSession], wallet: Wallet, redis: Redis
) -> None:
    live = sign_in(wallet, "eip155:11155111")
    with unchanged(redis):
        for ask in ASKS.values():
            assert ask(person, live.record.handle).status_code == 404


# -- All others, and all -------------------------------------------------------------------------------------------


def test_revoking_all_others_keeps_this_session(
    app: Flask,
    person: Visitor,
    sign_in: Callable[..., LoadedSession],
    wallet: Wallet,
    stranger: Visitor,
    redis: Redis,
) -> None:
    others = [sign_in() for _ in range(3)]
    with unchanged(redis):
        page = person.get("/sessions/others")
    assert 'data-others="3"' in page.get_data(as_text=True)
    assert person.submit("/sessions/others").headers["Location"] == "/sessions"
    page = person.get("/sessions")
    assert (message(page), handles(page)) == ("ended_others", [handle_of(person)])
    assert {reason(app, live.id) for live in others} == {"revoked"}
    assert stranger.signed_in


def test_revoking_everywhere_ends_this_session_too(
    app: Flask,
    person: Visitor,
    sign_in: Callable[..., LoadedSession],
    wallet: Wallet,
    stranger: Visitor,
    redis: Redis,
) -> None:
    ids = [person.session_id, *(sign_in().id for _ in range(3))]
    with unchanged(redis):
        assert 'data-others="3"' in person.get("/sessions/everywhere").get_data(as_text=True)
    answer = person.submit("/sessions/everywhere")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signed-out")
    assert told(person) == "everywhere"
    assert session_cookies(answer)[0].startswith(f"{SESSION_COOKIE}=;")
    assert {reason(app, each) for each in ids} == {"everywhere"}
    assert stranger.signed_in
    person.sign_in(wallet)
    assert person.signed_in


@pytest.mark.parametrize(("scope", "ended"), [("others", 2), ("all", 3)])
def test_the_json_service_ends_others_and_all(
    app: Flask,
    person: Visitor,
    sign_in: Callable[..., LoadedSession],
    wallet: Wallet,
    happened: list[events.Event],
    scope: str,
    ended: int,
) -> None:
    ids = [sign_in().id for _ in range(2)]
    token = person.token("/session")
    happened.clear()
    answer = person.send("DELETE", f"/api/auth/sessions?scope={scope}")
    assert token
    assert (answer.status_code, answer.get_json()["data"]) == (200, {"scope": scope, "ended": ended})
    assert happened == [events.SessionsRevoked(account=wallet.account(), scope=scope)]
    assert None not in {reason(app, each) for each in ids}
    assert person.signed_in == (scope == "others")
    assert told(person) == ("everywhere" if scope == "all" else None)
    assert "Clear-Site-Data" not in answer.headers


@pytest.mark.parametrize("scope", ["", "?scope=", "?scope=everybody", "?scope=All", "?scope=all%00", "?Scope=all"])
def test_without_a_scope_that_it_knows_the_service_ends_nothing(
    person: Visitor, other: Visitor, redis: Redis, happened: list[events.Event], scope: str
) -> None:
    person.json("/api/auth/sessions/validate")
    with refused(redis, happened, "bad_request"):
        assert person.send("DELETE", f"/api/auth/sessions{scope}").status_code == 400


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/sessions/others", "Sign out all other devices of this account and of those linked to it."),
        ("/sessions/everywhere", "Sign out everywhere: all devices of this account and of those linked to it."),
    ],
)
def test_revoking_many_needs_a_signature_after_a_while(
    person: Visitor,
    other: Visitor,
    wallet: Wallet,
    pass_time: TimeMachine,
    redis: Redis,
    path: str,
    sentence: str,
) -> None:
    pass_time(301)
    person.get("/session")
    with unchanged(redis):
        asked = person.submit(path)
    assert person.waiting(asked).sentence == sentence
    assert person.confirm(wallet, asked).status_code == 303
    assert not other.signed_in
    assert person.signed_in == path.endswith("others")


def test_a_thief_of_the_cookie_can_not_shut_the_owner_out(
    app: Flask, person: Visitor, other: Visitor, pass_time: TimeMachine, redis: Redis
) -> None:
    """Nor keep the session past its end: all of it takes the wallet."""
    pass_time(301)
    thief = Visitor(app)
    thief.session_id = person.session_id
    thief.get("/session")
    with unchanged(redis):
        for method, path in (
            ("POST", "/sessions/others"),
            ("POST", "/sessions/everywhere"),
            ("POST", f"/sessions/{handle_of(other)}/revoke"),
            ("POST", "/session/extend"),
            ("DELETE", "/api/auth/sessions?scope=others"),
            ("DELETE", "/api/auth/sessions?scope=all"),
            ("DELETE", f"/api/auth/sessions/{handle_of(other)}"),
        ):
            assert code_of(thief.send(method, path)) == "step_up_required", path
    assert other.signed_in


def test_a_sign_in_that_is_under_way_does_not_outlive_all_others(
    app: Flask, person: Visitor, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    """Who began to sign in before the click is out, although the session did not exist yet."""
    late = Visitor(app)

    def click() -> None:
        assert person.send("DELETE", "/api/auth/sessions?scope=others").status_code == 200

    challenge = late.challenge(wallet.account())
    token = late.token()
    before_it_is_stored(monkeypatch, services.repository, click)
    form = challenge | {"csrf_token": token, "signature": wallet.sign(challenge["message"])}
    assert late.post("/sign-in", data=form).status_code == 303
    assert not late.signed_in
    assert handles(person.get("/sessions")) == [handle_of(person)], "nor is it in the list"


def test_concurrent_revocations_both_succeed_with_one_event(
    app: Flask, person: Visitor, other: Visitor, wallet: Wallet, happened: list[events.Event]
) -> None:
    third = Visitor(app)
    third.sign_in(wallet)
    handle = handle_of(third)
    happened.clear()
    answers = together(
        lambda: person.send("DELETE", f"/api/auth/sessions/{handle}"),
        lambda: other.send("DELETE", f"/api/auth/sessions/{handle}"),
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [event.name for event in happened] == ["session.ended"]


def test_concurrent_revocations_of_all_others_leave_one(
    app: Flask, services: Services, sign_in: Callable[..., LoadedSession], wallet: Wallet
) -> None:
    for _ in range(10):
        both = [Visitor(app), Visitor(app)]
        for visitor in both:
            visitor.session_id = sign_in().id
        tokens = [visitor.token("/session") for visitor in both]
        together(
            *(
                lambda visitor=visitor, token=token: visitor.client.delete(
                    "/api/auth/sessions?scope=others",
                    base_url=ORIGIN,
                    headers={"X-CSRFToken": token, "Origin": ORIGIN, "Accept": "application/json"},
                )
                for visitor, token in zip(both, tokens, strict=True)
            )
        )
        assert [visitor.signed_in for visitor in both].count(True) == 1
        services.lifecycle.revoke_account(parse(wallet.account()))


# -- Not from elsewhere, and not without a session -----------------------------------------------------------------


def changes(handle: str) -> Iterator[tuple[str, str]]:
    yield "POST", f"/sessions/{handle}/revoke"
    yield "POST", f"/sessions/{handle}/name"
    yield "POST", "/sessions/others"
    yield "POST", "/sessions/everywhere"
    yield "DELETE", f"/api/auth/sessions/{handle}"
    yield "DELETE", "/api/auth/sessions?scope=others"
    yield "DELETE", "/api/auth/sessions?scope=all"


def test_each_change_needs_the_token_of_this_session(
    person: Visitor, other: Visitor, redis: Redis, happened: list[events.Event]
) -> None:
    foreign = other.token("/session")
    for method, path in changes(handle_of(other)):
        for token in ("", "x", foreign):
            with refused(redis, happened, "csrf_failed"):
                assert person.send(method, path, headers={"X-CSRFToken": token}).status_code == 400
    assert other.signed_in


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_no_other_site_makes_a_change(
    person: Visitor, other: Visitor, redis: Redis, happened: list[events.Event], header: dict[str, str]
) -> None:
    for method, path in changes(handle_of(other)):
        with refused(redis, happened, "cross_site_request"):
            assert person.send(method, path, headers=header).status_code == 403
    assert other.signed_in


def test_a_link_ends_nothing(person: Visitor, other: Visitor, redis: Redis) -> None:
    handle = handle_of(other)
    with unchanged(redis):
        for path in (f"/sessions/{handle}/revoke", f"/sessions/{handle}/name", f"/api/auth/sessions/{handle}"):
            assert person.get(path).status_code == 405
        for path in (
            "/sessions/others",
            "/sessions/everywhere",
            "/sessions?_method=DELETE",
            "/api/auth/sessions?scope=all",
        ):
            assert person.get(path).status_code == 200
    assert other.signed_in


def test_visitors_see_and_end_nothing(app: Flask, person: Visitor, redis: Redis) -> None:
    visitor = Visitor(app)
    handle = handle_of(person)
    with unchanged(redis):
        for path in ("/sessions", "/sessions/others", "/sessions/everywhere"):
            assert visitor.get(path).headers["Location"] == f"/sign-in?next={path}"
        assert visitor.json("/api/auth/sessions").status_code == 401
        for method, path in changes(handle):
            answer = visitor.send(method, path)
            assert (answer.status_code, code_of(answer)) == (401, "no_token")


def test_a_restricted_person_still_sees_and_ends_their_sessions(
    services: Services, person: Visitor, other: Visitor, wallet: Wallet
) -> None:
    roles_of(services).assign(parse(wallet.account()), "restricted")
    assert len(listed(person)) == 2
    assert person.send("DELETE", f"/api/auth/sessions/{handle_of(other)}").status_code == 200
    assert not other.signed_in


# -- As JSON: naming, recognising, extending -------------------------------------------------------------------------


def test_a_client_names_a_session_and_takes_the_name_away(person: Visitor, wallet: Wallet) -> None:
    path = f"/api/auth/sessions/{handle_of(person)}"
    answer = person.send("PATCH", path, json={"label": " At\u202e \n work " + "x" * 60})
    assert answer.status_code == 200
    row = answer.get_json()["data"]
    assert row["label"] == ("At work " + "x" * 60)[:40]
    assert row["current"] is True
    assert person.json("/api/auth/sessions").get_json()["data"]["sessions"][0]["label"] == row["label"]
    assert person.send("PATCH", path, json={"label": ""}).get_json()["data"]["label"] == ""


@pytest.mark.parametrize("body", [{}, {"label": None}, {"label": 7}, {"label": "x" * 401}, []], ids=str)
def test_a_name_that_is_none_changes_nothing(person: Visitor, body: Any) -> None:
    answer = person.send("PATCH", f"/api/auth/sessions/{handle_of(person)}", json=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "body_malformed")


def test_session_of_another_account_can_not_be_named(app: Flask, person: Visitor) -> None:
    stranger = Visitor(app)
    stranger.sign_in(Wallet())
    answer = stranger.send("PATCH", f"/api/auth/sessions/{handle_of(person)}", json={"label": "mine"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
    assert person.json("/api/auth/sessions").get_json()["data"]["sessions"][0]["label"] == ""


def test_client_can_recognise_a_sign_in(app: Flask, person: Visitor, wallet: Wallet) -> None:
    elsewhere = Visitor(app)
    elsewhere.sign_in(wallet)
    told = person.json("/api/auth/sessions/validate").get_json()["data"]["sign_ins_elsewhere"]
    assert [each["session_id"] for each in told] == [handle_of(elsewhere)]
    answer = person.send("POST", f"/api/auth/sessions/{handle_of(elsewhere)}/recognise")
    assert answer.status_code == 200
    assert answer.get_json()["data"]["sign_ins_elsewhere"] == []
    assert person.json("/api/auth/sessions/validate").get_json()["data"]["sign_ins_elsewhere"] == []


def test_extending_needs_a_new_signature_each_time(person: Visitor, wallet: Wallet, pass_time: TimeMachine) -> None:
    """It restarts both clocks."""
    pass_time(600)
    refused = person.send("POST", "/api/auth/sessions/extend")
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (403, "step_up_required")
    before = person.session_id
    proof = person.proof(wallet, refused)
    answer = person.send("POST", "/api/auth/sessions/extend", headers=proof)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert person.session_id != before
    assert answer.get_json()["data"]["time_remaining"] >= 1798
    again = person.send("POST", "/api/auth/sessions/extend", headers=proof)
    assert again.status_code == 403, "one signature counts once"


def test_json_changes_need_the_csrf_token(person: Visitor) -> None:
    own = f"/api/auth/sessions/{handle_of(person)}"
    for method, path in (("PATCH", own), ("POST", f"{own}/recognise"), ("POST", "/api/auth/sessions/extend")):
        answer = person.send(method, path, json={"label": "x"}, headers={"X-CSRFToken": "wrong"})
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "csrf_failed")
