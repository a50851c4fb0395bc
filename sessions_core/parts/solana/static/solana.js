// @ts-check
/**
 * Solana wallets: found and asked by the Wallet Standard. Registrations and answers are hostile input and are checked
 * here.
 *
 * A key signs for every cluster alike, and a page cannot learn which one a wallet shows: the text that is signed
 * names the network, the first of the site's that the account can be used on.
 *
 * The module touches no DOM.
 */
import { referenceOf } from "../../../static/lib/accounts.js";
import { toBytes } from "../../../static/lib/bytes.js";
import { readStored, writeStored } from "../../../static/lib/storage.js";
import { MAX_ACCOUNTS, WalletError, explain as explainBy, malformed } from "../../../static/wallets/answers.js";

/** @typedef {import("../../../static/wallets/answers.js").Kind} Kind */
/** @typedef {import("../../../static/wallets/families.js").Report} Report */
/** @typedef {import("../../../static/wallets/families.js").Site} Site */
/**
 * @typedef {{address: string, chains: readonly string[], features: readonly string[]}} WalletAccount
 * @typedef {{name: string, icon: string, chains: readonly string[], features: Record<string, any>,
 *            accounts: readonly WalletAccount[]}} Provider
 */

export const NAMESPACE = "solana";

const SIGN = "solana:signMessage";
const SIGN_IN = "solana:signIn";
const CONNECT = "standard:connect";
const EVENTS = "standard:events";

/** What wallets call the clusters, by the genesis hashes of CAIP-2. @type {Record<string, string>} */
export const CLUSTERS = {
  "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp": "solana:mainnet",
  "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1": "solana:devnet",
  "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z": "solana:testnet",
};
const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const ADDRESS = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;
const SIGNATURE_BYTES = 64;

/** What wallets shared when they connected. Some don't list it among their accounts. @type {WeakMap<Provider, WalletAccount[]>} */
const connected = new WeakMap();

/** @type {Map<unknown, Kind>} */
const KINDS = new Map(
  /** @type {[unknown, Kind][]} */ ([
    [-32002, "pending"],
    [4100, "locked"],
    [4200, "unsupported"],
    [-32601, "unsupported"],
    [4900, "disconnected"],
    [4901, "disconnected"],
    // Older adapters behind the standard have names instead of codes.
    ["WalletWindowClosedError", "rejected"],
    ["WalletNotConnectedError", "locked"],
    ["WalletDisconnectedError", "disconnected"],
  ]),
);

/** Registered objects have no name of their own that another could not take. @type {WeakMap<object, string>} */
const ids = new WeakMap();
let numbered = 0;

/**
 * The one mapper of the family. The standard defines no errors: most wallets took over the codes of Ethereum
 * (EIP-1193), the others leave names, or words.
 * @param {unknown} error
 */
export function explain(error) {
  return explainBy(error, KINDS);
}

/**
 * Takes the wallets that registered before and those that will.
 * @param {Window} window @param {Report} report
 */
export function find(window, { add }) {
  /** @param {any[]} wallets */
  const register = (...wallets) => {
    for (const wallet of wallets.slice(0, MAX_ACCOUNTS)) {
      try {
        if (!usable(wallet)) continue;
        if (!ids.has(wallet)) ids.set(wallet, `${NAMESPACE}:${(numbered += 1)}`);
        add({ id: /** @type {string} */ (ids.get(wallet)), name: wallet.name, icon: wallet.icon }, wallet);
      } catch {
        // A getter of the wallet threw: no wallet of ours.
      }
    }
    return () => {};
  };
  const api = Object.freeze({ register });
  window.addEventListener("wallet-standard:register-wallet", (event) => {
    try {
      /** @type {CustomEvent} */ (event).detail(api);
    } catch {
      // What registers by throwing is no wallet either.
    }
  });
  window.dispatchEvent(new CustomEvent("wallet-standard:app-ready", { detail: api }));
}

/** @param {any} wallet */
function usable({ chains, features }) {
  return (
    onSolana(chains) &&
    typeof features[CONNECT].connect === "function" &&
    typeof features[SIGN].signMessage === "function"
  );
}

/** @param {unknown} chains */
function onSolana(chains) {
  return Array.isArray(chains) && chains.some((each) => typeof each === "string" && each.startsWith(`${NAMESPACE}:`));
}

/**
 * Those that can sign a text: the standard lets a wallet hold accounts of other chains, and ones that only send.
 * @param {unknown} answer @param {string} method @returns {WalletAccount[]}
 */
