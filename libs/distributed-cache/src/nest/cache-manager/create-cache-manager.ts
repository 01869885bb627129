import { type Cache, createCache } from 'cache-manager';
import { type DeserializedData, Keyv, type KeyvStoreAdapter } from 'keyv';
import {
  type AsyncCache,
  type CacheEvents,
  CacheKeyError,
  type DistributedCache,
  type DistributedCacheOptions,
  type Duration,
  encodeKey,
  MAX_DURATION_MS,
} from '../../core/index.js';

/**
 * The injection token of the cache-manager `Cache`. It equals that of `@nestjs/cache-manager`, so
 * `@Inject(CACHE_MANAGER)` and its `CacheInterceptor` work with either import.
 */
export const CACHE_MANAGER = 'CACHE_MANAGER';

/** The default namespace of entries that are stored through cache-manager. */
export const CACHE_MANAGER_NAMESPACE = 'cache-manager';

/** Options of {@link createCacheManager}. Times are in **milliseconds**, as in cache-manager. */
export interface CacheManagerOptions {
  /** TTL in milliseconds of a call without one; 0: no expiry. Default: the TTL of the namespace. */
  readonly ttl?: number;
  /** `wrap` refreshes in the background when less than this is left of the TTL, in milliseconds. Default: never. */
  readonly refreshThreshold?: number;
  /** The id of the cache. Default: a random one. */
  readonly cacheId?: string;
  /** The namespace of the entries. Default `cache-manager`. */
  readonly namespace?: string;
}

/**
 * Makes a cache-manager 7 `Cache` over the tiers of `cache`. Its entries are one namespace, in memory and in Redis,
 * with that namespace's TTL, policy and counters. Everything behaves as cache-manager documents, in **milliseconds**,
 * with these decisions:
 *
 * - values keep their types (`Date`, `Map`, `BigInt`, `Buffer`, ...), also from Redis;
 * - "no expiry" (`ttl` 0) is ten years, the longest TTL;
 * - `clear()` clears this namespace and nothing else;
 * - `disconnect()` closes nothing: the connection belongs to `cache`, whose `close()` (or the Nest module) ends it;
 * - no fault of Redis rejects a call: the local tier answers. Faults are emitted to `stores[0].on('error', ...)`.
 *
 * Give `cache` the options that `withCacheManagerDefaults` makes, so that a caller may change a value that it reads.
 */
export function createCacheManager(cache: DistributedCache, options: CacheManagerOptions = {}): Cache {
  const { namespace = CACHE_MANAGER_NAMESPACE, refreshThreshold, cacheId } = options;
  const tiers = cache.getCache(namespace);
  const { ttl = tiers.policy.ttlMs } = options;
  const store = new Keyv({
    store: new KeyvCacheStore(tiers, cache.events),
    ttl,
    namespace: undefined,
    useKeyPrefix: false,
    // The cache has its own codec; Keyv's would turn every value into JSON first.
    serialize: undefined,
    deserialize: undefined,
  });
  // cache-manager needs the TTL, too: `wrap(..., { raw: true })` returns an expiry that it calculates itself.
  return createCache({ stores: [store], ttl, refreshThreshold, cacheId });
}

/**
 * Adds the defaults that users of cache-manager expect for its namespace: callers may change a value that they read, so
 * each reader gets its own copy (`values: 'cloned'`). The application's options for this namespace have priority. An
 * argument that is not an object is returned as it is: the configuration reports it.
 */
export function withCacheManagerDefaults(options: DistributedCacheOptions = {}): DistributedCacheOptions {
  const { namespaces = {} } = options;
  if (!isRecord(namespaces)) {
    return options;
  }
  const { [CACHE_MANAGER_NAMESPACE]: own = {} } = namespaces;
  if (!isRecord(own)) {
    return options;
  }
  const { values = 'cloned' } = own;
  return { ...options, namespaces: { ...namespaces, [CACHE_MANAGER_NAMESPACE]: { ...own, values } } };
}

/** Whether a value is an object to read options from. The types guarantee it; plain JavaScript and JSON files don't. */
function isRecord<Value>(value: Value): value is Value & object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The TTL of an entry without expiry: the longest possible one. */
const LONGEST_TTL: Duration = `${MAX_DURATION_MS}ms`;
/** An entry with more than this left of its TTL, in milliseconds, was stored without expiry. */
const NO_EXPIRY_FROM_MS = MAX_DURATION_MS - 365 * 86_400_000;
const EXPIRED = Symbol('stored with a TTL that is over');

/** The TTL of an entry; `undefined`: the TTL of the namespace. */
type EntryTtl = Duration | undefined | typeof EXPIRED;

/** An entry as Keyv passes it to a store's `setMany`. */
interface KeyvStoreEntry {
  key: string;
  value: DeserializedData<unknown>;
  ttl?: number;
}

/**
 * A Keyv 5 store over one namespace of the cache. Times are in milliseconds, as everywhere in Keyv.
 *
 * Keyv must neither serialize (`serialize: undefined`) nor prefix (`useKeyPrefix: false`). It passes `{ value, expires
 * }`, and only the value is stored, by the cache's own codec. `expires` is calculated at each read from the rest of the
 * entry's TTL, so that machines whose clocks differ don't expire each other's entries.
 *
 * No fault of Redis rejects a call: the local tier answers, and the error is emitted to `on('error')`. An entry without
 * TTL lives for ten years, one whose TTL is over is deleted, and a TTL that is not a number counts as the namespace's.
 * A key that is empty or ill-formed UTF-16 is a miss; storing under it is refused with a `CacheKeyError`.
 */
class KeyvCacheStore implements KeyvStoreAdapter {
  /** Required by Keyv; there are no options. */
  readonly opts: Readonly<Record<string, unknown>> = {};
  /** Set by Keyv; keys are not prefixed with it. */
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

  /** The values of several keys, in one round trip, and therefore without `expires`. */
  async getMany<Value>(keys: string[]): Promise<(DeserializedData<Value> | undefined)[]> {
    const usable = keys.filter(isUsable);
    const values = await this.cache.getMany(usable);
    const byKey = new Map(usable.map((key, index) => [key, values[index]]));
    return keys.map((key) => {
      const value = byKey.get(key);
      return value === undefined ? undefined : { value: value as Value };
    });
  }

  /** Stores a value. @returns whether Redis has it, or no Redis is configured */
  async set(key: string, { value }: DeserializedData<unknown>, ttl?: number): Promise<boolean> {
    return this.store([[key, value]], entryTtl(ttl));
  }

  /** Stores several values; of several entries for one key the last one counts. */
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

  /** Deletes several keys. @returns whether all of them existed */
  async deleteMany(keys: string[]): Promise<boolean> {
    return (await this.cache.deleteMany(keys)) === new Set(keys).size;
  }

  /** Clears this namespace only, and nothing outside the cache's own keys. */
  async clear(): Promise<void> {
    await this.cache.clear();
  }

  /** Adds a listener. `error`: a tier failed and the call went on without it. There are no other events. */
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
      // As a function: the caller has chosen this TTL for this value, so `emptyTtl` does not shorten it.
      return this.cache.setMany(entries, ttl === undefined ? ttl : { ttl: () => ttl });
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
