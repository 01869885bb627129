import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { userOf } from '../../scripts/corpora.mjs';
import { ReleasedLibrary } from '../support/released-library.js';
import { ReleasedProcess } from '../support/released-process.js';
import { heldLoad } from '../support/gate.js';
import { sharedRedis } from '../support/redis-for-test.js';
import { BytesValue } from '../../libs/distributed-cache/src/values/index.js';
import { podWith, type Pod } from '../races/pods.js';

/** The version before: the last one that also takes leases outside of the key prefix. */
const EARLIER = 'd0c3ac46b8a4a81a40b7c4049a3341c25f3b082e';

let library: ReleasedLibrary;

beforeAll(async () => {
  library = await ReleasedLibrary.build(EARLIER);
}, 60_000);
afterAll(() => library?.remove());

async function processes(): Promise<{ earlier: ReleasedProcess; current: Pod }> {
  const options = { ...sharedRedis(), deadlineMs: 5000 }; // a busy machine must not cause a load without a lease
  // A lease that ends while its process waits for the processor would cause a second load.
  const environment = { leaseMs: 60_000 };
  const [earlier, current] = await Promise.all([
    ReleasedProcess.start(library, options),
    podWith(options, environment),
  ]);
  return { earlier, current };
}

describe('processes of the previous and of the present version, side by side', () => {
  it.each([
    ['set', (earlier: ReleasedProcess) => earlier.call('set', 'key', 'new'), 'new'],
    ['delete', (earlier: ReleasedProcess) => earlier.call('delete', 'key'), undefined],
    ['clear', (earlier: ReleasedProcess) => earlier.call('clear'), undefined],
  ])('a %s of the earlier version fences a load of the present one', async (_what, change, expected) => {
    const { earlier, current } = await processes();
    await earlier.call('set', 'other', 1); // both processes know the stamp of the namespace
    const load = await heldLoad(current.cache, 'loaded before');
    await change(earlier);
    load.release();
    expect(await load.answer).toBe('loaded before');
    await vi.waitFor(async () => expect(await current.cache.get('key')).toBe(expected));
    expect(await earlier.call('get', 'key')).toBe(expected);
  });

  it.each([
    ['set', ({ cache }: Pod) => cache.set('key', 'new'), 'new'],
    ['delete', ({ cache }: Pod) => cache.delete('key'), undefined],
    ['clear', ({ cache }: Pod) => cache.clear(), undefined],
  ])('a %s of the present version fences a load of the earlier one', async (_what, change, expected) => {
    const { earlier, current } = await processes();
    await current.cache.set('other', 1);
    const { answer } = await earlier.hold('key', 'loaded before');
    await change(current);
    await earlier.call('release');
    expect(await answer).toBe('loaded before');
    await vi.waitFor(async () => expect(await earlier.call('get', 'key')).toBe(expected));
    expect(await current.cache.get('key')).toBe(expected);
  });

  it('a hold-off of the present version refuses the loads of the earlier one', async () => {
    const { earlier, current } = await processes();
    await current.cache.delete('key', { holdOff: 30 });
    expect(await earlier.call('load', 'key', 'lagging')).toBe('lagging');
    expect(await current.cache.get('key')).toBeUndefined();
  });

  it('a key that the present version loads is not loaded by the earlier one', async () => {
    const { earlier, current } = await processes();
    const load = await heldLoad(current.cache, 'loaded');
    const waiting = earlier.call('load', 'key', 'not asked');
    await earlier.call('get', 'unrelated');
    load.release();
    expect([await load.answer, await waiting]).toEqual(['loaded', 'loaded']);
    expect(await earlier.call('loads')).toBe(0);
  });

  it('a key that the earlier version loads is not loaded by the present one', async () => {
    const { earlier, current } = await processes();
    const { answer } = await earlier.hold('key', 'loaded');
    const notAsked = vi.fn(async () => 'not asked');
    const waiting = current.cache.getOrSet('key', notAsked);
    await current.cache.get('unrelated');
    await earlier.call('release');
    expect([await answer, await waiting]).toEqual(['loaded', 'loaded']);
    expect(notAsked).not.toHaveBeenCalled();
  });

  it('an instance that the present version stores is a miss for the earlier one, which loads it itself', async () => {
    class Account {
      constructor(readonly id: number) {}
    }
    const { earlier, current } = await processes();
    await current.cache.set('key', { account: new Account(1) });
    expect(await earlier.call('get', 'key')).toBeUndefined();
    expect(await earlier.call('load', 'key', 'loaded by the earlier one')).toBe('loaded by the earlier one');
    expect(await earlier.call('loads')).toBe(1);
    expect(await earlier.call('errors')).toBe(0); // a class that a process does not know is no error
    await vi.waitFor(async () => expect(await current.cache.get('key')).toBe('loaded by the earlier one'));
  });

  it('bytes that the present version stores are a miss for the earlier one, which loads them itself', async () => {
    const { earlier, current } = await processes();
    await current.cache.set('key', new BytesValue({ status: 200 }, Buffer.from('body')));
    expect(await earlier.call('get', 'key')).toBeUndefined();
    expect(await earlier.call('load', 'key', 'loaded by the earlier one')).toBe('loaded by the earlier one');
    await vi.waitFor(async () => expect(await current.cache.get('key')).toBe('loaded by the earlier one'));
  });

  it('a value that the present version compresses with a dictionary is a miss for the earlier one, which loads it itself', async () => {
    const options = {
      ...sharedRedis(),
      deadlineMs: 5000,
      namespaces: { users: { compression: { dictionary: true } } },
    };
    const { namespaces: _unknown, ...known } = options;
    const [earlier, current] = await Promise.all([ReleasedProcess.start(library, known), podWith(options)]);
    await current.cache.setMany(new Map(Array.from({ length: 200 }, (_, index) => [`row:${index}`, userOf(index)])));
    await vi.waitFor(async () => {
      await current.cache.set('key', userOf(1000));
      expect((await current.cache.inspect('key')).redis).toMatchObject({ compressor: 'dictionary' });
    });
    expect(await earlier.call('get', 'key')).toBeUndefined();
    expect(await earlier.call('load', 'key', 'loaded by the earlier one')).toBe('loaded by the earlier one');
    await vi.waitFor(async () => expect(await current.cache.get('key')).toBe('loaded by the earlier one'));
    expect(await earlier.call('get', 'row:1')).toEqual(userOf(1)); // written before there was a dictionary
    expect(await earlier.call('delete', 'row:2')).toBe(true);
    await vi.waitFor(async () => expect(await current.cache.get('row:2')).toBeUndefined());
  });

  it('a hundred keys that both versions load at once cause a hundred loads', async () => {
    const { earlier, current } = await processes();
    await earlier.call('set', 'other', 1);
    await current.cache.get('other'); // both processes know the stamp of the namespace
    const keys = Array.from({ length: 100 }, (_, index) => `wanted:${index}`);
    const load = vi.fn(async () => 'value');
    const answers = keys.flatMap((key) => [current.cache.getOrSet(key, load), earlier.call('load', key, 'value')]);
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['value']));
    expect(load.mock.calls.length + Number(await earlier.call('loads'))).toBe(keys.length);
  });
});
