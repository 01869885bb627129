/*
 * Dates of HTTP (RFC 9110 section 5.6.7). `Date.parse` accepts far more than the three forms that HTTP allows, and reads
 * text that is no date as one; a date that a server misspelled must count as the past.
 */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] as const;
const DAY = '(?:mon|tue|wed|thu|fri|sat|sun)';
const LONG_DAY = '(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)';
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = '(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})';

/** The three forms: IMF-fixdate, that of RFC 850, and that of `asctime()`. Letters in any case. */
const FORMS: readonly RegExp[] = [
  new RegExp(`^${DAY}, (?<day>\\d{2}) ${MONTH} (?<year>\\d{4}) ${TIME} gmt$`, 'i'),
  new RegExp(`^${LONG_DAY}, (?<day>\\d{2})-${MONTH}-(?<shortYear>\\d{2}) ${TIME} gmt$`, 'i'),
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`, 'i'),
];

/** A year of two digits that seems more than this far in the future is in the past. */
const MAX_YEARS_AHEAD = 50;

/**
 * The point in time of an HTTP date, in milliseconds.
 * @param nowMs decides the century of a year of two digits
 * @returns `undefined` for what is no HTTP date
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  const trimmed = text.trim();
  for (const form of FORMS) {
    const parts = form.exec(trimmed)?.groups;
    if (parts !== undefined) {
      return timeOf(parts, nowMs);
    }
  }
  return undefined;
}

function timeOf(parts: Readonly<Record<string, string | undefined>>, nowMs: number): number | undefined {
  const numberOf = (name: string) => Number(parts[name]);
  const month = MONTHS.indexOf((parts['month'] ?? '').toLowerCase() as (typeof MONTHS)[number]);
  const [day, hour, minute, second] = [numberOf('day'), numberOf('hour'), numberOf('minute'), numberOf('second')];
  const year = parts['shortYear'] === undefined ? numberOf('year') : fullYear(numberOf('shortYear'), nowMs);
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  const isOfCalendar = date.getUTCMonth() === month && date.getUTCDate() === day;
  if (!isOfCalendar || hour > 23 || minute > 59 || second > 60) {
    return undefined;
  }
  return date.setUTCHours(hour, minute, Math.min(second, 59)); // second 60 is a leap second
}

function fullYear(shortYear: number, nowMs: number): number {
  const currentYear = new Date(nowMs).getUTCFullYear();
  const year = currentYear - (currentYear % 100) + shortYear;
  return year > currentYear + MAX_YEARS_AHEAD ? year - 100 : year;
}

/** A point in time as an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`. */
export function formatHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString();
}
