import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { FakeClock } from '../testing/index.js';
import { variantKey } from './entry/response-key.js';
import { entryOf, type StoredEntry, type StoredResponse } from './entry/stored-response.js';
import type { Answer, Exchange, ReadyAnswer } from './exchange/exchange.js';
import { bindRoute } from './module/bound-route.js';
import type { CachedResponseOptions } from './module/options.js';
import type { Fields } from './rules/fields.js';
import { StoredAnswers } from './stored-answers.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What was sent: with prepared lines, or with fields that were made for this request. */
interface Sent {
  readonly isReady: boolean;
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly body: string | undefined;
}

/** A request whose answer is kept. @param set the fields that middleware has set */
function exchangeFor(requestFields: Fields, set: Fields = {}): Exchange & { sent: Sent[] } {
  const sent: Sent[] = [];
  const keep = (isReady: boolean, status: number, fields: Sent['fields'], body: Buffer | string | undefined): void => {
    sent.push({ isReady, status, fields, body: body?.toString('latin1') });
  };
  return {
    sent,
    requestFields,
    field: (name: string) => set[name],
    send: ({ status, fields, body }: Answer) => keep(false, status, fields, body),
    sendReady: ({ status, lines, body }: ReadyAnswer, age: string, cacheStatus: string | undefined) =>
      keep(true, status, { ...Object.fromEntries(lines), age, 'cache-status': cacheStatus }, body),
  } as Partial<Exchange> as Exchange & { sent: Sent[] };
}

const response = (changes: Partial<StoredResponse> = {}): StoredResponse => ({
  id: 'one',
  status: 200,
  fields: { 'content-type': 'application/json; charset=utf-8', etag: '"v1"', date: 'Sat, 28 Nov 2026 10:00:00 GMT' },
  body: Buffer.from('{"id":1}'),
  initialAgeMs: 0,
  freshMs: 60_000,
  whileRevalidateMs: 0,
  ifErrorMs: 0,
  ...changes,
});

function start(options: CachedResponseOptions = {}, local: { maxMemoryMb?: number } = {}) {
  const clock = new FakeClock();
  const all = cacheForTest({ redis: false, local }, { clock });
  const cache = all.getCache<StoredEntry | null>('http', { values: 'shared' });
  const route = bindRoute('X.y', { ttl: '1h', audience: 'everyone', ...options }, {});
  const answers = new StoredAnswers(cache, ({ ttlSeconds }) => `http;hit;ttl=${ttlSeconds}`, {
    isHonouringRequests: false,
    hasMemory: true,
  });
  const ask = (requestFields: Fields = {}, set?: Fields): Sent | undefined => {
    const exchange = exchangeFor(requestFields, set);
    expect(answers.sendFromMemory(exchange, route, 'key')).toBe(exchange.sent.length === 1);
    return exchange.sent[0];
  };
  const store = (changes?: Partial<StoredResponse>) => cache.set('key', entryOf(response(changes)), '1m');
  /** Resolves when no coding is being made. */
  const codings = () =>
    vi.waitFor(async () => expect((await all.operations.loads()).answers[0]?.answer).toEqual([]), { interval: 1 });
  return { clock, cache, route, answers, ask, store, codings };
}

