// @ts-check
/**
 * `<copy-button data-from="id">` around a hidden button: shows it where copying can work, copies the text of `#id`,
 * says so in the words of the template.
 */
class CopyButton extends HTMLElement {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  connectedCallback() {
    const button = this.querySelector("button");
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", () => this.#copy());
  }

  async #copy() {
    const source = document.getElementById(this.dataset.from ?? "");
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.textContent?.trim() ?? "");
      this.#say("copied");
    } catch {
      // Refused by a permission or a policy: leave the text selected for the keyboard.
      getSelection()?.selectAllChildren(source);
      this.#say("selected");
    }
  }

  /** @param {string} name */
  #say(name) {
    const words = this.querySelector(`template[data-phrase="${name}"]`);
    const status = this.querySelector("[role=status]");
    if (!(words instanceof HTMLTemplateElement) || !status) return;
    status.textContent = words.content.textContent;
    this.dataset.state = name;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { status.textContent = ""; delete this.dataset.state; }, 6000);
  }
}

customElements.define("copy-button", CopyButton);
