// @ts-check
/**
 * The family of one wallet: the one that the server makes for who has none. This browser keeps half of its key
 * (share-store.js); the server keeps the other, and signs when it gets this one, its own texts only.
 *
 * The module touches no DOM.
 */
import { addressOf, chainOf, namespaceOf, shorten } from "../../../static/lib/accounts.js";
import { toHex } from "../../../static/lib/bytes.js";
import { HttpError, request } from "../../../static/lib/http.js";
import { StorageFailed, account, keep, read, remove, reserve, watch as watchStore } from "./share-store.js";
import { WalletError } from "../../../static/wallets/answers.js";

/** @typedef {import("../../../static/lib/challenge.js").Challenge} Challenge */
/** @typedef {import("../../../static/wallets/families.js").Report} Report */
/** @typedef {import("../../../static/wallets/families.js").Site} Site */
/**
 * @typedef {{walletsUrl: string, lost: string}} Provider where the server makes wallets, known once the page has
 *   connected; and the account that it signs for no more, or "".
 */

export const NAMESPACE = "eip155";

/** The one of this page, so that it is the same wallet to all who look for it. @type {Provider} */
const OWN_WALLET = { walletsUrl: "", lost: "" };

/** @param {Window} window @param {Report} report */
export function find(window, { add, ownName }) {
  /** @param {string} held */
  const report = (held) => {
    const detail = held && shorten(addressOf(held));
    add({ id: "pregenerated:own", name: ownName, hosted: true, detail }, OWN_WALLET);
  };
  // Where storage can't be read, pressing the row says so.
  account().then(report, () => report(""));
}

/**
 * The wallet that this browser holds half of; a new one if it holds none and the page may have one made.
 * @param {Provider} provider @param {Site} site @returns {Promise<string[]>}
 */
export async function connect(provider, { walletsUrl, csrf }) {
  provider.walletsUrl = walletsUrl;
  // Whether it opens, people learn before they read a text.
  const half = await stored(read(), provider);
  half?.share.fill(0);
  if (half) return [addressOf(half.account)];
  if (!csrf) throw gone("no half in this browser");
  // The server would keep its half of a wallet that nobody can use.
  await stored(reserve());
  const made = await request(walletsUrl, { method: "POST", json: {}, csrf });
  if (namespaceOf(String(made.account)) !== NAMESPACE) throw new WalletError("malformed", "account", "");
  await stored(keep(made.account, String(made.share)));
  // Another attempt, or another tab, may have been faster.
  return accounts(provider);
}

/** @param {Provider} _ @returns {Promise<string[]>} */
export async function accounts(_) {
  const held = await stored(account());
  return held ? [addressOf(held)] : [];
}

/** @param {Provider} _ */
export async function chain(_) {
  const held = await stored(account());
  if (!held) throw gone("no half in this browser");
  return chainOf(held);
}

/**
 * @param {Provider} provider @param {string} text @param {string} address @param {Challenge} challenge
 * @returns {Promise<string>}
 */
export async function sign(provider, text, address, challenge) {
  const half = await stored(read(), provider);
  if (!half || addressOf(half.account) !== address) throw gone("no half in this browser");
  const json = { account: half.account, share: toHex(half.share), message: text, challenge: challenge.challenge };
  half.share.fill(0);
  try {
    const signed = await request(`${provider.walletsUrl}/sign`, {
      method: "POST",
      json: challenge.request ? { ...json, request: challenge.request } : json,
    });
    return String(signed.signature);
  } catch (error) {
    if (!(error instanceof HttpError && error.code === "share_mismatch")) throw error;
    provider.lost = half.account;
    throw gone(error.code);
  }
}

/** Destroys a half that signs no more, so that connecting makes a new wallet. @param {Provider} provider */
export async function renew(provider) {
  await stored(remove(provider.lost));
}

/** @param {Provider} provider @param {{accounts: (list: string[]) => void}} report @returns {() => void} */
export function watch(provider, report) {
  return watchStore(() => { accounts(provider).then(report.accounts, () => {}); });
}

/** @param {string} detail */
function gone(detail) {
  return new WalletError("gone", undefined, detail);
}

/** @type {Record<StorageFailed["kind"], import("../../../static/wallets/answers.js").Kind>} */
const STORAGE_KINDS = { full: "storage_full", blocked: "storage_blocked", unreadable: "share_unreadable" };

/**
 * @template T @param {Promise<T>} step
 * @param {Provider} [provider] notes the account of a half that does not open @returns {Promise<T>}
 */
async function stored(step, provider) {
  try {
    return await step;
  } catch (error) {
    const kind = error instanceof StorageFailed ? error.kind : "blocked";
    if (kind === "unreadable" && provider) provider.lost = await account().catch(() => "");
    throw new WalletError(STORAGE_KINDS[kind], "storage", error instanceof Error ? error.message : "");
  }
}