describe('an answer from memory', () => {
  it('is sent with prepared lines, and has the age and the lifetime of the moment', async () => {
    const { ask, store, clock } = start();
    expect(ask()).toBeUndefined();
    await store();
    const fields = {
      'content-type': 'application/json; charset=utf-8',
      etag: '"v1"',
      'cache-control': 'private, no-cache',
    };
    expect(ask()).toMatchObject({
      isReady: true,
      status: 200,
      body: '{"id":1}',
      fields: { ...fields, age: '0', 'cache-status': 'http;hit;ttl=60' },
    });
    clock.advance(20_000);
    expect(ask()).toMatchObject({ isReady: true, fields: { ...fields, age: '20', 'cache-status': 'http;hit;ttl=40' } });
    clock.advance(40_001);
    expect(ask()).toBeUndefined();
  });

  it('has a lifetime for clients that is made anew each second', async () => {
    const { ask, store, clock } = start({ audience: 'anonymous', clients: '5m' });
    await store();
    for (const age of [0, 20]) {
      clock.advance(age * 1000);
      expect(ask()).toMatchObject({
        isReady: true,
        fields: { 'cache-control': `max-age=${300 + age}`, age: `${age}` },
      });
    }
  });

  it.each<[string, Fields, boolean, number]>([
    ['the tag of the response', { 'if-none-match': '"v1"' }, true, 304],
    ['any tag', { 'if-none-match': '*' }, true, 304],
    ['a weak form of the tag', { 'if-none-match': 'W/"v1"' }, false, 304],
    ['the tag in a list', { 'if-none-match': '"v0", "v1"' }, false, 304],
    ['another tag', { 'if-none-match': '"v0"' }, false, 200],
    [
      'another tag, before a date',
      { 'if-none-match': '"v0"', 'if-modified-since': 'Sat, 28 Nov 2026 10:00:00 GMT' },
      false,
      200,
    ],
    ['a date, where there is no Last-Modified', { 'if-modified-since': 'Sat, 28 Nov 2026 10:00:00 GMT' }, false, 200],
    ['a range', { range: 'bytes=0-1' }, false, 206],
    ['a range of the present response', { range: 'bytes=0-1', 'if-range': '"v1"' }, false, 206],
    ['a range of another response', { range: 'bytes=0-1', 'if-range': '"v0"' }, false, 200],
    ['a range behind the end', { range: 'bytes=100-' }, false, 416],
  ])('for a request with %s', async (_, fields, isReady, status) => {
    const { ask, store } = start();
    await store();
    const answer = ask(fields);
    expect({ isReady: answer?.isReady, status: answer?.status }).toEqual({ isReady, status });
    expect(answer?.body).toBe({ 200: '{"id":1}', 206: '{"', 304: undefined, 416: undefined }[status]);
    expect(answer?.fields['content-type'] !== undefined).toBe(status < 300);
  });

  it('is made for the request where middleware has set what must be merged, or the response has a cookie', async () => {
    const { ask, store } = start();
    await store({ fields: { ...response().fields, vary: 'x-plan' } });
    expect(ask({}, { vary: 'origin' })).toMatchObject({ isReady: false, fields: { vary: 'origin, x-plan' } });
    expect(ask({}, { 'cache-status': 'cdn; hit' })).toMatchObject({
      isReady: false,
      fields: { 'cache-status': 'cdn; hit, http;hit;ttl=60' },
    });
    await store({ fields: { ...response().fields, 'set-cookie': ['a=1'] } });
    expect(ask()).toMatchObject({ isReady: false, status: 200, fields: { 'set-cookie': ['a=1'] } });
  });

  it('has no body with 204, and is never one of a variant or of another kind of entry', async () => {
    const { ask, store, cache } = start();
    await store({ status: 204 });
    expect(ask()).toMatchObject({ isReady: true, status: 204, body: undefined });
    await store({ selection: '["a"]' });
    expect(ask()).toBeUndefined();
    await cache.set('key', { kind: 'variants', id: 'index', names: ['x-plan'] }, '1m');
    expect(ask()).toBeUndefined();
  });

  it('is in the coding of the client, each with prepared lines and a tag of its own', async () => {
    const { ask, store } = start();
    const body = Buffer.from(JSON.stringify({ text: 'large '.repeat(500) }));
    await store({ body });
    for (const coding of ['br', 'gzip'] as const) {
      const requestFields = { 'accept-encoding': coding };
      expect(ask(requestFields)).toMatchObject({
        isReady: true,
        body: body.toString(),
        fields: { vary: 'accept-encoding' },
      });
      await vi.waitFor(() => expect(ask(requestFields)?.fields['content-encoding']).toBe(coding));
      const etag = `"v1-${coding}"`;
      expect(ask(requestFields)).toMatchObject({ isReady: true, fields: { etag, vary: 'accept-encoding' } });
      expect(ask({ ...requestFields, 'if-none-match': etag })).toMatchObject({ isReady: true, status: 304 });
      expect(ask({ ...requestFields, 'if-none-match': '"v1"' })).toMatchObject({ status: 200 });
    }
    expect(ask()).toMatchObject({ isReady: true, body: body.toString(), fields: { etag: '"v1"' } });
  });
});

