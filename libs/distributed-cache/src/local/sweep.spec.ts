import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeClock } from '../testing/fake-clock.js';
import { LocalCache } from './local-cache.js';
import { storeValue } from './stored-value.js';

const SECOND_MS = 1000;
const MINUTE_MS = 60_000;
const LONG = { ttlMs: 3_600_000 };

afterEach(() => vi.useRealTimers());

/** A cache whose clock and timers go on together. */
function sweptCache(): { cache: LocalCache; advance: (durationMs: number) => void } {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const clock = new FakeClock();
  const advance = (durationMs: number): void => {
    clock.advance(durationMs);
    vi.advanceTimersByTime(durationMs);
  };
  return { cache: new LocalCache({ clock }), advance };
}

function fill(cache: LocalCache, name: string, count: number, options: { ttlMs: number }): void {
  for (let index = 0; index < count; index++) {
    cache.set(`${name}:${index}`, index, options);
  }
}

describe('the sweep of LocalCache', () => {
  it('removes expired entries without a read, and no others', () => {
    const { cache, advance } = sweptCache();
    fill(cache, 'short', 500, { ttlMs: SECOND_MS });
    fill(cache, 'long', 100, LONG);
    advance(SECOND_MS);
    expect(cache.entryCount).toBe(100);
    expect(cache.get('long:99')).toBe(99);
  });

  it('shrinks the columns after many entries have expired, and goes on', () => {
    const { cache, advance } = sweptCache();
    for (let round = 0; round < 3; round++) {
      fill(cache, 'short', 5000, { ttlMs: SECOND_MS });
      const columns = cache.store as unknown as { flags: Uint8Array };
      expect(columns.flags.length).toBeGreaterThan(5000);
      for (let second = 0; second < 10; second++) {
        advance(SECOND_MS);
      }
      expect([cache.entryCount, cache.usedBytes]).toEqual([0, 0]);
      expect(columns.flags.length).toBeLessThan(500);
      fill(cache, 'long', 10, LONG);
      expect(cache.get('long:9')).toBe(9);
      cache.clear();
    }
  });

  it('removes the entries of the previous epoch', () => {
    const { cache, advance } = sweptCache();
    const partition = cache.partition(() => true);
    for (let index = 0; index < 500; index++) {
      partition.put(`key:${index}`, storeValue(index, 'frozen'), LONG);
    }
    partition.startEpoch();
    advance(SECOND_MS);
    expect(cache.entryCount).toBe(0);
  });

  it('reaches every one of many expired entries within about a minute', () => {
    const { cache, advance } = sweptCache();
    fill(cache, 'short', 100_000, { ttlMs: SECOND_MS });
    for (let second = 0; second <= 61; second++) {
      advance(SECOND_MS);
    }
    expect([cache.entryCount, cache.usedBytes]).toEqual([0, 0]);
  });

  it('reaches every entry in one pass while others are used, added and removed', () => {
    const clock = new FakeClock();
    const cache = new LocalCache({ clock });
    const slice = 100;
    let remaining = 5000;
    fill(cache, 'long', remaining, LONG);
    for (let index = 0; index < 5000; index += 10) {
      cache.set(`long:${index}`, 'soon over', { ttlMs: SECOND_MS });
    }
    clock.advance(SECOND_MS);
    for (let begin = 0; begin < 5000; begin += slice) {
      cache.sweep(slice);
      // Every entry around the place where the sweep stands moves in the LRU's order, or is gone, or is new.
      for (let index = begin; index < begin + 2 * slice; index++) {
        cache.find(`long:${index % 10 === 0 ? index + 1 : index}`);
      }
      remaining -= cache.delete(`long:${begin + slice + 3}`) ? 1 : 0;
      remaining += cache.set(`new:${begin}`, 1, LONG) ? 1 : 0;
    }
    const overdue = Array.from({ length: 500 }, (_, index) => `long:${index * 10}`);
    expect(cache.entryCount).toBe(remaining - overdue.length);
  });

  it('begins a new pass after each pass', () => {
    const clock = new FakeClock();
    const cache = new LocalCache({ clock });
    fill(cache, 'long', 1000, LONG);
    for (let round = 0; round < 5; round++) {
      fill(cache, 'short', 1000, { ttlMs: SECOND_MS });
      clock.advance(SECOND_MS);
      for (let step = 0; step < 21; step++) {
        cache.sweep(100);
      }
      expect(cache.entryCount).toBe(1000);
    }
  });

  it('has a timer only while there are entries, and the timer keeps no process alive', () => {
    const timers = vi.spyOn(globalThis, 'setInterval');
    const cache = new LocalCache();
    expect(timers).not.toHaveBeenCalled();
    cache.set('a', 1, LONG);
    cache.set('b', 1, LONG);
    expect(timers).toHaveBeenCalledTimes(1);
    const timer = timers.mock.results[0]?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    cache.clear();
    expect((timer as unknown as { _destroyed: boolean })._destroyed).toBe(true);
  });

  it('stops after the last entry is removed, and starts again with the next one', () => {
    const { cache, advance } = sweptCache();
    cache.set('a', 1, { ttlMs: SECOND_MS });
    expect(vi.getTimerCount()).toBe(1);
    advance(MINUTE_MS);
    expect(vi.getTimerCount()).toBe(0);
    cache.set('b', 1, { ttlMs: SECOND_MS });
    expect(vi.getTimerCount()).toBe(1);
    cache.delete('b');
    advance(SECOND_MS);
    expect(vi.getTimerCount()).toBe(0);
  });
});
