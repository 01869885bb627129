import type { StoredValue, ValuesMode } from './stored-value.js';

/** Entries of a scope are dropped all at once, in O(1), by moving its generation. */
export interface LocalScope {
  generation: number;
  /** The generation may have moved: while that is not known, the entries neither answer nor leave. */
  isInDoubt?: boolean;
}

/** A scope as it was when the work on a value began; the value is over as soon as the scope has moved on. */
export interface LocalMark {
  readonly scope: LocalScope;
  readonly generation: number;
}

export interface LocalPutOptions {
  /** How long the value is fresh, in milliseconds. */
  readonly ttlMs: number;
  /** How long it is kept after that, in milliseconds. Default 0. */
  readonly graceMs?: number;
  /** Scopes that the value depends on. */
  readonly marks?: readonly LocalMark[];
  /** How long it took to make the value, in milliseconds. Default 0: unknown. */
  readonly loadMs?: number;
  /** The whole fresh life of the value, of which `ttlMs` is what is left, in milliseconds. Default: `ttlMs`. */
  readonly lifeMs?: number;
}

export interface LocalSetOptions extends LocalPutOptions {
  /** Default: the cache's. */
  readonly values?: ValuesMode;
}

export interface LocalEntry extends StoredValue {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly keptUntilMs: number;
  /** Whether no epoch has begun since. */
  readonly isOfNow: boolean;
  readonly marks: readonly LocalMark[] | undefined;
  readonly loadMs: number;
  readonly lifeMs: number;
}
