import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, type ConfigurationProblem } from '../errors/index.js';
import { CacheConfig, CachedClass, type DistributedCacheOptions } from './index.js';

function problemsOf(options: DistributedCacheOptions): readonly ConfigurationProblem[] {
  try {
    CacheConfig.resolve(options, {});
  } catch (error) {
    if (error instanceof ConfigurationError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

describe('compression', () => {
  it('of a namespace has priority over that of the cache, option by option', () => {
    const config = CacheConfig.resolve(
      {
        compression: { thresholdBytes: 500, codec: 'brotli' },
        namespaces: {
          plain: { compression: false },
          quick: { compression: { codec: 'gzip' } },
          learned: { compression: { dictionary: true } },
        },
      },
      {},
    );
    const given = { thresholdBytes: 500, codec: 'brotli', dictionary: false };
    expect(config.namespace('other').compression).toEqual(given);
    expect(config.namespace('plain').compression).toBe(false);
    expect(config.namespace('quick').compression).toEqual({ ...given, codec: 'gzip' });
    expect(config.namespace('learned').compression).toEqual({ ...given, dictionary: true });
    expect(config.namespace('plain', { compression: { thresholdBytes: 1 } }).compression).toEqual({
      ...given,
      thresholdBytes: 1,
    });
    const none = CacheConfig.resolve({ compression: false }, { CACHE_COMPRESSION_THRESHOLD: '?' });
    expect(none.namespace('x').compression).toBe(false);
    expect(none.namespace('x', { compression: {} }).compression).toEqual({
      thresholdBytes: 1024,
      codec: 'deflate',
      dictionary: false,
    });
  });

  it('with zstd stops the start if Node does not have it, and names the versions that do', () => {
    const problems = problemsOf({ namespaces: { x: { compression: { codec: 'zstd' } } } });
    const isThere = 'zstdCompress' in zlib;
    expect(problems.map(({ name }) => name)).toEqual(isThere ? [] : ['namespaces.x.compression.codec']);
    expect(isThere || problems[0]?.allowed.includes('22.15')).toBe(true);
  });
});

describe('classes', () => {
  class Money {}

  it('are given as such, or with options; the decorator supplies the options that are not given', () => {
    class Price {}
    CachedClass({ version: 3, migrate: (data) => data })(Price);
    class SalePrice extends Price {}
    const config = CacheConfig.resolve(
      { codec: { classes: { Money, Price, Sale: { class: SalePrice, version: 2 } } } },
      {},
    );
    expect([...config.classes.values()].map(({ name, version, migrate }) => [name, version, typeof migrate])).toEqual([
      ['Money', 1, 'undefined'],
      ['Price', 3, 'function'],
      ['Sale', 2, 'undefined'],
    ]);
    expect(Object.keys(Price)).toEqual([]);
  });

  it('are refused if they are no classes, or registered twice', () => {
    const classes = { Money, again: Money, arrow: (() => 1) as never, wrong: { class: Date, version: 0 } };
    expect(problemsOf({ codec: { classes } }).map(({ name }) => name)).toEqual([
      'codec.classes.again',
      'codec.classes.arrow',
      'codec.classes.wrong.version',
    ]);
  });
});

describe('encryption', () => {
  const secret = randomBytes(32);
  const hex = secret.toString('hex');
  const base64 = secret.toString('base64');

  it.each([secret, new Uint8Array(secret), hex, base64, secret.toString('base64url')])('takes keys as %#', (key) => {
    const config = CacheConfig.resolve({ encryption: { keys: { k1: key }, current: 'k1' } }, {});
    expect(config.encryptionKeys?.key('k1')?.export().equals(secret)).toBe(true);
    expect(config.namespace('x')).toMatchObject({ encrypts: true, legacy: false });
  });

  it('is off in a namespace with encryption: false, which still reads encrypted values', () => {
    const own = { keys: { k2: randomBytes(32) }, current: 'k2' };
    const config = CacheConfig.resolve(
      {
        encryption: { keys: { k1: secret }, current: 'k1' },
        namespaces: { open: { encryption: false }, own: { encryption: own } },
      },
      {},
    );
    expect(config.namespace('open')).toMatchObject({ encrypts: false, legacy: true });
    expect(config.namespace('open').encryptionKeys?.currentId).toBe('k1');
    expect(config.namespace('own').encryptionKeys?.currentId).toBe('k2');
  });

  it('shows no key: not when it is inspected, not as JSON, not in a mistake', () => {
    const config = CacheConfig.resolve({ encryption: { keys: { k1: secret }, current: 'k1' } }, {});
    const mistakes = [
      ...problemsOf({ encryption: { keys: { k1: hex.slice(1), 'k 2': secret }, current: 'k3' } }),
      ...problemsOf({ encryption: { keys: hex as never, current: 'k1' } }),
      ...problemsOf({ encryption: { keys: { k1: [...secret] as never }, current: 'k1' } }),
    ];
    expect(mistakes.map(({ name }) => name)).toEqual([
      'encryption.keys.k1',
      'encryption.keys',
      'encryption.current',
      'encryption.keys',
      'encryption.keys.k1',
    ]);
    const shown = [config.namespace('x'), Object.entries(config)].map((value) =>
      inspect(value, { depth: 9, showHidden: true }),
    );
    const text = [
      ...shown,
      JSON.stringify(config),
      JSON.stringify(config.namespace('x')),
      JSON.stringify(mistakes),
    ].join();
    expect(text).toContain('k1');
    expect([hex, hex.slice(1), base64, [...secret].join(', ')].filter((key) => text.includes(key))).toEqual([]);
  });

  it('is refused beside a format that other programs read, and beside legacy values', () => {
    const encryption = { keys: { k1: secret }, current: 'k1' };
    const problems = problemsOf({ encryption, namespaces: { a: { format: 'json' }, b: { legacy: true } } });
    expect(problems.map(({ name }) => name)).toEqual(['namespaces.a.format', 'namespaces.b.legacy']);
    expect(() => CacheConfig.resolve({ encryption }, {}).namespace('a', { format: 'keyv' })).toThrow(
      ConfigurationError,
    );
    expect(problemsOf({ encryption, namespaces: { a: { format: 'json', encryption: false } } })).toEqual([]);
  });
});
