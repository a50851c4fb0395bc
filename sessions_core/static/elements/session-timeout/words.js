// @ts-check
/** The sentences of _timeout.html with the numbers in them. */
import { after, sessionClock as clock } from "../../lib/clock.js";
import { fillIn, timeOfDay } from "../../lib/times.js";
import { flag, part, phrase, write } from "../../page/parts.js";

/** @param {Element} root @param {string} name @param {Record<string, string | number>} [values] */
export function sentence(root, name, values = {}) {
  return fillIn(phrase(root, name), values);
}

/** "2 minutes", "20 seconds". @param {Element} root @param {number} seconds one of the steps of the countdown */
export function duration(root, seconds) {
  return seconds < 60 ? phrase(root, "seconds", seconds) : phrase(root, "minutes", Math.round(seconds / 60));
}

/** How long the line under the header repeats that all is well; the header's clock says so, too. */
const WELL_MS = 20_000;

/** @param {Element} root @param {string} name a sentence that says until when the session lasts */
export function untilWhen(root, name) {
  const end = new Date(clock.now().getTime() + clock.left());
  return sentence(root, name, { clock: timeOfDay(end, clock.now(), document.documentElement.lang) });
}

/** Say in the line under the header what happened to the session, and until when it lasts. @param {Element} root @param {string} name */
export function writeLine(root, name) {
  const line = part(root, "line");
  const words = untilWhen(root, name);
  line.classList.toggle("strip--warning", name !== "extended");
  write(line, words);
  if (name === "extended") after(WELL_MS, () => { if (line.textContent === words) write(line, ""); });
}

/**
 * Answer where the user looks: the line under the header may be far above.
 * @param {HTMLFormElement} form @param {string} words @param {boolean} busy
 */
export function answerBeside(form, words, busy) {
  const button = /** @type {HTMLElement} */ (form.querySelector("button"));
  flag(button, "aria-busy", busy);
  flag(button, "aria-disabled", busy);
  write(part(form, "result"), words);
}
