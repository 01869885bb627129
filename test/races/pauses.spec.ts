import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SuspendWatch } from '../../libs/distributed-cache/src/local/index.js';
import { channelOf, untilInvalidation } from '../support/channel-for-test.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import { holdsCopy, podAt, podWith, type Pod, warm } from './pods.js';

/** Stops the whole process, as a signal would: nothing runs, no timer fires, sockets fill. */
function stopFor(durationMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

describe('a process that was stopped', () => {
  it('uses no entry before the server has answered again, although its subscriber shows no loss', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [pod, writer] = [await podAt(proxy.port), await podAt(server.port)];
    await untilInvalidation(pod.all, 'live');
    await writer.cache.set('key', 'old');
    await warm(pod);
    // The path of the subscriber fails: nothing arrives, and no loss is reported.
    proxy.filter((link, lane, chunk) => (link === 1 && lane === 'down' ? Buffer.alloc(0) : chunk));
    onTestFinished(() => proxy.filter(undefined));
    await writer.cache.set('key', 'new');
    stopFor(1800);
    await nextTurn(); // timers are due, and none of their commands can have been answered
    const asked = vi.fn(async () => 'loaded');
    expect(await pod.cache.getOrSet('key', asked)).not.toBe('old');
    expect(await pod.cache.get('key')).not.toBe('old');
  });

  it('uses its entries again once the channel is live, on the same connections', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const pod = await podAt(proxy.port);
    await untilInvalidation(pod.all, 'live');
    await pod.cache.set('key', 'value');
    await warm(pod);
    const { opened } = proxy;
    stopFor(1800);
    await nextTurn();
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe('value'), { timeout: 5000 });
    await untilInvalidation(pod.all, 'live');
    await warm(pod);
    expect(proxy.opened).toBe(opened);
  });

  it.each([true, false])(
    'drops its entries when the machine slept and the monotonic clock stood still (Redis: %s)',
    async (hasRedis) => {
      const server = await ownRedis();
      const pod = hasRedis ? await podAt(server.port) : await podWith({ redis: false });
      await (hasRedis ? untilInvalidation(pod.all, 'live') : undefined);
      let sleptMs = 0;
      Reflect.set(pod.all, 'suspendWatch', new SuspendWatch(undefined, () => Date.now() + sleptMs));
      await pod.cache.set('key', 'value');
      await warm(pod);
      sleptMs = 3_600_000;
      await nextTurn();
      await pod.cache.get('other');
      expect(holdsCopy(pod, 'key')).toBe(false);
    },
  );
});

/** The outages that a process has reported. */
function reportsOf({ all }: Pod): string[] {
  const reports: string[] = [];
  for (const event of ['redisConnectionFailed', 'fallbackOn', 'invalidationOff', 'clear'] as const) {
    all.events.on(event, () => reports.push(event));
  }
  return reports;
}

/** Keeps the event loop busy, as a large calculation would. */
function beBusyFor(durationMs: number): void {
  const endsAtMs = performance.now() + durationMs;
  while (performance.now() < endsAtMs) {
    JSON.parse('[1, 2, 3]');
  }
}

describe('a process that is busy for longer than a heartbeat and a deadline', () => {
  it.each<[what: string, ...blocksMs: number[]]>([
    ['once', 2000],
    ['again and again', ...Array.from({ length: 6 }, () => 350)],
  ])(
    'takes that for no outage while Redis answers: nothing is reported, and L1 stays (%s)',
    async (_what, ...blocksMs) => {
      const server = await ownRedis();
      const [pod, other] = [await podAt(server.port, { deadlineMs: 300 }), await podAt(server.port)];
      await untilInvalidation(pod.all, 'live');
      await pod.cache.set('key', 'value');
      await other.cache.set('other', 'value');
      await warm(pod);
      const reports = reportsOf(pod);
      const { epochs } = pod.all.getProcessMetrics().toJSON();
      expect(epochs).toEqual(expect.any(Number));
      for (const blockMs of blocksMs) {
        const asked = [
          pod.cache.get('none'),
          pod.cache.set('stored', 'value'),
          pod.cache.getOrSet('loaded', () => 'value'),
        ];
        beBusyFor(blockMs);
        await nextTurn();
        expect(await Promise.all(asked)).toEqual([undefined, true, 'value']);
      }
      await untilInvalidation(pod.all, 'live');
      expect(reports).toEqual([]);
      expect(await pod.cache.lookup('key')).toMatchObject({ tier: 'local', value: 'value' });
      expect(await other.cache.getMany(['other', 'stored', 'loaded'])).toEqual(['value', 'value', 'value']);
      expect(pod.all.getProcessMetrics().toJSON().epochs).toBe(epochs);
      expect(await pod.all.healthCheck()).toMatchObject({ status: 'up', redis: { journalLength: 0 } });
    },
  );
});

describe('a Redis that is short of processor time for longer than the deadline, and answers within the next', () => {
  it('is no outage: L1 stays, nothing is reported, and what changed meanwhile is replayed', async () => {
    const server = await ownRedis();
    const [pod, other] = [await podAt(server.port), await podAt(server.port, { deadlineMs: 10_000 })];
    const reports = reportsOf(pod);
    const { cache } = pod;
    await untilInvalidation(pod.all, 'live');
    await Promise.all(['key', 'changed', 'deleted'].map((key) => other.cache.set(key, 1)));
    await warm(pod);
    server.freeze();
    expect(await cache.getOrSet('loaded', async () => 2)).toBe(2); // released at the deadline
    expect(await cache.set('changed', 2)).toBe(false);
    await cache.delete('deleted');
    expect(await cache.getMany(['key', 'loaded', 'changed'])).toEqual([1, 2, 2]);
    await cache.deleteMany(Array.from({ length: 1000 }, (_, index) => `gone:${index}`));
    server.thaw();
    await vi.waitFor(async () => expect(await cache.set('again', 3)).toBe(true), { timeout: 5000 });
    expect(reports).toEqual([]);
    expect(holdsCopy(pod, 'key')).toBe(true);
    // Redis reports no deletion of a key that it does not have: copies that only this process has are dropped.
    for (const key of ['loaded', 'changed', 'deleted']) {
      expect(holdsCopy(pod, key)).toBe(false);
      expect(await other.cache.lookup(key)).toMatchObject({ state: 'miss' });
    }
  });

  it('puts L1 in doubt, and not off, while only the messages of others are late', async () => {
    const server = await ownRedis();
    const pod = await podAt(server.port);
    const reports = reportsOf(pod);
    await untilInvalidation(pod.all, 'live');
    await pod.cache.set('key', 1);
    const { stream } = channelOf(pod.all).subscriber;
    stream.pause();
    await vi.waitFor(() => expect(holdsCopy(pod, 'key')).toBe(false), { timeout: 5000 });
    stream.resume();
    await vi.waitFor(() => expect(holdsCopy(pod, 'key')).toBe(true), { timeout: 5000 });
    expect(reports).toEqual([]);
  });
});
