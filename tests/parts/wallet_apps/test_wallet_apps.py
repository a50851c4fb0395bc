"""`wallet_apps`: links into the apps of wallets, and QR codes of them. Whether a camera reads a code is tested in
`browser/test_phone.py`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from sessions_core.parts.wallet_apps import wallet_apps

HERE = "https://app.example:8443/sign-in?next=/a%26b"


def links(*namespaces: str) -> dict[str, str]:
    return {app.id: app.link(HERE) for app in wallet_apps.apps(list(namespaces))}


def test_each_app_gets_the_address_as_its_maker_wants_it() -> None:
    found = links("eip155", "stacks", "solana")
    assert found["metamask"] == "https://link.metamask.io/dapp/app.example:8443/sign-in?next=/a%26b"
    assert parse_qs(urlsplit(found["coinbase"]).query) == {"cb_url": [HERE]}
    assert parse_qs(urlsplit(found["xverse"]).query) == {"url": [HERE]}
    phantom = urlsplit(found["phantom"])
    assert unquote(phantom.path.removeprefix("/ul/browse/")) == HERE
    assert "/" not in phantom.path.removeprefix("/ul/browse/")
    assert parse_qs(phantom.query) == {"ref": ["https://app.example:8443"]}


@pytest.mark.parametrize(
    ("namespaces", "expected"),
    [
        (["eip155"], ["metamask", "coinbase", "phantom"]),
        (["stacks"], ["xverse"]),
        (["solana"], ["phantom"]),
        (["icp"], []),
        ([], []),
    ],
    ids=["eip155", "stacks", "solana", "icp", "none"],
)
def test_only_apps_with_an_accepted_chain_are_offered(namespaces: list[str], expected: list[str]) -> None:
    assert [app.id for app in wallet_apps.apps(namespaces)] == expected


def test_a_code_brings_neither_style_nor_script() -> None:
    code = wallet_apps.qr_code(HERE)
    assert code is not None
    assert re.fullmatch(r'<svg viewBox="[\d ]+">(<path [a-z]+="[^"<>]*"( [a-z]+="[^"<>]*")*/>)+</svg>', code)
    assert "style" not in code
    assert "href" not in code


def test_qr_code_is_drawn_once_without_weighing_patterns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any visitor may request a code, so it must not cost eight drawings."""

    def weigh(*_: object, **__: object) -> None:
        pytest.fail("patterns were weighed")

    monkeypatch.setattr("segno.encoder.evaluate_mask", weigh)
    assert wallet_apps.qr_code(HERE) is not None


def test_too_long_address_has_no_qr_code() -> None:
    assert wallet_apps.qr_code("x" * 300) is not None
    assert wallet_apps.qr_code("é" * 300) is not None
    assert wallet_apps.qr_code("x" * 301) is None
