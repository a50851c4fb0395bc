// @ts-check
/**
 * The wallet that was chosen, and what it has shared: its accounts, the one that was chosen, the network that it is on, and
 * the text for them.
 */
import { WalletError, answered, withAbort } from "../../wallets/answers.js";
import { isRememberedWallet } from "../../wallets/choices.js";
import { list, providerOf } from "../../wallets/discovery.js";
import { familyOf } from "../../wallets/families.js";
import { printable } from "../../wallets/words.js";

/** @typedef {import("../../wallets/discovery.js").Wallet} Wallet */
/** @typedef {import("../../wallets/families.js").Site} Site */

/** Some wallets say that they switched before they have: how long they are asked again, and how often. */
const SWITCHING_MS = 3_000;
const ASK_AGAIN_MS = 150;

export class Connection {
  /** @type {Wallet | null} */
  wallet = null;
  /** @type {string[]} */
  accounts = [];
  /** The account that was chosen, and the one that the wallet has switched to since. */
  address = "";
  offered = "";
  /** The network that the wallet was asked to switch to. */
  target = "";
  /** The network that the wallet reported last, accepted or not. */
  reported = "";
  /** The accepted network that the wallet is on; with an address, step 1 is done. */
  chain = "";
  /** @type {import("../../lib/challenge.js").Challenge | null} */
  challenge = null;
  signedOnce = false;
  /** Ends the listening to the wallet. @type {() => void} */
  unwatch = () => {};

  /** Step 2 is the current one once an account on an accepted network is chosen. @returns {"connect" | "sign"} */
  get phase() {
    return this.address && this.chain ? "sign" : "connect";
  }

  /** @throws {WalletError} without a wallet */
  get family() {
    if (!this.wallet) throw new WalletError("disconnected", undefined, "");
    return familyOf(this.wallet);
  }

  /** @throws {WalletError} without a wallet */
  get provider() {
    const provider = this.wallet && providerOf(this.wallet.id);
    if (!provider) throw new WalletError("disconnected", undefined, "");
    return provider;
  }

  /** @param {{keepWallet?: boolean}} [options] */
  disconnect({ keepWallet = false } = {}) {
    this.unwatch();
    this.unwatch = () => {};
    this.accounts = [];
    this.address = this.offered = this.chain = "";
    this.challenge = null;
    this.signedOnce = false;
    if (!keepWallet) this.wallet = null;
  }

  /**
   * The network that the wallet is on. Of one that can't say, the first that is accepted: the text names it, and the user
   * reads the text.
   * @param {Site} site @param {AbortSignal} signal
   */
  async askChain(site, signal) {
    const [preferred] = site.chains;
    const asked = this.family.chain(this.provider, this.address, site).catch((error) => {
      if (preferred && ["unsupported", "locked"].includes(error?.kind)) return preferred;
      throw error;
    });
    return answered(asked, signal);
  }

  /**
   * Whether a wallet that says it switched is still on the network of before, and that one is not accepted.
   * @param {Site} site @param {string} chain that it was to switch to @param {AbortSignal} signal
   */
  async seesNo(site, chain, signal) {
    const [before, end] = [this.reported, performance.now() + SWITCHING_MS];
    for (;;) {
      const now = await this.askChain(site, signal);
      if (now !== before || now === chain) return false;
      if (performance.now() > end) return !site.chains.includes(now);
      await withAbort(new Promise((resolve) => { setTimeout(resolve, ASK_AGAIN_MS); }), signal);
    }
  }
}

/**
 * The wallet that was used before the server showed the page again, if its name is here once; of one name in several
 * families, the one that was used last. Never one that may be an imitation.
 * @param {string | undefined} preferred the name
 */
export function preferredWallet(preferred) {
  const name = printable(preferred);
  const named = list().filter((wallet) => name && wallet.name === name);
  const possible = named.length > 1 ? named.filter(isRememberedWallet) : named;
  return possible.length === 1 && !possible[0].twin ? possible[0] : null;
}
