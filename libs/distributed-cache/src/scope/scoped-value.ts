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

/** Whether an `AsyncLocalStorage` is free: from Node 24 on it costs the promises of the process nothing. */
const IS_FREE = Number(process.versions.node.split('.')[0]) >= 24;

/**
 * The number of pieces of work in a process that are always followed: a mistake in the code shows at the first ones.
 */
const FOLLOWED_ANYWAY = 128;

/**
 * A value that belongs to a piece of work. It is always available in the synchronous part of the work, and in its
 * asynchronous part when the work is *followed*. Before Node 24, to follow one piece of work makes every promise of the
 * process more expensive while it runs (two to three times the processor time of a bare `await`). So there only the
 * first ones are followed, and those after a {@link suspect}. When none runs there is no cost.
 */
export class FollowedScope<Value> {
  private readonly storage = new AsyncLocalStorage<Value>();
  private inSynchronousPart: Value | undefined;
  private following = 0;
  private left: number;
  private suspectUntilMs = -Infinity;

  constructor(
    private readonly isFree = IS_FREE,
    followedAnyway = FOLLOWED_ANYWAY,
  ) {
    this.left = followedAnyway;
  }

  get current(): Value | undefined {
    return this.inSynchronousPart ?? (this.following > 0 ? this.storage.getStore() : undefined);
  }

  /** Makes all work that begins within this time be followed. @param forMs in milliseconds */
  suspect(forMs: number): void {
    this.suspectUntilMs = performance.now() + forMs;
  }

  /** Decides whether work that begins now is followed; if so, {@link endFollowing} must be called when it has ended. */
  beginFollowing(): boolean {
    const isFollowed = this.isFree || this.left > 0 || performance.now() < this.suspectUntilMs;
    if (isFollowed) {
      this.left--;
      this.following++;
    }
    return isFollowed;
  }

  endFollowing(): void {
    this.following--;
    if (this.following === 0 && !this.isFree) {
      this.storage.disable(); // until the next use no promise carries a context
    }
  }

  run<Result>(value: Value, isFollowed: boolean, work: () => Result): Result {
    const outer = this.inSynchronousPart;
    this.inSynchronousPart = value;
    try {
      return isFollowed ? this.storage.run(value, work) : work();
    } finally {
      this.inSynchronousPart = outer;
    }
  }
}
