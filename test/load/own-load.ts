import { setImmediate as turnOfEventLoop } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { CacheConfig, DistributedCache, type AsyncCache } from '../../libs/distributed-cache/src/core/index.js';

/** The effect of one kind of burst on a Redis that answers. */
export interface LoadReport {
  readonly name: string;
  /** The broken promises: empty if there are none. */
  readonly problems: readonly string[];
  readonly seconds: number;
  /** The most memory that the process has taken meanwhile. */
  readonly peakMb: number;
}

/** The namespace under load in the process that causes it, and in another process. */
interface Caches {
  readonly cache: AsyncCache;
  readonly elsewhere: AsyncCache;
}

interface Burst {
  readonly name: string;
  /** @returns the numbers that must be equal, by name */
  run(caches: Caches): Promise<Readonly<Record<string, readonly [actual: unknown, expected: unknown]>>>;
}

/** The number of operations, or of keys in one batch, of a burst. */
export interface LoadSize {
  readonly single: number;
  readonly batch: number;
  /** Keys of one batch with tags. */
  readonly tagged: number;
  /** Keys of one batch load: each needs a lease. */
  readonly batchLoad: number;
  /** Values of 2.9 MB in one batch: together they exceed the queue to Redis, which holds 64 MiB. */
  readonly large: number;
}

/** Other entries in the same namespace: a burst must leave them unchanged. */
const OTHERS = 300;
const READ_AT_ONCE = 500;
/** The limit for pending work to end, also in a busy process. */
const AT_REST_MS = 10_000;

const keysOf = (count: number, prefix = 'key'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

const LARGE_BYTES = 2_900_000;

const valueOf = (index: number): unknown => ({ index, text: 'x'.repeat(1000) });

async function readable(cache: AsyncCache, keys: readonly string[], atOnce = READ_AT_ONCE): Promise<number> {
  let count = 0;
  for (let from = 0; from < keys.length; from += atOnce) {
    const found = await cache.getMany(keys.slice(from, from + atOnce));
    count += found.filter((value) => value !== undefined).length;
  }
  return count;
}

/**
 * As {@link readable}, after pending work (a message about a deletion, the storing of a loaded value) has had time to
 * end.
 */
async function readableAtRest(cache: AsyncCache, keys: readonly string[], expected: number): Promise<number> {
  const giveUpAtMs = performance.now() + AT_REST_MS;
  let count = await readable(cache, keys);
  while (count !== expected && performance.now() < giveUpAtMs) {
    await turnOfEventLoop(); // hits of L1 alone would let no message in
    count = await readable(cache, keys);
  }
  return count;
}

/** A few entries at a time, unlike a script that fills a cache. */
async function fillSlowly(cache: AsyncCache, keys: readonly string[]): Promise<void> {
  for (let from = 0; from < keys.length; from += READ_AT_ONCE) {
    await cache.setMany(keys.slice(from, from + READ_AT_ONCE).map((key) => [key, 1] as const));
  }
}

function burstsOf({ single, batch, tagged, batchLoad, large }: LoadSize): readonly Burst[] {
  return [
    {
      name: `${single} times set`,
      run: async ({ cache, elsewhere }) => {
        const keys = keysOf(single);
        const stored = await Promise.all(keys.map((key, index) => cache.set(key, valueOf(index))));
        return {
          acknowledged: [stored.filter(Boolean).length, single],
          'readable elsewhere': [await readable(elsewhere, keys), single],
        };
      },
    },
    {
      name: `${single} times delete`,
      run: async ({ cache, elsewhere }) => {
        const keys = keysOf(single);
        await fillSlowly(elsewhere, keys);
        const existed = await Promise.all(keys.map((key) => cache.delete(key)));
        return {
          deleted: [existed.filter(Boolean).length, single],
          'left elsewhere': [await readableAtRest(elsewhere, keys, 0), 0],
        };
      },
    },
    {
      name: `${single / 2} different misses`,
      run: async ({ cache, elsewhere }) => {
        const keys = keysOf(single / 2);
        let runs = 0;
        const load = async (): Promise<unknown> => valueOf(runs++);
        await Promise.all(keys.map((key) => cache.getOrSet(key, load)));
        return {
          'loader runs': [runs, keys.length],
          'readable elsewhere': [await readableAtRest(elsewhere, keys, keys.length), keys.length],
        };
      },
    },
    {
      name: `setMany, getMany and deleteMany of ${batch}`,
      run: async ({ cache, elsewhere }) => {
        const keys = keysOf(batch);
        const isStored = await cache.setMany(keys.map((key, index) => [key, valueOf(index)] as const));
        const found = await elsewhere.getMany(keys);
        const deleted = await elsewhere.deleteMany(keys);
        return {
          acknowledged: [isStored, true],
          found: [found.filter((value) => value !== undefined).length, batch],
          deleted: [deleted, batch],
          left: [await readableAtRest(cache, keys, 0), 0],
        };
      },
    },
    {
      name: `setMany of ${tagged} with tags, beside ${tagged / 2} times get, then invalidateTags`,
      run: async ({ cache, elsewhere }) => {
        const [keys, kept] = [keysOf(tagged), keysOf(READ_AT_ONCE, 'kept')];
        const storing = cache.setMany(
          keys.map((key, index) => [key, valueOf(index)] as const),
          { tags: ['a', 'b'] },
        );
        const reading = Promise.all(keys.slice(0, tagged / 2).map((key) => cache.get(`none:${key}`)));
        const [areStored, areKept] = await Promise.all([
          storing,
          cache.setMany(
            kept.map((key) => [key, 1] as const),
            { tags: ['other'] },
          ),
          reading,
        ]);
        const found = await readable(elsewhere, keys);
        await cache.invalidateTags('b');
        return {
          acknowledged: [areStored && areKept, true],
          'readable elsewhere': [found, tagged],
          'left here': [await readable(cache, keys), 0],
          'left elsewhere': [await readableAtRest(elsewhere, keys, 0), 0],
          'with another tag': [await readable(elsewhere, kept), kept.length],
        };
      },
    },
    {
      name: `getOrSetMany of ${batchLoad}`,
      run: async ({ cache, elsewhere }) => {
        const keys = keysOf(batchLoad);
        let calls = 0;
        const values = await cache.getOrSetMany(keys, async (missing) => {
          calls++;
          return missing.map((_key, index) => valueOf(index));
        });
        return {
          values: [values.length, batchLoad],
          'calls of the loader': [calls, 1],
          'readable elsewhere': [await readableAtRest(elsewhere, keys, batchLoad), batchLoad],
        };
      },
    },
    {
      name: `setMany and getOrSetMany of ${large} values of 2.9 MB`,
      run: async ({ cache, elsewhere }) => {
        const [stored, loaded] = [keysOf(large, 'stored'), keysOf(large, 'loaded')];
        const value = randomBytes(LARGE_BYTES);
        const isStored = await cache.setMany(stored.map((key) => [key, value] as const));
        const values = await cache.getOrSetMany(loaded, (missing) => missing.map(() => value));
        return {
          acknowledged: [isStored, true],
          values: [values.length, large],
          'readable elsewhere': [await readable(elsewhere, stored, 1), large],
          'loaded values elsewhere': [await readable(elsewhere, loaded, 1), large],
        };
      },
    },
  ];
}

/** The effects that a burst must not have. */
function watch(cache: DistributedCache): Map<string, number> {
  const told = new Map<string, number>();
  const count = (what: string): void => void told.set(what, (told.get(what) ?? 0) + 1);
  cache.events.on('tierError', ({ operation, error }) => count(`${operation}: ${error.message}`));
  cache.events.on('overload', ({ operation }) => count(`${operation}: overload`));
  cache.events.on('fallbackOn', ({ reason }) => count(`Redis given up: ${reason}`));
  cache.events.on('clear', () => count('clear'));
  cache.events.on('journalFull', () => count('the journal is full'));
  return told;
}

/** Measures from now on, until the result is called. */
function measureUsage(): () => Pick<LoadReport, 'seconds' | 'peakMb'> {
  const startedAtMs = performance.now();
  let peakBytes = 0;
  const timer = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage.rss())), 20);
  return () => {
    clearInterval(timer);
    return {
      seconds: (performance.now() - startedAtMs) / 1000,
      peakMb: Math.round(Math.max(peakBytes, process.memoryUsage.rss()) / 2 ** 20),
    };
  };
}

