import { Counter, Registry, type OpenMetricsContentType } from 'prom-client';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { type CacheCounts, CacheMetrics, type CounterRow, COUNTERS, GAUGES } from '../../events/index.js';
import { registerCacheMetrics } from './index.js';

/** A number of its own for each counter. */
const COUNTS: CacheCounts = {
  ...(Object.fromEntries(Object.keys(COUNTERS).map((name, index) => [name, 100 + index])) as unknown as CacheCounts),
  hits: 3,
  localHits: 1,
  redisHits: 2,
  misses: 4,
};

/** The number of samples of one namespace. */
const SAMPLES = Object.values<CounterRow>({ ...COUNTERS, ...GAUGES }).filter(
  ({ metric }) => metric !== undefined,
).length;

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
    const sampleOf = ([name, { metric, labels = {} }]: [string, CounterRow]): string => {
      const more = Object.entries(labels).map(([label, value]) => `,${label}="${value}"`);
      return `${metric}{namespace="keywords"${more.join('')}} ${COUNTS[name as keyof CacheCounts]}`;
    };
    const expected = [
      ...Object.entries<CounterRow>(COUNTERS)
        .filter(([, { metric }]) => metric !== undefined)
        .map(sampleOf),
      'cache_redis_available{namespace="keywords"} 1',
      'cache_fallback_enabled{namespace="keywords"} 0',
      'cache_local_entries{namespace="keywords"} 0',
      'cache_local_bytes{namespace="keywords"} 0',
    ];
    expect(expected).toHaveLength(SAMPLES);
    expect(expected).toEqual(
      expect.arrayContaining([
        'cache_hits_total{namespace="keywords",tier="local"} 1',
        'cache_hits_total{namespace="keywords",tier="redis"} 2',
        'cache_misses_total{namespace="keywords"} 4',
      ]),
    );
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
    expect(await scrape(first)).toHaveLength(SAMPLES);
    expect(await scrape(second)).toEqual(await scrape(first));
    unregisterFirst();
    expect(await scrape(first)).toEqual([]);
    expect(await scrape(second)).toHaveLength(SAMPLES);
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
    expect(await scrape(registry)).toHaveLength(SAMPLES);
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
