"""Wallets that claim to be another, and wallets that announce themselves more than once.

Any script in the page can announce anything, before the real wallet does, with the same id, name and picture. None
of the panels may use one of two look-alikes without asking, and none may take one wallet for two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .families_in_page import Solana
from .pages import Browser, ConnectPanel
from .step_up import ask_to_end
from .wallet_in_page import MakeWallet, WalletInPage
from .wallet_watch import notices, state, wait_for

FOX = "0f1de0a6-5a0f-4a2b-8d5e-3a1d1c0f0f0f"


@pytest.fixture
def fake(make_wallet: MakeWallet) -> WalletInPage:
    """A script that announces itself before the wallet whose identity it has copied."""
    return make_wallet("Fox", rdns="io.fox", announced_as=FOX)


@pytest.fixture
def real(fake: WalletInPage, make_wallet: MakeWallet) -> WalletInPage:
    wallet = make_wallet("Fox", rdns="io.fox", announced_as=FOX, number=2)
    wallet.connected = True
    wallet.install()
    return wallet


# -- One wallet that announces itself more than once ----------------------------------------------------------------


def test_one_provider_under_two_ids_is_one_wallet(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.row(wallet)
    wallet.announce(uuid="another-id")
    wallet.announce(uuid="a-third", name="Test Wallet 2")
    wallet.announce()
    assert panel.wallets == ["Test Wallet"]
    assert panel.browser.shown("imitation") is None


TWICE = (
    "addEventListener('eip6963:requestProvider', () => {"
    "const wallet = Object.values(walletsInPage)[0];"
    "wallet.announce({ uuid: 'again', name: 'Test Wallet', icon: '', rdns: 'org.example.wallet' }); });"
)


def test_a_wallet_announced_twice_is_watched(browser: Browser, wallet: WalletInPage) -> None:
    with browser.before_scripts(TWICE):
        browser.enter(wallet)
        wait_for(browser, "watching")
        wallet.switch_account()
        wait_for(browser, "account_changed")


# -- Two that claim to be the same ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "Another name", "rdns": "org.another"},
        {"uuid": "another-id", "name": "Another name"},
        {"uuid": "another-id", "rdns": "org.another"},
        {"uuid": "another-id", "rdns": "org.another", "name": "TEST WALLET"},
        {"uuid": "another-id", "rdns": "org.another", "name": "T\u0435st W\u0430llet"},
    ],
    ids=["everything", "the id", "the domain", "the name", "in capitals", "in Cyrillic"],
)
def test_two_with_one_identity_are_shown_apart(
    panel: ConnectPanel, wallet: WalletInPage, changes: dict[str, Any]
) -> None:
    panel.open()
    panel.row(wallet)
    wallet.announce_imitation(**changes)
    assert "may be an imitation" in panel.browser.see("imitation").text
    assert "may be an imitation" in panel.spoken
    assert len(panel.rows) == 2
    assert [re.findall("[12] of 2", row) for row in panel.wallets] == [["1 of 2"], ["2 of 2"]]


def test_each_row_asks_its_own_wallet(panel: ConnectPanel, fake: WalletInPage, real: WalletInPage) -> None:
    panel.open()
    panel.choose(real)
    panel.wait_for("ready_to_sign")
    assert fake.calls == []
    assert panel.browser.shown("imitation") is not None, "the warning stays while the text is signed"


def test_a_wallet_keeps_every_name_it_was_announced_under(panel: ConnectPanel, wallet: WalletInPage) -> None:
    """A script that announces the real wallet under a name of its own must not free the real name for itself."""
    rename = """
        const wallet = Object.values(walletsInPage)[0], real = wallet.announce;
        wallet.announce = (...given) => {
          if (!given.length) real({ uuid: "junk", name: "Junk", icon: "", rdns: "org.junk" });
          real(...given);
        };"""
    with panel.browser.before_scripts(rename):
        panel.open()
        panel.browser.wait(lambda: panel.wallets == ["Junk"])
        wallet.announce_imitation()
        panel.browser.see("imitation")
    assert len(panel.rows) == 2


def test_confirming_never_takes_one_of_two_look_alikes(
    browser: Browser, elsewhere: Elsewhere, fake: WalletInPage, real: WalletInPage, pass_time: TimeMachine
) -> None:
    handle = elsewhere.sign_in(real)
    browser.enter(real)
    pass_time(301)
    confirm = ask_to_end(browser)
    confirm.start()
    confirm.wait_for("choose_wallet")
    assert fake.calls == real.calls == []
    assert "may be an imitation" in browser.see("imitation").text
    next(row for row in browser.all("wallet-option") if row.get_attribute("data-wallet-id") == real.id).click()
    real.approve_sign()
    browser.see("message")
    assert not elsewhere.alive(real, handle)
    assert fake.calls == []


def test_confirming_stops_when_a_look_alike_turns_up(
    browser: Browser, elsewhere: Elsewhere, make_wallet: MakeWallet, pass_time: TimeMachine
) -> None:
    """The imitation comes first, is asked, and the real wallet arrives late."""
    fake = make_wallet("Fox", rdns="io.fox", announced_as=FOX)
    elsewhere.sign_in(fake)
    browser.enter(fake)
    pass_time(301)
    confirm = ask_to_end(browser)
    confirm.start()
    fake.next_request("personal_sign")
    fake.announce_imitation()
    confirm.wait_for("choose_wallet")
    assert confirm.proof == ""
    browser.see("imitation")


def test_the_watch_listens_to_no_look_alike(browser: Browser, fake: WalletInPage, real: WalletInPage) -> None:
    browser.enter(real)
    wait_for(browser, "twins")
    assert fake.calls == real.calls == []
    assert "claims to be “Fox”" in browser.see("wallet-twins").text
    fake.switch_account()
    browser.click("keep-twins")
    wait_for(browser, "no_wallet")
    browser.open("/")
    wait_for(browser, "no_wallet")
    assert notices(browser) == []


def test_a_wallet_of_another_name_is_still_watched(
    browser: Browser, wallet: WalletInPage, fake: WalletInPage, real: WalletInPage
) -> None:
    browser.enter(wallet)
    wait_for(browser, "watching")
    wallet.switch_account()
    wait_for(browser, "account_changed")
    assert state(browser) == "account_changed"


def test_look_alike_wallets_pass_axe(
    browser: Browser,
    elsewhere: Elsewhere,
    fake: WalletInPage,
    real: WalletInPage,
    pass_time: TimeMachine,
    check: Callable[[str], None],
) -> None:
    elsewhere.sign_in(real)
    browser.enter(real)
    browser.see("wallet-twins")
    check("twins")
    pass_time(301)
    confirm = ask_to_end(browser)
    confirm.start()
    confirm.wait_for("choose_wallet")
    check("choose_wallet")


# -- The list ------------------------------------------------------------------------------------------------------


@pytest.fixture
def phantoms(browser: Browser) -> Any:
    made = [Solana(browser.driver, number=number) for number in (1, 2)]
    yield made
    for each in made:
        each.uninstall()


def test_identical_solana_rows_are_told_apart(panel: ConnectPanel, phantoms: list[Solana]) -> None:
    panel.open()
    panel.browser.wait(lambda: len(panel.rows) == 2)
    assert [row.split("\n")[0] for row in panel.wallets] == ["Phantom 1 of 2", "Phantom 2 of 2"]
    panel.browser.see("imitation")


def used(browser: Browser) -> None:
    """The wallet of `io.fox` was signed in with before."""
    browser.open("/livez")
    browser.module("choices", "module.rememberWallet({ family: 'eip155', name: 'Fox', rdns: 'io.fox' })")


def test_last_used_belongs_to_the_domain_not_the_name(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    make_wallet("Fox", rdns="org.namesake")
    make_wallet("io.fox", rdns="org.other")
    mine = make_wallet("Fox", rdns="io.fox")
    used(panel.browser)
    panel.open()
    panel.row(mine)
    badges = panel.browser.driver.find_elements(By.CSS_SELECTOR, "[data-last]")
    assert [badge.get_attribute("data-wallet-id") for badge in badges] == [], "namesakes leave it open which it is"


def test_last_used_comes_first_and_no_namesake_has_it(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    make_wallet("io.fox", rdns="org.other")
    mine = make_wallet("Fox", rdns="io.fox")
    used(panel.browser)
    panel.open()
    panel.row(mine)
    assert panel.rows[0].get_attribute("data-wallet-id") == mine.id
    assert [row.get_attribute("data-last") is not None for row in panel.rows] == [True, False]


def list_is_seen(browser: Browser) -> None:
    browser.wait(lambda: browser.driver.find_elements(By.CSS_SELECTOR, "[data-part=wallets][data-seen]"))


def test_a_late_wallet_moves_no_row_that_is_seen(
    panel: ConnectPanel, make_wallet: MakeWallet, phantoms: list[Solana]
) -> None:
    phantoms[1].uninstall()
    one, two = make_wallet("One"), make_wallet("Two")
    late = make_wallet("Fox", rdns="io.fox", announce="later")
    used(panel.browser)
    panel.open()
    before = {each.id: panel.row(each).rect for each in (one, two)}
    panel.browser.wait(
        lambda: panel.browser.run("return document.querySelector('[data-part=wallets]').dataset.seen") == ""
    )
    late.announce()
    one.announce_imitation(uuid="late", rdns="org.late")
    panel.row(late)
    panel.browser.see("imitation")
    assert {each.id: panel.row(each).rect for each in (one, two)} == before
    assert panel.row(late).get_attribute("data-last") is not None


def test_a_late_family_comes_below_and_moves_nothing(
    panel: ConnectPanel, make_wallet: MakeWallet, phantoms: list[Solana]
) -> None:
    phantoms[1].uninstall()
    late = make_wallet("Late", announce="later")
    panel.open()
    panel.browser.wait(lambda: panel.wallets == ["Phantom"])
    panel.browser.wait(
        lambda: panel.browser.run("return document.querySelector('[data-part=wallets]').dataset.seen") == ""
    )
    before = panel.rows[0].rect
    late.announce()
    panel.row(late)
    assert panel.rows[0].rect == before
    assert panel.wallets == ["Phantom", "Late"]


FLOOD = """
    const [count, rdns] = arguments;
    for (let number = 0; number < count; number += 1) {
      const info = { uuid: `fake-${number}`, name: `Fake ${number}`, icon: "", rdns: rdns || `org.fake${number}` };
      dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info, provider: { request() {} } } }));
    }
"""


def test_twenty_fakes_do_not_push_the_real_one_out(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    real = make_wallet("Fox", rdns="io.fox", announce="later")
    panel.open()
    panel.wait_for("no_wallet")
    panel.browser.run(FLOOD, 60)
    real.announce()
    panel.choose(real)
    real.approve_connect()
    panel.wait_for("ready_to_sign")
    assert panel.browser.shown("overflow") is None


@pytest.mark.parametrize("rdns", ["", "io.fox"], ids=["other names", "its own name"])
def test_the_one_used_before_is_listed_however_many_come(
    panel: ConnectPanel, make_wallet: MakeWallet, rdns: str
) -> None:
    real = make_wallet("Fox", rdns="io.fox", announce="later")
    used(panel.browser)
    panel.open()
    panel.wait_for("no_wallet")
    panel.browser.run(FLOOD, 250, rdns)
    if not rdns:
        panel.browser.see("overflow")
    real.announce()
    panel.row(real)
    panel.browser.run(FLOOD.replace("fake-", "more-"), 1000, rdns)
    assert len(panel.rows) <= 400
