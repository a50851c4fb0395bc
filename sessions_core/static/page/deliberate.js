// @ts-check
/**
 * Buttons with `data-deliberate` do something that can't be taken back. They ignore every press that the user can't
 * have meant: the second half of a double click, a key that is held down, and everything in the first second after the
 * button, the page or its window came up. Otherwise another site lures a double click, and has this page under the
 * pointer before its second half.
 *
 * For a second after it was shown a button plays the animation `settle` (css/base.css), which keeps the pointer off it
 * where no script runs, too. That an element got the focus starts no second: screen readers move it and press in one
 * step. Their clicks have the detail 0, as those of a keyboard.
 */
const SETTLE_MS = 1_000;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** The page or its window has just come up: another one was in front of the user until now. */
function cameUp() {
  document.documentElement.dataset.settling = "";
  clearTimeout(timer);
  timer = setTimeout(() => { delete document.documentElement.dataset.settling; }, SETTLE_MS);
}

/** @param {Element} button */
function settling(button) {
  if (document.documentElement.dataset.settling !== undefined) return true;
  return button.getAnimations().some((each) => each instanceof CSSAnimation && each.animationName === "settle");
}

/** @param {EventTarget | null} target */
function deliberate(target) {
  return target instanceof Element ? target.closest("[data-deliberate]") : null;
}

/** @param {Event} event */
function refuse(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

window.addEventListener("click", (event) => {
  const button = deliberate(event.target);
  if (button && (event.detail > 1 || settling(button))) refuse(event);
}, { capture: true });

window.addEventListener("keydown", (event) => {
  if (!event.repeat || event.key !== "Enter") return;
  // Enter in a field presses the button of its form.
  const form = event.target instanceof HTMLInputElement ? event.target.form : null;
  if (deliberate(event.target) || form?.querySelector("[data-deliberate]")) refuse(event);
}, { capture: true });

// Only the browser knows that: an event of a script says nothing.
window.addEventListener("focus", (event) => { if (event.isTrusted) cameUp(); });
window.addEventListener("pageshow", cameUp);
document.addEventListener("visibilitychange", () => { if (!document.hidden) cameUp(); });
