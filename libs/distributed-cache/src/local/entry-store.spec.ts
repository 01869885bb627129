import { describe, expect, it } from 'vitest';
import {
  EntryStore,
  type EntryFacts,
  type EvictionReason,
  type KeyWithSlot,
  type PartitionIndex,
  readingOf,
} from './entry-store.js';
import type { TopOrder } from './slot-table.js';
import { DeferredJson, type StoredValue } from './stored-value.js';

const NOW_MS = 1_700_000_000_000.25;
const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const PLAIN: EntryFacts = {
  storedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 60_000,
  readyUntilMs: NOW_MS + 60_000,
  graceMs: 0,
  loadMs: 0,
  fullTtlMs: 60_000,
  tagVersions: undefined,
  isPlainKey: true,
};

/** A value whose bytes are given, not measured. */
const stored = (value: unknown, bytes = 0): StoredValue => ({ value, bytes, form: 'plain' });
const CLONED = readingOf('cloned');

function storeWithPartition(maxBytes = 2 ** 40, maxEntries = Infinity) {
  const store = new EntryStore(maxBytes, maxEntries);
  return { store, partition: store.addPartition() };
}

describe('EntryStore', () => {
  it('allocates at most a quarter of its slots ahead of need, at every size', () => {
    const { store, partition } = storeWithPartition();
    const columns = store as unknown as { keys: unknown[]; values: unknown[]; flags: Uint8Array };
    const tooLarge: number[] = [];
    for (let count = 1; count <= 20_000; count++) {
      store.put(partition, `key:${count}`, stored(count), PLAIN);
      const lengths = [columns.flags.length, columns.keys.length, columns.values.length];
      if (Math.max(...lengths) > Math.max(256, Math.ceil((count + 1) * 1.25))) {
        tooLarge.push(count);
      }
    }
    expect(tooLarge).toEqual([]);
  });

  it('reuses released slots for the next entries, in any order, and mixes none up', () => {
    const { store, partition } = storeWithPartition();
    const other = store.addPartition();
    const expected = new Map<string, number>();
    let random = 1;
    for (let step = 0; step < 20_000; step++) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 1;
      const key = `key:${random % 700}`;
      const slot = partition.slots.get(key);
      if (slot !== undefined && random % 3 === 0) {
        store.remove(slot);
        expected.delete(key);
      } else {
        store.put(partition, key, stored(step), PLAIN);
        expected.set(key, step);
      }
      store.put(other, key, stored('other'), PLAIN);
      store.remove(other.slots.get(key)!);
    }
    expect(store.slotsEnd).toBeLessThanOrEqual(703);
    expect(store.count).toBe(expected.size);
    expect(new Map([...partition.slots].map(([key, slot]) => [key, store.valueAt(slot, CLONED)]))).toEqual(expected);
  });

  it('keeps points in time exactly, and a life or grace to a ten-millionth of itself', () => {
    const { store, partition } = storeWithPartition();
    const expiresAtMs = NOW_MS + YEAR_MS + 0.125;
    const facts = { ...PLAIN, expiresAtMs, graceMs: 30 * DAY_MS - 7, fullTtlMs: DAY_MS - 1 };
    store.put(partition, 'key', stored(1), facts);
    const entry = store.entryAt(partition.slots.get('key')!);
    expect([entry.storedAtMs, entry.expiresAtMs]).toEqual([NOW_MS, expiresAtMs]);
    expect(Math.abs(entry.lifeMs / facts.fullTtlMs - 1)).toBeLessThan(1e-7);
    expect(Math.abs((entry.keptUntilMs - expiresAtMs) / facts.graceMs - 1)).toBeLessThan(1e-7);
  });

  it('keeps no value of 4 GiB or more, however large the store', () => {
    const { store, partition } = storeWithPartition();
    expect(store.put(partition, 'key', stored(1, 2 ** 32), PLAIN)).toBe(false);
    expect([store.count, store.usedBytes]).toEqual([0, 0]);
    expect(store.put(partition, 'key', stored(1, 2 ** 32 - 1000), PLAIN)).toBe(true);
    store.remove(partition.slots.get('key')!);
    expect([store.count, store.usedBytes]).toEqual([0, 0]);
  });

  describe('a key that remembers its slot', () => {
    const keyOf = (encoded: string): KeyWithSlot => ({ encoded, slot: 0, sequence: -1 });
    const valueOf = ({ store }: { store: EntryStore }, partition: PartitionIndex, key: KeyWithSlot) => {
      const slot = store.hitAgain(partition, key, NOW_MS);
      return slot < 0 ? undefined : store.valueAt(slot, CLONED);
    };

    it('finds its entry after it was made, replaced, or moved to another slot', () => {
      const { store, partition } = storeWithPartition();
      const key = keyOf('key');
      expect(valueOf({ store }, partition, key)).toBeUndefined();
      store.put(partition, 'key', stored('first'), PLAIN);
      expect(valueOf({ store }, partition, key)).toBe('first');
      store.put(partition, 'key', stored('second'), PLAIN);
      expect(valueOf({ store }, partition, key)).toBe('second');
      store.remove(partition.slots.get('key')!);
      expect(valueOf({ store }, partition, key)).toBeUndefined();
      store.put(partition, 'in its place', stored('other'), PLAIN);
      expect(valueOf({ store }, partition, key)).toBeUndefined();
      store.put(partition, 'key', stored('third'), PLAIN);
      expect(valueOf({ store }, partition, key)).toBe('third');
    });

    it('finds no entry of another key that has its slot now, nor one of another partition or store', () => {
      const { store, partition } = storeWithPartition();
      const key = keyOf('key');
      store.put(partition, 'key', stored('mine'), PLAIN);
      expect(valueOf({ store }, partition, key)).toBe('mine');
      expect(valueOf({ store }, store.addPartition(), { ...key })).toBeUndefined();
      const elsewhere = storeWithPartition();
      elsewhere.store.put(elsewhere.partition, 'theirs', stored('theirs'), PLAIN);
      expect(valueOf(elsewhere, elsewhere.partition, { ...key })).toBeUndefined();
      store.remove(partition.slots.get('key')!);
      store.put(partition, 'theirs', stored('theirs'), PLAIN);
      expect(partition.slots.get('theirs')).toBe(key.slot);
      expect(valueOf({ store }, partition, key)).toBeUndefined();
    });

    it('does not find an entry that is outdated or tagged, and finds one that was stored in the epoch', () => {
      const { store, partition } = storeWithPartition();
      const key = keyOf('key');
      store.put(partition, 'key', stored(1), PLAIN);
      expect(valueOf({ store }, partition, key)).toBe(1);
      expect(store.hitAgain(partition, key, PLAIN.expiresAtMs)).toBe(-1);
      store.startEpoch(partition);
      expect(valueOf({ store }, partition, key)).toBeUndefined();
      store.put(partition, 'key', stored(3), { ...PLAIN, tagVersions: [{ scope: { generation: 0 }, generation: 0 }] });
      expect(valueOf({ store }, partition, key)).toBeUndefined();
      store.put(partition, 'key', stored(4), { ...PLAIN, isPlainKey: false });
      expect([valueOf({ store }, partition, key), store.hit(partition, 'key', NOW_MS)]).toEqual([4, -1]);
      store.put(partition, 'key', stored(5), { ...PLAIN, readyUntilMs: NOW_MS });
      expect(valueOf({ store }, partition, key)).toBeUndefined();
    });

    it('finds a copy where the form of the entry asks for it, for each way of reading', () => {
      const { store, partition } = storeWithPartition();
      const key = keyOf('key');
      for (const form of ['plain', 'own', 'frozen', 'shared'] as const) {
        const value = { list: [1] };
        store.put(partition, 'key', { value, bytes: 0, form, isTree: true }, PLAIN);
        const slot = store.hitAgain(partition, key, NOW_MS);
        const isSame = (['cloned', 'frozen', 'shared'] as const).filter((mode) => {
          const read = store.valueAt(slot, readingOf(mode));
          expect(read).toEqual(value);
          return read === value;
        });
        const expected = {
          plain: ['cloned', 'frozen', 'shared'],
          own: [],
          frozen: ['frozen', 'shared'],
          shared: ['shared'],
        };
        expect(isSame).toEqual(expected[form]);
        expect(store.entryAt(slot)).toMatchObject({ form, isTree: true });
      }
    });

    it('is looked up by its text after the columns were shrunk', () => {
      const { store, partition } = storeWithPartition();
      const key = keyOf('key:4999');
      for (let index = 0; index < 5000; index++) {
        store.put(partition, `key:${index}`, stored(index), PLAIN);
      }
      expect(valueOf({ store }, partition, key)).toBe(4999);
      for (let slot = 1; slot < store.slotsEnd; slot++) {
        store.remove(slot);
      }
      expect(valueOf({ store }, partition, key)).toBeUndefined();
      store.put(partition, 'key:4999', stored('again'), PLAIN);
      expect(valueOf({ store }, partition, key)).toBe('again');
    });
  });
});

