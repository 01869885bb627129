import { describe, expect, expectTypeOf, it } from 'vitest';
import { type Duration, isDuration, MAX_DURATION_MS, toMs } from './duration.js';

function assume(_value: unknown): asserts _value is Duration {}

/** What plain JavaScript may hand over. */
function anything(value: unknown): Duration {
  assume(value);
  return value;
}

describe('toMs', () => {
  it.each<[Duration, number]>([
    [300, 300_000],
    [0.25, 250],
    [0, 0],
    [-0, 0],
    ['300ms', 300],
    ['5s', 5000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['1.5d', 129_600_000],
    ['.5h', 1_800_000],
    ['400d', 34_560_000_000],
    ['0s', 0],
    ['3650d', MAX_DURATION_MS],
  ])('reads %j as %i ms', (duration, ms) => {
    expect(toMs(duration)).toBe(ms);
  });

  it('rounds to whole milliseconds', () => {
    expect(toMs(1.0006)).toBe(1001);
    expect(toMs('0.4ms')).toBe(0);
    expect(toMs(1.005)).toBe(1005);
  });

  it.each(
    [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -1,
      315_360_001,
      '3651d',
      '5',
      '5x',
      '5 m',
      '-5m',
      '1e3s',
      '0x1s',
      '5M',
      'm',
      '',
      '5m\n',
      'Infinityms',
      null,
      undefined,
      {},
      5n,
      ['5m'],
    ].map((value) => ({ value })),
  )('refuses $value', ({ value }) => {
    expect(isDuration(value)).toBe(false);
    expect(() => toMs(anything(value))).toThrow(RangeError);
  });

  it('names the wrong value and what is allowed', () => {
    expect(() => toMs(anything('5x'))).toThrow(
      /^"5x" is not a duration: allowed are seconds as a number \(300\) or a string with its unit/,
    );
    expect(() => toMs(Number.NaN)).toThrow(/^NaN is not/);
    expect(() => toMs(anything({}))).toThrow(/^an object is not a duration/);
  });
});

describe('isDuration', () => {
  it('narrows what toMs accepts', () => {
    const value: unknown = '5m';
    expect(isDuration(value)).toBe(true);
    if (isDuration(value)) {
      expectTypeOf(value).toEqualTypeOf<Duration>();
    }
  });

  it('is checked by the compiler too', () => {
    expectTypeOf<'5m'>().toExtend<Duration>();
    expectTypeOf<'1.5h'>().toExtend<Duration>();
    expectTypeOf<300>().toExtend<Duration>();
    expectTypeOf<'5 minutes'>().not.toExtend<Duration>();
    expectTypeOf<'5'>().not.toExtend<Duration>();
    expectTypeOf(toMs).returns.toEqualTypeOf<number>();
  });
});
