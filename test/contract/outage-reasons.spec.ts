import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { DistributedCache, DistributedCacheOptions } from 'nestjs-distributed-cache/core';
import { cacheForTest } from '../support/cache-for-test.js';
import { untilInvalidation } from '../support/channel-for-test.js';
import { freePort } from '../support/free-port.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { RedisServer } from '../support/redis-server.js';
import { canMakeCertificates, makeTestCertificates, type TestCertificates } from '../support/test-certificates.js';

type RedisOptions = DistributedCacheOptions['redis'] & object;
type Address = { host: string; port: number };

/** With an empty label it is refused without a name server, whose answer may be late. */
const NO_HOST = 'no-such-host..invalid';
const UNKNOWN_HOST = /^(ENOTFOUND|EAI_AGAIN)$/;
const UNTRUSTED = 'SELF_SIGNED_CERT_IN_CHAIN';
const folder = mkdtempSync(join(tmpdir(), 'outage-reasons-'));
const withTls = canMakeCertificates();
let certificates: TestCertificates;
let closed: Address;
let alsoClosed: Address;

beforeAll(async () => {
  if (withTls) {
    certificates = makeTestCertificates(folder);
  }
  closed = { host: '127.0.0.1', port: await freePort() };
  alsoClosed = { host: '127.0.0.1', port: await freePort() };
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Options of the client, and the number of its attempts to connect with them, in any topology. */
function countingAttempts(): { clientOptions: Record<string, () => number>; count: () => number } {
  let attempts = 0;
  const strategy = (): number => {
    attempts++;
    return 20;
  };
  const names = ['retryStrategy', 'sentinelRetryStrategy', 'clusterRetryStrategy'];
  return { clientOptions: Object.fromEntries(names.map((name) => [name, strategy])), count: () => attempts };
}

/** Options of Redis, made from those of the client. */
type RedisWith = (clientOptions: Record<string, unknown>) => RedisOptions;

/** The reason in the first event must be that of the health check, at once and after further attempts. */
async function expectReason(expected: string | RegExp, redisWith: RedisWith, { isOpened = false } = {}): Promise<void> {
  const { clientOptions, count } = countingAttempts();
  const all = cacheForTest({ redis: redisWith(clientOptions) });
  const reasons: string[] = [];
  all.events.on('redisConnectionFailed', ({ reason }) => reasons.push(reason));
  await all.connect();
  expect(reasons).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  const message = `Redis can't be used (${reasons[0]}); the local tier serves`;
  expect(await all.healthCheck()).toMatchObject({ status: 'degraded', message });
  const before = count();
  const isTriedAgain = (): boolean => isOpened || count() >= before + 2;
  await vi.waitFor(() => expect(isTriedAgain()).toBe(true), { timeout: 10_000, interval: 5 });
  expect(await all.healthCheck()).toMatchObject({ status: 'degraded', message });
}

/** A server that a cache uses, and a client to break it with. */
async function usedServer(): Promise<{ all: DistributedCache; admin: Redis }> {
  const own = await RedisServer.start();
  const admin = new Redis({ port: own.port });
  onTestFinished(() => {
    admin.disconnect();
    return own.stop();
  });
  const all = cacheForTest({ redis: { url: own.url } });
  await all.connect();
  await untilInvalidation(all, 'live');
  return { all, admin };
}

async function killClients(admin: Redis): Promise<void> {
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
}

/** Occupies the server with a script; then it answers `BUSY` to every command. */
async function busyWithScript(server: RedisServer): Promise<void> {
  await server.command('CONFIG', 'SET', 'busy-reply-threshold', '1');
  const [client, other] = [new Redis({ port: server.port }), new Redis({ port: server.port })];
  onTestFinished(() => [client, other].forEach((each) => each.disconnect()));
  client.eval('while true do end', 0).catch(() => {}); // it ends with the server
  await vi.waitFor(() => expect(other.ping()).rejects.toThrow('BUSY'));
}

/** The client would write it to the console at each connection. */
async function expectUnusedLogin(redisWith: RedisWith): Promise<void> {
  const written = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'error')];
  const all = cacheForTest({ redis: redisWith({}) });
  const refused: string[] = [];
  all.events.on('redisRefused', ({ command, reply, effect }) => refused.push(`${command} ${reply}: ${effect}`));
  expect(await all.getCache('users').set('key', 1)).toBe(true);
  await vi.waitFor(async () =>
    expect(await all.healthCheck()).toMatchObject({ status: 'up', redis: { invalidation: 'live' } }),
  );
  await all.close();
  expect(written.map((method) => method.mock.calls)).toEqual([[], []]);
  expect(refused).toEqual([expect.stringMatching(/^AUTH ERR: the password is not used/)]);
}

