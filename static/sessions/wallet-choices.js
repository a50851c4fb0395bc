// @ts-check
/**
 * What the person has answered already, for as long as this tab lives: the session of this account stays, although the
 * wallet is on another account or network. Remembered so that no page asks a second time.
 *
 * The module touches no DOM.
 */
import { shorten } from "./eip155.js";

const KEY = "wallet-session-kept";
/** The same again, for as long as the page lives, where storage is off. */
let memory = "";

/**
 * Whoever reads the storage learns no more than the page shows.
 * @param {string} text
 */
function brief(text) {
  return text.toLowerCase().replace(/0x[0-9a-f]{40}/g, shorten);
}

/** @param {string} session @returns {string[]} */
function answers(session) {
  let text = memory;
  try {
    text = sessionStorage.getItem(KEY) ?? memory;
  } catch {
    // Off.
  }
  const [whose, ...others] = text.split(" ");
  // What was said of another account's session says nothing of this one's.
  return whose === session ? others : [];
}

/**
 * @param {string} account the session's, CAIP-10
 * @param {string} other the address or the chain that the wallet is on
 */
export function keep(account, other) {
  const session = brief(account);
  memory = [session, ...new Set([...answers(session), brief(other)])].join(" ");
  try {
    sessionStorage.setItem(KEY, memory);
  } catch {
    // The next page asks again.
  }
}

/** @param {string} account @param {string} other */
export function kept(account, other) {
  return answers(brief(account)).includes(brief(other));
}
