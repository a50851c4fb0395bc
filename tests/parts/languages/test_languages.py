"""Pages in other languages: chosen by the browser or by Flask-Babel, with what belongs to a language."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from flask import Flask, get_template_attribute, render_template, render_template_string, request
from flask_babel import Babel
from jinja2 import DictLoader
from redis import Redis

from sessions_core import Misconfigured, WalletSessions, events, gettext, ngettext, public
from sessions_core.parts.roles.events import RoleChanged, VerificationChanged
from sessions_core.sign_in.accounts import parse

from ...actors import ORIGIN, Visitor, Wallet
from ...devices import listed
from ..leaving_out import without_settings

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SENTENCE = re.compile(r'data-testid="activity-sentence">(.*?)</p>', re.DOTALL)
ALL = {"SESSIONS_CORE_LANGUAGES": ["en", "de", "ar"]}


@pytest.fixture
def make(overrides: dict[str, Any], redis: Redis) -> Callable[..., Flask]:
    def build(before: Callable[[Flask], Any] = lambda app: None, after: Any = lambda app: None, **more: Any) -> Flask:
        app = Flask("tests.parts.languages")
        app.config.update(without_settings({**overrides, **ALL, **more}, more.get("SESSIONS_CORE_PARTS")))
        before(app)
        WalletSessions(app)
        after(app)
        app.add_url_rule("/", view_func=public(lambda: "home"), endpoint="home")
        return app

    return build


def speaking(app: Flask, language: str) -> Visitor:
    class Speaking(Visitor):
        def _headers(self, options: Any) -> Any:
            return {"Accept-Language": language, "User-Agent": FIREFOX} | super()._headers(options)

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
    """An application can use the names of our functions for something else."""
    app = make()
    app.jinja_env.globals["_"] = lambda text: f"own {text}"
    app.add_url_rule("/own", view_func=public(lambda: render_template_string("{{ _('Sign out') }}")), endpoint="own")
    german = speaking(app, "de")
    assert german.get("/own").text == "own Sign out"
    assert "<h1>Mit deiner Wallet anmelden</h1>" in german.get("/sign-in").text


@pytest.mark.parametrize(
    ("language", "role", "said"),
    [
        ("en", "member", "Member"),
        ("en", "support_staff", "Support staff"),
        ("de", "admin", "Administrator"),
        ("ar", "member", "عضو"),
    ],
)
def test_roles_are_words_in_the_language(make: Callable[..., Flask], language: str, role: str, said: str) -> None:
    with make().test_request_context("/", base_url=ORIGIN, headers={"Accept-Language": language}):
        assert get_template_attribute("sessions/_accounts.html", "role_name")(role) == said


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


# -- Catalogues of the application ---------------------------------------------------------------------------------

OWN = """
{% trans %}Good morning{% endtrans %}|{{ _("Sign out") }}|{{ _("Hello %(name)s", name=name) }}|
{%- trans n=count %}{{ n }} fern{% pluralize %}{{ n }} ferns{% endtrans %}|
{{- ngettext("%(num)s fern", "%(num)s ferns", count) }}
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """Write a catalogue of the application."""

    def write(name: str, *texts: tuple[Any, Any]) -> Path:
        catalogue = Catalog(locale=name.replace("-", "_"))
        for written, said in texts:
            catalogue.add(written, said)
        with (tmp_path / f"{name}.po").open("wb") as file:
            write_po(file, catalogue)
        return tmp_path

    return write


def shows(app: Flask, source: str, **values: Any) -> None:
    app.add_url_rule("/own", view_func=public(lambda: render_template_string(source, **values)), endpoint="own")


MORNING, HELLO = ("Good morning", "Guten Morgen"), ("Hello %(name)s", "Hallo %(name)s")
FERNS = (("%(num)s fern", "%(num)s ferns"), ("%(num)s Farn", "%(num)s Farne"))
N_FERNS = (("%(n)s fern", "%(n)s ferns"), ("%(n)s Farn", "%(n)s Farne"))


def test_pages_of_the_app_use_its_own_catalogue(make: Callable[..., Flask], own: Callable[..., Path]) -> None:
    """Words that the package has too need no translation of the application's."""
    app = make(SESSIONS_CORE_TRANSLATIONS=[str(own("de", MORNING, HELLO, FERNS, N_FERNS))])
    shows(app, OWN, name="<Ann>", count=2)
    said = "Guten Morgen|Abmelden|Hallo &lt;Ann&gt;|2 Farne|2 Farne"
    assert speaking(app, "de").get("/own").text.strip() == said
    assert speaking(app, "en").get("/own").text.strip() == "Good morning|Sign out|Hello &lt;Ann&gt;|2 ferns|2 ferns"


def test_views_of_the_app_use_its_own_catalogue(make: Callable[..., Flask], own: Callable[..., Path]) -> None:
    app = make(SESSIONS_CORE_TRANSLATIONS=[str(own("de", HELLO, FERNS))])

    @app.get("/text")
    @public
    def text() -> str:
        return f"{gettext('Hello %(name)s', name='Ann')}: {ngettext('%(num)s fern', '%(num)s ferns', 2)}"

    assert speaking(app, "de").get("/text").text == "Hallo Ann: 2 Farne"
    assert speaking(app, "ar").get("/text").text == "Hello Ann: 2 ferns"


def test_words_of_the_app_come_before_the_package_s(make: Callable[..., Flask], own: Callable[..., Path]) -> None:
    app = make(SESSIONS_CORE_TRANSLATIONS=[str(own("de", ("Sign in with your wallet", "Komm herein")))])
    assert "<h1>Komm herein</h1>" in speaking(app, "de").get("/sign-in").text
    assert "<h1>تسجيل الدخول بمحفظتك</h1>" in speaking(app, "ar").get("/sign-in").text


