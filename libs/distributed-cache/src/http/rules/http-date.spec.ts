import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHttpDate, parseHttpDate } from './http-date.js';

const NOW_MS = Date.UTC(2026, 10, 28);
const EXAMPLE_MS = Date.UTC(1994, 10, 6, 8, 49, 37);

describe('parseHttpDate (RFC 9110 section 5.6.7)', () => {
  it.each([
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
    'SUN, 06 NOV 1994 08:49:37 gmt',
    ' Sun, 06 Nov 1994 08:49:37 GMT ',
  ])('reads %j', (text) => {
    expect(parseHttpDate(text, NOW_MS)).toBe(EXAMPLE_MS);
  });

  it('puts a year of two digits more than 50 years ahead into the century before', () => {
    expect(parseHttpDate('Thursday, 18-Aug-76 02:01:18 GMT', NOW_MS)).toBe(Date.UTC(2076, 7, 18, 2, 1, 18));
    expect(parseHttpDate('Thursday, 18-Aug-77 02:01:18 GMT', NOW_MS)).toBe(Date.UTC(1977, 7, 18, 2, 1, 18));
  });

  it('takes a leap second for the second before it', () => {
    expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT', NOW_MS)).toBe(Date.UTC(2016, 11, 31, 23, 59, 59));
  });

  it.each([
    ['', 'nothing'],
    ['0', 'a number'],
    ['2050-08-18T02:01:18Z', 'ISO 8601'],
    ['Thu, 18 Aug 2050 02:01:18 UTC', 'another name of the zone'],
    ['Thu, 18 Aug 2050 02:01:18 AEST', 'another zone'],
    ['Thu, 18 Aug 50 02:01:18 GMT', 'a year of two digits in the first form'],
    ['Thu 18 Aug 2050 02:01:18 GMT', 'a missing comma'],
    ['Thu, 18  Aug  2050 02:01:18 GMT', 'two blanks'],
    ['Thu, 18-Aug-2050 02:01:18 GMT', 'dashes with a year of four digits'],
    ['Thu, 18 Aug 2050 02.01.18 GMT', 'points in the time'],
    ['Thu, 18 Aug 2050 2:01:18 GMT', 'an hour of one digit'],
    ['Thu, 31 Feb 2050 02:01:18 GMT', 'a day that the month does not have'],
    ['Thu, 00 Aug 2050 02:01:18 GMT', 'day 0'],
    ['Thu, 18 Aug 2050 24:01:18 GMT', 'hour 24'],
    ['Thu, 18 Aug 2050 02:60:18 GMT', 'minute 60'],
    ['Thu, 18 Aug 2050 02:01:61 GMT', 'second 61'],
  ])('refuses %j: %s', (text) => {
    expect(parseHttpDate(text, NOW_MS)).toBeUndefined();
  });

  it('reads every date that formatHttpDate writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
        expect(parseHttpDate(formatHttpDate(seconds * 1000), NOW_MS)).toBe(seconds * 1000);
      }),
    );
  });

  it('never reads a text as an invalid number', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseHttpDate(text, NOW_MS)).not.toBeNaN();
      }),
    );
  });
});
