import { AsyncLocalStorage } from 'node:async_hooks';
import { LoadCycleError, LoaderTimeoutError } from '../errors/index.js';
import type { LoaderOutcome } from '../events/index.js';
import { toMs, type Duration } from '../config/index.js';
import type { Clock } from '../local/index.js';
import { type Loader, type LoaderContext, tagNames } from './entry-options.js';

/**
 * Runs a loader within `hardTimeout` and measures it.
 * @param spentMs the part of `hardTimeout` that was spent before, waiting for another process's load
 * @param onEnd receives how long the loader took, in milliseconds, and how it ended
 */
export async function runTimed<T>(
  loader: Loader<T>,
  context: LoadContext,
  hardTimeout: Duration | undefined,
  spentMs: number,
  clock: Clock,
  onEnd: (durationMs: number, outcome: LoaderOutcome) => void,
): Promise<T> {
  const startedAtMs = clock.nowMs();
  let hasFailed = true;
  context.isFollowed = loadScopes.beginFollowing();
  try {
    const run = (): T | Promise<T> => loadScopes.run(context.scope, context.isFollowed, () => loader(context));
    const value = await (hardTimeout === undefined ? run() : runWithin(run, context, toMs(hardTimeout), spentMs));
    hasFailed = false;
    return value;
  } finally {
    context.end();
    if (context.isFollowed) {
      loadScopes.endFollowing();
    }
    onEnd(clock.nowMs() - startedAtMs, hasFailed ? (context.abortedBy === undefined ? 'error' : 'timeout') : 'ok');
  }
}

