// @ts-check
/**
 * `<sign-in-elsewhere data-newest="…">` says aloud that there is a notice on the page: what is there when a page loads
 * is not read out by itself, and this one must not take the focus from what the user came for. Each sign-in is spoken
 * once in a browser, and not again on each page that shows it.
 */
import { readStored, writeStored } from "../../../static/lib/storage.js";
import { optionalPart, phrase, write } from "../../../static/page/parts.js";

const SPOKEN = "wallet-session-sign-in-spoken";

class SignInElsewhere extends HTMLElement {
  connectedCallback() {
    const newest = this.dataset.newest ?? "";
    if (readStored("localStorage", SPOKEN) === newest) return;
    writeStored("localStorage", SPOKEN, newest);
    // In a later frame: only what changes in a live region that is known is spoken.
    requestAnimationFrame(() => write(optionalPart(this, "speech"), phrase(this, "new")));
  }
}

customElements.define("sign-in-elsewhere", SignInElsewhere);
