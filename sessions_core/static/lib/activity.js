// @ts-check
/**
 * Reports that the user does something, in this page or in a frame of it. Keys and presses are not all: who dictates,
 * pastes or composes may send input for minutes without one key. Moving the pointer and scrolling are no activity.
 *
 * Only what the browser itself reports counts. Content of others on this page can make any event, and would keep the
 * session alive.
 */
import { after } from "./clock.js";

/** Activity is reported at most this often. */
const REPORT_MS = 60_000;

const TYPES = [
  "keydown", "pointerdown", "beforeinput", "input", "paste", "drop", "compositionstart", "compositionupdate",
];

/**
 * @param {() => void} active
 * @param {AbortSignal} signal
 * @returns {() => void} looks for frames that have come since; they can't all be heard of
 */
export function watchActivity(active, signal) {
  /** @param {Event} event */
  const heard = (event) => { if (event.isTrusted) active(); };

  /** @param {Window} view */
  const listen = (view) => {
    try {
      // A second time it changes nothing, but a frame whose document was written anew has lost the first.
      for (const type of TYPES) view.addEventListener(type, heard, { capture: true, passive: true, signal });
      for (let at = 0; at < view.length; at += 1) listen(view[at]);
    } catch {
      // A frame of another origin.
    }
  };
  const look = () => listen(window);
  look();
  return look;
}

/** Reports activity to the server, at most once a minute. */
export class ActivityReports {
  #report;
  #wanted;
  #reportedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {() => Promise<void>} report rejects where it did not arrive
   * @param {() => boolean} wanted whether activity counts at this moment
   */
  constructor(report, wanted) {
    this.#report = report;
    this.#wanted = wanted;
  }

  /** The user did something. */
  active() {
    if (!this.#wanted()) return;
    const wait = this.#reportedAt + REPORT_MS - performance.now();
    clearTimeout(this.#timer);
    if (wait > 0) {
      this.#timer = after(wait, () => this.active());
      return;
    }
    const before = this.#reportedAt;
    this.#reportedAt = performance.now();
    this.#report().catch(() => { this.#reportedAt = before; });
  }

  /** A page that was loaded, or another tab, has just done the same. */
  reported() {
    this.#reportedAt = performance.now();
  }

  stop() {
    clearTimeout(this.#timer);
  }
}
