import type { DeserializedData, KeyvStoreAdapter } from 'keyv';
import {
  CacheKeyError,
  encodeKey,
  MAX_DURATION_MS,
  type AsyncCache,
  type CacheEvents,
  type Duration,
} from '../../core/index.js';

/** What an entry without expiry gets: nothing is kept for longer here. */
const LONGEST_TTL: Duration = `${MAX_DURATION_MS}ms`;
/** With more than this left, an entry was stored without expiry. */
const NO_EXPIRY_FROM_MS = MAX_DURATION_MS - 365 * 86_400_000;
const EXPIRED = Symbol('stored with a TTL that is over');

/** `undefined`: the TTL of the namespace. */
type EntryTtl = Duration | undefined | typeof EXPIRED;

/** An entry as Keyv hands it to a store's `setMany`. */
interface KeyvStoreEntry {
  key: string;
  value: DeserializedData<unknown>;
  ttl?: number;
}

/**
 * A Keyv 5 store over one namespace of the cache. Times are milliseconds, as everywhere in Keyv.
 *
 * Keyv must neither serialize (`serialize: undefined`) nor prefix (`useKeyPrefix: false`): what arrives is
 * `{ value, expires }`, and only the value is stored, by the cache's own codec. `expires` is made anew at each read from what
 * is left of the entry's life, so that machines whose clocks differ don't expire each other's entries.
 *
 * No fault of Redis rejects: the local tier answers, and the error is told to `on('error')`. An entry without TTL lives for
 * ten years, one whose TTL is over is deleted, and a TTL that is not a number counts as the namespace's. A key that is empty or
 * ill-formed UTF-16 is a miss; storing under it is refused with a `CacheKeyError`.
 */
export class KeyvCacheStore implements KeyvStoreAdapter {
  /** Keyv asks for them; there are none. */
  readonly opts: Readonly<Record<string, unknown>> = {};
  /** Keyv writes it; keys are not prefixed with it. */
  namespace?: string | undefined;

  constructor(
    private readonly cache: AsyncCache,
    private readonly events: CacheEvents,
  ) {}

  async get<Value>(key: string): Promise<DeserializedData<Value> | undefined> {
    if (!isUsable(key)) {
      return undefined;
    }
    const found = await this.cache.lookup(key);
    if (found.state !== 'fresh') {
      return undefined;
    }
    const expires = found.ttlMs > NO_EXPIRY_FROM_MS ? undefined : Math.ceil(Date.now() + found.ttlMs);
    return { value: found.value as Value, expires };
  }

  /** In one round trip, and therefore without `expires`. */
  async getMany<Value>(keys: string[]): Promise<(DeserializedData<Value> | undefined)[]> {
    const usable = keys.filter(isUsable);
    const values = await this.cache.getMany(usable);
    const byKey = new Map(usable.map((key, index) => [key, values[index]]));
    return keys.map((key) => {
      const value = byKey.get(key);
      return value === undefined ? undefined : { value: value as Value };
    });
  }

  /** @returns whether Redis has it, or there is none */
  async set(key: string, { value }: DeserializedData<unknown>, ttl?: number): Promise<boolean> {
    return this.store([[key, value]], entryTtl(ttl));
  }

  /** Of several entries for one key the last one counts. */
  async setMany(entries: KeyvStoreEntry[]): Promise<void> {
    const groups = new Map<EntryTtl, [string, unknown][]>();
    for (const { key, value, ttl: ttlMs } of new Map(entries.map((entry) => [entry.key, entry])).values()) {
      const ttl = entryTtl(ttlMs);
      const group = groups.get(ttl) ?? [];
      group.push([key, value.value]);
      groups.set(ttl, group);
    }
    await Promise.all([...groups].map(([ttl, group]) => this.store(group, ttl)));
  }

  async has(key: string): Promise<boolean> {
    return isUsable(key) && this.cache.has(key);
  }

  async delete(key: string): Promise<boolean> {
    return this.cache.delete(key);
  }

  /** @returns whether all of them existed */
  async deleteMany(keys: string[]): Promise<boolean> {
    return (await this.cache.deleteMany(keys)) === new Set(keys).size;
  }

  /** This namespace only, and nothing outside the cache's own keys. */
  async clear(): Promise<void> {
    await this.cache.clear();
  }

  /** `error`: a tier failed and the call went on without it. There are no other events. */
  on(event: string, listener: (error: Error) => void): this {
    if (event === 'error') {
      this.events.on('tierError', ({ namespace, error }) => {
        if (namespace === this.cache.namespace) {
          listener(error);
        }
      });
    }
    return this;
  }

  private async store(entries: readonly (readonly [string, unknown])[], ttl: EntryTtl): Promise<boolean> {
    if (ttl !== EXPIRED) {
      return this.cache.setMany(entries, ttl);
    }
    await this.cache.deleteMany(entries.map(([key]) => key));
    return true;
  }
}

function entryTtl(ttlMs: number | undefined): EntryTtl {
  if (ttlMs === undefined) {
    return LONGEST_TTL;
  }
  if (typeof ttlMs !== 'number' || Number.isNaN(ttlMs)) {
    return undefined;
  }
  return ttlMs > 0 ? `${Math.min(Math.ceil(ttlMs), MAX_DURATION_MS)}ms` : EXPIRED;
}

function isUsable(key: string): boolean {
  try {
    encodeKey(key);
    return true;
  } catch (error) {
    if (error instanceof CacheKeyError) {
      return false;
    }
    throw error;
  }
}
