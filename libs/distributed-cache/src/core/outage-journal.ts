import { entryKeysOf } from '../keys/index.js';
import type { PendingInvalidations, PendingStamp } from '../redis/index.js';
import { INVALIDATED_MS, newStamp } from './stamps.js';

/**
 * Maximum number of pending keys, or tags, of one namespace; more become one `clear` of it, which costs all processes
 * their entries. A key takes up to 100 bytes of the heap beside its text, a tag up to 250.
 */
const MAX_PER_NAMESPACE = 100_000;
/** Number of invalidations that one call of `send` carries: one round trip with a deadline of its own. */
const SLICE = 500;
/** The precision, in milliseconds, with which two processes know the server's clock. */
const CLOCK_ERROR_MS = 100;

/** The clocks that the journal needs. */
interface JournalClock {
  /** The time of this process. */
  nowMs(): number;
  serverNowMs(key: string): number;
  /** The latest time that this server's clock may show. */
  latestServerNowMs(key: string): number;
  readonly roundTripMs: number;
}

/** A new stamp that Redis has not acknowledged yet. */
interface PendingChange {
  /** As of a key, see {@link Pending}. */
  readonly number: number;
  /** The stamp that was sent when the change was requested, and may be in place; empty when none was sent. */
  readonly attempted: string;
  readonly isTag: boolean;
  /** The stamp that the replay sends, the same at each attempt. */
  stamp: string | undefined;
  /** When the change was requested, by the clock of this process. */
  readonly atMs: number;
  /**
   * The same moment by the clock of the server. When the difference of the clocks is another one later, the server is
   * another one, or its clock was set.
   */
  readonly serverAtMs: number;
}

interface Pending {
  /**
   * The deletions, by full name of the key: their sequence numbers. Each {@link OutageJournal.addKey} assigns a higher
   * one, and a write that was sent earlier does not remove a deletion with a higher number.
   */
  readonly keys: Map<string, number>;
  /** By full name of the key of the tag's stamp. */
  readonly tags: Map<string, PendingChange>;
  clear: PendingChange | undefined;
}

/** One step of a replay: a deletion, or the `change` of a stamp. */
interface Step {
  readonly pending: Pending;
  readonly key: string;
  readonly number: number;
  readonly change: PendingChange | undefined;
}

/**
 * The invalidations that Redis has not acknowledged: deletions of keys, and new stamps of tags and namespaces. A write
 * without an answer, and a `set` that reached only L1, are recorded as a deletion of the key. The journal keeps the last
 * invalidation per key, with a limit per namespace.
 *
 * The owner replays the journal on recovery, before Redis is read again. An invalidation may be replayed twice: the only
 * effect is that values are loaded again.
 *
 * A new stamp is stored only if the present one is older than the request for it. So after an outage the first of many
 * processes clears the namespace, and the others find that done.
 */
export class OutageJournal {
  private readonly byNamespace = new Map<string, Pending>();
  private lastNumber = 0;
  private count = 0;
  /** How often the pending invalidations of a namespace have become one `clear`, because they were too many. */
  overflows = 0;

  constructor(
    private readonly clock: JournalClock,
    /** Called when the pending invalidations of a namespace become one `clear`, with the key of its stamp. */
    private readonly onOverflow: (clearStampKey: string) => void = () => {},
  ) {}

  /** Number of pending invalidations. */
  get size(): number {
    return this.count;
  }

  /**
   * Adds the deletion of a key.
   * @param clearStampKey the key of the namespace's stamp. Beyond the limit, one `clear` replaces all that is pending
   */
  addKey(clearStampKey: string, valueKey: string): void {
    const pending = this.pendingOf(clearStampKey);
    this.count += pending.keys.has(valueKey) ? 0 : 1;
    pending.keys.set(valueKey, ++this.lastNumber);
    if (pending.keys.size > MAX_PER_NAMESPACE) {
      this.overflow(clearStampKey);
    }
  }

  /**
   * Adds the invalidation of a tag.
   * @param tagStampKey the key of the stamp that is to be replaced
   * @param attempted the stamp that may be in place already
   */
  addTag(clearStampKey: string, tagStampKey: string, attempted = ''): void {
    const pending = this.pendingOf(clearStampKey);
    this.count += pending.tags.has(tagStampKey) ? 0 : 1;
    pending.tags.set(tagStampKey, this.changeOf(tagStampKey, attempted, true));
    if (pending.tags.size > MAX_PER_NAMESPACE) {
      this.overflow(clearStampKey);
    }
  }

  private overflow(clearStampKey: string): void {
    this.overflows++;
    this.addClear(clearStampKey);
    this.onOverflow(clearStampKey);
  }

  /**
   * Adds a `clear` of the namespace. It replaces everything that the namespace has pending; later invalidations are
   * kept beside it.
   * @param attempted as in {@link addTag}
   */
  addClear(clearStampKey: string, attempted = ''): void {
    const pending = this.pendingOf(clearStampKey);
    this.count -= pending.keys.size + pending.tags.size + (pending.clear === undefined ? 0 : 1);
    pending.keys.clear();
    pending.tags.clear();
    pending.clear = this.changeOf(clearStampKey, attempted, false);
    this.count++;
  }

  /** Whether a deletion of this key, or a `clear` of its namespace, is pending. */
  covers(clearStampKey: string, valueKey: string): boolean {
    const pending = this.byNamespace.get(clearStampKey);
    return pending !== undefined && (pending.clear !== undefined || pending.keys.has(valueKey));
  }

