import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromCacheManager } from '../../libs/distributed-cache/schematics/from-cache-manager.js';
import { MAIN, PACKAGE, Workspace } from './support.js';

const OLD = '@nestjs/cache-manager';

/** A root module: its imports, the import lines that they need, and what stands beside `imports`. */
function rootModule(imports: string, lines = '', beside = ''): string {
  return `import { Module } from '@nestjs/common';
import { CacheModule } from '${OLD}';
${lines}
@Module({ imports: [${imports}]${beside} })
export class AppModule {}
`;
}

function migrate(files: Record<string, string>, folder?: string): Workspace {
  const workspace = new Workspace({ 'package.json': PACKAGE, 'src/main.ts': MAIN, ...files });
  fromCacheManager({}, folder)(workspace, workspace);
  return workspace;
}

/** What the imports of the root module become. */
function importsAfter(imports: string, lines?: string): string {
  const text = migrate({ 'src/app.module.ts': rootModule(imports, lines) }).readText('src/app.module.ts');
  return /imports: \[([^]*)\] \}\)/.exec(text)?.[1] ?? text;
}

const CONTROLLER = (body: string, decorators = '') => `import { CacheInterceptor, CacheKey, CacheTTL } from '${OLD}';
import { Controller, Get, UseInterceptors } from '@nestjs/common';

${decorators}@Controller('cats')
export class CatsController {
${body}
}
`;

function controllerAfter(
  controller: string,
  more: Record<string, string> = {},
): { text: string; workspace: Workspace } {
  const workspace = migrate({
    'src/app.module.ts': rootModule('CacheModule.register({ ttl: 5000 })'),
    'src/cats.controller.ts': controller,
    ...more,
  });
  return { text: workspace.readText('src/cats.controller.ts'), workspace };
}

describe('options of CacheModule', () => {
  it.each([
    ['', '{ redis: false }'],
    ['{ ttl: 5000 }', "{ redis: false, namespaces: { 'cache-manager': { ttl: '5s' } } }"],
    ['{ ttl: 1500, isGlobal: true }', "{ redis: false, namespaces: { 'cache-manager': { ttl: '1500ms' } } }"],
    ['{ ttl: 24 * 60 * 60 * 1000 }', "{ redis: false, namespaces: { 'cache-manager': { ttl: '1d' } } }"],
    ['{ ttl: 0 }', '{ redis: false }'],
    [
      '{ ttl: settings.ttl }',
      "{ redis: false, namespaces: { 'cache-manager': { ttl: Number(settings.ttl) / 1000 } } }",
    ],
    ['{ max: 100 }', '{ redis: false, local: { maxEntries: 100 } }'],
    ["{ store: redisStore, host: 'redis', port: 6379 }", "{ redis: { host: 'redis', port: 6379 } }"],
    ["{ stores: createKeyv('redis://a') }", "{ redis: { url: 'redis://a' } }"],
    ['{ stores: [new Keyv({ store: new KeyvRedis({ url, database: 2 }) })] }', '{ redis: { url: url, db: 2 } }'],
    ['{ stores: [createKeyv()] }', ''],
  ])('%s becomes %s', (before, after) => {
    const lines = `import KeyvRedis, { createKeyv } from '@keyv/redis';
import { Keyv } from 'keyv';
import { redisStore } from 'cache-manager-ioredis-yet';`;
    expect(importsAfter(`CacheModule.register(${before})`, lines)).toBe(`DistributedCacheModule.forRoot(${after})`);
  });

  it('a factory keeps its parameters, and loses the stores that it has opened', () => {
    const after = importsAfter(
      `CacheModule.registerAsync({
        isGlobal: true,
        inject: [ConfigService],
        useFactory: async (config: ConfigService): Promise<CacheModuleOptions> => {
          const host = config.get('HOST');
          const store = await redisStore({ socket: { host, port: 6379 } });
          return { stores: [new Keyv(store)], ttl: 60_000 };
        },
      })`,
      `import { type CacheModuleOptions } from '${OLD}';
import { redisStore } from 'cache-manager-redis-yet';
import { Keyv } from 'keyv';`,
    );
    expect(after).toBe(`DistributedCacheModule.forRootAsync({
        inject: [ConfigService],
        useFactory: async (config: ConfigService): Promise<DistributedCacheOptions> => {
          const host = config.get('HOST');
          return { redis: { host: host, port: 6379 }, namespaces: { 'cache-manager': { ttl: '1m' } } };
        },
      })`);
  });

  it('lists each option that has no successor', () => {
    const { said } = migrate({
      'src/app.module.ts': rootModule(
        'CacheModule.register({ ttl: 1000, refreshThreshold: 5, colour: 1, stores: [new KeyvPostgres()] })',
      ),
    });
    expect(said.filter((line) => line.startsWith('left: '))).toEqual([
      expect.stringContaining('refreshThreshold is not translated'),
      expect.stringContaining('colour is not translated: there is no such option'),
      expect.stringContaining('the store new KeyvPostgres() is dropped'),
    ]);
  });

  it.each([
    ['CacheModule.register(options)', 'options of another file'],
    ['CacheModule.register({ ...options })', 'a spread'],
    ['CacheModule.registerAsync({ useFactory: makeOptions })', 'a factory of another file'],
    [
      'CacheModule.registerAsync({ useFactory: () => { if (a) return { ttl: 1 }; return { ttl: 2 }; } })',
      'two results',
    ],
    ['CacheModule.registerAsync({ useFactory: () => ({}), extraProviders: [] })', 'providers of its own'],
  ])('%s: nothing changes, and the place is named (%s)', (imports) => {
    const files = { 'src/app.module.ts': rootModule(imports), 'src/cats.controller.ts': CONTROLLER('') };
    const { said, snapshot } = migrate(files);
    expect(snapshot).toMatchObject({ ...files, 'package.json': PACKAGE });
    expect(said).toEqual([expect.stringContaining('src/app.module.ts:4 CacheModule.register')]);
  });
});

