// @ts-check
/**
 * Stacks wallets: found in the lists that wallets write themselves into, asked by JSON-RPC (SIP-030 and what wallets
 * made of it). A network has addresses of its own, so the address says which network it is of. Lists and answers are
 * hostile input and are checked here.
 *
 * The module touches no DOM and keeps no state.
 */
import { toHex } from "../../../static/lib/bytes.js";
import { MAX_ACCOUNTS, WalletError, explain as explainBy, malformed, signatureIn } from "../../../static/wallets/answers.js";

/** @typedef {import("../../../static/wallets/answers.js").Kind} Kind */
/** @typedef {import("../../../static/wallets/families.js").Report} Report */
/** @typedef {import("../../../static/wallets/families.js").Site} Site */
/**
 * @typedef {{request: (method: string, params?: unknown) => Promise<unknown>, addListener?: Function,
 *            isLeather?: unknown}} Provider
 * @typedef {{address: string, publicKey: string}} Entry
 */

export const NAMESPACE = "stacks";

/** The drafts (WBIP-004) say the second; wallets write into the first, and older ones into the third. */
const LISTS = ["btc_providers", "wbip_providers", "webbtc_stx_providers"];
const MAX_LISTED = 50;
/** Where the wallets are that don't always list themselves; the first path that leads to one counts. */
const KNOWN = [
  { name: "Leather", paths: ["LeatherProvider"] },
  { name: "Xverse Wallet", paths: ["XverseProviders.BitcoinProvider", "XverseProviders.StacksProvider"] },
];
/** The name that wallets take from each other: which one answers there is chance. */
const FOUGHT_OVER = "StacksProvider";
const PATH = /^[A-Za-z_$][\w$]{0,63}(\.[A-Za-z_$][\w$]{0,63}){0,2}$/;

/** Addresses of one key by their network; `SM` and `SN` are of several keys, and cannot sign in. */
const CHAINS = { SP: `${NAMESPACE}:1`, ST: `${NAMESPACE}:2147483648` };
const ADDRESS = /^S[PT][0-9A-HJKMNP-TV-Z]{26,39}$/;

/** The same in all tables: a window of @stacks/connect, or of the wallet, that was closed. */
const CLOSED = /** @type {[unknown, Kind][]} */ ([
  [4001, "rejected"],
  [-31001, "rejected"],
]);
/** @type {Map<unknown, Kind>} */
const LEATHER = new Map([
  ...CLOSED,
  .../** @type {[unknown, Kind][]} */ ([
    [7, "locked"],
    [16, "locked"],
    [4002, "unsupported"],
    [-32601, "unsupported"],
  ]),
]);
/** @type {Map<unknown, Kind>} */
const SIP030 = new Map([
  ...CLOSED,
  .../** @type {[unknown, Kind][]} */ ([
    [-32000, "rejected"],
    [-32002, "locked"],
    [-32601, "unsupported"],
    [-32001, "unsupported"],
  ]),
]);

/**
 * The one mapper of the family. It has a table for each member: -32000 is a server's error at Leather, and the
 * user's "no" at Xverse.
 * @param {unknown} error @param {Provider} provider
 */
export function explain(error, provider) {
  return explainBy(error, isLeather(provider) ? LEATHER : SIP030);
}

/** @param {Provider} provider */
function isLeather(provider) {
  try {
    return provider.isLeather === true;
  } catch {
    return false;
  }
}

/** Xverse, and wallets that took its interface over. @param {Provider} provider */
function isXverseLike(provider) {
  try {
    return !isLeather(provider) && "signMultipleTransactions" in provider && "createRepeatInscriptions" in provider;
  } catch {
    return false;
  }
}

// ---- Finding them -------------------------------------------------------------------------------------------

/**
 * Wallets announce nothing: they write themselves into lists while the page loads. Listed is not installed, so only
 * an entry whose path leads to a wallet counts.
 * @param {Window} window @param {Report} report
 */
