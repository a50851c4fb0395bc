// @ts-check
/**
 * What wallets of every family answer: one word for the many ways in which they say no, and promises that can be given
 * up. Answers of wallets are hostile input.
 *
 * The module touches no DOM and keeps no state.
 */

import { MAX_NAME, MAX_SAID, printable } from "./wallet-words.js";

/**
 * @typedef {"rejected" | "pending" | "locked" | "unknown_chain" | "unsupported" | "disconnected"
 *           | "blocked" | "restricted" | "expired" | "gone" | "malformed" | "failed"} Kind
 *   `blocked`: the browser opened no window; `restricted`, `expired`: the wallet allows this page too little, or no
 *   longer what it did; `gone`: it can never sign again.
 */

/** Who shares more accounts than this with a site does not mean to. */
export const MAX_ACCOUNTS = 20;

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

/** Some wallets send codes as text. @param {unknown} value */
function plainCode(value) {
  if (typeof value === "string" && /^-?\d{1,6}$/.test(value)) return Number(value);
  return typeof value === "number" || typeof value === "string" ? value : undefined;
}

/**
 * Reads a refusal in any of the shapes in which wallets throw it; what its code means is for the family to say, since
 * the same number means different things.
 * @param {any} error @param {Map<unknown, Kind>} kinds @returns {WalletError}
 */
export function explain(error, kinds) {
  if (error instanceof WalletError) return error;
  let code;
  let detail = "";
  try {
    const inner = plainCode(error?.data?.originalError?.code);
    code = plainCode(error?.code ?? error?.error?.code ?? error?.data?.originalError?.code);
    // MetaMask mobile hides "unknown chain" inside an internal error.
    if (code === -32603 && kinds.has(inner)) code = inner;
    detail = String(error?.message ?? error?.error?.message ?? (typeof error === "string" ? error : ""));
  } catch {
    // A getter of the error threw.
  }
  return new WalletError(kinds.get(code) ?? "failed", code, detail);
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
export function abandonable(promise, signal) {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}
