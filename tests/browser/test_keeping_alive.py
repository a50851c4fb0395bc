"""What counts as activity, and what content of others on the same origin can't pretend."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sessions_core.web.services import Services

from ..time_machine import TimeMachine
from .clocks_in_page import WATCH, asked, let_pass
from .conftest import account_of
from .pages import Browser
from .session_page import KEEP_ALIVE, VALIDATE, press_a_key, warn
from .wallet_in_page import WalletInPage

EDITOR = """
const box = document.createElement("textarea");
box.id = "box";
document.querySelector("main").prepend(box);
box.focus();
"""
# What content of others knows of this session, and would have its tabs believe: 50 minutes instead of two.
FORGED = """
    const { sessionClock: clock } = await import(document.querySelector("script[src$='/session-timeout.js']").src
      .replace("elements/session-timeout", "lib/clock"));
    const session = document.querySelector("session-timeout").dataset.sessionId;
    const absolute = clock.absoluteLeft(), at = Date.now(), end = clock.absoluteEnd.toISOString();
    return [
      { type: "extended", session, idle: 3e6, absolute, at },
      { type: "acknowledged", absolute: end },
      { type: "signed_out", reason: "everywhere" },
    ];
"""


@pytest.fixture
def watched(browser: Browser, wallet: WalletInPage) -> Iterator[Browser]:
    """A session's page whose questions to the server are noted and whose clocks can be moved."""
    browser.enter(wallet)
    with browser.before_scripts(WATCH):
        browser.driver.refresh()
        browser.wait_for_session("active")
        yield browser


# -- Activity is what the user does ----------------------------------------------------------------------------


def dictate(browser: Browser) -> None:
    browser.cdp("Input.insertText", text="a sentence without a key")


def compose(browser: Browser) -> None:
    browser.cdp("Input.imeSetComposition", text="かな", selectionStart=2, selectionEnd=2)


def paste(browser: Browser) -> None:
    browser.run("navigator.clipboard.writeText('pasted')")
    browser.cdp("Input.dispatchKeyEvent", type="rawKeyDown", key="F20", commands=["paste"])


@pytest.mark.parametrize("act", [dictate, compose])
def test_input_without_a_key_is_activity(watched: Browser, act: Callable[[Browser], None]) -> None:
    watched.run(EDITOR)
    let_pass(watched, 61)
    watched.run("window.keys = 0; addEventListener('keydown', () => { keys += 1; }, true)")
    act(watched)
    assert watched.run("return [box.value.length > 0, keys]") == [True, 0]
    assert asked(watched) == [KEEP_ALIVE]


def test_pasting_with_the_menu_is_activity(watched: Browser) -> None:
    """Pasting sends `paste` and `input`, and from a menu no key. Each alone would do."""
    watched.allow_clipboard()
    watched.run(EDITOR)
    let_pass(watched, 61)
    watched.run(
        "window.seen = [];"
        "for (const type of ['keydown', 'paste']) addEventListener(type, (event) => seen.push(event.type), true);"
        "addEventListener('keydown', (event) => event.stopImmediatePropagation(), true);"
    )
    paste(watched)
    watched.wait(lambda: "paste" in watched.run("return seen"), lambda: str(watched.run("return seen")))
    assert asked(watched) == [KEEP_ALIVE]


