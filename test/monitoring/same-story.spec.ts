import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { main } from '../../libs/distributed-cache/src/cli/program.js';
import { CacheConfig, DistributedCache, type ProcessFacts } from '../../libs/distributed-cache/src/core/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer } from '../support/redis-server.js';

/*
 * Redis is broken in eleven ways, all at once. What an operator reads must be the same everywhere: the health of the process, its
 * metrics (and so the alerts), the doctor, and the operations plane.
 */

interface Stage {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
  readonly cache: DistributedCache;
}

/** `unreachable`: no command is answered; `refusing`: writes are refused; `deaf`: changes of others are not received. */
type Kind = 'unreachable' | 'refusing' | 'announced' | 'deaf';

interface Fault {
  readonly kind: Kind;
  /** The word that every place must have for it. */
  readonly word: string;
  readonly begin: (stage: Stage) => Promise<unknown> | void;
}

const setUser =
  (...rights: readonly string[]) =>
  async ({ server, proxy }: Stage): Promise<void> => {
    await server.command('ACL', 'SETUSER', 'app', ...rights);
    proxy.cut();
  };

const FAULTS: Readonly<Record<string, Fault>> = {
  'it is killed': {
    kind: 'unreachable',
    word: 'ECONNREFUSED',
    begin: async ({ server, proxy }) => {
      await proxy.refuseNew(true); // as the port of a process that has ended
      proxy.cut();
      await server.killHard();
    },
  },
  'it is frozen': { kind: 'unreachable', word: 'timeout', begin: ({ server }) => server.freeze() },
  'the network loses its answers': { kind: 'unreachable', word: 'timeout', begin: ({ proxy }) => proxy.stall('down') },
  'the password is wrong': { kind: 'unreachable', word: 'WRONGPASS', begin: setUser('resetpass', '>other') },
  'it has too many clients': {
    kind: 'unreachable',
    word: 'max-clients',
    begin: async ({ server, proxy }) => {
      const other = new Redis({ port: server.port, retryStrategy: () => null });
      await other.ping();
      await server.command('CONFIG', 'SET', 'maxclients', 1);
      proxy.cut();
    },
  },
  'the user may not write': { kind: 'refusing', word: 'NOPERM', begin: setUser('-set', '-pexpire') },
  'it is a replica': {
    kind: 'refusing',
    word: 'READONLY',
    begin: ({ server }) => server.command('REPLICAOF', '127.0.0.1', 1),
  },
  'it is full': {
    kind: 'refusing',
    word: 'OOM',
    begin: ({ server }) => server.command('CONFIG', 'SET', 'maxmemory', 1),
  },
  'it can not save': {
    kind: 'refusing',
    word: 'MISCONF',
    begin: async ({ server }) => {
      const [, folder = ''] = (await server.command('CONFIG', 'GET', 'dir')) as string[];
      mkdirSync(join(folder, 'dump.rdb')); // a folder in place of the file
      await server.command('CONFIG', 'SET', 'save', '1 1', 'stop-writes-on-bgsave-error', 'yes');
      await server.command('SET', 'something', 'to save').catch(() => {}); // it may be refused already
    },
  },
  'it may not report changes': { kind: 'announced', word: 'NOPERM', begin: setUser('-client|tracking') },
  'its messages are forbidden': { kind: 'deaf', word: 'NOPERM', begin: setUser('resetchannels') },
};

/** What the four places say. */
interface Told {
  readonly health: object;
  readonly metrics: object;
  readonly doctor?: { readonly exitCode: number; readonly notOk: string };
  readonly operations: { readonly aloneBecause: string | undefined; readonly own: ProcessFacts | undefined };
}

