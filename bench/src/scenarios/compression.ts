import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { deflate, deflateSync } from 'node:zlib';
import { KeyvGzip } from '@keyv/compress-gzip';
import KeyvRedis from '@keyv/redis';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { HOUR_MS, openOurs } from '../contestants/two-tiers.js';
import { plainFigures, ratiosToFloor, takeTurns, type Named } from '../measure/rounds.js';
import { product } from '../support/values.js';
import type { Scenario } from './scenario.js';
import { withServer } from './with-server.js';

const deflateAsync = promisify(deflate);
const SETS_PER_TURN = 12;

interface Setter extends Named {
  readonly set: (value: object) => Promise<unknown>;
  readonly close: () => Promise<unknown>;
}

export const compression: Scenario = {
  id: 'compression',
  title: 'Compressing 100 KB of JSON',
  run: ({ seed, quick }) =>
    withServer(async (server) => {
      const client = new Redis({ host: server.host, port: server.port });
      const texts = Array.from({ length: SETS_PER_TURN }, (_, id) => JSON.stringify(product(id, 100 * 1024)));
      const setters = await openSetters(server.port, client);
      const rounds = { rounds: quick ? 2 : 20, warmUpRounds: 3, seed };
      const samples = await takeTurns(setters, rounds, async ({ set }) => {
        await client.flushall();
        const values = texts.map((text) => JSON.parse(text) as object);
        const before = performance.eventLoopUtilization();
        const startedAtMs = performance.now();
        for (const value of values) {
          await set(value);
        }
        const time = performance.now() - startedAtMs;
        const { active } = performance.eventLoopUtilization(before);
        return {
          time,
          active,
          bytes: (await largestValueBytes(client)) / Math.max(...texts.map(({ length }) => length)),
        };
      });
      await Promise.all(setters.map(({ close }) => close()));
      client.disconnect();
      return [
        {
          id: 'compression-bytes',
          title: '100 KB of JSON: bytes in Redis',
          unit: 'x',
          note: 'ratio to the bytes of the JSON',
          figures: plainFigures(samples, 'bytes'),
          goal: { most: 0.4 },
        },
        {
          id: 'compression-loop',
          title: '100 KB of JSON: busy time of the event loop per set',
          unit: 'x',
          note: '1 is `set` of ioredis and `JSON.stringify`, without compression',
          figures: ratiosToFloor(samples, 'active'),
          goal: { most: 1.5 },
        },
        {
          id: 'compression-time',
          title: '100 KB of JSON: time per set',
          unit: 'x',
          note: '1 is `set` of ioredis and `JSON.stringify`, without compression',
          figures: ratiosToFloor(samples, 'time'),
        },
      ];
    }),
};

async function openSetters(port: number, client: Redis): Promise<Setter[]> {
  const ours = await openOurs(port);
  const plain = await openOurs(port, { compression: false, keyPrefix: 'plain' });
  const gzip = new KeyvRedis(`redis://127.0.0.1:${port}`);
  const keyv = new Keyv({ store: gzip, compression: new KeyvGzip(), ttl: HOUR_MS });
  const nothing = async () => {};
  const put = (bytes: string | Buffer) => client.set('value', bytes, 'PX', HOUR_MS);
  return [
    { name: 'ioredis, not compressed', role: 'floor', set: (value) => put(JSON.stringify(value)), close: nothing },
    {
      name: 'ioredis, deflate level 1 in the thread pool',
      role: 'peer',
      set: async (value) => put(await deflateAsync(JSON.stringify(value), { level: 1 })),
      close: nothing,
    },
    {
      name: 'ioredis, deflate level 1 in the event loop',
      role: 'peer',
      set: (value) => put(deflateSync(JSON.stringify(value), { level: 1 })),
      close: nothing,
    },
    {
      name: 'nestjs-distributed-cache',
      role: 'ours',
      set: (value) => ours.cache.set('value', value),
      close: ours.close,
    },
    {
      name: 'nestjs-distributed-cache, compression: false',
      role: 'peer',
      set: (value) => plain.cache.set('value', value),
      close: plain.close,
    },
    {
      // It compresses only text.
      name: 'keyv with @keyv/compress-gzip',
      role: 'peer',
      set: (value) => keyv.set('value', JSON.stringify(value)),
      close: () => gzip.disconnect(true),
    },
  ];
}

/** Each turn begins with an empty server, so the largest value is one that was set. */
async function largestValueBytes(client: Redis): Promise<number> {
  const [, keys] = await client.scan('0', 'COUNT', 1000);
  const sizes = await Promise.all(keys.map((key) => client.strlen(key)));
  return Math.max(...sizes);
}
