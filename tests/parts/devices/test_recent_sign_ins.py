"""Who is signed in is told of each other sign-in to the account: once, of all of them, and nobody else is."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core.errors import StoreUnavailable
from sessions_core.parts.devices import recent_sign_ins
from sessions_core.parts.devices.recent_sign_ins import DEVICE, KEPT, Device, SignIn
from sessions_core.sessions.record import EndedSession, LoadedSession, account_tag
from sessions_core.sign_in.accounts import parse
from sessions_core.storage.encryption import KeyRing
from sessions_core.web.request_client import Client
from sessions_core.web.services import Services

from ...actors import SESSION_COOKIE, Visitor, Wallet, together
from ...constants import ALICE, ANOTHER, BOB, DAY, REDIS_PREFIX, VALIDATE
from ...new_sessions import used_from
from ...part_services import recent_sign_ins_of
from ...servers import Server, commands_run, running
from ...snapshot import unchanged
from ...time_machine import TimeMachine

PLACE = Client("203.0.113.7", "Mozilla/5.0", "Firefox on Linux")
KEYS = KeyRing([ANOTHER], "test")
NOW = 1_800_000_000_000


def sealed(*handles: str, at: int = NOW, key: str = "news") -> bytes:
    return b"|".join(recent_sign_ins.encrypted(KEYS, key, SignIn(handle=handle, at=at)) for handle in handles)


def handles(stored: bytes, own: str = "", now: int = NOW, key: str = "news") -> list[str]:
    return [each.handle for each in recent_sign_ins.since(KEYS, key, stored, own, now)]


# -- What is stored, and who is told of it ------------------------------------------------------------------------


def test_encrypted_sign_in_is_read_back() -> None:
    sign_in = SignIn(handle="sess_a", device="Firefox on Linux", ip="2001:db8::1", wallet="MetaMask", at=NOW)
    assert recent_sign_ins.since(KEYS, "news", recent_sign_ins.encrypted(KEYS, "news", sign_in), "sess_b", NOW) == [
        sign_in
    ]


def test_session_is_told_of_later_sign_ins_but_not_its_own() -> None:
    stored = sealed("newest", "newer", "own", "older")
    assert handles(stored, "own") == ["newest", "newer"]
    assert handles(stored, "newest") == []
    assert handles(stored, "older") == ["newest", "newer", "own"]
    assert handles(stored, "pushed out") == ["newest", "newer", "own", "older"]
    assert handles(b"") == []


def test_sign_in_is_shown_for_one_day() -> None:
    assert handles(sealed("a"), now=NOW + DAY * 1000 - 1) == ["a"]
    assert handles(sealed("a"), now=NOW + DAY * 1000) == []
    assert handles(sealed("a"), now=NOW - 5) == ["a"], "a clock that was set back hides nothing"


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"x",
        b"\xff\xfe",
        b"AAAA",
        sealed("theirs", key="another"),
        recent_sign_ins.b64encode(b"x" * 60),
        b" " + sealed("b"),
    ],
    ids=["empty", "short", "no base64", "no seal", "another key", "another secret", "a blank"],
)
def test_foreign_entry_is_skipped_and_the_others_are_told(entry: bytes) -> None:
    assert handles(b"|".join((sealed("a"), entry, sealed("c")))) == ["a", "c"]


def test_encrypted_entry_that_is_no_sign_in_is_skipped() -> None:
    stored = recent_sign_ins.b64encode(KEYS.encrypt(b"\x93\x01\x02\x03", b"news"))
    assert handles(stored) == []


# -- What a session keeps of its client -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "most"),
    [
        ("", 0),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", 30),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.5 Mobile/15E148 Safari/604.1",
            30,
        ),
        ("x" * 300, 30),
        ("".join(chr(0x4E00 + 7 * number) for number in range(300)), 1000),
    ],
    ids=["none", "Firefox", "Safari", "one letter", "no pattern"],
)
def test_user_agent_is_stored_short_and_read_in_full(agent: str, most: int) -> None:
    stored = recent_sign_ins.packed(agent)
    assert len(stored) <= most
    assert Device(packed_agent=stored).agent == agent


@pytest.mark.parametrize("stored", [b"x", b"\xff" * 40, b"\x03\x00\xff"])
def test_user_agent_of_another_form_is_left_out(stored: bytes) -> None:
    assert Device(packed_agent=stored).agent == ""


# -- The sign-in tells ---------------------------------------------------------------------------------------------


@pytest.fixture
def begin(services: Services) -> Callable[..., LoadedSession]:
    def begin(account: str = ALICE, **options: Any) -> LoadedSession:
        options = {"wallet": "MetaMask", "prepare": used_from(PLACE)} | options
        return services.lifecycle.start(parse(account), services.policy.standard, **options)

    return begin


@pytest.fixture
def told(services: Services) -> Callable[[LoadedSession], list[str]]:
    """The handles that a session is told of."""

    def told(live: LoadedSession) -> list[str]:
        found = services.repository.load(live.id, "never")
        assert isinstance(found, LoadedSession)
        return [each.handle for each in recent_sign_ins_of(services).elsewhere(found)]

    return told


def test_other_sessions_are_told_of_each_sign_in(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]], services: Services
) -> None:
    """The new session is not told of itself."""
    first = begin()
    assert told(first) == []
    second, third = begin(), begin()
    assert told(first) == [third.record.handle, second.record.handle]
    assert told(second) == [third.record.handle]
    assert told(third) == []
    found = services.repository.load(second.id, "never")
    assert isinstance(found, LoadedSession)
    [sign_in] = recent_sign_ins_of(services).elsewhere(found)
    assert (sign_in.device, sign_in.ip, sign_in.wallet) == ("Firefox on Linux", "203.0.113.7", "MetaMask")
    assert sign_in.at == third.record.created_at


def test_sign_in_that_replaces_a_session_is_told_to_the_others(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]]
) -> None:
    here, there = begin(), begin()
    again = begin(replacing=there)
    assert told(here) == [again.record.handle, there.record.handle]
    assert told(again) == []


def test_sign_in_without_stored_details_is_told_without_them(
    begin: Callable[..., LoadedSession], services: Services
) -> None:
    """Some session types store no device, address or wallet name."""
    live = begin()
    begin(wallet="", prepare=used_from(None))
    found = services.repository.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    [sign_in] = recent_sign_ins_of(services).elsewhere(found)
    assert (sign_in.device, sign_in.ip, sign_in.wallet) == ("", "", "")


def test_a_session_goes_on_being_told_under_another_id(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]], services: Services
) -> None:
    live = begin()
    other = begin()
    moved = services.lifecycle.rotate(live)
    assert isinstance(moved, LoadedSession)
    assert told(moved) == [other.record.handle]
    assert told(other) == [], "an id that moves is no sign-in"


def test_sign_in_is_never_told_to_another_account(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]], redis: Redis
) -> None:
    mine, theirs = begin(ALICE), begin(BOB)
    begin(ALICE)
    assert told(theirs) == []
    assert len(told(mine)) == 1
    redis.copy(
        f"{REDIS_PREFIX}{{{account_tag(ALICE)}}}:news", f"{REDIS_PREFIX}{{{account_tag(BOB)}}}:news", replace=True
    )
    assert told(theirs) == [], "not even when somebody carries it there"


def test_visitor_session_is_no_recent_sign_in(redis: Redis, start: Callable[..., LoadedSession]) -> None:
    start(account="")
    assert [key for key in redis.keys("*") if key.endswith(b":news")] == []


def test_concurrent_sign_ins_are_both_told(make_app: Callable[..., Flask], redis: Redis) -> None:
    services: Services = make_app(SESSIONS_CORE_REDIS_TIMEOUT_MS=5000).extensions["sessions_core"]
    account = parse(ALICE)
    for _ in range(50):
        redis.flushall()
        first = services.lifecycle.start(account, services.policy.standard)
        started = together(*[lambda: services.lifecycle.start(account, services.policy.standard)] * 4)
        found = services.repository.load(first.id, "never")
        assert isinstance(found, LoadedSession)
        known = recent_sign_ins_of(services).elsewhere(found)
        assert {each.handle for each in known} == {live.record.handle for live in started}
        # Of any two of these at least one was told of the other.
        pairs = 0
        for live in started:
            loaded = services.repository.load(live.id, "never")
            assert isinstance(loaded, LoadedSession)
            pairs += len(recent_sign_ins_of(services).elsewhere(loaded))
        assert pairs == 6


def test_repeated_sign_ins_keep_the_recent_list_bounded(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]], redis: Redis
) -> None:
    """The newest ones are told."""
    live = begin()
    names = [begin(wallet="W" * 40).record.handle for _ in range(15)]
    assert told(live) == names[: -KEPT - 1 : -1]
    [key] = [key for key in redis.keys("*") if key.endswith(b":news")]
    assert redis.strlen(key) < 2500
    assert 0 < redis.ttl(key) <= DAY


def test_recent_sign_ins_expire_in_redis_after_a_day(
    begin: Callable[..., LoadedSession],
    told: Callable[[LoadedSession], list[str]],
    pass_time: TimeMachine,
    redis: Redis,
    app: Flask,
) -> None:
    begin()
    pass_time(DAY + 1)
    assert [key for key in redis.keys("*") if key.endswith(b":news")] == []


def test_redis_shows_nothing_of_a_sign_in(begin: Callable[..., LoadedSession], redis: Redis) -> None:
    live = begin()
    value = redis.get(f"{REDIS_PREFIX}{{{account_tag(ALICE)}}}:news") or b""
    stored = value + b"".join(recent_sign_ins.b64decode(each) for each in value.split(b"|"))
    for secret in (live.record.handle, "203.0.113.7", "Firefox", "MetaMask"):
        assert secret.encode() not in stored


@pytest.mark.parametrize("value", [b"", b"|", b"||||", b"x" * 5000, b"\xff\x00|\xfe"])
def test_corrupted_recent_sign_ins_block_no_sign_in(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]], redis: Redis, value: bytes
) -> None:
    live = begin()
    redis.set(f"{REDIS_PREFIX}{{{account_tag(ALICE)}}}:news", value)
    assert told(live) == []
    other = begin()
    assert told(live) == [other.record.handle]


def test_recent_sign_ins_of_another_type_block_no_sign_in(
    begin: Callable[..., LoadedSession], told: Callable[[LoadedSession], list[str]], redis: Redis
) -> None:
    live = begin()
    key = f"{REDIS_PREFIX}{{{account_tag(ALICE)}}}:news"
    redis.delete(key)
    redis.hset(key, "a", "b")
    assert told(live) == []
    other = begin()
    assert told(live) == [other.record.handle]


def test_failed_sign_in_is_not_told(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """And no sign-in is stored without being told: both are one step."""
    with running(Server(tmp_path / "redis")) as server:
        services: Services = make_app(SESSIONS_CORE_REDIS_URL=server.url).extensions["sessions_core"]
        live = services.lifecycle.start(parse(ALICE), services.policy.standard)
        with server.client() as client:
            client.config_set("maxmemory", "1")
            with pytest.raises(StoreUnavailable):
                services.lifecycle.start(parse(ALICE), services.policy.standard)
            client.config_set("maxmemory", "0")
        found = services.repository.load(live.id, "never")
        assert isinstance(found, LoadedSession)
        assert recent_sign_ins_of(services).elsewhere(found) == []
        assert len(services.repository.living(ALICE)) == 1


def test_reading_a_session_is_still_one_round_trip_and_no_write(
    begin: Callable[..., LoadedSession], services: Services, redis: Redis
) -> None:
    live = begin()
    begin()
    services.repository.load(live.id, "due")  # what is asked only once a minute
    redis.config_resetstat()
    assert isinstance(services.repository.load(live.id, "due"), LoadedSession)
    assert commands_run(redis) == {"mget": 1}


def test_secret_rotation_keeps_recent_sign_ins(
    begin: Callable[..., LoadedSession], rotated: Callable[..., Services]
) -> None:
    """Dropping the old secret loses them without an error."""
    live = begin()
    other = begin()
    during = rotated()
    found = during.repository.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert [each.handle for each in recent_sign_ins_of(during).elsewhere(found)] == [other.record.handle]
    assert during.sweeper.sweep()["resealed"] == 2
    after = rotated(())
    newer = after.lifecycle.start(parse(ALICE), after.policy.standard)
    found = after.repository.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert [each.handle for each in recent_sign_ins_of(after).elsewhere(found)] == [newer.record.handle]


def test_recent_sign_ins_work_on_cluster_and_sentinel(make_app: Callable[..., Flask], other_url: str) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=other_url, SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)
    services: Services = app.extensions["sessions_core"]
    live = services.lifecycle.start(parse(ALICE), services.policy.standard)
    other = services.lifecycle.start(parse(ALICE), services.policy.standard)
    found = services.repository.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert [each.handle for each in recent_sign_ins_of(services).elsewhere(found)] == [other.record.handle]


# -- What people see -----------------------------------------------------------------------------------------------


@pytest.fixture
def person(visitor: Visitor, wallet: Wallet) -> Visitor:
    visitor.sign_in(wallet)
    return visitor


@pytest.fixture
def elsewhere(services: Services, wallet: Wallet, begin: Callable[..., LoadedSession]) -> Callable[..., str]:
    """Sign in with the person's wallet in another browser; returns the handle."""

    def elsewhere(owner: Wallet = wallet, **options: Any) -> str:
        return begin(owner.account(), **options).record.handle

    return elsewhere


