import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { heldLoad } from '../support/gate.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import {
  receivedAll,
  holdsCopy,
  type Pod,
  podAt,
  podWith,
  podWithSplitLinks,
  untilDown,
  waitsFor,
  warm,
} from './pods.js';

describe('overlapping operations in one process', () => {
  const LARGE = 'x'.repeat(3_000_000); // its decompression takes longer than a small set

  it("return the process's own write although a read of the old value is being decompressed", async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port)];
    // Several times, because the machine decides which of the two ends first.
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      await podB.cache.set(key, LARGE);
      // It has to read the stamp of its tag first, so the read leaves before it.
      const setting = podA.cache.set(key, 'small', { tags: [`of ${key}`] });
      const reading = podA.cache.get(key);
      await Promise.all([setting, reading]);
      expect(await podA.cache.get(key)).toBe('small');
    }
  });

  it('keep nothing of a key whose new value was refused', async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port)];
    await podB.cache.set('key', LARGE);
    const setting = podA.cache.set('key', () => 'a function');
    const reading = podA.cache.get('key');
    await Promise.all([setting, reading]);
    expect(await podA.cache.get('key')).toBeUndefined();
  });

  it('send a set although another process changes the key while the value is being compressed', async () => {
    // It is compressed far longer than two small changes take.
    const value = randomBytes(1_400_000).toString('hex');
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const podA = await podWithSplitLinks(server, proxy);
    const podB = await podAt(server.port);
    await podB.cache.set('key', 'first');
    await vi.waitFor(async () => expect(await podA.cache.lookup('key')).toMatchObject({ tier: 'local' }));
    await podB.cache.clear();
    await vi.waitFor(async () => expect(await podA.cache.get('key')).toBeUndefined());
    // All that the set sends, its question for a stamp included, arrives behind the changes of the other process.
    proxy.stall('up');
    const reading = podA.cache.get('asked');
    const setting = podA.cache.set('key', value);
    await podB.cache.set('key', 'earlier');
    await podB.cache.set('key', 'still earlier');
    proxy.resume();
    await reading;
    expect(await setting).toBe(true);
    for (const { cache } of [podB, podA]) {
      await vi.waitFor(async () => expect(await cache.get('key')).toBe(value));
    }
  });

  it.each<[string, (pod: Pod) => Promise<unknown>]>([
    ['deleted', ({ cache }) => cache.delete('b')],
    ['invalidated by its tag', ({ cache }) => cache.invalidateTags('letters')],
    ['cleared with its namespace', ({ cache }) => cache.clear()],
    ['replaced', ({ cache }) => cache.set('b', 'new')],
  ])('keep no companion of a read that is %s elsewhere meanwhile', async (_what, change) => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const podA = await podWithSplitLinks(server, proxy, { namespaces: { users: { companions: true } } });
    const podB = await podAt(server.port);
    const session = async (): Promise<void> => {
      for (const key of ['a', 'b', 'c']) {
        expect(await podA.cache.get(key)).toBe(key);
      }
    };
    const renew = async (): Promise<void> => {
      await podB.cache.setMany(new Map(['a', 'b', 'c', 'marker'].map((key) => [key, key])), { tags: ['letters'] });
      await vi.waitFor(() => expect(['a', 'b', 'c'].some((key) => holdsCopy(podA, key))).toBe(false));
    };
    await renew();
    await session();
    await renew();
    await session();
    await renew();
    await warm(podA, 'marker');
    const { companionPrefetches: before } = podA.cache.getMetrics();
    proxy.stall('down');
    const reading = podA.cache.get('a');
    await vi.waitFor(async () => expect(await server.command('INFO', 'commandstats')).toContain('cmdstat_mget'));
    await change(podB);
    await podB.cache.delete('marker');
    await vi.waitFor(() => expect(holdsCopy(podA, 'marker')).toBe(false));
    proxy.resume();
    await reading;
    expect(podA.cache.getMetrics().companionPrefetches).toBe(before + 2);
    expect(await podA.cache.get('b')).toBe(await podB.cache.get('b'));
  });

  it('drop a set that a change elsewhere has superseded, also while a caller waits for the key', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const podA = await podWithSplitLinks(server, proxy);
    const [podB, podC] = [await podAt(server.port), await podAt(server.port)];
    await podC.cache.set('marker', 1);
    await warm(podA, 'marker');
    const { answer, release } = await heldLoad(podB.cache, 'b');
    // If its load begins after the deletion, its value is no copy of the set.
    const waiting = podA.cache.getOrSet('key', async (context) => {
      context.skip();
      return 'a';
    });
    await vi.waitFor(() => expect(waitsFor(podA, 'key')).toBe(true));
    proxy.stall('down');
    const setting = podA.cache.set('key', 'from A');
    await vi.waitFor(async () => expect(await podC.cache.get('key')).toBe('from A'));
    await podC.cache.deleteMany(['key', 'marker']);
    await vi.waitFor(() => expect(holdsCopy(podA, 'marker')).toBe(false));
    proxy.resume();
    release();
    await Promise.all([setting, answer, waiting]);
    expect(holdsCopy(podA, 'key')).toBe(false);
  });

  it.each(['set', 'setMany'] as const)(
    "return the process's own %s although another process changed the key while it was waiting to be sent",
    async (operation) => {
      const server = await ownRedis();
      const proxy = await proxyTo(server);
      const podA = await podWithSplitLinks(server, proxy);
      const podB = await podAt(server.port);
      await podB.cache.set('key', 'first');
      await warm(podA);
      proxy.stall('down');
      // It reads the stamp of its tag first, so the read below leaves before it.
      const setting =
        operation === 'set'
          ? podA.cache.set('key', 'from A', { tags: ['tag'] })
          : podA.cache.setMany([['key', 'from A']], { tags: ['tag'] });
      await podB.cache.set('key', 'from B');
      await vi.waitFor(() => expect(holdsCopy(podA, 'key')).toBe(false));
      const reading = podA.cache.get('key');
      proxy.resume();
      expect(await reading).toBe('from B');
      expect(await setting).toBe(true);
      expect(await podA.cache.get('key')).toBe('from A');
    },
  );

  it('return nothing that was deleted although all of it was read meanwhile', async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port)];
    const keys = Array.from({ length: 10_000 }, (_, index) => `key:${index}`);
    await podB.cache.setMany(keys.map((key) => [key, 'old'] as const));
    await warm(podA, 'key:0');
    const deleting = podA.cache.deleteMany(keys);
    // The deletion leaves in parts, so the read of the last keys arrives before it.
    const reading = podA.cache.getMany(keys.slice(-500));
    expect(await reading).not.toContain(undefined);
    await deleting;
    const left = (await podA.cache.getMany(keys)).filter((value) => value !== undefined);
    expect(left).toHaveLength(0);
  });

  it.each(['none', 'up', 'gone'] as const)('keep a set right after a deletion (Redis: %s)', async (state) => {
    const server = await ownRedis();
    const pod = await podWith({ redis: state === 'none' ? false : { url: server.url } });
    await pod.cache.set('key', 'old');
    if (state === 'gone') {
      await server.killHard();
      await untilDown(pod);
    }
    await Promise.all([pod.cache.delete('key'), pod.cache.set('key', 'new')]);
    expect(await pod.cache.get('key')).toBe('new');
  });

  it('store nothing of a batch under a key that is deleted before its piece is sent', async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port)];
    const keys = Array.from({ length: 5000 }, (_, index) => `key${index}`);
    const [first, last] = [keys.at(0)!, keys.at(-1)!];
    await podA.cache.set('before', 'the stamp of the namespace is known');
    const storing = podA.cache.setMany(keys.map((key) => [key, key] as const));
    await vi.waitUntil(async () => (await podB.cache.get(first)) !== undefined, { timeout: 10_000, interval: 1 });
    await podA.cache.delete(last);
    await storing;
    expect(await podA.cache.get(last)).toBeUndefined();
    expect(await podB.cache.getMany(keys)).toEqual(keys.map((key) => (key === last ? undefined : key)));
  });

  it('keep the result of a load for a key that Redis has just expired and reported as changed', async () => {
    const server = await ownRedis({ args: ['--enable-debug-command', 'yes'] });
    await server.command('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
    const pod = await podAt(server.port);
    await pod.cache.set('key', 'old', '1h');
    await server.command('PEXPIRE', 'cache:users:key', 1);
    await receivedAll(pod, (key) => server.command('DEL', `cache:users:${key}`));
    // A read of the key would expire it. The server's clock shows when its time is over.
    const expiresAtMs = (await nowMsOf(server)) + 1;
    await vi.waitFor(async () => expect(await nowMsOf(server)).toBeGreaterThan(expiresAtMs));
    const load = vi.fn(async () => 'new');
    expect(await pod.cache.getOrSet('key', load)).toBe('new');
    expect(await pod.cache.getOrSet('key', load)).toBe('new');
    expect(load).toHaveBeenCalledTimes(1);
  });
});

/** The time of a server, in milliseconds. */
async function nowMsOf(server: Awaited<ReturnType<typeof ownRedis>>): Promise<number> {
  const [seconds, microseconds] = (await server.command('TIME')) as [string, string];
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
