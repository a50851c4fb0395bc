// @ts-check
/**
 * A site whose session is in a cookie that no script can read. Nothing is kept here but the CSRF token, in memory.
 *
 * The module touches no DOM.
 */
import { HttpError, request } from "../../../static/lib/http.js";
import { alone } from "./turns.js";

/**
 * What the server says of a session; the whole is `SessionState` of /api/openapi.json. Times are ISO 8601.
 * @typedef {object} Session
 * @property {string} session_id
 * @property {string} account CAIP-10
 * @property {string[]} permissions
 * @property {string} now
 * @property {string} expires_at the end without further activity
 * @property {string} idle_expires_at
 * @property {string} absolute_expires_at
 * @property {number} warn_seconds how long before the idle end a user is warned
 * @property {string} [role]
 * @property {string} [session_type]
 * @property {string} [network]
 * @property {string} [user_id]
 */

/** @typedef {{method?: string, json?: unknown, signal?: AbortSignal}} Call */

/** @typedef {import("./token-site.js").TokenSite | CookieSite} Site */

export const PATHS = {
  challenges: "/api/auth/challenges",
  sessions: "/api/auth/sessions",
  validate: "/api/auth/sessions/validate",
  refresh: "/api/auth/sessions/refresh",
  keepAlive: "/api/auth/sessions/keep-alive",
  logout: "/api/auth/sessions/logout",
};

export class CookieSite {
  #base;
  #signInUrl;
  #csrf = "";

  /** @param {string} base "" or the path below which the site is @param {string | null} signInUrl */
  constructor(base, signInUrl) {
    this.#base = base;
    this.#signInUrl = signInUrl;
  }

  /** Whether there may be a session: only the server knows. */
  async restore() {
    return true;
  }

  /** Nothing is stored. @returns {Promise<Session | null>} */
  async stored() {
    return null;
  }

  /** @param {string} path @param {Call} [options] */
  async open(path, options = {}) {
    // The text to sign is bound to a cookie, which the sign-in page sets.
    if (path === PATHS.challenges && this.#signInUrl) {
      await fetch(this.#signInUrl, { credentials: "same-origin", cache: "no-store" }).catch(() => {});
    }
    return request(this.#base + path, options);
  }

  /**
   * @param {Record<string, unknown>} proof the body of the request @param {string} signature
   * @returns {Promise<Session>} with a new cookie
   */
  async create(proof, signature) {
    const answer = await request(this.#base + PATHS.sessions, { method: "POST", json: proof, bearer: signature });
    if (!answer.session_token) return this.take(answer);
    // The browser has no cookie of this site. What came instead would be a secret that nothing here may keep.
    const json = { refresh_token: answer.refresh_token };
    await request(this.#base + PATHS.logout, { method: "POST", json, cookies: false });
    throw new HttpError("csrf_failed", { reason: "cookie_missing", message: "This browser keeps no cookie of the site." });
  }

  /** @param {any} answer of the server @returns {Promise<Session>} without the CSRF token */
  async take(answer) {
    if (answer.session_token) throw new TypeError("These are tokens, and this manager is for a cookie: { tokens: true }.");
    const { csrf_token: csrf, ...session } = answer;
    if (csrf) this.#csrf = csrf;
    return session;
  }

  async validate() {
    return this.take(await request(this.#base + PATHS.validate));
  }

  /** An expired session of a cookie is over, unless another tab has begun a new one meanwhile. */
  revive() {
    return this.validate();
  }

  async keepAlive() {
    return this.take(await this.call(PATHS.keepAlive, { method: "POST" }));
  }

  /** Keep alive, once for all tabs that want it at this moment. @param {Session | null} known */
  refresh(known) {
    return alone("wallet-session-refresh", async (waited) => {
      if (waited) {
        const session = await this.validate();
        if (known && Date.parse(session.idle_expires_at) > Date.parse(known.idle_expires_at)) return session;
      }
      return this.keepAlive();
    });
  }

  /** @param {string} path @param {Call} [options] @returns {Promise<any>} the answer's `data` */
  async call(path, options = {}) {
    try {
      return await request(this.#base + path, { ...options, csrf: this.#csrf });
    } catch (error) {
      if (!(error instanceof HttpError && error.code === "csrf_failed")) throw error;
      // A signature in another tab gave the session a new id and a new token, or none was known yet.
      await this.validate();
      return request(this.#base + path, { ...options, csrf: this.#csrf });
    }
  }

  /** Headers for a `fetch` of the page's own. @returns {Promise<Record<string, string>>} */
  async headers() {
    if (!this.#csrf) await this.validate();
    return { "X-CSRFToken": this.#csrf };
  }

  async signOut() {
    await this.call(PATHS.logout, { method: "POST" });
  }

  async forget() {
    this.#csrf = "";
  }
}
