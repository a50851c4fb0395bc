"""Who has which role, who is verified, and who signed in lately: decided once, for all processes, and never in the
clear.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.parts.roles import roles
from sessions_core.parts.roles.account_status import Standing
from sessions_core.parts.roles.roles import Directory, Member
from sessions_core.sign_in import accounts
from sessions_core.web.services import Services

from .actors import Visitor, Wallet, together
from .constants import ALICE_ACCOUNT as ALICE
from .constants import ANOTHER, DAY
from .constants import BOB_ACCOUNT as BOB
from .servers import Server, running
from .stored import everything
from .time_machine import TimeMachine


@pytest.fixture
def people(services: Services) -> Directory:
    return services.directory


def some_account(number: int) -> str:
    return f"eip155:1:{checksum_address(f'0x{number:040x}')}"


# -- Roles -------------------------------------------------------------------------------------------------------


def test_account_without_a_decision_is_a_member(people: Directory, redis: Redis) -> None:
    """Nothing is stored for it."""
    assert people.standing(ALICE) == Standing() == Standing(role="member")
    assert people.decided() == []
    assert redis.keys("*") == []


def test_role_change_is_announced_once(people: Directory, happened: list[events.Event]) -> None:
    assert people.appoint(ALICE, "admin") is True
    assert people.appoint(ALICE, "admin", by=str(BOB)) is False
    assert people.standing(ALICE).role == "admin"
    assert people.dismiss(ALICE, by=str(BOB)) is True
    assert people.dismiss(ALICE) is False
    assert people.standing(ALICE) == Standing()
    assert happened == [
        events.RoleChanged(account=str(ALICE), before="member", after="admin", by=""),
        events.RoleChanged(account=str(ALICE), before="admin", after="member", by=str(BOB)),
    ]


def test_a_role_is_of_one_account_on_one_network(people: Directory) -> None:
    people.appoint(ALICE, "admin")
    assert people.standing(BOB).role == "member"
    assert people.standing(accounts.parse(f"eip155:10:{ALICE.address}")).role == "member"


def test_a_role_that_was_taken_is_in_no_list(people: Directory) -> None:
    people.appoint(ALICE, "admin")
    people.appoint(BOB, "restricted")
    people.dismiss(ALICE)
    assert people.decided() == [Member(str(BOB), Standing(role="restricted"), 0)]


def test_a_role_holds_from_the_next_request_on(app: Flask, people: Directory, wallet: Wallet) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    account = accounts.parse(wallet.account())
    roles = []
    for role in ("admin", "restricted", "member"):
        people.appoint(account, role)
        roles.append(visitor.json("/api/auth/sessions/validate").get_json()["data"]["role"])
    assert roles == ["admin", "restricted", "member"]


# -- Verification ------------------------------------------------------------------------------------------------


def test_a_verification_holds_for_its_days_by_the_clock_of_redis(
    people: Directory, services: Services, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    standing = people.verify(ALICE, "lic_1", "licensed", 30, by=str(BOB))
    now = services.repository.time()
    assert standing == people.standing(ALICE)
    assert (standing.professional_id, standing.verification_level) == ("lic_1", "licensed")
    assert abs(standing.verified_until - now - 30 * DAY * 1000) < 1000
    [told] = happened
    assert told == events.VerificationChanged(
        account=str(ALICE), level="licensed", until=standing.verified_until, by=str(BOB)
    )
    pass_time(30 * DAY - 60)
    assert people.standing(ALICE).verified(services.repository.time())
    pass_time(120)
    assert not people.standing(ALICE).verified(services.repository.time())
    assert len(people.decided()) == 1, "administrators see that it has lapsed"


def test_role_and_verification_are_independent(people: Directory) -> None:
    people.verify(ALICE, "lic_1", "licensed", 30)
    people.appoint(ALICE, "admin")
    assert people.withdraw(ALICE) is True
    assert people.standing(ALICE) == Standing(role="admin")
    people.verify(ALICE, "lic_2", "supervisor", 1)
    people.dismiss(ALICE)
    assert people.standing(ALICE).professional_id == "lic_2"


def test_revoked_verification_is_announced_only_if_it_existed(
    people: Directory, happened: list[events.Event]
) -> None:
    assert people.withdraw(ALICE) is False
    assert happened == []
    people.verify(ALICE, "lic_1", "licensed", 1)
    happened.clear()
    assert people.withdraw(ALICE, by=str(BOB)) is True
    assert happened == [events.VerificationChanged(account=str(ALICE), level="", until=0, by=str(BOB))]
    assert people.decided() == []


def test_concurrent_decisions_do_not_undo_each_other(people: Directory, happened: list[events.Event]) -> None:
    """One administrator assigns a role while another verifies the account."""
    for number in range(30):
        account = accounts.parse(some_account(number))
        together(
            lambda account=account: people.appoint(account, "restricted"),  # type: ignore[misc]
            lambda account=account: people.verify(account, "lic_1", "licensed", 30),  # type: ignore[misc]
        )
        standing = people.standing(account)
        assert (standing.role, standing.professional_id) == ("restricted", "lic_1")
    assert len(happened) == 60


def test_concurrent_equal_role_changes_count_once(people: Directory, happened: list[events.Event]) -> None:
    for number in range(20):
        account = accounts.parse(some_account(number))
        changed = together(*[lambda account=account: people.appoint(account, "admin")] * 8)  # type: ignore[misc]
        assert sorted(changed) == [False] * 7 + [True]
    assert len(happened) == 20


# -- Who signed in lately ----------------------------------------------------------------------------------------


def test_the_latest_sign_ins_come_first_each_account_once(app: Flask, services: Services) -> None:
    wallets = [Wallet() for _ in range(3)]
    for wallet in (*wallets, wallets[0]):
        Visitor(app).sign_in(wallet)
    found = services.directory.seen()
    assert [member.account for member in found] == [wallets[n].account() for n in (0, 2, 1)]
    now = services.repository.time()
    assert all(now - 20_000 < member.seen_at <= now for member in found)
    assert [member.account for member in services.directory.seen(1, 1)] == [wallets[2].account()]
    assert services.directory.seen(3) == []


def test_seen_account_comes_with_its_status(people: Directory) -> None:
    people.saw(str(ALICE))
    people.appoint(ALICE, "admin")
    people.appoint(BOB, "restricted")
    [member] = people.seen()
    assert (member.account, member.standing.role) == (str(ALICE), "admin")
    decided = {each.account: each.seen_at for each in people.decided()}
    assert decided == {str(ALICE): member.seen_at, str(BOB): 0}


def test_fresh_accounts_which_cost_nothing_do_not_fill_redis(
    people: Directory, services: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "_MOST_SEEN", 5)
    for number in range(12):
        people.saw(some_account(number))
        now = services.repository.time()
        while services.repository.time() == now:
            pass  # of two in one millisecond either may be the later
    assert [member.account for member in people.seen()] == [some_account(number) for number in range(11, 6, -1)]
    assert redis.zcard("wallet:{directory}:seen") == redis.hlen("wallet:{directory}:names") == 5


def test_a_sign_in_that_can_not_be_noted_is_none_the_worse(
    make_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(Server(tmp_path / "redis")) as server:
        people: Directory = make_app(SESSIONS_CORE_REDIS_URL=server.url).extensions["wallet_sessions"].directory
        server.stop()
        caplog.set_level(logging.WARNING)
        people.saw(str(ALICE))
        assert "could not note a sign-in" in caplog.text
        assert ALICE.address not in caplog.text
        for ask in (people.decided, people.seen, people.reencrypt, lambda: people.standing(ALICE)):
            with pytest.raises(StoreUnavailable):
                ask()
        with pytest.raises(StoreUnavailable):
            people.appoint(ALICE, "admin")


# -- Who reads and who writes Redis ------------------------------------------------------------------------------


def test_redis_shows_neither_accounts_nor_roles(people: Directory, redis: Redis) -> None:
    people.saw(str(ALICE))
    people.appoint(ALICE, "admin")
    people.verify(BOB, "lic_secret", "licensed", 30)
    redis.delete("wallet:{directory}:seen")  # a sorted set, of tags
    found = everything(redis).lower()
    for text in (ALICE.address, BOB.address, "admin", "lic_secret", "licensed"):
        assert text.lower().encode() not in found


def test_account_status_can_not_be_copied_to_another_account(
    people: Directory, redis: Redis, happened: list[events.Event]
) -> None:
    people.appoint(ALICE, "admin")
    people.appoint(BOB, "restricted")
    mine, yours = (next(iter(redis.keys(f"*{roles.account_tag(str(each))}*:standing"))) for each in (ALICE, BOB))
    redis.copy(mine, yours, replace=True)
    happened.clear()
    assert people.standing(BOB) == Standing()
    assert happened == [events.RecordUnreadable(key=yours.decode())]


def test_an_entry_that_was_made_up_is_left_out(
    people: Directory, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    people.appoint(ALICE, "admin")
    people.saw(str(ALICE))
    for key in ("decided", "names"):
        redis.hset(f"wallet:{{directory}}:{key}", "made up", b"\xff" * 60)
    redis.zadd("wallet:{directory}:seen", {"made up": 2**50, "without a name": 2**50})
    assert [member.account for member in people.decided()] == [str(ALICE)]
    assert [member.account for member in people.seen()] == [str(ALICE)]
    assert people.reencrypt() == 0
    assert "can't be opened" in caplog.text


# -- A new secret ------------------------------------------------------------------------------------------------


def test_secret_rotation_keeps_every_account_status(people: Directory, rotated: Callable[..., Services]) -> None:
    """Once all is encrypted again, the old secret can be dropped."""
    people.saw(str(ALICE))
    people.appoint(ALICE, "admin")
    people.verify(BOB, "lic_1", "licensed", 30)
    expected = sorted(people.decided(), key=lambda member: member.account)
    during = rotated().directory
    assert sorted(during.decided(), key=lambda member: member.account) == expected
    assert during.reencrypt() == 5, "two that were decided, their standings, and one name"
    assert during.reencrypt() == 0
    after = rotated(()).directory
    assert sorted(after.decided(), key=lambda member: member.account) == expected
    assert [member.account for member in after.seen()] == [str(ALICE)]


def test_roles_are_lost_if_not_encrypted_again(people: Directory, rotated: Callable[..., Services]) -> None:
    people.appoint(ALICE, "admin")
    assert rotated(()).directory.decided() == []
    assert rotated(()).directory.standing(ALICE) == Standing()


def test_encrypting_with_a_wrong_secret_destroys_nothing(
    people: Directory, rotated: Callable[..., Services], redis: Redis
) -> None:
    people.appoint(ALICE, "admin")
    people.saw(str(ALICE))
    before = {key: redis.dump(key) for key in redis.keys("*")}
    assert rotated(()).directory.reencrypt() == 0
    assert {key: redis.dump(key) for key in redis.keys("*")} == before
    # As after a crash between the two: the entry can be opened, the standing can't yet.
    during = rotated().directory
    redis.hset("wallet:{directory}:decided", roles.account_tag(str(ALICE)), during._sealed(str(ALICE)))
    assert rotated(()).directory.reencrypt() == 0
    assert people.standing(ALICE).role == "admin"


def test_account_encrypted_with_a_dropped_secret_is_seen_again(
    people: Directory, rotated: Callable[..., Services]
) -> None:
    """It is listed again after its next sign-in."""
    people.saw(str(ALICE))
    after = rotated(()).directory
    assert after.seen() == []
    after.saw(str(ALICE))
    assert [member.account for member in after.seen()] == [str(ALICE)]


def test_role_assigned_during_re_encryption_is_kept(people: Directory, rotated: Callable[..., Services]) -> None:
    during = rotated().directory
    for number in range(30):
        account = accounts.parse(some_account(number))
        people.verify(account, "lic_1", "licensed", 30)
        together(during.reencrypt, lambda account=account: during.appoint(account, "admin"))  # type: ignore[misc]
        standing = rotated(()).directory.standing(account) if number % 10 == 0 else during.standing(account)
        assert (standing.role, standing.professional_id) == ("admin", "lic_1")


# -- Cluster and Sentinel ----------------------------------------------------------------------------------------


def test_roles_work_on_cluster_and_sentinel(
    other_url: str, make_app: Callable[..., Flask], overrides: dict[str, Any]
) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=other_url)
    people: Directory = app.extensions["wallet_sessions"].directory
    people.saw(str(BOB))
    people.appoint(ALICE, "admin")
    people.verify(BOB, "lic_1", "licensed", 30)
    assert {member.account: member.standing.role for member in people.decided()} == {
        str(ALICE): "admin",
        str(BOB): "member",
    }
    assert [member.account for member in people.seen()] == [str(BOB)]
    settings = {"SECRET_KEY": ANOTHER, "SECRET_KEY_FALLBACKS": [overrides["SECRET_KEY"]]}
    rotated = make_app(SESSIONS_CORE_REDIS_URL=other_url, **settings).extensions["wallet_sessions"].directory
    assert rotated.reencrypt() == 5
    assert rotated.reencrypt() == 0