describe('a value kept as text', () => {
  const textOf = (bytes: number, reads: string[] = [], readBytes = bytes) =>
    new DeferredJson('x'.repeat(bytes - 88), false, (text) => {
      reads.push(text);
      return stored({ text }, readBytes);
    });

  it('is parsed at its first read, once, and is a hit from then on', () => {
    const { store, partition } = storeWithPartition();
    const reads: string[] = [];
    store.put(partition, 'key', textOf(1000, reads), PLAIN);
    expect(reads).toHaveLength(0);
    expect([store.hit(partition, 'key', NOW_MS), store.hit(partition, 'key', -NOW_MS)]).toEqual([-1, -1]);
    const slot = store.find(partition, 'key', NOW_MS)!;
    const { value } = store.entryAt(slot);
    expect(value).toEqual({ text: 'x'.repeat(912) });
    expect(store.hit(partition, 'key', NOW_MS)).toBe(slot);
    expect(store.valueAt(slot, CLONED)).toBe(value);
    expect(store.entryAt(slot).value).toBe(value);
    expect(reads).toHaveLength(1);
  });

  it('is a hit for as long as the value itself would have been, if it came from a loader', () => {
    const { store, partition } = storeWithPartition();
    store.put(partition, 'key', textOf(1000), { ...PLAIN, loadMs: 1000, readyUntilMs: NOW_MS + 10 });
    const slot = store.find(partition, 'key', NOW_MS)!;
    store.entryAt(slot);
    expect([store.hit(partition, 'key', NOW_MS + 9), store.hit(partition, 'key', NOW_MS + 10)]).toEqual([slot, -1]);
  });

  it('is no plain hit after it was parsed, if it carries tags or is about to expire', () => {
    const { store, partition } = storeWithPartition();
    store.put(partition, 'tagged', textOf(1000), {
      ...PLAIN,
      tagVersions: [{ scope: { generation: 0 }, generation: 0 }],
    });
    store.put(partition, 'late', textOf(1000), { ...PLAIN, loadMs: 1000, readyUntilMs: NOW_MS - 1 });
    for (const key of ['tagged', 'late']) {
      store.entryAt(store.find(partition, key, NOW_MS)!);
      expect(store.hit(partition, key, NOW_MS)).toBe(-1);
    }
  });

  it('is not parsed when it is overwritten or removed', () => {
    const { store, partition } = storeWithPartition();
    const reads: string[] = [];
    store.put(partition, 'key', textOf(1000, reads), PLAIN);
    store.put(partition, 'key', textOf(1000, reads), PLAIN);
    store.remove(partition.slots.get('key')!);
    expect(reads).toHaveLength(0);
    expect(store.usedBytes).toBe(0);
  });

  it('evicts entries for the memory that it takes once it is parsed', () => {
    const { store, partition } = storeWithPartition(8000);
    for (let count = 1; count <= 6; count++) {
      store.put(partition, `key:${count}`, textOf(1000, [], 4000), PLAIN);
    }
    expect(store.count).toBe(6);
    store.entryAt(store.find(partition, 'key:1', NOW_MS)!);
    expect(store.usedBytes).toBeLessThanOrEqual(8000);
    expect(store.find(partition, 'key:2', NOW_MS)).toBeUndefined();
    expect(store.find(partition, 'key:1', NOW_MS)).toBeDefined();
    [...partition.slots.values()].forEach((slot) => store.remove(slot));
    expect(store.usedBytes).toBe(0);
  });

  it('is returned to its first reader and removed, if it is larger than the whole store once it is parsed', () => {
    const { store, partition } = storeWithPartition(5000);
    store.put(partition, 'key', textOf(1000, [], 20_000), PLAIN);
    expect(store.entryAt(store.find(partition, 'key', NOW_MS)!).value).toEqual({ text: 'x'.repeat(912) });
    expect(store.find(partition, 'key', NOW_MS)).toBeUndefined();
    expect(store.usedBytes).toBe(0);
  });

  it('evicts no other entry in that case', () => {
    const { store, partition } = storeWithPartition(5000);
    store.put(partition, 'other', stored('small', 100), PLAIN);
    store.put(partition, 'key', textOf(1000, [], 20_000), PLAIN);
    store.entryAt(store.find(partition, 'key', NOW_MS)!);
    expect(store.find(partition, 'other', NOW_MS)).toBeDefined();
    expect(store.count).toBe(1);
  });
});

