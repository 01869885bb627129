import { afterAll, beforeAll, describe, expect, expectTypeOf, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../../../../test/support/cache-for-test.js';
import { channelOf, liveCaches, processIdOf, untilInvalidation } from '../../../../test/support/channel-for-test.js';
import { Gate } from '../../../../test/support/gate.js';
import { RedisCluster } from '../../../../test/support/redis-cluster.js';
import { listenTo, ownRedis, proxyTo, redisForTest, sharedRedis } from '../../../../test/support/redis-for-test.js';
import { RedisSentinel } from '../../../../test/support/redis-sentinel.js';
import {
  type CacheMetricsWire,
  type DistributedCache,
  type Gathered,
  mergeTop,
  type ProcessFacts,
  sumMetrics,
} from '../core/index.js';

const idsOf = ({ answers }: Gathered<unknown>): string[] => answers.map(({ process: { id } }) => id).sort();
/** Long enough for any machine: the answers of all processes end the wait. */
const PATIENT = { deadlineMs: 10_000 };

describe('a question to all processes', () => {
  it('is answered by each of them once, before the deadline, with its state', async () => {
    const all = await liveCaches(3, sharedRedis());
    const [asker] = all as [DistributedCache];
    const found = await asker.operations.processes(PATIENT);
    expectTypeOf(found).toEqualTypeOf<Gathered<ProcessFacts>>();
    expect(new Set(idsOf(found)).size).toBe(3);
    expect(found).toMatchObject({ silent: [], unanswered: 0, aloneBecause: undefined });
    for (const { process: name, answer } of found.answers) {
      expect(name).toMatchObject({ pid: process.pid });
      expect(answer).toMatchObject({ redis: 'live', invalidation: 'live', journalLength: 0, ignoredMessages: 0 });
      expect(answer.localMaxBytes).toBe(100 * 1024 * 1024);
      expect(answer.version).toMatch(/^\d+\.\d+\.\d+/);
    }
    expect(new Set(found.answers.map(({ answer }) => answer.config)).size).toBe(1);
    const others = await Promise.all(all.map((each) => each.operations.processes(PATIENT)));
    expect(others.map(idsOf)).toEqual(all.map(() => idsOf(found)));
  });

  it('shows another configuration by another digest', async () => {
    const options = sharedRedis();
    const [asker] = await liveCaches(1, options);
    await liveCaches(1, { ...options, ttl: '7m' });
    const found = await asker!.operations.processes(PATIENT);
    expect(new Set(found.answers.map(({ answer }) => answer.config)).size).toBe(2);
  });

  it('reaches only processes with the same key prefix', async () => {
    const [asker] = await liveCaches(1, sharedRedis());
    await liveCaches(1, sharedRedis());
    expect((await asker!.operations.processes(PATIENT)).answers).toHaveLength(1);
  });

  it('counts a process that does not answer, and names it if it has answered before', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const [asker, other] = await liveCaches(2, { redis: { host: '127.0.0.1', port: server.port } });
    const hanging = cacheForTest({ redis: { host: '127.0.0.1', port: proxy.port } });
    await hanging.connect();
    await untilInvalidation(hanging, 'live');
    const before = await asker!.operations.processes(PATIENT);
    expect(before.answers).toHaveLength(3);
    proxy.stall('up');
    const found = await asker!.operations.processes({ deadlineMs: 100 });
    const [silent] = found.silent;
    expect(found).toMatchObject({ unanswered: 1, aloneBecause: undefined });
    expect(found.silent).toHaveLength(1);
    expect(idsOf(found)).not.toContain(silent?.id);
    expect(idsOf(before)).toContain(silent?.id);
    expect(await other!.operations.processes({ deadlineMs: 100 })).toMatchObject({ unanswered: 1, silent: [] });
  });

  it.each(['before the outage is noticed', 'during the outage'])(
    'is answered by this process alone, and in time, while Redis is frozen: %s',
    async (moment) => {
      const server = await ownRedis();
      onTestFinished(() => server.thaw());
      const [asker] = await liveCaches(2, { redis: { host: '127.0.0.1', port: server.port } });
      expect((await asker!.operations.processes(PATIENT)).answers).toHaveLength(2);
      server.freeze();
      if (moment === 'during the outage') {
        await vi.waitFor(async () => expect((await asker!.healthCheck()).status).toBe('degraded'), { timeout: 5000 });
      }
      const found = await asker!.operations.processes({ deadlineMs: 100 });
      expect(found.answers).toHaveLength(1);
      expect(found.aloneBecause).toMatch(/^(redis-unavailable|not-listening)$/);
    },
    5000,
  );

  it('sums the counters of all processes, by namespace', async () => {
    const all = await liveCaches(3, sharedRedis());
    for (const [index, each] of all.entries()) {
      for (let call = 0; call <= index; call++) {
        await each.getCache('users').getOrSet('key', async () => 'value');
      }
    }
    const found = await all[0]!.operations.metrics(PATIENT);
    expectTypeOf(found).toEqualTypeOf<Gathered<readonly CacheMetricsWire[]>>();
    expect(sumMetrics(found)).toMatchObject([
      { namespace: 'users', total_requests: 6, misses: 1, hits: 5, loads: 1, hit_rate_percent: 83.33 },
    ]);
    expect((await all[0]!.operations.metrics({ namespace: 'orders', ...PATIENT })).answers).toHaveLength(3);
    expect(sumMetrics(await all[0]!.operations.metrics({ namespace: 'orders', ...PATIENT }))).toEqual([]);
  });

  it('ranks the entries of L1 over all processes', async () => {
    const all = await liveCaches(2, sharedRedis());
    const [asker, other] = all.map((each) => each.getCache<string>('users'));
    await asker!.set('rare', 'x'.repeat(2000));
    await asker!.set('often', 'y');
    await vi.waitFor(async () => expect(await other!.lookup('often')).toMatchObject({ tier: 'local' }));
    const usesOf = async (): Promise<number> => {
      const found = await all[0]!.operations.top({ ...PATIENT, namespace: 'users' });
      return mergeTop(found, 'uses', 1)[0]?.uses ?? 0;
    };
    const before = await usesOf();
    await Promise.all(Array.from({ length: 4 }, () => [asker!.get('often'), other!.get('often')]).flat());
    expect(await usesOf()).toBe(before + 8);
    const largest = mergeTop(await all[1]!.operations.top({ by: 'bytes', ...PATIENT }), 'bytes', 1);
    expect(largest).toMatchObject([{ namespace: 'users', key: 'rare', processes: 1 }]);
  });

  it('shows what L1 of each process holds for a key, and makes no namespace known that is not in use', async () => {
    const all = await liveCaches(2, sharedRedis());
    const [asker, other] = all as [DistributedCache, DistributedCache];
    await other.getCache('users').set('a key', 'value', { tags: ['team'] });
    const found = await asker.operations.inspect('users', 'a key', PATIENT);
    const states = found.answers.map(({ answer }) => answer.local.state);
    expect(states.sort()).toEqual(['fresh', 'missing']);
    expect(asker.getMetrics()).toEqual([]);
    expect(JSON.stringify(found)).not.toContain('value');
  });

  it('counts the entries of L1 with a tag, of each process', async () => {
    const { url, keyPrefix } = redisForTest();
    const [one, other] = await liveCaches(2, { redis: { url }, keyPrefix });
    const countOf = async (tag: string) =>
      (await one!.operations.tagged('users', tag)).answers.map(({ answer }) => answer).sort((a, b) => a - b);
    expect(await countOf('team')).toEqual([0, 0]);
    await other!.getCache('users').setMany(
      [
        ['a', 1],
        ['b', 2],
      ],
      { tags: ['team', 'café'] },
    );
    await other!.getCache('users').set('c', 3, { tags: ['other'] });
    expect(await countOf('team')).toEqual([0, 2]);
    expect(await countOf('café')).toEqual([0, 2]);
    await other!.getCache('users').delete('a');
    expect(await countOf('team')).toEqual([0, 1]);
    await one!.operations.purge('users', ['team']);
    await vi.waitFor(async () => expect(await countOf('team')).toEqual([0, 0]));
  });

  it('lists the loads under way, and the last changes by others', async () => {
    const all = await liveCaches(2, sharedRedis());
    const [asker, other] = all as [DistributedCache, DistributedCache];
    const gate = new Gate();
    const load = other.getCache('users').getOrSet('slow', () => gate.opened.then(() => 'value'));
    await vi.waitFor(async () => {
      const { answers } = await asker.operations.loads(PATIENT);
      expect(answers.flatMap(({ answer }) => answer)).toMatchObject([
        { namespace: 'users', key: 'slow', phase: 'loading' },
      ]);
    });
    gate.open();
    await load;
    await other.getCache('users').delete('slow');
    await other.getCache('users').invalidateTags('team');
    await other.getCache('users').clear();
    await vi.waitFor(async () => {
      const { answers } = await other.operations.changes({ count: 100, ...PATIENT });
      const heard = answers.find(({ process: { id } }) => id !== processIdOf(other))?.answer;
      expect(heard?.map(({ kind, name }) => `${kind} ${name}`)).toEqual(
        expect.arrayContaining(['key slow', 'tag team', 'namespace ']),
      );
    });
  });

  it('is not sent while no operator asks', async () => {
    const server = await ownRedis();
    await liveCaches(3, { redis: { host: '127.0.0.1', port: server.port } });
    const heard: string[] = [];
    await listenTo(server, '*#ops*', (topic) => heard.push(topic));
    // Each heartbeat of the three invalidation channels publishes a proof: other topics carry nothing.
    await vi.waitFor(async () => {
      const stats = String(await server.command('INFO', 'commandstats'));
      expect(Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1])).toBeGreaterThan(8);
    });
    expect(heard).toEqual([]);
  });

  it('is answered after a restart of Redis as before', async () => {
    const server = await ownRedis();
    const [asker, other] = await liveCaches(2, { redis: { host: '127.0.0.1', port: server.port } });
    await asker!.operations.processes(PATIENT);
    await server.killHard();
    await vi.waitFor(async () =>
      expect(await asker!.operations.processes()).toMatchObject({ aloneBecause: 'redis-unavailable' }),
    );
    await server.restart();
    await Promise.all([untilInvalidation(asker!, 'live'), untilInvalidation(other!, 'live')]);
    await vi.waitFor(async () =>
      expect((await asker!.operations.processes({ deadlineMs: 1000 })).answers).toHaveLength(2),
    );
  });
});

