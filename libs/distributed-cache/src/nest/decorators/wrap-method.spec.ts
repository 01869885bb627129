import {
  applyDecorators,
  Controller,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Param,
  ParseIntPipe,
  SetMetadata,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { httpForTest, nestForTest } from '../../../../../test/support/nest-for-test.js';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { CachedClass } from '../../config/index.js';
import { CacheDefaults } from './cache-defaults.decorator.js';
import { CacheEvict } from './cache-evict.decorator.js';
import { CachePut } from './cache-put.decorator.js';
import { Cached, CachedTrends } from './cached.decorator.js';
import { CachedMany } from './cached-many.decorator.js';

const ROLES = 'roles';

@Injectable()
class RolesGuard implements CanActivate {
  constructor(@Inject(Reflector) private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const roles = this.reflector.get<string[] | undefined>(ROLES, context.getHandler());
    return roles?.includes('reader') === true;
  }
}

/** What an OpenAPI decorator does: it reads what is there and writes more, on the function itself. */
function Describe(text: string): MethodDecorator {
  return (_target, _name, descriptor: PropertyDescriptor) => {
    const before = (Reflect.getMetadata('described', descriptor.value as object) ?? []) as string[];
    Reflect.defineMetadata('described', [...before, text], descriptor.value as object);
  };
}

const everything = applyDecorators(HttpCode(202), SetMetadata(ROLES, ['reader']), UseGuards(RolesGuard), Describe('a'));

describe('a decorated method', () => {
  it('is called with its own `this` and all arguments', async () => {
    @Injectable()
    class Users {
      readonly #table = 'users';
      calls: unknown[][] = [];
      @Cached()
      async find(...args: unknown[]): Promise<string> {
        this.calls.push(args);
        return this.#table;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect(await users.find(1, undefined, { deep: [true] })).toBe('users');
    expect(await users.find()).toBe('users');
    expect(users.calls).toEqual([[1, undefined, { deep: [true] }], []]);
  });

  it('gets the defaults of its parameters like the undecorated method', async () => {
    @Injectable()
    class Users {
      @Cached()
      async page(size = 10, { offset = 0 }: { offset?: number } = {}): Promise<string> {
        return `${offset}-${offset + size}`;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect([await users.page(), await users.page(5), await users.page(5, { offset: 5 })]).toEqual([
      '0-10',
      '0-5',
      '5-10',
    ]);
  });

  it('keeps its name, its number of parameters, and its place on the prototype', () => {
    class Users {
      async plain(_id: number, _name: string): Promise<void> {}
      @Cached()
      async find(_id: number, _name: string): Promise<void> {}
      @CachePut({ key: (id: number) => `${id}` })
      async save(id: number): Promise<number> {
        return id;
      }
      @CacheEvict({ all: true })
      async purge(): Promise<void> {}
    }
    const names = ['find', 'save', 'purge'];
    expect(names.map((name) => methodOf(Users, name).name)).toEqual(names);
    expect(names.map((name) => methodOf(Users, name).length)).toEqual([2, 1, 0]);
    const shape = ({ enumerable, writable, configurable }: PropertyDescriptor) => [enumerable, writable, configurable];
    const [plain, decorated] = ['plain', 'find'].map((name) =>
      shape(Object.getOwnPropertyDescriptor(Users.prototype, name) ?? {}),
    );
    expect(decorated).toEqual(plain);
  });

  it.each([['above'], ['below']] as const)('keeps the effect of other decorators %s it, over HTTP', async (place) => {
    const above = place === 'above' ? everything : applyDecorators();
    const below = place === 'below' ? everything : applyDecorators();
    let runs = 0;
    @Controller('users')
    class UsersController {
      @above
      @Get(':id')
      @Cached()
      @below
      async find(@Param('id', ParseIntPipe) id: number): Promise<object> {
        runs++;
        return { id, type: typeof id };
      }

      @above
      @Cached()
      @Get('by-name/:name')
      @below
      async findByName(@Param('name') name: string): Promise<object> {
        runs++;
        return { name };
      }
    }
    const { request } = await httpForTest({ controllers: [UsersController] });
    for (const path of ['/users/1', '/users/1', '/users/by-name/ada', '/users/by-name/ada']) {
      const response = await request(path);
      expect(response.status).toBe(202);
      expect(await response.json()).toEqual(path.endsWith('1') ? { id: 1, type: 'number' } : { name: 'ada' });
    }
    expect(runs).toBe(2);
    expect((await request('/users/one')).status).toBe(400);
    expect(Reflect.getMetadata('described', methodOf(UsersController, 'find'))).toEqual(['a']);
  });

  it('keeps the metadata of the decorators below it', () => {
    class Users {
      @Describe('above')
      @Cached()
      @Describe('below')
      async find(): Promise<void> {}
    }
    expect(Reflect.getMetadata('described', methodOf(Users, 'find'))).toEqual(['below', 'above']);
  });

  it('goes through each of several cache decorators', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @CacheEvict({ namespace: 'lists', all: true })
      @Cached({ key: (id: number) => `user:${id}` })
      async find(_id: number): Promise<number> {
        return ++this.runs;
      }
      @Cached({ namespace: 'lists' })
      async list(): Promise<number> {
        return this.runs;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect([await users.list(), await users.find(1), await users.find(1), await users.list()]).toEqual([0, 1, 1, 1]);
  });
});

describe('a decorated method runs as written, and warns once,', () => {
  class Users {
    runs = 0;
    @Cached()
    async find(id: number): Promise<string> {
      this.runs++;
      return `user ${id}`;
    }
  }

  it('on an instance made outside Nest', async () => {
    @Injectable()
    class Customers extends Users {
      @Cached()
      override async find(id: number): Promise<string> {
        this.runs++;
        return `customer ${id}`;
      }
    }
    const module = await nestForTest({ providers: [Customers] });
    const logger = recordLogs();
    const customers = new Customers();
    expect([await customers.find(1), await customers.find(1)]).toEqual(['customer 1', 'customer 1']);
    expect(await new Customers().find(1)).toBe('customer 1');
    expect(customers.runs).toBe(2);
    expect(logger.messagesOf('DistributedCache')).toEqual([
      expect.stringMatching(/^Customers\.find runs without a cache: import DistributedCacheModule/),
    ]);
    await module.get(Customers).find(1);
    await module.get(Customers).find(1);
    expect(module.get(Customers).runs).toBe(1);
  });

  it('in an application without the module', async () => {
    const logger = recordLogs();
    const module = await nestForTest({ providers: [Users], cache: false, logger });
    const users = module.get(Users);
    expect([await users.find(1), await users.find(1)]).toEqual(['user 1', 'user 1']);
    expect(users.runs).toBe(2);
    expect(logger.messagesOf('DistributedCache', 'warn')).toHaveLength(1);
  });

  it('and says so if the process has loaded the package more than once', async () => {
    const copies = Reflect.get(globalThis, Symbol.for('nestjs-distributed-cache:slots')) as Set<symbol>;
    const other = Symbol('slot of the CommonJS build');
    copies.add(other);
    onTestFinished(() => void copies.delete(other));
    class Customers extends Users {
      @Cached()
      override async find(id: number): Promise<string> {
        return `customer ${id}`;
      }
    }
    const logger = recordLogs();
    await new Customers().find(1);
    expect(logger.messagesOf('DistributedCache')).toEqual([
      expect.stringMatching(/^Customers\.find runs without .* as ESM and as CommonJS.* load it one way/),
    ]);
  });

  it('on an instance that the application froze', async () => {
    class Frozen {
      constructor() {
        Object.freeze(this);
      }
      @Cached()
      async find(id: number): Promise<string> {
        return `user ${id}`;
      }
    }
    const logger = recordLogs();
    const module = await nestForTest({
      providers: [Frozen, { provide: 'value', useValue: Object.freeze(new Frozen()) }],
      logger,
    });
    expect(await module.get(Frozen).find(1)).toBe('user 1');
    expect(await module.get<Frozen>('value').find(1)).toBe('user 1');
    const warnings = logger.messagesOf('DistributedCache', 'warn');
    expect(warnings.filter((line) => line.includes('runs without a cache'))).toHaveLength(1);
  });
});

describe('a cache decorator refuses', () => {
  const decorate = (target: object, name: string) => {
    const descriptor = Object.getOwnPropertyDescriptor(target, name) as TypedPropertyDescriptor<() => Promise<void>>;
    return () => Cached()(target, name, descriptor);
  };

  it('a static method', () => {
    class Users {
      static async find(): Promise<void> {}
    }
    expect(decorate(Users, 'find')).toThrow(
      '@Cached() of Users.find is not above an instance method: write `async find(…) { … }`',
    );
  });

  it('a getter, and a property', () => {
    class Users {
      get first(): Promise<void> {
        return Promise.resolve();
      }
    }
    expect(decorate(Users.prototype, 'first')).toThrow(
      '@Cached() of Users.first is not above an instance method: write `async first(…) { … }`',
    );
    expect(decorate(Users.prototype, 'property')).toThrow(TypeError);
  });

  it('to be used without parentheses, which would replace the method', () => {
    class Users {
      async find(): Promise<void> {}
    }
    const [target, standard] = [Users.prototype as never, methodOf(Users, 'find') as never];
    expect(() => Cached(target)).toThrow('@Cached of Users needs parentheses: write @Cached()');
    expect(() => Cached(standard)).toThrow('@Cached of find needs parentheses: write @Cached()');
    expect(() => CachedTrends(target)).toThrow('@CachedTrends of Users needs parentheses: write @CachedTrends()');
    expect(() => CachePut(target)).toThrow('@CachePut of Users needs parentheses: write @CachePut(options)');
    expect(() => CacheEvict(target)).toThrow('@CacheEvict of Users needs parentheses: write @CacheEvict(options)');
    expect(() => CachedMany(target)).toThrow('@CachedMany of Users needs parentheses: write @CachedMany(options)');
    expect(() => CacheDefaults(Users as never)).toThrow('@CacheDefaults of Users needs parentheses');
    expect(() => CachedClass(Users as never)).toThrow('@CachedClass of Users needs parentheses: write @CachedClass()');
  });

  it('a decorator of a class above a method', () => {
    class Users {
      async find(): Promise<void> {}
    }
    const decorateMethod = CacheDefaults({ ttl: 5 }) as unknown as (target: object, name: string) => void;
    expect(() => decorateMethod(Users.prototype, 'find')).toThrow(
      '@CacheDefaults() goes above a class, not above Users.find',
    );
  });

  it('the decorators of the ECMAScript proposal, and names the option of the compiler', () => {
    class Users {
      async find(): Promise<void> {}
    }
    const context = { kind: 'method', name: 'find' };
    const decorateStandard = Cached() as unknown as (method: unknown, context: object) => void;
    expect(() => decorateStandard(methodOf(Users, 'find'), context)).toThrow(
      '@Cached() of find is compiled as a decorator of ECMAScript: set experimentalDecorators (and emitDecoratorMetadata) in tsconfig.json, as Nest needs them',
    );
  });
});

function methodOf(owner: { readonly prototype: object }, name: string): (...args: never[]) => unknown {
  return Object.getOwnPropertyDescriptor(owner.prototype, name)?.value as (...args: never[]) => unknown;
}
