"""What an administrator decided about an account: nothing by default, and a verification ends to the millisecond."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from flask import Flask
from redis import Redis

from sessions_core import events, requires
from sessions_core.parts.roles.account_status import MEMBER, UNKNOWN, StoredStatus
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...part_services import roles_of


def test_account_without_a_decision_is_unverified_member() -> None:
    assert UNKNOWN == StoredStatus() == StoredStatus(role=MEMBER)
    assert (UNKNOWN.role, UNKNOWN.professional_id, UNKNOWN.verification_level) == ("member", "", "")
    assert not UNKNOWN.verified(0)


@pytest.mark.parametrize(
    ("level", "until", "now", "verified"),
    [
        ("full", 1000, 999, True),
        ("full", 1000, 1000, False),
        ("full", 1000, 1001, False),
        ("full", 0, 0, False),
        ("full", 0, -1, True),
        ("", 1000, 0, False),
    ],
)
def test_a_verification_holds_until_its_end_and_not_at_it(level: str, until: int, now: int, verified: bool) -> None:
    standing = StoredStatus(verification_level=level, verified_until=until, professional_id="lic_7")
    assert standing.verified(now) is verified


def test_professional_id_alone_is_no_verification() -> None:
    assert not StoredStatus(professional_id="lic_7", verified_until=10**15).verified(0)


def test_account_status_is_immutable() -> None:
    with pytest.raises(AttributeError):
        UNKNOWN.role = "admin"  # type: ignore[misc]


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x94\xa5admin\xa0\xa0\xa1x",
        b"\x84\xa4role\xa5admin",
        msgspec.msgpack.encode(["admin", "", "", "soon"]),
        msgspec.msgpack.encode([["admin"], "", "", 0]),
    ],
)
def test_malformed_account_status_is_refused(stored: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        msgspec.msgpack.decode(stored, type=StoredStatus)


# -- In Redis: what can't be opened gives nobody a role --------------------------------------------------------------


@pytest.fixture
def office(app: Flask) -> Flask:
    app.get("/office")(requires(role="admin")(lambda: "seen"))
    return app


@pytest.mark.parametrize(
    "tamper",
    [
        lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
        lambda sealed: sealed[:-1],
        lambda sealed: b"",
        lambda sealed: b"admin",
        lambda sealed: msgspec.msgpack.encode(StoredStatus(role="admin")),
        lambda sealed: b"\x00" * len(sealed),
    ],
)
def test_corrupted_account_status_gives_no_role(
    office: Flask,
    services: Services,
    visitor: Visitor,
    wallet: Wallet,
    redis: Redis,
    happened: list[events.Event],
    tamper: Callable[[bytes], bytes],
) -> None:
    roles_of(services).assign(parse(wallet.account()), "admin")
    visitor.sign_in(wallet)
    assert visitor.get("/office").get_data(as_text=True) == "seen"
    [key] = redis.keys("*:standing")
    redis.set(key, tamper(redis.get(key)))
    assert visitor.get("/office").headers["Location"].startswith("/unauthorized?role=admin")
    assert visitor.signed_in
    assert ("session.unreadable" in [event.name for event in happened]) == bool(redis.get(key))


def test_account_status_copied_from_another_account_is_void(
    office: Flask, services: Services, visitor: Visitor, wallet: Wallet, redis: Redis
) -> None:
    roles_of(services).assign(parse(Wallet().account()), "admin")
    [admins] = redis.keys("*:standing")
    roles_of(services).assign(parse(wallet.account()), "restricted")
    [own] = set(redis.keys("*:standing")) - {admins}
    visitor.sign_in(wallet)
    redis.set(own, redis.get(admins))
    assert visitor.get("/office").headers["Location"].startswith("/unauthorized?role=admin")
