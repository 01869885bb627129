import { expect, it, onTestFinished, vi } from 'vitest';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { leastRights } from '../contract/least-rights.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { proxyTo } from '../support/redis-for-test.js';
import { Gate } from '../support/gate.js';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';
import { podWith, type Pod } from './pods.js';

/** A primary and replicas that receive its changes through a proxy each. */
interface Group {
  readonly primary: RedisServer;
  readonly replicas: readonly RedisServer[];
  readonly links: readonly FaultProxy[];
}

async function group(count: number, options: RedisServerOptions = {}): Promise<Group> {
  const primary = await RedisServer.start({ ...options, args: ['--repl-diskless-sync-delay', '0'] });
  const links = await Promise.all(Array.from({ length: count }, () => FaultProxy.start(primary.port)));
  const replicas = await Promise.all(
    links.map(({ port }) => RedisServer.start({ ...options, args: ['--replicaof', `127.0.0.1 ${port}`] })),
  );
  onTestFinished(async () => {
    await Promise.all(links.map((link) => link.close()));
    await Promise.all([...replicas, primary].map((server) => server.stop()));
  });
  const isSynced = async (replica: RedisServer): Promise<boolean> =>
    String(await replica.command('INFO', 'replication')).includes('master_link_status:up');
  await untilTrue(async () => (await Promise.all(replicas.map(isSynced))).every(Boolean));
  return { primary, replicas, links };
}

/** A process whose home is one of these replicas; resolves once one of them is. */
async function podAtHome(
  { primary }: Pick<Group, 'primary'>,
  replicas: readonly { readonly port: number }[],
  options: DistributedCacheOptions & { readonly port?: number; readonly maxLagMs?: number } = {},
): Promise<Pod & { readonly moves: string[]; home(): Promise<string | undefined> }> {
  const { port = primary.port, maxLagMs, ...rest } = options;
  const nodes = replicas.map((replica) => ({ host: '127.0.0.1', port: replica.port }));
  const home = { nodes, pick: 'spread' as const, ...(maxLagMs !== undefined && { maxLagMs }) };
  const pod = await podWith({ redis: { host: '127.0.0.1', port, home }, heartbeatMs: 300, ...rest });
  const moves: string[] = [];
  pod.all.events.on('homeChanged', ({ home: to, reason }) =>
    moves.push(reason === undefined ? to : `${to}: ${reason}`),
  );
  return { ...pod, moves, home: async () => (await pod.all.healthCheck()).redis?.home?.home };
}

/** Resolves once a replica is the home; the moves are counted from then on. */
async function untilAtReplica(pod: Awaited<ReturnType<typeof podAtHome>>): Promise<void> {
  const home = expect.stringMatching(/^127/);
  await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis?.home).toMatchObject({ home }), {
    timeout: 10_000,
  });
  pod.moves.length = 0;
}

async function callsOf(server: RedisServer, command: string): Promise<number> {
  const stats = String(await server.command('INFO', 'commandstats'));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

it('reads at the replica and writes at the primary, and learns of the changes of other processes from the replica', async () => {
  const servers = await group(1);
  const pod = await podAtHome(servers, servers.replicas);
  await untilAtReplica(pod);
  const other = await podWith({ redis: { host: '127.0.0.1', port: servers.primary.port } });
  await other.cache.set('key', 'old');
  await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe('old'));
  const before = await callsOf(servers.replicas[0]!, 'get');
  for (let index = 0; index < 20; index++) {
    await other.cache.set(`key${index}`, index);
  }
  await vi.waitFor(async () => {
    const found = await Promise.all(Array.from({ length: 20 }, (_, index) => pod.cache.get(`key${index}`)));
    expect(found).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });
  expect(await callsOf(servers.replicas[0]!, 'get')).toBeGreaterThan(before);
  await other.cache.set('key', 'new');
  await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe('new'));
  await pod.cache.delete('key');
  expect(await pod.cache.get('key')).toBeUndefined();
  expect(await servers.primary.command('EXISTS', 'cache:users:key')).toBe(0);
  expect((await pod.all.healthCheck()).toJSON()).toMatchObject({
    status: 'up',
    invalidation: 'live',
    ahead_keys: expect.any(Number),
  });
});

