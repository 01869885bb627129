import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { DistributedCacheOptions } from 'nestjs-distributed-cache';
import { describe, expect, it, vi } from 'vitest';
import { redisForTest } from '../support/redis-for-test.js';
import { type Answer, type Demo, startDemo } from './demo-for-test.js';

/** Each route that answers from the cache: its namespace, its TTL, and a fact of the answer. */
const CACHED_ROUTES = [
  { path: '/insights/keywords/linux', namespace: 'keywords', ttlSeconds: 86_400, fact: { term: 'linux', mails: 457 } },
  { path: '/insights/domains/lockergnome.com', namespace: 'metrics', ttlSeconds: 43_200, fact: { mails: 30 } },
  {
    path: '/insights/trends/mortgage',
    namespace: 'trends',
    ttlSeconds: 21_600,
    fact: { term: 'mortgage', mails: 152 },
  },
  { path: '/insights/collectors/amazon', namespace: 'amazon', ttlSeconds: 1800, fact: { mails: 33, spamMails: 4 } },
];

const PLACES: readonly (readonly [string, () => DistributedCacheOptions])[] = [
  [
    'with Redis',
    () => {
      const { url, keyPrefix } = redisForTest();
      return { redis: { url }, keyPrefix };
    },
  ],
  ['without Redis', () => ({ redis: false, keyPrefix: `test-${randomUUID()}` })],
];

/** TTLs may contain jitter, and some of the time has passed: the comparison is approximate. */
function expectHit(answer: Answer, namespace: string, tier: 'local' | 'redis', ttlSeconds: number): void {
  const [, seconds] = answer.cacheStatus?.match(/; ttl=(\d+);/) ?? [];
  expect(answer.cacheStatus).toBe(`${namespace}; hit; ttl=${seconds}; detail=${tier}`);
  expect(Number(seconds)).toBeGreaterThan(ttlSeconds * 0.85);
  expect(Number(seconds)).toBeLessThanOrEqual(ttlSeconds * 1.15);
}

/** Asks until the stored response is the answer: that of a miss leaves before Redis has acknowledged the entry. */
function storedAnswer(demo: Demo, path: string): Promise<Answer> {
  return vi.waitFor(async () => {
    const answer = await demo.ask(path);
    expect(answer.cacheStatus).toMatch(/^http;hit;ttl=\d+$/);
    return answer;
  });
}

