// @ts-check
/**
 * `<session-timeout>` (templates/sessions/_timeout.html) watches both ends of the session on every private page: warns
 * before them, keeps the session alive while the user really does something, keeps all tabs in step, and leaves for the
 * signed-out page when, and only when, the server says that the session is over.
 *
 * The folder session-timeout/ has its subjects: server.js asks, deadline.js says which warning is due, dialog.js shows it,
 * cover.js takes the page away, sent-form.js waits for the answer to a form, tabs.js hears of the other tabs. held-page.js,
 * which is loaded when it is needed, keeps what the user has written until they have signed in again.
 */
import { ActivityReports, watchActivity } from "../lib/activity.js";
import { sessionClock as clock } from "../lib/clock.js";
import { keepFragment } from "../page/fragment.js";
import { sessionEnded } from "../page/own-storage.js";
import { listener, optionalPart, part } from "../page/parts.js";
import { Cover } from "./session-timeout/cover.js";
import { Deadline } from "./session-timeout/deadline.js";
import { WarningDialog } from "./session-timeout/dialog.js";
import { SentForm } from "./session-timeout/sent-form.js";
import { SessionServer, endedByTime, sameOwner } from "./session-timeout/server.js";
import { Tabs } from "./session-timeout/tabs.js";
import { answerBeside, sentence, untilWhen, writeLine } from "./session-timeout/words.js";

/** A page that keeps its session alive by itself says so with `<html data-disable-auto-session-keep-alive>`. */
const keepsAlive = () => document.documentElement.dataset.disableAutoSessionKeepAlive === undefined;

