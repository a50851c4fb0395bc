"""A browser that signed in before is no news, and its cookie is worth nothing else."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask, request
from redis import Redis

from sessions_core.parts.devices import Devices
from sessions_core.parts.devices.known_browsers import MOST, SECONDS, Contents, Known, KnownBrowsers
from sessions_core.parts.devices.recent_sign_ins import DEVICE
from sessions_core.sessions.record import LoadedSession, account_tag
from sessions_core.web.services import Services

from ...actors import ApiClient, Visitor, Wallet
from ...constants import FIREFOX, REDIS_PREFIX, VALIDATE
from ...servers import Server, running
from ...snapshot import unchanged
from ...time_machine import TimeMachine

COOKIE, KEPT = "__Host-device", SECONDS * 1000
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Safari/605.1.15"
)
BROWSER = {"User-Agent": FIREFOX}


class Device(Visitor):
    """A visitor whose browser says what it is, as browsers do."""

    def __init__(self, app: Flask, agent: str = FIREFOX) -> None:
        super().__init__(app)
        self.client.environ_base["HTTP_USER_AGENT"] = agent

    @property
    def cookie(self) -> str:
        found = self.client.get_cookie(COOKIE)
        return found.value if found else ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie(COOKIE, value, secure=True)

    def again(self, wallet: Wallet) -> None:
        """Sign out, and in again."""
        self.sign_out()
        self.sign_in(wallet)


def told(visitor: Visitor) -> list[str]:
    """The handles of the sign-ins that a session is told of."""
    data = visitor.json(VALIDATE).get_json()["data"]
    return [each["session_id"] for each in data["sign_ins_elsewhere"]]


def handle_of(visitor: Visitor) -> str:
    return str(visitor.json(VALIDATE).get_json()["data"]["session_id"])


def record_of(visitor: Visitor, services: Services) -> LoadedSession:
    live = services.repository.load(visitor.session_id, "never")
    assert isinstance(live, LoadedSession)
    return live


@pytest.fixture
def known(services: Services) -> KnownBrowsers:
    return services.part(Devices).known_browsers


@pytest.fixture
def watcher(app: Flask, wallet: Wallet) -> Visitor:
    """Another session of the account, which is told of sign-ins."""
    watcher = Visitor(app)
    watcher.sign_in(wallet)
    return watcher


@pytest.fixture
def device(app: Flask) -> Device:
    return Device(app)


# -- What is news ----------------------------------------------------------------------------------------------------


def test_second_sign_in_of_a_browser_is_not_told(watcher: Visitor, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    first = told(watcher)
    assert len(first) == 1
    for _ in range(3):
        device.again(wallet)
    assert told(watcher) == first
    assert told(device) == [], "nor is it told of its own sign-in before"


def test_known_browser_is_told_of_later_sign_ins_only(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet
) -> None:
    device.sign_in(wallet)
    Device(app).sign_in(wallet)
    device.again(wallet)
    assert told(device) == []
    later = Device(app)
    later.sign_in(wallet)
    assert told(device) == [handle_of(later)]


def test_each_account_is_known_by_itself(app: Flask, device: Device, wallet: Wallet) -> None:
    other = Wallet()
    watcher = Visitor(app)
    watcher.sign_in(other)
    device.sign_in(wallet)
    device.again(other)
    assert told(watcher) == [handle_of(device)]
    device.again(wallet)
    device.again(other)
    assert len(told(watcher)) == 1


def test_signing_out_leaves_the_browser_known(app: Flask, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    value = device.cookie
    device.sign_out()
    assert device.cookie == value


def test_cookie_in_another_kind_of_browser_is_news(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet
) -> None:
    device.sign_in(wallet)
    thief = Device(app, SAFARI)
    thief.cookie = device.cookie
    thief.sign_in(wallet)
    assert told(watcher)[0] == handle_of(thief)


def test_update_and_another_address_are_no_news(app: Flask, watcher: Visitor, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    before = told(watcher)
    newer = Device(app, re.sub(r"\d+\.0", "199.0", FIREFOX))
    newer.client.environ_base["REMOTE_ADDR"] = "198.51.100.3"
    newer.cookie = device.cookie
    newer.sign_in(wallet)
    assert told(watcher) == before


def test_browser_is_forgotten_90_days_after_its_latest_sign_in(
    watcher: Visitor, device: Device, wallet: Wallet, known: KnownBrowsers
) -> None:
    tag, now = account_tag(wallet.account()), int(time.time() * 1000)
    device.cookie = known.value_of(Contents("Firefox on Linux", (Known(tag, now - 2 * KEPT, now - KEPT + 60_000),)))
    device.sign_in(wallet)
    assert told(watcher) == []
    device.sign_out()
    device.cookie = known.value_of(Contents("Firefox on Linux", (Known(tag, now - 2 * KEPT, now - KEPT),)))
    device.sign_in(wallet)
    assert told(watcher) == [handle_of(device)]


def test_program_is_always_news(app: Flask, watcher: Visitor, wallet: Wallet) -> None:
    for count in (1, 2):
        client = ApiClient(app)
        client.sign_in(wallet)
        assert len(told(watcher)) == count


# -- The cookie ------------------------------------------------------------------------------------------------------


def test_cookie_has_the_attributes_of_the_others(device: Device, wallet: Wallet) -> None:
    answer = device.attempt(wallet)
    [cookie] = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith(f"{COOKIE}=")]
    for attribute in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={SECONDS}"):
        assert attribute in cookie
    assert "Domain" not in cookie


def test_cookie_follows_the_cookie_name_of_the_application(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    visitor = Visitor(make_app(SESSIONS_CORE_COOKIE_NAME="shop"))
    answer = visitor.attempt(wallet)
    assert [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("__Host-shop-device=")]


def test_cookie_is_bounded_and_shows_no_account(device: Device, services: Services, known: KnownBrowsers) -> None:
    wallets = [Wallet() for _ in range(MOST + 2)]
    sizes = []
    for each in wallets:
        if device.signed_in:
            device.sign_out()
        device.sign_in(each)
        sizes.append(len(device.cookie))
        for shown in (each.address, each.address.lower(), account_tag(each.account()), "Firefox"):
            assert shown not in device.cookie
    assert sizes[-1] == sizes[MOST] <= 300
    now = int(time.time() * 1000)
    with device.app.test_request_context(headers={"Cookie": f"{COOKIE}={device.cookie}"}):
        found = [bool(known.since(request, each.account(), "Firefox on Linux", now)) for each in wallets]
    assert found == [False, False] + [True] * MOST


def test_two_cookies_of_one_browser_can_not_be_compared(app: Flask, wallet: Wallet) -> None:
    """Of the same account at the same time: the value is encrypted with a nonce."""
    one, two = Device(app), Device(app)
    one.sign_in(wallet)
    two.sign_in(wallet)
    assert len(one.cookie) == len(two.cookie)
    assert one.cookie[:5] == two.cookie[:5], "the id of the key"
    assert sum(a == b for a, b in zip(one.cookie[6:], two.cookie[6:], strict=True)) < 20


def test_secret_rotation_keeps_known_browsers(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet, rotated: Callable[..., Services]
) -> None:
    device.sign_in(wallet)
    before = told(watcher)
    during = rotated()
    ring = during.part(Devices).known_browsers
    with app.test_request_context(headers={"Cookie": f"{COOKIE}={device.cookie}"}):
        assert ring.since(request, wallet.account(), "Firefox on Linux", int(time.time() * 1000))
        dropped = rotated(()).part(Devices).known_browsers
        assert not dropped.since(request, wallet.account(), "Firefox on Linux", int(time.time() * 1000))
    assert told(watcher) == before


def changed(value: str) -> list[str]:
    """Forged, truncated and huge values, made from a good one."""
    middle = len(value) // 2
    swapped = "A" if value[middle] != "A" else "B"
    return [
        "",
        "x",
        value[:-1],
        value[1:],
        value[:middle],
        value + "A",
        value[:middle] + swapped + value[middle + 1 :],
        "A" * len(value),
        "A" * 8000,
        "=" * 60,
        '"' + value + '"',
        value + "==",
        "\u00e9" * 60,
        "%00" * 20,
    ]


def test_forged_cookie_counts_as_none(watcher: Visitor, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    good = device.cookie
    for count, value in enumerate(changed(good), start=2):
        device.sign_out()
        device.client.delete_cookie(COOKIE)
        device.client.set_cookie(COOKIE, "x", secure=True)
        device.client._cookies[next(key for key in device.client._cookies if key[2] == COOKIE)].value = value
        device.sign_in(wallet)
        assert len(told(watcher)) == min(count, 8), value[:80]
        assert device.cookie != value


def test_cookie_of_another_purpose_counts_as_none(
    watcher: Visitor, device: Device, wallet: Wallet, services: Services
) -> None:
    """The same secret encrypts other values, such as the note of why a session ended."""
    contents = msgspec.msgpack.encode(
        Contents("Firefox on Linux", (Known(account_tag(wallet.account()), 1, int(time.time() * 1000)),))
    )
    for ring in (services.requests, services.keys):
        device.cookie = base64.urlsafe_b64encode(ring.encrypt(contents, b"known browser")).decode().rstrip("=")
        device.sign_in(wallet)
        assert told(watcher)[0] == handle_of(device)
        device.sign_out()


def test_cookie_of_another_user_counts_for_them_only(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet
) -> None:
    """A stranger who plants their own cookie hides nothing: it does not name the victim's account."""
    stranger = Device(app)
    stranger.sign_in(Wallet())
    device.cookie = stranger.cookie
    device.sign_in(wallet)
    assert told(watcher) == [handle_of(device)]


