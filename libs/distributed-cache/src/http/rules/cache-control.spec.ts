import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CacheControl, MAX_DELTA_SECONDS } from './cache-control.js';

const of = (...lines: string[]) => CacheControl.of({ 'cache-control': lines });

describe('CacheControl (RFC 9111 section 5.2)', () => {
  it.each([
    'no-store',
    'No-StOrE',
    ' no-store ',
    'max-age=1,no-store',
    'foobar, no-store',
    'no-store=""',
    'no-store="x"',
    'no-store;x',
    'no-store =1',
    'private="x, no-store',
    'ext="1", no-store',
  ])('finds no-store in %j', (text) => {
    expect(of(text).has('no-store')).toBe(true);
  });

  it.each(['ext="no-store"', '=no-store', '"no-store"', 'no-stores', 'xno-store', 'ext="a, no-store, b"', ''])(
    'finds no no-store in %j',
    (text) => {
      expect(of(text).has('no-store')).toBe(false);
    },
  );

  it('reads the directives of all lines', () => {
    const control = of('max-age=60', 'private');
    expect([control.has('private'), control.seconds('max-age')]).toEqual([true, 60]);
  });

  it.each([
    ['max-age=3600', 3600],
    ['MaX-aGe=3600', 3600],
    ['max-age="3600"', 3600],
    ['max-age=003600', 3600],
    ['max-age=99999999999', MAX_DELTA_SECONDS],
    ['max-age=2147483649', MAX_DELTA_SECONDS],
    ['extension="max-age=3600", max-age=1', 1],
    ['max-age=1, extension="max-age=3600"', 1],
    ['max-age=60, max-age=60', 60],
    ['s-maxage=60', undefined],
  ])('reads the time of %j as %j', (text, seconds) => {
    expect(of(text).seconds('max-age')).toBe(seconds);
  });

  it.each([
    "max-age='3600'",
    'max-age=-3600',
    'max-age=3600.0',
    'max-age=a3600',
    'max-age=3600a',
    'max-age =3600',
    'max-age= 3600',
    'max-age',
    'max-age=',
    'max-age=1800, max-age=1',
  ])('takes the time of %j for 0: it is wrong, or contradicts itself (section 4.2.1)', (text) => {
    expect(of(text).seconds('max-age')).toBe(0);
  });

  it('tells a directive for some fields from one for the whole response (section 5.2.2.4)', () => {
    expect(of('private="a,, B "').fieldNames('private')).toEqual(['a', 'b']);
    expect(of('private, private=;').fieldNames('private')).toEqual([]);
    expect(
      ['private="a"', 'private', 'private="a", private', 'private=;'].map((text) => of(text).appliesToAll('private')),
    ).toEqual([false, true, true, true]);
    const malformed = ['private;a', 'private=a"b"', 'private="a"b', 'private="a""b"'];
    expect(malformed.map((text) => of(text).appliesToAll('private'))).toEqual([true, true, true, true]);
  });

  it('knows times up to 2^31 seconds (section 1.2.2), and directives in any case of another field', () => {
    expect(of('max-age=2147483647').seconds('max-age')).toBe(2_147_483_647);
    expect(of('max-age=2147483649').seconds('max-age')).toBe(2_147_483_648);
    expect(CacheControl.from([['No-Store', undefined]]).has('no-store')).toBe(true);
  });

  it('knows a directive without an argument', () => {
    expect([
      of('max-stale').isBare('max-stale'),
      of('max-stale=5').isBare('max-stale'),
      of('').isBare('max-stale'),
    ]).toEqual([true, false, false]);
  });

  it('finds a restrictive directive among whatever stands beside it', () => {
    const noise = fc.array(fc.stringMatching(/^[a-z-]{1,6}(=("[a-z ,]*"|[a-z0-9]*))?$/));
    fc.assert(
      fc.property(noise, noise, (before, after) => {
        expect(of([...before, 'No-Store', ...after].join(', ')).has('no-store')).toBe(true);
      }),
    );
  });

  it('never throws, and never gives a time that is not a whole number up to the limit', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const seconds = of(`max-age=${text}`).seconds('max-age') ?? -1;
        expect(Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_DELTA_SECONDS).toBe(true);
      }),
    );
  });
});