class SessionTimeout extends HTMLElement {
  #listening = new AbortController();
  #deadline = new Deadline(this.dataset);
  #server = new SessionServer(this.dataset, {
    alive: (answer, askedAt, found) => this.#alive(answer, askedAt, found),
    replaced: (answer, askedAt) => this.#replaced(answer, askedAt),
    ended: (reason) => this.#ended(reason),
    lost: (why) => this.#lost(why),
  });
  #sent = new SentForm(this.#server);
  #tabs = new Tabs(() => this.#server.check());
  /** An open warning wants its own answer. */
  #reports = new ActivityReports(
    () => this.#server.keepAlive().then(() => this.#announce()),
    () => keepsAlive() && !(this.#server.paused || this.#dialog.open || this.#extending || this.#cover.on || clock.left() <= 0),
  );
  /** @type {WarningDialog} */ #dialog = /** @type {any} */ (null);
  /** @type {Cover} */ #cover = /** @type {any} */ (null);
  /** @type {Promise<void> | null} */ #extending = null;
  #askedAtTheEnd = false;

  connectedCallback() {
    this.#cover = new Cover(/** @type {HTMLDialogElement} */ (part(this, "cover")));
    this.#dialog = new WarningDialog(this, this.#deadline, () => this.#cover.on);
    this.#listen();
    this.#tabs.open();

    const { now = "", idleExpiresAt = "", absoluteExpiresAt = "" } = this.dataset;
    const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
    // The server wrote `now` before its first byte left, which may be long before this script ran.
    clock.read({ now, idle_expires_at: idleExpiresAt, absolute_expires_at: absoluteExpiresAt }, navigation?.responseStart);
    this.#announce();
    // Back and Forward may show what a cache has kept.
    if (navigation?.type === "back_forward") this.#server.check();
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#tabs.close();
  }

  #listen() {
    const { signal } = this.#listening;
    const on = listener(signal);
    const check = () => this.#server.check();

    const lookForFrames = watchActivity(() => this.#reports.active(), signal);
    on(clock, "tick", () => {
      this.#update();
      this.#cover.hold();
      lookForFrames();
    });
    on(clock, "drift", check);
    on(window, "focus online", check);
    on(window, "offline", () => this.#server.lose("offline"));
    on(document, "resume", check);
    on(document, "visibilitychange", () => {
      this.#update();
      if (!document.hidden) check();
    });

    // Covered on the way out already: the back/forward cache paints before any script runs again.
    on(window, "pagehide", (event) => {
      if (event.persisted) this.#hidePage("checking");
      this.#tabs.close();
    });
    on(window, "pageshow", (event) => {
      if (!event.persisted) return;
      this.#sent.end();
      this.#askedAtTheEnd = true;
      this.#tabs.open();
      this.#hidePage("checking");
      check();
    });

    // Another element of the page was told that there is no session.
    on(document, "session-doubted", check);
    on(document, "submit", (event) => this.#submitted(event));

    this.#dialog.listen(() => this.#escaped(), signal);
    on(part(this, "stay"), "click", () => this.#extend());
    on(part(this, "continue"), "click", () => this.#acknowledge());
    // Or the page that it leads to would be covered by the same warning.
    on(part(this, "again"), "click", () => this.#acknowledge());
    on(part(this, "recheck"), "click", check);
  }

  // ---- What the server says -----------------------------------------------------------------------------------

  /** @param {import("./session-timeout/server.js").Answer} answer @param {number} askedAt @param {boolean} found */
  #alive(answer, askedAt, found) {
    this.#askedAtTheEnd = false;
    if (found) part(this, "line").textContent = "";
    this.#showPage();
    if (this.#dialog.open && this.#dialog.state === "error" && !this.#extending) this.#dialog.show("warning");
    const before = clock.idleEnd?.getTime() ?? Infinity;
    const warned = this.#dialog.open && !this.#extending;
    clock.read(answer, askedAt);
    // Another tab has reported activity: this one need not do it again.
    if (this.#deadline.movedFrom(before)) this.#reports.reported();
    if (warned && !this.#dialog.open) writeLine(this, "extended");
  }

  /**
   * Another session has begun in this browser: what this page shows, and its CSRF token, belong to the old one.
   * @param {import("./session-timeout/server.js").Answer} answer @param {number} askedAt
   */
  async #replaced(answer, askedAt) {
    if (this.#sent.waiting) return this.#hidePage("checking");
    this.#server.stop();
    const kept = sameOwner(this.dataset, answer) && await keepWritten(({ carryOn }) => carryOn(this, answer, askedAt, this.#ways));
    if (!kept && !this.#sent.waiting) loadAgain();
  }

  /** Nobody answered, so the deadline stands. @param {import("./session-timeout/server.js").Loss} why */
  #lost(why) {
    if (clock.left() <= 0 || this.#cover.on) this.#hidePage("unreachable");
    else if (!this.#dialog.open) writeLine(this, why);
    this.#update();
  }

  /** @param {string | null} reason */
  async #ended(reason) {
    if (this.#sent.waiting) return this.#hidePage("checking");
    this.#server.stop();
    this.#hidePage("checking");
    mark("signed_out");
    const by = endedByTime(reason);
    if (by && await keepWritten(({ holdPage }) => holdPage(this, by, this.#ways))) return;
    sessionEnded();
    this.#ways.leave();
  }

  get #ways() {
    return { uncover: () => this.#showPage(), leave: () => leave(this.dataset), reload: loadAgain };
  }

  // ---- What the clock says ------------------------------------------------------------------------------------

  #update() {
    if (this.#server.paused || !clock.known) return;
    if (clock.left() <= 0) return this.#atTheEnd();
    const { wanted } = this.#deadline;
    if (!this.#cover.on && !this.#extending) {
      if (this.#dialog.open && wanted !== this.#dialog.kind) this.#dialog.close();
      if (wanted && !this.#dialog.open) this.#dialog.show(wanted);
    }
    mark(this.#server.lost ? "offline" : this.#deadline.due ? "warning" : "active");
    this.#dialog.countDown();
  }

  /** Time is up by our reckoning, but another tab may have extended it: the server has the last word. */
  #atTheEnd() {
    mark(this.#server.lost ? "offline" : "expired");
    if (this.#askedAtTheEnd) return;
    this.#askedAtTheEnd = true;
    this.#hidePage("checking");
    this.#server.check();
  }

  // ---- What the user does -------------------------------------------------------------------------------------

  /**
   * The user wants to stay: the dialog closes once the server has agreed.
   * @param {HTMLFormElement} [form] the form whose button was pressed; the answer is shown beside it
   */
  #extend(form) {
    if (this.#server.paused || this.#extending) return;
    const warned = this.#dialog.open || this.#deadline.wanted !== null;
    if (warned) {
      this.#dialog.show("extending");
      this.#dialog.say("spoken-extending");
    } else if (form) {
      answerBeside(form, sentence(this, "spoken-extending"), true);
    }
    /** @param {"extended" | "not-extended"} name */
    const answer = (name) => (form ? answerBeside(form, untilWhen(this, name), false) : writeLine(this, name));
    this.#extending = this.#server.keepAlive().then(
      () => {
        this.#extending = null;
        this.#announce();
        this.#update();
        // After the dialog has closed: what lies behind a modal dialog is not read out.
        if (!this.#dialog.open) answer("extended");
      },
      () => {
        this.#extending = null;
        if (this.#server.paused || clock.left() <= 0) return;
        if (warned) {
          this.#dialog.show("error");
          this.#dialog.say("spoken-error");
        } else {
          answer("not-extended");
        }
        this.#update();
      },
    );
  }

  /** A browser lets Esc close a dialog whatever the page wants. So Esc means what is safe: stay. */
  #escaped() {
    if (this.#server.paused) return;
    if (this.#dialog.state === "absolute") this.#acknowledge();
    else if (this.#extending) this.#dialog.show("extending");
    else this.#extend();
  }

  #acknowledge() {
    this.#deadline.acknowledge();
    this.#update();
  }

  /** @param {SubmitEvent} event */
  #submitted(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.matches("[data-sign-out]")) this.#tabs.tell("signing_out");
    if (form.matches("[data-keep-alive]")) {
      event.preventDefault();
      this.#extend(optionalPart(form, "result") ? form : undefined);
    }
    this.#sent.begin(event);
  }

  /** Loading a page and keeping alive both restarted the idle clock: no other tab needs to report it again. */
  #announce() {
    if (this.#server.paused) return;
    this.#reports.reported();
    this.#tabs.tell("extended");
  }

  // ---- Showing ------------------------------------------------------------------------------------------------

  /** @param {import("./session-timeout/cover.js").CoverState} state */
  #hidePage(state) {
    this.#dialog.close();
    this.#cover.show(state);
  }

  #showPage() {
    if (!this.#cover.on) return;
    this.#cover.hide();
    this.#dialog.retitle(null);
  }
}

/** @param {"active" | "warning" | "expired" | "signed_out" | "offline"} state */
function mark(state) {
  const root = document.documentElement;
  if (root.dataset.sessionState !== state) root.dataset.sessionState = state;
}

/**
 * Keep the page for what the user has written in it. Most pages end without: they don't need the module.
 * @param {(module: typeof import("./session-timeout/held-page.js")) => boolean} how
 * @returns {Promise<boolean>} false where there is nothing to keep, or it can't be kept
 */
function keepWritten(how) {
  return import("./session-timeout/held-page.js").then(how).catch(() => false);
}

/** The page that follows asks the server why: what an address says of it, anybody could have written. @param {DOMStringMap} settings */
function leave({ signedOutUrl = "", returnTo }) {
  const url = new URL(signedOutUrl, location.href);
  url.searchParams.set("next", returnTo ?? location.pathname + location.search);
  if (returnTo === undefined) keepFragment(url);
  // Replaced, so that Back does not lead to a page that is no longer theirs.
  location.replace(url);
}

/** Load this page for the session that there is now. */
function loadAgain() {
  // Not reload(): this page may be the answer to a form, which the browser would offer to send again.
  // Whole and without its fragment: a path alone that begins with "//" would be another host.
  location.replace(location.href.split("#", 1)[0]);
}

customElements.define("session-timeout", SessionTimeout);

// A script of the page has met a refusal that the user can do something about.
document.addEventListener("permission-denied", (event) => {
  import("../page/denied.js").then(({ showDenied }) => showDenied(/** @type {CustomEvent} */ (event).detail));
});
