// @ts-check
/**
 * Reports that the user does something, in this page or in a frame of it. Keys and presses are not all: who dictates,
 * pastes or composes may send input for minutes without one key. Moving the pointer and scrolling are no activity.
 *
 * Only what the browser itself reports counts. Content of others on this page can make any event, and would keep the
 * session alive.
 */

const TYPES = [
  "keydown", "pointerdown", "beforeinput", "input", "paste", "drop", "compositionstart", "compositionupdate",
];

/**
 * @param {() => void} active
 * @param {AbortSignal} signal
 * @returns {() => void} looks for frames that have come since; they can't all be heard of
 */
export function watchActivity(active, signal) {
  /** @param {Event} event */
  const heard = (event) => { if (event.isTrusted) active(); };

  /** @param {Window} view */
  const listen = (view) => {
    try {
      // A second time it changes nothing, but a frame whose document was written anew has lost the first.
      for (const type of TYPES) view.addEventListener(type, heard, { capture: true, passive: true, signal });
      for (let at = 0; at < view.length; at += 1) listen(view[at]);
    } catch {
      // A frame of another origin.
    }
  };
  const look = () => listen(window);
  look();
  return look;
}
