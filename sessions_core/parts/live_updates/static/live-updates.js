// @ts-check
/**
 * `<live-updates>` (templates/sessions/_live_updates.html) hears at once what happens to the session and the account of
 * this page. One tab of the browser is connected, and tells the others. What is heard is a hint: the page asks the
 * server, and believes that.
 *
 * It tells the page by events on `document`:
 *
 *     session-doubted     the session may have ended: session-timeout asks, and leaves if that is so
 *     sessions:changed    the sessions of the account may be others than a moment ago
 *     account:changed     role, wallets or sign-ins of the account are others than when the page was made; the names of
 *                         what changed are in `detail`
 */
import { lead } from "../../../static/lib/channel.js";
import { after, rarely } from "../../../static/lib/clock.js";
import { HttpError, request } from "../../../static/lib/http.js";
import { fillIn } from "../../../static/lib/times.js";
import { part, phrase, write } from "../../../static/page/parts.js";
import { LiveConnection } from "./connection.js";
import { openTabs } from "./tabs.js";

/** However many hints come, real ones or not, the server is asked at most this often. */
const ASK_AGAIN_MS = 1_000;
/** A question that nobody answered is asked again after this. */
const TRY_AGAIN_MS = 5_000;

/** @typedef {Record<string, string>} State a digest for each thing that is kept for the account */

class LiveUpdates extends HTMLElement {
  #listening = new AbortController();
  #connected = new AbortController();
  /** What the page shows. @type {State} */ #known = {};
  #ask = rarely(ASK_AGAIN_MS, () => { this.#compare(); });
  #refresh = rarely(ASK_AGAIN_MS, () => { document.dispatchEvent(new Event("sessions:changed")); });

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.#known = JSON.parse(this.dataset.known ?? "{}");
    this.#start();
    // A page with an open connection is not kept for Back and Forward. What it misses meanwhile, it asks for then.
    window.addEventListener("pagehide", () => this.#connected.abort(), { signal });
    window.addEventListener("pageshow", (event) => { if (event.persisted) this.#ask(); }, { signal });

    // The server has said that the session is over. The page is left, and until the next one is here nothing stays in it.
    document.addEventListener("sessions:ended", () => this.#empty(), { signal });
    // The page goes on with another session, whose digests are others.
    document.addEventListener("sessions:resumed", (event) => {
      this.#known = /** @type {CustomEvent} */ (event).detail.live_state ?? {};
    }, { signal });
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#connected.abort();
  }

  #start() {
    const { socket = "", validateUrl = "" } = this.dataset;
    this.#connected = new AbortController();
    const { signal } = this.#connected;
    /** @type {import("./tabs.js").Message | null} */
    let state = null;
    const tell = openTabs((message) => this.#heard(message), () => { if (state) tell(state); }, signal);
    lead(`wallet-session-live ${socket}`, signal, () => {
      this.dataset.leads = "";
      new LiveConnection(socket, validateUrl, (message) => {
        if (message.type === "state") state = message;
        tell(message);
        this.#heard(message);
      }, signal);
    });
  }

  /** @param {import("./tabs.js").Message} message */
  #heard(message) {
    if (message.type === "ended") this.#doubt();
    else if (message.type === "sessions") this.#refresh();
    else if (differences(this.#known, message.state).length) this.#ask();
  }

  /** The server has no connection for a session that has ended. If this one lives, the page asks for one again. */
  #doubt() {
    this.#connected.abort();
    document.dispatchEvent(new Event("session-doubted"));
    after(TRY_AGAIN_MS, () => this.#ask());
  }

  #empty() {
    // The cover is in session-timeout.
    for (const each of Array.from(document.body.children)) if (!each.matches("session-timeout")) each.remove();
  }

  async #compare() {
    const { signal } = this.#listening;
    if (signal.aborted) return;
    let answer;
    try {
      answer = await request(this.dataset.validateUrl ?? "", { signal });
    } catch (error) {
      if (error instanceof HttpError && error.signedOut) document.dispatchEvent(new Event("session-doubted"));
      else after(TRY_AGAIN_MS, () => this.#ask());
      return;
    }
    if (this.#connected.signal.aborted) this.#start();
    if (answer.session_id !== this.dataset.sessionId) {
      document.dispatchEvent(new Event("session-doubted"));
      return;
    }
    const changed = differences(this.#known, answer.live_state);
    this.#known = answer.live_state;
    if (!changed.length) return;
    this.#show(changed, answer);
    document.dispatchEvent(new CustomEvent("account:changed", { detail: changed }));
  }

  /**
   * @param {string[]} changed
   * @param {{sign_ins_elsewhere?: {session_id: string, device: string}[]}} answer
   */
  #show(changed, { sign_ins_elsewhere: [newest] = [] }) {
    const shown = /** @type {HTMLElement | null} */ (document.querySelector("[data-newest]"));
    if (changed.includes("news") && newest && newest.session_id !== shown?.dataset.newest) {
      this.#say("sign-in", { device: newest.device || phrase(this, "unknown-device") });
    } else if (changed.includes("person")) {
      this.#say("wallets", {});
    } else if (changed.includes("standing") || changed.includes("rights")) {
      this.#say("rights", {});
    }
  }

  /** @param {"sign-in" | "wallets" | "rights"} kind @param {Record<string, string>} values */
  #say(kind, values) {
    const sentence = fillIn(phrase(this, kind), values);
    const notice = part(this, "notice");
    notice.dataset.kind = kind;
    write(part(this, "text"), sentence);
    for (const link of notice.querySelectorAll("a")) link.hidden = !(link.dataset.for ?? "").split(" ").includes(kind);
    notice.hidden = false;
    write(part(this, "speech"), sentence);
  }
}

/** The names under which two states differ. @param {State} one @param {State} other */
function differences(one, other) {
  return Object.keys({ ...one, ...other }).filter((name) => one[name] !== other[name]);
}

customElements.define("live-updates", LiveUpdates);
