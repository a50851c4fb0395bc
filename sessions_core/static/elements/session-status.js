// @ts-check
/**
 * `<session-status data-clock="session|idle|absolute">` keeps server-rendered times true while the page is open:
 * `data-part="ends"` gets the time of day, `"left"` what is left of it; `"since"` is only brought into the reader's time
 * zone. `data-urgent` marks the last five minutes, and `data-was-urgent` stays once they have begun.
 */
import { sessionClock } from "../lib/clock.js";
import { fillIn, parts, timeOfDay } from "../lib/times.js";
import { optionalPart, phrase, write } from "../page/parts.js";

/** From here on the clock is shown as a warning. */
const URGENT_MS = 5 * 60_000;

class SessionStatus extends HTMLElement {
  #update = () => this.#show();

  connectedCallback() {
    sessionClock.addEventListener("tick", this.#update);
    this.#show();
  }

  disconnectedCallback() {
    sessionClock.removeEventListener("tick", this.#update);
  }

  #show() {
    const { idleEnd, absoluteEnd } = sessionClock;
    if (!idleEnd || !absoluteEnd) return;
    const kind = this.dataset.clock;
    const left =
      kind === "idle" ? sessionClock.idleLeft()
      : kind === "absolute" ? sessionClock.absoluteLeft()
      : sessionClock.left();
    const first = idleEnd < absoluteEnd ? idleEnd : absoluteEnd;
    const end = kind === "idle" ? idleEnd : kind === "absolute" ? absoluteEnd : first;

    this.toggleAttribute("data-urgent", left <= URGENT_MS);
    // What a press uncovers must not vanish under the pointer: that press is activity, and moves the clock.
    if (left <= URGENT_MS) this.dataset.wasUrgent = "";
    // Activity moves the idle end up to the absolute one, and no further.
    this.toggleAttribute("data-capped", idleEnd >= absoluteEnd);

    this.#time("ends", () => end);
    this.#time("since", (time) => new Date(time.dateTime));

    const words = optionalPart(this, "left");
    if (words) {
      words.hidden = false;
      write(words, this.#sentence(left));
    }
  }

  /**
   * The server printed UTC; the reader's own zone says more, and the title keeps the other.
   * @param {string} name
   * @param {(time: HTMLTimeElement) => Date} at
   */
  #time(name, at) {
    const time = optionalPart(this, name);
    if (!(time instanceof HTMLTimeElement)) return;
    const date = at(time);
    if (time.dateTime !== date.toISOString() || !time.title) time.title = `${date.toISOString().slice(11, 16)} UTC`;
    time.dateTime = date.toISOString();
    write(time, timeOfDay(date, sessionClock.now(), document.documentElement.lang));
  }

  /** @param {number} left */
  #sentence(left) {
    if (left <= 0) return phrase(this, "none");
    // Seconds tick only near the end, and not for users who asked for less motion.
    const calm = left > URGENT_MS || this.dataset.seconds === undefined || matchMedia("(prefers-reduced-motion: reduce)").matches;
    const whole = parts(left, calm ? "minutes" : "seconds");
    if (whole.hours > 0) return fillIn(phrase(this, "hours"), parts(left, "minutes"));
    return calm ? phrase(this, "minutes", whole.minutes) : fillIn(phrase(this, "seconds"), whole);
  }
}

customElements.define("session-status", SessionStatus);
