import { describe, expect, it } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import type { Duration } from '../config/index.js';
import { FakeClock } from '../testing/fake-clock.js';
import type { AsyncCache } from './async-cache.js';
import type { EntryOptions, Loader } from './entry-options.js';

const SECOND_MS = 1000;
const DAY_MS = 86_400_000;

function products(emptyTtl: Duration): AsyncCache<string | null | undefined> {
  return cacheForTest(
    { redis: false, ttl: '1h', namespaces: { products: { emptyTtl } } },
    { clock: new FakeClock() },
  ).getCache('products');
}

async function lifeOf(
  result: string | null | undefined,
  options: EntryOptions<string | null | undefined> | undefined,
  loader: Loader<string | null | undefined> = async () => result,
): Promise<number> {
  const cache = products('30s');
  await cache.getOrSet('key', loader, options);
  const found = await cache.lookup('key');
  return found.state === 'miss' ? 0 : found.ttlMs;
}

describe('null and undefined as results', () => {
  it.each([null, undefined])('%s lives for emptyTtl, also when the call has a longer ttl', async (empty) => {
    expect(await lifeOf(empty, undefined)).toBe(30 * SECOND_MS);
    expect(await lifeOf(empty, { ttl: '24h' })).toBe(30 * SECOND_MS);
    expect(await lifeOf('there', { ttl: '24h' })).toBe(DAY_MS);
  });

  it('lives for the ttl of the call where that is shorter', async () => {
    expect(await lifeOf(null, { ttl: '5s' })).toBe(5 * SECOND_MS);
  });

  it('lives as long as a ttl function or setTtl says: they have seen the result', async () => {
    expect(await lifeOf(null, { ttl: (value) => (value === null ? '24h' : '1s') })).toBe(DAY_MS);
    const loader: Loader<null> = (context) => {
      context.setTtl('24h');
      return null;
    };
    expect(await lifeOf(null, { ttl: '5s' }, loader)).toBe(DAY_MS);
  });

  it('lives for emptyTtl after set and setMany too', async () => {
    const cache = products('30s');
    await cache.set('one', null, '24h');
    await cache.setMany([['many', undefined]], { ttl: '24h' });
    expect(await cache.lookup('one')).toMatchObject({ value: null, ttlMs: 30 * SECOND_MS });
    expect(await cache.lookup('many')).toMatchObject({ value: undefined, ttlMs: 30 * SECOND_MS });
    await cache.set('one', null, { ttl: () => '24h' });
    expect(await cache.lookup('one')).toMatchObject({ value: null, ttlMs: DAY_MS });
  });
});
