import { type } from 'arktype';
import * as valibot from 'valibot';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions, NamespaceOptions, StandardSchemaV1 } from '../config/index.js';
import type { CacheEventMap } from '../events/index.js';
import type { AsyncCache } from './async-cache.js';
import type { CacheEnvironment, DistributedCache } from './distributed-cache.js';

interface Pod {
  readonly cache: AsyncCache;
  readonly whole: DistributedCache;
  readonly mismatches: CacheEventMap['schemaMismatch'][];
}

/** Processes of one application over one Redis, each with its own options of the namespace `users`. */
async function podsWith(options: readonly NamespaceOptions[], environment?: CacheEnvironment): Promise<Pod[]> {
  const { url, keyPrefix } = redisForTest();
  return Promise.all(
    options.map(async (users) => {
      const all: DistributedCacheOptions = { redis: { url }, keyPrefix, namespaces: { users } };
      const whole = cacheForTest(all, environment);
      await whole.connect();
      const mismatches: CacheEventMap['schemaMismatch'][] = [];
      whole.events.on('schemaMismatch', (event) => mismatches.push(event));
      return { cache: whole.getCache('users'), whole, mismatches };
    }),
  );
}

class Person {
  name = 'Ada';
}

/** A schema that comes from no library, for cases that no library has. */
function schemaOf(validate: StandardSchemaV1['~standard']['validate']): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

const isPerson = (value: unknown) => typeof (value as { name?: unknown } | undefined)?.name === 'string';
const person = schemaOf((value) => (isPerson(value) ? { value } : { issues: [{ message: 'no name' }] }));

const LIBRARIES: readonly [string, StandardSchemaV1][] = [
  ['zod', z.object({ name: z.string() })],
  ['valibot', valibot.object({ name: valibot.string() })],
  ['arktype', type({ name: 'string' })],
  [
    'an asynchronous schema',
    schemaOf(async (value) => (isPerson(value) ? { value } : { issues: [{ message: 'no name' }] })),
  ],
  [
    'a schema that throws',
    schemaOf((value) => {
      if (!isPerson(value)) {
        throw new Error('no name');
      }
      return { value };
    }),
  ],
  [
    'a schema that rejects',
    schemaOf(async (value) => {
      if (!isPerson(value)) {
        throw new Error('no name');
      }
      return { value };
    }),
  ],
  [
    'a schema that resolves with an invalid result',
    schemaOf(async (value) => (isPerson(value) ? { value } : (undefined as never))),
  ],
  [
    'a schema that returns an invalid result',
    schemaOf((value) => (isPerson(value) ? { value } : (undefined as never))),
  ],
];

