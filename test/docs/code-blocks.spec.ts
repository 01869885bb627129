import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ConsoleLogger, type INestApplication, Logger, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DistributedCache } from 'nestjs-distributed-cache';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { redisForTest } from '../support/redis-for-test.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PRELUDE = '../../test/docs/prelude.js';

/** The modules from which a code block may use names without an import, apart from the types of the prelude. */
const MODULES: readonly string[] = [
  'nestjs-distributed-cache',
  'nestjs-distributed-cache/testing',
  '@keyv/redis',
  '@nestjs/cache-manager',
  '@nestjs/common',
  '@nestjs/config',
  '@nestjs/core',
  'cache-manager',
  'cache-manager-ioredis-yet',
  'ioredis',
  'keyv',
  'node:fs',
  'zod',
];
const TYPES: Readonly<Record<string, string>> = {
  OnApplicationBootstrap: '@nestjs/common#type',
  CacheManagerStore: 'cache-manager#type',
  AsyncCache: 'nestjs-distributed-cache',
};

interface CodeBlock {
  readonly page: string;
  readonly line: number;
  readonly code: string;
}

async function pagesOfDocs(): Promise<string[]> {
  const pages = await readdir(join(ROOT, 'docs'));
  return ['README.md', ...pages.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
}

async function codeBlocksOf(page: string): Promise<CodeBlock[]> {
  const text = await readFile(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^( *)```ts\n([\s\S]*?)^ *```$/gm)].map(({ index, 1: indent = '', 2: code = '' }) => ({
    page,
    line: text.slice(0, index).split('\n').length,
    code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

/** The names that each module exports as values. */
async function exportedNames(): Promise<Map<string, string>> {
  const modules = new Map(Object.entries(TYPES));
  const prelude = await readFile(join(ROOT, 'test/docs/prelude.ts'), 'utf8');
  for (const [, kind, name = ''] of prelude.matchAll(
    /^export (?:declare )?(?:abstract )?(interface|class|const) (\w+)/gm,
  )) {
    modules.set(name, kind === 'interface' ? `${PRELUDE}#type` : PRELUDE);
  }
  for (const module of MODULES) {
    for (const name of Object.keys((await import(module)) as object)) {
      if (!modules.has(name) && /^[A-Z]|^readFile|^redisStore$|^create|^register|^keyOf$|^z$/.test(name)) {
        modules.set(name, module);
      }
    }
  }
  return modules;
}

/** A module that consists of the code block and the imports that it leaves out. Members get a class around them. */
function moduleOf({ code }: CodeBlock, exported: ReadonlyMap<string, string>): string {
  const isMembers =
    /^(constructor\(|(async )?\w+\([^\n]*\): Promise<.*\{$)/m.test(code) && !/^(export )?class /m.test(code);
  const base = code.includes('constructor(') ? '' : ' extends Application';
  const body = isMembers ? `export class Example${base} {\n${code}}\n` : code;
  const own = new Set(
    [...body.matchAll(/(?:class|const|interface|function) (\w+)|^(?:import|\s*const)[^{\n]*\{([^}]*)\}/gm)].flatMap(
      ([, declared, imported]) =>
        declared ?? imported?.split(',').map((name) => name.replace('type ', '').trim()) ?? [],
    ),
  );
  const used = new Set(withoutComments(body).match(/(?<![.\w'])[A-Za-z_]\w*\b(?!\??: )/g));
  const imports = [...used].flatMap((name) => {
    const module = exported.get(name);
    if (module === undefined || own.has(name)) {
      return [];
    }
    return [`import ${module.endsWith('#type') ? 'type ' : ''}{ ${name} } from '${module.replace('#type', '')}';`];
  });
  return `${imports.join('\n')}\n${body}\nexport {};\n`;
}

function withoutComments(code: string): string {
  return code.replaceAll(/(?<=^|\s)\/\/.*$/gm, '');
}

/** A result that a code block states as `// -> expression` or `// -> throws ErrorName`, beside the real one. */
interface StatedResult {
  readonly line: number;
  readonly actual: unknown;
  readonly stated: unknown;
}

const STATED = /^(.*);\s+\/\/ -> (.*)$/;

/** The module of a code block in which each statement with a stated result adds both results to `results`. */
function runnableModuleOf(block: CodeBlock, exported: ReadonlyMap<string, string>): string {
  const lines = block.code.split('\n');
  for (const [index, line] of lines.entries()) {
    const [, end, stated = ''] = STATED.exec(line) ?? [];
    if (end === undefined) {
      continue;
    }
    const first = lines.slice(0, index + 1).findLastIndex((text) => /^[^\s)}\]/]/.test(text));
    const statement = [...lines.slice(first, index), end].join('\n');
    const [, error] = /^throws (\w+)$/.exec(stated) ?? [];
    const expected = error === undefined ? stated : `{ throws: '${error}' }`;
    lines.fill('', first, index);
    lines[index] = `results.push({ line: ${block.line + index + 1}, stated: ${expected},
      actual: await (async () => (${statement}))()${error === undefined ? '' : '.catch((error) => ({ throws: error.name }))'} });`;
  }
  return moduleOf({ ...block, code: `export const results: object[] = [];\n${lines.join('\n')}` }, exported);
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return String(port);
}

async function compilerOutput(folder: string): Promise<string> {
  const compiler = join(ROOT, 'node_modules/.bin/tsc');
  try {
    await promisify(execFile)(compiler, ['-p', folder, '--pretty', 'false'], { cwd: folder });
    return '';
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? error);
  }
}

/** A folder within the project, so that the packages are found; removed after the test. */
async function emptyFolder(name: string): Promise<string> {
  const folder = join(ROOT, '.cache', name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('the TypeScript of README.md and docs/', () => {
  let blocks: readonly CodeBlock[];

  beforeAll(async () => {
    // The code of docs/testing.md is compiled and run by testing-page.spec.ts.
    const pages = (await pagesOfDocs()).filter((page) => page !== 'docs/testing.md');
    blocks = (await Promise.all(pages.map(codeBlocksOf))).flat();
  });

  it('compiles', async () => {
    expect(blocks.length).toBeGreaterThan(20);
    const folder = await emptyFolder('code-blocks');
    const exported = await exportedNames();
    await Promise.all(
      blocks.map((block, index) => writeFile(join(folder, `block${index}.ts`), moduleOf(block, exported))),
    );
    const compilerOptions = {
      noEmit: true,
      composite: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      verbatimModuleSyntax: false,
      importsNotUsedAsValues: undefined,
    };
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: '../../tsconfig.base.json', compilerOptions, include: ['*.ts'] }),
    );
    const output = await compilerOutput(folder);
    const named = output.replaceAll(/^.*?block(\d+)\.ts\(\d+,\d+\)/gm, (_text, index: string) => {
      const { page = '', line = 0 } = blocks[Number(index)] ?? {};
      return `${page}:${line}`;
    });
    expect(named).toBe('');
  });

  it('gives the results that it states', async () => {
    const stating = blocks.filter(({ code }) => code.split('\n').some((line) => STATED.test(line)));
    expect(stating.length).toBeGreaterThan(3);
    const folder = await emptyFolder('stated-results');
    const exported = await exportedNames();
    for (const [index, block] of stating.entries()) {
      const file = join(folder, `block${index}.ts`);
      await writeFile(file, runnableModuleOf(block, exported));
      const { results } = (await import(file)) as { results: readonly StatedResult[] };
      expect(results.length, `${block.page}:${block.line}`).toBeGreaterThan(0);
      for (const { line, actual, stated } of results) {
        expect(actual, `${block.page}:${line}`).toEqual(stated);
      }
    }
  });

  it('of the first page runs as it stands, and answers as the page says', async () => {
    const { url, keyPrefix } = redisForTest();
    const port = await freePort();
    vi.stubEnv('REDIS_URL', url);
    vi.stubEnv('CACHE_KEY_PREFIX', keyPrefix);
    vi.stubEnv('PORT', port);
    onTestFinished(() => void vi.unstubAllEnvs());
    const page = 'docs/start.md';
    const rows = (await readFile(join(ROOT, page), 'utf8')).matchAll(/\| +`?([^|`]*)`? +\| `(products; [^`]*)` +\|/g);
    const [first, second, renamed] = [...rows].map(([, body = '', header]) => [body.trim(), header]);

    Logger.overrideLogger(false);
    onTestFinished(() => Logger.overrideLogger(new ConsoleLogger()));
    const create = vi.spyOn(NestFactory, 'create');
    const folder = await emptyFolder('first-page');
    await writeFile(join(folder, 'main.ts'), blocks.find((block) => block.page === page)?.code ?? '');
    await import(join(folder, 'main.ts'));
    const app = (await create.mock.results[0]?.value) as INestApplication;
    onTestFinished(() => app.close());
    const get = async () => {
      const response = await fetch(`http://localhost:${port}/products/1`);
      const header = response.headers.get('cache-status') ?? '';
      return [await response.text(), header.replace(/ttl=29\d/, 'ttl=298')];
    };
    await vi.waitFor(get);
    await app.get(DistributedCache).getCache('products').clear();
    expect(await get()).toEqual(first);
    expect(await get()).toEqual([first?.[0], second?.[1]]);
    await fetch(`http://localhost:${port}/products/1?name=candle`, { method: 'PUT' });
    expect(await get()).toEqual(renamed);
  });

  it('takes the options from ConfigService, and the variables from a file that ConfigModule loads', async () => {
    const block = blocks.find(({ code }) => code.includes('inject: [ConfigService]'));
    const folder = await emptyFolder('config-service');
    await writeFile(join(folder, 'main.ts'), moduleOf(block!, await exportedNames()));
    const variables = { CACHE_MAX_MEMORY_MB: '7', APP_NAME: 'shop', SHARED_REDIS_URL: redisForTest().url };
    await writeFile(
      join(folder, '.env'),
      Object.entries(variables).map((pair) => `${pair.join('=')}\n`),
    );
    vi.spyOn(process, 'cwd').mockReturnValue(folder); // where ConfigModule looks for the file
    const { env } = process;
    process.env = { ...env };
    onTestFinished(() => {
      process.env = env;
    });
    const { AppModule } = (await import(join(folder, 'main.ts'))) as { AppModule: Type };
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
    onTestFinished(() => app.close());
    const { config } = app.get(DistributedCache);
    expect(config).toMatchObject({ keyPrefix: 'shop', ttlMs: 300_000, local: { maxBytes: 7 * 1024 * 1024 } });
    expect(config.namespace('users')).toMatchObject({ ttlMs: 300_000, graceMs: 3_600_000 });
  });

  it('leaves nothing out that a reader would have to invent', () => {
    const withGaps = blocks.filter(({ code }) => withoutComments(code).includes('…'));
    expect(withGaps.map(({ page, line }) => `${page}:${line}`)).toEqual([]);
  });
});
