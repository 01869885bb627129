import { MAX_DURATION_MS } from './duration.js';

export interface Range {
  readonly min: number;
  readonly max: number;
}

const MAX_STRING_BYTES = 536_870_912; // the longest value that Redis accepts

/** The accepted ranges, in milliseconds, bytes and MiB as the names say. */
export const LIMITS = {
  ttlMs: { min: 1, max: MAX_DURATION_MS },
  graceMs: { min: 0, max: MAX_DURATION_MS },
  /** Node's timers fire at once when their delay is more than 2^31 - 1 ms. */
  intervalMs: { min: 1, max: 24 * 86_400_000 },
  commandTimeoutMs: { min: 1, max: 3_600_000 },
  deadlineMs: { min: 1, max: 60_000 },
  heartbeatMs: { min: 50, max: 3_600_000 },
  port: { min: 1, max: 65_535 },
  db: { min: 0, max: Number.MAX_SAFE_INTEGER },
  maxMemoryMb: { min: 0.001, max: 1_048_576 },
  maxEntries: { min: 1, max: 100_000_000 },
  maxValueBytes: { min: 1, max: MAX_STRING_BYTES },
  compressionThresholdBytes: { min: 0, max: MAX_STRING_BYTES },
  classVersion: { min: 1, max: 0xffff_ffff },
} as const satisfies Record<string, Range>;

/**
 * The first part of every key, and the names of namespaces: no separator of keys, no glob sign, no character that needs
 * encoding.
 */
export const NAME_PATTERN = /^[A-Za-z0-9_.-]+$/;
export const NAME_RULE = 'letters, digits, "_", "." and "-", at least one';

export function isWithin(value: number, { min, max }: Range): boolean {
  return value >= min && value <= max;
}

export function describeRange({ min, max }: Range): string {
  return max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `from ${min} to ${max}`;
}

/** The text of an error message for a range of durations. @param range in milliseconds */
export function describeDurations({ min, max }: Range): string {
  return `a duration ${min === 0 ? 'of 0 or more' : 'over 0'}, at most ${longest(max)}: seconds as a number, or a string with its unit ('300ms', '5m', '24h')`;
}

/** The text of an error message for a range of seconds. @param range in milliseconds */
export function describeSeconds({ max }: Range): string {
  return `seconds over 0, at most ${max / 1000}, without a unit`;
}

function longest(ms: number): string {
  return ms < 86_400_000 ? `${ms / 3_600_000}h` : `${ms / 86_400_000}d`;
}
