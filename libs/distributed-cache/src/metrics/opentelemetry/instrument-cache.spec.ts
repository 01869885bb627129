import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { Gate } from '../../../../../test/support/gate.js';
import { sharedRedis } from '../../../../../test/support/redis-for-test.js';
import type { DistributedCacheOptions } from '../../core/index.js';
import { FakeClock } from '../../testing/fake-clock.js';
import { instrumentCache, type InstrumentCacheOptions } from './index.js';

const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const requests = tracerProvider.getTracer('requests');

beforeEach(() => {
  exporter.reset();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterEach(() => context.disable());

function instrumented(
  options: InstrumentCacheOptions = {},
  cacheOptions: DistributedCacheOptions = sharedRedis(),
  clock?: FakeClock,
) {
  const cache = cacheForTest(cacheOptions, clock && { clock, random: Math.random });
  const end = instrumentCache(cache, { tracerProvider, metrics: false, ...options });
  return { cache, users: cache.getCache('users'), end };
}

/** Runs a request within a span of its own. */
async function request<Result>(name: string, run: () => Promise<Result>): Promise<Result> {
  return requests.startActiveSpan(name, async (span) => {
    try {
      return await run();
    } finally {
      span.end();
    }
  });
}

const spans = (name?: string): ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => name === undefined || span.name === name);
const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId;
const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

describe('the spans of a cache', () => {
  it('have the right parents under 50 concurrent callers of different keys: each load is below its own request', async () => {
    const { users } = instrumented();
    await users.get('connected');
    exporter.reset();
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        request(`request ${index}`, () =>
          users.getOrSet(`key:${index}`, async () => {
            await later();
            return request(`query ${index}`, async () => index);
          }),
        ),
      ),
    );
    const byId = new Map(spans().map((span) => [idOf(span), span]));
    const parentOf = (span: ReadableSpan | undefined) => byId.get(span?.parentSpanContext?.spanId ?? '');
    for (let index = 0; index < 50; index++) {
      const load = parentOf(spans(`query ${index}`)[0]);
      const lookup = parentOf(load);
      expect([load?.name, lookup?.name]).toEqual(['cache.load users', 'cache.get users']);
      expect(parentOf(lookup)?.name).toBe(`request ${index}`);
      expect(lookup?.links).toEqual([]);
    }
    expect(spans('cache.get users')).toHaveLength(50);
  });

  it('link 49 of 50 concurrent callers of one key to the one load, each below its own request', async () => {
    const { users } = instrumented();
    await users.get('connected');
    exporter.reset();
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        request(`request ${index}`, () => users.getOrSet('key', () => later().then(() => 1))),
      ),
    );
    const [load, ...others] = spans('cache.load users');
    expect(others).toEqual([]);
    const lookups = spans('cache.get users');
    const joined = lookups.filter(({ attributes }) => attributes['nestjs.cache.collapsed'] === true);
    expect(joined).toHaveLength(49);
    expect(joined.every(({ links }) => links.length === 1 && links[0]?.context.spanId === idOf(load))).toBe(true);
    const own = lookups.find((span) => !joined.includes(span));
    expect(load?.parentSpanContext?.spanId).toBe(idOf(own));
    const parents = new Set(lookups.map(({ parentSpanContext }) => parentSpanContext?.spanId));
    expect(parents).toEqual(
      new Set(
        spans()
          .filter(({ name }) => name.startsWith('request'))
          .map(idOf),
      ),
    );
  });

  it('make a background refresh a trace of its own, linked to the span that caused it', async () => {
    const clock = new FakeClock();
    const { users } = instrumented({}, { redis: false }, clock);
    const options = { ttl: '10s', refreshAhead: 0.5 } as const;
    await users.getOrSet('key', async () => 1, options);
    clock.advance(9000);
    exporter.reset();
    await request('request', () => users.getOrSet('key', async () => 2, options));
    await vi.waitFor(() => expect(spans('cache.load users')).toHaveLength(1));
    const [load] = spans('cache.load users');
    const [cause] = spans('request');
    expect(load?.parentSpanContext).toBeUndefined();
    expect(load?.spanContext().traceId).not.toBe(cause?.spanContext().traceId);
    expect(load?.links.map((link) => link.context.spanId)).toEqual([idOf(cause)]);
  });

  it('say what was found, and carry no key', async () => {
    const shared = sharedRedis();
    const { users } = instrumented({}, shared);
    const other = cacheForTest(shared);
    await other.getCache('users').set('secret-key', 1, '60s');
    await users.get('secret-key');
    await users.getOrSet('other', async () => 1);
    await users.set('other', 2);
    await users.delete('other');
    await users.clear();
    const [found] = spans('cache.get users');
    expect(found?.attributes).toMatchObject({
      'cache.hit': true,
      'cache.operation': 'get',
      'nestjs.cache.name': 'users',
      'nestjs.cache.tier': 'redis',
      'nestjs.cache.state': 'fresh',
    });
    expect(found?.attributes['cache.ttl']).toBeGreaterThan(50);
    expect(spans().map(({ name }) => name)).toEqual([
      'cache.get users',
      'cache.load users',
      'cache.get users',
      'cache.put users',
      'cache.remove users',
      'cache.flush users',
    ]);
    expect(spans()[2]?.attributes).toMatchObject({ 'cache.hit': false, 'nestjs.cache.stored': true });
    expect(JSON.stringify(spans().map(({ attributes, name }) => [attributes, name]))).not.toContain('secret');
  });

  it('say how many bytes Redis sent, and how long a call waited for the load of another call or process', async () => {
    const shared = sharedRedis();
    const { users, cache } = instrumented({}, shared);
    const other = cacheForTest(shared);
    await Promise.all([cache.connect(), other.connect()]);
    await other.getCache('users').set('key', 'x'.repeat(500));
    await users.get('key');
    await users.getOrSet('key', async () => 1);
    const [got] = spans('cache.get users');
    expect(got?.attributes['cache.item_size']).toBeGreaterThan(500);
    expect(got?.attributes).not.toHaveProperty('nestjs.cache.waited_ms');
    await other.getCache('users').set('read', 'x'.repeat(500));
    await users.getOrSet('read', async () => 1);
    expect(spans('cache.get users').at(-1)?.attributes['cache.item_size']).toBeGreaterThan(500);
    exporter.reset();
    const elsewhere = new Gate();
    const loading = other.getCache('users').getOrSet('slow', () => elsewhere.opened.then(() => 1));
    await vi.waitFor(async () => expect((await other.getCache('users').inspect('slow')).isLoading).toBe(true));
    const waiting = [users.getOrSet('slow', async () => 2), users.getOrSet('slow', async () => 2)];
    await vi.waitFor(() => expect(users.getMetrics().waits).toBe(1));
    elsewhere.open();
    expect(await Promise.all([loading, ...waiting])).toEqual([1, 1, 1]);
    const waited = spans('cache.get users').map(({ attributes }) => attributes['nestjs.cache.waited_ms']);
    expect(waited).toEqual([expect.any(Number), expect.any(Number)]);
  });

  it('tell of a divergence, with a link to the span in which the copy came to L1', async () => {
    const { users, cache } = instrumented({ keys: (key) => key });
    await users.set('key', 1);
    const [put] = spans('cache.put users');
    cache.events.emit('diverged', { namespace: 'users', key: 'key', ageMs: 10 });
    cache.events.emit('diverged', { namespace: 'users', key: 'other', ageMs: 10 });
    const [told, unlinked] = spans('cache.remove users');
    expect(told?.attributes).toMatchObject({ 'cache.operation': 'diverged', 'nestjs.cache.age_ms': 10 });
    expect(told?.links.map((link) => link.context.spanId)).toEqual([idOf(put)]);
    expect(unlinked?.links).toEqual([]);
  });

  it('carry keys on request: described, or as a function makes them', async () => {
    const described = instrumented({ keys: 'described' });
    await described.users.getMany(["Users.find('Ada')"]);
    expect(spans().at(-1)?.attributes['cache.key']).toEqual([expect.stringMatching(/^Users\.find\(…\)#/)]);
    const own = instrumented({ keys: (key) => key.length.toString() });
    await own.users.get('secret');
    expect(spans().at(-1)?.attributes['cache.key']).toEqual(['6']);
    expectTypeOf<InstrumentCacheOptions['keys']>().toEqualTypeOf<'described' | ((key: string) => string) | undefined>();
  });

  it('tell a failed load by the name of its error, which reaches the caller as the same object', async () => {
    const { users } = instrumented({}, { redis: false });
    const failure = new TypeError('holds a secret');
    await expect(users.getOrSet('key', () => Promise.reject(failure))).rejects.toBe(failure);
    const [load] = spans('cache.load users');
    expect(load?.attributes['error.type']).toBe('TypeError');
    expect(load?.status).toEqual({ code: 2 });
    expect(load?.events).toEqual([]);
  });

  it('leave out hits of L1, unless all are wanted; or all but loads, or everything', async () => {
    const namesWith = async (wanted: InstrumentCacheOptions['spans']): Promise<string[]> => {
      exporter.reset();
      const { users, end } = instrumented({ spans: wanted }, { redis: false });
      await users.getOrSet('key', async () => 1);
      await users.getOrSet('key', async () => 1);
      end();
      await users.getOrSet('another', async () => 1);
      return spans().map(({ name }) => name);
    };
    expect(await namesWith('misses')).toEqual(['cache.load users', 'cache.get users']);
    expect(await namesWith('all')).toEqual(['cache.load users', 'cache.get users', 'cache.get users']);
    expect(await namesWith('loads')).toEqual(['cache.load users']);
    expect(await namesWith('none')).toEqual([]);
  });
});

describe('the metrics of a cache in OpenTelemetry', () => {
  it('are observed at collection, by the names of the documentation', async () => {
    const collected = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: collected, exportIntervalMillis: 3_600_000 });
    const meterProvider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => meterProvider.shutdown());
    const { users, cache, end } = instrumented(
      { metrics: true, meterProvider, redisOperations: true },
      { ...sharedRedis(), warmUp: { namespaces: ['users'] } },
    );
    await cache.connect();
    await users.getOrSet('key', async () => 1);
    await users.getOrSet('key', async () => 1);
    await expect(users.getOrSet('fails', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    cache.events.emit('invalidationLag', { lagMs: 1 });
    cache.events.emit('relayApplied', { region: 'eu', changes: 1, lagMs: 45 });
    await meterProvider.forceFlush();
    const found = collected.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
    const points = (name: string) =>
      found
        .filter(({ descriptor }) => descriptor.name === name)
        .flatMap(({ dataPoints }) => dataPoints as DataPoint<unknown>[]);
    expect(found.map(({ descriptor }) => `${descriptor.name} ${descriptor.unit}`).toSorted()).toEqual([
      'db.client.operation.duration s',
      'nestjs.cache.consistency.checks {check}',
      'nestjs.cache.evictions {eviction}',
      'nestjs.cache.invalidation.lag s',
      'nestjs.cache.invalidations {invalidation}',
      'nestjs.cache.journal.entry.count {entry}',
      'nestjs.cache.load.duration s',
      'nestjs.cache.load.time_saved s',
      'nestjs.cache.local.entry.count {entry}',
      'nestjs.cache.local.size By',
      'nestjs.cache.relay.lag s',
      'nestjs.cache.requests {request}',
      'nestjs.cache.warmup.keys {key}',
    ]);
    const hits = points('nestjs.cache.requests').map(({ attributes, value }) => [
      attributes['nestjs.cache.request.result'],
      attributes['nestjs.cache.tier'],
      value,
    ]);
    expect(hits).toEqual(
      expect.arrayContaining([
        ['hit', 'local', 1],
        ['miss', undefined, 2],
      ]),
    );
    expect(points('nestjs.cache.load.duration').map(({ attributes }) => attributes['error.type'])).toEqual([
      undefined,
      '_OTHER',
    ]);
    expect(points('nestjs.cache.relay.lag')[0]?.attributes).toEqual({ 'nestjs.cache.relay.region': 'eu' });
    const { port } = new URL(cache.config.redisAddress ?? '');
    expect(points('db.client.operation.duration')[0]?.attributes).toMatchObject({
      'db.system.name': 'redis',
      'server.address': '127.0.0.1',
      'server.port': Number(port),
    });
    end();
    expect(
      ['load', 'invalidationLag', 'relayApplied', 'redisOperation', 'diverged'].filter((name) =>
        cache.events.isObserved(name as 'load'),
      ),
    ).toEqual([]);
  });

  it('need no provider: without one nothing is made, and every call works', async () => {
    const cache = cacheForTest({ redis: false });
    const end = instrumentCache(cache);
    expect(await cache.getCache('users').getOrSet('key', async () => 1)).toBe(1);
    end();
    expect(cache.tracing.tracer).toBeUndefined();
  });
});
