"""Sessions of the real Flask-Session go on at the new site: once, under a new id, with their data."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import Misconfigured
from sessions_core.parts.migration.events import DataMigrated, MigrationRefused, SessionMigrated
from sessions_core.parts.migration.refused import CODES
from sessions_core.sessions.record import GRACE
from tests.actors import BROWSER_COOKIE, SESSION_COOKIE, Visitor, together
from tests.constants import ALICE, BOB, HOUR, VALIDATE
from tests.time_machine import TimeMachine

from .sites import Browser, former_site, signed_in

SID = "s" * 43


def moved(happened: list[events.Event]) -> list[SessionMigrated]:
    return [event for event in happened if isinstance(event, SessionMigrated)]


def refusals(happened: list[events.Event]) -> list[str]:
    return [event.code for event in happened if isinstance(event, MigrationRefused)]


def test_user_of_flask_session_stays_signed_in(
    app: Flask, former: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    """Under a new id, with the data, and without the former record and cookie."""
    browser = signed_in(former, ALICE, basket=[1, 2], name="Zoë")
    sid = browser.jar["session"]
    assert redis.exists(f"session:{sid}")
    assert browser.account(app) == ALICE
    assert browser.data(app) == {"account": ALICE, "basket": [1, 2], "name": "Zoë"}
    assert not redis.exists(f"session:{sid}")
    assert "session" not in browser.jar
    assert sid not in browser.jar[SESSION_COOKIE]
    [event] = moved(happened)
    assert (event.account, event.source, event.session_type) == (ALICE, "redis", "standard")
    assert not any(type(event) is events.SessionCreated for event in happened)


def test_moved_session_has_the_clocks_of_a_sign_in(app: Flask, former: Flask, pass_time: TimeMachine) -> None:
    browser = signed_in(former, ALICE)
    state = browser.send(app, VALIDATE).get_json()["data"]
    began, ends = (datetime.fromisoformat(state[name]) for name in ("now", "absolute_expires_at"))
    assert abs((ends - began).total_seconds() - 12 * HOUR) < 5
    pass_time(31 * 60)
    assert browser.account(app) is None


def test_moved_session_is_not_fresh(app: Flask, former: Flask) -> None:
    """Sensitive actions ask for a signature, although the session began just now."""
    browser = signed_in(former, ALICE)
    token = browser.send(app, VALIDATE).get_json()["data"]["csrf_token"]
    answer = browser.send(
        app, "/sessions/everywhere", json={}, headers={"Accept": "application/json", "X-CSRFToken": token}
    )
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "step_up_required")


def test_pages_show_a_moved_session_as_that(app: Flask, former: Flask) -> None:
    browser = signed_in(former, ALICE)
    browser.account(app)
    assert "Moved from the earlier version of this site" in browser.send(app, "/sessions").get_data(as_text=True)
    page = browser.send(app, "/activity").get_data(as_text=True)
    assert "Stayed signed in when this site changed how it signs users in" in page
    assert "1970" not in browser.send(app, "/session").get_data(as_text=True)


def test_sessions_that_began_here_are_not_shown_as_moved(app: Flask, person: Visitor) -> None:
    assert "Moved from" not in person.get("/sessions").get_data(as_text=True)


def test_cookies_outlive_the_browser_as_before(app: Flask, former: Flask) -> None:
    answer = signed_in(former, ALICE).send(app, VALIDATE)
    cookies = {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}
    for name in (SESSION_COOKIE, BROWSER_COOKIE):
        assert re.search("Max-Age=(43200|4319[0-9]);", cookies[name]), cookies[name]


def test_data_of_a_visitor_is_moved(app: Flask, former: Flask, redis: Redis, happened: list[events.Event]) -> None:
    browser = Browser()
    browser.send(former, "/sign-in", json={"basket": [7]})
    sid = browser.jar["session"]
    assert browser.data(app) == {"basket": [7]}
    assert browser.data(app) == {"basket": [7]}
    assert browser.account(app) is None
    assert not redis.exists(f"session:{sid}")
    assert [event for event in happened if isinstance(event, DataMigrated)] == [DataMigrated(source="redis")]


def test_user_of_flask_login_without_account_keeps_the_login(make_site: Callable[..., Flask], former: Flask) -> None:
    """Passwords go on beside wallets: what Flask-Login stored stays where it looks for it."""
    app = make_site(ACCOUNT=lambda data: None)
    browser = Browser()
    browser.send(former, "/sign-in", json={"_user_id": "7", "_fresh": True})
    assert browser.data(app) == {"_user_id": "7", "_fresh": True}


def test_moved_login_lasts_as_long_as_flasks_session(
    make_site: Callable[..., Flask], former: Flask, pass_time: TimeMachine
) -> None:
    app = make_site(ACCOUNT=lambda data: None)
    app.permanent_session_lifetime = timedelta(hours=2)
    browser = Browser()
    browser.send(former, "/sign-in", json={"_user_id": "7"})
    assert browser.data(app) == {"_user_id": "7"}
    pass_time(HOUR)
    assert browser.data(app) == {"_user_id": "7"}
    pass_time(3 * HOUR)
    assert browser.data(app) == {}


def test_data_of_a_visitor_here_joins_the_moved_session(app: Flask, former: Flask) -> None:
    browser = Browser()
    browser.send(app, "/data", json={"basket": [9], "seen": 1})
    browser.jar |= signed_in(former, ALICE, basket=[1], theme="dark").jar
    assert browser.account(app) == ALICE
    assert browser.data(app) == {"account": ALICE, "basket": [9], "seen": 1, "theme": "dark"}


def test_user_who_is_signed_in_here_keeps_that_session(app: Flask, former: Flask, person: Visitor) -> None:
    account = person.json(VALIDATE).get_json()["data"]["account"]
    browser = Browser(jar={SESSION_COOKIE: person.session_id} | signed_in(former, ALICE).jar)
    assert browser.account(app) == account
    assert "session" in browser.jar


# -- Once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requests", [2, 8])
def test_requests_at_once_begin_one_session(
    make_site: Callable[..., Flask], former: Flask, happened: list[events.Event], requests: int
) -> None:
    app = make_site()
    for _ in range(10):
        happened.clear()
        browser = signed_in(former, ALICE)
        copies = [browser.copy() for _ in range(requests)]
        accounts = together(*(lambda each=each: each.account(app) for each in copies))
        assert accounts == [ALICE] * requests
        assert len({each.jar[SESSION_COOKIE] for each in copies}) == 1
        assert len({each.jar["__Host-browser"] for each in copies}) == 1
        assert len(moved(happened)) == 1


def test_browser_that_lost_the_answer_gets_the_session(
    app: Flask, former: Flask, happened: list[events.Event]
) -> None:
    browser = signed_in(former, ALICE)
    browser.send(app, VALIDATE, lose=True)
    browser.send(app, VALIDATE, lose=True)
    assert browser.account(app) == ALICE
    assert len(moved(happened)) == 1
    assert browser.account(app) == ALICE


def test_former_cookie_is_worth_nothing_after_20_seconds(
    app: Flask, former: Flask, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    browser = signed_in(former, ALICE)
    thief = browser.copy()
    browser.account(app)
    pass_time(GRACE / 1000 + 1)
    assert thief.account(app) is None
    assert refusals(happened) == ["used"]
    assert browser.account(app) == ALICE


def test_another_browser_does_not_get_a_moved_session(
    app: Flask, former: Flask, happened: list[events.Event]
) -> None:
    browser = signed_in(former, ALICE)
    thief = browser.copy()
    thief.agent = "curl/8"
    browser.account(app)
    assert thief.account(app) is None
    assert refusals(happened) == ["used"]


def test_former_cookie_brings_no_session_back(app: Flask, former: Flask, happened: list[events.Event]) -> None:
    """Not even in the 20 seconds: the user has signed out."""
    browser = signed_in(former, ALICE)
    thief = browser.copy()
    browser.sign_out(app)
    assert thief.account(app) is None
    assert refusals(happened) == ["used"]


def test_record_that_a_slow_request_wrote_again_is_deleted(
    app: Flask, former: Flask, redis: Redis, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    """Flask-Session writes at the end of each request, whether or not the record still exists."""
    browser = signed_in(former, ALICE)
    key, late = f"session:{browser.jar['session']}", browser.copy()
    record = redis.get(key)
    browser.account(app)
    pass_time(60)
    redis.set(key, record or b"", ex=1000)
    assert late.account(app) is None
    assert refusals(happened) == ["used"]
    assert not redis.exists(key)


def test_signing_out_everywhere_ends_former_sessions_too(
    app: Flask, former: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    laptop, phone = signed_in(former, ALICE), signed_in(former, ALICE)
    laptop.account(app)
    app.extensions["sessions_core"].lifecycle.revoke_account(ALICE)
    assert phone.account(app) is None
    assert refusals(happened) == ["revoked"]
    assert not redis.keys("session:*")
    assert signed_in(former, BOB).account(app) == BOB


def test_signing_everybody_out_ends_former_sessions_too(
    app: Flask, former: Flask, happened: list[events.Event]
) -> None:
    browser = signed_in(former, ALICE)
    with app.app_context():
        app.extensions["sessions_core"].lifecycle.revoke_everybody()
    assert browser.account(app) is None
    assert refusals(happened) == ["revoked"]


# -- Cookies that hold the session -------------------------------------------------------------------------------


@pytest.fixture
def cookie_site() -> Flask:
    return former_site(None)


def test_user_of_a_signed_cookie_stays_signed_in(
    app: Flask, cookie_site: Flask, happened: list[events.Event]
) -> None:
    browser = signed_in(cookie_site, ALICE, basket=[1])
    assert browser.account(app) == ALICE
    assert browser.data(app) == {"account": ALICE, "basket": [1]}
    assert "session" not in browser.jar
    assert [event.source for event in moved(happened)] == ["signed_cookie"]


def test_long_signed_cookie_is_moved(app: Flask, cookie_site: Flask) -> None:
    """Flask compresses it, and it begins with a dot."""
    browser = signed_in(cookie_site, ALICE, text="long " * 400)
    assert browser.jar["session"].startswith(".")
    assert browser.data(app)["text"] == "long " * 400


def test_signed_cookie_counts_once(
    app: Flask, cookie_site: Flask, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    browser = signed_in(cookie_site, ALICE)
    copy = browser.copy()
    browser.account(app)
    pass_time(60)
    assert copy.account(app) is None
    assert refusals(happened) == ["used"]


def test_earlier_signed_cookie_is_refused_after_a_sign_out(
    app: Flask, cookie_site: Flask, happened: list[events.Event]
) -> None:
    """A signed cookie is made anew with each answer, and each of them is good until it is too old."""
    browser = signed_in(cookie_site, ALICE)
    earlier = browser.copy()
    browser.send(cookie_site, "/sign-in", json={"basket": [1]})
    assert earlier.jar != browser.jar
    browser.sign_out(app)
    assert earlier.account(app) is None
    assert refusals(happened) == ["revoked"]


def test_signed_cookie_of_another_secret_is_refused(
    app: Flask, make_site: Callable[..., Flask], happened: list[events.Event]
) -> None:
    other = "yet another secret of 32 characters or more, 4711"
    browser = signed_in(former_site(None, SECRET_KEY=other), ALICE)
    assert browser.account(app) is None
    assert refusals(happened) == ["unsigned"]
    assert "session" in browser.jar
    assert browser.account(make_site(SECRETS=[other])) == ALICE


def test_old_signed_cookie_is_refused(make_site: Callable[..., Flask], happened: list[events.Event]) -> None:
    app = make_site(SECONDS=60)
    browser = Browser()
    # {"account": ALICE}, signed in 2001 with the secret of the tests
    site = former_site(None)
    serializer: Any = site.session_interface.get_signing_serializer(site)  # type: ignore[attr-defined]
    signer = serializer.make_signer(serializer.salt)
    signer.get_timestamp = lambda: 1_000_000_000
    browser.jar["session"] = signer.sign(serializer.dump_payload({"account": ALICE})).decode()
    assert browser.account(app) is None
    assert refusals(happened) == ["expired"]


def test_signed_id_of_flask_session_is_moved(app: Flask, redis_url: str) -> None:
    browser = signed_in(former_site(redis_url, SESSION_USE_SIGNER=True), ALICE)
    forged = Browser(jar={"session": browser.jar["session"][:-4] + "AAAA"})
    assert forged.account(app) is None
    assert browser.account(app) == ALICE


def test_remember_cookie_signs_in_once(
    app: Flask, former: Flask, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    """It is the same in all browsers of a user, and holds no time."""
    browser = Browser()
    browser.send(former, "/sign-in", json={"remember": ALICE})
    phone = browser.copy()
    for each in (browser, phone):
        del each.jar["session"]
    assert browser.account(app) == ALICE
    assert "remember_token" not in browser.jar
    assert browser.data(app) == {}
    pass_time(60)
    assert phone.account(app) is None
    assert [event.source for event in moved(happened)] == ["remember_cookie"]
    assert refusals(happened) == ["used"]


def test_remember_cookie_stands_in_for_an_expired_session(app: Flask, former: Flask, redis: Redis) -> None:
    browser = Browser()
    browser.send(former, "/sign-in", json={"remember": ALICE})
    redis.delete(f"session:{browser.jar['session']}")
    assert browser.account(app) == ALICE
    assert browser.jar.keys() & {"session", "remember_token"} == set()


def test_forged_remember_cookie_is_refused(app: Flask, happened: list[events.Event]) -> None:
    for value in (f"{ALICE}|{'0' * 128}", "|", ALICE, "é|é"):
        assert Browser(jar={"remember_token": value}).account(app) is None
    assert refusals(happened) == ["unsigned"] * 4


# -- Bad input ---------------------------------------------------------------------------------------------------

DEEP = 100_000
RECORDS: dict[str, tuple[bytes, str]] = {
    "corrupt": (b"\xc1\x00\xff garbage", "unreadable"),
    "cut off": (msgspec.msgpack.encode({"account": ALICE, "x": "y" * 100})[:-5], "unreadable"),
    "empty": (b"", "unreadable"),
    "not UTF-8": (b"\x81\xa3a\xff\xfe\xa1x", "unreadable"),
    "JSON not UTF-8": (b'{"account": "\xff"}', "unreadable"),
    "a list": (b"[1, 2]", "unreadable"),
    "a number": (b"7", "unreadable"),
    "nested MessagePack": (b"\x81\xa1x" + b"\x91" * DEEP + b"\x01", "unreadable"),
    "nested JSON": (b'{"x": ' + b"[" * DEEP + b"]" * DEEP + b"}", "unreadable"),
    "pickle": (pickle.dumps({"account": ALICE}), "pickled"),
    "old pickle": (pickle.dumps({"account": ALICE}, protocol=0), "pickled"),
    "huge": (msgspec.msgpack.encode({"account": ALICE, "x": "y" * 300_000}), "too_large"),
    "no account": (msgspec.msgpack.encode({"account": "0x1234"}), "account"),
    "account of no text": (msgspec.msgpack.encode({"account": [1]}), "account"),
    "another chain": (msgspec.msgpack.encode({"account": f"eip155:5:{ALICE[9:]}"}), "account"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_bad_record_is_refused_with_one_event(
    app: Flask, redis: Redis, happened: list[events.Event], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    stored, code = RECORDS[name]
    redis.set(f"session:{SID}", stored, ex=1000)
    browser = Browser(jar={"session": SID})
    with caplog.at_level("INFO", "sessions_core.events"):
        assert browser.data(app) == {}
    assert refusals(happened) == [code]
    assert len([each for each in caplog.records if "migration.refused" in each.getMessage()]) == 1
    assert browser.account(app) is None
    assert refusals(happened) == [code]


def test_key_of_another_type_is_refused(app: Flask, redis: Redis, happened: list[events.Event]) -> None:
    redis.rpush(f"session:{SID}", "x")
    assert Browser(jar={"session": SID}).data(app) == {}
    assert refusals(happened) == ["unreadable"]


@pytest.mark.parametrize("cookie", ["../x", "a:b", "short", "x" * 300, "{x}", "é" * 40, "*" * 43])
def test_cookie_of_another_form_reads_no_key(
    app: Flask, redis: Redis, happened: list[events.Event], cookie: str
) -> None:
    redis.set(f"session:{cookie}", json.dumps({"account": ALICE}))
    browser = Browser(jar={"session": cookie})
    assert browser.data(app) == {}
    assert refusals(happened) == ["malformed"]
    assert "session" in browser.jar


def test_expired_record_is_refused_once(app: Flask, happened: list[events.Event]) -> None:
    browser = Browser(jar={"session": SID})
    assert browser.account(app) is None
    assert "session" not in browser.jar
    assert browser.account(app) is None
    assert refusals(happened) == ["expired"]


def test_json_record_is_moved(app: Flask, redis: Redis) -> None:
    redis.set(f"session:{SID}", json.dumps({"account": ALICE, "basket": [1]}))
    assert Browser(jar={"session": SID}).data(app) == {"account": ALICE, "basket": [1]}


def test_pickle_is_read_where_the_setting_allows_it(make_site: Callable[..., Flask], redis: Redis) -> None:
    """A value that `flask.session` can't keep is left out, and the rest is moved."""
    data = {"account": ALICE, "pair": (1, 2), "odd": object, 5: "no text"}
    redis.set(f"session:{SID}", pickle.dumps(data))
    browser = Browser(jar={"session": SID})
    assert browser.data(make_site(UNPICKLE=pickle.loads)) == {"account": ALICE, "pair": [1, 2]}


