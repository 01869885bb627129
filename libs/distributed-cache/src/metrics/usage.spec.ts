import { describe, expect, it } from 'vitest';
import { RequestCacheUsage, RouteMetrics } from './index.js';

const MISS = { namespace: 'keywords', stale: false, collapsed: false, stored: false };
const HIT = { namespace: 'keywords', tier: 'local', state: 'fresh', ttlMs: 86_312_999 } as const;

function statusOf(use: (usage: RequestCacheUsage) => void): string {
  const usage = new RequestCacheUsage();
  use(usage);
  return usage.toCacheStatus();
}

describe('RequestCacheUsage', () => {
  it('reports a bypass if there was no lookup', () => {
    const usage = new RequestCacheUsage();
    expect(usage.toCacheStatus()).toBe('distributed-cache; fwd=bypass');
    expect(usage).toMatchObject({ hits: 0, misses: 0, lookups: 0, isFullyCached: false });
  });

  it('names the tier of a hit and its remaining TTL in whole seconds', () => {
    expect(statusOf((usage) => usage.hit(HIT))).toBe('keywords; hit; ttl=86312; detail=local');
    expect(statusOf((usage) => usage.hit({ ...HIT, tier: 'redis', ttlMs: 999 }))).toBe(
      'keywords; hit; ttl=0; detail=redis',
    );
  });

  it('gives a stale hit a TTL below zero', () => {
    expect(statusOf((usage) => usage.hit({ ...HIT, state: 'stale', ttlMs: -1 }))).toBe(
      'keywords; hit; ttl=-1; detail=local',
    );
    expect(statusOf((usage) => usage.hit({ ...HIT, state: 'stale', ttlMs: -0 }))).toBe(
      'keywords; hit; ttl=0; detail=local',
    );
  });

  it('gives the reason of a miss, and whether its result was stored', () => {
    expect(statusOf((usage) => usage.miss(MISS))).toBe('keywords; fwd=miss');
    expect(statusOf((usage) => usage.miss({ ...MISS, stored: true }))).toBe('keywords; fwd=miss; stored');
    expect(statusOf((usage) => usage.miss({ ...MISS, namespace: 'metrics', stale: true, collapsed: true }))).toBe(
      'metrics; fwd=stale; collapsed',
    );
  });

  it('lists the lookups in their order', () => {
    const status = statusOf((usage) => {
      usage.miss({ ...MISS, stored: true });
      usage.hit({ ...HIT, namespace: 'trends' });
    });
    expect(status).toBe('keywords; fwd=miss; stored, trends; hit; ttl=86312; detail=local');
  });

  it('writes eight lookups at most, and counts all', () => {
    const usage = new RequestCacheUsage();
    for (let lookup = 0; lookup < 20; lookup++) {
      usage.hit(HIT);
    }
    expect(usage.toCacheStatus().split(', ')).toHaveLength(8);
    expect(usage.hits).toBe(20);
  });

  it.each([
    ['amazon', 'amazon'],
    ['amazon-eu_1.2', 'amazon-eu_1.2'],
    ['2nd', '"2nd"'],
    ['-dash', '"-dash"'],
    ['_under', '"_under"'],
    ['.dot', '".dot"'],
  ])('writes the namespace %s as %s, as structured fields require', (namespace, written) => {
    expect(statusOf((usage) => usage.miss({ ...MISS, namespace }))).toBe(`${written}; fwd=miss`);
  });

  it('counts by tier, and reports whether every lookup was a hit', () => {
    const usage = new RequestCacheUsage();
    usage.hit(HIT);
    usage.hit({ ...HIT, tier: 'redis' });
    usage.hit({ ...HIT, state: 'stale', ttlMs: -5 });
    expect(usage).toMatchObject({ localHits: 2, redisHits: 1, staleHits: 1, hits: 3, lookups: 3, isFullyCached: true });
    usage.miss(MISS);
    expect(usage).toMatchObject({ misses: 1, lookups: 4, isFullyCached: false });
  });
});

function request({ local = 0, redis = 0, misses = 0 }): RequestCacheUsage {
  const usage = new RequestCacheUsage();
  const hit = { namespace: 'keywords', state: 'fresh', ttlMs: 1000 } as const;
  Array.from({ length: local }, () => usage.hit({ ...hit, tier: 'local' }));
  Array.from({ length: redis }, () => usage.hit({ ...hit, tier: 'redis' }));
  Array.from({ length: misses }, () => usage.miss(MISS));
  return usage;
}

describe('RouteMetrics', () => {
  it('counts requests, those that were all hits, and lookups by tier, route by route', () => {
    const routes = new RouteMetrics();
    routes.record('GET /keywords/:term', request({ local: 1 }));
    routes.record('GET /keywords/:term', request({ redis: 1, misses: 1 }));
    routes.record('GET /keywords/:term', request({}));
    routes.record('GET /trends/:term', request({ misses: 1 }));
    expect(JSON.parse(JSON.stringify(routes.snapshot()))).toEqual([
      {
        route: 'GET /keywords/:term',
        requests: 3,
        fully_cached_requests: 1,
        local_hits: 1,
        redis_hits: 1,
        stale_served: 0,
        misses: 1,
        hit_rate_percent: 66.67,
      },
      {
        route: 'GET /trends/:term',
        requests: 1,
        fully_cached_requests: 0,
        local_hits: 0,
        redis_hits: 0,
        stale_served: 0,
        misses: 1,
        hit_rate_percent: 0,
      },
    ]);
  });

  it('counts stale hits and has no hit rate before the first lookup', () => {
    const routes = new RouteMetrics();
    routes.record('GET /', new RequestCacheUsage());
    expect(routes.snapshot()).toMatchObject([{ requests: 1, hitRatePercent: 0 }]);
    const usage = new RequestCacheUsage();
    usage.hit({ namespace: 'keywords', tier: 'redis', state: 'stale', ttlMs: -1 });
    routes.record('GET /', usage);
    expect(routes.snapshot()).toMatchObject([{ requests: 2, staleServed: 1, redisHits: 1, hitRatePercent: 100 }]);
  });

  it('gives snapshots that do not change', () => {
    const routes = new RouteMetrics();
    routes.record('GET /', request({ local: 1 }));
    const before = routes.snapshot();
    routes.record('GET /', request({ local: 1 }));
    expect(before).toMatchObject([{ requests: 1 }]);
  });

  it('counts a thousand routes by name and the rest as other', () => {
    const routes = new RouteMetrics();
    for (let route = 0; route < 1500; route++) {
      routes.record(`GET /${route}`, request({ misses: 1 }));
      routes.record('GET /0', request({ local: 1 }));
    }
    const snapshot = routes.snapshot();
    expect(snapshot).toHaveLength(1001);
    expect(snapshot.at(0)).toMatchObject({ route: 'GET /0', requests: 1501 });
    expect(snapshot.at(-1)).toMatchObject({ route: 'other', requests: 500, misses: 500 });
  });

  it('takes a lower limit', () => {
    const routes = new RouteMetrics({ maxRoutes: 1 });
    ['a', 'b', 'other', 'a'].forEach((route) => routes.record(route, request({})));
    expect(routes.snapshot().map(({ route, requests }) => [route, requests])).toEqual([
      ['a', 2],
      ['other', 2],
    ]);
  });
});
