import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { renderCountersTable, renderPrometheusTable, replaceTable } from '../../../../scripts/render-tables.mjs';
import {
  type CacheCounts,
  CacheMetrics,
  COUNTERS,
  type CounterRow,
  Counters,
  GAUGES,
  HISTOGRAMS,
  PROCESS_COUNTERS,
  PROCESS_GAUGES,
  ProcessMetrics,
  type ProcessMetricsWire,
  VERSION,
} from './index.js';

/** A number of its own for each counter. */
const COUNTS: CacheCounts = {
  ...(Object.fromEntries(Object.keys(COUNTERS).map((name, index) => [name, 100 + index])) as unknown as CacheCounts),
  hits: 7,
  localHits: 5,
  redisHits: 2,
  misses: 3,
};

function rateOf(hits: number, misses: number): number {
  return new CacheMetrics('users', { ...COUNTS, hits, misses }, true, true).hitRatePercent;
}

describe('CacheMetrics', () => {
  it('leaves the process with exactly the wire names, those of the table of counters included', () => {
    const wire = JSON.parse(JSON.stringify(new CacheMetrics('users', COUNTS, true, false))) as Record<string, unknown>;
    const counted = Object.entries(COUNTERS).map(([name, row]) => [row.wire, COUNTS[name as keyof CacheCounts]]);
    expect(wire).toStrictEqual({
      namespace: 'users',
      hits: 7,
      ...Object.fromEntries(counted),
      hit_rate_percent: 70,
      total_requests: 10,
      redis_available: true,
      fallback_enabled: false,
      local_entries: 0,
      local_bytes: 0,
    });
    const fixed = ['misses', 'sets', 'deletes', 'errors', 'local_hits', 'redis_hits', 'stale_served', 'loads', 'waits'];
    expect(Object.keys(wire)).toEqual(expect.arrayContaining(fixed));
  });

  it('describes each property of its JSON form, for OpenAPI', () => {
    const { properties, required } = CacheMetrics.jsonSchema;
    const wire: object = new CacheMetrics('users', COUNTS, true, false).toJSON();
    expect(Object.entries(properties).map(([name, { type }]) => [name, type])).toEqual(
      Object.entries(wire).map(([name, value]) => [name, typeof value]),
    );
    expect(required).toEqual(Object.keys(wire));
    expect(Object.values(properties).every(({ description }) => description.length > 5)).toBe(true);
    expectTypeOf(CacheMetrics.jsonSchema.type).toEqualTypeOf<'object'>();
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
    const tables = {
      counters: renderCountersTable({ ...COUNTERS, ...GAUGES }),
      process: renderCountersTable({ ...PROCESS_COUNTERS, ...PROCESS_GAUGES }),
      prometheus: renderPrometheusTable({
        counters: COUNTERS,
        gauges: GAUGES,
        processCounters: PROCESS_COUNTERS,
        processGauges: PROCESS_GAUGES,
        histograms: HISTOGRAMS,
      }),
    };
    const written = (Object.keys(tables) as (keyof typeof tables)[]).reduce(
      (done, name) => replaceTable(done, name, tables[name]),
      text,
    );
    expect(text, 'run "npm run build && node scripts/docs-tables.mjs"').toBe(written);
    expect(text).toContain('| `cache_hits_total` ');
    expect(text).toContain('| `tags_forgotten` ');
    expect(text).toMatch(/`journal_overflows` +\|/);
  });
});

describe('ProcessMetrics', () => {
  it('leaves the process with the wire names of its tables; what the process does not have is left out', () => {
    const fields = { ...PROCESS_COUNTERS, ...PROCESS_GAUGES };
    const values = Object.fromEntries(Object.keys(fields).map((name, index) => [name, index + 1]));
    const metrics = new ProcessMetrics({ ...values, journalEntries: undefined } as ProcessMetrics['values']);
    const wire = JSON.parse(JSON.stringify(metrics)) as ProcessMetricsWire;
    const names = Object.values(fields).map((row) => row.wire);
    expect(Object.keys(wire)).toEqual(['version', ...names.filter((name) => name !== 'journal_entries')]);
    expect(wire.invalidations_received_key).toBe(1);
    expectTypeOf(wire.epochs).toEqualTypeOf<number | undefined>();
    expectTypeOf(wire.version).toEqualTypeOf<string>();
  });

  it('shows the version of package.json', () => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    expect(VERSION, 'run "npm run docs"').toBe((JSON.parse(manifest) as { version: string }).version);
  });
});

it('gives each metric one name, and the same labels in all of its rows', () => {
  const rows = [COUNTERS, GAUGES, PROCESS_COUNTERS, PROCESS_GAUGES].flatMap((table) => Object.values(table));
  const shape = (row: CounterRow): string => JSON.stringify([row.help, Object.keys(row.labels ?? {})]);
  const shapes = new Map(rows.map((row: CounterRow) => [row.metric, shape(row)]));
  expect(rows.filter((row: CounterRow) => shapes.get(row.metric) !== shape(row))).toEqual([]);
  expect(new Set(rows.map(({ wire }) => wire)).size).toBe(rows.length);
});
