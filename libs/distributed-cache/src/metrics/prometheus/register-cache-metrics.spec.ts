import { Counter, Registry, type OpenMetricsContentType } from 'prom-client';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { CacheMetrics } from '../../events/index.js';
import { registerCacheMetrics } from './index.js';

const COUNTS = {
  hits: 3,
  misses: 4,
  sets: 5,
  deletes: 6,
  expires: 14,
  tagInvalidations: 15,
  clears: 16,
  errors: 7,
  localHits: 1,
  redisHits: 2,
  staleServed: 8,
  loads: 9,
  loadErrors: 10,
  waits: 11,
  leasesLost: 12,
  overloads: 13,
  tagsForgotten: 43,
  schemaMismatches: 41,
};

function sourceOf(...metrics: CacheMetrics[]) {
  return { getMetrics: vi.fn<() => CacheMetrics[]>(() => metrics) };
}

/** The samples of a scrape, without comments. */
async function scrape(registry: Pick<Registry, 'metrics'>): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('registerCacheMetrics', () => {
  it('offers every counter by namespace, hits by tier too', async () => {
    const registry = new Registry();
    registerCacheMetrics(registry, sourceOf(new CacheMetrics('keywords', COUNTS, true, false)));
    const expected = [
      'cache_hits_total{namespace="keywords",tier="local"} 1',
      'cache_hits_total{namespace="keywords",tier="redis"} 2',
      'cache_misses_total{namespace="keywords"} 4',
      'cache_sets_total{namespace="keywords"} 5',
      'cache_deletes_total{namespace="keywords"} 6',
      'cache_expires_total{namespace="keywords"} 14',
      'cache_tag_invalidations_total{namespace="keywords"} 15',
      'cache_clears_total{namespace="keywords"} 16',
      'cache_errors_total{namespace="keywords"} 7',
      'cache_loads_total{namespace="keywords"} 9',
      'cache_load_errors_total{namespace="keywords"} 10',
      'cache_waits_total{namespace="keywords"} 11',
      'cache_leases_lost_total{namespace="keywords"} 12',
      'cache_overloads_total{namespace="keywords"} 13',
      'cache_tags_forgotten_total{namespace="keywords"} 43',
      'cache_schema_mismatches_total{namespace="keywords"} 41',
      'cache_stale_served_total{namespace="keywords"} 8',
      'cache_redis_available{namespace="keywords"} 1',
      'cache_fallback_enabled{namespace="keywords"} 0',
    ];
    expect(await scrape(registry)).toEqual(expected);
    expect(await scrape(registry)).toEqual(expected);
  });

  it('reads the counters when scraped, and not before', async () => {
    const registry = new Registry();
    const source = sourceOf();
    registerCacheMetrics(registry, source);
    expect(source.getMetrics).not.toHaveBeenCalled();
    expect(await scrape(registry)).toEqual([]);
    expect(source.getMetrics).toHaveBeenCalled();
  });

  it('follows a real cache, and never shows a key', async () => {
    const registry = new Registry();
    const cache = cacheForTest({ redis: false });
    registerCacheMetrics(registry, cache);
    const users = cache.getCache('users');
    await users.getOrSet('secret-key', async () => 1);
    await users.getOrSet('secret-key', async () => 1);
    const lines = await scrape(registry);
    expect(lines).toContain('cache_hits_total{namespace="users",tier="local"} 1');
    expect(lines).toContain('cache_misses_total{namespace="users"} 1');
    expect(lines).toContain('cache_redis_available{namespace="users"} 0');
    expect(lines).toContain('cache_fallback_enabled{namespace="users"} 1');
    expect(lines.join('\n')).not.toContain('secret-key');
    await users.get('secret-key');
    expect(await scrape(registry)).toContain('cache_hits_total{namespace="users",tier="local"} 2');
  });

  it('serves two registries, one of them OpenMetrics, from one cache', async () => {
    const first = new Registry();
    const second = new Registry<OpenMetricsContentType>();
    second.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const source = sourceOf(new CacheMetrics('keywords', COUNTS, true, true));
    const unregisterFirst = registerCacheMetrics(first, source);
    const unregisterSecond = registerCacheMetrics(second, source);
    expect(await scrape(first)).toHaveLength(19);
    expect(await scrape(second)).toEqual(await scrape(first));
    unregisterFirst();
    expect(await scrape(first)).toEqual([]);
    expect(await scrape(second)).toHaveLength(19);
    unregisterSecond();
    expect(await scrape(second)).toEqual([]);
  });

  it('lets two caches into one registry under different prefixes', async () => {
    const registry = new Registry();
    const unregister = registerCacheMetrics(registry, sourceOf(new CacheMetrics('a', COUNTS, true, true)), {
      prefix: 'shop_',
    });
    registerCacheMetrics(registry, sourceOf(new CacheMetrics('b', COUNTS, true, true)));
    const lines = await scrape(registry);
    expect(lines).toContain('shop_cache_misses_total{namespace="a"} 4');
    expect(lines).toContain('cache_misses_total{namespace="b"} 4');
    unregister();
    expect(await scrape(registry)).toHaveLength(19);
  });

  it('adds nothing if a name is taken, and leaves the existing metric', async () => {
    const registry = new Registry();
    const taken = new Counter({ name: 'cache_sets_total', help: 'another', registers: [registry] });
    taken.inc(7);
    const source = sourceOf(new CacheMetrics('keywords', COUNTS, true, true));
    expect(() => registerCacheMetrics(registry, source)).toThrow('cache_sets_total');
    expect(await scrape(registry)).toEqual(['cache_sets_total 7']);
  });
});
