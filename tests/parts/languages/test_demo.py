"""The demo's own pages, as an application that brings its own catalogues: each in one language and one direction."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from babel.messages.pofile import read_po
from flask import Flask

from ...actors import Visitor, Wallet
from ...constants import ROOT

SEPOLIA = "eip155:11155111"
CARDS = ("/tour/members", "/tour/invoices/7", "/tour/testnet", "/tour/api", "/tour/note")
PAGES = ("/", "/tour", *CARDS, "/read/README.md")
LANGUAGES = {"SESSIONS_CORE_LANGUAGES": ["en", "de", "ar"], "SESSIONS_CORE_TRANSLATIONS": ["tour/translations"]}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(**LANGUAGES)


def speaking(app: Flask, language: str) -> Visitor:
    visitor = Visitor(app)
    visitor.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    return visitor


def sign_in(visitor: Visitor, wallet: Wallet, chain: str = SEPOLIA) -> None:
    assert visitor.attempt(wallet, visitor.challenge(wallet.account(chain))).status_code == 303


def english(language: str) -> Iterator[str]:
    """Yield the texts that a page in this language must not have. Short ones may be part of a longer word."""
    with (ROOT / f"tour/translations/{language}.po").open("rb") as file:
        for message in read_po(file, locale=language):
            text = message.id if isinstance(message.id, str) else ""
            if len(text) > 11 and not re.search(r"[%{<]", text) and text != message.string:
                yield text


def press(visitor: Visitor, path: str, **fields: str) -> Any:
    return visitor.post(path, data={"csrf_token": visitor.token("/tour")} | fields)


@pytest.mark.parametrize(("language", "direction"), [("de", "ltr"), ("ar", "rtl")])
def test_no_page_of_the_demo_mixes_languages(app: Flask, language: str, direction: str) -> None:
    visitor = speaking(app, language)
    for _ in range(2):
        for path in PAGES:
            answer = visitor.get(path)
            if answer.status_code == 303:
                continue  # to sign in
            page = html.unescape(re.sub(r"<pre .*?</pre>", "", answer.text, flags=re.DOTALL))
            assert f'<html lang="{language}" dir="{direction}"' in page, path
            assert [text for text in english(language) if text in page] == [], path
        sign_in(visitor, Wallet())


def test_pages_of_the_demo_are_english_for_others(app: Flask) -> None:
    page = html.unescape(speaking(app, "fr").get("/tour").text)
    assert '<html lang="en" dir="ltr"' in page
    assert sum(text in page for text in english("de")) > 20


def test_payment_is_confirmed_in_the_language(app: Flask) -> None:
    """The sentence to sign stays English."""
    visitor = speaking(app, "de")
    sign_in(visitor, Wallet())
    asked = press(visitor, "/tour/invoices/7/pay", amount="120")
    assert visitor.waiting(asked).sentence == "Pay invoice 7: 120 USDC."
    page = visitor.get(asked.headers["Location"]).text
    assert "<h1>Rechnung 7 bezahlen: 120 USDC</h1>" in page
    assert ">Pay invoice 7: 120 USDC.</p>" in page
    assert re.findall(r"<dt>(\w+)</dt>", page) == ["Betrag", "Empfänger"]


def test_refusals_of_the_tour_are_in_the_language(app: Flask) -> None:
    visitor = speaking(app, "de")
    sign_in(visitor, Wallet())
    assert "Bezahle zuerst die Rechnung" in press(visitor, "/tour/tricks/replay").text
    page = press(visitor, "/tour/tricks/forge").text
    assert "Das gefälschte Cookie wurde abgelehnt" in page
    assert "Diese Sitzung ist beendet." in page


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "1 round trip to Redis"), ("de", "1 Roundtrip zu Redis"), ("ar", "رحلة واحدة إلى Redis")],
)
def test_log_counts_in_the_language(app: Flask, language: str, said: str) -> None:
    visitor = speaking(app, language)
    sign_in(visitor, Wallet())
    visitor.get("/tour/testnet")
    visitor.get("/tour/members")
    newest = visitor.json("/tour/log").get_json()["requests"][0]
    assert (newest["path"], newest["cost"].startswith(said)) == ("/tour/members", True), newest


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_code_runs_from_left_to_right(path: Any) -> None:
    tags = re.findall(r"<(?:code|pre)\b[^<>]*>", path.read_text())
    assert [tag for tag in tags if 'dir="ltr"' not in tag] == []
