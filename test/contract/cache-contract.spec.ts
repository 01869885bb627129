import { expect, vi } from 'vitest';
import type { DistributedCache } from 'nestjs-distributed-cache/core';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { RedisServer } from '../support/redis-server.js';
import { describeCacheContract } from './cache-contract.js';
import { leastRights } from './least-rights.js';

describeCacheContract('a cache on the local tier alone', false, async () => ({
  redis: false,
  stop: async () => {},
}));

describeCacheContract('a cache over one Redis', true, async () => {
  const server = await RedisServer.start();
  return { redis: { url: server.url }, stop: () => server.stop() };
});

describeCacheContract('a cache whose user has the least rights', true, async () => {
  const server = await RedisServer.start();
  const rights = leastRights().map((right) => (right.startsWith('~') ? '~contract-*' : right));
  await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', ...rights);
  const redis = { host: server.host, port: server.port, username: 'app', password: 'secret' };
  return { redis, stop: () => server.stop() };
});

async function untilAtReplica(cache: DistributedCache): Promise<void> {
  const home = expect.stringMatching(/^127\.0\.0\.1:/);
  await vi.waitFor(async () => expect((await cache.healthCheck()).redis?.home).toMatchObject({ home }), {
    timeout: 10_000,
  });
}

describeCacheContract('a cache whose home is a replica', true, async () => {
  const primary = await RedisServer.start({ args: ['--repl-diskless-sync-delay', '0'] });
  const replicas = await Promise.all(
    [1, 2].map(() => RedisServer.start({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] })),
  );
  return {
    redis: { url: primary.url, home: 'spread' },
    stop: async () => void (await Promise.all([primary, ...replicas].map((server) => server.stop()))),
    ready: untilAtReplica,
  };
});

describeCacheContract('a cache whose home is the replica of a master that Sentinels know', true, async () => {
  const group = await RedisSentinel.start();
  return {
    redis: { sentinels: group.addresses, name: group.name, home: 'nearest' },
    stop: () => group.stop(),
    ready: untilAtReplica,
  };
});

describeCacheContract('a cache over a master that Sentinels know', true, async () => {
  const group = await RedisSentinel.start();
  return { redis: { sentinels: group.addresses, name: group.name }, stop: () => group.stop() };
});

describeCacheContract('a cache over a Cluster of three masters and three replicas', true, async () => {
  const cluster = await RedisCluster.start({ masters: 3, replicas: 3 });
  return { redis: { cluster: { nodes: cluster.addresses } }, stop: () => cluster.stop() };
});