def test_pickle_that_fails_is_refused(
    make_site: Callable[..., Flask], redis: Redis, happened: list[events.Event]
) -> None:
    redis.set(f"session:{SID}", b"\x80\x04\x95\xff\xff")
    assert Browser(jar={"session": SID}).data(make_site(UNPICKLE=pickle.loads)) == {}
    assert refusals(happened) == ["unreadable"]


def test_pickle_runs_nothing_by_default(app: Flask, redis: Redis, tmp_path: Any) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (open, (str(tmp_path / "ran"), "w"))

    redis.set(f"session:{SID}", pickle.dumps({"account": ALICE, "evil": Evil()}))
    assert Browser(jar={"session": SID}).data(app) == {}
    assert list(tmp_path.iterdir()) == []


def test_hook_that_fails_signs_no_user_in(
    make_site: Callable[..., Flask], former: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    """And the record stays, so that a mended hook can move it."""
    browser = signed_in(former, ALICE)
    assert browser.account(make_site(ACCOUNT=lambda data: data["address"])) is None
    assert refusals(happened) == ["account"]
    redis.delete(*redis.keys("sessions_core:moved:*"))  # as after a minute
    assert browser.account(make_site()) == ALICE


def test_codes_are_a_closed_set() -> None:
    used = {code for _, code in RECORDS.values()} | {"used", "revoked", "expired", "unsigned", "malformed"}
    assert used == set(CODES)


# -- Redis -------------------------------------------------------------------------------------------------------


def test_former_redis_that_is_down_answers_503(make_site: Callable[..., Flask]) -> None:
    app = make_site(REDIS_URL="redis://127.0.0.1:1/0")
    answer = Browser(jar={"session": SID}).send(app, VALIDATE)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "store_unavailable")
    assert Browser().account(app) is None


