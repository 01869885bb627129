import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { TierUnreplicatedError } from '../../libs/distributed-cache/src/errors/index.js';
import { keySlot, SLOT_COUNT } from '../../libs/distributed-cache/src/keys/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisServer } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';
import { ownRedis } from '../support/redis-for-test.js';
import { holdsCopy, podAt, podWith, untilDown, untilUp, warm, type Pod } from './pods.js';

/** A master, and a replica that receives its changes through a proxy. */
async function replicated(): Promise<{ master: RedisServer; replica: RedisServer; link: FaultProxy }> {
  const master = await RedisServer.start({ args: ['--repl-diskless-sync-delay', '0'] });
  const link = await FaultProxy.start(master.port);
  const replica = await RedisServer.start({ args: ['--replicaof', `127.0.0.1 ${link.port}`] });
  onTestFinished(async () => {
    await link.refuseNew(true);
    link.cut();
    await Promise.all([replica.stop(), master.stop()]);
  });
  await untilTrue(async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'));
  return { master, replica, link };
}

/** One address whose server changes, like that of a service that follows a failover. */
async function switchable(first: number): Promise<{ port: number; moveTo: (port: number) => void }> {
  let target = first;
  const cuts = new Set<() => void>();
  const server = createServer((client) => {
    const upstream = createConnection({ host: '127.0.0.1', port: target });
    const cut = (): void => [client, upstream].forEach((socket) => void socket.destroy());
    cuts.add(cut);
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', cut);
    }
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    cuts.forEach((cut) => cut());
    server.close();
  });
  const moveTo = (port: number): void => {
    target = port;
    cuts.forEach((cut) => cut());
  };
  return { port: (server.address() as AddressInfo).port, moveTo };
}

/** On a busy machine a replica may be too slow once. */
async function untilSet({ cache }: Pod, value: string): Promise<void> {
  await vi.waitFor(async () => expect(await cache.set('key', value, { tags: ['team'] })).toBe(true), { timeout: 5000 });
}

/** In strict mode a server without a replica is used, and health is `degraded`. */
async function untilUsed({ all }: Pod): Promise<void> {
  await vi.waitFor(async () => expect((await all.healthCheck()).redis?.connection).toBe('live'));
}

const UNREPLICATED = 'no replica acknowledges changes (strict): they are repeated until one does';

it('race 3: a process that reads from a replica keeps nothing that the replica has replaced since', async () => {
  const { master, replica, link } = await replicated();
  const [writer, reader] = [await podAt(master.port), await podAt(replica.port)];
  await writer.cache.set('key', 'old');
  // A reader that is faster than the replica may not create the stamp, and looks for another master first.
  await vi.waitFor(async () => expect(await reader.cache.get('key')).toBe('old'), { timeout: 5000 });
  await warm(reader);
  link.stall('down');
  await writer.cache.set('key', 'new');
  // The replica lags behind: its value is the newest that this process can know, and it may keep it for now. While it
  // looks for another master after a refused write, it has no value.
  await vi.waitFor(async () => expect(await reader.cache.get('key')).toBe('old'));
  link.resume();
  await vi.waitFor(async () => expect(await reader.cache.get('key')).toBe('new'));
  await writer.cache.delete('key');
  await vi.waitFor(() => expect(holdsCopy(reader, 'key')).toBe(false));
  expect(await reader.cache.get('key')).toBeUndefined();
});

it('race 18: strict: a deletion that no replica has is reported, and a failover does not undo it', async () => {
  const { master, replica, link } = await replicated();
  const address = await switchable(master.port);
  const [pod, other] = [await podAt(address.port, { strict: true }), await podAt(address.port)];
  await untilSet(pod, 'old');
  expect(await other.cache.get('key')).toBe('old');
  const errors: Error[] = [];
  pod.all.events.on('tierError', ({ error }) => errors.push(error));

  link.stall('down');
  await pod.cache.delete('key');
  expect(errors.some((error) => error instanceof TierUnreplicatedError)).toBe(true);
  expect((await pod.all.healthCheck()).redis?.journalLength).toBe(1);

  // The master is lost with the deletion, and the replica that has never received it takes over.
  await replica.command('REPLICAOF', 'NO', 'ONE');
  expect(await replica.command('EXISTS', 'cache:users:key')).toBe(1);
  address.moveTo(replica.port);
  await untilUsed(pod);
  expect(await pod.cache.get('key')).toBeUndefined();
  await untilUp(other);
  await vi.waitFor(async () => expect(await other.cache.get('key')).toBeUndefined());
  expect(await replica.command('EXISTS', 'cache:users:key')).toBe(0);
});

it('strict: a set, a clear and an invalidation wait for a replica, and a set fails without one', async () => {
  const { master, link } = await replicated();
  const pod = await podAt(master.port, { strict: true });
  await untilSet(pod, 'value');
  await pod.cache.invalidateTags('team');
  await pod.cache.clear();
  expect((await pod.all.healthCheck()).redis?.journalLength).toBe(0);
  link.stall('down');
  expect(await pod.cache.set('key', 'only at the master')).toBe(false);
  expect(await pod.cache.get('key')).toBeUndefined();
  // The result of a load may be lost with its master, so the load does not wait for a replica.
  expect(await pod.cache.getOrSet('loaded', async () => 'loaded')).toBe('loaded');
  expect(await pod.cache.get('loaded')).toBe('loaded');
  link.resume();
  await vi.waitFor(async () => expect((await pod.all.healthCheck()).redis?.journalLength).toBe(0), { timeout: 5000 });
  await untilSet(pod, 'everywhere');
});

