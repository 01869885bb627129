import { plainFigures, ratiosToFloor, takeTurns, type Named, type Sample } from '../measure/rounds.js';
import type { HttpLoadOptions } from '../support/http-load.js';
import { RawLoad } from '../support/raw-load.js';
import { Worker } from '../support/workers.js';
import type { ResponseAnswer, ResponseMode, ResponseQuestion } from '../workers/response-server.js';
import type { RunOptions, Table } from './scenario.js';
import { withServer } from './with-server.js';

type Platform = 'express' | 'fastify';

/** One row: what answers, and what is asked of it. */
interface Row extends Named {
  readonly mode: ResponseMode;
  readonly route: string;
  readonly request?: HttpLoadOptions;
  /** Each request has a path of its own. */
  readonly isMiss?: boolean;
}

interface TableOfRows extends Pick<Table, 'id' | 'title' | 'note'> {
  readonly most: number | undefined;
  readonly rows: readonly Row[];
  readonly unit?: 'us';
}

const OURS = '@CachedResponse';
const PEER = '@nestjs/cache-manager';
const CONNECTIONS = 16;
const FLOOR = 'constant route, no cache';
const BR = { headers: { 'accept-encoding': 'br' } };
const KNOWN = { headers: { 'if-none-match': '*' }, status: 304 };

const floor = (mode: ResponseMode, route: string, more: Partial<Row> = {}): Row => ({
  name: FLOOR,
  role: 'floor',
  mode,
  route,
  ...more,
});
const ours = (mode: ResponseMode, route: string, more: Partial<Row> = {}): Row => ({
  name: OURS,
  role: 'ours',
  mode,
  route,
  ...more,
});
const peer = (name: string, mode: ResponseMode, route: string, more: Partial<Row> = {}): Row => ({
  name,
  role: 'peer',
  mode,
  route,
  ...more,
});

/** The goals are those of Fastify and of Express. */
function tablesOf(platform: Platform): TableOfRows[] {
  const isExpress = platform === 'express';
  const name = isExpress ? 'Express' : 'Fastify';
  const apicache = isExpress ? [peer('apicache, before the guards', 'apicache', 'products')] : [];
  const goal = (fastify: number, express: number): number => (isExpress ? express : fastify);
  return [
    {
      id: `responses-${platform}`,
      title: `${name}: processor time of the server per hit of a response of 1 KB`,
      note: '1 is the same route without a cache; the hit is sent after all guards',
      most: goal(0.75, 0.85),
      rows: [
        floor('constant', 'products'),
        ours('ours', 'products'),
        peer(PEER, 'CacheInterceptor', 'products'),
        ...apicache,
      ],
    },
    {
      id: `responses-${platform}-guarded`,
      title: `${name}: the same behind an async guard`,
      note: '1 is the same route without a cache',
      most: goal(0.8, 0.9),
      rows: [floor('constant', 'guarded'), ours('ours', 'guarded'), peer(PEER, 'CacheInterceptor', 'guarded')],
    },
    {
      id: `responses-${platform}-304`,
      title: `${name}: the same for a client that has the response (304)`,
      note: '1 is the same route without a cache, which sends the whole response',
      most: goal(0.7, 0.8),
      rows: [
        floor('constant', 'products'),
        ours('ours', 'products', { request: KNOWN }),
        ...(isExpress
          ? [peer("the route without a cache, Express's own 304", 'constant', 'products', { request: KNOWN })]
          : []),
      ],
    },
    {
      id: `responses-${platform}-br`,
      title: `${name}: processor time of the server per hit of 9 KB, compression plugin, client accepts br`,
      note: '1 is the same route without a cache, with the plugin',
      most: goal(0.12, 0.3),
      rows: [
        floor('constant, compressed', 'large', { request: BR }),
        ours('ours, compressed', 'large', { request: BR }),
        peer(PEER, 'CacheInterceptor, compressed', 'large', { request: BR }),
      ],
    },
    {
      id: `responses-${platform}-redis`,
      title: `${name}: processor time of the server per hit in Redis, 1 KB`,
      note: '1 is the same route without a cache; the caches keep nothing in memory',
      most: 1.3,
      rows: [
        floor('constant', 'products'),
        ours('ours, in Redis', 'products'),
        peer(PEER, 'CacheInterceptor, in Redis', 'products'),
      ],
    },
    {
      id: `responses-${platform}-miss`,
      title: `${name}: processor time of the server per miss, 1 KB`,
      note: 'the response is stored in memory and in Redis; the goal is 1.5 times the route without a cache, and 20 us',
      most: undefined,
      unit: 'us',
      rows: [
        floor('constant', 'products', { isMiss: true }),
        ours('ours', 'products', { isMiss: true }),
        peer(PEER, 'CacheInterceptor', 'products', { isMiss: true }),
        peer(`${PEER}, in Redis`, 'CacheInterceptor, in Redis', 'products', { isMiss: true }),
      ],
    },
  ];
}

/** The processor time of `@CachedResponse`: see docs/performance.md. */
export async function responseTables(platform: Platform, options: RunOptions): Promise<Table[]> {
  return withServer(async (redis) => {
    const servers = new Servers(redis.port, platform);
    try {
      const tables: Table[] = [];
      for (const table of tablesOf(platform)) {
        tables.push(await measure(table, servers, options));
      }
      return tables;
    } finally {
      await servers.stop();
    }
  });
}

/** The servers of one platform: one process for each mode, started when it is needed. */
class Servers {
  private readonly workers = new Map<ResponseMode, Worker>();

  constructor(
    private readonly redisPort: number,
    private readonly platform: Platform,
  ) {}

  of(mode: ResponseMode): Worker {
    const worker =
      this.workers.get(mode) ?? new Worker('workers/response-server.js', [String(this.redisPort), this.platform, mode]);
    this.workers.set(mode, worker);
    return worker;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.workers.values()].map((worker) => worker.stop()));
  }
}

async function measure(table: TableOfRows, servers: Servers, { seed, quick }: RunOptions): Promise<Table> {
  const { rows, most, unit, ...rest } = table;
  const requests = quick ? 200 : 3000;
  const loads = new Map<Row, RawLoad>();
  let lastId = 0;
  for (const row of rows) {
    const { port } = await servers.of(row.mode).ask<ResponseAnswer>({ task: 'port' } satisfies ResponseQuestion);
    loads.set(row, new RawLoad(port, CONNECTIONS, row.request));
  }
  const options = { rounds: quick ? 2 : 9, warmUpRounds: quick ? 1 : 4, seed };
  const samples = await takeTurns(rows, options, async (row): Promise<Sample> => {
    const server = servers.of(row.mode);
    const paths = Array.from({ length: requests }, (_, at) =>
      row.route === 'large' ? '/large' : `/${row.route}/${row.isMiss === true ? 1000 + lastId++ : (at * 37) % 100}`,
    );
    await server.ask<ResponseAnswer>({ task: 'begin' } satisfies ResponseQuestion);
    await loads.get(row)?.run(paths);
    const { cpuMicroseconds } = await server.ask<ResponseAnswer>({ task: 'end' } satisfies ResponseQuestion);
    return { cpu: cpuMicroseconds / requests };
  });
  loads.forEach((load) => load.close());
  const figures = unit === 'us' ? plainFigures(samples, 'cpu') : ratiosToFloor(samples, 'cpu');
  return { ...rest, unit: unit ?? 'x', figures, ...(most !== undefined && { goal: { most } }) };
}