/** What the four places must say of a fault. */
function storyOf({ kind, word }: Fault): Record<keyof Told, object> {
  const message = expect.stringContaining(word);
  const metrics = { redis_nodes_down: 0, redis_nodes_live: 1, invalidation_live: 1, refused_commands: 0 };
  const live = { redis: 'live', refused: [], invalidation: 'live' };
  const stories: Readonly<Record<Kind, Record<keyof Told, object>>> = {
    unreachable: {
      health: { status: 'degraded', redis_connected: false, connection: 'down', invalidation: 'lost', message },
      metrics: { ...metrics, redis_nodes_down: 1, redis_nodes_live: 0, invalidation_live: 0 },
      doctor: { exitCode: 3, notOk: expect.stringMatching(`^redis-reachable fail: .*${word}$`) },
      operations: { aloneBecause: 'redis-unavailable', own: { ...live, redis: 'down', invalidation: 'lost' } },
    },
    refusing: {
      health: { status: 'degraded', redis_connected: true, connection: 'live', message },
      metrics: { ...metrics, refused_commands: expect.toSatisfy((count) => Number(count) > 0) },
      doctor: { exitCode: 1, notOk: expect.stringMatching(new RegExp(`^refused-commands fail: .*SET ${word}`, 'm')) },
      operations: { aloneBecause: undefined, own: { redis: 'live', refused: expect.arrayContaining([`SET ${word}`]) } },
    },
    announced: {
      health: { status: 'up', redis_connected: true, invalidation: 'announced', message },
      metrics,
      doctor: { exitCode: 0, notOk: expect.stringMatching(/^invalidation warn: /m) },
      operations: { aloneBecause: undefined, own: { ...live, invalidation: 'announced' } },
    },
    deaf: {
      health: { status: 'degraded', redis_connected: true, invalidation: 'none', message },
      metrics: { ...metrics, invalidation_live: 0, refused_commands: 1 },
      doctor: { exitCode: 1, notOk: expect.stringContaining('permissions fail: ') },
      operations: {
        aloneBecause: expect.stringMatching(/NOPERM|not-listening/),
        own: { redis: 'live', refused: ['PUBLISH NOPERM'], invalidation: 'none' },
      },
    },
  };
  return stories[kind];
}

/** What is told in the end: a connection is lost and made in steps. */
const told = new Map<string, Told>();
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  await Promise.all(Object.entries(FAULTS).map(([name, fault]) => tell(name, fault)));
}, 60_000);
afterAll(() => Promise.all(ends.map((end) => end())));

async function tell(name: string, fault: Fault): Promise<void> {
  const server = await RedisServer.start();
  await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all');
  const proxy = await FaultProxy.start(server.port);
  const redis = { host: proxy.host, port: proxy.port, username: 'app', password: 'secret' };
  const cache = new DistributedCache(CacheConfig.resolve({ redis, heartbeatMs: 300, deadlineMs: 1000 }, {}));
  const ended = new AbortController();
  ends.push(async () => {
    ended.abort();
    await cache.close();
    await proxy.close();
    await server.stop();
  });
  const healthOf = async (): Promise<object> => (await cache.healthCheck()).toJSON();
  await cache.connect();
  await vi.waitFor(async () => expect(await healthOf()).toMatchObject({ invalidation: 'live', status: 'up' }), 10_000);
  await fault.begin({ server, proxy, cache });
  void (async () => {
    for (const users = cache.getCache('users'); !ended.signal.aborted; await sleep(50)) {
      await users.set('key', 1);
      await users.delete('other');
    }
  })();
  const env = { REDIS_URL: `redis://app:secret@${proxy.host}:${proxy.port}`, REDIS_TIMEOUT: '1' };
  const ask = async (): Promise<void> => {
    const [health, { answers, aloneBecause }] = [await healthOf(), await cache.operations.processes()];
    const metrics = cache.getProcessMetrics().toJSON();
    const own = { health, metrics, operations: { aloneBecause, own: answers[0]?.answer } };
    told.set(name, own);
    const { doctor: ofDoctor, ...story } = storyOf(fault);
    expect(own).toMatchObject(story);
    told.set(name, { ...own, doctor: await doctor(env) }); // it takes seconds where nothing answers
    expect(told.get(name)?.doctor).toMatchObject(ofDoctor);
  };
  await vi.waitFor(ask, { timeout: 20_000, interval: 200 }).catch(() => {}); // the case of the fault shows the difference
}

async function doctor(env: NodeJS.ProcessEnv): Promise<NonNullable<Told['doctor']>> {
  let out = '';
  const stdout = { write: (text: string) => (out += text) };
  const exitCode = await main(['doctor', '--json'], { stdout, stderr: stdout, stdin: Readable.from([]), env });
  const { checks } = JSON.parse(out) as { checks: { id: string; status: string; found: string }[] };
  const notOk = checks.filter(({ status }) => status === 'fail' || status === 'warn');
  return { exitCode, notOk: notOk.map(({ id, status, found }) => `${id} ${status}: ${found}`).join('\n') };
}

it.each(Object.entries(FAULTS))('health, metrics, doctor and operations say the same when %s', (name, fault) => {
  expect(told.get(name)).toMatchObject(storyOf(fault));
});
