import { tracingChannel } from 'node:diagnostics_channel';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { TracedKind, TracedOperation } from '../events/index.js';

const KINDS: readonly TracedKind[] = ['lookup', 'load', 'store', 'remove', 'clear'];

/** Records what the tracing channels publish, as `kind step`. */
function record(): { steps: string[]; operations: Set<TracedOperation> } {
  const steps: string[] = [];
  const operations = new Set<TracedOperation>();
  for (const kind of KINDS) {
    const channel = tracingChannel<string, TracedOperation>(`nestjs-distributed-cache:${kind}`);
    const on = (step: string) => (operation: unknown) => {
      steps.push(`${kind} ${step}`);
      operations.add(operation as TracedOperation);
    };
    const subscriber = {
      start: on('start'),
      end: () => {},
      asyncStart: () => {},
      asyncEnd: on('end'),
      error: on('error'),
    };
    channel.subscribe(subscriber);
    onTestFinished(() => channel.unsubscribe(subscriber));
  }
  return { steps, operations };
}

describe('the tracing channels', () => {
  it('publish each operation once, with its outcome; a hit of L1 is none', async () => {
    const users = cacheForTest(sharedRedis()).getCache('users');
    await users.get('connected');
    const { steps, operations } = record();
    await users.getOrSet('key', async () => 1);
    await users.getOrSet('key', async () => 1);
    await users.get('key');
    await users.has('key');
    await users.getMany(['key']);
    expect(steps).toEqual(['lookup start', 'load start', 'load end', 'lookup end']);
    const [lookup, load] = operations;
    expect(lookup).toMatchObject({ method: 'getOrSet', namespace: 'users', keys: ['key'], hit: false, stored: true });
    expect(lookup?.load).toBe(load);
    steps.length = 0;
    await users.set('key', 2);
    await users.expire('key');
    await users.deleteMany(['key', 'other']);
    await users.invalidateTags('tag');
    await users.clear();
    await users.getMany(['key', 'other']);
    const expected = ['store', 'remove', 'remove', 'remove', 'clear', 'lookup'];
    expect(steps).toEqual(expected.flatMap((kind) => [`${kind} start`, `${kind} end`]));
  });

  it('publish the error of a loader, which reaches the caller as the same object', async () => {
    const users = cacheForTest({ redis: false }).getCache('users');
    const { steps } = record();
    const failure = new Error('no');
    await expect(users.getOrSet('key', () => Promise.reject(failure))).rejects.toBe(failure);
    expect(steps).toEqual(expect.arrayContaining(['load error', 'lookup error']));
  });

  it('publish nothing in a call that is refused: the key is not valid', async () => {
    const users = cacheForTest({ redis: false }).getCache('users');
    const { steps } = record();
    await expect(users.getOrSet('', async () => 1)).rejects.toThrow('key');
    expect(steps).toEqual([]);
  });
});
