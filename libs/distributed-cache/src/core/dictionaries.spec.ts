import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { productOf, userOf } from '../../../../scripts/corpora.mjs';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { ownRedis, redisForTest, type RedisForTest } from '../../../../test/support/redis-for-test.js';
import { Dictionary } from '../codec/index.js';
import { CacheConfig, type DistributedCacheOptions } from '../config/index.js';
import { keyLayout } from '../keys/index.js';
import { FakeClock } from '../testing/index.js';
import type { AsyncCache } from './async-cache.js';
import { SharedDictionaries } from './dictionaries.js';
import type { DistributedCache } from './distributed-cache.js';

const LEARNING: DistributedCacheOptions = {
  local: false,
  deadlineMs: 5000,
  namespaces: { users: { compression: { dictionary: true } } },
};
const MINUTE_MS = 60_000;

interface Pod {
  readonly all: DistributedCache;
  readonly cache: AsyncCache;
  readonly clock: FakeClock;
  readonly errors: string[];
}

async function podOf(redis: RedisForTest, options: DistributedCacheOptions = LEARNING): Promise<Pod> {
  const clock = new FakeClock();
  const all = cacheForTest({ redis: { url: redis.url }, keyPrefix: redis.keyPrefix, ...options }, { clock });
  await all.connect();
  const errors: string[] = [];
  all.events.on('tierError', ({ error }) => errors.push(error.message));
  return { all, cache: all.getCache('users'), clock, errors };
}

const dictionaryKey = ({ keyPrefix }: RedisForTest, id: string): string =>
  keyLayout(keyPrefix, 'users').dictionaryKey(id);

const currentOf = (redis: RedisForTest): Promise<string | null> => redis.admin.get(dictionaryKey(redis, 'current'));

const dictionariesIn = async (redis: RedisForTest): Promise<string[]> =>
  (await redis.admin.keys(`${redis.keyPrefix}:{*#dict}:*`)).filter((key) => /:[0-9a-f]{16}$/.test(key));

async function store({ cache }: Pod, from: number, count: number, make = userOf as (index: number) => unknown) {
  await cache.setMany(
    new Map(Array.from({ length: count }, (_, index) => [`user:${from + index}`, make(from + index)])),
  );
}

/** A process that has made a dictionary. */
async function trainedPod(redis: RedisForTest, options?: DistributedCacheOptions): Promise<Pod & { id: string }> {
  const pod = await podOf(redis, options);
  await store(pod, 0, 200);
  await vi.waitFor(async () => expect(await compressorOf(pod, 'probe')).toBe('dictionary'), { timeout: 10_000 });
  return { ...pod, id: (await currentOf(redis)) ?? '' };
}

/** How the next value of this process is compressed. */
async function compressorOf({ cache }: Pod, key: string): Promise<string> {
  await cache.set(key, userOf(9000));
  return storedAs(cache, key);
}

async function storedAs(cache: AsyncCache, key: string): Promise<string> {
  const { redis } = await cache.inspect(key);
  return 'compressor' in redis ? redis.compressor : redis.state;
}

