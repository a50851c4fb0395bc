"""A session as it is shown: clocks as times, and no id nor secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from flask import Flask

from sessions_core import current_session
from sessions_core.sign_in.accounts import Account
from sessions_core.web.session_view import clock, duration, iso

from ..actors import ORIGIN, SESSION_COOKIE, Visitor, Wallet
from ..time_machine import TimeMachine


def shown(app: Flask, visitor: Visitor, look: Callable[[Any], Any]) -> Any:
    """What a view sees in `current_session`."""
    headers = {"Cookie": f"{SESSION_COOKIE}={visitor.session_id}"}
    with app.test_request_context("/api/auth/sessions/validate", base_url=ORIGIN, headers=headers):
        app.preprocess_request()
        return look(current_session)


def test_view_matches_the_signed_in_account(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    address, chain, network, kind, role, remember = shown(
        app,
        visitor,
        lambda s: (s.address, (s.chain_id, s.chain_name), s.network, s.type, s.role, s.remember),
    )
    assert address == wallet.address
    assert chain == ("eip155:1", "Ethereum Mainnet")
    assert (network, kind, role, remember) == ("mainnet", "standard", "member", False)


def test_the_clocks_agree_with_each_other(
    app: Flask, visitor: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    visitor.sign_in(wallet)
    pass_time(600)
    now, created, active, idle, absolute, lengths = shown(
        app,
        visitor,
        lambda s: (
            s.now,
            s.created_at,
            s.last_active,
            s.idle_expires_at,
            s.absolute_expires_at,
            (s.idle_seconds, s.absolute_seconds),
        ),
    )
    assert lengths == (1800, 43_200)
    second = timedelta(seconds=1)
    assert abs(now - created - timedelta(seconds=600)) < second
    assert abs(active - created) < second
    assert abs(idle - created - timedelta(seconds=1800)) < second
    assert absolute - created == timedelta(seconds=43_200)
    assert {moment.tzinfo for moment in (now, created, active, idle, absolute)} == {UTC}


def test_the_idle_end_is_never_shown_past_the_absolute_one(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_IDLE_SECONDS=600, SESSIONS_CORE_ABSOLUTE_SECONDS=600)
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    idle, absolute = shown(app, visitor, lambda s: (s.idle_expires_at, s.absolute_expires_at))
    assert idle <= absolute


def test_network_is_the_signed_one_or_unsupported(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """It becomes `unsupported` once the site drops the chain."""
    visitor = Visitor(make_app())
    visitor.attempt(wallet, visitor.challenge(wallet.account("eip155:11155111")))
    answer = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert answer["network"] == "testnet"
    assert "test-only" in answer["permissions"]
    assert not {"transact", "sign"} & set(answer["permissions"])
    narrower = Visitor(make_app(SESSIONS_CORE_CHAINS=("eip155:1",)))
    narrower.session_id = visitor.session_id
    answer = narrower.json("/api/auth/sessions/validate").get_json()["data"]
    assert answer["network"] == "unsupported"
    assert not {"test-only", "transact", "sign"} & set(answer["permissions"])


def test_a_role_is_asked_anew_on_each_request(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    roles = iter(["member", "member", "admin"])
    asked: list[Account] = []

    def role_for(account: Account) -> str:
        asked.append(account)
        return next(roles)

    visitor = Visitor(make_app({"role_for": role_for}))
    visitor.sign_in(wallet)
    seen = [visitor.json("/api/auth/sessions/validate").get_json()["data"]["role"] for _ in range(2)]
    assert seen == ["member", "admin"]
    assert [str(account) for account in asked] == [wallet.account()] * 3  # at the sign-in too


def test_json_view_has_no_id_and_no_secret(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    session_id = visitor.sign_in(wallet)
    data, csrf = shown(app, visitor, lambda s: (msgspec.to_builtins(s.as_state()), s.live.record.data["csrf_token"]))
    text = json.dumps(data)
    assert session_id not in text
    assert session_id[:12] not in text
    assert csrf not in text
    assert data["session_id"].startswith("sess_")
    assert set(data) == {
        "valid",
        "session_id",
        "user_id",
        "account",
        "accounts",
        "session_type",
        "network",
        "role",
        "permissions",
        "now",
        "expires_at",
        "time_remaining",
        "idle_expires_at",
        "absolute_expires_at",
        "warn_seconds",
        "absolute_warn_seconds",
        "sign_ins_elsewhere",
        "live_state",
    }


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 31, 12, 0, tzinfo=UTC), "2026-01-31T12:00:00.000Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=UTC), "2026-01-31T12:00:00.999Z"),
        (datetime(2026, 1, 31, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-30T23:00:00.000Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert iso(moment) == text


def test_the_time_of_day_is_in_utc() -> None:
    assert clock(datetime(2026, 1, 31, 1, 5, tzinfo=timezone(timedelta(hours=2)))) == "23:05 UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (20, "20 seconds"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (1800, "30 minutes"),
        (5400, "90 minutes"),
        (3600, "1 hour"),
        (43_200, "12 hours"),
        (86_400, "1 day"),
        (2_592_000, "30 days"),
    ],
)
def test_a_length_of_time_reads_well(seconds: int, text: str) -> None:
    assert duration(seconds) == text
