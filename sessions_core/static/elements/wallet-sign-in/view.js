// @ts-check
/** Draws `<wallet-sign-in>`: what belongs to the state, the two steps, the buttons, and where the focus goes. */
import { shorten } from "../../lib/accounts.js";
import { announce, button, copy, fillSlots, firstShown, flag, part, say, show, showTechnical } from "../../page/parts.js";
import { SLOW_MS } from "../../wallets/answers.js";
import { familyOf } from "../../wallets/families.js";
import { drawTile, drawWallets } from "../../wallets/rows.js";
import { preferredWallet } from "./connection.js";
import { isLost, revealAction } from "./focus.js";
import { Offers } from "./offers.js";

export class SignInView {
  /** Whether wallets have had the time to be found. */
  looked = false;
  offers;
  #panel;
  #connection;
  #states;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #retryAt = 0;

  /**
   * @param {HTMLElement} panel @param {import("./connection.js").Connection} connection
   * @param {import("./states.js").PanelStates} states
   */
  constructor(panel, connection, states) {
    this.#panel = panel;
    this.#connection = connection;
    this.#states = states;
    this.offers = new Offers(panel);
  }

  get state() { return this.#panel.dataset.state ?? "idle"; }
  /** @param {string} word of the table of states */
  is(word) { return this.#states.is(this.state, word); }
  /** What the panel shows while nothing happens. */
  get resting() {
    if (this.offers.any) return "wallet_list";
    if (!this.looked) return "scanning";
    return onPhone() ? "in_app_browser" : "no_wallet";
  }
  /** Whether the server still wants to be left alone. */
  get waits() { return this.#retryAt > performance.now(); }

  /**
   * @param {string} state
   * @param {{technical?: unknown[], retryAfter?: number}} [details]
   */
  show(state, { technical = [], retryAfter = 0 } = {}) {
    const { dataset } = this.#panel;
    const { phase } = this.#connection;
    const { phase: phaseBefore, state: stateBefore } = dataset;
    const focused = document.activeElement;
    clearTimeout(this.#timer);
    if (state !== this.state) {
      // What the server said belongs to the state that it rendered.
      for (const old of this.#all("[data-testid='server-code']")) old.remove();
    }
    dataset.state = state;
    dataset.phase = phase;
    const early = state === "scanning" && this.offers.early;
    show(this.#panel, [...this.#states.wordsOf(state), ...(early ? ["picker"] : [])], { phase });
    showTechnical(this.#panel, technical);
    this.part("placeholders").hidden ||= early;
    const { install } = this.offers;
    if (state !== stateBefore && install) install.open = state === "no_wallet";
    this.offers.draw();
    this.#placeTroubles();
    this.#drawSteps();
    this.drawButtons();
    if (state === "connecting") this.#timer = setTimeout(() => this.show("connect_slow"), SLOW_MS);
    const [slow] = this.#all(`[data-slow="${state}"]`);
    if (slow) {
      this.#timer = setTimeout(() => {
        slow.hidden = false;
        announce(this.#panel, slow.textContent ?? "");
      }, SLOW_MS);
    }
    this.#retryAt = 0;
    if (state === "rate_limited") {
      this.#retryAt = performance.now() + retryAfter * 1000;
      this.#countDown();
    }
    say(this.#panel);
    this.#moveFocus(focused, phaseBefore);
    if (state !== stateBefore && !this.is("resting")) revealAction(this.#panel);
  }

  /** Back to the list, at the place where the user was. @param {string} [chosen] */
  rest(chosen) {
    this.show(this.resting);
    const row = chosen && firstShown(this.#panel, `[data-wallet-id="${CSS.escape(chosen)}"]`);
    if (row) row.focus();
    else this.#focusFirstWallet();
  }

  drawWallets() {
    if (drawWallets(this.#panel)) this.#focusFirstWallet();
    this.drawButtons();
  }

  /** Offer what needs no installing at once, with the focus on it. @returns {HTMLButtonElement | undefined} */
  offer() {
    const [row] = this.#all("[data-offer]:not([hidden])");
    if (!row || !this.is("resting")) return undefined;
    this.offers.lookedOnce = true;
    this.show(this.resting);
    button(row).focus();
    return button(row);
  }

  /** Show the whole message, or its beginning. */
  unfold() {
    const whole = this.part("letter").toggleAttribute("data-whole");
    this.part("unfold").setAttribute("aria-expanded", String(whole));
    this.part("unfold-more").hidden = whole;
    this.part("unfold-less").hidden = !whole;
  }

  /** What went wrong is said in the step that it happened in, next to what can be done about it. */
  #placeTroubles() {
    const troubles = this.part("troubles");
    const [place] = this.#all(`[data-troubles-of="${this.#connection.phase}"]`);
    if (troubles.parentElement !== place) place.append(troubles);
  }

  #drawSteps() {
    const { wallet, address, challenge, phase, signedOnce } = this.#connection;
    const signing = phase === "sign";
    for (const step of this.#all("[data-step]")) {
      const current = step.dataset.step === phase;
      if (current) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
      step.toggleAttribute("data-done", signing && !current);
    }
    const chosen = Boolean(address && wallet);
    this.part("chosen").hidden = !chosen;
    this.part("chosen-network").hidden = !signing;
    if (chosen && wallet) drawTile(this.part("chosen-tile"), wallet);
    const asksAgain = wallet !== null && familyOf(wallet).connectAnother !== undefined;
    for (const each of this.#all("[data-part='another-account']")) {
      each.hidden = !(asksAgain && (chosen || this.is("another-account")));
    }
    const stopped = this.is("no-message");
    this.part("sign-later").hidden = signing;
    this.part("letter").hidden = !signing || stopped || !(challenge || this.state === "preparing");
    this.part("preview").textContent = challenge?.message ?? "";
    this.fill("whole-address", challenge?.address ?? "");
    for (const each of this.#all("[data-slow]")) each.hidden = true;
    this.part("sign-first").hidden = signedOnce;
    this.part("sign-again").hidden = !signedOnce;
    if (!this.is("network-note")) this.part("network-note").hidden = true;
  }

  /** One button pending, and still focusable, so that the keyboard does not lose its place. */
  drawButtons() {
    const busy = this.is("busy");
    const wallet = this.#connection.wallet ?? preferredWallet(this.#panel.dataset.preferred);
    for (const control of this.#all("form [data-action], form input[type='checkbox']")) {
      if (!(control instanceof HTMLButtonElement || control instanceof HTMLInputElement)) continue;
      const { action, walletId, chain } = control.dataset;
      if (action === "cancel" || control.closest("[data-part='troubles']")) continue;
      const chosen = walletId !== undefined && walletId === wallet?.id;
      const target = this.state === "switching" && chain !== undefined && chain === this.#connection.target;
      const pending = busy && (chosen || target || (action === "sign" && this.is("sign-button")));
      flag(control, "aria-disabled", pending);
      flag(control, "aria-busy", pending);
      if (chosen) control.dataset.chosen = "";
      else delete control.dataset.chosen;
      // The box is sent with the form: a disabled one would not be.
      if (control instanceof HTMLButtonElement) control.disabled = busy && !pending;
    }
    flag(this.#panel, "aria-busy", this.state === "verifying");
  }

  /** The networks and the words of one kind of wallet. @param {import("../../wallets/discovery.js").Wallet} wallet */
  drawFamily(wallet) {
    const family = familyOf(wallet);
    for (const each of this.#all("[data-family]")) {
      each.hidden = !(each.dataset.family ?? "").split(" ").includes(wallet.family);
    }
    for (const each of this.#all("[data-namespace]")) {
      each.hidden = !(each.dataset.namespace ?? "").split(" ").includes(family.NAMESPACE);
    }
    if (this.part("letter").hasAttribute("data-whole")) this.unfold();
    // Where only this page shows the message, it comes right after the sentence that says so.
    this.part("letter")[this.part("unfold").hidden ? "after" : "before"](...this.#all("[data-part='remember']"));
    const alone = family.switchChain === undefined;
    this.part("networks").hidden = alone;
    this.part("switch-yourself").hidden = !alone;
    this.part("recheck").classList.toggle("button--primary", alone);
    this.part("recheck").classList.toggle("button--quiet", !alone);
  }

  drawAccounts() {
    this.part("accounts").replaceChildren(...this.#connection.accounts.map((address, at) => {
      const row = copy(this.#panel, "account-row");
      button(row).dataset.address = address;
      // Whole: the first and last digits alone can be made to look like those of another account.
      part(row, "address").textContent = address;
      part(row, "active").hidden = at > 0;
      return row;
    }));
  }

  #countDown() {
    const left = Math.ceil((this.#retryAt - performance.now()) / 1000);
    const over = left <= 0;
    this.fill("seconds", String(Math.max(left, 0)));
    this.part("waiting").hidden = over;
    this.part("waited").hidden = !over;
    for (const retry of this.#all("[data-for='rate_limited'] [data-action='retry']")) flag(retry, "aria-disabled", !over);
    if (over) return announce(this.#panel, this.part("waited").textContent ?? "");
    this.#timer = setTimeout(() => this.#countDown(), 250);
  }

  /**
   * Keeps the focus where it is as long as that is still there; else takes it to what comes next.
   * @param {Element | null} focused @param {string | undefined} phaseBefore
   */
  #moveFocus(focused, phaseBefore) {
    const { phase } = this.#connection;
    const heading = firstShown(this.#panel, "[data-focus]");
    if (phaseBefore === undefined) return;
    if (heading) return heading.focus();
    if (phaseBefore !== phase) return this.part(`${phase}-heading`).focus();
    if (!isLost(focused) || focused === null || this.is("resting")) return;
    const next = firstShown(this.#panel, "[data-testid='error'] button, [data-part='accounts'] button");
    (next ?? this.part(`${phase}-heading`)).focus();
  }

  #focusFirstWallet() {
    const first = this.part("wallets").querySelector("button");
    (first ?? this.part("connect-heading")).focus();
  }

  /** @param {string} chain @returns {string} "" for a network that is not accepted */
  chainName(chain) {
    const row = this.#all("[data-chain]").find((each) => each.dataset.chain === chain);
    return row ? (part(row, "chain-name").textContent ?? "") : "";
  }

  /** The accepted networks of a namespace, CAIP-2. @param {string} namespace */
  chains(namespace) {
    const all = this.#all("[data-chain]").map((each) => each.dataset.chain ?? "");
    return all.filter((chain) => chain.startsWith(`${namespace}:`));
  }

  /** @param {string} name @param {string} text */
  fill(name, text) { fillSlots(this.#panel, name, text); }

  /** @param {string} name @returns {HTMLElement} */
  part(name) { return part(this.#panel, name); }

  /** @param {string} selector @returns {HTMLElement[]} */
  #all(selector) { return Array.from(this.#panel.querySelectorAll(selector)); }
}

/** Only decides which help is offered when no wallet is there. */
function onPhone() {
  const agent = navigator.userAgent;
  const tablet = /Macintosh/.test(agent) && navigator.maxTouchPoints > 1;
  return /Android|iPhone|iPad|iPod/.test(agent) || tablet;
}
