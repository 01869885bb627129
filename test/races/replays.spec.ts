import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { keySlot, SLOT_COUNT } from '../../libs/distributed-cache/src/keys/index.js';
import { cacheForTest, fillJournal } from '../support/cache-for-test.js';
import { RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import { beat, podAt, podWithSplitLinks, untilDown, untilUp, type Pod } from './pods.js';

const CLEAR_STAMP = 'cache:users:#clear';

/** Counts how often the namespace got a new stamp. */
async function countClears({ port }: RedisServer): Promise<() => number> {
  const listener = new Redis({ port });
  onTestFinished(() => listener.disconnect());
  await listener.config('SET', 'notify-keyspace-events', 'K$');
  let count = 0;
  listener.on('message', (_topic: string, event: string) => (count += event === 'set' ? 1 : 0));
  await listener.subscribe(`__keyspace@0__:${CLEAR_STAMP}`);
  return () => count;
}

async function cutOff(
  server: RedisServer,
  count: number,
): Promise<{ pods: Pod[]; heal: (index: number) => Promise<void> }> {
  const proxies = await Promise.all(Array.from({ length: count }, () => proxyTo(server)));
  const pods = await Promise.all(proxies.map(({ port }) => podAt(port)));
  await Promise.all(pods.map(({ cache }) => cache.get('key')));
  for (const [index, proxy] of proxies.entries()) {
    await proxy.refuseNew(true);
    proxy.cut();
    await untilDown(pods[index]!);
  }
  return {
    pods,
    heal: async (index) => {
      await proxies[index]?.refuseNew(false);
      await untilUp(pods[index]!);
    },
  };
}

/** From then on no clock error of a process can hide which of two changes came first. */
async function pastClockError(): Promise<void> {
  const untilMs = performance.now() + 300;
  await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(untilMs));
}

const OVERFLOWS: readonly [string, (pod: Pod) => Promise<unknown>][] = [
  ['a clear', ({ cache }) => cache.clear()],
  [
    'more deletions than are kept',
    ({ all, cache }) => {
      fillJournal(all, 'users', 'keys');
      return cache.delete('key');
    },
  ],
  [
    'more tags than are kept',
    ({ all, cache }) => {
      fillJournal(all, 'users', 'tags');
      return cache.invalidateTags('tag');
    },
  ],
];

describe('an outage of several processes', () => {
  it.each(OVERFLOWS)('with %s in each empties the namespace once, not once per process', async (_what, change) => {
    const server = await ownRedis();
    const healthy = await podAt(server.port);
    await healthy.cache.set('old', 'old');
    const { pods, heal } = await cutOff(server, 4);
    await Promise.all(pods.map(change));
    await pastClockError();
    expect(await healthy.cache.get('old')).toBe('old');
    const clears = await countClears(server);
    await heal(0);
    await vi.waitFor(async () => expect(await healthy.cache.get('old')).toBeUndefined());
    await healthy.cache.set('new', 'new');
    for (const index of [1, 2, 3]) {
      await heal(index);
    }
    for (const { cache } of [healthy, ...pods]) {
      expect(await cache.get('new')).toBe('new');
      expect(await cache.get('old')).toBeUndefined();
    }
    expect(clears()).toBe(1);
  });

  it('that ends for all of them at once empties the namespace once', async () => {
    const server = await ownRedis();
    const { pods, heal } = await cutOff(server, 4);
    await Promise.all(pods.map(({ cache }) => cache.clear()));
    await pastClockError();
    const clears = await countClears(server);
    await Promise.all(pods.map((_pod, index) => heal(index)));
    expect(clears()).toBe(1);
  });

  it('is followed by the replay of a clear that was made after the recovery of another process', async () => {
    const server = await ownRedis();
    const healthy = await podAt(server.port);
    const { pods, heal } = await cutOff(server, 2);
    await Promise.all(pods.map(({ cache }) => cache.clear()));
    await heal(0);
    await healthy.cache.set('key', 'old');
    await pods[1]?.cache.clear();
    await heal(1);
    await vi.waitFor(async () => expect(await healthy.cache.get('key')).toBeUndefined());
    expect(await pods[1]?.cache.get('key')).toBeUndefined();
  });

  it('is followed by the replay of 12,000 tag invalidations', async () => {
    const server = await ownRedis();
    const { pods, heal } = await cutOff(server, 1);
    const [pod] = pods as [Pod];
    const tags = Array.from({ length: 12_000 }, (_, index) => `tag${index}`);
    for (let from = 0; from < tags.length; from += 1000) {
      await pod.cache.invalidateTags(...tags.slice(from, from + 1000));
    }
    expect((await pod.all.healthCheck()).redis?.journalLength).toBe(12_000);
    await heal(0);
    await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis?.journalLength).toBe(0), 10_000);
  });
});

