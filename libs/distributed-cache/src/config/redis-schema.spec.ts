import { Cluster, Redis } from 'ioredis';
import { describe, expect, expectTypeOf, it, onTestFinished } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { ConfigurationError } from '../errors/index.js';
import { CacheConfig } from './config.js';
import type { RedisConnectionOptions, RedisCredentials, RedisOption } from './redis-schema.js';

const NODES = [{ host: '127.0.0.1', port: 7000 }];

function problemsOf(redis: RedisOption): string[] {
  try {
    CacheConfig.resolve({ redis }, {});
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.problems.map(({ name }) => name) : [String(error)];
  }
}

const inCluster = (clientOptions: Record<string, unknown>): RedisOption => ({
  cluster: { nodes: NODES, options: { clientOptions } },
});

describe('ioredis options that would break coherence', () => {
  it.each<[RedisOption, string[]]>([
    [{ host: 'h', clientOptions: { keyPrefix: 'app:' } }, ['redis.clientOptions.keyPrefix']],
    [{ host: 'h', clientOptions: { keyPrefix: '' } }, []],
    [{ host: 'h', clientOptions: { readOnly: true } }, ['redis.clientOptions.readOnly']],
    [{ sentinels: NODES, name: 'main', clientOptions: { role: 'slave' } }, ['redis.clientOptions.role']],
    [inCluster({ keyPrefix: 'app:' }), ['redis.cluster.options.clientOptions.keyPrefix']],
    [inCluster({ scaleReads: 'slave' }), ['redis.cluster.options.clientOptions.scaleReads']],
    [inCluster({ scaleReads: 'all' }), ['redis.cluster.options.clientOptions.scaleReads']],
    [inCluster({ scaleReads: () => undefined }), ['redis.cluster.options.clientOptions.scaleReads']],
    [inCluster({ scaleReads: 'master', redisOptions: { db: 0 } }), []],
    [
      inCluster({ redisOptions: { keyPrefix: 'app:' } }),
      ['redis.cluster.options.clientOptions.redisOptions.keyPrefix'],
    ],
    [inCluster({ redisOptions: { readOnly: true } }), ['redis.cluster.options.clientOptions.redisOptions.readOnly']],
    [inCluster({ redisOptions: { db: 1 } }), ['redis.cluster.options.clientOptions.redisOptions.db']],
  ])('are refused at the start, by name: %o', (redis, problems) => {
    expect(problemsOf(redis)).toEqual(problems);
  });

  it('are refused on a client that is handed in if they would change its keys; the message gives the alternative', () => {
    const single = new Redis({ keyPrefix: 'app:', lazyConnect: true });
    const cluster = new Cluster(NODES, { redisOptions: { keyPrefix: 'app:' }, lazyConnect: true });
    for (const client of [single, cluster]) {
      expect(problemsOf({ client })).toEqual(['redis.client']);
      expect(problemsOf({ store: { client } })).toEqual(['redis.store']);
    }
    expect(() => CacheConfig.resolve({ redis: { client: single } }, {})).toThrow('keyPrefix option of the cache');
    expect(problemsOf({ client: single.duplicate({ keyPrefix: '' }) })).toEqual([]);
  });
});

describe('ioredis options that the cache supports', () => {
  it.each([
    { stringNumbers: true },
    { enableAutoPipelining: true },
    { enableOfflineQueue: true },
    { autoResubscribe: true },
    { enableReadyCheck: false },
    { autoResendUnfulfilledCommands: true, maxRetriesPerRequest: null },
    { connectionName: 'cache' },
    { lazyConnect: false },
  ])('keep processes coherent: %o', async (clientOptions) => {
    const { host, port, keyPrefix } = redisForTest();
    const [all, writer] = [{ clientOptions }, {}].map((more) =>
      cacheForTest({ redis: { host, port, ...more }, keyPrefix }),
    );
    await Promise.all([all!.connect(), writer!.connect()]);
    await untilInvalidation(all!, 'live');
    const [cache, other] = [all!.getCache<number>('users'), writer!.getCache<number>('users')];
    for (let round = 0; round < 5; round++) {
      expect(await other.set('key', round)).toBe(true);
      await expect.poll(() => cache.get('key'), { timeout: 5000, interval: 2 }).toBe(round);
      expect(await cache.set('mine', round)).toBe(true);
      await expect.poll(() => other.get('mine'), { timeout: 5000, interval: 2 }).toBe(round);
    }
    expect((await all!.healthCheck()).status).toBe('up');
  });

  it('are not copied from a client that reads from replicas', () => {
    const { host, port, keyPrefix } = redisForTest();
    const client = new Redis({ host, port, readOnly: true, lazyConnect: true });
    onTestFinished(() => client.disconnect());
    expect(() => cacheForTest({ redis: { client }, keyPrefix })).not.toThrow();
  });
});

it('takes a function for passwords that change, with a promise or without, and nothing else', () => {
  expectTypeOf<() => { password: string }>().toExtend<NonNullable<RedisConnectionOptions['credentials']>>();
  expectTypeOf<() => Promise<RedisCredentials>>().toExtend<NonNullable<RedisConnectionOptions['credentials']>>();
  expectTypeOf<() => { username: string }>().not.toExtend<NonNullable<RedisConnectionOptions['credentials']>>();
  expect(problemsOf({ host: 'h', credentials: () => ({ password: 'p' }) })).toEqual([]);
  expect(problemsOf({ host: 'h', credentials: 'secret' } as unknown as RedisOption)).toEqual(['redis.credentials']);
});
