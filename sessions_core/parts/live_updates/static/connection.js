// @ts-check
/**
 * The connection of the leading tab. While there is none it asks every 30 seconds, and tries again: after 1 s, 2 s, …
 * up to a minute, at a random moment of that time, so that not all browsers come back at once after a restart.
 *
 * The module touches no DOM.
 */
import { after } from "../../../static/lib/clock.js";
import { HttpError, request } from "../../../static/lib/http.js";
import { readMessage } from "./tabs.js";

/** The server says something every 25 s: after this long without a word nothing comes any more. */
const SILENCE_MS = 60_000;
const POLL_MS = 30_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
/** The close code of a session that has ended. */
const ENDED = 4401;

export class LiveConnection {
  #url;
  #validateUrl;
  #told;
  #signal;
  /** @type {WebSocket | null} */ #socket = null;
  #opened = false;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #silenceTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #pollTimer;

  /**
   * @param {string} url of the WebSocket
   * @param {string} validateUrl
   * @param {(message: import("./tabs.js").Message) => void} told
   * @param {AbortSignal} signal closes it
   */
  constructor(url, validateUrl, told, signal) {
    this.#url = new URL(url, location.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#validateUrl = validateUrl;
    this.#told = told;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#close(), { once: true });
    globalThis.addEventListener("online", () => this.#retry(0), { signal });
    this.#open();
  }

  #open() {
    if (this.#signal.aborted || this.#socket) return;
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch {
      this.#lost(); // a policy of the browser, or of the page, forbids it
      return;
    }
    this.#socket = socket;
    this.#listen();
    socket.onopen = () => {
      this.#failures = 0;
      clearTimeout(this.#pollTimer);
      this.#pollTimer = undefined;
      // What happened while there was no connection: the state comes by itself.
      if (this.#opened) this.#told({ type: "sessions" });
      this.#opened = true;
    };
    socket.onmessage = (event) => {
      if (this.#socket !== socket) return;
      this.#listen();
      const message = read(event.data);
      if (message) this.#told(message);
    };
    socket.onclose = (event) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (event.code === ENDED) this.#told({ type: "ended" });
      this.#lost();
    };
  }

  #close() {
    for (const timer of [this.#silenceTimer, this.#retryTimer, this.#pollTimer]) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) close(socket);
  }

  /** A network that went away says nothing: neither do timers while the device sleeps, and this one is late then. */
  #listen() {
    clearTimeout(this.#silenceTimer);
    const socket = this.#socket;
    this.#silenceTimer = after(SILENCE_MS, () => {
      if (socket && this.#socket === socket) {
        this.#socket = null;
        close(socket);
        this.#lost();
      }
    });
  }

  #lost() {
    clearTimeout(this.#silenceTimer);
    if (this.#signal.aborted) return;
    const longest = Math.min(FIRST_RETRY_MS * 2 ** this.#failures, LONGEST_RETRY_MS);
    this.#failures += 1;
    this.#retry(longest * (0.5 + Math.random() / 2));
    this.#pollTimer ??= after(POLL_MS, () => this.#poll());
  }

  /** @param {number} ms */
  #retry(ms) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = after(ms, () => this.#open());
  }

  async #poll() {
    try {
      const { live_state: state } = await request(this.#validateUrl, { signal: this.#signal });
      if (state) this.#told({ type: "state", state });
      this.#told({ type: "sessions" });
    } catch (error) {
      // Nobody answered: session-timeout says so, if the user is about to do something.
      if (error instanceof HttpError && error.signedOut) this.#told({ type: "ended" });
    }
    this.#pollTimer = undefined;
    if (!this.#signal.aborted && this.#socket?.readyState !== WebSocket.OPEN) {
      this.#pollTimer = after(POLL_MS, () => this.#poll());
    }
  }
}

/** Closing one that is not open yet would be a line in the console. @param {WebSocket} socket */
function close(socket) {
  if (socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
  else socket.close();
}

/** @param {unknown} data */
function read(data) {
  try {
    return readMessage(JSON.parse(String(data)));
  } catch {
    return null;
  }
}
