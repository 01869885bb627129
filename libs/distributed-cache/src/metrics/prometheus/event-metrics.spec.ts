import { context, trace, TraceFlags } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { type OpenMetricsContentType, Registry } from 'prom-client';
import { describe, expect, expectTypeOf, it, onTestFinished } from 'vitest';
import { cacheForTest } from '../../../../../test/support/cache-for-test.js';
import { redisForTest } from '../../../../../test/support/redis-for-test.js';
import { LoaderTimeoutError } from '../../errors/index.js';
import { CacheEvents, VERSION } from '../../events/index.js';
import { registerCacheMetrics, type RegisterCacheMetricsOptions } from './index.js';

async function scrape(registry: Pick<Registry, 'metrics'>): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

function openMetrics() {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}

/** A cache without Redis whose metrics are in a registry. */
function observed(options: RegisterCacheMetricsOptions = {}, registry = openMetrics()) {
  const cache = cacheForTest({ redis: false });
  const unregister = registerCacheMetrics(registry, cache, options);
  return { cache, users: cache.getCache('users'), registry, unregister };
}

describe('the histogram of loads', () => {
  it('tells results, errors and timeouts apart', async () => {
    const { users, registry } = observed();
    await users.getOrSet('a', async () => 1);
    await expect(users.getOrSet('b', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    const endless = users.getOrSet('c', () => new Promise(() => {}), { hardTimeout: '10ms' });
    await expect(endless).rejects.toThrow(LoaderTimeoutError);
    const lines = await scrape(registry);
    for (const outcome of ['ok', 'error', 'timeout']) {
      expect(lines).toContain(`cache_load_duration_seconds_count{namespace="users",outcome="${outcome}"} 1`);
    }
  });

  it('has the exemplar of the active and sampled OpenTelemetry span, and none without', async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    onTestFinished(() => context.disable());
    const { users, registry } = observed();
    const load = (key: string, traceId: string, traceFlags: TraceFlags): Promise<unknown> =>
      context.with(trace.setSpanContext(context.active(), { traceId, spanId: '00f067aa0ba902b7', traceFlags }), () =>
        users.getOrSet(key, async () => {
          await new Promise((resolve) => setImmediate(resolve));
          return 1;
        }),
      );
    await users.getOrSet('without', async () => 1);
    await load('unsampled', 'b'.repeat(32), TraceFlags.NONE);
    expect((await scrape(registry)).join('\n')).not.toContain('trace_id');
    await load('sampled', 'a'.repeat(32), TraceFlags.SAMPLED);
    expect((await scrape(registry)).join('\n')).toContain(
      `# {trace_id="${'a'.repeat(32)}",span_id="00f067aa0ba902b7"} `,
    );
  });

  it('takes the exemplar from a function of the application instead', async () => {
    const { users, registry } = observed({ exemplar: () => ({ request_id: '7' }) });
    await users.getOrSet('a', async () => 1);
    expect((await scrape(registry)).join('\n')).toContain('# {request_id="7"} ');
    const plain = observed({ exemplar: () => ({ request_id: '8' }) }, new Registry() as never);
    await plain.users.getOrSet('a', async () => 1);
    expect((await scrape(plain.registry)).join('\n')).not.toContain('request_id'); // the text format has no exemplars
    expectTypeOf<NonNullable<RegisterCacheMetricsOptions['exemplar']>>().returns.toEqualTypeOf<
      Readonly<Record<string, string>> | undefined
    >();
  });

  it('costs nothing after the metrics are removed: no event is observed any more', async () => {
    const { cache, unregister, registry } = observed({ byMethod: true, group: () => 'all' });
    const names = ['hit', 'miss', 'load', 'redisOperation', 'invalidationLag'] as const;
    expect(names.filter((name) => !cache.events.isObserved(name))).toEqual([]);
    unregister();
    expect(names.filter((name) => cache.events.isObserved(name))).toEqual([]);
    expect(await scrape(registry)).toEqual([]);
  });

  it('listens to no hit unless lookups are counted by method or group', () => {
    const { cache } = observed();
    expect(cache.events.isObserved('hit') || cache.events.isObserved('miss')).toBe(false);
  });
});

describe('lookups by method', () => {
  it('count the default keys of methods and those of their key option; keys of the application are left out', async () => {
    const { users, cache, registry } = observed({ byMethod: true });
    await users.getOrSet("Users.find('Ada')", async () => 1);
    await users.getOrSet("Users.find('Ada')", async () => 1);
    await users.getOrSet('john.doe(1)', async () => 1);
    cache.events.emit('hit', {
      namespace: 'users',
      key: 'Ada',
      caller: 'Users.named',
      tier: 'local',
      state: 'fresh',
      ttlMs: 1,
    });
    const lines = (await scrape(registry)).filter((line) => line.includes('method='));
    expect(lines).toEqual([
      'cache_method_hits_total{namespace="users",method="Users.find"} 1',
      'cache_method_hits_total{namespace="users",method="Users.named"} 1',
      'cache_method_misses_total{namespace="users",method="Users.find"} 1',
      'cache_method_misses_total{namespace="users",method="Users.named"} 0',
    ]);
  });
});

describe('lookups by group', () => {
  it('tell 100 groups apart, and count the rest as other', async () => {
    const { users, registry } = observed({ group: (namespace, key) => `${namespace}-${key.slice(0, 3)}` });
    for (let index = 100; index < 400; index++) {
      await users.get(`${index}:secret`);
    }
    const lines = (await scrape(registry)).filter((line) => line.startsWith('cache_group_misses_total'));
    expect(lines).toHaveLength(101);
    expect(lines).toContain('cache_group_misses_total{namespace="users",group="users-100"} 1');
    expect(lines.at(-1)).toBe('cache_group_misses_total{namespace="users",group="other"} 200');
    expect(lines.join('\n')).not.toContain('secret');
  });

  it('count a lookup as other when the function throws', async () => {
    const { users, registry } = observed({
      group: () => {
        throw new Error('no group');
      },
    });
    await users.get('key');
    expect(await scrape(registry)).toContain('cache_group_misses_total{namespace="users",group="other"} 1');
    expectTypeOf<NonNullable<RegisterCacheMetricsOptions['group']>>().parameters.toEqualTypeOf<[string, string]>();
  });
});

describe('the metrics of a process', () => {
  it('are there with Redis: messages, journal, servers, operations by outcome', async () => {
    const { url, keyPrefix } = redisForTest();
    const registry = openMetrics();
    const cache = cacheForTest({ redis: { url }, keyPrefix });
    registerCacheMetrics(registry, cache);
    await cache.connect();
    await cache.getCache('users').getOrSet('key', async () => 1);
    const lines = await scrape(registry);
    expect(lines).toEqual(
      expect.arrayContaining([
        'cache_invalidation_live 1',
        'cache_journal_entries 0',
        'cache_redis_nodes{state="live"} 1',
        'cache_redis_nodes{state="down"} 0',
        `cache_build_info{version="${VERSION}"} 1`,
        'cache_redis_operation_duration_seconds_count{operation="lease",outcome="ok"} 1',
        'cache_redis_operation_duration_seconds_count{operation="fill",outcome="ok"} 1',
        `cache_local_limit_bytes ${100 * 1024 * 1024}`,
      ]),
    );
  });

  it('leave out what the process does not have', async () => {
    const { registry } = observed();
    const text = (await scrape(registry)).join('\n');
    expect(text).toContain('cache_epochs_total 0');
    expect(text).not.toMatch(/cache_(invalidation_live|journal_entries|redis_nodes)/);
  });

  it('are optional: a source may have counters only', async () => {
    const registry = openMetrics();
    registerCacheMetrics(registry, { getMetrics: () => [], events: new CacheEvents() });
    expect(await scrape(registry)).not.toContain(expect.stringContaining('cache_epochs_total'));
  });
});
