import { type AsyncCache, Binding, type CacheKey, type DistributedCache } from '../../core/index.js';
import { ScopedValue } from '../../scope/index.js';

interface RunningLoad {
  readonly cache: AsyncCache;
  readonly key: string;
  readonly outer: RunningLoad | undefined;
  isRunning: boolean;
}

/**
 * The loads of decorated methods that run in one application. A call that is part of a load of its own key must run its
 * method: otherwise it would wait for itself. An override that calls `super.find()` is such a call, when both methods
 * have the same `key` option.
 */
export class RunningLoads {
  private readonly innermost = new ScopedValue<RunningLoad>();
  /** While it is 0, which is usual and cheap to check, no call is part of a load. */
  private count = 0;

  /** Whether the current call is part of a load of this key. */
  includes(cache: AsyncCache, key: CacheKey): boolean {
    if (this.count === 0) {
      return false;
    }
    const name = String(key);
    for (let load = this.innermost.current; load !== undefined; load = load.outer) {
      if (load.isRunning && load.key === name && load.cache === cache) {
        return true;
      }
    }
    return false;
  }

  /** Runs the method as the load of a key. Work that it leaves running (a timer, a socket) is not part of the load. */
  async run<Result>(cache: AsyncCache, key: CacheKey, method: () => Promise<Result>): Promise<Result> {
    const load: RunningLoad = { cache, key: String(key), outer: this.innermost.current, isRunning: true };
    this.count++;
    try {
      return await this.innermost.run(load, method);
    } finally {
      load.isRunning = false;
      this.count--;
    }
  }
}

/** The running loads of an application. */
export const RUNNING_LOADS = new Binding((_application: DistributedCache) => new RunningLoads());
