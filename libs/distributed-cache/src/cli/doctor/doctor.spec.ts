import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { liveCaches } from '../../../../../test/support/channel-for-test.js';
import { RedisCluster } from '../../../../../test/support/redis-cluster.js';
import { clientOf } from '../../../../../test/support/redis-for-test.js';
import { RedisServer } from '../../../../../test/support/redis-server.js';
import { CacheConfig, DistributedCache, type DistributedCacheOptions } from '../../core/index.js';
import { CHECKS, examine } from './doctor.js';
import { collectFacts, type Facts, type FactsOptions, type Finding } from './facts.js';

type Findings = Readonly<Record<string, Finding>>;

/** What the doctor finds, by the id of the check. */
async function findings(options: DistributedCacheOptions, more: Partial<FactsOptions> = {}): Promise<Findings> {
  const cache = new DistributedCache(CacheConfig.resolve({ local: false, ...options }, {}), { observer: true });
  onTestFinished(() => cache.close());
  await cache.connect();
  const settings = { sampleSize: 2000, isStrict: false, env: {}, folder: process.cwd(), now: Date.now };
  const facts = await collectFacts(cache, { ...settings, onProgress: () => {}, ...more });
  return Object.fromEntries(examine(facts).map(({ id, ...finding }) => [id, finding]));
}

/** A process that answers the doctor's questions with these facts instead of true ones. */
async function processWith(server: RedisServer, hello: object, metrics: readonly object[] = []): Promise<void> {
  const listener = clientOf(server);
  const sender = clientOf(server);
  const from = { id: `fake-${Math.random().toString(36).slice(2)}`, host: 'fake', pid: 1, application: 'shop' };
  const sound = {
    version: '0.1.0',
    node: '20.19.0',
    uptimeSeconds: 90_000,
    config: 'aaaaaaaa',
    redis: 'live',
    invalidation: 'live',
    journalLength: 0,
    heapBytes: 1,
    localEntries: 0,
    localBytes: 0,
    localMaxBytes: 1,
    namespaces: [],
    ignoredMessages: 0,
  };
  const bodies: Record<string, unknown> = { hello: { ...sound, ...hello }, metrics, top: [] };
  await listener.subscribe('cache:#ops');
  listener.on('message', (_topic, text) => {
    const { id, op, replyTo } = JSON.parse(text) as { id: string; op: string; replyTo: string };
    void sender.publish(replyTo, JSON.stringify({ v: 1, id, from, body: bodies[op] }));
  });
}

let server: RedisServer;
beforeAll(async () => void (server = await RedisServer.start({ args: SOUND })));
afterAll(() => server?.stop());
beforeEach(async () => {
  await server.command('FLUSHALL');
});

const SOUND = ['--maxmemory', '200mb', '--maxmemory-policy', 'volatile-lru'];

function redis(): { host: string; port: number } {
  return { host: '127.0.0.1', port: server.port };
}

/** A server with other settings, for one test. */
async function ownServer(...args: readonly string[]): Promise<{ redis: { host: string; port: number } }> {
  const own = await RedisServer.start({ args });
  onTestFinished(() => own.stop());
  return { redis: { host: '127.0.0.1', port: own.port } };
}

it('passes every check on a sound server with sound processes', async () => {
  const [one] = await liveCaches(2, { redis: redis() });
  await one!.getCache('users').set('key', { name: 'Ada', text: 'x'.repeat(3000) }, { tags: ['team'] });
  await one!.getCache('users').getOrSet('loaded', async () => 'value');
  const found = await findings({ redis: redis() });
  const expected = Object.fromEntries(CHECKS.map(({ id }) => [id, 'ok']));
  expect(Object.fromEntries(Object.entries(found).map(([id, { status }]) => [id, status]))).toEqual(expected);
  expect(CHECKS.length).toBeGreaterThanOrEqual(25);
});

it('has an advice for everything that is not in order', async () => {
  const found = await findings(await ownServer());
  const notInOrder = Object.values(found).filter(({ status }) => status === 'warn' || status === 'fail');
  expect(notInOrder.length).toBeGreaterThan(0);
  expect(notInOrder.every(({ advice }) => advice !== undefined && advice !== '')).toBe(true);
});

/** One fault: what makes it, and what the doctor finds then. */
type Fault = readonly [id: string, what: string, status: Finding['status'], find: () => Promise<Findings>];

