// @ts-check
/**
 * One tab of the browser leads: it holds the connection, and tells the others. When it goes, the next one takes over.
 *
 * The module touches no DOM and keeps no state.
 */

/**
 * @param {string} name of what is led, the same in all tabs
 * @param {AbortSignal} signal ends it
 * @param {() => void} run called once, in the tab that leads
 */
export function lead(name, signal, run) {
  if (!navigator.locks) {
    // An old browser: each tab leads. The server takes three of one session, and the others ask by themselves.
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
