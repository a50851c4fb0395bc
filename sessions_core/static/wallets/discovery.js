// @ts-check
/**
 * The wallets that this browser holds, whatever family they are of, and what they say about themselves made fit to
 * show. Everything a wallet announces is hostile input: any extension, or a script inside one, can announce anything,
 * as often as it likes.
 *
 * The module touches no DOM: the page passes its `window` in, and reads a list out.
 */
import { familyNamed, loadFamilies } from "./families.js";
import { isRememberedWallet } from "./choices.js";
import { safeIcon } from "./icons.js";
import { monogram, printable, skeleton } from "./words.js";

/**
 * @typedef {import("./families.js").Provider} Provider
 * @typedef {import("./families.js").Introduction} Introduction
 * @typedef {{id: string, family: string, name: string, icon: string, monogram: string, tint: number, rdns: string,
 *            twin: boolean, place: number, alike: number, legacy: boolean, hosted: boolean, detail: string,
 *            site: string}} Wallet
 *   `name` is "" when nothing printable is left of it, `icon` is "" when it is no image we accept.
 *   `twin` is true when another wallet of the family claims the same identity: one of them may be an imitation. Then
 *   this is number `place` of those `alike`.
 * @typedef {{wallet: Wallet, provider: Provider, claims: Set<string>}} Entry
 *   `claims` are all identities under which the provider was announced.
 */

const SCAN_MS = 300;
/** Some wallets come later and say nothing, above all those whose app opened this page: what provider libraries wait too. */
const LATE_MS = 3_000;
const LOOK_MS = 200;
/** Of one family: an extension that announces wallets without end must not fill the page. No user installs so many. */
export const MAX_WALLETS = 200;
/** A wallet has two or three. One with more has been announced under names that are not its own. */
const MAX_CLAIMS = 30;

/**
 * The providers stay in here. The DOM carries their ids only, so that markup can never be
 * turned into a different object to sign with.
 * @type {Map<string, Entry>}
 */
const found = new Map();
let overflowing = false;

/** One of six tile colours, the same each time for the same wallet. @param {string} text */
function tint(text) {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return sum % 6;
}

/** @param {string} family @param {Introduction} announcement @returns {Wallet} */
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
    place: 1,
    alike: 1,
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
 * What a wallet claims to be. EIP-6963 has an id for each provider and a reverse domain name for each product; people go
 * by the name.
 * @param {Wallet} wallet @returns {string[]}
 */
function claimsOf({ id, rdns, name }) {
  return [`id ${id}`, ...(rdns ? [`rdns ${rdns.toLowerCase()}`] : []), `name ${skeleton(name)}`];
}

/**
 * The same object is the same wallet, however often and under whatever names it is announced. Two objects are two, even
 * where they agree in everything: a wallet that wraps itself in a new Proxy for each announcement looks exactly like a
 * script that copies it. Functions read from the two tell nothing, since a Proxy answers each read as it likes, and
 * so does a question to both: an imitation passes it on.
 * @param {string} family @param {Introduction} introduction @param {Provider} provider
 * @returns {boolean} whether the list changed
 */
function add(family, introduction, provider) {
  const wallet = describe(family, introduction);
  const entry = Array.from(found.values()).find((each) =>
    each.provider === provider && each.wallet.family === family && each.wallet.legacy === wallet.legacy);
  if (entry) {
    // Under another name as well: what it was called first stays, and the other name is not free for an imitation.
    const before = entry.claims.size;
    if (before <= MAX_CLAIMS) for (const claim of claimsOf(wallet)) entry.claims.add(claim);
    return entry.claims.size > before;
  }
  const claims = new Set(claimsOf(wallet));
  if (!wallet.legacy && isFull(family, wallet)) {
    const news = !overflowing;
    overflowing = true;
    return news;
  }
  // An id that another has taken gets a tail that no announcement can claim.
  for (let copy = 2; found.has(wallet.id); copy += 1) wallet.id = `${introduction.id}~${copy}`;
  found.set(wallet.id, { wallet, provider, claims });
  return true;
}

/** There is room for those that were used before when there is for no other. @param {string} family @param {Wallet} wallet */
function isFull(family, wallet) {
  return announced(family) >= (isRememberedWallet(wallet) ? 2 * MAX_WALLETS : MAX_WALLETS);
}

/**
 * Loads the families and has them look for wallets from now on for as long as the page lives. Says `scannedOnce` when those
 * that were there already have had the time to answer; `scanned` at the same time or, if there are none, when none has come
 * in the time that wallets take; and `incomplete` if a family did not arrive.
 * @param {Window} window
 * @param {{families: string | undefined, changed: () => void, scanned: () => void, scannedOnce?: () => void,
 *          incomplete?: () => void, legacyName?: string, ownName?: string, identityUrl?: string}} report
 *   `families` is the list of `loadFamilies`.
 */
export async function discover(window, report) {
  const { changed, scanned, scannedOnce, incomplete, legacyName = "Browser wallet", ownName = "", identityUrl = "" } = report;
  const { names: families, missing } = await loadFamilies(report.families);
  if (missing) incomplete?.();
  let told = true;
  const tell = () => {
    if (told) queueMicrotask(() => { told = true; changed(); });
    told = false;
  };
  const looks = families.map((family) => familyNamed(family).find(window, {
    legacyName,
    ownName,
    identityUrl,
    known: () => announced(family),
    // Of a flood of announcements the page hears once.
    add: (announcement, provider) => { if (add(family, announcement, provider)) tell(); },
  })).filter((look) => typeof look === "function");
  const look = () => { for (const each of looks) each(); };
  const end = performance.now() + LATE_MS;
  let over = false;
  let once = false;
  const scan = () => {
    look();
    if (!once) scannedOnce?.();
    once = true;
    const goesOn = looks.length > 0 && performance.now() < end;
    if (!over && !(goesOn && installed().length === 0)) {
      over = true;
      scanned();
    }
    if (goesOn) window.setTimeout(scan, LOOK_MS);
  };
  window.setTimeout(scan, SCAN_MS);
  // Unlocked, switched on or installed in the meantime.
  window.addEventListener("focus", () => { if (over) look(); });
}

/**
 * The wallets in the order they came, a nameless fallback only while its family has no other.
 * @param {string[]} [families] those of these only: more than one element of a page may have looked for some
 * @returns {Wallet[]}
 */
export function list(families) {
  const shown = Array.from(found.values()).filter(({ wallet }) =>
    (families?.includes(wallet.family) ?? true) && (!wallet.legacy || announced(wallet.family) === 0));
  /** @type {Map<string, Entry[]>} */
  const claiming = new Map();
  for (const entry of shown) {
    for (const claim of entry.claims) {
      const key = `${entry.wallet.family} ${claim}`;
      claiming.set(key, [...(claiming.get(key) ?? []), entry]);
    }
  }
  return shown.map((entry) => {
    const { claims, wallet } = entry;
    const alike = new Set(Array.from(claims).flatMap((claim) => claiming.get(`${wallet.family} ${claim}`) ?? []));
    const place = shown.filter((other) => alike.has(other)).indexOf(entry) + 1;
    return { ...wallet, twin: alike.size > 1 || claims.size > MAX_CLAIMS, place, alike: alike.size };
  });
}

/** Those that somebody installed. @returns {Wallet[]} */
export function installed() {
  return list().filter((wallet) => !wallet.hosted);
}

/** @param {string} id @returns {Provider | undefined} */
export function providerOf(id) {
  return found.get(id)?.provider;
}

/** Whether more wallets announced themselves than are listed. */
export function overflows() {
  return overflowing;
}
