// @ts-check
/**
 * `<session-list data-url="…" data-now="…">` around the list of sessions. When the user comes back to the tab it asks
 * once which of them still live, marks those that ended meanwhile, and says how many; it never asks by itself, but it
 * asks when it is told that the sessions have changed (`sessions:changed`).
 * `data-state`: `idle`, `checking`, `ready` (the list is as the server said last), `offline` (nobody answered).
 */
import { sessionClock } from "../../../static/lib/clock.js";
import { request } from "../../../static/lib/http.js";
import { ago, fillIn } from "../../../static/lib/times.js";
import { optionalPart, phrase, write } from "../../../static/page/parts.js";

/** @typedef {{session_id: string, current: boolean, created_at: string, last_activity: string}} Session */

class SessionList extends HTMLElement {
  #listening = new AbortController();
  /** @type {Promise<void> | null} */ #checking = null;
  #ended = 0;
  /** The minute in which the relative times were last right; the server wrote the first. */
  #minute = NaN;

  connectedCallback() {
    const { signal } = this.#listening;
    const check = () => this.#check();
    window.addEventListener("focus", check, { signal });
    window.addEventListener("pageshow", (event) => { if (event.persisted) check(); }, { signal });
    window.addEventListener("online", () => { if (this.dataset.state === "offline") check(); }, { signal });
    // Something that hears of it at once says that a session has begun or ended.
    document.addEventListener("sessions:changed", check, { signal });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) check(); }, { signal });
    sessionClock.addEventListener("tick", () => this.#tick(), { signal });
  }

  disconnectedCallback() {
    this.#listening.abort();
  }

  #check() {
    this.#checking ??= this.#ask().finally(() => { this.#checking = null; });
  }

  async #ask() {
    this.dataset.state = "checking";
    try {
      const { sessions } = await request(this.dataset.url ?? "");
      this.#compare(sessions);
      this.dataset.state = "ready";
    } catch {
      // No list is no news: session-timeout says whether the server is out of reach or this session is over.
      this.dataset.state = "offline";
    }
  }

  /** @param {Session[]} sessions */
  #compare(sessions) {
    const living = new Map(sessions.map((session) => [session.session_id, session]));
    /** @type {string[]} */ const announcements = [];
    for (const row of this.#rows) {
      const session = living.get(row.dataset.handle ?? "");
      if (!session) this.#end(row);
      else setTime(lastActive(row), session.last_activity);
    }
    this.#write();
    this.#count(sessions.length);

    const ended = this.querySelectorAll("[data-ended]").length;
    if (ended > this.#ended) announcements.push(phrase(this, "ended", ended));
    this.#ended = ended;

    const opened = Date.parse(this.dataset.now ?? "");
    const isNew = sessions.some((session) => Date.parse(session.created_at) > opened);
    const news = optionalPart(this, "new");
    if (isNew && news?.hidden) announcements.push(phrase(this, "new"));
    if (news) news.hidden = !isNew;
    // Only what is news: the same words again would be read out again.
    const speech = optionalPart(this, "speech");
    if (announcements.length > 0) write(speech, announcements.join(" "));
  }

  /** @param {HTMLElement} row */
  #end(row) {
    const words = row.querySelector("[data-part=ended]");
    if (!(words instanceof HTMLElement)) return;
    // A user who was about to press a button that goes away gets the focus on the words that say why.
    const lost = row.contains(document.activeElement);
    row.toggleAttribute("data-ended", true);
    words.hidden = false;
    for (const part of row.querySelectorAll("[data-part=can]")) /** @type {HTMLElement} */ (part).hidden = true;
    if (lost) words.focus();
  }

  /** @param {number} total */
  #count(total) {
    const others = total - 1;
    write(optionalPart(this, "count"), others > 0 ? phrase(this, "count", total) : phrase(this, "alone"));
    write(optionalPart(this, "others"), fillIn(phrase(this, "others"), { n: others }));
    const all = optionalPart(this, "all");
    if (all) all.hidden = others < 1;
  }

  #tick() {
    const minute = Math.floor(sessionClock.now().getTime() / 60_000);
    if (Number.isNaN(this.#minute)) this.#minute = minute;
    if (this.#minute !== minute) this.#write();
  }

  /** "5 minutes ago" is not true for long, in sight and in the name of the button. */
  #write() {
    if (!sessionClock.known) return;
    const now = sessionClock.now();
    this.#minute = Math.floor(now.getTime() / 60_000);
    for (const row of this.#rows) {
      const [time, button] = [lastActive(row), row.querySelector("[data-part=revoke]")];
      if (!time || !button) continue;
      const words = ago(new Date(time.dateTime), now, document.documentElement.lang) ?? phrase(this, "just-now");
      write(time, words);
      button.setAttribute("aria-label", fillIn(phrase(this, "revoke"), { name: row.dataset.name ?? "", ago: words }));
    }
  }

  /** Those that have not ended yet, as far as this page knows. @returns {NodeListOf<HTMLElement>} */
  get #rows() {
    return this.querySelectorAll("[data-handle]:not([data-ended])");
  }
}

/** @param {HTMLElement} row */
function lastActive(row) {
  return /** @type {HTMLTimeElement | null} */ (row.querySelector("time[data-relative]"));
}

/**
 * @param {HTMLTimeElement | null} time
 * @param {string} at
 */
function setTime(time, at) {
  if (!time) return;
  time.dateTime = at;
  time.title = `${at.slice(0, 16).replace("T", " ")} UTC`;
}

customElements.define("session-list", SessionList);