describe('the uses of an entry', () => {
  it('rank the entries of a partition by hits, size, load time and saved time, in descending order', () => {
    const { store, partition } = storeWithPartition();
    const other = store.addPartition();
    const put = (key: string, uses: number, bytes: number, loadMs: number): void => {
      store.put(partition, key, stored(key, bytes), { ...PLAIN, loadMs });
      Array.from({ length: uses }, () => store.countUse(store.hit(partition, key, NOW_MS)));
    };
    store.put(other, 'other', stored('other', 9000), { ...PLAIN, loadMs: 9000 });
    put('often', 5, 10, 1);
    put('large', 1, 500, 20);
    put('slow', 2, 10, 300);
    put('unused', 0, 10, 100);
    const keys = (by: TopOrder): string[] => store.top(partition, by, 3, NOW_MS).map(({ key }) => key);
    expect(keys('uses')).toEqual(['often', 'slow', 'large']);
    expect(keys('bytes')[0]).toBe('large');
    expect(keys('loadMs')).toEqual(['slow', 'unused', 'large']);
    expect(keys('savedMs')).toEqual(['slow', 'large', 'often']);
    expect(store.top(partition, 'uses', 1, NOW_MS)).toMatchObject([{ uses: 5, loadMs: 1, savedMs: 5, ttlMs: 60_000 }]);
    expect(store.top(partition, 'uses', 0, NOW_MS)).toEqual([]);
  });

  it('stay when the value is replaced, begin anew after a removal, and leave with an outdated entry', () => {
    const { store, partition } = storeWithPartition();
    const uses = () => store.top(partition, 'uses', 9, NOW_MS).map((entry) => entry.uses);
    store.put(partition, 'key', stored(1), PLAIN);
    store.find(partition, 'key', NOW_MS);
    store.put(partition, 'key', stored(2), PLAIN);
    expect(uses()).toEqual([1]);
    store.remove(partition.slots.get('key')!);
    store.put(partition, 'key', stored(3), PLAIN);
    expect(uses()).toEqual([0]);
    store.startEpoch(partition);
    expect(uses()).toEqual([]);
  });

  it('give the same ranking as a sort of all entries', () => {
    const { store, partition } = storeWithPartition();
    for (let index = 0; index < 2000; index++) {
      store.put(partition, `key:${index}`, stored(index, (index * 7919) % 1009), PLAIN);
    }
    const all = store.top(partition, 'bytes', 2000, NOW_MS);
    expect(all).toHaveLength(2000);
    expect(all.map(({ bytes }) => bytes)).toEqual(all.map(({ bytes }) => bytes).toSorted((a, b) => b - a));
    expect(store.top(partition, 'bytes', 50, NOW_MS)).toEqual(all.slice(0, 50));
  });
});

