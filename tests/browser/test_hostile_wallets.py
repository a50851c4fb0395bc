"""Wallets whose words and pictures are made to harm: everything that a wallet says is bounded, and quoted."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import pytest

from .conftest import Elsewhere, Hold
from .pages import Browser, ConnectPanel
from .wallet_in_page import ICON, MakeWallet, WalletInPage

LIE = "by you. No need to do anything."


# -- Words ---------------------------------------------------------------------------------------------------------


def test_a_name_in_a_sentence_reads_as_a_quotation(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    wallet = make_wallet("x” is done. “Now say your phrase. ")
    panel.open()
    panel.choose(wallet)
    panel.wait_for("connecting")
    assert panel.spoken.startswith("Waiting for “x' is done. 'Now say your phrase.”. Choose")


def test_a_name_can_not_finish_the_security_notice(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    elsewhere.sign_in(wallet)
    browser.enter(wallet)
    elsewhere.sign_in(wallet, name=LIE)
    browser.open("/session")
    assert f"with “{LIE}”" in browser.see("elsewhere-what").text
    browser.open("/sessions")
    assert f"Signed in with “{LIE}”" in browser.text


@pytest.mark.parametrize("signing", [False, True], ids=["connecting", "signing"])
def test_an_endless_error_code_is_cut(panel: ConnectPanel, wallet: WalletInPage, signing: bool) -> None:
    panel.open()
    panel.choose(wallet)
    if signing:
        wallet.approve_connect()
        panel.wait_for("ready_to_sign")
        panel.sign()
    wallet.fail("\u202e\u0007" + "9" * 200_000, "\u2066" + "m" * 200_000)
    panel.wait_for("sign_failed" if signing else "connect_failed")
    panel.browser.see("technical").find_element("tag name", "summary").click()
    shown = panel.browser.see("technical").text.split("\n")[1]
    assert shown == f"{'9' * 39}… · “{'m' * 299}…”"


HOSTILE_ERRORS = {
    "a getter that throws": "{ get code() { throw new Error('trap') } }",
    "a code that is an object": "{ code: { toString() { return 'x'.repeat(1e6) } }, message: 'm' }",
    "a message that is an object": "{ message: { toString() { throw new Error('trap') } } }",
    "nothing": "undefined",
}


@pytest.mark.parametrize("error", HOSTILE_ERRORS.values(), ids=HOSTILE_ERRORS)
def test_an_error_of_any_shape_has_its_words(panel: ConnectPanel, wallet: WalletInPage, error: str) -> None:
    panel.open()
    panel.choose(wallet)
    request = wallet.next_request()
    wallet._tell(f"wallet.open.get(value).reject({error})", request["number"])
    panel.wait_for("connect_failed")


# -- Pictures ------------------------------------------------------------------------------------------------------


def svg(body: str, *, encoded: bool = True) -> str:
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"'
    text = f'<svg {namespaces} viewBox="0 0 9 9">{body}</svg>'
    if not encoded:
        return "data:image/svg+xml;utf8," + text.replace("#", "%23")
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def nested(element: str, use: str) -> str:
    """Twelve levels of ten: a thousand thousand million rectangles, in about a kilobyte."""
    levels = [f'<{element} id="a0" width="9" height="9"><rect width="1" height="1"/></{element}>']
    for level in range(12):
        levels.append(f'<{element} id="a{level + 1}" width="9" height="9">{use.format(level) * 10}</{element}>')
    return "".join(levels) + use.format(12)


BOMBS = {
    "use": svg(nested("g", '<use href="#a{}"/>')),
    "use, not encoded": svg(nested("g", "<use href='#a{}'/>"), encoded=False),
    "use by its old name": svg(nested("g", '<use x:href="#a{}"/>')),
    "pattern": svg(nested("pattern", '<rect width="9" height="9" fill="url(#a{})"/>')),
    "mask": svg(nested("mask", '<rect width="9" height="9" mask="url(#a{})"/>')),
    "hidden by entities": svg('<use href="&#35;a"/>'),
    "animated": svg('<rect width="9"><animate attributeName="x" dur="1ms" repeatCount="indefinite"/></rect>'),
    "a picture inside": svg('<image href="data:image/svg+xml;base64,PHN2Zz48L3N2Zz4="/>'),
    "by a style": svg("<style>rect { fill: url(#a) }</style><rect/>"),
}


@pytest.mark.parametrize("icon", BOMBS.values(), ids=BOMBS)
def test_a_picture_that_never_ends_is_a_letter(panel: ConnectPanel, make_wallet: MakeWallet, icon: str) -> None:
    assert len(icon) < 16_000
    wallet = make_wallet("Bomb", icon=icon)
    panel.open()
    tile = panel.row(wallet).find_element("class name", "tile")
    assert (tile.text, tile.get_attribute("data-picture")) == ("B", None)
    panel.choose(wallet)
    panel.wait_for("connecting")


PLAIN = {
    "as wallets draw": svg(
        '<linearGradient id="g"><stop stop-color="red"/></linearGradient>'
        '<clipPath id="c"><rect width="9" height="9"/></clipPath>'
        '<g clip-path="url(#c)"><rect width="9" height="9" fill="url(#g)"/></g>'
    ),
    "a picture in a pattern": svg(
        '<rect width="9" height="9" fill="url(#p)"/><defs>'
        '<pattern id="p" width="1" height="1"><use x:href="#i"/></pattern>'
        '<image id="i" width="9" height="9" x:href="data:image/png;base64,iVBORw0KGgo="/></defs>'
    ),
    "with classes": svg("<style>.a { fill: #f60 }</style><rect class='a' width='9' height='9'/>"),
}


@pytest.mark.parametrize("icon", [ICON, *PLAIN.values()], ids=["small", *PLAIN])
def test_ordinary_pictures_are_drawn(panel: ConnectPanel, make_wallet: MakeWallet, icon: str) -> None:
    wallet = make_wallet("Plain", icon=icon)
    panel.open()
    tile = panel.row(wallet).find_element("class name", "tile")
    panel.browser.wait(lambda: tile.get_attribute("data-picture") is not None, "not drawn")


def png(side: int) -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = zlib.compress(bytes((side // 8 + 1) * side), 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(whole).decode()


@pytest.mark.parametrize(("side", "drawn"), [(96, True), (16_000, False)])
def test_a_picture_of_a_gigabyte_is_a_letter(
    panel: ConnectPanel, make_wallet: MakeWallet, side: int, drawn: bool
) -> None:
    wallet = make_wallet("Large", icon=png(side))
    panel.open()
    tile = panel.row(wallet).find_element("class name", "tile")
    if drawn:
        panel.browser.wait(lambda: tile.get_attribute("data-picture") is not None, "not drawn")
    else:
        panel.browser.wait(lambda: not tile.find_elements("tag name", "img"), "still there")
        assert tile.get_attribute("data-picture") is None


SOON = "{ const real = window.setTimeout; window.setTimeout = (run, ms) => real(run, ms >= 2000 ? 20 : ms); }"


def test_a_picture_that_does_not_come_in_time_stays_a_letter(browser: Browser, hold: Hold) -> None:
    hold("/static/late.png", "GET")
    with browser.before_scripts(SOON):
        browser.open("/sign-in")
    left: Any = browser.module(
        "icons",
        "new Promise((resolve) => { const tile = document.createElement('span'); document.body.append(tile);"
        " module.drawPicture(tile, '/static/late.png'); const before = tile.children.length;"
        " new MutationObserver(() => resolve([before, tile.children.length, tile.dataset.picture ?? null]))"
        ".observe(tile, { childList: true }); })",
    )
    assert left == [1, 0, None]
