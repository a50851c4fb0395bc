// @ts-check
/**
 * Ethereum wallets: found by their announcements (EIP-6963), asked by EIP-1193. Answers of wallets are hostile input and
 * are checked here.
 *
 * The module touches no DOM and keeps no state.
 */
import { toHex } from "../../../static/lib/bytes.js";
import { checksummed } from "../../../static/lib/checksum.js";
import { MAX_ACCOUNTS, explain as explainBy, malformed, signatureIn } from "../../../static/wallets/answers.js";

/** @typedef {import("../../../static/wallets/answers.js").Kind} Kind */
/** @typedef {import("../../../static/wallets/families.js").Report} Report */
/**
 * @typedef {{request: (call: {method: string, params?: unknown}) => Promise<unknown>,
 *            on?: Function, removeListener?: Function}} Provider
 */

export const NAMESPACE = "eip155";
export const LEGACY_ID = "window.ethereum";

/** @type {Map<unknown, Kind>} */
const KINDS = new Map(
  /** @type {[unknown, Kind][]} */ ([
    [-32002, "pending"],
    [4100, "locked"],
    [4902, "unknown_chain"],
    [4200, "unsupported"],
    [-32601, "unsupported"],
    [-32004, "unsupported"],
    [4900, "disconnected"],
    [4901, "disconnected"],
  ]),
);

/**
 * The one mapper of the family.
 * @param {unknown} error
 */
export function explain(error) {
  return explainBy(error, KINDS);
}

/** @param {unknown} provider @returns {provider is Provider} */
function usable(provider) {
  return (
    provider !== null &&
    (typeof provider === "object" || typeof provider === "function") &&
    typeof (/** @type {any} */ (provider).request) === "function"
  );
}

/**
 * Listens for announcements for as long as the page lives, since wallets may come late, and falls back to
 * `window.ethereum` when there are none (EIP-6963).
 * @param {Window} window @param {Report} report
 */
export function find(window, { add, known, legacyName }) {
  let scanned = false;
  let found = false;
  const fallBack = () => {
    // One is enough: a getter may make another object each time.
    if (!scanned || found || known()) return;
    let legacy;
    try {
      legacy = /** @type {any} */ (window).ethereum;
    } catch {
      return;
    }
    found = usable(legacy);
    if (found) add({ id: LEGACY_ID, name: legacyName, legacy: true }, legacy);
  };

  window.addEventListener("eip6963:announceProvider", (event) => {
    try {
      const { info, provider } = /** @type {CustomEvent} */ (event).detail ?? {};
      const { uuid, name, icon, rdns } = info ?? {};
      // An id is a UUID; those of the other families have a colon in them.
      if (typeof uuid !== "string" || !/^[\w.-]{1,64}$/.test(uuid) || uuid === LEGACY_ID) return;
      if (usable(provider)) add({ id: uuid, name, icon, rdns }, provider);
    } catch {
      // A getter of the announcement threw: no wallet of ours.
    }
  });
  // Wallets without announcements say this when they arrive late.
  window.addEventListener("ethereum#initialized", fallBack);
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  return () => {
    scanned = true;
    fallBack();
  };
}

/** @param {Provider} provider @param {string} method @param {unknown[]} [params] */
async function ask(provider, method, params) {
  try {
    return await provider.request(params ? { method, params } : { method });
  } catch (error) {
    throw explain(error);
  }
}

/** @param {unknown} answer @param {string} method @returns {string[]} */
function readAccounts(answer, method) {
  if (!Array.isArray(answer)) throw malformed(method, answer);
  const seen = new Map();
  for (const address of answer.slice(0, MAX_ACCOUNTS)) {
    if (typeof address !== "string" || !/^0x[0-9a-f]{40}$/i.test(address)) {
      throw malformed(method, address);
    }
    const key = address.toLowerCase();
    if (!seen.has(key)) seen.set(key, checksummed(address));
  }
  return Array.from(seen.values());
}

/** @param {unknown} answer @returns {string | null} */
function readChain(answer) {
  let id;
  try {
    // The standard says "0x1"; older wallets say "1" or 1.
    if (typeof answer === "number" && Number.isSafeInteger(answer)) id = BigInt(answer);
    if (typeof answer === "string" && /^(0x[0-9a-f]{1,64}|\d{1,78})$/i.test(answer)) id = BigInt(answer);
  } catch {
    return null;
  }
  return id === undefined || id <= 0n ? null : `${NAMESPACE}:${id}`;
}