describe('schema', () => {
  it.each(LIBRARIES)(
    'turns a value from Redis that does not match into a miss, in every reading method: %s',
    async (_, schema) => {
      const [writer, reader] = (await podsWith([{}, { schema }])) as [Pod, Pod];
      await writer.cache.setMany([
        ['bad', { nom: 'Ada' }],
        ['good', { name: 'Ada' }],
      ]);
      const { cache } = reader;
      expect(await cache.get('bad')).toBeUndefined();
      expect(await cache.lookup('bad')).toEqual({ state: 'miss' });
      expect(await cache.has('bad')).toBe(false);
      expect(await cache.getMany(['bad', 'good'])).toEqual([undefined, { name: 'Ada' }]);
      expect(await cache.get('good')).toEqual({ name: 'Ada' });
      expect(await cache.getOrSet('bad', async () => ({ name: 'Grace' }))).toEqual({ name: 'Grace' });
      await vi.waitFor(async () => expect(await writer.cache.get('bad')).toEqual({ name: 'Grace' }));
    },
  );

  it('counts one mismatch per lookup, and reports it without the value', async () => {
    const [writer, reader] = (await podsWith([{}, { schema: person }])) as [Pod, Pod];
    await writer.cache.set('key', { secret: 'x' });
    await reader.cache.getOrSet('key', async () => ({ name: 'Ada' }));
    expect(reader.mismatches).toEqual([{ namespace: 'users', key: 'key', during: 'read', cause: 'issues' }]);
    expect(reader.cache.getMetrics()).toMatchObject({ schemaMismatches: 1, misses: 1, errors: 0, loads: 1 });
    expect(JSON.parse(JSON.stringify(reader.cache.getMetrics()))).toMatchObject({ schema_mismatches: 1 });
  });

  it('returns the output of the schema', async () => {
    const schema = z.object({ name: z.string(), role: z.string().default('reader') });
    const [writer, reader] = (await podsWith([{}, { schema }])) as [Pod, Pod];
    await writer.cache.set('key', { name: 'Ada', unknown: 1 });
    expect(await reader.cache.get('key')).toEqual({ name: 'Ada', role: 'reader' });
    expect(await reader.cache.get('key')).toEqual({ name: 'Ada', role: 'reader' });
  });

  it('and migrate may change the value in place: L1 keeps the result, and no reader can change it', async () => {
    const dated = (value: unknown) => Object.assign(value as object, { at: new Date(0) });
    const schema = schemaOf((value) => ({ value: dated(value) }));
    const pods = await podsWith([{ version: 1 }, { version: 1, schema }, { version: 2, migrate: dated }]);
    await pods[0]?.cache.set('key', { name: 'Ada', about: 'x'.repeat(1000) });
    for (const { cache } of pods.slice(1)) {
      const read = async () => ((await cache.get('key')) as { at: Date }).at;
      (await read()).setFullYear(1800);
      (await read()).setFullYear(1900);
      expect(await read()).toEqual(new Date(0));
      expect(cache.getMetrics()).toMatchObject({ hits: 3, misses: 0 });
    }
  });

  it('does not return a stale value that does not match when the loader fails', async () => {
    const [writer, reader] = (await podsWith([{ grace: '1h' }, { grace: '1h', schema: person }])) as [Pod, Pod];
    await writer.cache.set('key', { nom: 'Ada' });
    await writer.cache.expire('key');
    const failing = reader.cache.getOrSet('key', async () => {
      throw new Error('down');
    });
    await expect(failing).rejects.toThrow('down');
  });

  it('of one call takes precedence over that of the namespace, and L1 keeps no value that it rejects', async () => {
    const [writer, reader] = (await podsWith([{}, { schema: person }])) as [Pod, Pod];
    await writer.cache.set('key', { name: 'Ada' });
    const schema = z.object({ name: z.literal('Grace') });
    const load = vi.fn(async () => ({ name: 'Grace' }));
    expect(await reader.cache.getOrSet('key', load, { schema })).toEqual({ name: 'Grace' });
    expect(load).toHaveBeenCalledTimes(1);
    await writer.cache.set('other', { any: 1 });
    expect(await reader.cache.getOrSet('other', load, { schema: z.object({ any: z.number() }) })).toEqual({ any: 1 });
  });

  it('checks a value before it is stored only with validate: both; the value is returned, not cached', async () => {
    const [both, readOnly] = (await podsWith([{ schema: person, validate: 'both' }, { schema: person }])) as [Pod, Pod];
    const bad = async () => ({ nom: 'Ada' });
    expect(await both.cache.getOrSet('key', bad)).toEqual({ nom: 'Ada' });
    expect(both.mismatches).toEqual([{ namespace: 'users', key: 'key', during: 'store', cause: 'issues' }]);
    expect(await both.cache.get('key')).toBeUndefined();
    expect(await both.cache.set('key', { nom: 'Ada' })).toBe(false);
    expect(await both.cache.set('key', { name: 'Ada' })).toBe(true);
    expect(await both.cache.get('key')).toEqual({ name: 'Ada' });
    expect(await readOnly.cache.getOrSet('other', bad)).toEqual({ nom: 'Ada' });
    expect(await readOnly.cache.get('other')).toEqual({ nom: 'Ada' });
    expect(await readOnly.cache.getOrSet('third', bad, { validate: 'both' })).toEqual({ nom: 'Ada' });
    expect(await readOnly.cache.get('third')).toBeUndefined();
  });

  describe.each<[string, () => unknown]>([
    ['an instance', () => new Person()],
    ['an instance within data', () => ({ rows: [new Map([['first', { person: new Person() }]])], all: new Set([1]) })],
  ])('that makes a plain object of %s', (_title, make) => {
    const row = z.object({ name: z.string() });
    const schema = z.union([
      row,
      z.object({ rows: z.array(z.map(z.string(), z.object({ person: row }))), all: z.set(z.number()) }),
    ]);

    it('counts as a mismatch: no caller gets an object without its class', async () => {
      const [writer, reader] = (await podsWith([{}, { schema }])) as [Pod, Pod];
      await writer.cache.set('key', make());
      await reader.cache.set('another', make()); // makes the class known
      expect(await reader.cache.getOrSet('key', make)).toStrictEqual(make());
      expect(reader.mismatches).toEqual([{ namespace: 'users', key: 'key', during: 'read', cause: 'class' }]);
    });

    it('keeps it from being stored with validate: both', async () => {
      const [both] = (await podsWith([{ schema, validate: 'both' }])) as [Pod];
      expect(await both.cache.getOrSet('key', make)).toStrictEqual(make());
      expect(await both.cache.get('key')).toBeUndefined();
      expect(both.mismatches).toEqual([{ namespace: 'users', key: 'key', during: 'store', cause: 'class' }]);
    });
  });

  it('that keeps the class of an instance, or removes the property that holds it, is none', async () => {
    const keeping = z.object({
      person: z.instanceof(Person),
      left: z.optional(z.undefined()),
      at: z.date().transform(String),
    });
    const [writer, reader] = (await podsWith([{}, { schema: keeping }])) as [Pod, Pod];
    await reader.cache.set('another', new Person(), { schema: z.any() });
    await writer.cache.set('key', { person: new Person(), removed: new Person(), at: new Date(0) });
    expect(await reader.cache.get('key')).toStrictEqual({ person: new Person(), at: String(new Date(0)) });
    expect(reader.mismatches).toEqual([]);
  });

  it('delays a call no longer than the deadline', async () => {
    const { url, keyPrefix } = redisForTest();
    const schema = schemaOf(() => new Promise(() => {}));
    const options: DistributedCacheOptions = { redis: { url }, keyPrefix, deadlineMs: 80 };
    const writer = cacheForTest(options).getCache('users');
    const reader = cacheForTest({ ...options, namespaces: { users: { schema } } }).getCache('users');
    // On a busy machine Redis itself may not answer within this deadline.
    await vi.waitFor(async () => expect(await writer.set('key', { name: 'Ada' })).toBe(true));
    await vi.waitFor(async () => {
      expect(await reader.get('key')).toBeUndefined();
      expect(reader.getMetrics().schemaMismatches).toBeGreaterThan(0);
    });
    expect(await reader.getOrSet('key', async () => 'loaded')).toBe('loaded');
  });

  it('rejects an option that is not a schema, at the start', () => {
    for (const users of [
      { schema: {} },
      { schema: () => true },
      { validate: 'write' },
      { version: {} },
      { migrate: 1 },
    ]) {
      expect(() => cacheForTest({ redis: false, namespaces: { users: users as NamespaceOptions } })).toThrow(
        `namespaces.users.${Object.keys(users)[0]}`,
      );
    }
  });
});

