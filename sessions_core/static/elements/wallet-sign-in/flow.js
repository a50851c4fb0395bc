// @ts-check
/**
 * The way to a signature: connect a wallet, choose an account and a network, have the server write a fresh message for
 * each attempt, have the wallet sign it, submit the form as any form is submitted.
 */
import { accountId, namespaceOf, same, shorten } from "../../lib/accounts.js";
import { ask } from "../../lib/challenge.js";
import { hint, signed, withAbort } from "../../wallets/answers.js";
import { rememberAnswer, rememberWallet } from "../../wallets/choices.js";
import { list, providerOf } from "../../wallets/discovery.js";
import { fillWallet } from "../../wallets/rows.js";
import { preferredWallet } from "./connection.js";
import { SIGN_FAILURES, SWITCH_FAILURES } from "./states.js";

/** @typedef {import("../../lib/challenge.js").Challenge} Challenge */

/** A message with less time left than this is replaced before the wallet shows it. */
const SIGNING_MARGIN_MS = 30_000;

export class SignInFlow {
  /** The form is being submitted by this script, with a signature in it. */
  submitting = false;
  /** Sign the first message as soon as it is ready. */
  #signs = false;
  #panel;
  #form;
  #view;
  #connection;
  #attempts;

  /**
   * @param {HTMLElement} panel @param {HTMLFormElement} form @param {import("./view.js").SignInView} view
   * @param {import("./connection.js").Connection} connection @param {import("./attempts.js").Attempts} attempts
   */
  constructor(panel, form, view, connection, attempts) {
    this.#panel = panel;
    this.#form = form;
    this.#view = view;
    this.#connection = connection;
    this.#attempts = attempts;
  }

  get #site() { return siteOf(this.#panel, this.#form, this.#view.chains(this.#connection.family.NAMESPACE)); }

  // ---- Step 1 -------------------------------------------------------------------------------------------------

  /**
   * @param {string} id
   * @param {{another?: boolean, signs?: boolean}} [options] `another` asks for other accounts than are shared already;
   *   `signs` goes on to the session without asking again, for a wallet that asks nothing itself
   */
  connect(id, { another = false, signs = false } = {}) {
    const wallet = list().find((each) => each.id === id);
    const provider = providerOf(id);
    if (!wallet || !provider) return;
    const connection = this.#connection;
    connection.disconnect();
    connection.wallet = wallet;
    this.#signs = signs;
    fillWallet(this.#panel, wallet);
    this.#view.drawFamily(wallet);
    const { family } = connection;
    this.#attempts.run(async (signal) => {
      this.#view.show("connecting");
      const asked = another && family.connectAnother
        ? family.connectAnother(provider) : family.connect(provider, this.#site, signal);
      const accounts = await withAbort(asked, signal);
      if (!accounts.length) return this.#view.show("no_accounts");
      connection.accounts = accounts;
      connection.unwatch = family.watch(provider, {
        accounts: (changed) => this.#accountsChanged(changed),
        chain: (changed) => this.#chainChanged(changed),
      });
      if (accounts.length === 1) return this.#useAccount(accounts[0], signal);
      this.#view.drawAccounts();
      this.#view.show("choose_account");
    });
  }

