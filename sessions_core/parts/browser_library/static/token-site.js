// @ts-check
/**
 * A site on another origin, which gives a session token and a refresh token instead of a cookie (docs/api.md, "Clients
 * without cookies"). They are in memory, and if there is a `SecureStorage`, encrypted in that: then the tabs of this
 * browser share them, and one tab refreshes for all.
 *
 * The module touches no DOM.
 */
import { HttpError, request } from "../../../static/lib/http.js";
import { PATHS } from "./cookie-site.js";
import { alone } from "./turns.js";

/** @typedef {import("./cookie-site.js").Session} Session */
/** @typedef {import("./cookie-site.js").Call} Call */
/**
 * @typedef {{session: string, refresh: string, keptAlive: boolean}} Tokens `keptAlive` says that the refresh which
 *   brought them was activity
 */

/** A session token is renewed this long before its end, or when a third of its life is left. */
const EARLY_MS = 30_000;
/** The name of what is stored begins with this, and ends with the site: a page may have managers for several sites. */
const ITEM = "tokens ";

export class TokenSite {
  #base;
  #storage;
  #item;
  #lock;
  /** Whether the storage could be read once. */
  #worked = false;
  /** @type {Tokens | null} */ #tokens = null;
  /** @type {Session | null} */ #session = null;
  /** On the monotonic clock; of tokens from the storage only the server knows. */
  #renewAt = Infinity;
  #endsAt = Infinity;

  /** @param {string} base its origin, and a path @param {import("./secure-storage.js").SecureStorage | null} storage */
  constructor(base, storage) {
    this.#base = base;
    this.#storage = storage;
    const { origin, pathname } = new URL(base || "/", location.href);
    this.#item = ITEM + origin + pathname.replace(/\/$/, "");
    this.#lock = `wallet-session-${this.#item}`;
  }

  /** Whether there are tokens, in memory or in the storage. Another tab may have signed in since. */
  async restore() {
    await this.#read();
    return this.#tokens !== null;
  }

  /** What was known of the session when its tokens were stored. @returns {Promise<Session | null>} */
  async stored() {
    await this.restore();
    return this.#session;
  }