describe('an entry that leaves', () => {
  it('is reported with its reason, once; a replaced value is not', () => {
    const left: EvictionReason[] = [];
    const store = new EntryStore(2 ** 40, 3);
    const partition = store.addPartition((reason) => void left.push(reason));
    const put = (key: string, facts: Partial<EntryFacts> = {}): void =>
      void store.put(partition, key, stored(key, 100), { ...PLAIN, ...facts });
    put('replaced');
    put('replaced');
    expect(left).toEqual([]);
    ['a', 'b', 'c'].forEach((key) => put(key));
    expect(left.splice(0)).toEqual(['capacity']);
    const scope = { generation: 1, isInDoubt: false };
    put('expired', { expiresAtMs: NOW_MS });
    put('tagged', { tagVersions: [{ scope, generation: 0 }] });
    left.splice(0);
    for (const key of ['expired', 'tagged']) {
      expect(store.find(partition, key, NOW_MS)).toBeUndefined();
    }
    store.startEpoch(partition);
    expect(store.find(partition, 'c', NOW_MS)).toBeUndefined();
    expect(left).toEqual(['expired', 'invalidated', 'epoch']);
    expect(partition).toMatchObject({ bytes: 0 });
    expect(store.count).toBe(0);
  });

  it('leaves the estimate of its partition as that of the whole store is', () => {
    const { store, partition } = storeWithPartition(20_000);
    const other = store.addPartition();
    for (let index = 0; index < 500; index++) {
      store.put(index % 3 === 0 ? other : partition, `key:${index % 90}`, stored(index, (index * 37) % 400), PLAIN);
      expect(partition.bytes + other.bytes).toBe(store.usedBytes);
    }
  });
});
