import { describe, expect, it } from 'vitest';
import { ConfigurationError, type ConfigurationProblem } from '../errors/index.js';
import { CacheConfig, type DistributedCacheOptions, ENVIRONMENT_VARIABLES } from './index.js';
import type { OptionRow } from './rules.js';
import { CACHE_OPTIONS } from './schema.js';

function assume(_options: unknown): asserts _options is DistributedCacheOptions {}

/** Takes anything: most mistakes here do not compile otherwise. */
function problemsOf(options: unknown, env: NodeJS.ProcessEnv = {}): readonly ConfigurationProblem[] {
  try {
    assume(options);
    CacheConfig.resolve(options, env);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) {
      return error.problems;
    }
    throw error;
  }
}

const lines = (problems: readonly ConfigurationProblem[]) => problems.map(({ name, value }) => `${name}: ${value}`);

describe('a wrong configuration', () => {
  it('is reported at once, options and environment, each mistake with name, value and what is allowed', () => {
    const problems = problemsOf(
      {
        keyPrefix: 'a:b',
        ttl: -1,
        deadlineMs: 1.5,
        heartbeatMs: 49,
        local: { maxMemoryMb: 0, maxEntries: -3, values: 'froze' },
        compression: { codec: 'lzma' },
        namespaces: { x: { grace: '1y' } },
        ttls: { keyword: 5 },
      },
      { REDIS_PORT: 'abc', REDIS_SSL: 'yes', REDIS_DB: '-1', CACHE_TTL_TRENDS: '0', CACHE_FALLBACK_ENABLED: 'on' },
    );
    expect(lines(problems).sort()).toEqual(
      [
        'keyPrefix: "a:b"',
        'ttl: -1',
        'deadlineMs: 1.5',
        'heartbeatMs: 49',
        'local.maxMemoryMb: 0',
        'local.maxEntries: -3',
        'local.values: "froze"',
        'compression.codec: "lzma"',
        'namespaces.x.grace: "1y"',
        'ttls.keyword: an unknown option',
        'REDIS_PORT: "abc"',
        'REDIS_SSL: "yes"',
        'REDIS_DB: "-1"',
        'CACHE_TTL_TRENDS: "0"',
        'CACHE_FALLBACK_ENABLED: "on"',
      ].sort(),
    );
    expect(problems.every(({ allowed }) => allowed.length > 0)).toBe(true);
  });

  it.each([
    ['enabled', 'true', 'true or false'],
    ['enabled', 1, 'true or false'],
    ['enabled', null, 'true or false'],
    ['keyPrefix', '', 'letters, digits'],
    ['keyPrefix', 5, 'letters, digits'],
    ['ttl', 0, 'a duration over 0'],
    ['ttl', '0.1ms', 'a duration over 0'],
    ['ttl', '11000d', 'at most 3650d'],
    ['ttl', Number.NaN, 'a duration over 0'],
    ['ttls', false, 'an object with keywords'],
    ['redis', null, 'false, or an object'],
    ['redis', true, 'false, or an object'],
    ['local', true, 'an object with maxMemoryMb'],
    ['local', [], 'an object with maxMemoryMb'],
    ['fallback', null, 'an object with ttl'],
    ['deadlineMs', 0, 'an integer from 1 to 60000'],
    ['deadlineMs', 60_001, 'an integer from 1 to 60000'],
    ['deadlineMs', '300', 'an integer from 1 to 60000'],
    ['redisTimeout', 0, 'a duration over 0, at most 1h'],
    ['redisTimeout', '2h', 'at most 1h'],
    ['heartbeatMs', Number.POSITIVE_INFINITY, 'an integer from 50'],
    ['healthCheckInterval', '25d', 'at most 24d'],
    ['requireRedis', 'yes', "true, false or 'at-start'"],
    ['maxValueBytes', 0, 'an integer from 1'],
    ['compression', 'gzip', 'an object with thresholdBytes'],
    ['namespaces', [], 'options by name'],
  ])('is %s: %j', (name, value, allowed) => {
    const problems = problemsOf({ [name]: value });
    expect(problems.map((problem) => problem.name)).toEqual([name]);
    expect(problems[0]?.allowed).toContain(allowed);
  });

  it.each([
    ['CACHE_ENABLED', 'yes', 'true, false, 1 or 0'],
    ['CACHE_KEY_PREFIX', 'a:b', 'letters, digits'],
    ['CACHE_TTL_DEFAULT', '-5', 'seconds over 0, at most 315360000'],
    ['CACHE_TTL_DEFAULT', '5m', 'seconds over 0'],
    ['CACHE_TTL_DEFAULT', '0.0001', 'seconds over 0'],
    ['CACHE_TTL_KEYWORDS', '315360001', 'seconds over 0'],
    ['CACHE_TTL_METRICS', '1e3', 'seconds over 0'],
    ['CACHE_TTL_TRENDS', 'Infinity', 'seconds over 0'],
    ['CACHE_FALLBACK_TTL', '0', 'seconds over 0'],
    ['CACHE_MAX_MEMORY_MB', '0', 'a number from 0.001'],
    ['CACHE_MAX_MEMORY_MB', '100MB', 'a number from 0.001'],
    ['CACHE_COMPRESSION_THRESHOLD', '1.5', 'an integer from 0'],
    ['CACHE_DEADLINE_MS', '0', 'an integer from 1 to 60000'],
    ['REDIS_TIMEOUT', '5s', 'seconds over 0, at most 3600'],
    ['REDIS_HEALTH_CHECK_INTERVAL', '0', 'seconds over 0'],
    ['REDIS_PORT', '0', 'an integer from 1 to 65535'],
    ['REDIS_PORT', '65536', 'an integer from 1 to 65535'],
    ['REDIS_PORT', '0x18eb', 'an integer from 1 to 65535'],
    ['REDIS_DB', '1.5', 'an integer 0 or more'],
    ['REDIS_SSL', 'TLS', 'true, false, 1 or 0'],
    ['REDIS_HOST', 'localhost:6379', 'without scheme and port'],
  ])('is %s=%s', (name, value, allowed) => {
    expect(problemsOf({}, { [name]: value })).toEqual([
      { name, value: JSON.stringify(value), allowed: expect.stringContaining(allowed) as unknown },
    ]);
  });

  it('is also no object at all', () => {
    for (const options of [null, 5, 'x', []]) {
      expect(problemsOf(options).map(({ name }) => name)).toEqual(['options']);
    }
  });

  it('is a Redis that is required and turned off', () => {
    expect(lines(problemsOf({ redis: false, requireRedis: true }))).toEqual(['requireRedis: true']);
    expect(lines(problemsOf({ redis: false, strict: true }))).toEqual(['strict: true']);
    const migrate = (value: unknown): unknown => value;
    expect(lines(problemsOf({ namespaces: { a: { migrate } } }))).toEqual(['namespaces.a.migrate: a function']);
  });

  it('reports options even if others make them ineffective, but variables only where they apply', () => {
    expect(lines(problemsOf({ enabled: false, ttl: -1 }))).toEqual(['ttl: -1']);
    const wrong = Object.fromEntries(Object.keys(ENVIRONMENT_VARIABLES).map((name) => [name, '?']));
    const rows = Object.entries<OptionRow>(CACHE_OPTIONS).filter(([, row]) => row.rule !== undefined);
    const options = {
      ...Object.fromEntries(rows.map(([name, row]) => [name, row.default])),
      keyPrefix: 'a',
      region: 'a',
      ttl: 1,
      ttls: { keywords: 1, metrics: 1 },
      namespaces: { trends: { ttl: 1 } },
      redis: { host: 'h' },
      local: { maxMemoryMb: 1 },
      fallback: false,
      deadlineMs: 1,
      redisTimeout: 1,
      healthCheckInterval: 1,
      compression: false,
    };
    expect(problemsOf(options, wrong)).toEqual([]);
    expect(problemsOf({ local: false }, { CACHE_MAX_MEMORY_MB: '?', CACHE_FALLBACK_TTL: '?' })).toEqual([]);
  });

  it('shortens long values and shows no content of an object', () => {
    const [long, object] = problemsOf({ keyPrefix: ':'.repeat(1000), ttl: { secret: 's3cret' } }).toSorted((a, b) =>
      a.name.localeCompare(b.name),
    );
    expect(long?.value).toHaveLength(65);
    expect(object?.value).toBe('an object');
  });
});

