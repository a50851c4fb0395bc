"""The trial wallet of a browser, for visitors who have none."""

from __future__ import annotations

from .pages import Browser, ConnectPanel

HALF = "module.read().then((half) => half && { account: half.account, share: Array.from(half.share) })"


class Trial:
    """The wallet of this browser, and the person who tries the site with it."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.panel = ConnectPanel(browser)

    @property
    def half(self) -> dict[str, str] | None:
        """What this browser keeps."""
        found = self.browser.module("share-store", HALF)
        return {"account": found["account"], "share": bytes(found["share"]).hex()} if found else None

    @property
    def account(self) -> str:
        half = self.half
        assert half, "no half in this browser"
        return half["account"]

    @property
    def offer(self) -> str:
        return self.browser.see("try-without-wallet").text

    def choose(self, **query: str) -> None:
        """Up to the text that is to be signed."""
        self.panel.open(**query)
        self.browser.click("try-without-wallet")
        self.panel.wait_for("ready_to_sign")

    def enter(self, **query: str) -> None:
        self.choose(**query)
        self.panel.sign()
        self.browser.wait(
            lambda: not self.browser.path.startswith("/sign-in"), lambda: f"still there: {self.panel.state}"
        )

    def confirm(self) -> None:
        """Confirm what the page in front asks for, and wait for the next one."""
        self.browser.follow("confirm-button")

    def lose(self) -> None:
        """Clear what this site stored, as people do in the settings of their browser. Cookies stay."""
        self.browser.cdp("Storage.clearDataForOrigin", origin=self.browser.origin, storageTypes="indexeddb")

    def wait_for_watch(self, state: str) -> None:
        watch = "return document.querySelector('share-watch')?.dataset.state"
        self.browser.wait(lambda: self.browser.run(watch) == state, lambda: f"watch is {self.browser.run(watch)}")
