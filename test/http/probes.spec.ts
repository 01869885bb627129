import { createRequire } from 'node:module';
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { Controller, Get, Header, HttpCode, type INestApplication, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCacheModule, type HttpCacheOptions, PurgesResponses } from 'nestjs-distributed-cache/http';
import { afterEach, describe, expect, it } from 'vitest';
import { setField } from './identity-application.js';
import { ask, type Probe, type ProbeAnswer, type RawFields, sendAll } from './raw-client.js';
import type { Platform } from './sample-application.js';

interface ProbeRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  readonly protocol: string;
  readonly url: string;
  readonly originalUrl: string;
}

let runs = 0;

const TEXT = 'a text that is worth to be compressed, '.repeat(60);

@Controller()
class ProbesController {
  @CachedResponse({ audience: 'everyone' })
  @Get('host')
  host(@Req() { headers }: ProbeRequest) {
    return { host: headers['host'] };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('origin')
  origin(@Req() { protocol, hostname }: ProbeRequest) {
    return { origin: `${protocol}://${hostname}` };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('target/:id')
  target(@Req() { originalUrl }: ProbeRequest, @Param('id') id: string) {
    return { originalUrl: originalUrl.split('?')[0], id };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('query')
  query(@Query() query: object) {
    return { query: JSON.stringify(query, (_, value: unknown) => (isPlain(value) ? sortedByName(value) : value)) };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('coded')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  @Header('Vary', 'Accept-Encoding')
  coded(@Req() request: ProbeRequest, @Res() response: { send(body: unknown): void }) {
    sendCoded(request, response);
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('coded-unsaid')
  @Header('Content-Type', 'text/plain; charset=utf-8')
  codedUnsaid(@Req() request: ProbeRequest, @Res() response: { send(body: unknown): void }) {
    sendCoded(request, response);
  }

  @CachedResponse({ audience: 'everyone', clients: { browser: '1m', cdn: '1h' } })
  @Get('plain')
  plain() {
    return { plain: true };
  }

  @CachedResponse({ clients: { browser: '1m', cdn: '1h' } })
  @Get('late-cookie')
  lateCookie() {
    return { plain: true };
  }

  @CachedResponse({ audience: 'everyone' })
  @Get('counted/:id')
  counted() {
    return { run: ++runs };
  }

  @Post('counted/:id')
  @HttpCode(200)
  change() {
    return {};
  }

  @Post('login')
  @HttpCode(200)
  login() {
    return {};
  }

  @PurgesResponses({ tags: ['{id}'] })
  @Post('tagged/:id')
  @HttpCode(200)
  changeTagged() {
    return {};
  }
}

function sendCoded({ headers }: ProbeRequest, response: { send(body: unknown): void }): void {
  const isGzip = headers['accept-encoding']?.includes('gzip') === true;
  if (isGzip) {
    setField(response, 'content-encoding', 'gzip');
  }
  response.send(isGzip ? gzipSync(TEXT) : TEXT);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sortedByName(value: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** The fields of one moment or connection, and those that the cache replaces by stronger ones. */
const OWN_FIELDS = new Set([
  'date',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'content-encoding',
  'etag',
]);

/** The body without its content coding, which must be one that the request accepts. */
function textIn({ fields, body }: ProbeAnswer, probe: Probe): string {
  const [coding] = fields.get('content-encoding') ?? [];
  if (coding === undefined) {
    return body;
  }
  expect({ probe, coding, accepted: probe.fields?.find(([name]) => name === 'Accept-Encoding')?.[1] }).toMatchObject({
    accepted: expect.stringContaining(coding) as string,
  });
  return (coding === 'br' ? brotliDecompressSync : gunzipSync)(Buffer.from(body, 'latin1')).toString('latin1');
}

const get = (target: string, fields: RawFields = [], more: Partial<Probe> = {}): Probe => ({ target, fields, ...more });
const each = (target: string, name: string, values: readonly string[]): Probe[] =>
  values.map((value) => get(target, [[name, value]]));

const QUERIES = `
? ?a=1&b=2 ?b=2&a=1 ?a=1&a=2 ?a=2&a=1 ?a=1&b=3&a=2 ?a[]=1&a=2 ?a=2&a[]=1 ?a[b]=1&a=2 ?a=2&a[b]=1 ?a[0]=1&a[1]=2
?a[1]=2&a[0]=1 ?a%5B%5D=1&a=2 ?a=2&a%5B%5D=1 ?a ?a= ?=a ?a=1;b=2 ?a=1%26b=2 ?a=1&&b=2 ?a+b=1 ?a%20b=1 ?a.b=1&a=2
?a=2&a.b=1 ?__proto__[x]=1 ?z=1&${'a&'.repeat(1000)} ?${'a&'.repeat(1000)}z=1`.split(/\s/);

const PROBES: Readonly<Record<string, readonly Probe[]>> = {
  'of hosts with default ports, in capitals, and with what no host has': [
    ...[
      'shop.example',
      'shop.example:80',
      'shop.example:443',
      'SHOP.example',
      'shop.example:8080',
      '',
      'shop.example/a',
    ]
      .concat('shop.example?a', 'a@shop.example', 'shop.example#')
      .map((host) => get('/host', [], { host })),
    get('http://evil.example/host'),
    get('/host', [], { host: '', version: '1.0' }),
  ],
  'of forwarded hosts and protocols': [
    get('/origin'),
    ...each('/origin', 'X-Forwarded-Host', ['evil.example', 'shop.example', 'a.example, b.example']),
    ...each('/origin', 'X-Forwarded-Proto', ['https', 'http', 'javascript']),
    ...each('/origin', 'Forwarded', ['host=evil.example']),
    ...each('/origin', 'X-Forwarded-Prefix', ['/evil']),
  ],
  'of targets with slashes, dots, parameters and encodings': [
    ...[
      'a',
      'a/',
      'A',
      'a;b',
      'a;b=c',
      '.',
      '..',
      './a',
      '../target/a',
      '%61',
      '%2e%2e',
      '%2F',
      '%2f',
      'a%2Fb',
      'a%2fb',
    ]
      .concat('a%00', 'a%20', 'a+', 'a%3Fb', 'a?', 'a?x', 'a?x=', 'a?&x', 'a?x&', 'a?%78', 'a#x', 'a?x#y', 'caf%C3%A9')
      .concat('caf%c3%a9', 'cafe%CC%81', '~', '%7E', "'", '%27', '|', '||', '%7C', '{', '*', '(', '!')
      .map((id) => get(`/target/${id}`)),
    ...['//target/a', '/./target/a', '/target//a', '/x/../target/a', '/target/a//', '/TARGET/a', '/%74arget/a'].map(
      (target) => get(target),
    ),
    get('http://shop.example/target/a'),
    get('https://shop.example:443/target/a'),
  ],
  'of queries with parameters again, in another order, and nested': QUERIES.map((query) => get(`/query${query}`)),
  'of codings that its handler makes and names in Vary': each('/coded', 'Accept-Encoding', [
    'gzip',
    'identity',
    'br',
    'gzip, br',
    '*',
    '',
    'gzip;q=0',
  ]).concat(get('/coded')),
  'of codings that its handler makes and does not name': each('/coded-unsaid', 'Accept-Encoding', [
    'gzip',
    'identity',
    'br',
  ]).concat(get('/coded-unsaid')),
  'with fields twice': [
    get('/plain', [
      ['Cookie', 'a=1'],
      ['Cookie', 'b=2'],
    ]),
    get('/plain', [
      ['Authorization', 'a'],
      ['Authorization', 'b'],
    ]),
    get('/plain', [
      ['Cache-Control', 'no-cache'],
      ['Cache-Control', 'no-store'],
    ]),
    get('/plain', [
      ['Accept-Encoding', 'br'],
      ['Accept-Encoding', 'gzip'],
    ]),
  ],
  'with directives of requests': each('/plain', 'Cache-Control', [
    'only-if-cached',
    'max-stale',
    'min-fresh=99999999999',
    'no-cache, no-store, max-age=0',
    '"',
  ]).concat(each('/plain', 'Pragma', ['no-cache'])),
  'that middleware rewrites for one client': [
    get('/target/a'),
    ...each('/target/a', 'X-Rewrite', ['/target/b', '/target/c?x', '/target/a', '/target/a?x=1']),
    get('/target/b'),
  ],
  'that middleware marks for one client': [
    get('/plain', [['X-Mark', 'Cache-Control: no-store']]),
    get('/plain'),
    get('/plain', [['X-Mark', 'Cache-Control: private, max-age=5']]),
    get('/plain', [['X-Mark', 'Cache-Control: public, max-age=5']]),
    get('/plain', [['X-Mark', 'Vary: X-Mark']]),
  ],
  'of HTTP/1.0, of HEAD, with other methods, with Expect, with a body': [
    get('/plain', [], { version: '1.0' }),
    get('/plain', [], { method: 'HEAD' }),
    get('/plain'),
    get('/plain', [['X-HTTP-Method-Override', 'DELETE']]),
    get('/plain', [['Expect', '100-continue']]),
    get('/plain', [['Content-Encoding', 'gzip']], { body: 'no gzip' }),
    get('/plain', [], { body: 'a=1' }),
    get('/plain', [['Origin', 'null']]),
    get('/plain', [['TE', 'trailers']]),
    get('/plain', [], { method: 'OPTIONS' }),
    get('/plain', [], { method: 'PROPFIND' }),
  ],
};

describe.each<Platform>(['express', 'fastify'])('the response cache on %s', (platform) => {
  const applications: INestApplication[] = [];

  afterEach(async () => {
    runs = 0;
    await Promise.all(applications.splice(0).map((application) => application.close()));
  });

  async function start(isCached = true, options: HttpCacheOptions = {}): Promise<number> {
    const module = await Test.createTestingModule({
      imports: [
        DistributedCacheModule.forRoot({ redis: false }),
        ...(isCached ? [HttpCacheModule.forRoot({ status: 'reasons', ...options })] : []),
      ],
      controllers: [ProbesController],
    }).compile();
    const application = module.createNestApplication(
      platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ trustProxy: true, rewriteUrl: rewritten }),
    );
    applications.push(application);
    application.use(mark);
    if (platform === 'express') {
      const express = application.getHttpAdapter().getInstance() as { set(name: string, value: unknown): void };
      express.set('trust proxy', true);
      express.set('query parser', 'extended');
      application.use(cookieAtTheHead);
      application.use(
        (request: { url: string; headers: Record<string, string> }, _response: object, next: () => void) => {
          request.url = rewritten(request);
          next();
        },
      );
    } else {
      (application as NestFastifyApplication)
        .getHttpAdapter()
        .getInstance()
        .addHook('onSend', (request, reply, _payload, done) => {
          if (request.url === '/late-cookie') {
            reply.header('set-cookie', 'session=1');
          }
          done();
        });
    }
    await application.listen(0, '127.0.0.1');
    return Number(new URL(await application.getUrl()).port);
  }

  it.each(Object.keys(PROBES))('gives each request %s the answer that it gets without the cache', async (name) => {
    const [cached, plain] = [await start(), await start(false)];
    const probes = PROBES[name] ?? [];
    for (const probe of [...probes, ...probes.toReversed()]) {
      const [answer, wanted] = [await ask(cached, probe), await ask(plain, probe)];
      const expected = [...wanted.fields].filter(([field]) => field !== 'vary' && !OWN_FIELDS.has(field));
      const given = expected.map(([field]) => [field, answer.fields.get(field)]);
      const body = textIn(answer, probe);
      expect({ probe, status: answer.status, body, fields: Object.fromEntries(given) }).toEqual({
        probe,
        status: wanted.status,
        body: textIn(wanted, probe),
        fields: Object.fromEntries(expected),
      });
      const varyOf = ({ fields }: ProbeAnswer): string => (fields.get('vary') ?? []).join().toLowerCase();
      expect(varyOf(answer)).toContain(varyOf(wanted));
    }
  });

  it('answers requests that are sent at once over one connection, each with its own answer', async () => {
    const port = await start();
    const probes = [get('/target/1'), get('/target/2'), get('/plain', [], { method: 'HEAD' }), get('/target/1')];
    for (const _round of [1, 2]) {
      const answers = await sendAll(port, [...probes, get('/target/2')]);
      expect(answers.map(({ body }) => (body === '' ? '' : (JSON.parse(body) as { id: string }).id))).toEqual([
        '1',
        '2',
        '',
        '1',
        '2',
      ]);
    }
  });

  it.each(['no-store', 'private, max-age=5'])(
    'gives a request that middleware marks with %s a response of its own, and keeps the one of the others',
    async (control) => {
      const port = await start();
      const bodyOf = async (fields: [string, string][] = []) => (await ask(port, get('/counted/1', fields))).body;
      const stored = await bodyOf();
      expect(await bodyOf([['X-Mark', `Cache-Control: ${control}`]])).not.toBe(stored);
      expect(await bodyOf()).toBe(stored);
    },
  );

  it('lets no cache in front keep a response whose cookie middleware sets last', async () => {
    const port = await start();
    for (const _round of [1, 2]) {
      const { fields } = await ask(port, get('/late-cookie'));
      expect(fields.get('set-cookie')).toEqual(['session=1']);
      expect(fields.get('cache-control')?.[0]).toMatch(/^private/);
      expect(fields.get('cache-control')?.[0]).not.toMatch(/s-maxage/);
    }
  });

  it.each<[string, Probe]>([
    ['the absolute form of the target', get('http://shop.example/counted/1', [], { method: 'POST' })],
    ['a default port', get('/counted/1', [], { method: 'POST', host: 'shop.example:443' })],
    ['capitals', get('/counted/1', [], { method: 'POST', host: 'SHOP.example' })],
    ['another encoding', get('/counted/%31', [], { method: 'POST' })],
  ])('drops a response after a POST with %s', async (_, post) => {
    const port = await start();
    const bodyOf = async () => (await ask(port, get('/counted/1'))).body;
    const before = await bodyOf();
    expect(await bodyOf()).toBe(before);
    await ask(port, post);
    expect(await bodyOf()).not.toBe(before);
  });

  it.each<[string, Probe]>([
    ['a host that has a path', get('/login', [], { method: 'POST', host: 'shop.example/counted/1#' })],
    ['no host', get('/login', [], { method: 'POST', host: '', version: '1.0' })],
    ['a tag like those of the cache', get('/tagged/route%20ProbesController.counted', [], { method: 'POST' })],
    ['a tag like that of a URL', get('/tagged/url%20shop.example%20%2Fcounted%2F1%20', [], { method: 'POST' })],
  ])('keeps the responses of other URLs after a POST with %s', async (_, post) => {
    const port = await start();
    const bodyOf = async () => (await ask(port, get('/counted/1'))).body;
    const before = await bodyOf();
    expect((await ask(port, post)).status).toBe(200);
    expect(await bodyOf()).toBe(before);
  });
});

/** The URL that a client gets by one of its fields, as some get a beta version. */
function rewritten({ url = '', headers }: { url?: string; headers: Readonly<Record<string, unknown>> }): string {
  return typeof headers['x-rewrite'] === 'string' ? headers['x-rewrite'] : url;
}

/** Sets the field that the client names, as middleware does for some clients. */
function mark(request: { headers: Record<string, string> }, response: object, next: () => void): void {
  const [name, value] = (request.headers['x-mark'] ?? '').split(': ');
  if (name !== undefined && value !== undefined) {
    setField(response, name, value);
  }
  next();
}

const onHeaders = createRequire(import.meta.url)('on-headers') as (response: object, listener: () => void) => void;

/** Sets a cookie when the head of the response is written, as sessions do. */
function cookieAtTheHead(request: { url: string }, response: object, next: () => void): void {
  if (request.url === '/late-cookie') {
    onHeaders(response, () => setField(response, 'set-cookie', 'session=1'));
  }
  next();
}