it('own changes are read at once, whatever the lag of the replica and whichever other process writes', async () => {
  const servers = await group(1);
  servers.links[0]!.delay(15);
  const caches = [1, 2].map(() => podAtHome(servers, servers.replicas, { maxLagMs: 30_000 }));
  const pods = await Promise.all(caches);
  await Promise.all(pods.map(untilAtReplica));
  let stale = 0;
  let reads = 0;
  /** One writer per key and process; both processes write the same keys, each value names its writer. */
  const run = async (pod: Pod, writer: number, key: string): Promise<void> => {
    for (let version = 1; version <= 40; version++) {
      const isDeleted = version % 5 === 0;
      await (isDeleted ? pod.cache.delete(key) : pod.cache.set(key, { writer, version }));
      for (let read = 0; read < 3; read++) {
        const found = (await pod.cache.get(key)) as { writer: number; version: number } | undefined;
        reads++;
        // The other process may have written later; an own value must be the last one.
        stale += found !== undefined && found.writer === writer && found.version !== version ? 1 : 0;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 12));
      }
    }
  };
  await Promise.all(pods.flatMap((pod, writer) => Array.from({ length: 16 }, (_, key) => run(pod, writer, `k${key}`))));
  expect(reads).toBe(2 * 16 * 40 * 3);
  expect(stale).toBe(0);
  expect(await callsOf(servers.replicas[0]!, 'get')).toBeGreaterThan(0);
});

it.each<[string, (servers: Group) => Promise<unknown> | void]>([
  ['killed', ({ replicas }) => replicas[0]!.killHard()],
  ['frozen', ({ replicas }) => replicas[0]!.freeze()],
  ['deaf', ({ links }) => links[0]!.blackhole()],
  ['promoted', ({ replicas }) => replicas[0]!.command('REPLICAOF', 'NO', 'ONE')],
])(
  'a replica that is %s is left: no caller sees an error, L1 is dropped once, and changes are seen again',
  async (_what, fail) => {
    const servers = await group(1);
    const pod = await podAtHome(servers, servers.replicas, { maxLagMs: 300 });
    await untilAtReplica(pod);
    const other = await podWith({ redis: { host: '127.0.0.1', port: servers.primary.port } });
    const errors: unknown[] = [];
    pod.all.events.on('tierError', ({ error }) => errors.push(error));
    await pod.cache.set('key', 0);
    await other.cache.set('other', 0);
    const epochs = pod.all.getProcessMetrics().values.epochs;
    await fail(servers);
    await other.cache.set('key', 1); // what the replica must have
    let failures = 0;
    await vi.waitFor(
      async () => {
        await pod.cache.get(`miss${Math.random()}`).catch(() => failures++);
        expect(pod.moves).toHaveLength(1);
      },
      { timeout: 10_000, interval: 5 },
    );
    expect(pod.moves[0]).toMatch(/^primary: /);
    await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis?.invalidation).toBe('live'), {
      timeout: 5000,
    });
    expect(await pod.cache.get('key')).toBe(1);
    await other.cache.set('key', 2);
    await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe(2));
    expect(failures).toBe(0);
    expect(errors).toEqual([]);
    expect(pod.all.getProcessMetrics().values.epochs).toBe((epochs ?? 0) + 1);
    servers.replicas[0]!.thaw();
  },
);

it('a replica that is back becomes the home again, and L1 stays', async () => {
  const servers = await group(1);
  const pod = await podAtHome(servers, servers.replicas, { maxLagMs: 300 });
  await untilAtReplica(pod);
  await servers.replicas[0]!.killHard();
  await vi.waitFor(() => expect(pod.moves).toHaveLength(1), { timeout: 5000 });
  await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis?.invalidation).toBe('live'), {
    timeout: 5000,
  });
  await pod.cache.set('key', 'kept');
  const epochs = pod.all.getProcessMetrics().values.epochs;
  await servers.replicas[0]!.restart();
  await vi.waitFor(() => expect(pod.moves).toHaveLength(2), { timeout: 15_000 });
  expect(await pod.cache.lookup('key')).toMatchObject({ tier: 'local', value: 'kept' });
  expect(pod.all.getProcessMetrics().values.epochs).toBe(epochs);
});

it.each<[string, string, (servers: Group) => Promise<{ port: number }[]>]>([
  ['does not answer', 'no replica answers', async ({ primary: _p }) => [{ port: 1 }]],
  [
    'forbids CLIENT TRACKING',
    'CLIENT TRACKING refused',
    async ({ replicas }) => {
      await replicas[0]!.command('ACL', 'SETUSER', 'default', '-client|tracking');
      return [...replicas];
    },
  ],
  [
    'forbids INFO',
    'INFO refused',
    async ({ replicas }) => {
      await replicas[0]!.command('ACL', 'SETUSER', 'default', '-info');
      return [...replicas];
    },
  ],
  [
    'wants a password',
    'no replica answers',
    async ({ replicas }) => {
      await replicas[0]!.command('CONFIG', 'SET', 'requirepass', 'secret');
      return [...replicas];
    },
  ],
  ['is a primary itself', 'it is no replica any more', async ({ primary }) => [primary]],
])('says why the primary is the home when the replica %s, and works', async (_what, problem, prepare) => {
  const servers = await group(1);
  const pod = await podAtHome(servers, await prepare(servers), { maxLagMs: 300 });
  await vi.waitFor(
    async () =>
      expect((await pod.all.healthCheck()).toJSON()).toMatchObject({
        status: 'up',
        home: 'primary',
        home_problem: expect.stringContaining(problem),
      }),
    { timeout: 10_000 },
  );
  expect(await pod.cache.set('key', 1)).toBe(true);
  expect(await pod.cache.get('key')).toBe(1);
  expect(pod.moves).toEqual([]);
});

