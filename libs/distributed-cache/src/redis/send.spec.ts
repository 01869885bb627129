import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import { checkDirect } from './ready-check.js';
import { destroySocketOf } from './redis-client.js';
import { isDirect, probeTransactions, requireAll, sendRequest, senderOf, type Command, type Outcomes } from './send.js';

/**
 * A connection of the cache (which queues and sends nothing twice), or one of the application that pipelines its
 * commands.
 */
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
  await checkDirect(client, async (each) => void (await each.ping()));
  return client;
}

function send(client: Redis, commands: readonly Command[]): Promise<Outcomes> {
  return new Promise((resolve) => senderOf(client).execute(commands, {}, resolve));
}

function transact(client: Redis, commands: readonly Command[]): Promise<Outcomes> {
  return sendRequest(client, { commands, atomic: true, resultOf: requireAll });
}

const CLIENTS: [name: string, options: object, isSentDirectly: boolean][] = [
  ['a connection of ours', { autoResendUnfulfilledCommands: false }, true],
  ['a client that sends again what was cut off', {}, false],
  ['a client that pipelines by itself', { enableAutoPipelining: true }, false],
];

describe.each(CLIENTS)('commands over %s', (_name, options, isSentDirectly) => {
  it('are sent by the sender of their kind', async () => {
    expect(isDirect(await connected(redisForTest().url, options))).toBe(isSentDirectly);
  });

  it('are answered by Redis, each with its own reply, as bytes', async () => {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url, options);
    const bytes = Buffer.from([0, 13, 10, 255]);
    const outcomes = await send(client, [
      ['set', `${keyPrefix}:ключ`, bytes, 'PX', 60_000],
      ['get', `${keyPrefix}:ключ`],
      ['incr', `${keyPrefix}:ключ`],
      ['get', `${keyPrefix}:none`],
      ['pttl', `${keyPrefix}:none`],
    ]);
    expect(outcomes).toEqual([Buffer.from('OK'), bytes, expect.objectContaining({ name: 'ReplyError' }), null, -2]);
    expect(await send(client, [['get', `${keyPrefix}:ключ`]])).toEqual([bytes]);
  });

  it('are executed in the order in which they were sent', async () => {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url, options);
    const key = `${keyPrefix}:list`;
    const sent = Array.from({ length: 20 }, (_, index) => `${index}`);
    await Promise.all(sent.map((item) => send(client, [['rpush', key, item]])));
    expect(await client.lrange(key, 0, -1)).toEqual(sent);
  });

  it('fail when the connection ends before the reply', async () => {
    const { url } = redisForTest();
    const client = await connected(url, options);
    const sending = send(client, [
      ['get', 'key'],
      ['blpop', 'empty-list', 0],
    ]);
    await new Promise((resolve) => setImmediate(resolve)); // a pipelining client sends it only then
    client.disconnect();
    const [, outcome] = await sending;
    expect(String(outcome)).toMatch(/^\w*Error: .*connection (is closed|close)/i);
  });

  it('are followed, once they have failed, by the request that replaces them', async () => {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url, options);
    const key = `${keyPrefix}:text`;
    await client.set(key, 'text');
    const failures: string[] = [];
    const found = await sendRequest(client, {
      commands: [['incr', key]],
      resultOf: (outcomes) => String(requireAll(outcomes)[0]),
      insteadOf: ({ message }) => {
        failures.push(message);
        return { commands: [['get', key]], resultOf: (outcomes) => String(requireAll(outcomes)[0]) };
      },
    });
    expect(found).toBe('text');
    expect(failures).toEqual([expect.stringContaining('not an integer')]);
  });
});

describe.each(CLIENTS)('a transaction over %s', (_name, options, isSentDirectly) => {
  it('executes all commands and returns their answers in order', async () => {
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

  it('separates its commands from others that are sent in the same event loop turn', async () => {
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

  it('rejects with the reason when a command is refused, and executes none', async () => {
    const server = await ownRedis();
    const client = await connected(server.url, options);
    await client.set('kept', 'x');
    await client.config('SET', 'maxmemory', '1');
    await expect(
      transact(client, [
        ['set', 'new', 'y'],
        ['del', 'kept'],
      ]),
    ).rejects.toThrow(isSentDirectly ? /^OOM/ : /OOM|EXECABORT/); // the reason, not the discarded transaction
    await client.config('SET', 'maxmemory', '0');
    expect(await client.get('kept')).toBe('x');
  });

  it.each(['-multi', '-exec', '-@transaction'])(
    'is carried out command by command for a user with %s, again and again',
    async (right) => {
      const server = await ownRedis();
      const client = await connected(server.url, options);
      await server.command('ACL', 'SETUSER', 'default', right);
      await probeTransactions(client);
      for (let time = 1; time <= 3; time++) {
        expect(
          await transact(client, [
            ['incr', 'one'],
            ['incr', 'other'],
          ]),
        ).toEqual([time, time]);
        expect(await client.get('one')).toBe(String(time));
      }
    },
  );

  it('rejects with the first error among the answers', async () => {
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

  it('rejects on a connection that is lost, and leaves no unhandled rejection', async () => {
    const server = await ownRedis();
    const client = await connected(server.url, options);
    server.freeze();
    const transacting = transact(client, [['set', 'key', 'x']]);
    await new Promise((resolve) => setImmediate(resolve)); // a pipelining client sends it only then
    destroySocketOf(client);
    await expect(transacting).rejects.toThrow(/closed/);
    await expect(transact(client, [['set', 'key', 'x']])).rejects.toThrow(/closed|writeable/);
  });
});
