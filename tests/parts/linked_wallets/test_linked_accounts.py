"""Linked accounts: both sides say so, one write decides, and whatever is cut short in between links nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import errors, events
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.parts.linked_wallets import linked_accounts as module
from sessions_core.parts.linked_wallets.errors import (
    AccountInUse,
    AccountLast,
    AccountLinked,
    AccountLinkedElsewhere,
    AccountsTooMany,
)
from sessions_core.parts.linked_wallets.events import PrimaryChanged, WalletLinked, WalletUnlinked
from sessions_core.parts.linked_wallets.linked_accounts import MOST, AccountLinking
from sessions_core.parts.linked_wallets.user import LinkedAccounts
from sessions_core.parts.roles.account_status import StoredStatus
from sessions_core.parts.roles.roles import account_tag
from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.sign_in.accounts import Account, parse
from sessions_core.sign_in.user import User, derived_user_id
from sessions_core.web.services import Services

from ...actors import together
from ...constants import ALICE_ACCOUNT as ALICE
from ...constants import ANOTHER, REDIS_PREFIX
from ...constants import BOB_ACCOUNT as BOB
from ...constants import CAROL_ACCOUNT as CAROL
from ...part_services import linked_accounts_of, roles_of
from ...stored import everything, link_of

DAVE = parse("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv")


@pytest.fixture
def people(services: Services) -> AccountLinking:
    return linked_accounts_of(services)


def some_account(number: int) -> Account:
    return parse(f"eip155:1:{checksum_address(f'0x{number + 1:040x}')}")


def alone(people: AccountLinking, account: Account) -> bool:
    return people.user(account).accounts == (account,)


def consistent(people: AccountLinking, *accounts: Account) -> None:
    """Assert that whoever is of one user with somebody, is so from both sides, and of nobody else."""
    for account in accounts:
        user = people.user(account)
        assert account in user.accounts
        for other in user.accounts:
            assert people.user(other) == user
    ids = [people.user(account).id for account in accounts]
    assert len(set(ids)) == len({people.user(account).accounts for account in accounts}), "an id of two people"


# -- Alone -------------------------------------------------------------------------------------------------------


def test_never_linked_account_is_a_user_and_stores_nothing(people: AccountLinking, redis: Redis) -> None:
    assert people.user(ALICE) == User(derived_user_id(str(ALICE)), (ALICE,))
    assert people.user(ALICE).primary == ALICE
    assert redis.keys("*") == []


# -- Linking -----------------------------------------------------------------------------------------------------


def test_asking_user_keeps_the_id_for_both_accounts(people: AccountLinking, happened: list[events.Event]) -> None:
    before, other = people.user(ALICE).id, people.user(BOB).id
    user = people.link(BOB, by=ALICE)
    assert user == User(before, (ALICE, BOB))
    assert people.user(ALICE) == people.user(BOB) == user
    assert happened == [WalletLinked(account=str(ALICE), other=str(BOB), user=before, before=other)]


def test_any_linked_account_can_link_the_next_of_any_chain(people: AccountLinking) -> None:
    people.link(BOB, by=ALICE)
    people.link(CAROL, by=BOB)
    people.link(DAVE, by=CAROL)
    assert people.user(DAVE) == User(derived_user_id(str(ALICE)), (ALICE, BOB, CAROL, DAVE))
    consistent(people, ALICE, BOB, CAROL, DAVE)


def test_the_same_address_on_another_chain_is_another_account(people: AccountLinking) -> None:
    elsewhere = parse(str(ALICE).replace("eip155:1:", "eip155:10:"))
    assert alone(people, elsewhere)
    people.link(BOB, by=ALICE)
    assert alone(people, elsewhere)
    assert people.link(elsewhere, by=ALICE).accounts == (ALICE, BOB, elsewhere)


def refused(
    people: AccountLinking, error: type[errors.SessionsError], change: Callable[[], Any], redis: Redis
) -> None:
    before = {key: redis.dump(key) for key in redis.keys("*")}
    with pytest.raises(error):
        change()
    assert {key: redis.dump(key) for key in redis.keys("*")} == before


def test_own_account_can_not_be_linked_again(
    people: AccountLinking, redis: Redis, happened: list[events.Event]
) -> None:
    refused(people, AccountLinked, lambda: people.link(ALICE, by=ALICE), redis)
    people.link(BOB, by=ALICE)
    happened.clear()
    refused(people, AccountLinked, lambda: people.link(BOB, by=ALICE), redis)
    refused(people, AccountLinked, lambda: people.link(ALICE, by=BOB), redis)
    assert happened == []


def test_account_linked_elsewhere_is_refused_from_either_side(people: AccountLinking, redis: Redis) -> None:
    people.link(BOB, by=ALICE)
    people.link(DAVE, by=CAROL)
    refused(people, AccountLinkedElsewhere, lambda: people.link(DAVE, by=ALICE), redis)
    refused(people, AccountLinkedElsewhere, lambda: people.link(CAROL, by=ALICE), redis)
    consistent(people, ALICE, BOB, CAROL, DAVE)


def test_last_account_of_a_user_can_join_another_user(people: AccountLinking) -> None:
    people.link(BOB, by=ALICE)
    people.unlink(ALICE, by=BOB)
    left = people.user(BOB).id
    user = people.link(BOB, by=CAROL)
    assert user.accounts == (CAROL, BOB)
    consistent(people, ALICE, BOB, CAROL)
    assert left not in {people.user(each).id for each in (ALICE, BOB, CAROL)}


def test_number_of_linked_accounts_is_limited(people: AccountLinking, redis: Redis) -> None:
    for number in range(MOST - 1):
        people.link(some_account(number), by=ALICE)
    refused(people, AccountsTooMany, lambda: people.link(BOB, by=ALICE), redis)
    people.unlink(some_account(3), by=ALICE)
    assert len(people.link(BOB, by=ALICE).accounts) == MOST


def test_linking_gives_no_role(people: AccountLinking, services: Services) -> None:
    """And it adds no account to the list of those with a role."""
    roles_of(services).assign(ALICE, "admin")
    roles_of(services).assign(BOB, "restricted")
    people.link(BOB, by=ALICE)
    people.link(CAROL, by=ALICE)
    assert roles_of(services).status(ALICE).role == "admin"
    assert roles_of(services).status(BOB).role == "restricted"
    assert roles_of(services).status(CAROL) == StoredStatus()
    assert {member.account for member in roles_of(services).decided()} == {str(ALICE), str(BOB)}


# -- Unlinking ---------------------------------------------------------------------------------------------------


def test_unlinked_account_gets_a_new_user_id(people: AccountLinking, happened: list[events.Event]) -> None:
    user = people.link(BOB, by=ALICE)
    happened.clear()
    people.unlink(ALICE, by=BOB)
    assert people.user(BOB) == User(user.id, (BOB,))
    assert alone(people, ALICE)
    # ALICE was there first, and the user's id is the one that ALICE was born with: it stays with BOB.
    assert people.user(ALICE).id not in (user.id, derived_user_id(str(ALICE)), derived_user_id(str(BOB)))
    assert happened == [WalletUnlinked(account=str(BOB), other=str(ALICE), user=user.id)]


def test_lost_user_id_never_returns_to_the_account(people: AccountLinking) -> None:
    seen: set[str] = set()
    people.link(BOB, by=ALICE)
    for _ in range(3):
        people.unlink(ALICE, by=BOB)
        mine, theirs = people.user(ALICE).id, people.user(BOB).id
        assert mine not in seen | {theirs}
        seen.add(mine)
        people.link(CAROL, by=ALICE)  # a user is made of that id
        people.unlink(ALICE, by=CAROL)
        assert people.user(ALICE).id not in seen | {people.user(CAROL).id, theirs}
        people.link(ALICE, by=BOB)
        consistent(people, ALICE, BOB, CAROL)
        people.link(DAVE, by=CAROL)
        people.unlink(CAROL, by=DAVE)


def test_unlinking_ends_the_sessions_of_that_account_only(
    people: AccountLinking, services: Services, start: Callable[..., LoadedSession]
) -> None:
    mine, theirs, again = start(str(ALICE)), start(str(BOB)), start(str(BOB), wallet="again")
    people.link(BOB, by=ALICE)
    people.unlink(BOB, by=ALICE)
    for live in (theirs, again):
        assert services.repository.load(live.id, "never") == EndedSession("wallet_unlinked")
    assert isinstance(services.repository.load(mine.id, "never"), LoadedSession)


def test_some_accounts_can_not_be_unlinked(people: AccountLinking, redis: Redis) -> None:
    """These are the only account, the one in use and an account of another user."""
    refused(people, AccountLast, lambda: people.unlink(ALICE, by=ALICE), redis)
    refused(people, errors.NotFound, lambda: people.unlink(BOB, by=ALICE), redis)
    people.link(BOB, by=ALICE)
    people.link(DAVE, by=CAROL)
    refused(people, AccountInUse, lambda: people.unlink(ALICE, by=ALICE), redis)
    refused(people, errors.NotFound, lambda: people.unlink(DAVE, by=ALICE), redis)
    people.unlink(BOB, by=ALICE)
    refused(people, AccountLast, lambda: people.unlink(ALICE, by=ALICE), redis)
    refused(people, errors.NotFound, lambda: people.unlink(BOB, by=ALICE), redis)


# -- The primary one ---------------------------------------------------------------------------------------------


def test_primary_account_is_the_first_until_another_is_chosen(
    people: AccountLinking, redis: Redis, happened: list[events.Event]
) -> None:
    people.link(BOB, by=ALICE)
    people.link(CAROL, by=ALICE)
    happened.clear()
    assert people.set_primary(CAROL, by=BOB) is True
    assert people.user(ALICE).accounts == (CAROL, ALICE, BOB)
    assert happened == [
        PrimaryChanged(account=str(BOB), other=str(CAROL), user=people.user(ALICE).id, before=str(ALICE))
    ]
    assert people.set_primary(CAROL, by=ALICE) is False
    assert len(happened) == 1
    refused(people, errors.NotFound, lambda: people.set_primary(DAVE, by=ALICE), redis)
    people.unlink(CAROL, by=ALICE)
    assert people.user(BOB).primary == ALICE


def lines(people: AccountLinking, account: Account) -> tuple[str, ...]:
    """What stands in the record of an account's user, whether it means anything or not."""
    return people._linked.read(people._linked_key(people.user(account).id)).accounts


