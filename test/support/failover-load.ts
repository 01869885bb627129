import { onTestFinished, vi } from 'vitest';
import type { AsyncCache } from 'nestjs-distributed-cache/core';

export interface FailoverLoad {
  /** Resolves when this many calls have been answered. */
  readonly untilCalls: (count: number) => Promise<void>;
  /**
   * Ends the load. `errors`: errors thrown to callers; `wrong`: keys that were answered with a value of another key.
   */
  readonly stop: () => Promise<{ errors: string[]; wrong: string[] }>;
}

/**
 * Requests the keys continuously, a few at once, with a loader that returns each key itself. Ends with the test at the
 * latest.
 */
export function failoverLoad(cache: AsyncCache<string>, keys: readonly string[]): FailoverLoad {
  const errors: string[] = [];
  const wrong: string[] = [];
  const end = new AbortController();
  onTestFinished(() => end.abort());
  let calls = 0;
  const ask = async (first: number): Promise<void> => {
    for (let round = first; !end.signal.aborted; round++) {
      const key = keys[round % keys.length] ?? '';
      // At intervals a write as well, and a key that L1 does not have.
      const isNew = round % 7 === 0;
      try {
        const answer = await cache.getOrSet(isNew ? `${key}:${round}` : key, async () => key);
        if (round % 5 === 0) {
          await cache.set(key, key);
        }
        wrong.push(...(answer === key ? [] : [key]));
      } catch (error) {
        errors.push(String(error));
      }
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const running = [0, 1, 2, 3].map((caller) => ask(caller * 13));
  return {
    untilCalls: (count) =>
      vi.waitFor(() => {
        if (calls < count) {
          throw new Error(`${calls} of ${count} calls were answered`);
        }
      }, 10_000),
    stop: async () => {
      end.abort();
      await Promise.all(running);
      return { errors, wrong };
    },
  };
}
