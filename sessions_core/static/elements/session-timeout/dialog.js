// @ts-check
/**
 * The warning before an end of the session: a modal dialog with a countdown, which is also spoken, and told by the title
 * of a tab in the background.
 */
import { after, sessionClock as clock } from "../../lib/clock.js";
import { step } from "../../lib/times.js";
import { fillSlots, flag, part, show, write } from "../../page/parts.js";
import { duration, sentence } from "./words.js";

/** A live region that is filled at the moment it appears is not read out. */
const QUIET_MS = 1_000;

/** @typedef {"warning" | "extending" | "error" | "absolute"} DialogState */

export class WarningDialog {
  #root;
  #deadline;
  #covered;
  #dialog;
  #openedAt = 0;
  /** Close events still to come from closing the dialog ourselves; any other one is Esc. */
  #ownCloses = 0;
  #spokenStep = 0;
  #title = document.title;

  /**
   * @param {Element} root @param {import("./deadline.js").Deadline} deadline
   * @param {() => boolean} covered whether the title is that of the cover
   */
  constructor(root, deadline, covered) {
    this.#root = root;
    this.#deadline = deadline;
    this.#covered = covered;
    this.#dialog = /** @type {HTMLDialogElement} */ (root.querySelector("dialog"));
  }

  get open() {
    return this.#dialog.open;
  }

  get state() {
    return this.#dialog.dataset.state;
  }

  /** Which of the two warnings the open dialog is. */
  get kind() {
    return this.state === "absolute" ? "absolute" : "warning";
  }

  /** @param {() => void} closed the user pressed Esc @param {AbortSignal} signal */
  listen(closed, signal) {
    this.#dialog.addEventListener("close", () => {
      if (this.#ownCloses > 0) this.#ownCloses -= 1;
      else closed();
    }, { signal });
  }

  /** @param {DialogState} state */
  show(state) {
    const busy = state === "extending";
    this.#dialog.dataset.state = state;
    flag(this.#dialog, "aria-busy", busy);
    // Not `disabled`: that would drop the focus out of the dialog.
    flag(part(this.#root, "stay"), "aria-disabled", busy);
    show(this.#dialog, [state]);
    if (this.open) return;
    part(this.#root, "speech").textContent = "";
    part(this.#root, "line").textContent = "";
    this.#spokenStep = 0;
    this.#openedAt = performance.now();
    this.countDown();
    this.#dialog.showModal();
    this.countDown();
  }

  close() {
    if (!this.open) return;
    this.#ownCloses += 1;
    this.#dialog.close();
  }

  countDown() {
    if (!this.open) return this.retitle(null);
    const left = clock.left();
    const now = step(left);
    const bar = /** @type {HTMLProgressElement} */ (part(this.#root, "bar"));
    bar.max = this.#deadline.lead / 1000;
    bar.value = left / 1000;
    fillSlots(this.#root, "remaining", duration(this.#root, now));
    this.retitle(now);
    if (now === this.#spokenStep) return;
    const announce = now <= 60 && this.#spokenStep > 0;
    this.#spokenStep = now;
    if (!announce) return;
    this.say(this.state === "absolute" ? "spoken-absolute" : this.state === "error" ? "spoken-error" : "spoken-warning");
  }

  /** @param {string} phrase */
  say(phrase) {
    const speech = part(this.#root, "speech");
    const words = () => sentence(this.#root, phrase, { time: duration(this.#root, step(clock.left())) });
    const early = this.#openedAt + QUIET_MS - performance.now();
    if (early > 0) after(early, () => { if (this.open && !speech.textContent) write(speech, words()); });
    else write(speech, words());
  }

  /**
   * The tab's title warns those who look at another tab; by the minute, as a title that ticks is noise.
   * @param {number | null} seconds until the end, or null for the title of the page
   */
  retitle(seconds) {
    if (this.#covered()) return;
    const warn = seconds !== null && document.hidden;
    const time = duration(this.#root, Math.max(seconds ?? 0, 60));
    const title = warn ? sentence(this.#root, "title", { time, title: this.#title }) : this.#title;
    if (document.title !== title) document.title = title;
  }
}
