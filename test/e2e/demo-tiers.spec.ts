import { describe, expect, it, vi } from 'vitest';
import { HEALTHY } from '../../apps/keyword-insights/src/health/health.example.js';
import { redisForTest } from '../support/redis-for-test.js';
import { type Answer, startDemo } from './demo-for-test.js';

function cacheIn(health: Answer['json']): object {
  return (health['details'] as { cache: object }).cache;
}

describe('two instances of the demo over one Redis', () => {
  it.each(['keywords/perl', 'domains/lockergnome.com', 'domains/nobody.example', 'trends/perl', 'collectors/amazon'])(
    'compute /insights/%s once: the second one reads it from Redis, then from L1',
    async (route) => {
      const { url, keyPrefix } = redisForTest();
      const [one, other] = [
        await startDemo({ redis: { url }, keyPrefix }),
        await startDemo({ redis: { url }, keyPrefix }),
      ];
      const first = await one.ask(`/insights/${route}`);
      const fromRedis = await other.ask(`/insights/${route}`);
      expect(fromRedis.cacheStatus).toMatch(/^[a-z]+; hit; ttl=\d+; detail=redis$/);
      const fromMemory = await other.ask(`/insights/${route}`);
      expect(fromMemory.cacheStatus).toMatch(/^[a-z]+; hit; ttl=\d+; detail=local$/);
      for (const answer of [fromRedis, fromMemory]) {
        expect(answer).toMatchObject({ status: first.status, body: first.body });
      }
    },
  );

  it('drop an answer that one of them deletes, from L1 as well', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const [one, other] = [
      await startDemo({ redis: { url }, keyPrefix }),
      await startDemo({ redis: { url }, keyPrefix }),
    ];
    const before = await one.ask('/insights/keywords/perl');
    await other.ask('/insights/keywords/perl');
    expect((await other.ask('/insights/keywords/perl')).cacheStatus).toContain('detail=local');
    expect(await admin.exists(`${keyPrefix}:keywords:perl`)).toBe(1);
    expect(await one.ask('/insights/keywords/perl', 'DELETE')).toMatchObject({ status: 204 });
    expect(await admin.exists(`${keyPrefix}:keywords:perl`)).toBe(0);
    await vi.waitFor(async () => {
      expect(await other.ask('/insights/keywords/perl')).toMatchObject({ cacheStatus: 'keywords; fwd=miss; stored' });
    });
    const after = await one.ask('/insights/keywords/perl');
    expect(after.cacheStatus).toContain('detail=redis');
    expect(after.json['analysedAt']).not.toBe(before.json['analysedAt']);
  });

  it('keep entries with different prefixes apart', async () => {
    const { url, keyPrefix } = redisForTest();
    const one = await startDemo({ redis: { url }, keyPrefix: `${keyPrefix}-a` });
    const other = await startDemo({ redis: { url }, keyPrefix: `${keyPrefix}-b` });
    for (const demo of [one, other]) {
      expect(await demo.ask('/insights/trends/perl')).toMatchObject({ cacheStatus: 'trends; fwd=miss; stored' });
    }
  });

  it('store one entry for each answer in Redis, with their prefix and with a TTL', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const demo = await startDemo({ redis: { url }, keyPrefix });
    const paths = ['keywords/%7Bx%7D', 'keywords/a:b', 'trends/x*', 'domains/nobody.example', 'collectors/amazon'];
    await Promise.all(paths.map((path) => demo.ask(`/insights/${path}`)));
    const keys = (await admin.keys(`${keyPrefix}*`)).sort();
    // Besides the entries there is one stamp per namespace, for `clear()`, and the name of the application.
    const entries = keys.filter((key) => !/#clear$|:\{#application\}$/.test(key));
    expect(entries).toEqual(
      ['amazon:offers', 'keywords:%7Bx%7D', 'keywords:a:b', 'metrics:nobody.example', 'trends:x*'].map(
        (key) => `${keyPrefix}:${key}`,
      ),
    );
    expect(Math.min(...(await Promise.all(entries.map((key) => admin.pttl(key)))))).toBeGreaterThan(0);
  });
});

describe('the collector of the demo', () => {
  it('keeps its offers for 30 minutes in a cache of its own, independent of the other TTLs', async () => {
    const { url, keyPrefix } = redisForTest();
    const demo = await startDemo({ redis: { url }, keyPrefix, ttl: '2h', ttls: { metrics: '1h', keywords: '3h' } });
    await demo.ask('/insights/collectors/amazon');
    const found = await demo.cache.getCache('amazon').lookup('offers');
    expect(found).toMatchObject({ state: 'fresh', tier: 'local' });
    const ttlMs = found.state === 'miss' ? 0 : found.ttlMs;
    expect(ttlMs).toBeGreaterThan(25 * 60_000);
    expect(ttlMs).toBeLessThanOrEqual(35 * 60_000);
    expect(await demo.cache.getCache('default').lookup('offers')).toEqual({ state: 'miss' });
  });
});

describe('GET /health of the demo', () => {
  it('reports up, connected and the counters while Redis answers, as documented on its API page', async () => {
    const { url, keyPrefix } = redisForTest();
    const demo = await startDemo({ redis: { url }, keyPrefix });
    await demo.ask('/insights/domains/nobody.example');
    await demo.ask('/insights/domains/nobody.example');
    const { status, json } = await demo.ask('/health');
    const facts = { redis_connected: true, local_cache_available: true, overall_healthy: true };
    const cache = { ...facts, status: 'up', metrics: { hits: 1, misses: 1, hit_rate_percent: 50 } };
    expect(status).toBe(200);
    expect(json).toMatchObject({ status: 'ok', info: { cache }, error: {}, details: { cache } });
    expect(Object.keys(cacheIn(json)).toSorted()).toEqual(Object.keys(HEALTHY.details.cache).toSorted());
  });

  it('reports up and not connected where no Redis is configured', async () => {
    const demo = await startDemo({ redis: false });
    const facts = { redis_connected: false, local_cache_available: true, overall_healthy: true };
    const cache = { ...facts, status: 'up', metrics: { hits: 0, misses: 0, hit_rate_percent: 0 } };
    const { status, json } = await demo.ask('/health');
    expect(status).toBe(200);
    expect(json).toMatchObject({ status: 'ok', info: { cache }, error: {}, details: { cache } });
  });

  it('counts under the names that dashboards use', async () => {
    const demo = await startDemo({ redis: false });
    await demo.ask('/insights/domains/nobody.example');
    await demo.ask('/insights/domains/nobody.example');
    await demo.ask('/insights/keywords/nothing', 'DELETE');
    const counters = JSON.parse((await demo.ask('/cache/metrics')).body) as Record<string, unknown>[];
    expect(counters.map(({ namespace }) => namespace)).toEqual(
      expect.arrayContaining(['default', 'keywords', 'metrics', 'trends', 'amazon']),
    );
    expect(counters.find(({ namespace }) => namespace === 'metrics')).toMatchObject({
      hits: 1,
      misses: 1,
      sets: 1,
      deletes: 0,
      errors: 0,
      hit_rate_percent: 50,
      total_requests: 2,
      redis_available: false,
      fallback_enabled: true,
    });
    expect(counters.find(({ namespace }) => namespace === 'keywords')).toMatchObject({ deletes: 1, total_requests: 0 });
  });
});