it('over a link of 40 ms each way reads take a local round trip, and a change elsewhere is seen within the lag', async () => {
  const servers = await group(1);
  servers.links[0]!.delay(40);
  const far = await proxyTo(servers.primary);
  far.delay(40);
  const pod = await podAtHome(servers, servers.replicas, { port: far.port });
  await untilAtReplica(pod);
  const other = await podWith({ redis: { host: '127.0.0.1', port: servers.primary.port } });
  await other.cache.setMany(Array.from({ length: 300 }, (_, index) => [`key${index}`, index] as const));
  await vi.waitFor(async () => expect(await pod.cache.get('key299')).toBe(299));
  const before = await callsOf(servers.primary, 'get');
  const times: number[] = [];
  for (let index = 0; index < 299; index++) {
    const startedAtMs = performance.now();
    expect(await pod.cache.get(`key${index}`)).toBe(index);
    times.push(performance.now() - startedAtMs);
  }
  expect(await callsOf(servers.primary, 'get')).toBe(before);
  const heardAfterMs: number[] = [];
  for (let version = 1; version <= 10; version++) {
    await other.cache.set('key0', `v${version}`);
    const startedAtMs = performance.now();
    await vi.waitFor(async () => expect(await pod.cache.get('key0')).toBe(`v${version}`), { interval: 1 });
    heardAfterMs.push(performance.now() - startedAtMs);
  }
  const median = (values: number[]): string => values.toSorted((a, b) => a - b)[values.length >> 1]!.toFixed(2);
  process.stdout.write(
    `home over 40 ms: read p50 ${median(times)} ms, a change is seen after ${median(heardAfterMs)} ms\n`,
  );
});

it.each<[string, (pod: Pod) => Promise<unknown>]>([
  ['a clear', ({ cache }) => cache.clear()],
  ['an invalidated tag', ({ cache }) => cache.invalidateTags('team')],
  ['a deletion', ({ cache }) => cache.delete('key')],
])(
  'stores no result of a load that %s has overtaken, although the replica does not report it yet',
  async (_what, change) => {
    const servers = await group(1);
    const pod = await podAtHome(servers, servers.replicas, { maxLagMs: 30_000 });
    await untilAtReplica(pod);
    const other = await podWith({ redis: { host: '127.0.0.1', port: servers.primary.port } });
    const tags = ['team'];
    await pod.cache.getOrSet('first', async () => 1, { tags });
    servers.links[0]!.stall('down');
    const [started, gate] = [new Gate(), new Gate()];
    const loading = pod.cache.getOrSet(
      'key',
      async () => {
        started.open();
        await gate.opened;
        return 'old';
      },
      { tags },
    );
    await started.opened;
    await change(other);
    gate.open();
    expect(await loading).toBe('old');
    expect(await pod.cache.get('key')).toBeUndefined();
    expect(await other.cache.get('key')).toBeUndefined();
    servers.links[0]!.resume();
  },
);

it.each<[string, (pod: Pod) => Promise<unknown>]>([
  ['deleted the key', ({ cache }) => cache.delete('key')],
  ['cleared the namespace', ({ cache }) => cache.clear()],
  ['invalidated its tag', ({ cache }) => cache.invalidateTags('team')],
])(
  'keeps the result of a load that began after this process has %s, although the replica reports that later',
  async (_what, change) => {
    const servers = await group(1);
    const pod = await podAtHome(servers, servers.replicas, { maxLagMs: 30_000 });
    await untilAtReplica(pod);
    let reported = 0;
    await pod.cache.set('key', 'first', { tags: ['team'] });
    const messages = (): number => {
      const {
        keysInvalidated = 0,
        tagsInvalidated = 0,
        namespacesInvalidated = 0,
      } = pod.all.getProcessMetrics().values;
      return keysInvalidated + tagsInvalidated + namespacesInvalidated;
    };
    await vi.waitFor(() => expect(messages()).toBeGreaterThan(0));
    servers.links[0]!.stall('down');
    await change(pod);
    const gate = new Gate();
    let loads = 0;
    const load = async (): Promise<string> => {
      loads++;
      reported = messages();
      servers.links[0]!.resume();
      await gate.opened;
      return 'new';
    };
    const loading = pod.cache.getOrSet('key', load, { tags: ['team'] });
    await vi.waitFor(() => expect(messages()).toBeGreaterThan(reported));
    gate.open();
    expect(await loading).toBe('new');
    expect(await pod.cache.getOrSet('key', load, { tags: ['team'] })).toBe('new');
    expect(loads).toBe(1);
  },
);

