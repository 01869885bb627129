import { describe, expect, it } from 'vitest';
import { FakeClock } from '../testing/fake-clock.js';
import { LocalCache } from './local-cache.js';
import { systemClock } from './clock.js';
import { storeValue } from './stored-value.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const TTL = { ttlMs: MINUTE_MS };

function cacheWithClock(options: { maxBytes?: number; maxEntries?: number } = {}): {
  cache: LocalCache;
  clock: FakeClock;
} {
  const clock = new FakeClock();
  return { cache: new LocalCache({ ...options, clock }), clock };
}

describe('LocalCache', () => {
  it.each([['text'], [0], [''], [false], [null], [{ a: [1] }]])('returns a stored %j', (value) => {
    const cache = new LocalCache();
    expect(cache.set('key', value, TTL)).toBe(true);
    expect(cache.get('key')).toEqual(value);
    expect(cache.has('key')).toBe(true);
  });

  it('distinguishes a stored undefined from a miss', () => {
    const cache = new LocalCache();
    cache.set('key', undefined, TTL);
    expect(cache.get('key')).toBeUndefined();
    expect(cache.has('key')).toBe(true);
    expect(cache.find('key')).toMatchObject({ value: undefined });
    expect(cache.find('other')).toBeUndefined();
  });

  it.each(['__proto__', 'constructor', '', 'a:b', '\ud800'])('accepts the key %j like any other', (key) => {
    const cache = new LocalCache();
    expect(cache.has(key)).toBe(false);
    cache.set(key, 1, TTL);
    expect(cache.get(key)).toBe(1);
    expect(cache.entryCount).toBe(1);
  });

  it('replaces a value and its TTL, and counts the entry once', () => {
    const { cache, clock } = cacheWithClock();
    cache.set('key', 'a'.repeat(1000), TTL);
    cache.set('key', 'b', { ttlMs: 2 * MINUTE_MS });
    clock.advance(MINUTE_MS);
    expect(cache.get('key')).toBe('b');
    expect(cache.entryCount).toBe(1);
    expect(cache.usedBytes).toBeLessThan(500);
  });

  it.each([0, -1, 1.5, NaN, Infinity])('refuses %s as a limit', (limit) => {
    expect(() => new LocalCache({ maxBytes: limit })).toThrow('maxBytes must be a positive integer');
    expect(() => new LocalCache({ maxEntries: limit })).toThrow('maxEntries must be a positive integer');
  });

  it.each([NaN, -1, '60'])('refuses %j as a TTL or grace, and keeps the previous entry', (wrong) => {
    const cache = new LocalCache();
    cache.set('key', 1, TTL);
    expect(() => cache.set('key', 2, { ttlMs: wrong as number })).toThrow(RangeError);
    expect(() => cache.set('key', 2, { ...TTL, graceMs: wrong as number })).toThrow(RangeError);
    expect(cache.get('key')).toBe(1);
  });
});

