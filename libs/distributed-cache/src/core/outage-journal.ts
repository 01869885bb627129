import type { EntryKeys, PendingInvalidations, PendingStamp } from '../redis/index.js';
import { INVALIDATED_MS, newStamp } from './stamp-book.js';

/** More keys, or more tags, of one namespace than this become one `clear` of it. */
const MAX_PER_NAMESPACE = 10_000;
/**
 * As many of what a full queue has refused while Redis serves: a clear would take the entries of others away on a healthy Redis, and
 * the journal empties itself within a second or so.
 */
const MAX_WHILE_SERVING = 100_000;
/** So many invalidations are replayed at once: one round trip with a deadline of its own, after which others get their turn. */
const SLICE = 250;
/** Two processes know the server's clock only so well. */
const CLOCK_ERROR_MS = 100;

/** What the journal needs to know of Redis. */
export interface JournalClock {
  /** Whether Redis can be used. */
  readonly isServing: boolean;
  /** This process's clock. */
  nowMs(): number;
  /** The clock of the server that has this key. */
  serverNowMs(key: string): number;
  /** The latest time that it may show. */
  latestServerNowMs(key: string): number;
  readonly roundTripMs: number;
}

interface PendingKey {
  readonly keys: EntryKeys;
  /** Moves with each new invalidation, so that an older replay can't remove a newer one. */
  readonly number: number;
}

/** A new stamp that Redis has yet to be told. */
interface PendingChange {
  /** What was sent when it was asked for, and may be in place; empty: nothing. */
  readonly attempted: string;
  readonly isTag: boolean;
  /** What the replay sends, each time again. */
  stamp: string | undefined;
  readonly atMs: number;
  /** The server's clock at that moment; another offset later: there is another server, or its clock was set. */
  readonly serverAtMs: number;
}

interface Pending {
  /** By full name of the value. */
  readonly keys: Map<string, PendingKey>;
  /** By full name of the tag's stamp. */
  readonly tags: Map<string, PendingChange>;
  clear: PendingChange | undefined;
}

/** One step of a replay. */
type Step =
  | { readonly pending: Pending; readonly entry: PendingKey }
  | { readonly pending: Pending; readonly stampKey: string; readonly change: PendingChange };

/**
 * What Redis was to forget and has not acknowledged: a deletion, tag invalidation or `clear` during an outage, a write whose
 * answer never came, a `set` that only this process has. The last per key is kept, bounded per namespace, and replayed on
 * recovery, in slices, before Redis is read again. A replay that is repeated does no harm: at worst a value is loaded once more.
 *
 * A new stamp is put in place only if the one that is there is older than the request for it: after an outage the first of
 * many processes clears the namespace, and the others find that done.
 */
export class OutageJournal {
  private readonly byNamespace = new Map<string, Pending>();
  private lastNumber = 0;
  private count = 0;

  constructor(private readonly clock: JournalClock) {}

  /** Invalidations waiting. */
  get size(): number {
    return this.count;
  }

  /** @param clearStampKey the namespace's stamp, which stands for all its keys when there are too many */
  addKey(clearStampKey: string, keys: EntryKeys): void {
    const pending = this.pendingOf(clearStampKey);
    this.count += pending.keys.has(keys.valueKey) ? 0 : 1;
    pending.keys.set(keys.valueKey, { keys, number: ++this.lastNumber });
    if (pending.keys.size > this.mostPerNamespace) {
      this.addClear(clearStampKey);
    }
  }

  /**
   * @param tagStampKey the stamp that is to be replaced
   * @param attempted the stamp that may be in place already
   */
  addTag(clearStampKey: string, tagStampKey: string, attempted = ''): void {
    const pending = this.pendingOf(clearStampKey);
    this.count += pending.tags.has(tagStampKey) ? 0 : 1;
    pending.tags.set(tagStampKey, this.changeOf(tagStampKey, attempted, true));
    if (pending.tags.size > this.mostPerNamespace) {
      this.addClear(clearStampKey);
    }
  }

  /** Stands for all that the namespace has waiting; what is added later is kept beside it. @param attempted as in {@link addTag} */
  addClear(clearStampKey: string, attempted = ''): void {
    const pending = this.pendingOf(clearStampKey);
    this.count -= pending.keys.size + pending.tags.size + (pending.clear === undefined ? 0 : 1);
    pending.keys.clear();
    pending.tags.clear();
    pending.clear = this.changeOf(clearStampKey, attempted, false);
    this.count++;
  }

