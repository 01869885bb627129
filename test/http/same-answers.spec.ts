import type { INestApplication } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, type Platform, runs, type SampleAnswer, startSample } from './sample-application.js';

/** The fields that the cache adds, and those of one connection and one moment. */
const FIELDS_OF_THE_CACHE = ['age', 'cache-control', 'cache-status', 'etag', 'vary', 'accept-ranges'];
const FIELDS_OF_THE_MOMENT = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length'];

const PATHS = [
  'items/1',
  'items/1?page=2',
  'items/x',
  'text',
  'nothing',
  'moved',
  'file',
  'manual',
  'missing',
  'enveloped',
  'account',
  'guarded',
  'careless',
  'mine',
  'per-user',
  'language',
  'plan',
  'private',
  'versioned',
];

const CLIENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  anonymous: {},
  ann: { authorization: 'Bearer ann' },
  bob: { authorization: 'Bearer bob' },
  'a client with a cookie': { cookie: 'session=1' },
  'a client with an API key': { 'x-api-key': 'k1' },
  'a client of one site': { origin: 'http://one.example', 'x-request-id': 'one' },
  'a client of another site': { origin: 'http://two.example', 'x-request-id': 'two' },
  'a client that speaks German': { 'accept-language': 'de' },
  'a client with a plan': { 'x-plan': 'gold' },
  'a client of version 2': { 'x-version': '2' },
  'a client that forges the host': { 'x-forwarded-host': 'evil.example' },
};

function comparable({ status, fields, body }: SampleAnswer): unknown {
  const left = Object.entries(fields).filter(
    ([name]) => ![...FIELDS_OF_THE_CACHE, ...FIELDS_OF_THE_MOMENT].includes(name),
  );
  const { 'x-request-id': requestId, ...others } = Object.fromEntries(left);
  // A generated id is a number of its own application; one of the client must come back.
  return { status, body, fields: { ...others, requestId: /^\d+$/.test(requestId ?? '') ? 'generated' : requestId } };
}

describe.each<Platform>(['express', 'fastify'])('the response cache on %s', (platform) => {
  const applications: INestApplication[] = [];

  async function start(...args: Parameters<typeof startSample> extends [unknown, ...infer Rest] ? Rest : never) {
    const application = await startSample(platform, ...args);
    applications.push(application);
    return application;
  }

  afterEach(async () => {
    for (const application of applications.splice(0)) {
      await application.close();
    }
  });

  it.each(PATHS)(
    'gives each client of %s the answer that it gets without the cache, whoever came before',
    async (path) => {
      const [cached, plain] = [await start(), await start({ http: false })];
      const names = Object.keys(CLIENTS);
      // Forwards and backwards, so that each client comes after each other one.
      for (const name of [...names, ...names.toReversed()]) {
        const [answer, expected] = [await ask(cached, path, CLIENTS[name]), await ask(plain, path, CLIENTS[name])];
        expect({ name, answer: comparable(answer) }).toEqual({ name, answer: comparable(expected) });
      }
    },
  );

  it('runs each cacheable handler once for two anonymous requests', async () => {
    const application = await start();
    for (const path of [
      'items/1',
      'text',
      'nothing',
      'moved',
      'file',
      'manual',
      'enveloped',
      'account',
      'language',
      'plan',
      'versioned',
    ]) {
      const before = runs.count;
      await ask(application, path);
      await ask(application, path);
      expect({ path, runs: runs.count - before }).toEqual({ path, runs: 1 });
    }
  });

  it('gives no client the cookie of another one, not even of those that wait', async () => {
    const application = await start();
    const answers = await Promise.all(Array.from({ length: 3 }, () => ask(application, 'cookie')));
    expect(new Set(answers.map(({ fields }) => fields['set-cookie'])).size).toBe(3);
  });
});
