// @ts-check
/**
 * `SessionMonitor` asks a user who did nothing for a while whether to stay signed in: by an event, and by a dialog of the
 * page if it has one. It asks in time: before the session ends by itself.
 */
import { watchActivity } from "../../../static/lib/activity.js";
import { after } from "../../../static/lib/clock.js";

/** @typedef {import("./session-manager.js").SessionManager} SessionManager */
/** @typedef {"extend" | "sign_out" | "withdrawn"} Answer `withdrawn`: another tab extended the session, or it is over */

export class SessionMonitor extends EventTarget {
  #manager;
  #threshold;
  #checkEvery;
  #dialog;
  #activeAt = performance.now();
  #asking = false;
  /** The idle end before which the user was asked. */
  #askedBefore = "";
  /** @type {AbortController | null} */ #started = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /**
   * @param {SessionManager} manager
   * @param {{threshold?: number, checkEvery?: number, dialog?: HTMLDialogElement | null}} [options] both in seconds: without
   *   activity for `threshold` the user is asked, and every `checkEvery` it is looked whether that is so. In the `dialog` a
   *   button with the value `extend` stays signed in, and one with the value `sign_out` signs out.
   */
  constructor(manager, { threshold = 1800, checkEvery = 60, dialog = null } = {}) {
    super();
    this.#manager = manager;
    this.#threshold = threshold * 1000;
    this.#checkEvery = checkEvery * 1000;
    this.#dialog = dialog;
  }

  /** Whether the user is being asked. */
  get asking() {
    return this.#asking;
  }

  /** Begin. Twice is fine. */
  start() {
    if (this.#started) return;
    this.#started = new AbortController();
    const { signal } = this.#started;
    this.#activeAt = performance.now();
    watchActivity(() => { if (!this.#asking) this.#activeAt = performance.now(); }, signal);
    this.#manager.addEventListener("change", () => this.check(), { signal });
    this.#manager.addEventListener("expiring", () => this.check(), { signal });
    document.addEventListener("visibilitychange", () => this.check(), { signal });
    this.#dialog?.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button?.value === "extend" || button?.value === "sign_out") this.#answer(button.value);
    }, { signal });
    // A browser lets Esc close every dialog. It means what is safe: stay.
    this.#dialog?.addEventListener("close", () => { if (this.#asking) this.#answer("extend"); }, { signal });
    this.#look();
  }

  /** Ask no more. */
  stop() {
    this.#started?.abort();
    this.#started = null;
    clearTimeout(this.#timer);
    if (this.#asking) this.#close("withdrawn");
  }

  /** Look now whether the user is to be asked, or need not answer any more. */
  check() {
    const { state, session } = this.#manager.getSnapshot();
    if (!this.#started || !session || state !== "active") {
      if (this.#asking && state === "signed_out") this.#close("withdrawn");
      return;
    }
    const inactive = performance.now() - this.#activeAt;
    const ending = this.#manager.timeRemaining <= session.warn_seconds;
    if (this.#asking) {
      // The user has answered in another tab.
      if (this.#askedBefore !== session.idle_expires_at) this.#close("withdrawn");
    } else if (inactive >= this.#threshold || ending) {
      this.#ask(session.idle_expires_at, inactive);
    }
  }

  /** @param {string} end @param {number} inactive milliseconds */
  #ask(end, inactive) {
    this.#asking = true;
    this.#askedBefore = end;
    const detail = {
      inactiveSeconds: Math.round(inactive / 1000),
      timeRemaining: Math.round(this.#manager.timeRemaining),
      extend: () => this.#answer("extend"),
      signOut: () => this.#answer("sign_out"),
    };
    const shows = this.dispatchEvent(new CustomEvent("ask", { detail, cancelable: true }));
    if (shows && this.#dialog && !this.#dialog.open) this.#dialog.showModal();
  }

  /** @param {"extend" | "sign_out"} answer */
  async #answer(answer) {
    if (!this.#asking) return;
    this.#close(answer);
    if (answer === "extend") await this.#manager.refreshSession();
    else await this.#manager.logout();
  }

  /** @param {Answer} answer */
  #close(answer) {
    this.#asking = false;
    this.#activeAt = performance.now();
    if (this.#dialog?.open) this.#dialog.close();
    this.dispatchEvent(new CustomEvent("answered", { detail: { answer } }));
  }

  #look() {
    this.check();
    this.#timer = after(this.#checkEvery, () => this.#look());
  }
}
