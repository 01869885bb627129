import { EntryCodec } from '../codec/index.js';
import type { CacheConfig, ResolvedRedis } from '../config/index.js';
import { keyChangeOf } from '../keys/index.js';
import type { Clock } from '../local/index.js';
import { TierReplyError } from '../errors/index.js';
import {
  Announcements,
  BatchedReads,
  checkPermissions,
  Home,
  HomeReads,
  InvalidationGroup,
  isCluster,
  Outbox,
  probeScripts,
  probeTransactions,
  ProcessTopics,
  RedisConnection,
  RedisTier,
  ReplicaGuard,
  type OperationObserver,
  type OwnChanges,
  type RedisClient,
  type RedisConnectionLimits,
  type RedisTarget,
  type Refusal,
  type ServerPart,
} from '../redis/index.js';
import type { RedisRuntime } from './runtime.js';
import { PendingReleases, LeaseTerm } from './lease.js';
import { JournalReplay } from './journal-replay.js';
import { OutageJournal } from './outage-journal.js';
import type { StampStore } from './stamps.js';

/**
 * Operations that need not survive a failover: a fill, or the first stamp, that is lost with its master costs one more
 * load and makes no outdated value valid.
 */
const MAY_BE_LOST: ReadonlySet<string> = new Set(['FILL', 'SETNX']);

/** How long a prefix is marked with the name of an application: longer than applications run without a restart. */
const PREFIX_MARK_LIFE_MS = 30 * 24 * 3_600_000;

/** The form of a name of an application. Any other text in the mark is not logged. */
const APPLICATION_NAME = /^[\w@./-]{1,250}$/;

interface RedisSettings {
  readonly config: CacheConfig;
  readonly clock: Clock;
  readonly leaseMs: number;
}

/** Receives what the cache as a whole must know of Redis. */
interface RedisListener {
  /**
   * These keys were changed by others; `undefined`: any key may have been.
   * @param isMessage whether Redis, or another process, has sent a message about it
   * @param isOfReplica whether a replica has sent it: then it may be about a change of this process
   */
  onChanged(keys: readonly string[] | undefined, isMessage: boolean, isOfReplica: boolean): void;
  onTrackingUp(): void;
  onTrackingLost(): void;
  /** An invalidation channel was lost, is live again, or is in doubt: L1 may be trusted no longer, or again. */
  onTrust(): void;
  /** Another server is the home. @param reason why the previous one was left; `undefined` when a replica becomes the home */
  onMoved(to: string, reason: string | undefined): void;
  /** See `SignalPathLimits.onLag`. */
  onLag(lagMs: number): void;
  readonly operations: OperationObserver;
  /** Called at each heartbeat while Redis can be used. */
  onHeartbeat(): void;
  /**
   * Redis can be used.
   * @param downMs how long it could not be used, in milliseconds; `undefined` at the first connection
   */
  onLive(downMs: number | undefined): void;
  onDown(reason: string): void;
  /** The cause of the outage has become known. */
  onCause(reason: string): void;
  /** Redis, or one master of a cluster, was in doubt for a moment: changes of that time have not been sent. */
  onDoubtEnded(): void;
  /**
   * One master of a cluster can't be used, or can be used again, while others could all the time.
   * @param address `host:port`
   */
  onNodeDown(address: string, reason: string): void;
  onNodeLive(address: string, downMs: number): void;
  /** The pending invalidations of a namespace have become one `clear` of it. */
  onJournalFull(namespace: string): void;
  /** Redis answers, but refuses a command. */
  onRefused(refusal: Refusal): void;
}

/** Connects to the Redis that the configuration describes; `undefined` when there is none. */
export function connectRedis(settings: RedisSettings, listener: RedisListener): RedisRuntime | undefined {
  const target = redisTarget(settings.config.redis);
  return target === undefined ? undefined : new RedisParts(target, settings, listener);
}

/** The parts of L2, and what they do when a connection is lost, when it is back, and at each heartbeat. */
class RedisParts implements RedisRuntime {
  readonly connection: RedisConnection;
  readonly tier: RedisTier;
  readonly home: Home | undefined;
  readonly outbox: Outbox | undefined;
  readonly relayedTier: RedisTier;
  readonly changes: InvalidationGroup;
  readonly journal: OutageJournal;
  readonly pendingReleases = new PendingReleases();
  readonly stamps: StampStore;
  readonly leaseTerm: LeaseTerm;
  readonly topics: ProcessTopics;

  private readonly config: CacheConfig;
  private readonly prefix: string;
  private readonly guard: ReplicaGuard;
  private readonly replay: JournalReplay;

