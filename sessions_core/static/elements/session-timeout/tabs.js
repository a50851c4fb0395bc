// @ts-check
/**
 * The other tabs of this browser, which tell each other that something happened to their session. Anything that runs on
 * this origin can send such a message, so none is believed: the server is asked.
 */
import { openChannel } from "../../lib/channel.js";
import { after } from "../../lib/clock.js";

/** A sign-out in another tab needs this long until the server surely knows of it. */
const SIGN_OUT_MS = 3_000;

export class Tabs {
  #ask;
  /** @type {ReturnType<typeof openChannel> | null} */ #channel = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #signOutTimer;

  /** @param {() => void} ask has the server asked how things stand */
  constructor(ask) {
    this.#ask = ask;
  }

  open() {
    this.#channel ??= openChannel((message) => this.#heard(message));
  }

  close() {
    this.#channel?.close();
    this.#channel = null;
  }

  /** @param {import("../../lib/channel.js").Message["type"]} type */
  tell(type) {
    this.#channel?.send({ type });
  }

  /** @param {import("../../lib/channel.js").Message} message */
  #heard({ type }) {
    if (type !== "signing_out") return this.#ask();
    this.#signOutTimer ??= after(SIGN_OUT_MS, () => {
      this.#signOutTimer = undefined;
      this.#ask();
    });
  }
}
