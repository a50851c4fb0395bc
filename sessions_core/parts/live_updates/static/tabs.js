// @ts-check
/**
 * What the tab that holds the connection tells the other tabs of its browser. Everything that runs on this origin can send
 * such a message, so it is a hint: who hears it asks the server.
 *
 * The module touches no DOM and keeps no state.
 */

const NAME = "wallet-session-live";

/** @typedef {{type: "state", state: Record<string, string>} | {type: "sessions"} | {type: "ended"}} Message */

/**
 * @param {any} message
 * @returns {Message | null} null for anything else
 */
export function readMessage(message) {
  const type = message?.type;
  if (type === "sessions" || type === "ended") return { type };
  const { state } = message ?? {};
  if (type !== "state" || typeof state !== "object" || state === null || Array.isArray(state)) return null;
  const entries = Object.entries(state).filter(([, digest]) => typeof digest === "string");
  return { type, state: Object.fromEntries(entries) };
}

/**
 * @param {(message: Message) => void} hear
 * @param {() => void} asked another tab has just opened, and wants to hear the state: its page may be older than that
 * @param {AbortSignal} signal closes it
 * @returns {(message: Message) => void} tells the other tabs
 */
export function openTabs(hear, asked, signal) {
  if (!("BroadcastChannel" in globalThis)) return () => {};
  const channel = new BroadcastChannel(NAME);
  channel.onmessage = (event) => {
    const message = readMessage(event.data);
    if (message) hear(message);
    else if (event.data?.type === "asked") asked();
  };
  channel.postMessage({ type: "asked" });
  signal.addEventListener("abort", () => channel.close(), { once: true });
  return (message) => { if (!signal.aborted) channel.postMessage(message); };
}
