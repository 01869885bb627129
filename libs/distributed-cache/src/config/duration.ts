import { show } from './problems.js';

/** The unit of a {@link Duration}: milliseconds, seconds, minutes, hours or days. */
export type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

/**
 * A length of time. A number is **seconds** (as in the environment variables); a string carries its unit: `'300ms'`,
 * `'5m'`, `'24h'`.
 */
export type Duration = number | `${number}${DurationUnit}`;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const MAX_DAYS = 3650;

/** The longest duration that is accepted, ten years, in milliseconds: a longer one is a number in the wrong unit. */
export const MAX_DURATION_MS = MAX_DAYS * 86_400_000;

/**
 * The milliseconds of a duration, rounded to whole ones; 0 is a duration, and the caller must check whether it makes
 * sense.
 * @throws RangeError for NaN, Infinity, a negative number, a string without a known unit, and more than ten years
 */
export function toMs(duration: Duration): number {
  const ms = parseMs(duration);
  if (ms === undefined) {
    throw new RangeError(
      `${show(duration)} is not a duration: allowed are seconds as a number (300) or a string with its unit ` +
        `('300ms', '5s', '5m', '24h', '7d'), from 0 to ${MAX_DAYS} days`,
    );
  }
  return ms;
}

/** Whether {@link toMs} accepts `value`. */
export function isDuration(value: unknown): value is Duration {
  return parseMs(value) !== undefined;
}

function parseMs(value: unknown): number | undefined {
  const ms = typeof value === 'number' ? value * 1000 : typeof value === 'string' ? parseText(value) : undefined;
  return ms !== undefined && ms >= 0 && ms <= MAX_DURATION_MS ? Math.round(ms) + 0 : undefined;
}

function parseText(text: string): number | undefined {
  const [, amount, unit = ''] = /^(\d*\.?\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? undefined : Number(amount) * unitMs;
}

/** Whether a `softTimeout` can have an effect beside the `hardTimeout`, which ends the call. */
export function areInOrder(softTimeout: Duration | undefined, hardTimeout: Duration | undefined): boolean {
  return softTimeout === undefined || hardTimeout === undefined || toMs(softTimeout) <= toMs(hardTimeout);
}
