import { Injectable } from '@nestjs/common';
import { describe, expect, it, vi, expectTypeOf } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { DistributedCache, type CacheEventMap } from '../../core/index.js';
import { Cached } from './cached.decorator.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachedMany, type CachedManyOptions } from './cached-many.decorator.js';

interface Book {
  readonly id: number;
  readonly title: string;
}

const asked = vi.fn<(ids: readonly number[], language: string) => void>();

@Injectable()
class Books {
  @CachedMany({ namespace: 'books', key: (id: number, language: string) => `${language}:${id}` })
  async findAll(ids: readonly number[], language: string): Promise<Book[]> {
    asked(ids, language);
    return ids.map((id) => ({ id, title: `${language} ${id}` }));
  }

  @Cached({
    namespace: 'books',
    key: (id: number, language: string) => `${language}:${id}`,
    tags: (id: number) => [`book:${id}`],
  })
  async find(id: number, language: string): Promise<Book> {
    asked([id], language);
    return { id, title: `${language} ${id}` };
  }

  @CacheEvict({ namespace: 'books', tags: (id: number) => [`book:${id}`] })
  async rename(_id: number): Promise<void> {}

  @CachedMany({ namespace: 'books', key: (id: number) => String(id) })
  async findLoosely(ids: readonly number[]): Promise<Book[]> {
    return ids.map((id) => ({ id, title: '' }));
  }
}

async function books(): Promise<Books> {
  const app = await nestForTest({ cache: { redis: false }, providers: [Books] });
  asked.mockClear();
  return app.get(Books);
}

