import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

let collectGarbage: Collect | undefined;

/** Runs a full collection; needs no flag on the command line. */
export function collect(): void {
  collector()();
}

/** Collects the young generation only. Compiled code and caches stay as they are. */
export function collectYoung(): void {
  collector()({ type: 'minor' });
}

export interface MemoryInUse {
  readonly heapBytes: number;
  /** Memory of typed arrays and buffers, which V8 keeps outside its heap. */
  readonly outsideBytes: number;
}

/**
 * Memory in use after two collections. The second one frees what the finalizers of the first one have released. A turn
 * of the event loop before each collection frees what only the present turn refers to; V8 returns the memory of a
 * buffer one turn after its collection.
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
 * The bytes that `work` allocates per operation: the growth of the heap while no collection runs. The garbage of
 * `operations` must fit into the young generation.
 * @returns `undefined` if a collection ran meanwhile
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
