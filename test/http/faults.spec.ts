import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Controller,
  Get,
  Header,
  type INestApplication,
  Inject,
  Param,
  Post,
  Res,
  ServiceUnavailableException,
  StreamableFile,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DistributedCacheModule, type DistributedCacheOptions } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCache, HttpCacheModule } from 'nestjs-distributed-cache/http';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Gate } from '../support/gate.js';
import { ownRedis } from '../support/redis-for-test.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { bodyOf, get, type RawAnswer, send } from './http-client.js';
import type { Platform } from './sample-application.js';

/** What the handlers of one test show and wait for. */
class Source {
  version = 1;
  runs = 0;
  running = 0;
  /** The first handler is held until it opens. */
  readonly gate = new Gate();
  /** Opens when 19 handlers run at one time. */
  readonly crowd = new Gate();
  fails = false;

  /** Reads the version before it is held, as a query would. */
  async read(): Promise<{ version: number }> {
    const { version } = this;
    this.runs++;
    if (this.runs === 1) {
      await this.gate.opened;
    }
    if (this.fails) {
      throw new ServiceUnavailableException();
    }
    return { version };
  }
}

@Controller()
class FaultsController {
  constructor(@Inject(Source) private readonly source: Source) {}

  @CachedResponse({ ttl: '1m' })
  @Get('held/:id')
  held(@Param('id') _id: string) {
    return this.source.read();
  }

  @Post('held/:id')
  change() {
    this.source.version++;
    return {};
  }

  @CachedResponse({ ttl: '1m' })
  @Get('uncacheable')
  @Header('Cache-Control', 'no-store')
  async uncacheable() {
    const run = ++this.source.runs;
    if (run > 1) {
      this.source.running++;
      if (this.source.running === 19) {
        this.source.crowd.open();
      }
      await this.source.crowd.opened;
    }
    return { run };
  }

  @CachedResponse({ ttl: '1m' })
  @Get('broken/:kind')
  broken(@Param('kind') kind: string, @Res({ passthrough: true }) response: object) {
    const run = ++this.source.runs;
    const isBroken = run === 1;
    const { source } = this;
    async function* pieces() {
      yield 'the first half';
      if (isBroken) {
        await source.gate.opened;
        if (kind === 'error') {
          throw new Error('of the database');
        }
        destroy(response);
        await new Promise(() => {});
      }
      yield ', the second half';
    }
    return new StreamableFile(Readable.from(pieces(), { objectMode: false }), { type: 'text/plain' });
  }

  @CachedResponse({ ttl: '1m' })
  @Get('declared/:length')
  declared(@Param('length') length: string) {
    this.source.runs++;
    const pieces = Readable.from([Buffer.from('the whole'), Buffer.from(' text')], { objectMode: false });
    return new StreamableFile(pieces, { type: 'text/plain', length: Number(length) });
  }

  @CachedResponse({ ttl: '1m' })
  @Get('silent')
  silent() {
    const run = ++this.source.runs;
    return run === 1 ? new Promise(() => {}) : { run };
  }

  @CachedResponse({ ttl: '1m' })
  @Get('stalled')
  stalled() {
    const run = ++this.source.runs;
    async function* pieces() {
      yield 'the first half';
      if (run === 1) {
        await new Promise(() => {});
      }
      yield ', the second half';
    }
    return new StreamableFile(Readable.from(pieces(), { objectMode: false }), { type: 'text/plain' });
  }

  /** Each run but the first one hangs. */
  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1h' })
  @Get('refreshed')
  refreshed() {
    const run = ++this.source.runs;
    return run === 1 ? { run } : new Promise(() => {});
  }
}

function destroy(response: object): void {
  const { raw } = response as { raw?: { destroy(): void } };
  (raw ?? (response as { destroy(): void })).destroy();
}

const WHOLE = 'the first half, the second half';

