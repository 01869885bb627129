import {
  type CanActivate,
  Controller,
  type DynamicModule,
  Get,
  Header,
  Injectable,
  Logger,
  Module,
  type ModuleMetadata,
  Post,
  type Type,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { Cached, DistributedCacheModule } from '../../nest/index.js';
import {
  CachedResponse,
  HttpCacheModule,
  type HttpCacheOptions,
  type HttpCacheOptionsFactory,
  type PurgeEndpoint,
} from '../index.js';

@Controller('products')
class ProductsController {
  @CachedResponse()
  @Get(':id')
  one() {
    return {};
  }
}

@Injectable()
class HttpCacheSettings implements HttpCacheOptionsFactory {
  createHttpCacheOptions(): HttpCacheOptions {
    return { namespace: 'pages' };
  }
}

@Module({ providers: [HttpCacheSettings], exports: [HttpCacheSettings] })
class SettingsModule {}

describe('the options of the module', () => {
  async function cacheStatus(module: DynamicModule): Promise<string | null> {
    const testing = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: false }), module],
      controllers: [ProductsController],
    }).compile();
    const application = testing.createNestApplication();
    await application.listen(0, '127.0.0.1');
    try {
      return (await fetch(`${await application.getUrl()}/products/1`)).headers.get('cache-status');
    } finally {
      await application.close();
    }
  }

  it.each<[string, DynamicModule]>([
    ['useFactory', HttpCacheModule.forRootAsync({ useFactory: async () => ({ namespace: 'pages' }) })],
    [
      'useFactory with inject and imports',
      HttpCacheModule.forRootAsync({
        imports: [SettingsModule],
        inject: [HttpCacheSettings],
        useFactory: (settings: HttpCacheSettings) => settings.createHttpCacheOptions(),
      }),
    ],
    ['useClass', HttpCacheModule.forRootAsync({ useClass: HttpCacheSettings })],
    ['useExisting', HttpCacheModule.forRootAsync({ imports: [SettingsModule], useExisting: HttpCacheSettings })],
  ])('come from %s', async (_, module) => {
    expect(await cacheStatus(module)).toBe('pages;fwd=uri-miss;stored');
  });

  it('let the start fail with the error of their factory', async () => {
    const error = new Error('no settings');
    await expect(cacheStatus(HttpCacheModule.forRootAsync({ useFactory: () => Promise.reject(error) }))).rejects.toBe(
      error,
    );
  });

  it('let the start fail when they are wrong, and name each that is', async () => {
    const wrong = { ttl: 'soon', rules: 'careless', hosts: 'a.example', statuses: {} } as unknown as HttpCacheOptions;
    await expect(cacheStatus(HttpCacheModule.forRootAsync({ useFactory: () => wrong }))).rejects.toThrow(
      /ttl must be a duration.*rules must be 'careful' or 'rfc9111'.*hosts must be a list.*statuses must be left out/s,
    );
  });

  it.each<[HttpCacheOptions, string | null]>([
    [{ targets: ['CDN-Cache-Control'] }, null],
    [{ rules: 'rfc9111' }, null],
    [{}, 'http;hit'],
    [{ hosts: ['LOCALHOST'] }, 'http;hit'],
    [{ hosts: ['other.example'] }, null],
  ])(
    'name headers and hosts in any case, and the letter of the RFC reads CDN-Cache-Control: %j',
    async (options, hit) => {
      @Controller()
      class TargetedController {
        @CachedResponse()
        @Header('CDN-Cache-Control', 'no-store')
        @Get()
        get() {
          return {};
        }
      }
      const testing = await Test.createTestingModule({
        imports: [DistributedCacheModule.forRoot({ redis: false }), HttpCacheModule.forRoot(options)],
        controllers: [TargetedController],
      }).compile();
      const application = testing.createNestApplication();
      await application.listen(0, '127.0.0.1');
      const url = (await application.getUrl()).replace('127.0.0.1', 'localhost');
      await fetch(url);
      const status = (await fetch(url)).headers.get('cache-status');
      await application.close();
      expect(/^http;hit/.exec(status ?? '')?.[0] ?? null).toBe(hit);
    },
  );

  it('have types', () => {
    expectTypeOf<HttpCacheOptions['emitTags']>().toEqualTypeOf<
      'surrogate-key' | 'cache-tag' | 'cache-groups' | false | undefined
    >();
    expectTypeOf<PurgeEndpoint['guard']>().toEqualTypeOf<Type<CanActivate> | CanActivate>();
    expectTypeOf<ReturnType<typeof HttpCacheModule.forRootAsync>>().toEqualTypeOf<DynamicModule>();
  });
});

