import { type INestApplication, VersioningType, type VersioningOptions } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { bodyOf, get, type RawAnswer, seeded, shuffled } from './http-client.js';
import { AUDIENCES, startIdentity } from './identity-application.js';
import type { Platform } from './sample-application.js';

const ROUTES = [
  'same',
  'same?page=2',
  'user',
  'authorization',
  'has',
  'names',
  'raw',
  'distinct',
  'cookie',
  'key',
  'tenant',
  'tenant-of-guard',
  'declared-tenant',
  'varying',
  'language',
  'context',
  'address',
  'ip',
  'locals',
  'origin',
  'request-id',
  'unframed',
  'field',
  'serialized',
  'guard-above',
  'guard-below',
  'large',
  'stream',
  'lazy',
  'version',
];

const CLIENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  anonymous: {},
  'another anonymous one': { 'x-request-id': 'r2', 'x-correlation-id': 'c2' },
  ann: { authorization: 'Bearer ann.admin' },
  bob: { authorization: 'Bearer bob.user' },
  cleo: { authorization: 'Bearer cleo.user' },
  'a client with a cookie': { cookie: 'theme=dark' },
  'a client with a key': { 'x-api-key': 'k1' },
  'a client with another key': { 'x-api-key': 'k2' },
  'tenant one': { 'x-tenant': 'one' },
  'tenant two': { 'x-tenant': 'two' },
  'ann of tenant one': { authorization: 'Bearer ann.admin', 'x-tenant': 'one' },
  'a client of one site': { origin: 'http://one.example' },
  'a client of another site': { origin: 'http://two.example' },
  'a client that speaks German': { 'accept-language': 'de' },
  'a client that wants gzip': { 'accept-encoding': 'gzip' },
  'a client that wants br': { 'accept-encoding': 'br, gzip' },
  'a client that forges its host': { 'x-forwarded-host': 'evil.example', 'x-forwarded-for': '6.6.6.6' },
  'a client of another host': { host: 'other.example' },
  'a client of version 2': { 'x-version': '2', accept: 'application/json;v=2' },
};

const VERSION_1 = { 'x-version': '1', accept: 'application/json;v=1' };

/** What the cache adds, and what differs between two requests of one client without the cache, too. */
const NOT_COMPARED = new Set(
  ['age', 'cache-control', 'cache-status', 'etag', 'vary', 'accept-ranges', 'content-encoding'].concat(
    ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'set-cookie'],
    ['x-ratelimit-reset', 'x-ratelimit-remaining'],
  ),
);

/** An answer as its client sees it. */
function seen(answer: RawAnswer): object {
  const { status, fields } = answer;
  const others = Object.entries(fields).filter(([name]) => !NOT_COMPARED.has(name));
  const sessions = (fields['set-cookie'] ?? []).map((cookie) => cookie.split('=', 1)[0]);
  return { status, body: bodyOf(answer), fields: Object.fromEntries(others), sessions };
}

/** Several requests at a time. */
async function inParallel<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      await act(item);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

const VERSIONINGS: Readonly<Record<string, VersioningOptions>> = {
  header: { type: VersioningType.HEADER, header: 'x-version', defaultVersion: '1' },
  'media type': { type: VersioningType.MEDIA_TYPE, key: 'v=', defaultVersion: '1' },
  URI: { type: VersioningType.URI, defaultVersion: '1' },
};