describe('the dictionary of a namespace', () => {
  it('is made after 200 values, stored without a TTL, and read by each other process', async () => {
    const redis = redisForTest();
    const pod = await trainedPod(redis);
    expect(await dictionariesIn(redis)).toEqual([dictionaryKey(redis, pod.id)]);
    expect(await redis.admin.pttl(dictionaryKey(redis, pod.id))).toBe(-1);
    expect(await redis.admin.strlen(dictionaryKey(redis, pod.id))).toBeLessThan(16 * 1024);
    const [other, withoutOption] = [await podOf(redis), await podOf(redis, { local: false, deadlineMs: 5000 })];
    for (const each of [other, withoutOption]) {
      expect(await each.cache.get('probe')).toEqual(userOf(9000));
      expect(await each.cache.get('user:3')).toEqual(userOf(3));
      expect(each.errors).toEqual([]);
    }
    expect(await compressorOf(withoutOption, 'plain')).toBe('none');
    await vi.waitFor(async () => expect(await compressorOf(other, 'own')).toBe('dictionary'));
    expect(await currentOf(redis)).toBe(pod.id);
  });

  it('is read once for all entries that wait for it', async () => {
    const redis = redisForTest();
    const pod = await trainedPod(redis);
    await store(pod, 300, 50);
    const reader = await podOf(redis);
    const connection = reader.all.redis?.connection ?? expect.fail('no Redis');
    const request = vi.spyOn(connection, 'request');
    const found = await Promise.all(Array.from({ length: 50 }, (_, index) => reader.cache.get(`user:${300 + index}`)));
    expect(found).toEqual(Array.from({ length: 50 }, (_, index) => userOf(300 + index)));
    expect(await reader.cache.getMany(['user:300', 'user:349'])).toEqual([userOf(300), userOf(349)]);
    expect(request.mock.calls.filter(([operation]) => operation === 'GET DICTIONARY')).toHaveLength(1);
  });

  it.each([
    ['is gone', async (redis: RedisForTest, key: string) => redis.admin.del(key)],
    ['is damaged', async (redis: RedisForTest, key: string) => redis.admin.setrange(key, 60, 'damage')],
    ['is no envelope', async (redis: RedisForTest, key: string) => redis.admin.set(key, 'another text')],
  ])('that %s makes its entries misses, which are loaded again, and no error of a caller', async (_how, spoil) => {
    const redis = redisForTest();
    const pod = await trainedPod(redis);
    await pod.cache.set('many', userOf(2));
    await spoil(redis, dictionaryKey(redis, pod.id));
    const other = await podOf(redis);
    expect(await other.cache.get('probe')).toBeUndefined();
    expect(await other.cache.getOrSet('probe', async () => 'loaded again')).toBe('loaded again');
    await other.cache.set('small', 1);
    expect(await other.cache.getMany(['many', 'small'])).toEqual([undefined, 1]);
    expect(other.errors.join()).toContain(`the dictionary ${pod.id}, which can't be read`);
    expect(await pod.cache.get('probe')).toBe('loaded again');
  });

  it('that Redis does not send in time delays a read by its deadline, and no longer', async () => {
    const redis = redisForTest();
    await trainedPod(redis);
    const reader = await podOf(redis, { ...LEARNING, deadlineMs: 50 });
    const connection = reader.all.redis?.connection ?? expect.fail('no Redis');
    const request = connection.request.bind(connection);
    const never = new Promise<never>(() => {});
    vi.spyOn(connection, 'request').mockImplementation((operation, ...rest) =>
      operation === 'GET DICTIONARY' ? never : request(operation, ...rest),
    );
    expect(await reader.cache.get('probe')).toBeUndefined();
    expect(await reader.cache.getMany(['probe', 'missing'])).toEqual([undefined, undefined]);
    expect(await reader.cache.getOrSet('probe', async () => 'loaded')).toBe('loaded');
  });

  it('that Redis has lost is stored again within a minute by a process that has it', async () => {
    const redis = redisForTest();
    const pod = await trainedPod(redis);
    for (const lost of [[pod.id], ['current'], [pod.id, 'current']]) {
      await redis.admin.del(lost.map((id) => dictionaryKey(redis, id)));
      pod.clock.advance(MINUTE_MS);
      await pod.cache.set('next', userOf(1));
      await vi.waitFor(async () => {
        expect(await currentOf(redis)).toBe(pod.id);
        expect(await dictionariesIn(redis)).toHaveLength(1);
      });
    }
    const other = await podOf(redis);
    expect(await other.cache.get('probe')).toEqual(userOf(9000));
  });

  it('that Redis has lost is made again by new processes, after 200 values', async () => {
    const redis = redisForTest();
    const { id } = await trainedPod(redis);
    await redis.admin.del(dictionaryKey(redis, id));
    await redis.admin.del(dictionaryKey(redis, 'training')); // it ends by itself within a minute
    const other = await podOf(redis);
    await store(other, 1000, 200, productOf);
    await vi.waitFor(async () => expect(await compressorOf(other, 'probe')).toBe('dictionary'));
    expect(await currentOf(redis)).not.toBe(id);
  });

  it('is made once by processes that have their 200 values at the same time', async () => {
    const redis = redisForTest();
    const pods = await Promise.all([podOf(redis), podOf(redis), podOf(redis)]);
    await Promise.all(pods.map((pod, index) => store(pod, index * 200, 200)));
    await vi.waitFor(async () => expect(await dictionariesIn(redis)).toHaveLength(1));
    for (const pod of pods) {
      pod.clock.advance(MINUTE_MS);
      await vi.waitFor(async () => expect(await compressorOf(pod, 'probe')).toBe('dictionary'));
    }
    expect(await dictionariesIn(redis)).toHaveLength(1);
  });

  it('that another one replaces lives on as long as its entries', async () => {
    const redis = redisForTest();
    const one = await trainedPod(redis);
    await one.cache.set('long', userOf(5), { ttl: '3h' });
    const two = await podOf(redis);
    await two.cache.set('first', 1);
    // Both trained, as far as Redis can tell: one of them was stopped for longer than others wait for it.
    await redis.admin.del(dictionaryKey(redis, 'training'), dictionaryKey(redis, 'current'));
    await store(two, 1000, 200, productOf);
    await vi.waitFor(async () => expect(await dictionariesIn(redis)).toHaveLength(2), { timeout: 10_000 });
    const id = (await currentOf(redis)) ?? '';
    expect(id).not.toBe(one.id);
    one.clock.advance(MINUTE_MS);
    await vi.waitFor(async () => {
      await one.cache.set('next', userOf(1));
      const lifeMs = await redis.admin.pttl(dictionaryKey(redis, one.id));
      expect(lifeMs).toBeGreaterThan(3 * 60 * MINUTE_MS);
      expect(lifeMs).toBeLessThan(5 * 60 * MINUTE_MS);
    });
    expect(await redis.admin.pttl(dictionaryKey(redis, id))).toBe(-1);
    const reader = await podOf(redis);
    for (const pod of [one, two, reader]) {
      expect(await pod.cache.get('long')).toEqual(userOf(5));
      expect(await pod.cache.get('user:1100')).toEqual(productOf(1100));
      expect(pod.errors).toEqual([]);
    }
  });

  it('is replaced when it saves much less than at first, and not while values stay as they are', async () => {
    const redis = redisForTest();
    const pod = await trainedPod(redis);
    await redis.admin.del(dictionaryKey(redis, 'training'));
    await store(pod, 1000, 600);
    expect(await currentOf(redis)).toBe(pod.id);
    await store(pod, 2000, 200, productOf);
    await store(pod, 3000, 200, productOf);
    await vi.waitFor(async () => expect(await currentOf(redis)).not.toBe(pod.id), { timeout: 10_000 });
    await vi.waitFor(async () => expect(await redis.admin.pttl(dictionaryKey(redis, pod.id))).toBeGreaterThan(0));
    expect(await pod.cache.get('probe')).toEqual(userOf(9000));
  });

  it('is not used any more by a process that has stored nothing for half an hour, until it has asked for it', async () => {
    const redis = redisForTest();
    const pod = await trainedPod(redis);
    pod.clock.advance(31 * MINUTE_MS);
    await pod.cache.set('after a pause', userOf(1));
    expect(await storedAs(pod.cache, 'after a pause')).toBe('none');
    await vi.waitFor(async () => expect(await compressorOf(pod, 'probe')).toBe('dictionary'));
  });

  it('is made and read outside of the request that stores or reads a value', async () => {
    const redis = redisForTest();
    const requests = new AsyncLocalStorage<string>();
    const seen = new Set<string | undefined>();
    const podWatched = async () => {
      const pod = await podOf(redis);
      const connection = pod.all.redis?.connection ?? expect.fail('no Redis');
      const request = connection.request.bind(connection);
      vi.spyOn(connection, 'request').mockImplementation((operation, ...rest) => {
        if (operation.includes('DICTIONARY')) {
          seen.add(requests.getStore());
        }
        return request(operation, ...rest);
      });
      return pod;
    };
    const pod = await podWatched();
    await requests.run('a request', () => store(pod, 0, 200));
    await vi.waitFor(async () => expect(await compressorOf(pod, 'probe')).toBe('dictionary'), { timeout: 10_000 });
    const reader = await podWatched();
    expect(await requests.run('a request', () => reader.cache.get('probe'))).toEqual(userOf(9000));
    expect([...seen]).toEqual([undefined]);
  });

  it('is not made of values that have nothing in common', async () => {
    const redis = redisForTest();
    const pod = await podOf(redis);
    await store(pod, 0, 250, () => randomBytes(150).toString('base64'));
    await vi.waitFor(async () => expect(await redis.admin.exists(dictionaryKey(redis, 'training'))).toBe(1));
    await store(pod, 0, 50);
    expect(await dictionariesIn(redis)).toEqual([]);
  });

  it('is encrypted where the values are, and can be read with the key alone', async () => {
    const redis = redisForTest();
    const encryption = { keys: { a: Buffer.alloc(32, 1) }, current: 'a' };
    const pod = await trainedPod(redis, { ...LEARNING, encryption });
    const bytes = (await redis.admin.getBuffer(dictionaryKey(redis, pod.id))) ?? Buffer.alloc(0);
    expect(bytes.readUInt8(2) & 0x40).toBe(0x40);
    expect(await (await podOf(redis, { ...LEARNING, encryption })).cache.get('probe')).toEqual(userOf(9000));
    const other = await podOf(redis, { ...LEARNING, encryption: { keys: { a: Buffer.alloc(32, 2) }, current: 'a' } });
    expect(await other.cache.get('probe')).toBeUndefined();
  });

  it('is refused where keys of encrypted values have dimensions', async () => {
    const redis = redisForTest();
    const encryption = { keys: { a: Buffer.alloc(32, 1) }, current: 'a' };
    const pod = await podOf(redis, { ...LEARNING, encryption });
    const call = () => pod.cache.getOrSet('key', async () => 1, { varyBy: ['tenant'] });
    await expect(Promise.resolve().then(call)).rejects.toThrow(
      /namespaces\.users\.compression\.dictionary: got true, with encryption, and .* varies by tenant/,
    );
    const plain = await podOf(redis);
    await expect(plain.cache.getOrSet('key', async () => 1, { varyBy: ['tenant'] })).resolves.toBe(1);
  });
});