describe.each(PLACES)('the demo %s', (_place, options) => {
  it.each(CACHED_ROUTES)(
    'computes $path once and then returns it from L1',
    async ({ path, namespace, ttlSeconds, fact }) => {
      const demo = await startDemo(options());
      const first = await demo.ask(path);
      expect(first).toMatchObject({ status: 200, cacheStatus: `${namespace}; fwd=miss; stored`, json: fact });
      const second = await demo.ask(path);
      expectHit(second, namespace, 'local', ttlSeconds);
      // It contains `analysedAt`: not an equal answer, but the same one.
      expect(second.body).toBe(first.body);
    },
  );

  it('computes one answer for all simultaneous requests', async () => {
    const demo = await startDemo(options());
    const answers = await Promise.all(Array.from({ length: 20 }, () => demo.ask('/insights/keywords/mortgage')));
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    // Requests during the computation joined it; later ones have it from L1.
    const missed = answers.map(({ cacheStatus }) => cacheStatus).filter((said) => said?.includes('fwd=miss') === true);
    expect(missed.filter((said) => said === 'keywords; fwd=miss; stored')).toHaveLength(1);
    expect(new Set(missed)).toEqual(new Set(['keywords; fwd=miss; stored', 'keywords; fwd=miss; stored; collapsed']));
    expect(demo.cache.getCache('keywords').getMetrics()).toMatchObject({ loads: 1, errors: 0 });
  });

  it('computes an answer again after DELETE, which may be repeated', async () => {
    const demo = await startDemo(options());
    const before = await demo.ask('/insights/keywords/kernel');
    for (const _round of ['there', 'gone']) {
      expect(await demo.ask('/insights/keywords/%20KERNEL', 'DELETE')).toMatchObject({ status: 204, body: '' });
    }
    const after = await demo.ask('/insights/keywords/kernel');
    expect(after.cacheStatus).toBe('keywords; fwd=miss; stored');
    expect(after.json).toMatchObject({ mails: before.json['mails'], keywords: before.json['keywords'] });
  });

  it('answers 404 for a domain that sent nothing, and keeps that for a minute only', async () => {
    const demo = await startDemo(options());
    const first = await demo.ask('/insights/domains/nobody.example');
    expect(first).toMatchObject({ status: 404, cacheStatus: 'metrics; fwd=miss; stored' });
    expect(first.json).toMatchObject({ message: expect.stringContaining('nobody.example') });
    const second = await demo.ask('/insights/domains/nobody.example');
    expect(second.status).toBe(404);
    expectHit(second, 'metrics', 'local', 60);
  });

  it.each(['%20', '%20%09%0A', '', '%00', '%7B%7D', '%22%22', '.%20.', '%F0%9F%98%80', '%E2%80%8B'])(
    'answers 400 for the blank term "%s", without a read of the cache',
    async (term) => {
      const demo = await startDemo(options());
      for (const [path, method] of [
        [`/insights/keywords/${term}`, 'GET'],
        [`/insights/trends/${term}`, 'GET'],
        ...(term === '' ? [] : [[`/insights/keywords/${term}`, 'DELETE'] as const]),
      ] as const) {
        const answer = await demo.ask(path, method);
        expect(answer).toMatchObject({ status: 400, cacheStatus: 'distributed-cache; fwd=bypass' });
        expect(answer.json).toMatchObject({
          statusCode: 400,
          message: expect.stringMatching(/letter or digit|Add a term/),
        });
      }
    },
  );

  it('answers 400 for a term of 5 kB, for an invalid encoding and for an impossible domain', async () => {
    const demo = await startDemo(options());
    for (const path of [
      `/insights/keywords/${'x'.repeat(5000)}`,
      `/insights/trends/${'%F0%9F%98%80x'.repeat(400)}`,
      '/insights/keywords/%ff',
      '/insights/keywords/%ED%A0%80',
      '/insights/domains/%20',
      `/insights/domains/${'a.'.repeat(200)}example`,
    ]) {
      expect(await demo.ask(path)).toMatchObject({ status: 400, json: { statusCode: 400 } });
    }
    expect(demo.cache.getMetrics().every(({ totalRequests }) => totalRequests === 0)).toBe(true);
  });

  it.each(['日本語', 'ünïcode', 'a\u0000b', 'a/b', 'a:b', '{x}', '#x', 'x%20y', 'x😀', '__proto__', '../x', '*x?'])(
    'keeps the unusual term %j apart from other terms',
    async (term) => {
      const demo = await startDemo(options());
      const path = `/insights/keywords/${encodeURIComponent(term)}`;
      const first = await demo.ask(path);
      expect(first).toMatchObject({ status: 200, json: { term }, cacheStatus: 'keywords; fwd=miss; stored' });
      const second = await demo.ask(path);
      expectHit(second, 'keywords', 'local', 86_400);
      expect(second.body).toBe(first.body);
      const neighbour = await demo.ask(
        `/insights/keywords/${encodeURIComponent(term.replaceAll(/[^\p{L}]/gu, '') + 'q')}`,
      );
      expect(neighbour).toMatchObject({ status: 200, cacheStatus: 'keywords; fwd=miss; stored' });
    },
  );

  it('has one entry for a term in any spelling', async () => {
    const demo = await startDemo(options());
    const first = await demo.ask('/insights/keywords/caf%C3%A9');
    for (const spelling of ['CAF%C3%89', '%20cafe%CC%81%20', 'Cafe%CC%81']) {
      const again = await demo.ask(`/insights/keywords/${spelling}`);
      expectHit(again, 'keywords', 'local', 86_400);
      expect(again.body).toBe(first.body);
    }
  });

  it('answers HEAD as GET, without a body', async () => {
    const demo = await startDemo(options());
    const path = '/insights/trends/windows';
    expect(await demo.ask(path, 'HEAD')).toMatchObject({
      status: 200,
      body: '',
      cacheStatus: 'trends; fwd=miss; stored',
    });
    const [head, get] = [await demo.ask(path, 'HEAD'), await demo.ask(path)];
    expectHit(head, 'trends', 'local', 21_600);
    for (const name of ['content-type', 'content-length', 'etag']) {
      expect(head.headers.get(name)).toBe(get.headers.get(name));
    }
    expect(await demo.ask('/', 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  it('lists its addresses on the start page, and each of them answers', async () => {
    const demo = await startDemo(options());
    const page = await demo.ask('/');
    expect(page).toMatchObject({ status: 200, body: expect.stringContaining('<!doctype html>') });
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const paths = [...page.body.matchAll(/href="(\/[^"]*)"/g)].map(([, path]) => path ?? '');
    expect(paths).toEqual(expect.arrayContaining([...CACHED_ROUTES.map(({ path }) => path), '/health', '/docs']));
    for (const path of paths) {
      expect(await demo.ask(path)).toMatchObject({ status: 200 });
    }
  });

  it('sends a stored response until a purge, with the same body as the cached result', async () => {
    const demo = await startDemo(options());
    const path = '/responses/keywords/linux';
    const result = await demo.ask('/insights/keywords/linux');
    const made = await demo.ask(path);
    expect(made.cacheStatus).toMatch(/^keywords; hit; ttl=\d+; detail=local, http;fwd=uri-miss;stored$/);
    const stored = await storedAnswer(demo, path);
    expect(stored).toMatchObject({ status: 200, body: result.body });
    expect(stored.headers.get('etag')).toBe(made.headers.get('etag'));
    expect(stored.headers.get('age')).toMatch(/^\d+$/);
    expect(await demo.ask('/responses', 'DELETE')).toMatchObject({ status: 204 });
    expect((await demo.ask(path)).cacheStatus).toMatch(/^keywords; hit; .*, http;fwd=uri-miss;stored$/);
  });

  it('drops the stored responses of a term in any spelling when its keywords are forgotten', async () => {
    const demo = await startDemo(options());
    const spellings = ['/responses/keywords/kernel', '/responses/keywords/%20KERNEL'];
    for (const path of spellings) {
      await storedAnswer(demo, path);
    }
    await demo.ask('/insights/keywords/Kernel', 'DELETE');
    for (const path of spellings) {
      expect((await demo.ask(path)).cacheStatus).toMatch(/, http;fwd=uri-miss;stored$/);
    }
  });

  it('stores the 404 of an unknown domain for a minute, and no 400', async () => {
    const demo = await startDemo(options());
    const unknown = await storedAnswer(demo, '/responses/domains/nobody.example');
    expect(unknown).toMatchObject({ status: 404, json: { statusCode: 404 } });
    expect(Number(/^http;hit;ttl=(\d+)$/.exec(unknown.cacheStatus ?? '')?.[1])).toBeLessThanOrEqual(60);
    await demo.ask('/responses/trends/%20');
    expect(await demo.ask('/responses/trends/%20')).toMatchObject({
      status: 400,
      cacheStatus: 'distributed-cache; fwd=bypass, http;fwd=uri-miss',
    });
  });

  it('documents ETag, Cache-Status and 304 of each insight, and Age of those that are stored responses', async () => {
    const demo = await startDemo(options());
    const { paths } = (await demo.ask('/docs-json')).json as {
      paths: Record<string, { get?: { responses: Record<string, { headers?: Record<string, unknown> }> } }>;
    };
    const documented = Object.entries(paths).filter(([path]) => /\/(keywords|domains|trends)\//.test(path));
    expect(documented).toHaveLength(6);
    for (const [path, { get }] of documented) {
      const names = ['ETag', 'Cache-Status', ...(path.startsWith('/responses') ? ['Age'] : [])];
      for (const status of ['200', '304']) {
        expect(Object.keys(get?.responses[status]?.headers ?? {})).toEqual(names);
      }
    }
  });

  it('shows its metrics to Prometheus, of this application alone', async () => {
    const [demo] = [await startDemo(options()), await startDemo(options())];
    await demo.ask('/insights/keywords/linux');
    const { status, headers, body } = await demo.ask('/metrics');
    expect({ status, type: headers.get('content-type') }).toEqual({
      status: 200,
      type: expect.stringContaining('text/plain; version=0.0.4'),
    });
    expect(body).toContain('cache_loads_total{namespace="keywords"} 1\n');
    expect(body).toContain('cache_build_info{version=');
  });

  it('shows the admin page of the cache to this machine, and to no foreign name or page', async () => {
    const demo = await startDemo(options());
    await demo.ask('/insights/keywords/linux');
    const page = await demo.ask('/admin/cache');
    expect(page.status).toBe(200);
    expect(page.body).toContain('keywords');
    for (const headers of [
      { host: 'rebound.example' },
      { origin: 'https://foreign.example' },
      { forwarded: 'for=1.2.3.4' },
    ]) {
      const sent = request(`${demo.url}/admin/cache`, { headers, agent: false }).end();
      const [{ statusCode }] = (await once(sent, 'response')) as [IncomingMessage];
      expect(statusCode).toBe(403);
    }
  });

  it('lists every route in its OpenAPI document, with the actual answers', async () => {
    const demo = await startDemo(options());
    const { json, status } = await demo.ask('/docs-json');
    expect(status).toBe(200);
    const routes = Object.entries(json['paths'] as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.toSorted()).toEqual([
      'DELETE /insights/keywords/{term}',
      'DELETE /responses',
      'GET /cache/metrics',
      'GET /health',
      'GET /insights/collectors/amazon',
      'GET /insights/domains/{domain}',
      'GET /insights/keywords/{term}',
      'GET /insights/trends/{term}',
      'GET /metrics',
      'GET /responses/domains/{domain}',
      'GET /responses/keywords/{term}',
      'GET /responses/trends/{term}',
    ]);
    const { schemas } = json['components'] as { schemas: Record<string, { properties: object }> };
    for (const [path, schema] of [
      ['/insights/keywords/linux', 'KeywordReport'],
      ['/insights/domains/lockergnome.com', 'DomainReport'],
      ['/insights/trends/linux', 'TrendReport'],
      ['/insights/collectors/amazon', 'AmazonReport'],
    ] as const) {
      expect(Object.keys((await demo.ask(path)).json).toSorted()).toEqual(
        Object.keys(schemas[schema]!.properties).toSorted(),
      );
    }
    const [counters] = JSON.parse((await demo.ask('/cache/metrics')).body) as object[];
    expect((json['paths'] as Record<string, object>)['/cache/metrics']).toMatchObject({
      get: {
        responses: {
          200: { content: { 'application/json': { schema: { items: { required: Object.keys(counters!) } } } } },
        },
      },
    });
  });
});
