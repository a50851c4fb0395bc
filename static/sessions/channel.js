// @ts-check
/**
 * The tabs of one browser tell each other what happened to their session. A message is a hint, never a proof: anybody
 * can open /signed-out?reason=… in a tab, so whoever hears of a sign-out asks the server before it acts.
 */

const NAME = "wallet-session";

/**
 * @typedef {{type: "extended", session: string, idle: number, absolute: number, at: number}
 *         | {type: "signing_out"}
 *         | {type: "signed_out", reason: string}
 *         | {type: "acknowledged", absolute: string}
 *         | {type: "cleared"}} Message
 *   `extended` carries milliseconds left when it was sent (`at`, epoch ms). `cleared` is never sent: it is how
 *   Clear-Site-Data in another tab shows here.
 */

const TYPES = new Set(["extended", "signing_out", "signed_out", "acknowledged"]);

/**
 * @param {(message: Message) => void} hear
 * @returns {{send: (message: Message) => void, close: () => void}}
 */
export function openChannel(hear) {
  /** @param {any} message */
  const accept = (message) => {
    if (message && TYPES.has(message.type)) hear(message);
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
