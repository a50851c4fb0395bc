// @ts-check
/** `<signed-out data-reason="…">`: start reading at the heading, and let the other tabs know. */
import { openChannel } from "./channel.js";

class SignedOut extends HTMLElement {
  connectedCallback() {
    this.querySelector("h1")?.focus();
    const channel = openChannel(() => {});
    channel.send({ type: "signed_out", reason: this.dataset.reason ?? "unknown" });
  }
}

customElements.define("signed-out", SignedOut);
