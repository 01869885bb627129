import { describe, expect, expectTypeOf, it } from 'vitest';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached, CachedKeywords } from './cached.decorator.js';
import type { CachedOptions } from './decorator-options.js';

/*
 * These promises are kept by the compiler: `npm run typecheck` fails where an expected error does not come. At run time
 * there is only the class to look at.
 */
interface User {
  id: number;
  name: string;
}

const expectLoaded = (type: object) => expect(type).toBeTypeOf('function');

describe('the types of the cache decorators', () => {
  it('refuse a method that returns no promise', () => {
    class Users {
      // @ts-expect-error -- a synchronous method would suddenly return a promise
      @Cached()
      sync(): string {
        return '';
      }
      // @ts-expect-error -- the same with a key
      @CachedKeywords({ key: (id: number) => `${id}` })
      syncWithKey(id: number): string {
        return `${id}`;
      }
      // @ts-expect-error -- some callers would get a promise where they had none
      @CacheEvict({ all: true })
      either(): Promise<string> | string {
        return '';
      }
      @Cached()
      async fine(): Promise<string> {
        return '';
      }
    }
    expectLoaded(Users);
  });

  it('refuse a property that is not a method', () => {
    // What else happens is thrown where the class is loaded, so this class never is.
    const load = () => {
      // @ts-expect-error -- a class has methods, it is none
      @Cached()
      class Users {
        // @ts-expect-error -- a property has no descriptor to replace
        @Cached()
        name = 'Ada';
      }
      return Users;
    };
    expectLoaded(load);
  });

  it('accept the parameters of the method, all or the first ones, or wider types', () => {
    class Users {
      @Cached({ key: (id: number, name: string) => `${id}:${name}` })
      async all(_id: number, _name: string): Promise<void> {}
      @Cached({ key: (id: number) => `${id}` })
      async first(_id: number, _name: string): Promise<void> {}
      @Cached({ key: () => 'one' })
      async none(_id: number): Promise<void> {}
      @Cached({ key: (id: number | string) => `${id}` })
      async wider(_id: number): Promise<void> {}
      @Cached({ key: ({ id }: Pick<User, 'id'>) => `${id}` })
      async part(_user: User): Promise<void> {}
      @Cached({ key: (id: number, page?: number) => `${id}:${page ?? 1}` })
      async optional(_id: number, _page?: number): Promise<void> {}
      @Cached({ key: (...ids: number[]) => ids.join() })
      async rest(..._ids: number[]): Promise<void> {}
      @CachePut({ key: ({ id }: User) => `${id}` })
      async put(user: User): Promise<User> {
        return user;
      }
      @CacheEvict({ keys: (ids: readonly number[]) => ids.map(String) })
      async evict(_ids: readonly number[]): Promise<void> {}
    }
    expectLoaded(Users);
  });

  it('refuse a key of other parameters than those of the method', () => {
    class Users {
      // @ts-expect-error -- the method takes a number
      @Cached({ key: (id: string) => id })
      async wrongType(_id: number): Promise<void> {}
      // @ts-expect-error -- the method has one parameter
      @Cached({ key: (id: number, name: string) => `${id}:${name}` })
      async tooMany(_id: number): Promise<void> {}
      // @ts-expect-error -- the method may be called without it
      @Cached({ key: (id: number) => id.toFixed() })
      async optional(_id?: number): Promise<void> {}
      // @ts-expect-error -- the method takes a user
      @CachePut({ key: (id: number) => `${id}` })
      async put(user: User): Promise<User> {
        return user;
      }
      // @ts-expect-error -- the method takes a number
      @CacheEvict({ key: (id: string) => id })
      async evict(_id: number): Promise<void> {}
    }
    expectLoaded(Users);
  });

  it('refuse a key that is not a string, and more than one choice of what to evict', () => {
    const refused = [
      // @ts-expect-error -- a number is no key
      () => Cached({ key: (id: number) => id }),
      // @ts-expect-error -- a key is asked for
      () => CachePut({}),
      // @ts-expect-error -- one of key, keys and all
      () => CacheEvict({ key: () => 'one', all: true }),
      // @ts-expect-error -- what should it evict?
      () => CacheEvict({}),
      // @ts-expect-error -- the namespace is in the name
      () => CachedKeywords({ namespace: 'other' }),
      // @ts-expect-error -- no such unit
      () => Cached({ ttl: '5 minutes' }),
      // @ts-expect-error -- the key comes from the arguments or from the result
      () => CachePut({ key: () => 'one', resultKey: () => 'one' }),
      // @ts-expect-error -- a promise always counts as yes
      () => Cached({ cacheIf: async () => true }),
    ];
    expect(refused).toHaveLength(8);
  });

  it('infer a parameter without annotation as unknown', () => {
    Cached({
      key: (id) => {
        expectTypeOf(id).toBeUnknown();
        return String(id);
      },
    });
    class Users {
      @Cached({ key: (id) => `user:${String(id)}` })
      async find(_id: number): Promise<void> {}
    }
    expectLoaded(Users);
  });

  it('check `ttl` and `cacheIf` against the result', () => {
    class Users {
      @Cached({ ttl: (user: User) => user.id, cacheIf: (user: User) => user.name !== '' })
      async fine(): Promise<User> {
        return { id: 1, name: '' };
      }
      @Cached({ ttl: ({ id }: { id: number }) => id, cacheIf: (user: unknown) => user !== null })
      async wider(): Promise<User> {
        return { id: 1, name: '' };
      }
      @Cached({ key: (id: number) => `${id}`, ttl: (user: User | null) => user?.id ?? 1 })
      async both(_id: number): Promise<User | null> {
        return null;
      }
      // @ts-expect-error -- the method returns a user, no list
      @Cached({ ttl: (users: User[]) => users.length })
      async wrong(): Promise<User> {
        return { id: 1, name: '' };
      }
      // @ts-expect-error -- the method may return null
      @Cached({ cacheIf: (user: User) => user.name !== '' })
      async nullable(): Promise<User | null> {
        return null;
      }
      // @ts-expect-error -- the method returns a user
      @CachePut({ key: () => 'one', cacheIf: (count: number) => count > 0 })
      async put(): Promise<User> {
        return { id: 1, name: '' };
      }
    }
    expectLoaded(Users);
  });

  it('check `resultKey` against the result and the parameters, and refuse @CachePut without a result', () => {
    class Users {
      readonly table = 'users';
      @CachePut({ resultKey: ({ id }: User) => `${id}` })
      async create(name: string): Promise<User> {
        return { id: 1, name };
      }
      @CacheEvict({ resultKey: ({ id }: User, name: string) => `${id}:${name}` })
      async remove(name: string): Promise<User> {
        return { id: 1, name };
      }
      @Cached({ instanceKey: (users: Users) => users.table })
      async find(): Promise<void> {}
      // @ts-expect-error -- the method returns a user
      @CachePut({ resultKey: (id: number) => `${id}` })
      async wrongResult(): Promise<User> {
        return { id: 1, name: '' };
      }
      // @ts-expect-error -- there is nothing to store
      @CachePut({ key: () => 'one' })
      async nothing(): Promise<void> {}
    }
    expectLoaded(Users);
  });

  it('do not change the type of the method', () => {
    class Users {
      @Cached({ key: (id: number) => `${id}` })
      async find(id: number): Promise<User> {
        return { id, name: '' };
      }
    }
    expectTypeOf<Users['find']>().toEqualTypeOf<(id: number) => Promise<User>>();
    expectLoaded(Users);
  });

  it('type a `condition` by the arguments, and refuse an async one', () => {
    class Users {
      @Cached({ condition: (id: number) => id > 0 })
      async fine(_id: number, _name: string): Promise<void> {}
      // @ts-expect-error -- the method takes a number
      @Cached({ condition: (id: string) => id !== '' })
      async other(_id: number): Promise<void> {}
      @CacheEvict({ all: true, condition: (user: User) => user.id > 0 })
      async evict(_user: User): Promise<void> {}
    }
    expectLoaded(Users);
    expectTypeOf<Awaited<ReturnType<NonNullable<CachedOptions<[id: number]>['condition']>>>>().toEqualTypeOf<boolean>();
    // @ts-expect-error -- the call would have to wait for it
    const options: CachedOptions<[id: number]> = { condition: async (id) => id > 0 };
    expect(options).toBeDefined();
  });

  it('type each of several evictions by the arguments and the result', () => {
    class Users {
      @CacheEvict([
        { namespace: 'users', key: (user: User) => `user:${user.id}` },
        { namespace: 'lists', all: true },
        { namespace: 'names', resultKey: (name: string, user: User) => `${user.id}:${name}` },
      ])
      async rename(user: User, _force: boolean): Promise<string> {
        return user.name;
      }
      // @ts-expect-error -- the method takes a user
      @CacheEvict([{ all: true }, { key: (id: number) => `user:${id}` }])
      async other(_user: User): Promise<void> {}
      @CachePut({
        key: (user: User) => `user:${user.id}`,
        evict: [
          { namespace: 'lists', all: true },
          { namespace: 'names', key: (user: User) => user.name },
        ],
      })
      async save(user: User): Promise<User> {
        return user;
      }
    }
    expectLoaded(Users);
  });
});
