// @ts-check
/**
 * Wallets of the Internet Computer: Internet Identity, which needs nothing installed, and signers that announce
 * themselves (ICRC-94), asked by ICRC-25 and ICRC-34.
 *
 * None of them signs a text. They delegate to a key that this page makes, and that key signs: what the server takes is
 * described in sessions_core/parts/internet_computer/verifier.py. The key is made anew for each connection, can't be read by any script, and
 * goes with the page. In a store it would let an attacker who injects a script later confirm in the user's name, without
 * asking any wallet.
 *
 * The module touches no DOM; it keeps what was delegated to this page.
 */
import { toHex } from "../../../static/lib/bytes.js";
import { request } from "../../../static/lib/http.js";
import { InternetIdentity } from "./internet-identity.js";
import { WalletError, withAbort, explain as explainBy, malformed } from "../../../static/wallets/answers.js";

/** @typedef {import("../../../static/wallets/answers.js").Kind} Kind */
/** @typedef {import("../../../static/wallets/families.js").Report} Report */
/** @typedef {import("../../../static/wallets/families.js").Site} Site */
/** @typedef {{sendMessage: Function, dismiss?: Function}} Signer as ICRC-94 announces it */
/** @typedef {InternetIdentity | Signer} Provider */
/** @typedef {{delegation: {expiration: string, pubkey: string}, signature: string}} Link all in hex */

export const NAMESPACE = "icp";

/** How long the page's key may act: long enough to read a text and sign it. The templates say it too. */
export const LIFETIME_MS = 10 * 60_000;
const MAIN_NETWORK = `${NAMESPACE}:737ba355e855bd4b61279056603e0550`;
const KEY = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
/** With its length before it, so that what signs in is never a call of a canister. */
const SEPARATOR = "\x0fsiwic-challenge";
/** The most that the network takes, and more than any of its keys and signatures has. */
const MAX_DELEGATIONS = 20;
const MAX_BYTES = 4096;

/** @type {Map<unknown, Kind>} */
const KINDS = new Map(
  /** @type {[unknown, Kind][]} */ ([
    [2000, "unsupported"],
    [-32601, "unsupported"],
    [3000, "locked"],
    [3001, "rejected"],
    [4000, "disconnected"],
  ]),
);

/** @type {WeakMap<Provider, {address: string, key: CryptoKey, publicKey: string, delegations: Link[], until: number}>} */
const granted = new WeakMap();
/** One for each address, so that the same is the same wallet to all who look for it. @type {Map<string, InternetIdentity>} */
const identities = new Map();

/**
 * The one mapper of the family.
 * @param {unknown} error
 */
export function explain(error) {
  return explainBy(error, KINDS);
}

/** @param {Window} window @param {Report} report */
export function find(window, { add, identityUrl }) {
  window.addEventListener("icrc94:announceProvider", (event) => {
    try {
      const signer = /** @type {CustomEvent} */ (event).detail;
      const { uuid, name, icon, rdns, sendMessage } = signer;
      if (typeof uuid !== "string" || !/^[0-9a-f-]{36}$/i.test(uuid) || typeof sendMessage !== "function") return;
      add({ id: `icp:${uuid}`, name, icon, rdns }, signer);
    } catch {
      // A getter of the announcement threw: no wallet of ours.
    }
  });
  window.dispatchEvent(new CustomEvent("icrc94:requestProvider"));
  if (!identityUrl) return;
  const identity = identities.get(identityUrl) ?? new InternetIdentity(window, identityUrl);
  identities.set(identityUrl, identity);
  add({ id: "icp:internet-identity", name: "Internet Identity", hosted: true, site: identity.host }, identity);
}

/**
 * Has the wallet delegate to a new key of this page, and the server say whose account that is: its address is made with
 * SHA-224, which no browser has.
 * @param {Provider} provider @param {Site} site @param {AbortSignal} signal
 * @throws {WalletError | import("../../../static/lib/http.js").HttpError}
 */
export async function connect(provider, { chains: [chain = MAIN_NETWORK], accountUrl }, signal) {
  granted.delete(provider);
  const pair = crypto.subtle.generateKey(KEY, false, ["sign"]);
  const der = pair.then(({ publicKey }) => crypto.subtle.exportKey("spki", publicKey)).then((key) => new Uint8Array(key));
  const lifetime = BigInt(LIFETIME_MS) * 1_000_000n;
  const answer = provider instanceof InternetIdentity
    ? await provider.delegate(der, lifetime, signal)
    : await askSigner(provider, der, lifetime, signal);
  const grant = read(answer, hex(await der));
  const until = performance.now() + LIFETIME_MS;
  const { account } = await request(accountUrl, {
    method: "POST", json: { chain, public_key: grant.publicKey }, signal,
  });
  if (typeof account !== "string" || !account.startsWith(`${chain}:`)) throw malformed(accountUrl, account);
  const address = account.slice(chain.length + 1);
  granted.set(provider, { address, key: (await pair).privateKey, ...grant, until });
  return [address];
}

