import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { deflate, deflateSync } from 'node:zlib';
import { KeyvGzip } from '@keyv/compress-gzip';
import KeyvRedis from '@keyv/redis';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { HOUR_MS, openOurs } from '../contestants/two-tiers.js';
import { figureOf, plainFigures, ratiosToFloor, takeTurns, type Named } from '../measure/rounds.js';
import { ratiosByRound } from '../measure/statistics.js';
import { keysOf, product } from '../support/values.js';
import type { Scenario } from './scenario.js';
import { cpuAtOnce } from './turn.js';
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

/** Values just above the size from which they are compressed. Random text is the worst case: it hardly gets smaller. */
const SMALL_VALUES: readonly (readonly [name: string, make: (id: number) => object])[] = [
  ['1.2 KB of JSON', (id) => product(id, 1200)],
  ['2 KB of JSON', (id) => product(id, 2048)],
  ['1.2 KB of random text', (id) => ({ token: randomText(id, 1200) })],
  ['2 KB of random text', (id) => ({ token: randomText(id, 2048) })],
];

export const smallCompression: Scenario = {
  id: 'compression-small',
  title: 'Compressing 1 and 2 KB',
  run: ({ seed, quick }) =>
    withServer(async ({ port }) => {
      const keys = keysOf(quick ? 100 : 1000);
      const contestants = SMALL_VALUES.flatMap(([name, make]) => {
        const items = keys.map((key, id) => ({ key, value: make(id) }));
        return [true, false].map((isCompressed) => ({ name, role: 'ours' as const, items, isCompressed }));
      });
      const rounds = { rounds: quick ? 2 : 20, warmUpRounds: quick ? 0 : 3, seed };
      const samples = await takeTurns(contestants, rounds, async ({ items, isCompressed }) => {
        const options = {
          keyPrefix: `small-${isCompressed}`,
          ...(isCompressed ? {} : { compression: false as const }),
        };
        const measured = async (call: string, each: readonly unknown[]) => {
          const { cache, close } = await openOurs(port, options);
          const cpu = await cpuAtOnce({ name: call, role: 'ours', call, scope: { cache } }, each);
          await close();
          return cpu;
        };
        return {
          set: await measured('cache.set(key.key, key.value)', items),
          read: await measured('cache.get(key)', keys),
        };
      });
      const tableOf = (measure: 'set' | 'read', title: string) => {
        const figures = SMALL_VALUES.map(([name]) => {
          const [compressed = [], plain = []] = [true, false].map((isCompressed) =>
            [...samples]
              .filter(([contestant]) => contestant.name === name && contestant.isCompressed === isCompressed)
              .flatMap(([, own]) => own.map((sample) => sample[measure] ?? Number.NaN)),
          );
          return figureOf({ name, role: 'ours' }, ratiosByRound(compressed, plain));
        });
        const note = 'processor time per call, 100 at once; 1 is the same call with `compression: false`';
        return { id: `compression-small-${measure}`, title, unit: 'x', note, figures };
      };
      return [
        tableOf('set', 'set of a small value that is compressed'),
        tableOf('read', 'L2 hit of a small value that is compressed'),
      ];
    }),
};

function randomText(id: number, length: number): string {
  let text = '';
  while (text.length < length) {
    text += createHash('sha512').update(`${id} ${text.length}`).digest('base64');
  }
  return text.slice(0, length);
}
