import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  ARROWS,
  CONTEXTS,
  ENTRY,
  MAX_CLASS_LINES,
  MAX_COLLABORATORS,
  MAX_FILES,
  MAX_LINES,
  MIN_LINES,
} from './support/architecture-rules.js';
import { checkArchitecture, type Sources } from './support/check-architecture.js';
import { overgrownClasses, slivers, tooLongFiles } from './support/source-shape.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function readTree(folder: string): Map<string, string> {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => path.split(sep).join('/'))
    .filter((path) => /\.(ts|mts|cts|tsx)$/.test(path) && !/(^|\/)(node_modules|dist)\//.test(path));
  return new Map(files.map((path) => [path, readFileSync(join(ROOT, folder, path), 'utf8')]));
}

const isTest = (path: string) => /\.(spec|test-d)\.ts$/.test(path);

describe('the library', () => {
  const sources = new Map([...readTree('libs/distributed-cache/src')].filter(([path]) => !isTest(path)));

  it('follows the import rules, the packages of each folder, the file lengths and the rules for commands', () => {
    expect(checkArchitecture(sources)).toEqual([]);
  });

  it('has no file that is too short, no class that is too long or has too many collaborators', () => {
    expect([...slivers(sources), ...overgrownClasses(sources)]).toEqual([]);
  });

  it(`has ${MAX_FILES} files at most without http/, ops/, warm/, relay/, cli/ and dashboard/`, () => {
    const files = [...sources.keys()].filter((path) => !/^(http|ops|warm|relay|cli|dashboard)\//.test(path));
    expect(files.length).toBeGreaterThan(0);
    expect(files.length).toBeLessThanOrEqual(MAX_FILES);
  });

  it('has the folders that every entry needs', () => {
    const folders = new Set([...sources.keys()].map((path) => path.split('/')[0]));
    expect([...folders]).toEqual(expect.arrayContaining(['config', 'core', 'local', 'redis', 'nest', 'health', ENTRY]));
  });

  it.each([
    'libs/distributed-cache/src',
    'libs/distributed-cache/schematics',
    'libs/distributed-cache/monitoring',
    'apps',
    'bench',
    'test',
  ])('has no file of %s over the limit, specs included', (folder) => {
    const files = readTree(folder);
    expect(files.size).toBeGreaterThan(0);
    expect(tooLongFiles(files)).toEqual([]);
  });
});

describe('checkArchitecture', () => {
  const sourcesOf = (files: Record<string, string>): Sources => new Map(Object.entries(files));
  const target = 'export const x = 1;';

  it('reports that it was given no file', () => {
    expect(checkArchitecture(sourcesOf({}))).toEqual(['no source file was read']);
  });

  it('reports nothing for sources in order', () => {
    const files = sourcesOf({
      'index.ts': "export * from './nest/index.js';\nexport * from './core/index.js';",
      'nest/index.ts': "import { Module } from '@nestjs/common';\nimport type { Cache } from 'cache-manager';\n",
      'core/index.ts':
        "import type { X } from '../redis/x.js'; for (const key of Object.keys({}) && new Map().keys());",
      'redis/x.ts': "import { Redis } from 'ioredis'; // never FLUSHDB\nconst lua = `redis.call('GET', KEYS[1])`;",
      'metrics/prometheus/index.ts': "import { Counter } from 'prom-client';",
    });
    expect(checkArchitecture(files)).toEqual([]);
  });

  it.each([
    ['import', "import { x } from '../core/x.js';"],
    ['import type', "import type { x } from '../core/x.js';"],
    ['import for its effect', "import '../core/x.js';"],
    ['export from', "export { x } from '../core/x.js';"],
    ['export all', "export * from '../core/x.js';"],
    ['dynamic import', "const load = () => import('../core/x.js');"],
    ['type of an import', "export type X = import('../core/x.js').X;"],
  ])('finds a forbidden import in an %s', (_form, text) => {
    const files = sourcesOf({ 'local/a.ts': `\n${text}`, 'core/x.ts': target });
    expect(checkArchitecture(files)).toEqual(['local/a.ts:2: local may not import core (core/x.ts)']);
  });

  it('forbids every import that is not in the table', () => {
    const folders = Object.keys(ARROWS).filter((folder) => folder !== ENTRY);
    const forbidden = folders.flatMap((from) =>
      folders.filter((to) => to !== from && !ARROWS[from]?.includes(to)).map((to) => [from, to]),
    );
    for (const [from, to] of forbidden) {
      const files = sourcesOf({ [`${from}/a.ts`]: `import '../${to}/x.js';`, [`${to}/x.ts`]: target });
      expect(checkArchitecture(files)).toEqual([`${from}/a.ts:1: ${from} may not import ${to} (${to}/x.ts)`]);
    }
    expect(forbidden.length).toBeGreaterThan(100);
  });

  it('lets no folder import the entry, and the entry import only its own parts', () => {
    const files = sourcesOf({
      'index.ts': "import './health/x.js';",
      'health/x.ts': target,
      'nest/a.ts': "import '../index.js';",
    });
    expect(checkArchitecture(files)).toEqual([
      'index.ts:1: index.ts may not import health (health/x.ts)',
      'nest/a.ts:1: nest may not import index.ts (index.ts)',
    ]);
  });

  it('reports an unknown folder and an import of a missing file', () => {
    const files = sourcesOf({ 'helpers/a.ts': "import './b.js';" });
    expect(checkArchitecture(files)).toEqual([
      'helpers/a.ts: helpers is no known folder',
      'helpers/a.ts:1: imports helpers/b.ts, which is not a file of src',
    ]);
  });

  it.each([
    ['core', '@nestjs/common'],
    ['metrics', '@nestjs/core/injector'],
    ['nest', '@nestjs/terminus'],
    ['core', 'rxjs'],
    ['core', 'rxjs/operators'],
    ['core', 'ioredis'],
    ['nest', 'cache-manager-ioredis-yet'],
    ['core', 'cache-manager'],
    ['redis', 'keyv'],
    ['metrics', 'prom-client'],
    ['nest', 'nestjs-distributed-cache/core'],
  ])('forbids %s to import %s', (folder, specifier) => {
    const complaints = checkArchitecture(sourcesOf({ [`${folder}/a.ts`]: `import type { X } from '${specifier}';` }));
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(new RegExp(`^${folder}/a\\.ts:1: .* may be imported in .* only$`));
  });

  it('finds import cycles, also through types and within one folder', () => {
    const files = sourcesOf({
      'core/a.ts': "import './b.js';",
      'core/b.ts': "export type { C } from './c.js';",
      'core/c.ts': "import type { A } from './a.js';",
      'core/outside.ts': "import './a.js';",
    });
    expect(checkArchitecture(files)).toEqual([
      'core/a.ts: import cycle core/a.ts -> core/b.ts -> core/c.ts -> core/a.ts',
    ]);
  });

  it('finds files over the limit', () => {
    const lines = (count: number) => Array.from({ length: count }, () => '// line').join('\n');
    expect(checkArchitecture(sourcesOf({ 'core/a.ts': `${lines(MAX_LINES)}\n` }))).toEqual([]);
    expect(checkArchitecture(sourcesOf({ 'core/a.ts': lines(MAX_LINES + 1) }))).toEqual([
      `core/a.ts: ${MAX_LINES + 1} lines, the limit is ${MAX_LINES}`,
    ]);
  });

  it.each([
    'client.flushdb();',
    "client.call('FLUSHALL');",
    "pipeline([['flushdb']]);",
    "await this.client.keys('prefix:*');",
    'client.keysBuffer(pattern);',
    "client.call('KEYS', pattern);",
    "new Command('keys', [pattern]);",
    'const lua = `return redis.call("KEYS", ARGV[1])`;',
    "const lua = `local n = ${size} redis.pcall('flushall')`;",
  ])('finds the forbidden command in %s', (text) => {
    const complaints = checkArchitecture(sourcesOf({ 'redis/a.ts': text }));
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toMatch(/^redis\/a\.ts:1: .* looks at keys that are not ours$/);
  });
});

describe('the shape of the source', () => {
  const lines = (count: number) => Array.from({ length: count }, () => '// line').join('\n');

  it('finds files under the limit, except the index of a folder', () => {
    const files: Sources = new Map([
      ['core/a.ts', lines(MIN_LINES)],
      ['core/b.ts', `${lines(MIN_LINES - 1)}\n`],
      ['core/index.ts', lines(1)],
    ]);
    expect(slivers(files)).toEqual([`core/b.ts: ${MIN_LINES - 1} lines, the least is ${MIN_LINES}`]);
  });

  it('finds classes over the limit', () => {
    const classOf = (count: number) => `class Large {\n${lines(count - 2)}\n}\n`;
    expect(overgrownClasses(new Map([['core/a.ts', classOf(MAX_CLASS_LINES)]]))).toEqual([]);
    expect(overgrownClasses(new Map([['core/a.ts', classOf(MAX_CLASS_LINES + 1)]]))).toEqual([
      `core/a.ts: class Large has ${MAX_CLASS_LINES + 1} lines, the limit is ${MAX_CLASS_LINES}`,
    ]);
  });

  it('counts the collaborators of a constructor: classes, interfaces with methods, bundles; no data', () => {
    const types = `class Tier {} interface Listener { onLost(): void } interface Bundle { readonly tier: Tier | undefined }
      interface Limits { readonly maxBytes: number } ${CONTEXTS.map((type) => `class ${type} {}`).join(' ')}`;
    const needing = (count: number) => {
      const tiers = Array.from({ length: count - 2 }, (_, index) => `private readonly tier${index}: Tier | undefined`);
      const others = ['listener: Listener', 'bundle: Bundle', 'limits: Limits', 'name: string', 'now: () => number'];
      const context = CONTEXTS.map((type, index) => `context${index}: ${type}`);
      return new Map([
        ['core/a.ts', `${types}\nclass Needy { constructor(${[...tiers, ...others, ...context].join(', ')}) {} }`],
      ]);
    };
    expect(overgrownClasses(needing(MAX_COLLABORATORS))).toEqual([]);
    expect(overgrownClasses(needing(MAX_COLLABORATORS + 1))).toEqual([
      `core/a.ts: class Needy has ${MAX_COLLABORATORS + 1} collaborators (Tier, Tier, Tier, Tier, Listener, Bundle), the limit is ${MAX_COLLABORATORS}`,
    ]);
  });
});
