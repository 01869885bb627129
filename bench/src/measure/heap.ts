import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

let collectGarbage: Collect | undefined;

/** A full collection, without a flag on the command line. */
export function collect(): void {
  collector()();
}

/** Of the young generation only: takes what was left behind lately and leaves code and caches as they are. */
export function collectYoung(): void {
  collector()({ type: 'minor' });
}

export interface MemoryInUse {
  readonly heapBytes: number;
  /** Memory of typed arrays and buffers, which V8 keeps outside its heap. */
  readonly outsideBytes: number;
}

/**
 * Memory in use after two collections: the second one takes what the first one's finalizers let go; what only the turn of the event loop
 * holds is gone before, and a buffer that is garbage is given back a turn later.
 */
export async function settledMemory(): Promise<MemoryInUse> {
  for (let round = 0; round < 2; round++) {
    await setImmediate();
    collect();
  }
  await setImmediate();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heapBytes: heapUsed, outsideBytes: arrayBuffers };
}

function collector(): Collect {
  if (collectGarbage === undefined) {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as Collect;
  }
  return collectGarbage;
}

/**
 * What `work` allocates per operation, in bytes: the growth of the heap while nothing is collected. The caller sees to it that
 * `operations` of them fit into the young generation; where a collection came between, the answer is `undefined`.
 */
export async function allocatedBytes(
  work: (operations: number) => Promise<unknown>,
  operations: number,
): Promise<number | undefined> {
  collect();
  const before = process.memoryUsage().heapUsed;
  await work(operations);
  const grown = process.memoryUsage().heapUsed - before;
  return grown < 0 ? undefined : grown / operations;
}
