import { describe, expect, it } from 'vitest';
import type { Fields } from './fields.js';
import { requestDemand, satisfiesDemand } from './request-directives.js';

const FRESH = { ageMs: 1_000_000, lifetimeMs: 1_500_000, mayBeStale: true };
const STALE = { ageMs: 1_500_000, lifetimeMs: 1_000_000, mayBeStale: true };
const satisfies = (fields: Fields, times = FRESH, isHonoured = true) =>
  satisfiesDemand(times, requestDemand(fields, isHonoured));
const cacheControl = (text: string): Fields => ({ 'cache-control': text });

describe('the directives of a request (RFC 9111 section 5.2.1)', () => {
  it.each([
    [{}, true, false],
    [cacheControl('max-age=0'), false, false],
    [cacheControl('max-age=999'), false, false],
    [cacheControl('max-age=1000'), true, false],
    [cacheControl('min-fresh=500'), true, false],
    [cacheControl('min-fresh=501'), false, false],
    [cacheControl('max-stale'), true, true],
    [cacheControl('max-stale=500'), true, false],
    [cacheControl('max-stale=501'), true, true],
    [cacheControl('no-cache'), false, false],
    [cacheControl('max-stale, max-age=1'), false, false],
    [{ pragma: 'no-cache' }, false, false],
    [{ pragma: 'x, no-cache' }, false, false],
    [{ pragma: 'no-cache', ...cacheControl('max-age=2000') }, true, false],
    [{ pragma: 'no-caches' }, true, false],
    [{ pragma: 'No-Cache' }, false, false],
  ])('%j: a fresh response satisfies it: %j, a stale one: %j', (fields, fresh, stale) => {
    expect([satisfies(fields), satisfies(fields, STALE)]).toEqual([fresh, stale]);
  });

  it('never makes a response usable that forbids stale use', () => {
    expect(satisfies(cacheControl('max-stale'), { ...STALE, mayBeStale: false })).toBe(false);
  });

  it('takes the last moment of the lifetime for fresh, and its end for stale', () => {
    const at = (ageMs: number) => satisfies({}, { ageMs, lifetimeMs: 5, mayBeStale: false });
    expect([at(4), at(4.5), at(5), at(6)]).toEqual([true, true, false, false]);
  });

  it('is ignored by the careful profile', () => {
    const fields = cacheControl('no-cache, no-store, only-if-cached, max-age=0');
    expect(satisfies(fields, FRESH, false)).toBe(true);
    expect(requestDemand(fields, false)).toMatchObject({ mustNotStore: false, onlyIfCached: false });
  });

  it('tells what must not be stored, and what must not be loaded', () => {
    expect(requestDemand(cacheControl('no-store'), true).mustNotStore).toBe(true);
    expect(requestDemand(cacheControl('only-if-cached'), true).onlyIfCached).toBe(true);
  });
});
