import { describe, expect, it } from 'vitest';
import { effectiveControl } from './targeted-control.js';

const TARGETS = ['example-cache-control', 'cdn-cache-control'];

describe('effectiveControl (RFC 9213 section 2.2)', () => {
  it.each([
    [{ 'cdn-cache-control': 'max-age=60' }, 60, false],
    [{ 'cdn-cache-control': 'max-age=60', 'example-cache-control': 'max-age=10' }, 10, false],
    [{ 'cdn-cache-control': ['max-age=60', 'no-store=?0'] }, 60, false],
    [{ 'cdn-cache-control': '' }, 5, true],
    [{ 'cdn-cache-control': 'max-age=60,,' }, 5, true],
    [{ 'cdn-cache-control': 'Max-Age=60' }, 5, true],
    [{ 'cdn-cache-control': '"max-age"=60' }, 5, true],
    [{ 'cdn-cache-control': 'max-age=60.5' }, 0, false],
    [{}, 5, true],
  ])('takes from %j a max-age of %j', (targeted, seconds, usesExpires) => {
    const effective = effectiveControl({ 'cache-control': 'max-age=5', ...targeted }, TARGETS);
    expect([effective.control.seconds('max-age'), effective.usesExpires]).toEqual([seconds, usesExpires]);
  });

  it('looks at no targeted field without a target list', () => {
    expect(effectiveControl({ 'cdn-cache-control': 'no-store' }).control.has('no-store')).toBe(false);
  });

  it('reads texts, whole numbers and nothing else as arguments', () => {
    const text = 'a="x, y", b=5, c=5.5, d=x, e=:eA==:, f';
    const { control } = effectiveControl({ 'cdn-cache-control': text }, TARGETS);
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => [control.fieldNames(name), control.seconds(name)])).toEqual([
      [['x', 'y'], 0],
      [['5'], 5],
      [[], 0],
      [[], 0],
      [[], 0],
      [[], 0],
    ]);
  });

  it('does not take a directive that is switched off for one that is set', () => {
    const { control } = effectiveControl({ 'cdn-cache-control': 'no-store=?0, private' }, TARGETS);
    expect([control.has('no-store'), control.has('private')]).toEqual([false, true]);
  });
});
