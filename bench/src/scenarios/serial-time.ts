import { performance } from 'node:perf_hooks';
import type { Contestant } from '../measure/contestant.js';
import { collectYoung } from '../measure/heap.js';
import { serialLoop } from '../measure/loops.js';
import { ratiosToFloor, takeTurns, type Figure } from '../measure/rounds.js';
import type { Shelf } from '../support/shelf.js';
import type { RunOptions } from './scenario.js';

const ROUNDS = 20;
const WARM_UP_MS = 300;

/**
 * Fills the caches, lets the compiler see every loop, and measures time per call in turns. Each turn reads each key once:
 * a contestant that read its keys several times would find them in the processor's caches, and the fastest would do so most often. The young
 * generation is emptied before each turn: otherwise the garbage of a slow contestant is collected in the turn of the next one.
 */
export async function timePerCall(
  contestants: readonly Contestant[],
  shelf: Shelf,
  { seed, quick }: RunOptions,
): Promise<Figure[]> {
  const racers = [];
  for (const contestant of contestants) {
    const loop = serialLoop(contestant);
    await shelf.fill((key) => loop([key], 1));
    const warmUntilMs = performance.now() + (quick ? 10 : WARM_UP_MS);
    do {
      await loop(shelf.keys, quick ? 100 : 1000);
    } while (performance.now() < warmUntilMs);
    racers.push({ ...contestant, loop });
  }
  const calls = shelf.keys.length;
  const samples = await takeTurns(racers, { rounds: quick ? 2 : ROUNDS, seed }, async ({ loop }) => {
    collectYoung();
    const startedAtMs = performance.now();
    await loop(shelf.keys, calls);
    return { time: (performance.now() - startedAtMs) / calls };
  });
  return ratiosToFloor(samples, 'time');
}