describe('version', () => {
  it.each<[NamespaceOptions, NamespaceOptions]>([
    [{ version: 1 }, { version: 2 }],
    [{ version: 2 }, { version: 1 }],
    [{ version: 1 }, { version: '1' }],
    [{}, { version: 1 }],
    [{ version: 'a' }, {}],
  ])('turns an entry of %j into a miss for %j, which stores its own entry at once', async (before, after) => {
    const [old, young, another] = (await podsWith([before, after, after])) as [Pod, Pod, Pod];
    await old.cache.getOrSet('key', async () => 'old');
    expect(await young.cache.get('key')).toBeUndefined();
    expect(await young.cache.getOrSet('key', async () => 'young')).toBe('young');
    expect(await another.cache.get('key')).toBe('young');
    await vi.waitFor(async () => expect(await old.cache.get('key')).toBeUndefined());
    expect(young.mismatches).toEqual([]);
  });

  it('stays with an entry for all ways of writing and all tags', async () => {
    const [one, other] = (await podsWith([
      { version: 1, grace: '1h' },
      { version: 1, grace: '1h' },
    ])) as [Pod, Pod];
    await one.cache.set('key', 'value', { tags: ['t'] });
    expect(await other.cache.get('key')).toBe('value');
    await one.cache.expire('key');
    await vi.waitFor(async () =>
      expect(await other.cache.lookup('key')).toMatchObject({ state: 'stale', value: 'value' }),
    );
    await one.cache.getOrSet('key', async () => 'loaded', { tags: ['t'] });
    await vi.waitFor(async () => expect(await other.cache.get('key')).toBe('loaded'));
    await one.cache.invalidateTags('t');
    await vi.waitFor(async () => expect(await other.cache.get('key')).toBeUndefined());
  });

  it('lets two versions load side by side without overwriting each other at every read', async () => {
    const [old, young] = (await podsWith([{ version: 1 }, { version: 2 }])) as [Pod, Pod];
    const loads = { old: vi.fn(async () => 'old'), young: vi.fn(async () => 'young') };
    for (let round = 0; round < 10; round += 1) {
      expect(await old.cache.getOrSet('key', loads.old)).toBe('old');
      expect(await young.cache.getOrSet('key', loads.young)).toBe('young');
    }
    const sets = old.cache.getMetrics().sets + young.cache.getMetrics().sets;
    expect(loads.old.mock.calls.length + loads.young.mock.calls.length).toBeLessThanOrEqual(6);
    expect(sets).toBeLessThanOrEqual(6);
  });

  it('is upgraded by migrate, which receives the old version; L1 has the result, Redis is unchanged', async () => {
    const migrate = vi.fn((value: unknown, from: string | number | undefined) => ({ name: value, from }));
    const [unversioned, old, young] = (await podsWith([
      {},
      { version: 1 },
      { version: 2, migrate, schema: person },
    ])) as [Pod, Pod, Pod];
    await unversioned.cache.set('none', 'Ada');
    await old.cache.set('one', 'Grace');
    await young.cache.set('two', { name: 'Barbara' });
    expect(await young.cache.get('none')).toEqual({ name: 'Ada' });
    expect(await young.cache.get('one')).toEqual({ name: 'Grace', from: 1 });
    expect(await young.cache.get('one')).toEqual({ name: 'Grace', from: 1 });
    expect(await young.cache.get('two')).toEqual({ name: 'Barbara' });
    expect(migrate).toHaveBeenCalledTimes(2);
    expect(await old.cache.get('one')).toBe('Grace');
  });

  it.each<[string, NamespaceOptions['migrate']]>([
    [
      'throws',
      () => {
        throw new Error('unknown shape');
      },
    ],
    ['rejects', () => Promise.reject(new Error('unknown shape'))],
    ['returns a value that the schema rejects', () => ({ nom: 1 })],
  ])('counts a miss where migrate %s', async (_name, migrate) => {
    const [old, young] = (await podsWith([{ version: 1 }, { version: 2, migrate, schema: person }])) as [Pod, Pod];
    await old.cache.set('key', 'Ada');
    expect(await young.cache.getOrSet('key', async () => ({ name: 'Ada' }))).toEqual({ name: 'Ada' });
    expect(young.mismatches).toHaveLength(1);
    expect(young.cache.getMetrics()).toMatchObject({ schemaMismatches: 1, errors: 0 });
  });
});
