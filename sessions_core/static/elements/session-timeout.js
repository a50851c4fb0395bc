// @ts-check
/**
 * `<session-timeout>` (sessions_core/templates/sessions/_timeout.html) watches both ends of the session on every private page:
 * warns before them, keeps the session alive while the person really does something, keeps all tabs in step, and
 * leaves for the signed-out page when, and only when, the server says that the session is over.
 */
import { watchActivity } from "./session-timeout/activity.js";
import { openChannel } from "../lib/channel.js";
import { after, fill, sessionClock as clock, step, timeOfDay } from "../lib/clock.js";
import { Cover } from "./session-timeout/cover.js";
import { keepFragment } from "../page/fragment.js";
import { HttpError, request } from "../lib/http.js";
import { sessionEnded } from "../page/own-storage.js";

/** Activity is reported at most this often. */
const REPORT_MS = 60_000;
/** The server is asked at most this often, whatever other tabs, or scripts that pretend to be one, say. */
const ASK_AGAIN_MS = 1_000;
/** While the server can't be reached: ask again after 2 s, 4 s, … up to this. */
const LONGEST_RETRY_MS = 60_000;
/** A sign-out in another tab needs this long until the server surely knows of it. */
const SIGN_OUT_MS = 3_000;
/** A live region that is filled at the moment it appears is not read out. */
const QUIET_MS = 1_000;
/** Two ends closer than this are one: the idle clock has met the absolute one. */
const SAME_END_MS = 1_000;
/** Holds which absolute end the person has chosen to wait for, so that the next page does not ask again. */
const ACKNOWLEDGED = "wallet-session-acknowledged";

/** @typedef {"warning" | "extending" | "error" | "absolute"} DialogState */
/**
 * @typedef {{session_id?: string, csrf_token?: string, now: string, idle_expires_at: string,
 *            absolute_expires_at: string}} Answer
 */

class SessionTimeout extends HTMLElement {
  /** @type {HTMLDialogElement} */ #dialog = /** @type {any} */ (null);
  /** @type {Cover} */ #cover = /** @type {any} */ (null);
  /** @type {Map<string, HTMLElement>} */ #parts = new Map();
  /** @type {ReturnType<typeof openChannel> | null} */ #channel = null;
  #listening = new AbortController();

  /** Why the last question to the server went unanswered. @type {"offline" | "unreachable" | null} */
  #lost = null;
  #retries = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;
  /** @type {Promise<void> | null} */ #checking = null;
  #askedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #askTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #signOutTimer;
  /** @type {Promise<void> | null} */ #extending = null;

  #askedAtTheEnd = false;
  #gone = false;
  #acknowledged = "";

  #openedAt = 0;
  /** Close events still to come from closing the dialog ourselves; any other one is Esc. */
  #ownCloses = 0;
  #spokenStep = 0;

  #reportedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #reportTimer;
  #title = document.title;

  connectedCallback() {
    this.#dialog = /** @type {HTMLDialogElement} */ (this.querySelector("dialog"));
    for (const part of this.querySelectorAll("[data-part]")) {
      this.#parts.set(/** @type {HTMLElement} */ (part).dataset.part ?? "", /** @type {HTMLElement} */ (part));
    }
    this.#cover = new Cover(/** @type {HTMLDialogElement} */ (this.#part("cover")));
    this.#acknowledged = remembered();
    this.#listen();
    this.#openChannel();

    const { now = "", idleExpiresAt = "", absoluteExpiresAt = "" } = this.dataset;
    const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
    // The server wrote `now` before its first byte left, which may be long before this script ran.
    clock.read({ now, idle_expires_at: idleExpiresAt, absolute_expires_at: absoluteExpiresAt }, navigation?.responseStart);
    this.#announce();
    // Back and Forward may show what a cache has kept.
    if (navigation?.type === "back_forward") this.#check();
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#channel?.close();
    this.#channel = null;
  }

  #listen() {
    const { signal } = this.#listening;
    /** @type {(target: EventTarget, types: string, run: (event: any) => void, options?: object) => void} */
    const on = (target, types, run, options = {}) => {
      for (const type of types.split(" ")) target.addEventListener(type, run, { signal, ...options });
    };

