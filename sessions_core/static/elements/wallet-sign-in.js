// @ts-check
/**
 * <wallet-sign-in>: the panel around a server-rendered form that signs in or, with `data-purpose="link"`, links another
 * wallet. It connects a wallet, has the server write a fresh text for each attempt, asks the wallet to sign it, fills
 * the hidden inputs and submits the form as any form is submitted.
 *
 * All words are in the template. This element shows the parts whose `data-for` names the state in
 * `data-state`, and fills names and numbers.
 */
import { accountId, namespaceOf, same, shorten } from "../lib/accounts.js";
import * as challenges from "../lib/challenge.js";
import { openChannel } from "../lib/channel.js";
import { keepsCookies } from "./wallet-sign-in/cookie-check.js";
import { familyOf } from "../wallets/families.js";
import { visit } from "../page/fragment.js";
import { HttpError } from "../lib/http.js";
import {
  BUSY, CHOOSING_NETWORK, CLOSED, CONNECT_FAILURES, LINK_REFUSALS, RESTING, SIGN_FAILURES, SWITCH_FAILURES,
  UNCONNECTED, afterRefusal,
} from "./wallet-sign-in/states.js";
import { SLOW_MS, WalletError, withAbort, answered, explain, hint, signed } from "../wallets/answers.js";
import { isRememberedWallet, rememberAnswer, rememberWallet } from "../wallets/choices.js";
import {
  announce, button, copy, fillSlots, firstShown, flag, part, say, show, showTechnical,
} from "../page/parts.js";
import { drawTile, drawWallets, fillWallet } from "../wallets/rows.js";
import { MAX_SAID, printable, quoted } from "../wallets/words.js";
import { discover, installed, list, providerOf } from "../wallets/discovery.js";

/** @typedef {import("../wallets/discovery.js").Wallet} Wallet */
/** @typedef {challenges.Challenge} Challenge */
/** @typedef {import("../wallets/answers.js").Kind} Kind */

/** A text with less time left than this is replaced before it is shown to the wallet. */
const SIGNING_MARGIN_MS = 30_000;
const DEFAULT_RETRY_SECONDS = 60;
/** Some wallets say that they switched before they have: how long they are asked again, and how often. */
const SWITCHING_MS = 3_000;
const ASK_AGAIN_MS = 150;

class WalletSignIn extends HTMLElement {
  /** The running attempt. Aborting it makes every answer that is still to come a stranger's. */
  #attempt = new AbortController();
  /** @type {Wallet | null} */
  #wallet = null;
  /** @type {string[]} */
  #accounts = [];
  #address = "";
  #offered = "";
  /** The network that the wallet was asked to switch to. */
  #target = "";
  /** The network that the wallet said it is on, accepted or not. */
  #reported = "";
  /** The accepted network that the wallet is on; with an address, step 1 is done. */
  #chain = "";
  /** @type {Challenge | null} */
  #challenge = null;
  /** @type {() => void} */
  #unwatch = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #retryAt = 0;
  #signedOnce = false;
  #submitting = false;
  #connected = false;
  /** Whether wallets have had the time to be found. */
  #looked = false;

