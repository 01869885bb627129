import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import type { ExecutionContext } from '@nestjs/common';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { OwnRedisGuard } from '../../apps/keyword-insights/src/own-redis/own-redis.guard.js';
import { OwnRedis } from '../../apps/keyword-insights/src/own-redis/own-redis.js';
import { findRedisServer } from '../../scripts/find-redis.mjs';
import { type Demo, fewMails, startDemo } from './demo-for-test.js';

const ACTIONS = ['freeze', 'thaw', 'kill', 'start'] as const;
type Action = (typeof ACTIONS)[number];
const ALLOWED = { 'x-demo-request': '1' };

interface DemoWithRedis extends Demo {
  readonly ownRedis: OwnRedis;
}

async function startDemoWithRedis(): Promise<DemoWithRedis> {
  const ownRedis = await OwnRedis.start(findRedisServer() ?? '');
  onTestFinished(() => ownRedis.kill());
  return { ...(await startDemo({}, fewMails(), ownRedis)), ownRedis };
}

/** `fetch` sends neither `Host` nor `Origin` as the test wants them. */
async function post(
  { url }: Demo,
  action: Action,
  headers: Record<string, string> = ALLOWED,
): Promise<{ status: number | undefined; json: Record<string, unknown> }> {
  const sent = request(`${url}/demo/redis/${action}`, { method: 'POST', headers, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response) {
    body += String(chunk);
  }
  return { status: response.statusCode, json: JSON.parse(body) as Record<string, unknown> };
}

/** Waits for the state, and expects an answer to every question in the meantime. */
async function untilHealthIs(demo: Demo, status: 'up' | 'degraded', message?: RegExp): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(await demo.ask('/insights/keywords/linux')).toMatchObject({ status: 200 });
      const { json } = await demo.ask('/health');
      const { cache } = json['details'] as { cache: object };
      expect(cache).toMatchObject({ status, ...(message && { message: expect.stringMatching(message) }) });
    },
    { timeout: 30_000, interval: 20 },
  );
}

async function expectTierOfSecondAnswer(demo: Demo, term: string): Promise<void> {
  expect(await demo.ask(`/insights/keywords/${term}`)).toMatchObject({ status: 200 });
  const again = await demo.ask(`/insights/keywords/${term}`);
  expect(again).toMatchObject({ status: 200, cacheStatus: expect.stringContaining('detail=local') });
}

