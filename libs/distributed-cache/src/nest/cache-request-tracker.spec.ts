import { Controller, Get, Inject, Injectable, Param, ParseIntPipe, Query, Sse, UseInterceptors } from '@nestjs/common';
import { APP_INTERCEPTOR, type AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { concat, NEVER, of, type Observable } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { httpForTest } from '../../../../test/support/nest-for-test.js';
import { DistributedCache } from '../core/index.js';
import { CacheMetricsInterceptor, CacheRequestTracker } from './interceptors.js';
import { Cached } from './decorators/cached.decorator.js';

const GLOBAL = { provide: APP_INTERCEPTOR, useExisting: CacheMetricsInterceptor };

@Injectable()
class Users {
  @Cached()
  async find(id: number): Promise<string> {
    return `user ${id}`;
  }
}

@Controller('users')
class UsersController {
  constructor(@Inject(Users) private readonly users: Users) {}

  @Get('plain')
  plain(): string {
    return 'plain';
  }

  @Get('many')
  async many(@Query('count', ParseIntPipe) count: number): Promise<string> {
    for (let id = 0; id < count; id++) {
      await this.users.find(1000 * count + id);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return `${count}`;
  }

  @Get(':id/profile')
  async profile(@Param('id', ParseIntPipe) id: number): Promise<string> {
    return this.users.find(id);
  }

  @Get(':id/broken')
  async broken(@Param('id', ParseIntPipe) id: number): Promise<never> {
    await this.users.find(id);
    throw new Error('secret');
  }

  @Sse(':id/changes')
  async changes(@Param('id', ParseIntPipe) id: number): Promise<Observable<{ data: string }>> {
    return concat(of({ data: await this.users.find(id) }), NEVER);
  }
}

const platforms: readonly (readonly [name: string, adapter: () => AbstractHttpAdapter])[] = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
];

describe.each(platforms)('CacheRequestTracker on %s', (_name, adapter) => {
  const start = () => httpForTest({ controllers: [UsersController], providers: [Users, GLOBAL] }, adapter());

  it('keeps concurrent requests apart', async () => {
    const server = await start();
    const counts = [3, 1, 0, 2, 8, 5, 4, 7, 6];
    const headers = await Promise.all(counts.map((count) => server.cacheStatus(`/users/many?count=${count}`)));
    const misses = headers.map((header) => header?.split(', ').filter((member) => member.includes('fwd=miss')).length);
    expect(misses).toEqual(counts);
    const { routes } = server.app.get(CacheRequestTracker);
    expect(routes.snapshot()).toMatchObject([{ route: 'GET /users/many', requests: 9, misses: 36, localHits: 0 }]);
  });

  it('counts by the pattern of the route, never by its path', async () => {
    const server = await httpForTest({ controllers: [UsersController], providers: [Users, GLOBAL] }, adapter(), (app) =>
      app.setGlobalPrefix('api'),
    );
    for (const path of ['1/profile', '2/profile', '1/profile', '1/broken', 'plain']) {
      await server.request(`/api/users/${path}`);
    }
    expect(server.app.get(CacheRequestTracker).routes.snapshot()).toMatchObject([
      { route: 'GET /api/users/:id/profile', requests: 3, fullyCachedRequests: 1, misses: 2, localHits: 1 },
      { route: 'GET /api/users/:id/broken', requests: 1, fullyCachedRequests: 1, misses: 0, localHits: 1 },
      { route: 'GET /api/users/plain', requests: 1, fullyCachedRequests: 0, misses: 0, localHits: 0 },
    ]);
  });

  it('counts a request once where it is global and on the controller', async () => {
    @Controller('users')
    @UseInterceptors(CacheMetricsInterceptor)
    class FollowedController {
      constructor(@Inject(Users) private readonly users: Users) {}
      @Get(':id')
      @UseInterceptors(CacheMetricsInterceptor)
      async find(@Param('id', ParseIntPipe) id: number): Promise<string> {
        return this.users.find(id);
      }
    }
    const server = await httpForTest({ controllers: [FollowedController], providers: [Users, GLOBAL] }, adapter());
    expect(await server.cacheStatus('/users/1')).toBe('default; fwd=miss; stored');
    expect(server.app.get(CacheRequestTracker).routes.snapshot()).toMatchObject([{ requests: 1, misses: 1 }]);
  });

  it('counts a stream of events that the client has left', async () => {
    const server = await start();
    const client = new AbortController();
    const events = await server.request('/users/1/changes', { signal: client.signal });
    await events.body?.getReader().read();
    const { routes } = server.app.get(CacheRequestTracker);
    expect(routes.snapshot()).toEqual([]);
    client.abort();
    await vi.waitFor(() =>
      expect(routes.snapshot()).toMatchObject([{ route: 'GET /users/:id/changes', requests: 1, misses: 1 }]),
    );
  });
  it('listens to the cache only between the first request and the end', async () => {
    const { app, request } = await start();
    const { events } = app.get(DistributedCache);
    expect(events.isObserved('hit')).toBe(false);
    await request('/users/1/profile');
    expect(events.isObserved('hit')).toBe(true);
    await app.close();
    expect(events.isObserved('hit')).toBe(false);
  });
});
