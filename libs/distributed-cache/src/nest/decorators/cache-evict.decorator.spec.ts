import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../../../../test/support/free-port.js';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { DistributedCache, type DistributedCacheOptions } from '../../core/index.js';
import { CacheEvict } from './cache-evict.decorator.js';

const userKey = (id: number) => `user:${id}`;

@Injectable()
class Users {
  fails = false;
  runs = 0;

  @CacheEvict({ namespace: 'users', key: userKey })
  async rename(_id: number, name: string): Promise<string> {
    return this.change(name);
  }

  @CacheEvict({ namespace: 'users', keys: (ids: number[]) => ids.map(userKey) })
  async renameMany(ids: number[], name: string): Promise<string> {
    ids.length = 0; // the keys are those of the arguments as they were
    return this.change(name);
  }

  @CacheEvict({ namespace: 'users', all: true })
  async import(): Promise<string> {
    return this.change('imported');
  }

  @CacheEvict({ namespace: 'users', key: userKey, before: true })
  async renameAfter(_id: number, name: string): Promise<string> {
    return this.change(name);
  }

  @CacheEvict({ namespace: 'users', key: (key: string) => key })
  async renameUnder(_key: string): Promise<string> {
    return this.change('');
  }

  private change(name: string): string {
    this.runs++;
    if (this.fails) {
      throw new Error('no database');
    }
    return name;
  }
}

async function start(options: DistributedCacheOptions = { redis: false }) {
  const module = await nestForTest({ providers: [Users], cache: options });
  const cache = module.get(DistributedCache).getCache<string>('users');
  await cache.setMany([1, 2, 3].map((id) => [userKey(id), 'Ada']));
  const left = async () =>
    (await cache.getMany([1, 2, 3].map(userKey))).flatMap((name, index) => (name === undefined ? [] : [index + 1]));
  return { users: module.get(Users), left, all: module.get(DistributedCache) };
}

describe('@CacheEvict', () => {
  it('evicts one key after the method has succeeded', async () => {
    const { users, left } = await start();
    expect(await users.rename(2, 'Eve')).toBe('Eve');
    expect(await left()).toEqual([1, 3]);
  });

  it('evicts many keys, computed from the arguments as they were', async () => {
    const { users, left } = await start();
    await users.renameMany([1, 3], 'Eve');
    expect(await left()).toEqual([2]);
  });

  it.each([['redis'], ['local']] as const)('evicts nothing for an empty list of keys (%s)', async (tier) => {
    const { url, keyPrefix } = redisForTest();
    const { users, left, all } = await start(tier === 'redis' ? { redis: { url }, keyPrefix } : { redis: false });
    expect(await users.renameMany([], 'Eve')).toBe('Eve');
    expect(await left()).toEqual([1, 2, 3]);
    expect(all.getCache('users').getMetrics().errors).toBe(0);
  });

  it('evicts the whole namespace and no other', async () => {
    const { users, left, all } = await start();
    await all.getCache('orders').set(userKey(1), 'kept');
    expect(await users.import()).toBe('imported');
    expect(await left()).toEqual([]);
    expect(await all.getCache('orders').get(userKey(1))).toBe('kept');
  });

  it('evicts in Redis, so that no other process finds it there', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const { users } = await start({ redis: { url }, keyPrefix });
    await users.rename(1, 'Eve');
    expect(await admin.exists(`${keyPrefix}:users:user:1`, `${keyPrefix}:users:user:2`)).toBe(1);
  });

  it('evicts nothing when the method throws', async () => {
    const { users, left } = await start();
    users.fails = true;
    await expect(users.rename(2, 'Eve')).rejects.toThrow('no database');
    await expect(users.import()).rejects.toThrow('no database');
    expect(await left()).toEqual([1, 2, 3]);
  });

  it('evicts before the method runs with `before`, so also when it throws', async () => {
    const { users, left } = await start();
    users.fails = true;
    await expect(users.renameAfter(2, 'Eve')).rejects.toThrow('no database');
    expect(await left()).toEqual([1, 3]);
  });

  it('clears its namespace when a key can not be computed, and says so: too much, never too little', async () => {
    const { users, left, all } = await start();
    const told: unknown[] = [];
    all.events.on('decoratedCallUncached', (event) => told.push(event));
    expect(await users.renameUnder('')).toBe('');
    expect(await users.renameUnder('')).toBe('');
    expect(await left()).toEqual([]);
    expect(told).toEqual([
      {
        namespace: 'users',
        caller: 'Users.renameUnder',
        effect: 'namespace cleared',
        reason: 'A cache key must not be empty. Give every entry a name, also the only one.',
      },
    ]);
  });

  it('lets the method run while Redis cannot be used, or the cache is off', async () => {
    const { users, left } = await start({ redis: { host: '127.0.0.1', port: await freePort() } });
    expect(await users.rename(2, 'Eve')).toBe('Eve');
    expect(await users.import()).toBe('imported');
    expect(await left()).toEqual([]);
    const off = await start({ enabled: false });
    expect(await off.users.renameUnder('')).toBe('');
  });

  it('evicts several entries at once, in any namespaces, each before or after the method', async () => {
    const order: string[] = [];
    @Injectable()
    class Shop {
      @CacheEvict([
        { namespace: 'products', key: (id: number) => `product:${id}` },
        { namespace: 'lists', all: true, before: true },
        { namespace: 'prices', keys: (id: number) => [`price:${id}`], condition: (id) => id > 1 },
      ])
      async change(_id: number): Promise<void> {
        order.push('method');
      }
    }
    const module = await nestForTest({ providers: [Shop] });
    const distributed = module.get(DistributedCache);
    distributed.events.on('clear', ({ namespace }) => order.push(namespace));
    distributed.events.on('delete', ({ namespace, key }) => order.push(`${namespace} ${key}`));
    await module.get(Shop).change(1);
    expect(order).toEqual(['lists', 'method', 'products product:1']);
    order.length = 0;
    await module.get(Shop).change(2);
    expect(order).toEqual(['lists', 'method', 'products product:2', 'prices price:2']);
  });
});
