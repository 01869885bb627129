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
import { ALL_RULES, HomeDouble } from './home-double.js';
import type { DoubleEntry, DoubleKeys, RedisDouble } from './redis-double.js';
import type { ReplicaDouble } from './replica-double.js';
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
  /** Absent when the primary is its home, as it is after the replica has been left. */
  home: HomeDouble | undefined;
  /** Called when the home is left. */
  onLeftHome = (): void => {};
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
    replica?: ReplicaDouble,
    private readonly rules = ALL_RULES,
  ) {
    this.links = Array.from({ length: nodes }, () => new LinkDouble(scheduler, (key) => this.receive(key)));
    if (replica !== undefined) {
      this.home = this.newHome(replica);
    }
    const { home } = this;
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
        home,
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
    const { home, links } = this;
    return [...links, ...(home === undefined ? [] : [home.link])].every(
      (link) => link.received === this.positionOf(link),
    );
  }

  get tracksChanges(): boolean {
    return this.connection.isLive && this.changes.isFullyTracked;
  }

  /** The number of messages on this link once everything has been sent that has been changed by now. */
  positionOf(link: LinkDouble): number {
    return link.sent + (link === this.home?.link ? this.home.replica.pending : 0);
  }

  /** The link that carries the messages of a key. */
  messageLinkOf(fullKey: string): LinkDouble {
    return this.home?.link ?? this.linkOf(fullKey);
  }

  /** The link that carries the commands of a key. */
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
    const { home } = this;
    if (home !== undefined) {
      home.replica.track(this, undefined);
      home.progress.stop();
      home.link.loseMessages();
      home.link.cut();
      home.isServing = false;
      this.home = undefined;
    }
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
      this.home?.onKnown([...entries.map(({ valueKey }) => valueKey), ...stamps.keys()]);
      [...stamps.keys()].forEach((key) => this.change(key));
      return true;
    });
  }

  private newHome(replica: ReplicaDouble): HomeDouble {
    const link = new LinkDouble(this.scheduler, (key) => this.receive(key, true));
    const primary = {
      redis: this.redis,
      ask: <Answer>(key: string, execute: () => Answer): Promise<Answer> => this.ask(key, execute),
    };
    return new HomeDouble(replica, link, primary, this.rules, this.connection, () => this.onLeftHome());
  }

  private track(): void {
    const { home } = this;
    if (home !== undefined) {
      home.replica.track(this, (key) => home.link.send(key));
      return;
    }
    this.redis.track(this, (key) => this.linkOf(key).send(key));
  }

  private receive(fullKey: string, isOfReplica = false): void {
    if (fullKey.endsWith('#clear')) {
      this.stampsReceived++;
    }
    this.home?.onMessage();
    this.change(fullKey, isOfReplica);
  }

  private change(fullKey: string, isOfReplica = false): void {
    const encodedKey = fullKey.slice(fullKey.indexOf(':', fullKey.indexOf(':') + 1) + 1);
    if (this.rules.taint || encodedKey.startsWith('#')) {
      this.cache.invalidator.onRemoteChange(encodedKey, isOfReplica);
    } else {
      (this.cache.invalidator as unknown as { local: { delete(key: string): void } }).local.delete(encodedKey);
    }
  }

  /** What follows a change that Redis has acknowledged. */
  private async changed<Answer>(keys: readonly string[], changing: Promise<Answer>): Promise<Answer> {
    const answer = await changing;
    this.home?.onKnown(keys);
    return answer;
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
      read: async (key: string) =>
        this.home === undefined ? ((await this.ask(key, () => redis.get(key))) ?? null) : this.home.reads.get(key),
      entryIn: (_key: string, entry: DoubleEntry) => this.read(entry),
      get: async (key: string) => this.read(((await tier.read(key)) ?? undefined) as DoubleEntry | undefined),
      take: async (keys: DoubleKeys, token: string) => {
        const { owner, entry } = await this.changed(
          [keys.valueKey],
          this.ask(keys.valueKey, () => redis.take(keys, token)),
        );
        return { owner, bytes: entry ?? null, refusal: undefined };
      },
      fill: async (keys: DoubleKeys, token: string, stored: StoredPayload) => {
        const filling = Promise.all([
          this.ask(keys.valueKey, () => redis.stage(keys, token, entryOf(stored))),
          this.ask(keys.valueKey, () => redis.rename(this, keys)),
        ]);
        const [staged, moved] = await this.changed([keys.valueKey], filling);
        return staged && moved;
      },
      set: (keys: DoubleKeys, stored: StoredPayload) =>
        this.changed(
          [keys.valueKey],
          Promise.all([
            this.ask(keys.valueKey, () => redis.endLoad(keys)),
            this.ask(keys.valueKey, () => redis.put(this, keys, entryOf(stored))),
          ]),
        ),
      setMany: (entries: readonly (readonly [DoubleKeys, StoredPayload])[]) =>
        Promise.all(entries.map(([keys, stored]) => tier.set(keys, stored))),
      delete: (all: readonly DoubleKeys[]) =>
        this.changed(
          all.map(({ valueKey }) => valueKey),
          Promise.all(all.map((keys) => this.ask(keys.valueKey, () => redis.drop(this, keys)))),
        ),
      isStill: async (key: string, entry: DoubleEntry | null) =>
        ((await this.ask(key, () => redis.get(key))) ?? null) === entry,
      renew: () => Promise.resolve(true),
      release: (keys: DoubleKeys, token: string) => this.ask(keys.valueKey, () => redis.release(keys, token)),
      releaseUnfilled: (keys: DoubleKeys, token: string) =>
        Promise.all([
          this.ask(keys.valueKey, () => redis.markEnded(keys)),
          this.ask(keys.valueKey, () => redis.release(keys, token)),
        ]),
      hasEndedUnfilled: async (keys: DoubleKeys) =>
        (await this.ask(keys.valueKey, () => redis.readString(`${keys.leaseKey}:ended`))) !== undefined,
      readStamp: (key: string): Promise<string | undefined> =>
        this.home === undefined
          ? this.ask(key, () => redis.readString(key))
          : this.home.reads.ask('GET', key, () => ({ commands: [], resultOf: () => undefined })),
      createStamp: async (key: string, stamp: string): Promise<string | undefined> =>
        (await this.changed(
          [key],
          this.ask(key, () => redis.createString(this, key, stamp)),
        ))
          ? stamp
          : ((await tier.readStamp(key)) ?? this.ask(key, () => redis.readString(key))),
      readStamps: (keys: readonly string[]) =>
        Promise.all(keys.map((key) => this.ask(key, () => redis.readString(key)))),
      replaceStamp: (key: string, stamp: string) =>
        this.changed(
          [key],
          this.ask(key, () => redis.putString(this, key, stamp)),
        ),
    };
    return tier;
  }
}
