import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  InternalServerErrorException,
  NotFoundException,
  Param,
  Post,
  Query,
  Req,
  Res,
  StreamableFile,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import type { INestApplication } from '@nestjs/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DistributedCacheModule } from '../nest/index.js';
import {
  CachedResponse,
  HttpCache,
  HttpCacheModule,
  type HttpCacheOptions,
  ResponseCache,
  type ResponseControl,
  PurgesResponses,
} from './index.js';

let runs = 0;

@Controller('products')
class ProductsController {
  @CachedResponse({ tags: ['product:{id}'] })
  @Get('stream')
  stream() {
    runs++;
    return new StreamableFile(Buffer.from('streamed'), { type: 'text/plain' });
  }

  @CachedResponse()
  @Get('missing')
  missing() {
    runs++;
    throw new NotFoundException();
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('me')
  me(@Req() request: { headers: Record<string, string> }) {
    runs++;
    return { me: request.headers['authorization'] };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('key')
  key(@Req() request: { headers: Record<string, string> }) {
    runs++;
    return { key: request.headers['x-api-key'] };
  }

  @CachedResponse()
  @Get('varied')
  @Header('Vary', 'X-Plan')
  varied(@Req() request: { headers: Record<string, string> }) {
    runs++;
    return { plan: request.headers['x-plan'] ?? 'none' };
  }

  @CachedResponse({ ttl: '1ms', staleIfError: '1m' })
  @Get('inner')
  @Header('Cache-Status', 'inner; fwd=miss')
  inner(@ResponseCache() cache: ResponseControl) {
    runs++;
    return cache.modified({ etag: 'v1' }) ? { inner: true } : undefined;
  }

  @CachedResponse()
  @Get('manual')
  manual(@Res() response: { status(code: number): { send(body: unknown): void } }) {
    runs++;
    response.status(203).send({ manual: true });
  }

  @CachedResponse()
  @Get('slow')
  async slow() {
    runs++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { slow: true };
  }

  @CachedResponse()
  @Get('large')
  large() {
    runs++;
    return { text: 'large '.repeat(1000) };
  }

  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1m' })
  @Get('swr')
  swr() {
    return { run: ++runs };
  }

  @CachedResponse({ ttl: '1ms', staleIfError: '1m' })
  @Get('sie')
  sie() {
    if (++runs > 1) {
      throw new InternalServerErrorException();
    }
    return { run: runs };
  }

  @CachedResponse({ ttl: '1ms' })
  @Get('versioned')
  versioned(@ResponseCache() cache: ResponseControl) {
    if (cache.modified({ etag: 'v1' })) {
      runs++;
      return { version: 1 };
    }
    return undefined;
  }

  @CachedResponse({ tags: ['product:{id}'] })
  @Get(':id')
  one(@Param('id') id: string, @Query('page') page?: string) {
    runs++;
    return { id, page };
  }

  @Post(':id')
  @HttpCode(200)
  change(@Param('id') id: string, @Body() _body: unknown) {
    return { id };
  }

  @Post('other/:id')
  @PurgesResponses({ tags: ['product:{id}'] })
  other() {
    return {};
  }
}

const ADAPTERS = { express: () => new ExpressAdapter(), fastify: () => new FastifyAdapter() };

describe.each(['express', 'fastify'] as const)('HttpCacheModule on %s', (platform) => {
  const applications: INestApplication[] = [];

  afterEach(async () => {
    runs = 0;
    for (const application of applications.splice(0)) {
      await application.close();
    }
  });

  async function start(options: HttpCacheOptions = {}) {
    const module = await Test.createTestingModule({
      imports: [
        DistributedCacheModule.forRoot({ redis: false }),
        HttpCacheModule.forRoot({ status: 'reasons', ...options }),
      ],
      controllers: [ProductsController],
    }).compile();
    const application = module.createNestApplication(ADAPTERS[platform]() as never);
    applications.push(application);
    await application.listen(0);
    const url = (await application.getUrl()).replace('[::1]', 'localhost');
    return {
      url,
      application,
      get: async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
        const response = await fetch(`${url}${path}`, { headers, method });
        return {
          status: response.status,
          headers: Object.fromEntries(response.headers),
          body: await response.text(),
        };
      },
    };
  }

  it('answers the second request without the handler, with status, fields and bytes', async () => {
    const { get } = await start();
    const first = await get('/products/1');
    const second = await get('/products/1');
    expect(runs).toBe(1);
    expect(first.headers['cache-status']).toBe('http;fwd=uri-miss;stored');
    expect(second.headers['cache-status']).toMatch(/^http;hit;ttl=\d+$/);
    expect(second.body).toBe(first.body);
    const volatile = {
      age: '0',
      'cache-status': '',
      date: expect.any(String) as string,
      connection: 'x',
      'keep-alive': 'x',
    };
    expect({ ...second.headers, ...volatile }).toEqual({ ...first.headers, ...volatile });
    expect(second.headers['etag']).toBeDefined();
  });

  it.each(['/products/stream', '/products/manual', '/products/varied'])('caches %s', async (path) => {
    const { get } = await start();
    const first = await get(path);
    const second = await get(path);
    expect([runs, second.body, second.status, second.headers['content-type']]).toEqual([
      1,
      first.body,
      first.status,
      first.headers['content-type'],
    ]);
  });

  it('answers 304 to a client that has the response, and 206 for a range', async () => {
    const { get } = await start();
    const { headers, body } = await get('/products/1');
    const etag = headers['etag'] ?? '';
    expect(await get('/products/1', { 'if-none-match': etag })).toMatchObject({ status: 304, body: '' });
    expect(await get('/products/1', { range: 'bytes=0-3' })).toMatchObject({ status: 206, body: body.slice(0, 4) });
    expect(await get('/products/1', { range: 'bytes=900-' })).toMatchObject({ status: 416 });
    expect(runs).toBe(1);
  });

  it('says with 416 how long the body is', async () => {
    const { get } = await start();
    await get('/products/1');
    const { headers } = await get('/products/1', { range: 'bytes=900-' });
    expect(headers['content-range']).toBe('bytes */10');
  });

  it('notes reads of a credential in whatever case the option names it', async () => {
    const { get } = await start({ credentials: ['X-Api-Key'] });
    expect(await get('/products/key')).toMatchObject({ body: '{}' });
    expect(await get('/products/key', { 'x-api-key': 'k' })).toMatchObject({ body: '{"key":"k"}' });
  });

  it('fills the entry for GET by a HEAD', async () => {
    const { get } = await start();
    expect(await get('/products/1', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await get('/products/1')).toMatchObject({ status: 200, body: '{"id":"1"}' });
    expect(runs).toBe(1);
  });

  it('does not store what the handler made of a credential', async () => {
    const { get } = await start();
    expect(await get('/products/me', { authorization: 'ann' })).toMatchObject({ body: '{"me":"ann"}' });
    expect(await get('/products/me', { authorization: 'bob' })).toMatchObject({ body: '{"me":"bob"}' });
    expect(await get('/products/me')).toMatchObject({ body: '{}' });
  });

  it.each(['authorization', 'cookie'])('passes a request with %s', async (header) => {
    const { get } = await start();
    await get('/products/1');
    const { headers } = await get('/products/1', { [header]: 'x=1' });
    expect([runs, headers['cache-status']]).toEqual([2, `http;fwd=bypass;detail=${header}`]);
  });

  it('keeps the variants apart that a handler names in Vary', async () => {
    const { get } = await start();
    for (const plan of ['a', 'b', 'a', 'b']) {
      expect(await get('/products/varied', { 'x-plan': plan })).toMatchObject({ body: `{"plan":"${plan}"}` });
    }
    expect(await get('/products/varied')).toMatchObject({ body: '{"plan":"none"}' });
    expect(runs).toBe(3);
  });

  it('does not store an error', async () => {
    const { get } = await start();
    expect(await get('/products/missing')).toMatchObject({ status: 404 });
    expect(await get('/products/missing')).toMatchObject({ status: 404 });
    expect(runs).toBe(2);
  });

  it('runs the handler once for fifty requests', async () => {
    const { get } = await start();
    const answers = await Promise.all(Array.from({ length: 50 }, () => get('/products/slow')));
    expect([runs, new Set(answers.map(({ body }) => body))]).toEqual([1, new Set(['{"slow":true}'])]);
  });

  it.each(['/products/1', '/products/other/1'])(
    'drops the response before the answer of POST %s leaves',
    async (path) => {
      const { get } = await start();
      await get('/products/1');
      await get(path, {}, 'POST');
      await get('/products/1');
      expect(runs).toBe(2);
    },
  );

  it('purges by URL, tag and route, and clears', async () => {
    const { get, url, application } = await start();
    const cache = application.get(HttpCache);
    const purges = [
      () => cache.purge(`${url}/products/1`),
      () => cache.purgeTags('product:1'),
      () => cache.purgeRoute(ProductsController, 'one'),
      () => cache.clear(),
    ];
    for (const purge of purges) {
      await get('/products/1');
      await purge();
    }
    await get('/products/1');
    expect(runs).toBe(5);
  });

  it('sends a body compressed from the third request for a coding on, with an ETag of its own', async () => {
    const { get } = await start();
    const identity = await get('/products/large', { 'accept-encoding': 'identity' });
    await get('/products/large', { 'accept-encoding': 'br' });
    await vi.waitFor(async () => {
      const coded = await get('/products/large', { 'accept-encoding': 'br' });
      expect(coded.headers).toMatchObject({
        'content-encoding': 'br',
        vary: expect.stringMatching(/accept-encoding/i) as string,
      });
      expect(coded.body).toBe(identity.body);
      expect(coded.headers['etag']).not.toBe(identity.headers['etag']);
    });
    expect(runs).toBe(1);
  });

  it('sends a stale response while it is refreshed in the background', async () => {
    const { get } = await start();
    await get('/products/swr');
    await vi.waitFor(async () => {
      const { body, headers } = await get('/products/swr');
      expect(headers['cache-status']).toContain('detail=stale-while-revalidate');
      expect(body).not.toBe('{"run":1}');
    });
  });

  it('sends a stale response when the handler fails', async () => {
    const { get } = await start();
    await get('/products/sie');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await get('/products/sie')).toMatchObject({ status: 200, body: '{"run":1}' });
    expect(runs).toBe(2);
  });

  it('makes no body when the stored response, or that of the client, is current', async () => {
    const { get } = await start();
    const { headers } = await get('/products/versioned');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await get('/products/versioned')).toMatchObject({ status: 200, body: '{"version":1}' });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await get('/products/versioned', { 'if-none-match': headers['etag'] ?? '' })).toMatchObject({ status: 304 });
    expect(await get('/products/versioned', { 'if-none-match': '"v1"', cookie: 'a=1' })).toMatchObject({ status: 304 });
    expect(runs).toBe(1);
  });