export function find(window, { add }) {
  /** @type {Set<unknown>} */
  const seen = new Set();
  /** @param {string} path @param {unknown} name @param {unknown} [icon] */
  const consider = (path, name, icon) => {
    const provider = resolve(window, path);
    // One object under two paths is one wallet, and so is one path whose getter makes another object each time.
    if (provider && !seen.has(provider) && !seen.has(path)) add({ id: `${NAMESPACE}:${path}`, name, icon }, provider);
    if (provider) seen.add(provider).add(path);
  };
  const read = () => {
    for (const { id, name, icon } of LISTS.flatMap((list) => listed(window, list))) consider(id, name, icon);
  };
  read();
  return () => {
    read();
    for (const { name, paths } of KNOWN) {
      const path = paths.find((each) => resolve(window, each));
      if (path && !paths.some((each) => seen.has(resolve(window, each)))) consider(path, name);
    }
  };
}

/** @param {Window} window @param {string} list @returns {{id: string, name: unknown, icon: unknown}[]} */
function listed(window, list) {
  const entries = [];
  try {
    const all = /** @type {any} */ (window)[list];
    for (let at = 0; Array.isArray(all) && at < Math.min(all.length, MAX_LISTED); at += 1) {
      try {
        const { id, name, icon } = all[at];
        if (typeof id === "string") entries.push({ id, name, icon });
      } catch {
        // Nothing there, or a getter of the entry threw: no wallet of ours.
      }
    }
  } catch {
    // The list itself threw.
  }
  return entries;
}

/**
 * Follows a path from the window through what objects have of their own: any script can list a path, and none must
 * lead into prototypes, nor into the page (the id of an element is a name of the window, though not one of its own).
 * @param {Window} window @param {string} path @returns {Provider | null}
 */
function resolve(window, path) {
  if (!PATH.test(path) || path === FOUGHT_OVER) return null;
  try {
    /** @type {any} */
    let at = window;
    for (const name of path.split(".")) {
      if (!Object.hasOwn(at, name)) return null;
      at = at[name];
    }
    return typeof at.request === "function" ? at : null;
  } catch {
    return null;
  }
}

// ---- Asking them --------------------------------------------------------------------------------------------

/**
 * @template T
 * @param {Provider} provider @param {string} method @param {unknown} params
 * @param {(answer: any) => T} read fails for what is no answer
 * @returns {Promise<T>}
 */
async function ask(provider, method, params, read) {
  let answer;
  try {
    answer = await provider.request(method, params);
    // Leather rejects with its whole JSON-RPC answer, Xverse resolves with it, sats-connect adds a status.
    const { error, status } = Object(answer);
    if (error || status === "error") throw answer;
  } catch (error) {
    throw explain(error, provider);
  }
  try {
    return read(Object(answer).result ?? answer);
  } catch {
    throw malformed(method, answer);
  }
}

/**
 * The Stacks addresses among those that the wallet shares, each once. Fails for what is no list of addresses.
 * @param {any} answer a list, or an object with one @returns {Entry[]}
 */
function readEntries(answer) {
  const all = Array.isArray(answer) ? answer : answer.addresses;
  if (!Array.isArray(all)) throw new TypeError("no list");
  const found = new Map();
  for (const { address, publicKey } of all.slice(0, 4 * MAX_ACCOUNTS)) {
    if (typeof address !== "string") throw new TypeError("no address");
    // The others are Bitcoin's, which wallets share with the same click.
    if (ADDRESS.test(address) && !found.has(address)) found.set(address, { address, publicKey: String(publicKey) });
  }
  return Array.from(found.values()).slice(0, MAX_ACCOUNTS);
}

/**
 * What Xverse shares already: it answers or refuses without a window. Null where a wallet has no such question.
 * @param {Provider} provider @returns {Promise<Entry[] | null>}
 */
async function shared(provider) {
  if (!isXverseLike(provider)) return null;
  try {
    return await ask(provider, "wallet_getAccount", null, readEntries);
  } catch (error) {
    const { kind } = /** @type {WalletError} */ (error);
    if (kind === "locked") return [];
    if (kind === "unsupported") return null;
    throw error;
  }
}

/**
 * Asks the user to connect, which may open a window of the wallet. Of a wallet that shares addresses of several
 * networks only those count that are accepted here, unless there is none.
 * @param {Provider} provider @param {Site} site @returns {Promise<string[]>}
 */
