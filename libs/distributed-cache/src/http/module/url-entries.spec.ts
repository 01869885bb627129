import { Controller, Get, Header, Headers, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, expectTypeOf, it } from 'vitest';
import { DistributedCache } from '../../core/index.js';
import { DistributedCacheModule } from '../../nest/index.js';
import { CachedResponse, HttpCache, HttpCacheModule, type ResponseExplanation } from '../index.js';

let runs = 0;

@Controller()
class VariantsController {
  @CachedResponse({ staleWhileRevalidate: '1m' })
  @Get('varied')
  @Header('Vary', 'X-Plan')
  varied(@Headers('x-plan') plan = 'none') {
    return { plan, run: ++runs };
  }

  @CachedResponse({ staleWhileRevalidate: '1m', vary: { 'accept-language': ['en', 'de'], 'x-size': ['s', 'l'] } })
  @Get('listed')
  listed(@Headers('accept-language') language = 'en', @Headers('x-size') size = 's') {
    return { language, size, run: ++runs };
  }

  @CachedResponse({ staleWhileRevalidate: '1m', vary: ['x-plan'] })
  @Get('open')
  open(@Headers('x-plan') plan = 'none') {
    return { plan, run: ++runs };
  }

  @CachedResponse({ audience: ({ headers }) => headers['x-user'] as string | undefined })
  @Get('mine')
  mine(@Headers('x-user') user?: string) {
    return { user, run: ++runs };
  }
}

describe('the responses of a URL that has several', () => {
  let application: INestApplication | undefined;
  afterEach(() => application?.close());

  async function start() {
    const module = await Test.createTestingModule({
      imports: [DistributedCacheModule.forRoot({ redis: false }), HttpCacheModule.forRoot()],
      controllers: [VariantsController],
    }).compile();
    application = module.createNestApplication();
    await application.listen(0, '127.0.0.1');
    const url = await application.getUrl();
    const ask = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${url}${path}`, { headers });
      return { run: ((await response.json()) as { run: number }).run, cache: response.headers.get('cache-status') };
    };
    const cache = application.get(HttpCache);
    const entries = application.get(DistributedCache).getCache('http');
    const tagsOf = async (request: Parameters<HttpCache['explain']>[0]) => {
      const [explanation] = await cache.explain(request);
      const { local } = await entries.inspect(explanation?.key ?? 'none');
      const tags = local.state === 'fresh' ? local.tags.map(({ name }) => decodeURIComponent(name)) : [];
      return tags.toSorted().toReversed();
    };
    return { url, ask, cache, tagsOf };
  }

  it.each<[string, Record<string, string>[]]>([
    ['/varied', [{ 'x-plan': 'a' }, { 'x-plan': 'b' }, {}]],
    ['/listed', [{ 'accept-language': 'de', 'x-size': 'l' }, { 'accept-language': 'de' }, {}]],
  ])('become stale by a soft purge, each of them: %s', async (path, clients) => {
    const { url, ask, cache } = await start();
    const first = [];
    for (const client of clients) {
      await ask(path, client);
      first.push((await ask(path, client)).run);
    }
    await cache.purge(`${url}${path}`, { soft: true });
    for (const [index, client] of clients.entries()) {
      const { run, cache: status } = await ask(path, client);
      expect([run, status]).toEqual([first[index], expect.stringMatching(/^http;hit;ttl=-\d/)]);
      await expect.poll(async () => (await ask(path, client)).run).toBeGreaterThan(first[index] ?? Infinity);
    }
  });

  it('are removed by a soft purge where they can not be listed', async () => {
    const { url, ask, cache } = await start();
    const { run } = await ask('/open', { 'x-plan': 'a' });
    await cache.purge(`${url}/open`, { soft: true });
    const { run: next, cache: status } = await ask('/open', { 'x-plan': 'a' });
    expect([next > run, status]).toEqual([true, 'http;fwd=uri-miss;stored']);
  });

  it('are explained: which headers they depend on, how many there are, and which one answers', async () => {
    const { url, ask, cache } = await start();
    for (const plan of ['a', 'b']) {
      await ask('/varied', { 'x-plan': plan });
    }
    const varied = { route: 'VariantsController.varied', vary: ['x-plan'], variants: 2 };
    expect(await cache.explain(`${url}/varied`)).toMatchObject([{ ...varied, state: 'missing', status: undefined }]);
    const { host } = new URL(url);
    const byB = await cache.explain({ url: '/varied', headers: { host, 'x-plan': 'b' } });
    expect(byB).toMatchObject([{ ...varied, state: 'fresh', status: 200 }]);
    await ask('/listed', { 'accept-language': 'de' });
    await ask('/listed');
    const listed = { vary: ['accept-language', 'x-size'], variants: 2, state: 'fresh' };
    expect(await cache.explain(`${url}/listed`)).toMatchObject([listed]);
    expect(
      await cache.explain({ url: '/listed', headers: { host, 'accept-language': 'de', 'x-size': 'l' } }),
    ).toMatchObject([{ ...listed, state: 'missing' }]);
    await ask('/open', { 'x-plan': 'a' });
    expect(await cache.explain({ url: '/open', headers: { host, 'x-plan': 'a' } })).toMatchObject([
      { vary: ['x-plan'], variants: undefined, state: 'fresh' },
    ]);
    expect(await cache.explain(`${url}/other`)).toEqual([]);
  });

  it('have a tag of their URL only where a purge can not tell their keys from it', async () => {
    const { url, ask, cache, tagsOf } = await start();
    await ask('/listed?a=1&b=2');
    await ask('/varied');
    await ask('/varied?%61=1');
    await ask('/open');
    const ofUrl = expect.stringMatching(/^url /) as string;
    const route = (name: string) => `route VariantsController.${name}`;
    expect(await tagsOf(`${url}/listed?b=2&a=1`)).toEqual([route('listed')]);
    expect(await tagsOf(`${url}/varied`)).toEqual([route('varied')]);
    expect(await tagsOf({ url: '/varied?%61=1', headers: { host: new URL(url).host } })).toEqual([
      ofUrl,
      route('varied'),
    ]);
    expect(await tagsOf({ url: '/open', headers: { host: new URL(url).host } })).toEqual([ofUrl, route('open')]);
    for (const path of ['/listed?b=2&a=1', '/varied', '/varied?a=1', '/open']) {
      await cache.purge(`${url}${path}`);
    }
    for (const path of ['/listed?a=1&b=2', '/varied', '/varied?%61=1', '/open']) {
      expect((await ask(path)).cache).toBe('http;fwd=uri-miss;stored');
    }
  });

  it('are explained for the audience of a request', async () => {
    const { url, ask, cache } = await start();
    await ask('/mine', { 'x-user': 'ann' });
    const { host } = new URL(url);
    expect(await cache.explain(`${url}/mine`)).toEqual([]);
    expect(await cache.explain({ url: '/mine', headers: { host, 'x-user': 'bob' } })).toEqual([]);
    expect(await cache.explain({ url: '/mine', headers: { host, 'x-user': 'ann' } })).toMatchObject([
      { state: 'fresh' },
    ]);
  });

  it('have types', () => {
    expectTypeOf<ResponseExplanation['state']>().toEqualTypeOf<'fresh' | 'stale' | 'missing'>();
    expectTypeOf<ResponseExplanation['variants']>().toEqualTypeOf<number | undefined>();
  });
});
