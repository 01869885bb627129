import { describe, expect, it, vi } from 'vitest';
import { cacheForTest, cachesForTest } from '../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache } from './async-cache.js';
import type { LoaderContext } from './entry-options.js';

const TIERS = [
  ['L1 alone', () => ({ redis: false as const })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
] as const;

/** A loader that ends with `value` when the gate opens, and with the reason of its signal when that is aborted. */
function abortable(gate: Gate, value: string, onAbort = vi.fn()): (context: LoaderContext) => Promise<string> {
  return ({ signal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => {
        onAbort();
        reject(signal.reason as Error);
      });
      void gate.opened.then(() => resolve(value));
    });
}

describe.each(TIERS)('the signal of a call (%s)', (_tiers, options) => {
  const users = (): AsyncCache => cacheForTest(options()).getCache('users');

  it('ends this call alone: the load goes on for the call that has joined, and its result is stored', async () => {
    const cache = users();
    const [gate, client, onAbort] = [new Gate(), new AbortController(), vi.fn()];
    const first = cache.getOrSet('key', abortable(gate, 'loaded', onAbort), { signal: client.signal });
    const joined = cache.getOrSet('key', () => 'not asked');
    client.abort();
    await expect(first).rejects.toBe(client.signal.reason);
    gate.open();
    expect(await joined).toBe('loaded');
    expect(await cache.get('key')).toBe('loaded');
    expect(onAbort).not.toHaveBeenCalled();
  });

  it('ends the load when no other call waits for it; the next call begins a new load', async () => {
    const cache = users();
    const [client, second, onAbort] = [new AbortController(), new AbortController(), vi.fn()];
    const load = vi.fn(abortable(new Gate(), 'never', onAbort));
    const calls = [client, second].map(({ signal }) => cache.getOrSet('key', load, { signal }));
    await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(1));
    second.abort();
    await expect(calls[1]).rejects.toBe(second.signal.reason);
    expect(onAbort).not.toHaveBeenCalled();
    client.abort();
    await expect(calls[0]).rejects.toBe(client.signal.reason);
    expect(onAbort).toHaveBeenCalledTimes(1);
    expect(await cache.getOrSet('key', () => 'loaded anew')).toBe('loaded anew');
  });

  it('that is aborted already ends the call before anything is loaded', async () => {
    const load = vi.fn(() => 'not asked');
    const signal = AbortSignal.abort();
    await expect(users().getOrSet('key', load, { signal })).rejects.toBe(signal.reason);
    expect(load).not.toHaveBeenCalled();
  });

  it('ends a batch: its loader is aborted when no other call waits for one of its keys', async () => {
    const cache = users();
    const [client, gate, onAbort] = [new AbortController(), new Gate(), vi.fn()];
    const load = vi.fn(async (missing: string[], context: LoaderContext) => {
      await abortable(gate, 'done', onAbort)(context);
      return missing;
    });
    const batch = cache.getOrSetMany(['a', 'b'], load, { signal: client.signal });
    await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(1));
    const joined = cache.getOrSet('b', () => 'not asked');
    client.abort();
    await expect(batch).rejects.toBe(client.signal.reason);
    expect(onAbort).not.toHaveBeenCalled();
    gate.open();
    expect(await joined).toBe('b');
    const alone = cache.getOrSetMany(['c', 'd'], load, { signal: client.signal });
    await expect(alone).rejects.toBe(client.signal.reason);
  });
});

describe.each(TIERS)('the AbortError of a loader that ends with its own client (%s)', (_tiers, options) => {
  const users = (): AsyncCache => cacheForTest(options()).getCache('users');

  /** A loader that closes over the signal of its client, as `fetch(url, { signal: request.signal })` does. */
  const clientLoader = (client: AbortController, started: Gate) => (): Promise<never> =>
    new Promise((_resolve, reject) => {
      started.open();
      client.signal.addEventListener('abort', () => reject(client.signal.reason as Error));
    });

  it.each<[string, Error | undefined, boolean]>([
    ['', undefined, false],
    [', also when the signal has another reason, and the call has named it', new Error('client gone'), true],
  ])('reaches that client alone: the calls that have joined share a new load%s', async (_also, reason, isNamed) => {
    const cache = users();
    const [client, started] = [new AbortController(), new Gate()];
    const named = isNamed ? { signal: client.signal } : {};
    const first = cache.getOrSet('key', clientLoader(client, started), named);
    const load = vi.fn(async () => 'loaded');
    const joined = [1, 2, 3].map(() => cache.getOrSet('key', load));
    await started.opened;
    client.abort(reason);
    await expect(first).rejects.toBe(client.signal.reason);
    expect(await Promise.all(joined)).toEqual(['loaded', 'loaded', 'loaded']);
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('makes a call that has joined wait for one more load at most, also when every loader aborts itself', async () => {
    const cache = users();
    const abort = vi.fn(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      throw new DOMException('aborted', 'AbortError');
    });
    const calls = Array.from({ length: 10 }, () => cache.getOrSet('key', abort));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect(abort).toHaveBeenCalledTimes(10);
  });
});

it('the signal of a call ends its wait for the load of another process, and its own loader does not run', async () => {
  const [podA, podB] = (await cachesForTest(2, sharedRedis())) as [AsyncCache, AsyncCache];
  const gate = new Gate();
  const started = new Gate();
  const elsewhere = podA.getOrSet('key', async () => {
    started.open();
    await gate.opened;
    throw new Error('no database');
  });
  await started.opened;
  const client = new AbortController();
  const load = vi.fn(() => 'not asked');
  const waiting = podB.getOrSet('key', load, { signal: client.signal });
  await vi.waitFor(() => expect(podB.getMetrics().waits).toBe(1));
  client.abort();
  await expect(waiting).rejects.toBe(client.signal.reason);
  gate.open();
  await expect(elsewhere).rejects.toThrow('no database');
  await vi.waitFor(async () => expect((await podB.inspect('key')).isLoading).toBe(false));
  expect(load).not.toHaveBeenCalled();
});
