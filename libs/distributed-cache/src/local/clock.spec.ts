import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { CoarseClock, SuspendWatch } from './clock.js';

describe('a coarse clock', () => {
  it('reads the time once per turn of the event loop, and again in the next turn', async () => {
    const nowMs = vi.fn(() => 1);
    const onRead = vi.fn();
    const clock = new CoarseClock({ nowMs }, onRead);
    expect([clock.nowMs(), clock.nowMs()]).toEqual([1, 1]);
    expect(nowMs).toHaveBeenCalledTimes(1);
    await nextTurn();
    nowMs.mockReturnValue(2);
    expect(clock.nowMs()).toBe(2);
    expect(onRead).toHaveBeenCalledTimes(2);
  });
});

describe('a watch for suspension', () => {
  it('reports once that the monotonic clock stood still', () => {
    const at = { monotonicMs: 1000, wallMs: 1_700_000_000_000 };
    const watch = new SuspendWatch(
      () => at.monotonicMs,
      () => at.wallMs,
    );
    const pass = (monotonicMs: number, wallMs: number): boolean => {
      at.monotonicMs += monotonicMs;
      at.wallMs += wallMs;
      return watch.hasSlept();
    };
    expect(pass(5000, 5000)).toBe(false);
    expect(pass(5000, 5900)).toBe(false); // adjusted
    expect(pass(10, 3_600_000)).toBe(true);
    expect(pass(10, 10)).toBe(false);
    expect(pass(10, -7_200_000)).toBe(false); // set back
    expect(pass(10, 3_600_000)).toBe(true);
  });
});
