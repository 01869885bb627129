import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../core/index.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached, CachedTrends } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

type AnyDecorator = (options: unknown) => (target: object, name: string, descriptor: PropertyDescriptor) => void;

/** Loads a class as a compiler without type checks (SWC) does. */
function load(decorator: unknown, options: unknown): void {
  class Users {
    async find(): Promise<void> {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Users.prototype, 'find')!;
  (decorator as AnyDecorator)(options)(Users.prototype, 'find', descriptor);
}

describe('the options of a decorator', () => {
  it.each<[string, unknown, object, string]>([
    ['Cached', Cached, { namspace: 'users' }, 'namspace: got an unknown option'],
    ['Cached', Cached, { namspace: 'users' }, 'did you mean "namespace"?'],
    ['Cached', Cached, { ttlMs: 5 }, 'did you mean "ttl"?'],
    ['Cached', Cached, { holdOff: 5 }, 'holdOff: got an unknown option'],
    ['Cached', Cached, { ttl: Infinity }, 'ttl: got Infinity'],
    ['Cached', Cached, { key: 'all' }, 'key: got "all", allowed: a function that is not async'],
    ['Cached', Cached, { key: async () => 'a' }, 'key: got an async function, allowed: a function that is not async'],
    ['Cached', Cached, { tags: 'x' }, 'tags: got "x", allowed: a list of texts'],
    ['Cached', Cached, { tags: [''] }, 'tags: got [""], allowed: a list of texts'],
    ['Cached', Cached, { cacheIf: async () => true }, 'cacheIf: got an async function'],
    ['Cached', Cached, { cacheIf: true }, 'cacheIf: got true'],
    ['Cached', Cached, { condition: async () => true }, 'condition: got an async function'],
    ['Cached', Cached, { conditon: () => true }, 'did you mean "condition"?'],
    ['CachedTrends', CachedTrends, { condition: true }, 'condition: got true, allowed: a function that is not async'],
    ['CachedMany', CachedMany, { key: String, condition: async () => true }, 'condition: got an async function'],
    ['CachePut', CachePut, { key: String, condition: async () => true }, 'condition: got an async function'],
    ['CacheEvict', CacheEvict, { all: true, condition: async () => true }, 'condition: got an async function'],
    ['Cached', Cached, { flatten: 'yes' }, 'flatten: got "yes", allowed: true or false'],
    ['Cached', Cached, { ttl: async () => 5 }, 'ttl: got an async function'],
    ['Cached', Cached, { ttl: 0 }, 'ttl: got 0, allowed: a duration over 0'],
    ['Cached', Cached, { ttl: Number.NaN }, 'ttl: got NaN'],
    ['Cached', Cached, { ttl: 86_400_000_000 }, "a number is seconds: did you mean '86400000000ms'?"],
    ['Cached', Cached, { keyPrefix: '' }, 'keyPrefix: got "", allowed: a text that is not empty'],
    ['Cached', Cached, { varyBy: ['a b'] }, 'varyBy: got ["a b"]'],
    ['Cached', Cached, { version: {} }, 'version: got {}'],
    ['CachedTrends', CachedTrends, { ttl: -1 }, 'ttl: got -1'],
    [
      'Cached',
      Cached,
      { softTimeout: '5s', hardTimeout: 1 },
      'softTimeout: got "5s", allowed: no longer than hardTimeout (1)',
    ],
    ['CachePut', CachePut, { namespace: 'users' }, 'got no key, resultKey, allowed: one of key, resultKey'],
    ['CachePut', CachePut, { key: String, resultKey: String }, 'got key, resultKey, allowed: one of key, resultKey'],
    ['CachePut', CachePut, { key: String, softTimeout: 1 }, 'softTimeout: got an unknown option'],
    ['CachePut', CachePut, { key: String, refreshContext: 'own' }, 'refreshContext: got an unknown option'],
    ['CachePut', CachePut, { key: String, after: true }, 'after: got true, allowed: a function'],
    ['CachedMany', CachedMany, {}, 'got no key, allowed: the option key'],
    ['CachedMany', CachedMany, { key: String, returns: 'set' }, 'returns: got "set", allowed: "list" or "map"'],
    ['CacheEvict', CacheEvict, {}, 'got no key, keys, resultKey, tags, all, allowed: one of key, keys'],
    ['Cached', Cached, '5m' as unknown as object, 'got "5m", allowed: an object'],
    ['CacheEvict', CacheEvict, undefined as unknown as object, 'got undefined, allowed: an object'],
    ['CacheEvict', CacheEvict, { all: false }, 'all: got false, allowed: true'],
    ['CacheEvict', CacheEvict, { all: true, key: String }, 'got key, all, allowed: one of key'],
    ['CacheEvict', CacheEvict, { all: true, varyBy: [] }, 'varyBy: got []'],
    ['CacheEvict', CacheEvict, { all: true, ttl: 5 }, 'ttl: got an unknown option'],
    ['CacheEvict', CacheEvict, { resultKey: String, before: true }, 'allowed: resultKey without before'],
    ['CacheEvict', CacheEvict, { all: true, before: true, after: String }, 'got after with before, allowed: after'],
    ['CacheEvict', CacheEvict, { all: true, holdOff: 5 }, 'got holdOff with all, allowed: holdOff without all'],
    ['CacheEvict', CacheEvict, { tags: ['a'], holdOff: 5 }, 'got holdOff with tags, allowed: holdOff without tags'],
    [
      'CachedMany',
      CachedMany,
      { key: String, by: String, returns: 'map' },
      'got by with returns, allowed: by without returns',
    ],
    ['CacheEvict', CacheEvict, [], 'got an empty list, allowed: the options of one eviction, or a list of them'],
    ['CacheEvict[1]', CacheEvict, [{ all: true }, {}], 'got no key, keys, resultKey, tags, all'],
    ['CacheEvict[0]', CacheEvict, [{ all: true, namspace: 'a' }], 'did you mean "namespace"?'],
    ['CachePut', CachePut, { key: String, evict: 'lists' }, 'evict: got "lists"'],
    ['CachePut evict', CachePut, { key: String, evict: { al: true } }, 'did you mean "all"?'],
    ['CachePut evict[0]', CachePut, { key: String, evict: [{}] }, 'allowed: one of key, keys, resultKey, tags, all'],
  ])('are refused when the class is loaded, with class and method: @%s', (name, decorator, options, message) => {
    expect(() => load(decorator, options)).toThrow(ConfigurationError);
    expect(() => load(decorator, options)).toThrow(`Users.find @${name}`);
    expect(() => load(decorator, options)).toThrow(message);
  });

  it('are accepted with every option that the decorator has', () => {
    const each = {
      namespace: 'users',
      ttl: '7d',
      grace: 5,
      tags: ['a'],
      varyBy: ['tenant'],
      version: 1,
      key: undefined,
    };
    const options: [unknown, object][] = [
      [Cached, { ...each, keyPrefix: 'users', instanceKey: () => 'a', cacheIf: () => true, refreshAhead: 0.5 }],
      [CachePut, { ...each, resultKey: () => 'a', cacheIf: () => true }],
      [CacheEvict, { namespace: 'users', tags: ['a'], before: true, key: undefined }],
      [CachedMany, { ...each, key: String, by: () => 1, returns: 'list' }],
    ];
    for (const [decorator, given] of options) {
      expect(() => load(decorator, given)).not.toThrow();
    }
  });
});
