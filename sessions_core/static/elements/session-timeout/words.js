// @ts-check
/** The sentences of _timeout.html with the numbers in them. */
import { sessionClock as clock } from "../../lib/clock.js";
import { fillIn, timeOfDay } from "../../lib/times.js";
import { part, phrase, write } from "../../page/parts.js";

/** @param {Element} root @param {string} name @param {Record<string, string | number>} [values] */
export function sentence(root, name, values = {}) {
  return fillIn(phrase(root, name), values);
}

/** "2 minutes", "20 seconds". @param {Element} root @param {number} seconds one of the steps of the countdown */
export function duration(root, seconds) {
  if (seconds > 60) return sentence(root, "minutes", { n: Math.round(seconds / 60) });
  return seconds === 60 ? sentence(root, "minute") : sentence(root, "seconds", { n: seconds });
}

/** Say in the line under the header what happened to the session, and until when it lasts. @param {Element} root @param {string} name */
export function writeLine(root, name) {
  const end = new Date(clock.now().getTime() + clock.left());
  const line = part(root, "line");
  line.classList.toggle("strip--warning", name !== "extended");
  write(line, sentence(root, name, { clock: timeOfDay(end, clock.now(), document.documentElement.lang) }));
}
