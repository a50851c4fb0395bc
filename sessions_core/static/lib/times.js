// @ts-check
/**
 * Moments and lengths of time in words: in the reader's own time zone, and in the language of the page.
 *
 * The module touches no DOM and keeps no state.
 */

/** Nearer than this, a time of day can only be the next one. */
const NEAR_MS = 6 * 3_600_000;
/** From here on the name of a day is that of another week. */
const WEEK_MS = 6 * 86_400_000;

/**
 * "14:32" or "2:32 PM", with the day when it needs one. The words are in the language of the page; whether the clock has
 * 12 or 24 hours follows the reader's own locale.
 * @param {Date} date
 * @param {Date} today
 * @param {string} language
 * @param {"weekday" | "date"} [day] how another day is named: "Friday 14:32" for a time ahead, or "Nov 28, 14:32" for one in
 *   the past, then with the year too when it is not this one
 */
export function timeOfDay(date, today, language, day = "weekday") {
  const ahead = date.getTime() - today.getTime();
  const sameDay = date.toDateString() === today.toDateString();
  const sameYear = date.getFullYear() === today.getFullYear();
  const byName = day === "weekday" && ahead < WEEK_MS;
  const { hourCycle } = new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions();
  /** @type {Intl.DateTimeFormatOptions} */
  const named = byName ? { weekday: "long" } : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(language, {
    hour: hourCycle === "h23" ? "2-digit" : "numeric",
    minute: "2-digit",
    hourCycle,
    ...(sameDay || (byName && ahead < NEAR_MS) ? {} : named),
    ...(sameYear || byName ? {} : { year: "numeric" }),
  }).format(date);
}

/**
 * "5 minutes ago", rounded as the server rounds it; null within the first minute, for which the page has its own words.
 * @param {Date} date
 * @param {Date} now
 * @param {string} language
 * @returns {string | null}
 */
export function ago(date, now, language) {
  const seconds = (now.getTime() - date.getTime()) / 1000;
  if (seconds < 60) return null;
  const [minutes, hours, days] = [Math.round(seconds / 60), Math.round(seconds / 3600), Math.floor(seconds / 86_400)];
  const words = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  if (minutes < 60) return words.format(-minutes, "minute");
  if (hours < 24) return words.format(-Math.max(hours, 1), "hour");
  return words.format(-Math.max(days, 1), "day");
}

/**
 * Whole hours, minutes and seconds, rounded up: "in 30 min" right after the start, never "in 0 s" before the end.
 * @param {number} ms
 * @param {"minutes" | "seconds"} [smallest]
 */
export function parts(ms, smallest = "seconds") {
  const unit = smallest === "minutes" ? 60_000 : 1000;
  const seconds = (Math.ceil(Math.max(ms, 0) / unit) * unit) / 1000;
  return { hours: Math.floor(seconds / 3600), minutes: Math.floor(seconds / 60) % 60, seconds: seconds % 60 };
}

/**
 * The countdown of a warning, in seconds. It moves in steps that can be spoken: whole minutes, then 60, 40 and 20 seconds.
 * @param {number} ms
 */
export function step(ms) {
  if (ms > 60_000) return Math.ceil(ms / 60_000) * 60;
  return ms > 40_000 ? 60 : ms > 20_000 ? 40 : 20;
}

/**
 * Put numbers and names into a sentence that came from the template: `fillIn("in {n} min", {n: 3})`.
 * @param {string} sentence
 * @param {Record<string, string | number>} values
 */
export function fillIn(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(values, name) ? String(values[name]) : whole));
}
