import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../../../../test/support/free-port.js';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { DistributedCache, type DistributedCacheOptions } from '../../core/index.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached } from './cached.decorator.js';

interface User {
  readonly id: number;
  readonly name: string;
}

@Injectable()
class Users {
  reads = 0;
  writes = 0;

  @Cached({ namespace: 'users', key: (id: number) => `user:${id}` })
  async find(id: number): Promise<User> {
    this.reads++;
    return { id, name: 'from the database' };
  }

  @CachePut({ namespace: 'users', key: ({ id }: User) => `user:${id}` })
  async save(user: User): Promise<User> {
    this.writes++;
    return { ...user };
  }

  @CachePut({ namespace: 'users', key: (id: number) => `user:${id}` })
  async fail(_id: number): Promise<User> {
    throw new Error('no database');
  }

  @CachePut({
    namespace: 'users',
    key: ({ id }: User) => `user:${id}`,
    cacheIf: ({ name }: User) => name !== '',
    ttl: ({ name }: User) => name.length,
  })
  async saveNamed(user: User): Promise<User> {
    return user;
  }

  @CachePut({ namespace: 'users', key: (key: string) => key })
  async saveUnder(_key: string): Promise<User> {
    this.writes++;
    return { id: 0, name: '' };
  }
}

async function start(cache: DistributedCacheOptions = { redis: false }) {
  const module = await nestForTest({ providers: [Users], cache });
  return { users: module.get(Users), cache: module.get(DistributedCache).getCache<User>('users') };
}

describe('@CachePut', () => {
  it('always runs, and the next read returns its result', async () => {
    const { users } = await start();
    await users.find(1);
    expect(await users.save({ id: 1, name: 'Ada' })).toEqual({ id: 1, name: 'Ada' });
    expect(await users.save({ id: 1, name: 'Eve' })).toEqual({ id: 1, name: 'Eve' });
    expect(await users.find(1)).toEqual({ id: 1, name: 'Eve' });
    expect(users).toMatchObject({ reads: 1, writes: 2 });
  });

  it('stores the result where other processes read it', async () => {
    const { url, keyPrefix } = redisForTest();
    const [podA, podB] = [await start({ redis: { url }, keyPrefix }), await start({ redis: { url }, keyPrefix })];
    await podA.users.save({ id: 1, name: 'Ada' });
    expect(await podB.users.find(1)).toEqual({ id: 1, name: 'Ada' });
    expect(podB.users.reads).toBe(0);
  });

  it('leaves the cache as it is when the method throws', async () => {
    const { users } = await start();
    await users.save({ id: 1, name: 'Ada' });
    await expect(users.fail(1)).rejects.toThrow('no database');
    expect(await users.find(1)).toEqual({ id: 1, name: 'Ada' });
  });

  it('takes the TTL from the result, and stores only a result that cacheIf accepts', async () => {
    const { users, cache } = await start();
    await users.saveNamed({ id: 1, name: 'Ada' });
    const lookup = await cache.lookup('user:1');
    expect(lookup.state === 'miss' ? 0 : lookup.ttlMs).toBeGreaterThan(2000);
    expect(lookup.state === 'miss' ? 0 : lookup.ttlMs).toBeLessThanOrEqual(3000);
    expect(await users.saveNamed({ id: 2, name: '' })).toEqual({ id: 2, name: '' });
    expect(await cache.lookup('user:2')).toEqual({ state: 'miss' });
  });

  it('supersedes a read that is under way, so that the older value is not kept', async () => {
    const { users, cache } = await start();
    let finish = (): void => {};
    const loading = cache.getOrSet(
      'user:1',
      () => new Promise<User>((resolve) => (finish = () => resolve({ id: 1, name: 'old' }))),
    );
    await users.save({ id: 1, name: 'new' });
    finish();
    await loading;
    expect(await users.find(1)).toEqual({ id: 1, name: 'new' });
  });

  it('clears its namespace when the key can not be computed: which entry is outdated is unknown', async () => {
    const { users } = await start();
    await users.find(1);
    expect(await users.saveUnder('')).toEqual({ id: 0, name: '' });
    await users.find(1);
    expect(users).toMatchObject({ reads: 2, writes: 1 });
  });

  it('deletes the entry when the new result is not stored: the old one is outdated', async () => {
    const { users, cache } = await start();
    await users.saveNamed({ id: 1, name: 'Ada' });
    expect(await users.saveNamed({ id: 1, name: '' })).toEqual({ id: 1, name: '' });
    expect(await cache.lookup('user:1')).toEqual({ state: 'miss' });
  });

  it('runs alone while Redis cannot be used, or the cache is off', async () => {
    const { users } = await start({ redis: { host: '127.0.0.1', port: await freePort() } });
    expect(await users.save({ id: 1, name: 'Ada' })).toEqual({ id: 1, name: 'Ada' });
    expect(await users.find(1)).toEqual({ id: 1, name: 'Ada' });
    const off = (await start({ enabled: false })).users;
    expect(await off.saveUnder('')).toEqual({ id: 0, name: '' });
  });

  it('with `evict` also evicts other entries, after the method has succeeded', async () => {
    @Injectable()
    class Products {
      @CachePut({
        namespace: 'products',
        key: (id: number) => `product:${id}`,
        condition: (id: number) => id < 9,
        evict: [
          { namespace: 'lists', all: true },
          { namespace: 'prices', key: (id: number) => `price:${id}` },
        ],
      })
      async save(id: number): Promise<string> {
        if (id === 0) {
          throw new Error('no database');
        }
        return 'saved';
      }
    }
    const module = await nestForTest({ providers: [Products] });
    const cacheOf = (namespace: string) => module.get(DistributedCache).getCache<string>(namespace);
    const products = module.get(Products);
    const rest = async (id: number) => {
      await cacheOf('lists').set('all', 'old');
      await cacheOf('prices').set(`price:${id}`, 'old');
      await products.save(id).catch(() => 'failed');
      const found = [cacheOf('products').get(`product:${id}`), cacheOf('lists').get('all')];
      return Promise.all([...found, cacheOf('prices').get(`price:${id}`)]);
    };
    expect(await rest(0)).toEqual([undefined, 'old', 'old']);
    expect(await rest(1)).toEqual(['saved', undefined, undefined]);
    expect(await rest(9)).toEqual([undefined, undefined, undefined]); // the condition is that of the stored entry
  });

  it('with `after` stores when the transaction is committed, and at once without one', async () => {
    const commits: (() => Promise<void>)[] = [];
    @Injectable()
    class Books {
      isInTransaction = true;
      @CachePut({
        namespace: 'books',
        key: (id: number) => `${id}`,
        after: (store) => {
          if (!books.isInTransaction) {
            throw new Error('no transaction');
          }
          commits.push(store);
        },
      })
      async save(_id: number, title: string): Promise<string> {
        return title;
      }
    }
    const module = await nestForTest({ providers: [Books] });
    const books = module.get(Books);
    const cache = module.get(DistributedCache).getCache('books');
    expect([await books.save(1, 'A'), await cache.get('1')]).toEqual(['A', undefined]);
    await commits[0]?.();
    expect(await cache.get('1')).toBe('A');
    books.isInTransaction = false;
    expect([await books.save(1, 'B'), await cache.get('1')]).toEqual(['B', 'B']);
  });
});
