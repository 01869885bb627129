import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { connectionForTest, type ConnectionForTest } from '../../../../test/support/connection-for-test.js';
import type { FaultProxy } from '../../../../test/support/fault-proxy.js';
import { ownRedis, proxyTo } from '../../../../test/support/redis-for-test.js';

interface SentinelDouble {
  readonly port: number;
  /** The port of the master that it names. */
  master: number;
  /** The time that each of its answers takes, in milliseconds. */
  delayMs: number;
  /** How many clients wait for a message about a failover. */
  readonly subscribers: () => number;
  /** Tells them. */
  readonly announce: () => void;
}

/** A Sentinel that names the master that the test chooses, and announces a failover when the test says so. */
async function sentinelDouble(master: number): Promise<SentinelDouble> {
  const subscribers = new Set<Socket>();
  const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => subscribers.delete(socket));
    const answer = (text: string): void => void setTimeout(() => socket.write(text), double.delayMs);
    socket.on('data', (chunk) => {
      for (const command of String(chunk).toLowerCase().split('*').slice(1)) {
        if (command.includes('get-master-addr-by-name')) {
          answer(`*2\r\n${bulk('127.0.0.1')}${bulk(String(double.master))}`);
        } else if (command.includes('sentinels')) {
          answer('*0\r\n');
        } else if (command.includes('subscribe')) {
          subscribers.add(socket);
          answer(`*3\r\n${bulk('subscribe')}${bulk('+switch-master')}:1\r\n`);
        } else {
          answer('+OK\r\n');
        }
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const double: SentinelDouble = {
    port: (server.address() as AddressInfo).port,
    master,
    delayMs: 0,
    subscribers: () => subscribers.size,
    announce: () => {
      const message = `*3\r\n${bulk('message')}${bulk('+switch-master')}${bulk('main')}`;
      subscribers.forEach((socket) => socket.write(message));
    },
  };
  return double;
}

/** A master behind a proxy, a server that will take its place, and a connection by way of a Sentinel. */
async function failoverForTest(deadlineMs = 5000): Promise<{
  proxy: FaultProxy;
  sentinel: SentinelDouble;
  newPort: number;
  connection: ConnectionForTest['connection'];
  read: () => Promise<string | null>;
}> {
  const [former, next] = await Promise.all([ownRedis(), ownRedis()]);
  await former.command('SET', 'key', 'old');
  await next.command('SET', 'key', 'new');
  const proxy = await proxyTo(former);
  const sentinel = await sentinelDouble(proxy.port);
  const sentinels = [{ host: '127.0.0.1', port: sentinel.port }];
  const { connection } = connectionForTest(
    { kind: 'single', connection: { sentinels, name: 'main' } },
    { deadlineMs, heartbeatMs: 60_000 },
  );
  const read = (): Promise<string | null> => connection.run('GET', (client) => client.get('key'));
  return { proxy, sentinel, newPort: next.port, connection, read };
}

describe('a former master behind Sentinels that was frozen during the failover', () => {
  it('is not heard any more once the failover is announced', async () => {
    const { proxy, sentinel, newPort, connection, read } = await failoverForTest();
    await connection.connect();
    expect(await read()).toBe('old');
    await vi.waitFor(() => expect(sentinel.subscribers()).toBe(1));
    proxy.stall('down');
    const reading = read().catch(({ code }: { code: string }) => code);
    await vi.waitFor(() => expect(connection.isBusy).toBe(true));
    sentinel.master = newPort;
    sentinel.announce();
    await vi.waitFor(() => expect(sentinel.subscribers()).toBe(0)); // the client has received it
    proxy.resume();
    expect(await reading).toMatch(/^CACHE_TIER_(DISCONNECTED|UNAVAILABLE)$/);
    await vi.waitFor(async () => expect(await read()).toBe('new'));
  });

  it('is not used although it answers a connection that was opened before the failover', async () => {
    const { proxy, sentinel, newPort, connection, read } = await failoverForTest();
    proxy.stall('down');
    const connecting = connection.connect();
    await vi.waitFor(() => expect(proxy.opened).toBe(1));
    await vi.waitFor(() => expect(sentinel.subscribers()).toBe(1));
    sentinel.master = newPort; // the message about it is lost, or came before the subscription
    proxy.resume();
    await connecting;
    await vi.waitFor(() => expect(connection.isLive).toBe(true), { timeout: 5000 });
    expect(await read()).toBe('new');
    expect(proxy.opened).toBe(1);
  });

  it('is no reason to wait for Sentinels: a master is used although they answer later than the deadline', async () => {
    const { sentinel, connection, read } = await failoverForTest(100);
    sentinel.delayMs = 150;
    void connection.connect();
    await vi.waitFor(() => expect(connection.isLive).toBe(true), { timeout: 10_000 });
    expect(await read()).toBe('old');
  });
});
