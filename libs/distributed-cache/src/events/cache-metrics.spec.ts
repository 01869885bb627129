import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { renderCountersTable, renderPrometheusTable, replaceTable } from '../../../../scripts/render-tables.mjs';
import { type CacheCounts, CacheMetrics, COUNTERS, Counters, GAUGES } from './index.js';

const COUNTS: CacheCounts = {
  hits: 7,
  misses: 3,
  sets: 11,
  deletes: 13,
  expires: 47,
  tagInvalidations: 53,
  clears: 59,
  errors: 17,
  localHits: 5,
  redisHits: 2,
  staleServed: 1,
  loads: 19,
  loadErrors: 23,
  waits: 29,
  leasesLost: 31,
  overloads: 41,
  tagsForgotten: 43,
  schemaMismatches: 37,
};

function rateOf(hits: number, misses: number): number {
  return new CacheMetrics('users', { ...COUNTS, hits, misses }, true, true).hitRatePercent;
}

describe('CacheMetrics', () => {
  it('leaves the process with exactly the wire names', () => {
    const metrics = new CacheMetrics('users', COUNTS, true, false);
    expect(JSON.parse(JSON.stringify(metrics))).toStrictEqual({
      namespace: 'users',
      hits: 7,
      misses: 3,
      sets: 11,
      deletes: 13,
      expires: 47,
      tag_invalidations: 53,
      clears: 59,
      errors: 17,
      hit_rate_percent: 70,
      total_requests: 10,
      redis_available: true,
      fallback_enabled: false,
      local_hits: 5,
      redis_hits: 2,
      stale_served: 1,
      loads: 19,
      load_errors: 23,
      waits: 29,
      leases_lost: 31,
      overloads: 41,
      tags_forgotten: 43,
      schema_mismatches: 37,
    });
  });

  it.each([
    [0, 0, 0],
    [0, 5, 0],
    [5, 0, 100],
    [1, 2, 33.33],
    [2, 1, 66.67],
    [1, 7, 12.5],
    [1, 99_999, 0],
    [1, 19_999, 0.01],
  ])('gives the hit rate of %i hits and %i misses as %d percent', (hits, misses, percent) => {
    expect(rateOf(hits, misses)).toBe(percent);
  });

  it('does not change with the counts that it was made from', () => {
    const counts = { ...COUNTS };
    const metrics = new CacheMetrics('users', counts, true, true);
    counts.hits = 1000;
    expect(metrics).toMatchObject({ hits: 7, totalRequests: 10, hitRatePercent: 70 });
  });
});

describe('the counters in use', () => {
  it('begin at 0, one for each row of the table, and add up the hits of both tiers', () => {
    const counters = new Counters();
    expect(Object.entries(counters)).toEqual(Object.keys(COUNTERS).map((name) => [name, 0]));
    counters.localHits += 2;
    counters.redisHits += 3;
    expect(new CacheMetrics('users', counters, true, true)).toMatchObject({ hits: 5, localHits: 2, redisHits: 3 });
  });
});

describe('the documentation of the metrics', () => {
  it('shows the real counters and Prometheus metrics in docs/metrics.md', () => {
    const text = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
    const counters = replaceTable(text, 'counters', renderCountersTable({ ...COUNTERS, ...GAUGES }));
    const written = replaceTable(counters, 'prometheus', renderPrometheusTable(COUNTERS, GAUGES));
    expect(text, 'run "npm run build && node scripts/docs-tables.mjs"').toBe(written);
    expect(text).toContain('| `cache_hits_total` ');
    expect(text).toContain('| `tags_forgotten` ');
  });
});
