import type { CacheControl } from './cache-control.js';
import { fieldLines, fieldText, type Fields } from './fields.js';
import { parseHttpDate } from './http-date.js';

/** A response as the rules of freshness see it. */
export interface ReceivedResponse {
  readonly status: number;
  readonly fields: Fields;
  readonly control: CacheControl;
  /** When its request was sent, in milliseconds. */
  readonly requestedAtMs: number;
  /** When it was received, in milliseconds. */
  readonly receivedAtMs: number;
}

export interface LifetimeRules {
  /** Whether `Expires` counts: a targeted field replaces it (RFC 9213). */
  readonly usesExpires: boolean;
  /** Whether a lifetime is estimated for a response that states none (RFC 9111 section 4.2.2). */
  readonly isHeuristic: boolean;
}

/** The part of the time since the last change for which a response counts as fresh (RFC 9111 section 4.2.2). */
const HEURISTIC_PART = 0.1;

/** The statuses that a cache may keep without a stated lifetime (RFC 9110 section 15.1). */
const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);

/**
 * The time that the response itself states for which it is fresh, in milliseconds (RFC 9111 section 4.2.1):
 * `s-maxage`, `max-age`, or `Expires`; `undefined` when it states none.
 */
export function explicitLifetimeMs(response: ReceivedResponse, usesExpires = true): number | undefined {
  const { control, fields, receivedAtMs } = response;
  const seconds = control.seconds('s-maxage') ?? control.seconds('max-age');
  if (seconds !== undefined) {
    return seconds * 1000;
  }
  const lines = fieldLines(fields, 'expires');
  if (!usesExpires || lines.length === 0) {
    return undefined;
  }
  // An invalid date, such as "0", is in the past (section 5.3).
  const expiresAtMs = lines.length === 1 ? parseHttpDate(lines[0] ?? '', receivedAtMs) : undefined;
  return expiresAtMs === undefined ? 0 : Math.max(0, expiresAtMs - generatedAtMs(response));
}

/** The time for which the response is fresh, stated or estimated, in milliseconds; 0 when there is none. */
export function lifetimeMs(response: ReceivedResponse, rules: LifetimeRules): number {
  return explicitLifetimeMs(response, rules.usesExpires) ?? (rules.isHeuristic ? heuristicLifetimeMs(response) : 0);
}

function heuristicLifetimeMs(response: ReceivedResponse): number {
  const { status, control, fields, receivedAtMs } = response;
  const lastModified = fieldText(fields, 'last-modified');
  if (lastModified === undefined || !(HEURISTIC_STATUSES.has(status) || control.has('public'))) {
    return 0;
  }
  const changedAtMs = parseHttpDate(lastModified, receivedAtMs) ?? Number.POSITIVE_INFINITY;
  return Math.max(0, (generatedAtMs(response) - changedAtMs) * HEURISTIC_PART);
}

/** When the origin made the response: its `Date`, or, without a valid one, when it was received. */
function generatedAtMs({ fields, receivedAtMs }: ReceivedResponse): number {
  return parseHttpDate(fieldText(fields, 'date') ?? '', receivedAtMs) ?? receivedAtMs;
}

/** The age of the response when it was received, in milliseconds (RFC 9111 section 4.2.3). */
export function initialAgeMs(response: ReceivedResponse): number {
  const { fields, requestedAtMs, receivedAtMs } = response;
  const apparentMs = Math.max(0, receivedAtMs - generatedAtMs(response));
  const delayMs = receivedAtMs - requestedAtMs;
  return Math.max(apparentMs, statedAgeMs(fields) + delayMs);
}

/** The first member of `Age`; one that is no number of seconds is ignored (RFC 9111 section 5.1). */
function statedAgeMs(fields: Fields): number {
  const first = (fieldText(fields, 'age') ?? '').split(',')[0]?.trim() ?? '';
  return /^\d+$/.test(first) ? Number(first) * 1000 : 0;
}

/** The times for which a stale response may be used, in milliseconds. */
export interface StaleAllowance {
  /** While it is refreshed (`stale-while-revalidate`, RFC 5861 section 3). */
  readonly whileRevalidateMs: number;
  /** When the refresh fails (`stale-if-error`, RFC 5861 section 4). */
  readonly ifErrorMs: number;
}

/** The directives that forbid a stale response (RFC 9111 section 4.2.4). */
const NEVER_STALE = ['must-revalidate', 'proxy-revalidate', 's-maxage', 'no-cache'] as const;

/** The directives of the response decide; where it has none, the cache's own times apply. */
export function staleAllowance(control: CacheControl, own: StaleAllowance): StaleAllowance {
  if (NEVER_STALE.some((directive) => control.has(directive))) {
    return { whileRevalidateMs: 0, ifErrorMs: 0 };
  }
  const timeOf = (directive: string, ownMs: number) => {
    const seconds = control.seconds(directive);
    return seconds === undefined ? ownMs : seconds * 1000;
  };
  return {
    whileRevalidateMs: timeOf('stale-while-revalidate', own.whileRevalidateMs),
    ifErrorMs: timeOf('stale-if-error', own.ifErrorMs),
  };
}
