/**
 * `npm run check:adoption`: `nest add` and the change from @nestjs/cache-manager, with the packed library and the Nest
 * CLI, on whole applications. Each of them builds and passes its own tests before and after. Needs a build.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findRedisServer } from './find-redis.mjs';
import { packLibrary, root, tarballIn, workFolder } from './packed-apps.mjs';
import { check, runCommand } from './run-command.mjs';

const QUIETLY = ['--no-audit', '--no-fund', '--prefer-offline', '--no-package-lock', '--loglevel=error'];
/** The applications, and what each has of the old decorators and of `@CachedResponse` afterwards. */
const MIGRATED = [
  { group: 'nest11', app: 'service', found: [] },
  { group: 'nest11', app: 'several-stores', found: ['CacheInterceptor', 'CacheKey', 'CacheTTL'] },
  { group: 'nest11', app: 'monorepo', found: [], projects: ['shop', 'admin'] },
  { group: 'nest12', app: 'routes', found: ['CachedResponse'] },
  { group: 'nest12', app: 'register-async', found: ['CachedResponse'] },
  { group: 'nest12', app: 'global-interceptor', found: ['CacheInterceptor', 'CacheTTL', 'CachedResponse'] },
];
/** Where `nest add` runs: what `nest new` makes, and an application of a monorepo. */
const ADDED = [
  { group: 'nest11', app: 'fresh' },
  { group: 'nest12', app: 'fresh' },
  { group: 'nest11', app: 'monorepo-add', projects: ['shop', 'admin'] },
];

const folder = join(workFolder(), 'adoption');
const port = await freePort();
const redis = spawn(
  findRedisServer() ?? 'redis-server',
  ['--port', String(port), '--save', '', '--bind', '127.0.0.1'],
  {
    stdio: 'ignore',
  },
);
process.on('exit', () => redis.kill());
const env = { NODE_OPTIONS: '', NO_COLOR: '1', FORCE_COLOR: '', REDIS_URL: `redis://127.0.0.1:${port}` };

check('the library packs and installs beside Nest 11 and Nest 12', () => {
  if (!existsSync(tarballIn(join(folder, '..')))) {
    packLibrary(join(folder, '..'));
  }
  rmSync(folder, { recursive: true, force: true });
  for (const group of ['nest11', 'nest12']) {
    cpSync(join(root, 'test/packages/migration', group), join(folder, group), { recursive: true });
    writeManifest(join(folder, group), group, { file: '../..' });
    runCommand('npm', ['install', ...QUIETLY], { cwd: join(folder, group) });
  }
});

for (const { group, app, found, projects } of MIGRATED) {
  const cwd = join(folder, group, app);
  check(`${group}/${app}: passes its tests with @nestjs/cache-manager`, () => {
    makeApp(cwd, group, projects);
    test(cwd, projects);
  });
  if (projects !== undefined || app === 'routes') {
    check(`${group}/${app}: from-cache-manager changes nothing with --dry-run`, () => {
      const before = filesIn(cwd);
      nest(cwd, ['g', 'from-cache-manager', '-c', 'nestjs-distributed-cache', '--dry-run', ...inProject(projects)]);
      expectSame(before, filesIn(cwd));
    });
  }
  check(`${group}/${app}: from-cache-manager, and its tests pass with this library`, () => {
    const said = migrate(cwd, projects);
    expectFound(cwd, found);
    test(cwd, projects);
    return said.split('\n').filter((line) => line.includes('changed: ')).length + ' files';
  });
  check(`${group}/${app}: a second run changes nothing`, () => {
    const before = filesIn(cwd);
    migrate(cwd, projects);
    expectSame(before, filesIn(cwd));
  });
}

for (const { group, app, projects } of ADDED) {
  const cwd = join(folder, group, app);
  const flags = ['--skip-install', '--health', '--prometheus', ...inProject(projects?.slice(-1))];
  check(`${group}/${app}: nest add changes nothing with --dry-run`, () => {
    cpSync(join(folder, group, projects === undefined ? freshOf(group) : 'monorepo'), cwd, { recursive: true });
    if (projects === undefined) {
      emptyModule(cwd);
      makeApp(cwd, group, projects);
    }
    const before = filesIn(cwd);
    nest(cwd, ['add', 'nestjs-distributed-cache', ...flags, '--dry-run']);
    expectSame(before, filesIn(cwd));
  });
  check(`${group}/${app}: nest add, and it builds; a second time changes nothing`, () => {
    nest(cwd, ['add', 'nestjs-distributed-cache', ...flags]);
    build(cwd, projects);
    const before = filesIn(cwd);
    nest(cwd, ['add', 'nestjs-distributed-cache', ...flags]);
    expectSame(before, filesIn(cwd));
  });
  await answers(cwd, `${group}/${app}`, projects?.at(-1));
}
process.exit(0);

