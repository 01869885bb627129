import { AsyncLocalStorage } from 'node:async_hooks';

/** Runs work in the asynchronous context of another time. */
export type RunInContext = <Result>(work: () => Result) => Result;

/** Captures the asynchronous context of now. Only work that is run in it later costs anything. */
export function captureContext(): RunInContext {
  return AsyncLocalStorage.snapshot();
}

/** One value of one {@link ScopedValue}. A chain holds at most one frame of each. */
interface Frame {
  readonly of: ScopedValue<unknown>;
  readonly value: unknown;
  readonly outer: Frame | undefined;
}

const frames = new AsyncLocalStorage<Frame>();

/**
 * A value that follows a call through all asynchronous steps, separately for each call. It works as an
 * `AsyncLocalStorage`, but all scoped values share one: before Node 24 each storage in use costs time for every promise
 * of the process.
 */
export class ScopedValue<Value> {
  get current(): Value | undefined {
    return frameOf(frames.getStore(), this)?.value as Value | undefined;
  }

  /** Runs `work`, and everything it starts, with this value. */
  run<Result>(value: Value, work: () => Result): Result {
    return frames.run({ of: this, value, outer: without(frames.getStore(), this) }, work);
  }
}

function frameOf(frame: Frame | undefined, of: ScopedValue<unknown>): Frame | undefined {
  return frame === undefined || frame.of === of ? frame : frameOf(frame.outer, of);
}

/**
 * The chain without the frame that the new one hides: a job that starts itself again from within its own scope would
 * otherwise keep the frames of all its runs.
 */
function without(frame: Frame | undefined, of: ScopedValue<unknown>): Frame | undefined {
  if (frame === undefined || frame.of === of) {
    return frame?.outer;
  }
  const outer = without(frame.outer, of);
  return outer === frame.outer ? frame : { ...frame, outer };
}
