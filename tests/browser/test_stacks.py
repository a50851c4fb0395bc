"""The plain module `stacks.js`: where Stacks wallets are found, what they answer, and how they say no."""

from __future__ import annotations

from typing import Any

import pytest

from ..signers import StacksSigner
from .pages import Browser

SIGNER = StacksSigner("11" * 32)
SIGNATURE = "0" * 128 + "01"
HELPERS = """
const wallet = (more = {}) => ({ request() {}, ...more });
const XVERSE = { signMultipleTransactions() {}, createRepeatInscriptions() {} };
const entry = (id, more = {}) => ({ id, name: 'Name of ' + id, ...more });
const search = (window) => {
  const found = [];
  const end = module.find(window, { add: ({ id, name, icon }) => found.push([id, name, icon]), known: () => 0 });
  const early = found.length;
  return { end, found, early };
};
const findAll = (window) => { const { end, found } = search(window); end(); return found; };
const ids = (window) => findAll(window).map(([id]) => id);
const answering = (answer, more = {}) => wallet({ request: () => Promise.resolve(answer), ...more });
const kind = (promise) => promise.then(() => 'fine', (error) => error.name === 'WalletError' ? error.kind : 'odd');
"""


def run(page: Browser, body: str, *given: Any) -> Any:
    return page.module("stacks", f"(async () => {{ {HELPERS} {body} }})()", *given)


# -- Finding them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["btc_providers", "wbip_providers", "webbtc_stx_providers"])
def test_wallets_are_read_from_each_list(page: Browser, name: str) -> None:
    found = run(page, "return findAll({ [given[0]]: [entry('A.B', { icon: 'i' })], A: { B: wallet() } })", name)
    assert found == [["stacks:A.B", "Name of A.B", "i"]]


def test_a_wallet_in_several_lists_is_one(page: Browser) -> None:
    body = """
      const window = { A: wallet(), B: wallet() };
      window.btc_providers = [entry('A'), entry('A', { name: 'Other' })];
      window.wbip_providers = [entry('B'), entry('A')];
      window.alias = window.A;
      window.webbtc_stx_providers = [entry('alias')];
      return findAll(window);
    """
    assert run(page, body) == [["stacks:A", "Name of A", None], ["stacks:B", "Name of B", None]]


def test_listed_wallet_without_a_provider_is_left_out(page: Browser) -> None:
    lists = "btc_providers: [entry('Gone'), entry('Half.Way'), entry('NoRequest')], Half: {}, NoRequest: {}"
    assert run(page, f"return ids({{ {lists} }})") == []


def test_late_wallets_are_found_at_the_end_of_the_scan(page: Browser) -> None:
    body = """
      const window = { A: wallet(), btc_providers: [entry('A')] };
      const { end, found, early } = search(window);
      window.B = wallet();
      window.btc_providers.push(entry('B'));
      end();
      return [early, found.map(([id]) => id)];
    """
    assert run(page, body) == [1, ["stacks:A", "stacks:B"]]


def test_known_wallets_need_no_list(page: Browser) -> None:
    body = """
      const xverse = { BitcoinProvider: wallet(), StacksProvider: wallet() };
      const both = { LeatherProvider: wallet(), XverseProviders: xverse };
      const old = { XverseProviders: { StacksProvider: wallet() } };
      return [findAll(both), findAll(old)];
    """
    assert run(page, body) == [
        [
            ["stacks:LeatherProvider", "Leather", None],
            ["stacks:XverseProviders.BitcoinProvider", "Xverse Wallet", None],
        ],
        [["stacks:XverseProviders.StacksProvider", "Xverse Wallet", None]],
    ]


def test_a_list_names_its_wallets_itself_whenever_it_comes(page: Browser) -> None:
    body = """
      const window = { LeatherProvider: wallet(), XverseProviders: { BitcoinProvider: wallet() } };
      const { end, found } = search(window);
      window.btc_providers = [entry('LeatherProvider')];
      end();
      return found.map(([, name]) => name);
    """
    assert run(page, body) == ["Name of LeatherProvider", "Xverse Wallet"]


def test_contested_name_stacksprovider_is_ignored(page: Browser) -> None:
    assert run(page, "return ids({ StacksProvider: wallet(), btc_providers: [entry('StacksProvider')] })") == []


def test_no_path_leads_into_prototypes_or_anywhere_far(page: Browser) -> None:
    paths = [
        "constructor", "__proto__", "__proto__.evil", "A.constructor", "A.__proto__", "A.inherited", "toString",
        "A.b.c.d", "", ".", "A.", ".A", "A..b", "A[0]", "A b", "A\n", "a" * 65, "1A", "A.b.c.d.e" * 1000,
    ]  # fmt: skip
    body = """
      class Base { inherited() {} }
      Base.prototype.inherited.request = () => {};
      const A = Object.assign(new Base(), { b: { c: { d: wallet() } } });
      Object.prototype.evil = wallet();
      const found = ids({ A, btc_providers: given[0].map((id) => entry(id)) });
      delete Object.prototype.evil;
      return found;
    """
    assert run(page, body, paths) == []