describe('the modules of an application', () => {
  const feature = `import { CacheModule } from '${OLD}';
import { Module } from '@nestjs/common';

@Module({ imports: [CacheModule.register({ ttl: 7 })], exports: [CacheModule] })
export class FeatureModule {}
`;

  it('the root module has the cache, and every other CacheModule goes', () => {
    const { said, ...workspace } = migrate({
      'src/app.module.ts': rootModule('CacheModule.register({ ttl: 1000 }), FeatureModule'),
      'src/feature.module.ts': feature,
    });
    expect(workspace.files.get('src/app.module.ts')).toContain("{ ttl: '1s' } } }), FeatureModule]");
    expect(workspace.files.get('src/feature.module.ts')).toContain('@Module({ imports: [], exports: [] })');
    expect(workspace.files.get('src/feature.module.ts')).not.toContain(OLD);
    expect(said.join('\n')).toContain('Its options were: CacheModule.register({ ttl: 7 })');
  });

  it('the only CacheModule stays where it is, as the cache of all modules', () => {
    const workspace = migrate({ 'src/app.module.ts': MODULE_WITHOUT_CACHE, 'src/feature.module.ts': feature });
    expect(workspace.readText('src/feature.module.ts')).toContain('imports: [DistributedCacheModule.forRoot({');
    expect(workspace.readText('src/app.module.ts')).toBe(MODULE_WITHOUT_CACHE);
  });

  it('a forRoot() that nest add has made gets the options', () => {
    const after = importsAfter(
      "DistributedCacheModule.forRoot(), CacheModule.register({ ttl: 2000, stores: [createKeyv('redis://a')] })",
      "import { createKeyv } from '@keyv/redis';\nimport { DistributedCacheModule } from 'nestjs-distributed-cache';",
    );
    expect(after).toBe(
      "DistributedCacheModule.forRoot({ redis: { url: 'redis://a' }, namespaces: { 'cache-manager': { ttl: '2s' } } })",
    );
  });

  it('a test has a cache of its own, unless it imports the root module', () => {
    const test = (imports: string) => `import { CacheModule } from '${OLD}';
import { AppModule } from './app.module';
void Test.createTestingModule({ imports: [${imports}] }).compile();
`;
    const workspace = migrate({
      'src/app.module.ts': rootModule('CacheModule.register()'),
      'src/a.spec.ts': test('CacheModule.register()'),
      'test/b.e2e-spec.ts': test('AppModule, CacheModule.register()'),
    });
    expect(workspace.readText('src/a.spec.ts')).toContain(
      'imports: [DistributedCacheModule.forRoot({ redis: false })]',
    );
    expect(workspace.readText('test/b.e2e-spec.ts')).toContain('imports: [AppModule]');
  });
});