it('a change by another program during such a load is not lost', async () => {
  const servers = await group(1);
  const pod = await podAtHome(servers, servers.replicas, { maxLagMs: 30_000 });
  await untilAtReplica(pod);
  await pod.cache.set('key', 'first');
  servers.links[0]!.stall('down');
  await pod.cache.delete('key');
  const loading = pod.cache.getOrSet('key', async () => {
    await servers.primary.command('SET', 'cache:users:key', '"by another program"');
    servers.links[0]!.resume();
    await vi.waitFor(async () => expect(await servers.replicas[0]!.command('EXISTS', 'cache:users:key')).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    return 'old';
  });
  expect(await loading).toBe('old');
  expect(await pod.cache.get('key')).not.toBe('old');
});

it('a home replica that Sentinel promotes is left, and the former replica serves as the primary', async () => {
  const sentinels = await RedisSentinel.start();
  onTestFinished(() => sentinels.stop());
  const redis = { sentinels: sentinels.addresses, name: sentinels.name, home: 'nearest' } as const;
  const pod = { ...(await podWith({ redis, heartbeatMs: 300 })), moves: [] as string[] };
  const home = `127.0.0.1:${sentinels.replica.port}`;
  await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis?.home).toMatchObject({ home }));
  pod.all.events.on('homeChanged', ({ home: to }) => pod.moves.push(to));
  await sentinels.killMaster();
  await vi.waitFor(
    async () => {
      expect(await pod.cache.getOrSet(`key${Math.random()}`, async () => 'loaded')).toBe('loaded');
      expect(await sentinels.masterPort()).toBe(sentinels.replica.port);
      expect((await pod.all.healthCheck()).redis).toMatchObject({ connection: 'live', home: { home: 'primary' } });
    },
    { timeout: 15_000 },
  );
  expect(pod.moves).toEqual(['primary']);
  await vi.waitFor(async () => expect(await pod.cache.set('key', 1)).toBe(true));
  expect(await pod.cache.get('key')).toBe(1);
});

it('a question of an operator is answered by the processes at replicas, too', async () => {
  const servers = await group(2);
  const pods = await Promise.all(servers.replicas.map((replica) => podAtHome(servers, [replica])));
  await Promise.all(pods.map(untilAtReplica));
  const other = await podWith({ redis: { host: '127.0.0.1', port: servers.primary.port } });
  for (const { all } of [...pods, other]) {
    await vi.waitFor(async () => expect((await all.operations.processes({ deadlineMs: 500 })).answers.length).toBe(3));
  }
});

it('a replica without a password of its own serves, and a user with the least rights and INFO may use it', async () => {
  const primary = await RedisServer.start({ password: 'secret', args: ['--repl-diskless-sync-delay', '0'] });
  const replica = await RedisServer.start({
    args: ['--replicaof', `127.0.0.1 ${primary.port}`, '--masterauth', 'secret'],
  });
  onTestFinished(async () => void (await Promise.all([replica.stop(), primary.stop()])));
  const home = { nodes: [{ host: '127.0.0.1', port: replica.port }] };
  const pod = await podWith({ redis: { url: primary.url, home } });
  const isAtReplica = ({ all }: Pod): Promise<void> =>
    vi.waitFor(async () => expect((await all.healthCheck()).toJSON()).toMatchObject({ status: 'up', ahead_keys: 0 }), {
      timeout: 10_000,
    });
  await isAtReplica(pod);
  const rights = ['on', '>secret', ...leastRights(), '+info'];
  await Promise.all([primary, replica].map((server) => server.command('ACL', 'SETUSER', 'app', ...rights)));
  const limited = await podWith({
    redis: { host: '127.0.0.1', port: primary.port, username: 'app', password: 'secret', home },
  });
  await isAtReplica(limited);
  await limited.cache.set('key', 1);
  await vi.waitFor(async () => expect(await pod.cache.get('key')).toBe(1));
});