def test_former_redis_may_be_another_one(make_site: Callable[..., Flask], redis: Redis, redis_url: str) -> None:
    url = (
        redis_url.replace("/0", "/5")
        if "/0" in redis_url
        else redis_url + ("&" if "?" in redis_url else "?") + "db=5"
    )
    former = former_site(url, SESSION_KEY_PREFIX="old:", SESSION_COOKIE_NAME="sid")
    browser = signed_in(former, ALICE)
    app = make_site(REDIS_URL=url, KEY_PREFIX="old:", COOKIE="sid")
    assert browser.account(app) == ALICE
    assert "sid" not in browser.jar
    with Redis.from_url(url) as other:
        assert other.keys("*") == []


def test_nothing_is_read_without_the_setting(make_site: Callable[..., Flask], former: Flask, redis: Redis) -> None:
    browser = signed_in(former, ALICE)
    assert browser.account(make_site(FROM=[])) is None
    assert redis.exists(f"session:{browser.jar['session']}")


def test_page_without_a_route_moves_nothing(app: Flask, former: Flask, happened: list[events.Event]) -> None:
    """An event of Flask-SocketIO has none, and its answer could not bring the cookie."""
    browser = signed_in(former, ALICE)
    assert browser.send(app, "/nothing-here").status_code == 404
    assert moved(happened) == []
    assert browser.account(app) == ALICE