def test_no_element_of_the_page_is_a_wallet(page: Browser) -> None:
    body = """
      const form = document.createElement('form');
      form.id = 'clobbered';
      form.request = () => {};
      document.body.append(form);
      window.btc_providers = [entry('clobbered')];
      return [typeof window.clobbered.request, ids(window)];
    """
    assert run(page, body) == ["function", []]


def test_hostile_lists_break_nothing(page: Browser) -> None:
    body = """
      const trap = { get() { throw new Error('trap'); } };
      const lists = [
        null, 7, 'LeatherProvider', {}, { length: 1, 0: entry('A') }, [null, undefined, 7, {}, { id: {} }],
        [Object.defineProperty({}, 'id', trap)], [Object.defineProperty({ id: 'A' }, 'icon', trap)],
        new Proxy([], trap), Array.from({ length: 100000 }, () => entry('Nothing')),
        Object.defineProperty([], 0, trap),
      ];
      const wbip_providers = [entry('A')];
      const found = lists.map((btc_providers) => ids({ A: wallet(), btc_providers, wbip_providers }).length);
      const window = { A: wallet(), wbip_providers: [entry('A')] };
      Object.defineProperty(window, 'btc_providers', trap);
      Object.defineProperty(window, 'LeatherProvider', trap);
      Object.defineProperty(window, 'XverseProviders', { value: Object.defineProperty({}, 'BitcoinProvider', trap) });
      return [found, ids(window), ids({ LeatherProvider: Object.defineProperty({}, 'request', trap) })];
    """
    assert run(page, body) == [[1] * 11, ["stacks:A"], []]


# -- How they say no -------------------------------------------------------------------------------------------

