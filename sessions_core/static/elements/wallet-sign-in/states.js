// @ts-check
/**
 * The states of `<wallet-sign-in>`. What holds in each is in the table of _panel_states.html, which the page hands over in
 * `data-states`; here is which state follows when a wallet or the server says no.
 *
 * The module touches no DOM.
 */

/** @typedef {import("../../lib/http.js").HttpError} HttpError */
/** @typedef {import("../../wallets/answers.js").Kind} Kind */
/** @typedef {Record<Kind, string>} Failures the state that follows each kind of refusal */

export class PanelStates {
  /** @type {Record<string, string>} */
  #table;

  /** @param {string | undefined} listed JSON of state → words */
  constructor(listed) {
    this.#table = JSON.parse(listed ?? "{}");
  }

  /** The words of the table for a state, and its own name. @param {string} state @returns {string[]} */
  wordsOf(state) {
    return [state, ...(this.#table[state] ?? "").split(" ")];
  }

  /** @param {string} state @param {string} word one of the table's */
  is(state, word) {
    return this.wordsOf(state).includes(word);
  }
}

/** @type {Failures} */
export const CONNECT_FAILURES = {
  rejected: "rejected_connect",
  pending: "request_pending",
  locked: "wallet_locked",
  unable: "account_unable",
  disconnected: "wallet_disconnected",
  stale: "wallet_stale",
  blocked: "popup_blocked",
  restricted: "delegation_restricted",
  expired: "delegation_expired",
  unknown_chain: "connect_failed",
  unsupported: "connect_failed",
  malformed: "connect_failed",
  failed: "connect_failed",
  gone: "wallet_gone",
  storage_full: "storage_full",
  storage_blocked: "storage_blocked",
  share_unreadable: "share_unreadable",
};
/** @type {Failures} */
export const SWITCH_FAILURES = {
  ...CONNECT_FAILURES,
  rejected: "switch_rejected",
  unknown_chain: "unknown_chain",
  unsupported: "switch_unsupported",
  unable: "switch_unsupported",
  malformed: "switch_unsupported",
  failed: "switch_unsupported",
};
/** @type {Failures} */
export const SIGN_FAILURES = {
  ...CONNECT_FAILURES,
  rejected: "rejected_sign",
  unsupported: "sign_unsupported",
  unknown_chain: "sign_failed",
  malformed: "signature_unreadable",
  failed: "sign_failed",
};

/**
 * The state after the server refused to write a text.
 * @param {HttpError} error @param {boolean} linking @param {PanelStates} states @returns {string}
 */
export function afterRefusal(error, linking, states) {
  if (error.code === "rate_limited" || error.status === 429) return "rate_limited";
  if (linking && states.is(error.code, "another-account")) return error.code;
  if (error.code === "chain_unsupported") return "wrong_network";
  if (error.code === "canister_signature_unsupported") return "identity_unsupported";
  if (error.reason === "other_address") return "other_address";
  return error.unreachable ? "server_unreachable" : "nonce_failed";
}
