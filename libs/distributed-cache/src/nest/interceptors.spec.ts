import { Readable } from 'node:stream';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  NotFoundException,
  Param,
  ParseIntPipe,
  Res,
  Sse,
  StreamableFile,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, type AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { concat, defer, NEVER, of, take, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { httpForTest, nestForTest } from '../../../../test/support/nest-for-test.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import type { AsyncCache, DistributedCacheOptions } from '../core/index.js';
import { CacheMetricsInterceptor, CacheRequestTracker } from './interceptors.js';
import { InjectCache } from './cache-tokens.js';
import { Cached, CachedTrends } from './decorators/cached.decorator.js';

const GLOBAL = { provide: APP_INTERCEPTOR, useExisting: CacheMetricsInterceptor };

@Injectable()
class Users {
  @Cached()
  async find(id: number): Promise<string> {
    return `user ${id}`;
  }

  @CachedTrends()
  async trend(id: number): Promise<string> {
    return `trend ${id}`;
  }
}

@Controller('users')
class UsersController {
  constructor(
    @Inject(Users) private readonly users: Users,
    @InjectCache('metrics') private readonly metrics: AsyncCache<number>,
  ) {}

  @Get(':id/profile')
  async profile(@Param('id', ParseIntPipe) id: number): Promise<string> {
    return this.users.find(id);
  }

  @Get(':id/page')
  async page(@Param('id', ParseIntPipe) id: number): Promise<unknown[]> {
    return [await this.users.find(id), await this.users.trend(id), await this.metrics.get(`${id}`)];
  }

  @Get('plain')
  plain(): string {
    return 'plain';
  }

  @Get(':id/missing')
  async missing(@Param('id', ParseIntPipe) id: number): Promise<never> {
    await this.users.find(id);
    throw new NotFoundException();
  }

  @Get(':id/broken')
  async broken(@Param('id', ParseIntPipe) id: number): Promise<never> {
    await this.users.find(id);
    throw new Error('secret');
  }

  @Get('observable')
  observable(): Observable<string> {
    return of('observed');
  }

  @Get(':id/twice')
  twice(@Param('id', ParseIntPipe) id: number): Observable<string> {
    return concat(
      defer(() => this.users.find(id)),
      defer(() => this.users.trend(id)),
    );
  }

  @Get(':id/by-hand')
  async byHand(@Param('id', ParseIntPipe) id: number, @Res() response: { send(body: string): unknown }): Promise<void> {
    response.send(await this.users.find(id));
  }

  @Get(':id/file')
  async file(@Param('id', ParseIntPipe) id: number): Promise<StreamableFile> {
    return new StreamableFile(Readable.from([Buffer.from(await this.users.find(id))]));
  }

  @Sse(':id/events')
  async events(@Param('id', ParseIntPipe) id: number): Promise<Observable<{ data: string }>> {
    return of({ data: await this.users.find(id) }, { data: 'end' });
  }
}

const platforms: readonly (readonly [name: string, adapter: () => AbstractHttpAdapter])[] = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
];

