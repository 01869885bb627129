import { setTimeout as delay } from 'node:timers/promises';
import {
  Controller,
  Get,
  Header,
  Headers,
  type INestApplication,
  Param,
  Post,
  ServiceUnavailableException,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DistributedCacheModule, type DistributedCacheOptions } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCacheModule } from 'nestjs-distributed-cache/http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FaultProxy } from '../support/fault-proxy.js';
import { Gate } from '../support/gate.js';
import { clientOf, ownRedis, proxyTo } from '../support/redis-for-test.js';
import type { RedisServer } from '../support/redis-server.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { bodyOf, get, type RequestFields } from './http-client.js';
import type { Platform } from './sample-application.js';

const ROWS = 10;
const CLIENTS = 50;

/** The versions of the rows, as a database has them. */
let versions: number[] = [];
let runs = 0;
let held: Promise<void> | undefined;

@Controller()
class RowsController {
  @CachedResponse({ ttl: '1m' })
  @Get('rows/:id')
  async row(@Param('id') id: string) {
    const version = versions[Number(id)];
    await delay(Math.random() * 5);
    return { version };
  }

  /** Each response is stale at once, and refreshed while it is sent. */
  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1m', staleIfError: '1m' })
  @Get('refreshed/:id')
  async refreshed(@Param('id') id: string) {
    return this.row(id);
  }

  @CachedResponse({ ttl: '1h', tags: ['pages'] })
  @Get('pages/:id')
  async page(@Param('id') id: string) {
    const run = ++runs;
    await held;
    return { id, run };
  }

  @CachedResponse({ ttl: '1h' })
  @Get('varied')
  @Header('Vary', 'X-Plan')
  varied(@Headers('x-plan') plan?: string) {
    return { plan, run: ++runs };
  }

  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1h' })
  @Get('stale')
  async stale() {
    const run = ++runs;
    await held;
    return { run };
  }

  /** Only the first run for an id succeeds. */
  @CachedResponse({ ttl: '1ms', staleIfError: '1h' })
  @Get('failing/:id')
  failing(@Param('id') id: string) {
    if (versions[Number(id)] !== undefined) {
      throw new ServiceUnavailableException();
    }
    versions[Number(id)] = 1;
    return { id };
  }

  @Post('rows/:id')
  change(@Param('id') id: string) {
    versions[Number(id)] = (versions[Number(id)] ?? 0) + 1;
    return { version: versions[Number(id)] };
  }
}

type Fault = (server: RedisServer, proxy: FaultProxy) => Promise<() => Promise<unknown>>;

const FAULTS: Readonly<Record<string, Fault>> = {
  frozen: async (server) => {
    server.freeze();
    return async () => server.thaw();
  },
  killed: async (server) => {
    await server.killHard();
    return () => server.restart();
  },
  'cut off, again and again': async (_server, proxy) => {
    const cutting = setInterval(() => proxy.cut(), 20);
    return async () => clearInterval(cutting);
  },
  'silent on each connection': async (_server, proxy) => {
    proxy.blackhole();
    return async () => proxy.resume();
  },
};

async function listening(
  platform: Platform,
  port: number,
  options: Pick<DistributedCacheOptions, 'local' | 'deadlineMs'> = {},
): Promise<number> {
  const module = await Test.createTestingModule({
    imports: [
      DistributedCacheModule.forRoot({ redis: { host: '127.0.0.1', port }, ...options }),
      HttpCacheModule.forRoot({ status: 'reasons' }),
    ],
    controllers: [RowsController],
  })
    .setLogger(new RecordingLogger([]))
    .compile();
  const application: INestApplication = module.createNestApplication(
    platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ forceCloseConnections: true }),
  );
  onTestFinished(async () => {
    (application.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
    await application.close();
  });
  await application.listen(0, '127.0.0.1');
  return Number(new URL(await application.getUrl()).port);
}

describe.each<Platform>(['express', 'fastify'])('fifty clients of the response cache on %s', (platform) => {
  it.each(Object.keys(FAULTS))(
    'get an answer each, and none that is older than what they have changed, while Redis is %s',
    async (name) => {
      const server = await ownRedis();
      const proxy = await proxyTo(server);
      const port = await listening(platform, proxy.port);
      versions = Array.from({ length: ROWS }, () => 1);
      /** The last version of which a client has got the answer to its change. */
      const changed = [...versions];
      const wrong: object[] = [];
      const state = { isOver: false, hits: 0 };
      const client = async (): Promise<void> => {
        while (!state.isOver) {
          const id = Math.floor(Math.random() * ROWS);
          const kind = Math.random();
          if (kind < 0.05) {
            const { status, bytes } = await get(port, `/rows/${id}`, {}, 'POST');
            const { version } = JSON.parse(bytes.toString()) as { version: number };
            changed[id] = Math.max(changed[id] ?? 0, version);
            if (status !== 201) {
              wrong.push({ id, status });
            }
          } else {
            const least = kind < 0.8 ? (changed[id] ?? 0) : 1;
            const answer = await get(port, kind < 0.8 ? `/rows/${id}` : `/refreshed/${id}`);
            const { version = 0 } = JSON.parse(bodyOf(answer)) as { version?: number };
            if (answer.status !== 200 || version < least || version > (versions[id] ?? 0)) {
              wrong.push({ id, status: answer.status, version, least });
            }
            state.hits += String(answer.fields['cache-status']).includes('hit') ? 1 : 0;
          }
        }
      };
      const clients = Array.from({ length: CLIENTS }, client);
      await vi.waitFor(() => expect(state.hits).toBeGreaterThan(CLIENTS));
      const end = await FAULTS[name]?.(server, proxy);
      await delay(600);
      await end?.();
      state.hits = 0;
      await vi.waitFor(() => expect(state.hits).toBeGreaterThan(CLIENTS));
      state.isOver = true;
      await Promise.all(clients);
      expect(wrong).toEqual([]);
    },
  );
});