/** Only a delegation tells whose wallet it is, and asking for one opens a window. @param {Provider} provider */
export async function accounts(provider) {
  const grant = granted.get(provider);
  return grant ? [grant.address] : null;
}

/** @param {Provider} _provider @param {string} _address @param {Site} site */
export async function chain(_provider, _address, { chains: [accepted = MAIN_NETWORK] }) {
  return accepted;
}

/**
 * Signs with the page's key; no window opens.
 * @param {Provider} provider @param {string} text @param {string} address
 */
export async function sign(provider, text, address) {
  const grant = granted.get(provider);
  if (grant?.address !== address) throw new WalletError("disconnected", undefined, "");
  if (performance.now() > grant.until) throw new WalletError("expired", undefined, "");
  const { delegations, publicKey } = grant;
  const signed = await crypto.subtle.sign(SIGNATURE, grant.key, new TextEncoder().encode(SEPARATOR + text));
  // In the order in which the server reads it.
  return JSON.stringify({ delegations, publicKey, signature: hex(signed) });
}

/** None of them reports that the user has moved on to another account. @returns {() => void} */
export function watch() {
  return () => {};
}

/**
 * @param {Signer} signer @param {Promise<Uint8Array>} key @param {bigint} lifetime @param {AbortSignal} signal
 * @returns {Promise<{publicKey: unknown, delegations: unknown}>} as they came
 */
async function askSigner(signer, key, lifetime, signal) {
  const publicKey = btoa(String.fromCharCode(...await key));
  try {
    const scopes = [{ method: "icrc34_delegation" }];
    await withAbort(call(signer, "icrc25_request_permissions", { scopes }), signal).catch((error) => {
      // Those that don't know permissions ask with each request.
      if (signal.aborted || error.kind !== "unsupported") throw error;
    });
    // Without `targets`: the server refuses a delegation that has any.
    const params = { publicKey, maxTimeToLive: String(lifetime) };
    const answer = await withAbort(call(signer, "icrc34_delegation", params), signal);
    return { publicKey: answer?.publicKey, delegations: answer?.signerDelegation };
  } finally {
    dismiss(signer);
  }
}

/** @param {Signer} signer @param {string} method @param {object} params @returns {Promise<any>} */
async function call(signer, method, params) {
  const id = crypto.randomUUID();
  /** @type {() => void} */
  let forget = () => {};
  const closed = new Promise((_, reject) => {
    const tell = () => reject(new WalletError("rejected", "icrc94:unexpectedlyClosed", ""));
    addEventListener("icrc94:unexpectedlyClosed", tell);
    forget = () => removeEventListener("icrc94:unexpectedlyClosed", tell);
  });
  try {
    const answer = await Promise.race([signer.sendMessage({ jsonrpc: "2.0", id, method, params }), closed]);
    if (answer?.id !== id) throw malformed(method, answer);
    if (answer.error) throw answer.error;
    return answer.result;
  } catch (error) {
    throw explain(error);
  } finally {
    forget();
  }
}

/** Signers leave their window open for the next question. @param {Signer} signer */
async function dismiss(signer) {
  try {
    await signer.dismiss?.();
  } catch {
    // It is the wallet's window.
  }
}

/**
 * What was delegated, in the spelling that the server takes. Whether it is signed is for the server to say.
 * @param {{publicKey: unknown, delegations: unknown}} answer @param {string} key that of this page
 */
function read({ publicKey, delegations }, key) {
  /** @type {Link[]} */
  let links;
  let wallet = "";
  try {
    wallet = hex(publicKey);
    links = Array.from(/** @type {any[]} */ (delegations)).slice(0, MAX_DELEGATIONS + 1).map(readLink);
  } catch (error) {
    throw error instanceof WalletError ? error : malformed("delegation", delegations);
  }
  if (links.length > MAX_DELEGATIONS || links.at(-1)?.delegation.pubkey !== key) {
    throw malformed("delegation", delegations);
  }
  return { delegations: links, publicKey: wallet };
}

/** @param {any} link @returns {Link} */
function readLink({ delegation: { pubkey, expiration, targets, permissions }, signature }) {
  if (targets != null || permissions != null) throw new WalletError("restricted", undefined, "");
  return { delegation: { expiration: BigInt(expiration).toString(16), pubkey: hex(pubkey) }, signature: hex(signature) };
}

/** @param {unknown} value bytes, or Base64 of them (ICRC-25) */
function hex(value) {
  const data = typeof value === "string"
    ? Uint8Array.from(atob(value), (byte) => byte.charCodeAt(0))
    : new Uint8Array(ArrayBuffer.isView(value) ? value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)
      : /** @type {ArrayBuffer} */ (value));
  if (!data.length || data.length > MAX_BYTES) throw new RangeError();
  return toHex(data);
}
