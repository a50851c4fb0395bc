// @ts-check
/** What `<wallet-sign-in>` offers to sign in with, and in which order: what the user can do at once comes first. */
import { announce, part, phrase } from "../../page/parts.js";
import { installed, list } from "../../wallets/discovery.js";

export class Offers {
  /** Whether the wallets that answer at once have been found: what needs no installing is offered from then on. */
  lookedOnce = false;
  /** How many wallets the user was told of. */
  #found = 0;
  #panel;

  /** @param {HTMLElement} panel */
  constructor(panel) { this.#panel = panel; }

  /** Whether there is a wallet to choose from that is the user's own. */
  get any() { return installed().length > 0 || (this.lookedOnce && held()); }

  /** Whether something is offered that needs no installing, while wallets may still be found. */
  get early() { return this.lookedOnce && hosted(); }

  /** @returns {HTMLDetailsElement | null} */
  get install() { return this.#panel.querySelector("details[data-part='install']"); }

  /** What needs no installing comes first where nothing is installed, and the ways to install a wallet come last. */
  draw() {
    const [picker, none] = [part(this.#panel, "picker"), installed().length === 0];
    part(this.#panel, "hosted").hidden = !hosted();
    part(this.#panel, "installed").classList.toggle("button--primary", !hosted());
    if (this.install && !none) this.install.hidden = true;
    if (picker.hidden || picker.dataset.placed !== undefined || (none && !this.lookedOnce)) return;
    // Once: from now on nothing may move any more under the pointer.
    picker.dataset.placed = "";
    if (none) picker.prepend(...this.#panel.querySelectorAll("[data-offer]"));
  }

  /** Say how many wallets there are to choose from, when that has changed. */
  announce() {
    const count = installed().length + (held() ? 1 : 0);
    if (count === this.#found) return;
    this.#found = count;
    const warnings = ["twins", "overflow"].map((name) => part(this.#panel, name)).filter((each) => !each.hidden);
    announce(this.#panel, [phrase(this.#panel, "found", count), ...warnings.map((each) => each.textContent)].join(" "));
  }
}

/** Whether a wallet is offered that needs no installing. */
function hosted() {
  return list().some((wallet) => wallet.hosted);
}

/** Whether this browser keeps a wallet that needs no installing already. */
function held() {
  return list().some((wallet) => wallet.hosted && wallet.detail !== "");
}
