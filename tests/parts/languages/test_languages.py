"""Pages in other languages: chosen by the browser or by Flask-Babel, with what belongs to a language."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string, request
from flask_babel import Babel
from redis import Redis

from sessions_core import Misconfigured, WalletSessions, public

from ...actors import ORIGIN, Visitor, Wallet

ALL = {"SESSIONS_CORE_LANGUAGES": ["en", "de", "ar"]}


@pytest.fixture
def make(overrides: dict[str, Any], redis: Redis) -> Callable[..., Flask]:
    def build(before: Callable[[Flask], Any] = lambda app: None, after: Any = lambda app: None, **more: Any) -> Flask:
        app = Flask("tests.parts.languages")
        app.config.update({**overrides, **ALL, **more})
        before(app)
        WalletSessions(app)
        after(app)
        app.add_url_rule("/", view_func=public(lambda: "home"), endpoint="home")
        return app

    return build


def speaking(app: Flask, language: str) -> Visitor:
    class Speaking(Visitor):
        def _headers(self, options: Any) -> Any:
            return {"Accept-Language": language} | super()._headers(options)

    return Speaking(app)


@pytest.mark.parametrize(
    ("wanted", "root", "heading"),
    [
        ("en", 'lang="en" dir="ltr"', "Sign in with your wallet"),
        ("de", 'lang="de" dir="ltr"', "Mit deiner Wallet anmelden"),
        ("de-AT, en;q=0.5", 'lang="de" dir="ltr"', "Mit deiner Wallet anmelden"),
        ("ar", 'lang="ar" dir="rtl"', "تسجيل الدخول بمحفظتك"),
        ("xx", 'lang="en" dir="ltr"', "Sign in with your wallet"),
        ("\x7f, ; q=*", 'lang="en" dir="ltr"', "Sign in with your wallet"),
        ("", 'lang="en" dir="ltr"', "Sign in with your wallet"),
    ],
)
def test_browser_chooses_the_language(make: Callable[..., Flask], wanted: str, root: str, heading: str) -> None:
    page = speaking(make(), wanted).get("/sign-in").text
    assert f"<html {root} " in page
    assert f"<h1>{heading}</h1>" in page


def test_pages_are_english_unless_languages_are_listed(make: Callable[..., Flask]) -> None:
    page = speaking(make(SESSIONS_CORE_LANGUAGES=["en"]), "de").get("/sign-in").text
    assert '<html lang="en" dir="ltr"' in page


@pytest.mark.parametrize("language", ["de", "ar"])
def test_whole_stay_is_possible_in_a_language(make: Callable[..., Flask], language: str) -> None:
    visitor, wallet = speaking(make(), language), Wallet()
    visitor.sign_in(wallet)
    for path in ("/session", "/sessions", "/activity", "/sign-out", "/unauthorized?role=admin"):
        answer = visitor.get(path)
        status = 403 if path.startswith("/unauthorized") else 200
        assert (answer.status_code, f'<html lang="{language}"' in answer.text) == (status, True), path
    assert visitor.sign_out().status_code == 303


def test_errors_are_in_the_language(make: Callable[..., Flask]) -> None:
    german = speaking(make(), "de")
    assert german.json("/session").get_json()["error"]["message"] == (
        "Melde dich mit deiner Wallet an, um diese Seite zu benutzen."
    )
    assert "<h1>Diese Seite gibt es nicht</h1>" in german.get("/nothing", headers={"Accept": "text/html"}).text


@pytest.mark.parametrize("when", ["before", "after"])
def test_babel_of_the_app_chooses_the_language(make: Callable[..., Flask], when: str) -> None:
    app = make(**{when: lambda app: Babel(app, locale_selector=lambda: request.args.get("to"))})
    visitor = speaking(app, "ar")
    assert '<html lang="de" dir="ltr"' in visitor.get("/sign-in?to=de").text
    assert '<html lang="de" dir="ltr"' in visitor.get("/sign-in?to=de_AT").text
    assert '<html lang="en" dir="ltr"' in visitor.get("/sign-in").text


@pytest.mark.parametrize("locale", ["xx", "xx_YY", "not a locale", "../../etc", "fr", "x" * 5000])
def test_locale_that_does_not_exist_is_english(make: Callable[..., Flask], locale: str) -> None:
    app = make(lambda app: Babel(app, locale_selector=lambda: locale))
    answer = Visitor(app).get("/sign-in")
    assert (answer.status_code, '<html lang="en" dir="ltr"' in answer.text) == (200, True)


def test_templates_of_the_app_keep_their_own_functions(make: Callable[..., Flask]) -> None:
    """Without an i18n extension the application has none from us, and can use the names for something else."""
    app = make()
    app.jinja_env.globals["_"] = lambda text: f"own {text}"
    app.add_url_rule("/own", view_func=public(lambda: render_template_string("{{ _('Sign out') }}")), endpoint="own")
    german = speaking(app, "de")
    assert german.get("/own").text == "own Sign out"
    assert "<h1>Mit deiner Wallet anmelden</h1>" in german.get("/sign-in").text


def test_clock_has_the_hours_of_the_language(make: Callable[..., Flask]) -> None:
    shown = {}
    for language in ("de", "ar"):
        visitor = speaking(make(), language)
        visitor.sign_in(Wallet())
        found = re.search(r'data-part="ends" datetime="[^"]*">([^<]*)<', visitor.get("/session").text)
        assert found is not None
        shown[language] = found[1]
    assert re.fullmatch(r"\d\d:\d\d UTC", shown["de"])
    assert re.fullmatch(r"\d{1,2}:\d\d\s[صم] UTC", shown["ar"])


def test_lengths_of_time_are_in_the_language(make: Callable[..., Flask]) -> None:
    assert "30 Minuten" in speaking(make(), "de").get("/sign-in").text
    assert "30 دقيقة" in speaking(make(), "ar").get("/sign-in").text


@pytest.mark.parametrize("languages", [[], ["xx"], ["en", "de", "klingon"], ["../de"]])
def test_language_without_a_catalogue_stops_the_start(make: Callable[..., Flask], languages: list[str]) -> None:
    with pytest.raises(Misconfigured, match=r"SESSIONS_CORE_LANGUAGES must list at least one of en, ar, de"):
        make(SESSIONS_CORE_LANGUAGES=languages)


def test_nothing_of_a_language_reaches_another_request(make: Callable[..., Flask]) -> None:
    """Jinja keeps what a template says when it is imported: those must not keep words."""
    app = make()
    for language in ("de", "en", "ar", "en", "de"):
        visitor = speaking(app, language)
        visitor.sign_in(Wallet())
        page = visitor.get("/session").text
        assert ("Send transactions" in page, "Transaktionen senden" in page) == (language == "en", language == "de")


def test_commands_speak_english(make: Callable[..., Flask]) -> None:
    app = make()
    with app.test_request_context("/", base_url=ORIGIN, headers={"Accept-Language": "de"}):
        assert app.jinja_env.filters["translated"]("Sign out") == "Abmelden"
    with app.app_context():
        assert app.jinja_env.filters["translated"]("Sign out") == "Sign out"
