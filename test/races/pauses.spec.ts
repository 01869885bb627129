import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { SuspendWatch } from '../../libs/distributed-cache/src/local/index.js';
import { untilInvalidation } from '../support/channel-for-test.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import { holdsCopy, podAt, podWith, warm } from './pods.js';

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
