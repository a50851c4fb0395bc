// @ts-check
/**
 * The states of `<wallet-sign-in>`, each of which has its words in _connect.html: what can be done in them, and which
 * one follows when a wallet or the server says no.
 *
 * The module touches no DOM and keeps no state.
 */

/** @typedef {import("../../lib/http.js").HttpError} HttpError */
/** @typedef {import("../../wallets/answers.js").Kind} Kind */

/** A request is open somewhere: one button pending, the others disabled. */
export const BUSY = new Set(["connecting", "connect_slow", "switching", "preparing", "signing", "verifying"]);
/** The page waits for nothing and holds nothing. */
export const RESTING = new Set(["idle", "scanning", "no_wallet", "wallet_list", "in_app_browser"]);
/** Step 1 waits for another network. */
export const CHOOSING_NETWORK = new Set([
  "wrong_network", "switch_rejected", "unknown_chain", "switch_unsupported", "switch_unseen",
]);
/** To sign, the wallet has to be connected again. */
export const UNCONNECTED = new Set([
  "wallet_locked", "sign_unsupported", "account_unable", "wallet_stale", "delegation_expired", "wallet_gone", "share_unreadable",
]);
/** Nothing can be done on this page. */
export const CLOSED = new Set(["insecure_context", "cookies_blocked", "already_signed_in", "success"]);
/** What the server says before anybody signs, each with words in the template; another account may do. */
export const LINK_REFUSALS = new Set(["account_linked", "accounts_too_many"]);

/** @type {Record<Kind, string>} */
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
/** @type {Record<Kind, string>} */
export const SWITCH_FAILURES = {
  ...CONNECT_FAILURES,
  rejected: "switch_rejected",
  unknown_chain: "unknown_chain",
  unsupported: "switch_unsupported",
  unable: "switch_unsupported",
  malformed: "switch_unsupported",
  failed: "switch_unsupported",
};
/** @type {Record<Kind, string>} */
export const SIGN_FAILURES = {
  ...CONNECT_FAILURES,
  rejected: "rejected_sign",
  unsupported: "sign_unsupported",
  unknown_chain: "sign_failed",
  malformed: "signature_unreadable",
  failed: "sign_failed",
};

/** @param {HttpError} error @param {boolean} linking @returns {string} */
export function afterRefusal(error, linking) {
  if (error.code === "rate_limited" || error.status === 429) return "rate_limited";
  if (linking && LINK_REFUSALS.has(error.code)) return error.code;
  if (error.code === "chain_unsupported") return "wrong_network";
  if (error.code === "canister_signature_unsupported") return "identity_unsupported";
  if (error.reason === "other_address") return "other_address";
  return error.unreachable ? "server_unreachable" : "nonce_failed";
}
