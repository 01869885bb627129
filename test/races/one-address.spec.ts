import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { untilInvalidation } from '../support/channel-for-test.js';
import { Haproxy } from '../support/haproxy.js';
import { untilTrue } from '../support/until-true.js';
import { ownRedis, podAt, warm } from './pods.js';

const isLeftOut = !Haproxy.isThere && process.env['CI'] === undefined;
describe.skipIf(isLeftOut)(
  `a master and its replica behind one address${isLeftOut ? ' (no haproxy here)' : ''}`,
  () => {
    it.each(['a replica of the new master', 'cut off from it'])(
      'leaves no process with an old copy after a failover that keeps old connections open; the old master is %s',
      async (what) => {
        const [master, replica] = [await ownRedis(), await ownRedis()];
        await replica.command('REPLICAOF', master.host, master.port);
        await untilTrue(async () => String(await master.command('INFO', 'replication')).includes('state=online'));
        const address = await Haproxy.start([master, replica]);
        onTestFinished(() => address.stop());
        // Whatever id a subscriber has at the old master, some other client has it at the new one.
        const strangers = Array.from(
          { length: 60 },
          () => new Redis({ port: replica.port, maxRetriesPerRequest: null }),
        );
        onTestFinished(() => strangers.forEach((stranger) => stranger.disconnect()));
        await Promise.all(strangers.map((stranger) => stranger.ping()));
        const [a, b] = [await podAt(address.port), await podAt(address.port)];
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