describe('the bounds of LocalCache', () => {
  it('stays within maxBytes and evicts the least recently used entries', () => {
    const maxBytes = 100_000;
    const cache = new LocalCache({ maxBytes });
    const text = 'x'.repeat(1000);
    cache.set('used', text, TTL);
    for (let index = 0; index < 1000; index++) {
      cache.set(`key:${index}`, text, TTL);
      expect(cache.usedBytes).toBeLessThanOrEqual(maxBytes);
      expect(cache.get('used')).toBe(text);
    }
    const left = Array.from({ length: 1000 }, (_, index) => index).filter((index) => cache.has(`key:${index}`));
    expect(left).toHaveLength(cache.entryCount - 1);
    expect(left.length).toBeGreaterThan(50);
    expect(left.length).toBeLessThan(100);
    expect(left[0]).toBe(1000 - left.length);
  });

  it('counts every byte of the key, too', () => {
    const cache = new LocalCache();
    cache.set('k'.repeat(10_000), 1, TTL);
    expect(cache.usedBytes).toBeGreaterThan(10_000);
    cache.clear();
    cache.set('\u20ac'.repeat(10_000), 1, TTL);
    expect(cache.usedBytes).toBeGreaterThan(20_000);
  });

  it('holds no more than maxEntries', () => {
    const cache = new LocalCache({ maxEntries: 10 });
    for (let index = 0; index < 100; index++) {
      cache.set(`key:${index}`, index, TTL);
    }
    expect(cache.entryCount).toBe(10);
    expect(cache.get('key:89')).toBeUndefined();
    expect(cache.get('key:90')).toBe(90);
  });

  it('keeps neither a value larger than itself nor the previous value of the key, and loses no other entry', () => {
    const cache = new LocalCache({ maxBytes: 10_000 });
    cache.set('other', 1, TTL);
    cache.set('key', 'small', TTL);
    expect(cache.set('key', 'x'.repeat(20_000), TTL)).toBe(false);
    expect(cache.has('key')).toBe(false);
    expect(cache.get('other')).toBe(1);
    expect(cache.entryCount).toBe(1);
  });

  it('uses no bytes after all entries are deleted, cleared or expired', () => {
    const { cache, clock } = cacheWithClock();
    const fill = () => {
      for (let index = 0; index < 100; index++) {
        cache.set(`key:${index}`, { index, list: [index, 'text'], when: new Date(index) }, TTL);
      }
      expect(cache.usedBytes).toBeGreaterThan(100 * 260);
    };
    fill();
    for (let index = 0; index < 100; index++) {
      expect(cache.delete(`key:${index}`)).toBe(true);
    }
    expect([cache.usedBytes, cache.entryCount]).toEqual([0, 0]);
    fill();
    cache.clear();
    expect([cache.usedBytes, cache.entryCount]).toEqual([0, 0]);
    fill();
    clock.advance(MINUTE_MS);
    cache.sweep();
    expect([cache.usedBytes, cache.entryCount]).toEqual([0, 0]);
  });
});

describe('the TTL of LocalCache entries', () => {
  it('ends an entry at its TTL and not a millisecond before', () => {
    const { cache, clock } = cacheWithClock();
    cache.set('key', 1, TTL);
    clock.advance(MINUTE_MS - 1);
    expect(cache.get('key')).toBe(1);
    clock.advance(1);
    expect(cache.get('key')).toBeUndefined();
    expect(cache.has('key')).toBe(false);
    expect(cache.delete('key')).toBe(false);
  });

  it('keeps an entry for 400 days', () => {
    const { cache, clock } = cacheWithClock();
    cache.set('key', 1, { ttlMs: 400 * DAY_MS });
    clock.advance(399 * DAY_MS);
    cache.sweep();
    expect(cache.get('key')).toBe(1);
    clock.advance(DAY_MS);
    expect(cache.get('key')).toBeUndefined();
  });

  it('keeps a stale entry for its grace, where only find() sees it', () => {
    const { cache, clock } = cacheWithClock();
    cache.set('key', 1, { ...TTL, graceMs: MINUTE_MS });
    clock.advance(MINUTE_MS);
    expect(cache.get('key')).toBeUndefined();
    expect(cache.has('key')).toBe(false);
    expect(cache.find('key')).toMatchObject({ value: 1, expiresAtMs: clock.nowMs() });
    cache.sweep();
    expect(cache.entryCount).toBe(1);
    clock.advance(MINUTE_MS);
    expect(cache.find('key')).toBeUndefined();
    expect(cache.entryCount).toBe(0);
  });

  it('drops the entries of one partition, and no others, when its epoch begins', () => {
    const cache = new LocalCache();
    const ofUsers = cache.partition(() => true);
    const ofOrders = cache.partition(() => true);
    ofUsers.put('key', storeValue(1, 'frozen'), TTL);
    ofOrders.put('key', storeValue(2, 'frozen'), TTL);
    cache.set('key', 3, TTL);
    ofUsers.startEpoch();
    const nowMs = systemClock.nowMs();
    expect(ofUsers.find('key', nowMs)).toBeUndefined();
    expect(ofUsers.delete('key')).toBe(false);
    expect([ofOrders.find('key', nowMs)?.value, cache.get('key')]).toEqual([2, 3]);
    ofUsers.put('key', storeValue(4, 'frozen'), TTL);
    expect(ofUsers.find('key', nowMs)?.value).toBe(4);
  });
});
