import { Controller, Get, Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { redisStore } from 'cache-manager-ioredis-yet';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { freePort } from '../../../../test/support/free-port.js';
import { Gate } from '../../../../test/support/gate.js';
import { httpForTest, nestForTest } from '../../../../test/support/nest-for-test.js';
import { RecordingLogger } from '../../../../test/support/recording-logger.js';
import { ownRedis, redisForTest, type RedisForTest } from '../../../../test/support/redis-for-test.js';
import { listenersOf } from '../../../../test/support/watch-leaks.js';
import { AsyncCache, DistributedCache, type RedisOption } from '../core/index.js';
import { InjectCache } from './cache-tokens.js';
import { DistributedCacheModule } from './distributed-cache.module.js';

/** How many connections with this name the server has. */
async function connectionsNamed(name: string, { admin }: RedisForTest): Promise<number> {
  const list = String(await admin.client('LIST'));
  return list.split('\n').filter((line) => line.includes(` name=${name} `)).length;
}

describe('the application', () => {
  it('has its connection after its start, and none after its end', async () => {
    const redis = redisForTest();
    const { url, keyPrefix } = redis;
    const module = await nestForTest({ cache: { redis: { url, connectionName: keyPrefix }, keyPrefix } });
    expect(await connectionsNamed(keyPrefix, redis)).toBeGreaterThan(0);
    expect((await module.get(DistributedCache).healthCheck()).redisConnected).toBe(true);
    await module.close();
    await vi.waitFor(async () => expect(await connectionsNamed(keyPrefix, redis)).toBe(0));
  });

  it.each<[string, (client: Redis) => RedisOption]>([
    ['client', (client) => ({ client })],
    ['store', (client) => ({ store: { client } })],
  ])('leaves a %s that it was given as it found it', async (_kind, optionOf) => {
    const redis = redisForTest();
    const { host, port, keyPrefix } = redis;
    const client = new Redis({ host, port, connectionName: keyPrefix });
    onTestFinished(() => client.disconnect());
    await client.ping();
    const listenersBefore = listenersOf(client);
    const module = await nestForTest({ cache: { redis: optionOf(client), keyPrefix } });
    expect(await module.get(DistributedCache).getCache('users').set('key', 'value')).toBe(true);
    await module.close();
    expect(client.status).toBe('ready');
    expect(await client.ping()).toBe('PONG');
    expect(await client.exists(`${keyPrefix}:users:key`)).toBe(1);
    expect(listenersOf(client)).toEqual(listenersBefore);
    await vi.waitFor(async () => expect(await connectionsNamed(keyPrefix, redis)).toBe(1));
  });

  it('works with a store of cache-manager-ioredis-yet, and does not close it', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const store = await redisStore({ host, port });
    onTestFinished(() => store.client.disconnect());
    const module = await nestForTest({ cache: { redis: { store }, keyPrefix } });
    expect(await module.get(DistributedCache).getCache('users').set('key', 'value')).toBe(true);
    await module.close();
    expect(await store.client.ping()).toBe('PONG');
  });

  it('answers requests in flight from the cache while it shuts down, Redis included', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const gate = new Gate();
    const arrived = new Gate();
    const shuttingDown = new Gate();
    @Controller()
    class UsersController {
      constructor(@InjectCache('default') private readonly cache: AsyncCache<string>) {}
      @Get()
      async find(): Promise<unknown> {
        arrived.open();
        await gate.opened;
        const known = await this.cache.lookup('known');
        return { known: known.state === 'miss' ? known.state : known.tier, stored: await this.cache.set('late', 'x') };
      }
    }
    @Injectable()
    class Witness implements BeforeApplicationShutdown {
      beforeApplicationShutdown(): void {
        shuttingDown.open();
      }
    }
    const { app, request } = await httpForTest({
      controllers: [UsersController],
      providers: [Witness],
      cache: { redis: { url }, keyPrefix, local: false },
    });
    await app.get(DistributedCache).getCache('default').set('known', 'value');
    const response = request('/', { headers: { connection: 'close' } });
    await arrived.opened;
    const closing = app.close();
    await shuttingDown.opened;
    gate.open();
    expect(await (await response).json()).toEqual({ known: 'redis', stored: true });
    await closing;
    expect(await admin.exists(`${keyPrefix}:default:late`)).toBe(1);
    expect((await app.get(DistributedCache).healthCheck()).redisConnected).toBe(false);
  });

  it('starts when Redis refuses connections, and when it accepts them and never answers', async () => {
    const frozen = await ownRedis();
    frozen.freeze();
    for (const port of [await freePort(), frozen.port]) {
      const module = await nestForTest({ cache: { redis: { host: '127.0.0.1', port } } });
      const cache = module.get(DistributedCache).getCache('users');
      expect(await cache.getOrSet('key', async () => 'loaded')).toBe('loaded');
      expect(await cache.get('key')).toBe('loaded');
    }
  });

  it('can be closed after a start that failed, and leaves no connection behind', async () => {
    const redis = redisForTest();
    const { url, keyPrefix } = redis;
    @Injectable()
    class Failing {
      constructor(@Inject(DistributedCache) private readonly cache: DistributedCache) {}
      async onModuleInit(): Promise<void> {
        await this.cache.getCache('users').set('key', 'value');
        throw new Error('no licence');
      }
    }
    const cache = { redis: { url, connectionName: keyPrefix }, keyPrefix };
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot(cache)],
      providers: [Failing],
    })
      .setLogger(new RecordingLogger([]))
      .compile();
    await expect(module.init()).rejects.toThrow('no licence');
    expect(await connectionsNamed(keyPrefix, redis)).toBeGreaterThan(0);
    await module.close();
    await vi.waitFor(async () => expect(await connectionsNamed(keyPrefix, redis)).toBe(0));
  });

  it('may be closed twice, and closed before it has started', async () => {
    const { url } = redisForTest();
    const module = await nestForTest({ cache: { redis: { url } } });
    await module.close();
    await module.close();
    const unstarted = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: { url } })],
    }).compile();
    await unstarted.close();
    expect(
      await unstarted
        .get(DistributedCache)
        .getCache('users')
        .getOrSet('key', async () => 1),
    ).toBe(1);
  });
});
