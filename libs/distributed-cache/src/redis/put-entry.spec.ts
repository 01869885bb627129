import { Redis } from 'ioredis';
import { expect, it, onTestFinished, vi } from 'vitest';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { putEntry } from './entry-writes.js';
import { checkLine } from './line-check.js';

const keys = { valueKey: 'c:n:k', leaseKey: 'c:{c:n:k}:lease', fillKey: 'c:{c:n:k}:fill' };

/** The other way round, a load of before could store its value between the two and lose its lease too late. */
it('ends the load under way before it puts a value in place', async () => {
  const server = await RedisServer.start();
  const client = new Redis({ port: server.port, autoResendUnfulfilledCommands: false });
  await checkLine(client, async (each) => void (await each.ping())); // what it says as a greeting, a monitor that is just being opened would take for its own reply
  const watched = new Redis({ port: server.port });
  const monitor = await watched.monitor();
  onTestFinished(async () => {
    [client, watched, monitor].forEach((each) => each.disconnect());
    await server.stop();
  });
  const seen: string[] = [];
  monitor.on('monitor', (_time: string, [name, ...args]: string[]) => seen.push(`${name} ${args[0]}`.toLowerCase()));
  await putEntry(client, keys, { bytes: Buffer.from('value') }, 60_000);
  await vi.waitFor(() => expect(seen).toContain(`set ${keys.valueKey}`));
  expect(seen.filter((command) => command.includes('c:n:k'))).toEqual([`del ${keys.leaseKey}`, `set ${keys.valueKey}`]);
});
