import type { EntryKeys, PendingInvalidations } from '../redis/index.js';

/** More keys of one namespace than this become one `clear` of it. */
const MAX_KEYS_PER_NAMESPACE = 10_000;

interface PendingKey {
  readonly keys: EntryKeys;
  /** Moves with each new invalidation, so that an older replay can't remove a newer one. */
  readonly number: number;
}

interface Pending {
  /** By full name of the value. */
  readonly keys: Map<string, PendingKey>;
  clearNumber: number | undefined;
}

/**
 * What Redis was to forget and has not acknowledged: a deletion or `clear` during an outage, a write whose answer never came,
 * a `set` that only this process has. The last per key is kept, bounded by namespace, and replayed on recovery before Redis
 * is read again. Doing it twice does no harm: at worst a value is loaded once more.
 */
export class OutageJournal {
  private readonly byNamespace = new Map<string, Pending>();
  private lastNumber = 0;

  /** @param stampNow makes a new unique stamp for this key that says when */
  constructor(private readonly stampNow: (stampKey: string) => string) {}

  /** Invalidations waiting. */
  get size(): number {
    let size = 0;
    for (const { keys, clearNumber } of this.byNamespace.values()) {
      size += keys.size + (clearNumber === undefined ? 0 : 1);
    }
    return size;
  }

  /** @param clearStampKey the namespace's stamp, which stands for all its keys when there are too many */
  addKey(clearStampKey: string, keys: EntryKeys): void {
    const pending = this.pendingOf(clearStampKey);
    if (pending.clearNumber !== undefined && pending.keys.size === 0) {
      // Cleared as a whole already; a later deletion is part of that.
      pending.clearNumber = ++this.lastNumber;
      return;
    }
    pending.keys.set(keys.valueKey, { keys, number: ++this.lastNumber });
    if (pending.keys.size > MAX_KEYS_PER_NAMESPACE) {
      this.addClear(clearStampKey);
    }
  }

  addClear(clearStampKey: string): void {
    const pending = this.pendingOf(clearStampKey);
    pending.keys.clear();
    pending.clearNumber = ++this.lastNumber;
  }

  /** Whether Redis may hold a value for this key that it was to forget. */
  covers(clearStampKey: string, valueKey: string): boolean {
    const pending = this.byNamespace.get(clearStampKey);
    return pending !== undefined && (pending.clearNumber !== undefined || pending.keys.has(valueKey));
  }

  /** Whether Redis has yet to hear that everything under this stamp is invalid. */
  coversAll(stampKey: string): boolean {
    return this.byNamespace.get(stampKey)?.clearNumber !== undefined;
  }

  /** A point in time, for {@link settleKey}. */
  get mark(): number {
    return this.lastNumber;
  }

  /** A write or deletion of this key that left at `mark` has been acknowledged: it covers what was pending then, nothing later. */
  settleKey(clearStampKey: string, valueKey: string, mark: number): void {
    const keys = this.byNamespace.get(clearStampKey)?.keys;
    const pending = keys?.get(valueKey);
    if (pending !== undefined && pending.number <= mark) {
      keys?.delete(valueKey);
    }
  }

  /**
   * Hands everything to `send` until nothing is left; what was added meanwhile is sent as well.
   * @param isMeant only what concerns these keys (those of one server); default: all
   * @throws what `send` throws; then everything stays
   */
  async replay(
    send: (pending: PendingInvalidations) => Promise<void>,
    isMeant: (key: string) => boolean = () => true,
  ): Promise<void> {
    while (this.size > 0) {
      const upTo = this.lastNumber;
      const entries: EntryKeys[] = [];
      const stamps = new Map<string, string>();
      for (const [clearStampKey, { keys: pendingKeys, clearNumber }] of this.byNamespace) {
        for (const { keys } of pendingKeys.values()) {
          if (isMeant(keys.valueKey)) {
            entries.push(keys);
          }
        }
        if (clearNumber !== undefined && isMeant(clearStampKey)) {
          stamps.set(clearStampKey, this.stampNow(clearStampKey));
        }
      }
      if (entries.length === 0 && stamps.size === 0) {
        return;
      }
      await send({ entries, stamps });
      this.dropUpTo(upTo, entries, stamps);
    }
  }

  private dropUpTo(number: number, entries: readonly EntryKeys[], stamps: ReadonlyMap<string, string>): void {
    const valueKeys = new Set(entries.map(({ valueKey }) => valueKey));
    for (const [clearStampKey, pending] of this.byNamespace) {
      for (const [valueKey, added] of pending.keys) {
        if (added.number <= number && valueKeys.has(valueKey)) {
          pending.keys.delete(valueKey);
        }
      }
      if (pending.clearNumber !== undefined && pending.clearNumber <= number && stamps.has(clearStampKey)) {
        pending.clearNumber = undefined;
      }
      if (pending.keys.size === 0 && pending.clearNumber === undefined) {
        this.byNamespace.delete(clearStampKey);
      }
    }
  }

  private pendingOf(clearStampKey: string): Pending {
    let pending = this.byNamespace.get(clearStampKey);
    if (pending === undefined) {
      pending = { keys: new Map(), clearNumber: undefined };
      this.byNamespace.set(clearStampKey, pending);
    }
    return pending;
  }
}
