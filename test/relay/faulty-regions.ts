import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AsyncCache, createDistributedCache, type DistributedCache } from 'nestjs-distributed-cache/core';
import { seededRandom } from '../chaos/seeded-random.js';
import { dieWithThisProcess } from '../support/child-guard.mjs';
import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';

/** How far apart the regions are, each way. */
const LINK_MS = 40;
/** After this time without a fault no entry of any region may differ from the source. */
const HEALED_MS = 3000;
const TAGS = 50;
/** Between two rounds of up to 20 deletions: long enough for a few dozen faults in the long run. */
const PAUSE_MS = 40;
const NAMES = ['eu', 'us'] as const;

export interface FaultySettings {
  readonly keys: number;
  readonly deletions: number;
  readonly purges: number;
  readonly seed: number;
}

interface RelayMessage {
  readonly event: 'relayApplied' | 'relayGap' | 'leads';
  readonly changes?: number;
  readonly lagMs?: number;
  readonly leads?: boolean;
}

/** A process that runs the relay of its region. */
class RelayProcess {
  leads = false;
  readonly child: ChildProcess;

  constructor(options: object, onMessage: (message: RelayMessage) => void) {
    this.child = fork(join(import.meta.dirname, 'relay-process.mjs'), [JSON.stringify(options)], {
      execArgv: [],
      env: { PATH: process.env['PATH'] },
    });
    dieWithThisProcess(this.child);
    this.child.on('message', (message: RelayMessage) => {
      this.leads = message.leads ?? this.leads;
      onMessage(message);
    });
  }

