import type { Contestant } from './contestant.js';

/** Runs the call `count` times, one after the other. */
export type SerialLoop = (keys: readonly unknown[], count: number) => Promise<unknown>;
/** Runs the call once for each key, one after the other, and notes how long each took, in milliseconds. */
export type TimedLoop = (keys: readonly unknown[], tookMs: Float64Array) => Promise<unknown>;
/** Starts the call for all keys at once and waits for all. */
export type ConcurrentLoop = (keys: readonly unknown[]) => Promise<unknown>;

/**
 * Every contestant gets loops of its own, compiled from text: V8 keeps what it has learnt about a call with the code
 * of the caller, and a loop that several share would soon be tuned for none of them.
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

/** Runs a call that is not asynchronous once for each key. */
export function replayLoop(contestant: Contestant): (keys: readonly unknown[]) => unknown {
  return compile(contestant, `(keys) => { for (const key of keys) { ${contestant.call}; } }`);
}

type Make = (...scope: unknown[]) => (...args: unknown[]) => Promise<unknown>;

/** One for each contestant and kind of loop: opened anew for a round, a contestant keeps the code that has become fast. */
const compiled = new Map<string, Make>();

/** Sees only the names in `scope`. */
function compile({ name, scope }: Contestant, source: string): (...args: unknown[]) => Promise<unknown> {
  const identity = `${name}: ${source}`;
  const make =
    compiled.get(identity) ?? (new Function(...Object.keys(scope), `'use strict'; return ${source};`) as Make);
  compiled.set(identity, make);
  return make(...Object.values(scope));
}
