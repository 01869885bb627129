import 'reflect-metadata';
import http from 'node:http';
import { Module, Controller, Get, All, Req, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DistributedCacheModule } from '../libs/distributed-cache/dist/index.js';
import { HttpCacheModule, CachedResponse } from '../libs/distributed-cache/dist/http/index.js';
const [,, platform = 'express', rules = 'rfc9111', port='8001'] = process.argv;
const dec = (decorators, target, key) => { const d = Object.getOwnPropertyDescriptor(target, key); for (const f of decorators.reverse()) f(target, key, d); Object.defineProperty(target, key, d); };
const ORIGIN = { host: 'localhost', port: 8000 };
function forward(req, res) {
  const raw = req.raw ?? req; const rawRes = res.raw ?? res;
  return new Promise((done) => {
    const headers = { ...raw.headers };
    const chunks = [];
    const out = http.request({ ...ORIGIN, method: raw.method, path: raw.originalUrl ?? raw.url, headers, agent: new http.Agent({keepAlive:false}), insecureHTTPParser: true }, (up) => {
      const parts = [];
      up.on('data', (c) => parts.push(c));
      up.on('error', () => rawRes.destroy());
      up.on('end', () => {
        const fields = {};
        for (let i = 0; i < up.rawHeaders.length; i += 2) { const n = up.rawHeaders[i].toLowerCase(); if (['transfer-encoding','keep-alive'].includes(n) && raw.__x) continue; (fields[n] ??= []).push(up.rawHeaders[i+1]); }
        delete fields['transfer-encoding'];
        if (fields['connection']?.join() === 'close' || fields['connection']?.join()==='keep-alive') delete fields['connection'];
        delete fields['keep-alive'];
        if (platform === 'fastify') {
          res.code(up.statusCode > 599 ? 598 : up.statusCode); for (const [n, v] of Object.entries(fields)) if (n!=='content-length') res.header(n, v.length === 1 ? v[0] : v);
          res.send(Buffer.concat(parts));
        } else {
          rawRes.statusCode = up.statusCode; rawRes.statusMessage = up.statusMessage;
          for (const [n, v] of Object.entries(fields)) if (n!=='content-length'||true) try { rawRes.setHeader(n, v.length === 1 ? v[0] : v) } catch {}
          rawRes.end(Buffer.concat(parts));
        }
        done();
      });
    });
    out.on('error', () => { if (process.env.DBG) console.log('origin gone'); if (platform==='fastify') { res.code(502).send('') } else { rawRes.statusCode = 502; rawRes.end(); } done(); });
    const body = req.body;
    if (body !== undefined && Buffer.isBuffer(body)) { out.end(body); } else if (typeof body === 'string') out.end(body); else if (platform==='fastify') out.end(body ? JSON.stringify(body):undefined); else raw.pipe(out);
  });
}
class Gateway { get(req, res) { return forward(req, res); } other(req, res) { return forward(req, res); } }
dec([Get(platform==='fastify'?'*':'*path'), CachedResponse({ ttl: 'response', audience: 'everyone', encodings: false })], Gateway.prototype, 'get');
Req()(Gateway.prototype, 'get', 0); Res()(Gateway.prototype, 'get', 1);
if (platform !== 'fastify') dec([All('*path')], Gateway.prototype, 'other');
Req()(Gateway.prototype, 'other', 0); Res()(Gateway.prototype, 'other', 1);
Controller()(Gateway);
class App {}
Module({ imports: [DistributedCacheModule.forRoot({ redis: false }), HttpCacheModule.forRoot({ rules, ttl: 'response', status: 'reasons', targets: rules==='rfc9111' ? ['cdn-cache-control'] : [] })], controllers: [Gateway] })(App);
const app = platform === 'fastify' ? await NestFactory.create(App, new FastifyAdapter(), { logger: ['error','warn'] }) : await NestFactory.create(App, { bodyParser: false, logger: ['error','warn'] });
if (platform === 'fastify') { const f = app.getHttpAdapter().getInstance(); for (const m of ['M-SEARCH']) try { f.addHttpMethod(m, {hasBody:true}); } catch {} f.removeAllContentTypeParsers(); f.route({ method: ['POST','PUT','DELETE','PATCH','M-SEARCH'], url: '*', handler: (q, r) => { forward(q, r); } }); f.addContentTypeParser('*', { parseAs: 'buffer' }, (r, b, d) => d(null, b)); }
else app.getHttpAdapter().getInstance().set('etag', false);
await app.listen(Number(port));
console.log('gateway', platform, rules, port);