  async kill(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

/** A region: a Redis, two processes of an application, and two that run the relay. */
class FaultyRegion {
  readonly lags: number[] = [];
  applied = 0;
  gaps = 0;
  relays: RelayProcess[] = [];
  caches: DistributedCache[] = [];
  users: AsyncCache<number>[] = [];

  constructor(
    readonly name: string,
    readonly server: RedisServer,
    /** What the other region connects to. */
    readonly proxy: FaultProxy,
  ) {}

  static async start(name: string): Promise<FaultyRegion> {
    const server = await RedisServer.start();
    const proxy = await FaultProxy.start(server.port);
    proxy.delay(LINK_MS);
    const region = new FaultyRegion(name, server, proxy);
    const options = { region: name, keyPrefix: 'relay', redis: { url: server.url } };
    region.caches = await Promise.all([createDistributedCache(options), createDistributedCache(options)]);
    region.users = region.caches.map((cache) => cache.getCache<number>('users'));
    return region;
  }

  startRelay(other: FaultyRegion): void {
    const linkUrl = `redis://127.0.0.1:${other.proxy.port}`;
    const options = { region: this.name, keyPrefix: 'relay', url: this.server.url, link: other.name, linkUrl };
    this.relays.push(new RelayProcess(options, (message) => this.onMessage(message)));
  }

  get leader(): RelayProcess | undefined {
    return this.relays.find(({ leads }) => leads);
  }

  async killLeader(other: FaultyRegion): Promise<void> {
    const { leader } = this;
    if (leader !== undefined) {
      this.relays = this.relays.filter((relay) => relay !== leader);
      await leader.kill();
      this.startRelay(other);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.relays.map((relay) => relay.kill()));
    await Promise.all(this.caches.map((cache) => cache.close()));
    await this.proxy.close();
    await this.server.stop();
  }

  private onMessage({ event, changes = 0, lagMs = 0 }: RelayMessage): void {
    if (event === 'relayApplied') {
      this.applied += changes;
      this.lags.push(lagMs);
    } else if (event === 'relayGap') {
      this.gaps++;
    }
  }
}

/**
 * Two regions of four processes each, 40 ms apart, over one source of values. First a calm time, in which each change
 * must arrive exactly once; then deletions and purges of tags while links are cut and stalled, and relays and servers
 * are killed. Three seconds after the last fault every process must have what the source has.
 */
export async function faultyRegions(settings: FaultySettings): Promise<{ lines: string[]; complaints: string[] }> {
  const { keys: count, seed } = settings;
  const random = seededRandom(seed);
  const complaints: string[] = [];
  const [eu, us] = (await Promise.all(NAMES.map((name) => FaultyRegion.start(name)))) as [FaultyRegion, FaultyRegion];
  const regions = [eu, us];
  const keys = Array.from({ length: count }, (_, index) => `key${index}`);
  const versions = new Map(keys.map((key) => [key, 0]));
  const tagOf = (index: number): string => `tag${index % TAGS}`;
  const read = (cache: AsyncCache<number>, index: number): Promise<number> => {
    const key = keys[index] ?? '';
    return cache.getOrSet(key, async () => versions.get(key) ?? -1, { tags: [tagOf(index)] });
  };
  const any = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const change = async (region: FaultyRegion): Promise<void> => {
    const key = any(keys);
    versions.set(key, (versions.get(key) ?? 0) + 1);
    await any(region.users).delete(key);
  };
  const purge = async (region: FaultyRegion): Promise<void> => {
    const tag = Math.floor(random() * TAGS);
    keys.forEach((key, index) => index % TAGS === tag && versions.set(key, (versions.get(key) ?? 0) + 1));
    await any(region.users).invalidateTags(tagOf(tag));
  };
  try {
    for (const [region, other] of [regions, regions.toReversed()] as [FaultyRegion, FaultyRegion][]) {
      region.startRelay(other);
      region.startRelay(other);
    }
    await untilTrue(async () => regions.every(({ leader, gaps }) => leader !== undefined && gaps > 0));
    await Promise.all(
      regions.flatMap(({ users }) => users.flatMap((cache) => keys.map((_, index) => read(cache, index)))),
    );

    const calm = Math.min(200, settings.deletions);
    for (let done = 0; done < calm; done++) {
      await change(eu);
      await sleep(5);
    }
    await untilTrue(async () => us.applied >= calm);
    await sleep(300);
    if (us.applied !== calm || eu.applied !== 0) {
      complaints.push(`${calm} changes in eu: us has applied ${us.applied}, and eu ${eu.applied} that came back`);
    }
    const lags = us.lags.toSorted((one, other) => one - other);
    const lagAt = (share: number): string => `${Math.round(lags[Math.floor(lags.length * share)] ?? 0)} ms`;
    const lines = [`calm: ${calm} changes, each applied once; lag p50 ${lagAt(0.5)}, p99 ${lagAt(0.99)}`];

    const kinds = new Map<string, number>();
    const work = new AbortController();
    const readers = regions.flatMap(({ users }) =>
      users.map(async (cache) => {
        while (!work.signal.aborted) {
          await read(cache, Math.floor(random() * count));
          await sleep(1);
        }
      }),
    );
    const deck = FAULTS.toSorted(() => random() - 0.5); // each kind once, then any
    const faults = (async () => {
      while (!work.signal.aborted) {
        await sleep(150 + random() * 250);
        const kind = deck.pop() ?? any(FAULTS);
        kinds.set(kind.name, (kinds.get(kind.name) ?? 0) + 1);
        const [region, other] = random() < 0.5 ? [eu, us] : [us, eu];
        await kind.run(region, other);
      }
    })();
    const left = { deletions: settings.deletions - calm, purges: settings.purges };
    while (left.deletions + left.purges > 0 || kinds.size < FAULTS.length) {
      const some = Math.min(20, left.deletions);
      left.deletions -= some;
      const isPurge = left.purges > 0 && random() * (left.deletions / 20 + left.purges) < left.purges;
      left.purges -= isPurge ? 1 : 0;
      await Promise.all([
        ...Array.from({ length: some }, () => change(any(regions))),
        ...(isPurge ? [purge(any(regions))] : []),
      ]);
      await sleep(PAUSE_MS);
    }
    work.abort();
    await Promise.all([faults, ...readers]);

    await untilTrue(async () => {
      const healths = await Promise.all(regions.flatMap(({ caches }) => caches.map((cache) => cache.healthCheck())));
      return healths.every(({ status, redis }) => status === 'up' && redis?.journalLength === 0);
    });
    await sleep(HEALED_MS);
    const differing = new Set<string>();
    for (const { name, users } of regions) {
      for (const cache of users) {
        const found = await Promise.all(keys.map((_, index) => read(cache, index)));
        keys.forEach((key, index) => found[index] !== versions.get(key) && differing.add(`${name} ${key}`));
      }
    }
    if (differing.size > 0) {
      complaints.push(
        `${differing.size} entries differ from the source, for instance ${[...differing].slice(0, 5).join(', ')}`,
      );
    }
    const faultsText = Array.from(kinds, ([kind, times]) => `${times} ${kind}`).join(', ');
    lines.push(
      `faults: ${settings.deletions - calm} deletions and ${settings.purges} purges of tags under ${faultsText}`,
      `applied in eu ${eu.applied}, in us ${us.applied}; cleared for a gap ${eu.gaps} and ${us.gaps} times`,
      `${differing.size} of ${2 * regions.length * count} entries differ after ${HEALED_MS / 1000} s`,
    );
    return { lines, complaints };
  } finally {
    await Promise.all(regions.map((region) => region.stop()));
  }
}

interface Fault {
  readonly name: string;
  run(region: FaultyRegion, other: FaultyRegion): Promise<void>;
}

const FAULTS: readonly Fault[] = [
  { name: 'cuts of the link', run: async ({ proxy }) => proxy.cut() },
  {
    name: 'stalls of the link',
    run: async ({ proxy }) => {
      proxy.stall();
      await sleep(400);
      proxy.resume();
    },
  },
  {
    name: 'links down',
    run: async ({ proxy }) => {
      await proxy.refuseNew(true);
      proxy.cut();
      await sleep(500);
      await proxy.refuseNew(false);
    },
  },
  { name: 'killed relays', run: (region, other) => region.killLeader(other) },
  {
    name: 'killed servers',
    run: async ({ server }) => {
      await server.killHard();
      await sleep(200);
      await server.restart();
    },
  },
  {
    name: 'frozen servers',
    run: async ({ server }) => {
      server.freeze();
      await sleep(700);
      server.thaw();
    },
  },
];
