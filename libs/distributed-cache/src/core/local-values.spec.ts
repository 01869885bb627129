import { describe, expect, it } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { NamespaceOptions } from '../config/index.js';
import { storeValue } from '../local/index.js';
import type { AsyncCache } from './async-cache.js';
import type { Found } from './outcomes.js';
import { RereadPredictor } from './local-tier.js';

interface Page {
  readonly lines: string[];
}

const page: Page = { lines: Array.from({ length: 100 }, (_, index) => `line ${index} of a page`) };

/** A process with an empty L1, over a Redis that has the page under each of these keys. */
async function newcomer(keys: readonly string[], users: NamespaceOptions = {}) {
  const { url, keyPrefix } = redisForTest();
  const options = { redis: { url }, keyPrefix, deadlineMs: 5000, local: { maxMemoryMb: 1 }, namespaces: { users } };
  const author = cacheForTest(options).getCache<Page>('users');
  await Promise.all(keys.map((key) => author.getOrSet(key, async () => page)));
  const whole = cacheForTest(options);
  await whole.connect();
  return whole.getCache<Page>('users');
}

const READERS: readonly [string, (cache: AsyncCache<Page>, key: string) => Promise<Page | undefined>][] = [
  ['get', (cache, key) => cache.get(key)],
  ['getMany', async (cache, key) => (await cache.getMany([key]))[0]],
  ['getOrSet', (cache, key) => cache.getOrSet(key, () => Promise.reject(new Error('it is there')))],
  ['lookup', async (cache, key) => ((await cache.lookup(key)) as Found<Page>).value],
];

describe('a value read from Redis', () => {
  it.each(READERS)('is frozen for all readers in mode frozen, which share one object: %s', async (_name, read) => {
    const cache = await newcomer(['key'], { values: 'frozen' });
    const first = await read(cache, 'key');
    expect(first).toEqual(page);
    expect(() => first?.lines.push('spoiled')).toThrow(TypeError);
    const second = await read(cache, 'key');
    expect(second).toEqual(page);
    expect(() => second?.lines.push('spoiled')).toThrow(TypeError);
    expect(await read(cache, 'key')).toBe(second);
    expect(cache.getMetrics()).toMatchObject({ hits: 3, loads: 0 });
  });

  it('takes less memory until it is read again: L1 holds more texts than values', async () => {
    const keys = Array.from({ length: 300 }, (_, index) => `key${index}`);
    const cache = await newcomer(keys);
    await cache.getMany(keys);
    expect(await cache.lookup('key0')).toMatchObject({ tier: 'local' });
    const valueBytes = storeValue(structuredClone(page), 'frozen').bytes;
    expect(valueBytes * keys.length).toBeGreaterThan(1024 * 1024);
  });

  it('is kept as a shared value where values are read again', async () => {
    const keys = Array.from({ length: 100 }, (_, index) => `key${index}`);
    const cache = await newcomer(keys, { values: 'frozen' });
    const shared = [];
    for (const key of keys) {
      shared.push((await cache.get(key)) === (await cache.get(key)));
    }
    expect(shared.slice(0, 3)).toEqual([false, true, true]);
    expect(shared.filter((isShared) => isShared).length).toBeGreaterThan(90);
  });

  it.each([
    ['shared', true],
    ['cloned', false],
  ] as const)('is one object for all readers in mode shared only: %s', async (values, isOne) => {
    const cache = await newcomer(['key'], { values });
    const first = await cache.get('key');
    expect((await cache.get('key')) === first).toBe(isOne);
    first?.lines.push('one more');
    expect((await cache.get('key'))?.lines.length).toBe(isOne ? 101 : 100);
  });
});

/** Keeps a number of values, and reads a share of them again. @returns how many were kept as text */
function keep(predictor: RereadPredictor, count: number, isAskedAgain: (index: number) => boolean): number {
  let texts = 0;
  for (let index = 0; index < count; index++) {
    if (predictor.prefersText()) {
      texts++;
      predictor.onKept();
      if (isAskedAgain(index)) {
        predictor.onReread();
      }
    }
  }
  return texts;
}

describe('a value that was read from Redis is kept in L1', () => {
  it('as text while few values are read again', () => {
    const predictor = new RereadPredictor();
    expect(keep(predictor, 1000, () => false)).toBe(1000);
    expect(keep(predictor, 1000, (index) => index % 4 === 0)).toBe(1000);
  });

  it('as a value while values are read again, except for a few samples', () => {
    const predictor = new RereadPredictor();
    const texts = keep(predictor, 1000, () => true);
    expect(texts).toBeGreaterThan(1000 / 20);
    expect(texts).toBeLessThan(1000 / 10);
  });

  it('as a value where values are read again only after all of them have been read', () => {
    const predictor = new RereadPredictor();
    expect(keep(predictor, 1000, () => false)).toBe(1000);
    for (let index = 0; index < 1000; index++) {
      predictor.onReread();
    }
    expect(keep(predictor, 16, () => true)).toBe(1);
  });

  it('as text again soon after values are no longer read again', () => {
    const predictor = new RereadPredictor();
    keep(predictor, 1000, () => true);
    keep(predictor, 2000, () => false);
    expect(keep(predictor, 100, () => false)).toBe(100);
  });
});