describe.each<Platform>(['express', 'fastify'])('identities on %s', (platform) => {
  const applications: INestApplication[] = [];

  async function start(versioning: VersioningOptions, isCached: boolean): Promise<number> {
    const { application, port } = await startIdentity(platform, versioning, isCached);
    applications.push(application);
    return port;
  }

  afterEach(async () => {
    await Promise.all(applications.splice(0).map((application) => application.close()));
  });

  /** Asks every client's question in random order, several at a time, and compares with the application without the cache. */
  async function compare(
    versioning: VersioningOptions,
    paths: readonly string[],
    rounds: number,
  ): Promise<Set<string>> {
    const [cached, plain] = [await start(versioning, true), await start(versioning, false)];
    const random = seeded(20_261_128);
    const questions = Object.keys(CLIENTS).flatMap((client) => paths.map((path) => ({ client, path })));
    const ask = (port: number, { client, path }: (typeof questions)[number]) =>
      get(port, path, { ...VERSION_1, ...CLIENTS[client] });
    const expected = new Map<string, object>();
    const differences: object[] = [];
    const hits = new Set<string>();
    await inParallel(questions, async (question) => {
      expected.set(JSON.stringify(question), seen(await ask(plain, question)));
    });
    await inParallel(shuffled(Array.from({ length: rounds }, () => questions).flat(), random), async (question) => {
      const given = await ask(cached, question);
      if (/hit/.test(String(given.fields['cache-status']))) {
        hits.add(question.path);
      }
      const [answer, wanted] = [seen(given), expected.get(JSON.stringify(question))];
      if (JSON.stringify(answer) !== JSON.stringify(wanted)) {
        differences.push({ ...question, answer, wanted });
      }
    });
    expect(differences).toEqual([]);
    return hits;
  }

  it.each(Object.keys(AUDIENCES))(
    'give each client what it gets without the cache, with the audience %s',
    async (audience) => {
      const hits = await compare(
        VERSIONINGS['header'] as VersioningOptions,
        ROUTES.map((route) => `/${audience}/${route}`),
        2,
      );
      for (const route of ['same', 'varying', 'large', 'stream']) {
        expect(hits).toContain(`/${audience}/${route}`);
      }
    },
  );

  it('keep their sessions apart, and get the cookies of their own', async () => {
    const port = await start(VERSIONINGS['header'] as VersioningOptions, true);
    const ask = (path: string, cookie = '') => get(port, path, { ...VERSION_1, ...(cookie !== '' && { cookie }) });
    const cookies: string[] = [];
    for (let client = 0; client < 3; client++) {
      const first = await ask('/everyone/session');
      expect(bodyOf(first)).toBe('{"visits":1}');
      cookies.push(String(first.fields['set-cookie']?.[0]?.split(';')[0]));
    }
    expect(new Set(cookies).size).toBe(3);
    for (const cookie of [...cookies, ...cookies]) {
      await ask('/everyone/same', cookie); // counts as a visit, though it is a hit
    }
    const visits = await Promise.all(cookies.map(async (cookie) => bodyOf(await ask('/everyone/session', cookie))));
    expect(visits).toEqual(['{"visits":4}', '{"visits":4}', '{"visits":4}']);
  });

  it('count each request of a client, whether the cache answers it or not', async () => {
    const port = await start(VERSIONINGS['header'] as VersioningOptions, true);
    const left: unknown[] = [];
    for (const client of ['one', 'two', 'one', 'one', 'two']) {
      const { fields } = await get(port, '/everyone/same', { ...VERSION_1, 'x-client': client });
      left.push(fields['x-ratelimit-remaining']);
    }
    expect(left).toEqual(['999999', '999999', '999998', '999997', '999998']);
  });

  it('see only the parameters of the query that are part of the key', async () => {
    const port = await start(VERSIONINGS['header'] as VersioningOptions, true);
    for (const query of ['?page=1&evil=2', '?page=1', '?evil=3&page=1']) {
      const answer = await get(port, `/everyone/query${query}`, VERSION_1);
      expect(bodyOf(answer)).toBe('{"page":"1","names":["page"],"url":false}');
    }
    expect(bodyOf(await get(port, '/everyone/query?evil=3', VERSION_1))).toBe('{"page":null,"names":[],"url":false}');
  });

  it.each(['media type', 'URI'])('get the version that they ask for by %s', async (kind) => {
    const paths = ['anonymous/version', 'everyone/version', 'user/same', 'admins/all'];
    const hits = await compare(
      VERSIONINGS[kind] as VersioningOptions,
      paths.flatMap((path) => (kind === 'URI' ? [`/v1/${path}`, `/v2/${path}`, `/${path}`] : [`/${path}`])),
      3,
    );
    expect([...hits].join(' ')).toMatch(/everyone.version/);
  });
});
