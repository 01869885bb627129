/**
 * Runs the public suite of HTTP caching (`http-cache-tests`) once, against a gateway that is a Nest application with
 * `@CachedResponse`, and prints the result of each test as JSON. Origin, gateway and client are in this process, because
 * the suite keeps its state in its modules. Arguments: platform, rules, and optionally the ids of the tests; a single one
 * is shown with all its messages.
 */
import 'reflect-metadata';
import http from 'node:http';
import { All, Controller, Delete, Get, Module, Options, Patch, Post, Put, Req, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import handleConfig from 'http-cache-tests/server/handle-config.mjs';
import handleState from 'http-cache-tests/server/handle-state.mjs';
import handleTest from 'http-cache-tests/server/handle-test.mjs';
import { getResults, runTests } from 'http-cache-tests/client/runner.mjs';
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs';
import suites from 'http-cache-tests/tests/index.mjs';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCacheModule } from 'nestjs-distributed-cache/http';

const [platform, rules, ...only] = process.argv.slice(2);
/** How many tests run at one time: their lifetimes are two seconds, so a slow machine must not queue them. */
const AT_ONCE = only.length > 0 ? 10 : 50;
const EVERY_PATH = platform === 'fastify' ? '*' : '{*path}';
const HANDLERS = { config: handleConfig, state: handleState, test: handleTest };
/** Set anew for the connection to the client; the cache itself drops what `Connection` names. */
const OF_THE_CONNECTION = new Set(['keep-alive', 'transfer-encoding', 'upgrade', 'content-length']);

/** The conditions are those of the cache, not of the client. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'range'];
/** The header fields of each request as its client sent them. A handler that read them all could not be cached. */
const sent = new WeakMap();

const origin = http.createServer((request, response) => {
  const [, kind, ...rest] = new URL(request.url, 'http://origin').pathname.split('/');
  HANDLERS[kind](rest, request, response);
});
const originPort = await listening(origin);

/** The gateway: what is not answered from the cache goes to the origin. */
class Gateway {}
route('cached', Get(EVERY_PATH), CachedResponse({ ttl: 'response' }));
// Fastify takes one handler per method, so `All` beside `Get` is refused.
const others = platform === 'fastify' ? { Post, Put, Patch, Delete, Options } : { All };
Object.entries(others).forEach(([name, method]) => route(name, method(EVERY_PATH)));
Controller()(Gateway);

class GatewayModule {}
Module({
  imports: [
    DistributedCacheModule.forRoot({ redis: false }),
    HttpCacheModule.forRoot({ rules, targets: ['CDN-Cache-Control', 'Surrogate-Control'] }),
  ],
  controllers: [Gateway],
})(GatewayModule);

const application = await NestFactory.create(
  GatewayModule,
  platform === 'fastify' ? new FastifyAdapter() : new ExpressAdapter(),
  { logger: ['error'], bodyParser: false },
);
const instance = application.getHttpAdapter().getInstance();
if (platform === 'fastify') {
  instance.addHttpMethod('M-SEARCH', { hasBody: true });
  instance.route({ method: 'M-SEARCH', url: EVERY_PATH, handler: forward });
  // The body goes to the origin as it comes.
  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser('*', (_request, _payload, done) => done(null));
} else {
  instance.disable('etag'); // a gateway adds no validators of its own
}
application.use((request, _response, next) => {
  sent.set(request, { ...request.headers });
  next();
});
await application.listen(0, '127.0.0.1');
const { port } = application.getHttpServer().address();

const tests = [...suites, surrogate]
  .flatMap((suite) => suite.tests)
  .filter((test) => !test.browser_only && (only.length === 0 || only.includes(test.id)));
tests.forEach((test) => Object.assign(test, { dump: only.length === 1 }));
await runTests([{ tests }], fetchOverHttp, false, `http://127.0.0.1:${port}`, AT_ONCE);
const results = getResults();
const report = tests.map(({ id, kind = 'required' }) => ({
  id,
  kind,
  problem: results[id] === true ? null : results[id].join(': '),
}));
console.log(JSON.stringify(report));
process.exit(0);

function route(name, ...decorators) {
  Gateway.prototype[name] = function (request, response) {
    return forward(request, response);
  };
  const descriptor = Object.getOwnPropertyDescriptor(Gateway.prototype, name);
  decorators.forEach((decorator) => decorator(Gateway.prototype, name, descriptor));
  [Req(), Res()].forEach((parameter, index) => parameter(Gateway.prototype, name, index));
}

async function listening(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

/** Sends a request to the origin, and its answer to the client. */
async function forward(request, response) {
  const raw = request.raw ?? request;
  const headers = Object.fromEntries(
    [...Object.entries(sent.get(raw)), ...CONDITIONS.map((name) => [name, raw.headers[name]])].filter(
      ([name, value]) => value !== undefined && (!CONDITIONS.includes(name) || raw.headers[name] === value),
    ),
  );
  try {
    const body = ['GET', 'HEAD'].includes(raw.method) ? undefined : Buffer.concat(await raw.toArray());
    const answer = await exchange({ port: originPort, method: raw.method, path: raw.url, headers }, body);
    const fields = Object.entries(answer.headers).filter(([name]) => !OF_THE_CONNECTION.has(name));
    if (platform === 'fastify') {
      response.code(answer.status).headers(Object.fromEntries(fields));
      response.send(answer.body.length === 0 ? undefined : answer.body);
    } else {
      response.statusCode = answer.status; // Express's own `send` changes fields
      fields.forEach(([name, value]) => response.setHeader(name, value));
      response.end(answer.body);
    }
  } catch {
    // With the number, the suite sees that this answer is no stored one.
    const number = sent.get(raw)['req-num'] ?? '';
    (response.setHeader ?? response.header).call(response, 'server-request-count', number);
    response.status(502).send('the origin did not answer');
  }
}

/** One exchange over `node:http`, which leaves requests and responses as they are. */
function exchange(options, body) {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ host: '127.0.0.1', agent: false, ...options }, (incoming) => {
      const pieces = [];
      incoming.on('data', (piece) => pieces.push(piece));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const { statusCode: status, headers } = incoming;
        resolve({ status, headers, lines: incoming.headersDistinct, body: Buffer.concat(pieces) });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** What the suite uses of `fetch`, without what a browser adds or forbids. */
async function fetchOverHttp(url, { method = 'GET', headers = [], body } = {}) {
  const { hostname, pathname, search, port: to } = new URL(url);
  const lines = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  for (const [name, value] of Array.isArray(headers) ? headers : Object.entries(headers)) {
    lines[name] = name in lines ? [lines[name], value].flat() : value;
  }
  const path = `${pathname}${search}`;
  const answer = await exchange({ host: hostname, port: to, method, path, headers: lines }, body);
  const pairs = Object.entries(answer.lines).flatMap(([name, values]) => values.map((value) => [name, value]));
  return { status: answer.status, headers: new Headers(pairs), text: async () => answer.body.toString() };
}
