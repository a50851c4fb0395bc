// @ts-check
/**
 * What wallets of every family answer: one word for the many ways in which they say no, and promises that can be given
 * up. Answers of wallets are hostile input.
 *
 * The module touches no DOM and keeps no state.
 */

import { toBytes } from "../lib/bytes.js";
import { MAX_NAME, MAX_SAID, printable } from "./words.js";

/**
 * @typedef {"rejected" | "pending" | "locked" | "unknown_chain" | "unsupported" | "unable" | "disconnected" | "stale"
 *           | "blocked" | "restricted" | "expired" | "gone" | "storage_full" | "storage_blocked" | "share_unreadable"
 *           | "malformed" | "failed"} Kind
 *   `unable`: it signs, but not with this account; `stale`: its part in this page is cut off from the rest of it;
 *   `blocked`: the browser opened no window; `restricted`, `expired`: the wallet allows this page too little, or no
 *   longer what it did; `gone`, `share_unreadable`: it can never sign again; `storage_…`: the browser keeps nothing.
 */

/** A wallet that takes longer to answer a question for nobody's eyes has not answered it. */
const HINT_MS = 2_000;

/** After this long a user is told what else may be the matter, and a question that nobody sees goes unanswered. */
export const SLOW_MS = 20_000;

/** Who shares more accounts than this with a site does not mean to. */
export const MAX_ACCOUNTS = 20;

/**
 * The user's "no" in words: "User denied message signature", "Cancelled by user", "user_rejected", and a bare
 * "Cancelled" if that is all. Not "access denied", nor what a node or a network rejects.
 */
const DECLINED = [
  /\buser(?: has|'s)?[ _-]+(?:reject|declin|den(?:y|ied)|cancel|refus|disapprov|abort|dismiss|clos)/i,
  /\b(?:reject|declin|deni|cancel|refus|disapprov|abort|dismiss|clos)\w*(?: \w+)? by (?:the )?user\b/i,
  /^(?:(?:the|sign|signing|signature|message|connection|approval|request|operation) )*(?:was )?(?:reject(?:ed)?|declined|denied|cancel(?:l?ed)?)[.!]?$/i,
  /^(?:the )?(?:popup|window|modal) (?:was )?closed[.!]?$/i,
];

/** Accounts that have no key here: "read-only account", "Watch only wallets can't sign". */
const KEYLESS = [/\b(?:read|view|watch)(?:ing)?[ -]?only\b/i, /\bno private key\b/i];
/** "Message signing is not supported on hardware wallets": both have to be said, in any order. */
const UNSUPPORTED = /\bnot (?:\w+ )?support|n['’]t support|\bunsupported\b|\b(?:can(?: ?not|['’]t)|unable to) sign/i;
const OF_ACCOUNT = /\b(?:hardware|ledger|trezor|keystone|gridplus|account|messages?|off-?chain)\b/i;

/** An extension that was updated or restarted: what it put into this page before reaches it no more. */
const STALE = [
  /\bextension context (?:was )?invalidated\b/i,
  /\breceiving end does not exist\b/i,
  /\bmessage (?:port|channel) (?:is )?closed before a response\b/i,
  /\bdisconnected port\b/i,
  /\bpage reload required\b/i,
];

/** Nobody reads a question and answers it as fast as this. */
const AT_ONCE_MS = 300;

/** What a wallet answered instead of what it was asked for. `code` and `message` are short and printable. */
export class WalletError extends Error {
  /** @param {Kind} kind @param {string | number | undefined} code @param {string} detail */
  constructor(kind, code, detail) {
    super(printable(detail, MAX_SAID));
    this.name = "WalletError";
    this.kind = kind;
    this.code = typeof code === "string" ? printable(code, MAX_NAME) : code;
  }
}

/**
 * @param {string[]} sentences short ones
 * @param {Kind} kind what the code says
 * @returns {Kind}
 */
function kindOfWords(sentences, kind) {
  const says = (/** @type {RegExp[]} */ words) => sentences.some((each) => words.some((word) => word.test(each)));
  const unable = sentences.some((each) => UNSUPPORTED.test(each) && OF_ACCOUNT.test(each));
  if (["failed", "disconnected"].includes(kind) && says(STALE)) return "stale";
  if (["failed", "locked", "rejected", "unsupported"].includes(kind) && (unable || says(KEYLESS))) return "unable";
  if (["failed", "locked"].includes(kind) && says(DECLINED)) return "rejected";
  return kind;
}

/** A user's "no", whatever the family: EIP-1193, ethers, and four of WalletConnect. @type {Set<unknown>} */
const REJECTIONS = new Set([4001, "ACTION_REJECTED", 5000, 5001, 5002, 5003]);

/** Under which names wallets hide what went wrong inside of what they throw. */
const INSIDE = ["error", "data", "originalError", "cause", "info"];
const MAX_LAYERS = 8;

