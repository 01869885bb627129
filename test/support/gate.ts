import type { AsyncCache } from 'nestjs-distributed-cache/core';

/** A promise that a test resolves when it decides to, in place of a sleep. */
export class Gate {
  /** Resolves the promise. */
  open: () => void = () => {};
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

export interface HeldLoad {
  /** The result of the caller whose loader waits. */
  readonly answer: Promise<unknown>;
  /** Lets the loader end. */
  readonly release: () => void;
}

/** A running load. When released, its loader returns the value, or throws it if it is an error. */
export async function heldLoad(cache: AsyncCache, value: unknown, key = 'key'): Promise<HeldLoad> {
  const [started, gate] = [new Gate(), new Gate()];
  const answer = cache.getOrSet(key, async () => {
    started.open();
    await gate.opened;
    if (value instanceof Error) {
      throw value;
    }
    return value;
  });
  await started.opened;
  return { answer, release: gate.open };
}
