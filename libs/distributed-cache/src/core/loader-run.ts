import { toMs, type Duration } from '../config/index.js';
import { LoaderTimeoutError } from '../errors/index.js';
import type { Clock } from '../local/index.js';
import type { Loader } from './entry-options.js';
import type { LoadContext } from './load-context.js';
import { loadScopes } from './load-cycles.js';

/** Runs a loader, at most for `hardTimeoutMs`. Then its signal is aborted, and its result is no longer waited for. */
async function runLoader<T>(
  loader: Loader<T>,
  context: LoadContext,
  hardTimeoutMs: number | undefined,
  spentMs: number,
): Promise<T> {
  const run = (): T | Promise<T> => loadScopes.run(context.scope, context.isFollowed, () => loader(context));
  if (hardTimeoutMs === undefined) {
    return run();
  }
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

/**
 * Runs a loader within `hardTimeout` and measures it.
 * @param spentMs the part of `hardTimeout` that was spent before, waiting for another process's load
 * @param onEnd receives how long the loader took, in milliseconds, and whether it failed
 */
export async function runTimed<T>(
  loader: Loader<T>,
  context: LoadContext,
  hardTimeout: Duration | undefined,
  spentMs: number,
  clock: Clock,
  onEnd: (durationMs: number, hasFailed: boolean) => void,
): Promise<T> {
  const startedAtMs = clock.nowMs();
  let hasFailed = true;
  context.isFollowed = loadScopes.beginFollowing();
  try {
    const value = await runLoader(loader, context, hardTimeout === undefined ? undefined : toMs(hardTimeout), spentMs);
    hasFailed = false;
    return value;
  } finally {
    context.end();
    if (context.isFollowed) {
      loadScopes.endFollowing();
    }
    onEnd(clock.nowMs() - startedAtMs, hasFailed);
  }
}

/** Waits for `work`, no longer than `limitMs`. @returns `undefined` if it takes longer; the work goes on then */
export async function withinTime<Result>(work: Promise<Result>, limitMs: number): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, limitMs, undefined);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}