describe('tags on several masters of a Cluster', () => {
  it('are invalidated on the available masters before the call returns, on the others later', async () => {
    const group = await RedisCluster.start();
    onTestFinished(() => group.stop());
    const { masters } = group;
    await Promise.all(masters.map((node) => node.command('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')));
    const masterOf = (name: string): number =>
      Math.floor((keySlot(`cache:users:${name}`) * masters.length) / SLOT_COUNT);
    const tagOn = (index: number): string =>
      Array.from({ length: 100 }, (_, each) => `tag${each}`).find((tag) => masterOf(`#tag:${tag}`) === index)!;
    const down = (masterOf('#clear') + 1) % masters.length;
    const up = (masterOf('#clear') + 2) % masters.length;
    const options = { redis: { cluster: { nodes: group.addresses } } };
    const all = cacheForTest(options);
    const cache = all.getCache<string>('users');
    const stampOf = (index: number): Promise<unknown> =>
      masters[index]!.command('GET', `cache:users:#tag:${tagOn(index)}`);
    await cache.set('key', 'old', { tags: [tagOn(up), tagOn(down)] });
    const before = await Promise.all([stampOf(up), stampOf(down)]);
    masters[down]?.freeze();
    await vi.waitFor(async () => expect((await all.healthCheck()).redis?.nodesDown).toBe(1), { timeout: 5000 });
    await masters[up]?.command('CLIENT', 'PAUSE', '150', 'WRITE');
    await cache.invalidateTags(tagOn(down), tagOn(up));
    expect(await stampOf(up)).not.toBe(before[0]);
    expect((await all.healthCheck()).redis?.journalLength).toBe(1);
    masters[down]?.thaw();
    await vi.waitFor(async () => expect(await stampOf(down)).not.toBe(before[1]), { timeout: 5000 });
  });
});

/** The ways in which a process may read a key, without a load. */
const READS: readonly [string, (pod: Pod, key: string) => Promise<unknown>][] = [
  ['get', ({ cache }, key) => cache.get(key)],
  ['getMany', ({ cache }, key) => cache.getMany([key])],
  ['getOrSet', ({ cache }, key) => cache.getOrSet(key, (context) => context.skip())],
];

/** The operations that Redis may refuse, the rights that they need, and the key that shows that they have been done. */
const REFUSED: readonly [string, (pod: Pod) => Promise<unknown>, rights: readonly string[], changes: string][] = [
  ['delete', ({ cache }) => cache.delete('key'), ['-unlink', '-del'], 'cache:users:key'],
  ['clear', ({ cache }) => cache.clear(), ['-set'], CLEAR_STAMP],
  ['invalidateTags', ({ cache }) => cache.invalidateTags('tag'), ['-set'], 'cache:users:#tag:tag'],
];

describe.each(REFUSED)('a %s that Redis refused', (_change, change, rights, changed) => {
  it.each(READS)(
    'is visible to each %s of its process, also to one that runs during the replay',
    async (_name, read) => {
      const server = await ownRedis();
      const proxy = await proxyTo(server);
      // A heartbeat before the right is granted would wait for the answer to its own refused replay.
      const pod = await podWithSplitLinks(server, proxy, { heartbeatMs: 60_000 });
      const other = await podAt(server.port);
      // It is decompressed in the background, which takes longer than a reply.
      await other.cache.set('key', 'x'.repeat(3_000_000), { tags: ['tag'] });
      await pod.cache.lookup('other'); // the process knows the stamp of the namespace from here on
      const before = await server.command('GET', changed);
      await server.command('ACL', 'SETUSER', 'default', ...rights);
      await change(pod);
      expect((await pod.all.healthCheck()).redis?.journalLength).toBe(1);
      proxy.stall('down');
      const reading = read(pod, 'key');
      await server.command('ACL', 'SETUSER', 'default', '+@all');
      beat(pod);
      // The replay has taken effect before the reply to the read arrives.
      await vi.waitFor(async () => expect(await server.command('GET', changed)).not.toEqual(before));
      proxy.resume();
      const seen = [await reading, await read(pod, 'key')].flat();
      expect(seen).toEqual([undefined, undefined]);
    },
  );
});