/** Some wallets send codes as text. @param {unknown} value */
function plainCode(value) {
  if (typeof value === "string" && /^-?\d{1,6}$/.test(value)) return Number(value);
  return typeof value === "number" || typeof value === "string" ? value : undefined;
}

/** @param {any} layer @param {string} name */
function peek(layer, name) {
  try {
    return layer?.[name];
  } catch {
    return undefined; // A getter of the error threw.
  }
}

/** What was thrown and what it wraps, from the outside in. @param {unknown} error */
function layersOf(error) {
  const layers = [error];
  for (const layer of layers) {
    for (const inner of INSIDE.map((name) => peek(layer, name))) {
      const says = typeof inner === "string" || (typeof inner === "object" && inner !== null);
      if (says && layers.length < MAX_LAYERS && !layers.includes(inner)) layers.push(inner);
    }
  }
  return layers;
}

/**
 * Reads a refusal in any of the shapes in which wallets throw it. What a code means is for the family to say, since the
 * same number means different things. Words are read for what codes leave open, or get wrong: many wallets put the
 * user's "no" into an internal error, or throw nothing but a sentence.
 * @param {unknown} error @param {Map<unknown, Kind>} kinds of codes, and of names where a family has no codes
 * @returns {WalletError}
 */
export function explain(error, kinds) {
  if (error instanceof WalletError) return error;
  const layers = layersOf(error);
  const codes = layers.map((layer) => plainCode(peek(layer, "code")));
  const names = layers.map((layer) => peek(layer, "name"));
  const known = [...codes, ...names].find((each) => kinds.has(each) || REJECTIONS.has(each));
  const sentences = layers
    .map((layer) => (typeof layer === "string" ? layer : peek(layer, "message")))
    .filter((each) => typeof each === "string" && each !== "")
    .map((each) => printable(each, MAX_SAID));
  const code = codes.includes(/** @type {any} */ (known)) ? known : codes.find((each) => each !== undefined);
  const kind = kindOfWords(sentences, kinds.get(known) ?? (REJECTIONS.has(known) ? "rejected" : "failed"));
  return new WalletError(kind, /** @type {string | number | undefined} */ (code), sentences[0] ?? "");
}

/**
 * What a wallet answers when it is asked to sign. A "no" that comes before anybody can have read the question is no
 * user's: wallets give it by themselves for accounts that they can't sign with, on some hardware or without a key.
 * @template T @param {Promise<T>} answer @returns {Promise<T>}
 */
export async function signed(answer) {
  const asked = performance.now();
  try {
    return await answer;
  } catch (error) {
    const atOnce = performance.now() - asked < AT_ONCE_MS;
    if (!(error instanceof WalletError && error.kind === "rejected" && atOnce)) throw error;
    throw new WalletError("unable", error.code, error.message);
  }
}

/** @param {string} method what was asked @param {unknown} answer */
export function malformed(method, answer) {
  return new WalletError("malformed", method, `Unexpected answer to ${method}: ${typeof answer}`);
}

/**
 * A promise of a wallet that can be given up: once the signal fires it rejects at once, and what the
 * wallet answers later goes nowhere.
 * @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>}
 */
export function withAbort(promise, signal) {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}

/**
 * The answer to a question that nobody is asked, and without which the page can't go on. A wallet that is cut off from
 * this page stays silent for ever, so one that takes too long counts as cut off.
 * @template T @param {Promise<T>} answer @param {AbortSignal} signal gives up @returns {Promise<T>}
 */
export async function answered(answer, signal) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new WalletError("stale", undefined, "It did not answer.")), SLOW_MS);
  });
  try {
    return await withAbort(Promise.race([answer, /** @type {Promise<never>} */ (late)]), signal);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What a wallet answers to a question that nobody is asked, or null where it answers nothing: it fails, takes too long, or
 * knows no such question. Such answers are hints. Wallets get them wrong right after they connected, so only one that
 * clearly says something else than expected may stop anybody; the server judges the signature.
 * @template T @param {Promise<T>} answer @param {AbortSignal} signal gives up @returns {Promise<T | null>}
 */
export async function hint(answer, signal) {
  try {
    return await withAbort(answer, AbortSignal.any([signal, AbortSignal.timeout(HINT_MS)]));
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/**
 * The signature in an answer, text or bytes, however the wallet wraps it: alone, as `{signature}`, or in a JSON-RPC
 * answer. Null if there is none. What it must look like is for the family to say.
 * @param {any} answer @returns {string | Uint8Array | null}
 */
export function signatureIn(answer) {
  let found = answer;
  for (let depth = 0; depth < 4; depth += 1) {
    if (typeof found === "string") return found.trim();
    const bytes = toBytes(found);
    if (bytes?.length) return bytes;
    if (Array.isArray(found)) found = found.length === 1 ? found[0] : null;
    else found = found?.signature ?? found?.result;
  }
  return null;
}
