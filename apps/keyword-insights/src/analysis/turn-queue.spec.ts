import { describe, expect, it } from 'vitest';
import { scanInTurns, TurnQueue } from './turn-queue.js';

const turnOfEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('turn queue', () => {
  it('serves one waiting scan per turn of the event loop, first come first served', async () => {
    const turns = new TurnQueue();
    const served: string[] = [];
    const all = ['first', 'second', 'third'].map(async (name) => {
      await turns.nextTurn();
      served.push(name);
    });
    await turnOfEventLoop();
    expect(served).toEqual(['first']);
    await turnOfEventLoop();
    expect(served).toEqual(['first', 'second']);
    await Promise.all(all);
    expect(served).toEqual(['first', 'second', 'third']);
  });

  it('visits every item in order', async () => {
    const seen: number[] = [];
    await scanInTurns([1, 2, 3], (item) => seen.push(item));
    expect(seen).toEqual([1, 2, 3]);
  });

  it('hands the event loop back while a long scan runs', async () => {
    let turnsOfOthers = 0;
    const others = setInterval(() => (turnsOfOthers += 1), 1);
    const endsAtMs = performance.now() + 60;
    await scanInTurns(untilThen(endsAtMs), () => {});
    clearInterval(others);
    expect(turnsOfOthers).toBeGreaterThan(1);
  });

  it('ends with the error of the visit', async () => {
    const failure = new Error('bad item');
    await expect(
      scanInTurns([1], () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
  });
});

function* untilThen(endsAtMs: number): Generator<number> {
  for (let item = 0; performance.now() < endsAtMs; item += 1) {
    yield item;
  }
}
