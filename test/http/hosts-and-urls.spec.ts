import 'reflect-metadata';
import { connect } from 'node:http2';
import { Controller, Get, type INestApplication, Post, Req, Res } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { DistributedCacheModule } from 'nestjs-distributed-cache';
import { CachedResponse, HttpCache, HttpCacheModule } from 'nestjs-distributed-cache/http';
import { afterEach, describe, expect, it } from 'vitest';
import { bodyOf, get } from './http-client.js';

let runs = 0;

@Controller()
class PagesController {
  @CachedResponse()
  @Get('host')
  host(@Req() request: { headers: Record<string, string> }) {
    return { run: ++runs, host: request.headers[':authority'] ?? request.headers['host'] };
  }

  @CachedResponse()
  @Get('pages/:id')
  page() {
    return { run: ++runs };
  }

  @Post('pages/:id')
  change() {
    return 'changed';
  }

  @Post('named')
  named(@Res({ passthrough: true }) response: { header(name: string, value: string): void }) {
    response.header('Location', 'https://shop.example/pages/1');
    return 'changed';
  }
}

let application: INestApplication | undefined;

afterEach(async () => {
  await application?.close();
  application = undefined;
});

async function listening(adapter: ExpressAdapter | FastifyAdapter): Promise<{ port: number; http: HttpCache }> {
  const module = await Test.createTestingModule({
    imports: [DistributedCacheModule.forRoot({ redis: false }), HttpCacheModule.forRoot()],
    controllers: [PagesController],
  }).compile();
  application = module.createNestApplication(adapter);
  await application.listen(0, '127.0.0.1');
  return { port: Number(new URL(await application.getUrl()).port), http: application.get(HttpCache) };
}

describe('HTTP/2', () => {
  it('never gives the page of one host to a client of another', async () => {
    const { port } = await listening(new FastifyAdapter({ http2: true } as object));
    const session = connect(`http://127.0.0.1:${port}`);
    const page = (host: string, more: object = {}, body?: string): Promise<{ run: number; host: string }> =>
      new Promise((resolve, reject) => {
        const fields = { ':path': '/host', ':authority': host, ...more };
        const stream = session.request(fields, { endStream: body === undefined });
        stream.end(body);
        let text = '';
        stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        stream.on('end', () => resolve(JSON.parse(text) as { run: number; host: string }));
        stream.on('error', reject);
      });
    try {
      const first = await page('a.example');
      expect(first.host).toBe('a.example');
      expect((await page('b.example')).host).toBe('b.example');
      expect(await page('a.example')).toEqual(first);
      // The key has no body.
      expect((await page('a.example', {}, 'a body')).run).toBeGreaterThan(first.run);
      // A handler may read either of two names: the cache is passed by.
      const { run } = await page('a.example', { host: 'evil.example' });
      expect((await page('a.example', { host: 'evil.example' })).run).toBeGreaterThan(run);
      expect(await page('a.example', { host: 'a.example' })).toEqual(first);
    } finally {
      session.close();
    }
  });
});

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('%s', (_, adapter) => {
  const runOf = async (port: number, path: string, host = 'shop.example'): Promise<number> => {
    const answer = await get(port, path, { host });
    return (JSON.parse(bodyOf(answer)) as { run: number }).run;
  };

  it.each([
    ['with a default port in the host', '/pages/1', 'shop.example:80'],
    ['with a host in capitals', '/pages/1', 'SHOP.example'],
    ['with percent encoding in small letters', '/pages/caf%c3%a9', 'shop.example'],
    ['with percent encoding of a letter', '/pages/%41', 'shop.example'],
    ['with characters that a URL encodes', '/pages/{1}', 'shop.example'],
    ['with a character of its own in the query', "/pages/1?name='x'", 'shop.example'],
  ])('a POST drops the response of its URL, %s', async (_title, path, host) => {
    const { port, http } = await listening(adapter());
    const sameUrl = canonical(path);
    const first = await runOf(port, sameUrl);
    expect(await runOf(port, sameUrl)).toBe(first);
    await get(port, path, { host }, 'POST');
    const second = await runOf(port, sameUrl);
    expect(second).toBeGreaterThan(first);

    const raw = await runOf(port, path, host);
    await http.purge(`https://shop.example${sameUrl}`);
    expect(await runOf(port, path, host)).toBeGreaterThan(raw);
  });

  it('a Location of the same host with another scheme drops the response it names', async () => {
    const { port } = await listening(adapter());
    const first = await runOf(port, '/pages/1');
    await get(port, '/named', { host: 'shop.example' }, 'POST');
    expect(await runOf(port, '/pages/1')).toBeGreaterThan(first);
  });
});

/** The path as clients usually write it. */
function canonical(path: string): string {
  return path.replace('%c3%a9', '%C3%A9').replace('%41', 'A').replace('{1}', '%7B1%7D').replaceAll("'", '%27');
}
