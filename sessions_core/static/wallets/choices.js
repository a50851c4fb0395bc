// @ts-check
/**
 * What the user has chosen before, so that no page asks for it a second time: to stay with the session of an account,
 * although the wallet is on another account or network (as long as the tab lives), and which wallet to sign in with
 * (until the session ends or another account signs in: page/own-storage.js).
 *
 * The module touches no DOM.
 */
import { shorten } from "../lib/accounts.js";
import { readStored, writeStored } from "../lib/storage.js";

const ANSWERS = "wallet-session-kept";
const LAST_WALLET = "wallet-session-last";
/** The answers once more, for as long as the page lives, where storage is off. */
let memory = "";

/**
 * Storage that is read by others tells them no more than the page shows.
 * @param {string} text an address, an account or a chain
 */
function brief(text) {
  return text.replace(/0x[0-9a-f]{40}/gi, (address) => address.toLowerCase()).replace(/[A-Za-z0-9-]{26,}/g, shorten);
}

/** @param {string} session @returns {string[]} */
function answers(session) {
  const [whose, ...others] = (readStored("sessionStorage", ANSWERS) ?? memory).split(" ");
  // What was said of another account's session says nothing of this one's.
  return whose === session ? others : [];
}

/**
 * Remember that the user stays with the session, whatever the wallet is on.
 * @param {string} account the session's, CAIP-10
 * @param {string} other the address or the chain that the wallet is on
 */
export function rememberAnswer(account, other) {
  const session = brief(account);
  memory = [session, ...new Set([...answers(session), brief(other)])].join(" ");
  writeStored("sessionStorage", ANSWERS, memory);
}

/** @param {string} account @param {string} other as for `rememberAnswer` */
export function remembersAnswer(account, other) {
  return answers(brief(account)).includes(brief(other));
}

/** Remember that the user signs in with this wallet. @param {{family: string, name: string, rdns: string}} wallet */
export function rememberWallet(wallet) {
  writeStored("localStorage", LAST_WALLET, label(wallet));
}

/** Whether the user signed in with this wallet last. @param {{family: string, name: string, rdns: string}} wallet */
export function isRememberedWallet(wallet) {
  return readStored("localStorage", LAST_WALLET) === label(wallet);
}

/**
 * A wallet has another id on each page, so by its reverse domain name; by its name only where the family has no other,
 * and never mistaken for each other.
 * @param {{family: string, name: string, rdns: string}} wallet
 */
function label({ family, name, rdns }) {
  return rdns ? `${family} rdns ${rdns.toLowerCase()}` : `${family} name ${name}`;
}