describe.each<Platform>(['express', 'fastify'])('the response cache on %s', (platform) => {
  const applications: INestApplication[] = [];

  afterEach(async () => {
    for (const application of applications.splice(0)) {
      (application.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
      await application.close();
    }
  });

  async function start(cache: DistributedCacheOptions = { redis: false }) {
    const source = new Source();
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot(cache), HttpCacheModule.forRoot({ status: 'reasons' })],
      controllers: [FaultsController],
      providers: [{ provide: Source, useValue: source }],
    })
      .setLogger(new RecordingLogger([]))
      .compile();
    const application = module.createNestApplication(
      platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ forceCloseConnections: true }),
    );
    applications.push(application);
    await application.listen(0, '127.0.0.1');
    const url = await application.getUrl();
    const port = Number(new URL(url).port);
    const untilRuns = (runs: number) => vi.waitFor(() => expect(source.runs).toBe(runs));
    return { source, port, url, untilRuns, cache: application.get(HttpCache) };
  }

  const seen = (answer: RawAnswer) => [answer.status, bodyOf(answer)];
  const version = (number: number) => [200, `{"version":${number}}`];
  const at = (port: number, path: string, count: number) => Array.from({ length: count }, () => get(port, path));

  it('runs the handler once for 50 requests at once', async () => {
    const { source, port } = await start();
    const answers = at(port, '/held/1', 50);
    source.gate.open();
    expect(new Set((await Promise.all(answers)).map((answer) => String(seen(answer))))).toEqual(
      new Set([String(version(1))]),
    );
    expect(source.runs).toBe(1);
  });

  it('runs the handlers of 20 requests beside each other when the response may not be stored', async () => {
    const { source, port } = await start();
    // 19 handlers wait for each other: one after the other none of them would end.
    const answers = await Promise.all(at(port, '/uncacheable', 20));
    expect(new Set(answers.map(bodyOf)).size).toBe(20);
    expect(source.runs).toBe(20);
  });

  it('goes on with the handler when the client leaves that began it', async () => {
    const { source, port, untilRuns } = await start();
    const leader = send(port, '/held/1');
    await untilRuns(1);
    const waiter = get(port, '/held/1');
    await delay(20); // the waiter has joined
    leader.request.destroy();
    source.gate.open();
    expect(seen(await waiter)).toEqual(version(1));
    expect(seen(await get(port, '/held/1'))).toEqual(version(1));
    expect(source.runs).toBe(1);
  });

  it('gives each waiter its own run when the handler fails, and stores nothing of it', async () => {
    const { source, port } = await start();
    source.fails = true;
    const answers = at(port, '/held/1', 5);
    source.gate.open();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    expect(source.runs).toBe(5);
    source.fails = false;
    expect(seen(await get(port, '/held/2'))).toEqual(version(1));
  });

  it.each(['purge', 'purge tags', 'clear', 'post'])('does not keep what a handler read before a %s', async (change) => {
    const { source, port, url, cache, untilRuns } = await start();
    const leader = get(port, '/held/1');
    await untilRuns(1);
    source.version = 2;
    const changes: Readonly<Record<string, () => Promise<unknown>>> = {
      purge: () => cache.purge(`${url}/held/1`),
      'purge tags': () => cache.purgeRoute(FaultsController, 'held'),
      clear: () => cache.clear(),
      post: () => get(port, '/held/1', {}, 'POST'),
    };
    await changes[change]?.();
    const expected = source.version;
    const later = get(port, '/held/1');
    await untilRuns(2);
    expect(seen(await later)).toEqual(version(expected));
    source.gate.open();
    expect(seen(await leader)).toEqual(version(1));
    expect(seen(await get(port, '/held/1'))).toEqual(version(expected));
  });

  it.each(['error', 'cut'])('stores no body that breaks off (%s), and gives the waiters whole ones', async (kind) => {
    const { source, port, untilRuns } = await start();
    const leader = get(port, `/broken/${kind}`);
    await untilRuns(1);
    const waiters = at(port, `/broken/${kind}`, 3);
    await delay(20); // the waiters have joined
    source.gate.open();
    const broken = await leader.catch(() => undefined);
    expect(broken?.isComplete ?? false).toBe(false);
    for (const answer of await Promise.all(waiters)) {
      expect([...seen(answer), answer.isComplete]).toEqual([200, WHOLE, true]);
    }
    expect(seen(await get(port, `/broken/${kind}`))).toEqual([200, WHOLE]);
  });

  it.each([
    [5, 2],
    [50, 2],
    [14, 1],
  ])(
    'stores no body of another length than declared: %d bytes for 14, %d runs for two requests',
    async (length, runs) => {
      const { source, port, untilRuns } = await start();
      for (const count of [1, 2]) {
        const { request, answer } = send(port, `/declared/${length}`);
        const ended = answer.catch(() => {});
        await Promise.race([ended, untilRuns(count)]);
        await Promise.race([ended, delay(50)]); // a client of the longer one waits for the rest
        request.destroy();
      }
      expect(source.runs).toBe(runs);
    },
  );

  /** Moves the timers on until all are answered. @returns the answers, and the time that went by, in milliseconds */
  async function inTime(waiters: Promise<RawAnswer>[]): Promise<{ answers: RawAnswer[]; waitedMs: number }> {
    const released = { answers: [] as RawAnswer[] };
    let waitedMs = 0;
    void Promise.all(waiters).then((all) => (released.answers = all));
    while (released.answers.length === 0 && waitedMs < 120_000) {
      await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(10);
      waitedMs += 10;
    }
    return { answers: released.answers, waitedMs };
  }

  it.each(['silent', 'stalled'])('gives 20 clients an answer within 10 s when the handler hangs (%s)', async (path) => {
    const { port, source, untilRuns } = await start();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const leader = send(port, `/${path}`);
    await untilRuns(1);
    const { answers, waitedMs } = await inTime(at(port, `/${path}`, 20));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(waitedMs).toBeLessThanOrEqual(12_000);
    expect(source.runs).toBe(21);
    // Further clients do not wait: they would wait in vain, one after the other.
    const later = await inTime([get(port, `/${path}`)]);
    expect([later.answers[0]?.status, later.waitedMs < 5000]).toEqual([200, true]);
    leader.request.destroy();
  });

  it.each(['silent', 'stalled'])(
    'releases the waiters of a handler that hangs (%s), after its client has left',
    async (path) => {
      const { port, source, untilRuns } = await start();
      const leader = send(port, `/${path}`);
      await untilRuns(1);
      const waiters = at(port, `/${path}`, 3);
      await delay(20); // the waiters have joined
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      onTestFinished(() => void vi.useRealTimers());
      leader.request.destroy();
      const { answers } = await inTime(waiters);
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(source.runs).toBeGreaterThan(1);
    },
  );

  it('refreshes again when the handler of a refresh hangs', async () => {
    const { port, source, untilRuns } = await start();
    await get(port, '/refreshed');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const untilRefreshed = async (runs: number) => {
      await new Promise((resolve) => setImmediate(resolve));
      expect(bodyOf(await get(port, '/refreshed'))).toBe('{"run":1}');
      await untilRuns(runs);
    };
    await delay(5); // stale
    await untilRefreshed(2);
    vi.advanceTimersByTime(61_000);
    await untilRefreshed(3);
    expect(source.runs).toBe(3);
  });

  it.each(['frozen', 'killed'])('answers every client when Redis is %s during the fill', async (fault) => {
    const server = await ownRedis();
    const { source, port, untilRuns } = await start({ redis: { host: '127.0.0.1', port: server.port } });
    const answers = at(port, '/held/1', 5);
    await untilRuns(1);
    await (fault === 'frozen' ? Promise.resolve(server.freeze()) : server.killHard());
    answers.push(...at(port, '/held/1', 5), ...at(port, '/held/2', 5));
    source.gate.open();
    for (const answer of await Promise.all(answers)) {
      expect(seen(answer)).toEqual(version(1));
    }
    source.version = 2;
    expect(seen(await get(port, '/held/3'))).toEqual(version(2));
    await (fault === 'frozen' ? Promise.resolve(server.thaw()) : server.restart());
    expect([1, 2]).toContain((JSON.parse(bodyOf(await get(port, '/held/1'))) as { version: number }).version);
  });
});
