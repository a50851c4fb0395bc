// @ts-check
/**
 * Asks the server about the session of this page: whether it lives, and to keep it alive. While nobody answers it asks
 * again and again. That never signs anybody out: only the server's own "no" does.
 */
import { after, sessionClock as clock } from "../../lib/clock.js";
import { HttpError, request } from "../../lib/http.js";

/** The server is asked at most this often, whatever other tabs, or scripts that pretend to be one, say. */
const ASK_AGAIN_MS = 1_000;
/** The lifetime of a cookie is in whole seconds. */
const COOKIE_MS = 1_000;
/** While the server can't be reached: ask again after 2 s, 4 s, … up to this. */
const LONGEST_RETRY_MS = 60_000;

/**
 * @typedef {{session_id?: string, account?: string, session_type?: string, csrf_token?: string, now: string,
 *            idle_expires_at: string, absolute_expires_at: string}} Answer
 * @typedef {"offline" | "unreachable"} Loss why nobody answered
 * @typedef {object} Listener
 * @property {(answer: Answer, askedAt: number, found: boolean) => void} alive
 *   `askedAt` is a time of the monotonic clock, `found` is true when the question before went unanswered.
 * @property {(answer: Answer, askedAt: number) => void} replaced another session has begun in this browser
 * @property {(reason: string | null) => void} ended `reason` is the server's word for why
 * @property {(why: Loss) => void} lost
 */

export class SessionServer {
  /** Nothing is asked, and no answer counts: this page is about to be left. */
  paused = false;
  /** Why the last question went unanswered. @type {Loss | null} */
  lost = null;

  #settings;
  #listener;
  #retries = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;
  /** @type {Promise<void> | null} */ #checking = null;
  #askedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #askTimer;

  /** @param {Readonly<DOMStringMap>} settings `validateUrl`, `keepAliveUrl`, `sessionId` @param {Listener} listener */
  constructor(settings, listener) {
    this.#settings = settings;
    this.#listener = listener;
  }

  /** Ask whether the session lives, without extending it. */
  check() {
    if (this.paused) return;
    const wait = this.#checking ? ASK_AGAIN_MS : this.#askedAt + ASK_AGAIN_MS - performance.now();
    if (wait > 0) {
      this.#askTimer ??= after(wait, () => {
        this.#askTimer = undefined;
        this.check();
      });
      return;
    }
    this.#askedAt = performance.now();
    this.#checking = this.#ask(() => this.#validate())
      .then(() => true, () => false)
      .then((alive) => {
        this.#checking = null;
        // Time ran out while the answer was on its way, and it still said "alive": the end is the server's to tell.
        if (alive && clock.left() <= 0) this.check();
      });
  }

  /** @returns {Promise<void>} rejects where the session was not kept alive; the listener has heard why */
  keepAlive() {
    return this.#ask(() => this.#keepAlive());
  }

  /** The network says by itself that it is gone. @param {Loss} why */
  lose(why) {
    if (this.paused) return;
    this.lost = why;
    clearTimeout(this.#retryTimer);
    const delay = Math.min(2000 * 2 ** this.#retries, LONGEST_RETRY_MS);
    this.#retries += 1;
    this.#retryTimer = after(delay, () => this.check());
    this.#listener.lost(why);
  }

  /** Ask nothing any more. */
  stop() {
    this.paused = true;
    clearTimeout(this.#retryTimer);
  }

  /** @param {() => Promise<Answer>} question */
  async #ask(question) {
    const askedAt = performance.now();
    try {
      this.#alive(await question(), askedAt);
    } catch (error) {
      if (!(error instanceof HttpError && error.signedOut)) this.lose(navigator.onLine ? "unreachable" : "offline");
      else if (!this.paused) this.#listener.ended(error.reason);
      throw error;
    }
  }

  /** @returns {Promise<Answer>} */
  #validate() {
    return request(this.#settings.validateUrl ?? "");
  }

  /**
   * A signature in another tab gave the session a new id and a new token: this tab fetches it, and goes on.
   * @returns {Promise<Answer>}
   */
  async #keepAlive() {
    const url = this.#settings.keepAliveUrl ?? "";
    try {
      return await request(url, { method: "POST", csrf: csrfToken() });
    } catch (error) {
      if (!(error instanceof HttpError && error.code === "csrf_failed")) throw error;
      const askedAt = performance.now();
      this.#alive(await this.#validate(), askedAt);
      return request(url, { method: "POST", csrf: csrfToken() });
    }
  }

  /** @param {Answer} answer @param {number} askedAt */
  #alive(answer, askedAt) {
    if (this.paused) return;
    if (answer.session_id && answer.session_id !== this.#settings.sessionId) return this.#listener.replaced(answer, askedAt);
    if (answer.csrf_token) takeToken(answer.csrf_token);
    this.#retries = 0;
    clearTimeout(this.#retryTimer);
    const found = this.lost !== null;
    this.lost = null;
    this.#listener.alive(answer, askedAt, found);
  }
}

/**
 * Which clock ended a session, or null where a user or an administrator ended it.
 * @param {string | null} reason the server's word
 * @returns {"idle" | "absolute" | null}
 */
export function endedByTime(reason) {
  if (reason === "idle" || reason === "absolute") return reason;
  // A cookie that outlives the browser goes with the absolute end, to the second. Before that, it was deleted.
  return reason === "no_token" && clock.absoluteLeft() < COOKIE_MS ? "absolute" : null;
}

/** Whether a session is of the account and the type of this page. @param {DOMStringMap} settings @param {Answer} answer */
export function sameOwner(settings, answer) {
  return answer.account === settings.account && answer.session_type === settings.sessionType;
}

function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.getAttribute("content") ?? "";
}

/** @param {string} token the one that the server takes from now on */
export function takeToken(token) {
  if (token === csrfToken()) return;
  document.querySelector("meta[name=csrf-token]")?.setAttribute("content", token);
  // A FlaskForm with a prefix puts that before the name.
  for (const input of document.querySelectorAll("input[name$=csrf_token]")) {
    /** @type {HTMLInputElement} */ (input).value = token;
  }
}
