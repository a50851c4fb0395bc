"""A browser that translates pages: it reads no secret, changes nothing that people compare, and spoils no copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ..constants import ROOT
from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .pages import Browser, ConnectPanel
from .step_up import ask_to_end
from .trial_wallet import Trial
from .wallet_in_page import WalletInPage

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
TAG = re.compile(r"<(?P<name>[a-z][\w-]*)(?P<rest>(?:\{\{.*?\}\}|\{%.*?%\}|[^<>{])*)", re.S)

# What a translator would be given, and would change: each text that no element keeps from it.
EXPOSED = r"""
    const machine = /0x[0-9a-f]{4,}|sess_|[0-9a-f]{16,}|Chain ID:|[a-z]+:[a-z]+_[a-z]+/i, found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const parent = walker.currentNode.parentElement;
      if (parent.closest("script, style, template")) continue;
      if (machine.test(walker.currentNode.data) && parent.translate) found.push(walker.currentNode.data.trim());
    }
    return found;
"""
# As translators do it: text nodes give way to elements with other words, wherever the page lets them.
TRANSLATE = """
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), nodes = [];
    while (walker.nextNode()) nodes.push(walker.currentNode);
    for (const node of nodes) {
      if (!arguments[0] && !node.parentElement.translate) continue;
      const font = document.createElement("font");
      font.textContent = node.data.replace(/[a-z]/g, "ü");
      node.replaceWith(font);
    }
"""


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_machine_text_is_not_translated(template: Path) -> None:
    """Codes, keys, addresses, handles, messages and names of wallets, wherever a template shows them."""
    missing = []
    for tag in TAG.finditer(template.read_text()):
        classes = re.search(r'class="([^"]*)"', tag["rest"])
        machine = tag["name"] in ("code", "pre", "bdi", "kbd") or (classes and "code" in classes[1].split())
        if machine and 'translate="no"' not in tag["rest"]:
            missing.append(tag[0])
    assert missing == []


@pytest.mark.parametrize("path", ["/session", "/sessions", "/activity", "/session/wallets/link", "/"])
def test_no_address_on_a_page_is_given_to_a_translator(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, path: str
) -> None:
    elsewhere.sign_in(wallet)
    browser.sign_in(wallet)
    browser.open(path)
    browser.wait_for_session("active")
    assert browser.run(EXPOSED) == []


def test_the_texts_to_sign_are_not_translated(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    panel = ConnectPanel(browser)
    panel.connect(wallet)
    assert browser.run(EXPOSED) == []
    text = panel.preview
    browser.run(TRANSLATE, False)
    assert panel.preview == text
    elsewhere.sign_in(wallet)
    browser.enter(wallet)
    pass_time(301)
    confirm = ask_to_end(browser)
    confirm.start()
    wallet.next_request("personal_sign")
    assert browser.run(EXPOSED) == []


def test_a_translated_sign_in_page_still_signs_in(browser: Browser, wallet: WalletInPage) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    panel.row(wallet)
    browser.run(TRANSLATE, False)
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    browser.run(TRANSLATE, False)
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def copied(browser: Browser) -> None:
    browser.wait(lambda: browser.run("return document.querySelector('copy-button[data-state=copied]')"))


def test_copying_the_key_copies_the_key(browser: Browser) -> None:
    browser.allow_clipboard()
    trial = Trial(browser)
    trial.enter()
    browser.open("/session/wallet/export")
    browser.click("export-show")
    key = browser.see("private-key").text
    assert re.fullmatch("0x[0-9a-f]{64}", key)
    assert browser.run(EXPOSED) == []
    browser.run(TRANSLATE, True)
    assert browser.see("private-key").text != key
    browser.click("copy-key")
    copied(browser)
    assert browser.clipboard() == key
    browser.click("export-hide")
    assert browser.run("return document.querySelector('copy-button').text") == ""


def test_copying_an_address_copies_the_address(browser: Browser, wallet: WalletInPage) -> None:
    browser.allow_clipboard()
    browser.enter(wallet)
    browser.run(TRANSLATE, True)
    browser.run("document.querySelector('copy-button button').click()")
    copied(browser)
    assert browser.clipboard() == wallet.address