  it('keeps the Cache-Status of the handler, whichever answer replaces its response', async () => {
    const { get } = await start();
    const status = async (headers = {}) => (await get('/products/inner', headers)).headers['cache-status'];
    expect(await status({ 'if-none-match': '"v1"' })).toBe('inner; fwd=miss, http;fwd=uri-miss;fwd-status=304');
    expect(await status()).toBe('inner; fwd=miss, http;fwd=uri-miss;stored');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await status()).toBe('inner; fwd=miss, http;fwd=stale;fwd-status=304;stored');
  });

  it('does not say that a stale response, sent in place of an error, was stored again', async () => {
    const { get } = await start();
    await get('/products/sie');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await get('/products/sie')).headers['cache-status']).toBe('http;fwd=stale;fwd-status=500');
  });

  it('warms, explains, and purges softly', async () => {
    const { url, get, application } = await start();
    const cache = application.get(HttpCache);
    expect(await cache.warm([`${url}/products/1`, `${url}/products/missing`])).toEqual([200, 404]);
    expect(await get('/products/1')).toMatchObject({ body: '{"id":"1"}' });
    expect(runs).toBe(2);
    expect(await cache.explain(`${url}/products/1`)).toMatchObject([
      {
        route: 'ProductsController.one',
        state: 'fresh',
        status: 200,
        bodyBytes: 10,
        validators: { etag: expect.stringMatching(/^"[\w-]{24}"$/) as string, 'last-modified': undefined },
      },
    ]);
    await cache.purge(`${url}/products/1`, { soft: true });
    expect(await cache.explain(`${url}/products/1`)).toMatchObject([{ state: 'stale' }]);
  });
});
