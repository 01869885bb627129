import { describe, expect, it } from 'vitest';
import { CacheControl } from './cache-control.js';
import type { Fields } from './fields.js';
import { explicitLifetimeMs, initialAgeMs, lifetimeMs, type ReceivedResponse, staleAllowance } from './freshness.js';
import { formatHttpDate } from './http-date.js';

const NOW_MS = Date.UTC(2026, 10, 28, 12);
const at = (offsetSeconds: number) => formatHttpDate(NOW_MS + offsetSeconds * 1000);

function received(fields: Fields, status = 200, delayMs = 0): ReceivedResponse {
  return { status, fields, control: CacheControl.of(fields), requestedAtMs: NOW_MS - delayMs, receivedAtMs: NOW_MS };
}

describe('explicitLifetimeMs (RFC 9111 section 4.2.1)', () => {
  it.each<[Fields, number | undefined, string]>([
    [{ 'cache-control': 's-maxage=3600, max-age=1' }, 3600, 's-maxage before max-age'],
    [{ 'cache-control': 'max-age=3600, s-maxage=1' }, 1, 's-maxage before max-age, whatever the order'],
    [{ 'cache-control': 'max-age=60', expires: at(-7200) }, 60, 'max-age before Expires'],
    [{ 'cache-control': 'max-age=0', expires: at(3600) }, 0, 'max-age before Expires'],
    [{ 'cache-control': 's-maxage=x', expires: at(3600) }, 0, 'a wrong time allows nothing'],
    [{ expires: at(3600), date: at(0) }, 3600, 'Expires minus Date'],
    [{ expires: at(300), date: at(400) }, 0, 'Expires before Date'],
    [{ expires: at(10), date: 'foo' }, 10, 'without a valid Date from when it was received'],
    [{ expires: '0', date: at(0) }, 0, 'an invalid Expires is in the past (section 5.3)'],
    [{ expires: [at(10), at(20)] }, 0, 'two lines of Expires are invalid'],
    [{}, undefined, 'nothing stated'],
  ])('%j is fresh for %j s: %s', (fields, seconds) => {
    expect(explicitLifetimeMs(received(fields))).toBe(seconds === undefined ? undefined : seconds * 1000);
  });

  it('does not look at Expires when a targeted field decides', () => {
    expect(explicitLifetimeMs(received({ expires: at(10) }), false)).toBeUndefined();
  });
});

describe('lifetimeMs (RFC 9111 section 4.2.2)', () => {
  const heuristic = (fields: Fields, status = 200) =>
    lifetimeMs(received({ date: at(0), ...fields }, status), { usesExpires: true, isHeuristic: true });

  it('estimates a tenth of the time since the last change, where the status allows it', () => {
    const lastModified = { 'last-modified': at(-1000) };
    expect([200, 204, 404, 410].map((status) => heuristic(lastModified, status))).toEqual(Array(4).fill(100_000));
    expect([201, 403, 500, 599].map((status) => heuristic(lastModified, status))).toEqual(Array(4).fill(0));
  });

  it('estimates it for any status with public', () => {
    expect(heuristic({ 'last-modified': at(-1000), 'cache-control': 'public' }, 599)).toBe(100_000);
  });

  it.each([[{}], [{ 'last-modified': 'yesterday' }], [{ 'last-modified': at(50) }]])(
    'estimates nothing from %j',
    (fields) => {
      expect(heuristic(fields)).toBe(0);
    },
  );

  it('estimates nothing when the rules forbid it', () => {
    const response = received({ date: at(0), 'last-modified': at(-1000) });
    expect(lifetimeMs(response, { usesExpires: true, isHeuristic: false })).toBe(0);
  });
});

describe('initialAgeMs (RFC 9111 section 4.2.3)', () => {
  it.each<[Fields, number, number, string]>([
    [{ date: at(-30) }, 0, 30, 'apparent age'],
    [{ date: at(30) }, 0, 0, 'a Date ahead of the clock'],
    [{ date: at(0), age: '30' }, 0, 30, 'Age'],
    [{ date: at(-50), age: '30' }, 0, 50, 'the higher of both'],
    [{ date: at(0), age: '30' }, 4000, 34, 'Age and the delay of the response'],
    [{ date: at(0), age: '7200, 0' }, 0, 7200, 'the first member of Age (section 5.1)'],
    [{ date: at(0), age: ['0', '7200'] }, 0, 0, 'the first line of Age'],
    [{ date: at(0), age: 'abc' }, 0, 0, 'an Age that is no number is ignored'],
    [{ date: at(0), age: '-7200' }, 0, 0, 'a negative Age is ignored'],
    [{ date: at(0), age: '7200.0' }, 0, 0, 'an Age with a point is ignored'],
    [{}, 0, 0, 'neither'],
  ])('of %j after %j ms is %j s: %s', (fields, delayMs, seconds) => {
    expect(initialAgeMs(received(fields, 200, delayMs))).toBe(seconds * 1000);
  });
});

describe('staleAllowance (RFC 9111 section 4.2.4, RFC 5861)', () => {
  const own = { whileRevalidateMs: 1000, ifErrorMs: 2000 };
  const allowanceOf = (text: string) => staleAllowance(CacheControl.of({ 'cache-control': text }), own);

  it.each(['must-revalidate', 'proxy-revalidate', 's-maxage=5', 'no-cache', 'stale-if-error=60, must-revalidate'])(
    'is none with %s',
    (text) => {
      expect(allowanceOf(text)).toEqual({ whileRevalidateMs: 0, ifErrorMs: 0 });
    },
  );

  it('is what the response states, and else what the cache states', () => {
    expect(allowanceOf('stale-while-revalidate=30')).toEqual({ whileRevalidateMs: 30_000, ifErrorMs: 2000 });
    expect(allowanceOf('max-age=1, stale-if-error=60')).toEqual({ whileRevalidateMs: 1000, ifErrorMs: 60_000 });
    expect(allowanceOf('stale-if-error=0')).toEqual({ whileRevalidateMs: 1000, ifErrorMs: 0 });
  });
});

describe('the statuses for which a lifetime is estimated (RFC 9110 section 15.1)', () => {
  it('are these', () => {
    const statuses = Array.from({ length: 400 }, (_, index) => 200 + index);
    const isEstimated = (status: number) =>
      lifetimeMs(received({ 'last-modified': at(-1000) }, status), { usesExpires: true, isHeuristic: true }) > 0;
    expect(statuses.filter(isEstimated)).toEqual([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);
  });
});

describe('Age (RFC 9111 section 5.1)', () => {
  it.each<[string | string[], number]>([
    ['5', 5],
    [' 5 , 3', 5],
    [['5', '3'], 5],
    ['x', 0],
  ])('of %j is %d s', (age, seconds) => {
    expect(initialAgeMs(received({ age, date: at(0) }))).toBe(seconds * 1000);
  });
});
