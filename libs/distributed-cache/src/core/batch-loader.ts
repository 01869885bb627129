import type { CacheKey } from '../keys/index.js';
import { afterThisTurn, STALLED_LOOP_MS } from '../redis/index.js';
import type { LoaderContext } from './entry-options.js';
import type { GroupedLoad, GroupedLoads, GroupListener } from './grouped-loads.js';
import { LoadContext, loadScopes } from './loader-run.js';

/** Loads the values of several keys at once, in the order of `missing`. */
export type BatchLoader<T> = (missing: string[], context: LoaderContext) => T[] | Promise<T[]>;

/** Gets one key of a batch: from a tier, or by the loader that it is given. */
type GetOne<T> = (key: CacheKey, loader: (context: LoaderContext) => Promise<T>) => Promise<T>;

/**
 * How long a batch waits for its undecided keys, in milliseconds, after the last key was decided or looked up. After
 * that they are assumed to wait for another load.
 */
const PATIENCE_MS = 100;

/**
 * Maximum number of keys that are looked up, or stored, at once: a batch of any size leaves room in the queue to Redis
 * for other calls.
 */
const KEYS_AT_ONCE = 2000;

/** Number of keys that are looked up together: their answers are handled in one turn of the event loop. */
const KEYS_PER_LOOKUP = 500;

/** Maximum number of keys on the path of a single call whose storing begins in one turn of the event loop. */
const KEYS_PER_TURN = 100;

/** A key on the path of a single call that needs a load, and its promise. */
interface WaitingCall<T> {
  readonly index: number;
  readonly context: LoaderContext;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Collects the keys of one `getOrSetMany` that need a load, and loads them in one call. As a rule the keys are looked up
 * in groups ({@link GroupedLoads}). A key that L1 has, or that is being loaded, takes the path of a single `getOrSet`
 * instead, with a loader that only adds the key to the list here; and so do all of them where the group can't.
 *
 * The list is closed, and the batch runs, when every key is either on it or answered. The batch does not wait for keys
 * that wait for another load, of this process or another one: if they need a load after all, they are loaded as a further
 * batch.
 */
export class BatchCollector<T> implements GroupListener<T> {
  private readonly values: T[];
  private failure: { readonly index: number; readonly error: unknown } | undefined;
  private missing: GroupedLoad[] = [];
  private waiting: WaitingCall<T>[] = [];
  /** The ends of the calls on the path of a single call, by the place of their key. */
  private readonly ends = new Map<number, Promise<void>>();
  private begun = 0;
  private undecided = 0;
  /** Groups that are being looked up: their keys wait for Redis, and not for another load. */
  private lookUps = 0;
  private unsettled: number;
  private maxUndecided = KEYS_AT_ONCE;
  private timer: NodeJS.Timeout | undefined;
  private patienceEndsAtMs = 0;
  private onDecision: () => void = () => {};
  private onEnd: () => void = () => {};
  /** Whether the loads of the list would be followed. */
  private isFollowed = false;

  /** @param keys without duplicates */
  constructor(
    private readonly keys: readonly CacheKey[],
    private readonly loadMissing: BatchLoader<T>,
    private readonly getOne: GetOne<T>,
    /** Absent where each key takes the path of a single call. */
    private readonly group: GroupedLoads<T> | undefined,
    /** The clock is paused while operations queue behind this process's own commands. */
    private readonly deadlineClock: { nowMs(): number },
  ) {
    this.values = Array.from<T>({ length: keys.length });
    this.unsettled = keys.length;
  }

  /** Gets every key, in order. @throws the error of the first key that has failed: the batch's own, the same object */
  async run(): Promise<T[]> {
    try {
      const ended = new Promise<void>((resolve) => (this.onEnd = resolve));
      await this.beginAll();
      await (this.unsettled > 0 && ended);
      if (this.failure !== undefined) {
        throw this.failure.error;
      }
      return this.values;
    } finally {
      clearTimeout(this.timer);
    }
  }

  onMissing(load: GroupedLoad): void {
    this.missing.push(load);
    this.decide();
  }

  onValue({ index, isWaiting }: GroupedLoad, value: T): void {
    this.settle(index, value);
    if (!isWaiting) {
      this.decide();
    }
  }

  onError({ index, isWaiting }: GroupedLoad, error: unknown): void {
    this.fail(index, error);
    if (!isWaiting) {
      this.decide();
    }
  }

  private settle(index: number, value: T): void {
    this.values[index] = value;
    this.countSettled();
  }

  private fail(index: number, error: unknown): void {
    if (this.failure === undefined || index < this.failure.index) {
      this.failure = { index, error };
    }
    this.countSettled();
  }

  private countSettled(): void {
    this.unsettled--;
    if (this.unsettled === 0) {
      this.onEnd();
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
      if (this.begun === this.keys.length) {
        return;
      }
      await new Promise<void>((resolve) => (this.onDecision = resolve));
    }
  }