describe.each<Platform>(['express', 'fastify'])('a process on %s that expects Redis to have nothing', (platform) => {
  const HOST = { host: 'app.example' };

  /** The ports of a process that has filled nothing yet, and of one that has missed often. */
  async function start(local?: false) {
    const server = await ownRedis();
    const patient = { deadlineMs: 3000 }; // a busy machine is not the subject
    const other = await listening(platform, server.port, patient);
    const port = await listening(platform, server.port, { ...patient, ...(local === false && { local }) });
    for (let id = 0; id < 4; id++) {
      await get(port, `/pages/${id}`, HOST);
    }
    const ask = async (of: number, path: string, fields: RequestFields = {}) => {
      const answer = await get(of, path, { ...HOST, ...fields });
      const { run } = JSON.parse(bodyOf(answer)) as { run: number };
      return { run, cache: String(answer.fields['cache-status']), age: Number(answer.fields['age'] ?? -1) };
    };
    return { server, other, port, ask };
  }

  it.each([undefined, false] as const)('sends what another process has stored, as a hit (local: %s)', async (local) => {
    const { other, port, ask } = await start(local);
    for (const path of ['/pages/a', '/pages/b', '/pages/c']) {
      const { run } = await ask(other, path);
      await delay(5);
      expect(await ask(port, path)).toEqual({
        run,
        cache: expect.stringMatching(/^http;hit;ttl=3\d{3}$/) as string,
        age: 0,
      });
    }
  });

  it('keeps the variants of a URL apart that another process has stored', async () => {
    const { other, port, ask } = await start();
    const stored = [await ask(other, '/varied', { 'x-plan': 'a' }), await ask(other, '/varied', { 'x-plan': 'b' })];
    await delay(5);
    expect((await ask(port, '/varied', { 'x-plan': 'b' })).run).toBe(stored[1]?.run);
    expect((await ask(port, '/varied', { 'x-plan': 'a' })).run).toBe(stored[0]?.run);
    expect((await ask(port, '/varied')).cache).toContain('fwd=vary-miss');
  });

  it('sends a stale response to all that ask at once, and refreshes it once', async () => {
    const { server, other, port, ask } = await start();
    const { run } = await ask(other, '/stale');
    const redis = clientOf(server);
    await vi.waitFor(async () => expect(await redis.keys('cache:http:*/stale*')).toHaveLength(1));
    await delay(5);
    const gate = new Gate();
    held = gate.opened;
    onTestFinished(() => void (held = undefined));
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(port, '/stale')));
    expect(new Set(answers.map((answer) => answer.run))).toEqual(new Set([run]));
    expect(answers.every(({ cache }) => cache.includes('detail=stale-while-revalidate'))).toBe(true);
    gate.open();
    expect(runs).toBeLessThanOrEqual(run + 1);
  });

  it('sends the stale response when its handler fails, however soon after the first one', async () => {
    const { port } = await start();
    versions = [];
    const statuses: number[] = [];
    for (let id = 0; id < 100; id++) {
      await get(port, `/failing/${id}`, HOST);
      await delay(id % 4);
      statuses.push((await get(port, `/failing/${id}`, HOST)).status);
    }
    expect(statuses).toEqual(statuses.map(() => 200));
  });

  it('gives fifty that ask at once what one run of the handler makes', async () => {
    const { port, ask } = await start();
    const gate = new Gate();
    held = gate.opened;
    onTestFinished(() => void (held = undefined));
    const asked = Array.from({ length: 50 }, () => ask(port, '/pages/at-once'));
    await delay(300); // most of them have joined
    gate.open();
    const answers = await Promise.all(asked);
    expect(new Set(answers.map(({ run }) => run)).size).toBe(1);
    expect(answers.filter(({ cache }) => cache.includes('stored'))).toHaveLength(1);
    expect(answers.filter(({ cache }) => cache.includes('collapsed')).length).toBeGreaterThan(25);
  });

  it('asks Redis twice for each response that it has not', async () => {
    const { server, port } = await start();
    const client = clientOf(server);
    await client.ping();
    const monitor = await client.monitor();
    onTestFinished(() => monitor.disconnect());
    const seen: string[] = [];
    monitor.on('monitor', (_time: string, [name = '', ...args]: string[], source: string) => {
      if (source !== 'lua' && args.some((arg) => arg.includes('pages'))) {
        seen.push(name.toLowerCase());
      }
    });
    for (const id of ['x', 'y']) {
      await get(port, `/pages/${id}`, HOST);
    }
    await vi.waitFor(() => expect(seen.filter((name) => name === 'rename')).toHaveLength(2));
    // The lease and the value in one write; the fill in another one.
    expect(seen).toEqual(['set', 'get', 'evalsha', 'rename', 'set', 'get', 'evalsha', 'rename']);
  });
});