function readAccounts(answer, method) {
  try {
    if (!Array.isArray(answer)) throw new TypeError("no list");
    const found = new Map();
    let silent = false;
    for (const account of answer.slice(0, MAX_ACCOUNTS)) {
      const { address, chains, features } = account;
      if (!onSolana(chains)) continue;
      if (!features.includes(SIGN)) {
        silent = true;
        continue;
      }
      if (typeof address !== "string" || !ADDRESS.test(address)) throw new TypeError("no address");
      if (!found.has(address)) found.set(address, account);
    }
    if (silent && !found.size) throw new WalletError("unable", SIGN, "No account has this feature.");
    return Array.from(found.values());
  } catch (error) {
    throw error instanceof WalletError ? error : malformed(method, answer);
  }
}

/** @param {Provider} provider @returns {WalletAccount[]} */
function shared(provider) {
  let all;
  try {
    all = provider.accounts;
  } catch (error) {
    throw explain(error);
  }
  return readAccounts(all, "accounts");
}

/** @param {Provider} provider @param {string} address */
function accountOf(provider, address) {
  /** @type {WalletAccount[]} */
  let listed = [];
  try {
    listed = shared(provider);
  } catch {
    // A list that can't be read is no answer; what it said when it connected is.
  }
  const account = [...listed, ...(connected.get(provider) ?? [])].find((each) => each.address === address);
  if (!account) throw new WalletError("locked", undefined, "The account is no longer shared.");
  return account;
}

/**
 * Asks the user to connect. May open a window of the wallet.
 * @param {Provider} provider @returns {Promise<string[]>}
 */
export async function connect(provider) {
  let answer;
  try {
    answer = (await provider.features[CONNECT].connect()).accounts;
  } catch (error) {
    throw explain(error);
  }
  const accounts = readAccounts(answer, CONNECT);
  connected.set(provider, accounts);
  return accounts.map(({ address }) => address);
}

/**
 * The accounts that are connected already; asks nobody. Connecting "silently" would find more of them, and is not
 * done: there are wallets that do not know the word and open a window.
 * @param {Provider} provider
 */
export async function accounts(provider) {
  return shared(provider).map(({ address }) => address);
}

/**
 * The network to sign for, as CAIP-2: the first of the site's that the account can be used on, or one that the site
 * does not accept.
 * @param {Provider} provider @param {string} address @param {Site} site
 */
export async function chain(provider, address, { chains }) {
  const { chains: usedOn } = accountOf(provider, address);
  return (
    chains.find((each) => usedOn.includes(CLUSTERS[each])) ??
    Object.keys(CLUSTERS).find((each) => usedOn.includes(CLUSTERS[each])) ??
    `${NAMESPACE}:unknown`
  );
}

/** A text to sign names the cluster as wallets do, "mainnet". @param {string} chain CAIP-2 */
export function chainWord(chain) {
  return referenceOf(CLUSTERS[chain] ?? chain);
}

/**
 * Asks the user to sign a text. A sign-in goes by `solana:signIn` where the wallet has it: then the wallet knows that
 * it is one, and compares the domain with the page's. What confirms a request is no sign-in, and goes by
 * `solana:signMessage`, which shows the whole text.
 * @param {Provider} provider @param {string} text @param {string} address
 * @param {{request: string}} [challenge] `request` is what is confirmed, if it is no sign-in
 * @returns {Promise<string>} base58 of the 64 bytes
 */
export async function sign(provider, text, address, challenge) {
  const account = accountOf(provider, address);
  const input = challenge && !challenge.request && signInInput(text);
  if (input && signsIn(provider)) {
    const signature = await signIn(provider, input, text);
    if (signature) return signature;
  }
  let answer;
  try {
    // The wallet gets bytes of its own: it could change them, and return them as what was asked.
    answer = await provider.features[SIGN].signMessage({ account, message: bytesOf(text) });
  } catch (error) {
    throw explain(error);
  }
  const found = readAnswer(answer);
  if (!found) throw malformed(SIGN, answer);
  // A wallet may sign something else than it was asked for, and must say so.
  if (!equal(found.message, bytesOf(text))) throw new WalletError("failed", SIGN, "It signed another text.");
  return base58(found.signature);
}

/** What a wallet signed and its signature, or null for what is no answer. @param {any} answer */
function readAnswer(answer) {
  try {
    const found = Array.isArray(answer) ? answer[0] : answer;
    const [signature, message] = [toBytes(found.signature), toBytes(found.signedMessage)];
    return message && signature?.length === SIGNATURE_BYTES ? { signature, message } : null;
  } catch {
    return null;
  }
}

/** @param {string} text */
function bytesOf(text) {
  return new TextEncoder().encode(text);
}

