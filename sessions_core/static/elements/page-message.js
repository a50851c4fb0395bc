// @ts-check
/**
 * `<page-message tabindex="-1">` says what the form that led here has done. A message that is there when the page
 * loads is not read out by itself, so reading starts at it.
 */
class PageMessage extends HTMLElement {
  connectedCallback() {
    this.focus();
  }
}

customElements.define("page-message", PageMessage);
