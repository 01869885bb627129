import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { BuiltLibrary } from './support/built-library.js';

const TRACED_LIBRARY = pathToFileURL(resolve(import.meta.dirname, '../scripts/traced-library.mjs')).href;
const MAX_FILES = 8;

type Operation = 'getOrSet' | 'decorated' | 'miss';

/** The files whose functions each operation has run, in a process of its own over the Redis of the run. */
async function tracedFiles(): Promise<Record<Operation, string[]>> {
  const library = await BuiltLibrary.build();
  const options = { redis: { host: '127.0.0.1', port: inject('redisPort') }, keyPrefix: `test-${randomUUID()}` };
  const outcome = await library.runScript(`
    import { TracedLibrary } from '${TRACED_LIBRARY}';
    const library = await TracedLibrary.open('${library.addressOf('')}/', ${JSON.stringify(options)});
    const getOrSet = () => library.cache.getOrSet('key', async () => ({ text: 'loaded' }));
    const files = {
      miss: await library.trace(getOrSet),
      getOrSet: await library.traceLocalHit(getOrSet),
      decorated: await library.traceLocalHit(() => library.words.find('a')),
    };
    await library.close();
    const names = Object.entries(files).map(([operation, each]) => [operation, [...each.keys()]]);
    console.log(JSON.stringify(Object.fromEntries(names)));
  `);
  library.remove();
  expect(outcome).toEqual({ exitCode: 0, signal: null, output: expect.stringMatching(/^\{/) as unknown });
  return JSON.parse(outcome.output) as Record<Operation, string[]>;
}

const isRedis = (file: string): boolean => file.startsWith('redis/');

describe('a hit of L1', () => {
  let files: Record<Operation, string[]>;
  beforeAll(async () => void (files = await tracedFiles()), 60_000);

  it.each(['getOrSet', 'decorated'] as const)('runs no function of redis/: %s', (operation) => {
    expect(files[operation]).toContain('local/entry-store.js');
    expect(files[operation].filter(isRedis)).toEqual([]);
    expect(files.miss.filter(isRedis)).not.toEqual([]); // the trace sees the functions of redis/
  });

  it(`runs functions of ${MAX_FILES} files at most in getOrSet`, () => {
    expect(files.getOrSet.length).toBeLessThanOrEqual(MAX_FILES);
  });
});