def test_app_can_bring_a_language_of_its_own(make: Callable[..., Flask], own: Callable[..., Path]) -> None:
    folder = str(own("pt-BR", ("Sign in with your wallet", "Entrar com a carteira")))
    app = make(SESSIONS_CORE_TRANSLATIONS=[folder], SESSIONS_CORE_LANGUAGES=["en", "pt-BR"])
    page = speaking(app, "pt-BR").get("/sign-in").text
    assert '<html lang="pt-BR" dir="ltr"' in page
    assert "<h1>Entrar com a carteira</h1>" in page


def test_text_templates_get_no_markup(make: Callable[..., Flask], own: Callable[..., Path]) -> None:
    """A mail in plain text has no entities."""
    app = make(SESSIONS_CORE_TRANSLATIONS=[str(own("de", HELLO))])
    app.jinja_loader = DictLoader({"mail.txt": "{% trans %}Hello {{ name }}{% endtrans %}"})  # type: ignore[assignment]
    app.add_url_rule("/mail", view_func=public(lambda: render_template("mail.txt", name="O'Hara")), endpoint="mail")
    assert speaking(app, "de").get("/mail").text == "Hallo O'Hara"


def test_relative_folder_is_below_the_app(make: Callable[..., Flask]) -> None:
    with pytest.raises(Misconfigured, match=re.escape(str(Path(__file__).parent / "nowhere"))):
        make(SESSIONS_CORE_TRANSLATIONS=["nowhere"])


@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        ('msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=(n);\\n"\n', "Plural-Forms"),
        ('msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=import os;\\n"\n', "no catalogue"),
        ('msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=2; plural=n/0;\\n"\n', "no catalogue"),
        ('msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=none\\n"\n\nmsgid "é"\n', "no catalogue"),
        ("<html>", "no catalogue"),
    ],
)
def test_unusable_catalogue_stops_the_start(
    make: Callable[..., Flask], tmp_path: Path, file: str, wrong: str
) -> None:
    (tmp_path / "de.po").write_text(file)
    with pytest.raises(Misconfigured, match=wrong):
        make(SESSIONS_CORE_TRANSLATIONS=[str(tmp_path)])


def test_file_that_names_no_language_stops_the_start(make: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "klingon.po").write_text("")
    with pytest.raises(Misconfigured, match="klingon, which Babel does not know"):
        make(SESSIONS_CORE_TRANSLATIONS=[str(tmp_path)], SESSIONS_CORE_LANGUAGES=["klingon"])


def test_pages_of_the_app_are_english_without_the_part(make: Callable[..., Flask]) -> None:
    app = make(SESSIONS_CORE_PARTS=["ethereum"])
    shows(app, OWN, name="Ann", count=1)
    assert speaking(app, "de").get("/own").text.strip() == "Good morning|Sign out|Hello Ann|1 fern|1 fern"


@pytest.mark.parametrize("when", ["before", "after"])
def test_extension_of_the_app_translates_its_pages(
    make: Callable[..., Flask], own: Callable[..., Path], when: str
) -> None:
    """Flask-Babel in an application's templates reads the application's compiled catalogues, and not ours."""
    folder = str(own("de", MORNING, HELLO, FERNS, N_FERNS))
    app = make(SESSIONS_CORE_TRANSLATIONS=[folder], **{when: lambda app: Babel(app, locale_selector=lambda: "de")})
    shows(app, OWN, name="Ann", count=2)
    visitor = Visitor(app)
    assert visitor.get("/own").text.strip() == "Good morning|Sign out|Hello Ann|2 ferns|2 ferns"
    assert "<h1>Mit deiner Wallet anmelden</h1>" in visitor.get("/sign-in").text


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


def test_device_is_translated_on_pages_alone(make: Callable[..., Flask]) -> None:
    """What is stored, and what programs read, stays English."""
    german = speaking(make(), "de")
    german.sign_in(Wallet())
    assert [each["device"] for each in listed(german)] == ["Firefox on Linux"]
    for path in ("/sessions", "/activity"):
        page = german.get(path).text
        assert ("Firefox unter Linux" in page, "Firefox on Linux" in page) == (True, False), path


def test_name_that_a_user_chose_is_not_translated(make: Callable[..., Flask]) -> None:
    german = speaking(make(), "de")
    german.sign_in(Wallet())
    [row] = listed(german)
    german.submit(f"/sessions/{row['session_id']}/name", label="Chrome on Linux")
    page = german.get("/sessions").text
    assert ("Chrome on Linux" in page, "Chrome unter Linux" in page) == (True, False)


def test_sentences_of_the_activity_are_whole(make: Callable[..., Flask]) -> None:
    app, wallet = make(), Wallet()
    german, account = speaking(app, "de"), wallet.account()
    german.sign_in(wallet)
    with app.app_context():
        events.publish(RoleChanged(account=account, before="member", after="admin", by=""))
        events.publish(VerificationChanged(account=account, level="", until=0, by=account))
        events.publish(events.SignInFailed(code="domain_mismatch", account=account))
    page = german.get("/activity").text
    said = {" ".join(re.sub("<[^>]*>", "", each).split()) for each in SENTENCE.findall(page)}
    short = parse(account).short_address
    assert said >= {
        "Eine Anmeldung wurde abgelehnt: die signierte Nachricht war für eine andere Website",
        f"Die Bestätigung als Fachkraft wurde von {short} zurückgenommen",
        "Die Rolle wechselte von Mitglied zu Administrator, über die Kommandozeile",
    }
