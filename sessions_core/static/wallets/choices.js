// @ts-check
/**
 * What the person has chosen before, so that no page asks for it a second time: to stay with the session of an account,
 * although the wallet is on another account or network (as long as the tab lives), and which wallet to sign in with
 * (until the session ends or another account signs in: own-storage.js).
 *
 * The module touches no DOM.
 */
import { shorten } from "../lib/accounts.js";

const KEY = "wallet-session-kept";
const LAST = "wallet-session-last";
/** The same again, for as long as the page lives, where storage is off. */
let memory = "";

/**
 * Whoever reads the storage learns no more than the page shows.
 * @param {string} text an address, an account or a chain
 */
function brief(text) {
  return text.replace(/0x[0-9a-f]{40}/gi, (address) => address.toLowerCase()).replace(/[A-Za-z0-9-]{26,}/g, shorten);
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

/** Note that this wallet is being signed in with. @param {{family: string, name: string, rdns: string}} wallet */
export function use(wallet) {
  try {
    localStorage.setItem(LAST, label(wallet));
  } catch {
    // Storage is off: no wallet comes first next time.
  }
}

/** @param {{family: string, name: string, rdns: string}} wallet */
export function wasLast(wallet) {
  try {
    return localStorage.getItem(LAST) === label(wallet);
  } catch {
    return false;
  }
}

/**
 * A wallet has another id on each page, so by its reverse domain name; by its name only where the family has no other,
 * and never mistaken for each other.
 * @param {{family: string, name: string, rdns: string}} wallet
 */
function label({ family, name, rdns }) {
  return rdns ? `${family} rdns ${rdns.toLowerCase()}` : `${family} name ${name}`;
}
