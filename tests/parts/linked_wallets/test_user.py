"""Ids of people: stable where nobody is linked, random where somebody was, and never those of two."""

from __future__ import annotations

import re

from sessions_core.parts.linked_wallets.user import UNLINKED, AccountLink, new_user_id
from sessions_core.sign_in.user import derived_user_id, user_id_of

from ...constants import ALICE, BOB

ID = re.compile(r"usr_[A-Za-z0-9_-]{22}", re.ASCII)


def test_never_linked_account_always_has_the_same_user_id() -> None:
    # Written down by adopters beside what is the person's: another one would lose them all of it.
    assert derived_user_id(ALICE) == "usr_JT31ywPwWy0DjK-VgqI13A"
    assert ID.fullmatch(derived_user_id(BOB))
    assert derived_user_id(BOB) != derived_user_id(ALICE)
    assert derived_user_id(ALICE.lower()) != derived_user_id(ALICE)


def test_ids_that_are_made_up_are_new_each_time() -> None:
    made = {new_user_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ID.fullmatch(each) for each in made)


def test_the_id_of_a_seed_is_that_of_no_account() -> None:
    assert user_id_of(b"") != user_id_of(b"\0")


def test_account_without_a_link_has_no_linked_user() -> None:
    assert AccountLink() == UNLINKED
    assert (UNLINKED.user, UNLINKED.alone, UNLINKED.revision) == ("", "", 0)