describe('where processes can not ask each other, the answer is that of this process alone, and says why', () => {
  it('without a Redis', async () => {
    const all = cacheForTest({ redis: false });
    await all.getCache('users').set('key', 'value');
    expect(await all.operations.processes()).toMatchObject({ aloneBecause: 'no-redis', answers: [{}], unanswered: 0 });
    expect(mergeTop(await all.operations.top(), 'uses', 9)).toMatchObject([{ key: 'key' }]);
    expect(await all.operations.evict('users', ['key'])).toEqual({ existed: 1, notRecordedBecause: 'no-redis' });
    expect(await all.operations.audit()).toEqual({ changes: [], unreadableBecause: 'no-redis' });
  });

  it('with a Redis that can not be used', async () => {
    const all = cacheForTest({ redis: { host: '127.0.0.1', port: 1 } });
    expect(await all.operations.processes()).toMatchObject({ aloneBecause: 'redis-unavailable', answers: [{}] });
    expect(await all.operations.evict('users', ['key'])).toMatchObject({ notRecordedBecause: 'redis-unavailable' });
  });

  it.each([
    ['&__redis__:invalidate &cache:#proof:*', 'NOPERM', 'live'],
    ['&__redis__:invalidate &cache:#proof:* &cache:#changed &cache:#ops', 'NOPERM', 'live'],
    ['&__redis__:invalidate', 'not-listening', 'none'],
  ])('for a user with the channels %s: %s, while invalidation is %s', async (channels, reason, invalidation) => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', ...channels.split(' '));
    const redis = { host: '127.0.0.1', port: server.port, username: 'app', password: 'secret' };
    const all = cacheForTest({ redis });
    await all.connect();
    const health = await untilInvalidation(all, invalidation);
    expect(await all.operations.processes()).toMatchObject({ aloneBecause: reason, answers: [{}] });
    expect((await all.healthCheck()).toJSON()).toEqual({ ...health.toJSON(), seconds_since_answer: expect.anything() });
    if (invalidation === 'live') {
      expect(health.status).toBe('up');
      await all.getCache('users').set('key', 'value');
      await server.command('DEL', 'cache:users:key');
      await vi.waitFor(async () => expect(await all.getCache('users').get('key')).toBeUndefined());
      const lost = vi.fn();
      all.events.on('invalidationOff', lost);
      const beats = async (): Promise<number> =>
        Number(/subscribe:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1]);
      const before = await beats();
      await vi.waitFor(async () => expect(await beats()).toBeGreaterThan(before + 2));
      expect(lost).not.toHaveBeenCalled();
    }
  });

  it('and each process is asked again once the right is granted', async () => {
    const server = await ownRedis();
    const channels = ['&__redis__:invalidate', '&cache:#proof:*'];
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', ...channels);
    const redis = { host: '127.0.0.1', port: server.port, username: 'app', password: 'secret' };
    const [asker, other] = await liveCaches(2, { redis });
    expect(await asker!.operations.processes()).toMatchObject({ aloneBecause: 'NOPERM' });
    await server.command('ACL', 'SETUSER', 'app', '&cache:*');
    expect(await other!.operations.processes(PATIENT)).toMatchObject({ aloneBecause: undefined });
    expect((await asker!.operations.processes(PATIENT)).answers).toHaveLength(2);
  });
});

