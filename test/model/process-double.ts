import type { Scheduler } from 'fast-check';
import type { CacheConfig } from '../../libs/distributed-cache/src/config/index.js';
import { AsyncCache } from '../../libs/distributed-cache/src/core/async-cache.js';
import type { CacheRuntime } from '../../libs/distributed-cache/src/core/runtime.js';
import { PendingReleases } from '../../libs/distributed-cache/src/core/lease.js';
import { LeaseTerm } from '../../libs/distributed-cache/src/core/lease.js';
import { OutageJournal } from '../../libs/distributed-cache/src/core/outage-journal.js';
import { CallScopes } from '../../libs/distributed-cache/src/core/call-scope.js';
import { LoadSignals } from '../../libs/distributed-cache/src/core/loader-run.js';
import { CacheEvents, Tracing } from '../../libs/distributed-cache/src/events/index.js';
import { LocalCache } from '../../libs/distributed-cache/src/local/index.js';
import type { PendingInvalidations } from '../../libs/distributed-cache/src/redis/index.js';
import { TierUnavailableError } from '../../libs/distributed-cache/src/errors/index.js';
import { LinkDouble } from './link-double.js';
import type { DoubleEntry, DoubleKeys, RedisDouble } from './redis-double.js';
import { ClassRegistry } from '../../libs/distributed-cache/src/values/index.js';

const NOW_MS = 1_000_000;
const HOUR_MS = 3_600_000;
const NAMESPACE = 'users';
const events = new CacheEvents();
const clock = { nowMs: () => NOW_MS };

interface StoredPayload {
  readonly payload: { readonly bytes: Buffer };
  readonly stamps: DoubleEntry['stamps'];
}

/** One process: the real core over doubles of the parts of redis/ that it uses. */
export class ProcessDouble {
  readonly cache: AsyncCache<number>;
  private readonly pendingReleases = new PendingReleases();
  private readonly journal = new OutageJournal({
    nowMs: clock.nowMs,
    serverNowMs: clock.nowMs,
    latestServerNowMs: clock.nowMs,
    roundTripMs: 0,
  });
  private readonly links: readonly LinkDouble[];
  private readonly connection = {
    isLive: true,
    allNodesUp: true,
    state: 'live',
    isInDoubt: () => false,
    outageSinceMs: (): number | undefined => (this.connection.isLive ? undefined : NOW_MS),
    roundTripMs: 0,
    deadlineClock: {
      nowMs: clock.nowMs,
      withinRest: <Result>(_operation: string, _startedAtMs: number, work: Promise<Result>) => work,
    },
    serverNowMs: () => NOW_MS,
    serverErrorMs: () => 0,
  };
  private readonly changes = { isFullyTracked: true, state: 'live', tracksChanges: () => this.changes.isFullyTracked };
  /** Increases with each loss: a setup that began before a loss does not count. */
  private losses = 0;
  /** How often the connection was lost. */
  outages = 0;
  /**
   * How often a message about a new stamp of the namespace arrived. The first stamp is no change, and supersedes loads
   * all the same.
   */
  stampsReceived = 0;

  constructor(
    config: CacheConfig,
    private readonly redis: RedisDouble,
    private readonly scheduler: Scheduler,
    private readonly nodes: number,
  ) {
    this.links = Array.from({ length: nodes }, () => new LinkDouble(scheduler, (key) => this.receive(key)));
    const tier = this.tier();
    const closing = new AbortController().signal;
    const runtime = {
      config,
      events,
      clock,
      coarseClock: clock,
      classes: new ClassRegistry([]),
      local: new LocalCache({ clock }),
      redis: {
        connection: this.connection,
        tier,
        changes: this.changes,
        journal: this.journal,
        pendingReleases: this.pendingReleases,
        stamps: {
          tier,
          tracksChanges: () => this.changes.isFullyTracked,
          latestServerNowMs: () => NOW_MS,
          nowMs: () => NOW_MS,
          mayServeHeldStamp: () => false,
        },
        leaseTerm: new LeaseTerm(3000),
      },
      random: () => 1,
      scopes: new CallScopes(),
      tracing: new Tracing(),
      closing,
      loadSignals: new LoadSignals(closing),
      loadLifeMs: HOUR_MS,
    };
    // The only place where doubles are passed as the real objects.
    this.cache = new AsyncCache<number>(NAMESPACE, config.namespace(NAMESPACE), runtime as unknown as CacheRuntime);
    this.track();
  }

