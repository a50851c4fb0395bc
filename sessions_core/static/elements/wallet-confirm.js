// @ts-check
/**
 * <wallet-confirm>: the panel around a request that waits for a signature. It finds the wallet of the session, has the
 * server write a fresh text for each attempt, asks the wallet to sign it, fills the hidden inputs and submits the form
 * as any form is submitted.
 *
 * The text names the network of the session. Signing it needs the account only: which network the wallet is on does
 * not matter.
 *
 * All words are in the template. This element shows the parts whose `data-for` names the state in `data-state`, and
 * whose `data-kind`, if they have one, says what is the matter.
 */
import { addressOf, chainOf, namespaceOf, same } from "../lib/accounts.js";
import { UnexpectedMessage, ask } from "../lib/challenge.js";
import { familiesFor, familyOf } from "../wallets/families.js";
import { HttpError } from "../lib/http.js";
import { SLOW_MS, WalletError, withAbort, explain, signed } from "../wallets/answers.js";
import { announce, button, firstShown, flag, part, say, show, showTechnical } from "../page/parts.js";
import { drawWallets, fillWallet } from "../wallets/rows.js";
import { MAX_SAID, printable, quoted } from "../wallets/words.js";
import { discover, list, providerOf } from "../wallets/discovery.js";

/** @typedef {import("../wallets/discovery.js").Wallet} Wallet */
/** @typedef {import("../lib/challenge.js").Challenge} Challenge */

/** Where the page still stands so long after the server said that there is no session, there is one. */
const LEAVING_MS = 5_000;

/** A request is open somewhere: the button is pending. */
const BUSY = new Set(["looking", "connecting", "preparing", "signing", "verifying"]);

/** A wallet is asked for something, and nothing was sent to the server yet. */
const ASKING = new Set(["connecting", "preparing", "signing"]);

/** @type {Partial<Record<import("../wallets/answers.js").Kind, string>>} */
const WALLET_FAILURES = {
  pending: "pending",
  locked: "locked",
  disconnected: "disconnected",
  stale: "stale",
  unsupported: "unsupported",
  unable: "unable",
  malformed: "malformed",
  gone: "gone",
  storage_full: "storage",
  storage_blocked: "storage",
  share_unreadable: "unreadable",
  blocked: "blocked",
  restricted: "restricted",
};

class WalletConfirm extends HTMLElement {
  /** The running attempt. Aborting it makes every answer that is still to come a stranger's. */
  #attempt = new AbortController();
  /** What was chosen here; else the session's own is taken. @type {Wallet | null} */
  #wallet = null;
  /** The id of the wallet that was taken without asking, or "". */
  #taken = "";
  /** Whether wallets have had the time to be found, and when they have. */
  #looked = false;
  /** @type {Promise<void>} */
  #scanned = Promise.resolve();
  /** @type {Challenge | null} */
  #challenge = null;
  /** @type {ReturnType<typeof setTimeout>[]} */
  #timers = [];
  #submitting = false;
  #connected = false;
  #connectFirst = false;

