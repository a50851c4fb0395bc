// @ts-check
/**
 * Internet Identity, a site of its own on which people prove who they are. It opens in a window, is asked by messages,
 * and is closed again. A message is anybody's until it comes from that window and from that site.
 *
 * The module touches no DOM. Source: Internet Identity specification, "Client authentication protocol".
 */
import { WalletError, explain } from "../../../static/wallets/answers.js";

/** Windows don't report that they were closed. */
const LOOK_MS = 500;
const FEATURES = "popup,width=480,height=720";

export class InternetIdentity {
  #window;
  #url;

  /** @param {Window} window of this page @param {string} url the page of Internet Identity that takes such requests */
  constructor(window, url) {
    this.#window = window;
    this.#url = url;
  }

  get host() { return new URL(this.#url).host; }

  /**
   * Asks the user to let a key act for them. Browsers open windows in answer to a click only, so nothing may be
   * waited for between the click and this; the key may still be in the making.
   * @param {Promise<Uint8Array>} key DER @param {bigint} lifetime in nanoseconds
   * @param {AbortSignal} signal closes the window
   * @returns {Promise<{publicKey: unknown, delegations: unknown}>} as they came
   */
  async delegate(key, lifetime, signal) {
    const { origin } = new URL(this.#url);
    const opened = this.#window.open(this.#url, "_blank", FEATURES);
    if (!opened) throw new WalletError("blocked", undefined, "");
    const stop = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        const giveUp = () => reject(signal.reason);
        if (signal.aborted) giveUp();
        signal.addEventListener("abort", giveUp, { signal: stop.signal });
        key.catch(reject);
        this.#window.addEventListener("message", (event) => {
          if (event.source !== opened || event.origin !== origin) return;
          const said = event.data ?? {};
          // It says so once more when its page was loaded anew.
          if (said.kind === "authorize-ready") {
            key.then((sessionPublicKey) => opened.postMessage(
              { kind: "authorize-client", sessionPublicKey, maxTimeToLive: lifetime }, origin));
          }
          if (said.kind === "authorize-client-success") {
            resolve({ publicKey: said.userPublicKey, delegations: said.delegations });
          }
          if (said.kind === "authorize-client-failure") {
            reject(explain({ code: said.kind, message: said.text }, new Map()));
          }
        }, { signal: stop.signal });
        const look = setInterval(() => {
          if (opened.closed) reject(new WalletError("rejected", undefined, ""));
        }, LOOK_MS);
        stop.signal.addEventListener("abort", () => clearInterval(look));
      });
    } finally {
      stop.abort();
      opened.close();
    }
  }
}