async function withKeys(...commands: readonly string[][]): Promise<Findings> {
  for (const command of commands) {
    await server.command(...(command as [string, ...string[]]));
  }
  return findings({ redis: redis() });
}

async function withUser(...rights: readonly string[]): Promise<Findings> {
  await server.command('ACL', 'SETUSER', 'app', 'reset', 'on', '>secret', '~*', '&*', '+@all', ...rights);
  return findings({ redis: { ...redis(), username: 'app', password: 'secret' } });
}

async function withSettings(settings: Readonly<Record<string, string>>): Promise<Findings> {
  const options = await ownServer(...SOUND);
  const admin = clientOf(options.redis);
  for (const [name, value] of Object.entries(settings)) {
    await admin.config('SET', name, value);
  }
  return findings(options);
}

/** The head of an entry whose version, times and load time are given. */
function envelope(version: number, lifeMs: number, loadMs: number): Buffer {
  const bytes = Buffer.alloc(60);
  bytes.set([0xdc, version, 0]);
  bytes.writeDoubleBE(Date.now(), 3);
  bytes.writeDoubleBE(Date.now() + lifeMs, 11);
  bytes.writeUInt32BE(loadMs, 19);
  return bytes;
}

async function withEntry(bytes: Buffer): Promise<Findings> {
  await clientOf(server).set('cache:users:key', bytes, 'PX', 60_000);
  return findings({ redis: redis() });
}

async function withProcess(hello: object, metrics: readonly object[] = []): Promise<Findings> {
  await processWith(server, hello, metrics);
  return findings({ redis: redis() });
}

const COUNTS = { namespace: 'users', hits: 0, misses: 0, loads: 0, total_requests: 0, redis_hits: 0 };

const FAULTS: readonly Fault[] = [
  ['version', 'a server before version 6', 'fail', async () => withInfo(/redis_version:\S+/, 'redis_version:5.0.14')],
  ['tls', 'a certificate that is not verified', 'fail', () => withUnverifiedTls()],
  ['permissions', 'a user without the right to PEXPIRE', 'fail', () => withUser('-pexpire')],
  ['permissions', 'a user without channels', 'fail', () => withUser('resetchannels', '&nothing')],
  ['writes', 'a server that is full', 'fail', () => withSettings({ maxmemory: '1', 'maxmemory-policy': 'noeviction' })],
  ['memory', 'no limit', 'warn', async () => findings(await ownServer())],
  ['memory', 'a limit without eviction', 'warn', () => withSettings({ 'maxmemory-policy': 'noeviction' })],
  [
    'memory',
    'no eviction, and nearly full',
    'fail',
    () => withSettings({ maxmemory: '1', 'maxmemory-policy': 'noeviction' }),
  ],
  ['memory', 'eviction at random', 'warn', () => withSettings({ 'maxmemory-policy': 'allkeys-random' })],
  [
    'output-buffer',
    'a small buffer for messages',
    'fail',
    () => withSettings({ 'client-output-buffer-limit': 'pubsub 65536 16384 10' }),
  ],
  ['replicas', '`strict` without a replica', 'fail', () => findings({ redis: redis() }, { isStrict: true })],
  ['replicas', '`strict` in the configuration', 'fail', () => findings({ redis: redis(), strict: true })],
  ['foreign-keys', 'a list under the prefix', 'warn', () => withKeys(['RPUSH', 'cache:jobs', 'one'])],
  ['foreign-keys', 'a key without a namespace', 'warn', () => withKeys(['SET', 'cache:session', 'one', 'EX', '60'])],
  ['entry-version', 'an entry of a later version', 'fail', () => withEntry(envelope(2, 1000, 0))],
  ['endless-entries', 'an entry without an end', 'warn', () => withKeys(['SET', 'cache:users:key', '{"a":1}'])],
  [
    'large-entries',
    'a value near the limit',
    'warn',
    () => withKeys(['SET', 'cache:users:key', 'x'.repeat(3_600_000), 'EX', '60']),
  ],
  ['leases', 'a lease without an end', 'fail', () => withKeys(['SET', 'cache:{cache:users:key}:lease', 'token'])],
  ['ttl-and-load', 'an entry that lives shorter than its load took', 'warn', () => withEntry(envelope(1, 1000, 5000))],
  ['refused-commands', 'a process whose user lacks a right', 'fail', () => withRefusedProcess()],
  ['invalidation', 'a process that receives no changes', 'fail', () => withProcess({ invalidation: 'lost' })],
  [
    'invalidation',
    'a process that receives only announcements',
    'warn',
    () => withProcess({ invalidation: 'announced' }),
  ],
  ['journals', 'a process with changes that Redis does not have', 'warn', () => withProcess({ journalLength: 3 })],
  ['node', 'a process on an old Node', 'fail', () => withProcess({ node: '18.20.0' })],
  [
    'same-settings',
    'two configurations',
    'warn',
    () => processWith(server, { config: 'bbbbbbbb' }).then(() => withProcess({})),
  ],
  [
    'same-settings',
    'two versions',
    'warn',
    () => processWith(server, { version: '9.0.0' }).then(() => withProcess({})),
  ],
  [
    'hit-rate',
    'many lookups and few hits',
    'warn',
    () => withProcess({}, [{ ...COUNTS, hits: 10, misses: 1990, total_requests: 2000 }]),
  ],
  [
    'worthwhile-loads',
    'a loader that takes no time',
    'warn',
    () =>
      withProcess({}, [
        {
          ...COUNTS,
          hits: 5000,
          misses: 500,
          total_requests: 5500,
          loads: 500,
          redis_hits: 500,
          load_seconds_saved: 0,
        },
      ]),
  ],
  ['clock', 'a clock that differs', 'warn', () => findings({ redis: redis() }, { now: () => Date.now() - 60_000 })],
  ['latency', 'a Redis that is far away', 'warn', () => withDelay(10)],
  ['latency', 'a Redis that is too far away', 'fail', () => withDelay(60)],
  [
    'operations',
    'a user without the topics',
    'fail',
    () => withUser('resetchannels', '&__redis__:invalidate', '&cache:#proof:*'),
  ],
  ['operations', 'a process that does not answer', 'warn', () => withSilentProcess()],
  ['one-ioredis', 'another copy of ioredis', 'warn', () => withOtherClient()],
  ['compression', 'compression that saves nothing', 'warn', () => withRandomValues()],
  ['unused-tags', 'tags that are never purged', 'warn', () => withUnusedTags()],
  ['large-copies', 'a large value that is copied often', 'warn', () => withLargeCopies()],
  ['listeners', 'more than 64 listeners', 'warn', () => withListeners(70)],
];