/** @param {string} group */
function freshOf(group) {
  return group === 'nest11' ? 'service' : 'routes';
}

/**
 * What `nest new` leaves of an application: a module with a controller.
 * @param {string} cwd
 */
function emptyModule(cwd) {
  rmSync(join(cwd, 'src'), { recursive: true });
  rmSync(join(cwd, 'dist'), { recursive: true, force: true });
  cpSync(join(root, 'test/packages/new-app/src/app.controller.ts'), join(cwd, 'src/app.controller.ts'));
  const files = {
    'main.ts': `import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
}
bootstrap();
`,
    'app.module.ts': `import { Module } from '@nestjs/common';
import { AppController } from './app.controller';
import { AppService } from './app.service';

@Module({
  imports: [],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
`,
    'app.controller.ts': readFileSync(join(cwd, 'src/app.controller.ts'), 'utf8').replace('.js', ''),
    'app.service.ts': `import { Injectable } from '@nestjs/common';

@Injectable()
export class AppService {
  async getHello(name: string): Promise<string> {
    return \`Hello \${name}!\`;
  }
}
`,
  };
  const extension = cwd.includes('nest12') ? '.js' : '';
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(cwd, 'src', name), text.replaceAll(/(from '\.\/[^']*)'/g, `$1${extension}'`));
  }
}

/**
 * The files that `nest new` writes around the sources of an application.
 * @param {string} cwd
 * @param {string} group
 * @param {string[]} [projects]
 */
function makeApp(cwd, group, projects) {
  mkdirSync(cwd, { recursive: true });
  writeManifest(cwd, group, { file: '../../..' });
  const options = {
    module: 'nodenext',
    moduleResolution: 'nodenext',
    target: 'ES2023',
    outDir: './dist',
    ...(projects === undefined ? { rootDir: './src' } : {}),
    esModuleInterop: true,
    isolatedModules: true,
    emitDecoratorMetadata: true,
    experimentalDecorators: true,
    skipLibCheck: true,
    strict: true,
    noUnusedLocals: true,
    strictPropertyInitialization: false,
    types: ['node'],
    ...(projects === undefined ? {} : { paths: { '@app/shared': ['./libs/shared/src'] } }),
  };
  writeJson(join(cwd, 'tsconfig.json'), { compilerOptions: options, ...(projects ? {} : { include: ['src'] }) });
  const schema = { collection: '@nestjs/schematics', compilerOptions: { tsConfigPath: 'tsconfig.json' } };
  const project = (/** @type {string} */ kind, /** @type {string} */ name) => ({
    type: kind === 'apps' ? 'application' : 'library',
    root: `${kind}/${name}`,
    entryFile: kind === 'apps' ? 'main' : 'index',
    sourceRoot: `${kind}/${name}/src`,
    compilerOptions: { tsConfigPath: `${kind}/${name}/tsconfig.json` },
  });
  if (projects === undefined) {
    writeJson(join(cwd, 'nest-cli.json'), { ...schema, sourceRoot: 'src' });
    return;
  }
  for (const name of projects) {
    writeJson(join(cwd, 'apps', name, 'tsconfig.json'), {
      extends: '../../tsconfig.json',
      compilerOptions: { outDir: `../../dist/apps/${name}` },
      include: ['src'],
    });
  }
  writeJson(join(cwd, 'nest-cli.json'), {
    ...schema,
    sourceRoot: `apps/${projects[0]}/src`,
    root: `apps/${projects[0]}`,
    monorepo: true,
    compilerOptions: { webpack: false, tsConfigPath: `apps/${projects[0]}/tsconfig.json` },
    projects: {
      ...Object.fromEntries(projects.map((name) => [name, project('apps', name)])),
      shared: project('libs', 'shared'),
    },
  });
}

/**
 * @param {string} cwd
 * @param {string} group
 * @param {{ file: string }} tarball
 */
function writeManifest(cwd, group, { file }) {
  const text = readFileSync(join(root, 'test/packages/migration', group, 'package.json'), 'utf8');
  writeFileSync(join(cwd, 'package.json'), text.replace(/file:[./]+\//, `file:${file}/`));
}

/**
 * @param {string} cwd
 * @param {string[]} args
 */
function nest(cwd, args) {
  return runCommand(process.execPath, [join(cwd, '../node_modules/@nestjs/cli/bin/nest.js'), ...args], { cwd, env });
}

/** @param {string[]} [projects] */
function inProject(projects) {
  return projects === undefined ? [] : ['--project', projects[0] ?? ''];
}

/**
 * @param {string} cwd
 * @param {string[]} [projects]
 */
function migrate(cwd, projects) {
  return nest(cwd, ['g', 'from-cache-manager', '-c', 'nestjs-distributed-cache', ...inProject(projects)]);
}

/**
 * @param {string} cwd
 * @param {string[]} [projects]
 */
function build(cwd, projects) {
  rmSync(join(cwd, 'dist'), { recursive: true, force: true });
  (projects ?? ['']).forEach((name) => nest(cwd, ['build', ...(name === '' ? [] : [name])]));
}

/**
 * Builds the application, and runs its specs and its e2e test.
 * @param {string} cwd
 * @param {string[]} [projects]
 */
function test(cwd, projects) {
  build(cwd, projects);
  const specs = readdirSync(join(cwd, 'dist'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.spec.js'))
    .map((file) => join('dist', file));
  runCommand(process.execPath, ['--test', ...specs, 'test/app.e2e.mjs'], { cwd, env, timeoutMs: 60_000 });
}

/**
 * Starts what was built, and asks the application, its health check and its counters.
 * @param {string} cwd
 * @param {string} name
 * @param {string | undefined} project
 */
async function answers(cwd, name, project) {
  const main = project === undefined ? 'dist/main.js' : `dist/apps/${project}/apps/${project}/src/main.js`;
  const appPort = await freePort();
  const started = spawn(process.execPath, [main], {
    cwd,
    env: { ...process.env, ...env, PORT: String(appPort) },
    stdio: 'ignore',
  });
  const ask = async (/** @type {string} */ path) => {
    for (let attempt = 0; attempt < 200 && started.exitCode === null; attempt += 1) {
      try {
        const response = await fetch(`http://127.0.0.1:${appPort}${path}`);
        return `${response.status} ${await response.text()}`;
      } catch {
        await sleep(100);
      }
    }
    return 'no answer';
  };
  const said = [await ask('/'), await ask('/health'), await ask('/metrics')];
  started.kill();
  check(`${name}: answers, with a health check and counters`, () => {
    const wanted = [/^200 /, /^200 .*"redis_connected":true/, /^200 [^]*# TYPE cache_hits_total counter/];
    const wrong = said.filter((answer, index) => !wanted[index]?.test(answer));
    if (wrong.length > 0) {
      throw new Error(wrong.join('\n'));
    }
  });
}

