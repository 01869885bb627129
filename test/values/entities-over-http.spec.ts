import { ClassSerializerInterceptor, Controller, Get, Injectable, UseInterceptors } from '@nestjs/common';
import { Exclude, Expose } from 'class-transformer';
import { Cached, CachedMany, CachePut, type DistributedCacheOptions } from 'nestjs-distributed-cache';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { httpForTest } from '../support/nest-for-test.js';
import { redisForTest } from '../support/redis-for-test.js';

const PASSWORD = 'correct horse';

class Address {
  constructor(readonly city: string) {}
}

class UserEntity {
  @Exclude()
  password = PASSWORD;

  address = new Address('Turin');
  since = new Date(0);

  constructor(readonly id: number) {}

  @Expose()
  get label(): string {
    return `user ${this.id}`;
  }
}

/** An entity that can't be restored from its properties. */
class GuardedEntity {
  @Exclude()
  password = PASSWORD;

  readonly #id: number;

  constructor(id: number) {
    this.#id = id;
  }

  @Expose()
  get id(): number {
    return this.#id;
  }
}

@Injectable()
class Users {
  loads = 0;

  @Cached({ namespace: 'users' })
  async find(id: number): Promise<UserEntity> {
    this.loads++;
    return new UserEntity(id);
  }

  @Cached({ namespace: 'users' })
  async page(): Promise<{ rows: UserEntity[]; total: number }> {
    this.loads++;
    return { rows: [new UserEntity(1), new UserEntity(2)], total: 2 };
  }

  @Cached({ namespace: 'users', schema: z.object({ id: z.number(), password: z.string() }) })
  async checked(id: number): Promise<UserEntity> {
    this.loads++;
    return new UserEntity(id);
  }

  @CachedMany({ namespace: 'users', key: (id: number) => `many:${id}` })
  async findMany(ids: number[]): Promise<UserEntity[]> {
    this.loads++;
    return ids.map((id) => new UserEntity(id));
  }

  @CachePut({ namespace: 'users', key: (id: number) => `put:${id}` })
  async save(id: number): Promise<UserEntity> {
    return new UserEntity(id);
  }

  @Cached({ namespace: 'users', key: (id: number) => `put:${id}` })
  async saved(id: number): Promise<UserEntity> {
    this.loads++;
    return new UserEntity(id);
  }

  @Cached({ namespace: 'users' })
  async guarded(id: number): Promise<GuardedEntity> {
    this.loads++;
    return new GuardedEntity(id);
  }
}

@Controller()
@UseInterceptors(ClassSerializerInterceptor)
class UserController {
  constructor(private readonly users: Users) {}

  @Get('user')
  user() {
    return this.users.find(1);
  }

  @Get('checked')
  checked() {
    return this.users.checked(1);
  }

  @Get('page')
  async page() {
    return this.users.page();
  }

  @Get('many')
  many() {
    return this.users.findMany([1, 2]);
  }

  @Get('save')
  save() {
    return this.users.save(7);
  }

  @Get('saved')
  saved() {
    return this.users.saved(7);
  }

  @Get('guarded')
  guarded() {
    return this.users.guarded(1);
  }
}

async function appOver(cache: DistributedCacheOptions) {
  const { app, request } = await httpForTest({ controllers: [UserController], providers: [Users], cache });
  const bodyOf = async (path: string) => (await request(path)).text();
  return { users: app.get(Users), bodyOf };
}

describe.each(['frozen', 'cloned', 'shared'] as const)('an entity with an @Exclude()d password (%s)', (values) => {
  it.each(['/user', '/page', '/many', '/saved', '/checked'])(
    'never shows it: %s on the first call, from L1, from Redis in another process, after a restart',
    async (path) => {
      const { url, keyPrefix } = redisForTest();
      const cache = { redis: { url }, keyPrefix, local: { values }, deadlineMs: 5000 };
      const one = await appOver(cache);
      const withoutCache = await (await appOver({ enabled: false })).bodyOf(path);
      expect(withoutCache).not.toContain(PASSWORD);
      const first = [await one.bodyOf(path), await one.bodyOf(path), await one.bodyOf(path)];
      const two = await appOver(cache);
      await two.users.find(2); // makes the class known to the second process
      const elsewhere = [await two.bodyOf(path), await two.bodyOf(path), await two.bodyOf(path)];
      expect([...first, ...elsewhere]).toEqual(Array.from({ length: 6 }, () => withoutCache));
      expect(one.users.loads).toBe(1);
    },
  );
});

describe('an entity that was put', () => {
  it('shows no excluded property: in the answer of the put, from L1, from Redis in another process', async () => {
    const { url, keyPrefix } = redisForTest();
    const cache = { redis: { url }, keyPrefix, deadlineMs: 5000 };
    const [one, two] = [await appOver(cache), await appOver(cache)];
    const put = await one.bodyOf('/save');
    expect(put).toContain('"label":"user 7"');
    expect(put).not.toContain(PASSWORD);
    await two.bodyOf('/user'); // makes the class known to the second process
    expect([await one.bodyOf('/saved'), await two.bodyOf('/saved'), await two.bodyOf('/saved')]).toEqual([
      put,
      put,
      put,
    ]);
    expect([one.users.loads, two.users.loads]).toEqual([0, 1]);
  });
});

describe('an entity that can not be restored', () => {
  it('is not cached: the answer is that of the method, on every call', async () => {
    const { url, keyPrefix } = redisForTest();
    const one = await appOver({ redis: { url }, keyPrefix, deadlineMs: 5000 });
    for (const _ of [1, 2, 3]) {
      expect(await one.bodyOf('/guarded')).toBe('{"id":1}');
    }
    expect(one.users.loads).toBe(3);
  });
});
