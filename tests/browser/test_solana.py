"""The plain module `solana.js`: wallets of the Wallet Standard, what they answer, and how they say no."""

from __future__ import annotations

from typing import Any

import pytest

from ..signers import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET, SolanaSigner
from .families_in_page import raw_signature
from .pages import Browser

SIGNER = SolanaSigner("22" * 32)
HELPERS = """
const CHAINS = ['solana:mainnet', 'solana:devnet'];
const account = (address, more = {}) => ({ address, chains: CHAINS, features: ['solana:signMessage'], ...more });
const bytes = (length, fill = 1) => new Uint8Array(length).fill(fill);
const sound = ({ message }) => [{ signedMessage: message, signature: bytes(64) }];
const nobody = () => ({ accounts: [] });
const wallet = ({ connect = nobody, signMessage = sound, accounts = [], features = {}, ...more } = {}) => ({
  name: 'Wallet', icon: 'i', chains: CHAINS, accounts,
  features: { 'standard:connect': { connect }, 'solana:signMessage': { signMessage }, ...features }, ...more,
});
const search = () => {
  const target = new EventTarget(), found = [];
  let api = null;
  target.addEventListener('wallet-standard:app-ready', ({ detail }) => { api = detail; });
  module.find(target, { add: (said, provider) => found.push([said, provider]), known: () => 0 });
  const event = (detail) => target.dispatchEvent(new CustomEvent('wallet-standard:register-wallet', { detail }));
  return { target, found, api, event };
};
const kind = (promise) => promise.then(() => 'fine', (error) => error.name === 'WalletError' ? error.kind : 'odd');
const trap = { get() { throw new Error('trap'); } };
"""


def run(page: Browser, body: str, *given: Any) -> Any:
    return page.module("solana", f"(async () => {{ {HELPERS} {body} }})()", *given)


# -- Finding them ----------------------------------------------------------------------------------------------


def test_wallets_register_before_and_after_the_page(page: Browser) -> None:
    body = """
      const { api, event, found } = search();
      const [one, two, three] = [wallet(), wallet(), wallet()];
      api.register(one);
      event(({ register }) => register(two, three));
      api.register(one);
      const ids = found.map(([{ id }]) => id);
      return [new Set(ids).size, ids.every((id) => /^solana:\\d+$/.test(id)), ids[0] === ids[3],
        found.map(([, provider]) => [one, two, three].indexOf(provider)), found[0][0].name];
    """
    assert run(page, body) == [3, True, True, [0, 1, 2, 0], "Wallet"]


def test_two_searches_know_a_wallet_by_one_id(page: Browser) -> None:
    body = """
      const one = wallet(), first = search(), second = search();
      first.api.register(one);
      second.api.register(one);
      return first.found[0][0].id === second.found[0][0].id;
    """
    assert run(page, body) is True


def test_wallets_that_can_not_sign_for_solana_are_left_out(page: Browser) -> None:
    """Wallets of other chains and wallets without `solana:signMessage` are not listed."""
    body = """
      const { api, found } = search();
      const none = { 'standard:connect': undefined }, mute = { 'solana:signMessage': {} };
      api.register(wallet({ chains: ['sui:mainnet', 7] }), wallet({ chains: 'solana:mainnet' }));
      api.register(wallet({ features: none }), wallet({ features: mute }), wallet({ features: null, chains: [] }));
      return found.length;
    """
    assert run(page, body) == 0


def test_hostile_registrations_break_nothing(page: Browser) -> None:
    body = """
      const { api, event, found } = search();
      api.register(null, undefined, 7, 'wallet', {}, Object.defineProperty(wallet(), 'name', trap));
      api.register(Object.defineProperty(wallet(), 'features', trap), new Proxy({}, trap));
      for (const detail of [null, 7, {}, trap.get, ({ register }) => { register = null; }]) event(detail);
      try { api.register = () => {}; } catch { /* frozen */ }
      event(({ register }) => register(wallet()));
      api.register(...Array.from({ length: 1000 }, () => wallet()));
      return found.length;
    """
    assert run(page, body) == 21


