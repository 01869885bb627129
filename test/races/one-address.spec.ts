import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { untilInvalidation } from '../support/channel-for-test.js';
import { Haproxy } from '../support/haproxy.js';
import type { RedisServer } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';
import { ownRedis } from '../support/redis-for-test.js';
import { podAt, warm } from './pods.js';

const isLeftOut = !Haproxy.isThere && process.env['CI'] === undefined;
/**
 * Opens clients at a server with the ids that others had at another server until now, and some of the following ids.
 */
async function takeIds(server: RedisServer, upTo: number): Promise<void> {
  for (let id = 0; id < upTo + 20;) {
    const client = new Redis({ port: server.port, maxRetriesPerRequest: null });
    id = await client.client('ID');
    if (id < upTo - 40) {
      client.disconnect();
    } else {
      onTestFinished(() => client.disconnect());
    }
  }
}

describe.skipIf(isLeftOut)(
  `a master and its replica behind one address${isLeftOut ? ' (no haproxy here)' : ''}`,
  () => {
    it.each(['a replica of the new master', 'cut off from it'])(
      'no process keeps an old entry after a failover that leaves connections open; the old master is %s',
      async (what) => {
        const [master, replica] = [await ownRedis(), await ownRedis()];
        await replica.command('REPLICAOF', master.host, master.port);
        await untilTrue(async () => String(await master.command('INFO', 'replication')).includes('state=online'));
        const address = await Haproxy.start([master, replica]);
        onTestFinished(() => address.stop());
        const [a, b] = [await podAt(address.port), await podAt(address.port)];
        await takeIds(replica, Number(await master.command('CLIENT', 'ID')));
        await untilInvalidation(a.all, 'live');
        await untilInvalidation(b.all, 'live');
        await a.cache.set('key', 'v1');
        await warm(b);

        await replica.command('REPLICAOF', 'NO', 'ONE');
        await address.sendNewTo(1);
        if (what === 'a replica of the new master') {
          await master.command('REPLICAOF', replica.host, replica.port);
        } else {
          await master.command('REPLICAOF', '127.0.0.1', '1');
        }
        for (const pod of [a, b]) {
          await vi.waitFor(async () => expect(await pod.cache.set('mine', 1)).toBe(true), { timeout: 10_000 });
        }
        await vi.waitFor(async () => expect(await a.cache.set('key', 'v2')).toBe(true), { timeout: 10_000 });
        await untilInvalidation(b.all, 'live');
        await vi.waitFor(async () => expect(await b.cache.get('key')).toBe('v2'), { timeout: 5000 });
        for (let version = 3; version < 10; version++) {
          await warm(b);
          expect(await a.cache.set('key', `v${version}`)).toBe(true);
          await vi.waitFor(async () => expect(await b.cache.get('key')).toBe(`v${version}`), { timeout: 2000 });
        }
      },
      30_000,
    );
  },
);