describe('a cache over one server', () => {
  let server: RedisServer;
  beforeAll(async () => void (server = await RedisServer.start(withTls ? { tls: certificates } : {})));
  afterAll(() => server?.stop());

  const at =
    (port: number | undefined, options: object = {}): RedisWith =>
    (clientOptions) => ({ host: '127.0.0.1', port: port ?? 0, clientOptions, ...options });

  it.each<[cause: string, reason: string | RegExp, redisWith: () => RedisWith]>([
    ['a closed port', 'ECONNREFUSED', () => at(closed.port)],
    ['an unknown host', UNKNOWN_HOST, () => at(server.port, { host: NO_HOST })],
    ['a wrong password', 'WRONGPASS', () => at(server.port, { username: 'app', password: 'wrong' })],
  ])('names %s as the reason of the outage', (_cause, reason, redisWith) => expectReason(reason, redisWith()));

  it.each([
    ['a server that does not speak the protocol of Redis', 'not-redis', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a server in protected mode', 'DENIED', '-DENIED Redis is running in protected mode because\r\n'],
    ['a server that answers with an alert of TLS', 'tls-required', Buffer.from([0x15, 3, 3, 0, 2, 2, 70])],
  ])('names %s as the reason of the outage', async (_cause, reason, answer) => {
    const other = createServer((socket) => void socket.on('error', () => {}).once('data', () => socket.end(answer)));
    await once(other.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void other.close());
    await expectReason(reason, at((other.address() as AddressInfo).port));
  });

  it.each<[state: string, reason: string, faultOf: (redis: RedisServer) => Promise<unknown>]>([
    ['is frozen', 'timeout', async (redis) => redis.freeze()],
    ['is busy with a script', 'BUSY', (redis) => busyWithScript(redis)],
  ])('names the reason when a server that was used %s', async (_state, reason, faultOf) => {
    const own = await RedisServer.start();
    onTestFinished(() => own.stop());
    const all = cacheForTest({ redis: { url: own.url } });
    await all.connect();
    await faultOf(own);
    const faultAtMs = performance.now();
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'degraded' }));
    const messages = new Set<string | undefined>();
    await vi.waitFor(
      async () => {
        messages.add((await all.healthCheck()).message);
        expect(performance.now() - faultAtMs).toBeGreaterThan(2500); // several attempts to connect
      },
      { timeout: 10_000 },
    );
    expect([...messages]).toEqual([`Redis can't be used (${reason}); the local tier serves`]);
  });

  it('names the maximum number of connections as the reason of the outage', async () => {
    const own = await RedisServer.start();
    onTestFinished(() => own.stop());
    const client = new Redis({ port: own.port });
    onTestFinished(() => client.disconnect());
    await client.config('SET', 'maxclients', '1');
    await expectReason('max-clients', at(own.port));
  });

  it.each<[cause: string, reason: string, settings: readonly string[]]>([
    ['a password', 'NOAUTH', ['requirepass', 'new']],
    ['no room for its connection', 'max-clients', ['maxclients', '1']],
  ])('tells the cause when it is known, where a server that was used has %s', async (_cause, reason, settings) => {
    const { all, admin } = await usedServer();
    const reasons: string[] = [];
    all.events.on('redisConnectionFailed', (event) => reasons.push(event.reason));
    await admin.call('CONFIG', ['SET', ...settings]);
    await killClients(admin);
    await vi.waitFor(() => expect(reasons).toEqual(['connection-closed', reason]));
    const message = `Redis can't be used (${reason}); the local tier serves`;
    expect(await all.healthCheck()).toMatchObject({ status: 'degraded', message });
  });

  it('reports that changes are not received, where the server has room for one of the two connections', async () => {
    const { all, admin } = await usedServer();
    const off = vi.fn();
    all.events.on('invalidationOff', off);
    await admin.config('SET', 'maxclients', '2');
    await killClients(admin);
    const message = "invalidation is off: the subscriber can't connect (max-clients)";
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'degraded', message }));
    await vi.waitFor(() => expect(off).toHaveBeenCalledTimes(1));
    await admin.config('SET', 'maxclients', '1000');
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
  });

  it('says once, and not on the console, that a password is not used, because the server needs none', () =>
    expectUnusedLogin(at(server.port, { password: 'needless' })));

  it('names a database that the server does not have as the reason of the outage', () =>
    expectReason('db 99 (ERR)', at(server.port, { db: 99 }), { isOpened: true }));

  it.runIf(withTls).each<[cause: string, reason: string | RegExp, redisWith: () => RedisWith]>([
    ['TLS on a plain port', 'tls-timeout', () => at(server.port, { tls: true })],
    ['plain text on a TLS port', 'ECONNRESET', () => at(server.tlsPort)],
    ['an untrusted certificate', UNTRUSTED, () => at(server.tlsPort, { tls: true })],
  ])('names %s as the reason of the outage', (_cause, reason, redisWith) => expectReason(reason, redisWith()));
});

