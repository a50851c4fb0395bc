"""A wallet inside the browser, and the person who answers its questions.

The script in `injected_wallet.js` is the wallet's half that lives in the page. This is the other half: it
holds the key, reads what the page asks, and answers as a person would: yes, no, later, or never.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from ..constants import PATIENCE

SCRIPT = (Path(__file__).parent / "injected_wallet.js").read_text()
HUMAN_MS = 600
"""Nobody declines faster."""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="8" fill="#d9622b"/>'
    '<path d="M8 22 16 7l8 15z" fill="#fff"/></svg>'
)
ICON = "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()

Request = dict[str, Any]


def domain_of(name: Any) -> str:
    """A reverse domain name that no wallet of another name has."""
    return f"org.example.{str(name).encode().hex()[:60]}"


class WalletInPage:
    """One EIP-6963 wallet. Install it before the page is opened."""

    def __init__(
        self,
        driver: Chrome,
        name: Any = "Test Wallet",
        *,
        rdns: str | None = None,
        icon: Any = ICON,
        chain: int = 1,
        accounts: int = 1,
        announce: str = "at once",
        legacy: bool = False,
        late: int = 0,
        deaf: tuple[str, ...] = (),
        quirks: dict[str, Any] | None = None,
        announced_as: str | None = None,
        number: int = 1,
    ) -> None:
        """`announced_as` is the uuid of the announcement, `number` its place among those that took the same one.

        One that is `legacy` comes to `window.ethereum` so many milliseconds `late`; -1: when it is told to.
        """
        self.driver = driver
        self.key = str(uuid.uuid4())
        identity = announced_as or self.key
        self.id = identity if number == 1 else f"{identity}~{number}"
        self.info = {"uuid": identity, "name": name, "icon": icon, "rdns": rdns or domain_of(name)}
        self.keys = [Account.create() for _ in range(accounts)]
        self.chain = chain
        self.connected = False
        self.options = {
            **{"announce": announce, "legacy": legacy, "late": late},
            **{"deaf": list(deaf), "quirks": quirks or {}},
        }
        self.stalled: Request | None = None
        self._script: str | None = None
        self.install()

    @property
    def addresses(self) -> list[str]:
        """Lower case, as most wallets answer."""
        return [key.address.lower() for key in self.keys]

    @property
    def address(self) -> str:
        return self.keys[0].address

    @property
    def account(self) -> str:
        """CAIP-10."""
        return f"eip155:{self.chain}:{self.address}"

    def install(self) -> None:
        """Put the wallet into every page that is opened from now on."""
        if self._script:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._script})
        config = {
            "key": self.key,
            "info": self.info,
            "accounts": self.addresses,
            "connected": self.connected,
            "chainId": hex(self.chain),
            **self.options,
        }
        self._script = self.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": f"{SCRIPT}({json.dumps(config)});"}
        )["identifier"]

    def uninstall(self) -> None:
        if self._script:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._script})
        self._script = None

    # What the person does ---------------------------------------------------------------------------

    def approve_connect(self) -> None:
        request = self.next_request("eth_requestAccounts")
        self._set_connected(True)
        self._settle(request, result=self.addresses)

    def approve_another_account(self, keys: list[Any] | None = None) -> None:
        """Choose another account in the window in which the wallet asks what to share."""
        request = self.next_request("wallet_requestPermissions")
        self.keys = keys or [Account.create()]
        self._tell("wallet.accounts = value", self.addresses)
        self._settle(request, result=[{"parentCapability": "eth_accounts"}])
        self.install()

    def approve_sign(self, *, key: Any = None) -> str:
        """Sign the text that the page asked for, and return that text."""
        request = self.next_request("personal_sign")
        text, signature = self._sign(request, key or self.keys[0])
        self._settle(request, result=signature)
        return text

    def approve_switch(self) -> None:
        request = self.next_request("wallet_switchEthereumChain")
        self.switch_chain(int(request["params"][0]["chainId"], 16))
        self._settle(request, result=None)

    def approve_switch_late(self, milliseconds: int) -> None:
        """Say that the network is switched, and switch it later, without an event; never, if that is -1."""
        request = self.next_request("wallet_switchEthereumChain")
        if milliseconds >= 0:
            late = {"chainId": request["params"][0]["chainId"], "ms": milliseconds}
            self._tell("wallet.switchLate(value.chainId, value.ms)", late)
        self._settle(request, result=None)

    def reject(self) -> None:
        self._settle(
            self.next_request(), error={"code": 4001, "message": "User rejected the request."}, after=HUMAN_MS
        )

    def throw(self, expression: str) -> None:
        """Answer with what this JavaScript makes, after a person had the time to read the question."""
        number = self.next_request()["number"]
        self._tell(f"wallet.settle(value, {{ error: {expression}, after: {HUMAN_MS} }})", number)

    def fail(self, code: int | str, message: str = "", *, wrapped: bool = False) -> None:
        """Answer with an error; `wrapped` the way some wallets hide the real one."""
        error: dict[str, Any] = {"code": code, "message": message}
        if wrapped:
            error = {"code": -32603, "message": "Internal error", "data": {"originalError": error}}
        self._settle(self.next_request(), error=error)

    def answer(self, result: Any) -> None:
        self._settle(self.next_request(), result=result)

    def stall(self) -> None:
        """Leave the window of the wallet open."""
        self.stalled = self.next_request()

    def answer_late(self) -> None:
        """Approve what was left open."""
        request = self.stalled
        assert request is not None
        if request["method"] == "eth_requestAccounts":
            self._set_connected(True)
            self._settle(request, result=self.addresses)
        elif request["method"] == "personal_sign":
            self._settle(request, result=self._sign(request, self.keys[0])[1])
        else:
            self._settle(request, result=None)

    def switch_account(self, *, keep: bool = False) -> str:
        """Make another account the active one, and return its address; `keep` the old one connected."""
        new = Account.create()
        self.keys = [new, *self.keys] if keep else [new]
        self._tell("wallet.accounts = value; wallet.emit('accountsChanged', value)", self.addresses)
        self.install()
        return new.address

    def switch_account_silently(self) -> None:
        self.keys = [Account.create()]
        self._tell("wallet.accounts = value", self.addresses)
        self.install()

    def lock(self) -> None:
        self.connected = False
        self._tell("wallet.connected = false; wallet.emit('accountsChanged', [])", None)
        self.install()

    def cut_off(self, how: str = "throws") -> None:
        """Update the extension under the page: from now on each question `throws`, or is answered with silence."""
        self._tell("wallet.cutOff = value", how)

    def switch_chain(self, chain: int) -> None:
        self.chain = chain
        self._tell("wallet.chainId = value; wallet.emit('chainChanged', value)", hex(chain))
        self.install()

    def announce(self, **changes: Any) -> None:
        """Announce the wallet now, perhaps as something else. It stays the same object."""
        self._tell("wallet.announce(value)", {**self.info, **changes})

    def announce_imitation(self, **changes: Any) -> None:
        """Have another object announce itself as this wallet, which it wraps."""
        self._tell("wallet.imitate(value)", {**self.info, **changes})

    # What the page did ------------------------------------------------------------------------------

    def next_request(self, method: str | None = None) -> Request:
        """The oldest question that waits, of this kind if a kind is given."""
        return WebDriverWait(self.driver, PATIENCE, 0.02).until(
            lambda _: self._tell("return wallet.take(value)", method), f"the page never asked for {method}"
        )

    @property
    def calls(self) -> list[str]:
        return list(self._tell("return wallet.calls", None))

    @property
    def waiting(self) -> list[str]:
        return list(self._tell("return wallet.queue.map((request) => request.method)", None))

    def _tell(self, script: str, value: Any) -> Any:
        return self.driver.execute_script(
            f"const wallet = window.walletsInPage[arguments[0]]; const value = arguments[1]; {script}",
            self.key,
            value,
        )

    def _settle(self, request: Request, **answer: Any) -> None:
        self._tell("wallet.settle(value.number, value.answer)", {"number": request["number"], "answer": answer})

    def _set_connected(self, connected: bool) -> None:
        self.connected = connected
        self._tell("wallet.connected = value", connected)
        self.install()

    def _sign(self, request: Request, key: Any) -> tuple[str, str]:
        data, address = request["params"]
        assert address.lower() in self.addresses, "asked to sign for a strange account"
        text = bytes.fromhex(data.removeprefix("0x"))
        signed = key.sign_message(encode_defunct(text))
        return text.decode(), "0x" + bytes(signed.signature).hex()


MakeWallet = Callable[..., WalletInPage]
"""Puts a further wallet into the browser."""
