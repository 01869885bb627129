import { once } from 'node:events';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { reconnectNow } from './redis-client.js';

const MINUTE_MS = 60_000;

it('reconnectNow connects a client that waits for its retry, and does not touch one that is connected', async () => {
  const server = await RedisServer.start();
  const client = new Redis({ port: server.port, retryStrategy: () => MINUTE_MS });
  client.on('error', () => {});
  onTestFinished(async () => {
    client.disconnect();
    await server.stop();
  });
  await once(client, 'ready');
  const reconnecting = once(client, 'reconnecting');
  await server.killHard();
  await reconnecting;
  await server.restart();
  reconnectNow(client);
  await once(client, 'ready');
  reconnectNow(client);
  expect(await client.ping()).toBe('PONG');
});
