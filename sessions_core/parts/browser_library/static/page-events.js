// @ts-check
/** What a page hears that is a reason to ask the server, or to show nothing for a while. */
import { watchActivity } from "../../../static/lib/activity.js";

/**
 * @typedef {object} Listener
 * @property {() => void} ask the user has come back to the page, the network is there again, or an element of the page was
 *   told that there is no session
 * @property {() => void} offline the browser says that the network is gone
 * @property {() => void} away the page is left, and may be put away as it is (back/forward cache)
 * @property {() => void} back it is shown again
 * @property {() => void} active the user did something
 */

/** @param {Listener} listener @param {AbortSignal} signal */
export function watchPage({ ask, offline, away, back, active }, signal) {
  /** @type {(target: EventTarget, types: string, run: (event: any) => void) => void} */
  const on = (target, types, run) => {
    for (const type of types.split(" ")) target.addEventListener(type, run, { signal });
  };
  on(globalThis, "focus online", ask);
  on(document, "resume session-doubted", ask);
  on(document, "visibilitychange", () => { if (!document.hidden) ask(); });
  on(globalThis, "offline", offline);
  on(globalThis, "pagehide", away);
  on(globalThis, "pageshow", ({ persisted }) => { if (persisted) back(); });
  watchActivity(active, signal);
}

/** Whether this is a page of the package: it keeps the session alive, and is left when that ends, by itself. */
export function looksAfterItself() {
  return document.querySelector("session-timeout") !== null;
}

/** Whether the page says that activity is not to keep the session alive. */
export function keepAliveDisabled() {
  return document.documentElement.dataset.disableAutoSessionKeepAlive !== undefined;
}
