import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { connectionForTest } from '../../../../test/support/connection-for-test.js';
import { redisForTest, type RedisForTest } from '../../../../test/support/redis-for-test.js';
import { EntryCodec } from '../codec/index.js';
import { CorruptEntryError } from '../errors/index.js';
import { encodeKey, keyLayout } from '../keys/index.js';
import type { EntryKeys } from '../keys/index.js';
import { RedisTier, type EntryToStore } from './index.js';

const MINUTE_MS = 60_000;
const LEASE_MS = 5000;

interface Lives {
  readonly ttlMs?: number;
  readonly graceMs?: number;
}

interface TierForTest extends RedisForTest {
  readonly tier: RedisTier;
  readonly keysOf: (key: string) => EntryKeys;
  readonly entry: (value: unknown, lives?: Lives) => Promise<EntryToStore>;
  readonly set: (key: string, value: unknown, lives?: Lives) => Promise<void>;
}

function tierForTest(): TierForTest {
  const redis = redisForTest();
  const codec = new EntryCodec({ maxValueBytes: 1_000_000, compression: { thresholdBytes: 1024, codec: 'gzip' } });
  const target = { kind: 'single', connection: { host: redis.host, port: redis.port } } as const;
  const tier = new RedisTier(connectionForTest(target).connection, codec);
  const layout = keyLayout(redis.keyPrefix, 'users');
  const keysOf = (key: string): EntryKeys => {
    const encoded = encodeKey(key);
    return {
      valueKey: layout.valueKey(encoded),
      leaseKey: layout.entryKeys(encoded).leaseKey,
      fillKey: layout.entryKeys(encoded).fillKey,
    };
  };
  const entry: TierForTest['entry'] = async (value, { ttlMs = MINUTE_MS, graceMs = 0 } = {}) => {
    const payload = await codec.encode(value).payload();
    return { payload, ttlMs, graceMs, loadMs: 7, stamps: [['#clear', 'one']] };
  };
  const set: TierForTest['set'] = async (key, value, lives) => tier.setMany([[keysOf(key), await entry(value, lives)]]);
  return Object.assign(Object.create(redis) as RedisForTest, { tier, keysOf, entry, set });
}

