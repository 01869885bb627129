import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { DistributedCache } from '../../core/index.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { Cached } from './cached.decorator.js';

describe('the default key', () => {
  it('distinguishes different arguments', async () => {
    @Injectable()
    class Echo {
      runs = 0;
      @Cached()
      async say(..._args: unknown[]): Promise<number> {
        return ++this.runs;
      }
    }
    const echo = (await nestForTest({ providers: [Echo] })).get(Echo);
    const calls: unknown[][] = [
      [],
      [undefined],
      [null],
      [1],
      ['1'],
      [1n],
      [true],
      ['true'],
      ['a', 'b'],
      ['a,b'],
      [['a', 'b']],
      [{}],
      [[]],
      [new Map()],
      [new Set()],
      [new Date(0)],
      [0],
      [{ id: 1 }],
      [{ id: '1' }],
      [{ id: undefined }],
    ];
    const first = [];
    for (const args of calls) {
      first.push(await echo.say(...args));
    }
    expect(new Set(first).size).toBe(calls.length);
    const again = [];
    for (const args of calls) {
      again.push(await echo.say(...args));
    }
    expect(again).toEqual(first);
  });

  it('counts arguments, also where the first of them is known already', async () => {
    @Injectable()
    class Echo {
      @Cached()
      async say(...args: unknown[]): Promise<unknown[]> {
        return args;
      }
    }
    const echo = (await nestForTest({ providers: [Echo] })).get(Echo);
    const calls = [['a'], ['a', undefined], ['a', 'b'], [0], [-0], [Number.NaN], []];
    for (let round = 0; round < 3; round++) {
      for (const args of calls) {
        expect(await echo.say(...args)).toEqual(args);
      }
    }
  });

  it('is the same for the same data in another order', async () => {
    @Injectable()
    class Echo {
      runs = 0;
      @Cached()
      async say(_query: object): Promise<number> {
        return ++this.runs;
      }
    }
    const echo = (await nestForTest({ providers: [Echo] })).get(Echo);
    expect([await echo.say({ a: 1, b: 2 }), await echo.say({ b: 2, a: 1 })]).toEqual([1, 1]);
  });

  it('names class, method and arguments, so that it can be found and deleted', async () => {
    @Injectable()
    class Users {
      @Cached()
      async find(id: number, name: string): Promise<string> {
        return `${id} ${name}`;
      }
    }
    const module = await nestForTest({ providers: [Users] });
    await module.get(Users).find(42, 'ada');
    expect(await module.get(DistributedCache).getCache('default').get("Users.find(42,'ada')")).toBe('42 ada');
  });

  it('differs by method, class, subclass and namespace', async () => {
    let runs = 0;
    class Repository {
      @Cached()
      async find(_id: number): Promise<number> {
        return ++runs;
      }
      @Cached()
      async load(_id: number): Promise<number> {
        return ++runs;
      }
      @Cached({ namespace: 'other' })
      async findElsewhere(_id: number): Promise<number> {
        return ++runs;
      }
    }
    @Injectable()
    class Users extends Repository {}
    @Injectable()
    class Orders extends Repository {}
    const module = await nestForTest({ providers: [Repository, Users, Orders] });
    const all = [module.get(Repository), module.get(Users), module.get(Orders)];
    const answers = [];
    for (const one of all) {
      answers.push(await one.find(1), await one.load(1), await one.findElsewhere(1));
    }
    expect(new Set(answers).size).toBe(9);
    expect([await all[1]?.find(1), await all[2]?.find(1)]).toEqual([answers[3], answers[6]]);
  });

  it('of a method under a symbol works as well', async () => {
    const find = Symbol('find');
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async [find](id: number): Promise<string> {
        return `${id}: ${++this.runs}`;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect([await users[find](1), await users[find](1), await users[find](2)]).toEqual(['1: 1', '1: 1', '2: 2']);
  });

  it('contains an instance of plain data with the name of its class, such as a DTO or a query', async () => {
    class OpenOrders {
      constructor(readonly page: number) {}
    }
    class ClosedOrders {
      constructor(readonly page: number) {}
    }
    @Injectable()
    class Orders {
      runs = 0;
      @Cached()
      async search(_query: OpenOrders | ClosedOrders): Promise<number> {
        return ++this.runs;
      }
    }
    const module = await nestForTest({ providers: [Orders] });
    const orders = module.get(Orders);
    const queries = () => [new OpenOrders(1), new OpenOrders(2), new ClosedOrders(1), { page: 1 }];
    for (let round = 0; round < 2; round++) {
      expect(await Promise.all(queries().map((query) => orders.search(query)))).toEqual([1, 2, 3, 4]);
    }
    expect(await module.get(DistributedCache).getCache('default').get('Orders.search(@OpenOrders(page:1))')).toBe(1);
  });

  it('is shared by classes of one name only where their keys can not be the same', async () => {
    const [First, Second, Third] = ['first', 'second', 'third'].map((answer, index) => {
      const namespace = index === 2 ? 'other' : 'default';
      @Injectable()
      class Orders {
        @Cached({ namespace })
        async find(): Promise<string> {
          return answer;
        }
        @Cached({ key: () => answer })
        async findByKey(): Promise<string> {
          return answer;
        }
        @Cached({ keyPrefix: `${answer}Orders` })
        async findByPrefix(): Promise<string> {
          return answer;
        }
        @Cached({ version: answer })
        async findByVersion(): Promise<string> {
          return answer;
        }
      }
      return Orders;
    }) as [typeof Sample, typeof Sample, typeof Sample];
    const module = await nestForTest({ providers: [First, Second, Third] });
    const told: string[] = [];
    module.get(DistributedCache).events.on('decoratedCallUncached', ({ reason }) => told.push(reason));
    const all = [module.get(First), module.get(Second), module.get(Third)];
    for (let round = 0; round < 2; round++) {
      for (const method of ['find', 'findByKey', 'findByPrefix', 'findByVersion'] as const) {
        expect(await Promise.all(all.map((orders) => orders[method]()))).toEqual(['first', 'second', 'third']);
      }
    }
    expect(told).toEqual([
      'Two classes have cached methods with the default key `Orders.find(…)`. Rename one class, write `@CacheDefaults({ name })` above it, pass `keyPrefix` or `key` to its decorators, or keep the names of classes in the minifier (keepNames).',
    ]);
    const { hits } = module.get(DistributedCache).getCache('default').getMetrics();
    expect(hits).toBe(10); // every second call but `find`, of which this namespace has only that of the first class
  });

  it('starts with `keyPrefix` instead of the name of the class', async () => {
    class Repository {
      @Cached({ keyPrefix: 'crud' })
      async find(id: number): Promise<string> {
        return `${this.constructor.name} ${id}`;
      }
    }
    @Injectable()
    class Cats extends Repository {}
    const module = await nestForTest({ providers: [Repository, Cats] });
    expect(await module.get(Repository).find(1)).toBe('Repository 1');
    expect(await module.get(Cats).find(1)).toBe('Cats 1');
    const cache = module.get(DistributedCache).getCache('default');
    expect(await cache.getMany(['crud.find(1)', 'Cats/crud.find(1)'])).toEqual(['Repository 1', 'Cats 1']);
  });

  it('differs by instance with `instanceKey`, in every decorator', async () => {
    class Table {
      runs = 0;
      constructor(readonly name: string) {}
      @Cached({ instanceKey: (table: Table) => table.name })
      async find(id: number): Promise<string> {
        return `${this.name} ${id} ${++this.runs}`;
      }
      @Cached({ namespace: 'rows', key: String, instanceKey: (table: Table) => table.name })
      async row(id: number): Promise<string> {
        return this.find(id);
      }
      @CacheEvict({ namespace: 'rows', key: String, instanceKey: (table: Table) => table.name })
      async forget(_id: number): Promise<void> {}
    }
    const module = await nestForTest({
      providers: ['cats', 'dogs'].map((name) => ({ provide: name, useFactory: () => new Table(name) })),
    });
    const [cats, dogs] = [module.get<Table>('cats'), module.get<Table>('dogs')];
    for (let round = 0; round < 2; round++) {
      expect([await cats.find(1), await dogs.find(1)]).toEqual(['cats 1 1', 'dogs 1 1']);
      expect([await cats.row(1), await dogs.row(1)]).toEqual(['cats 1 1', 'dogs 1 1']);
    }
    await cats.forget(1);
    const rows = module.get(DistributedCache).getCache('rows');
    expect(await rows.getMany([rows.keyFor('1', {})!])).toEqual([undefined]);
    expect(await module.get(DistributedCache).getCache('default').get('Table.find(1)')).toBeUndefined();
    expect(rows.getMetrics().deletes).toBe(1);
  });
});

declare class Sample {
  find(): Promise<string>;
  findByKey(): Promise<string>;
  findByPrefix(): Promise<string>;
  findByVersion(): Promise<string>;
}

describe('the `key` option', () => {
  it('chooses the key, with the arguments and `this` of the call', async () => {
    @Injectable()
    class Users {
      runs = 0;
      tenant = 'acme';
      @Cached({
        key(this: Users, { id }: { id: number }) {
          return `${this.tenant}:${id}`;
        },
      })
      async find(_user: { id: number; name: string }): Promise<number> {
        return ++this.runs;
      }
    }
    const module = await nestForTest({ providers: [Users] });
    const users = module.get(Users);
    expect([await users.find({ id: 1, name: 'Ada' }), await users.find({ id: 1, name: 'Eve' })]).toEqual([1, 1]);
    users.tenant = 'other';
    expect(await users.find({ id: 1, name: 'Ada' })).toBe(2);
    expect(await module.get(DistributedCache).getCache('default').getMany(['acme:1', 'other:1'])).toEqual([1, 2]);
  });
});
