"""The pages around a refusal: what `/confirm` shows before anybody signs, and what `/unauthorized` finds lacking."""

from __future__ import annotations

import re
from datetime import datetime
from html import escape

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import catalogue
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import Visitor, Wallet, handle_of
from ..part_services import roles_of
from ..snapshot import refused, unchanged
from ..time_machine import TimeMachine

HOSTILE = ["<script>alert(1)</script>", '"><img src=x>', "javascript:alert(1)", "//evil.example", "x" * 5000, "\0"]


def attribute(page: str, testid: str, name: str) -> str | None:
    """What the element with this test id has as this attribute; `None` if there is no such element."""
    element = re.search(rf'<[a-z-]+ [^>]*data-testid="{testid}"[^>]*>', page)
    if element is None:
        return None
    found = re.search(rf'\b{name}="([^"]*)"', element[0])
    return found[1] if found else ""


# -- /confirm ------------------------------------------------------------------------------------------------------


def test_page_shows_the_very_words_that_are_signed(
    person: Visitor, other: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    pass_time(301)
    handle = handle_of(other)
    asked = person.submit(f"/sessions/{handle}/revoke")
    waiting = person.waiting(asked)
    assert waiting.sentence == f"Sign out [Unknown browser] ({handle[:9]})."
    assert waiting.sentence in person.text_for(waiting.request)["message"].split("\n")
    answer = person.get(asked.headers["Location"])
    page = answer.get_data(as_text=True)
    assert attribute(page, "confirm", "data-account") == wallet.account()
    assert attribute(page, "confirm", "data-action-name") == "session.revoke"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_page_describes_the_session_that_is_to_end(
    app: Flask, person: Visitor, other: Visitor, pass_time: TimeMachine
) -> None:
    other.submit(f"/sessions/{handle_of(other)}/name", label="<b>Laptop</b>\u202e")
    pass_time(301)
    handle = handle_of(other)
    page = person.get(person.submit(f"/sessions/{handle}/revoke").headers["Location"]).get_data(as_text=True)
    assert "&lt;b&gt;Laptop&lt;/b&gt;" in page
    assert "<b>Laptop" not in page
    assert "\u202e" not in page
    assert attribute(page, "confirm-gone", "class") is None
    location = person.submit(f"/sessions/{handle}/revoke").headers["Location"]
    other.sign_out()
    assert attribute(person.get(location).get_data(as_text=True), "confirm-gone", "class") is not None


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_the_page_says_why_the_signature_before_was_refused(person: Visitor, code: str) -> None:
    location = person.submit("/session/extend").headers["Location"]
    page = person.get(f"{location}&problem={code}").get_data(as_text=True)
    assert attribute(page, "confirm-problem", "data-code") == code


@pytest.mark.parametrize("problem", ["", "nothing", "__class__", *HOSTILE], ids=lambda text: ascii(text[:20]))
def test_unknown_problem_is_not_shown(person: Visitor, problem: str) -> None:
    location = person.submit("/session/extend").headers["Location"]
    answer = person.get("/confirm", query_string={"request": location.partition("request=")[2], "problem": problem})
    assert answer.status_code == 200
    assert attribute(answer.get_data(as_text=True), "confirm-problem", "class") is None
    for shown in (problem, escape(problem)):
        assert len(shown) < 9 or shown not in answer.get_data(as_text=True)


def test_viewing_the_confirm_page_changes_nothing(person: Visitor, redis: Redis) -> None:
    location = person.submit("/session/extend").headers["Location"]
    with unchanged(redis):
        for _ in range(3):
            assert person.get(location).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_page_without_a_waiting_request_has_nothing_to_ask(
    person: Visitor, redis: Redis, happened: list[events.Event], method: str
) -> None:
    token = person.token("/session")
    with refused(redis, happened, "confirmation_malformed"):
        answer = person.get("/confirm") if method == "GET" else person.post("/confirm", data={"csrf_token": token})
    assert answer.status_code == 400


def test_the_signature_for_a_page_needs_the_token_and_this_site(
    person: Visitor, wallet: Wallet, redis: Redis, pass_time: TimeMachine, services: Services
) -> None:
    roles_of(services).assign(parse(wallet.account()), "admin")
    pass_time(901)
    target, form = person.signed_form(wallet, person.get("/admin"))
    assert target == "/confirm"
    with unchanged(redis):
        assert person.post(target, data={**form, "csrf_token": ""}).status_code == 400
        assert person.post(target, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert person.post(target, data={**form, "padding": "x" * 17_000}).status_code == 413
    assert person.post(target, data=form).headers["Location"] == "/admin"
    with unchanged(redis):
        again = person.post(target, data={**form, "csrf_token": person.token("/session")})
    assert "problem=challenge_used" in again.headers["Location"]


def test_session_is_extended_only_by_a_signature_each_time(
    person: Visitor, wallet: Wallet, pass_time: TimeMachine
) -> None:
    def left() -> float:
        data = person.json("/api/auth/sessions/validate").get_json()["data"]
        moments = (datetime.fromisoformat(data[name]) for name in ("absolute_expires_at", "now"))
        return (next(moments) - next(moments)).total_seconds()

    for _ in range(2):
        pass_time(1000)
        asked = person.submit("/session/extend")
        assert person.waiting(asked).sentence == "Extend this session."
        assert left() <= 42_200
        answer = person.confirm(wallet, asked)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/session")
        assert 43_195 < left() <= 43_200


def test_links_and_other_sites_extend_nothing(person: Visitor, redis: Redis) -> None:
    token = person.token("/session")
    with unchanged(redis):
        assert person.get("/session/extend").status_code == 405
        answer = person.post(
            "/session/extend", data={"csrf_token": token}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403


# -- /unauthorized ---------------------------------------------------------------------------------------------------


def state(page: str) -> tuple[str | None, str | None, str | None]:
    return tuple(attribute(page, "unauthorized", name) for name in ("data-state", "data-kind", "data-missing"))  # type: ignore[return-value]


def test_missing_role_is_named_and_the_user_stays_signed_in(person: Visitor, redis: Redis) -> None:
    with unchanged(redis):
        answer = person.get("/admin?account=x")
        assert (answer.status_code, answer.headers["Location"]) == (
            303,
            "/unauthorized?role=admin&next=/admin?account%3Dx",
        )
        page = person.get(answer.headers["Location"])
    assert page.status_code == 403
    assert state(page.get_data(as_text=True)) == ("missing", "role", "admin")
    assert person.signed_in


def test_a_form_that_was_refused_is_not_come_back_to(person: Visitor, wallet: Wallet) -> None:
    answer = person.submit(f"/admin/accounts/{Wallet().account()}/revoke")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/unauthorized?role=admin")


def test_json_names_the_missing_role_in_the_envelope(person: Visitor) -> None:
    answer = person.json("/admin")
    error = answer.get_json()["error"]
    assert answer.status_code == 403
    assert (error["code"], error["reason"]) == ("permission_denied", "role")
    assert (error["kind"], error["missing"]) == ("role", "admin")


def test_user_with_a_new_role_may_continue(person: Visitor, wallet: Wallet, services: Services) -> None:
    roles_of(services).assign(parse(wallet.account()), "admin")
    page = person.get("/unauthorized?role=admin&next=/admin").get_data(as_text=True)
    assert state(page) == ("had", "role", "admin")
    assert attribute(page, "unauthorized-next", "href") == "/admin"


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "x"]
)
def test_next_never_leads_to_another_site(person: Visitor, wallet: Wallet, services: Services, target: str) -> None:
    for state_, link in (("missing", "unauthorized-again"), ("had", "unauthorized-next")):
        page = person.get("/unauthorized", query_string={"role": "admin", "next": target}).get_data(as_text=True)
        assert state(page)[0] == state_
        assert attribute(page, link, "href") in (None, "/session")
        roles_of(services).assign(parse(wallet.account()), "admin")


def test_reason_comes_from_the_session_not_the_address(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.attempt(wallet, visitor.challenge(wallet.account("eip155:11155111")))
    page = visitor.get("/unauthorized?permission=transact&reason=role").get_data(as_text=True)
    assert state(page) == ("missing", "permission", "transact")
    assert attribute(page, "unauthorized", "data-reason") == "network_testnet"


def test_visitors_are_told_to_sign_in(visitor: Visitor) -> None:
    answer = visitor.get("/unauthorized?role=admin&next=/admin")
    assert answer.status_code == 403
    assert state(answer.get_data(as_text=True)) == ("visitor", "role", "admin")


@pytest.mark.parametrize("parameter", ["role", "session_type", "permission", "next"])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_unknown_right_or_path_is_not_repeated(visitor: Visitor, parameter: str, value: str) -> None:
    # As a visitor: in the pages of others are links back to the address itself.
    page = visitor.get("/unauthorized", query_string={parameter: value}).get_data(as_text=True)
    assert state(page)[0] == "unknown"
    assert value not in page
    assert escape(value) not in page


def test_the_page_shows_no_account_but_one_s_own(person: Visitor, wallet: Wallet) -> None:
    page = person.get("/unauthorized?role=admin").get_data(as_text=True)
    assert set(re.findall(r"eip155:\d+:0x[0-9a-fA-F]{40}", page)) == {wallet.account()}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_from_another_site_names_nothing(person: Visitor, site: str) -> None:
    """It could have people ask an administrator for a role that nothing takes."""
    answer = person.get("/unauthorized?role=admin&next=/admin", headers={"Sec-Fetch-Site": site})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 403
    assert state(page) == ("unknown", "", "")
    assert "You need the" not in page


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_page_linked_from_another_site_names_the_missing_right(person: Visitor, site: str) -> None:
    answer = person.get("/admin", headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, state(answer.get_data(as_text=True))) == (403, ("missing", "role", "admin"))


@pytest.mark.parametrize("site", ["same-origin", "none", None])
def test_the_sites_own_pages_are_believed(person: Visitor, site: str | None) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    page = person.get("/unauthorized?role=admin", headers=headers).get_data(as_text=True)
    assert state(page) == ("missing", "role", "admin")
