// @ts-check
/**
 * The tabs of one browser tell each other that something happened to their session. A message is a hint, never a proof:
 * everything that runs on this origin can send one, so it carries no values, and who hears it asks the server. Of the
 * tabs one can lead: it does what one tab is enough for.
 */

const NAME = "wallet-session";

/**
 * @typedef {{type: "extended" | "signing_out" | "signed_out" | "cleared"}} Message
 *   `cleared` is never sent: the storage of the site was cleared.
 */

const TYPES = new Set(["extended", "signing_out", "signed_out"]);

/**
 * @param {(message: Message) => void} hear
 * @returns {{send: (message: Message) => void, close: () => void}}
 */
export function openChannel(hear) {
  /** @param {any} message */
  const accept = (message) => {
    if (message && TYPES.has(message.type)) hear({ type: message.type });
  };

  /** @param {StorageEvent} event */
  const stored = (event) => {
    if (event.key === null) hear({ type: "cleared" });
    if (event.key !== NAME || !event.newValue) return;
    try {
      accept(JSON.parse(event.newValue).message);
    } catch {
      // Not ours.
    }
  };
  globalThis.addEventListener("storage", stored);

  if (!("BroadcastChannel" in globalThis)) {
    return {
      send(message) {
        try {
          // The event fires only when the value changes, hence the number.
          localStorage.setItem(NAME, JSON.stringify({ message, number: Math.random() }));
          localStorage.removeItem(NAME);
        } catch {
          // Storage is off: the other tabs learn it from the server.
        }
      },
      close: () => globalThis.removeEventListener("storage", stored),
    };
  }

  const channel = new BroadcastChannel(NAME);
  channel.onmessage = (event) => accept(event.data);
  return {
    send: (message) => channel.postMessage(message),
    close() {
      globalThis.removeEventListener("storage", stored);
      channel.close();
    },
  };
}

/**
 * Have one tab lead. When it goes, the next one takes over.
 * @param {string} name of what is led, the same in all tabs
 * @param {AbortSignal} signal ends it
 * @param {() => void} run called once, in the tab that leads
 */
export function lead(name, signal, run) {
  if (!navigator.locks) {
    // An old browser: each tab leads.
    run();
    return;
  }
  const held = () => {
    run();
    return new Promise((resolve) => { signal.addEventListener("abort", resolve, { once: true }); });
  };
  navigator.locks.request(name, { signal }, held).catch(() => {
    // Ended while it was waiting.
  });
}