describe('the start of an application', () => {
  afterEach(() => void vi.restoreAllMocks());

  async function starting(controller: Type, ...imports: NonNullable<ModuleMetadata['imports']>): Promise<void> {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: false }), ...imports],
      controllers: [controller],
    }).compile();
    const application = module.createNestApplication();
    await application.init();
    await application.close();
  }

  it('runs every method as if undecorated with the cache switched off', async () => {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ enabled: false }), HttpCacheModule.forRoot()],
      controllers: [ProductsController],
    }).compile();
    const application = module.createNestApplication();
    await application.listen(0, '127.0.0.1');
    const response = await fetch(`${await application.getUrl()}/products/1`);
    await application.close();
    expect([response.headers.get('cache-status'), response.headers.get('cache-control')]).toEqual([null, null]);
  });

  it('says that @CachedResponse has no effect without the module', async () => {
    const warn = vi.spyOn(Logger, 'warn').mockImplementation(() => {});
    await starting(ProductsController);
    expect(warn).toHaveBeenCalledWith(
      expect.stringContaining('@CachedResponse of ProductsController has no effect'),
      expect.anything(),
    );
    warn.mockClear();
    await starting(ProductsController, HttpCacheModule.forRoot());
    expect(warn).not.toHaveBeenCalled();
  });

  it('refuses an audience function where encrypted responses share a dictionary', async () => {
    @Controller('own')
    class OwnController {
      @CachedResponse({ audience: () => 'ada' })
      @Get()
      get() {
        return {};
      }
    }
    const start = (controller: Type, encryption: false | { keys: Record<string, Buffer>; current: string }) => {
      const namespaces = { http: { compression: { dictionary: true } } };
      return Test.createTestingModule({
        imports: [DistributedCacheModule.forRoot({ redis: false, encryption, namespaces }), HttpCacheModule.forRoot()],
        controllers: [controller],
      })
        .compile()
        .then(async (module) => {
          const application = module.createNestApplication({ logger: false });
          await application.init();
          await application.close();
        });
    };
    const encryption = { keys: { a: Buffer.alloc(32, 1) }, current: 'a' };
    await expect(start(OwnController, encryption)).rejects.toThrow(
      /namespaces\.http\.compression\.dictionary: got true, with encryption, and @CachedResponse of OwnController\.get/,
    );
    await expect(start(OwnController, false)).resolves.toBeUndefined();
    await expect(start(ProductsController, encryption)).resolves.toBeUndefined();
  });

  it('refuses @CachedResponse beside @Cached, and on a method that is no GET', async () => {
    @Controller('both')
    class BothController {
      @CachedResponse()
      @Cached()
      @Get()
      async both(): Promise<string> {
        return 'x';
      }
    }

    @Controller('post')
    class PostController {
      @CachedResponse()
      @Post()
      post() {}
    }

    @Controller('wrong')
    class WrongController {
      @CachedResponse({ ttl: 'soon' as never })
      @Get()
      wrong() {}
    }
    const start = (controller: Type) => starting(controller, HttpCacheModule.forRoot());
    await expect(start(BothController)).rejects.toThrow('BothController.both: the method has @Cached, too');
    await expect(start(PostController)).rejects.toThrow('PostController.post: only the responses of @Get methods');
    await expect(start(WrongController)).rejects.toThrow("WrongController.wrong: ttl must be a duration, such as '5m'");
  });
});