const MODULE_WITHOUT_CACHE = `import { Module } from '@nestjs/common';
import { FeatureModule } from './feature.module';

@Module({ imports: [FeatureModule] })
export class AppModule {}
`;

describe('CACHE_MANAGER and Cache', () => {
  it('the token comes from this library, the type from cache-manager; a class as token becomes CACHE_MANAGER', () => {
    const workspace = migrate({
      'src/app.module.ts': rootModule('CacheModule.register()'),
      'src/a.service.ts': `import { Cache, CACHE_MANAGER } from '${OLD}';
import { Inject, Injectable } from '@nestjs/common';

@Injectable()
export class A {
  constructor(
    @Inject(CACHE_MANAGER) private readonly first: Cache,
    private readonly second: Cache,
  ) {}
}
export const b = { provide: 'b', inject: [Cache], useFactory: (cache: Cache) => cache };
`,
    });
    expect(workspace.readText('src/a.service.ts')).toBe(`import { Inject, Injectable } from '@nestjs/common';
import { CACHE_MANAGER } from 'nestjs-distributed-cache';
import type { Cache } from 'cache-manager';

@Injectable()
export class A {
  constructor(
    @Inject(CACHE_MANAGER) private readonly first: Cache,
    @Inject(CACHE_MANAGER) private readonly second: Cache,
  ) {}
}
export const b = { provide: 'b', inject: [CACHE_MANAGER], useFactory: (cache: Cache) => cache };
`);
  });
});

