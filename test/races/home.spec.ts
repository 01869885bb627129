import { expect, it, onTestFinished, vi } from 'vitest';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { FaultProxy } from '../support/fault-proxy.js';
import { proxyTo } from '../support/redis-for-test.js';
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

async function untilAtReplica(pod: Awaited<ReturnType<typeof podAtHome>>): Promise<void> {
  await vi.waitFor(
    async () =>
      expect((await pod.all.healthCheck()).redis?.home).toMatchObject({ home: expect.stringMatching(/^127/) }),
    { timeout: 10_000 },
  );
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
  void proxyTo;
});
