import { Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, expectTypeOf, it, onTestFinished, vi } from 'vitest';
import { nestForTest } from '../../../../test/support/nest-for-test.js';
import { RecordingLogger } from '../../../../test/support/recording-logger.js';
import { redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import type { ClassToDeclare } from '../config/index.js';
import {
  AsyncCache,
  CachedClass,
  ConfigurationError,
  DistributedCache,
  type DistributedCacheOptions,
} from '../core/index.js';
import { CACHE_MANAGER } from './cache-manager/index.js';
import { CacheMetricsInterceptor } from './interceptors.js';
import { getCacheToken, InjectCache } from './cache-tokens.js';
import type { CacheFeature, DistributedCacheOptionsFactory, FeatureNamespace } from './distributed-cache.module.js';
import { DistributedCacheModule } from './distributed-cache.module.js';

const HOUR_MS = 3_600_000;

/** Options as an application's own configuration service would hold them. */
@Injectable()
class Settings implements DistributedCacheOptionsFactory {
  readonly ttl = '7m';
  createDistributedCacheOptions(): DistributedCacheOptions {
    return { redis: false, ttl: this.ttl };
  }
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

@Injectable()
class Consumer {
  constructor(
    @Inject(DistributedCache) readonly all: DistributedCache,
    @InjectCache('trends') readonly trends: AsyncCache,
  ) {}
}

@Module({ providers: [Consumer] })
class ConsumerModule {}

function setEnvironment(variables: Readonly<Record<string, string>>): void {
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  for (const [name, value] of Object.entries(variables)) {
    vi.stubEnv(name, value);
  }
}

async function startFailure(imports: Parameters<typeof Test.createTestingModule>[0]['imports']): Promise<unknown> {
  const builder = Test.createTestingModule({ imports }).setLogger(new RecordingLogger([]));
  return builder.compile().then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('DistributedCacheModule.forRoot', () => {
  it('without options follows the environment', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    setEnvironment({ REDIS_URL: url, CACHE_KEY_PREFIX: keyPrefix, CACHE_TTL_TRENDS: '7200' });
    const module = await nestForTest({ cache: false, imports: [DistributedCacheModule.forRoot()] });
    const trends = module.get<AsyncCache>(getCacheToken('trends'));
    expect(await trends.set('key', 'value')).toBe(true);
    expect(await admin.exists(`${keyPrefix}:trends:key`)).toBe(1);
    expect(trends.policy.ttlMs).toBe(2 * HOUR_MS);
  });

  it('with options prefers them to the environment', async () => {
    setEnvironment({ REDIS_URL: 'redis://127.0.0.1:1', CACHE_TTL_DEFAULT: '10' });
    const module = await nestForTest({ cache: { redis: false, ttl: '5m' } });
    const { config } = module.get(DistributedCache);
    expect([config.redis.kind, config.ttlMs]).toEqual(['none', 300_000]);
  });

  it('provides the caches, the metrics interceptor and the cache-manager in every module', async () => {
    const module = await nestForTest({ imports: [ConsumerModule] });
    const { all, trends } = module.get(Consumer);
    expect(trends).toBeInstanceOf(AsyncCache);
    expect(trends).toBe(all.getCache('trends'));
    for (const namespace of ['default', 'keywords', 'metrics', 'trends']) {
      expect(module.get<AsyncCache>(getCacheToken(namespace)).namespace).toBe(namespace);
    }
    expect(module.get(CacheMetricsInterceptor)).toBeInstanceOf(CacheMetricsInterceptor);
    expect(module.get(CACHE_MANAGER)).toHaveProperty('wrap');
  });

  it('gives them only to the modules that import it with `isGlobal: false`', async () => {
    @Module({
      imports: [DistributedCacheModule.forRoot({ redis: false, isGlobal: false })],
      exports: [DistributedCacheModule],
    })
    class CachingModule {}
    @Module({ imports: [CachingModule], providers: [Consumer] })
    class ImportingModule {}
    const module = await nestForTest({ cache: false, imports: [ImportingModule] });
    expect(module.get(Consumer).trends.namespace).toBe('trends');
    const failure = await startFailure([CachingModule, ConsumerModule]);
    expect(failure).toBeInstanceOf(Error);
    expect((failure as Error).message).toMatch(/can't resolve dependencies of the Consumer/);
  });

  it('stops the start for mistakes in options and environment, all of them at once, without a password', async () => {
    setEnvironment({ CACHE_FALLBACK_TTL: 'soon' });
    const options = {
      ttl: '5 minutes',
      keyPrefix: 'a:b',
      redis: { url: 'http://user:secret@127.0.0.1' },
      compresion: false,
    } as unknown as DistributedCacheOptions;
    const failure = await startFailure([DistributedCacheModule.forRoot(options)]);
    expect(failure).toBeInstanceOf(ConfigurationError);
    const { problems, message } = failure as ConfigurationError;
    expect(problems.map(({ name }) => name).toSorted()).toEqual([
      'CACHE_FALLBACK_TTL',
      'compresion',
      'keyPrefix',
      'redis.url',
      'ttl',
    ]);
    expect(message).not.toContain('secret');
  });

  it('starts with `enabled: false`, and opens nothing', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const redis = { url, connectionName: keyPrefix };
    const module = await nestForTest({ cache: { enabled: false, redis }, imports: [ConsumerModule] });
    await module.get(Consumer).trends.set('key', 'value');
    expect(await admin.client('LIST')).not.toContain(`name=${keyPrefix}`);
    expect(await module.get(Consumer).trends.get('key')).toBeUndefined();
  });
});

describe('DistributedCacheModule.forRootAsync', () => {
  const ttlOf = (module: Awaited<ReturnType<typeof nestForTest>>) => module.get(DistributedCache).config.ttlMs;

  it('accepts options from a factory with injected providers, also as a promise', async () => {
    for (const wrap of [(value: DistributedCacheOptions) => value, async (value: DistributedCacheOptions) => value]) {
      const module = await nestForTest({
        cache: false,
        imports: [
          DistributedCacheModule.forRootAsync({
            imports: [SettingsModule],
            inject: [Settings],
            useFactory: (settings: Settings) => wrap({ redis: false, ttl: settings.ttl }),
          }),
          ConsumerModule,
        ],
      });
      expect(ttlOf(module)).toBe(420_000);
      expect(module.get(Consumer).trends.policy.ttlMs).toBe(6 * HOUR_MS);
    }
  });

  it('accepts options from a class, its own or an existing one', async () => {
    const own = DistributedCacheModule.forRootAsync({ useClass: Settings });
    expect(ttlOf(await nestForTest({ cache: false, imports: [own] }))).toBe(420_000);
    const existing = DistributedCacheModule.forRootAsync({ imports: [SettingsModule], useExisting: Settings });
    expect(ttlOf(await nestForTest({ cache: false, imports: [existing] }))).toBe(420_000);
  });

  it('is global too, unless `isGlobal: false`', async () => {
    const useFactory = (): DistributedCacheOptions => ({ redis: false });
    const failure = await startFailure([
      DistributedCacheModule.forRootAsync({ useFactory, isGlobal: false }),
      ConsumerModule,
    ]);
    expect((failure as Error).message).toMatch(/can't resolve dependencies of the Consumer/);
    expect(await startFailure([DistributedCacheModule.forRootAsync({ useFactory }), ConsumerModule])).toBeUndefined();
  });

  it('stops the start for mistakes in the options of the factory', async () => {
    const failure = await startFailure([
      DistributedCacheModule.forRootAsync({ useFactory: () => ({ redis: false, ttl: -1, deadlineMs: 0 }) }),
    ]);
    expect(failure).toBeInstanceOf(ConfigurationError);
    expect((failure as ConfigurationError).problems.map(({ name }) => name)).toEqual(['ttl', 'deadlineMs']);
  });
});

describe('the options of the module', () => {
  it.each([
    [null, 'forRoot: got null, allowed: an object with options'],
    ['redis://localhost', 'forRoot: got a string, allowed: an object with options'],
  ])('are refused where they are %j', (options, message) => {
    expect(() => DistributedCacheModule.forRoot(options as DistributedCacheOptions)).toThrow(message);
  });

  it('of forRootAsync name a factory, which returns an object', async () => {
    expect(() => DistributedCacheModule.forRootAsync({})).toThrow(
      'forRootAsync: got no useFactory, useClass, useExisting, allowed: one of useFactory, useClass, useExisting',
    );
    const useFactory = () => undefined as unknown as DistributedCacheOptions;
    expect(await startFailure([DistributedCacheModule.forRootAsync({ useFactory })])).toHaveProperty(
      'message',
      expect.stringContaining('forRootAsync: got undefined, allowed: an object with options'),
    );
  });
});

describe('DistributedCacheModule.forFeature', () => {
  it('provides the caches of its namespaces in a module, with their policies', async () => {
    @Injectable()
    class Collector {
      constructor(
        @InjectCache('amazon') readonly amazon: AsyncCache<number>,
        @InjectCache('ebay') readonly ebay: AsyncCache<number>,
      ) {}
    }
    @Module({
      imports: [
        DistributedCacheModule.forFeature([{ namespace: 'amazon', ttl: '15m', grace: '1h' }, { namespace: 'ebay' }]),
      ],
      providers: [Collector],
    })
    class CollectorsModule {}
    const module = await nestForTest({ cache: { redis: false, ttl: '2h' }, imports: [CollectorsModule] });
    const { amazon, ebay } = module.get(Collector);
    expect(amazon.policy).toMatchObject({ ttlMs: HOUR_MS / 4, graceMs: HOUR_MS });
    expect(ebay.policy).toMatchObject({ ttlMs: 2 * HOUR_MS, graceMs: 0 });
    await amazon.set('key', 1);
    expect([await amazon.get('key'), await ebay.get('key')]).toEqual([1, undefined]);
  });

  it('lets several modules name one namespace with the same policy: it is one cache', async () => {
    const policies = [{ ttl: '15m' }, { ttl: 900 }] as const;
    const modules = policies.map((policy) => {
      @Module({ imports: [DistributedCacheModule.forFeature([{ namespace: 'amazon', ...policy }])] })
      class FeatureModule {}
      return FeatureModule;
    });
    const module = await nestForTest({ imports: modules });
    const caches = modules.map((feature) =>
      module.select(feature).get<AsyncCache>(getCacheToken('amazon'), { strict: false }),
    );
    expect(caches[0]).toBe(caches[1]);
  });

  it('stops the start where two modules give one namespace two policies', async () => {
    const failure = await startFailure([
      DistributedCacheModule.forRoot({ redis: false }),
      DistributedCacheModule.forFeature([{ namespace: 'amazon', ttl: '15m' }]),
      DistributedCacheModule.forFeature([{ namespace: 'amazon', ttl: '20m' }]),
    ]);
    expect(failure).toBeInstanceOf(ConfigurationError);
    expect((failure as Error).message).toMatch(
      /amazon\.ttl: got (900000|1200000) ms, allowed: (900000|1200000) ms, with which .*: give its options in one place/,
    );
  });

  it.each([
    [undefined, 'forFeature: got undefined, allowed: a list of { namespace, ttl, ... }, or { namespaces, classes }'],
    ['users', 'forFeature: got "users", allowed: a list'],
    [['users'], 'forFeature[0]: got "users", allowed: an object with a namespace: { namespace: \'users\' }'],
    [[{ namespace: 'a' }, { name: 'b' }], 'forFeature[1]: got {"name":"b"}, allowed: an object with a namespace'],
  ])('refuses %j, which names no namespace', (feature, message) => {
    const forFeature = () => DistributedCacheModule.forFeature(feature as CacheFeature);
    expect(forFeature).toThrow(ConfigurationError);
    expect(forFeature).toThrow(message);
  });

  it('stops the start for a wrong name, and for unknown options', async () => {
    const failure = await startFailure([
      DistributedCacheModule.forRoot({ redis: false }),
      DistributedCacheModule.forFeature([{ namespace: 'amazon de', ttl: 0 }]),
    ]);
    expect(failure).toBeInstanceOf(ConfigurationError);
    expect((failure as ConfigurationError).problems).toHaveLength(2);
  });

  it('names a built-in namespace without a policy; for a policy it points to forRoot', async () => {
    const trends = DistributedCacheModule.forFeature([{ namespace: 'trends' }]);
    const ttls = { trends: '1h' } as const;
    const module = await nestForTest({ cache: { redis: false, ttls }, imports: [trends] });
    expect(module.get<AsyncCache>(getCacheToken('trends')).policy.ttlMs).toBe(HOUR_MS);
    expect(() => DistributedCacheModule.forFeature([{ namespace: 'trends', ttl: '1h', grace: 5 }])).toThrow(
      /^2 mistakes .*\n {2}forFeature trends\.ttl: got .*, allowed: namespaces\.trends\.ttl in forRoot\n/,
    );
  });

  it('needs the module that has the cache among its imports, where that one is not global', async () => {
    @Module({
      imports: [DistributedCacheModule.forRoot({ redis: false, isGlobal: false })],
      exports: [DistributedCacheModule],
    })
    class CachingModule {}
    const feature = DistributedCacheModule.forFeature([{ namespace: 'amazon' }]);
    expect(await startFailure([CachingModule, feature])).toBeInstanceOf(Error);
    const module = await nestForTest({ cache: false, imports: [{ ...feature, imports: [CachingModule] }] });
    expect(module.get<AsyncCache>(getCacheToken('amazon')).namespace).toBe('amazon');
  });

  it('says that forRoot is missing, in an application without it and beside the module without options', async () => {
    const feature = DistributedCacheModule.forFeature([{ namespace: 'amazon' }]);
    for (const imports of [[feature], [DistributedCacheModule, feature]]) {
      const failure = await startFailure(imports);
      expect(failure).toBeInstanceOf(ConfigurationError);
      expect((failure as Error).message).toMatch(/DistributedCacheModule\.forRoot\(\) once, in the root module/);
    }
  });

  it('declares classes as @CachedClass does: another process reads their instances from the start', async () => {
    class Money {
      readonly #cents: number;
      constructor(cents: number) {
        this.#cents = cents;
      }
      get cents(): number {
        return this.#cents;
      }
    }
    class Point {
      constructor(readonly x: number) {}
    }
    const classes: ClassToDeclare[] = [
      Point,
      {
        class: Money,
        name: 'shop.Money',
        version: 2,
        serialize: (money) => (money as Money).cents,
        deserialize: (cents) => new Money(cents as number),
      },
    ];
    const options = sharedRedis();
    const start = async () => {
      const feature = DistributedCacheModule.forFeature({ namespaces: [{ namespace: 'shop', ttl: '5m' }], classes });
      const module = await nestForTest({ imports: [feature], cache: options });
      return module.get<AsyncCache>(getCacheToken('shop'));
    };
    await (
      await start()
    ).setMany([
      ['money', new Money(7)],
      ['point', new Point(1)],
    ]);
    const other = await start();
    expect(await other.get('point')).toStrictEqual(new Point(1));
    expect(((await other.get('money')) as Money).cents).toBe(7);
    expect(other.policy.ttlMs).toBe(300_000);
  });

  it('leaves a class as it declares itself, and refuses another declaration', () => {
    @CachedClass({ name: 'shop.Price', version: 3 })
    class Price {}
    expect(() =>
      DistributedCacheModule.forFeature({ classes: [Price, { class: Price, name: 'shop.Price', version: 3 }] }),
    ).not.toThrow();
    expect(() => DistributedCacheModule.forFeature({ classes: [{ class: Price, version: 4 }] })).toThrow(
      'forFeature classes[0]: got Price, version 4, allowed: shop.Price, version 3: it is declared',
    );
  });

  it.each<[unknown, string]>([
    [
      { namespace: 'amazon' },
      'forFeature namespace: got an unknown option, allowed: namespaces, classes; did you mean "namespaces"?',
    ],
    [{ classes: Array }, 'forFeature classes: got no list, allowed: a list'],
    [{ classes: [{ name: 'Money' }] }, 'forFeature classes[0]: got undefined, allowed: a class, or {'],
    [{ classes: [class Some {}, { class: class Other {}, version: 0 }] }, 'forFeature classes[1].version: got 0'],
    [{ classes: [{ class: class Other {}, deserialise: String }] }, 'did you mean'],
  ])('refuses what it does not know, before the application starts: %j', (feature, message) => {
    const forFeature = () => DistributedCacheModule.forFeature(feature as CacheFeature);
    expect(forFeature).toThrow(ConfigurationError);
    expect(forFeature).toThrow(message);
  });

  it('is typed', () => {
    expectTypeOf<Parameters<typeof DistributedCacheModule.forFeature>>().toEqualTypeOf<
      [feature: readonly FeatureNamespace[] | CacheFeature]
    >();
    expectTypeOf<CacheFeature['classes']>().toEqualTypeOf<readonly ClassToDeclare[] | undefined>();
  });
});
