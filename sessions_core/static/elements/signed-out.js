// @ts-check
/**
 * `<signed-out data-reason="…" data-deleted="…">`: start reading at the heading, and let the other tabs look. If the
 * server says that the wallet of this account was deleted, its half here goes too.
 */
import { openChannel } from "../lib/channel.js";
import "../page/fragment.js";
import { remove } from "../../parts/trial_wallets/static/share-store.js";

class SignedOut extends HTMLElement {
  connectedCallback() {
    this.querySelector("h1")?.focus();
    const { reason, deleted } = this.dataset;
    // Anybody can link to this page: the other tabs have nothing to look for unless the server knows of an end.
    if (reason !== "unknown") openChannel(() => {}).send({ type: "signed_out" });
    // Storage that can't be reached keeps a half that is worth nothing.
    if (deleted) remove(deleted).catch(() => {});
  }
}

customElements.define("signed-out", SignedOut);