/**
 * Which names of the old package, and of this one, the sources have.
 * @param {string} cwd
 * @param {string[]} found
 */
function expectFound(cwd, found) {
  const sources = Object.entries(filesIn(cwd)).filter(([path]) => path.endsWith('.ts'));
  const names = ['CacheModule', 'CacheInterceptor', 'CacheTTL', 'CacheKey', 'CachedResponse'].filter((name) =>
    sources.some(([, content]) => new RegExp(`\\b${name}\\b`).test(content)),
  );
  if (names.toSorted().join() !== found.toSorted().join()) {
    throw new Error(`found: ${names.join(', ')}; expected: ${found.join(', ')}`);
  }
}

/**
 * @param {string} cwd
 * @returns {Record<string, string>}
 */
function filesIn(cwd) {
  const paths = readdirSync(cwd, { recursive: true, encoding: 'utf8' });
  const sources = paths.filter((path) => /\.(ts|json|example)$/.test(path) && !/^(dist|node_modules)\//.test(path));
  return Object.fromEntries(sources.map((path) => [path, readFileSync(join(cwd, path), 'utf8')]));
}

/**
 * @param {Record<string, string>} before
 * @param {Record<string, string>} after
 */
function expectSame(before, after) {
  const changed = Object.keys({ ...before, ...after }).filter((path) => before[path] !== after[path]);
  if (changed.length > 0) {
    throw new Error(`changed: ${changed.map((path) => `${path}\n${after[path]}`).join('\n')}`);
  }
}

/**
 * @param {string} path
 * @param {object} content
 */
function writeJson(path, content) {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