  private beginMore(): void {
    let group: GroupedLoad[] = [];
    const lookUp = (): void => {
      if (group.length > 0) {
        this.lookUps++;
        void this.group?.lookUp(group, this).then(() => this.lookUps--);
        group = [];
      }
    };
    while (this.undecided < this.maxUndecided && this.begun < this.keys.length) {
      const index = this.begun++;
      const load = this.group?.begin(index);
      this.undecided++;
      if (load === undefined) {
        this.beginAlone(this.keys[index] ?? '', index);
      } else if (group.push(load) === KEYS_PER_LOOKUP) {
        lookUp();
      }
    }
    lookUp();
    if (this.undecided > 0) {
      this.restartPatience();
    }
  }

  private beginAlone(key: CacheKey, index: number): void {
    let isDecided = false;
    const decide = (): void => {
      if (!isDecided) {
        isDecided = true;
        this.decide();
      }
    };
    const getting = this.getOne(key, (context) => {
      const value = new Promise<T>((resolve, reject) => {
        this.waiting.push({ index, context, resolve, reject });
        this.isFollowed = ownOf(context)?.joinQueue() === true || this.isFollowed;
      });
      decide();
      return value;
    });
    const ending = getting.then(
      (value) => this.settle(index, value),
      (error: unknown) => this.fail(index, error),
    );
    this.ends.set(index, ending.then(decide));
  }

  private decide(): void {
    this.undecided--;
    if (this.begun < this.keys.length) {
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
    const isOver = lateMs >= 0 && lateMs < STALLED_LOOP_MS && this.lookUps === 0;
    this.timer = isOver ? undefined : setTimeout(() => this.onTimer(), lateMs < 0 ? Math.ceil(-lateMs) : PATIENCE_MS);
    if (lateMs >= STALLED_LOOP_MS || this.lookUps > 0) {
      // The process was busy, or Redis is: replies for some keys may have arrived, unread.
      this.patienceEndsAtMs = this.deadlineClock.nowMs() + PATIENCE_MS;
    } else if (isOver && this.begun < this.keys.length) {
      this.maxUndecided += KEYS_AT_ONCE; // keys that wait for other loads do not delay the rest
      this.onDecision();
    } else if (isOver) {
      this.flush();
    }
  }

  private flush(): void {
    const { missing, waiting } = this;
    if (missing.length + waiting.length > 0) {
      this.missing = [];
      this.waiting = [];
      void this.load(
        missing.sort((one, other) => one.index - other.index),
        waiting,
      );
    }
  }

  /** Runs the loader, then has its values stored, a part after the other; what a stored part needed is released. */
  private async load(missing: GroupedLoad[], waiting: WaitingCall<T>[]): Promise<void> {
    const { group } = this;
    const indexes = [...missing, ...waiting].map(({ index }) => index);
    const contexts = waiting.map(({ context }) => context);
    const { length: grouped } = missing;
    let settleGroup: (part: readonly GroupedLoad[], from: number) => Promise<void> | undefined;
    let settleCall: (call: WaitingCall<T>, place: number) => void;
    try {
      const run = await (grouped > 0
        ? group?.run(missing, (own) => this.runLoader(indexes, [own, ...contexts]))
        : undefined);
      const values = run?.values ?? (await this.runLoader(indexes, contexts));
      settleGroup = (part, from) => run && group?.store(run, part, values.slice(from, from + part.length), this);
      settleCall = ({ resolve }, place) => resolve(values[grouped + place] as T);
    } catch (error) {
      settleGroup = (part) => group?.fail(part, error, this);
      settleCall = ({ reject }) => reject(error);
    }
    for (let from = 0; missing.length > 0; from += KEYS_AT_ONCE) {
      await settleGroup(missing.splice(0, KEYS_AT_ONCE), from);
    }
    for (let from = 0; waiting.length > 0; from += KEYS_AT_ONCE) {
      await this.settleCalls(waiting.splice(0, KEYS_AT_ONCE), from, settleCall);
    }
  }

  /** Resolves when the calls have ended: their values are stored, or given up. */
  private async settleCalls(
    calls: readonly WaitingCall<T>[],
    from: number,
    settle: (call: WaitingCall<T>, place: number) => void,
  ): Promise<void> {
    for (const [place, call] of calls.entries()) {
      settle(call, from + place);
      if (place % KEYS_PER_TURN === KEYS_PER_TURN - 1) {
        await new Promise((resolve) => afterThisTurn(resolve));
      }
    }
    await Promise.all(calls.flatMap(({ index }) => this.ends.get(index) ?? []));
  }

  /** @throws what the loader throws, and a RangeError if it returns another number of values */
  private async runLoader(indexes: readonly number[], contexts: readonly LoaderContext[]): Promise<T[]> {
    const keys = indexes.map((index) => String(this.keys[index]));
    contexts.forEach((context) => ownOf(context)?.leaveQueue());
    const load = (): T[] | Promise<T[]> => this.loadMissing(keys, contextOfAll(contexts));
    const values = await inScopesOf(contexts, this.isFollowed, load);
    contexts.forEach((context) => ownOf(context)?.enterQueue()); // to be stored, a part after the other
    if (values.length !== keys.length) {
      throw new RangeError(`The batch loader was asked for ${keys.length} values and returned ${values.length}`);
    }
    return values;
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
