import { Cluster, Redis } from 'ioredis';
import { describe, expect, expectTypeOf, it, onTestFinished } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { ConfigurationError } from '../errors/index.js';
import { CacheConfig } from './config.js';
import type { RedisConnectionOptions, RedisCredentials, RedisHomeOptions, RedisOption } from './redis-schema.js';

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

describe('the option `home`', () => {
  const homeOf = (redis: RedisOption, env: NodeJS.ProcessEnv = {}): unknown => {
    const resolved = CacheConfig.resolve({ redis }, env).redis;
    return resolved.kind === 'single' ? resolved.home : resolved.kind;
  };
  const homeFrom = (env: NodeJS.ProcessEnv): unknown => {
    const resolved = CacheConfig.resolve({}, env).redis;
    return resolved.kind === 'single' ? resolved.home : resolved.kind;
  };

  it('is the primary by default; a word or an object chooses a replica', () => {
    expect(homeOf({ host: 'h' })).toBeUndefined();
    expect(homeOf({ host: 'h', home: 'primary' })).toBeUndefined();
    expect(homeOf({ host: 'h', home: 'nearest' })).toEqual({ pick: 'nearest', maxLagMs: 1000 });
    expect(homeOf({ sentinels: NODES, name: 'main', home: 'spread' })).toEqual({ pick: 'spread', maxLagMs: 1000 });
    expect(homeOf({ host: 'h', home: { nodes: NODES, maxLagMs: 50 } })).toEqual({
      nodes: NODES,
      pick: 'nearest',
      maxLagMs: 50,
    });
    expectTypeOf<RedisConnectionOptions['home']>().toEqualTypeOf<
      'primary' | 'nearest' | 'spread' | RedisHomeOptions | undefined
    >();
    expectTypeOf<RedisHomeOptions['pick']>().toEqualTypeOf<'nearest' | 'spread' | undefined>();
  });

  it('may come from the environment', () => {
    expect(homeFrom({ REDIS_HOME: 'nearest' })).toEqual({ pick: 'nearest', maxLagMs: 1000 });
    expect(homeFrom({ REDIS_URL: 'redis://h', REDIS_HOME: 'spread', REDIS_HOME_NODES: 'a:1,b:2' })).toMatchObject({
      pick: 'spread',
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    });
  });

  it.each<[NodeJS.ProcessEnv, string]>([
    [{ REDIS_HOME: 'far' }, 'REDIS_HOME'],
    [{ REDIS_HOME_NODES: 'a:1' }, 'REDIS_HOME_NODES'],
    [{ REDIS_HOME: 'nearest', REDIS_HOME_NODES: 'a' }, 'REDIS_HOME_NODES'],
    [{ REDIS_HOME: 'nearest', REDIS_CLUSTER_NODES: 'a:1' }, 'REDIS_HOME'],
  ])('is refused at the start in the environment: %o', (env, name) => {
    expect(() => CacheConfig.resolve({}, env)).toThrow(name);
  });

  it.each<[unknown, string]>([
    [{ host: 'h', home: 'far' }, 'redis.home'],
    [{ host: 'h', home: 1 }, 'redis.home'],
    [{ host: 'h', home: { nodes: [] } }, 'redis.home.nodes'],
    [{ host: 'h', home: { pick: 'any' } }, 'redis.home.pick'],
    [{ host: 'h', home: { maxLagMs: 0 } }, 'redis.home.maxLagMs'],
    [{ host: 'h', home: { maxLag: 5 } }, 'redis.home.maxLag'],
    [{ cluster: { nodes: NODES }, home: 'nearest' }, 'redis.home'],
    [{ cluster: { nodes: NODES, options: { home: 'nearest' } } }, 'redis.cluster.options.home'],
    [{ client: new Redis({ lazyConnect: true }), home: 'nearest' }, 'redis.home'],
  ])('is refused at the start, by name: %o', (redis, name) => {
    expect(problemsOf(redis as RedisOption)).toEqual([name]);
  });
});