describe('a change by an operator', () => {
  it('takes effect in every process, and is in the audit trail, the newest first', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const all = await liveCaches(2, { redis: { url }, keyPrefix });
    const [asker, other] = all as [DistributedCache, DistributedCache];
    const users = other.getCache('users');
    const operator = { actor: 'ada@example.org', origin: 'page' };
    await users.setMany(
      [
        ['one', 1],
        ['two', 2],
      ],
      { tags: ['team'] },
    );
    await other.getCache('users').set('stale', 1, { grace: '1h' });
    expect(await asker.operations.expire('users', ['stale', 'none'], operator)).toMatchObject({ existed: 1 });
    await vi.waitFor(async () => expect((await users.lookup('stale')).state).toBe('stale'));
    expect(await asker.operations.evict('users', ['one', 'none'], operator)).toEqual({
      existed: 1,
      notRecordedBecause: undefined,
    });
    await vi.waitFor(async () => expect(await users.get('one')).toBeUndefined());
    expect(await users.get('two')).toBe(2);
    await asker.operations.purge('users', ['team'], operator);
    await vi.waitFor(async () => expect(await users.get('two')).toBeUndefined());
    await users.set('three', 3);
    await asker.operations.clear('users');
    await vi.waitFor(async () => expect(await users.get('three')).toBeUndefined());
    const { changes } = await other.operations.audit();
    expect(changes).toMatchObject([
      { action: 'clear', namespace: 'users', names: [], outcome: 'done', actor: expect.stringMatching(/./) },
      { action: 'purge', namespace: 'users', names: ['team'], outcome: 'done' },
      { ...operator, action: 'evict', names: ['one', 'none'], outcome: '1 of 2 existed', atMs: expect.any(Number) },
      { ...operator, action: 'expire', names: ['stale', 'none'], outcome: '1 of 2 existed' },
    ]);
    expect(await admin.type(`${keyPrefix}:{#audit}`)).toBe('stream');
    expect(asker.getMetrics()).toEqual([]);
  });

  it('is made, and says that it is not recorded, where the user may not write the trail', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-xadd', '-xrevrange');
    const redis = { host: '127.0.0.1', port: server.port, username: 'app', password: 'secret' };
    const [all] = await liveCaches(1, { redis });
    await all!.getCache('users').set('key', 'value');
    expect(await all!.operations.evict('users', ['key'])).toEqual({ existed: 1, notRecordedBecause: 'NOPERM' });
    expect(await all!.getCache('users').get('key')).toBeUndefined();
    expect(await all!.operations.audit()).toEqual({ changes: [], unreadableBecause: 'NOPERM' });
    expect((await all!.healthCheck()).status).toBe('up');
  });

  it('keeps about a thousand lines', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const [all] = await liveCaches(1, { redis: { url }, keyPrefix });
    await Promise.all(Array.from({ length: 1300 }, () => all!.operations.evict('users', ['key'])));
    expect(await admin.xlen(`${keyPrefix}:{#audit}`)).toBeLessThan(1200);
    const long = Array.from({ length: 1000 }, (_, index) => `key:${index}`);
    await all!.operations.evict('users', long);
    const { changes } = await all!.operations.audit({ count: 1 });
    expect(changes[0]?.names.at(-1)).toMatch(/^and \d+ more$/);
  });
});

