"""The plain module `challenge.js`: what the page checks of a text before anybody may sign it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, Response, request

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .pages import Browser, ConnectPanel
from .step_up import ask_to_end
from .wallet_in_page import WalletInPage

ADDRESS = "0x" + "Ab" * 20
STATEMENT = "Sign in to prove it."
TEXT = f"""http://localhost:5000 wants you to sign in with your Ethereum account:
{ADDRESS}

{STATEMENT}

URI: http://localhost:5000/
Version: 1
Chain ID: 10
Nonce: abcdefgh12345678
Issued At: 2026-01-01T00:00:00Z
Expiration Time: 2026-01-01T00:05:00Z
Request ID: 0123abcd"""
CHECK = (
    "(async () => { const { chainWord } = given[4] ? await import(given[4]) : {};"
    " try { return module.check(given[0], { account: given[1], statement: given[2], origin: given[3], chainWord }) }"
    " catch (error) { return error.wrong ?? String(error) } })()"
)


def check(page: Browser, text: str, account: str = f"eip155:10:{ADDRESS.lower()}", family: str = "") -> Any:
    return page.module("challenge", CHECK, text, account, STATEMENT, "http://localhost:5000", family)


def test_the_server_s_own_text_passes(page: Browser) -> None:
    assert check(page, TEXT) == {"address": ADDRESS, "issuedAt": 1767225600000}
    assert check(page, TEXT.replace("http://", "", 1)) == {"address": ADDRESS, "issuedAt": 1767225600000}


SOLANA = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
KEY = "7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv"


def test_solana_texts_name_the_cluster(page: Browser) -> None:
    text = TEXT.replace("http://", "", 1).replace("Ethereum", "Solana").replace(ADDRESS, KEY)
    account, family = f"solana:{SOLANA}:{KEY}", "/sessions_core/parts/solana/static/solana.js"
    assert check(page, text.replace("ID: 10", "ID: mainnet"), account, family)["address"] == KEY
    assert check(page, text.replace("ID: 10", "ID: devnet"), account, family) == "Chain ID"


CHANGES = [
    ("localhost:5000 wants", "localhost:5001 wants", "domain"),
    ("localhost:5000 wants", "user@localhost:5000 wants", "domain"),
    ("http://localhost:5000 wants", "https://localhost:5000 wants", "domain"),
    (" wants you to sign in with your Ethereum account:", " wants all you have:", "domain"),
    (ADDRESS, "0x" + "cd" * 20, "address"),
    (STATEMENT, "I give all my coins away.", "statement"),
    (STATEMENT, STATEMENT + "\n\nURI: http://localhost:5000/", "version"),
    ("\n\nURI", "\nURI", "statement"),
    ("URI: http://localhost:5000/", "URI: http://localhost:5000/admin", "URI"),
    ("URI: http://localhost:5000/", "URI: https://evil.example/", "URI"),
    ("Version: 1", "Version: 2", "version"),
    ("Chain ID: 10", "Chain ID: 1", "Chain ID"),
    ("Nonce: abcdefgh12345678", "Nonce: 1", "nonce"),
    ("Issued At: 2026-01-01T00:00:00Z", "Issued At: now, and I agree", "time"),
    ("Request ID: 0123abcd", "Request ID: I agree to all", "line"),
    ("Request ID: 0123abcd", "Resources:\n- https://evil.example/", "line"),
]


@pytest.mark.parametrize(("old", "new", "wrong"), CHANGES)
def test_each_changed_field_is_found(page: Browser, old: str, new: str, wrong: str) -> None:
    assert old in TEXT
    assert check(page, TEXT.replace(old, new)) == wrong


@pytest.mark.parametrize("text", ["", "\n\n\n", "null"])
def test_value_that_is_no_text_is_refused(page: Browser, text: str) -> None:
    assert check(page, text) == "domain"


# -- In the page -----------------------------------------------------------------------------------------------------


def change(app: Flask, old: str, new: str) -> None:
    """A cache or a proxy that changes what the server answers."""

    def meddle(response: Response) -> Response:
        if request.path == "/api/auth/challenges":
            response.set_data(re.sub(old, new, response.get_data(as_text=True)))
        return response

    app.after_request_funcs.setdefault(None, []).append(meddle)


MEDDLING = {
    "URI": (r"URI: http://localhost:\d+/", "URI: https://evil.example/"),
    "Chain ID": ("Chain ID: 1", "Chain ID: 10"),
    "statement": (r"Sign in to prove[^\\]*|Sign out [^\\]*", "I give all my coins away."),
    "version": ("Version: 1", "Version: 2"),
}


@pytest.mark.parametrize("field", MEDDLING)
def test_a_changed_text_is_not_shown_to_be_signed(
    browser: Browser, wallet: WalletInPage, app: Flask, field: str
) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    panel.choose(wallet)
    change(app, *MEDDLING[field])
    wallet.approve_connect()
    panel.wait_for("domain_mismatch" if field == "URI" else "text_changed")
    assert browser.shown("message-preview") is None
    assert browser.shown("sign-button") is None
    assert "personal_sign" not in wallet.calls
    browser.see("technical").find_element("tag name", "summary").click()
    assert f"another {field}" in browser.see("technical").text


@pytest.mark.parametrize("field", MEDDLING)
def test_a_changed_text_is_not_confirmed(
    browser: Browser,
    wallet: WalletInPage,
    app: Flask,
    elsewhere: Elsewhere,
    pass_time: TimeMachine,
    field: str,
) -> None:
    elsewhere.sign_in(wallet)
    browser.enter(wallet)
    pass_time(301)
    panel = ask_to_end(browser)
    change(app, *MEDDLING[field])
    panel.start()
    panel.wait_for("failed", "text")
    assert "personal_sign" not in wallet.calls
    assert "was not asked" in panel.error


def test_accounts_are_compared_as_their_chains_spell_them(page: Browser) -> None:
    upper, lower = "0x" + "Ab" * 20, "0x" + "ab" * 20
    pairs = [
        (upper, lower, True),
        ("eip155:1:" + upper, "eip155:1:" + lower, True),
        ("eip155:1:" + upper, "eip155:10:" + lower, False),
        ("7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv", "7s3p4hxjpyyiggzodywhtcxzyuqe9jibmhyrwxaraakv", False),
        ("SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7", True),
    ]
    same = page.module("accounts", "given[0].map(([one, other]) => module.same(one, other))", pairs)
    assert same == [expected for *_, expected in pairs]