/** Runs a loader, at most for `hardTimeoutMs`. Then its signal is aborted, and its result is no longer waited for. */
async function runWithin<T>(
  run: () => T | Promise<T>,
  context: LoadContext,
  hardTimeoutMs: number,
  spentMs: number,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => {
        const error = new LoaderTimeoutError(hardTimeoutMs);
        reject(error); // first: a loader that reacts to its signal fails with another error
        context.abort(error);
      },
      Math.max(1, hardTimeoutMs - spentMs),
    );
  });
  try {
    return await Promise.race([run(), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** The context of one loader run, and the decisions that the loader made through it. */
export class LoadContext implements LoaderContext {
  /** The TTL that the loader set by `setTtl`. */
  chosenTtl: Duration | undefined;
  /** The tags that the loader added by `addTags`, encoded. */
  addedTags: readonly string[] = [];
  /** Whether the loader called `skip`. */
  isSkipped = false;

  /** The error with which the loader was given up. */
  abortedBy: LoaderTimeoutError | undefined;
  /** Whether calls of the loader are recognized as its own also after its first `await`. */
  isFollowed = false;

  private controller: AbortController | undefined;
  private hasEnded = false;
  private isAbandoned = false;
  /** The loads that this run is for and that are waited for: several in a batch. */
  private wanted = { loads: 1 };

  constructor(
    private readonly signals: LoadSignals,
    readonly stale: unknown,
    readonly scope: LoadScope = [],
  ) {}

  /** The signal of this run; made only for a loader that reads it. */
  get signal(): AbortSignal {
    return (this.controller ?? this.use(new AbortController())).signal;
  }

  /**
   * Makes this run one for several loads: it is abandoned when all of them are.
   * @param wanted the count of those that are waited for
   */
  joinBatch(wanted: { loads: number }): void {
    this.wanted = wanted;
    wanted.loads += this.isAbandoned ? 0 : 1;
  }

  /**
   * Replaces this load's signal by that of `shared`, which several loads have: a batch is one run for all of its keys.
   */
  share(shared: AbortController): void {
    if (this.controller?.signal.aborted === true && (!this.isAbandoned || this.wanted.loads === 0)) {
      shared.abort(this.controller.signal.reason);
    }
    this.use(shared);
  }

  abort(reason: LoaderTimeoutError): void {
    this.abortedBy = reason;
    this.controller ??= new AbortController();
    this.end();
    this.controller.abort(reason);
  }

  /** No call waits for the load any more. The signal is aborted when that is so for all loads of the run. */
  abandon(reason: unknown): void {
    this.isAbandoned = true;
    this.wanted.loads--;
    if (this.wanted.loads === 0) {
      this.controller ??= new AbortController();
      this.end();
      this.controller.abort(reason);
    }
  }

  /** Ends the run: the loader has returned, thrown or been given up, and its signal is not aborted later. */
  end(): void {
    this.hasEnded = true;
    if (this.controller !== undefined) {
      this.signals.remove(this.controller);
    }
  }

  /** The load waits for the others of its batch: the time until {@link leaveQueue} does not count as its loader's. */
  enterQueue(): void {
    this.scope.forEach((load) => load.enterQueue());
  }

  /** The loader of the batch begins. */
  leaveQueue(): void {
    this.scope.forEach((load) => load.leaveQueue());
  }

  // These are fields, because a loader may destructure its context: `({ skip }) => ...`.
  readonly setTtl = (ttl: Duration): void => {
    this.chosenTtl = ttl;
  };

  readonly addTags = (...tags: string[]): void => {
    this.addedTags = [...this.addedTags, ...tagNames(tags)];
  };

  readonly skip = (): void => {
    this.isSkipped = true;
  };

  private use(controller: AbortController): AbortController {
    this.controller = controller;
    if (!this.hasEnded) {
      this.signals.add(controller);
    }
    return controller;
  }
}

/**
 * The signals of the loads under way whose loaders have read them; all are aborted when the cache closes. A signal that
 * follows another (`AbortSignal.any`) stays registered with it for the life of the other, here the cache's. So the
 * signals are kept in a set, and removed when their load ends.
 */
export class LoadSignals {
  private readonly controllers = new Set<AbortController>();

  constructor(private readonly closing: AbortSignal) {
    closing.addEventListener('abort', () => this.abortAll(), { once: true });
  }

  /** Number of signals. */
  get size(): number {
    return this.controllers.size;
  }

  add(controller: AbortController): void {
    if (this.closing.aborted) {
      controller.abort(this.closing.reason);
    } else {
      this.controllers.add(controller);
    }
  }

  remove(controller: AbortController): void {
    this.controllers.delete(controller);
  }

  private abortAll(): void {
    const controllers = [...this.controllers];
    this.controllers.clear();
    for (const controller of controllers) {
      controller.abort(this.closing.reason);
    }
  }
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

/** A load that other loads may wait for. */
export interface WaitedLoad {
  /** `namespace:key`, for an error message. */
  readonly label: string;
  /** The time since when its loader runs, or it waits for another process's load; `undefined`: neither. */
  readonly loadingSinceMs: number | undefined;
  readonly waitsFor: ReadonlySet<WaitedLoad> | undefined;
  waitFor(load: WaitedLoad): void;
  endWaitFor(load: WaitedLoad): void;
  /** The load waits for the others of its batch, until {@link leaveQueue}. */
  enterQueue(): void;
  leaveQueue(): void;
}

/** The loads on whose behalf a loader runs: one, or all the keys of a batch. */
type LoadScope = readonly WaitedLoad[];

export const loadScopes = new FollowedScope<LoadScope>();

/**
 * Records that a loader of `scope` waits for `load`.
 * @returns a function that ends the wait
 * @throws LoadCycleError if `load` itself waits for a load of this scope, directly or through others
 */
export function recordWait(scope: LoadScope, load: WaitedLoad): () => void {
  const waiting = scope.filter(({ loadingSinceMs }) => loadingSinceMs !== undefined);
  const path = pathTo(waiting, load, new Set());
  if (path !== undefined) {
    const labels = path.map(({ label }) => label);
    throw new LoadCycleError([...labels, load.label]);
  }
  for (const each of waiting) {
    each.waitFor(load);
  }
  return () => waiting.forEach((each) => each.endWaitFor(load));
}

function pathTo(targets: LoadScope, from: WaitedLoad, seen: Set<WaitedLoad>): WaitedLoad[] | undefined {
  if (targets.includes(from)) {
    return [from];
  }
  seen.add(from);
  for (const next of from.waitsFor ?? []) {
    const rest = seen.has(next) ? undefined : pathTo(targets, next, seen);
    if (rest !== undefined) {
      return [from, ...rest];
    }
  }
  return undefined;
}
