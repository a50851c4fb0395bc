// @ts-check
/**
 * `<signed-out data-reason="…">`: start reading at the heading, and let the other tabs look.
 */
import { openChannel } from "../lib/channel.js";
import "../page/fragment.js";

class SignedOut extends HTMLElement {
  connectedCallback() {
    this.querySelector("h1")?.focus();
    // Anybody can link to this page: the other tabs have nothing to look for unless the server knows of an end.
    if (this.dataset.reason !== "unknown") openChannel(() => {}).send({ type: "signed_out" });
  }
}

customElements.define("signed-out", SignedOut);
