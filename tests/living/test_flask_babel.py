"""Flask-Babel by `translate`: errors, pages, what stands beside the sentence to sign, and templates of the app."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask, request
from flask_babel import Babel, gettext

from sessions_core import errors, fresh_required

from ..actors import ORIGIN, Visitor, Wallet

GERMAN = {
    errors.NotSignedIn.message: "Melde dich an und versuche es noch einmal.",
    "Sign in with your wallet": "Mit deiner Wallet anmelden",
    "Page not found": "Diese Seite gibt es nicht",
    "Go to the home page": "Zur Startseite",
    "Pay invoice {number}.": "Rechnung {number} bezahlen.",
    "Close the shop.": "Geschäft schließen.",
    "Open {door}.": "Öffne {door}.",
    "Sign out of this device?": "Von diesem Gerät abmelden?",
}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    messages = Catalog(locale="de")
    for sentence, german in GERMAN.items():
        messages.add(sentence, german)
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, messages)
    return tmp_path


@pytest.fixture
def app(assemble, catalogue: Path, tmp_path: Path) -> Flask:
    def add(app: Flask) -> None:
        app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(catalogue)
        Babel(app, locale_selector=lambda: request.accept_languages.best_match(["en", "de"]))
        (tmp_path / "sessions").mkdir()
        (tmp_path / "sessions" / "sign_out.html").write_text("<h1>{{ _('Sign out of this device?') }}</h1>")
        app.template_folder = str(tmp_path)
        for action in ("invoice.pay", "shop.close", "door.open"):
            view = fresh_required(0, action)(lambda **_: "done")
            app.add_url_rule(f"/{action}/<number>/<door>", action, view, methods=["POST"])

    actions = {"invoice.pay": "Pay invoice {number}.", "shop.close": "Close the shop.", "door.open": "Open {door}."}
    made: Flask = assemble(add, translate=gettext, actions=actions)
    return made


@pytest.fixture
def german(app: Flask) -> Visitor:
    class German(Visitor):
        def _headers(self, options):
            return {"Accept-Language": "de"} | super()._headers(options)

    return German(app)


def test_sentences_of_errors_are_translated(app: Flask, german: Visitor) -> None:
    said = german.json("/session").get_json()["error"]
    assert (said["code"], said["message"]) == ("no_token", GERMAN[errors.NotSignedIn.message])
    assert Visitor(app).json("/session").get_json()["error"]["message"] == errors.NotSignedIn.message


def test_error_pages_are_translated(app: Flask, german: Visitor) -> None:
    page = german.get("/nothing", headers={"Accept": "text/html"}).text
    assert "<h1>Diese Seite gibt es nicht</h1>" in page
    assert "Zur Startseite" in page
    assert "Page not found" in Visitor(app).get("/nothing", headers={"Accept": "text/html"}).text


def test_signed_sentence_stays_english(german: Visitor) -> None:
    """Its translation stands beside it, in any characters; one that names other values is not shown."""
    german.sign_in(Wallet())
    said, shown = {}, {}
    for action in ("invoice.pay", "shop.close", "door.open"):
        answer = german.submit(f"/{action}/7/a")
        said[action] = german.waiting(answer).sentence
        page = german.get(answer.headers["Location"]).text
        shown[action] = re.findall(r'data-testid="confirm-translation">([^<]*)<', page)
    assert said == {"invoice.pay": "Pay invoice 7.", "shop.close": "Close the shop.", "door.open": "Open a."}
    assert shown == {
        "invoice.pay": ["Rechnung 7 bezahlen."],
        "shop.close": ["Geschäft schließen."],
        "door.open": ["Öffne a."],
    }


def test_heading_of_an_action_is_its_translation(german: Visitor) -> None:
    german.sign_in(Wallet())
    page = german.get(german.submit("/invoice.pay/7/a").headers["Location"]).text
    assert "<h1>Rechnung 7 bezahlen</h1>" in page


def test_sentence_with_a_translation_can_be_signed(german: Visitor) -> None:
    wallet = Wallet()
    german.sign_in(wallet)
    address, form = german.signed_form(wallet, german.submit("/invoice.pay/7/a"))
    assert german.post(address, data=form).text == "done"


def test_pages_are_translated_by_the_catalogue_of_the_app(german: Visitor) -> None:
    assert "<h1>Mit deiner Wallet anmelden</h1>" in german.get("/sign-in").text


def test_template_of_the_app_wins_and_is_translated(german: Visitor) -> None:
    german.sign_in(Wallet())
    assert german.get("/sign-out").text == "<h1>Von diesem Gerät abmelden?</h1>"


def test_page_of_ours_shows_in_every_language(app: Flask) -> None:
    answer = app.test_client().get("/sign-in", base_url=ORIGIN, headers={"Accept-Language": "de"})
    assert answer.status_code == 200
