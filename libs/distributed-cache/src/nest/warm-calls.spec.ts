import { Injectable, Scope } from '@nestjs/common';
import { DistributedCacheHealthIndicator, DistributedCacheHealthModule } from 'nestjs-distributed-cache/health';
import {
  Cached,
  CacheContext,
  CachedMany,
  type CachedOptions,
  CacheDefaults,
  DistributedCache,
} from 'nestjs-distributed-cache';
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { liveCaches } from '../../../../test/support/channel-for-test.js';
import { nestForTest } from '../../../../test/support/nest-for-test.js';
import { RecordingLogger } from '../../../../test/support/recording-logger.js';
import type { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';
import type { RedisServer } from '../../../../test/support/redis-server.js';
import type { DistributedCacheOptions } from '../config/index.js';

let loads: [name: string, ...args: unknown[]][] = [];
let loadTimes: number[] = [];
type PlainDecorator = (target: object, name: string, descriptor: object) => void;

/** What each load waits for. */
let gate: () => Promise<unknown> = async () => undefined;
afterEach(() => {
  loads = [];
  loadTimes = [];
  gate = async () => undefined;
});

async function load(name: string, ...args: unknown[]): Promise<string> {
  loads.push([name, ...args]);
  loadTimes.push(performance.now());
  await gate();
  return name;
}

class Mail {
  constructor(readonly address: string) {}
}

@Injectable()
class Users {
  @Cached({ namespace: 'users' })
  async find(id: number, options?: { deep: boolean }) {
    return load('find', id, ...(options === undefined ? [] : [options]));
  }

  @Cached({ namespace: 'users', varyBy: ['tenant'], version: 2 })
  async list(page: number) {
    return load('list', CacheContext.current, page);
  }

  @Cached({ namespace: 'users', key: (mail: string) => `mail:${mail}`, warm: (key) => [key.slice('mail:'.length)] })
  async byMail(mail: string) {
    return load('byMail', mail);
  }

  @Cached({ namespace: 'users', key: (name: string) => `name:${name}` })
  async byName(name: string) {
    return load('byName', name);
  }

  @CachedMany({ namespace: 'users', key: (id: number) => `many:${id}` })
  async many(ids: readonly number[]) {
    return ids;
  }

  @Cached({ namespace: 'users', warm: (key) => (key.includes('eve') ? [new Mail('eve@example.org')] : undefined) })
  async byAddress(mail: Mail) {
    return load('byAddress', mail.address);
  }

  @Cached({ namespace: 'others' })
  async other(id: number) {
    return load('other', id);
  }
}

@Injectable({ scope: Scope.REQUEST })
class Session {
  @Cached({ namespace: 'users' })
  async read(id: number) {
    return load('read', id);
  }
}

@CacheDefaults({ namespace: 'users' })
class Table {
  constructor(private readonly name: string) {}

  @Cached({ instanceKey: (table: unknown) => (table as Table).name })
  async row(id: number) {
    return load(`row of ${this.name}`, id);
  }
}

const HOT = [
  'Users.find(1)',
  'Users.find(2,(deep:true))',
  "Users.list(3)%v2%(tenant:'acme')",
  'mail:ada@example.org',
  "Table.row(7)%i'cats'",
  "Users.byAddress(@Mail(address:'eve@example.org'))",
];
const UNKNOWN = [
  'Users.find(1',
  "Users.byAddress(@Mail(address:'ada@example.org'))",
  'Users.find(@Id(id:1))',
  'Users.gone(1)',
  "Users.list(3)%v1%(tenant:'acme')",
  'Users.list(3)',
  'name:Ada',
  'many:1',
  'Session.read(1)',
  `Users.find('${'x'.repeat(10)}~${'a'.repeat(43)}`,
];

async function recorded(server: RedisServer, keys: readonly string[]): Promise<void> {
  const pairs = keys.flatMap((key, index) => [String(keys.length - index), key]);
  await server.command('ZADD', 'cache:{#hot:users}', ...pairs);
}

function optionsFor(server: RedisServer, warmUp: object = {}): DistributedCacheOptions {
  return {
    redis: { url: server.url },
    deadlineMs: 1000,
    warmUp: { namespaces: ['users'], load: { rate: 1000, concurrency: 5 }, ...warmUp },
  };
}

const PROVIDERS = [
  Users,
  Session,
  { provide: 'cats', useValue: new Table('cats') },
  { provide: 'dogs', useValue: new Table('dogs') },
];

async function start(options: DistributedCacheOptions) {
  const logger = new RecordingLogger();
  const module = await nestForTest({
    cache: options,
    imports: [DistributedCacheHealthModule],
    providers: PROVIDERS,
    logger,
  });
  const cache = module.get(DistributedCache);
  return { cache, health: module.get(DistributedCacheHealthIndicator), module, logger };
}

type Started = Awaited<ReturnType<typeof start>>;

async function untilWarm(cache: DistributedCache): Promise<void> {
  await vi.waitFor(() => expect(cache.warmUp.isWarm).toBe(true), { timeout: 10_000, interval: 5 });
}

describe('a warm-up with loads', () => {
  it('calls the method of each hot key that Redis does not have, with its arguments and dimensions', async () => {
    const server = await ownRedis();
    await recorded(server, [...UNKNOWN, ...HOT]);
    const { cache } = await start(optionsFor(server));
    await untilWarm(cache);
    expect(loads).toHaveLength(HOT.length);
    expect(loads).toEqual(
      expect.arrayContaining([
        ['find', 1],
        ['find', 2, { deep: true }],
        ['list', { tenant: 'acme' }, 3],
        ['byMail', 'ada@example.org'],
        ['row of cats', 7],
        ['byAddress', 'eve@example.org'],
      ]),
    );
    expect(cache.getProcessMetrics().toJSON()).toMatchObject({ warm_up_keys_loaded: HOT.length });
    for (const key of HOT) {
      expect(await server.command('EXISTS', `cache:users:${key}`)).toBe(1);
    }
  });

  it('tells at the start which methods can not be loaded by their keys, and why', async () => {
    const server = await ownRedis();
    const skipped = async (options: DistributedCacheOptions): Promise<string[]> =>
      (await start(options)).logger
        .messagesOf('DistributedCache', 'warn')
        .filter((message) => message.startsWith('cache_warm_up_skips'));
    const [line = ''] = await skipped(optionsFor(server));
    expect(line).toContain('Users.byName (@Cached) has keys of its own: add the option `warm');
    expect(line).toContain('Users.many (@CachedMany)');
    expect(line).toContain('Session.read (@Cached) belongs to a provider that is made anew');
    expect(line).not.toMatch(/find|byMail|other/);
    expect(await skipped(optionsFor(server, { load: false }))).toEqual([]);
  });

  it('runs no loader unless it is asked to, and none for what Redis has', async () => {
    const server = await ownRedis();
    await recorded(server, HOT);
    const { cache } = await start(optionsFor(server, { load: false }));
    await untilWarm(cache);
    expect(loads).toEqual([]);
    await cache.getCache('users').set('Users.find(1)', 'there');
    const other = await start(optionsFor(server));
    await untilWarm(other.cache);
    expect(loads.map(([name]) => name).sort()).toEqual(['byAddress', 'byMail', 'find', 'list', 'row of cats']);
  });

  it('loads each key once in the cluster, and begins no more loads in any second than `rate`', async () => {
    const server = await ownRedis();
    await recorded(
      server,
      Array.from({ length: 60 }, (_, index) => `Users.find(${index})`),
    );
    const options = optionsFor(server, { load: { rate: 40, concurrency: 3 } });
    const all = await Promise.all([1, 2, 3].map(() => start(options)));
    await Promise.all(all.map(({ cache }) => untilWarm(cache)));
    expect(loads.map(([, id]) => id)).toEqual(Array.from({ length: 60 }, (_, index) => index));
    const inSecondFrom = (fromMs: number): number =>
      loadTimes.filter((atMs) => atMs >= fromMs && atMs < fromMs + 1000).length;
    expect(Math.max(...loadTimes.map(inSecondFrom))).toBeLessThanOrEqual(40);
    for (const { cache } of all) {
      expect(cache.getCache('users').topEntries('bytes', 100)).toHaveLength(60);
    }
    const late = await start(options);
    await untilWarm(late.cache);
    expect(loads).toHaveLength(60);
  });

  it.each([
    ['ends', ({ module }: Started) => module.close()],
    ['is cut off from Redis', async (_first: Started, proxy: FaultProxy) => proxy.blackhole()],
  ])('goes on in another process when the leader %s, with the keys that are still missing', async (_how, fail) => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    await recorded(
      server,
      Array.from({ length: 30 }, (_, index) => `Users.find(${index})`),
    );
    const options = optionsFor(server, { load: { rate: 50, concurrency: 2 } });
    const first = await start({ ...options, redis: { host: '127.0.0.1', port: proxy.port }, deadlineMs: 300 });
    await vi.waitFor(() => expect(loads.length).toBeGreaterThan(10), { timeout: 5000, interval: 5 });
    const second = await start(options);
    await fail(first, proxy);
    await untilWarm(second.cache);
    const ids = loads.map(([, id]) => Number(id));
    expect(new Set(ids)).toEqual(new Set(Array.from({ length: 30 }, (_, index) => index)));
    // Only the loads that the first process had begun, and could not store, are begun again.
    expect(ids.length).toBeLessThanOrEqual(34);
    await first.module.close(); // the calls that it has left run their methods
  });

  it('is over at its deadline when loaders hang, holds nothing up, and begins no further loads', async () => {
    const server = await ownRedis();
    await recorded(
      server,
      Array.from({ length: 20 }, (_, index) => `Users.find(${index})`),
    );
    gate = () => new Promise(() => {});
    const options = optionsFor(server, { requireWarm: true, deadline: '1s' });
    const { cache, health } = await start(options);
    await vi.waitFor(() => expect(loads).toHaveLength(5));
    expect(await health.isHealthy()).toMatchObject({ cache: { status: 'down', warming: true } });
    expect(health.isWarm()).toMatchObject({ cache_warm_up: { status: 'down' } });
    await untilWarm(cache);
    expect(await health.isHealthy()).toMatchObject({ cache: { status: 'up', warming: false } });
    expect(health.isWarm('warm')).toMatchObject({ warm: { status: 'up' } });
    await vi.waitFor(async () => expect(await server.command('EXISTS', 'cache:{#hot}')).toBe(1));
    expect(loads).toHaveLength(5);
  });

  it('loads anew what a flush has removed', async () => {
    const server = await ownRedis();
    const { cache, module } = await start(optionsFor(server));
    await untilWarm(cache);
    const users = module.get(Users);
    for (const id of [1, 1, 1, 2, 2]) {
      await users.find(id);
    }
    await cache.warmUp.record();
    loads = [];
    await server.command('FLUSHALL');
    await vi.waitFor(
      () =>
        expect(loads).toEqual([
          ['find', 1],
          ['find', 2],
        ]),
      { timeout: 5000 },
    );
  });

  it('does not load where there is no such method: a cache without Nest', async () => {
    const server = await ownRedis();
    await recorded(server, HOT);
    const [cache] = (await liveCaches(1, optionsFor(server, { deadline: '100ms' }))) as [DistributedCache];
    await untilWarm(cache);
    expect(loads).toEqual([]);
  });

  it('takes the option `warm` where a method has a key of its own', () => {
    expectTypeOf<CachedOptions<[id: number, deep: boolean]>['warm']>().toEqualTypeOf<
      ((key: string) => readonly [id: number, deep: boolean] | undefined) | undefined
    >();
    const decorate = CachedMany({ key: String, warm: () => [] } as never) as unknown as PlainDecorator;
    expect(() => decorate({}, 'x', { value: async () => [] })).toThrow('warm');
  });
});