  /** Without a token. @param {string} path @param {Call} [options] @returns {Promise<any>} */
  open(path, options = {}) {
    return request(this.#base + path, { ...options, cookies: false });
  }

  /** @param {Record<string, unknown>} proof the body of the request @param {string} signature @returns {Promise<Session>} */
  async create(proof, signature) {
    const askedAt = performance.now();
    const options = { method: "POST", json: proof, bearer: signature, cookies: false };
    return this.take(await request(this.#base + PATHS.sessions, options), askedAt);
  }

  /**
   * Keep the tokens of an answer, before anything else is done with it: the refresh token before is used up.
   * @param {any} answer @param {number} [askedAt] on the monotonic clock @param {boolean} [keptAlive]
   * @returns {Promise<Session>} without the tokens
   */
  async take(answer, askedAt = performance.now(), keptAlive = true) {
    const { session_token: token, refresh_token: refresh, token_expires_at: ends, token_type: _, ...session } = answer;
    if (typeof token !== "string" || typeof refresh !== "string") throw new HttpError("unexpected_answer");
    this.#tokens = { session: token, refresh, keptAlive };
    this.#session = session;
    // Both times are the server's: what this device believes of the time does not matter.
    const good = Date.parse(ends) - Date.parse(session.now);
    this.#endsAt = askedAt + good;
    this.#renewAt = askedAt + good - Math.min(EARLY_MS, good / 3);
    await this.#write(JSON.stringify({ tokens: this.#tokens, session }));
    return session;
  }

  /** @returns {Promise<Session>} */
  validate() {
    return this.call(PATHS.validate);
  }

  /** The refresh token may be good for longer than the session seems to be. */
  revive() {
    return this.#renew(true);
  }

  /** @returns {Promise<Session>} */
  keepAlive() {
    return this.call(PATHS.keepAlive, { method: "POST" });
  }

  /** Get new tokens, once for all tabs that share the storage. This is activity. */
  refresh() {
    return this.#renew(true);
  }

  /** @param {string} path @param {Call} [options] @returns {Promise<any>} the answer's `data` */
  async call(path, options = {}) {
    const token = await this.#fresh();
    try {
      return await this.#send(path, options, token);
    } catch (error) {
      if (!isRefusedToken(error)) throw error;
      // It was refused before anything was done.
      if (this.#tokens?.session === token) await this.#renew(false);
      return this.#send(path, options, this.#current().session);
    }
  }

  /** Headers for a `fetch` of the page's own. @returns {Promise<Record<string, string>>} */
  async headers() {
    return { Authorization: `Bearer ${await this.#fresh()}` };
  }

  async signOut() {
    await alone(this.#lock, async () => {
      await this.#read();
      if (!this.#tokens) return;
      const json = { refresh_token: this.#tokens.refresh };
      await request(this.#base + PATHS.logout, { method: "POST", json, cookies: false });
    }, { shared: this.#storage !== null });
  }

  /**
   * Destroy the tokens, and the storage; but not the tokens of a session that another tab has begun since, and not those
   * of other sites.
   */
  async forget() {
    const session = this.#session?.session_id;
    this.#tokens = this.#session = null;
    await alone(this.#lock, async () => {
      await this.#read().catch(() => {});
      if (session && this.#session && this.#session.session_id !== session && this.#storage) return;
      this.#tokens = this.#session = null; // an answer may have brought new ones meanwhile
      const keep = (/** @type {string} */ name) => name.startsWith(ITEM) && name !== this.#item;
      await this.#storage?.destroy({ keep }).catch(() => {});
    }, { shared: this.#storage !== null });
  }

  /** A session token that is good for a moment longer. */
  async #fresh() {
    if (!this.#tokens) await this.restore();
    const { session } = this.#current();
    if (performance.now() < this.#renewAt) return session;
    try {
      await this.#renew(false);
    } catch (error) {
      const waits = error instanceof HttpError && error.unreachable && performance.now() < this.#endsAt;
      if (!waits) throw error;
    }
    return this.#current().session;
  }

  #current() {
    if (!this.#tokens) throw new HttpError("no_token", { status: 401 });
    return this.#tokens;
  }

  /**
   * Exchange the refresh token. If the answer gets lost, the same one brings another: so it is kept until then.
   * @param {boolean} keepAlive whether this is activity @returns {Promise<Session>}
   */
  async #renew(keepAlive) {
    if (!this.#tokens) await this.restore();
    const before = this.#current().refresh;
    const adopted = await alone(this.#lock, async () => {
      await this.#read();
      const { refresh, keptAlive } = this.#current();
      if (refresh !== before) return { keptAlive }; // another tab, or another call, has just done it
      const askedAt = performance.now();
      const json = { refresh_token: refresh, keep_alive: keepAlive };
      const answer = await request(this.#base + PATHS.refresh, { method: "POST", json, cookies: false });
      return { session: await this.take(answer, askedAt, keepAlive) };
    }, { shared: this.#storage !== null });
    if (adopted.session) return adopted.session;
    return keepAlive && !adopted.keptAlive ? this.keepAlive() : this.#send(PATHS.validate, {}, this.#current().session);
  }

  /** @param {string} path @param {Call} options @param {string} token */
  #send(path, options, token) {
    return request(this.#base + path, { ...options, bearer: token, cookies: false });
  }

  /** Take over what another tab has stored. What is not there any more was destroyed at a sign-out. */
  async #read() {
    if (!this.#storage) return;
    let text;
    try {
      text = await this.#storage.getItem(this.#item);
    } catch {
      // What other tabs have stored meanwhile is not known, and a used refresh token would end the session: try again.
      if (this.#worked) throw new HttpError("network_error");
      this.#storage = null; // the browser stores nothing for this page: this tab goes on by itself
      return;
    }
    this.#worked = true;
    const { tokens = null, session = null } = text ? JSON.parse(text) : {};
    if (tokens?.refresh !== this.#tokens?.refresh) this.#renewAt = this.#endsAt = Infinity;
    this.#tokens = tokens;
    this.#session = session;
  }

  /** @param {string} text */
  async #write(text) {
    try {
      await this.#storage?.setItem(this.#item, text);
    } catch {
      // The tokens that are there are used up: no other tab may present them.
      await this.#storage?.removeItem(this.#item).catch(() => {});
      this.#storage = null;
    }
  }
}

/** @param {unknown} error */
function isRefusedToken(error) {
  return error instanceof HttpError && (error.code === "token_expired" || error.code === "token_invalid");
}
