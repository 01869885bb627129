import { describe, expect, it } from 'vitest';
import { RequestCacheUsage } from './index.js';

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
