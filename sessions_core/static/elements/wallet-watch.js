// @ts-check
/**
 * `<wallet-watch>` (templates/sessions/_wallet_watch.html) listens on every page of a session to the wallet that signed
 * it, and says so when that wallet is on another account or network. The session follows its signature: nothing here
 * changes it, asks the server, or asks the wallet for anything that opens a window.
 */
import { addressOf, chainOf, namespaceOf, same, shorten } from "../lib/accounts.js";
import { fillIn } from "../lib/times.js";
import { fillSlots, optionalPart, phrase, show, write } from "../page/parts.js";
import { familiesFor, familyOf } from "../wallets/families.js";
import { withAbort } from "../wallets/answers.js";
import { rememberAnswer, remembersAnswer } from "../wallets/choices.js";
import { printable, quoted } from "../wallets/words.js";
import { discover, list, providerOf } from "../wallets/discovery.js";

/** The page comes first: only one that never rests has wallets looked for while it works. */
const START_MS = 2_000;
/** A wallet that takes longer to say where it is has said nothing. What it reports by itself still counts. */
const PATIENCE_MS = 2_000;
/** Wallets report one switch in several events, a hostile one in thousands: what comes in this time is shown at once. */
const SETTLE_MS = 50;
/** The state, and what the user has answered to once they were told. */
const TWINS = "twins";

/**
 * @typedef {{state: "account_changed" | "network_changed", other: string}} Difference
 *   `other` is the address or the chain that the wallet is on.
 */