describe('an unknown option', () => {
  const hint = (options: unknown) =>
    problemsOf(options).map(({ name, allowed }) => `${name} -> ${allowed.split('; ')[1]}`);

  it.each([
    [{ keyprefix: 'x' }, 'keyprefix -> did you mean "keyPrefix"?'],
    [{ ttlMs: 5 }, 'ttlMs -> did you mean "ttl"?'],
    [{ timeout: 5 }, 'timeout -> did you mean "redisTimeout"?'],
    [{ local: { maxMemory: 5 } }, 'local.maxMemory -> did you mean "maxMemoryMb"?'],
    [{ maxMemoryMb: 5 }, 'maxMemoryMb -> did you mean "local.maxMemoryMb"?'],
    [{ host: 'h' }, 'host -> did you mean "redis.host"?'],
    [{ redis: { hots: 'h', host: 'h' } }, 'redis.hots -> did you mean "host"?'],
    [{ fallback: { tll: 5 } }, 'fallback.tll -> did you mean "ttl"?'],
    [{ namespaces: { a: { graze: 5 } } }, 'namespaces.a.graze -> did you mean "grace"?'],
    [{ namespaces: { a: { emptyTTL: 5 } } }, 'namespaces.a.emptyTTL -> did you mean "emptyTtl"?'],
    [{ wobble: 1 }, 'wobble -> undefined'],
    [{ wobble: undefined }, 'wobble -> undefined'],
  ])('in %j gets a hint if a similar one exists', (options, expected) => {
    expect(hint(options)).toEqual([expected]);
  });

  it('is answered with the known options, never with its value', () => {
    expect(problemsOf({ local: { passwd: 's3cret' } })).toEqual([
      { name: 'local.passwd', value: 'an unknown option', allowed: 'maxMemoryMb, maxEntries, values' },
    ]);
  });

  it('is found when JSON brings it as __proto__, and pollutes nothing', () => {
    expect(lines(problemsOf(JSON.parse('{"__proto__":{"enabled":false}}')))).toEqual(['__proto__: an unknown option']);
    expect(({} as { enabled?: boolean }).enabled).toBeUndefined();
  });
});
