"""Wallets that put themselves into the page late, and say nothing: the page says that there is none only later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .families_in_page import Leather
from .pages import Browser, ConnectPanel
from .step_up import start_to_end
from .wallet_in_page import MakeWallet

STATES = """
    window.states = [];
    new MutationObserver(() => {
      const state = document.getElementById("connect")?.dataset.state;
      if (state && state !== window.states.at(-1)) window.states.push(state);
    }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] });
"""


@pytest.fixture
def leather(browser: Browser) -> Iterator[Leather]:
    wallet = Leather(browser.driver, arrive="later")
    yield wallet
    wallet.uninstall()


@pytest.mark.parametrize("phone", [False, True], ids=["on a desk", "in its own browser on a phone"])
def test_a_late_wallet_is_waited_for(panel: ConnectPanel, make_wallet: MakeWallet, phone: bool) -> None:
    late = make_wallet("unused", legacy=True, late=1_500)
    if phone:
        panel.browser.as_a_phone()
    with panel.browser.before_scripts(STATES):
        panel.open()
        panel.wait_for("wallet_list")
    assert panel.browser.run("return window.states") == ["idle", "scanning", "wallet_list"]
    assert panel.wallets == ["Browser wallet"]
    panel.rows[0].click()
    late.approve_connect()
    panel.wait_for("ready_to_sign")


def test_a_wallet_that_comes_later_is_found_on_focus(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    later = make_wallet("unused", legacy=True, late=-1)
    panel.open()
    panel.wait_for("no_wallet")
    later._tell("wallet.arrive()", None)
    panel.browser.look_again()
    panel.wait_for("wallet_list")


def test_a_late_stacks_wallet_is_found_on_focus(panel: ConnectPanel, leather: Leather) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    leather.arrive()
    panel.browser.look_again()
    panel.wait_for("wallet_list")
    panel.choose(leather)
    leather.approve_connect()
    panel.wait_for("ready_to_sign")


def test_a_getter_that_makes_wallets_is_one_wallet(panel: ConnectPanel) -> None:
    """The page looks again and again, and each time it is given another object."""
    getters = """
        const wallet = () => ({ request: () => new Promise(() => {}) });
        for (const name of ["ethereum", "LeatherProvider"]) Object.defineProperty(window, name, { get: wallet });
        window.btc_providers = [{ id: "LeatherProvider", name: "Leather" }];
    """
    with panel.browser.before_scripts(getters):
        panel.open()
        panel.wait_for("wallet_list")
        panel.browser.wait(lambda: len(panel.wallets) > 1, "one of the two is missing")
        assert sorted(panel.wallets) == ["Browser wallet", "Leather"]
        for _ in range(3):
            panel.browser.look_again()
        assert len(panel.wallets) == 2
    assert panel.browser.shown("imitation") is None


def test_confirm_page_waits_for_a_late_wallet(
    browser: Browser, make_wallet: MakeWallet, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    wallet = make_wallet("Browser wallet", legacy=True, late=1_500)
    start_to_end(browser, wallet, elsewhere, pass_time)
    wallet.next_request("personal_sign")
