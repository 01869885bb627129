import { plainFigures, ratiosToFloor, takeTurns, type Named, type Sample } from '../measure/rounds.js';
import { HttpLoad } from '../support/http-load.js';
import { Worker } from '../support/workers.js';
import type { HttpAnswer, HttpMode, HttpQuestion } from '../workers/http-server.js';
import type { RunOptions, Scenario, Table } from './scenario.js';
import { withServer } from './with-server.js';

type Platform = 'express' | 'fastify';

interface Server extends Named {
  readonly worker: Worker;
  readonly load: HttpLoad;
}

const OURS: HttpMode = 'CacheMetricsInterceptor';
const MODES: readonly HttpMode[] = ['empty interceptor', 'bare', OURS, '@nestjs/cache-manager'];
const CONNECTIONS = 4;

export const http: Scenario = {
  id: 'http',
  title: 'HTTP: what CacheMetricsInterceptor costs',
  run: async (options) => {
    const tables: Table[] = [];
    const platforms: readonly Platform[] = options.quick ? ['fastify'] : ['express', 'fastify'];
    for (const platform of platforms) {
      tables.push(...(await withServer((redis) => measurePlatform(platform, redis.port, options))));
    }
    return tables;
  },
};

async function measurePlatform(platform: Platform, redisPort: number, options: RunOptions): Promise<Table[]> {
  const workers: Worker[] = [];
  const loads: HttpLoad[] = [];
  try {
    const servers: Server[] = [];
    for (const mode of MODES) {
      const worker = new Worker('workers/http-server.js', [String(redisPort), platform, mode]);
      workers.push(worker);
      const { port } = await worker.ask<HttpAnswer>({ task: 'where' });
      const load = new HttpLoad(port, CONNECTIONS);
      loads.push(load);
      servers.push({ name: mode, role: roleOf(mode), worker, load });
    }
    const { seed, quick } = options;
    const small = { rounds: quick ? 2 : 15, warmUpRounds: quick ? 1 : 3, seed };
    const large = { rounds: quick ? 1 : 5, warmUpRounds: 1, seed };
    return tablesOf(
      platform,
      await takeTurns(servers, small, (server) => turn(server, pathsOf('products', quick ? 200 : 1500, 500))),
      await takeTurns(servers, large, (server) => turn(server, pathsOf('large', quick ? 20 : 500, quick ? 5 : 50))),
    );
  } finally {
    loads.forEach((load) => load.close());
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

async function turn({ worker, load }: Server, paths: readonly string[]): Promise<Sample> {
  await worker.ask<HttpAnswer>({ task: 'begin' } satisfies HttpQuestion);
  await load.run(paths);
  const { cpuMicroseconds, loopDelayP99Ms } = await worker.ask<HttpAnswer>({ task: 'end' } satisfies HttpQuestion);
  return { cpu: cpuMicroseconds / paths.length, delay: loopDelayP99Ms };
}

function roleOf(mode: HttpMode): Named['role'] {
  return mode === 'empty interceptor' ? 'floor' : mode === OURS ? 'ours' : 'peer';
}

function pathsOf(route: string, count: number, different: number): string[] {
  return Array.from({ length: count }, (_, at) => `/${route}/${(at * 37) % different}`);
}

function tablesOf(
  platform: Platform,
  small: ReadonlyMap<Server, readonly Sample[]>,
  large: ReadonlyMap<Server, readonly Sample[]>,
): Table[] {
  const name = platform === 'express' ? 'Express' : 'Fastify';
  return [
    {
      id: `http-${platform}`,
      title: `${name}: processor time of the server per request, 1 KB from L1`,
      unit: 'x',
      note: '1 is the same route with an interceptor that does nothing; bare: with none',
      figures: ratiosToFloor(small, 'cpu'),
      goal: { most: 1.1 },
    },
    {
      id: `http-${platform}-delay`,
      title: `${name}: 99th percentile of the event-loop delay, 100 KB from L1`,
      unit: 'ms',
      note: `${CONNECTIONS} connections that ask without a pause`,
      figures: plainFigures(large, 'delay'),
      goal: { most: 5 },
    },
  ];
}
