/*
 * Dates in mails are what the sender's machine, or the sender, wanted them to be. In this corpus some say 2028 or 2020 (spam that
 * wants to stay on top of the inbox), 1980 (clocks that were never set) or `0102` (year 2002, counted from 1900 and padded), and
 * some write two digits. So:
 *   - short years are read as RFC 5322 (4.3) reads them, and 0102 as the 102 it is;
 *   - a date outside the years in which the corpus was collected is not believed;
 *   - the stamp of the server that took the mail in (the topmost Received field) is believed more than the Date field: where
 *     both are there and a month or more apart, the stamp wins;
 *   - a mail with neither has no date: it counts wherever no date is needed, and in no month.
 */
import type { MailHeaders } from './mail-headers.js';

const COLLECTED_FROM_MS = Date.UTC(1997, 0, 1);
const COLLECTED_UNTIL_MS = Date.UTC(2004, 0, 1);
const LONGEST_JOURNEY_MS = 31 * 24 * 60 * 60 * 1000;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Hours before or after UTC of the zones that RFC 5322 still knows by name; any other name counts as UTC, as it says. */
const ZONE_HOURS: ReadonlyMap<string, number> = new Map([
  ['edt', -4],
  ['est', -5],
  ['cdt', -5],
  ['cst', -6],
  ['mdt', -6],
  ['mst', -7],
  ['pdt', -7],
  ['pst', -8],
]);

const DATE_TIME =
  /(\d{1,2})[\s-]+([a-z]{3})[a-z]*\.?[\s-]+(\d{2,4})\s+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap]m)?\s*([+-]\d{4}|[a-z]+)?/i;

/** When a mail was sent, in Unix milliseconds, or `undefined` where nothing in it can be believed. */
export function sentAtMsOf(headers: MailHeaders): number | undefined {
  const stampMs = firstBelievable(headers.get('received') ?? [], (received) =>
    received.slice(received.lastIndexOf(';') + 1),
  );
  const dateMs = firstBelievable(headers.get('date') ?? [], (date) => date);
  if (dateMs === undefined || stampMs === undefined) {
    return dateMs ?? stampMs;
  }
  return Math.abs(dateMs - stampMs) < LONGEST_JOURNEY_MS ? dateMs : stampMs;
}

function firstBelievable(values: readonly string[], dateIn: (value: string) => string): number | undefined {
  for (const value of values) {
    const atMs = parseMailDate(dateIn(value));
    if (atMs !== undefined && atMs >= COLLECTED_FROM_MS && atMs < COLLECTED_UNTIL_MS) {
      return atMs;
    }
  }
  return undefined;
}

/** Unix milliseconds of a date as mails write it; `undefined` where there is none. Says nothing about whether it is true. */
export function parseMailDate(text: string): number | undefined {
  const found = DATE_TIME.exec(text);
  if (!found) {
    return undefined;
  }
  const [, day = '', monthName = '', year = '', hour = '', minute = '', second = '0', half, zone = ''] = found;
  const month = MONTHS.indexOf(monthName.toLowerCase());
  if (month === -1 || Number(day) < 1 || Number(day) > 31) {
    return undefined;
  }
  const localMs = Date.UTC(
    fullYear(year),
    month,
    Number(day),
    fullHour(Number(hour), half),
    Number(minute),
    Number(second),
  );
  return localMs - zoneOffsetMinutes(zone) * 60_000;
}

function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length === 2) {
    return year < 50 ? 2000 + year : 1900 + year;
  }
  return year < 1000 ? 1900 + year : year;
}

function fullHour(hour: number, half: string | undefined): number {
  if (half === undefined) {
    return hour;
  }
  return (hour % 12) + (half.toLowerCase() === 'pm' ? 12 : 0);
}

function zoneOffsetMinutes(zone: string): number {
  const numeric = /^([+-])(\d{2})(\d{2})$/.exec(zone);
  if (!numeric) {
    return (ZONE_HOURS.get(zone.toLowerCase()) ?? 0) * 60;
  }
  const minutes = Number(numeric[2]) * 60 + Number(numeric[3]);
  // No place on earth is more than 14 hours from UTC; `-1900` comes from a faulty mail program.
  return minutes > 14 * 60 ? 0 : minutes * (numeric[1] === '-' ? -1 : 1);
}
