import { Cluster, Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../errors/index.js';
import { CacheConfig } from './config.js';
import type { ResolvedRedis } from './redis-schema.js';

const HOST = { host: 'localhost', port: 6379, db: 0, tls: false };

function redisOf(redis: unknown, env: NodeJS.ProcessEnv = {}): ResolvedRedis {
  return CacheConfig.resolve({ redis } as object, env).redis;
}

function mistakesOf(redis: unknown, env: NodeJS.ProcessEnv = {}): string[] {
  try {
    redisOf(redis, env);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) {
      return error.problems.map(({ name, value }) => `${name}: ${value}`);
    }
    throw error;
  }
}

describe('Redis by the environment', () => {
  const five = { REDIS_HOST: 'h', REDIS_PORT: '7000', REDIS_DB: '3', REDIS_PASSWORD: ' p@ss ', REDIS_SSL: 'true' };

  it('takes host, port, database, user, password and TLS', () => {
    expect(redisOf(undefined, { ...five, REDIS_USERNAME: 'app' })).toEqual({
      kind: 'single',
      connection: { host: 'h', port: 7000, db: 3, username: 'app', password: ' p@ss ', tls: true },
    });
  });

  it('takes an IPv6 host with and without brackets', () => {
    for (const host of ['::1', '[::1]']) {
      const config = CacheConfig.fromEnv({ REDIS_HOST: host });
      expect(config.redis).toMatchObject({ connection: { host: '::1' } });
      expect(config.redisAddress).toBe('redis://[::1]:6379/0');
    }
  });

  it('takes REDIS_URL as the whole address and reads none of the variables that it replaces', () => {
    expect(redisOf(undefined, { ...five, REDIS_PORT: 'abc', REDIS_SSL: 'yes', REDIS_URL: 'redis://u' })).toEqual({
      kind: 'single',
      connection: { ...HOST, host: 'u' },
    });
    expect(redisOf(undefined, { REDIS_URL: 'rediss://app:p%40@h:1/2?family=6' })).toEqual({
      kind: 'single',
      connection: { host: 'h', port: 1, db: 2, username: 'app', password: 'p@', tls: true, family: 6 },
    });
  });

  it('takes Sentinels, which share TLS but not the password', () => {
    const env = { ...five, REDIS_PORT: 'abc', REDIS_SENTINELS: 'a:26379, [::1]:26380', REDIS_SENTINEL_NAME: 'main' };
    expect(redisOf(undefined, env)).toEqual({
      kind: 'single',
      connection: {
        sentinels: [
          { host: 'a', port: 26379 },
          { host: '::1', port: 26380 },
        ],
        name: 'main',
        db: 3,
        password: ' p@ss ',
        tls: true,
        sentinelTls: true,
      },
    });
    expect(CacheConfig.fromEnv(env).redisAddress).toBe('rediss://main/3 via sentinels a:26379,[::1]:26380');
  });

  it('takes Cluster nodes', () => {
    const config = CacheConfig.fromEnv({ REDIS_CLUSTER_NODES: 'a:7000,b:7001', REDIS_PASSWORD: 'pw' });
    expect(config.redis).toEqual({
      kind: 'cluster',
      nodes: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 7001 },
      ],
      connection: { password: 'pw', tls: false },
    });
    expect(config.redisAddress).toBe('cluster redis://a:7000,b:7001');
  });

  it.each<[NodeJS.ProcessEnv, string[]]>([
    [{ REDIS_CLUSTER_NODES: 'a:1', REDIS_SENTINELS: 'b:2', REDIS_SENTINEL_NAME: 'm' }, ['REDIS_SENTINELS: "***"']],
    [{ REDIS_URL: 'redis://h', REDIS_CLUSTER_NODES: 'a:1' }, ['REDIS_CLUSTER_NODES: "***"']],
    [{ REDIS_SENTINELS: 'b:2' }, ['REDIS_SENTINEL_NAME: nothing']],
    [{ REDIS_CLUSTER_NODES: 'a:1', REDIS_DB: '2' }, ['REDIS_DB: "2"']],
    [{ REDIS_CLUSTER_NODES: 'a:1', REDIS_SSL: 'yes' }, ['REDIS_SSL: "yes"']],
    [{ REDIS_CLUSTER_NODES: 'a' }, ['REDIS_CLUSTER_NODES: "a"']],
    [{ REDIS_CLUSTER_NODES: 'a:1,' }, ['REDIS_CLUSTER_NODES: "a:1,"']],
    [{ REDIS_CLUSTER_NODES: '::1:7000' }, ['REDIS_CLUSTER_NODES: "::1:7000"']],
    [{ REDIS_CLUSTER_NODES: '[a]:7000' }, ['REDIS_CLUSTER_NODES: "[a]:7000"']],
    [{ REDIS_CLUSTER_NODES: 'a:70000' }, ['REDIS_CLUSTER_NODES: "a:70000"']],
    [{ REDIS_CLUSTER_NODES: 'u:pw@a:7000' }, ['REDIS_CLUSTER_NODES: "***@a:7000"']],
    [{ REDIS_HOST: 'u:pw@h' }, ['REDIS_HOST: "***@h"']],
    [{ REDIS_PORT: 'tcp://10.0.0.1:6379' }, ['REDIS_PORT: "tcp://10.0.0.1:6379"']],
  ])('refuses %j', (env, mistakes) => {
    expect(mistakesOf(undefined, env)).toEqual(mistakes);
  });
});

