// @ts-check
/**
 * Holds a page whose session ended by time, and in which the user has written something, until they sign in again. It
 * leaves the document: a dialog (templates/sessions/_dialogs.html) stands in its place, and its elements are in the memory
 * of this tab, nowhere else. They come back with all that was written when the server says that the same account is signed
 * in. For any other account, and when the user leaves, they are dropped.
 *
 * The module is loaded when a session has ended: few pages need it.
 */
import { after, sessionClock as clock } from "../../lib/clock.js";
import { sessionEnded } from "../../page/own-storage.js";
import { announce, copy, listener, part, phrase, show, shownText, write } from "../../page/parts.js";
import { SessionServer, endedByTime, sameOwner, takeToken } from "./server.js";
import { Tabs } from "./tabs.js";
import { forget, hasUnsent } from "./unsent.js";
import { writeLine } from "./words.js";

/** What the dialog needs of the head. Everything else of it may be private, and leaves with the page. */
const KEPT_HEAD = "title, base, link, style, script[src], meta[charset], meta[http-equiv], meta[name=viewport]";
/** A live region that is filled at the moment it appears is not read out. */
const QUIET_MS = 100;

/**
 * @typedef {import("./server.js").Answer} Answer
 * @typedef {object} Ways
 * @property {() => void} uncover show the page as it was
 * @property {() => void} leave go to the page that says why the session ended
 * @property {() => void} reload load the page for the account that is signed in now
 */

/**
 * Hold the page of a session that has ended.
 * @param {HTMLElement} timeout the `<session-timeout>` of the page
 * @param {"idle" | "absolute"} by the clock that ended it @param {Ways} ways
 * @returns {boolean} false where nothing is written in it
 */
export function holdPage(timeout, by, ways) {
  if (!hasUnsent()) return false;
  ways.uncover();
  new HeldPage(timeout, by, ways);
  return true;
}

/**
 * Go on with a page whose user has signed in again in another tab before this one heard that the session had ended.
 * @param {HTMLElement} timeout @param {Answer} answer of the new session @param {number} askedAt @param {Ways} ways
 * @returns {boolean} false where nothing is written in it
 */
export function carryOn(timeout, answer, askedAt, ways) {
  if (!hasUnsent()) return false;
  ways.uncover();
  resume(renew(document, timeout, answer), answer, askedAt);
  return true;
}

class HeldPage {
  #timeout;
  #ways;
  #dialog;
  #server;
  #tabs;
  #listening = new AbortController();
  #title = document.title;
  #at = { x: window.scrollX, y: window.scrollY };
  #focused = document.activeElement;
  /** @type {HTMLDialogElement[]} */ #modals = Array.from(document.querySelectorAll("dialog:modal"));
  #body = document.body;
  #blank = document.createElement("body");
  #head = Array.from(document.head.children).filter((each) => !each.matches(KEPT_HEAD));
  #aside = Array.from(document.documentElement.children).filter((each) => each !== document.head && each !== document.body);
  #observer = new MutationObserver(() => this.#tidy());
  /** The tab in which the user signs in. @type {Window | null} */ #signingIn = null;