describe('RedisTier', () => {
  it.each([
    ['an object', { name: 'Ada', tags: ['a', 'b'] }],
    ['null', null],
    ['undefined', undefined],
    ['a text that is worth compressing', 'x'.repeat(10_000)],
    ['rich values', { when: new Date(5), map: new Map([['a', 1n]]), bytes: Buffer.from([0, 255, 0xdc]) }],
  ])('returns %s as it was stored', async (_name, value) => {
    const { tier, keysOf, set } = tierForTest();
    await set('key', value);
    expect(await tier.get(keysOf('key').valueKey)).toMatchObject({
      header: { loadMs: 7, stamps: [['#clear', 'one']] },
    });
    expect((await tier.get(keysOf('key').valueKey))?.value).toEqual(value);
  });

  it('writes the time of the server from the first entry on, regardless of the clock of this process', async () => {
    const { tier, keysOf, set } = tierForTest();
    await set('key', 1);
    const found = await tier.get(keysOf('key').valueKey);
    // `connectionForTest` uses a clock that began with this process.
    expect(found?.header.createdAtMs).toBeGreaterThan(Date.UTC(2020));
  });

  it('finds nothing where no entry exists', async () => {
    const { tier, keysOf } = tierForTest();
    expect(await tier.get(keysOf('key').valueKey)).toBeUndefined();
    expect(await tier.getMany([])).toEqual([]);
    expect(await tier.getMany([keysOf('a').valueKey, keysOf('b').valueKey])).toEqual([undefined, undefined]);
    expect(await tier.delete([])).toEqual([]);
    expect(await tier.delete([keysOf('key')])).toEqual([false]);
  });

  it('sets the expiry of an entry in Redis to its TTL and grace together, in whole milliseconds', async () => {
    const { tier, admin, keysOf, set } = tierForTest();
    await set('key', 1, { ttlMs: MINUTE_MS + 0.5, graceMs: 2 * MINUTE_MS });
    const lifeMs = await admin.pttl(keysOf('key').valueKey);
    expect(lifeMs).toBeLessThanOrEqual(3 * MINUTE_MS + 1);
    expect(lifeMs).toBeGreaterThan(3 * MINUTE_MS - 10_000);
    const found = await tier.get(keysOf('key').valueKey);
    const remainingMs = found === undefined ? 0 : tier.remainingMs(keysOf('key').valueKey, found.header);
    expect(remainingMs).toBeLessThanOrEqual(MINUTE_MS + 1);
    expect(remainingMs).toBeGreaterThan(MINUTE_MS - 10_000);
  });

  it('keeps an entry for 400 days, and one for less than a millisecond', async () => {
    const { admin, keysOf, set } = tierForTest();
    await set('long', 1, { ttlMs: 400 * 86_400_000 });
    expect(await admin.pttl(keysOf('long').valueKey)).toBeGreaterThan(399 * 86_400_000);
    await set('short', 1, { ttlMs: 0.1 });
    expect(await admin.pttl(keysOf('short').valueKey)).toBeLessThanOrEqual(1);
  });

  it('reads many in order, with duplicates; an unreadable entry is its own error', async () => {
    const { tier, admin, keysOf, set } = tierForTest();
    await set('a', 'A');
    await set('b', 'B');
    await admin.set(keysOf('bad').valueKey, Buffer.from([0xdc, 1, 2, 3]));
    const found = await tier.getMany(['b', 'x', 'bad', 'a', 'b'].map((key) => keysOf(key).valueKey));
    expect(found[2]).toBeInstanceOf(CorruptEntryError);
    expect(found.map((each) => (each instanceof Error ? 'error' : each?.value))).toEqual([
      'B',
      undefined,
      'error',
      'A',
      'B',
    ]);
  });

  it('stores and deletes many, and counts those that existed', async () => {
    const { tier, keysOf, entry } = tierForTest();
    const keys = Array.from({ length: 600 }, (_, index) => keysOf(`key:${index}`));
    const stored = await entry('same');
    await tier.setMany(keys.map((each) => [each, stored] as const));
    expect(await tier.delete([keysOf('none'), ...keys])).toEqual([false, ...keys.map(() => true)]);
    expect(await tier.getMany(keys.map(({ valueKey }) => valueKey))).toEqual(keys.map(() => undefined));
  });

  it.each([0, 1, 2, 3, 10, 20, 40, -5, -1])(
    'returns no other value when byte %i of an entry has changed',
    async (at) => {
      const { tier, admin, keysOf, set } = tierForTest();
      await set('key', { secret: 'value' });
      const { valueKey } = keysOf('key');
      const bytes = (await admin.getBuffer(valueKey)) ?? Buffer.alloc(0);
      const index = at < 0 ? bytes.length + at : at;
      bytes[index] = (bytes[index] ?? 0) ^ 0x40;
      await admin.set(valueKey, bytes, 'PX', MINUTE_MS);
      const found = await tier.get(valueKey).catch((error: unknown) => error);
      if (!(found instanceof CorruptEntryError)) {
        // A changed time or load time in the head does not change the value.
        expect(found).toMatchObject({ value: { secret: 'value' } });
      }
    },
  );

  it('reports the reply of Redis where a key has another type, and reveals nothing of the value', async () => {
    const { tier, admin, keysOf, set } = tierForTest();
    await admin.lpush(keysOf('list').valueKey, 'secret');
    await expect(tier.get(keysOf('list').valueKey)).rejects.toThrow('GET was refused by Redis: WRONGTYPE');
    await set('list', 'now a value');
    expect(await tier.get(keysOf('list').valueKey)).toMatchObject({ value: 'now a value' });
  });
});

