import { Controller, Get, Inject, Injectable, Module, Scope, UseGuards, type CanActivate } from '@nestjs/common';
import { LazyModuleLoader, ModuleRef } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { httpForTest, nestForTest } from '../../../../../test/support/nest-for-test.js';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { Cached } from './cached.decorator.js';

/** Counts the runs of all instances of one class. */
class Runs {
  count = 0;
}

describe('the cache reaches the decorated methods of', () => {
  it('a singleton', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect([await users.find(1), await users.find(1), await users.find(2)]).toEqual(['user 1', 'user 1', 'user 2']);
    expect(users.runs).toBe(2);
  });

  it('a class that inherits them, constructor of its own or not', async () => {
    abstract class Repository {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `${this.table()} ${id}`;
      }
      protected abstract table(): string;
    }
    @Injectable()
    class Users extends Repository {
      protected table(): string {
        return 'user';
      }
    }
    @Injectable()
    class Orders extends Repository {
      constructor(@Inject('table') private readonly name: string) {
        super();
      }
      protected table(): string {
        return this.name;
      }
    }
    const module = await nestForTest({ providers: [Users, Orders, { provide: 'table', useValue: 'order' }] });
    const [users, orders] = [module.get(Users), module.get(Orders)];
    expect([await users.find(1), await users.find(1)]).toEqual(['user 1', 'user 1']);
    expect([await orders.find(1), await orders.find(1)]).toEqual(['order 1', 'order 1']);
    expect([users.runs, orders.runs]).toEqual([1, 1]);
  });

  it('a class whose override calls super: both are cached, under keys of their own', async () => {
    const runs = { base: 0, sub: 0 };
    @Injectable()
    class Users {
      @Cached()
      async find(id: number): Promise<string> {
        runs.base++;
        return `user ${id}`;
      }
    }
    @Injectable()
    class Admins extends Users {
      @Cached()
      override async find(id: number): Promise<string> {
        runs.sub++;
        return `admin and ${await super.find(id)}`;
      }
      async findPlain(id: number): Promise<string> {
        return super.find(id);
      }
    }
    const admins = (await nestForTest({ providers: [Admins] })).get(Admins);
    expect(await admins.find(1)).toBe('admin and user 1');
    expect(await admins.find(1)).toBe('admin and user 1');
    expect(await admins.findPlain(1)).toBe('user 1');
    expect(runs).toEqual({ base: 1, sub: 1 });
  });

  it('a class whose override calls super under the same `key`: the inner call runs its method without waiting', async () => {
    const byId = { key: (id: number) => `user:${id}` };
    const runs = { base: 0, sub: 0 };
    @Injectable()
    class Users {
      @Cached(byId)
      async find(id: number): Promise<string> {
        runs.base++;
        return `user ${id}`;
      }
    }
    @Injectable()
    class Admins extends Users {
      background: Promise<string> | undefined;
      @Cached(byId)
      override async find(id: number): Promise<string> {
        runs.sub++;
        this.background ??= new Promise((resolve) => setImmediate(resolve)).then(() => this.find(2));
        return `admin and ${await super.find(id)}`;
      }
    }
    const admins = (await nestForTest({ providers: [Admins] })).get(Admins);
    expect([await admins.find(1), await admins.find(1)]).toEqual(['admin and user 1', 'admin and user 1']);
    expect([await admins.background, await admins.find(2)]).toEqual(['admin and user 2', 'admin and user 2']);
    expect(runs).toEqual({ base: 2, sub: 2 });
  });

  it('a request-scoped provider', async () => {
    const runs = new Runs();
    @Injectable({ scope: Scope.REQUEST })
    class Users {
      @Cached()
      async find(id: number): Promise<string> {
        runs.count++;
        return `user ${id}`;
      }
    }
    const module = await nestForTest({ providers: [Users] });
    const [first, second] = [await module.resolve(Users), await module.resolve(Users)];
    expect(first).not.toBe(second);
    expect([await first.find(1), await second.find(1)]).toEqual(['user 1', 'user 1']);
    expect(runs.count).toBe(1);
  });

  it('a transient provider', async () => {
    const runs = new Runs();
    @Injectable({ scope: Scope.TRANSIENT })
    class Users {
      @Cached()
      async find(id: number): Promise<string> {
        runs.count++;
        return `user ${id}`;
      }
    }
    @Injectable()
    class Sales {
      constructor(@Inject(Users) readonly users: Users) {}
    }
    @Injectable()
    class Support {
      constructor(@Inject(Users) readonly users: Users) {}
    }
    const module = await nestForTest({ providers: [Users, Sales, Support] });
    const [first, second] = [module.get(Sales).users, module.get(Support).users];
    expect(first).not.toBe(second);
    expect([await first.find(1), await second.find(1)]).toEqual(['user 1', 'user 1']);
    expect(runs.count).toBe(1);
  });

  it.each([
    ['static', Scope.DEFAULT],
    ['request-scoped', Scope.REQUEST],
  ])('a %s controller, over HTTP', async (_title, scope) => {
    const runs = new Runs();
    @Controller({ path: 'users', scope })
    class UsersController {
      @Get()
      @Cached()
      async list(): Promise<string> {
        runs.count++;
        return 'Ada, Bob';
      }
    }
    const { request } = await httpForTest({ controllers: [UsersController] });
    expect(await (await request('/users')).text()).toBe('Ada, Bob');
    expect(await (await request('/users')).text()).toBe('Ada, Bob');
    expect(runs.count).toBe(1);
  });

  it('a guard', async () => {
    const runs = new Runs();
    @Injectable()
    class Tenants implements CanActivate {
      @Cached({ key: () => 'all' })
      async canActivate(): Promise<boolean> {
        runs.count++;
        return true;
      }
    }
    @Controller()
    @UseGuards(Tenants)
    class HomeController {
      @Get()
      home(): string {
        return 'home';
      }
    }
    const { request } = await httpForTest({ controllers: [HomeController] });
    expect([(await request('/')).status, (await request('/')).status]).toEqual([200, 200]);
    expect(runs.count).toBe(1);
  });

  it('a class of a module that is loaded lazily', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    @Module({ providers: [Users] })
    class UsersModule {}
    const module = await nestForTest({});
    const lazy = await module.get(LazyModuleLoader).load(() => UsersModule);
    const users = lazy.get(Users);
    await users.find(1);
    await users.find(1);
    expect(users.runs).toBe(1);
  });

  it('an instance that ModuleRef.create makes', async () => {
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    const users = await (await nestForTest({})).get(ModuleRef).create(Users);
    await users.find(1);
    await users.find(1);
    expect(users.runs).toBe(1);
  });
});

describe('a mock in place of the cache', () => {
  it.each<[string, () => unknown]>([
    ['without members', () => ({})],
    [
      'with functions as members',
      () => ({ bound: () => undefined, getCache: () => undefined, config: () => undefined }),
    ],
    [
      'that has every member',
      () => new Proxy({}, { get: (_target, name) => (name === 'then' ? undefined : () => undefined) }),
    ],
  ])('makes decorated methods run as written, without a warning: %s', async (_title, mock) => {
    const logger = recordLogs(['warn']);
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async find(_id: number): Promise<number> {
        return ++this.runs;
      }
      @CacheEvict({ all: true })
      async rename(): Promise<number> {
        return ++this.runs;
      }
    }
    const module = await Test.createTestingModule({ providers: [Users, { provide: 'unused', useValue: 1 }] })
      .useMocker(mock)
      .setLogger(logger)
      .compile();
    const users = module.get(Users);
    expect([await users.find(1), await users.find(1), await users.rename()]).toEqual([1, 2, 3]);
    expect(logger.messagesOf('DistributedCache')).toEqual([]);
  });
});
