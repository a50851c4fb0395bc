// @ts-check
/**
 * `<share-export>` (templates/sessions/wallet_export.html) puts the two halves of a key together when the person asks for
 * it, and takes the key out of the page again when they leave. The key is sent nowhere.
 */
import { toHex } from "./bytes.js";
import { bytes, read } from "./share-store.js";
import { announce, part, show } from "./wallet-panel.js";

class ShareExport extends HTMLElement {
  /** The server's half; not in the markup any longer than until this runs. */
  #theirs = "";

  connectedCallback() {
    this.#theirs = this.dataset.share ?? "";
    delete this.dataset.share;
    this.addEventListener("click", (event) => {
      const control = event.target instanceof Element ? event.target.closest("[data-action]") : null;
      const action = control?.getAttribute("data-action");
      if (action === "show") this.#reveal();
      if (action === "hide") this.#hide();
    });
    // The back/forward cache must not keep it.
    window.addEventListener("pagehide", () => this.#hide());
  }

  async #reveal() {
    try {
      const half = await read();
      if (!half || half.account !== this.dataset.account) return this.#show("gone");
      const theirs = bytes(this.#theirs);
      const key = half.share.map((byte, at) => byte ^ theirs[at]);
      this.#write(`0x${toHex(key)}`);
      key.fill(0);
      half.share.fill(0);
      this.#show("shown");
      part(this, "key").focus();
    } catch {
      this.#show("unreadable");
    }
  }

  #hide() {
    if (this.dataset.state !== "shown") return;
    this.#write("");
    this.#show("hidden");
    this.querySelector("button")?.focus();
  }

  /** Shows the key, and has the button copy the key itself: what is shown may be changed. @param {string} key */
  #write(key) {
    part(this, "key").textContent = key;
    const copy = /** @type {import("./copy-button.js").CopyButton | null} */ (this.querySelector("copy-button"));
    if (copy) copy.text = key;
  }

  /** @param {"hidden" | "shown" | "gone" | "unreadable"} state */
  #show(state) {
    this.dataset.state = state;
    show(this, state);
    const phrase = this.querySelector(`template[data-phrase="${state}"]`);
    if (phrase instanceof HTMLTemplateElement) announce(this, phrase.content.textContent ?? "");
  }
}

customElements.define("share-export", ShareExport);
