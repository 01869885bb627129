import KeyvRedis from '@keyv/redis';
import { createCache, KeyvAdapter, type CacheManagerStore } from 'cache-manager';
import { redisInsStore } from 'cache-manager-ioredis-yet';
import { Keyv } from 'keyv';
import { onTestFinished } from 'vitest';
import { NAMESPACE, type Pods } from './pods.js';

/**
 * The store of cache-manager-ioredis-yet, over the plain client of the test. Its types belong to an older
 * cache-manager.
 */
export function storeOf({ redis }: Pods): CacheManagerStore {
  return redisInsStore(redis.admin) as unknown as CacheManagerStore;
}

export function keyvOf({ redis }: Pods): Keyv {
  const store = new KeyvRedis(redis.url, { keyPrefixSeparator: ':' });
  const keyv = new Keyv({ store, namespace: `${redis.keyPrefix}:${NAMESPACE}`, useKeyPrefix: false });
  onTestFinished(() => keyv.disconnect());
  return keyv;
}

/** cache-manager 7 over cache-manager-ioredis-yet: the text of Keyv as a string in JSON. */
export function cacheManagerOf(pods: Pods) {
  const adapter = new KeyvAdapter(storeOf(pods));
  const keyv = new Keyv({ store: adapter, namespace: `${pods.redis.keyPrefix}:${NAMESPACE}` });
  return createCache({ stores: [keyv] });
}
