import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { ALERTS } from '../../libs/distributed-cache/monitoring/rules.js';
import {
  CacheConfig,
  DistributedCache,
  type DistributedCacheOptions,
} from '../../libs/distributed-cache/src/core/index.js';
import { registerCacheMetrics } from '../../libs/distributed-cache/src/metrics/prometheus/index.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.js';
import { PrometheusServer, ScrapedRegistry, until } from './prometheus-server.js';

/*
 * Each alert is made to happen: for each there is an application with a Redis of its own, which works at first, then has the
 * fault that the alert is for, and then works again. A real Prometheus scrapes them all.
 */

const RULES = fileURLToPath(new URL('../../libs/distributed-cache/prometheus/rules.yml', import.meta.url));
/** The times of the rules, shortened: a day becomes 20 seconds. */
const SHORT: Readonly<Record<string, string>> = {
  '5m': '5s',
  '10m': '8s',
  '15m': '5s',
  '30m': '15s',
  '1h': '6s',
  '1d': '20s',
};
/** How long the applications work before their faults begin: a rule looks back this far. */
const SOUND_MS = 28_000;
const PAUSE_MS = 40;

/** An application with one namespace, and what it does. */
interface App {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
  readonly cache: DistributedCache;
  /** The number of the present turn of the work. */
  turn: number;
  isBroken: boolean;
}

/** How an alert is made to happen. */
interface Happening {
  readonly options?: DistributedCacheOptions;
  readonly server?: RedisServerOptions;
  /** Of a user of Redis with all rights. */
  readonly user?: boolean;
  /** The work of one turn; by default a lookup that hits. */
  readonly work?: (app: App) => Promise<unknown>;
  readonly fault?: (app: App) => Promise<unknown> | void;
  readonly heal?: (app: App) => Promise<unknown> | void;
  /** Other alerts that are right to fire as well. */
  readonly also?: readonly string[];
}

const users = ({ cache }: App) => cache.getCache('users');
const hit = (app: App): Promise<unknown> => users(app).getOrSet('key', async () => 'value', { ttl: '1h' });
const NEVER = {
  '~standard': { version: 1, vendor: 'check', validate: () => ({ issues: [{ message: 'no' }] }) },
} as const;
const killed: Pick<Happening, 'fault' | 'heal'> = {
  fault: ({ server }) => server.killHard(),
  heal: ({ server }) => server.restart(),
};

