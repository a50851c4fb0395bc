// @ts-check
/**
 * Takes a page away until the server has answered, and gives it back as it was: the cover is a modal dialog, and
 * everything else of the page is inert and not displayed.
 *
 * A cover that only lies above the page is not enough. Modal dialogs, popovers and what is in full screen are above
 * every z-index, a child may be visible in a hidden parent, and a modal dialog of the page keeps its user from the
 * cover's button.
 */
import { part, show, shownText } from "../../page/parts.js";

/** @typedef {"checking" | "unreachable"} CoverState */

/** @typedef {HTMLElement | SVGElement} StyledElement */

export class Cover {
  #dialog;
  /** What each hidden element had of its own. @type {Map<StyledElement, {display: string, priority: string, inert: boolean}>} */
  #hidden = new Map();
  #at = { x: 0, y: 0 };
  /** @type {Element | null} */ #focused = null;
  #on = false;

  /** @param {HTMLDialogElement} dialog what is shown in the place of the page */
  constructor(dialog) {
    this.#dialog = dialog;
    // A browser lets Esc close every dialog.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => { if (this.#on) this.#raise(); });
  }

  get on() {
    return this.#on;
  }

  /** @param {CoverState} state what the cover says */
  show(state) {
    const changed = this.#dialog.dataset.state !== state;
    this.#dialog.dataset.state = state;
    show(this.#dialog, [state]);
    this.#take();
    document.documentElement.dataset.sessionCover = state;
    // The title may say what the page shows.
    document.title = shownText(part(this.#dialog, "cover-title")).trim();
    if (changed) this.#dialog.focus({ preventScroll: true });
    document.dispatchEvent(new Event("session-covered"));
  }

  #take() {
    if (this.#on) return;
    this.#on = true;
    this.#at = { x: window.scrollX, y: window.scrollY };
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
    this.#focused = document.activeElement;
    this.#raise();
    this.#hideRest();
  }

  hide() {
    if (!this.#on) return;
    this.#on = false;
    delete this.#dialog.dataset.state;
    delete document.documentElement.dataset.sessionCover;
    for (const [element, { display, priority, inert }] of this.#hidden) {
      element.style.setProperty("display", display, priority);
      element.toggleAttribute("inert", inert);
    }
    this.#hidden.clear();
    this.#dialog.close();
    if (this.#focused instanceof HTMLElement) this.#focused.focus({ preventScroll: true });
    window.scrollTo({ left: this.#at.x, top: this.#at.y, behavior: "instant" });
  }

  /** Look again: the page's own scripts run on, and may have added something, or opened a dialog. */
  hold() {
    if (!this.#on) return;
    this.#hideRest();
    const { x, y, width, height } = this.#dialog.getBoundingClientRect();
    // Under another modal dialog this one is inert, and nothing of it is found.
    if (!this.#dialog.contains(document.elementFromPoint(x + width / 2, y + height / 2))) this.#raise();
  }

  #raise() {
    if (this.#dialog.open) this.#dialog.close();
    this.#dialog.showModal();
    this.#dialog.focus({ preventScroll: true });
  }

  #hideRest() {
    for (let kept = /** @type {Element} */ (this.#dialog); kept.parentElement; kept = kept.parentElement) {
      for (const element of kept.parentElement.children) {
        if (element !== kept && element !== document.head) this.#hide(element);
      }
    }
  }

  /** @param {Element} element */
  #hide(element) {
    if (!(element instanceof HTMLElement || element instanceof SVGElement)) return;
    if (!this.#hidden.has(element)) {
      const { style } = element;
      this.#hidden.set(element, {
        display: style.getPropertyValue("display"),
        priority: style.getPropertyPriority("display"),
        inert: element.hasAttribute("inert"),
      });
    }
    // By the element itself: no rule of a style sheet is stronger.
    element.style.setProperty("display", "none", "important");
    element.setAttribute("inert", "");
  }
}
