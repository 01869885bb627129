import { describe, expect, it } from 'vitest';
import type { RedisClient } from './redis-client.js';
import { ServerClock } from './server-clock.js';

const HOUR_MS = 3_600_000;

/**
 * A server whose clock is `aheadMs` ahead of the process, on a connection whose answers take as long as the test sets.
 */
function clockForTest(aheadMs: number): {
  clock: ServerClock;
  errorMs: () => number;
  /** Lets time pass. */
  wait: (ms: number) => void;
  ask: (thereMs: number, backMs: number) => Promise<void>;
} {
  let nowMs = 1_900_000_000_000;
  const clock = new ServerClock(() => nowMs);
  const ask = (thereMs: number, backMs: number): Promise<void> => {
    const time = async (): Promise<[string, string]> => {
      nowMs += thereMs;
      const microseconds = Math.round((nowMs + aheadMs) * 1000);
      nowMs += backMs;
      return [String(Math.floor(microseconds / 1e6)), String(microseconds % 1e6)];
    };
    return clock.learnFrom({ time } as unknown as RedisClient);
  };
  const wait = (ms: number): void => void (nowMs += ms);
  return { clock, wait, errorMs: () => Math.abs(clock.nowMs() - (nowMs + aheadMs)), ask };
}

describe('ServerClock', () => {
  it.each([0, HOUR_MS, -HOUR_MS, 1234.5])('learns a server clock that is %d ms ahead', async (aheadMs) => {
    const { errorMs, ask } = clockForTest(aheadMs);
    await ask(1, 1);
    expect(errorMs()).toBeLessThanOrEqual(1);
  });

  it('has an error of half the round trip at most', async () => {
    const { errorMs, ask } = clockForTest(HOUR_MS);
    await ask(0, 100);
    expect(errorMs()).toBeLessThanOrEqual(50);
  });

  it('ignores an answer that arrives late', async () => {
    const { errorMs, ask } = clockForTest(HOUR_MS);
    await ask(1, 1);
    await ask(0, 4000);
    await ask(4000, 0);
    expect(errorMs()).toBeLessThanOrEqual(1);
  });

  it('knows its maximum error, which quick answers reduce and time increases', async () => {
    const { clock, errorMs, wait, ask } = clockForTest(HOUR_MS);
    expect(clock.errorMs).toBe(0);
    for (const [thereMs, backMs, mostMs] of [
      [0, 100, 51],
      [100, 0, 51],
      [1, 1, 2],
      [0, 4000, 7],
      [400, 0, 7],
    ] as const) {
      await ask(thereMs, backMs);
      expect(clock.errorMs + 0.001).toBeGreaterThan(errorMs()); // the server reports microseconds
      expect(clock.errorMs).toBeLessThanOrEqual(mostMs);
      wait(10);
    }
    const beforeMs = clock.errorMs;
    wait(HOUR_MS);
    expect(clock.errorMs).toBeGreaterThan(beforeMs + 1000);
  });

  it('follows a server whose clock was set, or another server after a failover', async () => {
    let aheadMs = 0;
    let nowMs = 1_900_000_000_000;
    const clock = new ServerClock(() => nowMs++);
    const time = async (): Promise<[number, number]> => [Math.floor((nowMs + aheadMs) / 1000), 0];
    const client = { time } as unknown as RedisClient;
    await clock.learnFrom(client);
    aheadMs = 10_000;
    await clock.learnFrom(client);
    expect(Math.abs(clock.nowMs() - (nowMs + aheadMs))).toBeLessThan(1100);
  });

  it('assumes equal clocks where TIME is forbidden, and passes on every other failure', async () => {
    const clock = new ServerClock(() => 5);
    const failing = (message: string): RedisClient =>
      ({
        time: () => Promise.reject(Object.assign(new Error(message), { name: 'ReplyError' })),
      }) as unknown as RedisClient;
    await clock.learnFrom(failing("NOPERM this user has no permissions to run the 'time' command"));
    expect(clock.nowMs()).toBe(5);
    await expect(clock.learnFrom(failing('LOADING'))).rejects.toThrow('LOADING');
  });
});