/**
 * Asks the user to connect. May open a window of the wallet.
 * @param {Provider} provider @returns {Promise<string[]>}
 */
export async function connect(provider) {
  return readAccounts(await ask(provider, "eth_requestAccounts"), "eth_requestAccounts");
}

/**
 * Asks the user which accounts to share, although some are shared already: `eth_requestAccounts` would answer with
 * those, and open no window (EIP-2255).
 * @param {Provider} provider @returns {Promise<string[]>}
 */
export async function connectAnother(provider) {
  try {
    await ask(provider, "wallet_requestPermissions", [{ eth_accounts: {} }]);
  } catch (error) {
    if (/** @type {import("../../../static/wallets/answers.js").WalletError} */ (error).kind !== "unsupported") throw error;
  }
  return connect(provider);
}

/** The accounts that are connected already; asks nobody. @param {Provider} provider */
export async function accounts(provider) {
  return readAccounts(await ask(provider, "eth_accounts"), "eth_accounts");
}

/** The network that the wallet is on, as CAIP-2. @param {Provider} provider */
export async function chain(provider) {
  const answer = await ask(provider, "eth_chainId");
  const id = readChain(answer);
  if (!id) throw malformed("eth_chainId", answer);
  return id;
}

/**
 * Asks the user to change the network.
 * @param {Provider} provider @param {string} chainId as CAIP-2
 */
export async function switchChain(provider, chainId) {
  const hex = `0x${BigInt(chainId.slice(NAMESPACE.length + 1)).toString(16)}`;
  await ask(provider, "wallet_switchEthereumChain", [{ chainId: hex }]);
}

/**
 * Asks the user to sign a text (ERC-191). The text goes as hex of its UTF-8 bytes: wallets differ
 * in what they make of a plain string that looks like hex.
 * @param {Provider} provider @param {string} text @param {string} address
 * @returns {Promise<string>}
 */
export async function sign(provider, text, address) {
  const hex = toHex(new TextEncoder().encode(text));
  const answer = await ask(provider, "personal_sign", [`0x${hex}`, address]);
  const signature = readSignature(answer);
  if (!signature) throw malformed("personal_sign", answer);
  return signature;
}

/**
 * A signature in the one spelling that the server takes, lower-case hex behind 0x. Signatures of contracts have any
 * length, none at all included: a Safe answers that when its owners approved the text on chain. 64 bytes are the compact
 * form of a key's signature (EIP-2098), where the highest bit of s is what else stands in v; the server takes the long
 * one.
 * @param {unknown} answer @returns {string} "" for what is none
 */
function readSignature(answer) {
  const found = signatureIn(answer);
  const text = found instanceof Uint8Array ? `0x${toHex(found)}` : found;
  const [, digits] = /^(?:0x)?((?:[0-9a-f]{2}){0,4000})$/i.exec(text ?? "") ?? [];
  if (!text || digits === undefined) return "";
  if (digits.length !== 128) return `0x${digits.toLowerCase()}`;
  const [r, vs] = [digits.slice(0, 64), BigInt(`0x${digits.slice(64)}`)];
  const s = BigInt.asUintN(255, vs).toString(16).padStart(64, "0");
  return `0x${r.toLowerCase()}${s}${vs >> 255n ? "1c" : "1b"}`;
}

/**
 * Reports account and network changes until the returned function is called.
 * @param {Provider} provider
 * @param {{accounts: (list: string[]) => void, chain: (chainId: string | null) => void}} report
 * @returns {() => void}
 */
export function watch(provider, report) {
  /** @param {unknown} answer */
  const onAccounts = (answer) => {
    try {
      report.accounts(readAccounts(answer, "accountsChanged"));
    } catch {
      // An event we cannot read tells us nothing.
    }
  };
  /** @param {unknown} answer */
  const onChain = (answer) => report.chain(readChain(answer));
  try {
    provider.on?.("accountsChanged", onAccounts);
    provider.on?.("chainChanged", onChain);
  } catch {
    // No events: the account is read once more before signing.
  }
  return () => {
    try {
      provider.removeListener?.("accountsChanged", onAccounts);
      provider.removeListener?.("chainChanged", onChain);
    } catch {
      // Nothing to undo.
    }
  };
}