export const HAPPENINGS: Readonly<Record<string, Happening>> = {
  CacheRedisUnavailable: killed,
  CacheRedisRefuses: {
    work: (app) => users(app).set('key', 'value'),
    fault: ({ server }) => server.command('CONFIG', 'SET', 'maxmemory', 1),
    heal: ({ server }) => server.command('CONFIG', 'SET', 'maxmemory', 0),
  },
  CacheInvalidationLost: {
    user: true,
    fault: async ({ server }) => {
      await server.command('ACL', 'SETUSER', 'app', 'resetchannels');
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
    heal: ({ server }) => server.command('ACL', 'SETUSER', 'app', '&*'),
  },
  CacheJournalGrowing: {
    ...killed,
    work: (app) => users(app).delete(app.isBroken ? `key:${app.turn}` : 'key'),
    also: ['CacheRedisUnavailable'],
  },
  CacheJournalOverflowed: {
    ...killed,
    work: (app) =>
      app.isBroken && app.turn % 50 === 0
        ? users(app).deleteMany(Array.from({ length: 10_100 }, (_, index) => `key:${app.turn}:${index}`))
        : hit(app),
    also: ['CacheRedisUnavailable', 'CacheJournalGrowing'],
  },
  CacheDiverged: {
    fault: async ({ proxy, server }) => {
      // The messages about the key arrive as messages about another one.
      proxy.filter((_link, lane, chunk) =>
        lane === 'down' && chunk.includes('__redis__:invalidate')
          ? Buffer.from(chunk.toString('latin1').replaceAll('cache:users:key', 'cache:users:kex'), 'latin1')
          : chunk,
      );
      await server.command('DEL', 'cache:users:key');
    },
    heal: ({ proxy }) => proxy.filter(undefined),
  },
  CacheHitRatioDropped: {
    work: (app) => users(app).getOrSet(app.isBroken ? `key:${app.turn}` : 'key', async () => 'value'),
  },
  CacheLoadErrors: {
    work: (app) =>
      users(app)
        .getOrSet(`key:${app.turn}`, () => (app.isBroken ? Promise.reject(new Error('no')) : Promise.resolve('value')))
        .catch(() => {}),
  },
  CacheLoaderSlow: {
    work: (app) => users(app).getOrSet(`key:${app.turn}`, () => sleep(app.isBroken ? 300 : 1, 'value')),
  },
  CacheStaleServed: {
    work: (app) =>
      users(app).getOrSet('key', () => (app.isBroken ? Promise.reject(new Error('no')) : Promise.resolve('value')), {
        ttl: '300ms',
        grace: '1h',
      }),
    also: ['CacheLoadErrors'],
  },
  CacheEvictingFresh: {
    options: { local: { maxEntries: 20 } },
    work: (app) => users(app).getOrSet(`key:${app.turn % (app.isBroken ? 300 : 10)}`, async () => 'value'),
    also: ['CacheHitRatioDropped'], // most keys are new at first
  },
  CacheSchemaMismatch: {
    options: { local: false },
    work: (app) => users(app).getOrSet('key', async () => 'value', app.isBroken ? { schema: NEVER } : {}),
    also: ['CacheHitRatioDropped'],
  },
};

/** @returns a line that says what was checked @throws Error that names the alerts that did not fire, or did when they should not */
export async function checkAlerts(): Promise<string> {
  const prometheus = new PrometheusServer();
  const apps: RunningApp[] = [];
  try {
    for (const { alert } of ALERTS) {
      apps.push(await RunningApp.start(alert));
    }
    const rules = join(prometheus.folder, 'rules.yml');
    writeFileSync(rules, shortened(readFileSync(RULES, 'utf8')));
    await prometheus.start(
      apps.map(({ alert, target }) => ({ name: alert, targets: [target] })),
      [rules],
    );
    /** The alerts that fire, by application. */
    const firing = async (): Promise<string[]> =>
      (await prometheus.alerts())
        .filter(({ state }) => state === 'firing')
        .map(({ labels }) => `${labels['alertname']} of the application for ${labels['job']}`);
    await sleep(SOUND_MS);
    await expectOnly(apps, firing, () => false);
    await Promise.all(apps.map((app) => app.break()));
    await until('every alert', async () => {
      const found = await firing();
      const missing = ALERTS.filter(({ alert }) => !found.includes(`${alert} of the application for ${alert}`));
      return missing.map(({ alert }) => alert).join(', ') || true;
    });
    await expectOnly(apps, firing, ({ alert, happening }, fired) => [alert, ...(happening.also ?? [])].includes(fired));
    await Promise.all(apps.map((app) => app.heal()));
    await until('the end of every alert', async () => (await firing()).join(', ') || true);
    return `${apps.length} alerts fire when their condition is made to happen, fire for no other application, and end with it`;
  } finally {
    await Promise.all(apps.map((app) => app.stop()));
    await prometheus.remove();
  }
}

async function expectOnly(
  apps: readonly RunningApp[],
  firing: () => Promise<string[]>,
  isRight: (app: RunningApp, fired: string) => boolean,
): Promise<void> {
  const right = new Set(
    apps.flatMap((app) =>
      ALERTS.filter(({ alert }) => isRight(app, alert)).map(
        ({ alert }) => `${alert} of the application for ${app.alert}`,
      ),
    ),
  );
  const wrong = (await firing()).filter((each) => !right.has(each));
  if (wrong.length > 0) {
    throw new Error(`alerts that should not fire: ${wrong.join(', ')}`);
  }
}

/** The rules with short times: in ranges, in offsets and in what they wait for. */
function shortened(rules: string): string {
  const short = (time: string): string => SHORT[time] ?? time;
  return rules
    .replaceAll(/\[(\w+)\]/g, (_, time: string) => `[${short(time)}]`)
    .replaceAll(/offset (\w+)/g, (_, time: string) => `offset ${short(time)}`)
    .replaceAll(/ for: [1-9]\w*/g, ' for: 1s')
    .replaceAll(/keep_firing_for: \w+/g, 'keep_firing_for: 1s');
}

/** An application that works in turns until it is stopped. */
class RunningApp {
  private isEnded = false;
  private working: Promise<void> | undefined;

  private constructor(
    readonly alert: string,
    readonly happening: Happening,
    private readonly app: App,
    private readonly scraped: ScrapedRegistry,
  ) {}

  static async start(alert: string): Promise<RunningApp> {
    const happening = HAPPENINGS[alert];
    if (happening === undefined) {
      throw new Error(`how ${alert} happens is not among the HAPPENINGS`);
    }
    const server = await RedisServer.start(happening.server);
    const proxy = await FaultProxy.start(server.port);
    if (happening.user === true) {
      await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all');
    }
    const user = happening.user === true ? { username: 'app', password: 'secret' } : {};
    const redis = { host: proxy.host, port: proxy.port, ...user };
    const cache = new DistributedCache(CacheConfig.resolve({ redis, ...happening.options }, {}));
    await cache.connect();
    const registry = new Registry();
    registerCacheMetrics(registry, cache);
    const app: App = { server, proxy, cache, turn: 0, isBroken: false };
    const running = new RunningApp(alert, happening, app, await ScrapedRegistry.start(registry));
    running.working = running.work();
    return running;
  }

  get target(): string {
    return this.scraped.target;
  }

  async break(): Promise<void> {
    this.app.isBroken = true;
    await this.happening.fault?.(this.app);
  }

  async heal(): Promise<void> {
    this.app.isBroken = false;
    await this.happening.heal?.(this.app);
  }

  async stop(): Promise<void> {
    this.isEnded = true;
    await this.working;
    this.scraped.close();
    await this.app.cache.close();
    await this.app.proxy.close();
    await this.app.server.stop();
  }

  private async work(): Promise<void> {
    const { work = hit } = this.happening;
    for (; !this.isEnded; this.app.turn++) {
      await work(this.app);
      await sleep(PAUSE_MS);
    }
  }
}
