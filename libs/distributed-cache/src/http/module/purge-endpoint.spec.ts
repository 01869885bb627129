import { type CanActivate, Controller, type ExecutionContext, Get, type INestApplication, Query } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { DistributedCacheModule } from '../../nest/index.js';
import { CachedResponse, HttpCacheModule, type HttpCacheOptions, type PurgeEndpoint, ResponseCache } from '../index.js';
import type { ResponseControl } from '../index.js';

let runs = 0;

@Controller('products')
class ProductsController {
  @CachedResponse({ staleWhileRevalidate: '1m' })
  @Get('soft')
  soft() {
    return { run: ++runs };
  }

  @CachedResponse({ tags: ['product:{id}'], query: ['page'] })
  @Get(':id')
  one(@Query('page') page: string, @ResponseCache() cache: ResponseControl) {
    cache.tags('all products');
    return { page, run: ++runs };
  }
}

class OperatorGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return headers['authorization'] === 'Bearer operator';
  }
}

let application: INestApplication | undefined;

afterEach(async () => {
  await application?.close();
  application = undefined;
});

async function starting(
  adapter: ExpressAdapter | FastifyAdapter,
  options: HttpCacheOptions & { purge?: PurgeEndpoint },
): Promise<string> {
  const module = await Test.createTestingModule({
    imports: [DistributedCacheModule.forRoot({ redis: false }), HttpCacheModule.forRoot(options)],
    controllers: [ProductsController],
  }).compile();
  application = module.createNestApplication(adapter, { logger: false });
  await application.listen(0, '127.0.0.1');
  return application.getUrl();
}

const OPERATOR = { authorization: 'Bearer operator' };
/** The form of draft-nottingham-http-invalidation: the selectors are origins. */
const groupEvent = (origin: string, group: string): object => ({ type: 'group', selectors: [origin], groups: [group] });
const post = (body: object): RequestInit => ({
  method: 'POST',
  headers: { ...OPERATOR, 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('the purge endpoint on %s', (_, adapter) => {
  const purge = { path: 'purge', guard: OperatorGuard };

  it.each<[string, (url: string) => readonly [string, RequestInit]]>([
    [
      'a PURGE of the path',
      () => [`/purge?url=${encodeURIComponent('/products/1?page=2')}`, { method: 'PURGE', headers: OPERATOR }],
    ],
    ['an event with its path', () => ['/purge', post({ type: 'uri', selectors: ['/products/1?page=2'] })]],
    ['an event with its URL', (url) => ['/purge', post({ type: 'uri', selectors: [`${url}/products/1?page=2`] })]],
    ['an event with its tag', () => ['/purge', post({ type: 'group', selectors: ['product:1'] })]],
    ['an event of the draft with its group', (url) => ['/purge', post(groupEvent(url, 'product:1'))]],
    ['an event with a tag of its handler', () => ['/purge', post({ type: 'group', selectors: ['all products'] })]],
  ])('removes a response by %s', async (_title, requestOf) => {
    const url = await starting(adapter(), { purge });
    const run = async () => ((await (await fetch(`${url}/products/1?page=2`)).json()) as { run: number }).run;
    const first = await run();
    expect(await run()).toBe(first);
    const [path, request] = requestOf(url);
    expect((await fetch(`${url}${path}`, request)).status).toBe(204);
    expect(await run()).toBeGreaterThan(first);
  });

  it.each<[string, string, RequestInit]>([
    ['PURGE', '/purge?soft=true&url=/products/soft', { method: 'PURGE', headers: OPERATOR }],
    ['an event', '/purge', post({ type: 'uri', selectors: ['/products/soft'], purge: false })],
  ])(
    'makes a response stale by a soft %s: it is sent once more while it is refreshed',
    async (_title, path, request) => {
      const url = await starting(adapter(), { purge });
      const get = () => fetch(`${url}/products/soft`);
      const first = await (await get()).text();
      expect((await fetch(`${url}${path}`, request)).status).toBe(204);
      const stale = await get();
      expect(await stale.text()).toBe(first);
      expect(stale.headers.get('cache-status')).toMatch(/^http;hit;ttl=-\d/);
      await expect.poll(async () => (await get()).text()).not.toBe(first);
    },
  );

  it('refuses requests that its guard does not let pass, and removes nothing', async () => {
    const url = await starting(adapter(), { purge });
    const first = await (await fetch(`${url}/products/1`)).text();
    expect((await fetch(`${url}/purge?url=/products/1`, { method: 'PURGE' })).status).toBe(403);
    expect(await (await fetch(`${url}/products/1`)).text()).toBe(first);
  });

  it.each<[string, RequestInit, number]>([
    ['/purge', post({ type: 'origin', selectors: ['/'] }), 501],
    ['/purge', post({ type: 'group', groups: ['a'], purge: false }), 501],
    ['/purge', post({ type: 'group', groups: 'a' }), 400],
    ['/purge', post({ type: 'uri' }), 400],
    ['/purge', post({ type: 'uri', selectors: ['http://'] }), 400],
    ['/purge', { method: 'PURGE', headers: OPERATOR }, 405],
    ['/purge?url=/products/1', { headers: OPERATOR }, 405],
    ['/purge?url=http://', { method: 'PURGE', headers: OPERATOR }, 400],
  ])('explains what is wrong with a request to %s: %o', async (path, request, status) => {
    const url = await starting(adapter(), { purge });
    const response = await fetch(`${url}${path}`, request);
    expect(response.status).toBe(status);
    expect(((await response.json()) as { message: string }).message).not.toBe('');
  });

  it('says that responses of a host outside hosts are not cached, and purges nothing of the event', async () => {
    const url = await starting(adapter(), { purge, hosts: ['127.0.0.1', 'shop.example'] });
    const first = await (await fetch(`${url}/products/1`)).text();
    const foreign = 'https://other.example/products/1';
    for (const [path, request] of [
      [`/purge?url=${foreign}`, { method: 'PURGE', headers: OPERATOR }],
      ['/purge', post({ type: 'uri', selectors: [`${url}/products/1`, foreign] })],
    ] as const) {
      const response = await fetch(`${url}${path}`, request);
      expect([response.status, await response.json()]).toMatchObject([
        422,
        { message: expect.stringContaining('other.example is not one of the hosts of HttpCacheModule') as string },
      ]);
    }
    expect(await (await fetch(`${url}/products/1`)).text()).toBe(first);
    const shop = await fetch(`${url}/purge?url=https://Shop.example:8443/a`, { method: 'PURGE', headers: OPERATOR });
    expect(shop.status).toBe(204);
  });

  it('sends the tags and the parameters that count to caches in front, on a miss and on a hit', async () => {
    const url = await starting(adapter(), { emitTags: 'surrogate-key' });
    for (const status of [/fwd=uri-miss/, /hit/]) {
      const { headers } = await fetch(`${url}/products/1?page=2&session=3`);
      expect(headers.get('cache-status')).toMatch(status);
      expect(headers.get('surrogate-key')).toBe('product:1 all%20products');
      expect(headers.get('no-vary-search')).toBe('key-order, params, except=("page")');
    }
  });
});

describe('a purge endpoint without a guard', () => {
  it.each<[unknown, string]>([
    [{ path: 'purge' }, 'purge.guard must be a guard'],
    [{ path: 'purge', guard: class NoGuard {} }, 'purge.guard must be a guard'],
    [{ path: '/', guard: OperatorGuard }, 'purge.path must be the path of the endpoint'],
  ])('is refused: %o', (purge, message) => {
    expect(() => HttpCacheModule.forRoot({ purge: purge as PurgeEndpoint })).toThrow(message);
  });
});
