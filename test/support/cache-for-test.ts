import { expect, onTestFinished, vi } from 'vitest';
import {
  CacheConfig,
  DistributedCache,
  type AsyncCache,
  type CacheEnvironment,
  type DistributedCacheOptions,
} from 'nestjs-distributed-cache/core';
import { keyLayout } from '../../libs/distributed-cache/src/keys/index.js';

/** More than the default of 300 ms: a test whose subject is not the deadline passes on a busy machine. */
const PATIENT_MS = 1000;

/**
 * A cache that ends with its test and ignores the environment variables of the machine. It connects at its first use
 * and uses no random numbers. A test whose subject is the deadline sets `deadlineMs`.
 */
export function cacheForTest(options: DistributedCacheOptions, environment?: CacheEnvironment): DistributedCache {
  const cache = new DistributedCache(CacheConfig.resolve({ deadlineMs: PATIENT_MS, ...options }, {}), {
    random: () => 1,
    ...environment,
  });
  onTestFinished(() => cache.close());
  return cache;
}

/** Connected caches of the namespace `users`, each with connections and an L1 of its own, as in several processes. */
export async function cachesForTest(
  count: number,
  options: DistributedCacheOptions,
  environment?: CacheEnvironment,
): Promise<AsyncCache[]> {
  const caches = Array.from({ length: count }, () => cacheForTest(options, environment));
  await Promise.all(caches.map((cache) => cache.connect()));
  return caches.map((cache) => cache.getCache('users'));
}

/** Fills the journal of a namespace: one more deletion, or tag invalidation, makes it one clear. */
export function fillJournal(cache: DistributedCache, namespace: string, what: 'keys' | 'tags'): void {
  const layout = keyLayout(cache.config.keyPrefix, namespace);
  for (let index = 0; index < 100_000; index++) {
    if (what === 'keys') {
      cache.redis?.journal.addKey(layout.clearStampKey, layout.valueKey(`pending${index}`));
    } else {
      cache.redis?.journal.addTag(layout.clearStampKey, layout.tagStampKey(`pending${index}`));
    }
  }
}

/** Resolves when L1 answers for the key: a message about an earlier write may still arrive and drop the entry once. */
export async function untilLocal(cache: AsyncCache, key: string): Promise<void> {
  await vi.waitFor(async () => expect(await cache.lookup(key)).toMatchObject({ tier: 'local' }), { timeout: 5000 });
}
