import type { Contestant } from './contestant.js';

/** Runs the call `count` times, one after the other. */
export type SerialLoop = (keys: readonly unknown[], count: number) => Promise<unknown>;
/** Runs the call once for each key, one after the other, and writes the time of each call to `tookMs`, in milliseconds. */
export type TimedLoop = (keys: readonly unknown[], tookMs: Float64Array) => Promise<unknown>;
/** Starts the call for all keys at once and waits for all. */
export type ConcurrentLoop = (keys: readonly unknown[]) => Promise<unknown>;

/**
 * Compiles a loop for each contestant from text. V8 keeps its feedback about a call in the code of the caller, so
 * contestants that share a loop would slow each other down.
 */
export function serialLoop(contestant: Contestant): SerialLoop {
  return compile(
    contestant,
    `async (keys, count) => {
      const size = keys.length;
      let result;
      for (let i = 0, at = 0; i < count; i++) {
        const key = keys[at];
        result = await ${contestant.call};
        at = at + 1 === size ? 0 : at + 1;
      }
      return result;
    }`,
  );
}

export function timedLoop(contestant: Contestant): TimedLoop {
  return compile(
    contestant,
    `async (keys, tookMs) => {
      let result;
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i];
        const startedAtMs = performance.now();
        result = await ${contestant.call};
        tookMs[i] = performance.now() - startedAtMs;
      }
      return result;
    }`,
  );
}

export function concurrentLoop(contestant: Contestant): ConcurrentLoop {
  return compile(contestant, `(keys) => Promise.all(keys.map((key) => ${contestant.call}))`);
}

type Make = (...scope: unknown[]) => (...args: unknown[]) => Promise<unknown>;

/** By contestant and kind of loop: a contestant that is opened again keeps its compiled code. */
const compiled = new Map<string, Make>();

/** The compiled code sees only the names in `scope`. */
function compile({ name, scope }: Contestant, source: string): (...args: unknown[]) => Promise<unknown> {
  const identity = `${name}: ${source}`;
  const make =
    compiled.get(identity) ?? (new Function(...Object.keys(scope), `'use strict'; return ${source};`) as Make);
  compiled.set(identity, make);
  return make(...Object.values(scope));
}