export async function connect(provider, { chains }) {
  const [method, older, params] = isXverseLike(provider)
    ? ["wallet_connect", "stx_getAddresses", { addresses: [NAMESPACE] }]
    : ["stx_getAddresses", "getAddresses", {}];
  let entries;
  try {
    entries = await ask(provider, method, params, readEntries);
  } catch (error) {
    if (/** @type {WalletError} */ (error).kind !== "unsupported") throw error;
    entries = await ask(provider, older, {}, readEntries);
  }
  const all = entries.map(({ address }) => address);
  const accepted = all.filter((address) => chains.includes(chainOf(address)));
  return accepted.length ? accepted : all;
}

/**
 * The addresses that are connected already; asks nobody. Leather answers nothing about addresses but in a window of
 * its own, and emits no events: whether it is still on the account is seen from the signature, by the server.
 * @param {Provider} provider
 */
export async function accounts(provider) {
  const entries = await shared(provider);
  return entries && entries.map(({ address }) => address);
}

/**
 * Leather answers each question in a window of its own. It signs without being connected, and whose signature that is
 * the server sees: so who confirms something is asked once, and not twice.
 * @param {Provider} provider
 */
export function signsAtOnce(provider) {
  return isLeather(provider);
}

/** @param {string} address @returns {string} "" for one that cannot sign in */
function chainOf(address) {
  return CHAINS[/** @type {keyof typeof CHAINS} */ (address.slice(0, 2))] ?? "";
}

/**
 * The network of an address, as CAIP-2; no site can ask for another.
 * @param {Provider} provider @param {string} address
 */
export async function chain(provider, address) {
  const id = chainOf(address);
  if (!id) throw malformed("chain", address);
  return id;
}

/**
 * Asks the user to sign a text. The signature is r, s, v, as all wallets give it that we know; where v came first
 * the server would have to be told so, and from the digits nobody can tell.
 * @param {Provider} provider @param {string} text @param {string} address
 * @returns {Promise<string>} 130 lower-case hex digits, without 0x
 */
export async function sign(provider, text, address) {
  /** @type {Record<string, string>} */
  const params = { message: text };
  // Without it Leather shows the network that it is set to, and labels a sign-in on mainnet "Testnet".
  if (isLeather(provider)) params.network = chainOf(address) === CHAINS.ST ? "testnet" : "mainnet";
  // Older versions of Xverse demand the key; Leather refuses what it does not know.
  const publicKey = (await shared(provider))?.find((entry) => entry.address === address)?.publicKey;
  if (publicKey) params.publicKey = publicKey;
  return ask(provider, "stx_signMessage", params, (answer) => {
    const found = signatureIn(answer);
    // The server judges the signature; here only what could never be one is stopped.
    const text = found instanceof Uint8Array ? toHex(found) : String(found);
    const [, digits] = /^(?:0x)?([0-9a-f]{130})$/i.exec(text) ?? [];
    return digits.toLowerCase();
  });
}

/**
 * Reports account changes until the returned function is called: of Xverse, no other has events. They name the new
 * account only sometimes, so the wallet is asked. A change of network is one of addresses.
 * @param {Provider} provider
 * @param {{accounts: (list: string[]) => void}} report
 * @returns {() => void}
 */
export function watch(provider, report) {
  let latest = 0;
  const changed = async () => {
    const turn = (latest += 1);
    try {
      const list = await accounts(provider);
      // Of two answers the one to the later question counts.
      if (list && turn === latest) report.accounts(list);
    } catch {
      // A wallet that does not answer has said nothing.
    }
  };
  const disconnected = () => {
    latest += 1;
    report.accounts([]);
  };
  const listeners = { accountChange: changed, networkChange: changed, disconnect: disconnected };
  const ends = Object.entries(listeners).map(([eventName, cb]) => {
    try {
      return isXverseLike(provider) ? provider.addListener?.({ eventName, cb }) : null;
    } catch {
      return null; // No events: the account is read once more before signing.
    }
  });
  return () => {
    latest += 1;
    for (const end of ends) {
      try {
        end?.();
      } catch {
        // Nothing to undo.
      }
    }
  };
}
