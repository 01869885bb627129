import { describe, expect, it, vi } from 'vitest';
import { Gate } from '../support/gate.js';
import type { LaneName } from '../support/faulty-link.js';
import { podAt, untilUp, type Pod } from './pods.js';
import type { RedisServer } from '../support/redis-server.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';

/** Less than the deadline of a process in a test, so that the answer counts. */
const DELAY_MS = 400;

/** The answer to `TIME`: seconds and microseconds. */
const TIME_REPLY = /\*2\r\n\$10\r\n(\d{10})\r\n\$\d\r\n(\d{1,6})\r\n/;

/**
 * A process whose first `TIME` command takes long on the way to the server (`up`) or back (`down`), by the clocks of
 * both: its estimate of the server's time is wrong by half of that, ahead or behind. Further `TIME` commands are
 * refused.
 */
async function podWithLate(server: RedisServer, late: LaneName): Promise<Pod> {
  const proxy = await proxyTo(server);
  let aheadMs = 0;
  proxy.filter((_link, lane, chunk) => {
    const reply = chunk.toString('latin1');
    if (lane === 'up' || !TIME_REPLY.test(reply)) {
      return chunk;
    }
    if (aheadMs > 0) {
      return Buffer.from(reply.replace(TIME_REPLY, '-NOPERM\r\n'), 'latin1');
    }
    aheadMs = DELAY_MS;
    return late === 'up' ? chunk : Buffer.from(reply.replace(TIME_REPLY, readEarlier), 'latin1');
  });
  const clock = { nowMs: () => performance.timeOrigin + performance.now() + aheadMs };
  const pod = await podAt(proxy.port, {}, { clock });
  await untilUp(pod);
  expect(aheadMs).toBe(DELAY_MS);
  return pod;
}

/** The server has read its clock before the delay, not after it. */
function readEarlier(_reply: string, seconds: string, microseconds: string): string {
  const atMicros = Number(seconds) * 1e6 + Number(microseconds) - DELAY_MS * 1000;
  const rest = String(atMicros % 1e6);
  return `*2\r\n$10\r\n${Math.floor(atMicros / 1e6)}\r\n$${rest.length}\r\n${rest}\r\n`;
}

describe('a tag that a loader adds', () => {
  it.each([
    ['loads', 'up'],
    ['invalidates', 'down'],
  ] as const)(
    'keeps the result out of every tier if it was invalidated, with a wrong clock in the process that %s',
    async (role, late) => {
      const server = await ownRedis();
      const [inexact, exact] = [await podWithLate(server, late), await podAt(server.port)];
      const [loader, other] = role === 'loads' ? [inexact, exact] : [exact, inexact];
      await untilUp(exact);
      const [started, gate] = [new Gate(), new Gate()];
      const loading = loader.cache.getOrSet('key', async (context) => {
        started.open();
        await gate.opened;
        context.addTags('team');
        return 'old';
      });
      await started.opened;
      await other.cache.invalidateTags('team');
      gate.open();
      expect(await loading).toBe('old');
      expect([await loader.cache.get('key'), await other.cache.get('key')]).toEqual([undefined, undefined]);
    },
  );

  it('keeps the result of a load that began after the same process had invalidated the tag', async () => {
    const server = await ownRedis();
    const pod = await podWithLate(server, 'up');
    await pod.cache.invalidateTags('team');
    const load = vi.fn(async (context: { addTags(tag: string): void }) => {
      context.addTags('team');
      return 'new';
    });
    await pod.cache.getOrSet('key', load);
    await pod.cache.getOrSet('key', load);
    expect(load).toHaveBeenCalledTimes(1);
  });
});