/** Through a proxy that changes the server's answer. */
async function withInfo(pattern: RegExp, replacement: string): Promise<Findings> {
  const { FaultProxy } = await import('../../../../../test/support/fault-proxy.js');
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.close());
  const filler = (text: string): string => text.replace(pattern, (found) => replacement.padEnd(found.length));
  proxy.filter((_link, lane, chunk) =>
    lane === 'down' ? Buffer.from(filler(chunk.toString('latin1')), 'latin1') : chunk,
  );
  return findings({ redis: { host: '127.0.0.1', port: proxy.port } });
}

async function withDelay(ms: number): Promise<Findings> {
  const { FaultProxy } = await import('../../../../../test/support/fault-proxy.js');
  const proxy = await FaultProxy.start(server.port);
  onTestFinished(() => proxy.close());
  proxy.delay(ms);
  return findings({ redis: { host: '127.0.0.1', port: proxy.port } });
}

async function withUnverifiedTls(): Promise<Findings> {
  const own = await RedisServer.start({ tls: true });
  onTestFinished(() => own.stop());
  const ca = readFileSync(own.caFile ?? '');
  const secure = { redis: { host: '127.0.0.1', port: own.tlsPort, tls: { ca } } };
  expect((await findings(secure))['tls']).toMatchObject({ status: 'ok', found: 'verified' });
  return findings(secure, { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } });
}

/** The user of the process may not delete; the doctor's may. */
async function withRefusedProcess(): Promise<Findings> {
  await server.command('ACL', 'SETUSER', 'app', 'reset', 'on', '>secret', '~*', '&*', '+@all', '-rename');
  const [all] = await liveCaches(1, { redis: { ...redis(), username: 'app', password: 'secret' } });
  await vi.waitFor(() => expect(all!.getProcessMetrics().values.refusedCommands).toBe(1));
  const found = await findings({ redis: redis() });
  expect(found['permissions']).toMatchObject({ status: 'ok' });
  return found;
}

async function withSilentProcess(): Promise<Findings> {
  await clientOf(server).subscribe('cache:#ops');
  return findings({ redis: redis() });
}

