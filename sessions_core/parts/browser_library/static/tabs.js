// @ts-check
/**
 * The tabs of this browser: they tell each other to ask the server, and agree on one that asks for all.
 *
 * The module touches no DOM.
 */
import { lead, openChannel } from "../../../static/lib/channel.js";

export class Tabs {
  #name;
  #heard;
  #led;
  /** @type {AbortController | null} */ #open = null;
  /** @type {ReturnType<typeof openChannel> | null} */ #channel = null;

  /** Whether this tab asks for all. */
  leads = false;

  /**
   * @param {string} name of what is led
   * @param {(type: "extended" | "signed_out" | "cleared") => void} heard a hint of another tab, which may be forged
   * @param {() => void} led this tab has begun to lead
   */
  constructor(name, heard, led) {
    this.#name = name;
    this.#heard = heard;
    this.#led = led;
  }

  get open() {
    return this.#open !== null;
  }

  start() {
    if (this.#open) return;
    this.#open = new AbortController();
    const { signal } = this.#open;
    // A sign-out that has only begun is followed by another message.
    this.#channel = openChannel(({ type }) => { if (type !== "signing_out") this.#heard(type); });
    lead(this.#name, signal, () => {
      if (signal.aborted) return;
      this.leads = true;
      this.#led();
    });
  }

  /** Lead no more: a page that holds a lock or an open channel is not kept for Back and Forward. */
  stop() {
    this.#open?.abort();
    this.#open = null;
    this.leads = false;
    this.#channel?.close();
    this.#channel = null;
  }

  /** @param {"extended" | "signed_out"} type */
  tell(type) {
    this.#channel?.send({ type });
  }
}
