import {
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  type INestApplication,
  Logger,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import {
  CachedResponse,
  HttpCacheModule,
  type HttpCacheOptions,
  ResponseCache,
  type ResponseControl,
} from 'nestjs-distributed-cache/http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bodyOf, get, type RequestFields, send } from './http-client.js';
import { setField } from './identity-application.js';
import type { Platform } from './sample-application.js';

interface AdvisoryRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly method: string;
  readonly body?: unknown;
}

interface AnyResponse {
  status(code: number): { send(body?: unknown): void };
}

const counts = { runs: 0, concurrent: 0, peak: 0 };
let release: () => void = () => {};
let held = Promise.resolve();

@Controller()
class AdvisoriesController {
  @CachedResponse({ audience: 'everyone' })
  @Get('star/:kind')
  star(@Param('kind') kind: string, @Res({ passthrough: true }) response: object) {
    setField(response, 'vary', { alone: '*', behind: 'Accept, *', spaced: 'Accept ,  *  ' }[kind] ?? '');
    return { run: ++counts.runs };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('control')
  control(@Query('value') value: string, @Res({ passthrough: true }) response: object) {
    setField(response, 'cache-control', value);
    return { run: ++counts.runs };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('blanks')
  @Header('Vary', '  X-Plan ,X-Other  ')
  blanks(@Headers('x-plan') plan?: string, @Headers('x-other') other?: string) {
    return { plan: plan ?? null, other: other ?? null };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('varying/:name')
  varying(@Param('name') name: string, @Res({ passthrough: true }) response: object) {
    setField(response, 'vary', name);
    return { run: ++counts.runs };
  }

  @CachedResponse()
  @Get('page')
  page(@Req() request: AdvisoryRequest, @Res() response: AnyResponse) {
    if (request.headers['x-invoke-status'] === '204') {
      response.status(204).send();
    } else {
      response.status(200).send({ run: ++counts.runs });
    }
  }

  @CachedResponse()
  @Get('head')
  head(@Req() request: AdvisoryRequest, @Res() response: AnyResponse) {
    response.status(200).send(request.method === 'HEAD' ? '' : 'a whole page');
  }

  @CachedResponse()
  @Get('range')
  range(@Req() { headers }: AdvisoryRequest, @Res() response: AnyResponse) {
    counts.runs++;
    if (headers['range'] === undefined) {
      response.status(200).send('a whole page');
      return;
    }
    setField(response, 'content-range', 'bytes 0-0/12');
    response.status(206).send('a');
  }

  @CachedResponse({ statuses: { 206: '1m', 304: '1m' } })
  @Get('always/:status')
  always(@Param('status') status: string, @Res() response: AnyResponse) {
    counts.runs++;
    response.status(Number(status)).send(status === '206' ? 'a' : undefined);
  }

  @CachedResponse()
  @Get('validated')
  validated(@Req() { headers }: AdvisoryRequest, @Res() response: AnyResponse) {
    counts.runs++;
    setField(response, 'etag', '"v1"');
    response.status(headers['if-none-match'] === '"v1"' ? 304 : 200).send('a whole page');
  }

  @CachedResponse()
  @Get('host')
  host(@Headers('host') host: string) {
    return `for ${host.toLowerCase()}`;
  }

  @CachedResponse()
  @Get('links')
  links(@Req() { headers }: AdvisoryRequest) {
    return { link: `https://${headers['x-forwarded-host'] ?? headers['host']}/next` };
  }

  @CachedResponse({ audience: ({ headers }) => String(JSON.parse(`"${String(headers['x-audience'] ?? '')}"`)) })
  @Get('audience')
  audience() {
    return { run: ++counts.runs };
  }

  @CachedResponse({ tags: (request) => [String(JSON.parse(`"${String(request['query'].tag)}"`))] })
  @Get('tagged')
  tagged() {
    return { run: ++counts.runs };
  }

  @CachedResponse()
  @Get('tagged-within')
  taggedWithin(@ResponseCache() cache: ResponseControl) {
    cache.tags('\ud800', '');
    return { run: ++counts.runs };
  }

  @CachedResponse()
  @Get('body')
  body(@Req() { body }: AdvisoryRequest) {
    return { body: body ?? null };
  }

  @CachedResponse({ tags: ['{id}', '{toString}', '{__proto__}'] })
  @Get('echo/:id')
  echo(@Param('id') id: string, @Query() query: Record<string, unknown>) {
    return { id, query };
  }

  @Post('echo/:id')
  @HttpCode(200)
  @Header('Cache-Group-Invalidation', '"", "one"')
  change() {
    return {};
  }

  @CachedResponse({ ttl: '1ms', staleWhileRevalidate: '1m' })
  @Get('stale/:id')
  async stale(@Param('id') id: string) {
    counts.concurrent++;
    counts.peak = Math.max(counts.peak, counts.concurrent);
    await held;
    counts.concurrent--;
    return { id, run: ++counts.runs };
  }
}

const HOSTILE_PATHS = `
/echo/a%2Fb /echo/a%2fb /echo/a%20b /echo/a+b /echo/%7Euser /echo/~user /echo/%00 /echo/..%2f /echo/${'a'.repeat(90)}
/echo/a|b /echo/a||b /echo/a?b|c /echo/a%7Cb /echo/a? /echo/a?& /echo/a?&&x=1 /echo/a?x=1 /echo// //echo/a
/echo/a?x=1&x=2 /echo/a?x=2&x=1 /echo/a?x= /echo/a?x /echo/a?=x /echo/a?x[]=1 /echo/a?x[a]=1 /echo/a?x[__proto__]=1
/echo/a?__proto__=1 /echo/__proto__ /echo/constructor /echo/toString?toString=1 /echo/a?constructor[prototype]=1
/echo/% /echo/%zz /echo/%E0%A4 /echo/%ED%A0%80 /echo/a?x=% /echo/a?%zz=1 /echo/a?%E0=1 http://other.example/echo/a`
  .trim()
  .split(/\s+/);

describe.each<Platform>(['express', 'fastify'])('the response cache on %s', (platform) => {
  const applications: INestApplication[] = [];

  afterEach(async () => {
    release();
    held = Promise.resolve();
    Object.assign(counts, { runs: 0, concurrent: 0, peak: 0 });
    await Promise.all(applications.splice(0).map((application) => application.close()));
  });

  async function start(options: HttpCacheOptions = {}, isCached = true) {
    const module = await Test.createTestingModule({
      imports: [
        DistributedCacheModule.forRoot({ redis: false }),
        ...(isCached ? [HttpCacheModule.forRoot({ status: 'reasons', ...options })] : []),
      ],
      controllers: [AdvisoriesController],
    }).compile();
    const application = module.createNestApplication(
      platform === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
    );
    applications.push(application);
    await application.listen(0, '127.0.0.1');
    const port = Number(new URL(await application.getUrl()).port);
    return async (path: string, fields: RequestFields = {}, method = 'GET') => {
      const answer = await get(port, path, fields, method);
      return { status: answer.status, body: bodyOf(answer), fields: answer.fields, port };
    };
  }

  it.each(['alone', 'behind', 'spaced'])('does not store Vary: * (%s; CVE-2026-6907)', async (kind) => {
    const ask = await start();
    expect((await ask(`/star/${kind}`)).body).not.toBe((await ask(`/star/${kind}`)).body);
  });

  it.each([
    'No-Store',
    'PRIVATE',
    'max-age=60, Private="x"',
    'max-age=60,no-store ',
    'no-store="',
    'private=;max-age=60',
    '"",\tno-store',
  ])('does not store Cache-Control: %s (CVE-2026-8404)', async (value) => {
    const ask = await start();
    const path = `/control?value=${encodeURIComponent(value)}`;
    expect((await ask(path)).body).not.toBe((await ask(path)).body);
  });

  it('keeps variants apart when Vary has blanks around its names (CVE-2026-48587)', async () => {
    const ask = await start();
    for (const round of [1, 2]) {
      for (const [plan, other] of [
        ['a', '1'],
        ['a', '2'],
        ['b', '1'],
      ] as const) {
        const { body, fields } = await ask('/blanks', { 'x-plan': plan, 'x-other': other });
        expect(body).toBe(JSON.stringify({ plan, other }));
        expect(String(fields['cache-status']).startsWith('http;hit')).toBe(round === 2);
      }
    }
  });

  it.each(['Authorization', 'Cookie', 'cookie, AUTHORIZATION'])(
    'shares no response with Vary: %s between clients (CVE-2026-44457)',
    async (name) => {
      const ask = await start();
      const path = `/varying/${encodeURIComponent(name)}`;
      const bodies: string[] = [];
      for (const secret of ['a', 'b', 'c']) {
        bodies.push((await ask(path, { authorization: secret, cookie: `session=${secret}` })).body);
      }
      bodies.push((await ask(path)).body);
      expect(new Set(bodies).size).toBe(4);
    },
  );

  it('does not answer a page by the 204 that another client provoked (CVE-2025-49826)', async () => {
    const ask = await start();
    expect(await ask('/page', { 'x-invoke-status': '204' })).toMatchObject({ status: 204 });
    expect(await ask('/page')).toMatchObject({ status: 200 });
  });

  it('does not answer GET by the empty body of a HEAD', async () => {
    const ask = await start();
    expect(await ask('/head', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await ask('/head')).toMatchObject({ status: 200, body: 'a whole page' });
  });

  it('does not answer a whole GET by the part of another client', async () => {
    const ask = await start();
    await ask('/range', { range: 'bytes=0-0' });
    expect(await ask('/range')).toMatchObject({ status: 200, body: 'a whole page' });
    expect(await ask('/range', { range: 'bytes=2-6' })).toMatchObject({ status: 206, body: 'whole' });
    expect(counts.runs).toBe(1);
  });

  it.each(['206', '304'])('does not store %s, not even when an option names it', async (status) => {
    const ask = await start();
    await ask(`/always/${status}`);
    await ask(`/always/${status}`);
    expect(counts.runs).toBe(2);
  });

  it('does not store the 304 of a client that has the page', async () => {
    const ask = await start();
    expect(await ask('/validated', { 'if-none-match': '"v1"' })).toMatchObject({ status: 304, body: '' });
    expect(await ask('/validated')).toMatchObject({ status: 200, body: 'a whole page' });
    expect(counts.runs).toBe(1);
  });

  it('gives no host the page of another one', async () => {
    const ask = await start();
    for (const [host, isHit] of [
      ['one.example', false],
      ['two.example', false],
      ['one.example:8080', false],
      ['one.example', true],
    ] as const) {
      const { body, fields } = await ask('/host', { host });
      expect([body, String(fields['cache-status']).includes('hit')]).toEqual([`for ${host.toLowerCase()}`, isHit]);
    }
  });

  it('echoes no forged host to others', async () => {
    const ask = await start();
    await ask('/links', { host: 'one.example', 'x-forwarded-host': 'evil.example' });
    expect(await ask('/links', { host: 'one.example' })).toMatchObject({ body: '{"link":"https://one.example/next"}' });
  });

  it('runs the handler for a request with a body: the key does not have it', async () => {
    const ask = await start();
    const { port } = await ask('/page');
    const { answer } = send(
      port,
      '/body',
      { 'content-type': 'application/json', 'content-length': '7' },
      'GET',
      '{"a":1}',
    );
    await answer;
    expect(await ask('/body')).toMatchObject({ body: expect.not.stringContaining('"a"') as string });
  });

  it('keeps audiences of ill-formed UTF-16 apart, and answers each', async () => {
    const ask = await start();
    const long = 'x'.repeat(600);
    const audiences = ['\\ud800', '\\ud801', '\\ufffd', `${long}\\ud800`, `${long}\\ud801`, `${long}\\ufffd`];
    const bodies: string[] = [];
    for (const audience of [...audiences, ...audiences]) {
      const { status, body } = await ask('/audience', { 'x-audience': audience });
      expect(status).toBe(200);
      bodies.push(body);
    }
    expect(new Set(bodies).size).toBe(audiences.length);
  });

  it('takes no text of an audience for the digest of a longer one', async () => {
    const ask = await start();
    const long = 'y'.repeat(600);
    const { createHash } = await import('node:crypto');
    const digests = [Buffer.from(long), Buffer.from(long, 'utf16le')].map(
      (bytes) => `#${createHash('sha256').update(bytes).digest('base64url')}`,
    );
    const bodies: string[] = [];
    for (const audience of [long, ...digests, '##']) {
      bodies.push((await ask('/audience', { 'x-audience': audience })).body);
    }
    expect(new Set(bodies).size).toBe(4);
  });

  it.each(['/tagged?tag=%5Cud800', '/tagged?tag=', '/tagged-within'])(
    'answers %s, whose tag can not be used, as without the cache',
    async (path) => {
      vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => {});
      const ask = await start();
      expect(await ask(path)).toMatchObject({ status: 200, body: '{"run":1}' });
      expect(await ask(path)).toMatchObject({ status: 200, body: '{"run":2}' });
    },
  );

  it('drops the page after a POST whose groups include an empty one', async () => {
    const ask = await start();
    await ask('/echo/1');
    await ask('/echo/1', {}, 'POST');
    expect((await ask('/echo/1')).fields['cache-status']).toContain('fwd=uri-miss');
  });

  it('answers hostile URLs as without the cache, and takes no two for one', async () => {
    const [ask, plain] = [await start(), await start({}, false)];
    const query = 'y'.repeat(1900);
    const paths = HOSTILE_PATHS.concat(`/echo/a?x=${query}`, `/echo/a?x=${query}z`, `/echo/a?x=${query}${query}`);
    for (const path of [...paths, ...paths.toReversed()]) {
      const [{ status, body }, wanted] = [await ask(path), await plain(path)];
      expect({ path, status, body }).toEqual({ path, status: wanted.status, body: wanted.body });
    }
    expect((await ask(`/echo/a?x=${'y'.repeat(4000)}`)).fields['cache-status']).toContain('detail=url-length');
    expect((await ask('/echo/a%2Fb')).fields['cache-status']).toContain('hit');
  });

  it('caches only the hosts that are named, however the request spells them', async () => {
    const ask = await start({ hosts: ['one.example'] });
    for (const [host, isCached] of [
      ['ONE.example:80', true],
      ['evil.example', false],
      ['one.example.evil', false],
      ['', false],
    ] as const) {
      await ask('/echo/1', { host });
      const { fields } = await ask('/echo/1', { host });
      expect([host, String(fields['cache-status']).includes('hit')]).toEqual([host, isCached]);
    }
  });

  it('refreshes at most 32 stale responses in the background at one time', async () => {
    const ask = await start();
    const ids = Array.from({ length: 40 }, (_, id) => id);
    await Promise.all(ids.map((id) => ask(`/stale/${id}`)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    held = new Promise((resolve) => {
      release = resolve;
    });
    counts.peak = 0;
    for (const id of ids) {
      expect((await ask(`/stale/${id}`)).fields['cache-status']).toContain('stale-while-revalidate');
    }
    await vi.waitFor(() => expect(counts.peak).toBe(32));
    release();
    await vi.waitFor(() => expect(counts.concurrent).toBe(0));
    expect(counts.peak).toBe(32);
  });
});