  constructor(
    target: RedisTarget,
    { config, clock, leaseMs }: RedisSettings,
    private readonly listener: RedisListener,
  ) {
    const { deadlineMs, commandTimeoutMs, heartbeatMs, keyPrefix, maxValueBytes, compression } = config;
    const nowMs = (): number => clock.nowMs();
    this.config = config;
    this.prefix = `${keyPrefix}:`;
    this.leaseTerm = new LeaseTerm(leaseMs);
    this.topics = new ProcessTopics(this.prefix);
    this.connection = new RedisConnection(
      target,
      { deadlineMs, commandTimeoutMs, heartbeatMs, nowMs },
      {
        beforeLive: (client, wasInDoubt) => (wasInDoubt ? this.replayJournal(client) : this.recover(client)),
        beforeNodeLive: (part) => this.replay.restore(part),
        onLive: (downMs) => this.onLive(downMs),
        onDown: (reason) => {
          this.home?.onPrimaryDown();
          listener.onDown(reason);
        },
        onCause: (reason) => listener.onCause(reason),
        onDoubtEnded: () => {
          listener.onDoubtEnded();
          this.pendingReleases.release();
        },
        onNodeLive: (name, downMs) => this.onNodeLive(name, downMs),
        onNodeDown: (name, reason) => this.onNodeDown(name, reason),
        onHeartbeat: () => this.onHeartbeat(),
        onRefused: (refusal) => listener.onRefused(refusal),
        operations: listener.operations,
      },
    );
    const { connection } = this;
    // remedy: stamp-time-plus-clock-error
    const latestServerNowMs = (key: string): number => connection.serverNowMs(key) + connection.serverErrorMs(key);
    this.guard = new ReplicaGuard(connection, deadlineMs, nowMs);
    this.journal = new OutageJournal(
      {
        nowMs,
        serverNowMs: (key) => connection.serverNowMs(key),
        latestServerNowMs,
        get roundTripMs() {
          return connection.roundTripMs;
        },
      },
      (clearStampKey) => listener.onJournalFull(keyChangeOf(clearStampKey, this.prefix.length)?.namespace ?? ''),
    );
    this.home = this.newHome(config.redis, { deadlineMs, commandTimeoutMs, heartbeatMs, nowMs });
    this.changes = new InvalidationGroup(
      {
        prefix: this.prefix,
        deadlineMs,
        heartbeatMs,
        savesNonces: target.kind === 'cluster' || (target.kind === 'client' && isCluster(target.client)),
        announcements: new Announcements(this.prefix),
        onLag: (lagMs) => listener.onLag(lagMs),
        topics: this.topics,
      },
      {
        onChanged: (keys, isOfReplica) => {
          listener.onChanged(keys, true, isOfReplica);
          this.outbox?.onChanged(keys);
        },
        onTrust: () => listener.onTrust(),
        onTrackingUp: () => {
          connection.refusals.allow('PUBLISH'); // the proof of the channel was published
          listener.onTrackingUp();
        },
        onTrackingLost: () => listener.onTrackingLost(),
      },
      {
        get areAllConnected() {
          return connection.topology.areAllConnected;
        },
        sourceOf: (key) => connection.topology.connectionOf(key),
        home: this.home,
      },
    );
    const { changes, home } = this;
    const reads = new BatchedReads(connection);
    // Each namespace derives a tier with the codec of its own entries.
    const codec = new EntryCodec({ maxValueBytes, compression });
    const outbox = config.region === undefined ? undefined : new Outbox(this.prefix, connection);
    const after: OwnChanges['after'] = (operation, keys) => this.afterChange(operation, keys);
    const before: OwnChanges['before'] = outbox && ((operation, keys) => outbox.record(operation, keys));
    const atHome = home === undefined ? reads : new HomeReads(home, reads, connection);
    this.outbox = outbox;
    // remedy: relayed-is-not-recorded
    this.relayedTier = new RedisTier(connection, codec, { after }, undefined, atHome);
    this.tier =
      before === undefined ? this.relayedTier : new RedisTier(connection, codec, { before, after }, undefined, atHome);
    this.replay = new JournalReplay({
      journal: this.journal,
      home,
      outbox,
      guard: config.strict ? this.guard : undefined,
      announce: (keys, run) => this.announce(keys, run),
      onReplayed: (stampKeys) => listener.onChanged(stampKeys, false, false),
    });
    this.stamps = {
      tier: this.tier,
      tracksChanges: (stampKey) => changes.tracksChanges(stampKey),
      latestServerNowMs,
      nowMs,
      mayServeHeldStamp: (stampKey) => {
        const sinceMs = connection.isLive ? connection.outageSinceMs(stampKey) : undefined;
        return sinceMs !== undefined && config.fallback !== false && clock.nowMs() - sinceMs < config.fallback.ttlMs;
      },
    };
  }

