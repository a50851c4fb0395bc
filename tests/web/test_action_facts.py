"""`Action.facts`: what the server knows about an action, on the confirm page and in the sentence to sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from flask import Flask

from sessions_core import Action

from ..actors import Visitor, Wallet
from ..answers import code_of
from ..shop import ACTIONS, Shop
from ..time_machine import TimeMachine

INVOICES: dict[str, tuple[str, str]] = {}


def look_up(values: Mapping[str, str]) -> dict[str, str]:
    amount, payee = INVOICES.get(values["number"], ("", ""))
    return {"amount": amount, "payee": payee, "due_on": "31 January"}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    INVOICES.update({"7": ("120 USDC", "Acme"), "8": ("5 USDC", "<b>Bold</b>"), "9": ("1 USDC", "\N{SNOWMAN}")})
    pay = Action("Pay {amount} for invoice {number}.", facts=look_up)
    app = make_app({"actions": ACTIONS | {"invoice.pay": pay, "shop.close": Action("Close the shop.", danger=True)}})
    app.extensions["shop"] = Shop(app)
    return app


@pytest.fixture
def shop(app: Flask) -> Shop:
    return app.extensions["shop"]


def page_of(person: Visitor, path: str) -> str:
    return person.get(person.submit(path).headers["Location"]).text


def test_page_and_sentence_show_the_facts(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    asked = person.submit("/invoices/7/pay")
    assert person.waiting(asked).sentence == "Pay [120 USDC] for invoice 7."
    page = person.get(asked.headers["Location"]).text
    for name, value in (("Amount", "120 USDC"), ("Payee", "Acme"), ("Due on", "31 January")):
        assert f"<div><dt>{name}</dt><dd>{value}</dd></div>" in page
    assert person.confirm(wallet, asked).text == "done"
    assert shop.done == [("7", "")]


def test_changed_fact_needs_a_new_signature(shop: Shop, person: Visitor, wallet: Wallet) -> None:
    """The user signed for 120 USDC: nothing else is paid, and the page asks for the new amount."""
    asked = person.submit("/invoices/7/pay")
    target, form = person.signed_form(wallet, asked)
    INVOICES["7"] = ("900 USDC", "Acme")
    refused = person.post(target, data=form)
    assert refused.headers["Location"].endswith("&problem=challenge_foreign")
    assert shop.done == []
    assert person.waiting(refused).sentence == "Pay [900 USDC] for invoice 7."


def test_fact_that_only_describes_may_change(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    pay = Action("Pay {amount} for invoice {number}.", facts=look_up, recheck=False)
    app = make_app({"actions": ACTIONS | {"invoice.pay": pay}})
    shop, person = Shop(app), Visitor(app)
    person.sign_in(wallet)
    target, form = person.signed_form(wallet, person.submit("/invoices/7/pay"))
    INVOICES["7"] = ("900 USDC", "Acme")
    assert person.post(target, data=form).text == "done"
    assert shop.done == [("7", "")]


def test_form_field_takes_no_fact_away(shop: Shop, person: Visitor) -> None:
    asked = person.submit("/invoices/7/pay", amount="1 USDC", payee="Mallory")
    assert person.waiting(asked).sentence == "Pay [120 USDC] for invoice 7."
    page = person.get(asked.headers["Location"]).text
    assert "<dd>Acme</dd>" in page
    assert "<dd>Mallory</dd>" not in page


@pytest.mark.parametrize("sentence", ["Pay {amount} for invoice {number}.", "Pay {amount}."])
def test_facts_read_values_that_the_sentence_does_not_name(make_app: Callable[..., Flask], sentence: str) -> None:
    """A number in the query and another one in the body is none: the view may take either."""
    app = make_app({"actions": ACTIONS | {"invoice.pay": Action(sentence, facts=look_up)}})
    Shop(app)
    person = Visitor(app)
    person.sign_in(Wallet())
    asked = person.submit("/pay", number="7")
    assert person.waiting(asked).sentence == sentence.format(amount="[120 USDC]", number="7")
    for path, body in (("/pay?number=7", {"number": "8"}), ("/pay?number=7", {"deeper": {"number": "8"}})):
        answer = person.send("POST", path, json=body)
        assert answer.status_code == 400
        assert code_of(answer) == "confirmation_unclear"


def test_facts_are_escaped(shop: Shop, person: Visitor) -> None:
    page = page_of(person, "/invoices/8/pay")
    assert "<dd>&lt;b&gt;Bold&lt;/b&gt;</dd>" in page


def test_page_shows_facts_that_no_wallet_could_show(shop: Shop, person: Visitor) -> None:
    """The sentence does not name the payee, so any character will do."""
    assert "<dd>\N{SNOWMAN}</dd>" in page_of(person, "/invoices/9/pay")


def test_fact_in_a_sentence_must_be_one_that_wallets_show(shop: Shop, person: Visitor) -> None:
    INVOICES["7"] = ("120 \N{EURO SIGN}", "Acme")
    token = person.token("/session")
    answer = person.json("/invoices/7/pay", "POST", data={"csrf_token": token})
    assert (answer.status_code, code_of(answer)) == (400, "confirmation_unclear")


def test_danger_marks_the_button(shop: Shop, person: Visitor, pass_time: TimeMachine) -> None:
    pass_time(301)
    closing = person.get(person.submit("/close", when="now").headers["Location"]).text
    assert 'class="button button--danger" type="button" data-action="confirm"' in closing
    assert 'class="button button--primary" type="button" data-action="confirm"' in page_of(person, "/invoices/7/pay")
