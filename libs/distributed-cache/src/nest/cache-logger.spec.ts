import { Injectable, type LogLevel } from '@nestjs/common';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { freePort } from '../../../../test/support/free-port.js';
import { nestForTest } from '../../../../test/support/nest-for-test.js';
import { recordLogs, type RecordingLogger } from '../../../../test/support/recording-logger.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import { DistributedCache, TierReplyError, type DistributedCacheOptions } from '../core/index.js';
import { CacheLogger } from './cache-logger.js';
import { CacheEvict } from './decorators/cache-evict.decorator.js';
import { CachePut } from './decorators/cache-put.decorator.js';
import { CachedMany } from './decorators/cached-many.decorator.js';
import { Cached } from './decorators/cached.decorator.js';

const LEVELS: LogLevel[] = ['error', 'warn', 'log'];
const WITH_DEBUG: LogLevel[] = [...LEVELS, 'debug'];

@Injectable()
class Users {
  @Cached({ namespace: 'users' })
  async find(email: string): Promise<string> {
    return `secret of ${email}`;
  }
}

async function startApp(cache: DistributedCacheOptions, levels: LogLevel[] = LEVELS) {
  const logger = recordLogs(levels);
  const module = await nestForTest({ providers: [Users], cache, logger });
  const all = module.get(DistributedCache);
  return { module, all, users: module.get(Users), cache: all.getCache<string>('users'), logger };
}

/** The cache's messages without addresses and durations. */
function linesOf(logger: RecordingLogger): string[] {
  return logger
    .messagesOf('DistributedCache')
    .map((line) => line.replace(/redis:\/\/127\.0\.0\.1:\d+\/0/, 'REDIS').replace(/\d+\.\ds/, 'N s'));
}

async function untilConnected(all: DistributedCache, connected: boolean): Promise<void> {
  await vi.waitFor(async () => expect((await all.healthCheck()).redisConnected).toBe(connected), {
    timeout: 10_000,
    interval: 20,
  });
}

