import { afterThisTurn, STALLED_LOOP_MS } from '../redis/index.js';
import type { LoaderContext } from './entry-options.js';
import { LoadContext, loadScopes } from './loader-run.js';

/** Loads the values of several keys at once, in the order of `missing`. */
export type BatchLoader<T> = (missing: string[], context: LoaderContext) => T[] | Promise<T[]>;

/** Gets one key of a batch: from a tier, or by the loader that it is given. */
type GetOne<T> = (key: string, loader: (context: LoaderContext) => Promise<T>) => Promise<T>;

/**
 * How long a batch waits for its undecided keys, in milliseconds, after the last key was decided. After that they are
 * assumed to wait for another load.
 */
const PATIENCE_MS = 100;

/**
 * Maximum number of keys that are looked up, or stored, at once: a batch of any size leaves room in the queue to Redis
 * for other calls.
 */
const KEYS_AT_ONCE = 2000;

/** Maximum number of keys whose storing begins in one turn of the event loop: more would delay replies. */
const KEYS_PER_TURN = 100;

/** A key that needs a load, and its promise. */
interface Waiting<T> {
  readonly key: string;
  readonly index: number;
  readonly context: LoaderContext;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects the keys of one `getOrSetMany` that need a load, and loads them in one call. Each key takes the path of a
 * single `getOrSet` (L1, flight, Redis, lease), with a loader that only adds the key to the list here. The list is
 * closed, and the batch runs, when every key is either on it or answered. The batch does not wait for keys that wait
 * for another load, of this process or another one: if they need a load after all, they are loaded as a further batch.
 */
export class BatchCollector<T> {
  private waiting: Waiting<T>[] = [];
  /** The outcomes of the keys that were begun, in order. */
  private readonly outcomes: Promise<PromiseSettledResult<T>>[] = [];
  private undecided = 0;
  private maxUndecided = KEYS_AT_ONCE;
  private timer: NodeJS.Timeout | undefined;
  private patienceEndsAtMs = 0;
  private onDecision: () => void = () => {};
  /** Whether the loads of the list would be followed. */
  private isFollowed = false;

  /** @param keys without duplicates */
  constructor(
    private readonly keys: readonly string[],
    private readonly loadMissing: BatchLoader<T>,
    private readonly getOne: GetOne<T>,
    /** The clock is paused while operations queue behind this process's own commands. */
    private readonly deadlineClock: { nowMs(): number },
  ) {}

  /** Gets every key, in order. @throws the batch's own error, the same object */
  async run(): Promise<T[]> {
    try {
      await this.beginAll();
      const results = await Promise.all(this.outcomes);
      return results.map((result) => {
        if (result.status === 'rejected') {
          throw result.reason;
        }
        return result.value;
      });
    } finally {
      clearTimeout(this.timer);
    }
  }

  /**
   * Begins every key, a limited number at a time. A key is decided inside of its loader: the next one is begun outside,
   * or it would count as requested by that loader.
   */
  private async beginAll(): Promise<void> {
    const scope = loadScopes.current;
    for (;;) {
      loadScopes.run(scope, false, () => this.beginMore());
      if (this.outcomes.length === this.keys.length) {
        return;
      }
      await new Promise<void>((resolve) => (this.onDecision = resolve));
    }
  }

  private beginMore(): void {
    while (this.undecided < this.maxUndecided && this.outcomes.length < this.keys.length) {
      this.begin(this.outcomes.length);
    }
    if (this.undecided > 0) {
      this.restartPatience();
    }
  }

  private begin(index: number): void {
    const key = this.keys[index] ?? '';
    let isDecided = false;
    const decide = (): void => {
      if (!isDecided) {
        isDecided = true;
        this.undecided--;
        this.onDecided();
      }
    };
    this.undecided++;
    const getting = this.getOne(key, (context) => {
      const value = new Promise<T>((resolve, reject) => {
        this.waiting.push({ key, index, context, resolve, reject });
        this.isFollowed = ownOf(context)?.joinQueue() === true || this.isFollowed;
      });
      decide();
      return value;
    });
    this.outcomes[index] = getting.then(
      (value) => {
        decide();
        return { status: 'fulfilled', value };
      },
      (reason: unknown) => {
        decide();
        return { status: 'rejected', reason };
      },
    );
  }

  private onDecided(): void {
    if (this.outcomes.length < this.keys.length) {
      this.onDecision();
    } else if (this.undecided === 0) {
      this.flush();
    } else {
      this.restartPatience();
    }
  }

  private restartPatience(): void {
    this.patienceEndsAtMs = this.deadlineClock.nowMs() + PATIENCE_MS;
    this.timer ??= setTimeout(() => this.onTimer(), PATIENCE_MS);
  }

