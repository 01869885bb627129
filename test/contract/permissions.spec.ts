import type { AsyncCache } from 'nestjs-distributed-cache/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { podAt, warm, type Pod } from '../races/pods.js';
import { Gate, heldLoad } from '../support/gate.js';
import { ownRedis } from '../support/redis-for-test.js';
import { leastRights } from './least-rights.js';

const USER = { username: 'app', password: 'secret' };

/** Two processes of a user with these permissions. */
async function podsOf(...rights: readonly string[]) {
  const server = await ownRedis();
  await server.command('ACL', 'SETUSER', USER.username, 'on', `>${USER.password}`, ...rights);
  const options = { redis: { host: '127.0.0.1', port: server.port, ...USER } };
  const [podA, podB] = await Promise.all([podAt(server.port, options), podAt(server.port, options)]);
  return { server, podA, podB };
}

describe('a user that may access the key prefix only: ~cache:* &* +@all', () => {
  it('stores, deletes and shares', async () => {
    const { podA, podB } = await podsOf('~cache:*', '&*', '+@all');
    expect(await podA.cache.set('key', 'value')).toBe(true);
    expect(await podB.cache.get('key')).toBe('value');
    await warm(podB);
    expect(await podA.cache.delete('key')).toBe(true);
    await vi.waitFor(async () => expect(await podB.cache.get('key')).toBeUndefined());
    expect(await podA.cache.get('key')).toBeUndefined();
  });

  it('runs one load for fifty calls in two processes, at once or one after another', async () => {
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

  it('does not bring back an entry that was deleted during a load', async () => {
    const { podA, podB } = await podsOf('~cache:*', '&*', '+@all');
    const load = await heldLoad(podA.cache, 'old');
    await podB.cache.delete('key');
    load.release();
    expect(await load.answer).toBe('old');
    expect([await podA.cache.get('key'), await podB.cache.get('key')]).toEqual([undefined, undefined]);
  });

  it('replays the deletions of an outage', async () => {
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
    const load = await heldLoad(podA.cache, 'value');
    const names = (await server.command('KEYS', '*')) as string[];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !name.startsWith('cache:'))).toEqual([]);
    load.release();
    await load.answer;
  });
});

const LEAST = leastRights();

describe('a user with the least permissions of docs/guarantees.md', () => {
  it('is refused no command: health is up, changes are tracked, and the log of denied commands is empty', async () => {
    const { server, podA, podB } = await podsOf(...LEAST);
    await podA.cache.getOrSet('key', async () => 'old', { tags: ['tag'] });
    await warm(podB);
    await podA.cache.set('key', 'new', { tags: ['tag'] });
    await vi.waitFor(async () => expect(await podB.cache.get('key')).toBe('new'));
    await podA.cache.expire('key');
    await podA.cache.invalidateTags('tag');
    await podA.cache.deleteMany(['key', 'other']);
    await podA.cache.clear();
    await podA.cache.getMany(['key', 'other']);
    await podA.cache.inspect('key');
    await untilLive(podA, podB);
    const denied = (await server.command('ACL', 'LOG')) as unknown[][];
    expect(denied).toEqual([]);
  });
});

async function untilLive(...pods: readonly Pod[]): Promise<void> {
  for (const { all } of pods) {
    await vi.waitFor(async () =>
      expect(await all.healthCheck()).toMatchObject({ status: 'up', redis: { invalidation: 'live' } }),
    );
  }
}

