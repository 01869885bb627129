import { describe, expect, it } from 'vitest';
import { EntryStore, type EntryFacts, type PlacedKey, type Room } from './entry-store.js';
import { UnreadValue } from './unread-value.js';

const NOW_MS = 1_700_000_000_000.25;
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const PLAIN: EntryFacts = {
  storedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 60_000,
  readyUntilMs: NOW_MS + 60_000,
  graceMs: 0,
  loadMs: 0,
  lifeMs: 60_000,
  marks: undefined,
  isPlainKey: true,
};

/** A value whose bytes are told, not measured. */
const stored = (value: unknown, bytes = 0) => ({ value, bytes, copyOnRead: false });

function storeWithRoom(maxBytes = 2 ** 40, maxEntries = Infinity) {
  const store = new EntryStore(maxBytes, maxEntries);
  return { store, room: store.addRoom() };
}

describe('EntryStore', () => {
  it('takes at most a quarter of its places ahead of need, at every size', () => {
    const { store, room } = storeWithRoom();
    const columns = store as unknown as { keys: unknown[]; values: unknown[]; flags: Uint8Array };
    const tooLarge: number[] = [];
    for (let count = 1; count <= 20_000; count++) {
      store.put(room, `key:${count}`, stored(count), PLAIN);
      const lengths = [columns.flags.length, columns.keys.length, columns.values.length];
      if (Math.max(...lengths) > Math.max(256, Math.ceil((count + 1) * 1.25))) {
        tooLarge.push(count);
      }
    }
    expect(tooLarge).toEqual([]);
  });

  it('gives places that were given back to the next entries, whatever the order, and mixes none up', () => {
    const { store, room } = storeWithRoom();
    const other = store.addRoom();
    const expected = new Map<string, number>();
    let random = 1;
    for (let step = 0; step < 20_000; step++) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 1;
      const key = `key:${random % 700}`;
      const slot = room.slots.get(key);
      if (slot !== undefined && random % 3 === 0) {
        store.remove(slot);
        expected.delete(key);
      } else {
        store.put(room, key, stored(step), PLAIN);
        expected.set(key, step);
      }
      store.put(other, key, stored('other'), PLAIN);
      store.remove(other.slots.get(key)!);
    }
    expect(store.slotsEnd).toBeLessThanOrEqual(703);
    expect(store.count).toBe(expected.size);
    expect(new Map([...room.slots].map(([key, slot]) => [key, store.valueAt(slot)]))).toEqual(expected);
  });

  it('keeps points in time exactly, and a life or grace to a ten-millionth of itself', () => {
    const { store, room } = storeWithRoom();
    const expiresAtMs = NOW_MS + YEAR_MS + 0.125;
    const facts = { ...PLAIN, expiresAtMs, graceMs: 30 * DAY_MS - 7, lifeMs: DAY_MS - 1 };
    store.put(room, 'key', stored(1), facts);
    const entry = store.entryAt(room.slots.get('key')!);
    expect([entry.storedAtMs, entry.expiresAtMs]).toEqual([NOW_MS, expiresAtMs]);
    expect(Math.abs(entry.lifeMs / facts.lifeMs - 1)).toBeLessThan(1e-7);
    expect(Math.abs((entry.keptUntilMs - expiresAtMs) / facts.graceMs - 1)).toBeLessThan(1e-7);
  });

  it('keeps no value of 4 GiB or more, however large the store', () => {
    const { store, room } = storeWithRoom();
    expect(store.put(room, 'key', stored(1, 2 ** 32), PLAIN)).toBe(false);
    expect([store.count, store.usedBytes]).toEqual([0, 0]);
    expect(store.put(room, 'key', stored(1, 2 ** 32 - 1000), PLAIN)).toBe(true);
    store.remove(room.slots.get('key')!);
    expect([store.count, store.usedBytes]).toEqual([0, 0]);
  });

  describe('a key that remembers its place', () => {
    const keyOf = (encoded: string): PlacedKey => ({ encoded, place: 0, stamp: -1 });
    const valueOf = ({ store }: { store: EntryStore }, room: Room, key: PlacedKey) => {
      const slot = store.hitAgain(room, key, NOW_MS);
      return slot < 0 ? undefined : store.valueAt(slot);
    };

    it('is found after its entry was made, replaced, moved to another place', () => {
      const { store, room } = storeWithRoom();
      const key = keyOf('key');
      expect(valueOf({ store }, room, key)).toBeUndefined();
      store.put(room, 'key', stored('first'), PLAIN);
      expect(valueOf({ store }, room, key)).toBe('first');
      store.put(room, 'key', stored('second'), PLAIN);
      expect(valueOf({ store }, room, key)).toBe('second');
      store.remove(room.slots.get('key')!);
      expect(valueOf({ store }, room, key)).toBeUndefined();
      store.put(room, 'in its place', stored('other'), PLAIN);
      expect(valueOf({ store }, room, key)).toBeUndefined();
      store.put(room, 'key', stored('third'), PLAIN);
      expect(valueOf({ store }, room, key)).toBe('third');
    });

    it('finds no entry of another key that has its place now, nor of another room or store', () => {
      const { store, room } = storeWithRoom();
      const key = keyOf('key');
      store.put(room, 'key', stored('mine'), PLAIN);
      expect(valueOf({ store }, room, key)).toBe('mine');
      expect(valueOf({ store }, store.addRoom(), { ...key })).toBeUndefined();
      const elsewhere = storeWithRoom();
      elsewhere.store.put(elsewhere.room, 'theirs', stored('theirs'), PLAIN);
      expect(valueOf(elsewhere, elsewhere.room, { ...key })).toBeUndefined();
      store.remove(room.slots.get('key')!);
      store.put(room, 'theirs', stored('theirs'), PLAIN);
      expect(room.slots.get('theirs')).toBe(key.place);
      expect(valueOf({ store }, room, key)).toBeUndefined();
    });

    it('does not find what is over, tagged or to be copied, and finds what came in the epoch', () => {
      const { store, room } = storeWithRoom();
      const key = keyOf('key');
      store.put(room, 'key', stored(1), PLAIN);
      expect(valueOf({ store }, room, key)).toBe(1);
      expect(store.hitAgain(room, key, PLAIN.expiresAtMs)).toBe(-1);
      store.startEpoch(room);
      expect(valueOf({ store }, room, key)).toBeUndefined();
      store.put(room, 'key', { ...stored(2), copyOnRead: true }, PLAIN);
      expect(valueOf({ store }, room, key)).toBeUndefined();
      expect(store.hitAgain(room, key, -NOW_MS)).toBe(-1); // whatever the clock
      store.put(room, 'key', stored(3), { ...PLAIN, marks: [{ scope: { generation: 0 }, generation: 0 }] });
      expect(valueOf({ store }, room, key)).toBeUndefined();
      store.put(room, 'key', stored(4), { ...PLAIN, isPlainKey: false });
      expect([valueOf({ store }, room, key), store.hit(room, 'key', NOW_MS)]).toEqual([4, -1]);
      store.put(room, 'key', stored(5), { ...PLAIN, readyUntilMs: NOW_MS });
      expect(valueOf({ store }, room, key)).toBeUndefined();
    });

    it('is found by its text when the columns were given back', () => {
      const { store, room } = storeWithRoom();
      const key = keyOf('key:4999');
      for (let index = 0; index < 5000; index++) {
        store.put(room, `key:${index}`, stored(index), PLAIN);
      }
      expect(valueOf({ store }, room, key)).toBe(4999);
      for (let slot = 1; slot < 5001; slot++) {
        store.remove(slot);
      }
      expect(valueOf({ store }, room, key)).toBeUndefined();
      store.put(room, 'key:4999', stored('again'), PLAIN);
      expect(valueOf({ store }, room, key)).toBe('again');
    });
  });
});

