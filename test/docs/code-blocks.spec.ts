import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { redisForTest } from '../support/redis-for-test.js';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const PRELUDE = '../../test/docs/prelude.js';

/** The modules from which a code block may use names without an import, apart from the types of the prelude. */
const MODULES: readonly string[] = [
  'nestjs-distributed-cache',
  '@keyv/redis',
  '@nestjs/cache-manager',
  '@nestjs/common',
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

  it('of the first page runs as it stands: the second request is answered by the cache', async () => {
    const { url, keyPrefix } = redisForTest();
    vi.stubEnv('REDIS_URL', url);
    vi.stubEnv('CACHE_KEY_PREFIX', keyPrefix);
    onTestFinished(() => void vi.unstubAllEnvs());
    const sample = blocks.find(({ page, code }) => page === 'README.md' && code.includes('AppModule'));
    const folder = await emptyFolder('readme-sample');
    await writeFile(join(folder, 'sample.ts'), sample?.code ?? '');
    const { AppModule } = (await import(join(folder, 'sample.ts'))) as { AppModule: Type };
    const app = await NestFactory.create(AppModule, { logger: false });
    onTestFinished(() => app.close());
    await app.listen(0, '127.0.0.1');
    const get = async (path: string) => {
      const response = await fetch(`${await app.getUrl()}${path}`);
      return [await response.json(), response.headers.get('cache-status')];
    };
    expect(await get('/products/1')).toEqual([{ id: '1', name: 'lamp' }, expect.stringContaining('fwd=miss')]);
    expect(await get('/products/1')).toEqual([{ id: '1', name: 'lamp' }, expect.stringContaining('hit')]);
    await fetch(`${await app.getUrl()}/products/1?name=desk`, { method: 'PUT' });
    expect(await get('/products/1')).toEqual([{ id: '1', name: 'desk' }, expect.stringContaining('fwd=miss')]);
    expect(await get('/keywords/lamp')).toEqual([['lamp shade', 'lamp stand'], expect.stringContaining('fwd=miss')]);
  });

  it('leaves nothing out that a reader would have to invent', () => {
    const withGaps = blocks.filter(({ code }) => withoutComments(code).includes('…'));
    expect(withGaps.map(({ page, line }) => `${page}:${line}`)).toEqual([]);
  });
});

it('every link of README.md and docs/ leads to a file', async () => {
  for (const page of await pagesOfDocs()) {
    const text = await readFile(join(ROOT, page), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      expect(existsSync(join(ROOT, dirname(page), target)), `${page}: ${target}`).toBe(true);
    }
  }
});
