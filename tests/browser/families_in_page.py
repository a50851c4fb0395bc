"""Wallets of Stacks and of Solana inside the browser, beside those of Ethereum in `wallet_in_page.py`.

What they sign comes from the chains' own libraries (`tests/signers`), never from the code that verifies it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from selenium.webdriver import Chrome

from ..signers import SOLANA, SolanaSigner, StacksSigner
from .wallet_in_page import HUMAN_MS, ICON, Request, WalletInPage

SCRIPT = (Path(__file__).parent / "injected_families.js").read_text()
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class FamilyWallet(WalletInPage):
    """One wallet of a family. Install it before the page is opened."""

    kind: ClassVar[str]
    name: ClassVar[str]
    icon: ClassVar[str] = ICON
    connects: ClassVar[str]
    signs: ClassVar[str]
    refusal: ClassVar[dict[str, Any]]
    signers: list[Any]

    def __init__(self, driver: Chrome, name: str | None = None, *, arrive: str = "at once", **config: Any) -> None:
        self.driver = driver
        self.info = {"name": name or self.name}
        self.key = f"{self.kind} {self.info['name']}"
        self.config = {"arrive": arrive, "icon": self.icon, **config}
        self.connected = False
        self._script = None
        self.install()

    @property
    def addresses(self) -> list[str]:
        return [self.account_of(signer).rpartition(":")[2] for signer in self.signers]

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def account(self) -> str:
        return self.account_of(self.signers[0])

    def account_of(self, signer: Any) -> str:
        raise NotImplementedError

    def shared(self) -> list[dict[str, str]]:
        return [{"address": address, "publicKey": "02" * 33} for address in self.addresses]

    def install(self) -> None:
        self.uninstall()
        config = {
            "kind": self.kind,
            "key": self.key,
            "name": self.info["name"],
            "accounts": self.shared(),
            "connected": self.connected,
            **self.config,
        }
        self._script = self.driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": f"{SCRIPT}({json.dumps(config)});"}
        )["identifier"]

    # What the person does ----------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Be there now, after the page."""
        self._tell("wallet.arrive()", None)

    def approve_connect(self) -> None:
        request = self.next_request(self.connects)
        self._settle(request, result=None)
        self.connected = True
        self.install()

    def approve_sign(self, *, key: Any = None) -> str:
        request = self.next_request(self.signs)
        text = self.text_of(request)
        self._settle(request, result=self.signed(text, key or self.signer_of(request)))
        return text

    def text_of(self, request: Request) -> str:
        raise NotImplementedError

    def signer_of(self, request: Request) -> Any:
        return self.signers[0]

    def signed(self, text: str, signer: Any) -> dict[str, Any]:
        raise NotImplementedError

    def reject(self) -> None:
        self._settle(self.next_request(), error=self.refusal, after=HUMAN_MS)

    def fail(self, code: int | str, message: str = "", *, wrapped: bool = False) -> None:
        self._settle(self.next_request(), error={"code": code, "message": message})

    def switch_account(self, *, keep: bool = False) -> str:
        new = type(self.signers[0])()
        self.signers = [new, *self.signers] if keep else [new]
        self._tell(f"wallet.accounts = value; wallet.emit?.({self.switched!r})", self.shared())
        self.install()
        return self.address

    switched = "accountChange"

    def _tell(self, script: str, value: Any) -> Any:
        return self.driver.execute_script(
            f"const wallet = window.walletsInPage[arguments[0]]; const value = arguments[1]; {script}",
            self.key,
            value,
        )


class StacksWallet(FamilyWallet):
    """One of Stacks, on mainnet or on testnet."""

    signs = "stx_signMessage"
    path: ClassVar[str]
    methods: ClassVar[tuple[str, ...]]

    def __init__(self, driver: Chrome, name: str | None = None, *, chain: str = "stacks:1", **config: Any) -> None:
        self.network = chain
        self.signers = [StacksSigner()]
        self.id = f"stacks:{self.path}"
        shape = {"list": "btc_providers", "path": self.path, "methods": list(self.methods)}
        super().__init__(driver, name, **{**shape, **config})

    def account_of(self, signer: StacksSigner) -> str:
        return signer.account(self.network)

    def text_of(self, request: Request) -> str:
        return str(request["params"]["message"])

    def signed(self, text: str, signer: StacksSigner) -> dict[str, Any]:
        return {"signature": signer.sign(text), "publicKey": "02" * 33}


class Leather(StacksWallet):
    """Every question opens its window; refusals are whole JSON-RPC answers."""

    kind = "leather"
    name = "Leather"
    icon = ICON.replace("image/svg+xml", "image/svg")  # as Leather really writes it
    path = "LeatherProvider"
    connects = "stx_getAddresses"
    methods = ("getAddresses", "stx_getAddresses", "stx_signMessage")
    refusal: ClassVar = {"code": 4001, "message": "User rejected the operation"}


class Xverse(StacksWallet):
    """Answers without a window what was granted; refusals come as answers."""

    kind = "xverse"
    name = "Xverse Wallet"
    path = "XverseProviders.BitcoinProvider"
    connects = "wallet_connect"
    methods = ("wallet_connect", "wallet_getAccount", "stx_getAddresses", "stx_signMessage")
    refusal: ClassVar = {"code": -32000, "message": "User rejected the request."}


class Solana(FamilyWallet):
    """One of the Wallet Standard; `number` is the place at which it registers."""

    kind = "solana"
    name = "Phantom"
    connects = "connect"
    signs = "signMessage"
    switched = "change"
    refusal: ClassVar = {"code": 4001, "message": "User rejected the request."}

    def __init__(
        self,
        driver: Chrome,
        name: str | None = None,
        *,
        number: int = 1,
        network: str = SOLANA,
        chains: tuple[str, ...] = ("solana:mainnet", "solana:devnet", "solana:testnet"),
        **config: Any,
    ) -> None:
        self.network = network
        self.signers = [SolanaSigner()]
        self.id = f"solana:{number}"
        super().__init__(driver, name, chains=list(chains), **config)

    def account_of(self, signer: SolanaSigner) -> str:
        return signer.account(self.network)

    def text_of(self, request: Request) -> str:
        return str(request["params"]["text"])

    def signer_of(self, request: Request) -> SolanaSigner:
        return next(each for each in self.signers if each.address == request["params"]["address"])

    def signed(self, text: str, signer: SolanaSigner) -> dict[str, Any]:
        return {"signature": raw_signature(signer.sign(text))}


class SignsIn(Solana):
    """One that has `solana:signIn` as well; with `signIn="otherwise"` it writes a text of its own."""

    signs = "signIn"

    def __init__(self, driver: Chrome, name: str | None = None, **config: Any) -> None:
        super().__init__(driver, name, **{"signIn": "as it is asked", **config})


def raw_signature(text: str) -> list[int]:
    """The bytes of a signature in base58, as wallets answer them to a page."""
    number = 0
    for digit in text:
        number = number * 58 + BASE58.index(digit)
    return list(number.to_bytes(64, "big"))


Put = Callable[..., Any]
"""Puts a wallet of a family, and its configuration, into the browser."""
