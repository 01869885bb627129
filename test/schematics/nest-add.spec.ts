import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nestAdd, type NestAddOptions } from '../../libs/distributed-cache/schematics/nest-add.js';
import { MAIN, MODULE, PACKAGE, Workspace } from './support.js';

const APPLICATION = { 'package.json': PACKAGE, 'src/main.ts': MAIN, 'src/app.module.ts': MODULE };
const IMPORT = "import { DistributedCacheModule } from 'nestjs-distributed-cache';\n";

function add(files: Record<string, string>, options: NestAddOptions = {}, folder?: string): Workspace {
  const workspace = new Workspace(files);
  nestAdd({ sourceRoot: 'src', ...options }, folder)(workspace, workspace);
  return workspace;
}

/** The module after the addition, without its import line. */
function moduleAfter(module: string, folder?: string): string {
  const text = add({ ...APPLICATION, 'src/app.module.ts': module }, {}, folder).readText('src/app.module.ts');
  expect(text).toContain(IMPORT);
  return text.replace(IMPORT, '');
}

const WITHOUT_TYPESCRIPT = mkdtempSync(join(tmpdir(), 'no-typescript-'));

describe('nest add', () => {
  it('imports the module in the root module, and writes example settings', () => {
    const { said, ...workspace } = add(APPLICATION);
    expect(workspace.files.get('src/app.module.ts')).toBe(
      MODULE.replace('imports: []', 'imports: [DistributedCacheModule.forRoot()]').replace(
        '\n@Module',
        `${IMPORT}\n@Module`,
      ),
    );
    expect(workspace.files.get('.env.example')).toMatch(/REDIS_URL=redis:\/\/localhost:6379\nCACHE_KEY_PREFIX=shop\n$/);
    expect(said).toEqual([
      'src/app.module.ts: DistributedCacheModule.forRoot() in the imports of AppModule',
      expect.stringMatching(/^\.env\.example: /),
      expect.stringMatching(/^next: add app\.enableShutdownHooks\(\) to src\/main\.ts/),
    ]);
    expect(workspace.tasks).toEqual([]);
  });

  it.each([
    ['typescript', undefined],
    ['plain text', WITHOUT_TYPESCRIPT],
  ])('finds the place in each form of a module (%s)', (_way, folder) => {
    const module = (body: string) => `@Module({${body}})\nexport class AppModule {}\n`;
    const expected = [
      ['', ' imports: [DistributedCacheModule.forRoot()] '],
      [' providers: [A] ', ' imports: [DistributedCacheModule.forRoot()], providers: [A] '],
      ['\n  providers: [A],\n', '\n  imports: [DistributedCacheModule.forRoot()],\n  providers: [A],\n'],
      [' imports: [A] ', ' imports: [DistributedCacheModule.forRoot(), A] '],
      ['\n  imports: [\n    A,\n  ],\n', '\n  imports: [\n    DistributedCacheModule.forRoot(),\n    A,\n  ],\n'],
    ];
    for (const [before = '', after = ''] of expected) {
      expect(moduleAfter(module(before), folder)).toBe(module(after));
    }
  });

  it('puts a list that has a name into a new one', () => {
    expect(moduleAfter('@Module({ imports: MODULES })\nexport class AppModule {}\n')).toContain(
      'imports: [DistributedCacheModule.forRoot(), ...MODULES]',
    );
  });

  it('says so where it can only edit text, and what is to do where it finds no place', () => {
    const files = { ...APPLICATION, 'src/app.module.ts': 'export class AppModule {}\n' };
    const { said } = add(files, {}, WITHOUT_TYPESCRIPT);
    expect(said[0]).toContain('warning: nestjs-distributed-cache: the package "typescript"');
    expect(said[1]).toContain('to do: no @Module of AppModule found in src/app.module.ts');
  });

  it('takes the root module from main.ts, from --module, or from main.ts itself', () => {
    const shop = MODULE.replace('AppModule', 'ShopModule');
    const main = MAIN.replaceAll('AppModule', 'ShopModule').replace('./app.module', './shop/root.js');
    const places: [Record<string, string>, NestAddOptions, string][] = [
      [{ 'src/main.ts': main, 'src/shop/root.ts': shop }, {}, 'src/shop/root.ts'],
      [{ 'src/other.ts': shop }, { module: 'other.ts' }, 'src/other.ts'],
      [{ 'src/main.ts': `${MODULE}\nNestFactory.create(AppModule);\n` }, {}, 'src/main.ts'],
    ];
    for (const [files, options, path] of places) {
      expect(add({ 'package.json': PACKAGE, ...files }, options).readText(path)).toContain(
        'DistributedCacheModule.forRoot()',
      );
    }
    expect(() => add({ 'package.json': PACKAGE })).toThrow('--module src/app.module.ts');
  });

  it('follows the quotes, the semicolons and the extensions of the application', () => {
    const files = {
      'package.json': PACKAGE,
      'src/main.ts': MAIN,
      'src/app.module.ts': MODULE.replaceAll("'", '"')
        .replaceAll(';', '')
        .replace('./app.controller', './app.controller.js'),
    };
    const workspace = add(files, { health: true });
    expect(workspace.readText('src/app.module.ts')).toContain(
      'import { HealthModule } from "./health/health.module.js"\n',
    );
    expect(workspace.readText('src/health/health.module.ts')).toContain('from "./health.controller.js"\n');
    expect(workspace.readText('src/health/health.controller.ts')).not.toMatch(/['](?!cache)|;\n/);
  });

  it('--health and --prometheus add routes, and their packages in the version of Nest', () => {
    const workspace = add(APPLICATION, { health: true, prometheus: true });
    const module = workspace.readText('src/app.module.ts');
    expect(module).toContain('imports: [CacheMetricsModule, HealthModule, DistributedCacheModule.forRoot()]');
    expect(module).toContain("import { HealthModule } from './health/health.module';");
    expect(JSON.parse(workspace.readText('package.json'))).toMatchObject({
      dependencies: { '@nestjs/terminus': '^11.0.0', 'prom-client': '^15.1.3' },
    });
    expect(workspace.tasks).toEqual(['node-package']);
    expect(add(APPLICATION, { health: true, skipInstall: true }).tasks).toEqual([]);
  });

  it('adds the cache to the health check that there is', () => {
    const workspace = add(
      {
        ...APPLICATION,
        'src/app.module.ts': MODULE.replace('AppController]', 'AppController, StatusController]'),
        'src/status.controller.ts': `import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService } from '@nestjs/terminus';

@Controller('status')
export class StatusController {
  constructor(private readonly health: HealthCheckService) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.db.pingCheck('db')]);
  }
}
`,
      },
      { health: true },
    );
    expect(workspace.readText('src/status.controller.ts')).toContain(
      "check([() => this.cacheHealth.isHealthy('cache'), () => this.db.pingCheck('db')])",
    );
    expect(workspace.readText('src/status.controller.ts')).toContain(
      'constructor(@Inject(DistributedCacheHealthIndicator) private readonly cacheHealth: DistributedCacheHealthIndicator, private',
    );
    expect(workspace.readText('src/app.module.ts')).toContain('imports: [DistributedCacheHealthModule, Dist');
    expect(workspace.exists('src/health/health.module.ts')).toBe(false);
  });

  it('uses the registry of prom-client that there is, and adds no route', () => {
    const metrics = "import { register } from 'prom-client';\n";
    const workspace = add({ ...APPLICATION, 'src/metrics.ts': metrics }, { prometheus: true });
    expect(workspace.readText('src/cache-metrics/cache-metrics.module.ts')).toContain(
      'registerCacheMetrics(register, cache)',
    );
    expect(workspace.exists('src/cache-metrics/cache-metrics.controller.ts')).toBe(false);
  });

  it('leaves a file of the application that has the same name', () => {
    const files = { ...APPLICATION, 'src/health/health.controller.ts': 'export {};\n' };
    const workspace = add(files, { health: true });
    expect(workspace.readText('src/health/health.controller.ts')).toBe('export {};\n');
    expect(workspace.said.join('\n')).toContain('to do: src/health/health.controller.ts exists');
  });

  it.each([
    ['typescript', undefined],
    ['plain text', WITHOUT_TYPESCRIPT],
  ])('changes nothing the second time (%s)', (_way, folder) => {
    const options = { sourceRoot: 'src', health: true, prometheus: true };
    const workspace = add(APPLICATION, options, folder);
    const { snapshot } = workspace;
    nestAdd(options, folder)(workspace, workspace);
    expect(workspace.snapshot).toEqual(snapshot);
  });
});