def test_outcomes_are_counted(app: Flask, former: Flask) -> None:
    signed_in(former, ALICE).account(app)
    Browser(jar={"session": SID}).account(app)
    page = Browser().send(app, "/metrics").get_data(as_text=True)
    assert 'wallet_migrations_total{outcome="session",source="redis"}' in page
    assert 'wallet_migrations_total{outcome="expired",source="redis"}' in page


# -- The checklist -----------------------------------------------------------------------------------------------


def checked(app: Flask) -> list[tuple[str, str]]:
    """Return what `flask sessions check` says about the migration."""
    result = app.test_cli_runner().invoke(args=["sessions", "check", "--offline", "--json"])
    lines = json.loads(result.stdout)
    return [(line["state"], line["sentence"]) for line in lines if line["about"] == "migration"]


def test_checklist_says_when_the_migration_is_over(make_site: Callable[..., Flask], redis_url: str) -> None:
    [(state, sentence)] = checked(make_site())
    assert state == "advice"
    assert "Remove it 31 days after the last former server has stopped" in sentence
    found = checked(make_site(BESIDE=True, UNPICKLE=pickle.loads, REDIS_URL=redis_url))
    assert [state for state, _ in found] == ["ok", "advice", "advice"]
    assert "MIGRATE_UNPICKLE" in found[1][1]
    assert "MIGRATE_BESIDE" in found[2][1]
    assert checked(make_site(FROM=[])) == []


def test_checklist_misses_a_former_redis(make_site: Callable[..., Flask]) -> None:
    [(state, sentence), _] = checked(make_site(REDIS_URL="redis://127.0.0.1:1/0"))
    assert state == "unsafe"
    assert "does not answer" in sentence


def test_former_redis_url_is_refused_by_its_name(make_site: Callable[..., Flask]) -> None:
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_MIGRATE_REDIS_URL"):
        make_site(REDIS_URL="http://redis.internal")
