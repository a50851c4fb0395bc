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
from sessions_core.parts.roles.account_status import StoredStatus
from sessions_core.parts.roles.events import RoleChanged, VerificationChanged
from sessions_core.parts.roles.roles import AccountRoles, Member
from sessions_core.sign_in import accounts
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet, together
from ...constants import ALICE_ACCOUNT as ALICE
from ...constants import ANOTHER, DAY, REDIS_PREFIX
from ...constants import BOB_ACCOUNT as BOB
from ...part_services import roles_of
from ...servers import Server, running
from ...stored import everything, round_trips
from ...time_machine import TimeMachine


@pytest.fixture
def people(services: Services) -> AccountRoles:
    return roles_of(services)


def some_account(number: int) -> str:
    return f"eip155:1:{checksum_address(f'0x{number:040x}')}"


# -- Roles -------------------------------------------------------------------------------------------------------


def test_account_without_a_decision_is_a_member(people: AccountRoles, redis: Redis) -> None:
    """Nothing is stored for it."""
    assert people.status(ALICE) == StoredStatus() == StoredStatus(role="member")
    assert people.decided() == []
    assert redis.keys("*") == []


def test_role_change_is_announced_once(people: AccountRoles, happened: list[events.Event]) -> None:
    assert people.assign(ALICE, "admin") is True
    assert people.assign(ALICE, "admin", by=str(BOB)) is False
    assert people.status(ALICE).role == "admin"
    assert people.assign(ALICE, "member", by=str(BOB)) is True
    assert people.assign(ALICE, "member") is False
    assert people.status(ALICE) == StoredStatus()
    assert happened == [
        RoleChanged(account=str(ALICE), before="member", after="admin", by=""),
        RoleChanged(account=str(ALICE), before="admin", after="member", by=str(BOB)),
    ]


def test_a_role_is_of_one_account_on_one_network(people: AccountRoles) -> None:
    people.assign(ALICE, "admin")
    assert people.status(BOB).role == "member"
    assert people.status(accounts.parse(f"eip155:10:{ALICE.address}")).role == "member"


def test_a_role_that_was_taken_is_in_no_list(people: AccountRoles) -> None:
    people.assign(ALICE, "admin")
    people.assign(BOB, "restricted")
    people.assign(ALICE, "member")
    assert people.decided() == [Member(str(BOB), StoredStatus(role="restricted"), 0)]


def test_a_role_holds_from_the_next_request_on(app: Flask, people: AccountRoles, wallet: Wallet) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    account = accounts.parse(wallet.account())
    roles = []
    for role in ("admin", "restricted", "member"):
        people.assign(account, role)
        roles.append(visitor.json("/api/auth/sessions/validate").get_json()["data"]["role"])
    assert roles == ["admin", "restricted", "member"]


# -- Verification ------------------------------------------------------------------------------------------------