describe('a cache over Sentinels', () => {
  let group: RedisSentinel;
  beforeAll(async () => {
    group = await RedisSentinel.start({ password: 'right', ...(withTls ? { tls: certificates } : {}) });
  });
  afterAll(() => group?.stop());

  const at =
    (options: object, ownClientOptions: object = {}): RedisWith =>
    (clientOptions) => ({
      sentinels: group.addresses,
      name: group.name,
      sentinelPassword: 'right',
      clientOptions: { ...clientOptions, ...ownClientOptions },
      ...options,
    });
  const masterAt = (address: Address): object => ({ natMap: { [`127.0.0.1:${group.master.port}`]: address } });
  const masterWithTls = (): object => masterAt({ host: '127.0.0.1', port: group.master.tlsPort ?? 0 });

  it.each<[cause: string, reason: string | RegExp, redisWith: () => RedisWith]>([
    ['closed ports of the Sentinels', 'ECONNREFUSED', () => at({ sentinels: [closed, alsoClosed] })],
    ['unknown hosts', UNKNOWN_HOST, () => at({ sentinels: [{ host: NO_HOST, port: 1 }] })],
    ['a wrong password for the Sentinels', 'WRONGPASS', () => at({ sentinelPassword: 'wrong' })],
    ['a missing password for the Sentinels', 'NOAUTH', () => at({ sentinelPassword: undefined })],
    ['a wrong password for the server', 'WRONGPASS', () => at({ username: 'app', password: 'wrong' })],
    ['a name that the Sentinels do not know', 'unknown-master', () => at({ name: 'no-such-master' })],
    [
      'a name that the one Sentinel that answers does not know',
      'unknown-master',
      () => at({ name: 'no-such-master', sentinels: [closed, ...group.addresses, alsoClosed] }),
    ],
    [
      'a server in the place of the Sentinels',
      'not-a-sentinel',
      () => at({ sentinels: [{ host: '127.0.0.1', port: group.master.port }], sentinelPassword: undefined }),
    ],
    ['a closed port of the master', 'ECONNREFUSED', () => at({}, masterAt(closed))],
  ])('names %s as the reason of the outage', (_cause, reason, redisWith) => expectReason(reason, redisWith()));

  it('names a database that the server does not have as the reason of the outage', () =>
    expectReason('db 99 (ERR)', at({ db: 99 }), { isOpened: true }));

  it.runIf(withTls).each<[cause: string, reason: string | RegExp, redisWith: () => RedisWith]>([
    ['TLS on a plain port of a Sentinel', 'tls-timeout', () => at({ tls: true })],
    ['TLS on a plain port of the master', 'tls-timeout', () => at({ tls: true, sentinelTls: false })],
    ['plain text on a TLS port of a Sentinel', 'ECONNRESET', () => at({ sentinels: group.tlsAddresses })],
    ['plain text on a TLS port of the master', 'ECONNRESET', () => at({}, masterWithTls())],
    ['an untrusted certificate of a Sentinel', UNTRUSTED, () => at({ sentinels: group.tlsAddresses, tls: true })],
    ['an untrusted certificate of the master', UNTRUSTED, () => at({ tls: true, sentinelTls: false }, masterWithTls())],
  ])('names %s as the reason of the outage', (_cause, reason, redisWith) => expectReason(reason, redisWith()));

  it('says once, and not on the console, that a password is not used, because the server needs none', () =>
    expectUnusedLogin(at({ password: 'needless' })));

  it('has no outage where one Sentinel is unreachable, and writes nothing to the console', async () => {
    const written = vi.spyOn(console, 'error');
    const { clientOptions, count } = countingAttempts();
    const sentinelReconnectStrategy = clientOptions['retryStrategy'];
    const redis = at({ sentinels: [closed, ...group.addresses] })({ sentinelReconnectStrategy });
    const all = cacheForTest({ redis });
    expect(await all.getCache('users').set('key', 1)).toBe(true);
    await vi.waitFor(() => expect(count()).toBeGreaterThan(2));
    expect(await all.healthCheck()).toMatchObject({ status: 'up' });
    expect(written).not.toHaveBeenCalled();
  });
});

