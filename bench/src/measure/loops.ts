import type { Contestant } from './contestant.js';

/** Runs the call `count` times, one after the other. */
export type SerialLoop = (keys: readonly string[], count: number) => Promise<unknown>;
/** Runs the call once for each key, one after the other, and notes how long each took, in nanoseconds. */
export type TimedLoop = (keys: readonly string[], nanoseconds: Float64Array, now: () => bigint) => Promise<unknown>;
/** Starts the call for all keys at once and waits for all. */
export type ConcurrentLoop = (keys: readonly string[]) => Promise<unknown>;

/**
 * Every contestant gets loops of its own, compiled from text: V8 keeps what it has learnt about a call with the code
 * of the caller, and a loop that several share would soon be tuned for none of them.
 */
export function serialLoop({ call, scope }: Contestant): SerialLoop {
  return compile(
    scope,
    `async (keys, count) => {
      const size = keys.length;
      let result;
      for (let i = 0, at = 0; i < count; i++) {
        const key = keys[at];
        result = await ${call};
        at = at + 1 === size ? 0 : at + 1;
      }
      return result;
    }`,
  );
}

export function timedLoop({ call, scope }: Contestant): TimedLoop {
  return compile(
    scope,
    `async (keys, nanoseconds, now) => {
      let result;
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i];
        const startedAt = now();
        result = await ${call};
        nanoseconds[i] = Number(now() - startedAt);
      }
      return result;
    }`,
  );
}

export function concurrentLoop({ call, scope }: Contestant): ConcurrentLoop {
  return compile(scope, `(keys) => Promise.all(keys.map((key) => ${call}))`);
}

/** Sees only the names in `scope`. */
function compile(scope: Contestant['scope'], source: string): (...args: unknown[]) => Promise<unknown> {
  const make = new Function(...Object.keys(scope), `'use strict'; return ${source};`) as (
    ...values: unknown[]
  ) => (...args: unknown[]) => Promise<unknown>;
  return make(...Object.values(scope));
}
