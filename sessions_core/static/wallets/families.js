// @ts-check
/**
 * The families of wallets, by name. Each is one module that finds its wallets and talks to them, behind the same few
 * functions. A page loads only those that the server lists for it, by the URLs in `data-families`: the server knows which
 * chains it accepts, and which wallet a session was signed with.
 *
 * A new family is a module with these functions in the static folder of its part, which names it to the server.
 *
 * The module touches no DOM; it keeps what was loaded.
 */

/**
 * @typedef {import("../lib/challenge.js").Challenge} Challenge
 * @typedef {any} Provider what a family talks to; nobody else looks into it
 * @typedef {{id: string, name: unknown, icon?: unknown, rdns?: unknown, legacy?: boolean, hosted?: boolean,
 *            detail?: string, site?: string}} Introduction
 *   What a wallet says of itself, as it came. `id` must be the wallet's own within all families. One that is `legacy`
 *   shows only while its family has no other; one that is `hosted` needs nothing installed, so it is always there;
 *   `site` is the host that it opens, if it does. `detail` tells it apart in its row.
 * @typedef {{add: (announcement: Introduction, provider: Provider) => void, known: () => number, legacyName: string,
 *            ownName: string, identityUrl: string}} Report
 *   `known` is how many of the family were added so far; `identityUrl` is the page of Internet Identity, or "".
 * @typedef {{chains: string[], accountUrl: string, walletsUrl: string, csrf: string}} Site
 *   The chains that are accepted, CAIP-2, the preferred first; and where the server turns a key into an account.
 *   Where it makes wallets, and the token with which this page may have one made, or "".
 *
 * @typedef {object} Family
 * @property {string} NAMESPACE of the accounts, CAIP-2
 * @property {(window: Window, report: Report) => void | (() => void)} find
 *   Reports wallets for as long as the page lives. What it returns looks once more for those that say nothing when they
 *   come: it is called when others have had the time to, and then again and again.
 * @property {(provider: Provider, site: Site, signal: AbortSignal) => Promise<string[]>} connect
 *   Asks the user to share addresses; may open a window, before it waits for anything, and closes it at the signal.
 * @property {(provider: Provider) => Promise<string[]>} [connectAnother]
 *   Asks the user to share other addresses, where connecting again would answer with the same ones.
 * @property {(provider: Provider) => Promise<string[] | null>} accounts
 *   The addresses that are shared already, the active one first; asks nobody. Null if the wallet can't say.
 * @property {(provider: Provider) => boolean} [signsAtOnce]
 *   Whether connecting before signing would only open one more window. Where it does not exist, it would not.
 * @property {(provider: Provider, address: string, site: Site) => Promise<string>} chain
 *   The chain to sign for with this address, CAIP-2, accepted or not; asks nobody.
 * @property {(chain: string) => string} [chainWord]
 *   What a text to sign calls a chain (CAIP-2), where that is not the chain's reference.
 * @property {(provider: Provider, chain: string) => Promise<void>} [switchChain]
 *   Asks the user to change the network, where a site can ask for that.
 * @property {(provider: Provider, text: string, address: string, challenge: Challenge) => Promise<string>} sign
 *   Asks the user to sign, and returns the signature as the server's verifier takes it. `text` is the challenge's.
 * @property {(provider: Provider) => Promise<void>} [renew]
 *   Gives up a wallet that is `gone`; connecting then brings another.
 * @property {(provider: Provider, report: {accounts: (list: string[]) => void,
 *             chain: (chain: string | null) => void}) => () => void} watch
 *   Reports changes until the returned function is called.
 *
 * All that ask a wallet throw `WalletError`, or `HttpError` where they ask the server, and nothing else.
 */

/** @type {Map<string, Family>} */
const loaded = new Map();

/**
 * Load the families that a page lists. One that does not arrive is left out: the wallets of the others work without it.
 * @param {string | undefined} listed JSON of family → URL of its module, as in `data-families`
 * @returns {Promise<{names: string[], missing: boolean}>} `missing` is true when one did not arrive
 */
export async function loadFamilies(listed) {
  const entries = Object.entries(read(listed));
  const outcomes = await Promise.allSettled(entries.map(async ([name, url]) => {
    if (!loaded.has(name)) loaded.set(name, await import(url));
    return name;
  }));
  const names = outcomes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  return { names, missing: names.length < entries.length };
}

/**
 * The names of the listed families whose wallets sign for accounts of a namespace, as far as they arrived.
 * @param {string} namespace @param {string | undefined} listed as for `loadFamilies`
 */
export function familiesFor(namespace, listed) {
  return Object.keys(read(listed)).filter((name) => loaded.get(name)?.NAMESPACE === namespace);
}

/** @param {string | undefined} listed @returns {Record<string, string>} */
function read(listed) {
  return JSON.parse(listed || "{}");
}

/** @param {{family: string}} wallet one of a family that was loaded @returns {Family} */
export function familyOf({ family }) {
  return familyNamed(family);
}

/** @param {string} name of a family that was loaded @returns {Family} */
export function familyNamed(name) {
  return /** @type {Family} */ (loaded.get(name));
}
