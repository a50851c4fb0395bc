// @ts-check
/**
 * `<copy-button data-copy="text" data-from="id">` around a hidden button: shows it where copying can work, copies the text,
 * says so in the words of the template. Where copying fails it selects `#id`. What it copies never comes from there: a
 * browser that translates the page, or an extension, may have changed what is shown.
 */
import { phrase } from "../page/parts.js";

export class CopyButton extends HTMLElement {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** Copied instead of the attribute: a secret that must not stand in the markup. @type {string | undefined} */
  text;

  connectedCallback() {
    const button = this.querySelector("button");
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", () => this.#copy());
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.text ?? this.dataset.copy ?? "");
      this.#say("copied");
    } catch {
      // Refused by a permission or a policy: leave the text selected for the keyboard.
      const shown = document.getElementById(this.dataset.from ?? "");
      if (shown) getSelection()?.selectAllChildren(shown);
      this.#say("selected");
    }
  }

  /** @param {string} name */
  #say(name) {
    const status = this.querySelector("[role=status]");
    if (!status) return;
    status.textContent = phrase(this, name);
    this.dataset.state = name;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { status.textContent = ""; delete this.dataset.state; }, 6000);
  }
}

customElements.define("copy-button", CopyButton);