describe('@CachedMany', () => {
  it('runs the method for the missing items only, and returns all results in order', async () => {
    const service = await books();
    await service.find(2, 'en');
    asked.mockClear();
    expect((await service.findAll([3, 2, 1, 3], 'en')).map(({ id }) => id)).toEqual([3, 2, 1, 3]);
    expect(asked.mock.calls).toEqual([[[3, 1], 'en']]);
    expect((await service.findAll([1, 3], 'en')).map(({ id }) => id)).toEqual([1, 3]);
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it('distinguishes calls by their further arguments', async () => {
    const service = await books();
    await service.findAll([1], 'en');
    expect(await service.findAll([1], 'de')).toEqual([{ id: 1, title: 'de 1' }]);
  });

  it('runs the method as written for an argument that is not a list', async () => {
    const service = await books();
    await expect(service.findLoosely('12' as unknown as number[])).rejects.toThrow('ids.map is not a function');
    expect(await service.findLoosely(new Uint8Array([1]) as unknown as number[])).toHaveLength(1);
  });
});

describe('tags in decorators', () => {
  it('evict the entries of the methods that carry them', async () => {
    const service = await books();
    await service.find(1, 'en');
    await service.find(1, 'de');
    await service.find(2, 'en');
    await service.rename(1);
    asked.mockClear();
    await service.find(1, 'en');
    await service.find(1, 'de');
    await service.find(2, 'en');
    expect(asked.mock.calls).toEqual([
      [[1], 'en'],
      [[1], 'de'],
    ]);
  });

  it('takes `tags` of the call, which all of its entries get', async () => {
    @Injectable()
    class Labels {
      runs = 0;
      @CachedMany({
        namespace: 'labels',
        key: (id: number, locale: string) => `${locale}:${id}`,
        tags: (_ids: readonly number[], locale: string) => [locale],
      })
      async labels(ids: readonly number[], _locale: string): Promise<number[]> {
        return ids.map(() => ++this.runs);
      }
    }
    const module = await nestForTest({ providers: [Labels] });
    const labels = module.get(Labels);
    expect([await labels.labels([1, 2], 'de'), await labels.labels([1], 'en')]).toEqual([[1, 2], [3]]);
    await module.get(DistributedCache).getCache('labels').invalidateTags('de');
    expect([await labels.labels([2], 'de'), await labels.labels([1], 'en')]).toEqual([[4], [3]]);
  });
});

interface Row {
  readonly id: number;
  readonly name: string;
}

const TABLE: readonly Row[] = [1, 2, 3, 4].map((id) => ({ id, name: `row ${id}` }));
const key = (id: number) => `row:${id}`;

/** `SELECT … WHERE id IN (…)`: the rows that exist, in the order of the table. */
const rowsIn = (ids: readonly number[]) => TABLE.filter(({ id }) => ids.includes(id));

@Injectable()
class Rows {
  asked: (readonly number[])[] = [];

  @CachedMany({ namespace: 'rows', key, by: ({ id }: Row) => id })
  async by(ids: readonly number[]): Promise<Row[]> {
    this.asked.push(ids);
    return rowsIn(ids);
  }

  @CachedMany({ namespace: 'rows', key, returns: 'map' })
  async map(ids: readonly number[]): Promise<Map<number, Row>> {
    this.asked.push(ids);
    return new Map(rowsIn(ids).map((row) => [row.id, row]));
  }

  @CachedMany({ namespace: 'rows', key })
  async positions(ids: readonly number[]): Promise<Row[]> {
    this.asked.push(ids);
    return rowsIn(ids);
  }

  @CachedMany({ namespace: 'rows', key })
  async mapByMistake(ids: readonly number[]): Promise<Map<number, Row>> {
    this.asked.push(ids);
    return new Map(rowsIn(ids).map((row) => [row.id, row]));
  }

  @CachedMany({ namespace: 'rows', key })
  async withErrors(ids: readonly number[]): Promise<(Row | Error)[]> {
    this.asked.push(ids);
    return ids.map((id) => rowsIn([id])[0] ?? new Error(`no row ${id}`));
  }
}

async function start() {
  const module = await nestForTest({ providers: [Rows] });
  const told: CacheEventMap['decoratedCallUncached'][] = [];
  module.get(DistributedCache).events.on('decoratedCallUncached', (event) => told.push(event));
  return { rows: module.get(Rows), cache: module.get(DistributedCache).getCache<Row | null>('rows'), told };
}

const namesOf = (rows: Iterable<Row>) => [...rows].map(({ name }) => name);

describe('the results of a @CachedMany method', () => {
  it('are matched with the items by `by`: fewer results, in any order, each under its own key', async () => {
    const { rows, cache } = await start();
    for (let round = 0; round < 2; round++) {
      expect(namesOf(await rows.by([3, 9, 1, 3]))).toEqual(['row 3', 'row 1', 'row 3']);
    }
    expect(rows.asked).toEqual([[3, 9, 1]]);
    expect(await cache.getMany(['row:1', 'row:3', 'row:9'])).toEqual([TABLE[0], TABLE[2], null]);
  });

  it('are a Map with `returns: "map"`, when all come from the cache, too', async () => {
    const { rows } = await start();
    for (let round = 0; round < 2; round++) {
      const found = await rows.map([3, 9, 1]);
      expect([...found.keys()]).toEqual([3, 1]);
      expect(namesOf(found.values())).toEqual(['row 3', 'row 1']);
    }
    expect(rows.asked).toEqual([[3, 9, 1]]);
  });

  it.each<[string, (rows: Rows) => Promise<unknown>, unknown, RegExp]>([
    ['fewer', (rows) => rows.positions([3, 9, 1]), rowsIn([1, 3]), /^It returned 2 results for 3 items\. Write `by/],
    ['in another order', (rows) => rows.positions([3, 1]), rowsIn([1, 3]), /another order\. Write `by/],
    [
      'a Map without `returns`',
      (rows) => rows.mapByMistake([3, 1]),
      new Map([
        [1, TABLE[0]],
        [3, TABLE[2]],
      ]),
      /write `returns: 'map'`/,
    ],
  ])(
    'are returned as the method returned them, and not cached, where they fit no item: %s',
    async (_title, call, rows_, reason) => {
      const { rows, cache, told } = await start();
      for (let round = 0; round < 2; round++) {
        expect(await call(rows)).toEqual(rows_);
      }
      expect(rows.asked).toHaveLength(2);
      expect(await cache.getMany(['row:1', 'row:3', 'row:9'])).toEqual([undefined, undefined, undefined]);
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({ caller: expect.stringMatching(/^Rows\./) as string, effect: 'not cached' });
      expect(told[0]?.reason).toMatch(reason);
    },
  );

  it('are loaded anew, for all items, where only some were missing and they fit no item', async () => {
    const { rows } = await start();
    await rows.by([2]);
    rows.asked.length = 0;
    expect(namesOf(await rows.positions([2, 9, 1]))).toEqual(['row 1', 'row 2']);
    expect(rows.asked).toEqual([
      [9, 1],
      [2, 9, 1],
    ]);
  });

  it('never fail a @Cached call that has joined their load, where they fit no item', async () => {
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    @Injectable()
    class Mixed {
      runs: string[] = [];
      @CachedMany({ namespace: 'mixed', key })
      async many(_ids: readonly number[]): Promise<Row[]> {
        this.runs.push('many');
        await answered;
        return [];
      }
      @Cached({ namespace: 'mixed', key })
      async one(id: number): Promise<Row | undefined> {
        this.runs.push('one');
        return TABLE[id - 1];
      }
    }
    const mixed = (await nestForTest({ providers: [Mixed] })).get(Mixed);
    const many = mixed.many([1]);
    await vi.waitFor(() => expect(mixed.runs).toEqual(['many']));
    const one = mixed.one(1);
    answer();
    expect([await many, await one]).toEqual([[], TABLE[0]]);
    expect(mixed.runs).toEqual(['many', 'one']);
  });

  it('may hold an Error for an item: it is returned, and not cached', async () => {
    const { rows, cache } = await start();
    for (let round = 0; round < 2; round++) {
      expect(await rows.withErrors([1, 9])).toEqual([TABLE[0], new Error('no row 9')]);
    }
    expect(rows.asked).toEqual([[1, 9], [9]]);
    expect(await cache.lookup('row:9')).toEqual({ state: 'miss' });
  });

  it('have one form', () => {
    expectTypeOf<{ key: typeof key; by: (row: Row) => number }>().toExtend<CachedManyOptions<number, [], Row>>();
    expectTypeOf<{ key: typeof key; returns: 'map' }>().toExtend<CachedManyOptions<number, [], Row>>();
    expectTypeOf<{ key: typeof key; returns: 'map'; by: (row: Row) => number }>().not.toExtend<
      CachedManyOptions<number, [], Row>
    >();
  });
});
