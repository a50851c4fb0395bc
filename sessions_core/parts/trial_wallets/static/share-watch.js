// @ts-check
/**
 * `<share-watch>` (templates/sessions/_share_watch.html): a session with a pre-generated wallet lives as long as its
 * half of the key is in this browser. Once the half is gone the session is ended on the server, and the page says why.
 */
import { request } from "../../../static/lib/http.js";
import { account, watch } from "./share-store.js";

class ShareWatch extends HTMLElement {
  #listening = new AbortController();
  #looking = false;
  #left = false;
  /** @type {() => void} */
  #unwatch = () => {};

  connectedCallback() {
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const look = () => { this.#look(); };
    this.#unwatch = watch(look);
    // Nobody tells a page that its storage was cleared by hand: it looks when somebody comes back to it.
    for (const type of ["focus", "pageshow", "storage"]) window.addEventListener(type, look, { signal });
    document.addEventListener("visibilitychange", look, { signal });
    look();
  }

  disconnectedCallback() {
    this.#unwatch();
    this.#listening.abort();
  }

  async #look() {
    if (this.#looking || this.#left) return;
    this.#looking = true;
    try {
      const here = (await account()) === this.dataset.account;
      this.dataset.state = here ? "here" : "gone";
      if (!here) await this.#leave();
    } catch {
      // A storage that can't be read says nothing of what is in it, nor a server that does not answer of the session. And
      // if the session has ended as well, since another tab deleted the wallet, session-timeout hears the reason.
      this.dataset.state = "unknown";
    } finally {
      this.#looking = false;
    }
  }

  async #leave() {
    await request(this.dataset.validateUrl ?? "");
    this.#left = true;
    this.querySelector("form")?.requestSubmit();
  }
}

customElements.define("share-watch", ShareWatch);