    const lookForFrames = watchActivity(() => this.#active(), signal);
    on(clock, "tick", () => {
      this.#update();
      this.#cover.hold();
      lookForFrames();
    });
    on(clock, "drift", () => this.#check());
    on(window, "focus online", () => this.#check());
    on(window, "offline", () => this.#lose("offline"));
    on(document, "resume", () => this.#check());
    on(document, "visibilitychange", () => {
      this.#update();
      if (!document.hidden) this.#check();
    });

    // Covered on the way out already: the back/forward cache paints before any script runs again.
    on(window, "pagehide", (event) => {
      if (event.persisted) this.#hidePage("checking");
      this.#channel?.close();
      this.#channel = null;
    });
    on(window, "pageshow", (event) => {
      if (!event.persisted) return;
      this.#gone = false;
      this.#askedAtTheEnd = true;
      this.#openChannel();
      this.#hidePage("checking");
      this.#check();
    });

    // Another element of the page was told that there is no session.
    on(document, "session-doubted", () => this.#check());
    on(document, "submit", (event) => this.#submitted(event));

    on(this.#dialog, "close", () => this.#closed());
    on(this.#part("stay"), "click", () => this.#extend());
    on(this.#part("continue"), "click", () => this.#acknowledge());
    // Or the page that it leads to would be covered by the same warning.
    on(this.#part("again"), "click", () => this.#acknowledge());
    on(this.#part("recheck"), "click", () => this.#check());
  }

  // ---- What the server says ----------------------------------------------------------------------------------

  /** Ask whether the session lives, without extending it. */
  #check() {
    if (this.#gone) return;
    const wait = this.#checking ? ASK_AGAIN_MS : this.#askedAt + ASK_AGAIN_MS - performance.now();
    if (wait > 0) {
      this.#askTimer ??= after(wait, () => {
        this.#askTimer = undefined;
        this.#check();
      });
      return;
    }
    this.#askedAt = performance.now();
    this.#checking = this.#ask(this.dataset.validateUrl ?? "", "GET")
      .then(() => {}, () => {})
      .finally(() => {
        this.#checking = null;
        // Time ran out while the answer was on its way, and it still said "alive": the end is the server's to tell.
        if (!this.#lost && clock.left() <= 0) this.#check();
      });
  }

  /** The person wants to stay: the dialog closes once the server has agreed. */
  #extend() {
    if (this.#gone || this.#extending) return;
    const warned = this.#dialog.open || this.#wanted() !== null;
    if (warned) {
      this.#show("extending");
      this.#say("spoken-extending");
    }
    this.#extending = this.#ask(this.dataset.keepAliveUrl ?? "", "POST")
      .then(
        () => {
          this.#extending = null;
          this.#announce();
          this.#update();
          // After the dialog has closed: what lies behind a modal dialog is not read out.
          if (!this.#dialog.open) this.#line("extended");
        },
        () => {
          this.#extending = null;
          if (this.#gone || clock.left() <= 0) return;
          if (warned) {
            this.#show("error");
            this.#say("spoken-error");
          } else {
            this.#line("not-extended");
          }
          this.#update();
        },
      );
  }

  /**
   * @param {string} url
   * @param {"GET" | "POST"} method
   */
  async #ask(url, method) {
    const askedAt = performance.now();
    try {
      this.#alive(method === "POST" ? await this.#post(url) : await request(url), askedAt);
    } catch (error) {
      if (error instanceof HttpError && error.signedOut) this.#leave();
      else this.#lose(navigator.onLine ? "unreachable" : "offline");
      throw error;
    }
  }

  /**
   * A signature in another tab gave the session a new id and a new token: this tab fetches it, and goes on.
   * @param {string} url
   */
  async #post(url) {
    try {
      return await request(url, { method: "POST", csrf: csrfToken() });
    } catch (error) {
      if (!(error instanceof HttpError && error.code === "csrf_failed")) throw error;
      const askedAt = performance.now();
      this.#alive(await request(this.dataset.validateUrl ?? ""), askedAt);
      return request(url, { method: "POST", csrf: csrfToken() });
    }
  }

  /**
   * @param {Answer} answer
   * @param {number} askedAt
   */
  #alive(answer, askedAt) {
    if (this.#gone) return;
    if (answer.session_id && answer.session_id !== this.dataset.sessionId) {
      // Another session has begun in this browser: what this page shows, and its CSRF token, belong to the old one.
      this.#gone = true;
      // Not reload(): this page may be the answer to a form, which the browser would offer to send again.
      // Whole and without its fragment: a path alone that begins with "//" would be another host.
      location.replace(location.href.split("#", 1)[0]);
      return;
    }
    if (answer.csrf_token) takeToken(answer.csrf_token);
    this.#askedAtTheEnd = false;
    this.#retries = 0;
    clearTimeout(this.#retryTimer);
    if (this.#lost) {
      this.#lost = null;
      this.#part("line").textContent = "";
    }
    this.#showPage();
    if (this.#dialog.open && this.#dialog.dataset.state === "error" && !this.#extending) this.#show("warning");
    const before = clock.idleEnd?.getTime() ?? Infinity;
    const warned = this.#dialog.open && !this.#extending;
    clock.read(answer, askedAt);
    // Another tab has reported activity: this one need not do it again.
    if ((clock.idleEnd?.getTime() ?? 0) > before + SAME_END_MS) this.#reportedAt = performance.now();
    if (warned && !this.#dialog.open) this.#line("extended");
  }

  /**
   * Nobody answered. That never signs anybody out: the deadline stands, and we go on asking.
   * @param {"offline" | "unreachable"} why
   */
  #lose(why) {
    if (this.#gone) return;
    this.#lost = why;
    if (clock.left() <= 0) this.#hidePage("unreachable");
    else if (this.#cover.on) this.#hidePage("unreachable");
    else if (!this.#dialog.open) this.#line(why);
    clearTimeout(this.#retryTimer);
    const delay = Math.min(2000 * 2 ** this.#retries, LONGEST_RETRY_MS);
    this.#retries += 1;
    this.#retryTimer = after(delay, () => this.#check());
    this.#update();
  }

  /** The page that follows asks the server why: what an address says of it, anybody could have written. */
  #leave() {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#reportTimer);
    this.#hidePage("checking");
    this.#mark("signed_out");
    sessionEnded();
    const url = new URL(this.dataset.signedOutUrl ?? "", location.href);
    url.searchParams.set("next", this.dataset.returnTo ?? location.pathname + location.search);
    if (this.dataset.returnTo === undefined) keepFragment(url);
    // Replaced, so that Back does not lead to a page that is no longer theirs.
    location.replace(url);
  }

  // ---- What the clock says ------------------------------------------------------------------------------------

  /** @returns {"warning" | "absolute" | null} which warning the moment calls for */
  #window() {
    const idle = clock.idleLeft();
    const absolute = clock.absoluteLeft();
    if (idle <= this.#warnMs && idle < absolute - SAME_END_MS) return "warning";
    return absolute <= this.#absoluteWarnMs ? "absolute" : null;
  }

  /** The same, without what the person has already answered. */
  #wanted() {
    const kind = this.#window();
    return kind === "absolute" && this.#acknowledged === clock.absoluteEnd?.toISOString() ? null : kind;
  }

  #update() {
    if (this.#gone || !clock.known) return;
    if (clock.left() <= 0) return this.#atTheEnd();
    const wanted = this.#wanted();
    if (!this.#cover.on && !this.#extending) {
      if (wanted === null) this.#closeDialog();
      else if (!this.#dialog.open) this.#show(wanted);
      else if (wanted !== this.#kind()) { this.#closeDialog(); this.#show(wanted); }
    }
    this.#mark(this.#lost ? "offline" : this.#window() ? "warning" : "active");
    this.#countDown();
  }

  /** Time is up by our reckoning, but another tab may have extended it: the server has the last word. */
  #atTheEnd() {
    this.#mark(this.#lost ? "offline" : "expired");
    if (this.#askedAtTheEnd) return;
    this.#askedAtTheEnd = true;
    this.#hidePage("checking");
    this.#check();
  }

  #countDown() {
    if (!this.#dialog.open) {
      this.#retitle(null);
      return;
    }
    const left = clock.left();
    const now = step(left);
    const bar = /** @type {HTMLProgressElement} */ (this.#part("bar"));
    bar.max = (this.#window() === "absolute" ? this.#absoluteWarnMs : this.#warnMs) / 1000;
    bar.value = left / 1000;
    write(this.#part("remaining"), this.#duration(now));
    this.#retitle(now);
    if (now === this.#spokenStep) return;
    const announce = now <= 60 && this.#spokenStep > 0;
    this.#spokenStep = now;
    if (!announce) return;
    const state = this.#dialog.dataset.state;
    this.#say(state === "absolute" ? "spoken-absolute" : state === "error" ? "spoken-error" : "spoken-warning");
  }

  /**
   * The tab's title warns whoever looks at another tab; by the minute, as a title that ticks is noise.
   * @param {number | null} seconds
   */
  #retitle(seconds) {
    if (this.#cover.on) return;
    const warn = seconds !== null && document.hidden;
    const prefix = warn ? this.#fill("title", { time: this.#duration(Math.max(seconds, 60)) }) : "";
    const title = prefix ? `${prefix} ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
  }

  // ---- The dialog -----------------------------------------------------------------------------------------------

  /** Which of the two warnings the open dialog is. */
  #kind() {
    return this.#dialog.dataset.state === "absolute" ? "absolute" : "warning";
  }

  /** @param {DialogState} state */
  #show(state) {
    const busy = state === "extending";
    this.#dialog.dataset.state = state;
    flag(this.#dialog, "aria-busy", busy);
    // Not `disabled`: that would drop the focus out of the dialog.
    flag(this.#part("stay"), "aria-disabled", busy);
    only(this.#dialog, state);
    if (this.#dialog.open) return;
    this.#part("speech").textContent = "";
    this.#part("line").textContent = "";
    this.#spokenStep = 0;
    this.#openedAt = performance.now();
    this.#countDown();
    this.#dialog.showModal();
    this.#countDown();
  }

  #closeDialog() {
    if (!this.#dialog.open) return;
    this.#ownCloses += 1;
    this.#dialog.close();
  }

  /** A browser lets Esc close a dialog whatever the page wants. So Esc means what is safe: stay. */
  #closed() {
    if (this.#ownCloses > 0) {
      this.#ownCloses -= 1;
      return;
    }
    if (this.#gone) return;
    if (this.#dialog.dataset.state === "absolute") this.#acknowledge();
    else if (this.#extending) this.#show("extending");
    else this.#extend();
  }

  #acknowledge() {
    this.#acknowledged = clock.absoluteEnd?.toISOString() ?? "";
    remember(this.#acknowledged);
    this.#update();
  }

  // ---- What the person does -----------------------------------------------------------------------------------------

  /** What the user does keeps the session alive, but an open warning wants its own answer. */
  #active() {
    if (this.#gone || this.#dialog.open || this.#extending || this.#cover.on || clock.left() <= 0) return;
    const wait = this.#reportedAt + REPORT_MS - performance.now();
    clearTimeout(this.#reportTimer);
    if (wait > 0) {
      this.#reportTimer = after(wait, () => this.#active());
      return;
    }
    const before = this.#reportedAt;
    this.#reportedAt = performance.now();
    this.#ask(this.dataset.keepAliveUrl ?? "", "POST").then(
      () => this.#announce(),
      () => { this.#reportedAt = before; },
    );
  }

  /** @param {SubmitEvent} event */
  #submitted(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (form.matches("[data-keep-alive]")) {
      event.preventDefault();
      this.#extend();
    } else if (form.matches("[data-sign-out]")) {
      this.#channel?.send({ type: "signing_out" });
      // Its answer clears cookies and storage while this page still stands: not a reason to leave by another door.
      this.#gone = true;
      after(SIGN_OUT_MS, () => { this.#gone = false; this.#check(); });
    }
  }

  // ---- The other tabs ------------------------------------------------------------------------------------------------

  #openChannel() {
    this.#channel ??= openChannel((message) => this.#heard(message));
  }

  /** Loading a page and keeping alive both restarted the idle clock: no other tab needs to report it again. */
  #announce() {
    if (this.#gone) return;
    this.#reportedAt = performance.now();
    this.#channel?.send({ type: "extended" });
  }

  /**
   * Anything that runs on this origin can send such a message, so none is believed: the server is asked.
   * @param {import("../lib/channel.js").Message} message
   */
  #heard({ type }) {
    if (this.#gone) return;
    if (type === "signing_out") {
      this.#signOutTimer ??= after(SIGN_OUT_MS, () => {
        this.#signOutTimer = undefined;
        this.#check();
      });
    } else {
      this.#check();
    }
  }

  // ---- Showing ------------------------------------------------------------------------------------------------------

  /** @param {"checking" | "unreachable"} state */
  #hidePage(state) {
    const dialog = this.#part("cover");
    const changed = dialog.dataset.state !== state;
    this.#closeDialog();
    dialog.dataset.state = state;
    only(dialog, state);
    this.#cover.show();
    document.documentElement.dataset.sessionCover = state;
    // The title may say what the page shows.
    document.title = shown(this.#part("cover-title"));
    if (changed) dialog.focus({ preventScroll: true });
    document.dispatchEvent(new Event("session-covered"));
  }

  #showPage() {
    if (!this.#cover.on) return;
    delete this.#part("cover").dataset.state;
    delete document.documentElement.dataset.sessionCover;
    this.#cover.hide();
    this.#retitle(null);
  }

  /** @param {"active" | "warning" | "expired" | "signed_out" | "offline"} state */
  #mark(state) {
    const root = document.documentElement;
    if (root.dataset.sessionState !== state) root.dataset.sessionState = state;
  }

  /** @param {string} phrase */
  #line(phrase) {
    const end = new Date(clock.now().getTime() + clock.left());
    const line = this.#part("line");
    line.classList.toggle("strip--warning", phrase !== "extended");
    write(line, this.#fill(phrase, { clock: timeOfDay(end, clock.now(), document.documentElement.lang) }));
  }

  /** @param {string} phrase */
  #say(phrase) {
    const speech = this.#part("speech");
    const words = () => this.#fill(phrase, { time: this.#duration(step(clock.left())) });
    const early = this.#openedAt + QUIET_MS - performance.now();
    if (early > 0) after(early, () => { if (this.#dialog.open && !speech.textContent) write(speech, words()); });
    else write(speech, words());
  }

  /** @param {number} seconds */
  #duration(seconds) {
    if (seconds > 60) return this.#fill("minutes", { n: Math.round(seconds / 60) });
    return seconds === 60 ? this.#fill("minute", {}) : this.#fill("seconds", { n: seconds });
  }

  /**
   * @param {string} phrase
   * @param {Record<string, string | number>} values
   */
  #fill(phrase, values) {
    const template = this.querySelector(`template[data-phrase="${phrase}"]`);
    return template instanceof HTMLTemplateElement ? fill((template.content.textContent ?? "").trim(), values) : "";
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#parts.get(name));
  }

  get #warnMs() {
    return Number(this.dataset.warnSeconds) * 1000;
  }

  get #absoluteWarnMs() {
    return Number(this.dataset.absoluteWarnSeconds) * 1000;
  }
}

/**
 * Show what belongs to `state`, hide what belongs to another.
 * @param {HTMLElement} root
 * @param {string} state
 */
function only(root, state) {
  for (const element of root.querySelectorAll("[data-when]")) {
    const states = /** @type {HTMLElement} */ (element).dataset.when?.split(" ") ?? [];
    /** @type {HTMLElement} */ (element).hidden = !states.includes(state);
  }
}

/** The words that `only` has left. @param {HTMLElement} element */
function shown(element) {
  const parts = Array.from(element.children).filter((each) => !(/** @type {HTMLElement} */ (each).hidden));
  return parts.map((each) => each.textContent).join(" ").trim();
}

/**
 * @param {HTMLElement} element
 * @param {string} attribute
 * @param {boolean} on
 */
function flag(element, attribute, on) {
  if (on) element.setAttribute(attribute, "true");
  else element.removeAttribute(attribute);
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.getAttribute("content") ?? "";
}

/** @param {string} token the one that the server takes from now on */
function takeToken(token) {
  if (token === csrfToken()) return;
  document.querySelector("meta[name=csrf-token]")?.setAttribute("content", token);
  for (const input of document.querySelectorAll("input[name=csrf_token]")) {
    /** @type {HTMLInputElement} */ (input).value = token;
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(ACKNOWLEDGED) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} end */
function remember(end) {
  try {
    sessionStorage.setItem(ACKNOWLEDGED, end);
  } catch {
    // Storage is off: the next page asks again.
  }
}

customElements.define("session-timeout", SessionTimeout);
