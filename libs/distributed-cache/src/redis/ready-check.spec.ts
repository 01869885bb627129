import { once } from 'node:events';
import { Command, Redis } from 'ioredis';
import { Redis as Redis6 } from 'ioredis6';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import { checkDirect } from './ready-check.js';
import type { RedisClient } from './redis-client.js';
import { isDirect } from './send.js';

const OWN = {
  lazyConnect: true,
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: false,
  retryStrategy: () => null,
};

const ping = async (client: Redis): Promise<void> => void (await client.ping());

async function isDirectAfterCheck(client: RedisClient, pingAfter = ping): Promise<boolean> {
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  await client.connect();
  await checkDirect(client, pingAfter);
  return isDirect(client);
}

/** Returns a client that first passes each command to this function; a returned value replaces the sending. */
function withHandler(handle: (command: unknown) => unknown): Redis {
  const client = new Redis(redisForTest().url, OWN);
  const send = client.sendCommand.bind(client);
  client.sendCommand = (...args) => handle(args[0]) ?? send(...args);
  return client;
}

describe('commands are sent directly on a client', () => {
  it('after its check has shown that the client answers commands in wire form, and not before', async () => {
    const client = new Redis(redisForTest().url, OWN);
    expect(isDirect(client)).toBe(false);
    expect(await isDirectAfterCheck(client)).toBe(true);
  });

  it('where the server refuses the command of the check', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-ping');
    const client = new Redis(server.url, { ...OWN, username: 'app', password: 'secret' });
    expect(await isDirectAfterCheck(client, async (each) => void (await each.time()))).toBe(true);
  });

  it.each([{ autoResendUnfulfilledCommands: true }, { enableAutoPipelining: true }, { keyPrefix: 'mine:' }])(
    'except with %j',
    async (options) => {
      expect(await isDirectAfterCheck(new Redis(redisForTest().url, { ...OWN, ...options }))).toBe(false);
    },
  );

  it('except if the client is of ioredis 6, whose commands have one more method', async () => {
    const client = new Redis6(redisForTest().url, { ...OWN, protocol: 2 });
    expect(await isDirectAfterCheck(client as unknown as Redis)).toBe(false);
  });

  it.each<[what: string, handle: (command: unknown) => unknown]>([
    ['calls a method that commands in wire form lack', (command) => void (command as Command).getKeys()],
    [
      'never answers what is not a command of its own',
      (c) => (c instanceof Command ? undefined : new Promise(() => {})),
    ],
    ['answers something else', (command) => (command instanceof Command ? undefined : Promise.resolve({}))],
  ])('except if the client %s', async (_what, handle) => {
    const client = withHandler(handle);
    expect(await isDirectAfterCheck(client)).toBe(false);
    expect(await client.ping()).toBe('PONG');
  });

  it('only if its connection outlasts the check: otherwise the check runs again on the next one', async () => {
    const client = new Redis(redisForTest().url, { ...OWN, retryStrategy: () => 1 });
    client.on('error', () => {});
    onTestFinished(() => client.disconnect());
    await client.connect();
    const lost = checkDirect(client, async (each) => {
      each.stream.destroy();
      await ping(each);
    });
    await expect(lost).rejects.toThrow(/closed|writeable/);
    expect(isDirect(client)).toBe(false);
    await once(client, 'ready');
    await checkDirect(client, ping);
    expect(isDirect(client)).toBe(true);
  });
});
