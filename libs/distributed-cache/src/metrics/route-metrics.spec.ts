import { describe, expect, it } from 'vitest';
import { RequestCacheUsage, RouteMetrics } from './index.js';

const MISS = { namespace: 'keywords', stale: false, collapsed: false, stored: true };

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
