import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../errors/index.js';
import { CacheConfig } from './config.js';

describe('the options of a namespace', () => {
  it('come from the whole cache if the namespace is not configured', () => {
    const config = CacheConfig.resolve({ ttl: '30m', local: { values: 'cloned' } }, {});
    expect(config.namespace('amazon')).toMatchObject({
      ttlMs: 1_800_000,
      graceMs: 0,
      emptyTtlMs: 60_000,
      values: 'cloned',
      compression: { thresholdBytes: 1024, codec: 'deflate' },
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
