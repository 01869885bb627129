import { Controller, Get, Header, Inject, Injectable, Next, Param, Res, Scope } from '@nestjs/common';
import { NestFactory, REQUEST } from '@nestjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { recordLogs } from '../../../../../test/support/recording-logger.js';
import { Cached } from '../decorators/cached.decorator.js';
import { DistributedCacheModule } from '../distributed-cache.module.js';

interface Answer {
  setHeader(name: string, value: string): void;
  end(text: string): void;
}

let runs = 0;

@Controller()
class Pages {
  @Get('by-hand/:id')
  @Cached({ key: () => 'by hand' })
  async byHand(@Param('id') id: string, @Res() response: Answer): Promise<void> {
    runs++;
    response.end(`page ${id}`);
  }

  @Cached({ key: () => 'with header' })
  @Get('with-header')
  async withHeader(@Res({ passthrough: true }) response: Answer): Promise<string> {
    response.setHeader('x-run', String(++runs));
    return 'page';
  }

  @Cached({ key: () => 'passed on' })
  @Get('passed-on')
  async passedOn(@Next() next: () => void): Promise<void> {
    next();
  }

  @Get('plain')
  @Header('x-page', 'plain')
  @Cached({ key: () => 'plain' })
  async plain(): Promise<number> {
    return ++runs;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Reader {
  constructor(@Inject(REQUEST) private readonly request: { user: string }) {}

  @Cached()
  async mine(): Promise<string> {
    return this.request.user;
  }

  @Cached({ key: () => 'all' })
  async all(): Promise<string> {
    return 'all';
  }
}

@Injectable({ scope: Scope.REQUEST })
class Tenant {
  constructor(@Inject(REQUEST) readonly request: { tenant: string }) {}
}

@Injectable()
class Connection {
  constructor(@Inject(Tenant) readonly tenant: Tenant) {}
}

@Injectable()
class Rows {
  @Inject(Connection) private readonly connection!: Connection;

  @Cached()
  async all(): Promise<string> {
    return this.connection.tenant.request.tenant;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Counter {
  @Cached()
  async next(): Promise<number> {
    return 1;
  }
}

async function start() {
  const logger = recordLogs(['warn', 'error']);
  const module = {
    module: class Root {},
    controllers: [Pages],
    providers: [Reader, Tenant, Connection, Rows, Counter],
  };
  const root = { ...module, imports: [DistributedCacheModule.forRoot({ redis: false })] };
  const app = await NestFactory.create(root, { logger });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const report = logger.messagesOf('DistributedCache').find((line) => line.startsWith('cache_start_check')) ?? '';
  return { get: (path: string) => fetch(`${url}/${path}`, { signal: AbortSignal.timeout(5000) }), report };
}

describe('a cached route handler that receives the response', () => {
  it('answers every request, as without the cache, and the start names it', async () => {
    const { get, report } = await start();
    expect(await (await get('by-hand/1')).text()).toBe('page 1');
    expect(await (await get('by-hand/2')).text()).toBe('page 2');
    const first = (await get('with-header')).headers.get('x-run');
    expect((await get('with-header')).headers.get('x-run')).toBe(String(Number(first) + 1));
    expect(report).toContain('Pages.byHand (@Cached) writes to the response itself');
    expect(report).toContain('Pages.withHeader (@Cached) writes to the response itself');
    expect(report).toContain('Pages.passedOn (@Cached) writes to the response itself');
  });

  it('is the only kind that is not cached', async () => {
    const { get, report } = await start();
    const first = await (await get('plain')).text();
    expect(await (await get('plain')).text()).toBe(first);
    expect(report).not.toContain('Pages.plain');
  });
});

it('the start names a method with default keys whose class injects the request', async () => {
  const { report } = await start();
  expect(report).toContain('Reader.mine (@Cached) can read the request that Reader injects');
  expect(report).not.toContain('Reader.all');
});

it('the start names a method with default keys whose class reaches the request through other providers', async () => {
  const { report } = await start();
  expect(report).toContain('Rows.all (@Cached) can read the request that Rows injects through Connection, Tenant');
  expect(report).not.toContain('Counter.next');
});