describe('the Redis that the demo has started', () => {
  it('can be frozen, thawed, killed and started: every request is answered, and /health shows each state', async () => {
    const demo = await startDemoWithRedis();
    await untilHealthIs(demo, 'up');

    expect(await post(demo, 'freeze')).toMatchObject({ status: 200, json: { state: 'frozen' } });
    await untilHealthIs(demo, 'degraded');
    await expectTierOfSecondAnswer(demo, 'frozen');
    expect(await post(demo, 'thaw')).toMatchObject({ status: 200, json: { state: 'running' } });
    await untilHealthIs(demo, 'up');

    const { pid } = demo.ownRedis;
    expect(await post(demo, 'kill')).toMatchObject({ status: 200, json: { state: 'ended' } });
    await untilHealthIs(demo, 'degraded', /ECONNREFUSED/);
    await expectTierOfSecondAnswer(demo, 'killed');
    expect(await post(demo, 'start')).toMatchObject({
      status: 200,
      json: { state: 'running', url: demo.ownRedis.url },
    });
    expect(demo.ownRedis.pid).not.toBe(pid);
    await untilHealthIs(demo, 'up');
  });

  it('can be killed while it is frozen, and runs after its next start', async () => {
    const demo = await startDemoWithRedis();
    await post(demo, 'freeze');
    expect(await post(demo, 'kill')).toMatchObject({ json: { state: 'ended' } });
    expect(await post(demo, 'start')).toMatchObject({ json: { state: 'running' } });
    await untilHealthIs(demo, 'up');
  });

  it('keeps its state on an action that changes nothing, and answers 409 where there is no process to freeze', async () => {
    const demo = await startDemoWithRedis();
    const { pid } = demo.ownRedis;
    for (const action of ['thaw', 'start'] as const) {
      expect(await post(demo, action)).toMatchObject({ status: 200, json: { state: 'running', pid } });
    }
    await Promise.all([post(demo, 'kill'), post(demo, 'kill')]);
    for (const action of ['freeze', 'thaw'] as const) {
      expect(await post(demo, action)).toMatchObject({
        status: 409,
        json: { message: expect.stringContaining(action) },
      });
    }
    const started = await Promise.all([post(demo, 'start'), post(demo, 'start')]);
    expect(new Set(started.map(({ json }) => json['pid'])).size).toBe(1);
  });

  it('answers 503 where it can not be started again, because its port is taken, and starts when the port is free', async () => {
    const demo = await startDemoWithRedis();
    await post(demo, 'kill');
    const other = createServer((socket) => socket.destroy()).listen(
      Number(new URL(demo.ownRedis.url).port),
      '127.0.0.1',
    );
    await once(other, 'listening');
    const message = expect.stringContaining('did not start on port');
    expect(await post(demo, 'start')).toMatchObject({ status: 503, json: { message } });
    expect(demo.ownRedis.state).toBe('ended');
    other.close();
    await once(other, 'close');
    expect(await post(demo, 'start')).toMatchObject({ status: 200, json: { state: 'running' } });
  });

  it('is reported as ended when its process ends for another reason', async () => {
    const { ownRedis } = await startDemoWithRedis();
    process.kill(ownRedis.pid, 'SIGTERM');
    await vi.waitFor(() => expect(ownRedis.state).toBe('ended'));
  });

  it.each<[string, Record<string, string>]>([
    ['from a foreign page', { ...ALLOWED, origin: 'http://foreign.example' }],
    ['from a page without an origin, such as a sandboxed frame', { ...ALLOWED, origin: 'null' }],
    ['from another program on this machine with a page', { ...ALLOWED, origin: 'http://localhost:1' }],
    ['from this page under another scheme', { ...ALLOWED, host: 'localhost:3000', origin: 'https://localhost:3000' }],
    ['to a foreign name that resolves to this machine', { ...ALLOWED, host: 'foreign.example' }],
    ['to a foreign name that begins like this machine', { ...ALLOWED, host: 'localhost.foreign.example' }],
    ['without the header of the demo', {}],
    [
      'from a form of this page, which sends no such header',
      { host: 'localhost:3000', origin: 'http://localhost:3000' },
    ],
    ['through a proxy', { ...ALLOWED, 'x-forwarded-for': '203.0.113.9' }],
  ])('refuses requests %s', async (_case, headers) => {
    const demo = await startDemoWithRedis();
    for (const action of ACTIONS) {
      expect(await post(demo, action, headers)).toMatchObject({ status: 403 });
    }
    expect(demo.ownRedis.state).toBe('running');
  });

  it('allows no foreign page to send the header: a preflight gets no permission', async () => {
    const demo = await startDemoWithRedis();
    const headers = {
      origin: 'http://foreign.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-demo-request',
    };
    const sent = request(`${demo.url}/demo/redis/kill`, { method: 'OPTIONS', headers, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    expect(Object.keys(response.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it('accepts requests from its own page, under every name of this machine', async () => {
    const demo = await startDemoWithRedis();
    for (const host of ['localhost:3000', '127.0.0.1:3000', '[::1]:3000', 'localhost']) {
      expect(await post(demo, 'thaw', { ...ALLOWED, host, origin: `http://${host}` })).toMatchObject({ status: 200 });
    }
  });

  it('has its routes in the OpenAPI document', async () => {
    const demo = await startDemoWithRedis();
    const { json } = await demo.ask('/docs-json');
    const paths = Object.keys(json['paths'] as object).filter((path) => path.startsWith('/demo'));
    expect(paths.toSorted()).toEqual(['/demo/redis', ...ACTIONS.map((action) => `/demo/redis/${action}`)].toSorted());
  });
});

describe('a demo that has started no Redis', () => {
  it('has no route that freezes or kills one', async () => {
    const demo = await startDemo({ redis: false }, fewMails());
    for (const action of ACTIONS) {
      expect(await post(demo, action)).toMatchObject({ status: 404 });
    }
    expect(await demo.ask('/demo/redis')).toMatchObject({ status: 404 });
  });
});

describe('the guard of the routes', () => {
  const isAllowed = (remoteAddress: string | undefined): boolean => {
    const incoming = { headers: { ...ALLOWED, host: 'localhost:3000' }, socket: { remoteAddress } };
    const context = { switchToHttp: () => ({ getRequest: () => incoming }) } as unknown as ExecutionContext;
    return new OwnRedisGuard().canActivate(context);
  };

  it.each(['127.0.0.1', '127.0.0.2', '::1', '::ffff:127.0.0.1'])('allows a connection from %s', (address) => {
    expect(isAllowed(address)).toBe(true);
  });

  it.each(['192.168.1.7', '::ffff:192.168.1.7', '2001:db8::1', 'fe80::1', undefined])(
    'refuses a connection from %s',
    (address) => {
      expect(() => isAllowed(address)).toThrow('from the machine of the demo');
    },
  );
});
