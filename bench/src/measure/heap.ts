import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collectGarbage: (() => void) | undefined;

/** A full collection, without a flag on the command line. */
export function collect(): void {
  if (collectGarbage === undefined) {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as () => void;
  }
  collectGarbage();
}

/** Heap in use after two collections: the second one takes what the first one's finalizers let go. */
export function settledHeapBytes(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
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
