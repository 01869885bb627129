import { Redis } from 'ioredis';
import { Cluster as Cluster6, Redis as Redis6 } from 'ioredis6';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { podWith, warm, type Pod } from '../races/pods.js';
import { untilInvalidation } from '../support/channel-for-test.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { redisForTest } from '../support/redis-for-test.js';
import { RedisSentinel } from '../support/redis-sentinel.js';

const KEYS = Array.from({ length: 20 }, (_, index) => `key:${index}`);
let prefixes = 0;

interface AnyClient {
  disconnect(): void;
  on(event: 'error', listener: () => void): unknown;
}

/** A cache over the client, beside one over a client of ioredis 5 at the same servers. */
async function podsWith(client: AnyClient, own: DistributedCacheOptions['redis'] & object): Promise<[Pod, Pod]> {
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  const keyPrefix = `other-${process.pid}-${prefixes++}`;
  const pods = await Promise.all([podWith({ redis: { client }, keyPrefix }), podWith({ redis: own, keyPrefix })]);
  await Promise.all(pods.map(({ all }) => untilInvalidation(all, 'live')));
  return pods;
}

async function expectService([pod, other]: [Pod, Pod]): Promise<void> {
  expect(await pod.cache.setMany(KEYS.map((key) => [key, { key }] as const))).toBe(true);
  expect(await other.cache.getMany(KEYS)).toEqual(KEYS.map((key) => ({ key })));
  await warm(pod, 'key:0');
  await other.cache.set('key:0', Buffer.from([0, 255, 13, 10]));
  await vi.waitFor(async () => expect(await pod.cache.get('key:0')).toEqual(Buffer.from([0, 255, 13, 10])));
  expect(await pod.cache.getOrSet('loaded', async () => 'value')).toBe('value');
  expect(await other.cache.getOrSet('loaded', async () => 'not asked')).toBe('value');
  await pod.cache.invalidateTags('tag');
  expect(await pod.cache.delete('key:1')).toBe(true);
  await vi.waitFor(async () => expect(await other.cache.get('key:1')).toBeUndefined());
  await pod.cache.clear();
  await vi.waitFor(async () => expect(await other.cache.getMany(KEYS)).toEqual(KEYS.map(() => undefined)));
  expect(await pod.all.healthCheck()).toMatchObject({ status: 'up', redis: { invalidation: 'live' } });
}

describe('a client of ioredis 6 that is handed in works like one of ioredis 5', () => {
  it.each([
    ['by default', {}],
    ['without resending', { autoResendUnfulfilledCommands: false }],
    ['with RESP3 and its replies', { protocol: 3, replyMapping: 'resp3' } as const],
    ['with RESP2', { protocol: 2 } as const],
    ['with a timeout of its sockets', { socketTimeout: 200 }],
    ['with numbers as text', { stringNumbers: true }],
  ])('at one server, %s', async (_how, options) => {
    const { url } = redisForTest();
    await expectService(await podsWith(new Redis6(url, options), { url }));
  });

  describe('in a cluster', () => {
    let group: RedisCluster;
    beforeAll(async () => void (group = await RedisCluster.start()));
    afterAll(() => group?.stop());

    it.each([
      ['by default', {}],
      ['with RESP3 of its nodes', { redisOptions: { protocol: 3 } } as const],
      ['with a strategy of reconnection of its nodes', { clusterNodeRetryStrategy: () => 10 }],
      ['with numbers as text', { redisOptions: { stringNumbers: true } }],
    ])('%s', async (_how, options) => {
      const own = { cluster: { nodes: group.addresses } };
      await expectService(await podsWith(new Cluster6(group.addresses, options), own));
    });
  });

  it('behind Sentinels', async () => {
    const group = await RedisSentinel.start();
    onTestFinished(() => group.stop());
    const own = { sentinels: group.addresses, name: group.name };
    await expectService(await podsWith(new Redis6(own), own));
  });
});

/** Like a possible later version of the client: it calls a method that the library's command objects lack. */
class LaterRedis extends Redis {
  override duplicate(override?: Parameters<Redis['duplicate']>[0]): Redis {
    return new LaterRedis({ ...this.options, ...override });
  }
}

describe("a client that does not accept the library's command objects", () => {
  it.each<[how: string, Client: typeof LaterRedis]>([
    [
      'it calls a method that they lack before a command is sent',
      class extends LaterRedis {
        override duplicate(override?: Parameters<Redis['duplicate']>[0]): Redis {
          return new (this.constructor as typeof LaterRedis)({ ...this.options, ...override });
        }

        override sendCommand(...args: Parameters<Redis['sendCommand']>): unknown {
          args[0].getKeys();
          return super.sendCommand(...args);
        }
      },
    ],
  ])('works with ordinary commands: %s', async (_how, Client) => {
    const { url } = redisForTest();
    await expectService(await podsWith(new Client(url), { url }));
  });
});
