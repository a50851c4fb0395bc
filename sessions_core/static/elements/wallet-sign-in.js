// @ts-check
/**
 * <wallet-sign-in>: the panel around a server-rendered form that signs in or, with `data-purpose="link"`, links another
 * wallet. It connects a wallet, asks it to sign a message that the server wrote, and submits the form.
 *
 * All words are in the template. This element shows the parts whose `data-for` names the state in `data-state` or a word
 * of the table in `data-states`, and fills names and numbers.
 *
 * With `data-begin` a link asked for the wallet that the site itself offers (`data-offer`). "now": a click on this site
 * led here, so the panel goes on to the session by itself. "offer": the link may come from anywhere, so nothing is made
 * before the user presses the offer, which then has the focus.
 *
 * The folder wallet-sign-in/ has its subjects: flow.js goes the way to a signature, connection.js is the wallet on it,
 * attempts.js runs one attempt at a time, view.js draws the panel, offers.js orders what to sign in with, focus.js leads
 * the focus, states.js says which state follows a refusal.
 */
import { openChannel } from "../lib/channel.js";
import { visit } from "../page/fragment.js";
import { discover, installed } from "../wallets/discovery.js";
import { Attempts, DEFAULT_RETRY_SECONDS } from "./wallet-sign-in/attempts.js";
import { Connection } from "./wallet-sign-in/connection.js";
import { keepsCookies } from "./wallet-sign-in/cookie-check.js";
import { focusMessage } from "./wallet-sign-in/focus.js";
import { SignInFlow } from "./wallet-sign-in/flow.js";
import { PanelStates } from "./wallet-sign-in/states.js";
import { SignInView } from "./wallet-sign-in/view.js";

class WalletSignIn extends HTMLElement {
  #states = new PanelStates(this.dataset.states);
  #connection = new Connection();
  #view = new SignInView(this, this.#connection, this.#states);
  /** @type {SignInFlow} */ #flow = /** @type {any} */ (null);
  #connected = false;
  /** What `data-begin` asks for was done. */
  #begun = false;

  connectedCallback() {
    if (this.#connected) return;
    this.#connected = true;
    const form = /** @type {HTMLFormElement} */ (this.querySelector("form.sign-in__form"));
    const attempts = new Attempts(this, this.#view, this.#connection, this.#states);
    this.#flow = new SignInFlow(this, form, this.#view, this.#connection, attempts);
    this.addEventListener("click", (event) => this.#clicked(event));
    form.addEventListener("submit", (event) => {
      // Enter in a field must not send an empty signature.
      if (!this.#flow.submitting) event.preventDefault();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#startOver();
    });

    const first = this.dataset.state ?? "idle";
    if (!window.isSecureContext) return this.#view.show("insecure_context");
    // Users who are signed in have brought one.
    if (this.dataset.signedIn === undefined && !keepsCookies(this.dataset.secureCookies !== undefined)) {
      return this.#view.show("cookies_blocked");
    }
    this.#view.fill("host", location.host);
    if (first === "idle") this.#view.show("scanning");
    else this.#view.show(first, { retryAfter: Number(this.dataset.retryAfter) || DEFAULT_RETRY_SECONDS });
    if (first !== "idle") focusMessage(this);

    if (this.dataset.signedIn === undefined) openChannel((message) => this.#heard(message));
    discover(window, {
      families: this.dataset.families,
      legacyName: this.dataset.legacyName,
      ownName: this.dataset.ownName,
      identityUrl: this.dataset.identityUrl,
      incomplete: () => { this.dataset.incomplete = ""; },
      changed: () => this.#walletsChanged(),
      scannedOnce: () => this.#scannedOnce(),
      scanned: () => this.#scanned(),
    });
  }

  #walletsChanged() {
    this.#view.drawWallets();
    this.#view.offers.draw();
    // Where nothing was found until now.
    const waiting = this.#view.is("resting") && this.#view.state !== "wallet_list";
    if (waiting && installed().length) this.#view.show("wallet_list");
    this.#announceFound();
    this.#begin();
  }

  #announceFound() {
    if (this.#view.state === "wallet_list") this.#view.offers.announce();
  }

  #begin() {
    const { begin } = this.dataset;
    const offer = begin && !this.#begun ? this.#view.offer() : undefined;
    if (!offer) return;
    this.#begun = true;
    // Not again after a reload, nor on the way back.
    const [arrival] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
    if (begin === "now" && arrival?.type === "navigate") offer.click();
  }

  #scannedOnce() {
    this.#view.offers.lookedOnce = true;
    if (this.#view.state === "scanning") this.#view.show(this.#view.resting);
    else this.#view.offers.draw();
    this.#announceFound();
  }

  #scanned() {
    this.#view.looked = true;
    if (this.#view.state === "scanning") this.#view.show(this.#view.resting);
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const control = event.target instanceof Element ? event.target.closest("[data-action]") : null;
    if (!(control instanceof HTMLElement) || control.getAttribute("aria-disabled") === "true") return;
    const { action, walletId = "", address = "", chain = "" } = control.dataset;
    switch (action) {
      case "wallet": return this.#flow.connect(walletId, {
        signs: this.dataset.begin !== undefined && control.closest("[data-offer]") !== null,
      });
      case "account": return this.#flow.chooseAccount(address);
      case "switch": return this.#flow.switchTo(chain);
      case "recheck": return this.#flow.recheck();
      case "sign": return this.#flow.sign();
      case "unfold": return this.#view.unfold();
      case "retry": return this.#flow.retry();
      case "reconnect": return this.#flow.reconnect();
      case "use-offered": return this.#flow.chooseOffered();
      case "keep": return this.#flow.goOn();
      case "renew": return this.#flow.renew();
      case "cancel": return this.#cancel();
      case "another": return this.#useAnother();
      case "another-account": return this.#flow.connectAnother();
    }
  }

  #cancel() {
    const sent = this.#view.state === "verifying";
    const chosen = this.#connection.wallet?.id;
    this.#flow.stop();
    this.#view.rest(chosen);
    // The form may have reached the server already: only the server knows, so ask it.
    if (sent) visit(this.#freshUrl);
  }

  #useAnother() {
    this.#view.show(this.#view.resting);
    this.#view.part("connect-heading").focus();
  }

  /** Back in a page that the browser had frozen: its messages, tokens and wallets are outdated. */
  #startOver() {
    this.#flow.clear();
    if (!this.#view.is("closed")) this.#view.show(this.#view.resting);
    visit(this.#freshUrl);
  }

  /** A page of a session has opened in another tab. @param {import("../lib/channel.js").Message} message */
  #heard(message) {
    if (message.type !== "extended" || this.#view.is("busy") || this.#view.is("closed")) return;
    if (this.#connection.phase === "connect") this.#view.show("success");
  }

  get #freshUrl() {
    return /** @type {HTMLAnchorElement} */ (this.querySelector("[data-testid='reload']")).href;
  }
}

customElements.define("wallet-sign-in", WalletSignIn);
