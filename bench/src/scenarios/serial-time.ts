import { performance } from 'node:perf_hooks';
import type { Contestant } from '../measure/contestant.js';
import { collectYoung } from '../measure/heap.js';
import { serialLoop } from '../measure/loops.js';
import { ratiosToFloor, takeTurns, type Figure } from '../measure/rounds.js';
import type { DataSource } from '../support/data-source.js';
import type { RunOptions } from './scenario.js';

const ROUNDS = 20;
const WARM_UP_MS = 300;

/**
 * Fills the caches, warms every loop up, and measures the time per call in turns. Each turn reads each key once: keys
 * that are read several times stay in the processor's caches, which favours the fastest contestant. The young
 * generation is collected before each turn: otherwise the garbage of a contestant is collected in the turn of the next
 * one.
 */
export async function timePerCall(
  contestants: readonly Contestant[],
  source: DataSource,
  { seed, quick }: RunOptions,
): Promise<Figure[]> {
  const measured = [];
  for (const contestant of contestants) {
    const loop = serialLoop(contestant);
    await source.fill((key) => loop([key], 1));
    const warmUntilMs = performance.now() + (quick ? 10 : WARM_UP_MS);
    do {
      await loop(source.keys, quick ? 100 : 1000);
    } while (performance.now() < warmUntilMs);
    measured.push({ ...contestant, loop });
  }
  const calls = source.keys.length;
  const samples = await takeTurns(measured, { rounds: quick ? 2 : ROUNDS, seed }, async ({ loop }) => {
    collectYoung();
    const startedAtMs = performance.now();
    await loop(source.keys, calls);
    return { time: (performance.now() - startedAtMs) / calls };
  });
  return ratiosToFloor(samples, 'time');
}
