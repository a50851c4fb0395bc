// @ts-check
/**
 * `<activity-days>` groups the entries of the activity log by the days of the reader's time zone, and says when they
 * happened: how long ago for those of today, else the time of day. The server grouped them by days in UTC; the title of
 * each time still says UTC.
 */
import { sessionClock } from "../../../static/lib/clock.js";
import { ago, timeOfDay } from "../../../static/lib/times.js";
import { part, phrase, write } from "../../../static/page/parts.js";

const DAY_MS = 86_400_000;

class ActivityDays extends HTMLElement {
  #day = "";
  /** The minute in which the relative times were last right. */
  #minute = NaN;
  #tick = () => this.#show();

  connectedCallback() {
    sessionClock.addEventListener("tick", this.#tick);
    this.#show();
  }

  disconnectedCallback() {
    sessionClock.removeEventListener("tick", this.#tick);
  }

  #show() {
    if (!sessionClock.known) return;
    const now = sessionClock.now();
    const minute = Math.floor(now.getTime() / 60_000);
    if (this.#minute === minute) return;
    this.#minute = minute;
    if (this.#day !== now.toDateString()) this.#group(now);
    this.#day = now.toDateString();
    const { lang } = document.documentElement;
    for (const entry of this.#entries) {
      const [time, exact] = [timeOf(entry), entry.querySelector("details time")];
      const at = new Date(time.dateTime);
      const relative = at.toDateString() === this.#day;
      write(time, relative ? ago(at, now, lang) ?? phrase(this, "just-now") : timeOfDay(at, at, lang));
      write(exact, timeOfDay(at, now, lang, "date"));
    }
  }

  /** Put each entry under its day: once, and again when midnight has made another day of today. @param {Date} now */
  #group(now) {
    const days = /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll("[data-part=day]"));
    const blank = /** @type {HTMLElement} */ (days[0]?.cloneNode(true));
    /** @type {Map<string, HTMLElement>} */ const made = new Map();
    // Those of a later day come first, so the order within a day stays.
    for (const entry of this.#entries) {
      const at = new Date(timeOf(entry).dateTime);
      const day = made.get(at.toDateString()) ?? this.#made(blank, at, now, made.size + 1);
      made.set(at.toDateString(), day);
      part(day, entry.closest("[data-part=routine]") ? "folded-entries" : "entries").append(entry);
    }
    for (const day of days) day.remove();
    this.prepend(...made.values());
    for (const day of made.values()) this.#fold(day);
  }

  /** @param {HTMLElement} blank @param {Date} at @param {Date} now @param {number} number */
  #made(blank, at, now, number) {
    const day = /** @type {HTMLElement} */ (blank.cloneNode(true));
    part(day, "entries").replaceChildren();
    part(day, "folded-entries").replaceChildren();
    const name = part(day, "name");
    name.id = `day-${number}`;
    day.setAttribute("aria-labelledby", name.id);
    write(name, this.#name(at, now));
    return day;
  }

  /** @param {HTMLElement} day */
  #fold(day) {
    const folded = part(day, "folded-entries");
    let count = 0;
    for (const entry of folded.children) count += Number(/** @type {HTMLElement} */ (entry).dataset.count);
    part(day, "entries").hidden = !part(day, "entries").childElementCount;
    part(day, "routine").hidden = !count;
    write(part(day, "folded"), phrase(this, "folded", count));
  }

  /** "Today", "Yesterday", or "Friday, November 27". @param {Date} at @param {Date} now */
  #name(at, now) {
    const days = Math.round((midnight(now) - midnight(at)) / DAY_MS); // a day may have 23 or 25 hours
    if (days === 0) return phrase(this, "today");
    if (days === 1) return phrase(this, "yesterday");
    return new Intl.DateTimeFormat(document.documentElement.lang, {
      weekday: "long",
      month: "long",
      day: "numeric",
      ...(at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }),
    }).format(at);
  }

  /** @returns {NodeListOf<HTMLElement>} */
  get #entries() {
    return this.querySelectorAll("[data-part=entry]");
  }
}

/** @param {HTMLElement} entry */
function timeOf(entry) {
  return /** @type {HTMLTimeElement} */ (part(entry, "time"));
}

/** @param {Date} date */
function midnight(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

customElements.define("activity-days", ActivityDays);
