import { CacheControl } from './cache-control.js';
import { fieldText, type Fields } from './fields.js';

/** What the directives of a request ask for (RFC 9111 section 5.2.1). Times in milliseconds. */
export interface RequestDemand {
  /** The stored response must be validated first. */
  readonly mustValidate: boolean;
  /** Nothing of the exchange may be stored. */
  readonly mustNotStore: boolean;
  /** Without a stored response the answer is 504. */
  readonly onlyIfCached: boolean;
  readonly maxAgeMs: number;
  /** How long the response must stay fresh. */
  readonly minFreshMs: number;
  /** How long past its lifetime a response is accepted; 0: none is. */
  readonly maxStaleMs: number;
}

const NO_DEMAND: RequestDemand = {
  mustValidate: false,
  mustNotStore: false,
  onlyIfCached: false,
  maxAgeMs: Number.POSITIVE_INFINITY,
  minFreshMs: 0,
  maxStaleMs: 0,
};

/**
 * The demand of a request. These directives are advice: the careful profile ignores them, so that no client can make the
 * application work (`isHonoured` false).
 */
export function requestDemand(fields: Fields, isHonoured: boolean): RequestDemand {
  if (!isHonoured) {
    return NO_DEMAND;
  }
  const control = CacheControl.of(fields);
  // Pragma counts only without Cache-Control (section 5.4).
  const isPragma = control.isEmpty && /(?:^|,)\s*no-cache\s*(?:,|$)/i.test(fieldText(fields, 'pragma') ?? '');
  const timeOf = (directive: string, otherwise: number) => {
    const seconds = control.seconds(directive);
    return seconds === undefined ? otherwise : seconds * 1000;
  };
  return {
    mustValidate: control.has('no-cache') || isPragma,
    mustNotStore: control.has('no-store'),
    onlyIfCached: control.has('only-if-cached'),
    maxAgeMs: timeOf('max-age', Number.POSITIVE_INFINITY),
    minFreshMs: timeOf('min-fresh', 0),
    maxStaleMs: control.isBare('max-stale') ? Number.POSITIVE_INFINITY : timeOf('max-stale', 0),
  };
}

/** The times of a stored response when a request looks at it, in milliseconds. */
export interface StoredTimes {
  readonly ageMs: number;
  readonly lifetimeMs: number;
  /** Whether it may be used when stale at all (RFC 9111 section 4.2.4). */
  readonly mayBeStale: boolean;
}

/** Whether a stored response satisfies the request without validation. */
export function satisfiesDemand({ ageMs, lifetimeMs, mayBeStale }: StoredTimes, demand: RequestDemand): boolean {
  const restMs = lifetimeMs - ageMs;
  if (demand.mustValidate || ageMs > demand.maxAgeMs || (demand.minFreshMs > 0 && restMs < demand.minFreshMs)) {
    return false;
  }
  return restMs > 0 || (mayBeStale && -restMs < demand.maxStaleMs);
}