  /** @param {HTMLElement} timeout @param {"idle" | "absolute"} by @param {Ways} ways */
  constructor(timeout, by, ways) {
    this.#timeout = timeout;
    this.#ways = ways;
    this.#dialog = /** @type {HTMLDialogElement} */ (copy(timeout, "held"));
    show(this.#dialog, forget() ? [by, "passwords"] : [by]);
    this.#server = new SessionServer(timeout.dataset, {
      alive: (answer, askedAt) => this.#giveBack(answer, askedAt),
      replaced: (answer, askedAt) => {
        if (sameOwner(timeout.dataset, answer)) return this.#giveBack(answer, askedAt);
        this.#end();
        ways.reload();
      },
      ended: (why) => {
        write(part(this.#dialog, "status"), "");
        // After a day the server has forgotten why. Any other reason: the user, or an administrator, has ended something.
        if (!endedByTime(why) && why !== "unknown") this.#leave();
      },
      lost: () => announce(this.#dialog, phrase(this.#dialog, "unreachable")),
    });
    this.#tabs = new Tabs(() => this.#server.check());
    this.#take();
    this.#listen();
    // Not before the page is out of the document: scripts that hear it may clear the page.
    sessionEnded();
  }

  #take() {
    for (const each of [...this.#head, ...this.#aside]) each.remove();
    this.#blank.append(this.#dialog);
    this.#body.replaceWith(this.#blank);
    document.title = shownText(part(this.#dialog, "title")).trim();
    this.#raise();
    // The page's own scripts run on, and may add something.
    this.#observer.observe(document.documentElement, { childList: true });
    this.#observer.observe(this.#blank, { childList: true });
  }

  #raise() {
    this.#dialog.showModal();
    this.#dialog.focus();
  }

  #tidy() {
    const own = new Set([document.head, this.#blank, this.#dialog]);
    for (const each of [...document.documentElement.children, ...this.#blank.children]) {
      if (!own.has(/** @type {HTMLElement} */ (each))) this.#body.append(each);
    }
  }

  #listen() {
    const { signal } = this.#listening;
    const check = () => this.#server.check();
    const on = listener(signal);
    on(window, "focus online", check);
    on(document, "resume", check);
    on(document, "visibilitychange", () => { if (!document.hidden) check(); });
    this.#tabs.open();
    // An open channel would keep the browser from keeping the tab for Back and Forward.
    on(window, "pagehide", () => this.#tabs.close());
    on(window, "pageshow", () => { this.#tabs.open(); check(); });

    // A browser lets Esc close every dialog.
    on(this.#dialog, "cancel", (event) => event.preventDefault());
    on(this.#dialog, "close", () => this.#raise());
    on(part(this.#dialog, "sign-in"), "click", (event) => this.#signIn(event));
    on(part(this.#dialog, "leave"), "click", () => this.#leave());
  }

  /**
   * In a tab that this page can close afterwards. It can't reach back: it may lead to pages of others. Where the browser
   * opens none, the link does it.
   * @param {Event} event
   */
  #signIn(event) {
    const opened = window.open(/** @type {HTMLAnchorElement} */ (event.currentTarget).href, "_blank");
    if (!opened) return;
    opened.opener = null;
    this.#signingIn = opened;
    event.preventDefault();
  }

  /** @param {Answer} answer @param {number} askedAt */
  #giveBack(answer, askedAt) {
    this.#end();
    this.#dialog.close();
    document.title = this.#title;
    document.head.append(...this.#head);
    document.documentElement.append(...this.#aside);
    const fresh = renew(this.#body, this.#timeout, answer);
    this.#blank.replaceWith(this.#body);
    resume(fresh, answer, askedAt);
    for (const modal of this.#modals) {
      modal.removeAttribute("open");
      modal.showModal();
    }
    if (this.#focused instanceof HTMLElement) this.#focused.focus({ preventScroll: true });
    window.scrollTo({ left: this.#at.x, top: this.#at.y, behavior: "instant" });
    this.#signingIn?.close();
  }

  #leave() {
    this.#end();
    this.#ways.leave();
  }

  /** Stop listening and asking: afterwards only the caller can still reach the page. */
  #end() {
    this.#server.stop();
    this.#listening.abort();
    this.#tabs.close();
    this.#observer.disconnect();
  }
}

/**
 * Have the elements of a page belong to a new session.
 * @param {Document | Element} page @param {HTMLElement} timeout @param {Answer} answer
 * @returns {HTMLElement} the element in the place of `timeout`, which knows the old session only
 */
function renew(page, timeout, answer) {
  const { sessionId } = timeout.dataset;
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll("[data-session-id]"))) {
    if (each.dataset.sessionId === sessionId) each.dataset.sessionId = answer.session_id;
  }
  const fresh = /** @type {HTMLElement} */ (timeout.cloneNode(true));
  // The ends of the old session.
  delete fresh.dataset.now;
  timeout.replaceWith(fresh);
  return fresh;
}

/** @param {HTMLElement} fresh @param {Answer} answer @param {number} askedAt */
function resume(fresh, answer, askedAt) {
  clock.read(answer, askedAt);
  takeToken(answer.csrf_token ?? "");
  document.dispatchEvent(new CustomEvent("sessions:resumed", { detail: answer }));
  after(QUIET_MS, () => writeLine(fresh, "resumed"));
}
