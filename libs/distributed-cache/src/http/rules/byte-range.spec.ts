import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentRange, requestedRange } from './byte-range.js';

const LENGTH = 10;

describe('requestedRange (RFC 9110 section 14.2)', () => {
  it.each([
    ['bytes=0-1', { first: 0, last: 1 }],
    ['bytes=3-', { first: 3, last: 9 }],
    ['bytes=-3', { first: 7, last: 9 }],
    ['bytes=-30', { first: 0, last: 9 }],
    ['bytes=5-30', { first: 5, last: 9 }],
    ['BYTES=5-5', { first: 5, last: 5 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=10-20', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=2-1', undefined],
    ['bytes=-', undefined],
    ['bytes=a-b', undefined],
    ['bytes=0x1-2', undefined],
    ['bytes=0-1,3-4', undefined],
    ['lines=0-1', undefined],
    ['kilobytes=0-1', undefined],
    ['bytes', undefined],
    ['', undefined],
  ])('of %j is %j', (range, part) => {
    expect(requestedRange({ range }, LENGTH)).toEqual(part);
  });

  it('is the whole body without Range', () => {
    expect(requestedRange({}, LENGTH)).toBeUndefined();
  });

  it('can satisfy nothing of an empty body', () => {
    expect(['bytes=0-', 'bytes=-1'].map((range) => requestedRange({ range }, 0))).toEqual([
      'unsatisfiable',
      'unsatisfiable',
    ]);
  });

  it('names the bytes that slicing gives', () => {
    const bound = fc.option(fc.nat({ max: 30 }), { nil: undefined });
    fc.assert(
      fc.property(bound, bound, fc.nat({ max: 20 }), (from, to, length) => {
        const range = requestedRange({ range: `bytes=${from ?? ''}-${to ?? ''}` }, length);
        const body = Array.from({ length }, (_, index) => index);
        const isInvalid =
          (from === undefined && to === undefined) || (from !== undefined && to !== undefined && to < from);
        const wanted =
          from === undefined ? body.slice(Math.max(0, length - (to ?? 0))) : body.slice(from, (to ?? length) + 1);
        if (isInvalid) {
          expect(range).toBeUndefined();
        } else if (wanted.length === 0) {
          expect(range).toBe('unsatisfiable');
        } else {
          expect(range).toEqual({ first: wanted[0], last: wanted.at(-1) });
        }
      }),
    );
  });
});

describe('contentRange (RFC 9110 section 14.4)', () => {
  it('names the part and the whole', () => {
    expect([contentRange({ first: 2, last: 4 }, 10), contentRange('unsatisfiable', 10)]).toEqual([
      'bytes 2-4/10',
      'bytes */10',
    ]);
  });
});
