import { Injectable } from '@nestjs/common';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { sharedRedis } from '../../../../../test/support/redis-for-test.js';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { CacheContext, CacheKeyError, DistributedCache, type PreparedKey } from '../../core/index.js';
import { CacheDefaults } from './cache-defaults.decorator.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';
import { keyOf } from './key-of.js';

@CacheDefaults({ namespace: 'users', name: 'U' })
@Injectable()
class Users {
  @Cached()
  async find(_id: number, _options?: { page: string }): Promise<number> {
    return 1;
  }

  @Cached({ keyPrefix: 'crm', version: 2 })
  async prefixed(_id: string): Promise<number> {
    return 1;
  }

  @Cached({ key: (id: number) => `user:${id}` })
  async byKey(_id: number): Promise<number> {
    return 1;
  }

  @CachedMany({ key: (id: number, locale: string) => `many:${id}:${locale}` })
  async many(ids: readonly number[], _locale: string): Promise<number[]> {
    return ids.map(() => 1);
  }

  @CachePut({ key: (user: { id: number }) => `put:${user.id}`, version: 3 })
  async save(_user: { id: number }): Promise<number> {
    return 1;
  }

  @CachePut({ resultKey: (id: number) => `${id}` })
  async create(): Promise<number> {
    return 1;
  }

  @CacheEvict({ key: (id: number) => `user:${id}` })
  async remove(_id: number): Promise<void> {}

  @Cached({ varyBy: ['tenant'] })
  async menu(_page: string): Promise<number> {
    return 1;
  }

  name(): string {
    return 'none';
  }
}

@Injectable()
class Admins extends Users {}

@Injectable()
class Crud {
  table = 'cats';

  @Cached({ namespace: 'users', instanceKey: (crud: Crud) => crud.table })
  async row(_id: number): Promise<number> {
    return 1;
  }
}

describe('keyOf', () => {
  it('is the key of a decorated method: a deletion makes the next call a miss, in every tier', async () => {
    const module = await nestForTest({ providers: [Users, Admins, Crud], cache: sharedRedis() });
    const distributed = module.get(DistributedCache);
    const cache = distributed.getCache('users');
    const [users, admins, crud] = [module.get(Users), module.get(Admins), module.get(Crud)];
    const calls: [() => Promise<unknown>, () => PreparedKey][] = [
      [() => users.find(1), () => keyOf(Users, 'find', 1)],
      [() => users.find(1, { page: '%{}' }), () => keyOf(users, 'find', 1, { page: '%{}' })],
      [() => users.prefixed("a'b"), () => keyOf(Users, 'prefixed', "a'b")],
      [() => users.byKey(1), () => keyOf(Users, 'byKey', 1)],
      [() => users.many([7], 'de'), () => keyOf(Users, 'many', [7], 'de')],
      [() => users.save({ id: 1 }), () => keyOf(Users, 'save', { id: 1 })],
      [() => users.menu('home'), () => keyOf(users, 'menu', 'home')],
      [() => admins.find(1), () => keyOf(Admins, 'find', 1)],
      [() => crud.row(1), () => keyOf(crud, 'row', 1)],
    ];
    await CacheContext.run({ tenant: 'acme' }, async () => {
      await Promise.all(calls.map(([call]) => call()));
      for (const [, key] of calls) {
        expect([await cache.has(key()), await cache.delete(key()), await cache.has(key())]).toEqual([
          true,
          true,
          false,
        ]);
      }
    });
  });

  it('is the key of an eviction, and of a @CachePut: those of default keys, too', async () => {
    @Injectable()
    class Editor {
      @CacheEvict({ namespace: 'users', key: (id: number) => keyOf(Users, 'find', id), version: 9 })
      async remove(_id: number): Promise<void> {}
      @CacheEvict({ namespace: 'users', keys: (ids: number[]) => ids.map((id) => keyOf(Users, 'find', id)) })
      async removeMany(_ids: number[]): Promise<void> {}
      @CachePut({ namespace: 'users', key: (id: number) => keyOf(Users, 'find', id) })
      async save(_id: number): Promise<number> {
        return 5;
      }
    }
    const logger = recordLogs(['warn']);
    const module = await nestForTest({ providers: [Users, Editor], logger });
    const [users, editor] = [module.get(Users), module.get(Editor)];
    const cache = module.get(DistributedCache).getCache('users');
    expect([await editor.save(1), await users.find(1), await users.find(2)]).toEqual([5, 5, 1]);
    await editor.remove(1);
    expect([await cache.has(keyOf(Users, 'find', 1)), await cache.has(keyOf(Users, 'find', 2))]).toEqual([false, true]);
    await editor.removeMany([2]);
    expect(await cache.has(keyOf(Users, 'find', 2))).toBe(false);
    expect(logger.messagesOf('DistributedCache').filter((line) => /Editor|U\.find/.test(line))).toEqual([]); // at the start
  });

  it('is readable, for tests and logs', () => {
    expect(String(keyOf(Users, 'find', 42))).toBe('U.find(42)');
    expect(String(keyOf(Admins, 'find', 42))).toBe('Admins/U.find(42)');
    expect(String(keyOf(Users, 'prefixed', 'a'))).toBe("crm.prefixed('a')%v2");
    expect(String(keyOf(new Crud(), 'row', 1))).toBe("Crud.row(1)%i'cats'");
  });

  it('is typed by the method', () => {
    expectTypeOf(keyOf(Users, 'find', 42)).toEqualTypeOf<PreparedKey>();
    // @ts-expect-error -- it takes a number
    expect(() => keyOf(Users, 'find', '42')).not.toThrow();
    // @ts-expect-error -- it takes an argument
    expect(() => keyOf(new Users(), 'find')).not.toThrow();
    // @ts-expect-error -- it is not asynchronous
    expect(() => keyOf(Users, 'name')).toThrow(CacheKeyError);
  });

  it.each<[string, () => unknown, string]>([
    ['no decorator', () => keyOf(Users, 'fnd' as 'find', 1), 'Users.fnd has no @Cached, @CachedMany or @CachePut'],
    ['a wrong name', () => keyOf(Users, 'fnd' as 'find', 1), 'did you mean "find"?'],
    ['an eviction', () => keyOf(Users, 'remove', 1), 'Users.remove has no @Cached'],
    ['a `resultKey`', () => keyOf(Users, 'create'), 'Users.create has no @Cached'],
    ['several items', () => keyOf(Users, 'many', [1, 2], 'de'), 'Users.many (@CachedMany) has a key for each item'],
    ['`varyBy` without an instance', () => keyOf(Users, 'menu', 'home'), 'needs more than its class (varyBy)'],
    ['`varyBy` without Nest', () => keyOf(new Users(), 'menu', 'home'), 'depends on the request (varyBy: tenant)'],
    [
      '`instanceKey` without an instance',
      () => keyOf(Crud, 'row', 1),
      'Crud.row needs more than its class (instanceKey)',
    ],
  ])('throws an error that says what is wrong: %s', (_title, key, message) => {
    expect(key).toThrow(CacheKeyError);
    expect(key).toThrow(message);
  });
});
