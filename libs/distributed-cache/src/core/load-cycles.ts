import { LoadCycleError } from '../errors/index.js';
import { FollowedScope } from '../scope/index.js';

/** A load that other loads may wait for. */
export interface WaitedLoad {
  /** `namespace:key`, for an error message. */
  readonly label: string;
  /** The time since when its loader runs, or it waits for another process's load; `undefined`: neither. */
  readonly loadingSinceMs: number | undefined;
  /** The loads that its loader waits for. */
  readonly waitsFor: ReadonlySet<WaitedLoad> | undefined;
  waitFor(load: WaitedLoad): void;
  endWaitFor(load: WaitedLoad): void;
  /** The load waits for the others of its batch, until {@link leaveQueue}. */
  enterQueue(): void;
  leaveQueue(): void;
}

/** The loads on whose behalf a loader runs: one, or all the keys of a batch. */
export type LoadScope = readonly WaitedLoad[];

export const loadScopes = new FollowedScope<LoadScope>();

/**
 * Records that a loader of `scope` waits for `load`.
 * @returns a function that ends the wait
 * @throws LoadCycleError if `load` itself waits for a load of this scope, directly or through others
 */
export function beginWait(scope: LoadScope, load: WaitedLoad): () => void {
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
