import { isPlainKey, type PreparedKey } from '../keys/index.js';
import type { LocalEntry, LocalPart, LocalPutOptions, StoredValue, UnreadValue } from '../local/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import { XFETCH_HORIZON } from './early-refresh.js';
import type { EntryLife } from './entry-life.js';

/** Where Redis can't tell of changes, a copy is trusted for this long: the most that processes disagree then. */
export const UNHEARD_TTL_MS = 5000;

/**
 * One namespace's part of L1, and when it may be trusted.
 *
 * - While Redis serves: as long as every change that others make is heard of. In doubt L1 is passed over, and once
 *   changes are heard of again every entry of before is dropped (a new epoch). Where the server can't tell, an entry is
 *   fresh for `UNHEARD_TTL_MS` at most: other processes announce their changes, other clients don't.
 * - While Redis, or the one master of a cluster that has the key, can't be used: an entry is fresh for at most `CACHE_FALLBACK_TTL` from the moment it was stored or the
 *   outage began, whichever is later, then stale for its grace; with the fallback switched off L1 does not answer. When
 *   Redis is back a new epoch begins: others may have changed what we did not see.
 * - Without a Redis: always.
 */
export class LocalView {
  /** Absent where L1 is switched off. */
  private readonly part: LocalPart | undefined;
  /** What its keys begin with in Redis. */
  private readonly valuePrefix: string;

  constructor(
    private readonly runtime: CacheRuntime,
    namespace: string,
  ) {
    this.part = runtime.local?.part(isPlainKey, XFETCH_HORIZON);
    this.valuePrefix = `${runtime.config.keyPrefix}:${namespace}:`;
  }

  /** The entry, if it may be trusted; it may be stale: see {@link remainingMs}. */
  find(key: string, nowMs = this.runtime.clock.nowMs()): LocalEntry | undefined {
    return this.part === undefined || !this.isTrusted(key) ? undefined : this.part.find(key, nowMs);
  }

  /** The slot of a value that may be handed out as it is, while all is well; -1 if it takes another look. */
  hit(key: string, nowMs: number): number {
    const { part } = this;
    return part !== undefined && this.hearsAll() ? part.hit(key, nowMs) : -1;
  }

  /** As {@link hit}, for a key that remembers where its entry is. */
  hitAgain(key: PreparedKey, nowMs: number): number {
    const { part } = this;
    return part !== undefined && this.hearsAll() ? part.hitAgain(key, nowMs) : -1;
  }

  /** Whether there is no Redis, or one that tells of every change of every key. */
  hearsAll(): boolean {
    const { redis } = this.runtime;
    return redis === undefined || (redis.connection.isWhole && redis.changes.isLive);
  }

  /** The entry as it is, trusted or not, without marking it as used. */
  peek(key: string): LocalEntry | undefined {
    return this.part?.peek(key);
  }

  /** What is left of the entry's fresh life, in milliseconds; zero or less: it is stale. */
  remainingMs(key: string, entry: LocalEntry, nowMs = this.runtime.clock.nowMs()): number {
    const { redis, config } = this.runtime;
    const ttlMs = entry.expiresAtMs - nowMs;
    if (redis === undefined || this.hearsAll()) {
      return ttlMs;
    }
    const valueKey = this.valuePrefix + key;
    const outageSinceMs = redis.connection.outageSinceMs(valueKey);
    if (outageSinceMs === undefined) {
      return redis.changes.hears(valueKey) ? ttlMs : Math.min(ttlMs, entry.storedAtMs + UNHEARD_TTL_MS - nowMs);
    }
    return config.fallback === false
      ? 0
      : Math.min(ttlMs, Math.max(entry.storedAtMs, outageSinceMs) + config.fallback.ttlMs - nowMs);
  }

  ageMs(entry: LocalEntry): number {
    return this.runtime.clock.nowMs() - entry.storedAtMs;
  }

  keep(key: string, stored: StoredValue | UnreadValue, options: LocalPutOptions): void {
    if (!this.isTrusted(key)) {
      // Redis may be lost altogether next, and L1 trusted again: then this older copy would be back.
      this.delete(key);
    } else {
      this.part?.put(key, stored, options);
    }
  }

  /**
   * The life of a copy of what Redis does not hold although it serves (`OOM`, `READONLY`): Redis tells nobody of the change of a
   * key that it does not have, so such a copy is trusted only for as long as processes may disagree.
   */
  unheardLife(key: string, life: EntryLife): EntryLife {
    const { redis, config } = this.runtime;
    const serves =
      redis?.connection.isLive === true && redis.connection.outageSinceMs(this.valuePrefix + key) === undefined;
    return serves ? { ...life, ttlMs: Math.min(life.ttlMs, config.heartbeatMs) } : life;
  }

  delete(key: string): boolean {
    return this.part?.delete(key) ?? false;
  }

  /** Ends the fresh life of an entry and keeps it as stale. @returns whether there was one */
  expire(key: string, graceMs: number): boolean {
    const entry = this.find(key);
    if (entry === undefined) {
      this.delete(key); // a copy whose tags are in doubt must not come back as fresh
      return false;
    }
    const { marks, loadMs, lifeMs } = entry;
    this.keep(key, entry, { ttlMs: 0, graceMs, marks, loadMs, lifeMs });
    return true;
  }

  /** Nothing that was stored before now is trusted any more. O(1). */
  startEpoch(): void {
    this.part?.startEpoch();
  }

  /** Whether L1 may answer for this key at this moment. */
  isTrusted(key: string): boolean {
    const { redis, config, closing, coarseClock } = this.runtime;
    if (closing.aborted) {
      return false;
    }
    coarseClock.nowMs(); // has an overdue heartbeat looked at: see DistributedCache
    if (redis === undefined || this.hearsAll()) {
      return true;
    }
    const valueKey = this.valuePrefix + key;
    if (redis.connection.isLive && redis.connection.outageSinceMs(valueKey) === undefined) {
      const { state } = redis.changes;
      return redis.changes.hears(valueKey) || state === 'announced' || state === 'none';
    }
    return config.fallback !== false;
  }
}
