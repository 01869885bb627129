import { describe, expect, it, vi } from 'vitest';
import { cacheForTest, cachesForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { FakeClock } from '../testing/index.js';

describe('a lookup in L1', () => {
  it('says how old an entry is that was expired', async () => {
    const clock = new FakeClock();
    const cache = cacheForTest({ redis: false }, { clock }).getCache<string>('users', { grace: '1h' });
    await cache.set('key', 'value', '10s');
    clock.advance(4000);
    await cache.expire('key');
    clock.advance(1000);
    expect(await cache.lookup('key')).toMatchObject({ state: 'stale', ageMs: 5000, ttlMs: -1000 });
  });
});

describe('a lookup in L1 at once', () => {
  const always = (): boolean => true;

  it('finds a fresh value with its times, and counts it as a hit', async () => {
    const clock = new FakeClock();
    const all = cacheForTest({ redis: false }, { clock });
    const cache = all.getCache<string>('users');
    const onHit = vi.fn();
    all.events.on('hit', onHit);
    await cache.set('key', 'value', '10s');
    clock.advance(4000);
    const uses = vi.fn(always);
    const found = { state: 'fresh', value: 'value', tier: 'local', ageMs: 4000, ttlMs: 6000 };
    expect(cache.lookupLocal('key', uses)).toEqual(found);
    expect(uses.mock.calls).toEqual([['value', 4000]]);
    expect(cache.getMetrics()).toMatchObject({ hits: 1, misses: 0 });
    expect(onHit).toHaveBeenCalledOnce();
  });

  it('counts nothing that its caller does not use, and nothing that is not there, is stale, deleted or only in Redis', async () => {
    const clock = new FakeClock();
    const cache = cacheForTest({ redis: false }, { clock }).getCache<string>('users', { grace: '1h' });
    const uses = vi.fn(always);
    await cache.set('key', 'value', '10s');
    expect(cache.lookupLocal('key', () => false)).toBeUndefined();
    expect(cache.lookupLocal('other', uses)).toBeUndefined();
    clock.advance(10_001);
    expect(cache.lookupLocal('key', uses)).toBeUndefined();
    await cache.set('key', 'value', '10s');
    await cache.delete('key');
    expect(cache.lookupLocal('key', uses)).toBeUndefined();
    await cache.set('key', 'value', { ttl: '10s', tags: ['tag'] });
    await cache.invalidateTags('tag');
    expect(cache.lookupLocal('key', uses)).toBeUndefined();
    await cache.set('key', 'value', '10s');
    await cache.clear();
    expect(cache.lookupLocal('key', uses)).toBeUndefined();
    expect(uses).not.toHaveBeenCalled();
    expect(cache.getMetrics()).toMatchObject({ hits: 0, misses: 0 });
  });

  it('finds what another process has stored once it is in L1, and not what that has changed since', async () => {
    const { url, keyPrefix } = redisForTest();
    const [here, there] = await cachesForTest(2, { redis: { url }, keyPrefix });
    await there?.set('key', 'value');
    expect(here?.lookupLocal('key', always)).toBeUndefined();
    await vi.waitFor(async () => {
      await here?.get('key'); // the message about the write may still arrive, and drop the entry once
      expect(here?.lookupLocal('key', always)).toMatchObject({ value: 'value' });
    });
    // Its age is that of the value, not of the copy.
    const nowMs = Date.now();
    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(nowMs + 20));
    const [late] = await cachesForTest(1, { redis: { url }, keyPrefix });
    const read = await late?.lookup('key');
    const copy = late?.lookupLocal('key', always);
    expect(read).toMatchObject({ tier: 'redis', ageMs: expect.toSatisfy((ageMs) => ageMs >= 20) as number });
    expect(copy).toMatchObject({ tier: 'local', ageMs: expect.toSatisfy((ageMs) => ageMs >= 19) as number });
    await there?.set('key', 'other');
    await vi.waitFor(() => expect(here?.lookupLocal('key', always)).toBeUndefined());
    expect(await here?.get('key')).toBe('other');
  });
});