def notice(visitor: Visitor, path: str = "/session") -> str | None:
    """What the notice of a page says of a sign-in, as it reads; `None` without one."""
    page = visitor.get(path).get_data(as_text=True)
    found = re.search(r'data-testid="elsewhere-what"><strong>New sign-in:</strong>(.*?)</p>', page, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", "", found[1])).split()) if found else None


def listed(visitor: Visitor) -> list[str]:
    data = visitor.json(VALIDATE).get_json()["data"]
    return [each["session_id"] for each in data["sign_ins_elsewhere"]]


def recognise(visitor: Visitor, handle: str, **fields: str) -> Any:
    return visitor.submit(f"/sessions/{handle}/recognise", **fields)


def test_every_session_page_shows_a_new_sign_in(person: Visitor, elsewhere: Callable[..., str]) -> None:
    pages = ("/session", "/", "/sessions", "/activity", "/sign-out")
    assert [notice(person, path) for path in pages] == [None] * len(pages)
    elsewhere()
    said = "Firefox on Linux, 203.0.113.7, just now, with “MetaMask”."
    assert [notice(person, path) for path in pages] == [said] * len(pages)


def test_page_with_a_task_of_its_own_shows_no_notice(
    person: Visitor, elsewhere: Callable[..., str], pass_time: TimeMachine
) -> None:
    handle = elsewhere()
    for path in (
        *("/sign-in", "/session/wallets/link", "/nowhere", "/unauthorized", "/sessions/others"),
        f"/sessions/{handle}/not-me",
    ):
        page = person.get(path).get_data(as_text=True)
        assert "data-session-state=" in page
        assert 'data-testid="elsewhere"' not in page
        assert "#elsewhere" not in page
    pass_time(301)
    asked = person.submit(f"/sessions/{handle}/revoke")
    page = person.get(asked.headers["Location"]).get_data(as_text=True)
    assert 'data-testid="confirm"' in page
    assert 'data-testid="elsewhere"' not in page


def test_sign_in_is_shown_to_other_sessions_only(app: Flask, person: Visitor, wallet: Wallet) -> None:
    other, third = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    assert notice(other) is None
    assert notice(person) == "Unknown browser, 127.0.0.1, just now."
    third.sign_in(wallet)
    assert notice(third) is None
    assert notice(person) == "Unknown browser, 127.0.0.1, just now. 2 new sign-ins"


def test_notice_shows_the_age_and_ends_after_a_day(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis, clock: Any
) -> None:
    app = make_app(SESSIONS_CORE_ABSOLUTE_SECONDS=7 * DAY, SESSIONS_CORE_IDLE_SECONDS=2 * DAY)
    person, services = Visitor(app), app.extensions["sessions_core"]
    person.sign_in(wallet)
    pass_time = TimeMachine(app, redis, clock)
    services.lifecycle.start(parse(wallet.account()), services.policy.standard, prepare=used_from(PLACE))
    pass_time(120)
    assert notice(person) == "Firefox on Linux, 203.0.113.7, 2 minutes ago."
    pass_time(DAY - 60)
    assert notice(person) is None
    assert person.signed_in


def test_notice_shows_the_newest_and_counts_the_rest(person: Visitor, elsewhere: Callable[..., str]) -> None:
    for device in ("Safari on iOS", "Edge on Windows", "Firefox on Linux"):
        elsewhere(prepare=used_from(Client(device=device)), wallet="")
    assert notice(person) == "Firefox on Linux, just now. 3 new sign-ins"


def test_unknown_details_are_left_out(person: Visitor, elsewhere: Callable[..., str]) -> None:
    elsewhere(prepare=used_from(None), wallet="")
    assert notice(person) == "Unknown browser, just now."


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}"])
def test_hostile_wallet_and_device_names_are_only_text(
    person: Visitor, elsewhere: Callable[..., str], hostile: str
) -> None:
    elsewhere(wallet=hostile, prepare=used_from(Client(ip=hostile, device=hostile)))
    page = person.get("/session").get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    said = str(notice(person))
    # The name of the wallet is quoted, so it has no quotation marks of its own.
    assert "“" + hostile.replace('"', "'") + "”" in said
    assert said.replace("'", '"').count(hostile) == 3