  /** Whether the invalidation of this tag is pending. A pending `clear` does not count. */
  coversTag(clearStampKey: string, tagStampKey: string): boolean {
    return this.byNamespace.get(clearStampKey)?.tags.has(tagStampKey) === true;
  }

  /** The sequence number of the last deletion that was added, for {@link settleKey}. */
  get position(): number {
    return this.lastNumber;
  }

  /**
   * Removes the pending deletion of a key: a write or deletion of the key that was sent at `position` has been
   * acknowledged. It covers what was pending then, and nothing later.
   */
  settleKey(clearStampKey: string, valueKey: string, position: number): void {
    const pending = this.byNamespace.get(clearStampKey);
    const added = pending?.keys.get(valueKey);
    if (pending !== undefined && added !== undefined && added <= position) {
      this.drop(pending.keys, valueKey);
      this.dropIfEmpty(clearStampKey, pending);
    }
  }

  /**
   * Sends the pending invalidations in slices, also those that are added meanwhile, until each that `isSelected`
   * accepts has been sent.
   * @param send resolves with whether the slice is done; if not, it stays pending
   * @param isSelected selects invalidations by the full name of a value's or a stamp's key; default: all
   * @throws what `send` throws; the slice and those after it then stay pending
   */
  async replay(
    send: (pending: PendingInvalidations) => Promise<boolean>,
    isSelected: (key: string) => boolean = () => true,
  ): Promise<void> {
    const kept = new Set<number>();
    for (let hasSent = true; hasSent;) {
      hasSent = false;
      for (const slice of this.slices((step) => isSelected(step.key) && !kept.has(step.number))) {
        hasSent = true;
        const isDone = await send(this.invalidationsOf(slice));
        slice.forEach((step) => (isDone ? this.settle(step) : kept.add(step.number)));
      }
      for (const [clearStampKey, pending] of this.byNamespace) {
        this.dropIfEmpty(clearStampKey, pending);
      }
    }
  }

  /** What is pending now, and what is added while the slices are sent. */
  private *slices(isSelected: (step: Step) => boolean): Generator<readonly Step[]> {
    let slice: Step[] = [];
    for (const step of this.steps()) {
      if (isSelected(step) && slice.push(step) === SLICE) {
        yield slice;
        slice = [];
      }
    }
    if (slice.length > 0) {
      yield slice;
    }
  }

  /** The steps of a replay. Clears come first: one of them invalidates a whole namespace. */
  private *steps(): Generator<Step> {
    for (const [key, pending] of this.byNamespace) {
      const { clear: change } = pending;
      if (change !== undefined) {
        yield { pending, key, number: change.number, change };
      }
    }
    for (const pending of this.byNamespace.values()) {
      for (const [key, change] of pending.tags) {
        yield { pending, key, number: change.number, change };
      }
      for (const [key, number] of pending.keys) {
        yield { pending, key, number, change: undefined };
      }
    }
  }

  private invalidationsOf(slice: readonly Step[]): PendingInvalidations {
    const stamps = new Map<string, PendingStamp>();
    for (const { key, change } of slice) {
      if (change !== undefined) {
        stamps.set(key, this.stampOf(key, change));
      }
    }
    return { entries: slice.flatMap(({ key, change }) => (change === undefined ? [entryKeysOf(key)] : [])), stamps };
  }

  private stampOf(stampKey: string, change: PendingChange): PendingStamp {
    const { clock } = this;
    const { atMs, serverAtMs, attempted } = change;
    const serverNowMs = clock.serverNowMs(stampKey);
    const requestedAtMs = serverNowMs - (clock.nowMs() - atMs); // by the present clock of the server
    // A stamp from before a failover may go by another clock: the difference between the two is added to the margin.
    const marginMs = CLOCK_ERROR_MS + clock.roundTripMs + Math.abs(requestedAtMs - serverAtMs);
    change.stamp ??= newStamp(clock.latestServerNowMs(stampKey));
    const lifeMs = change.isTag ? INVALIDATED_MS : undefined;
    return { stamp: change.stamp, lifeMs, doneFromMs: Math.ceil(requestedAtMs + marginMs), attempted };
  }

  /** Removes a step that is done, unless the invalidation has been repeated meanwhile. */
  private settle({ pending, key, number, change }: Step): void {
    if (change === undefined) {
      if (pending.keys.get(key) === number) {
        this.drop(pending.keys, key);
      }
    } else if (pending.tags.get(key) === change) {
      this.drop(pending.tags, key);
    } else if (pending.clear === change) {
      pending.clear = undefined;
      this.count--;
    }
  }

  private drop(from: Map<string, unknown>, name: string): void {
    if (from.delete(name)) {
      this.count--;
    }
  }

  private dropIfEmpty(clearStampKey: string, { keys, tags, clear }: Pending): void {
    if (keys.size === 0 && tags.size === 0 && clear === undefined) {
      this.byNamespace.delete(clearStampKey);
    }
  }

  private changeOf(stampKey: string, attempted: string, isTag: boolean): PendingChange {
    return {
      number: ++this.lastNumber,
      attempted,
      isTag,
      stamp: undefined,
      atMs: this.clock.nowMs(),
      serverAtMs: this.clock.serverNowMs(stampKey),
    };
  }

  private pendingOf(clearStampKey: string): Pending {
    let pending = this.byNamespace.get(clearStampKey);
    if (pending === undefined) {
      pending = { keys: new Map(), tags: new Map(), clear: undefined };
      this.byNamespace.set(clearStampKey, pending);
    }
    return pending;
  }
}
