import { Injectable } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../../../../test/support/free-port.js';
import { nestForTest } from '../../../../../test/support/nest-for-test.js';
import { ownRedis, redisForTest } from '../../../../../test/support/redis-for-test.js';
import { ConfigurationError, DistributedCache, type Found } from '../../core/index.js';
import { Cached, CachedKeywords, CachedMetrics, CachedTrends } from './cached.decorator.js';

@Injectable()
class Insights {
  runs = 0;

  @Cached()
  async plain(term: string): Promise<object> {
    return this.answer(term);
  }

  @CachedKeywords()
  async keywords(term: string): Promise<object> {
    return this.answer(term);
  }

  @CachedMetrics({ key: (domain: string) => `of:${domain}` })
  async metrics(domain: string): Promise<object> {
    return this.answer(domain);
  }

  @CachedTrends()
  async trends(term: string): Promise<object> {
    return this.answer(term);
  }

  private answer(term: string): object {
    return { term, run: ++this.runs };
  }
}

const HOUR_MS = 3_600_000;

describe('@Cached', () => {
  it('serves the result of one process to all processes from Redis', async () => {
    const { url, keyPrefix } = redisForTest();
    const start = async () =>
      (await nestForTest({ providers: [Insights], cache: { redis: { url }, keyPrefix } })).get(Insights);
    const [podA, podB] = [await start(), await start()];
    expect(await podA.plain('tea')).toEqual({ term: 'tea', run: 1 });
    expect(await podB.plain('tea')).toEqual({ term: 'tea', run: 1 });
    expect([podA.runs, podB.runs]).toEqual([1, 0]);
  });

  it('shares one run among concurrent calls', async () => {
    const insights = (await nestForTest({ providers: [Insights] })).get(Insights);
    const answers = await Promise.all(Array.from({ length: 50 }, () => insights.plain('tea')));
    expect(answers).toEqual(answers.map(() => ({ term: 'tea', run: 1 })));
    expect(insights.runs).toBe(1);
  });

  it('rejects every caller with the same error object of the method, and caches nothing', async () => {
    const error = new Error('no database');
    @Injectable()
    class Users {
      fails = true;
      @Cached()
      async find(): Promise<string> {
        if (this.fails) {
          throw error;
        }
        return 'Ada';
      }
      @Cached()
      find2(): Promise<string> {
        throw error; // not even a promise
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    const outcomes = await Promise.allSettled([users.find(), users.find()]);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason === error)).toEqual([true, true]);
    await expect(users.find2()).rejects.toBe(error);
    users.fails = false;
    expect(await users.find()).toBe('Ada');
  });

  it('takes the TTL from the option, or from the result', async () => {
    @Injectable()
    class Tokens {
      @Cached({ key: () => 'fixed', ttl: '5m' })
      async fixed(): Promise<string> {
        return 'a';
      }
      @Cached({ key: () => 'seconds', ttl: 10 })
      async seconds(): Promise<string> {
        return 'a';
      }
      @Cached({ key: () => 'from result', ttl: ({ expiresIn }: { expiresIn: number }) => expiresIn })
      async fromResult(): Promise<{ expiresIn: number }> {
        return { expiresIn: 90 };
      }
    }
    const module = await nestForTest({ providers: [Tokens] });
    const tokens = module.get(Tokens);
    await Promise.all([tokens.fixed(), tokens.seconds(), tokens.fromResult()]);
    expectTtl(await found(module.get(DistributedCache), 'default', 'fixed'), 300_000);
    expectTtl(await found(module.get(DistributedCache), 'default', 'seconds'), 10_000);
    expectTtl(await found(module.get(DistributedCache), 'default', 'from result'), 90_000);
  });

  it('returns the last result within its grace when the method throws', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    @Injectable()
    class Users {
      fails = false;
      @Cached({ key: () => 'user', ttl: '20ms', grace: '1h' })
      async find(): Promise<string> {
        if (this.fails) {
          throw new Error('no database');
        }
        return 'Ada';
      }
    }
    const users = (await nestForTest({ providers: [Users], cache: { redis: { url }, keyPrefix } })).get(Users);
    await users.find();
    users.fails = true;
    const expiresAtMs = (await serverTimeMs(admin)) + 20;
    while ((await serverTimeMs(admin)) <= expiresAtMs) {
      // The entry ends by Redis's clock.
    }
    expect(await users.find()).toBe('Ada');
  });

  it('caches only a result that cacheIf accepts', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached({ cacheIf: (names: string[]) => names.length > 0 })
      async find(filled: boolean): Promise<string[]> {
        this.runs++;
        return filled ? ['Ada'] : [];
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    for (const filled of [true, true, false, false]) {
      expect(await users.find(filled)).toEqual(filled ? ['Ada'] : []);
    }
    expect(users.runs).toBe(3);
  });

  it.each([[null], [undefined], [0], ['']])('caches %s', async (value) => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async find(): Promise<unknown> {
        this.runs++;
        return value;
      }
    }
    const users = (await nestForTest({ providers: [Users] })).get(Users);
    expect([await users.find(), await users.find(), users.runs]).toEqual([value, value, 1]);
  });

  it('runs as undecorated with `enabled: false`, with any arguments', async () => {
    @Injectable()
    class Users {
      runs = 0;
      @Cached()
      async find(_filter: () => boolean): Promise<{ run: number }> {
        return { run: ++this.runs };
      }
    }
    const users = (await nestForTest({ providers: [Users], cache: { enabled: false } })).get(Users);
    const filter = () => true;
    const [first, second] = [await users.find(filter), await users.find(filter)];
    expect([first, second]).toEqual([{ run: 1 }, { run: 2 }]);
  });

  it('refuses wrong options where the class is loaded, all at once', () => {
    const load = () => {
      class Users {
        @Cached({ namespace: 'a:b', ttl: '5 minutes' as '5m', grace: -1 })
        async find(): Promise<void> {}
      }
      return Users;
    };
    expect(load).toThrow(ConfigurationError);
    expect(load).toThrow(
      /^3 mistakes in the cache configuration\n {2}Users\.find @Cached namespace: got "a:b", .*\n {2}Users\.find @Cached ttl: got "5 minutes", .*\n {2}Users\.find @Cached grace: got -1, /,
    );
  });
});