describe('CacheLogger', () => {
  it('logs at the start which tiers there are, and that Redis answers', async () => {
    const { url, keyPrefix } = redisForTest();
    const { logger } = await startApp({ redis: { url }, keyPrefix });
    expect(linesOf(logger)).toEqual(['cache_configured L1 100 MiB, L2 REDIS (redis.url)', 'redis_connected REDIS']);
    const shared = await startApp({ redis: { url } });
    expect(linesOf(shared.logger)[0]).toBe(
      'cache_configured L1 100 MiB, L2 REDIS (redis.url), key prefix "cache" (the default: set CACHE_KEY_PREFIX if another application uses this Redis)',
    );
    const alone = await startApp({ redis: false });
    expect(linesOf(alone.logger)).toEqual(['cache_configured L1 100 MiB, no L2']);
    const off = await startApp({ enabled: false });
    expect(linesOf(off.logger)).toEqual(['cache_configured disabled: every method runs undecorated']);
  });

  it('says what to write when a schema turns an instance into another object', async () => {
    const { cache, logger } = await startApp({ redis: false });
    const schema = {
      ['~standard']: { version: 1, vendor: 'test', validate: () => ({ value: { name: 'Ada' } }) },
    } as const;
    await cache.set('key', new Users() as never, { schema, validate: 'both' });
    expect(linesOf(logger).at(-1)).toMatch(
      /^cache_schema_mismatch users \S+: class at store\. .*z\.instanceof\(User\)/,
    );
  });

  it('logs each change of state once, through a kill and a restart under load', async () => {
    const server = await ownRedis();
    const { all, users, logger } = await startApp({ redis: { url: server.url } });
    logger.lines.length = 0;
    await server.killHard();
    await untilConnected(all, false);
    for (let round = 0; round < 50; round++) {
      await users.find(`${round}@example.org`);
    }
    await server.restart();
    await untilConnected(all, true);
    await users.find('back@example.org');
    // A killed server resets a connection on which something was still to be read; EPIPE: something was still sent.
    const changes = linesOf(logger).filter((line) => /^(redis_conn|cache_fallback)/.test(line));
    expect(changes.map((line) => line.replace(/ECONNRESET|EPIPE/, 'connection-closed'))).toEqual([
      'redis_connection_failed REDIS: connection-closed',
      'cache_fallback_on the local tier serves until Redis is back (connection-closed)',
      'redis_connected REDIS after N s',
      'cache_fallback_off Redis serves again after N s',
    ]);
    const levels = new Map(logger.lines.map(({ level, message }) => [message.split(' ')[0], level]));
    expect(Object.fromEntries(levels)).toMatchObject({
      redis_connection_failed: 'warn',
      cache_fallback_on: 'warn',
      redis_connected: 'log',
      cache_fallback_off: 'log',
    });
  });

  it('names another application with its key prefix: warns of the default prefix, mentions a chosen one', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    await admin.set(`${keyPrefix}:{#application}`, 'billing');
    const chosen = await startApp({ redis: { url }, keyPrefix });
    const line = (prefix: string) =>
      `cache_prefix_shared billing uses the key prefix "${prefix}" too, so methods with equal names share entries: set CACHE_KEY_PREFIX to another text in nestjs-distributed-cache-workspace, unless they are meant to`;
    await vi.waitFor(() => expect(chosen.logger.messagesOf('DistributedCache', 'log')).toContain(line(keyPrefix)));
    const byDefault = await startApp({ redis: false });
    const application = 'nestjs-distributed-cache-workspace';
    byDefault.all.events.emit('prefixShared', { application, other: 'billing' });
    expect(byDefault.logger.messagesOf('DistributedCache', 'warn')).toEqual([line('cache')]);
  });

  it('logs once, not at every attempt, that Redis refuses from the start', async () => {
    const redis = { host: '127.0.0.1', port: await freePort() };
    const { users, logger } = await startApp({ redis, keyPrefix: 'own' });
    await users.find('ada@example.org');
    expect(linesOf(logger)).toEqual([
      'cache_configured L1 100 MiB, L2 REDIS (redis.host)',
      'redis_connection_failed REDIS: ECONNREFUSED',
      'cache_fallback_on the local tier serves until Redis is back (ECONNREFUSED)',
    ]);
  });

  it('names the operation that failed while Redis goes on, with the first word of its answer', async () => {
    const server = await ownRedis();
    const { cache, logger } = await startApp({ redis: { url: server.url } });
    await cache.set('kept', 'value');
    logger.lines.length = 0;
    await server.command('ACL', 'SETUSER', 'default', '-get', '-set', '-del', '-unlink', '-mget', '-eval', '-evalsha');
    await cache.get('absent');
    await cache.set('key', 'value');
    await cache.delete('kept');
    const messages = logger.messagesOf('DistributedCache', 'warn');
    for (const name of ['redis_get_error', 'redis_set_error', 'redis_delete_error']) {
      expect(messages).toContainEqual(expect.stringMatching(new RegExp(`^${name} users [A-Z]+ .*Redis: [A-Z]+$`)));
    }
  });

  it('logs a fault once in ten seconds per kind and namespace, with the number of repetitions', () => {
    const logger = recordLogs(LEVELS);
    const all = cacheForTest({ redis: false });
    const cacheLogger = new CacheLogger();
    cacheLogger.listenTo(all);
    onTestFinished(() => cacheLogger.stop());
    logger.lines.length = 0;
    const now = vi.spyOn(performance, 'now').mockReturnValue(1_000_000);
    const fail = (
      namespace: string,
      operation: 'get' | 'set' | 'delete' | 'clear',
      tier: 'redis' | 'local' = 'redis',
    ) => all.events.emit('tierError', { namespace, tier, operation, error: new TierReplyError(operation, 'OOM') });
    for (let count = 0; count < 100; count++) {
      fail('users', 'set');
    }
    fail('orders', 'set');
    fail('users', 'get');
    fail('users', 'clear');
    fail('users', 'get', 'local');
    now.mockReturnValue(1_009_999);
    fail('users', 'set');
    now.mockReturnValue(1_010_000);
    fail('users', 'set');
    expect(logger.messagesOf('DistributedCache', 'warn')).toEqual([
      'redis_set_error users set was refused by Redis: OOM',
      'redis_set_error orders set was refused by Redis: OOM',
      'redis_get_error users get was refused by Redis: OOM',
      'redis_delete_error users clear was refused by Redis: OOM',
      'local_cache_error users get was refused by Redis: OOM',
      'redis_set_error users set was refused by Redis: OOM (and 100 more since the last such line)',
    ]);
  });

  it('logs only the name of an error from outside the library: its text may contain anything', () => {
    const logger = recordLogs(LEVELS);
    const all = cacheForTest({ redis: false });
    const cacheLogger = new CacheLogger();
    cacheLogger.listenTo(all);
    onTestFinished(() => cacheLogger.stop());
    const error = new RangeError('SET user:ada@example.org secret');
    all.events.emit('tierError', { namespace: 'users', tier: 'redis', operation: 'set', error });
    expect(logger.messagesOf('DistributedCache', 'warn')).toEqual(['redis_set_error users RangeError']);
  });

  it('logs a link of the relay that fails and works again, by the name of a foreign error, and a clear for a gap', async () => {
    const { all, logger } = await startApp({ redis: false }, ['warn', 'log']);
    const link = { link: 'us', during: 'publish' } as const;
    all.events.emit('relayFailed', { ...link, error: new Error('nats://app:secret@nats') });
    all.events.emit('relayRestored', link);
    all.events.emit('relayGap', { region: 'us', namespaces: 3 });
    expect(linesOf(logger).slice(1)).toEqual([
      'cache_relay_failed us publish: Error',
      'cache_relay_restored us publish',
      'cache_relay_gap us changes may have been lost: 3 namespaces were cleared',
    ]);
  });

  it('logs the error of a refresh that failed, once in ten seconds per namespace, without the whole key', async () => {
    const { all, logger } = await startApp({ redis: false });
    logger.lines.length = 0;
    const failure = {
      namespace: 'users',
      key: 'someone@example.org',
      state: 'fresh',
      error: new Error('no database'),
    } as const;
    all.events.emit('refreshFailed', failure);
    all.events.emit('refreshFailed', failure);
    expect(linesOf(logger)).toEqual([
      expect.stringMatching(/^cache_refresh_failed users .*: Error: no database; the fresh value is returned$/),
    ]);
    expectNowhere(logger, 'example.org');
    expect(logger.lines.map(({ level }) => level)).toEqual(['warn']);
  });

  it('logs lookups and writes only with logLookups and at debug level, and adds no listener otherwise', async () => {
    const unasked = await startApp({ redis: false }, WITH_DEBUG);
    expect(unasked.all.events.isObserved('hit')).toBe(false);
    const quiet = await startApp({ redis: false, logLookups: true });
    await quiet.users.find('ada@example.org');
    expect(quiet.all.events.isObserved('hit')).toBe(false);
    expect(linesOf(quiet.logger)).toHaveLength(1);

    const { users, cache, logger } = await startApp({ redis: false, logLookups: true }, WITH_DEBUG);
    logger.lines.length = 0;
    await users.find('ada@example.org');
    await users.find('ada@example.org');
    await cache.delete('absent');
    await cache.invalidateTags('ada@example.org', 'team');
    await cache.clear();
    expect(logger.messagesOf('DistributedCache', 'debug')).toEqual([
      expect.stringMatching(/^cache_set users Users\.find\(…\)#[0-9a-f]{8} ttl=3[56]\d\d\.\ds$/),
      expect.stringMatching(/^cache_miss users Users\.find\(…\)#[0-9a-f]{8}$/),
      expect.stringMatching(/^cache_hit users Users\.find\(…\)#[0-9a-f]{8} tier=local state=fresh ttl=3\d{3}\.\ds$/),
      expect.stringMatching(/^cache_delete users key#[0-9a-f]{8} absent$/),
      expect.stringMatching(/^cache_invalidate_tags users key#[0-9a-f]{8} key#[0-9a-f]{8}$/),
      'cache_clear users',
    ]);
    expect(logger.messagesOf('DistributedCache')).toHaveLength(6);
    expectNowhere(logger, 'example.org');
  });

  it('names class and method for a key that an option has made', async () => {
    class Mails {
      @Cached({ namespace: 'mails', key: (address: string) => address, cacheIf: () => refuse() })
      async of(address: string): Promise<string> {
        return `mails of ${address}`;
      }
      @Cached({ namespace: 'mails', key: (address: string) => address, version: 2 })
      async count(address: string): Promise<number> {
        return address.length;
      }
      @CachedMany({ namespace: 'mails', key: (address: string) => address })
      async sizes(addresses: string[]): Promise<number[]> {
        return addresses.map(({ length }) => length);
      }
      @CachePut({ namespace: 'mails', key: (address: string) => address })
      async store(address: string): Promise<string> {
        return address;
      }
      @CacheEvict({ namespace: 'mails', key: (address: string) => address })
      async forget(_address: string): Promise<void> {}
    }
    let refuse = (): boolean => true;
    const logger = recordLogs(WITH_DEBUG);
    const cache = { redis: false, logLookups: true } as const;
    const module = await nestForTest({ providers: [Mails], cache, logger });
    const mails = module.get(Mails);
    logger.lines.length = 0;
    await mails.of('ada@example.org');
    await mails.of('ada@example.org');
    await mails.count('ada@example.org');
    await mails.sizes(['eve@example.org']);
    await mails.store('ada@example.org');
    await mails.forget('ada@example.org');
    refuse = () => {
      throw new TypeError('no rule');
    };
    await mails.of('ada@example.org');
    const lines = logger.messagesOf('DistributedCache').map((line) => line.replace(/(#[0-9a-f]{8}).*/, '$1'));
    const ada = /#[0-9a-f]{8}$/.exec(lines[0] ?? '')?.[0] ?? '';
    expect(lines.map((line) => line.replace(ada, '#ADA').replace(/#[0-9a-f]{8}$/, '#OTHER'))).toEqual([
      'cache_set mails Mails.of key#ADA',
      'cache_miss mails Mails.of key#ADA',
      'cache_hit mails Mails.of key#ADA',
      'cache_set mails Mails.count key#OTHER',
      'cache_miss mails Mails.count key#OTHER',
      'cache_set mails Mails.sizes key#OTHER',
      'cache_miss mails Mails.sizes key#OTHER',
      'cache_set mails Mails.store key#ADA',
      'cache_delete mails Mails.forget key#ADA',
      'cache_value_refused mails Mails.of key#ADA',
      'cache_miss mails Mails.of key#ADA',
    ]);
    expectNowhere(logger, 'example.org');
  });

  it('logs "local only" for a value that Redis did not get', async () => {
    const { cache, logger } = await startApp(
      { redis: { host: '127.0.0.1', port: await freePort() }, logLookups: true },
      WITH_DEBUG,
    );
    await cache.set('key', 'value', '5m');
    expect(logger.messagesOf('DistributedCache', 'debug')).toContainEqual(
      expect.stringMatching(/^cache_set users key#[0-9a-f]{8} ttl=300\.0s local only$/),
    );
  });

  it('logs the periodic health: at debug level while it is up, as a warning otherwise', async () => {
    const server = await ownRedis();
    const options = { redis: { url: server.url }, healthCheckInterval: '50ms' } as const;
    const { logger } = await startApp(options, WITH_DEBUG);
    await vi.waitFor(() =>
      expect(logger.messagesOf('DistributedCache', 'debug')).toContainEqual(
        expect.stringMatching(/^cache_health \{"redis_connected":true,.*"status":"up"/),
      ),
    );
    await server.killHard();
    await vi.waitFor(() =>
      expect(logger.messagesOf('DistributedCache', 'warn')).toContainEqual(
        expect.stringMatching(/^cache_health \{"redis_connected":false,.*"status":"degraded"/),
      ),
    );
  });

  it('logs no password, whether Redis refuses it, accepts it, or dies', async () => {
    const server = await ownRedis({ password: 'right-secret' });
    const refused = await startApp({ redis: { url: `redis://:wrong-secret@127.0.0.1:${server.port}` } }, WITH_DEBUG);
    await refused.users.find('ada@example.org');
    expect(linesOf(refused.logger)).toContain('redis_connection_failed REDIS: WRONGPASS');
    expectNowhere(refused.logger, 'secret');
    await refused.module.close();

    const taken = await startApp({ redis: { url: server.url } }, WITH_DEBUG);
    await taken.cache.set('key', 'value');
    await server.killHard();
    await untilConnected(taken.all, false);
    await taken.cache.set('key', 'value');
    expect(linesOf(taken.logger)).toContain('redis_connected REDIS');
    expectNowhere(taken.logger, 'secret');
  });

  it('logs no value and no whole key, for any event', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const { all, users, cache, logger } = await startApp(
      { redis: { url }, keyPrefix, maxValueBytes: 1000, logLookups: true },
      WITH_DEBUG,
    );
    await users.find('ada@example.org');
    await users.find('ada@example.org');
    await cache.set('mail:ada@example.org', 'secret');
    await cache.delete('mail:ada@example.org');
    await cache.set('big:ada@example.org', 'secret'.repeat(1000));
    await all.getCache('users').set('odd:ada@example.org', { 'ada@example.org': () => 'secret' });
    await admin.set(`${keyPrefix}:users:bad:ada@example.org`, 'secret');
    await cache.get('bad:ada@example.org');
    const events = new Set(logger.messagesOf('DistributedCache').map((line) => line.split(' ')[0]));
    expect(events).toEqual(
      new Set([
        'cache_configured',
        'redis_connected',
        'cache_set',
        'cache_miss',
        'cache_hit',
        'cache_delete',
        'cache_value_refused',
        'redis_get_error',
      ]),
    );
    expectNowhere(logger, 'secret');
    expectNowhere(logger, 'example.org');
  });

  it('logs a class that can not be cached once per namespace, with its method and the line to write', async () => {
    class Account {
      readonly #balance = 'secret';
      get balance() {
        return this.#balance;
      }
    }
    const { all, logger } = await startApp({ redis: false });
    for (const namespace of ['users', 'orders']) {
      await all.getCache(namespace).set('Users.find(1)', new Account());
      await all.getCache(namespace).set('Users.find(2)', [new Account()]);
    }
    const lines = logger.messagesOf('DistributedCache').filter((line) => line.startsWith('cache_value_refused'));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      /^cache_value_refused users Users\.find\(.*: .*an Account at value: it has #private fields.*Write @CachedClass\(/,
    );
    expectNowhere(logger, 'secret');
  });

  it('logs the second one of two classes of one name once, with its method and the line to write', async () => {
    const [First, Second] = [class Account {}, class Account {}];
    const { cache, logger } = await startApp({ redis: false });
    const stored: boolean[] = [];
    for (const type of [First, Second, Second]) {
      stored.push(await cache.set('Users.find(1)', new type() as never));
    }
    expect(stored).toEqual([true, false, false]);
    const lines = logger.messagesOf('DistributedCache').filter((line) => line.startsWith('cache_value_refused'));
    expect(lines).toEqual([
      expect.stringMatching(
        /Users\.find\(.*: .*an Account at value: another class has the same name Account\. Write @CachedClass\(\{ name/,
      ),
    ]);
  });

  it('logs a class that this process does not know once', async () => {
    class Voucher {
      code = 'secret';
    }
    const { url, keyPrefix } = redisForTest();
    const other = await startApp({ redis: { url }, keyPrefix });
    const { all, logger } = await startApp({ redis: { url }, keyPrefix });
    for (const key of ['a', 'b']) {
      await other.all.getCache('users').set(key, new Voucher());
      expect(await all.getCache('users').get(key)).toBeUndefined();
    }
    const lines = logger.messagesOf('DistributedCache').filter((line) => line.includes('Voucher'));
    expect(lines).toEqual([
      'cache_class_unknown users entries with an instance of Voucher are misses until this process has stored one of the same version of the class (@CachedClass() above the class makes it known from the start)',
    ]);
    expectNowhere(logger, 'secret');
  });

  it('logs nothing after the end', async () => {
    const { module, all, logger } = await startApp({ redis: false }, WITH_DEBUG);
    await module.close();
    logger.lines.length = 0;
    await all.getCache('users').get('key');
    all.events.emit('fallbackOn', { reason: 'timeout' });
    expect(logger.messagesOf('DistributedCache')).toEqual([]);
  });
});

function expectNowhere(logger: RecordingLogger, text: string): void {
  expect(logger.lines.filter(({ message }) => message.includes(text))).toEqual([]);
}
