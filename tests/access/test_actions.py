"""What people sign for: sentences that name it exactly, and that nothing in a request can bend."""

from __future__ import annotations

import string

import pytest

from sessions_core import Misconfigured, part
from sessions_core.access.actions import ACTIONS, Actions
from sessions_core.errors import ConfirmationUnclear
from sessions_core.sign_in import messages
from sessions_core.sign_in.accounts import parse

from ..actors import Wallet
from ..policies import policy_of

ALL = {**ACTIONS, **{name: action for each in part.choose(None) for name, action in each.actions.items()}}
OURS = Actions(of_parts=ALL)


def text_with(statement: str) -> messages.SignInMessage:
    """A sign-in text with this statement, written and read again."""
    return messages.read(
        messages.write(
            messages.SignInMessage(
                domain="shop.example",
                address="0x" + "1" * 40,
                statement=statement,
                uri="https://shop.example/",
                chain_id="1",
                nonce="a" * 22,
                issued_at="2026-01-31T12:00:00Z",
            )
        )
    )


@pytest.mark.parametrize("name", ALL)
def test_each_sentence_fits_a_text_with_its_longest_values(name: str) -> None:
    fields = {field: form for _, field, form, _ in string.Formatter().parse(ALL[name].sentence) if field}
    values = {field: field[0] * 60 for field in fields}
    if "account" in fields:
        values["account"] = str(parse(Wallet().account("eip155:11155111")))
    sentence = OURS.sentence(name, values)
    assert text_with(sentence).statement == sentence
    assert sentence.endswith(".")
    assert "{" not in sentence
    assert all(format(value, fields[field] or "") in sentence for field, value in values.items())


def test_each_action_has_its_own_sentence() -> None:
    assert len({action.sentence for action in ALL.values()}) == len(ALL)


def test_every_fresh_permission_has_a_sentence() -> None:
    """Permissions of the built-in session types that need a signature each time are actions."""
    types = policy_of().types.values()
    assert {permission for each in types for permission in each.fresh} <= ALL.keys()


def test_app_can_add_actions_and_reword_built_in_ones() -> None:
    """The app's words change neither the defaults nor another set of actions."""
    actions = Actions({"invoice.pay": "Pay invoice {number}.", "session.extend": "Stay here."})
    assert actions.sentence("invoice.pay", {"number": "7"}) == "Pay invoice 7."
    assert actions.sentence("session.extend", {}) == "Stay here."
    assert "invoice.pay" in actions
    assert "invoice.pay" not in OURS
    assert ACTIONS["session.extend"].sentence != "Stay here."


def test_sentence_may_take_the_first_characters_of_a_value() -> None:
    actions = Actions({"end": "End {handle:.4} now."})
    assert actions.sentence("end", {"handle": "sess_1234"}) == "End sess now."
    assert actions.sentence("end", {"handle": "it"}) == "End it now."


def test_name_of_several_words_stands_in_brackets() -> None:
    """A device called "my phone and all others" must not read like a part of the sentence."""
    values = {"device": "my phone and all others", "handle": "sess_12345678"}
    assert OURS.sentence("session.revoke", values) == "Sign out [my phone and all others] (sess_1234)."


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        " ",
        "Pay\nnow.",
        "Pay\rnow.",
        "Pay\tnow.",
        'Pay "now".',
        "Pay <now>.",
        "Pay now\u2026",
        "Pay \u202enow.",
        "Pay\0.",
        "Pay\\.",
        "x" * 201,
        "Pay {.",
        "Pay }.",
        "Pay {}.",
        "Pay {0}.",
        "Pay {{number}}.",
        "Pay {number!r}.",
        "Pay {number:>9}.",
        "Pay {number:.0}.",
        "Pay {number:.123}.",
        "Pay {number:.8f}.",
        "Pay {number.real}.",
        "Pay {number[0]}.",
        "Pay {the number}.",
    ],
    ids=ascii,
)
def test_sentence_that_wallets_would_alter_stops_the_start(sentence: str) -> None:
    with pytest.raises(Misconfigured, match=r"The sentence of the action 'invoice\.pay'"):
        Actions({"invoice.pay": sentence})