MEMBERS = {"Leather": "wallet({ isLeather: true })", "Xverse": "wallet(XVERSE)", "another": "wallet()"}
CODES = [4001, -31001, -32000, -32002, 7, 16, 4002, -32601, -32001, -32603, -31000, "4001", None]
KINDS = {
    "Leather": [
        "rejected",
        "rejected",
        "failed",
        "failed",
        "locked",
        "locked",
        "unsupported",
        "unsupported",
        "failed",
    ],
    "Xverse": [
        "rejected",
        "rejected",
        "rejected",
        "locked",
        "failed",
        "failed",
        "failed",
        "unsupported",
        "unsupported",
    ],
}
SHAPES = {
    "thrown plainly": "Promise.reject({ code, message: 'm' })",
    "thrown as the whole answer": "Promise.reject({ jsonrpc: '2.0', id: '1', error: { code, message: 'm' } })",
    "answered": "Promise.resolve({ jsonrpc: '2.0', id: '1', error: { code, message: 'm' } })",
    "answered with a status": "Promise.resolve({ status: 'error', error: { code, message: 'm' } })",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("member", MEMBERS)
def test_error_code_is_read_as_the_wallet_means_it(page: Browser, member: str, shape: str) -> None:
    kinds = KINDS["Leather" if member == "Leather" else "Xverse"]
    expected = [*kinds, "failed", "failed", "rejected", "failed"]
    body = f"""
      return Promise.all(given[0].map((code) => {{
        const provider = {MEMBERS[member]};
        provider.request = () => {SHAPES[shape]};
        return kind(module.sign(provider, 'text', given[1]));
      }}));
    """
    assert run(page, body, CODES, SIGNER.address) == expected


def test_wallets_that_break_the_rules_break_nothing(page: Browser) -> None:
    body = """
      const trap = { get() { throw new Error('trap'); } };
      const all = [
        wallet({ request() { throw { code: 4001 }; } }), wallet({ request: () => 7 }), wallet({ request() {} }),
        wallet({ request: () => Promise.reject() }), answering({ error: true }), answering({ status: 'error' }),
        answering(Object.defineProperty({}, 'result', trap)), answering(Object.defineProperty({}, 'error', trap)),
        answering({ addresses: [Object.defineProperty({}, 'address', trap)] }),
        Object.defineProperty(wallet(), 'isLeather', trap), new Proxy({}, { get: trap.get, has: trap.get }),
      ];
      const connected = await Promise.all(all.map((each) => kind(module.connect(each, { chains: [] }))));
      const signed = await Promise.all(all.map((each) => kind(module.sign(each, 't', 'SP'))));
      const known = await Promise.all(all.map((each) => kind(module.accounts(each))));
      return [connected, signed, new Set(known).has('odd'), all.map((each) => module.watch(each, {})() ?? 'quiet')];
    """
    connected, signed, odd, watched = run(page, body)
    assert connected[0] == signed[0] == "rejected"
    assert set(connected[1:] + signed[1:]) <= {"failed", "malformed"}
    assert not odd
    assert set(watched) == {"quiet"}


# -- Addresses -------------------------------------------------------------------------------------------------

MAIN, TEST = SIGNER.address, SIGNER.testnet
MULTIPLE = "SM3E3JYN2X3HN7Y9YW6TZ4NT0GJ0T6WPDKW0M1RTF"
BITCOIN = {
    "symbol": "BTC",
    "type": "p2wpkh",
    "address": "bc1qtmqe7hg4etkq4t384nzg0mrmwf2sam9fjsz0mr",
    "publicKey": "02",
}


def stx(address: str) -> dict[str, str]:
    return {"symbol": "STX", "address": address, "publicKey": "02ab"}


@pytest.mark.parametrize(
    ("answer", "accounts"),
    [
        ({"jsonrpc": "2.0", "id": "1", "result": {"addresses": [BITCOIN, stx(MAIN)]}}, [MAIN]),
        ({"status": "success", "result": {"addresses": [stx(MAIN)]}}, [MAIN]),
        ({"result": [stx(MAIN)]}, [MAIN]),
        ({"addresses": [{"address": MAIN}]}, [MAIN]),
        ([stx(MAIN), stx(MAIN)], [MAIN]),
        ({"addresses": [stx(TEST), stx(MAIN)]}, [MAIN]),
        ({"addresses": [stx(TEST)]}, [TEST]),
        ({"addresses": [BITCOIN]}, []),
        ({"addresses": [stx(MULTIPLE), stx(MULTIPLE.replace("SM", "SN"))]}, []),
        ({"addresses": []}, []),
        ({"addresses": [stx(MAIN[:-1] + "O")]}, []),
        ({"addresses": [{"address": 7}]}, "malformed"),
        ({"addresses": [None]}, "malformed"),
        ({"addresses": "SP"}, "malformed"),
        ({"result": None}, "malformed"),
        (None, "malformed"),
        ("SP", "malformed"),
    ],
    ids=range(17),
)
def test_addresses_are_read_from_every_shape_of_answer(page: Browser, answer: Any, accounts: Any) -> None:
    body = "return module.connect(answering(given[0]), { chains: ['stacks:1'] }).catch((error) => error.kind)"
    assert run(page, body, answer) == accounts


def test_where_both_networks_are_accepted_the_person_gets_both(page: Browser) -> None:
    body = "return module.connect(answering(given[0]), { chains: ['stacks:1', 'stacks:2147483648'] })"
    assert run(page, body, {"addresses": [stx(TEST), stx(MAIN)]}) == [TEST, MAIN]


def test_at_most_twenty_addresses_are_read(page: Browser) -> None:
    body = """
      const letters = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
      const addresses = Array.from({ length: 1024 }, (_, at) => (
        { address: 'SP' + '0'.repeat(36) + letters[at >> 5] + letters[at & 31] }));
      return (await module.connect(answering({ addresses }), { chains: [] })).length;
    """
    assert run(page, body) == 20


@pytest.mark.parametrize(
    ("member", "asked"),
    [
        ("wallet({ isLeather: true })", [["stx_getAddresses", {}], ["getAddresses", {}]]),
        ("wallet(XVERSE)", [["wallet_connect", {"addresses": ["stacks"]}], ["stx_getAddresses", {}]]),
    ],
)
def test_unknown_method_falls_back_to_the_older_one(page: Browser, member: str, asked: Any) -> None:
    body = f"""
      const calls = [];
      const provider = {member};
      provider.request = (method, params) => {{
        calls.push([method, params]);
        const unknown = {{ error: {{ code: -32601 }} }};
        return Promise.resolve(calls.length < 2 ? unknown : {{ result: {{ addresses: [] }} }});
      }};
      await module.connect(provider, {{ chains: [] }});
      return calls;
    """
    assert run(page, body) == asked


def test_the_address_says_the_network(page: Browser) -> None:
    body = "return Promise.all(given[0].map((address) => module.chain({}, address).catch((error) => error.kind)))"
    assert run(page, body, [MAIN, TEST, MULTIPLE, "", "constructor"]) == [
        "stacks:1", "stacks:2147483648", "malformed", "malformed", "malformed",
    ]  # fmt: skip


# -- Signing ---------------------------------------------------------------------------------------------------


def test_only_xverse_gets_the_public_key(page: Browser) -> None:
    body = """
      const ask = async (more) => {
        const calls = [];
        const answers = { wallet_getAccount: { result: { addresses: [given[0], given[1]] } } };
        const request = (method, params) => {
          calls.push([method, params]);
          return Promise.resolve(answers[method] ?? { result: { signature: given[2] } });
        };
        await module.sign({ request, ...more }, 'text', given[1].address);
        return calls;
      };
      return [await ask({ isLeather: true }), await ask(XVERSE), await ask({})];
    """
    leather, xverse, another = run(page, body, stx(TEST), {"address": MAIN, "publicKey": "03cd"}, SIGNATURE)
    assert leather == [["stx_signMessage", {"message": "text", "network": "mainnet"}]]
    assert another == [["stx_signMessage", {"message": "text"}]]
    assert xverse == [
        ["wallet_getAccount", None], ["stx_signMessage", {"message": "text", "publicKey": "03cd"}],
    ]  # fmt: skip


@pytest.mark.parametrize(("address", "network"), [(MAIN, "mainnet"), (TEST, "testnet")])
def test_leather_gets_the_network_of_the_account(page: Browser, address: str, network: str) -> None:
    body = """
      const calls = [];
      const request = (method, params) => {
        calls.push(params.network);
        return Promise.resolve({ result: { signature: given[1] } });
      };
      await module.sign({ request, isLeather: true }, 'text', given[0]);
      return calls;
    """
    assert run(page, body, address, SIGNATURE) == [network]


def test_a_signature_is_130_hex_digits_and_nothing_else(page: Browser) -> None:
    body = """
      return Promise.all(given[0].map((answer) =>
        module.sign(answering(answer), 'text', 'SP').catch((error) => error.kind)));
    """
    good = [SIGNATURE, SIGNATURE.upper(), f"0x{SIGNATURE}", SIGNATURE + "\n"]
    bad = [
        SIGNATURE[:-1],
        SIGNATURE + "0",
        "vrs:" + SIGNATURE,
        "",
        None,
        7,
        [SIGNATURE] * 2,
        "g" * 130,
    ]
    wrapped = [{"jsonrpc": "2.0", "result": {"signature": each, "publicKey": "02"}} for each in good + bad]
    assert run(page, body, [*wrapped, None, SIGNATURE, {"signature": SIGNATURE}]) == [
        *[SIGNATURE] * len(good), *["malformed"] * len(bad), "malformed", SIGNATURE, SIGNATURE,
    ]  # fmt: skip


# -- Watching --------------------------------------------------------------------------------------------------


def test_watching_asks_only_wallet_getaccount(page: Browser) -> None:
    """It opens no window of the wallet."""
    body = """
      const calls = [];
      const ask = (answer, more) => module.accounts({
        request: (method) => { calls.push(method); return Promise.resolve(answer); }, ...more,
      }).catch((error) => error.kind);
      const refusal = (code) => ({ error: { code } });
      const said = [
        await ask({}, { isLeather: true }), await ask({}, {}),
        await ask({ result: { addresses: [given[0]] } }, XVERSE),
        await ask(refusal(-32002), XVERSE), await ask(refusal(-32601), XVERSE), await ask(refusal(-32603), XVERSE),
      ];
      return [said, new Set(calls).size === 1 && calls[0]];
    """
    said, asked = run(page, body, stx(MAIN))
    assert said == [None, None, [MAIN], [], None, "failed"]
    assert asked == "wallet_getAccount"


def test_answer_to_the_later_question_counts(page: Browser) -> None:
    body = """
      const listeners = {}, answers = [], reports = [];
      const provider = {
        ...XVERSE,
        request: () => new Promise((resolve) => answers.push(resolve)),
        addListener({ eventName, cb }) { listeners[eventName] = cb; return () => { delete listeners[eventName]; }; },
      };
      const end = module.watch(provider, { accounts: (list) => reports.push(list) });
      const answer = (at, address) => answers[at]({ result: { addresses: [{ address }] } });
      const pause = () => new Promise((resolve) => { setTimeout(resolve); });
      listeners.accountChange({ type: 'accountChange' });
      listeners.networkChange({ type: 'networkChange' });
      answer(1, given[1]);
      answer(0, given[0]);
      await pause();
      listeners.disconnect();
      listeners.accountChange();
      end();
      answer(2, given[0]);
      await pause();
      return [reports, Object.keys(listeners)];
    """
    assert run(page, body, MAIN, TEST) == [[[TEST], []], []]


def test_a_real_signature_reaches_the_server_as_it_takes_it(page: Browser) -> None:
    body = "return module.sign(answering({ result: { signature: given[0] } }), 'text', given[1])"
    signature = SIGNER.sign("text")
    assert run(page, body, signature.upper(), MAIN) == signature