/** Permissions removed from the least ones, and the message of health for each. */
const MISSING: readonly (readonly [right: string, instead: string, message: RegExp | undefined])[] = [
  ['+get', '', /GET on cache:\*.*nothing is read/],
  ['+mget', '', undefined],
  ['+set', '', /SET on cache:\*.*nothing is stored/],
  ['+del', '', /DEL on cache:\*/],
  ['+unlink', '', undefined],
  ['+rename', '', /RENAME on cache:\*.*no load is stored/],
  ['+pexpire', '', /PEXPIRE on cache:\*.*no load is shared/],
  ['+eval', '', /EVAL on cache:\*.*no load is shared/],
  ['+evalsha', '', /EVALSHA on cache:\*.*no load is shared/],
  ['+multi', '', undefined],
  ['+exec', '', undefined],
  ['+time', '', undefined],
  ['+pttl', '', /PTTL on cache:\*.*what other programs have written is not read/],
  ['+ping', '', undefined],
  ['+select', '', undefined],
  ['+unsubscribe', '', undefined],
  ['+client|tracking', '', undefined],
  ['+client|kill', '', undefined],
  ['+client|id', '', undefined],
  ['+client|info', '', undefined],
  ['+client|setname', '', undefined],
  ['+client|getredir', '', undefined],
  ['+publish', '', /./],
  ['+subscribe', '', /./],
  ['&*', '&nothing', /./],
  ['~cache:*', '~other:*', /on cache:\*/],
  ['~cache:*', '%R~cache:*', /SET on cache:\*.*nothing is stored/],
];

