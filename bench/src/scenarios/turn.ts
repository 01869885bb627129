import { concurrentLoop, timedLoop } from '../measure/loops.js';
import type { Contestant } from '../measure/contestant.js';
import { fastestTenth } from '../measure/statistics.js';

const AT_ONCE = 100;

/** Calls one at a time: the mean of the fastest tenth, in milliseconds. */
export async function timeAlone(contestant: Contestant, keys: readonly unknown[]): Promise<number> {
  const tookMs = new Float64Array(keys.length);
  await timedLoop(contestant)(keys, tookMs);
  return fastestTenth([...tookMs]);
}

/** Calls a hundred at once: processor time of all threads per call, in microseconds. */
export async function cpuAtOnce(contestant: Contestant, keys: readonly unknown[]): Promise<number> {
  const loop = concurrentLoop(contestant);
  const before = process.cpuUsage();
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    await loop(keys.slice(at, at + AT_ONCE));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / keys.length;
}
