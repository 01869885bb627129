import { describe, expect, it, vi } from 'vitest';
import { Gate } from '../support/gate.js';
import { ownRedis, proxyTo, redisForTest } from '../support/redis-for-test.js';
import { holdsCopy, podAt, podWith, podWithSplitLinks, warm, type Pod } from './pods.js';

async function pods(count: number): Promise<{ all: Pod[]; redis: ReturnType<typeof redisForTest> }> {
  const redis = redisForTest();
  const options = { redis: { url: redis.url }, keyPrefix: redis.keyPrefix };
  return { all: await Promise.all(Array.from({ length: count }, () => podWith(options))), redis };
}

/** Resolves when each process has received every message that Redis has sent until now. */
async function receivedByAll(all: readonly Pod[]): Promise<void> {
  const [first] = all;
  const marker = `marker:${performance.now()}`;
  await first?.cache.set(marker, 1);
  await Promise.all(all.map((pod) => warm(pod, marker)));
  await first?.cache.delete(marker);
  await vi.waitFor(() => expect(all.every((pod) => !holdsCopy(pod, marker))).toBe(true));
}

describe('a tag event', () => {
  it('does not affect loads without that tag: one load in eight processes, stored for all', async () => {
    const { all, redis } = await pods(8);
    const [podA, podB] = all as [Pod, Pod];
    const [started, gate] = [new Gate(), new Gate()];
    let runs = 0;
    const load = async (): Promise<string> => {
      runs++;
      started.open();
      await gate.opened;
      return 'value';
    };
    const ask = (): Promise<unknown>[] => all.map(({ cache }) => cache.getOrSet('key', load));
    const first = ask();
    await started.opened;
    await podA.cache.set('other', 1, { tags: ['known'] });
    const later: Promise<unknown>[] = [];
    for (const tag of ['known', 'first used now', 'another']) {
      await podA.cache.invalidateTags(tag);
      await podB.cache.set(`of ${tag}`, 1, { tags: [`new with ${tag}`] });
      await receivedByAll(all);
      later.push(...ask());
    }
    gate.open();
    expect(new Set(await Promise.all([...first, ...later]))).toEqual(new Set(['value']));
    expect(runs).toBe(1);
    expect(await redis.admin.exists(`${redis.keyPrefix}:users:key`)).toBe(1);
    for (const { cache } of all) {
      expect(await cache.get('key')).toBe('value');
    }
  });

  it('supersedes the loads that carry the tag, and later callers get the result of a later load', async () => {
    const { all } = await pods(2);
    const [podA, podB] = all as [Pod, Pod];
    const [started, gate] = [new Gate(), new Gate()];
    let version = 'old';
    const load = async (): Promise<string> => {
      const read = version;
      started.open();
      if (read === 'old') {
        await gate.opened;
      }
      return read;
    };
    const options = { tags: ['team'] };
    const early = podA.cache.getOrSet('key', load, options);
    await started.opened;
    version = 'new';
    await podB.cache.invalidateTags('team');
    await receivedByAll(all);
    const late = podA.cache.getOrSet('key', load, options);
    gate.open();
    expect(await early).toBe('old');
    expect(await late).toBe('new');
    for (const { cache } of all) {
      await vi.waitFor(async () => expect(await cache.get('key')).toBe('new'));
    }
  });

  it.each(['the same process', 'another process'])(
    'in %s prevents a later caller from joining a load whose loader adds the tag',
    async (where) => {
      const { all } = await pods(2);
      const [podA, podB] = all as [Pod, Pod];
      const [started, gate] = [new Gate(), new Gate()];
      let version = 'old';
      const load = async (context: { addTags(tag: string): void }): Promise<string> => {
        const read = version;
        started.open();
        if (read === 'old') {
          await gate.opened;
        }
        context.addTags('team');
        return read;
      };
      const early = podA.cache.getOrSet('key', load);
      await started.opened;
      version = 'new';
      await (where === 'the same process' ? podA : podB).cache.invalidateTags('team');
      await receivedByAll(all);
      const late = podA.cache.getOrSet('key', load);
      gate.open();
      expect(await early).toBe('old');
      expect(await late).toBe('new');
    },
  );

  it('about a stamp that only lives longer invalidates nothing: no entry and no load', async () => {
    const { all, redis } = await pods(3);
    const [podA] = all as [Pod];
    const tags = ['team'];
    await podA.cache.set('kept', 1, { tags });
    await Promise.all(all.map((pod) => warm(pod, 'kept')));
    const [started, gate] = [new Gate(), new Gate()];
    const load = async (): Promise<string> => {
      started.open();
      await gate.opened;
      return 'loaded';
    };
    const loading = podA.cache.getOrSet('key', load, { tags });
    await started.opened;
    expect(await redis.admin.pexpire(`${redis.keyPrefix}:users:#tag:team`, 3_600_000)).toBe(1);
    await receivedByAll(all);
    gate.open();
    expect(await loading).toBe('loaded');
    const failing = vi.fn(async () => 'again');
    for (const pod of all) {
      expect(await pod.cache.getOrSet('key', failing, { tags })).toBe('loaded');
      expect(await pod.cache.getOrSet('kept', failing, { tags })).toBe(1);
      expect(await pod.cache.lookup('kept')).toMatchObject({ tier: 'local' });
    }
    expect(failing).not.toHaveBeenCalled();
  });

  it('reaches the L1 of every process by its message alone, long before a heartbeat', async () => {
    const server = await ownRedis();
    const [podA, podB] = [await podAt(server.port), await podAt(server.port, { heartbeatMs: 20_000 })];
    await podA.cache.set('key', 'old', { tags: ['team'] });
    await warm(podB);
    await podA.cache.invalidateTags('team');
    await vi.waitFor(async () => expect(await podB.cache.get('key')).toBeUndefined());
  });

  it('between the reading of a tagged entry and its storing in L1 leaves no entry in L1', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = await podWithSplitLinks(server, proxy);
    const writer = await podAt(server.port);
    await writer.cache.set('key', 'old', { tags: ['team'] });
    await writer.cache.set('marker', 1, { tags: ['team'] });
    await warm(pod, 'marker');
    proxy.stall('down');
    const reading = pod.cache.get('key');
    const many = pod.cache.getMany(['key']);
    await vi.waitFor(async () => expect(await server.command('INFO', 'commandstats')).toContain('cmdstat_mget:'));
    await writer.cache.invalidateTags('team');
    await vi.waitFor(() => expect(holdsCopy(pod, 'marker')).toBe(false));
    proxy.resume();
    await Promise.all([reading, many]);
    expect(holdsCopy(pod, 'key')).toBe(false);
    expect(await pod.cache.get('key')).toBeUndefined();
  });
});
