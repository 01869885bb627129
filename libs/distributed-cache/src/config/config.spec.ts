import { inspect } from 'node:util';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { ConfigurationError } from '../errors/index.js';
import {
  CacheConfig,
  type CompressionCodec,
  DEFAULTS,
  type DistributedCacheOptions,
  type Duration,
  ENVIRONMENT_VARIABLES,
  type RedisOption,
  type ResolvedNamespace,
  type ResolvedRedis,
} from './index.js';
import { durationBetween, oneOf, type OptionRow } from './rules.js';
import { CACHE_OPTIONS } from './schema.js';

const fieldsOf = (config: CacheConfig) => Object.fromEntries(Object.entries(config));
/** The defaults of the options that are one value, by their fields, so that the lists below name only what they are about. */
const fromTable = Object.fromEntries(
  Object.entries<OptionRow>(CACHE_OPTIONS)
    .filter(([, row]) => row.rule !== undefined && row.default !== undefined)
    .map(([name, row]) => [row.field ?? name, row.default]),
);

describe('CacheConfig without options and variables', () => {
  const config = CacheConfig.resolve({}, {});

  it('has every default', () => {
    expect(fieldsOf(config)).toEqual({
      ...fromTable,
      enabled: true,
      keyPrefix: 'cache',
      ttlMs: 3_600_000,
      redis: { kind: 'single', connection: { host: 'localhost', port: 6379, db: 0, tls: false } },
      local: { maxBytes: 104_857_600, maxEntries: undefined, values: 'cloned' },
      fallback: { ttlMs: 300_000 },
      deadlineMs: 300,
      commandTimeoutMs: 5000,
      heartbeatMs: 1000,
      healthCheckIntervalMs: 30_000,
      requireRedis: false,
      strict: false,
      logLookups: false,
      strictStart: false,
      maxValueBytes: 4_194_304,
      compression: { thresholdBytes: 1024, codec: 'deflate', dictionary: false },
      classes: new Map(),
      encryptionKeys: undefined,
      warmUp: false,
    });
  });

  it('is the same from the environment alone', () => {
    expect(fieldsOf(CacheConfig.fromEnv({}))).toEqual(fieldsOf(config));
  });

  it('reads the environment of the process unless it is given another', () => {
    const before = process.env['CACHE_KEY_PREFIX'];
    process.env['CACHE_KEY_PREFIX'] = 'of-the-process';
    try {
      expect(CacheConfig.fromEnv().keyPrefix).toBe('of-the-process');
      expect(CacheConfig.resolve().keyPrefix).toBe('of-the-process');
      expect(CacheConfig.resolve(undefined, {}).keyPrefix).toBe('cache');
    } finally {
      if (before === undefined) {
        delete process.env['CACHE_KEY_PREFIX'];
      } else {
        process.env['CACHE_KEY_PREFIX'] = before;
      }
    }
  });

  it("accepts every variable's documented default as its value", () => {
    const documented = Object.entries(ENVIRONMENT_VARIABLES).map(([name, { default: text }]) => [name, text]);
    expect(fieldsOf(CacheConfig.fromEnv(Object.fromEntries(documented)))).toEqual(fieldsOf(config));
  });

  it('can not be changed', () => {
    expect(() => Object.assign(config, { ttlMs: 1 })).toThrow(TypeError);
    for (const part of [config.local, config.fallback, config.compression, config.redis, config.namespace('x')]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(Object.isFrozen(DEFAULTS) && Object.isFrozen(DEFAULTS.namespaceTtlMs)).toBe(true);
  });

  it('has types that match', () => {
    expectTypeOf(config.redis).toEqualTypeOf<ResolvedRedis>();
    expectTypeOf(config.namespace('x')).toEqualTypeOf<ResolvedNamespace>();
    expectTypeOf(config.redisAddress).toEqualTypeOf<string | undefined>();
    expectTypeOf(DEFAULTS.values).toEqualTypeOf<'cloned'>();
    expectTypeOf<
      Pick<DistributedCacheOptions, 'ttl' | 'enabled' | 'redis' | 'fallback' | 'compression'>
    >().toEqualTypeOf<{
      ttl?: Duration;
      enabled?: boolean;
      redis?: RedisOption;
      fallback?: false | { ttl?: Duration };
      compression?: false | { thresholdBytes?: number; codec?: CompressionCodec; dictionary?: boolean };
    }>();
    expectTypeOf<Parameters<typeof CacheConfig.fromEnv>>().toEqualTypeOf<[env?: NodeJS.ProcessEnv]>();
    // @ts-expect-error -- a plain string is no duration
    expect(() => CacheConfig.resolve({ ttl: '5 minutes' }, {})).toThrow(ConfigurationError);
    // @ts-expect-error -- and an unknown option is noticed by the compiler already
    expect(() => CacheConfig.resolve({ keyprefix: 'x' }, {})).toThrow(ConfigurationError);
  });
});

describe('the order of the sources', () => {
  const env = {
    CACHE_ENABLED: 'false',
    CACHE_KEY_PREFIX: 'env',
    CACHE_TTL_DEFAULT: '10',
    CACHE_MAX_MEMORY_MB: '0.5',
    CACHE_FALLBACK_TTL: '20',
    CACHE_DEADLINE_MS: '40',
    REDIS_TIMEOUT: '1.5',
    REDIS_HEALTH_CHECK_INTERVAL: '60',
    CACHE_COMPRESSION_THRESHOLD: '0',
    REDIS_HOST: 'env-host',
  };

  it('gives the environment priority over the defaults', () => {
    expect(fieldsOf(CacheConfig.fromEnv(env))).toMatchObject({
      enabled: false,
      keyPrefix: 'env',
      ttlMs: 10_000,
      local: { maxBytes: 524_288 },
      fallback: { ttlMs: 20_000 },
      deadlineMs: 40,
      commandTimeoutMs: 1500,
      healthCheckIntervalMs: 60_000,
      compression: { thresholdBytes: 0 },
      redis: { connection: { host: 'env-host' } },
    });
  });

  it('gives code priority over the environment', () => {
    const config = CacheConfig.resolve(
      {
        enabled: true,
        keyPrefix: 'code',
        ttl: '1m',
        local: { maxMemoryMb: 2, maxEntries: 7, values: 'shared' },
        fallback: { ttl: 30 },
        deadlineMs: 50,
        redisTimeout: '2s',
        heartbeatMs: 500,
        healthCheckInterval: '2m',
        requireRedis: true,
        strict: true,
        logLookups: true,
        strictStart: true,
        maxValueBytes: 1000,
        compression: { thresholdBytes: 5, codec: 'gzip' },
        codec: { classes: { Map } },
        redis: { host: 'code-host' },
      },
      env,
    );
    expect(fieldsOf(config)).toEqual({
      ...fromTable,
      enabled: true,
      keyPrefix: 'code',
      ttlMs: 60_000,
      local: { maxBytes: 2_097_152, maxEntries: 7, values: 'shared' },
      fallback: { ttlMs: 30_000 },
      deadlineMs: 50,
      commandTimeoutMs: 2000,
      heartbeatMs: 500,
      healthCheckIntervalMs: 120_000,
      requireRedis: true,
      strict: true,
      logLookups: true,
      strictStart: true,
      maxValueBytes: 1000,
      compression: { thresholdBytes: 5, codec: 'gzip', dictionary: false },
      classes: new Map([['Map', { name: 'Map', class: Map, version: 1 }]]),
      encryptionKeys: undefined,
      warmUp: false,
      redis: { kind: 'single', connection: { host: 'code-host', port: 6379, db: 0, tls: false } },
    });
  });

  it('treats undefined as not given, at any level', () => {
    const options = {
      enabled: undefined,
      keyPrefix: undefined,
      ttl: undefined,
      ttls: undefined,
      redis: undefined,
      local: { maxMemoryMb: undefined, maxEntries: undefined, values: undefined },
      fallback: { ttl: undefined },
      deadlineMs: undefined,
      redisTimeout: undefined,
      heartbeatMs: undefined,
      healthCheckInterval: undefined,
      requireRedis: undefined,
      maxValueBytes: undefined,
      compression: undefined,
      namespaces: { a: { ttl: undefined, grace: undefined, emptyTtl: undefined, values: undefined } },
    };
    expect(fieldsOf(CacheConfig.resolve(options, env))).toEqual(fieldsOf(CacheConfig.fromEnv(env)));
  });

  it('counts empty and blank variables as not set, and trims the others', () => {
    const blank = Object.fromEntries(Object.keys(ENVIRONMENT_VARIABLES).map((name) => [name, '  ']));
    expect(fieldsOf(CacheConfig.fromEnv(blank))).toEqual(fieldsOf(CacheConfig.fromEnv({})));
    expect(CacheConfig.fromEnv({ CACHE_TTL_DEFAULT: ' 5 \n' }).ttlMs).toBe(5000);
  });

  it.each(['true', 'TRUE', '1'])('reads %s as true', (text) => {
    expect(CacheConfig.fromEnv({ CACHE_FALLBACK_ENABLED: text, CACHE_ENABLED: text })).toMatchObject({
      enabled: true,
      fallback: { ttlMs: 300_000 },
    });
  });

  it.each(['false', 'False', '0'])('reads %s as false', (text) => {
    expect(CacheConfig.fromEnv({ CACHE_FALLBACK_ENABLED: text, CACHE_ENABLED: text })).toMatchObject({
      enabled: false,
      fallback: false,
    });
  });
});

describe('the rules', () => {
  it('read a choice, a number and a duration from the text of a variable as from code', () => {
    const choice = oneOf(['read', 'both', 4]);
    expect([choice.variable.parse('both'), choice.variable.parse('4'), choice.accept(4)]).toEqual(['both', 4, 4]);
    expect([choice.variable.parse('none'), choice.accept('4')]).toEqual([undefined, undefined]);
    const grace = durationBetween(0, 60_000);
    expect([grace.variable.parse('0'), grace.accept(0), grace.accept('1m')]).toEqual([0, 0, 60_000]);
    expect([grace.variable.parse('60.001'), grace.accept('61s')]).toEqual([undefined, undefined]);
    expect(grace.variable.allowed).toBe('seconds of 0 or more, at most 60, without a unit');
  });
});

describe('tiers that are turned off', () => {
  it('keeps the switch of the environment when the code only gives a fallback TTL', () => {
    const env = { CACHE_FALLBACK_ENABLED: 'false' };
    expect(CacheConfig.resolve({ fallback: { ttl: 5 } }, env).fallback).toBe(false);
    expect(CacheConfig.resolve({ fallback: false }, { CACHE_FALLBACK_ENABLED: 'true' }).fallback).toBe(false);
  });

  it('has no fallback without an L1', () => {
    const config = CacheConfig.resolve({ local: false, compression: false, redis: false }, {});
    expect(config).toMatchObject({ local: false, fallback: false, compression: false, redis: { kind: 'none' } });
  });
});

describe('the line for the log', () => {
  it.each([
    [{}, {}, 'L1 100 MiB, L2 redis://localhost:6379/0 (the default: no address is given)'],
    [{ redis: { url: undefined } }, {}, 'L1 100 MiB, L2 redis://localhost:6379/0 (the default: no address is given)'],
    [
      { redis: { password: 's3cret' } },
      {},
      'L1 100 MiB, L2 redis://localhost:6379/0 (the default: no address is given)',
    ],
    [{ redis: { url: 'redis://a:1/2' } }, {}, 'L1 100 MiB, L2 redis://a:1/2 (redis.url)'],
    [{ redis: { host: 'a' } }, { REDIS_URL: 'redis://b' }, 'L1 100 MiB, L2 redis://a:6379/0 (redis.host)'],
    [{}, { REDIS_PORT: '6380' }, 'L1 100 MiB, L2 redis://localhost:6380/0 (REDIS_PORT)'],
    [{}, { REDIS_HOST: 'a', REDIS_PORT: '6380' }, 'L1 100 MiB, L2 redis://a:6380/0 (REDIS_HOST)'],
    [{}, { REDIS_CLUSTER_NODES: 'a:1' }, 'L1 100 MiB, L2 cluster redis://a:1 (REDIS_CLUSTER_NODES)'],
    [
      { redis: { cluster: { nodes: [{ host: 'a', port: 1 }] } } },
      {},
      'L1 100 MiB, L2 cluster redis://a:1 (redis.cluster)',
    ],
    [{ local: { maxMemoryMb: 0.5 }, redis: false }, {}, 'L1 0.5 MiB, no L2'],
    [{ local: false, redis: { path: '/s' } }, {}, 'no L1, L2 unix:/s, database 0 (redis.path)'],
    [{ fallback: false }, { REDIS_HOST: 'a' }, 'L1 100 MiB, L2 redis://a:6379/0 (REDIS_HOST), no fallback'],
    [{ enabled: false }, {}, 'disabled: every method runs undecorated'],
    [{}, { REDIS_URL: 'rediss://user:s3cret@[::1]:7000/2' }, 'L1 100 MiB, L2 rediss://[::1]:7000/2 (REDIS_URL)'],
  ] as const)('names the tiers of %j with %j', (options, env, line) => {
    expect(CacheConfig.resolve(options, env).describe()).toBe(line);
  });

  it('shows no secret, however the configuration is printed', () => {
    const secrets = ['s3cret', 'user-x', 'other-pass', 'KEY MATERIAL'];
    const config = CacheConfig.resolve(
      {
        redis: {
          name: 'main',
          sentinels: [{ host: 's', port: 26379 }],
          username: 'user-x',
          password: 's3cret',
          sentinelPassword: 'other-pass',
          tls: { key: 'KEY MATERIAL' },
        },
      },
      {},
    );
    const printed = [
      config.describe(),
      inspect(config),
      inspect({ config }),
      JSON.stringify(config),
      `${config.redisAddress}`,
    ];
    expect(printed.filter((text) => secrets.some((secret) => text.includes(secret)))).toEqual([]);
    expect(JSON.parse(JSON.stringify(config))).toMatchObject({ redis: 'rediss://main/0 via sentinels s:26379' });
    expect(inspect(config)).toBe(
      'CacheConfig { L1 100 MiB, L2 rediss://main/0 via sentinels s:26379 (redis.sentinels) }',
    );
  });
});

describe('the options of a namespace', () => {
  it('come from the whole cache if the namespace is not configured', () => {
    const config = CacheConfig.resolve({ ttl: '30m', local: { values: 'cloned' } }, {});
    expect(config.namespace('amazon')).toMatchObject({
      ttlMs: 1_800_000,
      graceMs: 0,
      emptyTtlMs: 60_000,
      values: 'cloned',
      compression: { thresholdBytes: 1024, codec: 'deflate', dictionary: false },
      format: 'envelope',
      legacy: true,
      encryptionKeys: undefined,
      encrypts: false,
    });
  });

  it('have built-in TTLs for keywords, metrics and trends, which the default TTL does not change', () => {
    const config = CacheConfig.resolve({ ttl: 5 }, { CACHE_TTL_DEFAULT: '7' });
    expect(config.namespace('keywords').ttlMs).toBe(86_400_000);
    expect(config.namespace('metrics').ttlMs).toBe(43_200_000);
    expect(config.namespace('trends').ttlMs).toBe(21_600_000);
    expect(config.namespace('other').ttlMs).toBe(5000);
  });

  it.each([
    ['keywords', 'CACHE_TTL_KEYWORDS'],
    ['metrics', 'CACHE_TTL_METRICS'],
    ['trends', 'CACHE_TTL_TRENDS'],
  ])('take the TTL of %s from namespaces, then ttls, then %s', (name, variable) => {
    const env = { [variable]: '1.5' };
    const ttlMs = (options: object) => CacheConfig.resolve(options, env).namespace(name).ttlMs;
    expect(ttlMs({})).toBe(1500);
    expect(ttlMs({ ttls: { [name]: '2s' } })).toBe(2000);
    expect(ttlMs({ ttls: { [name]: '2s' }, namespaces: { [name]: { ttl: '3s' } } })).toBe(3000);
    expect(ttlMs({ namespaces: { [name]: { grace: '3s' } } })).toBe(1500);
  });

  it('have priority over those of the whole cache, and those given to namespace() over both', () => {
    const config = CacheConfig.resolve(
      { namespaces: { amazon: { ttl: '10m', grace: '1h', emptyTtl: '5s', values: 'cloned' } } },
      {},
    );
    expect(config.namespace('amazon')).toMatchObject({
      ttlMs: 600_000,
      graceMs: 3_600_000,
      emptyTtlMs: 5000,
      values: 'cloned',
    });
    expect(config.namespace('amazon', { ttl: '1m', grace: undefined, values: 'shared' })).toMatchObject({
      ttlMs: 60_000,
      graceMs: 3_600_000,
      emptyTtlMs: 5000,
      values: 'shared',
    });
  });

  it('keep empty results no longer than others', () => {
    expect(CacheConfig.resolve({ ttl: 5 }, {}).namespace('x').emptyTtlMs).toBe(5000);
  });

  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'are the usual ones for a namespace called %s',
    (name) => {
      const config = CacheConfig.resolve({}, {});
      expect(config.namespace(name)).toEqual(config.namespace('other'));
    },
  );

  it('are read for a namespace called __proto__ too, which JSON can make', () => {
    const config = CacheConfig.resolve(JSON.parse('{"namespaces":{"__proto__":{"ttl":5}}}'), {});
    expect(config.namespace('__proto__').ttlMs).toBe(5000);
    expect(config.namespace('other').ttlMs).toBe(3_600_000);
  });

  it.each(['a:b', '', 'a b', '{a}', 'ä', 'a\n'])('are refused for the name %j', (name) => {
    expect(() => CacheConfig.resolve({}, {}).namespace(name)).toThrow(ConfigurationError);
    expect(() => CacheConfig.resolve({ namespaces: { [name]: {} } }, {})).toThrow(/namespaces: got /);
  });

  it('are checked where they are given to namespace()', () => {
    const config = CacheConfig.resolve({}, {});
    expect(() => config.namespace('amazon', { ttl: 0 })).toThrow(
      /namespace\.amazon\.ttl: got 0, allowed: a duration over 0/,
    );
  });
});