  get isDown(): boolean {
    return !this.connection.isLive;
  }

  /** Whether Redis has acknowledged all deletions of this process. */
  get owesNothing(): boolean {
    return this.journal.size === 0;
  }

  /** Whether every message that Redis has sent has arrived. */
  get hasReceivedAll(): boolean {
    return this.links.every(({ received, sent }) => received === sent);
  }

  get tracksChanges(): boolean {
    return this.connection.isLive && this.changes.isFullyTracked;
  }

  /** The link that carries the commands and the messages of a key. */
  linkOf(fullKey: string): LinkDouble {
    const link = this.links[fullKey.endsWith('#clear') || fullKey.endsWith('a') ? 0 : this.nodes - 1];
    if (link === undefined) {
      throw new Error('no such link');
    }
    return link;
  }

  loseChannel(): void {
    this.losses++;
    this.redis.track(this, undefined);
    this.links.forEach((link) => link.loseMessages());
    Object.assign(this.changes, { isFullyTracked: false, state: 'lost' });
  }

  async trackAgain(): Promise<void> {
    await this.scheduler.schedule(Promise.resolve(), 'track');
    if (this.isDown || this.changes.isFullyTracked) {
      return;
    }
    this.track();
    const { losses } = this;
    await this.scheduler.schedule(Promise.resolve(), 'tracking');
    if (losses === this.losses && !this.changes.isFullyTracked) {
      Object.assign(this.changes, { isFullyTracked: true, state: 'live' });
      this.cache.invalidator.startEpoch();
    }
  }

  goDown(): void {
    this.outages++;
    this.loseChannel();
    Object.assign(this.connection, { isLive: false, allNodesUp: false, state: 'down' });
    this.links.forEach((link) => link.cut());
  }

  /** In the order of the real connection: replay the journal, listen, then use L1. */
  async goLive(): Promise<void> {
    if (!this.isDown) {
      return;
    }
    this.links.forEach((link) => link.reconnect());
    await this.replay();
    this.track();
    await this.scheduler.schedule(Promise.resolve(), 'tracking');
    Object.assign(this.changes, { isFullyTracked: true, state: 'live' });
    this.cache.invalidator.startEpoch();
    Object.assign(this.connection, { isLive: true, allNodesUp: true, state: 'live' });
    this.cache.invalidator.startEpoch();
    this.pendingReleases.release();
  }

  /** The work of each heartbeat on the journal. */
  async replay(): Promise<void> {
    this.pendingReleases.release();
    await this.journal.replay(async ({ entries, stamps }: PendingInvalidations) => {
      await Promise.all([
        ...entries.map((keys) => this.send(keys.valueKey, () => this.redis.drop(this, keys))),
        ...[...stamps].map(([key, { stamp }]) => this.send(key, () => this.redis.putString(this, key, stamp))),
      ]);
      [...stamps.keys()].forEach((key) => this.change(key));
      return true;
    });
  }

  private track(): void {
    this.redis.track(this, (key) => this.linkOf(key).send(key));
  }

  private receive(fullKey: string): void {
    if (fullKey.endsWith('#clear')) {
      this.stampsReceived++;
    }
    this.change(fullKey);
  }

  private change(fullKey: string): void {
    this.cache.invalidator.onRemoteChange(fullKey.slice(fullKey.indexOf(':', fullKey.indexOf(':') + 1) + 1));
  }

