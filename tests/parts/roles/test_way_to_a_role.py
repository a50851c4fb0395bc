"""`/unauthorized`: how a user gets a missing role, from an administrator or, in development, by a command."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from sessions_core import part
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet

ADMIN = "/unauthorized?role=admin&next=/admin"
PROFESSIONAL = "/unauthorized?session_type=professional"


def signed_in(app: Flask, wallet: Wallet) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    return visitor


def command_on(page: str) -> str | None:
    found = re.search(r"<code[^>]*>(flask [^<]*)</code>", page)
    return html.unescape(found[1]) if found else None


def contact_on(page: str) -> str:
    """The contact of the site: where the link leads to, or the sentence."""
    [found] = re.findall(r'href="([^"]*)" data-testid="contact"|data-testid="contact">([^<]*)', page)
    return html.unescape("".join(found))


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        ("help@example.org", "mailto:help@example.org"),
        ("https://example.org/help?topic=roles", "https://example.org/help?topic=roles"),
        ("Ask Ada <Room 7> at the desk.", "Ask Ada <Room 7> at the desk."),
    ],
)
def test_page_says_how_to_reach_an_administrator(
    make_app: Callable[..., Flask], wallet: Wallet, contact: str, shown: str
) -> None:
    app = make_app(SESSIONS_CORE_CONTACT=contact)
    person = signed_in(app, wallet)
    for path in (ADMIN, PROFESSIONAL):
        assert contact_on(person.get(path).text) == shown
    assert 'data-testid="contact"' not in Visitor(app).get(ADMIN).text
    assert 'data-testid="contact"' not in person.get("/unauthorized?session_type=anonymous").text


def test_one_action_is_the_primary_one(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """The contact if there is one, else "Try again"."""
    for settings, primary in (({}, "unauthorized-again"), ({"SESSIONS_CORE_CONTACT": "a@b.example"}, "contact")):
        page = signed_in(make_app(**settings), wallet).get(ADMIN).text
        buttons = re.findall(r'<a class="([^"]*)"[^>]*data-testid="([^"]*)"', page.partition("<main")[2])
        assert [name for classes, name in buttons if "button--primary" in classes] == [primary]


def test_command_on_the_page_gives_the_role(app: Flask, wallet: Wallet) -> None:
    person = signed_in(app, wallet)
    assert person.get("/admin").status_code == 303
    command = command_on(person.get(ADMIN).text)
    assert command is not None
    flask, option, module, *arguments = shlex.split(command)
    assert (flask, option, module) == ("flask", "--app", app.import_name)
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 0, result.output
    assert person.get("/admin").status_code == 200


def test_command_on_the_page_verifies_the_account(app: Flask, wallet: Wallet) -> None:
    person = signed_in(app, wallet)
    command = command_on(person.get(PROFESSIONAL).text)
    assert command is not None
    result = app.test_cli_runner().invoke(args=shlex.split(command)[3:])
    assert result.exit_code == 0, result.output
    assert command_on(person.get(PROFESSIONAL).text) is None


@pytest.mark.parametrize(
    "seams",
    [
        {"role_for": lambda account: "member"},
        {"parts": [name for name in part.available() if name != "command_line"]},
    ],
    ids=["own roles", "no command line"],
)
def test_page_names_no_command_that_would_not_work(
    make_app: Callable[..., Flask], wallet: Wallet, seams: dict[str, Any]
) -> None:
    assert command_on(signed_in(make_app(seams), wallet).get(ADMIN).text) is None


def test_production_shows_no_command(app: Flask, wallet: Wallet, services: Services) -> None:
    person = signed_in(app, wallet)
    object.__setattr__(services.settings, "development", False)  # frozen
    page = person.get(ADMIN).text
    assert 'data-testid="unauthorized-account"' in page
    assert command_on(page) is None
