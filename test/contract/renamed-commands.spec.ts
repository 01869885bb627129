import { describe, expect, it, vi } from 'vitest';
import { ownRedis } from '../support/redis-for-test.js';
import { podAt } from '../races/pods.js';

/** Commands that `rename-command` removes, and the message of health for each. */
const RENAMED: readonly (readonly [commands: readonly string[], status: string, message: RegExp | undefined])[] = [
  [['EVAL', 'EVALSHA'], 'degraded', /EVALSHA on cache:\* \(ERR\): no load is shared between processes/],
  [['EVAL'], 'degraded', /EVAL on cache:\* \(ERR\): no load is shared between processes/],
  [['EVALSHA'], 'degraded', /EVALSHA on cache:\*/],
  [['GET'], 'degraded', /GET on cache:\* \(ERR\): nothing is read from Redis/],
  [['DEL'], 'degraded', /DEL on cache:\* \(ERR\): no set and no deletion is acknowledged/],
  [['RENAME'], 'degraded', /RENAME on cache:\* \(ERR\): no load is stored in Redis/],
  [['PTTL'], 'degraded', /PTTL on cache:\* \(ERR\): what other programs have written is not read/],
  [['PUBLISH'], 'degraded', /invalidation is off: PUBLISH refused \(ERR\)/],
  [['SUBSCRIBE'], 'degraded', /invalidation is off: SUBSCRIBE refused \(ERR\)/],
  [['PING', 'SELECT', 'UNSUBSCRIBE', 'HELLO', 'COMMAND'], 'up', undefined],
  [['PEXPIRE'], 'degraded', /EVAL on cache:\* \(ERR\): no load is shared between processes/],
  [['TIME'], 'up', undefined],
  [['UNLINK'], 'up', undefined],
  [['MGET'], 'up', undefined],
  [['MULTI'], 'up', undefined],
  [['EXEC'], 'up', undefined],
  [['CLIENT'], 'up', undefined],
  [['SET'], 'degraded', /SET on cache:\* \(ERR\): nothing is stored in Redis/],
];

describe.each(RENAMED)('a Redis without %j', (commands, status, message) => {
  it('is used as far as possible, and no call waits for a lease that is never given back', async () => {
    const server = await ownRedis({ args: commands.flatMap((command) => ['--rename-command', command, '']) });
    const environment = { leaseMs: 600_000 }; // a remaining lease would delay the test
    const [podA, podB] = await Promise.all([podAt(server.port, {}, environment), podAt(server.port, {}, environment)]);
    await vi.waitFor(async () => {
      const health = await podA.all.healthCheck();
      expect(health).toMatchObject({ status, redisConnected: true });
      expect(message === undefined || message.test(health.message ?? '')).toBe(true);
    });
    const failing = podA.cache.getOrSet('key', async () => {
      throw new Error('no database');
    });
    await expect(failing).rejects.toThrow('no database');
    expect(await podB.cache.getOrSet('key', async () => 'value')).toBe('value');
    expect(await podA.cache.getOrSet('key', async () => 'value')).toBe('value');
    if (await podA.cache.set('set', 'new')) {
      expect(await podB.cache.get('set')).toBe('new');
    }
    await podA.cache.delete('set');
    await vi.waitFor(async () =>
      expect([await podA.cache.get('set'), await podB.cache.get('set')]).toEqual([undefined, undefined]),
    );
  });
});

describe('a user without INFO', () => {
  it('can connect', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'default', '-info');
    const { all } = await podAt(server.port);
    await vi.waitFor(async () => expect(await all.healthCheck()).toMatchObject({ status: 'up' }));
  });
});
