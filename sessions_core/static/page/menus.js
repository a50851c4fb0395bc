// @ts-check
/**
 * Closes the menus of a page (`<details data-menu>`) on Escape, and when the user presses or moves the focus elsewhere.
 * Opening and closing by their summaries needs no script.
 */

/** @returns {HTMLDetailsElement[]} */
const opened = () => Array.from(document.querySelectorAll("details[data-menu][open]"));

/** @param {Event} event */
function closeOthers({ target }) {
  for (const menu of opened()) if (!(target instanceof Node && menu.contains(target))) menu.open = false;
}

document.addEventListener("pointerdown", closeOthers);
document.addEventListener("focusin", closeOthers);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of opened()) {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary")?.focus();
  }
});
