import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { BuiltLibrary } from './support/built-library.js';

const TRACED_LIBRARY = pathToFileURL(resolve(import.meta.dirname, '../scripts/traced-library.mjs')).href;
const MAX_FILES = 7;
/** A warm miss passes about 64; a message of Redis or a timer that falls into it adds a few. */
const MAX_FILES_OF_MISS = 68;

type Operation = 'getOrSet' | 'decorated' | 'firstMiss' | 'miss';

/** The files whose functions each operation has run, in a process of its own over the Redis of the run. */
async function tracedFiles(library: BuiltLibrary): Promise<Record<Operation, string[]>> {
  const options = { redis: { host: '127.0.0.1', port: inject('redisPort') }, keyPrefix: `test-${randomUUID()}` };
  const outcome = await library.runScript(`
    import { TracedLibrary } from '${TRACED_LIBRARY}';
    const library = await TracedLibrary.open('${library.addressOf('')}/', ${JSON.stringify(options)});
    const getOrSet = () => library.cache.getOrSet('key', async () => ({ text: 'loaded' }));
    const miss = (name) => library.cache.getOrSet(name, async () => ({ text: 'loaded' }));
    const firstMiss = await library.trace(getOrSet);
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await miss(name);
    }
    const files = {
      firstMiss,
      miss: await library.trace(() => miss('f')),
      getOrSet: await library.traceLocalHit(getOrSet),
      decorated: await library.traceLocalHit(() => library.words.find('a')),
    };
    await library.close();
    const names = Object.entries(files).map(([operation, each]) => [operation, [...each.keys()]]);
    console.log(JSON.stringify(Object.fromEntries(names)));
  `);
  expect(outcome).toEqual({ exitCode: 0, signal: null, output: expect.stringMatching(/^\{/) as unknown });
  return JSON.parse(outcome.output) as Record<Operation, string[]>;
}

const isRedis = (file: string): boolean => file.startsWith('redis/');

let library: BuiltLibrary;
let files: Record<Operation, string[]>;
beforeAll(async () => {
  library = await BuiltLibrary.build();
  files = await tracedFiles(library);
}, 60_000);
afterAll(() => library.remove());

describe('a hit of L1', () => {
  it.each(['getOrSet', 'decorated'] as const)('runs no function of redis/: %s', (operation) => {
    expect(files[operation]).toContain('local/entry-store.js');
    expect(files[operation].filter(isRedis)).toEqual([]);
    expect(files.firstMiss.filter(isRedis)).not.toEqual([]); // the trace sees the functions of redis/
  });

  it(`runs functions of ${MAX_FILES} files at most in getOrSet`, () => {
    expect(files.getOrSet.length).toBeLessThanOrEqual(MAX_FILES);
  });
});

it('a hit of L1 is an own copy in a process that may not compile text', async () => {
  const script = `
    import { createDistributedCache } from '${library.addressOf('core/index.js')}';
    const cache = (await createDistributedCache({ redis: false })).getCache('rows');
    const load = async () => [{ id: 1, owner: { name: 'Ada' } }];
    for (let call = 0; call < 10; call++) {
      const [row] = await cache.getOrSet('key', load);
      row.id++;
      row.owner.name += '!';
    }
    console.log(JSON.stringify(await cache.get('key')));
  `;
  const outcome = await library.runScript(script, { NODE_OPTIONS: '--disallow-code-generation-from-strings' });
  expect(outcome).toEqual({ exitCode: 0, signal: null, output: '[{"id":1,"owner":{"name":"Ada"}}]\n' });
});

describe('a miss', () => {
  it(`runs functions of ${MAX_FILES_OF_MISS} files at most, once connections, stamps and scripts are in place`, () => {
    expect(files.miss).toContain('core/load.js');
    expect(files.miss.length).toBeLessThanOrEqual(MAX_FILES_OF_MISS);
  });
});

it('an entry of L1 takes the memory that L1 counts for it, within a third', async () => {
  const outcome = await library.runScript(`
    import { setFlagsFromString } from 'node:v8';
    import { runInNewContext } from 'node:vm';
    import { LocalCache } from '${library.addressOf('local/index.js')}';
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc');
    const heapBytes = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const shapes = {
      pairs: (seed) => Array.from({ length: 500 }, (_, at) => [at, 'text ' + seed + at]),
      records: (seed) => Array.from({ length: 100 }, (_, id) => ({ id, name: 'the name of ' + seed + id })),
      'a record of many properties': (seed) => Object.fromEntries(Array.from({ length: 200 }, (_, at) => ['field' + at, seed])),
    };
    const ratios = [];
    for (const [name, make] of Object.entries(shapes)) {
      const cache = new LocalCache();
      const keep = (seed) => cache.set('key ' + seed, JSON.parse(JSON.stringify(make(seed))), { ttlMs: 60_000 });
      Array.from({ length: 20 }, (_, seed) => keep(-1 - seed)); // its hidden classes and compiled code
      const [bytesBefore, before] = [cache.usedBytes, await heapBytes()];
      Array.from({ length: 200 }, (_, seed) => keep(1000 + seed));
      ratios.push([name, (cache.usedBytes - bytesBefore) / ((await heapBytes()) - before)]);
    }
    console.log(JSON.stringify(ratios));
    process.exit();
  `);
  const ratios = JSON.parse(outcome.output) as [string, number][];
  expect(ratios).toHaveLength(3);
  expect(ratios.filter(([, ratio]) => ratio < 0.67 || ratio > 1.5)).toEqual([]);
}, 30_000);
