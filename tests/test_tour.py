"""The tour of the demo: what each card does, what only development has, and what fails with which code."""

from __future__ import annotations

import html
import re
import struct
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

import tour
from sessions_core.sign_in.accounts import parse
from tour import source
from tour.pages import CARDS

from .actors import Visitor, Wallet
from .constants import PRODUCTION, ROOT
from .part_services import roles_of

CARDS_PY = ROOT / "tour/cards.py"
SIGNED_IN = ("members", "invoice", "editors", "testnet", "live", "api")
TRICKS = ("replay", "stale", "forge", "editor", "second")
SEPOLIA = "eip155:11155111"


def words(answer: TestResponse) -> str:
    """Return the text of a page without its tags, each space once."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", answer.get_data(as_text=True))).split())


def press(visitor: Visitor, path: str, **fields: str) -> TestResponse:
    """Send a form of the tour."""
    return visitor.post(path, data={"csrf_token": visitor.token("/tour")} | fields)


def pay(visitor: Visitor, wallet: Wallet, amount: str = "120") -> TestResponse:
    return visitor.confirm(wallet, press(visitor, "/tour/invoices/7/pay", amount=amount))


def outcome(answer: TestResponse) -> tuple[int, str, str]:
    """Return the status and the codes that a page of an attack shows."""
    page = answer.get_data(as_text=True)
    found = re.search(r'data-status="(\d+)" data-code="(\w*)" data-more="(\w*)"', page)
    assert found, page
    return int(found[1]), found[2], found[3]


def log(visitor: Visitor) -> dict[str, Any]:
    return dict(visitor.json("/tour/log").get_json())


def signed_in_to(production: Flask) -> Visitor:
    """Return somebody who has signed in to the site in production."""
    person, wallet = Shopper(production), Wallet()
    headers = {"Origin": person.site, "Accept": "application/json"}
    person.get("/sign-in")
    asked = person.post("/api/auth/challenges", json={"account": wallet.account()}, headers=headers)
    text = asked.get_json()["data"]
    form = {
        "message": text["message"],
        "challenge": text["challenge"],
        "signature": wallet.sign(text["message"]),
        "csrf_token": person.token(),
    }
    assert person.post("/sign-in", data=form, headers={"Origin": person.site}).status_code == 303
    return person


# -- The cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_each_card_shows_lines_of_the_file_that_runs(visitor: Visitor, card: tour.pages.Card) -> None:
    for lines in card.code.split("\n\n\n"):
        assert lines in CARDS_PY.read_text()
    page = visitor.get("/tour").get_data(as_text=True)
    shown = re.search(rf'<pre [^>]*id="code-{card.name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert shown
    assert html.unescape(re.sub(r"<[^>]+>", "", shown[1])) == card.code


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_each_card_shows_the_view_of_its_page(app: Flask, card: tour.pages.Card) -> None:
    """The guard on the page is the one that a reader of the card sees."""
    with app.test_request_context():
        endpoint = "tour.invoice_json" if card.name == "api" else card.endpoint
    assert endpoint in app.view_functions
    name = "pay" if card.name == "invoice" else endpoint.partition(".")[2]
    assert name in card.shows
    assert app.view_functions[f"tour.{name}"].__module__ == "tour.cards"


def test_all_routes_to_copy_declare_who_may_use_them() -> None:
    found = source.definitions(CARDS_PY)
    views = [code for code in found.values() if code.startswith("@cards.")]
    assert len(views) == 9
    for code in views:
        assert re.search(r"^@(signed_in|public|requires|fresh_required)", code, re.M), code


@pytest.mark.parametrize("name", SIGNED_IN)
def test_card_asks_visitors_to_sign_in_and_leads_back(visitor: Visitor, name: str) -> None:
    path = next(card for card in CARDS if card.name == name)
    with visitor.app.test_request_context():
        url = path.url
    answer = visitor.get(url)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=")
    assert url.rpartition("/")[2] in answer.headers["Location"]


def test_members_page_names_the_account(person: Visitor, wallet: Wallet) -> None:
    assert wallet.address in words(person.get("/tour/members"))


def test_payment_asks_for_a_signature_that_names_it(person: Visitor, wallet: Wallet) -> None:
    answer = press(person, "/tour/invoices/7/pay", amount="120")
    assert person.waiting(answer).sentence == "Pay invoice 7: 120 USDC."
    assert "is paid" not in words(person.get("/tour/invoices/7"))
    assert person.confirm(wallet, answer).status_code == 303
    assert "Invoice 7 is paid" in words(person.get("/tour/invoices/7"))


def test_amount_and_payee_come_from_the_invoice(person: Visitor) -> None:
    """A page that was tampered with asks for 1 USDC; the sentence and the page say what the server knows."""
    answer = press(person, "/tour/invoices/7/pay", amount="1")
    assert person.waiting(answer).sentence == "Pay invoice 7: 120 USDC."
    assert "Fern and Moss Studio" in words(person.get(answer.headers["Location"]))


def test_payment_of_an_unknown_invoice_is_a_404(person: Visitor) -> None:
    assert press(person, "/tour/invoices/8/pay").status_code == 404


@pytest.mark.parametrize("path", ["/tour/invoices/8", "/api/tour/invoices/8", "/read/docs/none.md", "/read/app.py"])
def test_what_the_tour_does_not_have_is_a_404(person: Visitor, path: str) -> None:
    assert person.get(path).status_code == 404


def test_member_becomes_an_editor_under_a_new_session_id(person: Visitor) -> None:
    before = person.session_id
    assert person.json("/tour/editors").status_code == 403
    assert press(person, "/tour/tricks/editor").status_code == 303
    assert person.json("/tour/editors").status_code == 200
    assert person.session_id != before
    assert press(person, "/tour/tricks/editor").status_code == 303
    assert person.json("/tour/editors").status_code == 403


def test_administrator_keeps_the_role_when_asking_for_editor(app: Flask, person: Visitor, wallet: Wallet) -> None:
    with app.app_context():
        roles_of(app).assign(parse(wallet.account()), "admin")
    assert press(person, "/tour/tricks/editor").status_code == 409
    with app.app_context():
        assert roles_of(app).status(wallet.account()).role == "admin"


def test_test_page_is_for_test_networks_only(app: Flask, person: Visitor) -> None:
    assert person.json("/tour/testnet").status_code == 403
    assert "Closed on Ethereum" in words(person.get("/tour"))
    other, account = Visitor(app), Wallet()
    form = other.challenge(account.account(SEPOLIA))
    assert other.attempt(account, form).status_code == 303
    assert other.get("/tour/testnet").status_code == 200


def test_api_wants_a_token_and_knows_when_its_session_ended(app: Flask, person: Visitor) -> None:
    page = html.unescape(press(person, "/tour/api").get_data(as_text=True))
    found = re.search(r"curl -H 'Authorization: (Bearer [^']+)' http://localhost:5000(/api/tour/invoices/7)", page)
    assert found
    program, headers = app.test_client(), {"Accept": "application/json"}

    def ask(**more: str) -> TestResponse:
        return program.get(found[2], base_url=person.site, headers=headers | more)

    refused = ask()
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (401, "no_token")
    answer = ask(Authorization=found[1])
    assert (answer.status_code, answer.get_json()["data"]["amount"]) == (200, 120)
    person.sign_out()
    assert ask(Authorization=found[1]).status_code == 401


def test_note_survives_sign_in_and_extension_but_no_sign_out(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    form = {"csrf_token": visitor.token("/tour/note"), "note": "water the <ferns>"}
    assert visitor.post("/tour/note", data=form).status_code == 303
    visitor.sign_in(wallet)
    assert "water the <ferns>" in words(visitor.get("/tour/note"))
    before = visitor.session_id
    assert visitor.confirm(wallet, visitor.submit("/session/extend")).status_code == 303
    assert visitor.session_id != before
    assert "water the <ferns>" in words(visitor.get("/tour/note"))
    visitor.sign_out()
    assert "water the" not in words(visitor.get("/tour/note"))
    assert "water the" not in words(Visitor(app).get("/tour/note"))


def test_card_says_what_is_missing(visitor: Visitor, wallet: Wallet) -> None:
    assert words(visitor.get("/tour")).count("Sign in first") >= 6
    visitor.sign_in(wallet)
    page = words(visitor.get("/tour"))
    assert "For editors. Your role: member" in page
    assert "Sign in on a test network" in page
    assert page.count("Open to you") == 4


# -- What the server just did ------------------------------------------------------------------------------------


def test_log_has_requests_with_events_round_trips_and_time(visitor: Visitor, wallet: Wallet) -> None:
    visitor.get("/tour")
    visitor.sign_in(wallet)
    pay(visitor, wallet)
    found = {(each["method"], each["path"]): each for each in reversed(log(visitor)["requests"])}
    paid = found["POST", "/tour/invoices/7/pay"]
    assert paid["events"] == ["session.rotated", "session.confirmed · invoice.pay"]
    assert paid["status"] == 303
    assert paid["round_trips"] > 1
    assert 0 < paid["redis_ms"] <= paid["ms"]
    assert "session.created" in found["POST", "/sign-in"]["events"]


def test_log_counts_one_round_trip_for_a_page_of_a_session(person: Visitor) -> None:
    """The claim of the design, as the drawer shows it; the first visit gives the browser its log."""
    person.get("/tour/testnet")
    person.get("/tour/members")
    newest = log(person)["requests"][0]
    assert (newest["path"], newest["round_trips"]) == ("/tour/members", 1)


def test_log_is_of_one_browser(app: Flask, person: Visitor) -> None:
    person.get("/tour")
    person.get("/tour/members")
    stranger = Visitor(app)
    assert log(stranger) == {"requests": [], "events": []}
    stranger.get("/tour")
    assert "/tour/members" not in str(log(stranger))


def test_log_has_the_events_of_the_account_in_all_browsers(person: Visitor, other: Visitor) -> None:
    assert [each["name"] for each in log(person)["events"]] == ["session.created", "session.created"]
    other.sign_out()
    newest = log(person)["events"][0]
    assert (newest["name"], newest["more"]) == ("session.ended", "signed_out")


def test_log_names_no_account_no_session_and_no_query(redis: Redis, person: Visitor, wallet: Wallet) -> None:
    person.get("/tour")
    person.get("/tour/members?secret=word")
    [key] = redis.keys("*:tour:*")
    kept = b"".join(redis.lrange(key, 0, -1)).decode()
    assert "/tour/members" in kept
    for private in ("secret", "word", wallet.address, person.session_id):
        assert private.lower() not in kept.lower()
    assert 0 < redis.ttl(key) <= 3600
    for _ in range(25):
        person.get("/tour/note")
    assert redis.llen(key) == 20


# -- Attacks ------------------------------------------------------------------------------------------------------


def test_replayed_signature_is_refused_and_pays_nothing(person: Visitor, wallet: Wallet) -> None:
    assert press(person, "/tour/tricks/replay").status_code == 409
    pay(person, wallet)
    answer = press(person, "/tour/tricks/replay")
    assert outcome(answer) == (403, "step_up_required", "challenge_used")
    assert "The replay was refused" in words(answer)
    assert person.signed_in


def test_request_with_an_ended_session_is_refused(person: Visitor) -> None:
    old = person.session_id
    answer = press(person, "/tour/tricks/stale")
    assert outcome(answer) == (401, "session_invalid", "signed_out")
    assert "The dead session stayed dead" in words(answer)
    assert not person.signed_in
    person.session_id = old
    assert not person.signed_in


def test_forged_cookie_is_refused(person: Visitor) -> None:
    answer = press(person, "/tour/tricks/forge")
    assert outcome(answer) == (401, "session_invalid", "unknown")
    assert "The forged cookie was refused" in words(answer)
    assert person.signed_in


@pytest.mark.parametrize("trick", TRICKS)
def test_attack_needs_a_session_and_a_form_of_this_site(app: Flask, person: Visitor, trick: str) -> None:
    path = f"/tour/tricks/{trick}"
    assert person.get(path).status_code == 405
    assert person.post(path).status_code == 400
    cross = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    token = person.token("/tour")
    assert person.post(path, data={"csrf_token": token}, headers=cross).status_code in (400, 403)
    visitor = Visitor(app)
    assert visitor.post(path, data={"csrf_token": visitor.token("/tour/note")}).status_code == 303
    assert person.signed_in


def test_only_a_trial_account_can_be_opened_by_a_link(person: Visitor) -> None:
    assert "Be in two places" not in words(person.get("/tour"))
    assert press(person, "/tour/tricks/second").status_code == 409


def test_made_up_link_signs_nobody_in(visitor: Visitor) -> None:
    path = "/tour/second/" + "x" * 32
    page = visitor.get(path)
    assert page.status_code == 200
    answer = visitor.post(path, data={"csrf_token": visitor.token(path)})
    assert answer.status_code == 410
    assert not visitor.signed_in


# -- Production ---------------------------------------------------------------------------------------------------


class Shopper(Visitor):
    """A visitor of the site in production."""

    site = str(PRODUCTION["SESSIONS_CORE_PUBLIC_ORIGIN"])


@pytest.fixture
def production(make_app: Callable[..., Flask]) -> Flask:
    return make_app(**PRODUCTION, SESSIONS_CORE_REDIS_CHECK=False)


PAGES = ("/", "/tour", "/tour/members", "/tour/invoices/7", "/tour/api", "/tour/note")
DEVELOPMENT_ONLY = (
    "tour/tricks",
    "dev-strip",
    "Demo mode",
    "roles grant",
    "Make me an editor",
    "Attack it",
    "log-request",
    "CLOCKS",
)


def test_development_shows_what_production_must_not(person: Visitor) -> None:
    """The words that the next test looks for are the ones that pages have."""
    shown = "".join(person.get(path).get_data(as_text=True) for path in PAGES)
    assert [each for each in DEVELOPMENT_ONLY if each not in shown] == []


def test_production_shows_none_of_the_tools_of_development(production: Flask) -> None:
    person = signed_in_to(production)
    for path in PAGES:
        answer = person.get(path)
        assert answer.status_code == 200, path
        page = answer.get_data(as_text=True)
        assert [each for each in DEVELOPMENT_ONLY if each in page] == [], path
        assert "tour-log" not in answer.headers.get("Set-Cookie", "")


def test_production_has_no_route_of_an_attack(production: Flask) -> None:
    rules = [rule for rule in production.url_map.iter_rules() if rule.endpoint.startswith("tour_tricks.")]
    assert rules == []
    assert type(production.wsgi_app).__name__ != "ServerLog"
    person = signed_in_to(production)
    for path in (*(f"/tour/tricks/{trick}" for trick in TRICKS), "/tour/second/" + "x" * 32):
        assert person.get(path).status_code == 404
        form = {"csrf_token": person.token("/tour")}
        headers = {"Origin": person.site}
        assert person.post(path, data=form, headers=headers).status_code == 404, path


def test_production_log_has_only_the_account_s_own_events(production: Flask, redis: Redis) -> None:
    person = signed_in_to(production)
    person.client.set_cookie("tour-log", "a" * 22, domain="app.example.org", secure=True)
    person.get("/tour")
    found = log(person)
    assert found["requests"] == []
    assert [each["name"] for each in found["events"]] == ["session.created"]
    assert redis.keys("*:tour:*") == []


# -- The home page ------------------------------------------------------------------------------------------------


def test_home_page_has_the_smallest_app_to_copy(visitor: Visitor) -> None:
    page = visitor.get("/").get_data(as_text=True)
    found = re.search(r'data-copy="([^"]+)"', page)
    assert found
    assert html.unescape(found[1]) == (ROOT / "examples/minimal/app.py").read_text().rstrip()


def test_every_link_of_home_page_and_tour_leads_somewhere(visitor: Visitor, wallet: Wallet) -> None:
    seen = set()
    for _ in range(2):
        for path in ("/", "/tour", "/tour/note", "/read/README.md"):
            page = visitor.get(path).get_data(as_text=True)
            for link in re.findall(r'(?:href|src)="(/[^"]*|#[^"]*)"', page):
                target, _, anchor = html.unescape(link).partition("#")
                with visitor.get(target or path) as answer:
                    assert answer.status_code in (200, 303), link
                    assert not anchor or f'id="{anchor}"' in answer.get_data(as_text=True), link
                seen.add(target)
        visitor.sign_in(wallet)
    assert {"/tour", "/read/README.md", "/read/docs/integrate.md", "/api/openapi.json"} <= seen


def test_home_page_has_a_description_and_a_social_image(visitor: Visitor) -> None:
    page = visitor.get("/").get_data(as_text=True)
    tags = dict(re.findall(r'<meta (?:name|property)="([\w:]+)" content="([^"]+)"', page))
    assert "Wallet sign-in for Flask" in tags["description"]
    assert len(tags["description"]) <= 160
    with visitor.get(tags["og:image"].removeprefix(visitor.site)) as image:
        assert image.content_type == "image/png"
        width, height = struct.unpack(">II", image.data[16:24])
    assert (str(width), str(height)) == (tags["og:image:width"], tags["og:image:height"]) == ("1200", "630")


def test_home_page_offers_the_trial_only_where_it_is_on(make_app: Callable[..., Flask]) -> None:
    assert "Try it" in words(Visitor(make_app()).get("/"))
    without = words(Visitor(make_app(SESSIONS_CORE_PREGENERATED_WALLETS=False)).get("/"))
    assert "Try it" not in without
    assert "Sign in" in without