class WalletWatch extends HTMLElement {
  /** The session's, as CAIP-10 and in its parts. */
  #account = "";
  #chain = "";
  #address = "";
  /** The id of the wallet that is watched, or "". */
  #wallet = "";
  /** @type {() => void} */
  #unwatch = () => {};
  /** What that wallet reported last: its active account and its network, "" for what it did not report. */
  #reported = { address: "", chain: "" };
  /** How often it reported by itself. */
  #heard = { address: 0, chain: 0 };
  /** What the notice is about. @type {Difference | null} */
  #difference = null;
  /** Whether there are several that could be the session's wallet and may be imitations. */
  #twins = false;
  #looking = false;
  #lookAgain = false;
  #connected = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  connectedCallback() {
    if (this.#connected) return;
    this.#connected = true;
    this.#account = this.dataset.account ?? "";
    this.#chain = chainOf(this.#account);
    this.#address = addressOf(this.#account);
    this.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("[data-action='keep']")) this.#keep();
    });
    if ("requestIdleCallback" in window) requestIdleCallback(() => this.#discover(), { timeout: START_MS });
    else setTimeout(() => this.#discover(), SETTLE_MS);
  }

  // ---- The wallet -----------------------------------------------------------------------------------------------

  #discover() {
    let scanned = false;
    const look = () => { if (scanned) this.#look(); };
    discover(window, {
      families: this.dataset.families,
      legacyName: this.dataset.legacyName,
      changed: look,
      scanned: () => {
        scanned = true;
        look();
      },
    });
    // Some wallets switch without an event, and a page in the back/forward cache hears of none.
    window.addEventListener("focus", look);
    window.addEventListener("pageshow", (event) => { if (event.persisted) look(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  }

  /** Asks the wallet where it is; once more afterwards if that was wanted meanwhile. */
  async #look() {
    this.#lookAgain = this.#looking;
    if (this.#looking) return;
    this.#looking = true;
    this.#watch(await this.#choose());
    const wallet = this.#list().find((each) => each.id === this.#wallet);
    if (wallet) {
      const [family, provider] = [familyOf(wallet), providerOf(wallet.id)];
      const site = { chains: [this.#chain], accountUrl: "", walletsUrl: "", csrf: "" };
      await Promise.all([
        this.#ask("address", family.accounts(provider).then(first)),
        this.#ask("chain", family.chain(provider, this.#reported.address || this.#address, site)),
      ]);
    }
    this.#looking = false;
    this.#show();
    if (this.#lookAgain) this.#look();
  }

  /**
   * The session knows its wallet by name only, and any wallet can take any name. Of those that may be imitations none is
   * listened to. Where the name does not decide, it must be the only one that shares accounts with this site.
   * @returns {Promise<string>} an id, or ""
   */
  async #choose() {
    const name = printable(this.dataset.wallet);
    const named = this.#list().filter((wallet) => !name || wallet.name === name);
    const wallets = named.filter((wallet) => !wallet.twin);
    this.#twins = wallets.length < named.length;
    const possible = wallets.map((wallet) => wallet.id);
    if (name && possible.length < 2) return possible[0] ?? "";
    const shares = await Promise.all(wallets.map((wallet) => sharesAccounts(wallet)));
    const sharing = possible.filter((_, index) => shares[index]);
    // Locked in the meantime, it is still the one.
    if (!sharing.length && possible.includes(this.#wallet)) return this.#wallet;
    return sharing.length === 1 ? sharing[0] : "";
  }

  /** @param {string} id */
  #watch(id) {
    if (id === this.#wallet) return;
    this.#unwatch();
    this.#unwatch = () => {};
    this.#wallet = id;
    this.#reported = { address: "", chain: "" };
    const wallet = this.#list().find((each) => each.id === id);
    if (!wallet) return;
    // Not every wallet lets go of its listeners.
    const hear = (/** @type {"address" | "chain"} */ what, /** @type {string} */ reported) => {
      if (this.#wallet === id) this.#hear(what, reported);
    };
    this.#unwatch = familyOf(wallet).watch(providerOf(id), {
      accounts: (accounts) => hear("address", first(accounts)),
      chain: (chain) => { if (chain) hear("chain", chain); },
    });
  }

  /** @param {"address" | "chain"} what @param {string} reported */
  #hear(what, reported) {
    this.#heard[what] += 1;
    this.#reported[what] = reported;
    this.#timer ??= setTimeout(() => this.#show(), SETTLE_MS);
  }

  /** @param {"address" | "chain"} what @param {Promise<string>} answer */
  async #ask(what, answer) {
    const heard = this.#heard[what];
    try {
      const answered = await inTime(answer);
      // What it reported meanwhile is newer than its answer.
      if (heard === this.#heard[what]) this.#reported[what] = answered;
    } catch {
      // A wallet that does not answer has not switched.
    }
  }

  // ---- The notice -----------------------------------------------------------------------------------------------

  /** @returns {Difference | null} what there is to say and the user has not answered yet */
  #compare() {
    const { address, chain } = this.#reported;
    // Locked or disconnected: where such a wallet is does not concern this site.
    if (!address) return null;
    /** @type {Difference | null} */
    let difference = null;
    if (!same(address, this.#address)) difference = { state: "account_changed", other: address };
    else if (chain && chain !== this.#chain) difference = { state: "network_changed", other: chain };
    return difference && remembersAnswer(this.#account, difference.other) ? null : difference;
  }

  #show() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#difference = this.#compare();
    const twins = this.#twins && !remembersAnswer(this.#account, TWINS);
    const state = this.#difference?.state ?? (twins ? TWINS : this.#wallet ? "watching" : "no_wallet");
    const other = shorten(this.#difference?.other ?? "");
    if (state === "account_changed") fillSlots(this, "other", other);
    show(this, [state]);
    this.#moveFocus();
    this.#say(state, other);
    this.#mark(state);
  }

  /** Who stood on a button that is gone goes on at the content, not at the top of the page. */
  #moveFocus() {
    const focused = document.activeElement;
    if (!focused?.closest("[hidden]") || !this.contains(focused)) return;
    document.getElementById("main")?.focus({ preventScroll: true });
  }

  /** The notice comes from `hidden`, which not every screen reader tells. @param {string} state @param {string} other */
  #say(state, other) {
    write(optionalPart(this, "speech"), fillIn(phrase(this, state), { other, wallet: quoted(this.dataset.wallet) }));
  }

  /** For the account or network that the user read of, whatever the wallet has switched to since. */
  #keep() {
    if (this.#difference) rememberAnswer(this.#account, this.#difference.other);
    else if (this.#twins) rememberAnswer(this.#account, TWINS);
    this.#show();
  }

  /** Those that can sign for the account. */
  #list() { return list(familiesFor(namespaceOf(this.#account), this.dataset.families)); }

  /** @param {string} state */
  #mark(state) {
    if (this.dataset.state !== state) this.dataset.state = state;
  }
}

/** @param {string[] | null} accounts @returns {string} the one that the wallet is on, or "" where it does not say */
function first(accounts) {
  return accounts?.[0] ?? "";
}

/** @param {import("../wallets/discovery.js").Wallet} wallet */
async function sharesAccounts(wallet) {
  try {
    return Boolean((await inTime(familyOf(wallet).accounts(providerOf(wallet.id))))?.length);
  } catch {
    return false;
  }
}

/** @template T @param {Promise<T>} answer @returns {Promise<T>} */
function inTime(answer) {
  return withAbort(answer, AbortSignal.timeout(PATIENCE_MS));
}

customElements.define("wallet-watch", WalletWatch);