# -- How they say no -------------------------------------------------------------------------------------------

REFUSALS = [
    ("{ code: 4001, message: 'User rejected the request.' }", "rejected"),
    ("Object.assign(new Error('no'), { error: { code: 4001 } })", "rejected"),
    ("{ code: 4100, message: 'The requested method and/or account has not been authorized by the user.' }", "locked"),
    ("{ code: 4900 }", "disconnected"),
    ("{ code: -32002 }", "pending"),
    ("{ code: -32601 }", "unsupported"),
    ("{ code: -32603, message: 'User rejected the request.' }", "rejected"),
    ("{ code: -32000 }", "failed"),
    ("Object.assign(new Error('closed'), { name: 'WalletWindowClosedError' })", "rejected"),
    ("Object.assign(new Error('gone'), { name: 'WalletDisconnectedError' })", "disconnected"),
    ("Object.assign(new Error('who'), { name: 'WalletNotConnectedError' })", "locked"),
    ("Object.assign(new Error('what'), { name: 'WalletSignMessageError' })", "failed"),
    ("new Error('User rejected the request.')", "rejected"),
    ("new Error('Transaction rejected by the node')", "failed"),
    ("'user cancelled'", "rejected"),
    ("Object.defineProperty(new Error('x'), 'name', trap)", "failed"),
    ("Object.defineProperty({}, 'code', trap)", "failed"),
    ("undefined", "failed"),
    ("null", "failed"),
]


def test_refusals_are_read_from_codes_names_and_words(page: Browser) -> None:
    thrown = ", ".join(each for each, _ in REFUSALS)
    body = f"""
      return Promise.all([{thrown}].map((error) => kind(module.sign(
        wallet({{ accounts: [account(given[0])], signMessage: () => Promise.reject(error) }}), 'text', given[0]))));
    """
    assert run(page, body, SIGNER.address) == [kind for _, kind in REFUSALS]


def test_wallets_that_break_the_rules_break_nothing(page: Browser) -> None:
    body = """
      const bad = [
        wallet({ connect() { throw { code: 4001 }; } }), wallet({ connect: () => 7 }), wallet({ connect() {} }),
        wallet({ connect: () => ({ accounts: 'x' }) }), wallet({ connect: () => ({ accounts: [null] }) }),
        wallet({ connect: () => Object.defineProperty({}, 'accounts', trap) }),
        wallet({ connect: () => ({ accounts: [Object.defineProperty({}, 'chains', trap)] }) }),
        wallet({ connect: () => ({ accounts: [account('0OIl'.repeat(9))] }) }),
      ];
      const connected = await Promise.all(bad.map((each) => kind(module.connect(each))));
      const odd = [Object.defineProperty(wallet(), 'accounts', trap), wallet({ accounts: 7 }), {}];
      const others = await Promise.all(odd.flatMap((each) => [
        kind(module.accounts(each)), kind(module.chain(each, 'a', { chains: [] })), kind(module.sign(each, 't', 'a')),
      ]));
      const telling = (on) => wallet({ features: { 'standard:events': { on } } });
      const watched = [wallet(), {}, telling(trap.get), telling(() => 7)]
        .map((each) => module.watch(each, {})() ?? 'quiet');
      return [connected, others.includes('odd') || others.includes('fine'), watched];
    """
    connected, odd, watched = run(page, body)
    assert connected[0] == "rejected"
    assert set(connected[1:]) <= {"failed", "malformed"}
    assert not odd
    assert set(watched) == {"quiet"}


# -- Accounts and networks -------------------------------------------------------------------------------------


def test_only_accounts_that_can_sign_for_solana_are_offered(page: Browser) -> None:
    body = """
      const accounts = [account(given[0]), account(given[0]), account('1'.repeat(32), { features: [] }),
        account('2'.repeat(32), { chains: ['sui:mainnet'] })];
      const connect = () => ({ accounts });
      return [await module.connect(wallet({ connect })), await module.accounts(wallet({ accounts }))];
    """
    assert run(page, body, SIGNER.address) == [[SIGNER.address], [SIGNER.address]]


