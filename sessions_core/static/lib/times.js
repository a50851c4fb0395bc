// @ts-check
/** Moments in words, in the reader's own time zone and the language of the page. */

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