describe('in a Cluster', () => {
  let group: RedisCluster;
  beforeAll(async () => void (group = await RedisCluster.start()));
  afterAll(() => group?.stop());

  it('each process answers once, although it hears a question at each master', async () => {
    const all = await liveCaches(3, { redis: { cluster: { nodes: group.addresses } } });
    const found = await all[0]!.operations.processes(PATIENT);
    expect(new Set(idsOf(found)).size).toBe(3);
    expect(found).toMatchObject({ unanswered: 0, aloneBecause: undefined });
    await all[1]!.getCache('users').set('key', 'value');
    expect(await all[0]!.operations.evict('users', ['key'])).toEqual({ existed: 1, notRecordedBecause: undefined });
    expect((await all[2]!.operations.audit()).changes).toMatchObject([{ action: 'evict' }]);
    expect(found.answers.every(({ answer }) => answer.ignoredMessages === 0)).toBe(true);
  });
});

describe('with Sentinels', () => {
  it('processes answer, also after a failover', async () => {
    const group = await RedisSentinel.start();
    onTestFinished(() => group.stop());
    const [asker, other] = await liveCaches(2, { redis: { sentinels: group.addresses, name: group.name } });
    expect((await asker!.operations.processes(PATIENT)).answers).toHaveLength(2);
    await group.killMaster();
    await vi.waitFor(async () => expect(await group.masterPort()).toBe(group.replica.port), { timeout: 10_000 });
    await vi.waitFor(
      async () => expect((await other!.operations.processes({ deadlineMs: 1000 })).answers).toHaveLength(2),
      { timeout: 10_000 },
    );
  });
});

