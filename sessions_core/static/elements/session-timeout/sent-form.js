// @ts-check
/**
 * A form of this page that is on its way to the server. It may sign in again, link a wallet, move the session to a new
 * id or end it. Its answer is a page, which the browser shows by itself, and may bring the cookie of a new session.
 * Going elsewhere meanwhile would cancel it. So what the page hears of its session in that time is no reason to go.
 *
 * At first the page asks nothing. If the answer is slow, the page asks, and a session that has ended is covered, but not
 * left. If no answer comes (the user pressed Stop, or the answer was a file), all is as it was before the form was sent.
 */
import { after } from "../../lib/clock.js";

/** Most answers are here sooner. */
const QUIET_MS = 3_000;
/** After this the page no longer waits for the answer. */
const LONGEST_MS = 30_000;

export class SentForm {
  /** Whether the answer is still to come. */
  waiting = false;

  #server;
  /** @type {ReturnType<typeof setTimeout>[]} */ #timers = [];

  /** @param {{paused: boolean, check: () => void}} server paused while nothing is asked */
  constructor(server) {
    this.#server = server;
  }

  /** A form is being submitted: wait for its answer, if this page is to be left for it. @param {SubmitEvent} event */
  begin(event) {
    if (event.defaultPrevented || !leavesPage(event)) return;
    this.end();
    this.waiting = this.#server.paused = true;
    const over = () => { this.end(); this.#server.check(); };
    this.#timers = [
      // A script that hears of it after us may send the form by itself.
      after(0, () => { if (event.defaultPrevented) over(); }),
      after(QUIET_MS, () => { this.#server.paused = false; this.#server.check(); }),
      after(LONGEST_MS, over),
    ];
  }

  /** Wait no longer. */
  end() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.waiting = this.#server.paused = false;
  }
}

/**
 * Whether it is a POST whose answer takes the place of this page. By the attributes: a field of the form may have the
 * name of any property.
 * @param {SubmitEvent} event
 */
function leavesPage({ target, submitter }) {
  const form = /** @type {HTMLFormElement} */ (target);
  const method = submitter?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "";
  const frame = submitter?.getAttribute("formtarget") ?? form.getAttribute("target") ?? "";
  return method.toLowerCase() === "post" && ["", "_self"].includes(frame.toLowerCase());
}
