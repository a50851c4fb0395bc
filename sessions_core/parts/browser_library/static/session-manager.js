// @ts-check
/**
 * `SessionManager`: the session of this browser, for a front end that shows and keeps it by itself. What it says of the
 * session is what the server has said. Messages of other tabs, clocks and events of the page are reasons to ask again.
 *
 * docs/browser-library.md lists every option, method, event and error.
 */
import { ActivityReports } from "../../../static/lib/activity.js";
import { check as checkText } from "../../../static/lib/challenge.js";
import { after, rarely, SessionClock } from "../../../static/lib/clock.js";
import { HttpError } from "../../../static/lib/http.js";
import { CookieSite, PATHS } from "./cookie-site.js";
import { keepAliveDisabled, looksAfterItself, watchPage } from "./page-events.js";
import { Tabs } from "./tabs.js";
import { TokenSite } from "./token-site.js";

export { HttpError };

/** @typedef {import("./cookie-site.js").Session} Session */
/** @typedef {import("./cookie-site.js").Call} Call */
/** @typedef {"unknown" | "active" | "offline" | "signed_out"} State */
/**
 * @typedef {object} Snapshot
 * @property {State} state `unknown` until the server has answered, and for a page that the browser has put away
 * @property {Readonly<Session> | null} session as the server last described it; null unless `active` or `offline`
 * @property {string | null} reason why it is `signed_out`: a reason of docs/errors.md
 */
/**
 * @typedef {object} Options
 * @property {string} [siteUrl] where the site is, without a slash at the end; by default it is this page's own origin
 * @property {boolean} [tokens] tokens instead of the cookie; by default if the site is on another origin
 * @property {import("./secure-storage.js").SecureStorage | null} [storage] keeps tokens over a reload and for all tabs
 * @property {number} [refreshThreshold] how long before its end the session is refreshed, in seconds
 * @property {number} [checkEvery] how often one tab of the browser asks whether the session lives, in seconds; 0 is never
 * @property {boolean} [disableAutoSessionKeepAlive] activity of the user does not keep the session alive by itself
 * @property {string | null} [signInUrl] the sign-in page of the site; null if the page shows its own
 */
/** @typedef {{valid: true, session: Session}} Valid */
/**
 * @typedef {{valid: false, reason: "no_token" | "expired" | "network_error", code: string, endReason: string | null}} Invalid
 */

/** However many hints come, real ones or not, the server is asked at most this often. */
const ASK_AGAIN_MS = 1_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
/** No answer, or one of a proxy or of a site without its Redis. Any other is the route's own affair. */
const GONE = new Set([0, 502, 503, 504]);
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** What the server writes into the text of a sign-in, unless the site's setting `SESSIONS_CORE_STATEMENT` is another. */
const STATEMENT = "Sign in to prove that this account is yours. This costs nothing and sends no transaction.";