describe('Redis by code', () => {
  it('is never mixed with the environment', () => {
    const env = { REDIS_HOST: 'env', REDIS_PASSWORD: 's3cret', REDIS_USERNAME: 'u', REDIS_SSL: 'true', REDIS_DB: '7' };
    expect(redisOf({ host: 'code' }, env)).toEqual({ kind: 'single', connection: { ...HOST, host: 'code' } });
    expect(redisOf(false, { REDIS_URL: 'nonsense' })).toEqual({ kind: 'none' });
    expect(redisOf({}, { REDIS_PASSWORD: 's3cret' })).toEqual({ kind: 'single', connection: HOST });
  });

  it.each(['REDIS_URL', 'REDIS_HOST', 'REDIS_SENTINELS', 'REDIS_CLUSTER_NODES'])(
    'refuses options without an address while %s is set',
    (variable) => {
      for (const redis of [{}, { tls: true }, { password: 'pw', db: 1 }, { url: undefined }]) {
        expect(mistakesOf(redis, { [variable]: 'x' })).toEqual(['redis: options without an address']);
      }
      expect(mistakesOf({ port: 7000 }, { [variable]: 'x' })).toEqual([]);
    },
  );

  it('keeps what was given and leaves out what was not', () => {
    const tls = { ca: 'CA', servername: 'x' };
    const clientOptions = { keepAlive: 1 };
    const given = { host: '[::1]', port: 1, db: 2, username: 'u', password: 'p', tls, connectionName: 'n', family: 6 };
    expect(redisOf({ ...given, clientOptions })).toEqual({
      kind: 'single',
      connection: { ...given, host: '::1', clientOptions },
    });
    expect(redisOf({ path: '/run/redis.sock', host: 'ignored', password: '', username: '' })).toStrictEqual({
      kind: 'single',
      connection: { path: '/run/redis.sock', db: 0, tls: false },
    });
  });

  it('gives the parts of the URL priority over the other options', () => {
    const others = { host: 'x', port: 1, db: 1, username: 'x', password: 'x', family: 4 };
    expect(redisOf({ url: 'rediss://u:p@h:2/3?family=6', ...others })).toEqual({
      kind: 'single',
      connection: { host: 'h', port: 2, db: 3, username: 'u', password: 'p', tls: true, family: 6 },
    });
    expect(redisOf({ url: ' redis://h', password: 'p', port: 7, tls: { ca: 'CA' } })).toEqual({
      kind: 'single',
      connection: { host: 'h', port: 7, db: 0, password: 'p', tls: { ca: 'CA' } },
    });
  });

  it('takes Sentinels, whose TLS is that of the master unless it is given', () => {
    const sentinels = [{ host: 's', port: 26379 }];
    const tls = { ca: 'CA' };
    const base = { sentinels, name: 'm', sentinelUsername: 'su', sentinelPassword: 'sp' };
    expect(redisOf({ ...base, tls })).toEqual({
      kind: 'single',
      connection: { ...base, db: 0, tls, sentinelTls: tls },
    });
    expect(redisOf({ ...base, tls, sentinelTls: false })).toMatchObject({ connection: { sentinelTls: false } });
  });

  it('takes a Cluster', () => {
    const nodes = [{ host: 'a', port: 1 }];
    const options = {
      username: 'u',
      password: 'p',
      connectionName: 'n',
      family: 4,
      clientOptions: { maxRedirections: 3 },
    };
    expect(redisOf({ cluster: { nodes } })).toEqual({ kind: 'cluster', nodes, connection: { tls: false } });
    expect(redisOf({ cluster: { nodes, options: { ...options, tls: true } } })).toEqual({
      kind: 'cluster',
      nodes,
      connection: { ...options, tls: true },
    });
  });

  it('takes a real ioredis client, single or Cluster, and the client of a store', () => {
    const single = new Redis({ lazyConnect: true });
    const cluster = new Cluster([{ host: 'localhost', port: 1 }], { lazyConnect: true });
    for (const client of [single, cluster]) {
      expect(redisOf({ client })).toEqual({ kind: 'client', client });
      const resolved = redisOf({ store: { client, get: () => 'never called' } });
      expect(resolved.kind === 'client' && resolved.client === client).toBe(true);
      expect(mistakesOf(client)).toEqual(['redis: a client (write { client })']);
      expect(mistakesOf({ client, host: 'h' })).toEqual(['redis.host: an unknown option']);
      client.disconnect();
    }
    expect(CacheConfig.resolve({ redis: { client: single } }, {}).redisAddress).toBe(
      "the application's own Redis client",
    );
  });

  it.each<[unknown, string[]]>([
    [{ client: undefined }, ['redis.client: undefined']],
    [{ client: {} }, ['redis.client: an object']],
    [{ client: 'redis' }, ['redis.client: "redis"']],
    [{ store: undefined }, ['redis.store: undefined']],
    [{ store: {} }, ['redis.store: an object']],
    [{ cluster: undefined }, ['redis.cluster: undefined']],
    [{ cluster: {} }, ['redis.cluster.nodes: undefined']],
    [{ cluster: { nodes: [] } }, ['redis.cluster.nodes: an array of 0']],
    [{ cluster: { nodes: ['redis://:pw@h:1'] } }, ['redis.cluster.nodes: an array of 1']],
    [{ cluster: { nodes: [{ host: 'h' }] } }, ['redis.cluster.nodes[0].port: undefined']],
    [{ cluster: { nodes: [{ host: 'h', port: 1 }], options: 5 } }, ['redis.cluster.options: 5']],
    [
      { cluster: { nodes: [{ host: 'h', port: 1 }], options: { db: 1 } } },
      ['redis.cluster.options.db: an unknown option'],
    ],
    [
      { cluster: { nodes: [{ host: 'h', port: 1 }], options: { sentinelPassword: 'x' } } },
      ['redis.cluster.options.sentinelPassword: ***'],
    ],
    [{ host: '' }, ['redis.host: ""']],
    [{ host: 'redis://u:s3cret@h' }, ['redis.host: "redis://***"']],
    [{ port: 0 }, ['redis.port: 0']],
    [{ port: '6379' }, ['redis.port: "6379"']],
    [{ db: -1 }, ['redis.db: -1']],
    [{ password: 12_345 }, ['redis.password: ***']],
    [{ username: 5 }, ['redis.username: ***']],
    [{ tls: 'PRIVATE KEY' }, ['redis.tls: a string']],
    [{ tls: { rejectUnauthorized: false } }, ['redis.tls: rejectUnauthorized: false']],
    [{ url: 'rediss://h', tls: false }, ['redis.tls: false']],
    [{ url: '' }, ['redis.url: "***"']],
    [{ url: 5 }, ['redis.url: 5']],
    [{ url: 'redis://u:s3cret@h', path: '/x' }, ['redis.path: "/x"']],
    [{ url: 'redis://h', host: 5, port: 'x' }, ['redis.host: 5', 'redis.port: "x"']],
    [{ family: 5 }, ['redis.family: 5']],
    [{ clientOptions: [] }, ['redis.clientOptions: an array of 0']],
    [{ sentinels: [{ host: 's', port: 1 }] }, ['redis.name: undefined']],
    [{ sentinels: [], name: 'm' }, ['redis.sentinels: an array of 0']],
    [
      { sentinels: [{ host: 's', port: 1 }], name: 'm', url: 'redis://u:s3cret@h', port: 5 },
      ['redis.url: "redis://***"', 'redis.port: 5'],
    ],
    [{ host: 'h', name: 'm', sentinelPassword: 's3cret' }, ['redis.name: "m"', 'redis.sentinelPassword: ***']],
  ])('refuses %j', (redis, mistakes) => {
    expect(mistakesOf(redis).sort()).toEqual(mistakes.sort());
  });
});