@pytest.mark.parametrize(
    "value",
    [
        "7\nURI: https://evil.example/",
        "7\r\n\r\nURI: https://evil.example/",
        "7\x0b\x0c\x1c\x1d\x85\u2028\u2029",
        '7" <b> \\ ` ^ { | }',
        "\u202e\u2066\u200b\ufeff7",
        "\uff17\u0667\U0001f600",
        "\x00\x1b[2J\x7f",
        "\ud800",
        "{account}",
        "7]. Pay [8",
        "[7]",
        " 7",
        "7 ",
        "7  8",
        " ",
    ],
    ids=ascii,
)
def test_a_value_that_can_not_be_shown_is_refused(value: str) -> None:
    """Replaced, it would read like another one."""
    actions = Actions({"pay": "Pay {number}."})
    for read in (actions.sentence, actions.named):
        with pytest.raises(ConfirmationUnclear):
            read("pay", {"number": value})


@pytest.mark.parametrize("value", ["7", "-7", "12.50", "sess_a-_b", "eip155:1:0xAb", "a.b:c"])
def test_a_word_stands_as_it_is(value: str) -> None:
    assert Actions({"pay": "Pay #{number}."}).sentence("pay", {"number": value}) == f"Pay #{value}."


@pytest.mark.parametrize(
    "value", ["7 and give all to 8", "7. And 8", "7.", ".7", "7, 8", "7 (paid)", "a/b", "7: 8", "it's", "a=b&c=d"]
)
def test_multi_word_value_can_not_continue_the_sentence(value: str) -> None:
    sentence = Actions({"pay": "Pay {number}."}).sentence("pay", {"number": value})
    assert sentence == f"Pay [{value}]."
    assert text_with(sentence).statement == sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("{a} is paid to {b}: now.", "1 is paid to 2: now."),
        ("Pay {a}, {b}; ({a}) ${b}", "Pay 1, 2; (1) $2"),
        ("Pay {a}{b}.", "Pay [1]2."),
        ("Pay {a}{b}{a}.", "Pay [1][2]1."),
        ("Pay {a}.{b}.", "Pay 1.[2]."),
        ("Pay {a}0 to x{b}", "Pay [1]0 to x[2]"),
        ("Pay {a}-{b}", "Pay [1]-[2]"),
    ],
)
def test_two_values_never_run_into_each_other(words: str, sentence: str) -> None:
    """Else 1 and 23 would be signed for like 12 and 3."""
    assert Actions({"pay": words}).sentence("pay", {"a": "1", "b": "2"}) == sentence


@pytest.mark.parametrize("values", [{}, {"number": ""}, {"Number": "7"}, {"number": "7" * 121}], ids=str)
def test_missing_or_too_long_action_value_is_refused(values: dict[str, str]) -> None:
    actions = Actions({"pay": "Pay {number}."})
    with pytest.raises(ConfirmationUnclear):
        actions.sentence("pay", values)
    with pytest.raises(ConfirmationUnclear):
        actions.named("pay", values)


def test_a_sentence_too_long_to_be_read_is_refused() -> None:
    actions = Actions({"pay": "Pay {a} {b} {c}."})
    assert len(actions.sentence("pay", {"a": "1" * 120, "b": "2" * 120, "c": "3" * 53})) == 300
    with pytest.raises(ConfirmationUnclear):
        actions.sentence("pay", {"a": "1" * 120, "b": "2" * 120, "c": "3" * 54})


def test_only_values_named_in_the_sentence_are_kept() -> None:
    actions = Actions({"pay": "Pay {number}."})
    assert actions.named("pay", {"number": "7 of 8", "secret": "x", "password": "y"}) == {"number": "7 of 8"}
    assert actions.named("session.extend", {"secret": "x"}) == {}