describe('@CachedKeywords, @CachedMetrics and @CachedTrends', () => {
  it('use their namespaces and keep results for 24 h, 12 h and 6 h, in Redis too', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const module = await nestForTest({ providers: [Insights], cache: { redis: { url }, keyPrefix } });
    const insights = module.get(Insights);
    await Promise.all([insights.keywords('tea'), insights.metrics('tea.example'), insights.trends('tea')]);
    const entries = [
      ['keywords', "Insights.keywords('tea')", 24 * HOUR_MS],
      ['metrics', 'of:tea.example', 12 * HOUR_MS],
      ['trends', "Insights.trends('tea')", 6 * HOUR_MS],
    ] as const;
    for (const [namespace, key, ttlMs] of entries) {
      expectTtl(await found(module.get(DistributedCache), namespace, key), ttlMs);
      const inRedisMs = await admin.pttl(`${keyPrefix}:${namespace}:${key}`);
      expect(inRedisMs).toBeGreaterThan(ttlMs - 60_000);
    }
  });

  it('follow the TTLs of the configuration, and their own option before them', async () => {
    @Injectable()
    class Own {
      @CachedTrends({ key: () => 'own', ttl: '1h' })
      async trends(): Promise<number> {
        return 1;
      }
    }
    const module = await nestForTest({ providers: [Insights, Own], cache: { redis: false, ttls: { trends: '2h' } } });
    await Promise.all([module.get(Insights).trends('tea'), module.get(Own).trends()]);
    expectTtl(await found(module.get(DistributedCache), 'trends', "Insights.trends('tea')"), 2 * HOUR_MS);
    expectTtl(await found(module.get(DistributedCache), 'trends', 'own'), HOUR_MS);
  });
});

describe('a decorated method without Redis', () => {
  it('works, from the local tier, when Redis refuses at boot', async () => {
    const cache = { redis: { host: '127.0.0.1', port: await freePort() } };
    const insights = (await nestForTest({ providers: [Insights], cache })).get(Insights);
    expect(await insights.plain('tea')).toEqual({ term: 'tea', run: 1 });
    expect(await insights.plain('tea')).toEqual({ term: 'tea', run: 1 });
    expect(insights.runs).toBe(1);
  });

  it('works, once per call, without a local tier as well', async () => {
    const cache = { redis: { host: '127.0.0.1', port: await freePort() }, local: false } as const;
    const insights = (await nestForTest({ providers: [Insights], cache })).get(Insights);
    expect(await insights.plain('tea')).toEqual({ term: 'tea', run: 1 });
    expect(await insights.plain('tea')).toEqual({ term: 'tea', run: 2 });
  });

  it('works when Redis is killed between two calls, or freezes', async () => {
    const server = await ownRedis();
    const insights = (await nestForTest({ providers: [Insights], cache: { redis: { url: server.url } } })).get(
      Insights,
    );
    await insights.plain('tea');
    server.freeze();
    expect(await insights.plain('tea')).toEqual({ term: 'tea', run: 1 });
    expect(await insights.plain('coffee')).toEqual({ term: 'coffee', run: 2 });
    await server.killHard();
    expect(await insights.plain('milk')).toEqual({ term: 'milk', run: 3 });
    expect(await insights.plain('milk')).toEqual({ term: 'milk', run: 3 });
  });
});

async function found(cache: DistributedCache, namespace: string, key: string): Promise<Found<unknown>> {
  const lookup = await cache.getCache(namespace).lookup(key);
  expect(lookup.state).toBe('fresh');
  return lookup as Found<unknown>;
}

/** The minute is for a slow machine. */
function expectTtl({ ttlMs }: Found<unknown>, wantedMs: number): void {
  expect(ttlMs).toBeLessThanOrEqual(wantedMs);
  expect(ttlMs).toBeGreaterThan(Math.max(0, wantedMs - 60_000));
}

async function serverTimeMs(admin: { time(): Promise<(string | number)[]> }): Promise<number> {
  const [seconds, microseconds] = await admin.time();
  return Number(seconds) * 1000 + Number(microseconds) / 1000;
}
