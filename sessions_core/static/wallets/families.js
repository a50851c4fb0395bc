// @ts-check
/**
 * The families of wallets, by name. Each is one module that finds its wallets and talks to them, behind the same few
 * functions; the names are those of `data-families` and `data-wallets` in the templates.
 *
 * A new family is a file with these functions, a line below, and a heading in _wallet_list.html.
 */
import * as eip155 from "../../parts/ethereum/static/eip155.js";
import * as icp from "../../parts/internet_computer/static/icp.js";
import * as pregenerated from "../../parts/trial_wallets/static/pregenerated.js";
import * as solana from "../../parts/solana/static/solana.js";
import * as stacks from "../../parts/stacks/static/stacks.js";

/**
 * @typedef {import("../lib/challenge.js").Challenge} Challenge
 * @typedef {any} Provider what a family talks to; nobody else looks into it
 * @typedef {{id: string, name: unknown, icon?: unknown, rdns?: unknown, legacy?: boolean, hosted?: boolean,
 *            detail?: string, site?: string}} Introduction
 *   What a wallet says of itself, as it came. `id` must be the wallet's own within all families. One that is `legacy`
 *   shows only while its family has no other; one that is `hosted` needs nothing installed, so it is always there;
 *   `site` is the host that it opens, if it does. `detail` tells it apart in its row.
 * @typedef {{add: (said: Introduction, provider: Provider) => void, known: () => number, legacyName: string,
 *            ownName: string, identityUrl: string}} Report
 *   `known` is how many of the family were added so far; `identityUrl` is the page of Internet Identity, or "".
 * @typedef {{chains: string[], accountUrl: string, walletsUrl: string, csrf: string}} Site
 *   The chains that are accepted, CAIP-2, the preferred first; and where the server turns a key into an account.
 *   Where it makes wallets, and the token with which this page may have one made, or "".
 *
 * @typedef {object} Family
 * @property {string} NAMESPACE of the accounts, CAIP-2
 * @property {boolean} [OWN] its sessions are known to be its own, so it is looked for in those and no others
 * @property {(window: Window, report: Report) => void | (() => void)} find
 *   Reports wallets for as long as the page lives. What it returns looks once more for those that say nothing when they
 *   come: it is called when others have had the time to, and then again and again.
 * @property {(provider: Provider, site: Site, signal: AbortSignal) => Promise<string[]>} connect
 *   Asks the person to share addresses; may open a window, before it waits for anything, and closes it at the signal.
 * @property {(provider: Provider) => Promise<string[]>} [connectAnother]
 *   Asks the person to share other addresses, where connecting again would answer with the same ones.
 * @property {(provider: Provider) => Promise<string[] | null>} accounts
 *   The addresses that are shared already, the active one first; asks nobody. Null if the wallet can't say.
 * @property {(provider: Provider) => boolean} [signsAtOnce]
 *   Whether connecting before signing would only open one more window. Where it does not exist, it would not.
 * @property {(provider: Provider, address: string, site: Site) => Promise<string>} chain
 *   The chain to sign for with this address, CAIP-2, accepted or not; asks nobody.
 * @property {(provider: Provider, chain: string) => Promise<void>} [switchChain]
 *   Asks the person to change the network, where a site can ask for that.
 * @property {(provider: Provider, text: string, address: string, challenge: Challenge) => Promise<string>} sign
 *   Asks the person to sign, and returns the signature as the server's verifier takes it. `text` is the challenge's.
 * @property {(provider: Provider) => Promise<void>} [renew]
 *   Gives up a wallet that is `gone`; connecting then brings another.
 * @property {(provider: Provider, report: {accounts: (list: string[]) => void,
 *             chain: (chain: string | null) => void}) => () => void} watch
 *   Reports changes until the returned function is called.
 *
 * All that ask a wallet throw `WalletError`, or `HttpError` where they ask the server, and nothing else.
 */

/** @type {Record<string, Family>} */
export const FAMILIES = { eip155, pregenerated, stacks, solana, icp };

/** @param {{family: string}} wallet @returns {Family} */
export function familyOf(wallet) {
  return FAMILIES[wallet.family];
}

/**
 * The names of the families whose wallets sign for accounts of a namespace.
 * @param {string} namespace @param {boolean} [own] those of the server's own making, and not all others
 */
export function familiesFor(namespace, own = false) {
  return Object.keys(FAMILIES).filter((name) => {
    const family = FAMILIES[name];
    return family.NAMESPACE === namespace && Boolean(family.OWN) === own;
  });
}