export class SessionManager extends EventTarget {
  #threshold;
  #checkEveryMs;
  #disabled;
  #signInUrl;
  #siteUrl;
  #origin;
  #site;
  #clock = new SessionClock();
  /** @type {Session | null} */ #session = null;
  /** @type {Snapshot} */ #snapshot = Object.freeze({ state: "unknown", session: null, reason: null });
  /** Counts sessions: an answer about one that is over says nothing of the next. */
  #generation = 0;
  #longestIdle = 0;
  #warnedOf = 0;
  #askedAtEnd = false;
  #askedAt = -Infinity;
  #attempts = 0;
  #active = false;
  #away = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;
  /** Listens to the page. @type {AbortController | null} */ #started = null;
  #tabs;
  #check = rarely(ASK_AGAIN_MS, () => { if (this.#tabs.open) this.validateSession(); });
  #reports = new ActivityReports(
    async () => { if (!(await this.keepSessionAlive())) throw new HttpError("network_error"); },
    () => this.#snapshot.state === "active" && this.#keepsAlive(),
  );

  /** @param {Options} [options] */
  constructor({
    siteUrl = "", tokens, storage = null, refreshThreshold = 300, checkEvery = 60, disableAutoSessionKeepAlive = false, signInUrl,
  } = {}) {
    super();
    siteUrl = siteUrl.replace(/\/$/, "");
    const { origin, protocol, hostname } = new URL(siteUrl || "/", location.href);
    const withTokens = tokens ?? origin !== location.origin;
    if (withTokens && protocol === "http:" && !LOOPBACK.has(hostname)) throw new TypeError("Tokens would travel in the clear; use https.");
    if (!withTokens && origin !== location.origin) throw new TypeError("A site on another origin takes tokens, never cookies.");
    if (!withTokens && storage) throw new TypeError("A cookie needs no storage.");
    this.#siteUrl = siteUrl;
    this.#origin = origin;
    this.#threshold = refreshThreshold * 1000;
    this.#checkEveryMs = checkEvery * 1000;
    this.#disabled = disableAutoSessionKeepAlive;
    this.#signInUrl = signInUrl === undefined ? (withTokens ? null : `${siteUrl}/sign-in`) : signInUrl;
    this.#site = withTokens ? new TokenSite(siteUrl, storage) : new CookieSite(siteUrl, this.#signInUrl);
    this.#tabs = new Tabs(
      `wallet-session-leader ${origin}`,
      (type) => { if (type === "extended" || this.#snapshot.state !== "signed_out") this.#check(); },
      // The one before may have gone while the server did not answer.
      () => { if (this.#attempts) this.#check(); },
    );
    this.#clock.addEventListener("tick", () => this.#tick());
    this.#clock.addEventListener("drift", () => this.#check());
  }

  // ---- For a page and its components --------------------------------------------------------------------------

  /** What is known now; the same object until something changes. @returns {Snapshot} */
  getSnapshot = () => this.#snapshot;

  /** Hear of each new snapshot. @param {() => void} changed @returns {() => void} stops it */
  subscribe = (changed) => {
    this.addEventListener("change", changed);
    return () => this.removeEventListener("change", changed);
  };

  get state() {
    return this.#snapshot.state;
  }

  get session() {
    return this.#snapshot.session;
  }

  /** Seconds until the session ends without activity, by the server's clock; 0 without a session. */
  get timeRemaining() {
    return this.#session ? Math.max(this.#clock.left() / 1000, 0) : 0;
  }

  /** Whether this is the tab that asks for all tabs of the browser. */
  get leads() {
    return this.#tabs.leads;
  }

  /** Ask for the session, and watch it from now on. Twice is fine. @returns {Promise<Snapshot>} */
  async start() {
    if (this.#watch()) await this.validateSession();
    return this.#snapshot;
  }

  /** Watch no more. The session lives on, and what is known of it stays as it is. */
  stop() {
    this.#started?.abort();
    this.#started = null;
    this.#tabs.stop();
    this.#clock.stop();
    this.#reports.stop();
    clearTimeout(this.#retryTimer);
  }

  // ---- The session --------------------------------------------------------------------------------------------

  /**
   * Sign in: have the server write a text, have the wallet sign it, and start a session with the signature.
   * @param {object} wanted
   * @param {string} wanted.account CAIP-10, such as `eip155:1:0x…`
   * @param {(message: string) => Promise<string>} wanted.sign asks the wallet
   * @param {string} [wanted.wallet] its name, for the user's list of sessions
   * @param {string} [wanted.sessionType]
   * @param {number} [wanted.duration] seconds; the site may give less
   * @param {string[]} [wanted.permissions] the site may give fewer
   * @param {boolean} [wanted.remember] the cookie outlives the browser's window
   * @param {string} [wanted.statement] the sentence of the text, if the site has one of its own
   * @param {(chain: string) => string} [wanted.chainWord] what the text calls a chain, where that is not its reference
   * @returns {Promise<Session>}
   * @throws {HttpError | import("../../../static/lib/challenge.js").UnexpectedMessage} and what `sign` throws
   */
  async createSession({
    account, sign, wallet, sessionType, duration, permissions, remember, statement = STATEMENT, chainWord,
  }) {
    const json = { account, session_type: sessionType };
    const { message, challenge } = await this.#site.open(PATHS.challenges, { method: "POST", json });
    checkText(String(message), { account, statement, origin: this.#origin, chainWord });
    const signature = await sign(message);
    const asked = { session_type: sessionType, duration, permissions, wallet, remember };
    const askedAt = performance.now();
    const session = await this.#site.create({ message, challenge, ...asked }, signature);
    return this.#begin(session, askedAt);
  }

  /**
   * Take over a session that the page has started by itself. Cookies stay with the browser; tokens are kept in memory, and
   * in the storage if there is one.
   * @param {any} answer `data` of `POST /api/auth/sessions` @returns {Promise<Session>} without its tokens
   */
  async storeSession(answer) {
    return this.#begin(await this.#site.take(answer), performance.now());
  }

  /** What is known of the session without asking the server. It may have ended. @returns {Promise<Session | null>} */
  async getStoredSession() {
    return this.#session ?? (await this.#site.stored());
  }

  /**
   * Ask the server, without extending the session. A lost answer signs no user out.
   * @returns {Promise<Valid | Invalid>}
   */
  async validateSession() {
    try {
      if (!(await this.#site.restore())) throw new HttpError("no_token", { status: 401 });
      return { valid: true, session: await this.#ask(() => this.#site.validate()) };
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (error.code === "cancelled") return this.validateSession(); // it was about a session before this one
      if (error.code === "no_token") await this.#over("no_token");
      const { code } = error;
      const endReason = code === "no_token" ? null : error.reason;
      const reason = code === "no_token" ? code : error.signedOut ? "expired" : "network_error";
      return { valid: false, reason, code, endReason };
    }
  }

  /**
   * Whether the session lives. The server is asked, and the session is not extended. Without an answer, a session counts as
   * alive until its known end: what needs certainty is decided by the server anyway.
   * @returns {Promise<boolean>}
   */
  async isSessionActive() {
    const { valid, ...why } = await this.validateSession();
    return valid || ("reason" in why && why.reason === "network_error" && this.timeRemaining > 0);
  }

  /** Start the idle clock again. @returns {Promise<boolean>} false if the server says no, or does not answer */
  keepSessionAlive() {
    return this.#extend(() => this.#site.keepAlive());
  }

  /**
   * Extend a living session: with new tokens, or by the idle clock of a cookie's session. Of all tabs that want it at this
   * moment one does it.
   * @returns {Promise<boolean>} false if the server says no, or does not answer; an event says which
   */
  refreshSession() {
    return this.#extend(() => this.#site.refresh(this.#session));
  }

  /** Have the session refreshed `refreshThreshold` before its end if the user is active then, and `expiring` told if not. */
  scheduleRefresh() {
    this.#warnedOf = 0;
    if (this.#session) this.#tick();
  }

  /** Forget the session in this browser, without telling the server. @returns {Promise<void>} */
  async clearSession() {
    await this.#over("cleared");
    this.#tabs.tell("signed_out");
  }

  /**
   * End the session at the server, then forget it here and in the other tabs.
   * @returns {Promise<boolean>} false without an answer: the session may live on, and nothing was forgotten
   */
  async logout() {
    try {
      await this.#site.signOut();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (!error.signedOut) {
        await this.#refused(error, this.#generation);
        return false;
      }
    }
    await this.#over("signed_out");
    this.#tabs.tell("signed_out");
    return true;
  }

  /**
   * Ask a JSON route of the site with this session.
   * @param {string} path begins with one slash @param {Call} [options] @returns {Promise<any>} the answer's `data`
   * @throws {HttpError | TypeError} `TypeError` for what is no path on the site
   */
  async request(path, options = {}) {
    // Browsers drop tabs and line breaks: they read "/\t/evil.example" as another host.
    if (!/^\/(?![/\\])/.test(path) || new URL(this.#siteUrl + path, location.href).origin !== this.#origin) {
      throw new TypeError("A path on the site begins with one slash.");
    }
    const generation = this.#generation;
    try {
      return await this.#site.call(path, options);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (error.code === "permission_denied") {
        const { missing, message } = error;
        this.#tell("permission_denied", { missing, message, path, method: options.method ?? "GET" });
      } else if (error.code === "session_expired" && (await this.#revived(error, generation))) {
        return this.#site.call(path, options);
      } else if (error.signedOut || GONE.has(error.status)) {
        await this.#refused(error, generation);
      }
      throw error;
    }
  }

  /** Headers with which a `fetch` of the page's own is one of this session. @returns {Promise<Record<string, string>>} */
  headers() {
    return this.#site.headers();
  }

  /** Leave for the sign-in page, which leads back here. */
  signIn() {
    if (!this.#signInUrl) return;
    const url = new URL(this.#signInUrl, location.href);
    url.searchParams.set("next", location.pathname + location.search);
    location.assign(url);
  }

  // ---- What the server says -----------------------------------------------------------------------------------

  /** @param {() => Promise<Session>} question */
  async #ask(question) {
    const generation = this.#generation;
    const askedAt = performance.now();
    this.#askedAt = askedAt;
    try {
      return this.#alive(await question(), askedAt, generation);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      const revived = error.code === "session_expired" && (await this.#revived(error, generation));
      if (revived) return revived;
      await this.#refused(error, generation);
      throw error;
    }
  }

  /** @param {() => Promise<Session>} question */
  async #extend(question) {
    try {
      if (!(await this.#site.restore())) throw new HttpError("no_token", { status: 401 });
      await this.#ask(question);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return false;
    }
    this.#reports.reported();
    this.#active = false;
    this.#tabs.tell("extended");
    return true;
  }

  /** @param {Session} session @param {number} askedAt */
  #begin(session, askedAt) {
    this.#generation += 1;
    this.#alive(session, askedAt, this.#generation);
    this.#watch();
    this.#tabs.tell("extended");
    return session;
  }

  /** @param {Session} session @param {number} askedAt on the monotonic clock @param {number} generation */
  #alive(session, askedAt, generation) {
    if (generation !== this.#generation) throw new HttpError("cancelled");
    const before = this.#session;
    // An answer that was overtaken by a newer one.
    if (before?.session_id === session.session_id && Date.parse(before.now) > Date.parse(session.now)) return before;
    const wasOffline = this.#snapshot.state === "offline";
    clearTimeout(this.#retryTimer);
    this.#attempts = 0;
    this.#askedAtEnd = false;
    this.#session = null; // while the clock is set, it decides nothing
    this.#clock.read(session, askedAt);
    this.#session = session;
    if (before && Date.parse(session.idle_expires_at) > Date.parse(before.idle_expires_at) + ASK_AGAIN_MS) {
      this.#reports.reported(); // this tab, or another one, has just kept it alive
      this.#active = false;
    }
    this.#set("active", null);
    if (before && before.session_id !== session.session_id) this.#tell("replaced", { previous: before.session_id });
    if (wasOffline) {
      this.#tell("reconnected");
      if (this.#tabs.leads) this.#tabs.tell("extended");
    }
    this.#tick();
    return session;
  }

  /** An expired session is refreshed, unless a listener says that it is not to be. @param {HttpError} error @param {number} generation */
  async #revived(error, generation) {
    const { code, reason } = error;
    const known = this.#session ?? (await this.#site.stored());
    if (!known || generation !== this.#generation || !this.#tell("session_expired", { code, reason })) return null;
    const askedAt = performance.now();
    try {
      return this.#alive(await this.#site.revive(), askedAt, generation);
    } catch {
      return null; // what the server said first still holds
    }
  }

  /** @param {HttpError} error @param {number} generation */
  async #refused(error, generation) {
    if (generation !== this.#generation || error.code === "cancelled") return;
    if (error.signedOut) await this.#ended(error);
    else if (error.unreachable || error.status === 429) this.#lost(error);
  }

  /** @param {HttpError} error */
  async #ended({ code, reason }) {
    const knew = this.#session !== null || (await this.#site.stored()) !== null;
    await this.#over(reason ?? code);
    if (!knew) return;
    this.#tabs.tell("signed_out");
    if (code === "no_token") return;
    const signIn = () => this.signIn();
    if (code === "session_invalid" || code === "session_ended_during_request") {
      if (this.#tell("session_invalid", { code, reason, signIn }) && !looksAfterItself()) signIn();
    } else {
      this.#tell("refresh_failed", { code, reason, signIn });
    }
  }

  /** There is no session any more. @param {string} reason */
  async #over(reason) {
    this.#generation += 1;
    clearTimeout(this.#retryTimer);
    this.#attempts = 0;
    this.#clock.stop();
    this.#reports.stop();
    const was = this.#snapshot.state;
    const knew = this.#session !== null;
    this.#session = null;
    this.#longestIdle = 0;
    this.#set("signed_out", was === "signed_out" ? this.#snapshot.reason : reason);
    // Without a token there is nothing to forget, and another tab may just have signed in.
    if (reason !== "no_token") await this.#site.forget();
    if (knew) this.#tell("signed_out", { reason });
  }

  /** No answer came: the session stays, and the server is asked again. @param {HttpError} error */
  #lost({ code, status, retryAfter }) {
    // Full jitter: not all browsers come back in the same moment after a restart.
    const longest = Math.min(FIRST_RETRY_MS * 2 ** this.#attempts, LONGEST_RETRY_MS);
    const retryIn = Math.max(Math.random() * longest, (retryAfter ?? 0) * 1000);
    this.#attempts += 1;
    clearTimeout(this.#retryTimer);
    // Of many tabs the hidden ones wait for the one that leads.
    this.#retryTimer = after(retryIn, () => { if (this.#tabs.leads || !document.hidden) this.#check(); });
    this.#set("offline", null);
    this.#tell("network_error", { code, status, attempt: this.#attempts, retryIn: Math.ceil(retryIn / 1000) });
  }

  // ---- What the clock says ------------------------------------------------------------------------------------

  #tick() {
    if (!this.#session || !this.#tabs.open) return;
    const left = this.#clock.left();
    if (left <= 0) {
      // By our reckoning. The server has the last word, and another tab may have extended the session.
      if (!this.#askedAtEnd) this.#check();
      this.#askedAtEnd = true;
      return;
    }
    if (this.#tabs.leads && this.#checkEveryMs && performance.now() - this.#askedAt > this.#checkEveryMs && !this.#attempts) this.#check();
    this.#longestIdle = Math.max(this.#longestIdle, this.#clock.idleLeft());
    // A session whose whole length is below the threshold is not refreshed all the time.
    const threshold = Math.min(this.#threshold, this.#longestIdle / 3);
    const end = Math.min(this.#clock.idleEnd?.getTime() ?? 0, this.#clock.absoluteEnd?.getTime() ?? 0);
    if (left > threshold || end === this.#warnedOf) return;
    this.#warnedOf = end;
    const idle = this.#clock.idleLeft() < this.#clock.absoluteLeft() - ASK_AGAIN_MS;
    if (idle && this.#active && this.#keepsAlive()) this.refreshSession();
    else this.#tell("expiring", { end: idle ? "idle" : "absolute", timeRemaining: Math.round(left / 1000) });
  }

  // ---- What the page and the other tabs say -------------------------------------------------------------------

  /** @returns {boolean} false if it was watched already */
  #watch() {
    if (this.#started) return false;
    this.#started = new AbortController();
    this.#tabs.start();
    watchPage({
      ask: () => this.#check(),
      offline: () => { if (this.#session) this.#lost(new HttpError("network_error")); },
      // It shows nothing of the session when it comes back, until the server has answered.
      away: () => {
        this.#away = true;
        this.#tabs.stop();
        if (this.#session) this.#set("unknown", null);
      },
      back: () => {
        this.#away = false;
        this.#tabs.start();
        this.#check();
      },
      active: () => {
        this.#active = true;
        this.#reports.active();
      },
    }, this.#started.signal);
    return true;
  }

  #keepsAlive() {
    return !this.#disabled && !keepAliveDisabled() && !looksAfterItself();
  }

  /** @param {State} state @param {string | null} reason */
  #set(state, reason) {
    if (this.#away && state !== "signed_out") state = "unknown"; // an answer that was on its way
    const session = state === "active" || state === "offline" ? this.#session : null;
    const before = this.#snapshot;
    if (before.state === state && before.reason === reason && same(before.session, session)) return;
    this.#snapshot = Object.freeze({ state, session: session && Object.freeze({ ...session }), reason });
    this.#tell("change", this.#snapshot);
  }

  /**
   * @param {"change" | "expiring" | "network_error" | "permission_denied" | "reconnected" | "refresh_failed" | "replaced"
   *   | "session_expired" | "session_invalid" | "signed_out"} name
   * @param {unknown} [detail]
   * @returns {boolean} false if a listener has called `preventDefault()`
   */
  #tell(name, detail = null) {
    return this.dispatchEvent(new CustomEvent(name, { detail, cancelable: true }));
  }
}

/** Whether nothing has changed but the time of the answer. @param {Session | null} one @param {Session | null} other */
function same(one, other) {
  const timeless = (/** @type {any} */ session) => session && JSON.stringify({ ...session, now: 0, time_remaining: 0 });
  return timeless(one) === timeless(other);
}
