"""Wallets that are apps on a phone: the links that open a page of this site inside them, and the same as QR codes.

Each app has a browser of its own, with its own cookies; a page that is opened there finds the wallet as it finds an
add-on on a computer. The links are those that the makers document.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import segno

_MOST = 300  # characters; cameras have trouble with the code of more
_MASK = 2  # of the eight patterns; trying all of them takes most of the time, and any visitor can ask for a code


@dataclass(frozen=True, slots=True)
class WalletApp:
    """A wallet app by its common name, and the namespaces (CAIP-2) of the accounts it has.

    `template` takes the address of the page in one of three ways: `{url}` and `{origin}` percent-encoded, `{bare}`
    without its scheme, and as it is.
    """

    id: str
    name: str
    namespaces: tuple[str, ...]
    template: str

    def link(self, url: str) -> str:
        """Return the link that opens the page at `url` in this app."""
        parts = urlsplit(url)
        return self.template.format(
            # MetaMask shows a blank tab for an address that is encoded.
            bare=url.removeprefix(f"{parts.scheme}://"),
            url=quote(url, safe=""),
            origin=quote(f"{parts.scheme}://{parts.netloc}", safe=""),
        )


_APPS = (
    WalletApp("metamask", "MetaMask", ("eip155",), "https://link.metamask.io/dapp/{bare}"),
    WalletApp("coinbase", "Coinbase Wallet", ("eip155",), "https://go.cb-w.com/dapp?cb_url={url}"),
    WalletApp("xverse", "Xverse", ("stacks",), "https://connect.xverse.app/browser?url={url}"),
    WalletApp("phantom", "Phantom", ("solana", "eip155"), "https://phantom.app/ul/browse/{url}?ref={origin}"),
)


def apps(namespaces: list[str]) -> list[WalletApp]:
    """Return the apps that have accounts of one of these namespaces (CAIP-2)."""
    return [app for app in _APPS if any(each in namespaces for each in app.namespaces)]


def qr_code(text: str) -> str | None:
    """Return a QR code of `text` as SVG with its quiet zone, to be sized by its container; `None` if it is too long.

    It has no style of its own, so a strict Content-Security-Policy lets it be part of a page.
    """
    if len(text) > _MOST:
        return None
    code = segno.make(text, error="m", micro=False, mask=_MASK)
    return code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff", svgclass=None, lineclass=None)