def test_recognised_sign_in_is_not_shown_again(app: Flask, person: Visitor, elsewhere: Callable[..., str]) -> None:
    """The user stays on the page they came from, and other tabs don't show it either."""
    handle = elsewhere()
    page = person.get("/activity?kind=sign-ins").get_data(as_text=True)
    [action] = re.findall(r'action="(/sessions/[^"]+/recognise)"', page)
    [here] = re.findall(r'name="next" value="([^"]+)"[^<]*<button[^>]*elsewhere-me', page)
    assert action == f"/sessions/{handle}/recognise"
    answer = person.submit(action, next=unescape(here))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/activity?kind=sign-ins")
    assert notice(person) is None
    assert listed(person) == []
    tab = Visitor(app)
    tab.client.set_cookie(SESSION_COOKIE, person.session_id, secure=True)
    assert notice(tab) is None, "in no other tab either"


def test_foreign_sign_in_is_not_hidden_by_an_own_one(person: Visitor, elsewhere: Callable[..., str]) -> None:
    stranger = elsewhere(prepare=used_from(Client(device="Edge on Windows")))
    own = elsewhere()
    recognise(person, own)
    assert str(notice(person)).startswith("Edge on Windows")
    assert listed(person) == [stranger]


def test_recognising_one_sign_in_leaves_a_newer_one(person: Visitor, elsewhere: Callable[..., str]) -> None:
    shown = elsewhere()
    since = elsewhere()
    recognise(person, shown)
    assert listed(person) == [since]
    recognise(person, since)
    recognise(person, shown)
    assert listed(person) == []


