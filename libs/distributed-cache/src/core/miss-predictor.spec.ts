import { describe, expect, it, vi } from 'vitest';
import { Gate } from '../../../../test/support/gate.js';
import { miss, TAKING, watchedPods } from '../../../../test/support/watched-pods.js';

describe('the first read of Redis in a load', () => {
  it('is a plain read without a lease where the value exists', async () => {
    const { cache, other, commandsFor } = await watchedPods();
    await other.set('there', 'value');
    const before = await commandsFor('there');
    expect(await cache.getOrSet('there', async () => 'not asked')).toBe('value');
    await miss(cache, 'missing');
    expect((await commandsFor('there')).slice(before.length)).toEqual(['get']);
    expect((await commandsFor('missing')).slice(0, 3)).toEqual(['get', ...TAKING]);
  });

  it('takes the lease at once where the last reads found nothing, until values exist again', async () => {
    const { cache, other, commandsFor } = await watchedPods();
    await miss(cache, 'a', 'b', 'c');
    expect((await commandsFor('c')).slice(0, 2)).toEqual(TAKING);
    for (const key of ['x', 'y', 'z']) {
      await other.set(key, key);
    }
    const before = await commandsFor('z');
    for (const key of ['x', 'y', 'z']) {
      expect(await cache.getOrSet(key, async () => 'not asked')).toBe(key);
    }
    expect((await commandsFor('z')).slice(before.length)).toEqual([expect.stringMatching(/^m?get$/)]);
  });

  it('takes the lease at once, however many leases were taken before', async () => {
    const { cache, commandsFor } = await watchedPods();
    const keys = Array.from({ length: 50 }, (_, index) => `key${index}`);
    await miss(cache, ...keys); // one after the other: more than the window of sent commands holds
    expect((await commandsFor('key49')).slice(0, 2)).toEqual(TAKING);
  });

  it('gives back a lease that it has taken although the value exists', async () => {
    const { server, cache, other } = await watchedPods();
    await miss(cache, 'a', 'b');
    await other.set('there', 'value');
    expect(await cache.getOrSet('there', async () => 'not asked')).toBe('value');
    await vi.waitFor(async () => expect(await server.command('EXISTS', 'cache:{cache:users:there}:lease')).toBe(0));
  });
});

it('a call that waits for the load of another process ends with one plain read', async () => {
  const { cache, other, commandsFor } = await watchedPods();
  const gate = new Gate();
  const loading = cache.getOrSet('key', async () => {
    await gate.opened;
    return 'loaded';
  });
  await vi.waitFor(async () => expect(await commandsFor('key')).toHaveLength(1 + TAKING.length));
  vi.spyOn(Math, 'random').mockReturnValue(1e6); // it does not read again on its own
  const waiting = other.getOrSet('key', async () => 'not asked');
  await vi.waitFor(async () => expect((await commandsFor('key')).length).toBeGreaterThan(1 + 2 * TAKING.length));
  gate.open();
  expect(await Promise.all([loading, waiting])).toEqual(['loaded', 'loaded']);
  const commands = await commandsFor('key');
  expect(commands.slice(commands.lastIndexOf('rename') + 1)).toEqual(['get']);
});

it('a loaded value is stored although the server has lost the script', async () => {
  const { server, cache } = await watchedPods();
  await miss(cache, 'a');
  await server.command('SCRIPT', 'FLUSH');
  await miss(cache, 'b');
  expect(await server.command('EXISTS', 'cache:users:a', 'cache:users:b')).toBe(2);
});
