// @ts-check
/**
 * `<share-export>` (templates/sessions/wallet_export.html) puts the two halves of a key together when the user asks for
 * it. The key is sent nowhere, and is in the page no longer than somebody can be looking at it: it goes when the tab or
 * the window is hidden, when the page is printed, left, or covered, and after a minute.
 */
import { toHex } from "../../../static/lib/bytes.js";
import { bytes, read } from "./share-store.js";
import { announce, part, phrase, show } from "../../../static/page/parts.js";

const SHOWN_MS = 60_000;

class ShareExport extends HTMLElement {
  /** The server's half; not in the markup any longer than until this runs. */
  #theirs = "";
  /** Counts what takes the key away: a key that is still being put together by then is not shown. */
  #hidings = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #listening = new AbortController();

  connectedCallback() {
    this.#theirs = this.dataset.share ?? this.#theirs;
    delete this.dataset.share;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.addEventListener("click", (event) => {
      const control = event.target instanceof Element ? event.target.closest("[data-action]") : null;
      const action = control?.getAttribute("data-action");
      if (action === "show") this.#reveal();
      if (action === "hide") this.#hide("hidden");
    }, { signal });
    const away = () => this.#hide("away");
    // The back/forward cache must not keep it, nor the cover only lie above it.
    window.addEventListener("pagehide", away, { signal });
    window.addEventListener("beforeprint", away, { signal });
    document.addEventListener("freeze", away, { signal });
    document.addEventListener("session-covered", away, { signal });
    document.addEventListener("visibilitychange", () => { if (document.hidden) away(); }, { signal });
  }

  disconnectedCallback() {
    this.#hide("away");
    this.#listening.abort();
  }

  async #reveal() {
    const before = this.#hidings;
    try {
      const half = await read();
      if (!half || half.account !== this.dataset.account) return this.#show("gone");
      const theirs = bytes(this.#theirs);
      const key = half.share.map((byte, at) => byte ^ theirs[at]);
      if (before === this.#hidings && !document.hidden) {
        this.#write(`0x${toHex(key)}`);
        this.#show("shown");
        part(this, "key").focus();
        this.#timer = setTimeout(() => this.#hide("away"), SHOWN_MS);
      }
      key.fill(0);
      half.share.fill(0);
    } catch {
      this.#show("unreadable");
    }
  }

  /** @param {"hidden" | "away"} announcement by the user's own wish, or by one of the other ways */
  #hide(announcement) {
    this.#hidings += 1;
    clearTimeout(this.#timer);
    if (this.dataset.state !== "shown") return;
    this.#write("");
    this.#show("hidden", announcement);
    part(this, "away").hidden = announcement !== "away";
    this.querySelector("button")?.focus();
  }

  /** Shows the key, and has the button copy the key itself: what is shown may be changed. @param {string} key */
  #write(key) {
    part(this, "key").textContent = key;
    const copy = /** @type {import("../../../static/elements/copy-button.js").CopyButton | null} */ (this.querySelector("copy-button"));
    if (copy) copy.text = key;
  }

  /**
   * @param {"hidden" | "shown" | "gone" | "unreadable"} state
   * @param {string} [announcement] the phrase that is spoken
   */
  #show(state, announcement = state) {
    this.dataset.state = state;
    show(this, [state]);
    part(this, "away").hidden = true;
    const sentence = phrase(this, announcement);
    if (sentence) announce(this, sentence);
  }
}

customElements.define("share-export", ShareExport);