def test_each_session_recognises_sign_ins_for_itself(app: Flask, person: Visitor, wallet: Wallet) -> None:
    other, third = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    third.sign_in(wallet)
    recognise(person, listed(person)[0])
    assert len(listed(person)) == 1
    assert len(listed(other)) == 1


def test_recognition_survives_a_rotation(person: Visitor, elsewhere: Callable[..., str], services: Services) -> None:
    recognise(person, elsewhere())
    live = services.repository.load(person.session_id, "never")
    assert isinstance(live, LoadedSession)
    moved = services.lifecycle.rotate(live)
    assert isinstance(moved, LoadedSession)
    person.session_id = moved.id
    assert listed(person) == []


def test_recognised_sign_ins_are_bounded(person: Visitor, elsewhere: Callable[..., str], services: Services) -> None:
    for _ in range(KEPT):
        elsewhere()
    for handle in listed(person):
        recognise(person, handle)
    for _ in range(KEPT + 2):
        recognise(person, elsewhere())
        assert listed(person) == []
    live = services.repository.load(person.session_id, "never")
    assert isinstance(live, LoadedSession)
    assert len(DEVICE.of(live.record).recognised) == 2 * KEPT


@pytest.mark.parametrize(
    "next_page", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x", ""]
)
def test_the_way_back_never_leads_to_another_site(
    person: Visitor, elsewhere: Callable[..., str], next_page: str
) -> None:
    assert recognise(person, elsewhere(), next=next_page).headers["Location"] == "/session"


