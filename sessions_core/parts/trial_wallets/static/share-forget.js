// @ts-check
/**
 * `<share-forget data-account="…">` is on the page that follows the deletion of a trial wallet: the server says that the
 * wallet of this account was deleted, so this browser's half of its key goes too.
 */
import { remove } from "./share-store.js";

class ShareForget extends HTMLElement {
  connectedCallback() {
    // Storage that can't be reached keeps a half that is worth nothing.
    remove(this.dataset.account ?? "").catch(() => {});
  }
}

customElements.define("share-forget", ShareForget);
