// @ts-check
/**
 * Finds the wallets that a browser holds (EIP-6963) and makes what they say about themselves fit to
 * show. Everything a wallet announces is hostile input: any extension, or a script inside one, can
 * announce anything, as often as it likes.
 *
 * The module touches no DOM: the page passes its `window` in, and reads a list out.
 */

/**
 * @typedef {{request: (call: {method: string, params?: unknown}) => Promise<unknown>,
 *            on?: Function, removeListener?: Function}} Provider
 * @typedef {{id: string, name: string, icon: string, monogram: string, tint: number, rdns: string,
 *            twin: boolean, legacy: boolean}} Wallet
 *   `name` is "" when nothing printable is left of it, `icon` is "" when it is no image we accept,
 *   `twin` is true when another wallet claims the same reverse domain name or the same name.
 */

export const SCAN_MS = 300;
export const MAX_WALLETS = 20;
export const MAX_NAME = 40;
export const MAX_ICON = 64 * 1024;
export const LEGACY_ID = "window.ethereum";

/**
 * The providers stay in here. The DOM carries their ids only, so that markup can never be
 * turned into a different object to sign with.
 * @type {Map<string, {wallet: Wallet, provider: Provider, said: string}>}
 */
const found = new Map();
/** @type {Set<string>} */
const imitated = new Set();

// Cc control, Cf format (bidi overrides, zero width, tags), Cs lone surrogates, Co private use,
// Cn unassigned, Zl/Zp line breaks; then the letters that print as nothing, and variation selectors.
const UNPRINTABLE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034F\u115F\u1160\u17B4\u17B5\u2800\u3164\uFFA0\uFE00-\uFE0F\u{E0100}-\u{E01EF}]/gu;
// Towers of combining marks paint over the neighbouring rows.
const MARK_TOWER = /(\p{M}{2})\p{M}+/gu;

/** @param {string} text @returns {string[]} */
function graphemes(text) {
  if (typeof Intl !== "undefined" && "Segmenter" in Intl) {
    return Array.from(new Intl.Segmenter().segment(text), (part) => part.segment);
  }
  return Array.from(text);
}

/**
 * One line of printable text of at most `limit` code points, never cut inside a character.
 * @param {unknown} value
 * @param {number} [limit]
 * @returns {string}
 */
export function printable(value, limit = MAX_NAME) {
  if (typeof value !== "string") return "";
  const text = value
    .slice(0, 2000)
    .replace(/\s+/gu, " ")
    .replace(UNPRINTABLE, "")
    .replace(MARK_TOWER, "$1")
    .replace(/ {2,}/g, " ")
    .trim();
  if (Array.from(text).length <= limit) return text;
  let kept = "";
  let size = 0;
  for (const grapheme of graphemes(text)) {
    size += Array.from(grapheme).length;
    if (size > limit - 1) break;
    kept += grapheme;
  }
  return `${kept.trimEnd()}…`;
}

/**
 * An image address that is safe to hand to `<img>`, or "". Addresses on other hosts would tell them
 * of the visit; SVG is inert inside `<img>`.
 * @param {unknown} value
 * @returns {string}
 */
export function safeIcon(value) {
  if (typeof value !== "string" || value.length > MAX_ICON) return "";
  const icon = value.trim();
  const match = /^data:image\/(png|webp|jpeg|gif|svg\+xml|svg)(?=[;,])/i.exec(icon);
  if (!match) return "";
  // Leather ships `image/svg`, which no browser draws.
  if (match[1].toLowerCase() === "svg") return `data:image/svg+xml${icon.slice(match[0].length)}`;
  return icon;
}

/** @param {string} name @returns {string} */
export function monogram(name) {
  const letter = graphemes(name).find((part) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(part));
  return letter ? letter.toLocaleUpperCase() : "?";
}

/** One of six tile colours, the same each time for the same wallet. @param {string} text */
function tint(text) {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return sum % 6;
}

/** @param {unknown} provider @returns {provider is Provider} */
function usable(provider) {
  return (
    provider !== null &&
    (typeof provider === "object" || typeof provider === "function") &&
    typeof (/** @type {any} */ (provider).request) === "function"
  );
}

/**
 * @param {string} id @param {unknown} name @param {unknown} icon @param {unknown} rdns
 * @param {boolean} legacy @returns {Wallet}
 */
function describe(id, name, icon, rdns, legacy) {
  const shown = printable(name);
  const domain = printable(rdns, 80);
  return {
    id,
    name: shown,
    icon: safeIcon(icon),
    monogram: monogram(shown),
    tint: tint(domain || shown),
    rdns: domain,
    twin: false,
    legacy,
  };
}

/** @param {any} detail @returns {boolean} whether the list changed */
function add(detail) {
  const { info, provider } = detail ?? {};
  const id = info?.uuid;
  if (typeof id !== "string" || !/^[\w.:-]{1,64}$/.test(id) || id === LEGACY_ID) return false;
  if (!usable(provider)) return false;
  const wallet = describe(id, info.name, info.icon, info.rdns, false);
  const said = JSON.stringify([wallet.name, wallet.icon, wallet.rdns]);
  const known = found.get(id);
  if (known) {
    // Wallets repeat themselves at each request. One that repeats an id with other data is
    // imitating the first: EIP-6963 names this signal. The first one stays.
    if (known.said === said && known.provider === provider) return false;
    const news = !imitated.has(id);
    imitated.add(id);
    return news;
  }
  if (found.size - (found.has(LEGACY_ID) ? 1 : 0) >= MAX_WALLETS) return false;
  found.set(id, { wallet, provider, said });
  return true;
}

/**
 * Listens for wallets from now on for as long as the page lives, asks them to announce
 * themselves, and after the scan falls back to `window.ethereum` when none did.
 * @param {Window} window
 * @param {{changed: () => void, scanned: () => void, legacyName?: string}} report
 */
export function discover(window, { changed, scanned, legacyName = "Browser wallet" }) {
  let done = false;

  const fallBack = () => {
    if (!done || found.size) return;
    let legacy;
    try {
      legacy = /** @type {any} */ (window).ethereum;
    } catch {
      return;
    }
    if (!usable(legacy)) return;
    found.set(LEGACY_ID, {
      wallet: describe(LEGACY_ID, legacyName, "", "", true),
      provider: legacy,
      said: "",
    });
    changed();
  };

  window.addEventListener("eip6963:announceProvider", (event) => {
    let news = false;
    try {
      news = add(/** @type {CustomEvent} */ (event).detail);
    } catch {
      // A getter of the announcement threw: no wallet of ours.
    }
    if (news) changed();
  });
  // Wallets without announcements say this when they arrive late.
  window.addEventListener("ethereum#initialized", fallBack);
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  window.setTimeout(() => {
    done = true;
    fallBack();
    scanned();
  }, SCAN_MS);
}

/**
 * The wallets in the order they came, the nameless fallback only while nothing was announced.
 * @returns {Wallet[]}
 */
export function list() {
  const entries = Array.from(found.values(), (entry) => entry.wallet);
  const announced = entries.filter((wallet) => !wallet.legacy);
  const shown = announced.length ? announced : entries;
  return shown.map((wallet) => ({
    ...wallet,
    twin: shown.some(
      (other) =>
        other.id !== wallet.id &&
        ((wallet.rdns && other.rdns === wallet.rdns) || other.name === wallet.name),
    ),
  }));
}

/** @param {string} id @returns {Provider | undefined} */
export function providerOf(id) {
  return found.get(id)?.provider;
}

/** The ids that were announced a second time with other data. @returns {string[]} */
export function imitations() {
  return Array.from(imitated);
}