async function withOtherClient(): Promise<Findings> {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'node_modules/ioredis'), { recursive: true });
  writeFileSync(join(folder, 'node_modules/ioredis/package.json'), '{ "name": "ioredis", "version": "4.28.5" }');
  return findings({ redis: redis() }, { folder });
}

/** The text of hexadecimal digits of random bytes with a codec that is forced to store it. */
async function withRandomValues(): Promise<Findings> {
  const { randomBytes } = await import('node:crypto');
  const [all] = await liveCaches(1, { redis: redis(), compression: { thresholdBytes: 1, codec: 'deflate' } });
  const value = (): { text: string } => ({ text: randomBytes(6000).toString('base64') });
  // Small and random: of some values deflate saves less than a tenth, where base64 alone would save a quarter.
  await all!.getCache('users').set('key', value());
  const bytes = (await clientOf(server).getBuffer('cache:users:key'))!;
  bytes.writeUInt32BE(Math.round(bytes.length / 0.95), 23);
  return withEntry(bytes);
}

async function withUnusedTags(): Promise<Findings> {
  const [all] = await liveCaches(1, { redis: redis() });
  await all!.getCache('users').set('key', 1, { tags: ['team'] });
  await processWith(server, { uptimeSeconds: 200_000 }, [{ ...COUNTS, tag_invalidations: 0 }]);
  return findings({ redis: redis() });
}

async function withLargeCopies(): Promise<Findings> {
  const [all] = await liveCaches(1, { redis: redis() });
  const users = all!.getCache('users');
  const rows = Array.from({ length: 3000 }, (_, index) => ({ id: index, name: `user ${index}` }));
  for (let call = 0; call < 120; call++) {
    await users.getOrSet('all', async () => rows);
  }
  return findings({ redis: redis() });
}

async function withListeners(count: number): Promise<Findings> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      const client = new Redis(redis());
      onTestFinished(() => client.disconnect());
      const id = await client.client('ID');
      await client.client('TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', 'cache:');
    }),
  );
  return findings({ redis: redis() });
}

describe('finds', () => {
  it.each(FAULTS)('%s: %s', async (id, _what, status, find) => {
    const found = await find();
    expect({ id, ...found[id] }).toMatchObject({ id, status });
    expect(found[id]?.advice).toMatch(/./);
  });

  it('every check is among the faults above or below', () => {
    const found = new Set([...FAULTS.map(([id]) => id), 'redis-reachable', 'topology', 'slots']);
    expect(CHECKS.filter(({ id }) => !found.has(id))).toEqual([]);
  });

  it('tls: a password that crosses a network in the clear', () => {
    const check = CHECKS.find(({ id }) => id === 'tls');
    const find = (url: string) =>
      check?.find({ config: CacheConfig.resolve({ redis: { url } }, {}), env: {} } as Facts);
    expect(find('redis://:secret@redis.example.org')).toMatchObject({ status: 'warn' });
    expect(find('rediss://:secret@redis.example.org')).toMatchObject({ status: 'ok' });
    expect(find('redis://:secret@localhost')).toMatchObject({ status: 'ok' });
  });

  it('topology: the address of a replica', async () => {
    const replica = await ownServer(...SOUND, '--replicaof', `127.0.0.1 ${server.port}`);
    const admin = clientOf(replica.redis);
    await vi.waitFor(async () => expect(await admin.info('replication')).toContain('master_link_status:up'), 10_000);
    expect((await findings(replica))['topology']).toMatchObject({ status: 'fail' });
  });

  it('topology and slots: a node of a Cluster as a single server, and a Cluster without some slots', async () => {
    const group = await RedisCluster.start();
    onTestFinished(() => group.stop());
    const [first] = group.masters;
    const cluster = { cluster: { nodes: group.addresses } };
    expect((await findings({ redis: { host: '127.0.0.1', port: first!.port } }))['topology']).toMatchObject({
      status: 'fail',
      found: 'a node of a Cluster, used as a single server',
    });
    expect(await findings({ redis: cluster })).toMatchObject({ topology: { status: 'ok' }, slots: { status: 'ok' } });
    await Promise.all(
      group.masters.map((node) => node.command('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')),
    );
    await Promise.all(group.masters.map((node) => node.command('CLUSTER', 'DELSLOTS', '16000')));
    expect((await findings({ redis: cluster }))['slots']).toMatchObject({ status: 'fail' });
  });
});
