import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { RedisServer } from '../support/redis-server.js';
import { ownRedis } from '../support/redis-for-test.js';
import { podAt, untilUp, type Pod } from '../races/pods.js';

const SNAPSHOT = 'snapshot.rdb';

/** A server that answers, and refuses every write with a reply of its own. */
const REFUSALS: readonly (readonly [
  what: string,
  reply: string,
  prepare: (server: RedisServer) => Promise<unknown>,
])[] = [
  [
    'is full',
    'OOM',
    async (server) => {
      await server.command('CONFIG', 'SET', 'maxmemory', '1mb', 'maxmemory-policy', 'noeviction');
    },
  ],
  ['has too few replicas', 'NOREPLICAS', (server) => server.command('CONFIG', 'SET', 'min-replicas-to-write', '1')],
  [
    'can not save',
    'MISCONF',
    async (server) => {
      const [, folder = ''] = (await server.command('CONFIG', 'GET', 'dir')) as string[];
      mkdirSync(join(folder, SNAPSHOT)); // a folder in place of the file
      await server.command('CONFIG', 'SET', 'save', '1 1', 'stop-writes-on-bgsave-error', 'yes');
      await server.command('SET', 'something', 'to save');
      await vi.waitFor(
        async () => expect(String(await server.command('INFO', 'persistence'))).toContain('last_bgsave_status:err'),
        { timeout: 15_000 },
      );
    },
  ],
  [
    'is a replica',
    'READONLY',
    async (server) => {
      const master = await ownRedis();
      await server.command('REPLICAOF', '127.0.0.1', master.port);
    },
  ],
  ['forbids SET', 'NOPERM', (server) => server.command('ACL', 'SETUSER', 'default', '-set')],
];

describe.each(REFUSALS)('a Redis that %s', (_what, reply, prepare) => {
  it.each([
    [true, 'down'],
    [false, 'degraded'],
  ])('with requireRedis: %s is %s, emits each refusal once and fails every set', async (requireRedis, status) => {
    const server = await ownRedis({ args: ['--dbfilename', SNAPSHOT] });
    const { all, cache } = await podAt(server.port, { requireRedis });
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
    const told: string[] = [];
    all.events.on('redisRefused', (event) => told.push(`${event.command} ${event.reply}`));
    await prepare(server);
    await vi.waitFor(async () => {
      const answers = [];
      for (let index = 0; index < 20; index++) {
        answers.push(await cache.set(`key:${index}`, 'value'));
      }
      expect(answers).toEqual(Array.from({ length: 20 }, () => false));
      await cache.invalidateTags('tag'); // a full Redis deletes the stamp, which says nothing about a SET
      const health = await all.healthCheck();
      expect(health).toMatchObject({ status, redisConnected: true });
      expect(health.message).toContain(`(${reply}): nothing is stored in Redis`);
    }, 10_000);
    expect(new Set(told).size).toBe(told.length);
    expect(told.some((each) => each.endsWith(reply))).toBe(true);
  });
});

describe('a deletion that Redis refuses', () => {
  it.each([
    ['delete', ({ cache }: Pod) => cache.delete('key')],
    ['deleteMany', ({ cache }: Pod) => cache.deleteMany(['key'])],
    ['expire', ({ cache }: Pod) => cache.expire('key')],
  ] as const)('(%s) leaves no entry in L1 that was read before the refusal was known', async (_name, change) => {
    const server = await ownRedis();
    const pod = await podAt(server.port, { namespaces: { users: { grace: '1h' } } });
    await untilUp(pod);
    await pod.cache.set('key', 'old');
    await server.command('ACL', 'SETUSER', 'default', '-unlink', '-del', '-multi', '-evalsha', '-eval');
    const changing = change(pod);
    const reading = pod.cache.get('key'); // sent at once, and answered before a second attempt is refused
    await Promise.all([changing, reading]);
    expect(await pod.cache.get('key')).toBeUndefined();
    await server.command('ACL', 'SETUSER', 'default', '+@all');
    await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis).toMatchObject({ journalLength: 0 }));
    expect(await pod.cache.get('key')).toBeUndefined();
    expect(await pod.cache.getOrSet('key', async () => 'new')).toBe('new');
  });
});
