import { describe, expect, it } from 'vitest';
import { type EntryFacts, EntryStore, type EvictionReason } from './entry-store.js';
import type { StoredValue } from './stored-value.js';

const NOW_MS = 1000;
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
const stored = (value: unknown, bytes: number): StoredValue => ({ value, bytes, form: 'plain' });

function storeWithPartition(maxBytes = 2 ** 40, maxEntries = Infinity) {
  const store = new EntryStore(maxBytes, maxEntries);
  return { store, partition: store.addPartition() };
}

describe('a store that is full', () => {
  const ENTRY_BYTES = 1000;
  const MOST = 50;
  const full = () => {
    const { store, partition } = storeWithPartition(2 ** 40, MOST);
    const put = (key: string): boolean => store.put(partition, key, stored(key, ENTRY_BYTES), PLAIN);
    const find = (key: string): boolean => store.find(partition, key, NOW_MS) !== undefined;
    const range = (name: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${name}:${at}`);
    return { store, partition, put, find, range };
  };

  it('keeps the entries that are used during a scan of any length', () => {
    const { store, put, find, range } = full();
    const hot = range('hot', 25);
    hot.forEach(put);
    hot.forEach(find);
    range('scan', 5000).forEach(put);
    expect(hot.filter(find)).toEqual(hot);
    expect(store.count).toBe(MOST);
  });

  it('keeps the entries that are used although a scan reads each of its keys twice, as long as they are used', () => {
    const { put, find, range } = full();
    const hot = range('hot', 10);
    hot.forEach(put);
    for (const key of range('scan', 5000)) {
      put(key);
      find(key);
      hot.forEach((each) => find(each) || put(each));
    }
    expect(hot.filter(find)).toEqual(hot);
  });

  it('gives up entries that are used no more, once others are used', () => {
    const { put, find, range } = full();
    const [earlier, later] = [range('earlier', 40), range('later', 40)];
    earlier.forEach(put);
    earlier.forEach(find);
    for (let round = 0; round < 5; round++) {
      later.forEach((key) => find(key) || put(key));
    }
    expect(later.filter(find).length).toBeGreaterThan(35);
  });

  it('keeps an entry that was evicted unused and is stored again, longer than one that is new', () => {
    const { put, find, range } = full();
    const used = range('used', 45);
    used.forEach(put);
    used.forEach(find);
    put('again');
    range('new', 60).forEach(put);
    expect(find('again')).toBe(false);
    put('again');
    range('newer', 200).forEach(put);
    expect(find('again')).toBe(true);
  });

  it('never evicts the entry that is being stored, however large', () => {
    const { store, partition } = storeWithPartition(10_000);
    for (let index = 0; index < 20; index++) {
      store.put(partition, `small:${index}`, stored(index, 300), PLAIN);
      store.find(partition, `small:${index}`, NOW_MS);
    }
    expect(store.put(partition, 'large', stored('large', 9500), PLAIN)).toBe(true);
    expect(store.find(partition, 'large', NOW_MS)).toBeDefined();
    expect(store.usedBytes).toBeLessThanOrEqual(10_000);
  });

  it('keeps the place of a key whose value is replaced', () => {
    const { put, find, range } = full();
    const hot = range('hot', 25);
    hot.forEach(put);
    hot.forEach(find);
    range('scan', 100).forEach(put);
    hot.forEach(put);
    range('scan again', 40).forEach(put);
    expect(hot.filter(find)).toEqual(hot);
  });
});

describe('an entry that was read ahead', () => {
  const withAhead = () => {
    const { store, partition } = storeWithPartition();
    const judged = new Map<string, boolean>();
    const put = (key: string, ahead = true): void => {
      store.put(partition, key, stored(key, 10), PLAIN);
      if (ahead) {
        store.awaitUse(partition, key, { isKept: false, onJudged: (isUsed) => judged.set(key, isUsed) });
      }
    };
    return { store, partition, put, judged };
  };

  it('is reported as used or not when it leaves or is replaced, by its hits since, once', () => {
    const { store, partition, put, judged } = withAhead();
    put('known', false);
    store.find(partition, 'known', NOW_MS);
    ['known', 'used', 'unused', 'replaced'].forEach((key) => put(key));
    store.countUse(store.hit(partition, 'used', NOW_MS));
    expect(judged.size).toBe(0);
    ['known', 'used', 'unused'].forEach((key) => store.remove(partition.slots.get(key)!));
    put('replaced', false);
    expect([...judged]).toEqual([
      ['known', false],
      ['used', true],
      ['unused', false],
      ['replaced', false],
    ]);
    judged.clear();
    [...partition.slots.values()].forEach((slot) => store.remove(slot));
    expect(judged.size).toBe(0);
  });

  it('is reported when a thousand more have been read ahead', () => {
    const { store, partition, put, judged } = withAhead();
    put('first');
    store.find(partition, 'first', NOW_MS);
    Array.from({ length: 1000 }, (_, index) => put(`key:${index}`));
    expect([...judged]).toEqual([['first', true]]);
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