def test_two_cookies_under_one_name_count_as_none(watcher: Visitor, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    first = device.cookie
    device.again(wallet)
    challenge = device.challenge(wallet.account())
    both = f"{COOKIE}={first}; {COOKIE}={device.cookie}; "
    others = "; ".join(f"{key[2]}={each.value}" for key, each in device.client._cookies.items() if key[2] != COOKIE)
    form = {"message": challenge["message"], "challenge": challenge["challenge"], "csrf_token": device.token()}
    form["signature"] = wallet.sign(challenge["message"])
    answer = device.app.test_client(use_cookies=False).post(
        "/sign-in",
        base_url=device.site,
        data=form,
        headers={"Cookie": both + others, "Origin": device.site, "Sec-Fetch-Site": "same-origin", **BROWSER},
    )
    assert answer.status_code == 303
    assert len(told(watcher)) == 2


def test_cookie_alone_opens_nothing(app: Flask, device: Device, wallet: Wallet, redis: Redis) -> None:
    device.sign_in(wallet)
    thief = Device(app)
    thief.cookie = device.cookie
    with unchanged(redis):
        assert thief.json(VALIDATE).status_code == 401
        assert thief.get("/sessions").status_code == 303
    assert thief.get("/sign-in").get_data(as_text=True).count(wallet.address) == 0


def test_refused_sign_in_makes_no_browser_known(watcher: Visitor, device: Device, wallet: Wallet) -> None:
    challenge = device.challenge(wallet.account())
    refused = device.attempt(wallet, challenge, signature=Wallet().sign(challenge["message"]))
    assert 400 <= refused.status_code < 500
    assert not device.cookie


# -- It was not me ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["not-me", "others", "everywhere"])
def test_doubted_account_has_no_known_browser_any_more(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet, path: str
) -> None:
    """An attacker whose first sign-in was noticed would otherwise sign in again without a notice."""
    device.sign_in(wallet)
    handle = handle_of(device)
    where = f"/sessions/{handle}/not-me" if path == "not-me" else f"/sessions/{path}"
    assert watcher.submit(where).status_code == 303
    third = Visitor(app)
    third.sign_in(wallet)
    device.sign_in(wallet)
    assert told(third) == [handle_of(device)]
    device.again(wallet)
    device.again(wallet)
    assert len(told(third)) == 1, "known again after the sign-in that was told of"


def test_not_me_ends_that_session_and_its_notice(watcher: Visitor, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    handle = handle_of(device)
    page = watcher.get("/session").get_data(as_text=True)
    assert f'href="/sessions/{handle}/not-me"' in page
    asked = watcher.get(f"/sessions/{handle}/not-me").get_data(as_text=True)
    for said in ("Firefox on Linux", "127.0.0.1", handle, "button--danger"):
        assert said in asked
    assert device.signed_in, "asking ends nothing"
    answer = watcher.submit(f"/sessions/{handle}/not-me")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sessions")
    assert not device.signed_in
    assert told(watcher) == []
    assert 'data-message="not_me"' in watcher.get("/sessions").get_data(as_text=True)


def test_not_me_twice_is_fine(app: Flask, watcher: Visitor, device: Device, wallet: Wallet) -> None:
    """From two tabs, or after Back: the second page says that the device is signed out already."""
    device.sign_in(wallet)
    path = f"/sessions/{handle_of(device)}/not-me"
    for said in ("not_me", "not_me_gone", "not_me_gone"):
        assert watcher.submit(path).status_code == 303
        assert f'data-message="{said}"' in watcher.get("/sessions").get_data(as_text=True)
        assert 'data-alive="false"' in watcher.get(path).get_data(as_text=True)


def test_not_me_of_a_session_that_has_signed_out(watcher: Visitor, device: Device, wallet: Wallet) -> None:
    device.sign_in(wallet)
    handle = handle_of(device)
    device.sign_out()
    assert told(watcher) == [handle]
    page = watcher.get(f"/sessions/{handle}/not-me").get_data(as_text=True)
    assert 'data-alive="false"' in page
    assert "Firefox on Linux" in page
    assert watcher.submit(f"/sessions/{handle}/not-me").status_code == 303
    assert told(watcher) == []


def test_not_me_works_when_only_the_notice_is_left(
    watcher: Visitor, device: Device, wallet: Wallet, redis: Redis
) -> None:
    """Redis forgets ended sessions sooner than the notice, where an account has many."""
    device.sign_in(wallet)
    handle = handle_of(device)
    device.sign_out()
    index = f"{REDIS_PREFIX}{{{account_tag(wallet.account())}}}:index"
    for digest, entry in redis.hgetall(index).items():
        if entry.startswith(handle.encode()):
            redis.hdel(index, digest)
    assert 'data-alive="false"' in watcher.get(f"/sessions/{handle}/not-me").get_data(as_text=True)
    assert watcher.submit(f"/sessions/{handle}/not-me").status_code == 303
    assert told(watcher) == []
    assert watcher.get(f"/sessions/{handle}/not-me").status_code == 404
    assert watcher.submit(f"/sessions/{handle}/not-me").status_code == 404


def test_not_me_takes_a_signature_like_ending_a_session(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet, pass_time: TimeMachine, redis: Redis
) -> None:
    pass_time(400)
    device.sign_in(wallet)
    handle = handle_of(device)
    asked = watcher.submit(f"/sessions/{handle}/not-me")
    assert "/confirm?" in asked.headers["Location"]
    assert watcher.waiting(asked).sentence.endswith(f" ({handle[:9]}).")
    assert device.signed_in
    assert told(watcher) == [handle]
    assert not redis.exists(f"{REDIS_PREFIX}{{{account_tag(wallet.account())}}}:doubt")
    assert watcher.confirm(wallet, asked).status_code == 303
    assert not device.signed_in
    assert told(watcher) == []


def test_foreign_session_is_not_doubted(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet, redis: Redis
) -> None:
    device.sign_in(Wallet())
    with unchanged(redis):
        for handle in (handle_of(device), handle_of(watcher), "sess_0123456789abcdef"):
            assert watcher.get(f"/sessions/{handle}/not-me").status_code == 404
            assert watcher.submit(f"/sessions/{handle}/not-me").status_code == 404
    assert device.signed_in


def test_not_me_needs_a_csrf_token_and_a_session(
    app: Flask, watcher: Visitor, device: Device, wallet: Wallet, redis: Redis
) -> None:
    device.sign_in(wallet)
    path = f"/sessions/{handle_of(device)}/not-me"
    with unchanged(redis):
        assert watcher.post(path).status_code == 400
        assert watcher.post(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert Visitor(app).get(path).status_code == 303
    assert device.signed_in


def test_without_redis_nothing_is_doubted_or_known(
    make_app: Callable[..., Flask], tmp_path: Path, wallet: Wallet
) -> None:
    with running(Server(tmp_path / "redis")) as server:
        app = make_app(SESSIONS_CORE_REDIS_URL=server.url, SESSIONS_CORE_REDIS_TIMEOUT_MS=250)
        watcher, device = Visitor(app), Device(app)
        watcher.sign_in(wallet)
        device.sign_in(wallet)
        path, token = f"/sessions/{handle_of(device)}/not-me", watcher.token("/session")
        challenge, before = device.challenge(wallet.account()), device.cookie
        form = {"message": challenge["message"], "challenge": challenge["challenge"], "csrf_token": device.token()}
        server.stop()
        form["signature"] = wallet.sign(challenge["message"])
        assert watcher.get(path).status_code == 503
        assert watcher.post(path, data={"csrf_token": token}).status_code == 503
        assert device.post("/sign-in", data=form).status_code == 503
        assert device.cookie == before


# -- What it costs, and what the list shows --------------------------------------------------------------------------


def test_list_marks_a_new_browser_for_a_day(
    make_app: Callable[..., Flask], wallet: Wallet, redis: Redis, clock: Any
) -> None:
    day = 86_400
    app = make_app(SESSIONS_CORE_ABSOLUTE_SECONDS=7 * day, SESSIONS_CORE_IDLE_SECONDS=2 * day)
    pass_time, watcher, device = TimeMachine(app, redis, clock), Visitor(app), Device(app)
    watcher.sign_in(wallet)
    device.sign_in(wallet)

    def marks(visitor: Visitor) -> int:
        return visitor.get("/sessions").get_data(as_text=True).count('data-testid="session-new-device"')

    assert marks(watcher) == 1, "not at this device, which is new as well"
    device.again(wallet)
    assert marks(watcher) == 1, "known, and new today"
    pass_time(day - 60)
    assert marks(watcher) == 1
    pass_time(120)
    assert marks(watcher) == 0


def test_known_browser_keeps_its_first_day_through_sign_ins(
    device: Device, wallet: Wallet, services: Services
) -> None:
    device.sign_in(wallet)
    assert DEVICE.of(record_of(device, services).record).known_since == 0
    first = record_of(device, services).record.created_at
    for _ in range(2):
        device.again(wallet)
        assert DEVICE.of(record_of(device, services).record).known_since == first
