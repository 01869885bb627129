import type { StoredValue, ValuesMode } from './stored-value.js';

/** A scope that entries depend on: a higher generation drops all of them at once, in O(1). */
export interface LocalScope {
  generation: number;
  /** The generation may have changed: until that is known, the entries are neither returned nor removed. */
  isInDoubt?: boolean;
}

/**
 * A scope and its generation when the work on a value began; the value is outdated as soon as the generation has
 * changed.
 */
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
  /** How long the value took to load, in milliseconds. Default 0: unknown. */
  readonly loadMs?: number;
  /** The whole fresh life of the value, of which `ttlMs` is the rest, in milliseconds. Default: `ttlMs`. */
  readonly lifeMs?: number;
}

export interface LocalSetOptions extends LocalPutOptions {
  /** How the value is returned. Default: as the cache's option says. */
  readonly values?: ValuesMode;
}

export interface LocalEntry extends StoredValue {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly keptUntilMs: number;
  /** Whether no epoch has begun since the entry was stored. */
  readonly isOfNow: boolean;
  readonly marks: readonly LocalMark[] | undefined;
  readonly loadMs: number;
  readonly lifeMs: number;
}
