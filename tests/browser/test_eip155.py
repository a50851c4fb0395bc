"""The plain module `eip155.js`: what Ethereum wallets answer, and how they say no."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import to_checksum_address

from .pages import Browser


def wallet(answer: str) -> str:
    return f"{{ request: (call) => {answer} }}"


KINDS: list[tuple[Any, str]] = [
    (4001, "rejected"),
    ("ACTION_REJECTED", "rejected"),
    ("4001", "rejected"),
    (-32002, "pending"),
    ("-32002", "pending"),
    (4100, "locked"),
    (4902, "unknown_chain"),
    (4200, "unsupported"),
    (-32601, "unsupported"),
    (-32004, "unsupported"),
    (4900, "disconnected"),
    (4901, "disconnected"),
    (-32603, "failed"),
    (-32000, "failed"),
    (4001.5, "failed"),
    ("constructor", "failed"),
    (None, "failed"),
]
SHAPES = {
    "plain": "{ code, message: 'm' }",
    "answer of JSON-RPC": "{ jsonrpc: '2.0', error: { code, message: 'm' } }",
    "hidden inside": "{ data: { originalError: { code } } }",
    "hidden inside an internal error": "{ code: -32603, data: { originalError: { code } } }",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_one_mapper_reads_every_shape_of_refusal(page: Browser, shape: str) -> None:
    codes, kinds = zip(*KINDS, strict=True)
    read = page.module("eip155", f"given[0].map((code) => module.explain({SHAPES[shape]}).kind)", list(codes))
    assert read == list(kinds)


def test_refusals_that_are_no_errors_are_failures(page: Browser) -> None:
    odd = "[null, undefined, 'no', 7, {}, [], { get code() { throw 1 } }, new Error('x')]"
    assert set(page.module("eip155", f"{odd}.map((error) => module.explain(error).kind)")) == {"failed"}


ONE, OTHER = "0x" + "a" * 40, "0x" + "B" * 40


@pytest.mark.parametrize(
    ("answer", "accounts"),
    [
        ([], []),
        ([ONE], [ONE]),
        ([ONE, ONE.replace("a", "A"), OTHER], [ONE, OTHER]),
        ([f"0x{number:040x}" for number in range(50)], [f"0x{number:040x}" for number in range(20)]),
        (None, "malformed"),
        (ONE, "malformed"),
        ([ONE, "nonsense"], "malformed"),
        ([7], "malformed"),
        ([ONE + "1"], "malformed"),
        ({"0": ONE, "length": 1}, "malformed"),
    ],
    ids=range(10),
)
def test_accounts_are_twenty_addresses_at_most_each_once(page: Browser, answer: Any, accounts: Any) -> None:
    read = page.module(
        "eip155", f"module.connect({wallet('Promise.resolve(given[0])')}).catch((error) => error.kind)", answer
    )
    assert read == ([to_checksum_address(each) for each in accounts] if isinstance(accounts, list) else accounts)


def test_a_network_is_read_in_every_spelling(page: Browser) -> None:
    answers = ["0x1", "0xaa36a7", "0X1", "137", 10]
    refused = [None, "", "0x", "one", {}, -1, 0, "0x0", 1.5, "1e3", " 1", "0x" + "f" * 65]
    expression = (
        "Promise.all(given[0].map((answer) => "
        f"module.chain({wallet('Promise.resolve(answer)')}).catch((error) => error.kind)))"
    )
    assert page.module("eip155", expression, answers) == [
        "eip155:1", "eip155:11155111", "eip155:1", "eip155:137", "eip155:10",
    ]  # fmt: skip
    assert set(page.module("eip155", expression, refused)) == {"malformed"}


def test_a_text_is_sent_as_the_hex_of_its_bytes(page: Browser) -> None:
    calls = page.module(
        "eip155",
        "(async () => { const calls = []; const wallet = { request: (call) => { calls.push(call);"
        " return Promise.resolve('0x00') } }; await module.sign(wallet, 'a\\nü', '0xabc'); return calls })()",
    )
    assert calls == [{"method": "personal_sign", "params": ["0x610ac3bc", "0xabc"]}]


def test_a_switch_names_the_network_in_hex_without_leading_zeros(page: Browser) -> None:
    calls = page.module(
        "eip155",
        "(async () => { const calls = []; const wallet = { request: (call) => { calls.push(call);"
        " return Promise.resolve(null) } }; await module.switchChain(wallet, 'eip155:8453'); return calls })()",
    )
    assert calls == [{"method": "wallet_switchEthereumChain", "params": [{"chainId": "0x2105"}]}]


def test_value_that_can_not_be_a_signature_is_refused(page: Browser) -> None:
    answers = [None, "", "signed", {"signature": "signed"}, 7, "0x0", "0x" + "0" * 10_000]
    expression = (
        "Promise.all(given[0].map((answer) => "
        f"module.sign({wallet('Promise.resolve(answer)')}, 't', 'a').catch((error) => error.kind)))"
    )
    assert set(page.module("eip155", expression, answers)) == {"malformed"}


def test_wallets_that_break_the_rules_break_nothing(page: Browser) -> None:
    broken = {
        "throws at once": "{ request() { throw { code: 4001 } } }",
        "answers no promise": "{ request: () => 7 }",
        "rejects with nothing": "{ request: () => Promise.reject() }",
    }
    kinds = [
        page.module("eip155", f"module.connect({each}).catch((error) => error.kind)") for each in broken.values()
    ]
    assert kinds == ["rejected", "malformed", "failed"]
    watch = "module.watch({ on() { throw 1 }, removeListener() { throw 1 } }, {})() ?? 'quiet'"
    assert page.module("eip155", watch) == "quiet"
    assert page.module("eip155", "module.watch({}, {})() ?? 'quiet'") == "quiet"