def test_network_is_the_first_site_chain_the_account_supports(page: Browser) -> None:
    body = """
      const network = (chains, ...sites) => module.chain(
        wallet({ accounts: [account(given[0], { chains })] }), given[0], { chains: sites });
      const [main, dev] = given.slice(1);
      return Promise.all([
        network(['solana:devnet', 'solana:mainnet'], main, dev), network(['solana:devnet'], main, dev),
        network(['solana:testnet'], main, dev), network(['solana:localnet'], main),
        network(['solana:mainnet'], 'constructor'),
      ]);
    """
    networks = run(page, body, SIGNER.address, SOLANA, SOLANA_DEVNET)
    assert networks == [SOLANA, SOLANA_DEVNET, SOLANA_TESTNET, "solana:unknown", SOLANA]


# -- Signing ---------------------------------------------------------------------------------------------------


def test_wallet_gets_the_utf8_text_and_its_own_account(page: Browser) -> None:
    body = """
      const own = account(given[0]), asked = [];
      const signMessage = (input) => { asked.push(input); return sound(input); };
      await module.sign(wallet({ accounts: [account('1'.repeat(32)), own], signMessage }), 'a\\nü', given[0]);
      return [asked.length, asked[0].account === own, Array.from(asked[0].message)];
    """
    assert run(page, body, SIGNER.address) == [1, True, [97, 10, 195, 188]]


@pytest.mark.parametrize(
    "answer",
    [
        "[]", "null", "7", "[null]",
        "[{ signedMessage: message, signature: bytes(63) }]", "[{ signedMessage: message, signature: bytes(65) }]",
        "[{ signedMessage: message }]", "[{ signature: bytes(64) }]",
        "[{ signedMessage: new TextDecoder().decode(message), signature: bytes(64) }]",
        "[Object.defineProperty({}, 'signedMessage', trap)]",
    ],
)  # fmt: skip
def test_malformed_wallet_answer_is_no_signature(page: Browser, answer: str) -> None:
    assert run(page, signing(answer), SIGNER.address) == "malformed"


@pytest.mark.parametrize("message", ["message.slice(1)", "bytes(message.length)", "message.fill(0)"])
def test_an_answer_about_other_bytes_is_no_signature(page: Browser, message: str) -> None:
    answer = f"[{{ signedMessage: {message}, signature: bytes(64) }}]"
    assert run(page, signing(answer), SIGNER.address) == "failed"


def signing(answer: str) -> str:
    return f"""
      const signMessage = ({{ message }}) => ({answer});
      return kind(module.sign(wallet({{ accounts: [account(given[0])], signMessage }}), 'text', given[0]));
    """


def test_an_account_that_is_no_longer_shared_signs_nothing(page: Browser) -> None:
    assert run(page, "return kind(module.sign(wallet(), 'text', given[0]))", SIGNER.address) == "locked"


def test_signatures_match_the_encoding_of_the_solana_library(page: Browser) -> None:
    texts = [SIGNER.sign(f"text {number}") for number in range(20)] + ["1" * 64, "1" * 63 + "2"]
    body = """
      return Promise.all(given[1].map((raw) => module.sign(wallet({
        accounts: [account(given[0])],
        signMessage: ({ message }) => [{ signedMessage: message, signature: Uint8Array.from(raw) }],
      }), 'text', given[0])));
    """
    assert run(page, body, SIGNER.address, [raw_signature(text) for text in texts]) == texts


# -- Watching --------------------------------------------------------------------------------------------------


def test_changes_are_reported_until_the_end(page: Browser) -> None:
    body = """
      let tell, ended = false;
      const reports = [];
      const on = (event, listener) => { tell = listener; return () => { ended = event; }; };
      const provider = wallet({ accounts: [account(given[0])], features: { 'standard:events': { on } } });
      const end = module.watch(provider, { accounts: (list) => reports.push(list) });
      tell({ accounts: [] });
      provider.accounts = 'nonsense';
      tell({});
      provider.accounts = [];
      tell({ accounts: [] });
      end();
      tell({});
      return [reports, ended];
    """
    assert run(page, body, SIGNER.address) == [[[SIGNER.address], []], "change"]
