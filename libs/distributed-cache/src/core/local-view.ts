import type { LocalEntry, LocalScope, StoredValue } from '../local/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import type { EntryLife } from './entry-life.js';

/**
 * One namespace's part of L1, and when it may be trusted.
 *
 * While Redis can't be used an entry is fresh for at most `CACHE_FALLBACK_TTL` from the moment it was stored or the outage
 * began, whichever is later, then stale for its grace; with the fallback switched off L1 does not answer at all. When Redis
 * is back every entry of before is dropped (a new epoch): others may have changed what we did not see.
 */
export class LocalView {
  private readonly scope: LocalScope = { generation: 0 };
  private readonly keyPrefix: string;

  constructor(
    private readonly runtime: CacheRuntime,
    namespace: string,
  ) {
    this.keyPrefix = `${namespace}:`;
  }

  /** The entry, if it may be trusted; it may be stale: see {@link remainingMs}. */
  find(key: string): LocalEntry | undefined {
    const { local, config } = this.runtime;
    if (local === undefined || (config.fallback === false && this.isOutage)) {
      return undefined;
    }
    return local.find(this.keyPrefix + key);
  }

  /** What is left of the entry's fresh life, in milliseconds; zero or less: it is stale. */
  remainingMs(entry: LocalEntry): number {
    const nowMs = this.runtime.clock.nowMs();
    const outageSinceMs = this.runtime.redis?.connection.outageSinceMs;
    const { fallback } = this.runtime.config;
    if (outageSinceMs === undefined || fallback === false) {
      return entry.expiresAtMs - nowMs;
    }
    return Math.min(entry.expiresAtMs, Math.max(entry.storedAtMs, outageSinceMs) + fallback.ttlMs) - nowMs;
  }

  ageMs(entry: LocalEntry): number {
    return this.runtime.clock.nowMs() - entry.storedAtMs;
  }

  keep(key: string, stored: StoredValue, life: EntryLife): void {
    const { local, config } = this.runtime;
    if (local !== undefined && !(config.fallback === false && this.isOutage)) {
      local.put(this.keyPrefix + key, stored, { ttlMs: life.ttlMs, graceMs: life.graceMs, scope: this.scope });
    }
  }

  delete(key: string): boolean {
    return this.runtime.local?.delete(this.keyPrefix + key) ?? false;
  }

  /** Nothing that was stored before now is trusted any more. O(1). */
  startEpoch(): void {
    this.scope.generation++;
  }

  private get isOutage(): boolean {
    return this.runtime.redis !== undefined && !this.runtime.redis.connection.isLive;
  }
}
