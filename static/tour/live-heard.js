// @ts-check
/**
 * `<live-heard>` writes down what this tab hears of its account. Listen like this in your own pages. All words are in
 * the page: one template for each event.
 */
class LiveHeard extends HTMLElement {
  connectedCallback() {
    for (const type of ["sessions:changed", "account:changed"]) document.addEventListener(type, this.#heard);
  }

  disconnectedCallback() {
    for (const type of ["sessions:changed", "account:changed"]) document.removeEventListener(type, this.#heard);
  }

  /** @param {Event} event */
  #heard = ({ type }) => {
    const template = /** @type {HTMLTemplateElement} */ (this.querySelector(`template[data-heard="${type}"]`));
    this.querySelector("[data-none]")?.remove();
    this.querySelector("ul")?.prepend(template.content.cloneNode(true));
  };
}

customElements.define("live-heard", LiveHeard);
