import { Injectable } from '@nestjs/common';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { DistributedCache, ConfigurationError, type DistributedCacheOptions } from '../../core/index.js';
import { CacheEvict, type CacheEvictOptions } from './cache-evict.decorator.js';

/** A transaction as ORMs have it: what is registered runs after the commit, and never after a rollback. */
class Transaction {
  static current: Transaction | undefined;
  private readonly hooks: (() => Promise<void>)[] = [];

  static onCommit(hook: () => Promise<void>): void {
    if (Transaction.current === undefined) {
      throw new Error('no transaction');
    }
    Transaction.current.hooks.push(hook);
  }

  async commit(): Promise<void> {
    Transaction.current = undefined;
    await Promise.all(this.hooks.map((hook) => hook()));
  }

  rollBack(): void {
    Transaction.current = undefined;
  }
}

@Injectable()
class Users {
  @CacheEvict({ namespace: 'users', key: (id: number) => `${id}`, after: (evict) => Transaction.onCommit(evict) })
  async rename(_id: number, name: string): Promise<string> {
    return name;
  }

  @CacheEvict({ namespace: 'users', key: (id: number) => `${id}`, holdOff: '1m' })
  async renameAtMaster(_id: number): Promise<void> {}
}

const TIERS: [string, () => DistributedCacheOptions][] = [
  ['L1 alone', () => ({ redis: false })],
  ['Redis', () => ({ redis: { url: redisForTest().url }, keyPrefix: redisForTest().keyPrefix })],
];

describe.each(TIERS)('@CacheEvict (%s)', (_tiers, options) => {
  async function start() {
    const module = await nestForTest({ providers: [Users], cache: options() });
    const cache = module.get(DistributedCache).getCache<string>('users');
    await cache.set('1', 'Ada');
    return { users: module.get(Users), cache };
  }

  it('with `after` evicts when the transaction is committed: the old row, read meanwhile, is not kept', async () => {
    const { users, cache } = await start();
    const transaction = (Transaction.current = new Transaction());
    expect(await users.rename(1, 'Grace')).toBe('Grace');
    await cache.delete('1');
    expect(await cache.getOrSet('1', async () => 'the old row')).toBe('the old row');
    await transaction.commit();
    expect(await cache.get('1')).toBeUndefined();
  });

  it('with `after` evicts nothing when the transaction is rolled back, and at once without a transaction', async () => {
    const { users, cache } = await start();
    const transaction = (Transaction.current = new Transaction());
    await users.rename(1, 'Grace');
    transaction.rollBack();
    expect(await cache.get('1')).toBe('Ada');
    expect(await users.rename(1, 'Grace')).toBe('Grace');
    expect(await cache.get('1')).toBeUndefined();
  });

  it('with `holdOff` keeps no load of the key for that time', async () => {
    const { users, cache } = await start();
    await users.renameAtMaster(1);
    expect(await cache.getOrSet('1', async () => 'a lagging replica')).toBe('a lagging replica');
    expect(await cache.get('1')).toBeUndefined();
    await cache.deleteMany(['2'], { holdOff: '1m' });
    await cache.getOrSet('2', async () => 'a lagging replica');
    expect(await cache.get('2')).toBeUndefined();
  });
});

it('@CacheEvict refuses a wrong holdOff when the class is loaded', () => {
  const options = { key: () => 'key', holdOff: 'soon' } as unknown as CacheEvictOptions;
  const load = () => {
    class Orders {
      @CacheEvict(options)
      async rename(): Promise<void> {}
    }
    return Orders;
  };
  expect(load).toThrow(ConfigurationError);
  expectTypeOf<{ all: true; holdOff: '1s' }>().not.toExtend<CacheEvictOptions>();
  expectTypeOf<{ key: () => string; holdOff: '1s' }>().toExtend<CacheEvictOptions>();
});
