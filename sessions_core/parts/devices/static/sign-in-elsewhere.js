// @ts-check
/**
 * `<sign-in-elsewhere>` says aloud that there is a notice on the page: what is there when a page loads is not read out
 * by itself, and this one must not take the focus from what the user came for.
 */
import { optionalPart, phrase, write } from "../../../static/page/parts.js";

class SignInElsewhere extends HTMLElement {
  connectedCallback() {
    // In a later frame: only what changes in a live region that is known is spoken.
    requestAnimationFrame(() => write(optionalPart(this, "speech"), phrase(this, "new")));
  }
}

customElements.define("sign-in-elsewhere", SignInElsewhere);