  /** Closes the list if no key was decided within the patience. */
  private onTimer(): void {
    const lateMs = this.deadlineClock.nowMs() - this.patienceEndsAtMs;
    const isOver = lateMs >= 0 && lateMs < STALLED_LOOP_MS;
    this.timer = isOver ? undefined : setTimeout(() => this.onTimer(), lateMs < 0 ? Math.ceil(-lateMs) : PATIENCE_MS);
    if (lateMs >= STALLED_LOOP_MS) {
      // The process was busy: replies for some keys may have arrived, unread.
      this.patienceEndsAtMs = this.deadlineClock.nowMs() + PATIENCE_MS;
    } else if (isOver && this.outcomes.length < this.keys.length) {
      this.maxUndecided += KEYS_AT_ONCE; // keys that wait for other loads do not delay the rest
      this.onDecision();
    } else if (isOver) {
      this.flush();
    }
  }

  private flush(): void {
    const batch = this.waiting;
    if (batch.length > 0) {
      this.waiting = [];
      void this.load(batch);
    }
  }

  /** Runs the loader, then has its values stored, a part after the other; what a stored part needed is released. */
  private async load(batch: Waiting<T>[]): Promise<void> {
    const settle = await this.runLoader(batch);
    for (let from = 0; batch.length > 0; from += KEYS_AT_ONCE) {
      const part = batch.splice(0, KEYS_AT_ONCE);
      for (const [place, entry] of part.entries()) {
        settle(entry, from + place);
        if (place % KEYS_PER_TURN === KEYS_PER_TURN - 1 && place < part.length - 1) {
          await new Promise((resolve) => afterThisTurn(resolve));
        }
      }
      for (const { index } of part) {
        await this.outcomes[index]; // it is stored, or given up
      }
    }
  }

  /** @returns a function that settles a key, given its place in the batch; never rejects */
  private async runLoader(batch: readonly Waiting<T>[]): Promise<(entry: Waiting<T>, place: number) => void> {
    const keys = batch.map(({ key }) => key);
    const contexts = batch.map(({ context }) => context);
    try {
      contexts.forEach((context) => ownOf(context)?.leaveQueue());
      const load = (): T[] | Promise<T[]> => this.loadMissing(keys, contextOfAll(contexts));
      const values = await inScopesOf(contexts, this.isFollowed, load);
      contexts.forEach((context) => ownOf(context)?.enterQueue()); // to be stored, a part after the other
      if (values.length !== keys.length) {
        throw new RangeError(`The batch loader was asked for ${keys.length} values and returned ${values.length}`);
      }
      return ({ resolve }, place) => resolve(values[place] as T);
    } catch (error) {
      return ({ reject }) => reject(error);
    }
  }
}

/**
 * The values of a batch in the order in which its keys were given, with duplicates.
 * @param names the keys without duplicates, and `values` their values
 * @param again makes the value of a duplicate
 */
export function inOrderOf<T>(
  keys: readonly string[],
  names: readonly string[],
  values: T[],
  again: (value: T) => T,
): T[] {
  if (names.length === keys.length) {
    return values;
  }
  const byName = new Map(names.map((name, index) => [name, values[index] as T]));
  const given = new Set<string>();
  return keys.map((name) => {
    const value = byName.get(name) as T;
    const isAgain = given.size === given.add(name).size;
    return isAgain ? again(value) : value;
  });
}

function ownOf(context: LoaderContext): LoadContext | undefined {
  return context instanceof LoadContext ? context : undefined;
}

/**
 * Runs a batch on behalf of all of its keys, so that a request for one of them from inside the loader is recognized as
 * a cycle.
 */
async function inScopesOf<Result>(
  contexts: readonly LoaderContext[],
  mustFollow: boolean,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  const scope = contexts.flatMap((context) => ownOf(context)?.scope ?? []);
  const isFollowed = loadScopes.beginFollowing(mustFollow);
  try {
    return await loadScopes.run(scope, isFollowed, work);
  } finally {
    if (isFollowed) {
      loadScopes.endFollowing();
    }
  }
}

/**
 * The context of a batch loader: its decisions apply to every key of the batch. The signal is made only for a loader
 * that reads it.
 */
function contextOfAll(contexts: readonly LoaderContext[]): LoaderContext {
  let controller: AbortController | undefined;
  const wanted = { loads: 0 };
  contexts.forEach((context) => ownOf(context)?.joinBatch(wanted));
  const sharedController = (): AbortController => {
    if (controller === undefined) {
      controller = new AbortController();
      for (const context of contexts) {
        ownOf(context)?.share(controller);
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