  private get mostPerNamespace(): number {
    return this.clock.isServing ? MAX_WHILE_SERVING : MAX_PER_NAMESPACE;
  }

  /** Whether Redis may hold a value for this key that it was to forget. */
  covers(clearStampKey: string, valueKey: string): boolean {
    const pending = this.byNamespace.get(clearStampKey);
    return pending !== undefined && (pending.clear !== undefined || pending.keys.has(valueKey));
  }

  /** Whether Redis has yet to hear that this tag is invalid. */
  coversTag(clearStampKey: string, tagStampKey: string): boolean {
    return this.byNamespace.get(clearStampKey)?.tags.has(tagStampKey) === true;
  }

  /** A point in time, for {@link settleKey}. */
  get mark(): number {
    return this.lastNumber;
  }

  /** A write or deletion of this key that left at `mark` has been acknowledged: it covers what was pending then, nothing later. */
  settleKey(clearStampKey: string, valueKey: string, mark: number): void {
    const pending = this.byNamespace.get(clearStampKey);
    const added = pending?.keys.get(valueKey);
    if (pending !== undefined && added !== undefined && added.number <= mark) {
      this.drop(pending.keys, valueKey);
      this.dropIfEmpty(clearStampKey, pending);
    }
  }

  /**
   * Hands everything to `send`, slice by slice, until nothing is left; what was added meanwhile is sent as well.
   * @param isMeant only what concerns these keys (those of one server); default: all
   * @throws what `send` throws; then the slice and what comes after it stay
   */
  async replay(
    send: (pending: PendingInvalidations) => Promise<void>,
    isMeant: (key: string) => boolean = () => true,
  ): Promise<void> {
    for (let steps = this.steps(isMeant); steps.length > 0; steps = this.steps(isMeant)) {
      for (let from = 0; from < steps.length; from += SLICE) {
        const slice = steps.slice(from, from + SLICE);
        await send(this.invalidationsOf(slice));
        slice.forEach((step) => this.settle(step));
      }
      for (const [clearStampKey, pending] of this.byNamespace) {
        this.dropIfEmpty(clearStampKey, pending);
      }
    }
  }

  /** Clears come first: most of what a namespace has waiting is done with them. */
  private steps(isMeant: (key: string) => boolean): readonly Step[] {
    const steps: Step[] = [];
    for (const [stampKey, pending] of this.byNamespace) {
      const { clear } = pending;
      if (clear !== undefined && isMeant(stampKey)) {
        steps.push({ pending, stampKey, change: clear });
      }
    }
    for (const pending of this.byNamespace.values()) {
      for (const [stampKey, change] of pending.tags) {
        if (isMeant(stampKey)) {
          steps.push({ pending, stampKey, change });
        }
      }
      for (const entry of pending.keys.values()) {
        if (isMeant(entry.keys.valueKey)) {
          steps.push({ pending, entry });
        }
      }
    }
    return steps;
  }

  private invalidationsOf(slice: readonly Step[]): PendingInvalidations {
    const entries: EntryKeys[] = [];
    const stamps = new Map<string, PendingStamp>();
    for (const step of slice) {
      if ('entry' in step) {
        entries.push(step.entry.keys);
      } else {
        stamps.set(step.stampKey, this.stampOf(step.stampKey, step.change));
      }
    }
    return { entries, stamps };
  }

  private stampOf(stampKey: string, change: PendingChange): PendingStamp {
    const { clock } = this;
    const { atMs, serverAtMs, attempted } = change;
    const serverNowMs = clock.serverNowMs(stampKey);
    const requestedAtMs = serverNowMs - (clock.nowMs() - atMs); // by the clock that the server has now
    // A stamp of before a failover may go by another clock: the difference between the two is allowed for.
    const marginMs = CLOCK_ERROR_MS + clock.roundTripMs + Math.abs(requestedAtMs - serverAtMs);
    change.stamp ??= newStamp(clock.latestServerNowMs(stampKey));
    const lifeMs = change.isTag ? INVALIDATED_MS : undefined;
    return { stamp: change.stamp, lifeMs, doneFromMs: Math.ceil(requestedAtMs + marginMs), attempted };
  }

  private settle(step: Step): void {
    const { pending } = step;
    if ('entry' in step) {
      const { valueKey } = step.entry.keys;
      if (pending.keys.get(valueKey) === step.entry) {
        this.drop(pending.keys, valueKey);
      }
    } else if (pending.tags.get(step.stampKey) === step.change) {
      this.drop(pending.tags, step.stampKey);
    } else if (pending.clear === step.change) {
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