  private send<Answer>(fullKey: string, execute: () => Answer): Promise<Answer> {
    return this.linkOf(fullKey).call(execute);
  }

  /** Rejects at once while the connection is down, as `RedisConnection.run` does. */
  private ask<Answer>(fullKey: string, execute: () => Answer): Promise<Answer> {
    return this.isDown ? Promise.reject(new TierUnavailableError('GET', 'not-connected')) : this.send(fullKey, execute);
  }

  private async read(entry: DoubleEntry | undefined): Promise<object | undefined> {
    if (entry === undefined) {
      return undefined;
    }
    if (Number(entry.value) % 2 === 1) {
      await this.scheduler.schedule(Promise.resolve(), 'decompress'); // a large value, in the thread pool
    }
    const header = { createdAtMs: NOW_MS, expiresAtMs: NOW_MS + HOUR_MS, loadMs: 0, stamps: entry.stamps };
    return { value: entry.value, header, bytes: 0, isLegacy: false };
  }

  private tier(): object {
    const { redis } = this;
    const entryOf = ({ payload, stamps }: StoredPayload): DoubleEntry => ({ value: Number(payload.bytes), stamps });
    const tier = {
      withCodec: () => tier,
      remainingMs: () => HOUR_MS,
      groups: <Item>(items: readonly Item[]) => (items.length === 0 ? [] : [items]),
      read: async (key: string) => (await this.ask(key, () => redis.get(key))) ?? null,
      entryIn: (_key: string, entry: DoubleEntry) => this.read(entry),
      get: async (key: string) => this.read(await this.ask(key, () => redis.get(key))),
      take: async (keys: DoubleKeys, token: string) => {
        const { isTaken, owner, entry } = await this.ask(keys.valueKey, () => redis.take(keys, token));
        return { isTaken, owner, entry: await this.read(entry) };
      },
      fill: async (keys: DoubleKeys, token: string, stored: StoredPayload) => {
        const [staged, moved] = await Promise.all([
          this.ask(keys.valueKey, () => redis.stage(keys, token, entryOf(stored))),
          this.ask(keys.valueKey, () => redis.rename(this, keys)),
        ]);
        return staged && moved;
      },
      set: (keys: DoubleKeys, stored: StoredPayload) =>
        Promise.all([
          this.ask(keys.valueKey, () => redis.endLoad(keys)),
          this.ask(keys.valueKey, () => redis.put(this, keys, entryOf(stored))),
        ]),
      setMany: (entries: readonly (readonly [DoubleKeys, StoredPayload])[]) =>
        Promise.all(entries.map(([keys, stored]) => tier.set(keys, stored))),
      delete: (all: readonly DoubleKeys[]) =>
        Promise.all(all.map((keys) => this.ask(keys.valueKey, () => redis.drop(this, keys)))),
      renew: () => Promise.resolve(true),
      release: (keys: DoubleKeys, token: string) => this.ask(keys.valueKey, () => redis.release(keys, token)),
      releaseUnfilled: (keys: DoubleKeys, token: string) =>
        Promise.all([
          this.ask(keys.valueKey, () => redis.markEnded(keys)),
          this.ask(keys.valueKey, () => redis.release(keys, token)),
        ]),
      hasEndedUnfilled: async (keys: DoubleKeys) =>
        (await this.ask(keys.valueKey, () => redis.readString(`${keys.leaseKey}:ended`))) !== undefined,
      readStamp: (key: string) => this.ask(key, () => redis.readString(key)),
      createStamp: async (key: string, stamp: string): Promise<string | undefined> =>
        (await this.ask(key, () => redis.createString(this, key, stamp)))
          ? stamp
          : this.ask(key, () => redis.readString(key)),
      replaceStamp: (key: string, stamp: string) => this.ask(key, () => redis.putString(this, key, stamp)),
    };
    return tier;
  }
}
