import { readFileSync } from 'node:fs';
import { setInterval } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { connectionForTest, type ConnectionForTest } from '../../../../test/support/connection-for-test.js';
import { freePort } from '../../../../test/support/free-port.js';
import { canMakeCertificates } from '../../../../test/support/test-certificates.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';
import type { ConnectionSettings } from './client-options.js';
import type { RedisConnectionLimits } from './index.js';
import { requireAll, sendRequest } from './send.js';

function connectionTo(
  connection: ConnectionSettings,
  limits?: Partial<RedisConnectionLimits>,
): ConnectionForTest & { echo: (text: string) => Promise<string> } {
  const forTest = connectionForTest({ kind: 'single', connection }, limits);
  return { ...forTest, echo: (text) => forTest.connection.run('ECHO', (client) => client.echo(text)) };
}

/** The outcome of a call in one word: its answer or the code of its error. */
function outcomeOf(call: Promise<string>): Promise<string> {
  return call.catch((error: unknown) => (error as { code: string }).code);
}

describe('RedisConnection', () => {
  it('opens at the first use, which waits for it, and reports its state', async () => {
    const { host, port } = await ownRedis();
    const { connection, states, echo } = connectionTo({ host, port });
    expect(connection.state).toBe('idle');
    expect(await Promise.all([echo('a'), echo('b')])).toEqual(['a', 'b']);
    expect(connection.state).toBe('live');
    expect(connection.outageSinceMs('key')).toBeUndefined();
    await connection.close();
    await connection.close();
    expect(connection.state).toBe('closed');
    expect(await outcomeOf(echo('c'))).toBe('CACHE_TIER_UNAVAILABLE');
    await connection.connect();
    expect(states).toEqual(['live']);
  });

  it('closes while it is being opened, and releases its waiting callers', async () => {
    const { host, port } = await ownRedis();
    const { connection, states, echo } = connectionTo({ host, port });
    const waiting = outcomeOf(echo('a'));
    const connected = connection.connect();
    await connection.close();
    expect(await waiting).toBe('CACHE_TIER_UNAVAILABLE');
    await connected;
    expect(states).toEqual([]);
  });

  it('receives the answers to commands that were sent before it closes', async () => {
    const { host, port } = await ownRedis();
    const { connection, echo } = connectionTo({ host, port });
    await connection.connect();
    const answers = Promise.all(['a', 'b', 'c'].map(echo));
    await connection.close();
    expect(await answers).toEqual(['a', 'b', 'c']);
  });

  it('is refused at boot, rejects at once, and reaches Redis without further calls when it starts', async () => {
    const port = await freePort();
    const { connection, states, echo, untilLive } = connectionTo({ host: '127.0.0.1', port });
    await connection.connect();
    expect(states).toEqual(['down: ECONNREFUSED']);
    expect(connection.reason).toBe('ECONNREFUSED');
    expect(await outcomeOf(echo('a'))).toBe('CACHE_TIER_UNAVAILABLE');
    await ownRedis({ port });
    expect(await untilLive()).toEqual(['down: ECONNREFUSED', 'live']);
    expect(await echo('a')).toBe('a');
  });

  it.each([
    ['WRONGPASS', 'wrong'],
    ['NOAUTH', undefined],
  ])('names %s, and recovers once the server accepts its password', async (reason, password) => {
    const server = await ownRedis({ password: 'right' });
    const { host, port } = server;
    const { connection, states, untilLive } = connectionTo({
      host,
      port,
      ...(password === undefined ? {} : { password }),
    });
    await connection.connect();
    expect(states).toEqual([`down: ${reason}`]);
    await server.command('CONFIG', 'SET', 'requirepass', password ?? '');
    await untilLive();
  });

  it('names WRONGPASS when the password changes while it is connected', async () => {
    const server = await ownRedis({ password: 'right' });
    const { connection, states, untilLive } = connectionTo({ host: server.host, port: server.port, password: 'right' });
    await connection.connect();
    await server.command('CONFIG', 'SET', 'requirepass', 'other');
    server.password = 'other';
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await vi.waitFor(() => expect(connection.reason).toBe('WRONGPASS'), 5000);
    await server.command('CONFIG', 'SET', 'requirepass', 'right');
    await untilLive();
    expect(states).toEqual(['live', 'down: connection-closed', 'live']);
  });

  it('does not use a server that is loading its data, and uses it as soon as that has ended', async () => {
    // A thousandth of a second per key: the load lasts a second, and the server answers in between.
    const slowLoad = ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024'];
    const server = await ownRedis({ args: slowLoad });
    await server.command('EVAL', 'for i = 1, 1000 do redis.call("SET", "key:" .. i, string.rep("x", 50)) end', 0);
    await server.command('SAVE');
    const { connection, states, echo, untilLive } = connectionTo({ host: server.host, port: server.port });
    await server.restart({ fromSnapshot: true });
    await expect(server.command('GET', 'key:1')).rejects.toThrow('LOADING');
    const first = await outcomeOf(echo('a'));
    expect(first).toMatch(/^CACHE_TIER_(TIMEOUT|UNAVAILABLE)$/);
    await untilLive();
    expect(await connection.run('DBSIZE', (client) => client.dbsize())).toBe(1000);
    expect(states.at(-1)).toBe('live');
  });

  it('recovers after the server has killed its connection', async () => {
    const server = await ownRedis();
    const { states, echo, untilDown, untilLive } = connectionTo({ host: server.host, port: server.port });
    await echo('a');
    await server.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await untilDown();
    await untilLive();
    expect(await echo('b')).toBe('b');
    expect(states).toEqual(['live', 'down: connection-closed', 'live']);
  });

  it('sends nothing to a server that holds back its answers, and uses it again afterwards', async () => {
    const server = await ownRedis();
    const { states, echo, untilLive } = connectionTo({ host: server.host, port: server.port });
    await echo('a');
    await server.command('CLIENT', 'PAUSE', 1500);
    expect(await outcomeOf(echo('b'))).toBe('CACHE_TIER_TIMEOUT');
    expect(await outcomeOf(echo('c'))).toBe('CACHE_TIER_UNAVAILABLE');
    await untilLive();
    expect(await echo('d')).toBe('d');
    expect(states).toEqual(['live', 'down: timeout', 'live']);
  });

  it('recovers from repeated resets of its connection', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const { connection, states, echo, untilLive } = connectionTo({ host: proxy.host, port: proxy.port });
    await connection.connect();
    for (let round = 0; round < 10; round++) {
      const answers = Promise.all(Array.from({ length: 10 }, (_, index) => outcomeOf(echo(`answer:${index}`))));
      proxy.cut();
      const lost = (await answers).filter((answer) => !answer.startsWith('answer:'));
      expect(lost.filter((code) => !/^CACHE_TIER_(DISCONNECTED|UNAVAILABLE)$/.test(code))).toEqual([]);
      await untilLive();
    }
    expect(await echo('a')).toBe('a');
    expect(states.filter((state) => state === 'live')).toHaveLength(11);
  });

  it('tolerates a delay within the deadline without an error', async () => {
    const proxy = await proxyTo(await ownRedis());
    const { states, echo } = connectionTo({ host: proxy.host, port: proxy.port });
    await echo('a');
    proxy.delay(100 / 2);
    for (let round = 0; round < 5; round++) {
      expect(await Promise.all(['a', 'b', 'c'].map(echo))).toEqual(['a', 'b', 'c']);
    }
    expect(states).toEqual(['live']);
  });

  it('stops using a server whose delay exceeds the deadline, and uses it again when the delay ends', async () => {
    const proxy = await proxyTo(await ownRedis());
    const { states, echo, untilLive } = connectionTo({ host: proxy.host, port: proxy.port });
    await echo('a');
    proxy.delay(400 / 2);
    expect(await outcomeOf(echo('b'))).toBe('CACHE_TIER_TIMEOUT');
    expect(await outcomeOf(echo('c'))).toBe('CACHE_TIER_UNAVAILABLE');
    await vi.waitUntil(() => states.length === 2, { timeout: 5000 });
    proxy.delay(0);
    await untilLive();
    expect(await echo('d')).toBe('d');
    expect(states).toEqual(['live', 'down: timeout', 'live']);
  });

  it('is in doubt about a server that misses one deadline, and reports nothing if it answers within the next', async () => {
    const proxy = await proxyTo(await ownRedis());
    const { connection, states, echo, untilDown, untilLive } = connectionTo({ host: proxy.host, port: proxy.port });
    await echo('a');
    proxy.stall('down');
    expect(await outcomeOf(echo('b'))).toBe('CACHE_TIER_TIMEOUT');
    await untilDown();
    expect(await outcomeOf(echo('c'))).toBe('CACHE_TIER_UNAVAILABLE');
    const pinging = connection.ping();
    proxy.resume();
    await untilLive();
    expect(await echo('d')).toBe('d');
    expect(await pinging).toBe(true);
    expect(states).toEqual(['live']);
    expect(proxy.opened).toBe(1);
  });

  it('keeps the connection to a server that always answers later than the deadline, and does not use it', async () => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const { states, echo, untilDown } = connectionTo({ host: proxy.host, port: proxy.port });
    await echo('a');
    const probesSoFar = async (): Promise<number> =>
      Number(/cmdstat_ping:calls=(\d+)/.exec(String(await server.command('INFO', 'commandstats')))?.[1]);
    const probesBefore = await probesSoFar();
    proxy.delay(400 / 2);
    expect(await outcomeOf(echo('b'))).toBe('CACHE_TIER_TIMEOUT');
    await untilDown();
    await vi.waitUntil(async () => (await probesSoFar()) >= probesBefore + 4, { timeout: 20_000 });
    expect(proxy.opened).toBe(1);
    expect(states).toEqual(['live', 'down: timeout']);
  });

  it('tolerates some timeouts of a server that still answers, but not many in succession', async () => {
    const proxy = await proxyTo(await ownRedis());
    const { connection, states, echo, untilLive } = connectionTo(
      { host: proxy.host, port: proxy.port },
      { heartbeatMs: 60_000 }, // a heartbeat would count as one of the timeouts
    );
    await echo('a');
    proxy.delay(240 / 2);
    const outcomes: string[] = [];
    let sent = 0;
    // Under steady traffic answers keep arriving, but each of them too late.
    for await (const _ of setInterval(10)) {
      if (!connection.isLive || ++sent > 300) {
        break;
      }
      if (sent === 50) {
        proxy.delay(340 / 2);
      }
      void outcomeOf(echo('a')).then((outcome) => outcomes.push(outcome));
    }
    await vi.waitUntil(() => states.length === 2, { timeout: 5000 });
    expect(states).toEqual(['live', 'down: timeout']);
    expect(outcomes.filter((outcome) => outcome === 'CACHE_TIER_TIMEOUT').length).toBeGreaterThanOrEqual(5);
    proxy.delay(0);
    await untilLive();
  });
});