async function openCache(url: string, keyPrefix: string): Promise<DistributedCache> {
  const config = CacheConfig.resolve({ redis: { url }, keyPrefix, local: { maxMemoryMb: 500 } }, {});
  const cache = new DistributedCache(config, { random: () => 1 });
  await cache.connect();
  return cache;
}

async function runBurst(burst: Burst, url: string, keyPrefix: string): Promise<LoadReport> {
  const [loaded, other] = [await openCache(url, keyPrefix), await openCache(url, keyPrefix)];
  try {
    const caches = { cache: loaded.getCache('load'), elsewhere: other.getCache('load') };
    const others = keysOf(OTHERS, 'other');
    await fillSlowly(caches.elsewhere, others);
    const told = watch(loaded);
    const usage = measureUsage();
    const facts = { ...(await burst.run(caches)), 'entries of others': [await readable(caches.cache, others), OTHERS] };
    const differences = Object.entries(facts)
      .filter(([, [actual, expected]]) => actual !== expected)
      .map(([name, [actual, expected]]) => `${name}: ${String(actual)} instead of ${String(expected)}`);
    const problems = [...differences, ...[...told].map(([what, times]) => `${what} (${times})`)];
    return { name: burst.name, problems, ...usage() };
  } finally {
    await Promise.all([loaded.close(), other.close()]);
  }
}

/**
 * Runs every burst, one after another, each with a prefix of its own. Nothing is cleaned up: the server belongs to the
 * caller.
 */
export async function runBursts(url: string, keyPrefix: string, size: LoadSize): Promise<LoadReport[]> {
  const reports: LoadReport[] = [];
  for (const [index, burst] of burstsOf(size).entries()) {
    reports.push(await runBurst(burst, url, `${keyPrefix}-${index}`));
  }
  return reports;
}