describe('CacheInterceptor', () => {
  it('becomes @CachedResponse with the TTL and the key as a tag', () => {
    const { text, workspace } = controllerAfter(
      CONTROLLER(`  @UseInterceptors(LoggingInterceptor, CacheInterceptor)
  @CacheKey('all')
  @CacheTTL(20 * 1000)
  @Get()
  all() {}`),
    );
    expect(text).toContain(`
  @CachedResponse({ ttl: '20s', tags: ['all'] })
  @UseInterceptors(LoggingInterceptor)
  @Get()
  all() {}`);
    expect(text).not.toContain(OLD);
    expect(workspace.readText('src/app.module.ts')).toContain("HttpCacheModule.forRoot({ ttl: '5s' })");
    expect(workspace.readText('package.json')).not.toContain(OLD);
  });

  it('on a controller covers its GET methods; a method keeps its own TTL', () => {
    const { text } = controllerAfter(
      CONTROLLER(
        `  @Get('a')
  a() {}

  @CacheTTL(1000)
  @Get('b')
  b() {}

  @CacheTTL(1000)
  @Post('c')
  c() {}`,
        '@UseInterceptors(CacheInterceptor)\n@CacheTTL(3000)\n',
      ),
    );
    expect(text).toContain("@CachedResponse({ ttl: '3s' })\n@Controller('cats')");
    expect(text).toContain("  @Get('a')\n  a() {}");
    expect(text).toContain("  @CachedResponse({ ttl: '1s' })\n  @Get('b')");
    expect(text).toContain("  @CacheTTL(1000)\n  @Post('c')");
  });

  it('of the whole application becomes @CachedResponse on each controller that can have it', () => {
    const workspace = migrate({
      'src/app.module.ts': rootModule(
        'CacheModule.register({ ttl: 5000 })',
        `import { APP_INTERCEPTOR } from '@nestjs/core';\nimport { CacheInterceptor } from '${OLD}';`,
        ', providers: [Other, {\n provide: APP_INTERCEPTOR,\n useClass: CacheInterceptor,\n }]',
      ),
      'src/a.ts': "@Controller('a')\nexport class A {\n  @Get()\n  a() {}\n}\n",
      'src/b.ts': "@Controller('b')\nexport class B {\n  @Post()\n  b() {}\n}\n",
      'src/c.ts': `import { CacheTTL } from '${OLD}';\n@Controller('c')\nexport class C {\n  @CacheTTL(() => 1)\n  @Get()\n  c() {}\n}\n`,
      'src/d.ts': "@Controller('d')\nexport class D {\n  @Get()\n  @HealthCheck()\n  d() {}\n}\n",
    });
    const root = workspace.readText('src/app.module.ts');
    expect(root).toContain('providers: [Other] })');
    expect(root).not.toMatch(/APP_INTERCEPTOR|CacheInterceptor/);
    expect(workspace.readText('src/a.ts')).toContain("@CachedResponse()\n@Controller('a')");
    expect(workspace.readText('src/b.ts')).not.toContain('CachedResponse');
    expect(workspace.readText('src/c.ts')).toContain("@UseInterceptors(CacheInterceptor)\n@Controller('c')");
    expect(workspace.readText('src/d.ts')).not.toContain('CachedResponse');
  });

  const ROUTE = '  @UseInterceptors(CacheInterceptor)\n  @Get()\n  all() {}';
  it.each([
    ['the header X-Cache is read', { 'test/a.spec.ts': "expect(headers['x-cache']).toBe('HIT');" }],
    [
      'a subclass follows another rule',
      { 'src/b.ts': `import { CacheInterceptor } from '${OLD}';\nclass B extends CacheInterceptor {}` },
    ],
    ['the cache is cleared', { 'src/b.ts': 'const CACHE_MANAGER = 1; this.cacheManager.clear();' }],
    ['the key of a route is deleted', { 'src/b.ts': "const CACHE_MANAGER = 1; this.cache.del('/cats');" }],
    [
      'a key is deleted that only the running program knows',
      { 'src/b.ts': 'const CACHE_MANAGER = 1; cache.del(key);' },
    ],
  ])('stays everywhere where %s, and the place is named', (_reason, more) => {
    const { text, workspace } = controllerAfter(CONTROLLER(ROUTE), more);
    expect(text).toBe(CONTROLLER(ROUTE));
    expect(workspace.said.join('\n')).toContain(`left: ${Object.keys(more)[0]}`);
    expect(workspace.readText('src/app.module.ts')).not.toContain('HttpCacheModule');
  });

  it.each([
    ['a resolver', CONTROLLER(ROUTE).replace("@Controller('cats')", '@Resolver()')],
    ['a TTL of the running program', CONTROLLER(`  @CacheTTL(() => 1)\n${ROUTE}`)],
    ['a stream of events', CONTROLLER(`${ROUTE}\n  @Sse()\n  b() {}`)],
    ['a key that other code uses', `${CONTROLLER(`  @CacheKey('x')\n${ROUTE}`)}cache.del('x');\n`],
  ])('stays on %s, and the class is named', (_reason, controller) => {
    const { text, workspace } = controllerAfter(controller);
    expect(text).toBe(controller);
    expect(workspace.said.join('\n')).toContain('left: src/cats.controller.ts:');
  });

  it('stays on a class that is used in another way', () => {
    const main = `${MAIN}app.useGlobalInterceptors(new CacheInterceptor(manager, reflector));\n`;
    const { said } = migrate({
      'src/app.module.ts': rootModule('CacheModule.register()'),
      'src/main.ts': `import { CacheInterceptor } from '${OLD}';\n${main}`,
    });
    expect(said.join('\n')).toContain('src/main.ts:10 new CacheInterceptor(manager, reflector) is not translated');
  });
});

describe('from-cache-manager', () => {
  it('run twice changes nothing more', () => {
    const workspace = controllerAfter(
      CONTROLLER('  @UseInterceptors(CacheInterceptor)\n  @Get()\n  all() {}'),
    ).workspace;
    const { snapshot } = workspace;
    fromCacheManager()(workspace, workspace);
    expect(workspace.snapshot).toEqual(snapshot);
  });

  it('without a TypeScript that parses changes the imports of the token, and says what to install', () => {
    const files = {
      'src/app.module.ts': rootModule('CacheModule.register()'),
      'src/a.ts': `import { CACHE_MANAGER } from '${OLD}';\nuse(CACHE_MANAGER);\n`,
    };
    const { said, ...workspace } = migrate(files, mkdtempSync(join(tmpdir(), 'no-typescript-')));
    expect(workspace.files.get('src/app.module.ts')).toBe(files['src/app.module.ts']);
    expect(workspace.files.get('src/a.ts')).toBe(
      "import { CACHE_MANAGER } from 'nestjs-distributed-cache';\nuse(CACHE_MANAGER);\n",
    );
    expect(said.join('\n')).toMatch(/Install typescript 6 or older.*left: src\/app\.module\.ts:4/s);
  });
});
