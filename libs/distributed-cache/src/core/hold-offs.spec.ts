import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { HoldOffs } from './flights.js';

/** Counts the entries that are visited one after the other. */
function countSteps(): () => number {
  let steps = 0;
  const entries = Reflect.get(Map.prototype, Symbol.iterator) as () => MapIterator<[unknown, unknown]>;
  vi.spyOn(Map.prototype, Symbol.iterator).mockImplementation(function* (this: Map<unknown, unknown>) {
    for (const entry of { [Symbol.iterator]: () => entries.call(this) }) {
      steps++;
      yield entry;
    }
    return undefined;
  });
  return () => steps;
}

describe('HoldOffs', () => {
  it('holds a key off until its time is over; the last time given counts', () => {
    const holdOffs = new HoldOffs();
    holdOffs.add('key', 100, 0);
    expect([holdOffs.includes('key', 99), holdOffs.includes('other', 99)]).toEqual([true, false]);
    holdOffs.add('key', 50, 0);
    expect(holdOffs.includes('key', 50)).toBe(false);
    expect(holdOffs.size).toBe(0);
  });

  it('visits each key a few times at most, however many keys are held off', () => {
    const holdOffs = new HoldOffs();
    const steps = countSteps();
    for (let index = 0; index < 50_000; index++) {
      holdOffs.add(`key:${index}`, 1_000_000, index);
    }
    expect(steps()).toBeLessThan(3 * 50_000);
    expect(holdOffs.size).toBe(50_000);
  });

  it('removes hold-offs that are over', () => {
    const holdOffs = new HoldOffs();
    for (let index = 0; index < 50_000; index++) {
      holdOffs.add(`key:${index}`, index + 10, index);
    }
    expect(holdOffs.size).toBeLessThan(200);
  });

  it('keeps no more than its limit, the newest ones', () => {
    const holdOffs = new HoldOffs(100);
    for (let index = 0; index < 1_000; index++) {
      holdOffs.add(`key:${index}`, 1_000_000, 0);
    }
    expect(holdOffs.size).toBe(100);
    expect([holdOffs.includes('key:899', 0), holdOffs.includes('key:900', 0)]).toEqual([false, true]);
  });
});

it('20,000 deletions with a hold-off take no longer each than several hundred do', async () => {
  const cache = cacheForTest({ redis: false }).getCache('users');
  const steps = countSteps();
  for (let index = 0; index < 20_000; index++) {
    await cache.delete(`key:${index}`, { holdOff: '1h' });
  }
  expect(steps()).toBeLessThan(10 * 20_000);
  expect(await cache.getOrSet('key:0', async () => 'of a replica')).toBe('of a replica');
  expect(await cache.get('key:0')).toBeUndefined();
});
