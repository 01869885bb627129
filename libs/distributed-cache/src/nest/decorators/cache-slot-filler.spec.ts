import { Inject, Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { DistributedCache } from '../../core/index.js';
import { Cached } from './cached.decorator.js';
import { DistributedCacheModule } from '../distributed-cache.module.js';

describe('the cache also reaches the decorated methods of', () => {
  it('instances that a factory or the application itself made', async () => {
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    const module = await nestForTest({
      providers: [
        { provide: 'factory', useFactory: () => new Users() },
        { provide: 'async factory', useFactory: async () => new (class Orders extends Users {})() },
        { provide: 'value', useValue: new (class Bills extends Users {})() },
      ],
    });
    for (const token of ['factory', 'async factory', 'value']) {
      const users = module.get<Users>(token);
      expect([await users.find(1), await users.find(1), users.runs]).toEqual(['user 1', 'user 1', 1]);
    }
  });

  it('an instance that a factory made, before onModuleInit of any module that uses it', async () => {
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    @Injectable()
    class WarmUp {
      constructor(@Inject('users') private readonly users: Users) {}
      async onModuleInit(): Promise<void> {
        await this.users.find(1);
      }
    }
    const module = await nestForTest({ providers: [WarmUp, { provide: 'users', useFactory: () => new Users() }] });
    const users = module.get<Users>('users');
    await users.find(1);
    expect(users.runs).toBe(1);
  });

  it('a value that served another application before', async () => {
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    const users = new Users();
    const first = await nestForTest({ providers: [{ provide: Users, useValue: users }] });
    await users.find(1);
    await first.close();
    const second = await nestForTest({ providers: [{ provide: Users, useValue: users }] });
    await users.find(1);
    await users.find(1);
    expect(users.runs).toBe(2);
    expect(second.get(DistributedCache).getCache('default').getMetrics()).toMatchObject({ hits: 1, misses: 1 });
  });

  it('providers of modules that do not import the module, where it is not global', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async find(id: number): Promise<string> {
        this.runs++;
        return `user ${id}`;
      }
    }
    @Module({ providers: [Users], exports: [Users] })
    class UsersModule {}
    const module = await nestForTest({
      cache: false,
      imports: [DistributedCacheModule.forRoot({ redis: false, isGlobal: false }), UsersModule],
    });
    const users = module.get(Users);
    await users.find(1);
    await users.find(1);
    expect(users.runs).toBe(1);
  });
});

describe('two applications in one process', () => {
  it('have separate caches', async () => {
    @Injectable()
    class Settings {
      constructor(@Inject('tenant') private readonly tenant: string) {}
      @Cached()
      async name(): Promise<string> {
        return this.tenant;
      }
    }
    const start = (tenant: string) => nestForTest({ providers: [Settings, { provide: 'tenant', useValue: tenant }] });
    const [blue, green] = [(await start('blue')).get(Settings), (await start('green')).get(Settings)];
    expect([await blue.name(), await green.name()]).toEqual(['blue', 'green']);
    expect([await blue.name(), await green.name()]).toEqual(['blue', 'green']);
  });

  it('may each have a class of the same name', async () => {
    const start = async (answer: string) => {
      @Injectable()
      class Settings {
        @Cached()
        async name(): Promise<string> {
          return answer;
        }
      }
      return (await nestForTest({ providers: [Settings] })).get(Settings);
    };
    const [blue, green] = [await start('blue'), await start('green')];
    expect([await blue.name(), await green.name()]).toEqual(['blue', 'green']);
  });
});

describe('an instance with decorated methods', () => {
  class Users {
    table = 'users';
    @Cached()
    async find(id: number): Promise<string> {
      return `user ${id}`;
    }
  }

  it('has no additional enumerable key, however it got its cache', async () => {
    const module = await nestForTest({ providers: [Users, { provide: 'made', useFactory: () => new Users() }] });
    for (const users of [module.get(Users), module.get<Users>('made')]) {
      await users.find(1);
      expect(Object.keys(users)).toEqual(['table']);
      expect(Object.getOwnPropertySymbols(users).filter((symbol) => isEnumerable(users, symbol))).toEqual([]);
      expect(JSON.stringify(users)).toBe('{"table":"users"}');
      expect(Object.entries(Object.assign({}, users))).toEqual([['table', 'users']]);
      const inherited: string[] = [];
      for (const name in users) {
        inherited.push(name);
      }
      expect(inherited).toEqual(['table']);
    }
  });
});

function isEnumerable(owner: object, name: symbol): boolean {
  return Object.prototype.propertyIsEnumerable.call(owner, name);
}