def test_recognising_needs_a_csrf_token_and_this_site(
    person: Visitor, elsewhere: Callable[..., str], redis: Redis
) -> None:
    handle = elsewhere()
    path = f"/sessions/{handle}/recognise"
    with unchanged(redis):
        assert person.post(path).status_code == 400
        assert person.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert person.get(path).status_code == 405
    assert listed(person) == [handle]


def test_foreign_sign_in_is_recognised_without_effect(
    app: Flask, person: Visitor, elsewhere: Callable[..., str], redis: Redis
) -> None:
    mine = elsewhere()
    theirs = elsewhere(Wallet())
    with unchanged(redis):
        for handle in (theirs, "sess_0123456789abcdef"):
            assert recognise(person, handle).status_code == 303
        assert recognise(person, "sess_short").status_code == 404
    assert listed(person) == [mine]


def test_signed_out_visitor_recognises_nothing(
    person: Visitor, elsewhere: Callable[..., str], services: Services
) -> None:
    handle = elsewhere()
    token = person.token("/session")
    live = services.repository.load(person.session_id, "never")
    assert isinstance(live, LoadedSession)
    services.lifecycle.revoke(live, "revoked")
    answer = person.post(f"/sessions/{handle}/recognise", data={"csrf_token": token})
    assert answer.headers["Location"].startswith("/sign-in?")
    assert isinstance(services.repository.load(live.id, "never"), EndedSession)
    assert notice(person) is None


