import { describe, expect, it } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

describe.each(TIERS)('a change of entries (%s)', (_tiers, options) => {
  it('is an event and a counter: invalidateTags, clear and expire like set and delete', async () => {
    const all = cacheForTest({ ...options(), namespaces: { users: { grace: '1h' } } });
    const cache = all.getCache('users');
    const told: unknown[] = [];
    all.events.on('invalidateTags', (event) => void told.push(['invalidateTags', event]));
    all.events.on('clear', (event) => void told.push(['clear', event]));
    all.events.on('expire', (event) => void told.push(['expire', event]));
    await cache.set('key', 1, { tags: ['team'] });
    await cache.expire('key');
    await cache.expire('missing');
    await cache.invalidateTags('team', 'office', 'team');
    await cache.clear();
    expect(told).toEqual([
      ['expire', { namespace: 'users', key: 'key', existed: true }],
      ['expire', { namespace: 'users', key: 'missing', existed: false }],
      ['invalidateTags', { namespace: 'users', tags: ['team', 'office'] }],
      ['clear', { namespace: 'users' }],
    ]);
    expect(cache.getMetrics()).toMatchObject({ sets: 1, expires: 2, tagInvalidations: 2, clears: 1, deletes: 0 });
  });

  it('is told once where it is a deletion: expire without grace', async () => {
    const all = cacheForTest(options());
    const told: unknown[] = [];
    all.events.on('expire', (event) => void told.push(event));
    all.events.on('delete', (event) => void told.push(event));
    await all.getCache('users').expire('key');
    expect(told).toEqual([{ namespace: 'users', key: 'key', existed: false }]);
  });
});
