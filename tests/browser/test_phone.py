"""The way to a wallet on a phone: a code that a camera reads, and the same as a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import Browser, ConnectPanel

JSQR = (Path(__file__).parent / "node_modules/jsqr/dist/jsQR.js").read_text(encoding="utf-8")

# What a camera would see: the picture of the page, not the markup. A decoder of another maker reads it.
READ = """
const [picture, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
  done(window.jsQR(data, width, height, { inversionAttempts: "dontInvert" })?.data ?? null);
};
image.src = `data:image/png;base64,${picture}`;
"""


def scan(browser: Browser) -> str | None:
    picture = browser.see("qr").screenshot_as_base64
    browser.run(f"if (!window.jsQR) {{ {JSQR.replace('typeof exports', 'typeof nothing')}; window.jsQR ??= jsQR }}")
    read: str | None = browser.driver.execute_async_script(READ, picture)
    return read


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_camera_reads_the_link_from_the_code_in_every_theme(browser: Browser, dark: bool) -> None:
    browser.look(dark=dark, width=320)
    browser.open("/sign-in/phone", app="xverse", next="/activity?kind=refusals")
    link = browser.see("phone-link").text
    assert link.startswith("https://connect.xverse.app/browser?url=http%3A%2F%2Flocalhost")
    assert scan(browser) == link


def test_sign_in_page_links_to_phone_page_with_return_path(browser: Browser) -> None:
    """The QR code and the links of the wallet apps carry the return path."""
    panel = ConnectPanel(browser)
    panel.open(next="/activity")
    panel.wait_for("no_wallet")
    browser.follow("phone-link")
    assert scan(browser) == browser.see("phone-link").text
    assert browser.see("phone-link").text.endswith("/sign-in?next=/activity")
    apps = [each.text for each in browser.all("phone-app")]
    assert apps == ["MetaMask", "Coinbase Wallet", "Xverse", "Phantom"]
    browser.all("phone-app")[3].click()
    browser.wait(lambda: browser.see("phone-link").text.startswith("https://phantom.app/ul/browse/"))
    assert scan(browser) == browser.see("phone-link").text


def test_the_link_is_copied(browser: Browser) -> None:
    browser.open("/sign-in/phone")
    browser.allow_clipboard()
    browser.click("copy-link")
    state = "return document.querySelector('copy-button').dataset.state"
    browser.wait(lambda: browser.run(state) == "copied", lambda: f"the button says {browser.run(state)}")
    assert browser.clipboard() == browser.see("phone-link").text


def test_too_long_return_path_has_a_link_instead_of_a_code(browser: Browser) -> None:
    browser.open("/sign-in/phone", app="phantom", next="/" + "way/" * 60)
    assert browser.all("qr") == []
    assert browser.see("qr-too-long").is_displayed()
    assert browser.see("phone-link").text.startswith("https://phantom.app/")


@pytest.mark.parametrize("name", ["", "nobody", "<script>", "metamask"])
def test_an_app_that_we_do_not_know_is_the_first(browser: Browser, name: str) -> None:
    browser.open("/sign-in/phone", app=name)
    assert browser.see("phone-link").text.startswith("https://link.metamask.io/dapp/")
