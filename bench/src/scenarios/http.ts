import { setTimeout as wait } from 'node:timers/promises';
import { plainFigures, ratiosToFloor, takeTurns, type Named, type Sample } from '../measure/rounds.js';
import { HttpLoad } from '../support/http-load.js';
import { Worker } from '../support/workers.js';
import type { HttpAnswer, HttpKeys, HttpMode, HttpPlatform, HttpQuestion } from '../workers/http-server.js';
import { responseTables } from './responses.js';
import type { RunOptions, Scenario, Table } from './scenario.js';
import { withServer } from './with-server.js';

interface Server extends Named {
  readonly worker: Worker;
  readonly load: HttpLoad;
}

/** By mode, from all processes that ran in it. */
type Samples = Map<Named, Sample[]>;

const OURS: HttpMode = 'CacheMetricsInterceptor';
const MODES: readonly HttpMode[] = ['empty interceptor', 'bare', OURS, '@nestjs/cache-manager'];
const CONNECTIONS = 4;
/** Two processes of one program differ by up to a seventh from their start to their end. */
const PROCESSES = 3;
/** 100 KB each: 10 MB per second. */
const LARGE_PER_SECOND = 100;
/** The delay that the machine causes in an idle process. */
const IDLE = 'bare, without a request';

export const http: Scenario = {
  id: 'http',
  title: 'HTTP: the cost of @CachedResponse and of CacheMetricsInterceptor',
  run: async (options) => {
    const tables: Table[] = [];
    const platforms: readonly HttpPlatform[] = options.quick ? ['fastify'] : ['express', 'fastify'];
    for (const platform of platforms) {
      tables.push(...(await responseTables(platform, options)));
    }
    for (const platform of platforms) {
      tables.push(await measureCpu(platform, 'own', options), await measureCpu(platform, 'default', options));
      tables.push(...(await measureDelay(platform, options)));
    }
    return tables;
  },
};

async function measureCpu(platform: HttpPlatform, keys: HttpKeys, { seed, quick }: RunOptions): Promise<Table> {
  const samples: Samples = new Map();
  const paths = pathsOf('products', quick ? 200 : 400, 500);
  const options = { rounds: quick ? 2 : 6, warmUpRounds: quick ? 1 : 4 };
  for (let process = 0; process < (quick ? 1 : PROCESSES); process++) {
    await withServers(platform, keys, async (servers) =>
      collect(
        samples,
        await takeTurns(servers, { ...options, seed: seed + process }, (server) => flood(server, paths)),
      ),
    );
  }
  const key = keys === 'own' ? 'its own `key`, as in the demo' : 'the default key';
  return {
    id: keys === 'own' ? `http-${platform}` : `http-${platform}-default-key`,
    title: `${nameOf(platform)}: processor time of the server per request, 1 KB from L1, ${key}`,
    unit: 'x',
    note: '1 is the same route with an interceptor that does nothing; bare: without an interceptor',
    figures: ratiosToFloor(samples, 'cpu'),
    goal: { most: 1.1 },
  };
}

async function measureDelay(platform: HttpPlatform, { seed, quick }: RunOptions): Promise<Table[]> {
  const [steady, flooded]: [Samples, Samples] = [new Map(), new Map()];
  const paths = pathsOf('large', quick ? 20 : 100, quick ? 5 : 50);
  const options = { rounds: quick ? 1 : 4, seed };
  await withServers(platform, 'own', async (servers) => {
    const warmUpRounds = quick ? 1 : 3;
    collect(flooded, await takeTurns(servers, { ...options, warmUpRounds }, (server) => flood(server, paths)));
    const bare = servers.find(({ name }) => name === 'bare');
    const idle: Server[] = bare === undefined ? [] : [{ ...bare, name: IDLE }];
    collect(steady, await takeTurns([...servers, ...idle], options, (server) => requestSteadilyOrWait(server, paths)));
  });
  const title = `${nameOf(platform)}: 99th percentile of the event-loop delay, 100 KB from L1`;
  return [
    {
      id: `http-${platform}-delay`,
      title: `${title}, ${LARGE_PER_SECOND} requests per second`,
      unit: 'ms',
      note: `requests at even intervals, whether or not earlier ones are answered, over ${CONNECTIONS} connections`,
      figures: plainFigures(steady, 'delay'),
      goal: { most: 5 },
    },
    {
      id: `http-${platform}-delay-flooded`,
      title: `${title}, without a pause`,
      unit: 'ms',
      note: `${CONNECTIONS} connections without a pause between requests: the server is never idle, so the delay is the time of ${CONNECTIONS} answers`,
      figures: plainFigures(flooded, 'delay'),
    },
  ];
}

/** Starts a server of each mode on one platform, and stops them when `work` has ended. */
async function withServers(
  platform: HttpPlatform,
  keys: HttpKeys,
  work: (servers: readonly Server[]) => Promise<void>,
): Promise<void> {
  await withServer(async (redis) => {
    const servers: Server[] = [];
    try {
      for (const mode of MODES) {
        const worker = new Worker('workers/http-server.js', [String(redis.port), platform, keys, mode]);
        const { port } = await worker.ask<HttpAnswer>({ task: 'port' } satisfies HttpQuestion);
        servers.push({ name: mode, role: roleOf(mode), worker, load: new HttpLoad(port, CONNECTIONS) });
      }
      await work(servers);
    } finally {
      servers.forEach(({ load }) => load.close());
      await Promise.all(servers.map(({ worker }) => worker.stop()));
    }
  });
}

function flood(server: Server, paths: readonly string[]): Promise<Sample> {
  return turn(server, paths, () => server.load.run(paths));
}

function requestSteadilyOrWait(server: Server, paths: readonly string[]): Promise<Sample> {
  return turn(server, paths, () =>
    server.name === IDLE
      ? wait((paths.length * 1000) / LARGE_PER_SECOND)
      : server.load.runSteadily(paths, LARGE_PER_SECOND),
  );
}

async function turn({ worker }: Server, paths: readonly string[], load: () => Promise<void>): Promise<Sample> {
  await worker.ask<HttpAnswer>({ task: 'begin' } satisfies HttpQuestion);
  await load();
  const { cpuMicroseconds, loopDelayP99Ms } = await worker.ask<HttpAnswer>({ task: 'end' } satisfies HttpQuestion);
  return { cpu: cpuMicroseconds / paths.length, delay: loopDelayP99Ms };
}

function collect(all: Samples, those: ReadonlyMap<Server, readonly Sample[]>): void {
  for (const [server, samples] of those) {
    const contestant = [...all.keys()].find(({ name }) => name === server.name) ?? server;
    all.set(contestant, [...(all.get(contestant) ?? []), ...samples]);
  }
}

function roleOf(mode: HttpMode): Named['role'] {
  return mode === 'empty interceptor' ? 'floor' : mode === OURS ? 'ours' : 'peer';
}

function nameOf(platform: HttpPlatform): string {
  return platform === 'express' ? 'Express' : 'Fastify';
}

function pathsOf(route: string, count: number, different: number): string[] {
  return Array.from({ length: count }, (_, at) => `/${route}/${(at * 37) % different}`);
}