# -- Cut short ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cut_short(people: AccountLinking, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], bool]:
    """Run a change and lose Redis after so many of its writes; return whether it was cut short."""

    def cut_short(writes: int, change: Callable[[], Any]) -> bool:
        left = writes
        run = link_of(people).run

        def counted(*arguments: Any) -> Any:
            nonlocal left
            if left == 0:
                raise errors.StoreUnavailable("gone", retry_after=1)
            left -= 1
            return run(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(link_of(people), "run", counted)
            try:
                change()
            except errors.StoreUnavailable:
                return True
        return False

    return cut_short


def test_interrupted_link_changes_nothing_and_can_be_retried(
    people: AccountLinking, redis: Redis, cut_short: Callable[..., bool]
) -> None:
    ids = {each: people.user(each).id for each in (ALICE, BOB, CAROL)}
    for writes in range(3):
        redis.flushall()
        assert cut_short(writes, lambda: people.link(BOB, by=ALICE))
        assert {each: people.user(each).id for each in ids} == ids
        assert alone(people, ALICE)
        assert alone(people, BOB)
        # Neither of the two is taken by that: both can go elsewhere, and both can try again.
        assert people.link(BOB, by=CAROL).accounts == (CAROL, BOB)
        consistent(people, ALICE, BOB, CAROL)
        people.unlink(BOB, by=CAROL)
        assert people.link(BOB, by=ALICE).accounts == (ALICE, BOB)
        consistent(people, ALICE, BOB, CAROL)
    redis.flushall()
    assert not cut_short(3, lambda: people.link(BOB, by=ALICE)), "three writes are all it takes"


def test_interrupted_link_to_several_leaves_them_as_they_were(
    people: AccountLinking, cut_short: Callable[..., bool]
) -> None:
    user = people.link(BOB, by=ALICE)
    for writes in range(3):
        assert cut_short(writes, lambda: people.link(CAROL, by=BOB))
        assert people.user(ALICE) == people.user(BOB) == user
        assert people.user(CAROL) == User(derived_user_id(str(CAROL)), (CAROL,))
    assert people.link(CAROL, by=BOB).accounts == (ALICE, BOB, CAROL)


def test_interrupted_unlink_leaves_no_half_link(
    people: AccountLinking, services: Services, start: Callable[..., LoadedSession], cut_short: Callable[..., bool]
) -> None:
    """It can be completed."""
    for writes in range(4):
        people.link(BOB, by=ALICE)
        user, session = people.user(ALICE), start(str(BOB), wallet=str(writes))
        was_cut = cut_short(writes, lambda: people.unlink(BOB, by=ALICE))
        assert was_cut is (writes < 3)
        consistent(people, ALICE, BOB)
        assert alone(people, BOB) is (writes > 0)
        if was_cut:
            people.unlink(BOB, by=ALICE)
        assert alone(people, BOB)
        assert people.user(ALICE).id == user.id
        assert services.repository.load(session.id, "never") == EndedSession("wallet_unlinked")


def test_unlinked_account_can_not_be_signed_out_by_its_old_user(
    people: AccountLinking, services: Services, start: Callable[..., LoadedSession], redis: Redis
) -> None:
    people.link(BOB, by=ALICE)
    people.unlink(BOB, by=ALICE)
    session = start(str(BOB))
    refused(people, errors.NotFound, lambda: people.unlink(BOB, by=ALICE), redis)
    assert isinstance(services.repository.load(session.id, "never"), LoadedSession)


def test_entries_left_by_a_crash_do_not_count(people: AccountLinking, cut_short: Callable[..., bool]) -> None:
    people.link(BOB, by=ALICE)
    for number in range(MOST + 2):
        assert cut_short(1, lambda number=number: people.link(some_account(number), by=ALICE))
    assert people.user(ALICE).accounts == (ALICE, BOB)
    for number in range(MOST - 2):
        people.link(some_account(100 + number), by=ALICE)
    assert len(people.user(ALICE).accounts) == MOST
    assert len(lines(people, ALICE)) == MOST


# -- At the same moment ------------------------------------------------------------------------------------------

ROUNDS = 40


def attempt(change: Callable[[], Any]) -> Callable[[], Any]:
    def attempted() -> Any:
        try:
            return change()
        except errors.SessionsError as error:
            return error.code

    return attempted


def test_concurrent_links_of_one_account_give_it_to_one_user(people: AccountLinking) -> None:
    for number in range(ROUNDS):
        one, other, wanted = (some_account(3 * number + part) for part in range(3))
        found = together(
            attempt(lambda one=one, wanted=wanted: people.link(wanted, by=one)),
            attempt(lambda other=other, wanted=wanted: people.link(wanted, by=other)),
        )
        linked = [each for each in found if isinstance(each, User)]
        assert [each for each in found if each not in linked] == ["account_linked_elsewhere"]
        assert len(linked) == 1
        assert people.user(wanted) == linked[0]
        consistent(people, one, other, wanted)


def test_second_link_of_an_account_is_refused_cleanly(
    people: AccountLinking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the lock has expired, as for a process that slept: what is claimed still decides."""
    people.link(CAROL, by=ALICE)
    monkeypatch.setattr(people, "_lock", lambda *_: nullcontext())
    listing = people._add

    def and_then_another(account: Account, by: Account) -> tuple[str, LinkedAccounts]:
        found = listing(account, by)
        with monkeypatch.context() as patch:
            patch.setattr(people, "_add", listing)
            people.link(account, by=DAVE)
        return found

    monkeypatch.setattr(people, "_add", and_then_another)
    with pytest.raises(AccountLinkedElsewhere):
        people.link(BOB, by=ALICE)
    assert lines(people, ALICE) == (str(ALICE), str(CAROL))
    consistent(people, ALICE, BOB, CAROL, DAVE)


def test_link_undone_before_completion_is_not_reported(
    people: AccountLinking, monkeypatch: pytest.MonkeyPatch, happened: list[events.Event]
) -> None:
    claim = people._link_to

    def and_then_strike(account: str, user_id: str, revision: int) -> bool:
        claimed = claim(account, user_id, revision)
        people._remove(user_id, BOB, ALICE)
        return claimed

    monkeypatch.setattr(people, "_link_to", and_then_strike)
    with pytest.raises(errors.StoreUnavailable):
        people.link(BOB, by=ALICE)
    assert happened == []
    assert alone(people, BOB)


def test_mutual_links_succeed_once(people: AccountLinking, redis: Redis) -> None:
    for number in range(4 * ROUNDS):
        one, other = some_account(2 * number), some_account(2 * number + 1)
        found = together(
            attempt(lambda one=one, other=other: people.link(other, by=one)),
            attempt(lambda one=one, other=other: people.link(one, by=other)),
        )
        [user] = [each for each in found if isinstance(each, User)]
        assert [each for each in found if each != user] == ["account_linked"]
        assert people.user(one) == people.user(other) == user
        assert set(user.accounts) == {one, other}
    assert redis.keys("*linking:*") == []


def test_circular_links_leave_no_account_with_a_foreign_id(people: AccountLinking) -> None:
    """Each of three links the next at once. No account may end alone under the user id of another."""
    for number in range(ROUNDS):
        circle = [some_account(3 * number + part) for part in range(3)]
        found = together(
            *[
                attempt(lambda by=by, account=account: people.link(account, by=by))
                for by, account in zip(circle, circle[1:] + circle[:1], strict=True)
            ]
        )
        assert "store_unavailable" not in found
        consistent(people, *circle)
        for account in circle:
            user = people.user(account)
            assert user.id in {derived_user_id(str(each)) for each in user.accounts}


def test_account_unlinked_while_linking_brings_none_along(people: AccountLinking) -> None:
    """Alice unlinks Bob while Bob links Carol: Carol is Bob's or is Alice's, but only together with Bob."""
    for number in range(ROUNDS):
        alice, bob, carol = (some_account(3 * number + part) for part in range(3))
        people.link(bob, by=alice)
        together(
            attempt(lambda alice=alice, bob=bob: people.unlink(bob, by=alice)),
            attempt(lambda bob=bob, carol=carol: people.link(carol, by=bob)),
        )
        consistent(people, alice, bob, carol)
        assert bob not in people.user(alice).accounts


def test_link_that_waits_too_long_can_be_retried(people: AccountLinking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.05)
    with people._lock(BOB):
        with pytest.raises(errors.StoreUnavailable) as refusal:
            people.link(BOB, by=ALICE)
        assert refusal.value.retry_after == 10
        people.link(CAROL, by=ALICE)  # what the other had taken is free again
    assert people.link(BOB, by=ALICE).accounts == (ALICE, CAROL, BOB)


def test_concurrent_links_of_one_user_all_succeed(people: AccountLinking) -> None:
    for number in range(ROUNDS):
        own, *others = (some_account(4 * number + part) for part in range(4))
        found = together(
            *[attempt(lambda each=each, own=own: people.link(each, by=own)) for each in others],
        )
        assert all(isinstance(each, User) for each in found), found
        assert set(people.user(own).accounts) == {own, *others}
        consistent(people, own, *others)


def test_mutual_unlinks_leave_one_account_with_the_user_id(people: AccountLinking) -> None:
    for number in range(ROUNDS):
        one, other = some_account(2 * number), some_account(2 * number + 1)
        user = people.link(other, by=one)
        together(
            attempt(lambda one=one, other=other: people.unlink(other, by=one)),
            attempt(lambda one=one, other=other: people.unlink(one, by=other)),
        )
        consistent(people, one, other)
        assert [people.user(each).id for each in (one, other)].count(user.id) == 1, "somebody is still that person"


def test_account_unlinked_while_made_primary_is_gone(people: AccountLinking) -> None:
    for number in range(ROUNDS):
        own, other = some_account(2 * number), some_account(2 * number + 1)
        people.link(other, by=own)
        together(
            attempt(lambda own=own, other=other: people.unlink(other, by=own)),
            attempt(lambda own=own, other=other: people.set_primary(other, by=own)),
        )
        assert people.user(own).accounts == (own,)
        assert alone(people, other)


def test_concurrent_unlinks_of_a_wallet_announce_one_event(
    people: AccountLinking, happened: list[events.Event]
) -> None:
    for number in range(ROUNDS):
        own, other = some_account(2 * number), some_account(2 * number + 1)
        people.link(other, by=own)
        happened.clear()
        together(*[attempt(lambda own=own, other=other: people.unlink(other, by=own))] * 4)
        assert [event.name for event in happened if event.name.startswith("wallet.")] == ["wallet.unlinked"]
        assert people.user(own).accounts == (own,)


# -- Who reads and who writes Redis ------------------------------------------------------------------------------


def test_redis_shows_no_linked_account(people: AccountLinking, redis: Redis) -> None:
    people.link(BOB, by=ALICE)
    found = everything(redis).lower()
    for account in (ALICE, BOB):
        assert account.address.lower().encode() not in found


def pointer_key(redis: Redis, account: Account) -> bytes:
    [key] = redis.keys(f"*{account_tag(str(account))}*:person")
    return key


def test_account_link_can_not_be_copied_to_another_account(
    people: AccountLinking, redis: Redis, happened: list[events.Event]
) -> None:
    people.link(BOB, by=ALICE)
    people.link(DAVE, by=CAROL)
    redis.copy(pointer_key(redis, BOB), pointer_key(redis, DAVE), replace=True)
    happened.clear()
    assert alone(people, DAVE)
    assert events.RecordUnreadable(key=pointer_key(redis, DAVE).decode()) in happened
    assert people.user(ALICE).accounts == (ALICE, BOB)


def test_linked_accounts_can_not_be_copied_to_another_user(people: AccountLinking, redis: Redis) -> None:
    one, other = people.link(BOB, by=ALICE), people.link(DAVE, by=CAROL)
    redis.copy(f"{REDIS_PREFIX}{{{one.id}}}:accounts", f"{REDIS_PREFIX}{{{other.id}}}:accounts", replace=True)
    assert people.user(ALICE) == one
    assert alone(people, CAROL)
    assert alone(people, DAVE)


def test_unreadable_account_link_never_restores_the_old_user_id(people: AccountLinking, redis: Redis) -> None:
    user = people.link(BOB, by=ALICE)
    people.unlink(ALICE, by=BOB)
    redis.set(pointer_key(redis, ALICE), b"\xff" * 60)
    assert people.user(ALICE).id != user.id == people.user(BOB).id
    assert people.user(ALICE).id == people.user(ALICE).id


def test_deleted_account_link_never_rejoins_the_old_user(people: AccountLinking, redis: Redis) -> None:
    user = people.link(BOB, by=ALICE)
    people.unlink(ALICE, by=BOB)
    redis.delete(pointer_key(redis, ALICE))
    assert alone(people, ALICE)
    # The id that ALICE was born with is BOB's now: what ALICE links must not come into BOB's record.
    made = people.link(CAROL, by=ALICE)
    assert made.accounts == (ALICE, CAROL)
    assert made.id != user.id
    assert people.user(BOB) == User(user.id, (BOB,))


# -- A new secret ------------------------------------------------------------------------------------------------


def test_secret_rotation_keeps_linked_accounts(people: AccountLinking, rotated: Callable[..., Services]) -> None:
    """Once all is encrypted again, the old secret can be dropped."""
    people.link(BOB, by=ALICE)
    people.link(CAROL, by=ALICE)
    people.unlink(ALICE, by=BOB)
    expected = [people.user(each) for each in (ALICE, BOB, CAROL)]
    during = linked_accounts_of(rotated())
    assert [during.user(each) for each in (ALICE, BOB, CAROL)] == expected
    assert during.reencrypt() == 4, "one record, and three pointers: ALICE's has the id that ALICE goes by now"
    assert during.reencrypt() == 0
    assert [linked_accounts_of(rotated(())).user(each) for each in (ALICE, BOB, CAROL)] == expected


def test_encrypting_with_a_wrong_secret_destroys_nothing(
    people: AccountLinking, rotated: Callable[..., Services], redis: Redis
) -> None:
    people.link(BOB, by=ALICE)
    before = {key: redis.dump(key) for key in redis.keys("*")}
    assert linked_accounts_of(rotated(())).reencrypt() == 0
    assert {key: redis.dump(key) for key in redis.keys("*")} == before


def test_unreadable_linked_accounts_are_single_and_can_relink(
    people: AccountLinking, rotated: Callable[..., Services], happened: list[events.Event]
) -> None:
    before = people.link(BOB, by=ALICE)
    after = linked_accounts_of(rotated(()))
    happened.clear()
    assert alone(after, ALICE)
    assert alone(after, BOB)
    assert {type(event) for event in happened} == {events.RecordUnreadable}
    assert len({after.user(ALICE).id, after.user(BOB).id, before.id}) == 3
    assert after.link(BOB, by=ALICE).accounts == (ALICE, BOB)
    consistent(after, ALICE, BOB)


def test_link_made_during_re_encryption_is_kept(people: AccountLinking, rotated: Callable[..., Services]) -> None:
    during = linked_accounts_of(rotated())
    for number in range(20):
        own, one, other = (some_account(3 * number + part) for part in range(3))
        people.link(one, by=own)
        together(during.reencrypt, lambda own=own, other=other: during.link(other, by=own))
        assert set(during.user(own).accounts) == {own, one, other}
    during.reencrypt()
    assert len(linked_accounts_of(rotated(())).user(own).accounts) == 3


# -- Cluster and Sentinel ----------------------------------------------------------------------------------------


def test_linking_works_on_cluster_and_sentinel(
    other_url: str, make_app: Callable[..., Flask], overrides: dict[str, Any]
) -> None:
    people: AccountLinking = linked_accounts_of(
        make_app(SESSIONS_CORE_REDIS_URL=other_url).extensions["sessions_core"]
    )
    people.link(BOB, by=ALICE)
    people.link(CAROL, by=ALICE)
    people.set_primary(CAROL, by=BOB)
    people.unlink(BOB, by=ALICE)
    assert people.user(ALICE) == User(derived_user_id(str(ALICE)), (CAROL, ALICE))
    consistent(people, ALICE, BOB, CAROL)
    settings = {"SECRET_KEY": ANOTHER, "SECRET_KEY_FALLBACKS": [overrides["SECRET_KEY"]]}
    rotated = linked_accounts_of(make_app(SESSIONS_CORE_REDIS_URL=other_url, **settings).extensions["sessions_core"])
    assert rotated.reencrypt() == 4
    assert rotated.reencrypt() == 0
