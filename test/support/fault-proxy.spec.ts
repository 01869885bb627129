import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { FaultProxy } from './fault-proxy.js';
import { redisForTest } from './redis-for-test.js';

/** A server that records its input and echoes it, a proxy before it, and a client before that. */
async function echoBehindProxy() {
  const received: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received.push(chunk.toString());
      socket.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await FaultProxy.start(portOf(server));
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return { proxy, received: () => received.join(''), server };
}

async function connect(proxy: FaultProxy) {
  const socket = createConnection({ host: proxy.host, port: proxy.port });
  onTestFinished(() => void socket.destroy());
  const answers: string[] = [];
  const failures: string[] = [];
  socket.on('data', (chunk) => answers.push(chunk.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => failures.push(error.code ?? error.message));
  await once(socket, 'connect');
  return { socket, answered: () => answers.join(''), failures };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

/** Writes chunk by chunk, so that the proxy receives many of them. */
async function writeCounting(socket: Socket, from: number, to: number): Promise<string> {
  let text = '';
  for (let count = from; count < to; count += 1) {
    text += `${count},`;
    socket.write(`${count},`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return text;
}

describe('FaultProxy', () => {
  it('passes on the traffic of a Redis client unchanged', async () => {
    const { port, keyPrefix } = redisForTest();
    const proxy = await FaultProxy.start(port);
    const client = new Redis({ host: proxy.host, port: proxy.port });
    onTestFinished(async () => {
      client.disconnect();
      await proxy.close();
    });
    await client.set(`${keyPrefix}:key`, 'x'.repeat(1_000_000), 'EX', 60);
    expect(await client.strlen(`${keyPrefix}:key`)).toBe(1_000_000);
    expect(proxy.connections).toBe(1);
    client.disconnect();
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
  });

  it('keeps bytes from the server while "up" is stalled and delivers them in order at the end', async () => {
    const { proxy, received } = await echoBehindProxy();
    const { socket, answered } = await connect(proxy);
    const before = await writeCounting(socket, 0, 20);
    await vi.waitFor(() => expect(answered()).toBe(before));
    proxy.stall('up');
    const during = await writeCounting(socket, 20, 60);
    expect(received()).toBe(before);
    proxy.resume();
    const after = await writeCounting(socket, 60, 80);
    await vi.waitFor(() => expect(answered()).toBe(before + during + after));
  });

  it('keeps answers from the client while "down" is stalled, although the server executes the commands', async () => {
    const { proxy, received } = await echoBehindProxy();
    const { socket, answered } = await connect(proxy);
    proxy.stall('down');
    const text = await writeCounting(socket, 0, 20);
    await vi.waitFor(() => expect(received()).toBe(text));
    expect(answered()).toBe('');
    proxy.resume();
    await vi.waitFor(() => expect(answered()).toBe(text));
  });

  it('stalls connections that are opened later, unless onlyExisting is set', async () => {
    const { proxy } = await echoBehindProxy();
    const old = await connect(proxy);
    proxy.stall('both', { onlyExisting: true });
    const healthy = await connect(proxy);
    old.socket.write('old');
    healthy.socket.write('healthy');
    await vi.waitFor(() => expect(healthy.answered()).toBe('healthy'));
    proxy.stall('both');
    const late = await connect(proxy);
    late.socket.write('late');
    healthy.socket.write(' again');
    proxy.resume();
    await vi.waitFor(() =>
      expect([old, healthy, late].map((each) => each.answered())).toEqual(['old', 'healthy again', 'late']),
    );
  });

  it('delays the end of a stream like any byte', async () => {
    const { proxy, server } = await echoBehindProxy();
    const ended = new Promise((resolve) => server.once('connection', (socket) => socket.once('end', resolve)));
    const { socket } = await connect(proxy);
    proxy.stall();
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
    expect(proxy.connections).toBe(1);
    proxy.resume();
    await ended;
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
  });

  it('keeps the order of bytes when a delay begins, becomes shorter and ends', async () => {
    const { proxy } = await echoBehindProxy();
    const { socket, answered } = await connect(proxy);
    let sent = await writeCounting(socket, 0, 20);
    proxy.delay(60_000);
    sent += await writeCounting(socket, 20, 40);
    proxy.delay(5);
    sent += await writeCounting(socket, 40, 60);
    proxy.delay(0);
    sent += await writeCounting(socket, 60, 80);
    await vi.waitFor(() => expect(answered()).toBe(sent));
  });

  it('delivers nothing before the delay is over', async () => {
    const { proxy } = await echoBehindProxy();
    const { socket, answered } = await connect(proxy);
    proxy.delay(50);
    const sentAtMs = performance.now();
    socket.write('hello');
    await vi.waitFor(() => expect(answered()).toBe('hello'));
    // A lower limit only: both directions wait, and a busy machine may add to it.
    expect(performance.now() - sentAtMs).toBeGreaterThanOrEqual(100);
  });

  it('resets every connection on cut() and serves new ones', async () => {
    const { proxy } = await echoBehindProxy();
    const clients = [await connect(proxy), await connect(proxy)];
    expect(proxy.connections).toBe(2);
    proxy.cut();
    await vi.waitFor(() => expect(clients.map(({ failures }) => failures)).toEqual([['ECONNRESET'], ['ECONNRESET']]));
    const next = await connect(proxy);
    next.socket.write('hello');
    await vi.waitFor(() => expect(next.answered()).toBe('hello'));
  });

  it('refuses new connections and keeps the open ones', async () => {
    const { proxy } = await echoBehindProxy();
    const open = await connect(proxy);
    await proxy.refuseNew(true);
    await expect(connect(proxy)).rejects.toThrow('ECONNREFUSED');
    open.socket.write('hello');
    await vi.waitFor(() => expect(open.answered()).toBe('hello'));
    await proxy.refuseNew(false);
    await connect(proxy);
  });

  it('drops the bytes of old and new connections in a black hole and resets the connections afterwards', async () => {
    const { proxy, received } = await echoBehindProxy();
    const old = await connect(proxy);
    proxy.blackhole();
    const late = await connect(proxy);
    old.socket.write('lost');
    late.socket.write('lost');
    const idle = await connect(proxy);
    await vi.waitFor(() => expect(proxy.connections).toBe(3));
    await expect.poll(() => old.socket.bytesWritten).toBe(4);
    proxy.resume();
    await vi.waitFor(() =>
      expect([late, idle].map(({ failures }) => failures)).toEqual([['ECONNRESET'], ['ECONNRESET']]),
    );
    expect([old, late].map((each) => each.answered())).toEqual(['', '']);
    expect(received()).toBe('');
  });

  it('directs new connections to another server after a redirection, and keeps open ones', async () => {
    const { proxy, received } = await echoBehindProxy();
    const other = await echoBehindProxy();
    const old = await connect(proxy);
    await expect.poll(() => proxy.connections).toBe(1);
    proxy.redirect(other.proxy.port);
    const late = await connect(proxy);
    old.socket.write('old');
    late.socket.write('late');
    await vi.waitFor(() => expect([received(), other.received()]).toEqual(['old', 'late']));
  });

  it('resets a client whose server has died', async () => {
    const { proxy, server } = await echoBehindProxy();
    server.close();
    // The reset may come before or just after the client's `connect` event.
    const socket = createConnection({ host: proxy.host, port: proxy.port });
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  });

  it('can be closed twice, also during a stall and a delay', async () => {
    const { proxy } = await echoBehindProxy();
    const { socket } = await connect(proxy);
    proxy.delay(60_000);
    proxy.stall();
    socket.write('never');
    await proxy.close();
    await proxy.close();
    expect(proxy.connections).toBe(0);
    await expect(connect(proxy)).rejects.toThrow('ECONNREFUSED');
  });
});
