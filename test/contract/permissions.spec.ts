import { describe, expect, it, vi } from 'vitest';
import { podAt, ownRedis, heldLoad, warm } from '../races/pods.js';
import { Gate } from '../support/gate.js';

const USER = { username: 'app', password: 'secret' };

/** Two processes of a user with these rights. */
async function podsOf(...rights: readonly string[]) {
  const server = await ownRedis();
  await server.command('ACL', 'SETUSER', USER.username, 'on', `>${USER.password}`, ...rights);
  const options = { redis: { host: '127.0.0.1', port: server.port, ...USER } };
  const [podA, podB] = await Promise.all([podAt(server.port, options), podAt(server.port, options)]);
  return { server, podA, podB };
}

describe('a user that may touch the key prefix only: ~cache:* &* +@all', () => {
  it('stores, deletes and shares', async () => {
    const { podA, podB } = await podsOf('~cache:*', '&*', '+@all');
    expect(await podA.cache.set('key', 'value')).toBe(true);
    expect(await podB.cache.get('key')).toBe('value');
    await warm(podB);
    expect(await podA.cache.delete('key')).toBe(true);
    await vi.waitFor(async () => expect(await podB.cache.get('key')).toBeUndefined());
    expect(await podA.cache.get('key')).toBeUndefined();
  });

  it('runs one load for fifty calls in two processes, at once or one after the other', async () => {
    const { podA, podB } = await podsOf('~cache:*', '&*', '+@all');
    const gate = new Gate();
    const load = vi.fn(async () => {
      await gate.opened;
      return 'value';
    });
    const calls = Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? podA : podB).cache.getOrSet('key', load));
    await vi.waitFor(() => expect(load).toHaveBeenCalled());
    gate.open();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['value']));
    for (let index = 0; index < 50; index++) {
      expect(await (index % 2 === 0 ? podA : podB).cache.getOrSet('key', load)).toBe('value');
    }
    expect(load).toHaveBeenCalledTimes(1);
  });

  it('does not bring back what was deleted during a load', async () => {
    const { podA, podB } = await podsOf('~cache:*', '&*', '+@all');
    const load = await heldLoad(podA, 'old');
    await podB.cache.delete('key');
    load.release();
    expect(await load.answer).toBe('old');
    expect([await podA.cache.get('key'), await podB.cache.get('key')]).toEqual([undefined, undefined]);
  });

  it('replays what was deleted during an outage', async () => {
    const { server, podA, podB } = await podsOf('~cache:*', '&*', '+@all');
    await podA.cache.set('key', 'old');
    server.freeze();
    await podA.cache.delete('key');
    server.thaw();
    await vi.waitFor(async () => expect((await podA.all.healthCheck()).redis).toMatchObject({ journalLength: 0 }));
    await vi.waitFor(async () => expect(await podB.cache.get('key')).toBeUndefined());
  });

  it('leaves nothing outside the prefix', async () => {
    const { server, podA } = await podsOf('~cache:*', '&*', '+@all');
    const load = await heldLoad(podA, 'value');
    const names = (await server.command('KEYS', '*')) as string[];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !name.startsWith('cache:'))).toEqual([]);
    load.release();
    await load.answer;
  });
});
