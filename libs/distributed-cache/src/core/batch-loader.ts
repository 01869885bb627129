import type { LoaderContext } from './entry-options.js';
import { LoadContext } from './load-context.js';

/** Makes the values of several keys at once, in the order of `missing`. */
export type BatchLoader<T> = (missing: string[], context: LoaderContext) => T[] | Promise<T[]>;

/** How one key of a batch is got: from a tier, or by the loader that it hands in. */
export type GetOne<T> = (key: string, loader: (context: LoaderContext) => Promise<T>) => Promise<T>;

/** So long a batch waits for keys that another process is loading, before it loads the others. */
const PATIENCE_MS = 100;

/** A key that needs a load, and whom to tell. */
interface Waiting<T> {
  readonly context: LoaderContext;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects the keys of one `getOrSetMany` that turn out to need a load and loads them in one go. Each key goes the way of a
 * single `getOrSet` (L1, flight, Redis, lease); the loader that it gets there only puts it on this list. The list is closed, and
 * the batch runs, when every key is either on it or answered; keys that wait for another process's load are not waited
 * for: should they need a load after all, they are loaded as a second batch.
 */
export class BatchCollector<T> {
  private readonly waiting = new Map<string, Waiting<T>>();
  private timer: NodeJS.Immediate | undefined;
  private undecided: number;

  constructor(
    private readonly keys: readonly string[],
    private readonly loadMissing: BatchLoader<T>,
  ) {
    this.undecided = keys.length;
  }

  /** Gets every key, in order. @throws the batch's own error, the same object */
  async run(getOne: GetOne<T>): Promise<T[]> {
    const patience = setTimeout(() => this.flush(), PATIENCE_MS);
    try {
      const results = await Promise.allSettled(
        this.keys.map(async (key) => {
          let isDecided = false;
          const decide = (): void => {
            if (!isDecided) {
              isDecided = true;
              this.onDecided();
            }
          };
          try {
            return await getOne(key, (context) => {
              const value = this.add(key, context);
              decide();
              return value;
            });
          } finally {
            decide();
          }
        }),
      );
      return results.map((result) => {
        if (result.status === 'rejected') {
          throw result.reason;
        }
        return result.value;
      });
    } finally {
      clearTimeout(patience);
    }
  }

  private add(key: string, context: LoaderContext): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.set(key, { context, resolve, reject });
      if (this.undecided <= 0) {
        this.flushSoon(); // a late one, after the others
      }
    });
  }

  private onDecided(): void {
    this.undecided--;
    if (this.undecided === 0) {
      this.flush();
    }
  }

  private flushSoon(): void {
    this.timer ??= setImmediate(() => this.flush());
  }

  private flush(): void {
    this.timer = undefined;
    if (this.undecided > 0) {
      this.undecided = 0; // patience is at an end: those that are still waiting come as a second batch
    }
    if (this.waiting.size > 0) {
      const batch = new Map(this.waiting);
      this.waiting.clear();
      void this.load(batch);
    }
  }

  private async load(batch: ReadonlyMap<string, Waiting<T>>): Promise<void> {
    const keys = [...batch.keys()];
    try {
      const values = await this.loadMissing(keys, contextOfAll([...batch.values()].map(({ context }) => context)));
      if (values.length !== keys.length) {
        throw new RangeError(`The batch loader was asked for ${keys.length} values and returned ${values.length}`);
      }
      keys.forEach((key, index) => batch.get(key)?.resolve(values[index] as T));
    } catch (error) {
      for (const { reject } of batch.values()) {
        reject(error);
      }
    }
  }
}

/** What the batch loader decides holds for every key of its batch. Its signal is made only for a loader that looks at it. */
function contextOfAll(contexts: readonly LoaderContext[]): LoaderContext {
  let controller: AbortController | undefined;
  const sharedController = (): AbortController => {
    if (controller === undefined) {
      controller = new AbortController();
      for (const context of contexts) {
        if (context instanceof LoadContext) {
          context.share(controller);
        }
      }
    }
    return controller;
  };
  return {
    get signal() {
      return sharedController().signal;
    },
    setTtl: (ttl) => contexts.forEach((context) => context.setTtl(ttl)),
    addTags: (...tags) => contexts.forEach((context) => context.addTags(...tags)),
    skip: () => contexts.forEach((context) => context.skip()),
  };
}
