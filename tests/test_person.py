"""Ids of people: stable where nobody is linked, random where somebody was, and never those of two."""

from __future__ import annotations

import re

from sessions_core.person import UNLINKED, Pointer, born_id, derived_id, new_id

from .constants import ALICE, BOB

ID = re.compile(r"usr_[A-Za-z0-9_-]{22}", re.ASCII)


def test_an_account_that_was_never_linked_goes_by_the_same_id_always() -> None:
    # Written down by adopters beside what is the person's: another one would lose them all of it.
    assert born_id(ALICE) == "usr_JT31ywPwWy0DjK-VgqI13A"
    assert ID.fullmatch(born_id(BOB))
    assert born_id(BOB) != born_id(ALICE)
    assert born_id(ALICE.lower()) != born_id(ALICE)


def test_ids_that_are_made_up_are_new_each_time() -> None:
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ID.fullmatch(each) for each in made)


def test_the_id_of_a_seed_is_that_of_no_account() -> None:
    assert derived_id(b"") != derived_id(b"\0")


def test_an_account_without_a_pointer_points_to_nobody() -> None:
    assert Pointer() == UNLINKED
    assert (UNLINKED.person, UNLINKED.alone, UNLINKED.revision) == ("", "", 0)