  private newHome(redis: ResolvedRedis, limits: RedisConnectionLimits): Home | undefined {
    const { listener, connection } = this;
    if (redis.kind !== 'single' || redis.home === undefined) {
      return undefined;
    }
    const keys = this.topics.homeKeys;
    return new Home(redis.home, { settings: redis.connection, limits }, connection, keys, {
      onSources: () => this.changes.refresh(),
      channelAt: (source) => this.changes.channelAt(source),
      onMoved: (to, reason) => listener.onMoved(to, reason),
      operations: listener.operations,
    });
  }

  onRelayed(keys: readonly string[]): void {
    this.listener.onChanged(keys, false, false);
  }

  get isUnreplicated(): boolean {
    return this.guard.isUnconfirmed;
  }

  async markPrefix(application: string): Promise<string | undefined> {
    // The braces make it an auxiliary key: the message about its change concerns no process.
    const key = `${this.prefix}{#application}`;
    try {
      const mark = await this.connection.run('CHECK GET', (client) => client.get(key), key);
      await this.connection.run('CHECK SET', (client) => client.set(key, application, 'PX', PREFIX_MARK_LIFE_MS), key);
      return mark !== null && APPLICATION_NAME.test(mark) ? mark : undefined;
    } catch {
      return undefined; // the refusal of a command is reported where entries need it
    }
  }

  /**
   * Restores a connection that is back, after the previous one was ended, in this order: replay the journal, listen to
   * changes, which starts a new epoch. Then the connection closes its breaker and reports {@link onLive}.
   */
  private async recover(client: RedisClient): Promise<void> {
    await this.checkServer(client);
    await this.replayJournal(client);
    await this.changes.open(client);
  }

  private async checkServer(client: RedisClient): Promise<void> {
    this.connection.refusals.clear();
    await Promise.all([probeTransactions(client), probeScripts(this.connection, client, this.prefix)]);
  }

  /** Replays the journal. A cluster replays the part of each master separately; until then its keys are misses here. */
  private async replayJournal(client: RedisClient): Promise<void> {
    if (!isCluster(client)) {
      await this.replay.restore({ owns: () => true, run: (_operation, send) => send(client) });
    }
  }

  private onLive(downMs: number | undefined): void {
    this.listener.onLive(downMs);
    this.home?.check();
    this.outbox?.onLive();
    this.catchUp();
    void checkPermissions(this.connection, this.prefix);
  }

  private onNodeLive(name: string, downMs: number): void {
    this.changes.refresh();
    this.changes.hurry();
    this.pendingReleases.release();
    this.connection.refusals.clear(name);
    void checkPermissions(this.connection, this.prefix);
    this.listener.onNodeLive(name, downMs);
  }

  private onNodeDown(name: string, reason: string): void {
    this.changes.refresh();
    this.listener.onNodeDown(name, reason);
  }

  private onHeartbeat(): void {
    this.changes.refresh();
    this.home?.check(true);
    this.outbox?.onHeartbeat();
    if (!this.changes.receivesChanges && this.changes.lostReason !== undefined) {
      this.listener.onTrackingLost(); // it may have been lost with the connection, and not come back with it
    }
    this.catchUp();
    this.listener.onHeartbeat();
    if (this.connection.refusals.all.some(({ reply }) => reply !== 'MOVED')) {
      void checkPermissions(this.connection, this.prefix); // the rights may have been granted, or memory freed
    }
  }

  private catchUp(): void {
    this.pendingReleases.release();
    this.replay.catchUp(this.connection.topology.parts);
  }

  /** What must follow a change that Redis has acknowledged, before the change counts as done. */
  private afterChange(operation: string, keys: readonly string[]): Promise<void> | undefined {
    const { changes, config, connection, home } = this;
    const [first] = keys;
    home?.onKnown(keys);
    // remedy: strict-waits-for-replica
    const isToBeConfirmed = config.strict && first !== undefined && !MAY_BE_LOST.has(operation);
    // remedy: announce-changes
    const announcing = (): Promise<void> | undefined =>
      changes.announces ? this.announce(keys, (each, send) => connection.run(each, send, first)) : undefined;
    return isToBeConfirmed ? this.guard.confirm(operation, first).then(announcing) : announcing();
  }

  /**
   * Announces changed keys, after the change, so that other processes do not read the previous value again. A user
   * without the right to publish does without.
   */
  private async announce(keys: readonly string[], run: ServerPart['run']): Promise<void> {
    const { topic, messages } = this.changes.announcementOf(keys);
    for (const message of messages) {
      await run('PUBLISH', (client) => client.publish(topic, message)).catch((error: unknown) => {
        if (!(error instanceof TierReplyError)) {
          throw error;
        }
      });
    }
  }
}

/** The Redis that the configuration describes; `undefined` when there is none. */
export function redisTarget(redis: ResolvedRedis): RedisTarget | undefined {
  if (redis.kind === 'none') {
    return undefined;
  }
  // The configuration has checked that it is one.
  return redis.kind === 'client' ? { kind: 'client', client: redis.client as RedisClient } : redis;
}