def test_a_verification_holds_for_its_days_by_the_clock_of_redis(
    people: AccountRoles, services: Services, pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    standing = people.verify(ALICE, "lic_1", "licensed", 30, by=str(BOB))
    now = services.repository.time()
    assert standing == people.status(ALICE)
    assert (standing.professional_id, standing.verification_level) == ("lic_1", "licensed")
    assert abs(standing.verified_until - now - 30 * DAY * 1000) < 1000
    [told] = happened
    assert told == VerificationChanged(
        account=str(ALICE), level="licensed", until=standing.verified_until, by=str(BOB)
    )
    pass_time(30 * DAY - 60)
    assert people.status(ALICE).verified(services.repository.time())
    pass_time(120)
    assert not people.status(ALICE).verified(services.repository.time())
    assert len(people.decided()) == 1, "administrators see that it has lapsed"


def test_role_and_verification_are_independent(people: AccountRoles) -> None:
    people.verify(ALICE, "lic_1", "licensed", 30)
    people.assign(ALICE, "admin")
    assert people.revoke_verification(ALICE) is True
    assert people.status(ALICE) == StoredStatus(role="admin")
    people.verify(ALICE, "lic_2", "supervisor", 1)
    people.assign(ALICE, "member")
    assert people.status(ALICE).professional_id == "lic_2"


def test_revoked_verification_is_announced_only_if_it_existed(
    people: AccountRoles, happened: list[events.Event]
) -> None:
    assert people.revoke_verification(ALICE) is False
    assert happened == []
    people.verify(ALICE, "lic_1", "licensed", 1)
    happened.clear()
    assert people.revoke_verification(ALICE, by=str(BOB)) is True
    assert happened == [VerificationChanged(account=str(ALICE), level="", until=0, by=str(BOB))]
    assert people.decided() == []


def test_concurrent_decisions_do_not_undo_each_other(people: AccountRoles, happened: list[events.Event]) -> None:
    """One administrator assigns a role while another verifies the account."""
    for number in range(30):
        account = accounts.parse(some_account(number))
        together(
            lambda account=account: people.assign(account, "restricted"),  # type: ignore[misc]
            lambda account=account: people.verify(account, "lic_1", "licensed", 30),  # type: ignore[misc]
        )
        standing = people.status(account)
        assert (standing.role, standing.professional_id) == ("restricted", "lic_1")
    assert len(happened) == 60


def test_concurrent_equal_role_changes_count_once(people: AccountRoles, happened: list[events.Event]) -> None:
    for number in range(20):
        account = accounts.parse(some_account(number))
        changed = together(*[lambda account=account: people.assign(account, "admin")] * 8)  # type: ignore[misc]
        assert sorted(changed) == [False] * 7 + [True]
    assert len(happened) == 20


# -- Who signed in lately ----------------------------------------------------------------------------------------


def test_the_latest_sign_ins_come_first_each_account_once(app: Flask, services: Services) -> None:
    wallets = [Wallet() for _ in range(3)]
    for wallet in (*wallets, wallets[0]):
        Visitor(app).sign_in(wallet)
    found = roles_of(services).seen()
    assert [member.account for member in found] == [wallets[n].account() for n in (0, 2, 1)]
    now = services.repository.time()
    assert all(now - 20_000 < member.seen_at <= now for member in found)
    assert [member.account for member in roles_of(services).seen(1, 1)] == [wallets[2].account()]
    assert roles_of(services).seen(3) == []


def test_seen_account_comes_with_its_status(people: AccountRoles) -> None:
    people.note_sign_in(str(ALICE))
    people.assign(ALICE, "admin")
    people.assign(BOB, "restricted")
    [member] = people.seen()
    assert (member.account, member.status.role) == (str(ALICE), "admin")
    decided = {each.account: each.seen_at for each in people.decided()}
    assert decided == {str(ALICE): member.seen_at, str(BOB): 0}


def test_fresh_accounts_which_cost_nothing_do_not_fill_redis(
    people: AccountRoles, services: Services, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "_MOST_SEEN", 5)
    for number in range(12):
        people.note_sign_in(some_account(number))
        now = services.repository.time()
        while services.repository.time() == now:
            pass  # of two in one millisecond either may be the later
    assert [member.account for member in people.seen()] == [some_account(number) for number in range(11, 6, -1)]
    assert redis.zcard(f"{REDIS_PREFIX}{{directory}}:seen") == redis.hlen(f"{REDIS_PREFIX}{{directory}}:names") == 5


def test_a_sign_in_that_can_not_be_noted_is_none_the_worse(
    make_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(Server(tmp_path / "redis")) as server:
        people: AccountRoles = roles_of(make_app(SESSIONS_CORE_REDIS_URL=server.url).extensions["sessions_core"])
        server.stop()
        caplog.set_level(logging.WARNING)
        people.note_sign_in(str(ALICE))
        assert "a sign-in could not be noted" in caplog.text
        assert ALICE.address not in caplog.text
        for ask in (people.decided, people.seen, people.reencrypt, lambda: people.status(ALICE)):
            with pytest.raises(StoreUnavailable):
                ask()
        with pytest.raises(StoreUnavailable):
            people.assign(ALICE, "admin")


# -- Who reads and who writes Redis ------------------------------------------------------------------------------


def test_redis_shows_neither_accounts_nor_roles(people: AccountRoles, redis: Redis) -> None:
    people.note_sign_in(str(ALICE))
    people.assign(ALICE, "admin")
    people.verify(BOB, "lic_secret", "licensed", 30)
    redis.delete(*(f"{REDIS_PREFIX}{{directory}}:{name}" for name in ("seen", "changed")))  # sorted sets, of tags
    found = everything(redis).lower()
    for text in (ALICE.address, BOB.address, "admin", "lic_secret", "licensed"):
        assert text.lower().encode() not in found


def test_account_status_can_not_be_copied_to_another_account(
    people: AccountRoles, redis: Redis, happened: list[events.Event]
) -> None:
    people.assign(ALICE, "admin")
    people.assign(BOB, "restricted")
    mine, yours = (next(iter(redis.keys(f"*{roles.account_tag(str(each))}*:standing"))) for each in (ALICE, BOB))
    redis.copy(mine, yours, replace=True)
    happened.clear()
    assert people.status(BOB) == StoredStatus()
    assert happened == [events.RecordUnreadable(key=yours.decode())]


def test_an_entry_that_was_made_up_is_left_out(
    people: AccountRoles, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    people.assign(ALICE, "admin")
    people.note_sign_in(str(ALICE))
    for key in ("decided", "names"):
        redis.hset(f"{REDIS_PREFIX}{{directory}}:{key}", "made up", b"\xff" * 60)
    redis.zadd(f"{REDIS_PREFIX}{{directory}}:seen", {"made up": 2**50, "without a name": 2**50})
    assert [member.account for member in people.decided()] == [str(ALICE)]
    assert [member.account for member in people.seen()] == [str(ALICE)]
    assert people.reencrypt() == 0
    assert "can't be opened" in caplog.text


def test_directory_comes_in_pages(people: AccountRoles, pass_time: TimeMachine) -> None:
    """The latest decision comes first, as the latest sign-in does."""
    for number in range(7):
        pass_time(1)
        people.assign(accounts.parse(some_account(number)), "restricted")
        people.note_sign_in(some_account(number + 100))
    first, second = people.page(4), people.page(4, 4, 4)
    assert [member.account for member in second.decided] == [some_account(number) for number in (2, 1, 0)]
    assert [member.account for member in second.seen] == [some_account(number) for number in (102, 101, 100)]
    assert [member.account for member in first.decided] == [some_account(number) for number in (6, 5, 4, 3)]
    assert (first.all_decided, first.all_seen) == (7, 7)
    assert people.page(4, 8, 8).decided == people.page(4, 8, 8).seen == []


def test_decisions_of_earlier_versions_are_listed(people: AccountRoles, redis: Redis) -> None:
    """They are in no order yet, and come last."""
    people.assign(ALICE, "admin")
    redis.delete(f"{REDIS_PREFIX}{{directory}}:changed")
    people.assign(BOB, "restricted")
    assert [member.account for member in people.page(10).decided] == [str(BOB), str(ALICE)]
    assert redis.zcard(f"{REDIS_PREFIX}{{directory}}:changed") == 2


def test_pages_of_the_directory_cost_two_round_trips(
    people: AccountRoles, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        people.verify(accounts.parse(some_account(number)), "lic_1", "licensed", 30)
        people.note_sign_in(some_account(number))
    people.page(25)  # and Redis knows the script now
    exchanges = round_trips(services.connection, monkeypatch)
    assert len(people.page(25).decided) == 25
    assert len(exchanges) == 2
    exchanges.clear()
    assert len(people.decided()) == 60
    assert len(exchanges) <= 3, "all of them in one page of the hash"


# -- A new secret ------------------------------------------------------------------------------------------------


def test_secret_rotation_keeps_every_account_status(people: AccountRoles, rotated: Callable[..., Services]) -> None:
    """Once all is encrypted again, the old secret can be dropped."""
    people.note_sign_in(str(ALICE))
    people.assign(ALICE, "admin")
    people.verify(BOB, "lic_1", "licensed", 30)
    expected = sorted(people.decided(), key=lambda member: member.account)
    during = roles_of(rotated())
    assert sorted(during.decided(), key=lambda member: member.account) == expected
    assert during.reencrypt() == 5, "two that were decided, their standings, and one name"
    assert during.reencrypt() == 0
    after = roles_of(rotated(()))
    assert sorted(after.decided(), key=lambda member: member.account) == expected
    assert [member.account for member in after.seen()] == [str(ALICE)]


def test_roles_are_lost_if_not_encrypted_again(people: AccountRoles, rotated: Callable[..., Services]) -> None:
    people.assign(ALICE, "admin")
    assert roles_of(rotated(())).decided() == []
    assert roles_of(rotated(())).status(ALICE) == StoredStatus()


def test_encrypting_with_a_wrong_secret_destroys_nothing(
    people: AccountRoles, rotated: Callable[..., Services], redis: Redis
) -> None:
    people.assign(ALICE, "admin")
    people.note_sign_in(str(ALICE))
    before = {key: redis.dump(key) for key in redis.keys("*")}
    assert roles_of(rotated(())).reencrypt() == 0
    assert {key: redis.dump(key) for key in redis.keys("*")} == before
    # As after a crash between the two: the entry can be opened, the standing can't yet.
    during = roles_of(rotated())
    redis.hset(f"{REDIS_PREFIX}{{directory}}:decided", roles.account_tag(str(ALICE)), during._encrypt(str(ALICE)))
    assert roles_of(rotated(())).reencrypt() == 0
    assert people.status(ALICE).role == "admin"


def test_account_encrypted_with_a_dropped_secret_is_seen_again(
    people: AccountRoles, rotated: Callable[..., Services]
) -> None:
    """It is listed again after its next sign-in."""
    people.note_sign_in(str(ALICE))
    after = roles_of(rotated(()))
    assert after.seen() == []
    after.note_sign_in(str(ALICE))
    assert [member.account for member in after.seen()] == [str(ALICE)]


def test_role_assigned_during_re_encryption_is_kept(people: AccountRoles, rotated: Callable[..., Services]) -> None:
    during = roles_of(rotated())
    for number in range(30):
        account = accounts.parse(some_account(number))
        people.verify(account, "lic_1", "licensed", 30)
        together(during.reencrypt, lambda account=account: during.assign(account, "admin"))  # type: ignore[misc]
        standing = roles_of(rotated(())).status(account) if number % 10 == 0 else during.status(account)
        assert (standing.role, standing.professional_id) == ("admin", "lic_1")


# -- Cluster and Sentinel ----------------------------------------------------------------------------------------


def test_roles_work_on_cluster_and_sentinel(
    other_url: str, make_app: Callable[..., Flask], overrides: dict[str, Any]
) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=other_url)
    people: AccountRoles = roles_of(app.extensions["sessions_core"])
    people.note_sign_in(str(BOB))
    people.assign(ALICE, "admin")
    people.verify(BOB, "lic_1", "licensed", 30)
    assert {member.account: member.status.role for member in people.decided()} == {
        str(ALICE): "admin",
        str(BOB): "member",
    }
    assert [member.account for member in people.seen()] == [str(BOB)]
    settings = {"SECRET_KEY": ANOTHER, "SECRET_KEY_FALLBACKS": [overrides["SECRET_KEY"]]}
    rotated = roles_of(make_app(SESSIONS_CORE_REDIS_URL=other_url, **settings).extensions["sessions_core"])
    assert rotated.reencrypt() == 5
    assert rotated.reencrypt() == 0
