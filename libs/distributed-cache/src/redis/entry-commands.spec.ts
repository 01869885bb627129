import { Redis, type RedisOptions } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { RedisServer } from '../../../../test/support/redis-server.js';
import { TierReplyError } from '../errors/index.js';
import { checkDirect } from './ready-check.js';
import { dropEntries, fill, HOLD_OFF, put, replace } from './entry-commands.js';
import { acquire, acquireByScript, hasEnded, markEnded, release, renew } from './leases.js';
import { sendRequest, type Request } from './send.js';

const keys = { valueKey: 'c:n:k', leaseKey: 'c:{c:n:k}:lease', fillKey: 'c:{c:n:k}:fill' };
const [value, newer] = [Buffer.from('value'), Buffer.from('newer')];
const MINUTE_MS = 60_000;

async function serverWith(options: RedisOptions) {
  const server = await RedisServer.start();
  const client = new Redis({ port: server.port, ...options });
  const admin = new Redis({ port: server.port });
  onTestFinished(async () => {
    [client, admin].forEach((each) => each.disconnect());
    await server.stop();
  });
  // Its greeting arrives before a monitor is opened, which would take it for a reply of its own.
  await checkDirect(client, async (each) => void (await each.ping()));
  return { client, admin, send: <Result>(request: Request<Result>) => sendRequest(client, request) };
}

describe.each([
  ['sent directly', { autoResendUnfulfilledCommands: false }],
  ['sent by the methods of the client', { autoResendUnfulfilledCommands: true }],
  ['sent by a client that pipelines by itself', { enableAutoPipelining: true }],
])('the commands for an entry, %s,', (_name, options) => {
  const serverForTest = () => serverWith(options);

  /** In the opposite order, an earlier load could store its value between the two and lose its lease too late. */
  it('end the running load before they store a value', async () => {
    const { client, admin, send } = await serverForTest();
    const monitor = await admin.monitor();
    onTestFinished(() => monitor.disconnect());
    const seen: string[] = [];
    monitor.on('monitor', (_time: string, [name, ...args]: string[]) => seen.push(`${name} ${args[0]}`.toLowerCase()));
    await send(put(client, keys, { bytes: value }, MINUTE_MS));
    await vi.waitFor(() => expect(seen).toContain(`set ${keys.valueKey}`));
    expect(seen.filter((command) => command.includes('c:n:k'))).toEqual([
      `del ${keys.leaseKey}`,
      `set ${keys.valueKey}`,
    ]);
  });

  it('store a loaded value under its lease only, also on a server that has lost the scripts', async () => {
    const { client, admin, send } = await serverForTest();
    for (const script of ['unknown', 'known', 'forgotten']) {
      if (script === 'forgotten') {
        expect(await admin.info('errorstats')).not.toContain('NOSCRIPT'); // no round trip has been lost so far
        await admin.script('FLUSH');
      }
      await admin.set(keys.leaseKey, script);
      expect(await send(fill(client, keys, 'other', { bytes: newer }, MINUTE_MS))).toBe(false);
      expect(await send(fill(client, keys, script, { bytes: value }, MINUTE_MS))).toBe(true);
      expect(await send(fill(client, keys, script, { bytes: newer }, MINUTE_MS))).toBe(false);
      expect(await admin.get(keys.valueKey)).toBe('value');
      expect(await admin.keys('*')).toEqual([keys.valueKey]);
    }
  });

  it.each([
    ['by script', acquireByScript],
    ['without one', acquire],
  ])('take a free lease %s and read the value with it', async (_how, acquiring) => {
    const { client, admin, send } = await serverForTest();
    expect(await send(acquiring(client, keys, 'first', MINUTE_MS))).toEqual({
      owner: 'first',
      bytes: null,
      refusal: undefined,
    });
    await admin.set(keys.valueKey, 'value');
    expect(await send(acquiring(client, keys, 'second', MINUTE_MS))).toEqual({
      owner: 'first',
      bytes: value,
      refusal: undefined,
    });
  });

  it('read the value although a full Redis gives no lease', async () => {
    const { client, admin, send } = await serverForTest();
    await admin.set(keys.valueKey, 'value');
    await admin.config('SET', 'maxmemory', '1');
    expect(await send(acquireByScript(client, keys, 'token', MINUTE_MS))).toMatchObject({
      owner: undefined,
      bytes: value,
      refusal: expect.any(TierReplyError) as unknown,
    });
    expect(await dropEntries(client, [keys])).toEqual([true]);
    expect(await admin.exists(keys.valueKey)).toBe(0);
  });

  it('renew and release only the leases of their token', async () => {
    const { client, admin, send } = await serverForTest();
    const others = { ...keys, leaseKey: 'c:{c:n:k2}:lease' };
    await admin.mset(keys.leaseKey, 'mine', others.leaseKey, 'other');
    const loads = [
      { keys, token: 'mine' },
      { keys: others, token: 'mine' },
    ];
    expect(await send(renew(client, loads, MINUTE_MS))).toEqual([true, false]);
    expect(await admin.pttl(keys.leaseKey)).toBeGreaterThan(MINUTE_MS / 2);
    expect(await admin.pttl(others.leaseKey)).toBe(-1);
    await send(release(client, keys, 'mine'));
    await send(release(client, others, 'mine'));
    expect(await admin.mget(keys.leaseKey, others.leaseKey)).toEqual([null, 'other']);
  });

  it('replace a value that has not changed, and leave a changed one', async () => {
    const { client, admin, send } = await serverForTest();
    await admin.set(keys.valueKey, 'value');
    await send(replace(client, keys, newer, Buffer.from('wrong'), MINUTE_MS));
    expect(await admin.get(keys.valueKey)).toBe('value');
    await send(replace(client, keys, value, newer, MINUTE_MS));
    expect(await admin.get(keys.valueKey)).toBe('newer');
  });

  it('delete a value with its lease, and hold fills off', async () => {
    const { client, admin } = await serverForTest();
    await admin.mset(keys.valueKey, 'value', keys.leaseKey, 'token', keys.fillKey, 'staged');
    expect(await dropEntries(client, [keys, { ...keys, valueKey: 'none' }])).toEqual([true, false]);
    expect(await admin.keys('*')).toEqual([]);
    expect(await dropEntries(client, [keys], MINUTE_MS)).toEqual([false]);
    expect(await admin.get(keys.leaseKey)).toBe(HOLD_OFF);
  });

  it('mark a load that has ended without a value', async () => {
    const { send } = await serverForTest();
    expect(await send(hasEnded(keys))).toBe(false);
    await send(markEnded(keys));
    expect(await send(hasEnded(keys))).toBe(true);
  });
});

it('a lease is taken by script on a server before Redis 7.0, which has no SET with NX and GET', async () => {
  const { client, admin, send } = await serverWith({ autoResendUnfulfilledCommands: false });
  const sent = vi.spyOn(client, 'sendCommand').mockImplementation(function (this: Redis, command, stream) {
    if (command.name === 'set' && command.args.includes('GET')) {
      command.reject(Object.assign(new Error('ERR syntax error'), { name: 'ReplyError' }));
      return command.promise;
    }
    return Redis.prototype.sendCommand.call(this, command, stream);
  });
  for (const [token, owner] of [
    ['first', 'first'],
    ['second', 'first'],
  ] as const) {
    expect(await send(acquire(client, keys, token, MINUTE_MS))).toMatchObject({ owner, bytes: null });
  }
  expect(await admin.get(keys.leaseKey)).toBe('first');
  expect(sent.mock.calls.filter(([{ args }]) => args.includes('GET'))).toHaveLength(1);
});
