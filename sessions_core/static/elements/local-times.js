// @ts-check
/**
 * `<local-times>` brings the times in it into the reader's time zone. The server printed UTC, and the title of each
 * still says so. What is relative ("5 minutes ago") is the same in every zone and marked `data-relative`.
 */
import { sessionClock } from "../lib/clock.js";
import { timeOfDay } from "../lib/times.js";
import { write } from "../page/parts.js";

class LocalTimes extends HTMLElement {
  #day = "";
  #tick = () => this.#show();

  connectedCallback() {
    sessionClock.addEventListener("tick", this.#tick);
    this.#show();
  }

  disconnectedCallback() {
    sessionClock.removeEventListener("tick", this.#tick);
  }

  /** Once, and again when midnight has made another day of today. */
  #show() {
    if (!sessionClock.known || this.#day === sessionClock.now().toDateString()) return;
    const today = sessionClock.now();
    this.#day = today.toDateString();
    for (const time of this.querySelectorAll("time:not([data-relative])")) {
      const { dateTime } = /** @type {HTMLTimeElement} */ (time);
      write(time, timeOfDay(new Date(dateTime), today, document.documentElement.lang, "date"));
    }
  }
}

customElements.define("local-times", LocalTimes);