  connectedCallback() {
    if (this.#connected) return;
    this.#connected = true;
    this.addEventListener("click", (event) => this.#clicked(event));
    this.#form.addEventListener("submit", (event) => {
      // Enter in a field must not send an empty signature.
      if (!this.#submitting) event.preventDefault();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#startOver();
    });

    const first = this.dataset.state ?? "idle";
    if (!window.isSecureContext) return this.#show("insecure_context");
    // Who is signed in has brought one.
    if (this.dataset.signedIn === undefined && !keepsCookies(this.dataset.secureCookies !== undefined)) {
      return this.#show("cookies_blocked");
    }
    this.#fill("host", location.host);
    this.#fill("preferred", quoted(this.dataset.preferred));
    if (first === "idle") this.#show("scanning");
    else this.#show(first, { retryAfter: Number(this.dataset.retryAfter) || DEFAULT_RETRY_SECONDS });
    // A message that is there when the page loads is read to nobody unless it has the focus.
    if (first !== "idle") this.#focusMessage();

    if (this.dataset.signedIn === undefined) openChannel((message) => this.#heard(message));
    discover(window, {
      families: this.dataset.families,
      incomplete: () => { this.dataset.incomplete = ""; },
      legacyName: this.dataset.legacyName,
      ownName: this.dataset.ownName,
      identityUrl: this.dataset.identityUrl,
      changed: () => this.#walletsChanged(),
      scanned: () => this.#scanned(),
    });
  }

  // ---- Wallets in this browser ------------------------------------------------------------------

  #walletsChanged() {
    this.#drawWallets();
    this.#drawHosted();
    if (["scanning", "no_wallet", "in_app_browser"].includes(this.#state) && installed().length) {
      this.#show("wallet_list");
    }
  }

  #scanned() {
    this.#looked = true;
    if (this.#state === "scanning") this.#show(this.#resting);
  }

  #drawWallets() {
    if (drawWallets(this)) this.#focusFirstWallet();
    this.#drawButtons();
  }

  /**
   * The wallet that was used before the server showed the page again, if its name is here once; of one name in several
   * families, the one that was used last. Never one that may be an imitation.
   */
  #preferredWallet() {
    const name = printable(this.dataset.preferred);
    const named = list().filter((wallet) => name && wallet.name === name);
    const possible = named.length > 1 ? named.filter(isRememberedWallet) : named;
    return possible.length === 1 && !possible[0].twin ? possible[0] : null;
  }

  // ---- What the person does ---------------------------------------------------------------------

