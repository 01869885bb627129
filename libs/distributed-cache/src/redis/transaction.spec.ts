import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { checkLine } from './line-check.js';
import { destroySocketOf } from './redis-client.js';
import { transact } from './transaction.js';

/** A connection like ours (nothing is queued or sent twice), or one of the application's that pipelines by itself. */
async function connected(url: string, options = {}): Promise<Redis> {
  const client = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    ...options,
  });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  await client.connect();
  await checkLine(client, async (each) => void (await each.ping()));
  return client;
}

describe.each([
  ['a connection of ours', { autoResendUnfulfilledCommands: false }],
  ['a client that sends again what was cut off', {}],
  ['a client that pipelines by itself', { enableAutoPipelining: true }],
])('a transaction over %s', (_name, options) => {
  it('executes all commands and gives their answers in order', async () => {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url, options);
    const bytes = Buffer.from([0, 255, 10, 13]);
    expect(
      await transact(client, [
        ['set', `${keyPrefix}:a`, bytes, 'PX', 60_000],
        ['del', `${keyPrefix}:a`, `${keyPrefix}:b`],
        ['set', `${keyPrefix}:b`, bytes],
      ]),
    ).toEqual(['OK', 1, 'OK']);
    expect(await client.getBuffer(`${keyPrefix}:b`)).toEqual(bytes);
  });

  it('lets nothing that is sent in the same turn come between', async () => {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url, options);
    const key = `${keyPrefix}:counter`;
    const rounds = Array.from({ length: 50 }, () =>
      Promise.all([
        transact(client, [
          ['incr', key],
          ['incr', key],
        ]),
        client.incr(key),
      ]),
    );
    for (const [answers] of await Promise.all(rounds)) {
      expect(Number(answers[1])).toBe(Number(answers[0]) + 1);
    }
  });

  it('throws the reason when a command is refused, and executes none', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const client = await connected(server.url, options);
    await client.set('kept', 'x');
    await client.config('SET', 'maxmemory', '1');
    await expect(
      transact(client, [
        ['set', 'new', 'y'],
        ['del', 'kept'],
      ]),
    ).rejects.toThrow(/OOM|EXECABORT/);
    await client.config('SET', 'maxmemory', '0');
    expect(await client.get('kept')).toBe('x');
  });

  it('throws the first error among the answers', async () => {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url, options);
    await client.set(`${keyPrefix}:text`, 'x');
    await expect(
      transact(client, [
        ['incr', `${keyPrefix}:text`],
        ['get', `${keyPrefix}:text`],
      ]),
    ).rejects.toThrow('not an integer');
  });

  it('rejects, and leaves no rejection unhandled, on a connection that is lost', async () => {
    const server = await RedisServer.start();
    onTestFinished(() => server.stop());
    const client = await connected(server.url, options);
    server.freeze();
    const transacting = transact(client, [['set', 'key', 'x']]);
    await new Promise((resolve) => setImmediate(resolve)); // a client that pipelines by itself sends it only then
    destroySocketOf(client);
    await expect(transacting).rejects.toThrow(/closed/);
    await expect(transact(client, [['set', 'key', 'x']])).rejects.toThrow(/closed|writeable/);
  });
});

it('says OOM where the server is full, not that the transaction was discarded', async () => {
  const server = await RedisServer.start();
  onTestFinished(() => server.stop());
  const client = await connected(server.url, { autoResendUnfulfilledCommands: false });
  await client.config('SET', 'maxmemory', '1');
  await expect(transact(client, [['set', 'key', 'x']])).rejects.toThrow(/^OOM/);
});