// ---- Signing in as the wallet understands it (Sign In With Solana) ------------------------------------------

/**
 * The lines of a text and what `solana:signIn` calls them, in the order in which wallets write them.
 * @type {[string, string][]}
 */
const FIELDS = [
  ["uri", "URI"],
  ["version", "Version"],
  ["chainId", "Chain ID"],
  ["nonce", "Nonce"],
  ["issuedAt", "Issued At"],
  ["expirationTime", "Expiration Time"],
  ["notBefore", "Not Before"],
];
const GREETING = " wants you to sign in with your Solana account:";

/** @param {Provider} provider */
function signsIn(provider) {
  try {
    return typeof provider.features[SIGN_IN].signIn === "function" && !writesOtherwise(provider);
  } catch {
    return false;
  }
}

/**
 * What the wallet is to write the text from, or null if it could not come out as the server's: so what a wallet signs
 * with these fields is the text, or it is a wallet that writes it otherwise.
 * @param {string} text @returns {Record<string, string> | null}
 */
export function signInInput(text) {
  const lines = text.split("\n");
  /** @type {Record<string, string>} */
  const input = { domain: lines[0].replace(GREETING, ""), address: lines[1] ?? "" };
  if (!lines[3]?.startsWith("URI: ")) input.statement = lines[3] ?? "";
  for (const line of lines.slice(3)) {
    const [name] = FIELDS.find(([, word]) => line.startsWith(`${word}: `)) ?? [];
    if (name) input[name] = line.slice(line.indexOf(": ") + 2);
  }
  return written(input) === text ? input : null;
}

/** The text that a wallet makes of the fields. @param {Record<string, string>} input */
function written(input) {
  const lines = FIELDS.filter(([name]) => name in input).map(([name, word]) => `${word}: ${input[name]}`);
  const parts = [`${input.domain}${GREETING}\n${input.address}`, input.statement, lines.join("\n")];
  return parts.filter((part) => part !== undefined).join("\n\n");
}

/**
 * Asks by `solana:signIn`. Null if the wallet can't, or signed a text of its own: then the other way is left.
 * @param {Provider} provider @param {Record<string, string>} input @param {string} text
 * @returns {Promise<string | null>}
 */
async function signIn(provider, input, text) {
  try {
    const found = readAnswer(await provider.features[SIGN_IN].signIn({ ...input }));
    if (found && equal(found.message, bytesOf(text))) return base58(found.signature);
    noteOtherwise(provider);
    return null;
  } catch (error) {
    const refusal = explain(error);
    // A user's "no" stays one. What else fails is not asked for in this way again.
    if (!["rejected", "pending", "locked", "disconnected"].includes(refusal.kind)) noteOtherwise(provider);
    if (refusal.kind === "unsupported") return null;
    throw refusal;
  }
}

/**
 * Wallets that signed a text of their own, by the name that they have on each page; the last one is remembered until
 * somebody signs out.
 * @type {Set<string>}
 */
const otherwise = new Set();
const OTHERWISE = "wallet-session-plain";

/** @param {Provider} provider */
function writesOtherwise(provider) {
  // Where storage is off: one window too many on the next page.
  return otherwise.has(provider.name) || readStored("localStorage", OTHERWISE) === provider.name;
}

/** @param {Provider} provider */
function noteOtherwise(provider) {
  otherwise.add(provider.name);
  writeStored("localStorage", OTHERWISE, provider.name);
}

/** @param {Uint8Array} some @param {Uint8Array} other */
function equal(some, other) {
  return some.length === other.length && other.every((byte, at) => byte === some[at]);
}

/** @param {Uint8Array} bytes */
function base58(bytes) {
  let text = "";
  let number = 0n;
  for (const byte of bytes) number = number * 256n + BigInt(byte);
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text;
  // Zeros at the beginning weigh nothing in a number: each is a digit of its own.
  for (let at = 0; bytes[at] === 0; at += 1) text = BASE58[0] + text;
  return text;
}

/**
 * Reports account changes until the returned function is called.
 * @param {Provider} provider
 * @param {{accounts: (list: string[]) => void}} report
 * @returns {() => void}
 */
export function watch(provider, report) {
  let ended = false;
  let end = () => {};
  try {
    end = provider.features[EVENTS].on("change", () => {
      if (ended) return;
      try {
        report.accounts(shared(provider).map(({ address }) => address));
      } catch {
        // A change that we cannot read tells us nothing.
      }
    });
  } catch {
    // No events: the account is read once more before signing.
  }
  return () => {
    ended = true;
    try {
      end();
    } catch {
      // Nothing to undo.
    }
  };
}
