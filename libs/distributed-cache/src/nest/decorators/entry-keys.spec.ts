import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { CacheKeyError, DistributedCache } from '../../core/index.js';
import { Cached } from './cached.decorator.js';

class Criteria {
  constructor(readonly status: string) {}
}

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

  it('is refused for an argument without an encoding: the call rejects at once, with a remedy', async () => {
    @Injectable()
    class Orders {
      runs = 0;
      @Cached()
      async search(_criteria: Criteria | (() => boolean)): Promise<number> {
        return ++this.runs;
      }
    }
    const orders = (await nestForTest({ providers: [Orders] })).get(Orders);
    for (const argument of [new Criteria('secret'), () => true]) {
      const answer = orders.search(argument);
      expect(answer).toBeInstanceOf(Promise);
      const error: unknown = await answer.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(CacheKeyError);
      expect((error as Error).message).toMatch(/^Argument 1 of Orders\.search/);
      expect((error as Error).message).toContain('pass `key: (…) => string` to the decorator');
      expect((error as Error).message).not.toContain('secret');
    }
    expect(orders.runs).toBe(0);
  });

  it('is refused if two classes have one name, instead of mixing up their results', async () => {
    const firstOrders = () => {
      @Injectable()
      class Orders {
        @Cached()
        async find(): Promise<string> {
          return 'first';
        }
      }
      return Orders;
    };
    const secondOrders = () => {
      @Injectable()
      class Orders {
        @Cached()
        async find(): Promise<string> {
          return 'second';
        }
        @Cached({ key: () => 'second' })
        async findByKey(): Promise<string> {
          return 'second';
        }
      }
      return Orders;
    };
    const [First, Second] = [firstOrders(), secondOrders()];
    const module = await nestForTest({ providers: [First, Second] });
    expect(await module.get(First).find()).toBe('first');
    const answer = module.get(Second).find();
    await expect(answer).rejects.toThrow(CacheKeyError);
    await expect(answer).rejects.toThrow(/^Two classes named "Orders" .*Rename one, or pass `key/);
    expect(await module.get(Second).findByKey()).toBe('second');
    expect(await module.get(First).find()).toBe('first');
  });
});

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

  it('rejects the call, and runs nothing, where it throws or returns no key', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached({ key: (id: string) => id })
      async find(_id: string): Promise<number> {
        return ++this.runs;
      }
      @Cached({
        key: (_id: string): string => {
          throw new RangeError('no tenant');
        },
      })
      async findOther(_id: string): Promise<number> {
        return ++this.runs;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    await expect(users.find('')).rejects.toThrow(CacheKeyError);
    await expect(users.find(undefined as unknown as string)).rejects.toThrow('must be a string, got undefined');
    await expect(users.findOther('1')).rejects.toThrow('no tenant');
    expect(users.runs).toBe(0);
  });
});
