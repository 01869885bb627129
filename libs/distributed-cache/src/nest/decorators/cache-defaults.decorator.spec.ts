import { Injectable, mixin } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { CacheContext, ConfigurationError, DistributedCache } from '../../core/index.js';
import { CacheDefaults, type CacheDefaultsOptions } from './cache-defaults.decorator.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached, CachedTrends } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

@CacheDefaults({ namespace: 'users', ttl: '5m', version: 2 })
@Injectable()
class Users {
  runs = 0;

  @Cached()
  async find(_id: number): Promise<number> {
    return ++this.runs;
  }

  @Cached({ namespace: 'lists', ttl: '1h', version: undefined })
  async list(): Promise<number> {
    return ++this.runs;
  }

  @CachedTrends({ ttl: '1m' })
  async trend(): Promise<number> {
    return ++this.runs;
  }

  @CachedMany({ key: (id: number) => `user:${id}` })
  async many(ids: number[]): Promise<number[]> {
    return ids.map(() => ++this.runs);
  }

  @CachePut({ key: (id: number) => `user:${id}` })
  async save(_id: number): Promise<number> {
    return ++this.runs;
  }

  @CacheEvict({ key: (id: number) => `user:${id}` })
  async remove(_id: number): Promise<void> {}
}

@CacheDefaults({ hardTimeout: '1s' })
@Injectable()
class Limited {
  @Cached({ softTimeout: '5s' })
  async find(): Promise<string> {
    return 'found';
  }
}

/** The entries that calls have stored: key in Redis' form, and TTL in seconds. */
async function stored(providers: (new () => object)[], call: (get: <T>(type: new () => T) => T) => Promise<unknown>) {
  const module = await nestForTest({ providers });
  const entries: string[] = [];
  module.get(DistributedCache).events.on('set', ({ namespace, key, ttlMs }) => {
    entries.push(`${namespace}:${key} ${Math.ceil(ttlMs / 30_000) * 30}`);
  });
  await call((type) => module.get(type));
  return entries;
}

function classWith(defaults: unknown): () => object {
  return () => {
    @CacheDefaults(defaults as CacheDefaultsOptions)
    class Wrong {}
    return Wrong;
  };
}

describe('@CacheDefaults', () => {
  it('do not fail a call whose softTimeout is longer than the hardTimeout of its class', async () => {
    const module = await nestForTest({ providers: [Limited] });
    expect(await module.get(Limited).find()).toBe('found');
  });

  it('sets options of the decorated methods of its class; an option of a method wins', async () => {
    const entries = await stored([Users], async (get) => {
      await get(Users).find(1);
      await get(Users).list();
      await get(Users).trend();
      await get(Users).many([1]);
      await get(Users).save(2);
    });
    expect(entries).toEqual([
      'users:Users.find(1)%v2 300',
      'lists:Users.list()%v2 3600',
      'trends:Users.trend()%v2 60',
      'users:user:1%v2 300',
      'users:user:2%v2 300',
    ]);
  });

  it('makes @CacheEvict and @CachePut reach the entries of the class', async () => {
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect([await users.many([1]), await users.many([1])]).toEqual([[1], [1]]);
    await users.remove(1);
    expect([await users.many([1]), await users.save(1), await users.many([1])]).toEqual([[2], 3, [3]]);
  });

  it('is inherited by subclasses, whose own defaults win, apart from names', async () => {
    @CacheDefaults({ namespace: 'base', ttl: '10m', name: 'Base', keyPrefix: 'b' })
    abstract class Repository {
      @Cached()
      async inherited(): Promise<number> {
        return 1;
      }
    }
    @CacheDefaults({ ttl: '2m', name: 'A' })
    @Injectable()
    class Authors extends Repository {
      @Cached()
      async own(): Promise<number> {
        return 1;
      }
    }
    @Injectable()
    class Books extends Repository {
      @Cached()
      async own(): Promise<number> {
        return 1;
      }
    }
    const entries = await stored([Authors, Books], async (get) => {
      await get(Authors).inherited();
      await get(Authors).own();
      await get(Books).inherited();
      await get(Books).own();
    });
    expect(entries).toEqual([
      'base:A/b.inherited() 600',
      'base:A.own() 120',
      'base:Books/b.inherited() 600',
      'base:Books.own() 600',
    ]);
  });

  it('gives the classes of mixin() and of a minifier a name that stays the same', async () => {
    const crudOf = (entity: string) => {
      @CacheDefaults({ name: `Crud<${entity}>` })
      class Crud {
        @Cached()
        async find(_id: number): Promise<string> {
          return entity;
        }
      }
      return mixin(Crud);
    };
    const CatCrud = crudOf('Cat');
    @CacheDefaults({ name: 'Cats' })
    @Injectable()
    class s extends CatCrud {}
    const entries = await stored([CatCrud, s], async (get) => {
      await get(CatCrud).find(1);
      await get(s).find(1);
    });
    expect(entries).toEqual(['default:Crud<Cat>.find(1) 3600', 'default:Cats/Crud<Cat>.find(1) 3600']);
  });

  it('applies `varyBy` and `instanceKey`, also to the call with one argument that memory answers', async () => {
    @CacheDefaults({ varyBy: ['tenant'], instanceKey: () => 'eu' })
    @Injectable()
    class Menus {
      runs = 0;
      @Cached()
      async menu(_page: string): Promise<number> {
        return ++this.runs;
      }
    }
    const menus = (await nestForTest({ providers: [Menus] })).get(Menus);
    const of = (tenant: string) => CacheContext.run({ tenant }, () => menus.menu('home'));
    expect([await of('a'), await of('b'), await of('a'), await of('b')]).toEqual([1, 2, 1, 2]);
  });

  it.each<[unknown, string]>([
    [{ namspace: 'users' }, 'Wrong @CacheDefaults namspace: got an unknown option'],
    [{ namspace: 'users' }, 'did you mean "namespace"?'],
    [{ key: String }, 'key: got an unknown option'],
    [{ ttl: '5 minutes' }, 'Wrong @CacheDefaults ttl: got "5 minutes"'],
    [{ name: '' }, 'name: got "", allowed: a text that is not empty'],
    ['users', 'Wrong @CacheDefaults: got "users", allowed: an object'],
  ])('is refused when the class is loaded: %j', (defaults, message) => {
    expect(classWith(defaults)).toThrow(ConfigurationError);
    expect(classWith(defaults)).toThrow(message);
  });
});