describe('the history', () => {
  it('has the rise of each counter in steps of ten seconds, of one namespace and of all, for an hour', async () => {
    const all = cacheForTest({ redis: false });
    const [users, orders] = [all.getCache('users'), all.getCache('orders')];
    const record = (atMs: number): void => {
      const counted = [users, orders].map((cache) => ({ namespace: cache.namespace, counts: cache.getMetrics() }));
      all.operations.history.record(counted, atMs);
    };
    const START = 1_700_000_000_000;
    record(START);
    await users.getOrSet('key', async () => 1);
    await orders.getOrSet('key', async () => 1);
    record(START + 10_000);
    record(START + 30_000); // the process was stopped meanwhile
    const misses = (namespace?: string, steps = 4): unknown[] => {
      const { counters, steps: rows } = all.operations.history.steps(namespace, steps, START + 30_000);
      return rows.map((row) => row?.[counters.indexOf('misses')] ?? null);
    };
    expect(misses('users')).toEqual([null, 1, null, null]);
    expect(misses()).toEqual([null, 2, null, null]);
    for (let step = 4; step < 400; step++) {
      record(START + step * 10_000);
    }
    const { steps } = all.operations.history.steps('users', 360, START + 399 * 10_000);
    expect(steps).toHaveLength(360);
    expect(steps.every((row) => row !== null)).toBe(true);
  });

  it('is asked of all processes', async () => {
    const [asker] = await liveCaches(2, sharedRedis());
    const found = await asker!.operations.lastHour({ steps: 6, ...PATIENT });
    expect(found.answers).toHaveLength(2);
    expect(found.answers[0]?.answer).toMatchObject({ stepSeconds: 10, steps: [null, null, null, null, null, null] });
  });
});

it('a lost subscription is noticed although there are further topics', async () => {
  const server = await ownRedis();
  const [all] = await liveCaches(1, { redis: { host: '127.0.0.1', port: server.port } });
  await all!.operations.processes(PATIENT);
  const lost = vi.fn();
  all!.events.on('invalidationOff', lost);
  await channelOf(all!).subscriber.unsubscribe('__redis__:invalidate');
  await vi.waitFor(() => expect(lost).toHaveBeenCalled(), { timeout: 5000 });
  await untilInvalidation(all!, 'live');
});