describe('a user without rights to the keys of dictionaries', () => {
  it.each([
    ['any access', ['~cache:users:*', '~cache:{cache:users:[^#]*']],
    ['writing', ['~cache:users:*', '~cache:{cache:users:[^#]*', '%R~cache:*']],
  ])('of %s stores values without; health names it until it is granted, and it is told once', async (_what, keys) => {
    const server = await ownRedis();
    const rights = [...keys, '&*', '+@all'];
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights);
    const login = { host: '127.0.0.1', port: server.port, username: 'app', password: 'secret' };
    const clock = new FakeClock();
    const all = cacheForTest({ ...LEARNING, redis: login }, { clock });
    const refused: string[] = [];
    all.events.on('redisRefused', ({ command, effect }) => refused.push(`${command}: ${effect}`));
    await all.connect();
    const cache = all.getCache('users');
    for (let round = 0; round < 3; round++) {
      await cache.setMany(new Map(Array.from({ length: 250 }, (_, index) => [`user:${index}`, userOf(index)])));
    }
    await cache.set(
      'large',
      Array.from({ length: 10 }, (_, index) => userOf(index)),
    );
    expect(await cache.get('large')).toHaveLength(10);
    expect(await storedAs(cache, 'large')).toBe('deflate');
    await vi.waitFor(() => expect(refused.join()).toContain('DICTIONARY'));
    expect(refused.filter((text) => text.startsWith('DICTIONARY'))).toEqual([
      'DICTIONARY: values are compressed without a dictionary',
    ]);
    const { status, message } = await all.healthCheck();
    expect(status).toBe('degraded');
    expect(message).toContain(
      'Redis refuses DICTIONARY on cache:* (NOPERM): values are compressed without a dictionary',
    );
  });
});

