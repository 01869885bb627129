import type { EntryKeys } from '../keys/index.js';
import type { PendingInvalidations, PendingStamp } from '../redis/index.js';
import { INVALIDATED_MS, newStamp } from './stamps.js';

/** Maximum number of pending keys, or tags, of one namespace during an outage; more become one `clear` of it. */
const MAX_PER_NAMESPACE = 10_000;
/**
 * The same maximum while Redis can be used: a full queue refuses invalidations then. It is higher because a `clear`
 * would remove the entries of all processes from a healthy Redis. `connect-redis.ts` replays the journal at each heartbeat.
 */
const MAX_WHILE_SERVING = 100_000;
/** Number of invalidations that one call of `send` carries: one round trip with a deadline of its own. */
const SLICE = 250;
/** The precision, in milliseconds, with which two processes know the server's clock. */
const CLOCK_ERROR_MS = 100;

/** The facts about Redis that the journal needs. */
interface JournalClock {
  /** Whether Redis can be used. */
  readonly isServing: boolean;
  /** The time of this process. */
  nowMs(): number;
  serverNowMs(key: string): number;
  /** The latest time that this server's clock may show. */
  latestServerNowMs(key: string): number;
  readonly roundTripMs: number;
}

interface PendingKey {
  readonly keys: EntryKeys;
  /**
   * The sequence number of the deletion. Each {@link OutageJournal.addKey} assigns a higher one, and a write that was
   * sent earlier does not remove a deletion with a higher number.
   */
  readonly number: number;
}

/** A new stamp that Redis has not acknowledged yet. */
interface PendingChange {
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
  readonly keys: Map<string, PendingKey>;
  /** By full name of the key of the tag's stamp. */
  readonly tags: Map<string, PendingChange>;
  clear: PendingChange | undefined;
}

/** One step of a replay. */
type Step =
  | { readonly pending: Pending; readonly entry: PendingKey }
  | { readonly pending: Pending; readonly stampKey: string; readonly change: PendingChange };

function itemOf(step: Step): PendingKey | PendingChange {
  return 'entry' in step ? step.entry : step.change;
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

  constructor(private readonly clock: JournalClock) {}

  /** Number of pending invalidations. */
  get size(): number {
    return this.count;
  }

  /**
   * Adds the deletion of a key.
   * @param clearStampKey the key of the namespace's stamp. Beyond the limit, one `clear` replaces all that is pending
   */
  addKey(clearStampKey: string, keys: EntryKeys): void {
    const pending = this.pendingOf(clearStampKey);
    this.count += pending.keys.has(keys.valueKey) ? 0 : 1;
    pending.keys.set(keys.valueKey, { keys, number: ++this.lastNumber });
    if (pending.keys.size > this.maxPerNamespace) {
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
    if (pending.tags.size > this.maxPerNamespace) {
      this.overflow(clearStampKey);
    }
  }

  private overflow(clearStampKey: string): void {
    this.overflows++;
    this.addClear(clearStampKey);
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

  private get maxPerNamespace(): number {
    return this.clock.isServing ? MAX_WHILE_SERVING : MAX_PER_NAMESPACE;
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
    if (pending !== undefined && added !== undefined && added.number <= position) {
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
    const kept = new Set<PendingKey | PendingChange>();
    const unsent = (): readonly Step[] => this.steps(isSelected).filter((step) => !kept.has(itemOf(step)));
    for (let steps = unsent(); steps.length > 0; steps = unsent()) {
      for (let from = 0; from < steps.length; from += SLICE) {
        const slice = steps.slice(from, from + SLICE);
        const isDone = await send(this.invalidationsOf(slice));
        slice.forEach((step) => (isDone ? this.settle(step) : kept.add(itemOf(step))));
      }
      for (const [clearStampKey, pending] of this.byNamespace) {
        this.dropIfEmpty(clearStampKey, pending);
      }
    }
  }

  /** The steps of a replay. Clears come first: one of them invalidates a whole namespace. */
  private steps(isSelected: (key: string) => boolean): readonly Step[] {
    const steps: Step[] = [];
    for (const [stampKey, pending] of this.byNamespace) {
      const { clear } = pending;
      if (clear !== undefined && isSelected(stampKey)) {
        steps.push({ pending, stampKey, change: clear });
      }
    }
    for (const pending of this.byNamespace.values()) {
      for (const [stampKey, change] of pending.tags) {
        if (isSelected(stampKey)) {
          steps.push({ pending, stampKey, change });
        }
      }
      for (const entry of pending.keys.values()) {
        if (isSelected(entry.keys.valueKey)) {
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
    const requestedAtMs = serverNowMs - (clock.nowMs() - atMs); // by the present clock of the server
    // A stamp from before a failover may go by another clock: the difference between the two is added to the margin.
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
