// @ts-check
/**
 * `<signed-out data-reason="…">`: start reading at the heading, let the other tabs know, and leave nothing of a session
 * in storage: where the browser holds half of a wallet's key, the server could not have it all cleared.
 */
import { openChannel } from "./channel.js";

class SignedOut extends HTMLElement {
  connectedCallback() {
    this.querySelector("h1")?.focus();
    const channel = openChannel(() => {});
    channel.send({ type: "signed_out", reason: this.dataset.reason ?? "unknown" });
    try {
      sessionStorage.clear();
      localStorage.clear();
    } catch {
      // Storage is off, and nothing in it.
    }
  }
}

customElements.define("signed-out", SignedOut);