it('strict: a server that is back is used before a replica has the pending changes, which are kept until one has', async () => {
  const { master, link } = await replicated();
  const pod = await podAt(master.port, { strict: true });
  await untilSet(pod, 'old');
  link.stall('down');
  master.freeze();
  await pod.cache.delete('key');
  await untilDown(pod);
  master.thaw();
  await untilUsed(pod);
  expect(await pod.cache.get('key')).toBeUndefined();
  await vi.waitFor(async () => expect(await master.command('EXISTS', 'cache:users:key')).toBe(0));
  await vi.waitFor(async () =>
    expect((await pod.all.healthCheck()).toJSON()).toMatchObject({
      status: 'degraded',
      message: UNREPLICATED,
      journal_length: 1,
    }),
  );
  expect(await pod.cache.getOrSet('loaded', async () => 'loaded')).toBe('loaded');
  expect(await master.command('EXISTS', 'cache:users:loaded')).toBe(1);
  link.resume();
  await untilUp(pod);
  expect((await pod.all.healthCheck()).toJSON()).toMatchObject({ journal_length: 0 });
  await untilSet(pod, 'new');
});

it('strict: a clear that no replica confirms empties L1 of this process once, not at every heartbeat', async () => {
  const server = await ownRedis();
  const { all, cache } = await podAt(server.port, { strict: true, heartbeatMs: 100 });
  let refusals = 0;
  const commandStats = async (): Promise<number> =>
    Number(/cmdstat_wait:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1] ?? 0);
  all.events.on('tierError', () => refusals++);
  await cache.clear();
  expect(refusals).toBeGreaterThan(0);
  let loads = 0;
  await cache.getOrSet('key', async () => ++loads);
  const waitsBefore = await commandStats();
  await untilTrue(async () => (await commandStats()) > waitsBefore + 3); // the clear has been repeated
  expect(await cache.getOrSet('key', async () => ++loads)).toBe(1);
});

interface StrictCluster extends Pod {
  readonly group: RedisCluster;
  /** The index of a master that does not hold the stamp of the namespace, and keys of this master. */
  readonly index: number;
  readonly keys: readonly string[];
  readonly keyElsewhere: string;
  readonly untilNodesDown: (nodesDown: number) => Promise<void>;
}

/** A Cluster whose replicas take nothing over, with values in the keys of one master. */
async function strictCluster(): Promise<StrictCluster> {
  const group = await RedisCluster.start({ masters: 3, replicas: 3 });
  onTestFinished(() => group.stop());
  await Promise.all([
    ...group.replicas.map((node) => node.command('CONFIG', 'SET', 'cluster-replica-no-failover', 'yes')),
    ...group.masters.map((node) => node.command('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')),
  ]);
  const { all, cache } = await podWith({ redis: { cluster: { nodes: group.addresses } }, strict: true });
  const masterOf = (key: string): number => Math.floor((keySlot(`cache:users:${key}`) * 3) / SLOT_COUNT);
  const index = (masterOf('#clear') + 1) % 3;
  const names = Array.from({ length: 30 }, (_, number) => `key:${number}`);
  const keys = names.filter((key) => masterOf(key) === index);
  const keyElsewhere = names.find((key) => masterOf(key) !== index) ?? '';
  await vi.waitFor(async () => expect(await cache.setMany(keys.map((key) => [key, 'old'] as const))).toBe(true), {
    timeout: 5000,
  });
  const untilNodesDown = (nodesDown: number): Promise<void> =>
    vi.waitFor(async () => expect((await all.healthCheck()).redis?.nodesDown).toBe(nodesDown));
  return { all, cache, group, index, keys, keyElsewhere, untilNodesDown };
}

it('strict: a master of a Cluster is used again when its replica has the deletions that were pending', async () => {
  const { all, cache, group, index, keys, untilNodesDown } = await strictCluster();
  group.masters[index]?.freeze();
  await untilNodesDown(1);
  await cache.deleteMany(keys);
  expect((await all.healthCheck()).redis?.journalLength).toBe(keys.length);
  group.masters[index]?.thaw();
  await untilNodesDown(0);
  await vi.waitFor(async () => expect((await all.healthCheck()).redis?.journalLength).toBe(0));
  expect(await cache.getMany(keys)).toEqual(keys.map(() => undefined));
});

it('strict: a master of a Cluster that is back is used before its replica has the pending changes; other masters are not concerned', async () => {
  const { all, cache, group, index, keys, keyElsewhere, untilNodesDown } = await strictCluster();
  group.replicas[index]?.freeze();
  group.masters[index]?.freeze();
  await untilNodesDown(1);
  await cache.deleteMany(keys);
  group.masters[index]?.thaw();
  await untilNodesDown(0);
  await vi.waitFor(async () =>
    expect((await all.healthCheck()).toJSON()).toMatchObject({ message: UNREPLICATED, journal_length: keys.length }),
  );
  expect(await cache.getMany(keys)).toEqual(keys.map(() => undefined));
  expect(await cache.set(keys[0]!, 'only at the master')).toBe(false);
  await vi.waitFor(async () => {
    expect(await cache.set(keyElsewhere, 'new')).toBe(true);
    expect(await cache.set(keys[0]!, 'only at the master')).toBe(false);
    expect(await cache.set(keyElsewhere, 'newer')).toBe(true);
  });
  group.replicas[index]?.thaw();
  await untilUp({ all, cache });
  expect((await all.healthCheck()).toJSON()).toMatchObject({ journal_length: 0 });
  await vi.waitFor(async () => expect(await cache.set(keys[0]!, 'everywhere')).toBe(true));
});