# -- It was not me -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True], ids=["page", "json"])
def test_revoked_sign_in_is_not_shown_any_more(person: Visitor, elsewhere: Callable[..., str], as_json: bool) -> None:
    other, stranger = elsewhere(), elsewhere()
    if as_json:
        assert person.send("DELETE", f"/api/auth/sessions/{stranger}").status_code == 200
    else:
        assert person.submit(f"/sessions/{stranger}/revoke").status_code == 303
    assert listed(person) == [other]


@pytest.mark.parametrize("as_json", [False, True], ids=["page", "json"])
def test_revoking_all_others_clears_the_notice(person: Visitor, elsewhere: Callable[..., str], as_json: bool) -> None:
    for _ in range(3):
        elsewhere()
    if as_json:
        assert person.send("DELETE", "/api/auth/sessions?scope=others").get_json()["data"]["ended"] == 3
    else:
        assert person.submit("/sessions/others").status_code == 303
    assert listed(person) == []
    later = elsewhere()
    assert listed(person) == [later]


def test_revoking_with_a_signature_clears_the_notice(
    person: Visitor, wallet: Wallet, elsewhere: Callable[..., str], pass_time: TimeMachine
) -> None:
    pass_time(400)
    first, second = elsewhere(), elsewhere()
    assert person.confirm(wallet, person.submit(f"/sessions/{first}/revoke")).status_code == 303
    assert listed(person) == [second]
    pass_time(400)
    assert person.confirm(wallet, person.submit("/sessions/others")).status_code == 303
    assert listed(person) == []


def test_signed_out_sign_in_is_still_shown(
    person: Visitor, elsewhere: Callable[..., str], services: Services, wallet: Wallet
) -> None:
    """Who signs out after what they came for has been here all the same."""
    handle = elsewhere()
    services.lifecycle.revoke_handle(parse(wallet.account()), handle, "signed_out")
    assert listed(person) == [handle]


# -- Where it costs nothing ------------------------------------------------------------------------------------------


def test_a_page_with_a_notice_costs_one_round_trip_and_no_write(
    person: Visitor, elsewhere: Callable[..., str], redis: Redis
) -> None:
    elsewhere()
    assert notice(person)
    redis.config_resetstat()
    assert notice(person)
    assert commands_run(redis) == {"mget": 1}


def test_session_json_lists_recent_sign_ins(person: Visitor, elsewhere: Callable[..., str]) -> None:
    handle = elsewhere()
    [sign_in] = person.json(VALIDATE).get_json()["data"]["sign_ins_elsewhere"]
    assert sign_in.pop("created_at").endswith("Z")
    assert sign_in == {
        "session_id": handle,
        "device": "Firefox on Linux",
        "ip": "203.0.113.7",
        "wallet": "MetaMask",
    }


def test_without_redis_the_page_is_503_without_a_notice(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet
) -> None:
    with running(Server(tmp_path / "redis")) as server:
        app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
        person, services = Visitor(app), app.extensions["sessions_core"]
        person.sign_in(wallet)
        live = services.lifecycle.start(parse(wallet.account()), services.policy.standard)
        token = person.token("/session")
        assert notice(person)
        server.stop()
        page = person.get("/session")
        answer = person.post(f"/sessions/{live.record.handle}/recognise", data={"csrf_token": token})
        assert (page.status_code, answer.status_code) == (503, 503)
        assert "elsewhere-what" not in page.get_data(as_text=True)


def test_shortened_address_is_shown_in_the_notice(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_SHORTEN_IP=True)
    person, other = Visitor(app), Visitor(app)
    person.sign_in(wallet)
    other.sign_in(wallet)
    assert "127.0.0.0/24" in str(notice(person))
    assert "127.0.0.1" not in person.get("/session").get_data(as_text=True)