  /** @param {MouseEvent} event */
  #clicked(event) {
    const control = event.target instanceof Element ? event.target.closest("[data-action]") : null;
    if (!(control instanceof HTMLElement) || control.getAttribute("aria-disabled") === "true") return;
    const { action, walletId = "", address = "", chain = "" } = control.dataset;
    switch (action) {
      case "wallet": return this.#connect(walletId);
      case "account": return this.#run((signal) => this.#useAccount(address, signal), CONNECT_FAILURES);
      case "switch": return this.#switchTo(chain);
      case "recheck": return this.#recheck();
      case "sign": return this.#sign();
      case "retry": return this.#retry();
      case "reconnect": return this.#reconnect();
      case "use-offered": return this.#run((signal) => this.#useAccount(this.#offered, signal), CONNECT_FAILURES);
      case "keep": return this.#run((signal) => this.#checkNetwork(signal), CONNECT_FAILURES);
      case "renew": return this.#renew();
      case "cancel": return this.#cancel();
      case "another": return this.#useAnother();
      case "another-account": return this.#connect(this.#wallet?.id ?? "", true);
    }
  }

  /**
   * Runs one attempt. It ends the one before: what that one is still told is ignored.
   * @param {(signal: AbortSignal) => Promise<void>} work
   * @param {Record<Kind, string>} failures
   */
  #run(work, failures) {
    this.#attempt.abort();
    const attempt = (this.#attempt = new AbortController());
    work(attempt.signal).catch((error) => {
      if (attempt.signal.aborted) return;
      if (error instanceof HttpError) return this.#serverRefused(error);
      if (error instanceof challenges.UnexpectedMessage) {
        return this.#show(error.elsewhere ? "domain_mismatch" : "text_changed", { technical: [error.message] });
      }
      const refusal = explain(error, new Map());
      const next = failures[refusal.kind];
      if (UNCONNECTED.has(next)) this.#disconnect({ keepWallet: true });
      this.#show(next, { technical: [refusal.code, quoted(refusal.message, MAX_SAID)] });
    });
  }

  /** @param {string} id @param {boolean} [another] whether to ask for other accounts than are shared already */
  #connect(id, another = false) {
    const wallet = list().find((each) => each.id === id);
    const provider = providerOf(id);
    if (!wallet || !provider) return;
    this.#disconnect();
    this.#wallet = wallet;
    fillWallet(this, wallet);
    const family = familyOf(wallet);
    this.#drawFamily(wallet.family);
    this.#run(async (signal) => {
      this.#show("connecting");
      const asked = another && family.connectAnother
        ? family.connectAnother(provider) : family.connect(provider, this.#site, signal);
      const accounts = await withAbort(asked, signal);
      if (!accounts.length) return this.#show("no_accounts");
      this.#accounts = accounts;
      this.#unwatch = family.watch(provider, {
        accounts: (changed) => this.#accountsChanged(changed),
        chain: (changed) => this.#chainChanged(changed),
      });
      if (accounts.length > 1) {
        this.#drawAccounts();
        return this.#show("choose_account");
      }
      await this.#useAccount(accounts[0], signal);
    }, CONNECT_FAILURES);
  }

  /** @param {string} address @param {AbortSignal} signal */
  async #useAccount(address, signal) {
    this.#address = address;
    this.#challenge = null;
    this.#fill("address", shorten(address));
    await this.#checkNetwork(signal);
  }

  /** @param {AbortSignal} signal */
  async #checkNetwork(signal) {
    if (!BUSY.has(this.#state) && !CHOOSING_NETWORK.has(this.#state)) this.#show("preparing");
    const chain = await this.#askChain(signal);
    this.#reported = chain;
    const name = this.#chainName(chain);
    if (!name) {
      this.#chain = "";
      const number = chain.slice(namespaceOf(chain).length + 1);
      this.#fill("number", number.slice(0, 12));
      this.#part("chain-number").hidden = !/^\d+$/.test(number);
      return this.#show("wrong_network");
    }
    this.#part("network-note").hidden = !(this.#challenge && this.#chain !== chain);
    this.#chain = chain;
    this.#fill("network", name);
    await this.#prepare(signal);
  }

  /**
   * The network that the wallet is on. Of one that can't say, the first that is accepted: the text names it, and the
   * person reads the text.
   * @param {AbortSignal} signal
   */
  async #askChain(signal) {
    const [preferred] = this.#site.chains;
    const asked = this.#family.chain(this.#provider, this.#address, this.#site).catch((error) => {
      if (preferred && ["unsupported", "locked"].includes(error?.kind)) return preferred;
      throw error;
    });
    return answered(asked, signal);
  }

  /** @param {string} chain */
  #switchTo(chain) {
    // After the server has shown the page again, there is nobody to ask yet.
    const switchChain = this.#address && this.#family.switchChain;
    if (!switchChain) return this.#retry();
    this.#target = chain;
    this.#fill("target", this.#chainName(chain));
    this.#run(async (signal) => {
      this.#show("switching");
      await withAbort(switchChain(this.#provider, chain), signal);
      if (await this.#seesNo(chain, signal)) return this.#show("switch_unseen");
      await this.#checkNetwork(signal);
    }, SWITCH_FAILURES);
  }

  /**
   * Whether a wallet that says it switched is still on the network of before, and that one is not accepted.
   * @param {string} chain that it was to switch to @param {AbortSignal} signal
   */
  async #seesNo(chain, signal) {
    const [before, end] = [this.#reported, performance.now() + SWITCHING_MS];
    for (;;) {
      const now = await this.#askChain(signal);
      if (now !== before || now === chain) return false;
      if (performance.now() > end) return !this.#chainName(now);
      await withAbort(new Promise((resolve) => { setTimeout(resolve, ASK_AGAIN_MS); }), signal);
    }
  }

  /** Where no site can ask a wallet to switch, its addresses tell the network: it has to share them again. */
  #recheck() {
    if (this.#address && !this.#family.switchChain) return this.#reconnect();
    this.#run((signal) => this.#checkNetwork(signal), CONNECT_FAILURES);
  }

  /** @param {AbortSignal} signal */
  async #prepare(signal) {
    this.#show("preparing");
    const account = accountId(this.#chain, this.#address);
    const url = this.dataset.challengeUrl ?? "";
    const { purpose, statement = "" } = this.dataset;
    const kind = this.#form.elements.namedItem("session_type");
    const session_type = kind instanceof HTMLInputElement ? kind.value : undefined;
    const body = { account, purpose, session_type };
    this.#challenge = await challenges.ask(url, body, { account, statement, signal, chainWord: this.#family.chainWord });
    this.#address = this.#challenge.address;
    this.#fill("address", shorten(this.#address));
    this.#show("ready_to_sign");
  }

  #sign() {
    this.#run(async (signal) => {
      const [provider, family] = [this.#provider, this.#family];
      const { address, chain } = { address: this.#address, chain: this.#chain };
      this.#show("signing");
      // Some wallets change accounts or networks without an event.
      const [accounts, now] = await Promise.all([
        hint(family.accounts(provider), signal), hint(family.chain(provider, address, this.#site), signal),
      ]);
      if (accounts?.length && !accounts.some((each) => same(each, address))) return this.#show("address_mismatch");
      if (now && now !== chain) return this.#checkNetwork(signal);

      const old = this.#challenge;
      if (!old || old.spent || performance.now() > old.deadline - SIGNING_MARGIN_MS) {
        await this.#prepare(signal);
        if (this.#state !== "ready_to_sign") return;
        this.#show("signing");
      }
      const challenge = /** @type {Challenge} */ (this.#challenge);
      // Whatever comes of it, the next attempt gets a text of its own.
      challenge.spent = true;
      this.#signedOnce = true;
      const signature = await withAbort(
        signed(family.sign(provider, challenge.message, address, challenge)), signal);
      if (performance.now() > challenge.deadline) return this.#show("nonce_expired");
      this.#submit(challenge, signature);
    }, SIGN_FAILURES);
  }

  /** @param {Challenge} challenge @param {string} signature */
  #submit(challenge, signature) {
    this.#write({
      account: challenge.account,
      message: challenge.message,
      challenge: challenge.challenge,
      signature,
      wallet: this.#wallet?.name ?? "",
    });
    // Which account to use, the person has just said: no page need ask because the wallet puts another one first.
    if (!this.#linking && !same(this.#accounts[0] ?? this.#address, this.#address)) {
      rememberAnswer(challenge.account, this.#accounts[0]);
    }
    if (this.#wallet) rememberWallet(this.#wallet);
    this.#show("verifying");
    this.#submitting = true;
    this.#form.requestSubmit();
    this.#submitting = false;
  }

  #retry() {
    if (this.#retryAt > performance.now()) return;
    if (this.#address && this.#wallet) {
      return this.#run((signal) => this.#checkNetwork(signal), CONNECT_FAILURES);
    }
    this.#reconnect();
  }

  #reconnect() {
    const [only = null, ...others] = list();
    const wallet = this.#wallet ?? this.#preferredWallet() ?? (others.length || only?.twin ? null : only);
    if (wallet && providerOf(wallet.id)) return this.#connect(wallet.id);
    this.#rest();
  }

  /** The wallet can't sign any more, and the person wants another in its place. */
  #renew() {
    this.#run(async () => {
      await this.#family.renew?.(this.#provider);
      this.#reconnect();
    }, CONNECT_FAILURES);
  }

  #cancel() {
    const sent = this.#state === "verifying";
    const chosen = this.#wallet?.id;
    this.#attempt.abort();
    this.#disconnect();
    this.#rest(chosen);
    // The form may have reached the server already: only the server knows, so ask it.
    if (sent) visit(this.#freshUrl);
  }

  #useAnother() {
    this.#show(this.#resting);
    this.#part("connect-heading").focus();
  }

  /** Back in a page that the browser had frozen: its texts, tokens and wallets are of the past. */
  #startOver() {
    this.#attempt.abort();
    this.#disconnect();
    this.#write({ message: "", challenge: "", signature: "", wallet: "" });
    if (!CLOSED.has(this.#state)) this.#show(this.#resting);
    visit(this.#freshUrl);
  }

  // ---- What happens by itself -------------------------------------------------------------------

  /** @param {string[]} accounts */
  #accountsChanged(accounts) {
    if (this.#state === "verifying" || !this.#wallet) return;
    const before = this.#accounts[0];
    this.#accounts = accounts;
    if (!accounts.length) {
      this.#attempt.abort();
      this.#disconnect({ keepWallet: true });
      return this.#show("wallet_locked");
    }
    if (this.#state === "choose_account") return this.#drawAccounts();
    if (!this.#address || RESTING.has(this.#state) || same(accounts[0], before)) return;
    if (same(accounts[0], this.#address)) return;
    this.#attempt.abort();
    this.#offered = accounts[0];
    this.#fill("offered", shorten(this.#offered));
    this.#part("keep").hidden = !accounts.some((each) => same(each, this.#address));
    this.#show("account_switched");
  }

  /** @param {string | null} chain */
  #chainChanged(chain) {
    const unmoved = chain !== null && chain === this.#chain;
    const waitsForPerson = ["choose_account", "account_switched", "address_mismatch", "verifying"];
    if (unmoved || !this.#address || RESTING.has(this.#state) || waitsForPerson.includes(this.#state)) return;
    this.#run((signal) => this.#checkNetwork(signal), CONNECT_FAILURES);
  }

  /** A page of a session has opened in another tab. @param {import("../lib/channel.js").Message} message */
  #heard(message) {
    if (message.type !== "extended" || BUSY.has(this.#state) || CLOSED.has(this.#state)) return;
    if (this.#phase === "connect") this.#show("success");
  }

  /** @param {HttpError} error */
  #serverRefused(error) {
    // A kind of session that this account may not have: that page says how to get it.
    if (error.code === "permission_denied" && this.dataset.refusedUrl) return visit(this.dataset.refusedUrl);
    const technical = [error.code, error.status || "", error.requestId ?? "", error.developers];
    const state = afterRefusal(error, this.#linking);
    if (LINK_REFUSALS.has(state)) this.#disconnect({ keepWallet: true });
    if (state === "wrong_network") {
      this.#chain = "";
      this.#part("chain-number").hidden = true;
    }
    this.#show(state, { technical, retryAfter: error.retryAfter ?? DEFAULT_RETRY_SECONDS });
    if (error.developers) this.#part("technical").setAttribute("open", "");
  }

  // ---- The page ---------------------------------------------------------------------------------

  get #state() { return this.dataset.state ?? "idle"; }
  /** The page links another account to that of its session: nobody is signed in by what is signed here. */
  get #linking() { return this.dataset.purpose === "link"; }
  /** Step 2 is the current one once an account on an accepted network is chosen. */
  get #phase() { return this.#address && this.#chain ? "sign" : "connect"; }
  /** What the panel shows while nothing happens. */
  get #resting() {
    if (installed().length) return "wallet_list";
    if (!this.#looked) return "scanning";
    return onPhone() ? "in_app_browser" : "no_wallet";
  }
  get #form() { return /** @type {HTMLFormElement} */ (this.querySelector("form.sign-in__form")); }
  get #freshUrl() {
    return /** @type {HTMLAnchorElement} */ (this.querySelector("[data-testid='reload']")).href;
  }
  get #family() {
    if (!this.#wallet) throw new WalletError("disconnected", undefined, "");
    return familyOf(this.#wallet);
  }
  get #site() {
    const own = `${this.#family.NAMESPACE}:`;
    const chains = Array.from(this.querySelectorAll("[data-chain]"), (each) => each.getAttribute("data-chain") ?? "");
    const { accountUrl = "", walletsUrl = "" } = this.dataset;
    const csrf = /** @type {HTMLInputElement} */ (this.#form.elements.namedItem("csrf_token")).value;
    return { chains: chains.filter((chain) => chain.startsWith(own)), accountUrl, walletsUrl, csrf };
  }
  get #provider() {
    const provider = this.#wallet && providerOf(this.#wallet.id);
    if (!provider) throw new WalletError("disconnected", undefined, "");
    return provider;
  }

  /**
   * @param {string} state
   * @param {{technical?: unknown[], retryAfter?: number}} [details]
   */
  #show(state, { technical = [], retryAfter = 0 } = {}) {
    const phaseBefore = this.dataset.phase;
    const focused = document.activeElement;
    clearTimeout(this.#timer);
    if (state !== this.#state) {
      // What the server said belongs to the state that it rendered.
      for (const old of this.querySelectorAll("[data-testid='server-code']")) old.remove();
    }
    this.dataset.state = state;
    this.dataset.phase = this.#phase;
    show(this, [state], { phase: this.#phase });
    showTechnical(this, technical);
    this.#drawHosted();
    this.#drawSteps();
    this.#drawButtons();
    if (state === "connecting") this.#timer = setTimeout(() => this.#show("connect_slow"), SLOW_MS);
    const slow = this.querySelector(`[data-slow="${state}"]`);
    if (slow instanceof HTMLElement) {
      this.#timer = setTimeout(() => {
        slow.hidden = false;
        announce(this, slow.textContent ?? "");
      }, SLOW_MS);
    }
    this.#retryAt = 0;
    if (state === "rate_limited") {
      this.#retryAt = performance.now() + retryAfter * 1000;
      this.#countDown();
    }
    say(this);
    this.#moveFocus(focused, phaseBefore);
  }

  /** Where no wallet is installed, some may need no installing. */
  #drawHosted() {
    const without = ["no_wallet", "in_app_browser"].includes(this.#state);
    const hosted = list().some((wallet) => wallet.hosted);
    this.#part("nothing-to-install").hidden = !(without && hosted);
    if (this.#state === "in_app_browser") this.#form.hidden = !hosted;
  }

  #drawSteps() {
    const state = this.#state;
    const signing = this.#phase === "sign";
    for (const step of this.querySelectorAll("[data-step]")) {
      const current = step.getAttribute("data-step") === this.#phase;
      if (current) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
      step.toggleAttribute("data-done", signing && !current);
    }
    const chosen = Boolean(this.#address && this.#wallet);
    this.#part("chosen").hidden = !chosen;
    this.#part("chosen-network").hidden = !signing;
    if (chosen && this.#wallet) drawTile(this.#part("chosen-tile"), this.#wallet);
    const asksAgain = this.#wallet !== null && familyOf(this.#wallet).connectAnother !== undefined;
    for (const each of this.querySelectorAll("[data-part='another-account']")) {
      each.toggleAttribute("hidden", !(asksAgain && (chosen || LINK_REFUSALS.has(state))));
    }
    const hasText = signing && Boolean(this.#challenge);
    const stopped = ["account_switched", "address_mismatch", "domain_mismatch", "text_changed"].includes(state);
    this.#part("sign-later").hidden = signing;
    this.#part("letter").hidden = !signing || stopped || !(hasText || state === "preparing");
    this.#part("preview").textContent = this.#challenge?.message ?? "";
    this.#part("remember").hidden = !signing || stopped;
    this.#part("sign-actions").hidden = !signing;
    for (const each of this.querySelectorAll("[data-slow]")) each.toggleAttribute("hidden", true);
    const button = this.#part("sign-button");
    button.hidden = !["preparing", "ready_to_sign", "signing", "rejected_sign", "sign_failed", "request_pending", "verifying"]
      .includes(state);
    this.#part("sign-first").hidden = this.#signedOnce;
    this.#part("sign-again").hidden = !this.#signedOnce;
    if (!["preparing", "ready_to_sign"].includes(state)) this.#part("network-note").hidden = true;
  }

  /** One button pending, and still focusable, so that the keyboard does not lose its place. */
  #drawButtons() {
    const busy = BUSY.has(this.#state);
    const signing = ["preparing", "signing", "verifying"].includes(this.#state);
    const wallet = this.#wallet ?? this.#preferredWallet();
    // Said of a wallet that is here only: anybody can write a name into a link.
    this.#part("preferred").hidden = this.#wallet !== null || wallet === null;
    for (const control of this.querySelectorAll("form [data-action], form input[type='checkbox']")) {
      if (!(control instanceof HTMLButtonElement || control instanceof HTMLInputElement)) continue;
      const { action, walletId, chain } = control.dataset;
      if (action === "cancel") continue;
      const chosen = walletId !== undefined && walletId === wallet?.id;
      const target = this.#state === "switching" && chain !== undefined && chain === this.#target;
      const pending = busy && (chosen || target || (signing && action === "sign"));
      flag(control, "aria-disabled", pending);
      flag(control, "aria-busy", pending);
      if (chosen) control.dataset.chosen = "";
      else delete control.dataset.chosen;
      // The box is sent with the form: a disabled one would not be.
      if (control instanceof HTMLButtonElement) control.disabled = busy && !pending;
    }
    flag(this, "aria-busy", this.#state === "verifying");
  }

  /** The networks and the words of one kind of wallet. @param {string} name of its family */
  #drawFamily(name) {
    const family = this.#family;
    for (const each of this.querySelectorAll("[data-family]")) {
      each.toggleAttribute("hidden", !words(each.getAttribute("data-family") ?? "").includes(name));
    }
    for (const each of this.querySelectorAll("[data-namespace]")) {
      each.toggleAttribute("hidden", !words(each.getAttribute("data-namespace") ?? "").includes(family.NAMESPACE));
    }
    const alone = family.switchChain === undefined;
    this.#part("networks").hidden = alone;
    this.#part("switch-yourself").hidden = !alone;
    this.#part("recheck").classList.toggle("button--primary", alone);
    this.#part("recheck").classList.toggle("button--quiet", !alone);
  }

  #drawAccounts() {
    const rows = this.#part("accounts");
    rows.replaceChildren(...this.#accounts.map((address) => {
      const row = copy(this, "account-row");
      button(row).dataset.address = address;
      part(row, "address").textContent = shorten(address);
      return row;
    }));
  }

  #countDown() {
    const left = Math.ceil((this.#retryAt - performance.now()) / 1000);
    const over = left <= 0;
    this.#fill("seconds", String(Math.max(left, 0)));
    this.#part("waiting").hidden = over;
    this.#part("waited").hidden = !over;
    for (const retry of this.querySelectorAll("[data-for='rate_limited'] button")) {
      flag(retry, "aria-disabled", !over);
    }
    if (over) return announce(this, this.#part("waited").textContent ?? "");
    this.#timer = setTimeout(() => this.#countDown(), 250);
  }

  /**
   * Keeps the focus where it is as long as that is still there; else takes it to what comes next.
   * @param {Element | null} focused @param {string | undefined} phaseBefore
   */
  #moveFocus(focused, phaseBefore) {
    const heading = firstShown(this, "[data-focus]");
    if (phaseBefore === undefined) return;
    if (heading) return heading.focus();
    if (phaseBefore !== this.#phase) return this.#part(`${this.#phase}-heading`).focus();
    const lost = focused === null || focused === document.body || !focused.isConnected
      || focused.closest("[hidden]") !== null || (focused instanceof HTMLButtonElement && focused.disabled);
    if (!lost || focused === null || RESTING.has(this.#state)) return;
    const next = firstShown(this, "[data-testid='error'] button, [data-part='accounts'] button");
    (next ?? this.#part(`${this.#phase}-heading`)).focus();
  }

  #focusMessage() {
    const message = firstShown(this, "[data-focus]") ?? firstShown(this, "[data-testid='error']");
    if (!message) return;
    if (!message.hasAttribute("tabindex")) message.tabIndex = -1;
    message.focus();
  }

  #focusFirstWallet() {
    const first = this.#part("wallets").querySelector("button");
    (first ?? this.#part("connect-heading")).focus();
  }

  /** Back to the list, at the place where the person was. @param {string} [chosen] */
  #rest(chosen) {
    this.#show(this.#resting);
    const row = chosen && firstShown(this, `[data-wallet-id="${CSS.escape(chosen)}"]`);
    if (row) row.focus();
    else this.#focusFirstWallet();
  }

  /** @param {{keepWallet?: boolean}} [options] */
  #disconnect({ keepWallet = false } = {}) {
    this.#unwatch();
    this.#unwatch = () => {};
    this.#accounts = [];
    this.#address = this.#offered = this.#chain = "";
    this.#challenge = null;
    this.#signedOnce = false;
    if (!keepWallet) this.#wallet = null;
  }

  /** @param {Record<string, string>} fields */
  #write(fields) {
    for (const [name, value] of Object.entries(fields)) {
      const input = this.#form.elements.namedItem(name);
      if (input instanceof HTMLInputElement) input.value = value;
    }
  }

  /** @param {string} name @param {string} text */
  #fill(name, text) { fillSlots(this, name, text); }

  /** @param {string} chain @returns {string} "" for a network that is not accepted */
  #chainName(chain) {
    const row = Array.from(this.querySelectorAll("[data-chain]"))
      .find((each) => each instanceof HTMLElement && each.dataset.chain === chain);
    return row ? (part(row, "chain-name").textContent ?? "") : "";
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) { return part(this, name); }
}

/** @param {string | undefined} text */
function words(text) {
  return (text ?? "").split(" ").filter(Boolean);
}

/** Only decides which help is offered when no wallet is there. */
function onPhone() {
  const agent = navigator.userAgent;
  const tablet = /Macintosh/.test(agent) && navigator.maxTouchPoints > 1;
  return /Android|iPhone|iPad|iPod/.test(agent) || tablet;
}

customElements.define("wallet-sign-in", WalletSignIn);