describe('the stamps of RedisTier', () => {
  it('are created where none exists, are the same for every process, and can be replaced', async () => {
    const { tier, keyPrefix } = tierForTest();
    const stampKey = keyLayout(keyPrefix, 'users').clearStampKey;
    expect(await tier.readStamp(stampKey)).toBeUndefined();
    const stamps = await Promise.all([1, 2, 3].map(() => tier.createStamp(stampKey, randomUUID())));
    expect(new Set(stamps).size).toBe(1);
    expect(await tier.readStamp(stampKey)).toBe(stamps[0]);
    await tier.replaceStamp(stampKey, 'next');
    expect(await tier.createStamp(stampKey, 'late')).toBe('next');
  });
});

describe('the leases of RedisTier', () => {
  it('give one of many callers the right to load, and the others the existing value', async () => {
    const { tier, keysOf, set } = tierForTest();
    await set('key', 'stale');
    const taken = await Promise.all(['a', 'b', 'c'].map((token) => tier.take(keysOf('key'), token, LEASE_MS)));
    expect(taken.map(({ owner }) => owner)).toEqual(['a', 'a', 'a']);
    const { valueKey } = keysOf('key');
    for (const { bytes } of taken) {
      expect(tier.entryIn(valueKey, bytes ?? Buffer.alloc(0), 0)).toMatchObject({ value: 'stale' });
    }
  });

  it('store once, and only for their holder', async () => {
    const { tier, keysOf, entry } = tierForTest();
    await tier.take(keysOf('key'), 'mine', LEASE_MS);
    expect(await tier.fill(keysOf('key'), 'other', await entry('wrong'))).toBe(false);
    expect(await tier.fill(keysOf('key'), 'mine', await entry('right'))).toBe(true);
    expect(await tier.fill(keysOf('key'), 'mine', await entry('again'))).toBe(false);
    expect(await tier.get(keysOf('key').valueKey)).toMatchObject({ value: 'right' });
    expect(await tier.take(keysOf('key'), 'next', LEASE_MS)).toMatchObject({ owner: 'next' });
  });

  it.each(['a deletion', 'a set'])('are ended by %s', async (change) => {
    const { tier, keysOf, entry, set } = tierForTest();
    await tier.take(keysOf('key'), 'mine', LEASE_MS);
    await (change === 'a set' ? set('key', 'newer') : tier.delete([keysOf('key')]));
    expect(await tier.fill(keysOf('key'), 'mine', await entry('older'))).toBe(false);
    expect((await tier.get(keysOf('key').valueKey))?.value).toBe(change === 'a set' ? 'newer' : undefined);
  });

  it('are renewed and given back by their holder only, and expire', async () => {
    const { tier, admin, keysOf } = tierForTest();
    await tier.take(keysOf('key'), 'mine', LEASE_MS);
    expect(await tier.renew(keysOf('key'), 'other', MINUTE_MS)).toBe(false);
    expect(await tier.renew(keysOf('key'), 'mine', MINUTE_MS)).toBe(true);
    const lifeMs = await admin.pttl(keysOf('key').leaseKey);
    expect(lifeMs).toBeGreaterThan(LEASE_MS);
    await tier.release(keysOf('key'), 'other');
    expect(await tier.take(keysOf('key'), 'next', LEASE_MS)).toMatchObject({ owner: 'mine' });
    await tier.release(keysOf('key'), 'mine');
    expect(await tier.take(keysOf('key'), 'next', LEASE_MS)).toMatchObject({ owner: 'next' });
  });

  it('are taken although the stored entry is unreadable', async () => {
    const { tier, admin, keysOf } = tierForTest();
    const bytes = Buffer.from([0xdc, 9]);
    await admin.set(keysOf('key').valueKey, bytes);
    const taken = await tier.take(keysOf('key'), 'mine', LEASE_MS);
    expect(taken).toEqual({ owner: 'mine', bytes, refusal: undefined });
    expect(() => tier.entryIn(keysOf('key').valueKey, bytes, 0)).toThrow(CorruptEntryError);
  });
});