describe('an answer from Redis, without memory', () => {
  it('is sent as it is stored: bodies in other codings are neither made nor looked for', () => {
    const { cache, route } = start();
    const answers = new StoredAnswers(cache, () => undefined, { isHonouringRequests: false, hasMemory: false });
    const asked = [vi.spyOn(cache, 'getOrSet'), vi.spyOn(cache, 'lookupLocal')];
    const exchange = exchangeFor({ 'accept-encoding': 'br' });
    const stored = response({ body: Buffer.from('large '.repeat(500)) });
    answers.send(exchange, route, 'key', { stored, ageMs: 0 }, {});
    expect(exchange.sent[0]?.fields['vary']).toBeUndefined();
    asked.forEach((spy) => expect(spy).not.toHaveBeenCalled());
  });
});

describe('the memory of stored responses', () => {
  async function usedBytes(): Promise<number> {
    for (let round = 0; round < 4; round++) {
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  }

  /** Text that compresses to about half of its size. */
  const text = (bytes: number): Buffer => Buffer.from(randomBytes(bytes / 2).toString('hex'));
  const fields = (bytes: number) => ({
    ...response().fields,
    etag: `"${randomBytes(12).toString('hex')}"`,
    ...Object.fromEntries(
      Array.from({ length: bytes / 100 }, (_, index) => [`x-${index}`, randomBytes(50).toString('hex')]),
    ),
  });

  it.each<[string, number, number]>([
    ['small bodies', 0, 200],
    ['bodies with each coding', 0, 3000],
    ['large bodies with each coding', 0, 30_000],
    ['many fields, and bodies with each coding', 3000, 1400],
  ])('stays within maxMemoryMb, whatever they consist of: %s', async (_, fieldBytes, bodyBytes) => {
    const MAX_MB = 3;
    const { cache, route, answers, codings } = start({}, { maxMemoryMb: MAX_MB });
    const keys: string[] = [];
    const before = await usedBytes();
    // Twice as much as there is room for, half of it as variants.
    const count = Math.ceil((2 * MAX_MB * 2 ** 20) / (2000 + 4 * fieldBytes + 2 * bodyBytes));
    for (let index = 0; index < count; index++) {
      const selection = index % 2 === 0 ? undefined : `["plan ${index}"]`;
      const key = selection === undefined ? `key ${index}` : variantKey(`key ${index}`, 'index', selection);
      keys.push(key);
      const stored = response({ id: `id ${index}`, fields: fields(fieldBytes), body: text(bodyBytes), selection });
      await cache.set(key, entryOf(stored), '1m');
      for (const coding of ['identity', 'br', 'gzip']) {
        const exchange = exchangeFor({ 'accept-encoding': coding });
        exchange.sendReady = () => {};
        exchange.send = () => {};
        if (selection === undefined) {
          answers.sendFromMemory(exchange, route, key);
        } else {
          answers.send(exchange, route, key, { stored, ageMs: 0 }, {});
        }
      }
      await codings(); // those of many responses at once would be newer than the last response
    }
    await vi.waitFor(async () => expect((await usedBytes()) - before).toBeLessThan(1.25 * MAX_MB * 2 ** 20));
    const left = keys.filter((key) => cache.lookupLocal(key, () => true) !== undefined);
    expect(left.length).toBeGreaterThan(0.15 * count);
    expect(left.length).toBeLessThan(0.8 * count);
    expect(left).toContain(keys.at(-1));
  });
});
