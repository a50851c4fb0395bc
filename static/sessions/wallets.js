// @ts-check
/**
 * The wallets that this browser holds, whatever family they are of, and what they say about themselves made fit to
 * show. Everything a wallet announces is hostile input: any extension, or a script inside one, can announce anything,
 * as often as it likes.
 *
 * The module touches no DOM: the page passes its `window` in, and reads a list out.
 */
import { FAMILIES } from "./families.js";

/**
 * @typedef {import("./families.js").Provider} Provider
 * @typedef {import("./families.js").Introduction} Introduction
 * @typedef {{id: string, family: string, name: string, icon: string, monogram: string, tint: number, rdns: string,
 *            twin: boolean, legacy: boolean, hosted: boolean, detail: string, site: string}} Wallet
 *   `name` is "" when nothing printable is left of it, `icon` is "" when it is no image we accept,
 *   `twin` is true when another wallet of the family claims the same reverse domain name or the same name.
 */

export const SCAN_MS = 300;
/** Of one family: whoever announces without end must not crowd out the others. */
export const MAX_WALLETS = 20;
export const MAX_NAME = 40;
export const MAX_ICON = 64 * 1024;

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

/** @param {string} family @param {Introduction} said @returns {Wallet} */
function describe(family, { id, name, icon, rdns, legacy = false, hosted = false, detail = "", site = "" }) {
  const shown = printable(name);
  const domain = printable(rdns, 80);
  return {
    id,
    family,
    name: shown,
    icon: safeIcon(icon),
    monogram: monogram(shown),
    tint: tint(domain || shown),
    rdns: domain,
    twin: false,
    legacy,
    hosted,
    detail,
    site,
  };
}

/** @param {string} family */
function announced(family) {
  return Array.from(found.values()).filter(({ wallet }) => wallet.family === family && !wallet.legacy).length;
}

/**
 * @param {string} family @param {Introduction} introduction @param {Provider} provider
 * @returns {boolean} whether the list changed
 */
function add(family, introduction, provider) {
  const wallet = describe(family, introduction);
  const said = JSON.stringify([wallet.family, wallet.name, wallet.icon, wallet.rdns]);
  const known = found.get(wallet.id);
  if (known) {
    // Wallets repeat themselves at each request. One that repeats an id with other data is
    // imitating the first: EIP-6963 names this signal. The first one stays.
    if (known.said === said && known.provider === provider) return false;
    const news = !imitated.has(wallet.id);
    imitated.add(wallet.id);
    return news;
  }
  if (!wallet.legacy && announced(family) >= MAX_WALLETS) return false;
  found.set(wallet.id, { wallet, provider, said });
  return true;
}

/**
 * Has the families look for wallets from now on for as long as the page lives, and says when those that were there
 * already have had the time to answer.
 * @param {Window} window
 * @param {{families: string[], changed: () => void, scanned: () => void, legacyName?: string, ownName?: string,
 *          identityUrl?: string}} report
 */
export function discover(window, report) {
  const { families, changed, scanned, legacyName = "Browser wallet", ownName = "", identityUrl = "" } = report;
  const late = families.map((family) => FAMILIES[family]?.find(window, {
    legacyName,
    ownName,
    identityUrl,
    known: () => announced(family),
    add: (said, provider) => { if (add(family, said, provider)) changed(); },
  }));
  window.setTimeout(() => {
    for (const finish of late) finish?.();
    scanned();
  }, SCAN_MS);
}

/**
 * The wallets in the order they came, a nameless fallback only while its family has no other.
 * @param {string[]} [families] those of these only: more than one element of a page may have looked for some
 * @returns {Wallet[]}
 */
export function list(families = Object.keys(FAMILIES)) {
  const wallets = Array.from(found.values(), (entry) => entry.wallet).filter(({ family }) => families.includes(family));
  const shown = wallets.filter((wallet) => !wallet.legacy || announced(wallet.family) === 0);
  return shown.map((wallet) => ({
    ...wallet,
    twin: shown.some(
      (other) =>
        other.id !== wallet.id &&
        other.family === wallet.family &&
        ((wallet.rdns && other.rdns === wallet.rdns) || other.name === wallet.name),
    ),
  }));
}

/** Those that somebody installed. @returns {Wallet[]} */
export function installed() {
  return list().filter((wallet) => !wallet.hosted);
}

/** @param {string} id @returns {Provider | undefined} */
export function providerOf(id) {
  return found.get(id)?.provider;
}

/** The ids that were announced a second time with other data. @returns {string[]} */
export function imitations() {
  return Array.from(imitated);
}
