"""The settings of contract wallets: everything unsafe is refused at start, and no refusal says a URL."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from sessions_core.parts.contract_wallets import ContractWallets
from sessions_core.settings import DAY

from ...part_settings import DEVELOPMENT, PRODUCTION, options_of, refusal_of

options = partial(options_of, ContractWallets)
refusal = partial(refusal_of, ContractWallets)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("RPC_TIMEOUT_MS", 100, 10_000), ("CONTRACT_CHECK_SECONDS", 60, DAY)]
)
def test_numbers_outside_their_range_are_refused(name: str, least: int, most: int) -> None:
    """The limits themselves are accepted."""
    for value in (least - 1, most + 1):
        assert refusal(**{name: value}) == f"SESSIONS_CORE_{name} must be between {least} and {most}."
    for value in (least, most):
        assert getattr(options(**{name: value}), name.lower()) == value


NODE = "https://rpc.example.org/v3/k3y-of-the-node?a=b%2C"


def test_rpc_urls_are_read_only_and_keyed_by_chain() -> None:
    given = {"eip155:1": NODE, "eip155:8453": "https://192.0.2.1:8545"}
    found = options(RPC_URLS=given)
    given.clear()
    assert dict(found.rpc_urls) == {"eip155:1": NODE, "eip155:8453": "https://192.0.2.1:8545"}
    with pytest.raises(TypeError):
        found.rpc_urls["eip155:1"] = "https://evil.example"  # type: ignore[index]
    assert dict(options().rpc_urls) == {}


@pytest.mark.parametrize("value", [None, NODE, [NODE], [("eip155:1", NODE)], {1: NODE}, {"eip155:1": NODE.encode()}])
def test_malformed_rpc_urls_are_refused_without_echo(value: Any) -> None:
    """The URLs may hold a secret key."""
    sentence = refusal(RPC_URLS=value)
    assert sentence.startswith("SESSIONS_CORE_RPC_URLS must be a mapping such as {")
    assert "k3y" not in sentence


@pytest.mark.parametrize("chain", ["eip155:5", "eip155:100", "1", "", "eip155:1 ", "EIP155:1", "solana:mainnet"])
def test_a_node_is_for_a_chain_that_may_sign_in(chain: str) -> None:
    sentence = refusal(RPC_URLS={chain: NODE})
    assert sentence.startswith(f"SESSIONS_CORE_RPC_URLS names {chain!r}.")
    assert "k3y" not in sentence


UNSAFE_NODES = [
    "",
    "https://",
    "https:///k3y",
    "https://:8545/k3y",
    "rpc.example.org/k3y",
    "//rpc.example.org/k3y",
    "http://rpc.example.org/k3y",
    "http://192.0.2.1/k3y",
    "http://127.0.0.1.evil.example/k3y",
    "http://localhost.evil.example/k3y",
    "ws://127.0.0.1/k3y",
    "wss://rpc.example.org/k3y",
    "ftp://rpc.example.org/k3y",
    "file:///k3y",
    "HTTPS://rpc.example.org/k3y",
    "https://user@rpc.example.org/k3y",
    "https://user:k3y@rpc.example.org",
    "https://rpc.example.org@evil.example/k3y",
    "https://rpc.example.org/k3y#part",
    "https://rpc.example.org:0/k3y",
    "https://rpc.example.org:65536/k3y",
    "https://rpc.example.org:x/k3y",
    "https://[::1/k3y",
    "https://rpc.exämple.org/k3y",
    "https://rpc.example.org/k3y ",
    " https://rpc.example.org/k3y",
    "https://rpc.example.org/k3y\n",
    "https://rpc.example.org/k3y\r\nX: y",
    "https://rpc.example.org/k 3y",
    "https://rpc.example.org/\tk3y",
    "https://rpc.example.org\\k3y",
    "https://rpc.example.org/k3y\0",
    'https://rpc.example.org/"k3y"',
]


@pytest.mark.parametrize("url", UNSAFE_NODES, ids=ascii)
@pytest.mark.parametrize("base", [PRODUCTION, DEVELOPMENT], ids=["production", "development"])
def test_an_unsafe_url_of_a_node_is_refused_without_repeating_it(base: dict[str, Any], url: str) -> None:
    sentence = refusal(base, RPC_URLS={"eip155:1": url})
    assert sentence.startswith("SESSIONS_CORE_RPC_URLS has no good URL for eip155:1. Write it like https://")
    assert "k3y" not in sentence


def test_plain_http_is_for_a_node_on_this_machine_in_development() -> None:
    for url in ("http://127.0.0.1:8545", "http://localhost:8545/", "http://[::1]:8545/k3y"):
        assert options(DEVELOPMENT, RPC_URLS={"eip155:1": url}).rpc_urls["eip155:1"] == url
        assert "has no good URL for eip155:1" in refusal(RPC_URLS={"eip155:1": url})
