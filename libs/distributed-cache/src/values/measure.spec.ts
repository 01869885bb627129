import { describe, expect, it } from 'vitest';
import { measureValue } from './measure.js';

const bytesOf = (value: unknown): number => measureValue(value).bytes;

describe('measureValue', () => {
  it.each([[undefined], [null], [true], [7], [{}], [[]]])('counts few bytes for %j', (value) => {
    expect(bytesOf(value)).toBeLessThan(60);
  });

  it('counts a text by its length, and twice that beyond Latin-1', () => {
    expect(bytesOf('a'.repeat(1000))).toBeGreaterThanOrEqual(1000);
    expect(bytesOf('a'.repeat(1000))).toBeLessThan(1100);
    expect(bytesOf('\u20ac'.repeat(1000))).toBeGreaterThanOrEqual(2000);
    expect(bytesOf('\u20ac'.repeat(1000))).toBeLessThan(2100);
  });

  it.each([
    ['a Buffer', Buffer.alloc(1000)],
    ['a typed array', new Float64Array(125)],
    ['an ArrayBuffer', new ArrayBuffer(1000)],
    ['a big integer', { big: 2n ** 8000n }],
    ['the message of an Error', new Error('x'.repeat(1000))],
    ['the cause of an Error', new Error('x', { cause: 'x'.repeat(1000) })],
    ['a long array', Array.from({ length: 125 }, () => 1)],
    ['the texts in a Map', new Map([['k'.repeat(500), 'v'.repeat(500)]])],
    ['the texts in a Set', new Set(['k'.repeat(1000)])],
  ])('counts %s', (_name, value) => {
    expect(bytesOf(value)).toBeGreaterThanOrEqual(1000);
    expect(bytesOf(value)).toBeLessThan(4000);
  });

  it('counts a shared part once and ends at a cycle', () => {
    const shared = { text: 'x'.repeat(1000) };
    const value: Record<string, unknown> = { a: shared, b: shared, c: [shared] };
    value['self'] = value;
    expect(bytesOf(value)).toBeLessThan(1900);
    expect(measureValue(value).objects.size).toBe(3);
  });

  it.each([
    ['Map', new Map()],
    ['Set', new Set()],
    ['Date', new Date()],
    ['URL', new URL('https://a.example')],
    ['RegExp', /a/],
    ['Buffer', Buffer.alloc(1)],
    ['ArrayBuffer', new ArrayBuffer(1)],
    ['DataView', new DataView(new ArrayBuffer(1))],
  ])('reports that a %s can be changed although it is frozen, at any depth', (_name, value) => {
    expect(measureValue(value).unfreezable).toBe(true);
    expect(measureValue({ list: [{ value }] }).unfreezable).toBe(true);
    expect(measureValue(new Error('a', { cause: value })).unfreezable).toBe(true);
  });

  it('reports that plain data and errors can be frozen', () => {
    expect(measureValue({ a: [1, { b: 'c' }], error: new Error('d') }).unfreezable).toBe(false);
  });

  it('measures a value that is nested 100,000 deep', () => {
    let value: unknown = 'core';
    for (let depth = 0; depth < 100_000; depth++) {
      value = depth % 2 === 0 ? [value] : { value };
    }
    expect(bytesOf(value)).toBeGreaterThan(100_000 * 24);
  });
});