describe('a value kept as text', () => {
  const textOf = (bytes: number, reads: string[] = [], readBytes = bytes) =>
    new UnreadValue('x'.repeat(bytes - 88), false, (text) => {
      reads.push(text);
      return stored({ text }, readBytes);
    });

  it('is read by the first who asks for it, once, and is a hit from then on', () => {
    const { store, room } = storeWithRoom();
    const reads: string[] = [];
    store.put(room, 'key', textOf(1000, reads), PLAIN);
    expect(reads).toHaveLength(0);
    expect([store.hit(room, 'key', NOW_MS), store.hit(room, 'key', -NOW_MS)]).toEqual([-1, -1]);
    const slot = store.find(room, 'key', NOW_MS)!;
    const { value } = store.entryAt(slot);
    expect(value).toEqual({ text: 'x'.repeat(912) });
    expect(store.hit(room, 'key', NOW_MS)).toBe(slot);
    expect(store.valueAt(slot)).toBe(value);
    expect(store.entryAt(slot).value).toBe(value);
    expect(reads).toHaveLength(1);
  });

  it('is a hit for as long as the value itself would have been, if it was loaded', () => {
    const { store, room } = storeWithRoom();
    store.put(room, 'key', textOf(1000), { ...PLAIN, loadMs: 1000, readyUntilMs: NOW_MS + 10 });
    const slot = store.find(room, 'key', NOW_MS)!;
    store.entryAt(slot);
    expect([store.hit(room, 'key', NOW_MS + 9), store.hit(room, 'key', NOW_MS + 10)]).toEqual([slot, -1]);
  });

  it('is no plain hit when it was read, if it carries tags or is about to expire', () => {
    const { store, room } = storeWithRoom();
    store.put(room, 'tagged', textOf(1000), { ...PLAIN, marks: [{ scope: { generation: 0 }, generation: 0 }] });
    store.put(room, 'late', textOf(1000), { ...PLAIN, loadMs: 1000, readyUntilMs: NOW_MS - 1 });
    for (const key of ['tagged', 'late']) {
      store.entryAt(store.find(room, key, NOW_MS)!);
      expect(store.hit(room, key, NOW_MS)).toBe(-1);
    }
  });

  it('is not read when it is overwritten or removed', () => {
    const { store, room } = storeWithRoom();
    const reads: string[] = [];
    store.put(room, 'key', textOf(1000, reads), PLAIN);
    store.put(room, 'key', textOf(1000, reads), PLAIN);
    store.remove(room.slots.get('key')!);
    expect(reads).toHaveLength(0);
    expect(store.usedBytes).toBe(0);
  });

  it('makes room for what it takes once it is read', () => {
    const { store, room } = storeWithRoom(8000);
    for (let count = 1; count <= 6; count++) {
      store.put(room, `key:${count}`, textOf(1000, [], 4000), PLAIN);
    }
    expect(store.count).toBe(6);
    store.entryAt(store.find(room, 'key:1', NOW_MS)!);
    expect(store.usedBytes).toBeLessThanOrEqual(8000);
    expect(store.find(room, 'key:2', NOW_MS)).toBeUndefined();
    expect(store.find(room, 'key:1', NOW_MS)).toBeDefined();
    [...room.slots.values()].forEach((slot) => store.remove(slot));
    expect(store.usedBytes).toBe(0);
  });

  it('is answered to its first reader, and gone, if it is larger than the whole store once it is read', () => {
    const { store, room } = storeWithRoom(5000);
    store.put(room, 'key', textOf(1000, [], 20_000), PLAIN);
    expect(store.entryAt(store.find(room, 'key', NOW_MS)!).value).toEqual({ text: 'x'.repeat(912) });
    expect(store.find(room, 'key', NOW_MS)).toBeUndefined();
    expect(store.usedBytes).toBe(0);
  });

  it('drives nothing else out then', () => {
    const { store, room } = storeWithRoom(5000);
    store.put(room, 'other', stored('small', 100), PLAIN);
    store.put(room, 'key', textOf(1000, [], 20_000), PLAIN);
    store.entryAt(store.find(room, 'key', NOW_MS)!);
    expect(store.find(room, 'other', NOW_MS)).toBeDefined();
    expect(store.count).toBe(1);
  });
});