  connectedCallback() {
    if (this.#connected) return;
    this.#connected = true;
    this.addEventListener("click", (event) => this.#clicked(event));
    this.#form.addEventListener("submit", (event) => {
      // Without a signature it may only ask for this page once more.
      if (!this.#submitting && event.submitter !== this.#part("renew")) event.preventDefault();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#startOver();
    });
    this.#scanned = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      discover(window, {
        families: this.dataset.families,
        legacyName: this.dataset.legacyName,
        ownName: this.dataset.wallet,
        identityUrl: this.dataset.identityUrl,
        changed: () => this.#walletsChanged(),
        scanned: resolve,
        incomplete: () => { this.dataset.incomplete = ""; },
      });
    }).then(() => { this.#looked = true; });
    this.#startOver();
  }

  // ---- What the user does -----------------------------------------------------------------------------------

  /** @param {MouseEvent} event */
  #clicked(event) {
    const control = event.target instanceof Element ? event.target.closest("[data-action]") : null;
    if (!(control instanceof HTMLElement) || control.getAttribute("aria-disabled") === "true") return;
    switch (control.dataset.action) {
      case "confirm": return this.#confirm();
      case "wallet": return this.#choose(control.dataset.walletId ?? "");
      case "another": return this.#show("choose_wallet");
      case "share": return this.#confirm(true);
      case "cancel": return this.#startOver();
    }
  }

  /** @param {boolean} [another] whether to ask the wallet for other accounts than it shares already */
  #confirm(another = false) {
    this.#run(async (signal) => {
      if (!this.#looked) this.#show("looking");
      await withAbort(this.#scanned, signal);
      const own = this.#wallet ? null : this.#ownWallet();
      this.#taken = own?.id ?? "";
      const wallet = this.#wallet ?? own;
      if (wallet) return this.#signWith(wallet, another, signal);
      this.#show(this.#list().length ? "choose_wallet" : "no_wallet");
    });
  }

  /** @param {string} id */
  #choose(id) {
    this.#wallet = this.#list().find((wallet) => wallet.id === id) ?? null;
    this.#confirm();
  }

  /**
   * The wallet of the session, by its name, or the only one there is. Where two are possible, or it may be an imitation,
   * the user decides.
   */
  #ownWallet() {
    const name = printable(this.dataset.wallet);
    const wallets = this.#list();
    const same = wallets.filter((wallet) => name && wallet.name === name);
    const possible = same.length ? same : wallets;
    return possible.length === 1 && !possible[0].twin ? possible[0] : null;
  }

  /** @param {Wallet} wallet @param {boolean} another @param {AbortSignal} signal */
  async #signWith(wallet, another, signal) {
    fillWallet(this, wallet);
    const provider = providerOf(wallet.id);
    if (!provider) throw new WalletError("disconnected", undefined, "");
    const family = familyOf(wallet);
    const connects = this.#connectFirst || !family.signsAtOnce?.(provider);
    if (connects || another) this.#show("connecting");
    const { accountUrl = "", walletsUrl = "" } = this.dataset;
    const site = { chains: [chainOf(this.#account)], accountUrl, walletsUrl, csrf: "" };
    if (connects || another) {
      const asked = another && family.connectAnother
        ? family.connectAnother(provider) : family.connect(provider, site, signal);
      const accounts = await withAbort(asked, signal);
      if (!accounts.length) throw new WalletError("locked", undefined, "");
      this.#part("share").hidden = family.connectAnother === undefined;
      if (!accounts.some((each) => same(each, addressOf(this.#account)))) return this.#show("address_mismatch");
    }

    this.#show("preparing");
    const { challengeUrl = "", request, statement = "" } = this.dataset;
    const challenge = await ask(challengeUrl, { request }, { account: this.#account, statement, signal, chainWord: family.chainWord });
    this.#challenge = challenge;
    this.#show("signing");
    const left = challenge.deadline - performance.now();
    this.#timers.push(setTimeout(() => this.#expire(), Math.max(left, 0)));
    const signature = await withAbort(
      signed(family.sign(provider, challenge.message, challenge.address, challenge)), signal);
    if (performance.now() > challenge.deadline) return this.#expire();
    this.#submit(challenge, signature);
  }

  /** @param {Challenge} challenge @param {string} signature */
  #submit(challenge, signature) {
    this.#write(challenge.message, challenge.challenge, signature);
    this.#show("verifying");
    this.#submitting = true;
    // By the prototype: a field of the form may have the name of any method.
    HTMLFormElement.prototype.requestSubmit.call(this.#form);
    this.#submitting = false;
  }

  /** Also back in a page that the browser had frozen: what it holds is of the past. */
  #startOver() {
    this.#attempt.abort();
    this.#write("", "", "");
    this.#show("idle");
  }

  // ---- What happens by itself ---------------------------------------------------------------------------------

  #walletsChanged() {
    const lost = drawWallets(this);
    if (this.#state === "no_wallet" && this.#list().length) return this.#show("idle");
    // Another claims to be the wallet that is being asked: nobody has chosen between the two yet.
    if (ASKING.has(this.#state) && this.#list().some(({ id, twin }) => twin && id === this.#taken)) {
      this.#attempt.abort();
      return this.#show("choose_wallet");
    }
    this.#drawButtons();
    if (lost) this.#focusNext();
  }

  /** The server would refuse what is signed from now on, so the wallet is waited for no longer. */
  #expire() {
    this.#attempt.abort();
    this.#show("expired", { kind: "text" });
  }

  /**
   * Runs one attempt. It ends the one before: what that one is still told is ignored.
   * @param {(signal: AbortSignal) => Promise<void>} work
   */
  #run(work) {
    this.#attempt.abort();
    const attempt = (this.#attempt = new AbortController());
    work(attempt.signal).catch((error) => {
      if (!attempt.signal.aborted) this.#failed(error);
    });
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof HttpError) return this.#refused(error);
    if (error instanceof UnexpectedMessage) return this.#show("failed", { kind: "text", technical: [error.message] });
    const { kind, code, message } = explain(error, new Map());
    // A wallet that signs without a connection wants one after all.
    if (kind === "locked") this.#connectFirst = true;
    if (kind === "rejected") return this.#show("rejected");
    this.#show("failed", { kind: WALLET_FAILURES[kind] ?? "wallet", technical: [code, quoted(message, MAX_SAID)] });
  }

  /** @param {HttpError} error */
  #refused(error) {
    const technical = [error.code, error.status || "", error.requestId ?? "", error.developers];
    if (error.signedOut) {
      // session-timeout asks the server, and leaves this page if that is so.
      this.dispatchEvent(new Event("session-doubted", { bubbles: true }));
      this.#timers.push(setTimeout(() => this.#show("failed", { kind: "refused", technical }), LEAVING_MS));
      return;
    }
    if (error.unreachable) return this.#show("server_unreachable", { technical });
    if (error.code === "confirmation_malformed") return this.#show("expired", { kind: "page", technical });
    const kind = error.status === 429 ? "busy" : error.code === "chain_unsupported" ? "chain" : "refused";
    this.#show("failed", { kind, technical });
  }

  // ---- The page -----------------------------------------------------------------------------------------------

  get #state() { return this.dataset.state ?? "idle"; }
  get #form() { return /** @type {HTMLFormElement} */ (this.#part("form")); }
  /** Those that can sign for the account. */
  #list() { return list(familiesFor(namespaceOf(this.#account), this.dataset.families)); }
  /** The one that the session belongs to, CAIP-10. */
  get #account() { return this.dataset.account ?? ""; }

  /**
   * @param {string} state
   * @param {{kind?: string, technical?: unknown[]}} [details]
   */
  #show(state, { kind = "", technical = [] } = {}) {
    const focused = document.activeElement;
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
    const known = this.querySelector("[data-part='problem']");
    // What the server said is of the attempt before.
    if (state !== "idle" && known instanceof HTMLElement) known.hidden = true;
    if (!["signing", "verifying"].includes(state)) this.#challenge = null;
    this.dataset.state = state;
    if (kind) this.dataset.kind = kind;
    else delete this.dataset.kind;
    show(this, [state], { kind });

    // What was signed would not be taken, or no wallet reaches this page any more: only another page helps.
    const over = (state === "expired" && kind === "page") || kind === "stale";
    this.#part("renew").hidden = !over;
    if (over) this.#button("confirm").hidden = true;
    this.#part("another").hidden = !["address_mismatch", "failed"].includes(state) || this.#list().length < 2;
    this.#part("slow").hidden = true;
    if (["connecting", "signing"].includes(state)) {
      this.#timers.push(setTimeout(() => {
        this.#part("slow").hidden = this.#part("renew").hidden = false;
        announce(this, this.#part("slow").textContent ?? "");
      }, SLOW_MS));
    }
    this.#part("letter").hidden = !this.#challenge;
    this.#part("preview").textContent = this.#challenge?.message ?? "";
    showTechnical(this, technical);
    this.#drawButtons();
    say(this);
    const lost = this.contains(focused) && focused?.closest("[hidden]");
    if (lost || state === "choose_wallet") this.#focusNext();
  }

  /** The pending button can still be focused, so that the keyboard does not lose its place. */
  #drawButtons() {
    const busy = BUSY.has(this.#state);
    flag(this.#button("confirm"), "aria-disabled", busy);
    flag(this.#button("confirm"), "aria-busy", busy);
    flag(this, "aria-busy", this.#state === "verifying");
    for (const row of this.#part("wallets").querySelectorAll("li")) {
      if (button(row).dataset.walletId === this.#wallet?.id) button(row).dataset.chosen = "";
      else delete button(row).dataset.chosen;
    }
  }

  #focusNext() { firstShown(this, "form button, form a")?.focus(); }

  /** @param {string} message @param {string} challenge @param {string} signature */
  #write(message, challenge, signature) {
    for (const [name, value] of Object.entries({ message, challenge, signature })) {
      /** @type {HTMLInputElement} */ (this.#part(name)).value = value;
    }
  }

  /** @param {string} action */
  #button(action) {
    return /** @type {HTMLElement} */ (this.querySelector(`[data-action="${action}"]`));
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) { return part(this, name); }
}

customElements.define("wallet-confirm", WalletConfirm);