describe.each(platforms)('CacheMetricsInterceptor on %s', (_name, adapter) => {
  const start = (cache: DistributedCacheOptions = { redis: false }) =>
    httpForTest({ controllers: [UsersController], providers: [Users, GLOBAL], cache }, adapter());

  it('reports miss, then hit with tier and remaining TTL, in Cache-Status', async () => {
    const { request } = await start();
    const first = await request('/users/1/profile');
    expect([first.status, await first.text()]).toEqual([200, 'user 1']);
    expect(first.headers.get('cache-status')).toBe('default; fwd=miss; stored');
    const second = await request('/users/1/profile');
    expect([second.status, await second.text()]).toEqual([200, 'user 1']);
    expect(second.headers.get('cache-status')).toMatch(/^default; hit; ttl=3[56]\d\d; detail=local$/);
  });

  it('reports a hit in Redis', async () => {
    const { url, keyPrefix } = redisForTest();
    const options = { redis: { url }, keyPrefix, deadlineMs: 10_000 };
    const [podA, podB] = [await start(options), await start(options)];
    await podA.request('/users/1/profile');
    expect(await podB.cacheStatus('/users/1/profile')).toMatch(/^default; hit; ttl=3[56]\d\d; detail=redis$/);
    expect(await podB.cacheStatus('/users/1/profile')).toMatch(/detail=local$/);
  });

  it('names each lookup of the request, in their order', async () => {
    const server = await start();
    await server.request('/users/1/profile');
    expect(await server.cacheStatus('/users/1/page')).toMatch(
      /^default; hit; ttl=\d+; detail=local, trends; fwd=miss; stored, metrics; fwd=miss$/,
    );
  });

  it('keeps what another cache has written into Cache-Status before, behind its own lookups', async () => {
    const outer = {
      provide: APP_GUARD,
      useValue: {
        canActivate(context: ExecutionContext): boolean {
          const response = context.getArgByIndex<{ header(name: string, value: string): unknown }>(1);
          response.header('Cache-Status', 'http; fwd=bypass');
          return true;
        },
      },
    };
    const cache = { redis: false } as const;
    const server = await httpForTest(
      { controllers: [UsersController], providers: [Users, GLOBAL, outer], cache },
      adapter(),
    );
    expect(await server.cacheStatus('/users/1/profile')).toBe('default; fwd=miss; stored, http; fwd=bypass');
    expect(await server.cacheStatus('/users/2/twice')).toBe(
      'default; fwd=miss; stored, trends; fwd=miss; stored, http; fwd=bypass',
    );
  });

  it('reports bypass for a request without any lookup, and with the cache switched off', async () => {
    expect(await (await start()).cacheStatus('/users/plain')).toBe('distributed-cache; fwd=bypass');
    expect(await (await start()).cacheStatus('/users/observable')).toBe('distributed-cache; fwd=bypass');
    expect(await (await start({ enabled: false })).cacheStatus('/users/1/profile')).toBe(
      'distributed-cache; fwd=bypass',
    );
  });

  it('sets the header on errors too, and does not change them', async () => {
    const server = await start();
    const missing = await server.request('/users/1/missing');
    expect([missing.status, missing.headers.get('cache-status')]).toEqual([404, 'default; fwd=miss; stored']);
    const broken = await server.request('/users/1/broken');
    expect([broken.status, broken.headers.get('cache-status')]).toEqual([500, expect.stringContaining('; hit;')]);
    expect(await broken.json()).toEqual({ statusCode: 500, message: 'Internal server error' });
    expect((await server.request('/users/one/profile')).headers.get('cache-status')).toContain('bypass');
  });

  it('reports a lookup whose load failed as a miss', async () => {
    @Controller('slow')
    class FailingController {
      @Get()
      @Cached()
      async find(): Promise<string> {
        throw new NotFoundException();
      }
    }
    const server = await httpForTest({ controllers: [FailingController], providers: [GLOBAL] }, adapter());
    const answer = await server.request('/slow');
    expect([answer.status, answer.headers.get('cache-status')]).toEqual([404, 'default; fwd=miss']);
  });

  it('works on one controller alone', async () => {
    @Controller('users')
    @UseInterceptors(CacheMetricsInterceptor)
    class FollowedController extends UsersController {}
    const server = await httpForTest({ controllers: [FollowedController], providers: [Users] }, adapter());
    expect(await server.cacheStatus('/users/1/profile')).toBe('default; fwd=miss; stored');
  });

  it('distinguishes the requests that shared one load from the one that ran it', async () => {
    const both = { arrived: 0, open: (): void => {} };
    const gate = new Promise<void>((resolve) => (both.open = resolve));
    @Controller('slow')
    class SlowController {
      @Get()
      async find(): Promise<string> {
        both.arrived++;
        if (both.arrived === 2) {
          setImmediate(both.open);
        }
        return this.load();
      }
      @Cached()
      async load(): Promise<string> {
        await gate;
        return 'done';
      }
    }
    const server = await httpForTest({ controllers: [SlowController], providers: [GLOBAL] }, adapter());
    const headers = await Promise.all([server.cacheStatus('/slow'), server.cacheStatus('/slow')]);
    expect(headers.toSorted()).toEqual(['default; fwd=miss; stored', 'default; fwd=miss; stored; collapsed']);
  });

  it('reports all lookups of a handler until its last answer', async () => {
    expect(await (await start()).cacheStatus('/users/1/twice')).toBe(
      'default; fwd=miss; stored, trends; fwd=miss; stored',
    );
  });

  it('sets the header when an outer interceptor takes the first answer only', async () => {
    const takeFirst = { intercept: (_context: ExecutionContext, next: CallHandler) => next.handle().pipe(take(1)) };
    @Controller('users')
    @UseInterceptors(takeFirst, CacheMetricsInterceptor)
    class FirstController {
      constructor(@Inject(Users) private readonly users: Users) {}
      @Get(':id/first')
      first(@Param('id', ParseIntPipe) id: number): Observable<string> {
        return concat(this.users.find(id), NEVER);
      }
    }
    const server = await httpForTest({ controllers: [FirstController], providers: [Users] }, adapter());
    expect(await server.cacheStatus('/users/1/first')).toBe('default; fwd=miss; stored');
    const { routes } = server.app.get(CacheRequestTracker);
    expect(routes.snapshot()).toMatchObject([{ route: 'GET /users/:id/first', requests: 1, misses: 1 }]);
  });

  it('does nothing for a handler that answers by itself', async () => {
    const server = await start();
    const answer = await server.request('/users/1/by-hand');
    expect([answer.status, await answer.text()]).toEqual([200, 'user 1']);
    const [route] = server.app.get(CacheRequestTracker).routes.snapshot();
    expect(route).toMatchObject({ route: 'GET /users/:id/by-hand', requests: 1, misses: 1 });
  });

  it('counts the lookups of a file, and of a stream of events', async () => {
    const server = await start();
    const file = await server.request('/users/1/file');
    expect([file.status, await file.text()]).toEqual([200, 'user 1']);
    expect(file.headers.get('cache-status')).toBe('default; fwd=miss; stored');
    const events = await server.request('/users/1/events');
    expect(events.headers.get('content-type')).toContain('text/event-stream');
    expect(await events.text()).toContain('data: user 1');
    expect(server.app.get(CacheRequestTracker).routes.snapshot()).toMatchObject([
      { route: 'GET /users/:id/file', requests: 1, misses: 1 },
      { route: 'GET /users/:id/events', requests: 1, localHits: 1 },
    ]);
  });
});

describe('CacheMetricsInterceptor', () => {
  it.each([['graphql'], ['rpc'], ['ws']])('does nothing for %s', async (type) => {
    const module = await nestForTest({ providers: [Users] });
    const context = { getType: () => type } as unknown as ExecutionContext;
    const answer = of('answer');
    const next: CallHandler = { handle: () => answer };
    expect(module.get(CacheMetricsInterceptor).intercept(context, next)).toBe(answer);
    expect(module.get(CacheRequestTracker).routes.snapshot()).toEqual([]);
  });
});
