// @ts-check
/**
 * `<sign-in-elsewhere>` says aloud that there is a notice on the page: what is there when a page loads is not read out
 * by itself, and this one must not take the focus from what the person came for.
 */
class SignInElsewhere extends HTMLElement {
  connectedCallback() {
    const speech = this.querySelector("[data-part='speech']");
    const phrase = /** @type {HTMLTemplateElement | null} */ (this.querySelector("template[data-phrase='new']"));
    // In a later frame: only what changes in a live region that is known is spoken.
    requestAnimationFrame(() => {
      if (speech && phrase) speech.textContent = phrase.content.textContent;
    });
  }
}

customElements.define("sign-in-elsewhere", SignInElsewhere);