describe('a user without one of these permissions', () => {
  it.each(MISSING)(
    '%s (%s): health names it, and every answer of two processes is correct',
    async (right, instead, message) => {
      expect(LEAST).toContain(right);
      const rights = LEAST.map((each) => (each === right ? instead : each)).filter((each) => each !== '');
      const { podA, podB } = await podsOf(...rights);
      const [a, b] = [podA.cache, podB.cache];
      if (message === undefined) {
        await vi.waitFor(async () => expect(await podA.all.healthCheck()).toMatchObject({ status: 'up' }));
      } else {
        await vi.waitFor(async () => {
          const health = await podA.all.healthCheck();
          expect(health).toMatchObject({ status: 'degraded' });
          expect(health.message).toMatch(message);
        });
      }
      expect(await a.getOrSet('loaded', async () => 'loaded')).toBe('loaded');
      for (const [name, change] of Object.entries(CHANGES)) {
        const after = name.startsWith('set') ? 'new' : undefined;
        await b.set(name, 'old', { tags: [name] });
        await b.get(name);
        const isAcknowledged = await change(a, name);
        // A change that is not acknowledged takes effect in its own process at least.
        expect([after, undefined]).toContain(await a.get(name));
        if (isAcknowledged ?? message === undefined) {
          await vi.waitFor(
            async () => expect([name, await a.get(name), await b.get(name)]).toEqual([name, after, after]),
            { timeout: 8000 },
          );
        }
      }
    },
  );

  it.each(['+del', '+eval', '+pexpire'])('%s: no call waits for a lease that is never given back', async (right) => {
    const { podA, podB } = await podsOf(...LEAST.filter((each) => each !== right));
    await podA.cache.get('key');
    for (const { cache } of [podA, podB, podA]) {
      const failing = cache.getOrSet('key', async () => {
        throw new Error('no database');
      });
      await expect(failing).rejects.toThrow('no database');
    }
    const startedMs = performance.now();
    expect(await podB.cache.getOrSet('key', async () => 'value')).toBe('value');
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });

  it('the message is gone once the channels are granted', async () => {
    const { server, podA } = await podsOf(...LEAST.filter((each) => each !== '+publish'));
    await podA.cache.set('key', 'value');
    await vi.waitFor(async () => expect((await podA.all.healthCheck()).message).toMatch(/PUBLISH on cache:#changed/));
    await server.command('ACL', 'SETUSER', USER.username, '+publish');
    await vi.waitFor(async () => expect(await podA.all.healthCheck()).toMatchObject({ status: 'up' }), {
      timeout: 8000,
    });
  });
});

/** Rights that the cache can do without, and how it comes to use each of them. */
const DISPENSABLE: readonly (readonly [right: string, statistic: string, use: (cache: AsyncCache) => unknown])[] = [
  ['+mget', 'mget', (cache) => Promise.all([cache.get('a'), cache.get('b'), cache.get('c'), cache.get('d')])],
  ['+unlink', 'unlink', (cache) => cache.delete('key')],
  ['+multi', 'multi', (cache) => cache.delete('key', { holdOff: 1 })],
  ['+exec', 'exec', (cache) => cache.delete('key', { holdOff: 1 })],
  ['+client|getredir', 'client\\|getredir', () => {}],
  ['+getrange', 'getrange', (cache) => cache.get('kept')],
];

describe('a right that the cache can do without', () => {
  it.each(DISPENSABLE)('%s is used, at the latest a minute after it was granted', async (right, statistic, use) => {
    const server = await ownRedis();
    const rights = [...LEAST, '+getrange'].filter((each) => each !== right);
    await server.command('ACL', 'SETUSER', USER.username, 'on', `>${USER.password}`, ...rights);
    const options = { redis: { host: '127.0.0.1', port: server.port, ...USER }, heartbeatMs: 100 };
    const pod = await podAt(server.port, options, { consistencyTiming: { everyMs: 20 } });
    await untilLive(pod);
    const { cache } = pod;
    const callsOf = async (result: 'calls' | 'rejected_calls'): Promise<number> => {
      const stats = String(await server.command('INFO', 'commandstats'));
      return Number(new RegExp(`cmdstat_${statistic}:.*?\\b${result}=(\\d+)`).exec(stats)?.[1] ?? 0);
    };
    await cache.set('kept', 1);
    await vi.waitFor(async () => {
      await use(cache);
      expect(await callsOf('rejected_calls')).toBeGreaterThan(0);
    });
    const before = await callsOf('calls');
    await server.command('ACL', 'SETUSER', USER.username, right);
    letPass(60_000);
    await vi.waitFor(async () => {
      await use(cache);
      expect(await callsOf('calls')).toBeGreaterThan(before);
    });
    expect(await pod.all.healthCheck()).toMatchObject({ status: 'up' });
    expect(await cache.set('key', 'value')).toBe(true);
    expect(await cache.delete('key', { holdOff: 1 })).toBe(true);
    expect(await cache.get('key')).toBeUndefined();
  });

  it.each(['+multi', '+exec'])('%s may be taken away: a deletion with a hold-off takes effect', async (right) => {
    const { server, podA, podB } = await podsOf(...LEAST);
    await untilLive(podA, podB);
    await podA.cache.set('key', 'value');
    await server.command('ACL', 'SETUSER', USER.username, right.replace('+', '-'));
    for (let time = 0; time < 2; time++) {
      expect(await podA.cache.delete('key', { holdOff: 30 })).toBe(time === 0);
      expect(await podB.cache.getOrSet('key', async () => 'held off')).toBe('held off');
      expect(await server.command('EXISTS', 'cache:users:key')).toBe(0);
    }
    expect(await podA.all.healthCheck()).toMatchObject({ status: 'up', redis: { journalLength: 0 } });
  });
});

/** Lets time pass for what this process remembers; timers and messages are not affected. */
function letPass(durationMs: number): void {
  const nowMs = performance.now.bind(performance);
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs() + durationMs);
  onTestFinished(() => clock.mockRestore());
}

/** Each returns whether the cache reports that every process has the change; `undefined`: it does not report it. */
const CHANGES: Readonly<Record<string, (cache: AsyncCache, key: string) => Promise<boolean | void>>> = {
  set: (cache, key) => cache.set(key, 'new'),
  setMany: (cache, key) => cache.setMany([[key, 'new']]),
  delete: (cache, key) => cache.delete(key),
  deleteMany: async (cache, key) => (await cache.deleteMany([key])) > 0,
  expire: (cache, key) => cache.expire(key),
  invalidateTags: (cache, key) => cache.invalidateTags(key),
  clear: (cache) => cache.clear(),
};
