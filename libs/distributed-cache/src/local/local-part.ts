import type { Clock } from './clock.js';
import type { EntryStore, PlacedKey, Room } from './entry-store.js';
import type { LocalEntry, LocalPutOptions } from './local-entry.js';
import type { StoredValue } from './stored-value.js';
import type { UnreadValue } from './unread-value.js';

/** Whether a lookup by this very text finds this entry and no other: see `encodeKey`. */
export type IsPlainKey = (key: string) => boolean;

/** The keys of one user of L1, such as a namespace, separate from those of others. */
export class LocalPart {
  private readonly room: Room;

  constructor(
    private readonly store: EntryStore,
    private readonly clock: Clock,
    private readonly isPlainKey: IsPlainKey,
    private readonly lookAheadLoads: number,
    private readonly onPut: () => void,
  ) {
    this.room = store.addRoom();
  }

  /**
   * The slot of a fresh value that may be returned as it is, and does not expire soon; -1 when further checks are
   * needed.
   */
  hit(key: string, nowMs: number): number {
    return this.store.hit(this.room, key, nowMs);
  }

  /** The slot of a fresh value, as in {@link hit}, for a key that remembers where its entry is. */
  hitAgain(key: PlacedKey, nowMs: number): number {
    return this.store.hitAgain(this.room, key, nowMs);
  }

  find(key: string, nowMs: number): LocalEntry | undefined {
    const slot = this.store.find(this.room, key, nowMs);
    return slot === undefined ? undefined : this.store.entryAt(slot);
  }

  peek(key: string): LocalEntry | undefined {
    const slot = this.room.slots.get(key);
    return slot === undefined ? undefined : this.store.entryAt(slot);
  }

  put(key: string, stored: StoredValue | UnreadValue, options: LocalPutOptions): boolean {
    const { ttlMs, graceMs = 0, marks, loadMs = 0, lifeMs = ttlMs } = options;
    requireDuration('ttlMs', ttlMs);
    requireDuration('graceMs', graceMs);
    const nowMs = this.clock.nowMs();
    const expiresAtMs = nowMs + ttlMs;
    const isKept = this.store.put(this.room, key, stored, {
      storedAtMs: nowMs,
      expiresAtMs,
      readyUntilMs: expiresAtMs - loadMs * this.lookAheadLoads,
      graceMs,
      loadMs: Math.round(loadMs),
      lifeMs: Math.round(lifeMs),
      marks,
      isPlainKey: this.isPlainKey(key),
    });
    this.onPut();
    return isKept;
  }

  /** Drops all entries, in O(1). */
  startEpoch(): void {
    this.store.startEpoch(this.room);
  }

  /** Removes an entry. @returns whether there was one that could still be returned */
  delete(key: string): boolean {
    const slot = this.room.slots.get(key);
    if (slot === undefined) {
      return false;
    }
    const counted = !this.store.isOver(slot, this.clock.nowMs());
    this.store.remove(slot);
    return counted;
  }
}

/** Checks a duration: with `NaN` an entry would never expire. */
function requireDuration(name: string, value: number): void {
  if (typeof value !== 'number' || !(value >= 0)) {
    throw new RangeError(`${name} must be zero or more milliseconds, got ${String(value)}`);
  }
}
