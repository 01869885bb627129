import { Inject, Injectable, Module, mixin, type Provider, Scope } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest, type NestForTestOptions } from '../../../../../test/support/nest-for-test.js';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { AsyncCache, DistributedCache, type DistributedCacheOptions, StartCheckError } from '../../core/index.js';
import { CacheDefaults } from '../decorators/cache-defaults.decorator.js';
import { CacheEvict, type CacheEvictOptions } from '../decorators/cache-evict.decorator.js';
import { CachePut } from '../decorators/cache-put.decorator.js';
import { Cached } from '../decorators/cached.decorator.js';
import type { CachedOptions } from '../decorators/decorator-options.js';
import { InjectCache } from '../cache-tokens.js';
import { DistributedCacheModule } from '../distributed-cache.module.js';

type Options = CachedOptions<unknown[], string>;

/** A class with one cached method. */
function cachedClass(name: string, options: Options = {}): new () => { find(id: number): Promise<string> } {
  @Injectable()
  class Sample {
    @Cached(options)
    async find(_id: number): Promise<string> {
      return name;
    }
  }
  Object.defineProperty(Sample, 'name', { value: name });
  return Sample;
}

/** A class with one method that evicts. */
function evictingClass(options: CacheEvictOptions): new () => object {
  @Injectable()
  class Editor {
    @CacheEvict(options)
    async change(_id: number): Promise<void> {}
  }
  return Editor;
}

/** The lines of the report at the start, without its head. */
async function findingsOf(options: NestForTestOptions): Promise<string[]> {
  const logger = recordLogs(['warn', 'error']);
  await nestForTest({ ...options, logger });
  const reports = logger.messagesOf('DistributedCache').filter((line) => line.startsWith('cache_start_check'));
  expect(reports.length).toBeLessThanOrEqual(1);
  return (reports[0]?.split('\n  - ') ?? []).slice(1);
}

class Secret {
  readonly #secret = 1;
  reveal(): number {
    return this.#secret;
  }
}

class Page {
  page = 1;
}