describe('a cache over a cluster', () => {
  let group: RedisCluster;
  beforeAll(async () => void (group = await RedisCluster.start(withTls ? { node: { tls: certificates } } : {})));
  afterAll(() => group?.stop());

  const tlsNodes = (): Address[] => group.masters.map(({ host, tlsPort = 0 }) => ({ host, port: tlsPort }));
  const at =
    (nodes: Address[], options: object = {}, ownClientOptions: object = {}): RedisWith =>
    (clientOptions) => ({
      cluster: { nodes, options: { clientOptions: { ...clientOptions, ...ownClientOptions }, ...options } },
    });
  const unknown = [1, 2].map((port) => ({ host: NO_HOST, port }));
  const closedNodes = (): object => ({
    natMap: Object.fromEntries(group.masters.map(({ host, port }) => [`${host}:${port}`, closed])),
  });

  it.each<[cause: string, reason: string | RegExp, redisWith: () => RedisWith]>([
    ['closed ports', 'ECONNREFUSED', () => at([closed, alsoClosed])],
    ['unknown hosts', UNKNOWN_HOST, () => at(unknown)],
    ['a wrong password', 'WRONGPASS', () => at(group.addresses, { username: 'app', password: 'wrong' })],
    [
      'a wrong password for the one node that answers',
      'WRONGPASS',
      () => at([closed, group.addresses[0]!, ...unknown], { username: 'app', password: 'wrong' }),
    ],
    [
      'nodes that are refused under the addresses that they announce',
      'ECONNREFUSED',
      () => at([{ ...group.addresses[0]!, host: 'localhost' }], {}, closedNodes()),
    ],
  ])('names %s as the reason of the outage', (_cause, reason, redisWith) => expectReason(reason, redisWith()));

  it.runIf(withTls).each<[cause: string, reason: string | RegExp, redisWith: () => RedisWith]>([
    ['TLS on plain ports', 'tls-timeout', () => at(group.addresses, { tls: true })],
    ['plain text on TLS ports', 'ECONNRESET', () => at(tlsNodes())],
    ['untrusted certificates', UNTRUSTED, () => at(tlsNodes(), { tls: true })],
  ])('names %s as the reason of the outage', (_cause, reason, redisWith) => expectReason(reason, redisWith()));

  it('says once, and not on the console, that a password is not used, because the server needs none', () =>
    expectUnusedLogin(at(group.addresses, { password: 'needless' })));

  it('has no outage where one address is unknown and another one is refused', async () => {
    const nodes = [...unknown, closed, group.addresses[0]!];
    expect(
      await cacheForTest({ redis: at(nodes)({}) })
        .getCache('users')
        .set('key', 1),
    ).toBe(true);
  });

  it('names one refused master in the health check, with its cause', async () => {
    const { host, port } = group.masters[2]!;
    const natMap = { [`${host}:${port}`]: closed };
    const all = cacheForTest({ redis: at(group.addresses.slice(0, 1), {}, { natMap })({}) });
    const message = "Redis can't be used on 1 of 3 masters (ECONNREFUSED)";
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'degraded', message }), {
      timeout: 10_000,
    });
  });

  it('is degraded, without an outage, where a node is used as if it were a single server', async () => {
    const { host, port } = group.masters[0]!;
    const all = cacheForTest({ redis: { host, port }, keyPrefix: 'one-node' });
    const cache = all.getCache('users');
    const refused: string[] = [];
    all.events.on('redisRefused', ({ reply }) => refused.push(reply));
    const keys = Array.from({ length: 20 }, (_, index) => `key:${index}`);
    const setAll = (): Promise<boolean[]> => Promise.all(keys.map((key) => cache.set(key, 1)));
    expect(new Set(await setAll())).toEqual(new Set([true, false]));
    await vi.waitFor(() => expect(refused).toEqual(['MOVED']));
    await setAll();
    expect((await all.healthCheck()).toJSON()).toMatchObject({
      status: 'degraded',
      redis_connected: true,
      message: expect.stringMatching(
        /^Redis refuses [A-Z]+ on one-node:\* \(MOVED\): the server is a node of a Cluster, and only its own keys are cached \(see redis.cluster\)$/,
      ) as unknown,
    });
  });

  it('names a server that is not part of a cluster as the reason of the outage', async () => {
    const server = await RedisServer.start();
    try {
      await expectReason('not-a-cluster', at([{ host: server.host, port: server.port }]));
    } finally {
      await server.stop();
    }
  });
});

describe('a cache over a client of the application', () => {
  const unknown = { host: NO_HOST, port: 1 };

  it.each<[cause: string, reason: string | RegExp, make: () => Redis | Cluster]>([
    ['a closed port', 'ECONNREFUSED', () => new Redis({ ...closed, lazyConnect: true })],
    ['an unknown host', UNKNOWN_HOST, () => new Redis({ ...unknown, lazyConnect: true })],
    [
      'closed ports of the Sentinels',
      'ECONNREFUSED',
      () => new Redis({ sentinels: [closed, alsoClosed], name: 'main', lazyConnect: true }),
    ],
    ['closed ports of a cluster', 'ECONNREFUSED', () => new Cluster([closed, alsoClosed], { lazyConnect: true })],
    ['unknown hosts of a cluster', UNKNOWN_HOST, () => new Cluster([unknown], { lazyConnect: true })],
  ])('names %s as the reason of the outage', async (_cause, reason, make) => {
    const client = make();
    onTestFinished(() => client.disconnect());
    await expectReason(reason, () => ({ client }), { isOpened: true });
  });
});