FRAMES = {
    "there from the start": "document.body.append(frame); frame.contentDocument.body.append(field);",
    "written anew": """
        document.body.append(frame);
        frame.contentDocument.open(); frame.contentDocument.write(''); frame.contentDocument.close();
        (frame.contentDocument.body ?? frame.contentDocument.appendChild(frame.contentDocument.createElement('body')))
          .append(field);
    """,
    "in a frame": """
        document.body.append(frame);
        const inner = frame.contentDocument.createElement('iframe');
        frame.contentDocument.body.append(inner);
        inner.contentDocument.body.append(field);
    """,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_typing_in_a_frame_of_the_page_is_activity(watched: Browser, kind: str) -> None:
    """Rich-text editors live in frames: whoever typed there was signed out while typing."""
    watched.expected_complaints.append("TrustedHTML")
    script = FRAMES[kind].replace("frame.contentDocument.write('');", "")
    watched.run(
        "const frame = document.createElement('iframe'), field = document.createElement('textarea');"
        + script
        + "window.field = field;"
    )
    let_pass(watched, 61)
    watched.run(
        f"window.ticked = false; import('{watched.asset('/sessions_core/static/lib/clock.js')}').then("
        "({ sessionClock: clock }) => clock.addEventListener('tick', () => { ticked = true; }))"
    )
    watched.wait(lambda: watched.run("return ticked"))
    watched.run("field.focus()")
    dictate(watched)
    assert watched.run("return field.value") == "a sentence without a key"
    assert asked(watched) == [KEEP_ALIVE]


@pytest.mark.parametrize("type_", ["keydown", "pointerdown", "input", "beforeinput", "paste", "compositionstart"])
def test_an_event_of_a_script_is_no_activity(watched: Browser, type_: str) -> None:
    let_pass(watched, 61)
    watched.run(
        "for (let n = 0; n < 50; n += 1) document.body.dispatchEvent(new Event(arguments[0], { bubbles: true }))",
        type_,
    )
    assert asked(watched) == []
    press_a_key(watched)
    assert asked(watched) == [KEEP_ALIVE], "the browser's own is"


# -- What a tab says is asked of the server ----------------------------------------------------------------------


def forged(browser: Browser) -> list[dict[str, object]]:
    return list(
        browser.driver.execute_async_script(f"(async () => {{ {FORGED} }})().then(arguments[arguments.length - 1])")
    )


def idle_left(browser: Browser) -> float:
    return float(browser.module("clock", "module.sessionClock.idleLeft() / 1000"))


def test_no_message_moves_a_clock_or_hides_the_warning(watched: Browser, pass_time: TimeMachine) -> None:
    warn(watched, pass_time)
    watched.run(
        "window.heard = []; window.listener = new BroadcastChannel('wallet-session');"
        "listener.onmessage = ({ data }) => heard.push(data.type);"
    )
    for message in forged(watched):
        watched.run("new BroadcastChannel('wallet-session').postMessage(arguments[0])", message)
        watched.wait(lambda kind=message["type"]: kind in watched.run("return heard"), "not heard")
        assert idle_left(watched) < 115
        assert watched.see("timeout-dialog")
        assert watched.session_state == "warning"


def test_a_forged_storage_event_moves_no_clock(
    browser: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    browser.enter(wallet)
    with browser.before_scripts(WATCH + "delete window.BroadcastChannel;"):
        browser.driver.refresh()
        browser.wait_for_session("active")
        warn(browser, pass_time)
        message = forged(browser)[0]
        browser.run("window.heard = []; window.addEventListener('storage', ({ key }) => heard.push(key))")
        browser.new_tab()
        browser.open("/livez")
        browser.run("localStorage.setItem('wallet-session', JSON.stringify({ message: arguments[0] }))", message)
        browser.switch_to(browser.home)
        browser.wait(lambda: "wallet-session" in browser.run("return heard"), "not heard")
        assert idle_left(browser) < 115
        assert browser.see("timeout-dialog")


def test_the_absolute_warning_is_answered_in_each_tab(
    browser: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    """Another tab's word that the user has seen it can't be confirmed by the server, so it counts for nothing."""
    browser.enter(wallet)
    for _ in range(28):
        pass_time(1500)
        browser.driver.refresh()
    browser.wait_for_session("active")
    pass_time(950)
    browser.look_again()
    browser.wait(lambda: browser.see("timeout-dialog").get_attribute("data-state") == "absolute")
    browser.run("new BroadcastChannel('wallet-session').postMessage(arguments[0])", forged(browser)[1])
    # The message was taken before this answer comes.
    browser.module("http", "module.request('/api/auth/sessions/validate').then(() => true)")
    assert browser.see("timeout-dialog").get_attribute("data-state") == "absolute"


def test_a_flood_of_messages_asks_once_a_second(watched: Browser) -> None:
    """409 requests in three seconds were sent before."""
    watched.run(
        "window.started = performance.now(); const channel = new BroadcastChannel('wallet-session'); let n = 0;"
        "setInterval(() => channel.postMessage({ type: n++ % 2 ? 'extended' : 'signed_out' }), 5);"
    )
    watched.wait(lambda: watched.run("return performance.now() - started > 3000"))
    assert 2 <= len(asked(watched)) <= 4
    assert set(asked(watched)) == {VALIDATE}


def test_a_true_message_still_closes_the_warning(
    watched: Browser, wallet: WalletInPage, pass_time: TimeMachine, services: Services
) -> None:
    """The server is asked, and says that another tab has kept the session alive."""
    warn(watched, pass_time)
    watched.new_tab()
    watched.open("/session")
    watched.switch_to(watched.home)
    watched.see_no("timeout-dialog")
    assert "still signed in" in watched.see("session-line").text
    assert services.repository.living(str(account_of(wallet)))
    let_pass(watched, 30)
    press_a_key(watched)
    assert KEEP_ALIVE not in asked(watched), "the other tab has reported it"