describe('the check at the start', () => {
  it('says nothing about a sound application', async () => {
    @Injectable()
    class Users {
      @Cached({ namespace: 'users', ttl: 604_800, tags: (id: number) => [`user:${id}`] })
      async find(_id: number, _page: Page, _since: Date, _ids: string[], _raw: Buffer): Promise<string> {
        return 'Ada';
      }
      @Cached({ namespace: 'byKey', key: (id: number) => `user:${id}`, ttl: 2_592_000 })
      async findByKey(_id: number): Promise<string> {
        return 'Ada';
      }
      @CachePut({ namespace: 'byKey', key: (id: number) => `user:${id}` })
      async save(_id: number): Promise<string> {
        return 'Ada';
      }
      @CacheEvict({ namespace: 'byKey', key: (id: number) => `user:${id}` })
      async remove(_id: number): Promise<void> {}
      @CacheEvict({ namespace: 'users', tags: (id: number) => [`user:${id}`] })
      async forget(_id: number): Promise<void> {}
      @CacheEvict({ namespace: 'users', key: (id: number) => `Users.find(${id})` })
      async forgetDefault(_id: number): Promise<void> {}
      @CacheEvict({ namespace: 'configured', all: true })
      async forgetConfigured(): Promise<void> {}
      @CacheEvict({ namespace: 'byHand', key: String })
      async forgetByHand(_id: number): Promise<void> {}
    }
    @Injectable()
    class Admins extends Users {}
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest extends Users {}
    @Injectable()
    class ByHand {
      constructor(@InjectCache('byHand') readonly cache: AsyncCache) {}
    }
    const byHand = DistributedCacheModule.forFeature([{ namespace: 'byHand' }]);
    @Module({ providers: [Users, ByHand], imports: [byHand] })
    class UsersModule {}
    const findings = await findingsOf({
      imports: [UsersModule, byHand],
      providers: [Users, Admins, PerRequest, ByHand, { provide: 'alias', useExisting: Users }],
      cache: { redis: false, namespaces: { configured: { ttl: 5 } } },
    });
    expect(findings).toEqual([]);
  });

  it('finds two classes whose default keys can be the same, and only those', async () => {
    const providers = [
      cachedClass('Orders'),
      cachedClass('Orders'),
      cachedClass('Orders', { namespace: 'other' }),
      cachedClass('Orders', { keyPrefix: 'archive' }),
      cachedClass('Orders', { version: 2 }),
      cachedClass('Orders', { key: () => 'orders' }),
    ];
    expect(await findingsOf({ providers })).toEqual([
      'Two classes have cached methods with the default key `Orders.find(…)` in the namespace "default": only the one that is called first is cached. Rename one class, write `@CacheDefaults({ name })` above it, pass `keyPrefix` or `key` to its decorators, or keep the names of classes in the minifier (keepNames).',
    ]);
  });

  it('finds names of classes that a minifier or mixin() made', async () => {
    const CatsMixin = mixin(cachedClass('Cats'));
    const NamedMixin = mixin(cachedClass('Dogs', { keyPrefix: 'Dogs' }));
    const findings = await findingsOf({ providers: [cachedClass('s'), cachedClass('Db'), CatsMixin, NamedMixin] });
    expect(findings).toEqual([
      expect.stringMatching(/^Default keys contain names of classes that a minifier .*: s\.find\. .*keepNames/),
      expect.stringMatching(
        /^Default keys contain names of classes that mixin\(\) .*: [0-9a-f]{21}\.find\. Write `@CacheDefaults/,
      ),
    ]);
  });

  it('finds a class without a name', async () => {
    const Users = cachedClass('Users');
    const providers = [{ provide: 'users', useFactory: () => new (class extends Users {})() }];
    expect(await findingsOf({ providers })).toEqual([expect.stringMatching(/: \(no name\)\/Users\.find\. /)]);
  });

  it.each<[string, (table: string) => Provider]>([
    ['factories', (table) => ({ provide: table, useFactory: () => Object.assign(new Table(), { table }) })],
    ['values', (table) => ({ provide: table, useValue: Object.assign(new Table(), { table }) })],
  ])('finds several instances of one class that share entries: %s', async (_title, provide) => {
    expect(await findingsOf({ providers: [provide('cats'), provide('dogs')] })).toEqual([
      'There are 2 instances of Table, which share the entries of Table.find: pass `instanceKey: (instance) => …` to say what distinguishes them, or `key` or `varyBy`.',
    ]);
    expect(await findingsOf({ providers: [provide('cats'), { provide: 'again', useExisting: 'cats' }] })).toEqual([]);
  });

  it('finds several instances that Nest constructs where their data differ', async () => {
    @Injectable()
    class Crud {
      constructor(@Inject('table') readonly table: string) {}
      @Cached()
      async find(_id: number): Promise<string> {
        return this.table;
      }
    }
    const moduleOf = (table: string) => {
      @Module({ providers: [Crud, { provide: 'table', useValue: table }] })
      class CrudModule {}
      return CrudModule;
    };
    expect(await findingsOf({ imports: [moduleOf('cats'), moduleOf('dogs')] })).toEqual([
      expect.stringMatching(/^There are 2 instances of Crud/),
    ]);
    expect(await findingsOf({ imports: [moduleOf('cats'), moduleOf('cats')] })).toEqual([]);
  });

  it('finds parameters of which no call can be cached', async () => {
    @Injectable()
    class Users {
      @Cached()
      async find(_id: number, _secret: Secret): Promise<void> {}
      @Cached()
      async filter(_filter: () => boolean): Promise<void> {}
      @Cached({ key: () => 'key' })
      async withKey(_secret: Secret): Promise<void> {}
    }
    expect(await findingsOf({ providers: [Users] })).toEqual([
      "Argument 2 of Users.find can't be part of a cache key: it is an instance of Secret, which has no toJSON(), and it has #private fields or methods, so its calls are not cached. Pass plain data, or `key: (…) => string` to the decorator.",
      expect.stringMatching(/^Argument 1 of Users\.filter can't be part of a cache key: it is a function, /),
    ]);
  });

  it.each<[string, Options, CacheEvictOptions, string]>([
    [
      'a namespace with a wrong name',
      { namespace: 'products' },
      { namespace: 'product', all: true },
      'Editor.change (@CacheEvict) evicts in the namespace "product", which no decorated method fills. Write `namespace: \'products\'`, or name "product" in a forFeature if another application uses it.',
    ],
    [
      'keys of its own for default keys',
      { namespace: 'products' },
      { namespace: 'products', key: (id) => `product:${String(id)}` },
      'Editor.change (@CacheEvict) uses keys of its own, but the entries of "products" have default keys. Pass the same `key` to Products.find, or evict by `tags` or `all`.',
    ],
    [
      'tags that no entry has',
      { namespace: 'products' },
      { namespace: 'products', tags: ['products'] },
      'Editor.change (@CacheEvict) evicts by `tags`, but no decorated method gives tags to entries of "products". Pass `tags` to Products.find, or evict by `key` or `all`.',
    ],
  ])('finds an eviction that reaches no entry: %s', async (_title, cached, evicting, finding) => {
    const providers = [cachedClass('Products', cached), evictingClass(evicting)];
    expect(await findingsOf({ providers })).toEqual([finding]);
    const { namespace = '' } = evicting;
    @Injectable()
    class ByHand {
      constructor(@InjectCache(namespace) readonly cache: AsyncCache) {}
    }
    const imports = [DistributedCacheModule.forFeature([{ namespace }])];
    expect(await findingsOf({ providers: [...providers, ByHand], imports })).toEqual([]);
  });

  it('judges a namespace without a similar one only if the application does not inject the whole cache', async () => {
    @Injectable()
    class Figures {
      constructor(@Inject(DistributedCache) readonly cache: DistributedCache) {}
    }
    const reading = cachedClass('Products', { namespace: 'products', key: String });
    const [similar, other] = ['product', 'archive'].map((namespace) => evictingClass({ namespace, all: true })) as [
      Provider,
      Provider,
    ];
    expect(await findingsOf({ providers: [reading, similar, other] })).toHaveLength(2);
    expect(await findingsOf({ providers: [reading, similar, other, Figures] })).toEqual([
      expect.stringMatching(/the namespace "product", .*Write `namespace: 'products'`/),
    ]);
  });

  it('finds a @CachePut that stores where no method reads, and keys with other parts', async () => {
    @Injectable()
    class Products {
      @Cached({ namespace: 'products', key: String, varyBy: ['tenant', 'locale'] })
      async find(_id: number): Promise<void> {}
      @CachePut({ namespace: 'product', key: String })
      async save(id: number): Promise<number> {
        return id;
      }
      @CachePut({ namespace: 'products', key: String, varyBy: ['locale', 'tenant'] })
      async rename(id: number): Promise<number> {
        return id;
      }
      @CacheEvict({ namespace: 'products', key: String })
      async remove(_id: number): Promise<void> {}
    }
    expect(await findingsOf({ providers: [Products] })).toEqual([
      expect.stringMatching(
        /^Products\.save \(@CachePut\) stores in the namespace "product", .* reads\. Write `namespace: 'products'`/,
      ),
      'Products.remove (@CacheEvict) reaches no entry of Products.find, Products.rename: `varyBy`, `version` and `instanceKey` must be the same, as they are parts of the key.',
    ]);
  });

  it('finds an eviction without a namespace in a class whose entries have one', async () => {
    @Injectable()
    class Products {
      @Cached({ namespace: 'products', key: String })
      async find(_id: number): Promise<void> {}
      @CacheEvict({ key: String })
      async remove(_id: number): Promise<void> {}
    }
    expect(await findingsOf({ providers: [Products] })).toEqual([
      expect.stringMatching(/^Products\.remove .* namespace "default", .*Write `namespace: 'products'`/),
    ]);
  });

  it('finds a TTL in milliseconds', async () => {
    const providers = [300_000, 3_600_000, 86_400_000, 86_400, 129_600, 31_536_000].map((ttl, index) =>
      cachedClass(`Orders${index}`, { ttl }),
    );
    const findings = await findingsOf({ providers });
    expect(findings).toHaveLength(3);
    expect(findings[0]).toBe(
      "Orders0.find (@Cached) has the ttl 300000, which is 3.5 days: a number is seconds. Write '300000ms' for milliseconds, or '300000s' if it is meant.",
    );
  });

  it('finds a second forRoot, and reports once', async () => {
    const findings = await findingsOf({ imports: [DistributedCacheModule.forRoot({ redis: false, ttl: 5 })] });
    expect(findings).toEqual([
      expect.stringMatching(/forRoot\(\) is imported 2 times, .*Import it once, in the root module/),
    ]);
  });

  it('reports all findings in one entry of the log, and stops the start with `strictStart`', async () => {
    const providers = [cachedClass('s', { ttl: 300_000 }), cachedClass('s', { namespace: 'other' })];
    expect(await findingsOf({ providers })).toHaveLength(2);
    const strict = nestForTest({ providers, cache: { redis: false, strictStart: true } });
    await expect(strict).rejects.toThrow(StartCheckError);
    await expect(strict).rejects.toThrow(
      /has findings:\n {2}Default keys contain .*\n {2}s\.find .* has the ttl 300000/,
    );
  });

  it('stops the start for keys with dimensions where encrypted values share a dictionary', async () => {
    const encryption = { keys: { a: Buffer.alloc(32, 1) }, current: 'a' };
    const compression = { dictionary: true };
    const start = (options: Options, namespaces: DistributedCacheOptions['namespaces']) =>
      nestForTest({ providers: [cachedClass('Users', options)], cache: { redis: false, encryption, namespaces } });
    const varying: Options = { namespace: 'users', varyBy: ['tenant', 'locale'] };
    await expect(start(varying, { users: { compression } })).rejects.toThrow(
      /namespaces\.users\.compression\.dictionary: got true, with encryption, and Users\.find varies by tenant,locale/,
    );
    await expect(start(varying, { users: { compression, encryption: false } })).resolves.toBeDefined();
    await expect(start(varying, { users: {}, others: { compression } })).resolves.toBeDefined();
    await expect(start({ namespace: 'users' }, { users: { compression } })).resolves.toBeDefined();
  });

  it('says nothing with the cache switched off', async () => {
    const providers = [cachedClass('s'), cachedClass('s')];
    expect(await findingsOf({ providers, cache: { enabled: false, strictStart: true } })).toEqual([]);
  });
});

class Table {
  readonly table: string = '';
  @Cached()
  async find(_id: number): Promise<string> {
    return this.table;
  }
}

describe('a mistake in the imports', () => {
  it('of a namespace: the error names forFeature', async () => {
    @Injectable()
    class Offers {
      constructor(@InjectCache('amazn') readonly cache: AsyncCache) {}
    }
    await expect(nestForTest({ providers: [Offers] })).rejects.toThrow(
      "DistributedCache:amazn (needs DistributedCacheModule.forFeature([{ namespace: 'amazn' }]))",
    );
  });

  it('of the bare module: the error names forRoot', async () => {
    await expect(nestForTest({ cache: false, imports: [DistributedCacheModule] })).rejects.toThrow(
      /imports: got DistributedCacheModule, allowed: DistributedCacheModule\.forRoot\(\) once, in the root module/,
    );
    await expect(nestForTest({ imports: [DistributedCacheModule] })).rejects.toThrow('or forFeature for namespaces');
  });

  it('is none with forRoot and forRootAsync', async () => {
    const module = await nestForTest({
      cache: false,
      imports: [DistributedCacheModule.forRootAsync({ useFactory: () => ({ redis: false as const }) })],
    });
    expect(module.get(DistributedCache).config.redis.kind).toBe('none');
  });

  it('checks each of several evictions, and the `evict` of a @CachePut', async () => {
    @Injectable()
    class Shop {
      @Cached({ namespace: 'products', key: (id: number) => `${id}` })
      async find(id: number): Promise<number> {
        return id;
      }
      @CacheEvict([
        { namespace: 'products', key: (id: number) => `${id}` },
        { namespace: 'product', all: true },
      ])
      async remove(_id: number): Promise<void> {}
      @CachePut({ namespace: 'products', key: (id: number) => `${id}`, evict: { namespace: 'productz', all: true } })
      async save(id: number): Promise<number> {
        return id;
      }
    }
    expect(await findingsOf({ providers: [Shop] })).toEqual([
      expect.stringMatching(/^Shop\.remove \(@CacheEvict\[1\]\) evicts in the namespace "product".*'products'/),
      expect.stringMatching(/^Shop\.save \(@CachePut evict\) evicts in the namespace "productz".*'products'/),
    ]);
  });

  it('knows the defaults of a class, and finds those that have no effect', async () => {
    @CacheDefaults({ namespace: 'orders', keyPrefix: 'o', ttl: 300_000 })
    @Injectable()
    class Orders {
      @Cached()
      async find(id: number): Promise<number> {
        return id;
      }
      @CacheEvict({ all: true })
      async remove(_id: number): Promise<void> {}
    }
    @CacheDefaults({ namespace: 'archive', name: 'Archive' })
    @Injectable()
    class Archive extends Orders {}
    @CacheDefaults({ name: 'Shelf' })
    @Injectable()
    class s extends Orders {}
    expect(await findingsOf({ providers: [Orders, Archive, s] })).toEqual([
      expect.stringMatching(/^@CacheDefaults of Archive has no effect/),
      expect.stringMatching(/^Orders\.find \(@Cached\) has the ttl 300000/),
    ]);
  });
});