it('RedisConnection gives up a connection that becomes silent during its setup, and opens another', async () => {
  const server = await ownRedis();
  const proxy = await proxyTo(server);
  let attempts = 0;
  const { connection, states, untilLive } = connectionForTest(
    { kind: 'single', connection: { host: proxy.host, port: proxy.port } },
    { commandTimeoutMs: 200 },
    {
      beforeLive: async (client) => {
        if (attempts++ === 0) {
          proxy.stall('down', { onlyExisting: true });
        }
        const commands = [['echo', 'what is to be replayed']] as const;
        await sendRequest(client, { commands, atomic: true, resultOf: requireAll });
      },
    },
  );
  await connection.connect();
  expect(states).toEqual(['down: timeout']);
  await untilLive();
  expect(attempts).toBe(2);
});

it('RedisConnection waits for a connection that keeps answering during its setup', async () => {
  const server = await ownRedis();
  const { connection, states } = connectionForTest(
    { kind: 'single', connection: { host: server.host, port: server.port } },
    { commandTimeoutMs: 1000 }, // on a busy machine each answer takes long
    {
      beforeLive: async (client) => {
        const startedAtMs = performance.now();
        while (performance.now() - startedAtMs < 2100) {
          await client.ping();
        }
      },
    },
  );
  await connection.connect();
  expect(states).toEqual(['live']);
});

describe.runIf(canMakeCertificates())('RedisConnection over TLS', () => {
  it('accepts the authority of the server, and names the reason without it', async () => {
    const server = await ownRedis({ tls: true });
    const address = { host: server.host, port: server.tlsPort! };
    const trusting = connectionTo({ ...address, tls: { ca: readFileSync(server.caFile!) } });
    expect(await trusting.echo('a')).toBe('a');
    const doubting = connectionTo({ ...address, tls: true });
    await doubting.connection.connect();
    expect(doubting.states).toEqual([expect.stringMatching(/^down: [A-Z_]*(CERT|SIGN|VERIFY)[A-Z_]*$/)]);
  });

  it.each(['a plain client to a TLS port', 'a TLS client to a plain port'])('rejects %s', async (_name) => {
    const server = await ownRedis({ tls: true });
    const isPlain = _name.startsWith('a plain');
    const target = isPlain ? { port: server.tlsPort! } : { port: server.port, tls: true };
    const { connection, states, echo } = connectionTo({ host: server.host, ...target });
    await connection.connect();
    expect(states).toEqual([expect.stringMatching(/^down: \S+$/)]);
    expect(await outcomeOf(echo('a'))).toBe('CACHE_TIER_UNAVAILABLE');
  });
});