  /** Ask the same wallet for other accounts. */
  connectAnother() { this.connect(this.#connection.wallet?.id ?? "", { another: true }); }

  /** @param {string} address */
  chooseAccount(address) { this.#attempts.run((signal) => this.#useAccount(address, signal)); }

  /** Go on with the account that the wallet has switched to. */
  chooseOffered() { this.chooseAccount(this.#connection.offered); }

  /** Go on with the account that was chosen, on the network that the wallet is on. */
  goOn() { this.#attempts.run((signal) => this.#checkNetwork(signal)); }

  /** @param {string} address @param {AbortSignal} signal */
  async #useAccount(address, signal) {
    this.#connection.address = address;
    this.#connection.challenge = null;
    this.#view.fill("address", shorten(address));
    await this.#checkNetwork(signal);
  }

  /** @param {AbortSignal} signal */
  async #checkNetwork(signal) {
    const [view, connection] = [this.#view, this.#connection];
    if (!view.is("busy") && !view.is("recheck")) view.show("preparing");
    const chain = await connection.askChain(this.#site, signal);
    connection.reported = chain;
    const name = view.chainName(chain);
    if (!name) {
      connection.chain = "";
      const number = chain.slice(namespaceOf(chain).length + 1);
      view.fill("number", number.slice(0, 12));
      view.part("chain-number").hidden = !/^\d+$/.test(number);
      return view.show("wrong_network");
    }
    view.part("network-note").hidden = !(connection.challenge && connection.chain !== chain);
    connection.chain = chain;
    view.fill("network", name);
    await this.#prepare(signal);
  }

  /** @param {string} chain */
  switchTo(chain) {
    const connection = this.#connection;
    // After the server has shown the page again, there is nobody to ask yet.
    const switchChain = connection.address && connection.family.switchChain;
    if (!switchChain) return this.retry();
    connection.target = chain;
    this.#view.fill("target", this.#view.chainName(chain));
    this.#attempts.run(async (signal) => {
      this.#view.show("switching");
      await withAbort(switchChain(connection.provider, chain), signal);
      if (await connection.seesNo(this.#site, chain, signal)) return this.#view.show("switch_unseen");
      await this.#checkNetwork(signal);
    }, SWITCH_FAILURES);
  }

  /** Where no site can ask a wallet to switch, its addresses tell the network: it has to share them again. */
  recheck() {
    if (this.#connection.address && !this.#connection.family.switchChain) return this.reconnect();
    this.goOn();
  }

  // ---- Step 2 -------------------------------------------------------------------------------------------------

  /** @param {AbortSignal} signal */
  async #prepare(signal) {
    const connection = this.#connection;
    this.#view.show("preparing");
    const account = accountId(connection.chain, connection.address);
    const { challengeUrl = "", purpose, statement = "" } = this.#panel.dataset;
    const kind = this.#form.elements.namedItem("session_type");
    const session_type = kind instanceof HTMLInputElement ? kind.value : undefined;
    const expected = { account, statement, signal, chainWord: connection.family.chainWord };
    const challenge = await ask(challengeUrl, { account, purpose, session_type }, expected);
    connection.challenge = challenge;
    connection.address = challenge.address;
    this.#view.fill("address", shorten(challenge.address));
    this.#view.show("ready_to_sign");
    if (this.#signs) this.sign();
  }

  sign() {
    this.#signs = false;
    this.#attempts.run(async (signal) => {
      const connection = this.#connection;
      const { provider, family, address, chain } = connection;
      this.#view.show("signing");
      // Some wallets change accounts or networks without an event.
      const [accounts, now] = await Promise.all([
        hint(family.accounts(provider), signal), hint(family.chain(provider, address, this.#site), signal),
      ]);
      if (accounts?.length && !accounts.some((each) => same(each, address))) return this.#view.show("address_mismatch");
      if (now && now !== chain) return this.#checkNetwork(signal);

      const old = connection.challenge;
      if (!old || old.spent || performance.now() > old.deadline - SIGNING_MARGIN_MS) {
        await this.#prepare(signal);
        if (this.#view.state !== "ready_to_sign") return;
        this.#view.show("signing");
      }
      const challenge = /** @type {Challenge} */ (connection.challenge);
      // Whatever comes of it, the next attempt gets a message of its own.
      challenge.spent = true;
      connection.signedOnce = true;
      const signature = await withAbort(
        signed(family.sign(provider, challenge.message, address, challenge)), signal);
      if (performance.now() > challenge.deadline) return this.#view.show("nonce_expired");
      this.#submit(challenge, signature);
    }, SIGN_FAILURES);
  }

  /** @param {Challenge} challenge @param {string} signature */
  #submit({ account, message, challenge }, signature) {
    const { wallet } = this.#connection;
    write(this.#form, { account, message, challenge, signature, wallet: wallet?.name ?? "" });
    // Linking another account signs nobody in, so it says nothing about the account to use.
    if (this.#panel.dataset.purpose !== "link") rememberAccount(account, this.#connection);
    if (wallet) rememberWallet(wallet);
    this.#view.show("verifying");
    this.submitting = true;
    this.#form.requestSubmit();
    this.submitting = false;
  }

  // ---- Once more, or not at all -------------------------------------------------------------------------------

  retry() {
    if (this.#view.waits) return;
    if (this.#connection.address && this.#connection.wallet) return this.goOn();
    this.reconnect();
  }

  reconnect() {
    const [only = null, ...others] = list();
    const wallet = this.#connection.wallet ?? preferredWallet(this.#panel.dataset.preferred)
      ?? (others.length || only?.twin ? null : only);
    if (wallet && providerOf(wallet.id)) return this.connect(wallet.id);
    this.#view.rest();
  }

  /** The wallet can't sign any more, and the user wants another in its place. */
  renew() {
    this.#attempts.run(async () => {
      await this.#connection.family.renew?.(this.#connection.provider);
      this.reconnect();
    });
  }

  /** Give up, and forget the wallet. */
  stop() {
    this.#attempts.abort();
    this.#connection.disconnect();
  }

  /** Give up, and forget what the form holds of the attempts before. */
  clear() {
    this.stop();
    write(this.#form, { message: "", challenge: "", signature: "", wallet: "" });
  }

  // ---- What the wallet does by itself -------------------------------------------------------------------------

  /** @param {string[]} accounts */
  #accountsChanged(accounts) {
    const [view, connection] = [this.#view, this.#connection];
    if (view.state === "verifying" || !connection.wallet) return;
    const before = connection.accounts[0];
    connection.accounts = accounts;
    if (!accounts.length) {
      this.#attempts.abort();
      connection.disconnect({ keepWallet: true });
      return view.show("wallet_locked");
    }
    if (view.state === "choose_account") return view.drawAccounts();
    if (!connection.address || view.is("resting")) return;
    if ([before, connection.address].some((known) => same(accounts[0], known))) return;
    this.#attempts.abort();
    connection.offered = accounts[0];
    view.fill("offered", shorten(connection.offered));
    view.part("keep").hidden = !accounts.some((each) => same(each, connection.address));
    view.show("account_switched");
  }

  /** @param {string | null} chain */
  #chainChanged(chain) {
    const unmoved = chain !== null && chain === this.#connection.chain;
    if (unmoved || !this.#connection.address || this.#view.is("resting") || this.#view.is("keeps-network")) return;
    this.goOn();
  }
}

/** @param {HTMLFormElement} form @param {Record<string, string>} fields */
function write(form, fields) {
  for (const [name, value] of Object.entries(fields)) {
    const input = form.elements.namedItem(name);
    if (input instanceof HTMLInputElement) input.value = value;
  }
}

/** What wallets need to know of this site. @param {HTMLElement} panel @param {HTMLFormElement} form @param {string[]} chains */
function siteOf(panel, form, chains) {
  const { accountUrl = "", walletsUrl = "" } = panel.dataset;
  const csrf = /** @type {HTMLInputElement} */ (form.elements.namedItem("csrf_token")).value;
  return { chains, accountUrl, walletsUrl, csrf };
}

/**
 * The user has just said which account to use: no page need ask because the wallet puts another one first.
 * @param {string} account @param {import("./connection.js").Connection} connection
 */
function rememberAccount(account, { accounts: [first], address }) {
  if (!same(first ?? address, address)) rememberAnswer(account, first);
}