describe('the dictionaries that a process holds', () => {
  it('are the last five, however many there are', async () => {
    const redis = redisForTest();
    const { all } = await podOf(redis);
    const runtime = all.redis ?? expect.fail('no Redis');
    const layout = keyLayout(redis.keyPrefix, 'users');
    const policy = CacheConfig.resolve(LEARNING, {}).namespace('users');
    const runtimeWith = (clock: FakeClock) => ({ clock, outside: <Result>(work: () => Result) => work() });
    const writer = new SharedDictionaries(runtime, layout, policy, runtimeWith(new FakeClock()));
    const inside = writer as unknown as { store(dictionary: Dictionary): Promise<void> };
    const ids: string[] = [];
    for (let number = 0; number < 20; number++) {
      const dictionary = new Dictionary(Buffer.from(`dictionary ${number}`));
      ids.push(dictionary.id);
      await inside.store(dictionary);
    }
    const clock = new FakeClock();
    const reader = new SharedDictionaries(runtime, layout, policy, runtimeWith(clock));
    for (const id of ids) {
      expect(await reader.find(id)).toMatchObject({ id });
    }
    clock.advance(MINUTE_MS);
    const held = ids.filter((id) => !(reader.find(id) instanceof Promise));
    expect(held).toEqual(ids.slice(-4));
    const { asked } = reader as unknown as { asked: Map<string, unknown> };
    expect(asked.size).toBeLessThanOrEqual(16);
  });
});
