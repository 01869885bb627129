import { Cluster, Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { RedisCluster } from './redis-cluster.js';
import { RedisSentinel } from './redis-sentinel.js';

describe('RedisCluster', () => {
  it('serves every slot as soon as start() resolves, and a replica takes over from a killed master', async () => {
    const group = await RedisCluster.start({ masters: 3, replicas: 3 });
    onTestFinished(() => group.stop());
    const client = new Cluster(group.addresses);
    onTestFinished(() => client.disconnect());
    const keys = Array.from({ length: 100 }, (_, index) => `key:${index}`);
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    await group.killMaster(0);
    await vi.waitFor(
      async () => expect(String(await group.replicas[0]!.command('INFO', 'replication'))).toContain('role:master'),
      { timeout: 15_000, interval: 50 },
    );
    expect(group.masters.map(({ isRunning }) => isRunning)).toEqual([false, true, true]);
  });
});

describe('RedisSentinel', () => {
  it('knows the master as soon as start() resolves, and the other server after the master was killed', async () => {
    const group = await RedisSentinel.start();
    onTestFinished(() => group.stop());
    expect(await group.masterPort()).toBe(group.master.port);
    const client = new Redis({ sentinels: group.addresses, name: group.name });
    onTestFinished(() => client.disconnect());
    client.on('error', () => {}); // the reset of the killed master
    await client.set('key', 'value');
    await vi.waitFor(async () => expect(await group.replica.command('GET', 'key')).toBe('value'));
    await group.killMaster();
    await vi.waitFor(async () => expect(await group.masterPort()).toBe(group.replica.port), {
      timeout: 15_000,
      interval: 50,
    });
    expect(await client.get('key')).toBe('value');
  });
});
