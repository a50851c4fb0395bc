// @ts-check
/** Moments in words, in the reader's own time zone and the language of the page. */

const UNITS = /** @type {const} */ ([["day", 86_400], ["hour", 3_600], ["minute", 60]]);

/**
 * "14:32", with the day when that is not today, and the year when that is not this one.
 * @param {Date} date
 * @param {Date} today
 * @param {string} language
 */
export function dayAndTime(date, today, language) {
  const sameDay = date.toDateString() === today.toDateString();
  const sameYear = date.getFullYear() === today.getFullYear();
  return new Intl.DateTimeFormat(language, {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...(sameDay ? {} : { month: "short", day: "numeric" }),
    ...(sameYear ? {} : { year: "numeric" }),
  }).format(date);
}

/**
 * "5 minutes ago", in the largest unit that fits; null within the first minute, for which the page has its own words.
 * @param {Date} date
 * @param {Date} now
 * @param {string} language
 * @returns {string | null}
 */
export function ago(date, now, language) {
  const seconds = (now.getTime() - date.getTime()) / 1000;
  const unit = UNITS.find(([, length]) => seconds >= length);
  if (!unit) return null;
  return new Intl.RelativeTimeFormat(language, { numeric: "always" }).format(-Math.floor(seconds / unit[1]), unit[0]);
}
