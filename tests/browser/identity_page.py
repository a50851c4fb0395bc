"""Internet Identity on another origin, and a signer inside the page; both with the person who answers them.

They speak the published protocols, and their delegations are made by the chain's own library (tests/signers).
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.common.exceptions import NoSuchWindowException
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait
from werkzeug.wrappers import Response

from ..constants import PATIENCE
from ..signers import IcpSigner

HERE = Path(__file__).parent
PAGE = Response((HERE / "identity_page.html").read_text(), mimetype="text/html")
SCRIPT = (HERE / "injected_signer.js").read_text()
Chain = dict[str, Any]
"""What `DelegationChain.toJSON()` gives."""


class Delegating:
    """Somebody with a principal who lets a page's key act, for as long as it asked."""

    def __init__(self) -> None:
        self.signer = IcpSigner(("ed25519",))

    @property
    def address(self) -> str:
        return self.signer.address

    def chain(self, key: str, lifetime: str, **changes: Any) -> Chain:
        """Delegate to a key for some nanoseconds; `changes` are of the delegation."""
        expires = int(time.time() * 1000) + int(lifetime) // 1_000_000
        return self.signer.delegate(key, **{"expires": expires} | changes)


class InternetIdentity(Delegating):
    """The window that the page opens, and the person in front of it."""

    id = "icp:internet-identity"
    connected = False

    def __init__(self, driver: Chrome, home: str) -> None:
        super().__init__()
        self.driver = driver
        self._home = home

    def enter(self) -> dict[str, str]:
        """Go to the window, wait for what the page asks there, and return it."""
        self.arrive()
        return WebDriverWait(self.driver, PATIENCE, 0.02).until(
            lambda _: self.driver.execute_script("return window.requests?.at(-1)"), "the window was never asked"
        )

    def arrive(self) -> None:
        handles = WebDriverWait(self.driver, PATIENCE, 0.02).until(lambda _: self._windows(), "no window was opened")
        self.driver.switch_to.window(handles[0])

    def leave(self) -> None:
        """Go back to the page."""
        self.driver.switch_to.window(self._home)

    @property
    def open(self) -> bool:
        return bool(self._windows())

    def allow(self, **changes: Any) -> dict[str, str]:
        """Prove who one is; return what was asked."""
        asked = self.enter()
        self.answer(self.chain(asked["key"], asked["lifetime"], **changes))
        return asked

    def answer(self, chain: Chain) -> None:
        self.say("window.answer(value)", chain)

    def refuse(self, text: str) -> None:
        self.enter()
        self.say("window.refuse(value)", text)

    def close(self) -> None:
        self.driver.close()
        self.leave()

    def say(self, script: str, value: Any = None) -> None:
        """Run a script in the window and go back to the page, which may have closed the window by then."""
        with contextlib.suppress(NoSuchWindowException):
            self.driver.execute_script(f"const value = arguments[0]; {script}", value)
        self.leave()

    def _windows(self) -> list[str]:
        return [handle for handle in self.driver.window_handles if handle != self._home]


class SignerInPage(Delegating):
    """One ICRC-94 signer. Install it before the page is opened."""

    connected = False

    def __init__(self, driver: Chrome, name: str = "Signer", *, icon: str = "") -> None:
        super().__init__()
        self.driver = driver
        self.uuid = str(uuid.uuid4())
        self.id = f"icp:{self.uuid}"
        info = {"uuid": self.uuid, "name": name, "icon": icon, "rdns": "org.example.signer"}
        self._script = driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": f"{SCRIPT}({json.dumps(info)});"}
        )["identifier"]

    def uninstall(self) -> None:
        self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._script})

    def allow(self, **changes: Any) -> dict[str, Any]:
        """Grant the permission and delegate; return what was asked."""
        self.grant()
        asked = self.next_request("icrc34_delegation")["params"]
        key = base64.b64decode(asked["publicKey"]).hex()
        self.answer(in_base64(self.chain(key, asked["maxTimeToLive"], **changes)))
        return asked

    def grant(self) -> None:
        scopes = self.next_request("icrc25_request_permissions")["params"]["scopes"]
        self.answer({"scopes": [{"scope": scope, "state": "granted"} for scope in scopes]})

    def fail(self, code: int, message: str = "") -> None:
        self._settle({"error": {"code": code, "message": message}})

    def answer(self, result: Any) -> None:
        self._settle({"result": result})

    def next_request(self, method: str) -> dict[str, Any]:
        """The question that waits."""
        return WebDriverWait(self.driver, PATIENCE, 0.02).until(
            lambda _: self._tell("return signer.asked(value)", method), f"the page never asked for {method}"
        )

    def settle_with(self, expression: str) -> None:
        """Answer with what an expression makes of the question's `id`."""
        self._tell(f"const {{ id }} = signer.waiting.message; signer.settle({expression})")

    @property
    def dismissed(self) -> int:
        return int(self._tell("return signer.dismissed"))

    def close_unexpectedly(self) -> None:
        self.driver.execute_script("window.dispatchEvent(new Event('icrc94:unexpectedlyClosed'))")

    def _settle(self, answer: dict[str, Any]) -> None:
        self._tell("signer.settle({ jsonrpc: '2.0', id: signer.waiting.message.id, ...value })", answer)

    def _tell(self, script: str, value: Any = None) -> Any:
        return self.driver.execute_script(
            f"const signer = window.signersInPage[arguments[0]], value = arguments[1]; {script}", self.uuid, value
        )


def in_base64(chain: Chain) -> dict[str, Any]:
    """A chain of delegations as ICRC-34 writes it."""

    def blob(text: str) -> str:
        return base64.b64encode(bytes.fromhex(text)).decode()

    links = []
    for link in chain["delegations"]:
        own = link["delegation"]
        delegation = own | {"pubkey": blob(own["pubkey"]), "expiration": str(int(own["expiration"], 16))}
        links.append({"delegation": delegation, "signature": blob(link["signature"])})
    return {"publicKey": blob(chain["publicKey"]), "signerDelegation": links}


MakeSigner = Callable[..., SignerInPage]
